"""Names that differ only in case, spaces or the form of a letter are one name, everywhere."""

from __future__ import annotations

import pytest
import torch

from csp_core import evaluate, heatmap, load_model, save_model
from csp_core.data.names import clashes, identity
from csp_core.data.records import ClassTable, RecordDataset
from csp_core.errors import AmbiguousNameError, BadRecordError, UnknownNameError
from csp_core.training import train
from tests import small
from tests.toy import save_toy_model

TWINS = ClassTable(("Aba alta", "aba alta", "Zus zus", "Zus  Zús"), ("", "", "crow", "Crow"))


@pytest.mark.parametrize(
    "other",
    [
        "turdus merula",
        " Turdus  merula",
        "Turdus\u00a0merula",
        "TURDUS\tMERULA",
        "Turdus\u2009merula",
    ],
)
def test_ways_to_write_a_name(other):
    assert identity(other) == identity("Turdus merula")


def test_forms_of_letters():
    assert identity("Ángel") == identity("A\u0301ngel") and identity("ﬁcus") == identity("ficus")
    assert identity("STRASSE") == identity("straße")
    assert identity("Aba alta") != identity("Aba altb") and identity("a b") != identity("ab")


def test_the_name_as_it_is_written_is_that_class():
    assert [TWINS.label(name) for name in TWINS.names] == [0, 1, 2, 3]
    assert TWINS.match(TWINS.names).tolist() == [0, 1, 2, 3]
    assert TWINS.label("ZUS  ZUS") == 2  # the accent tells them apart


def test_a_name_of_two_classes_is_refused_with_both():
    with pytest.raises(AmbiguousNameError, match="'Aba alta', 'aba alta'"):
        TWINS.label("ABA ALTA")
    with pytest.raises(AmbiguousNameError, match="'Zus zus', 'Zus  Zús'"):
        TWINS.label("crow")
    assert TWINS.match(["ABA ALTA", "zus zus", "nobody"]).tolist() == [-1, 2, -1]
    with pytest.raises(UnknownNameError, match="nobody"):
        TWINS.label("nobody")


def test_no_model_is_made_of_classes_that_are_one(tmp_path):
    assert clashes(TWINS.names) == [("Aba alta", "aba alta")]
    with pytest.raises(BadRecordError, match="'Aba alta' = 'aba alta'"):
        TWINS.check_distinct()
    for word in ("good", "Good "):
        (tmp_path / "photos" / word).mkdir(parents=True)
    from tests.photos import encode, picture

    for folder in (tmp_path / "photos").iterdir():
        for number in range(6):
            (folder / f"{number}.png").write_bytes(encode(picture(), "PNG"))
    tree = {
        "data": {
            "name": "photos",
            "root": str(tmp_path / "photos"),
            "size": 16,
            "without_place": "train",
            "split_method": "random",
        },
        "model": {"location": None, "image": "small_convnet", "dim": 4},
        "objective": {"name": "image_softmax", "sides": ["image"], "augmentation": None},
        "training": {"epochs": 1, "device": "cpu"},
    }
    with pytest.raises(BadRecordError, match="differ only in case"):
        train(small.parse_config(tree), run_dir=tmp_path / "run")


def test_a_model_that_has_such_is_loaded_with_a_warning(tmp_path, caplog):
    folder = save_toy_model(tmp_path)
    lines = (folder / "classes.csv").read_text(encoding="utf-8").splitlines()
    first = lines[1].split(",")
    lines[2] = ",".join([lines[2].split(",")[0], first[1].upper(), *lines[2].split(",")[2:]])
    (folder / "classes.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    model = load_model(folder)
    assert "differ only in case" in caplog.text
    one, other = (heatmap(model, model.classes.names[k], step=20) for k in (0, 1))
    assert not torch.equal(one.values, other.values)
    with pytest.raises(AmbiguousNameError):
        heatmap(model, first[1].swapcase(), step=20)


def test_without_a_prior_no_listed_class_is_impossible():
    classes = ClassTable(("a", "b", "c"), counts=(6, 2, 0))
    torch.testing.assert_close(classes.usual(), torch.tensor([6, 2, 0.5]) / 8.5)
    assert ClassTable(("a", "b")).usual().tolist() == [0.5, 0.5]


def test_the_prior_left_out_equals_counting(tmp_path):
    from csp_core.model import make_baseline

    lonlat = torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    classes = ClassTable(("a", "b", "c"), counts=(2, 1, 0))
    train_set = RecordDataset(lonlat, torch.tensor([0, 0, 1]), classes)
    held_out = RecordDataset(lonlat, torch.tensor([0, 1, 2]), classes)
    baseline = make_baseline("class_frequency", train_set)
    assert evaluate(baseline, held_out) == evaluate(baseline, held_out, prior=False)


def twins_of(folder):
    """Save a model whose first two classes differ in case alone; the name of the first."""
    path = save_toy_model(folder, train_steps=1)
    lines = (path / "classes.csv").read_text(encoding="utf-8").splitlines()
    name = lines[1].split(",")[1]
    lines[2] = ",".join([lines[2].split(",")[0], name.upper(), *lines[2].split(",")[2:]])
    (path / "classes.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path, name


def test_commands_refuse_an_ambiguous_name_with_both(tmp_path, csp):
    path, name = twins_of(tmp_path)
    out = tmp_path / "map.tif"
    for asked in (name.lower(), f" {name.swapcase()} ", name.replace(" ", "\u00a0").lower()):
        code, _, errors = csp("heatmap", path, asked, out, "--step", 20)
        assert code == 1 and repr(name) in errors and repr(name.upper()) in errors
        assert not out.exists()
    for asked in (name, name.upper()):
        code, _, errors = csp("heatmap", path, asked, tmp_path / f"{asked}.tif", "--step", 20)
        assert code == 0 and (tmp_path / f"{asked}.tif").is_file(), errors
    files = [(tmp_path / f"{asked}.tif").read_bytes() for asked in (name, name.upper())]
    assert files[0] != files[1]


def test_names_given_to_an_imported_model_that_are_one_are_refused(tmp_path, csp):
    from tests.importers.test_importers import torchspatial_file

    path = torchspatial_file(tmp_path / "a.pth.tar", "xyz", 3)
    names = ["Aba alta", "aba ALTA", *(f"c{i}" for i in range(60))]
    rows = [f"{label},{name}" for label, name in enumerate(names)]
    (tmp_path / "names.csv").write_text("\n".join(["class,scientific_name", *rows]))
    table = ("--classes", tmp_path / "names.csv")
    code, _, errors = csp("import-model", path, tmp_path / "out", *table)
    assert code == 1 and "'Aba alta' = 'aba ALTA'" in errors
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("other", ["ABA ALTA", "Aba\u00a0alta", " Aba alta"])
def test_no_model_of_classes_that_are_one_is_saved(tmp_path, other):
    model = load_model(save_toy_model(tmp_path, train_steps=1))
    names = list(model.classes.names)
    names[:2] = ["Aba alta", other]
    model.classes = ClassTable(tuple(names))
    with pytest.raises(BadRecordError, match="'Aba alta' = ") as refused:
        save_model(model, tmp_path / "again")
    assert repr(other) in str(refused.value)
    assert not (tmp_path / "again").exists()
