"""Names that differ only in case, spaces or the form of a letter are one name, everywhere."""

from __future__ import annotations

import pytest
import torch

from csp_core import evaluate, heatmap, load_model
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
