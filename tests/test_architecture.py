"""The walls of the house: who imports whom, what is public, how long things are."""

from __future__ import annotations

import ast
import dataclasses
import graphlib
import importlib
import importlib.metadata
import re
import statistics
import sys
from pathlib import Path

import pytest
import torch

import csp_core
from csp_core import inference, raster
from csp_core.data import pictures

PACKAGE = Path(csp_core.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
APP = Path(__file__).parents[1] / "app"
# What npm installs is not ours.
APP_FILES = sorted(path for path in APP.rglob("*.py") if "node_modules" not in path.parts)
APP_MODULES = {".".join(path.relative_to(APP).with_suffix("").parts): path for path in APP_FILES}
# From the ground up; the rooms of the pages stand beside each other.
APP_ROWS = (
    {"shared"},
    {"mapping"},
    {"explore", "range_map", "clusters", "photo", "segment", "few_shot", "jobs"},
    {"shell"},
    {"views"},
    {"main"},
)
APP_ROW = {room: row for row, rooms in enumerate(APP_ROWS) for room in rooms}
ROWS = (
    {"errors", "child"},
    {"geo", "files", "tables", "calibrate"},
    {"location", "image", "text", "augment", "losses", "runs", "land", "gazetteer", "grid"},
    {"data"},
    {"model"},
    {"objectives", "inference", "store", "importers"},
    {"config", "raster"},
    {"evaluation"},
    {"training"},
    {"cli"},
    {"__main__"},
)
ROW = {module: row for row, modules in enumerate(ROWS) for module in modules}
RUNS_MAY_IMPORT = {"errors", "files"}
PUBLIC = {
    *("load_config", "train", "evaluate", "load_dataset", "read_occurrences"),
    *("make_location_encoder", "make_image_encoder", "make_objective", "DualEncoder"),
    *("location_prior", "posterior", "rerank", "heatmap", "embedding_clusters"),
    *("save_model", "load_model", "list_models", "import_checkpoint"),
}
# Third-party packages that only some modules may import.
CONFINED = {
    "accelerate": {"training.run", "training.loop"},
    "timm": {"image.backbones"},
    "dask": {"raster.blocks"},
    "zarr": {"raster.blocks"},
    "matplotlib": {"raster.picture", "inference.clusters.picture"},
    "rasterio": {
        *(
            "data.pictures.geotiff",
            "data.pictures.georeference",
            "data.pictures.scene",
            "data.tiles.raster",
            "location.surfaces",
            "location.warped",
        ),
        *("raster.geotiff", "raster.polygons", "raster.scenes.files", "raster.scenes.outlines"),
        "inference.clusters.geotiff",
    },
    "huggingface_hub": {"store.hub.client", "store.hub.fetch", "store.hub.share"},
    "tokenizers": {"text.vocabulary"},
    "open_clip": {"text.open_clip"},
    "lightly": set(),
    "umap": {"inference.clusters.projection"},
    "hdbscan": set(),
    "geopandas": {"inference.clusters.tables", "raster.scenes.outlines"},
    **{name: set() for name in ("streamlit", "folium", "streamlit_folium", "pydeck", "app")},
    **{name: set() for name in ("pickle", "dill", "joblib", "marshal", "shelve")},
}
# Rooms of the app that handle pixels, and nothing else of numbers: colours of a map, and pictures
# that come from another process as bytes.
PIXELS = (
    *("mapping.values", "mapping.small", "clusters.pixels", "segment.pixels"),
    *("shared.reader", "shared.uploads"),
)
# What tensors can do and text, numbers, lists and paths cannot.
PLAIN = (str, bytes, int, float, list, dict, set, tuple, memoryview, Path)
OF_TENSORS = {name for name in dir(torch.Tensor) if not name.startswith("_")}
OF_TENSORS -= {name for kind in PLAIN for name in dir(kind)}
# Tensors that the app is given.
GIVEN = (raster.Raster, raster.WinningMap, raster.HeldOut, inference.PhotoAnswer, pictures.Photo)
TENSOR_FIELDS = {
    field.name for kind in GIVEN for field in dataclasses.fields(kind) if field.type == "Tensor"
}


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "__init__"


def imports(path: Path) -> set[str]:
    """List the dotted names that a file imports anywhere, submodules told from names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                is_module = full.split(".")[0] == "csp_core" and full[9:] in MODULES
                found.add(full if is_module else str(node.module))
    return found


MODULES = {dotted(path) for path in FILES} | {dotted(p).split(".")[0] for p in FILES}
IMPORTS = {dotted(path): imports(path) for path in FILES}


def own_imports(module: str) -> set[str]:
    return {name[9:] for name in IMPORTS[module] if name.startswith("csp_core.")}


def test_every_module_has_a_row():
    assert {m.split(".")[0] for m in MODULES} - set(ROW) - {"__init__"} == set()


@pytest.mark.parametrize("module", sorted(MODULES - {"__init__"}))
def test_imports_point_downwards(module):
    top = module.split(".")[0]
    targets = {name.split(".")[0] for name in own_imports(module)} - {top}
    wrong = {target for target in targets if ROW[target] >= ROW[top]}
    assert not wrong, f"{module} (row {ROW[top]}) imports {wrong}"
    if top == "runs":  # it starts `python -m csp_core`
        assert targets <= RUNS_MAY_IMPORT


def test_the_package_itself_is_imported_for_its_version_alone():
    for path in FILES:
        if "csp_core" in IMPORTS[dotted(path)]:
            used = [
                node.attr
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "csp_core"
            ]
            assert used and set(used) == {"__version__"}, path


def test_no_cycles_inside_packages():
    graph = {module: own_imports(module) - {module} for module in MODULES & set(IMPORTS)}
    assert list(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("library", sorted(CONFINED))
def test_confined_libraries(library):
    users = {
        module
        for module, names in IMPORTS.items()
        if any(name.split(".")[0] == library for name in names)
    }
    assert users <= CONFINED[library]


def test_nothing_is_unpickled():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                options = {k.arg: ast.unparse(k.value) for k in node.keywords}
                assert options.get("weights_only") == "True", f"{path}:{node.lineno}"


def test_public_names():
    assert set(csp_core.__all__) <= PUBLIC
    assert csp_core.__all__ == sorted(csp_core.__all__)
    for name in csp_core.__all__:
        assert callable(getattr(csp_core, name)), name


def test_no_module_bears_a_public_name():
    assert set(csp_core.__all__) & MODULES == set()


def test_few_modules_stand_at_the_top():
    assert len([path for path in FILES if path.parent == PACKAGE]) <= 8


def test_unknown_public_name():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = csp_core.trian


def app_imports(module: str) -> set[str]:
    """List the modules of the app that one of them imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(APP_MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found & set(APP_MODULES)


@pytest.mark.parametrize("module", sorted(APP_MODULES))
def test_rooms_of_the_app_import_downwards(module):
    room = module.split(".")[0]
    rooms = {name.split(".")[0] for name in app_imports(module)} - {room}
    wrong = {other for other in rooms if APP_ROW[other] >= APP_ROW[room]}
    assert not wrong, f"{module} (row {APP_ROW[room]}) imports {wrong}"


def test_no_cycles_in_the_app():
    graph = {module: app_imports(module) for module in APP_MODULES}
    assert list(graphlib.TopologicalSorter(graph).static_order())


def test_views_do_not_import_each_other():
    views = [module for module in APP_MODULES if module.startswith("views.")]
    assert views
    for module in APP_MODULES:
        assert not app_imports(module) & set(views), module


def test_every_page_is_drawn_by_the_shell():
    main = ast.parse(APP_MODULES["main"].read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(main) if isinstance(node, ast.Call)]
    pages = {
        ast.literal_eval(call.args[0]): {k.arg: ast.unparse(k.value) for k in call.keywords}
        for call in calls
        if ast.unparse(call.func) == "st.Page"
    }
    assert set(pages) == {f"views/{path.name}" for path in (APP / "views").glob("*.py")}
    for path, options in pages.items():
        code = ast.parse((APP / path).read_text(encoding="utf-8"))
        # All that a page does as it is run.
        (done,) = [node.value for node in code.body if isinstance(node, ast.Expr)][1:]
        assert isinstance(done, ast.Call) and ast.unparse(done.func) == "shell.run", path
        assert ast.unparse(done.args[0]) == options["url_path"], path
        own = {ast.unparse(node.func) for node in ast.walk(code) if isinstance(node, ast.Call)}
        assert not own & {"st.title", "style.apply_style", "visits.come_back"}


def test_rooms_of_the_app_hide_no_installed_package():
    # Streamlit puts app/ first on the path.
    names = {path.stem for path in APP.iterdir() if path.is_dir() or path.suffix == ".py"}
    taken = {*importlib.metadata.packages_distributions(), *sys.stdlib_module_names, "csp_core"}
    assert set(APP_ROW) <= names and not names & taken
    # A folder without this file would give way to one of its name anywhere on the path.
    rooms = set(APP_ROW) - {"shell", "views", "main"}
    assert [room for room in rooms if not (APP / room / "__init__.py").is_file()] == []


@pytest.mark.parametrize(("base", "files"), [(PACKAGE, FILES), (APP, APP_FILES)])
def test_lengths(base, files):
    lengths = {str(p.relative_to(base)): len(p.read_text("utf-8").splitlines()) for p in files}
    assert {m: n for m, n in lengths.items() if n > 350} == {}
    assert statistics.median(lengths.values()) <= 180


@pytest.mark.parametrize(("base", "files"), [(PACKAGE, FILES), (APP, APP_FILES)])
def test_functions_fit_on_a_screen(base, files):
    long = {}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or 0) - node.lineno + 1
                if ast.get_docstring(node) is not None:
                    # What a function says of itself does not make it harder to follow.
                    length -= (node.body[0].end_lineno or 0) - node.body[0].lineno + 1
                if length > 50:
                    long[f"{path.relative_to(base)}: {node.name}"] = length
    assert long == {}


def assigned(node: ast.AST) -> list[ast.expr]:
    """List what a statement assigns to."""
    targets: list[ast.expr] = []
    if isinstance(node, (ast.Assign, ast.Delete)):
        targets = node.targets
    elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
        targets = [node.target]
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("setattr", "delattr"):
        targets = [ast.Attribute(node.args[0], "any")]
    inner = [t.elts if isinstance(t, (ast.Tuple, ast.List)) else [t] for t in targets]
    return [target for some in inner for target in some]


def operations(code: str) -> list[int]:
    """List the lines that change a model, whatever they change of it."""
    found = []
    for node in ast.walk(ast.parse(code)):
        for target in assigned(node):
            while isinstance(target, (ast.Subscript, ast.Attribute)):
                target = target.value
                if ast.unparse(target) in ("model", "self.model"):
                    found.append(node.lineno)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".equip"):
            found.append(node.lineno)
    return sorted(set(found))


def test_no_objective_operates_on_a_model():
    # What an objective wants of a model, its class asks for by ``heads``; the model makes it.
    found = {}
    for path in sorted((PACKAGE / "objectives").rglob("*.py")):
        code = path.read_text(encoding="utf-8")
        lines = [code.splitlines()[line - 1].strip() for line in operations(code)]
        found |= {path.name: lines} if lines else {}
    assert found == {"__init__.py": ["model.equip(heads, prior_kind=OBJECTIVES[name].prior_kind)"]}


@pytest.mark.parametrize(
    "line",
    ["model.classifier = None", "self.model.image_head.bias[0] += 1", "del model.x",
     "setattr(self.model, name, None)", "a, model.b = 1, 2", "model.temperature: float = 2.0"],
)  # fmt: skip
def test_operations_on_a_model_are_seen(line):
    assert operations(line) == [1]
    assert operations("self.model = model\nmodels = model.classes\nmodel.eval()") == []


def test_the_app_imports_nothing_that_trains():
    above = {module for module, row in ROW.items() if row > ROW["evaluation"]}
    for module, path in APP_MODULES.items():
        names = {n.removeprefix("csp_core.").split(".")[0] for n in imports(path)}
        assert not names & above, module


def computed(code: str) -> list[int]:
    """List the lines that import torch or numpy, or compute with tensors."""
    found = []
    tree = ast.parse(code)
    brought = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    modules = {alias.asname or alias.name for node in brought for alias in node.names}
    for node in ast.walk(tree):
        names: list[str] = []
        parts: list[ast.expr] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            # Not those of a module or class that is named, such as math.floor.
            if ast.unparse(node.func.value) not in modules and node.func.attr in OF_TENSORS:
                found.append(node.lineno)
        elif isinstance(node, ast.BinOp):
            parts = [node.left, node.right]
        elif isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.UnaryOp):
            parts = [node.operand]
        elif isinstance(node, (ast.Subscript, ast.AugAssign)):
            parts = [node.value]
        fields = {part.attr for part in parts if isinstance(part, ast.Attribute)}
        if fields & TENSOR_FIELDS or {name.split(".")[0] for name in names} & {"torch", "numpy"}:
            found.append(node.lineno)
    return sorted(set(found))


@pytest.mark.parametrize("module", sorted(set(APP_MODULES) - set(PIXELS)))
def test_the_app_computes_with_no_tensors(module):
    assert computed(APP_MODULES[module].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("module", sorted(PIXELS))
def test_who_handles_pixels_has_numpy_for_it(module):
    names = {name.split(".")[0] for name in imports(APP_MODULES[module])}
    assert "numpy" in names and "torch" not in names


@pytest.mark.parametrize(
    "line",
    ["from torch import Tensor", "import numpy as np", "import torch.nn.functional as F",
     "mask = layer.raster.values >= 0.5", "there = ~raster.extrapolated", "found.winner[mask] = 1",
     "area = (a & b).sum(dim=1)", "if raster.extrapolated.any(): pass", "best = share.argmax()"],
)  # fmt: skip
def test_tensor_maths_is_seen(line):
    assert computed(line) == [1] and {"values", "winner", "image", "presence"} <= TENSOR_FIELDS
    plain = "import math\nimport re\nx = math.floor(y / 2) + rows.values()\nz = re.sub('a', 'b', t)"
    assert computed(plain) == [] and computed("Raster(values=found.numbered(k))") == []


def test_the_manual_names_every_package():
    manual = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = manual[manual.index("## Packages") : manual.index("## How it grows")]
    here = {dotted(path).split(".")[0] for path in FILES} - {"__init__", "__main__"}
    assert here <= set(re.findall(r"`(\w+)`", table))
