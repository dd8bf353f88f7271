"""One cell of the table of the CLIP family: a part of EuroSAT, a run, and its measures."""

from __future__ import annotations

import ctypes
import functools
import gc
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import stssl_cells
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from stssl_common import Cell
from stssl_eurosat import here
from torch import Tensor

from csp_core import load_dataset
from csp_core.data import DATASETS
from csp_core.data.images import ImageDataset
from csp_core.data.records import RecordDataset, join_records
from csp_core.data.sets.eurosat import load_eurosat
from csp_core.data.sets.facts import FACTS
from csp_core.data.subsets import keep_rows
from csp_core.evaluation.retrieval import evaluate_retrieval, measured_sides
from csp_core.model import DualEncoder
from csp_core.model.compared import by_tokens
from csp_core.model.parts import evaluating, see

PART = "eurosat_part"
# Blocks of 1 degree are held out whole.
SPLIT = {"split_method": "block", "block_degrees": 1.0, "val_fraction": 0.1, "test_fraction": 0.2}
# Records of validation and test that are kept, drawn once.
HELD = {"val": 1000, "test": 2000}
# Of them so many are compared with each other; all of them are classified.
COMPARED, CHUNK = 1000, 500
IMAGES: dict[str, dict[str, Any]] = {
    "ViT": {
        "name": "timm",
        "model": "vit_small_patch16_224",
        "dim": None,
        "size": 32,
        "architecture": {"patch_size": 8, "embed_dim": 96, "depth": 4, "num_heads": 3},
    },
    "convnet": {"name": "small_convnet", "dim": None, "width": 16, "norm": "group"},
}
DIM, TOKENS = 64, 64
# How much a linear probe may bend, chosen by validation.
PENALTIES = (0.01, 0.1, 1.0)
NAMES = {"image-place": "", "image-text": "text_", "place-text": "words_"}
SUPERVISED = "image_softmax"


@functools.cache
def _parts(root: str, records: int) -> dict[str, ImageDataset]:
    """Read EuroSAT once and keep a part of each of its parts."""
    found = {}
    for split, number in {"train": records, **HELD}.items():
        data = load_eurosat(split, root=root, size=32, **SPLIT)  # type: ignore[arg-type]
        data = keep_rows(data, ~data.lonlat.isnan().any(dim=1))  # type: ignore[assignment]
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
        keep = torch.zeros(len(data), dtype=torch.bool)
        keep[order[:number]] = True
        found[split] = keep_rows(data, keep)
    return found  # type: ignore[return-value]


def load_part(
    split: str = "train",
    *,
    root: str | Path | None = None,
    records: int = 6000,
    val_fraction: float = 0.0,
) -> RecordDataset:
    """Load part of EuroSAT, split by blocks.

    Args:
        split: ``train``, ``val``, ``test``, or ``all``.
        root: As of ``load_eurosat``.
        records: Training records that are kept.
        val_fraction: 0 for runs that look at no validation; blocks are held out for it all the
            same.

    Returns:
        The records.
    """
    parts = _parts(str(root), records)
    if split == "all":
        return join_records(join_records(parts["train"], parts["val"]), parts["test"])
    return parts[split]


def register() -> None:
    """Let configurations name this part of EuroSAT."""
    DATASETS[PART] = load_part
    FACTS[PART] = FACTS["eurosat"]


def tree_of(settings: Mapping[str, Any], draw: int) -> dict[str, Any]:
    """Write out the configuration of a cell.

    Args:
        settings: ``data``, ``objective``, ``image``, ``epochs``, ``batch_size`` and
            ``learning_rate``; ``location`` and ``text`` are layers, 0 for no such tower;
            ``captions``, ``quality`` and ``dropout`` of the location tower where there are such.
        draw: Seed of weights, batches and what is done to records.

    Returns:
        The configuration.
    """
    data = {**settings["data"], "val_fraction": 0.0}
    if data["name"] == PART:
        data["root"] = here("root")
    if "captions" in settings:
        data["captions"] = settings["captions"]
    if "quality" in settings:
        data["quality"] = {**settings["quality"], "seed": draw}
    network = {"name": "tokens", "width": DIM, "layers": settings["location"], "heads": 4}
    network["dropout"] = settings.get("dropout", 0.0)
    place = {"name": "sphere_c", "num_scales": 16, "min_radius": 0.01, "network": network}
    words = {"name": "transformer", "width": DIM, "layers": settings["text"], "vocabulary": 2000}
    training = {key: settings[key] for key in ("epochs", "batch_size", "learning_rate")}
    return {
        "name": "cell",
        "seed": draw,
        "data": data,
        "model": {
            "dim": DIM,
            "location": place if settings["location"] else None,
            "image": IMAGES[settings["image"]],
            "text": words if settings["text"] else None,
        },
        "objective": settings["objective"],
        "training": {
            **training,
            "weight_decay": 0.1,
            "decay_vectors": False,
            "warmup": 0.05,
            "keep": "last",
            "device": here("device"),
            "threads": 1,
        },
    }


def work(cell: Cell) -> dict[str, float]:
    """Train a cell and measure it on blocks that nothing was learned from.

    Args:
        cell: The cell; its setting ``part`` says what it is measured on, ``test`` or ``val``.

    Returns:
        Name to number.
    """
    register()
    settings = dict(cell.settings)
    if settings.get("filter"):
        settings["quality"] = {**settings["quality"], "model": str(judge_of(cell))}
    tree = tree_of(settings, cell.draw)
    before = start_memory()
    with tempfile.TemporaryDirectory(prefix="clip-") as folder:
        began = time.process_time()
        stage, result, _ = stssl_cells.run_stage(tree, Path(folder) / "run")
        spent = {"train_seconds": time.process_time() - began, "steps": float(stage.progress.step)}
        spent["records"] = float(len(stage.parts.train_set))
        if settings.get("keeps"):
            assert result.model_directory is not None  # it ran to its end
            shutil.copytree(result.model_directory, judge_home(cell), dirs_exist_ok=True)
    top = peak_memory()
    memory = {} if before is None or top is None else {"memory_mib": top - before}
    model = result.model.cpu().eval()
    return {**measure(model, tree, settings["part"]), **spent, **memory}


def judge_home(cell: Cell) -> Path:
    """Give the folder of a model that was trained on shuffled pairs."""
    told = cell.settings
    name = f"{told['objective']['name']}-{told['image']}-{told['mark']}-{cell.draw}"
    return Path(here("cells")) / "models" / name


def judge_of(cell: Cell) -> Path:
    """Give the model that judges the pairs of a cell.

    It was trained by the same objective on the same pairs, wrong ones included.
    """
    home = judge_home(cell)
    if not (home / "config.json").is_file():
        settings = dict(cell.settings)
        settings["quality"] = {"shuffled": settings["quality"]["shuffled"]}
        settings["epochs"] = settings["judge_epochs"]
        with tempfile.TemporaryDirectory(prefix="clip-") as folder:
            result = stssl_cells.run_stage(tree_of(settings, cell.draw), Path(folder) / "run")[1]
            assert result.model_directory is not None
            shutil.copytree(result.model_directory, home, dirs_exist_ok=True)
    return home


def measure(model: DualEncoder, tree: Mapping[str, Any], part: str) -> dict[str, float]:
    """Measure how a model finds pairs, and what a linear classifier reads from its images.

    Args:
        model: The model, on the CPU.
        tree: Its configuration.
        part: ``test`` or ``val``.

    Returns:
        Name to number; shares, kilometres.
    """
    given = {key: value for key, value in tree["data"].items() if key != "quality"}
    name = given.pop("name")
    if name != PART:
        given |= {"val_fraction": SPLIT["val_fraction"]}
    data = load_dataset(name, part, **given)
    found: dict[str, float] = {}
    if measured_sides(model, data):
        for pair, numbers in evaluate_retrieval(model, data, records=COMPARED).items():
            found |= {f"{NAMES[pair]}{key}": value for key, value in numbers.to_dict().items()}
    if model.image_classifier is not None:
        found["supervised"] = stssl_cells.right(lambda x, lonlat: model.image_logits(x), data)
    given.pop("captions", None)
    learn, choose = (load_dataset(name, one, **given) for one in ("train", "val"))
    return found | {"probe": probe(model, learn, choose, data)}


def probe(
    model: DualEncoder, learn: RecordDataset, choose: RecordDataset, data: RecordDataset
) -> float:
    """Fit a linear classifier to what the image encoder says, all labels given.

    Args:
        model: The model.
        learn: Records to fit it to, as they were before anything was done to their pairs.
        choose: Records that the penalty is chosen by.
        data: Records that it is measured on.

    Returns:
        Top-1 accuracy.
    """
    told = [(features(model, one), one.label.numpy()) for one in (learn, choose, data)]
    scale = StandardScaler().fit(told[0][0])
    (x, y), *others = [(scale.transform(rows), label) for rows, label in told]
    reached = []
    for penalty in PENALTIES:
        fitted = LogisticRegression(C=penalty, max_iter=500).fit(x, y)
        reached.append([float((fitted.predict(rows) == label).mean()) for rows, label in others])
    return max(reached)[1]


def features(model: DualEncoder, data: RecordDataset) -> Any:
    """Describe images by the encoder, before any head.

    Where a model compares tokens alone, by their mean: its whole description has learned nothing.
    """
    assert model.image is not None
    found = []
    with evaluating(model):
        for rows in torch.arange(len(data)).split(CHUNK):
            image: Tensor = data.__getitems__(rows.tolist())["image"]
            if by_tokens(model.heads):
                tokens = model.tower("image", image, tokens=True).tokens
                assert tokens is not None
                found.append(tokens.mean(dim=1))
            else:
                found.append(see(model.image, image))
    return torch.cat(found).double().numpy()


def start_memory() -> float | None:
    """Give back what is free, forget the highest mark and tell the memory in use, MiB."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return None
    return _status("VmRSS")


def peak_memory() -> float | None:
    """Tell the most memory since ``start_memory``, MiB; None where the system does not tell."""
    return _status("VmHWM")


def _status(name: str) -> float | None:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")]
    return found[0] if found else None
