"""Model directories that anybody may have made: each is listed with its reason, and costs little.

The listing and the loading of each run in a process of their own, with a limit of memory.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from csp_core.errors import CheckpointError, CspError
from csp_core.files import load_tensors, save_tensors
from csp_core.raster import read_credit
from csp_core.store import catalog, list_models, load_model, model_size, read_card

BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
)
CLASSES = "class,scientific_name,common_name,count\n"


def edit(name, /, **values):
    def change(folder):
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def edit_network(**values):
    def change(folder):
        config = json.loads((folder / "config.json").read_text())
        config["location"]["network"] |= values
        (folder / "config.json").write_text(json.dumps(config))

    return change


def text(name, content):
    return lambda folder: (folder / name).write_text(content, encoding="utf-8")


def link(name, target):
    def change(folder):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return change


def pipe(name):
    def change(folder):
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return change


def count_of(value):
    def change(folder):
        lines = (folder / "classes.csv").read_text().splitlines()
        lines[1] = lines[1].rpartition(",")[0] + f",{value}"
        (folder / "classes.csv").write_text("\n".join(lines))

    return change


def sparse(name, size):
    def change(folder):
        with (folder / name).open("r+b" if (folder / name).exists() else "wb") as stream:
            stream.truncate(size)

    return change


def long_header(folder):
    with (folder / "model.safetensors").open("wb") as stream:
        stream.write(struct.pack("<Q", 90 << 20))
        stream.truncate(91 << 20)


def many_files(folder):
    for number in range(1001):
        (folder / f"f{number}").touch()


# What is done to a good model, and what its line in the list says then.
DAMAGES = {
    "classes_1e999": (
        lambda f: (f / "config.json").write_text(
            json.dumps(json.loads((f / "config.json").read_text()) | {"num_classes": 77}).replace(
                ": 77", ": 1e999"
            )
        ),
        "num_classes",
    ),
    "classes_negative": (edit("config.json", num_classes=-1), "num_classes"),
    "classes_many": (edit("config.json", num_classes=10**7), "10,000,000 classes"),
    "classes_other": (edit("config.json", num_classes=99), "99 classes"),
    "classes_bigint": (edit("config.json", num_classes=10**400), "more than 64 bits"),
    "deep": (text("config.json", '{"format":' + "[" * 10**5 + "]" * 10**5 + "}"), "nested deeper"),
    "deep_a_little": (
        text("config.json", '{"format":' + "[" * 90 + "]" * 90 + "}"),
        "nested deeper than 64",
    ),
    "surrogate": (edit("config.json", name="\ud800"), "surrogate"),
    "config_large": (sparse("config.json", 1 << 40), "larger than"),
    "config_pipe": (pipe("config.json"), "no ordinary file"),
    "config_link": (link("config.json", "/etc/hostname"), "leaves its directory"),
    "config_loop": (link("config.json", "config.json"), "config.json"),
    "config_list": (text("config.json", "[]"), "an object is needed"),
    "kind": (edit("config.json", prior_kind="x" * 10**5), "prior_kind"),
    "provenance": (edit("config.json", provenance=[1]), "provenance"),
    "text_text": (edit("config.json", text="x"), "text in config.json is a str"),
    "text_deep": (edit("config.json", text={"name": "transformer", "layers": 10**7}), "layers"),
    "text_wide": (edit("config.json", text={"name": "transformer", "width": 10**7}), "width"),
    "text_words": (
        edit("config.json", text={"name": "transformer", "vocabulary": 10**7}),
        "vocabulary",
    ),
    "text_none": (edit("config.json", text={"name": "transformer"}), "tokenizer.json"),
    "location_text": (edit("config.json", location="x"), "location"),
    "hidden_deep": (edit_network(num_hidden=10**7), "num_hidden"),
    "hidden_wide": (edit_network(hidden_dim=10**7), "hidden_dim"),
    "dim": (edit("config.json", dim=10**9), "dim"),
    "heads": (edit("config.json", heads=[1]), "no heads"),
    "temperatures": (edit("config.json", heads={"temperatures": [1.0] * 10**5}), "temperatures"),
    "card_bomb": (text("README.md", f"---\n{BOMB}title: *a8\n---\nhello"), "values"),
    "card_deep": (text("README.md", f"---\ntitle: {'[' * 5000}\n---\nhello"), "nested deeper"),
    "card_tag": (text("README.md", "---\ntitle: !!timestamp x\n---\nhello"), "not YAML"),
    "card_large": (sparse("README.md", 1 << 40), "larger than"),
    "card_link": (link("README.md", "/etc/hostname"), "leaves its directory"),
    "licence_link": (link("LICENSE", "/etc/hostname"), "leaves its directory"),
    "csv_device": (link("classes.csv", "/dev/zero"), "leaves its directory"),
    "csv_pipe": (pipe("classes.csv"), "no ordinary file"),
    "csv_folder": (
        lambda f: ((f / "classes.csv").unlink(), (f / "classes.csv").mkdir()),
        "cannot be read",
    ),
    "csv_count": (count_of(10**300), "count"),
    "csv_count_beyond_floats": (count_of(10**400), "a count of 1000"),
    "csv_digits": (count_of("9" * 10**5), "classes.csv"),
    "csv_rows": (text("classes.csv", CLASSES + "0,a,b,1\n" * 10**6), "more than"),
    "csv_field": (text("classes.csv", CLASSES + "0," + "a" * 10**6 + ",b,1\n"), "classes.csv"),
    "calibration": (text("calibration.json", '{"temperature": 1' + "0" * 400 + "}"), "64 bits"),
    "calibration_small": (edit("calibration.json", temperature=1e-320), "temperature"),
    "calibration_list": (edit("calibration.json", temperature=[1]), "temperature"),
    "tensors_header": (long_header, "header"),
    "tensors_pipe": (pipe("model.safetensors"), "no ordinary file"),
    "many_files": (many_files, "1,000 files"),
}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory, model_dir):
    """One of each damage among good models."""
    folder = tmp_path_factory.mktemp("shelf")
    for name in ("a_good", "z_good"):
        shutil.copytree(model_dir, folder / name)
    for name, (damage, _) in DAMAGES.items():
        damage(Path(shutil.copytree(model_dir, folder / name)))
    shutil.copytree(model_dir, os.fsdecode(os.fsencode(folder) + b"/no_utf8_\xff"))
    return folder


@pytest.fixture
def listed(shelf, monkeypatch, tmp_path):
    monkeypatch.setenv("CSP_MODELS", str(shelf))
    monkeypatch.setattr(catalog, "ASSETS", tmp_path)
    return {info.name: info for info in list_models()}


def test_each_is_listed_with_its_reason_and_the_others_stay(listed, shelf):
    assert len(listed) == len(list(shelf.iterdir()))
    assert [name for name, info in listed.items() if not info.problem] == ["a_good", "z_good"]
    for name, (_, reason) in DAMAGES.items():
        problem = listed[name].problem
        assert reason in problem and len(problem) < 1200 and "\n" not in problem, (name, problem)
    assert "UTF-8" in listed["no_utf8_\\udcff"].problem


@pytest.mark.parametrize("name", DAMAGES)
def test_each_is_refused_in_one_sentence_where_it_is_loaded(shelf, name):
    if name.startswith(("card", "config_loop")):
        with pytest.raises(CspError):
            read_card(shelf / name)
        read_credit(shelf / name) if name.startswith("card") else None
        return
    with pytest.raises(CspError) as caught:
        load_model(shelf / name)
    assert len(str(caught.value)) < 1500 and "\n" not in str(caught.value)


def test_nobody_waits_for_a_pipe(shelf):
    thread = threading.Thread(target=model_size, args=(shelf / "csv_pipe",), daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()


COSTS = """
import resource, sys, time
from pathlib import Path
import csp_core.store.catalog as catalog
import csp_core.data.records
catalog.ASSETS = Path("none")
worst, before = 0.0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for folder in sorted(Path(sys.argv[1]).iterdir()):
    started = time.process_time()
    catalog._describe(folder.name, folder)
    worst = max(worst, time.process_time() - started)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(worst, (after - before) // 1024)
"""


def test_time_and_memory_of_the_list(shelf):
    done = subprocess.run(
        [sys.executable, "-c", COSTS, str(shelf)], capture_output=True, text=True, check=True
    )
    seconds, megabytes = map(float, done.stdout.split())
    assert seconds < 2 and megabytes < 200, done.stdout


@pytest.mark.parametrize("change", [{"num_hidden": 3}, {"hidden_dim": 4096, "num_hidden": 5}])
def test_a_model_larger_than_its_file_is_never_built(model_dir, tmp_path, change):
    folder = Path(shutil.copytree(model_dir, tmp_path / "m"))
    edit_network(**change)(folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match=r"model\.safetensors holds"):
        load_model(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


@pytest.mark.parametrize(
    "options", [{"weights": "/etc/hostname"}, {"covariates": {"source": "/dev/zero"}}]
)
def test_a_model_names_no_files_of_this_machine(model_dir, tmp_path, options):
    folder = Path(shutil.copytree(model_dir, tmp_path / "m"))
    config = json.loads((folder / "config.json").read_text())
    if "weights" in options:
        config["image"] = {"name": "small_convnet", "dim": 8, **options}
    else:
        config["location"] |= options
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="further files"):
        load_model(folder)


def test_tensors_that_belong_to_no_part_are_named_before_they_are_read(model_dir, tmp_path):
    folder = Path(shutil.copytree(model_dir, tmp_path / "m"))
    tensors = load_tensors(folder / "model.safetensors")
    save_tensors(
        folder / "model.safetensors", tensors | {"more": tensors["classifier.bias"].clone()}
    )
    with pytest.raises(CheckpointError, match=r"more: config\.json describes none"):
        load_model(folder)


def test_a_link_within_the_directory_and_to_it_is_followed(model_dir, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(model_dir, tmp_path / "elsewhere" / "m"))
    (folder / "README.md").rename(folder / "card.md")
    (folder / "README.md").symlink_to("card.md")
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "linked").symlink_to(folder)
    monkeypatch.setenv("CSP_MODELS", str(tmp_path / "shelf"))
    monkeypatch.setattr(catalog, "ASSETS", tmp_path)
    assert [(info.name, info.problem) for info in list_models()] == [("linked", None)]
    assert load_model("linked").classes


def test_the_commands_go_on_beside_bad_folders(shelf):
    limits = {"CSP_MODELS": str(shelf), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "csp_core", "models", "--json"],
        capture_output=True,
        text=True,
        env=os.environ | limits,
        timeout=120,
    )
    assert done.returncode == 0 and not done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert (
        set(DAMAGES) < set(rows) and not rows["a_good"]["problem"] and not rows["birds"]["problem"]
    )
