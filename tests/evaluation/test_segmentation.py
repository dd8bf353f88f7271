"""Measuring and calibrating maps of classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import (
    multiclass_calibration_error,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_jaccard_index,
)

from csp_core.data.records import ClassTable
from csp_core.errors import BadRecordError, ConfigError
from csp_core.evaluation import (
    MEASURES,
    PIXELS,
    confusions,
    evaluate,
    evaluate_answers,
    find_measure,
    iou_of,
    mean_iou,
    pixel_cautions,
    plain,
)
from csp_core.evaluation import segmentation as module
from csp_core.evaluation.segmentation import fit_pixels
from csp_core.evaluation.segmentation_numbers import summarise
from csp_core.model import make_baseline
from tests import small
from tests.dense import NAMES, model, pictures


def learn(made, data, steps=30):
    optimizer = torch.optim.Adam(made.parameters(), lr=0.02)
    batch = data.__getitems__(range(16))
    for _ in range(steps):
        optimizer.zero_grad()
        logits = made.pixel_logits(batch["image"])
        torch.nn.functional.cross_entropy(logits, batch["mask"], ignore_index=-1).backward()
        optimizer.step()


def flat(made, data):
    rows = data.__getitems__(range(len(data)))
    logits = made.pixel_logits(rows["image"]).detach()
    known = rows["mask"] >= 0
    return logits.movedim(1, -1)[known], rows["mask"][known], logits, rows["mask"]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("absent", [(), (3,), (0, 4)])
def test_mean_iou_is_that_of_torchmetrics(seed, absent):
    draws = torch.Generator().manual_seed(seed)
    truth, said = torch.randint(0, 6, (2, 4, 9, 9), generator=draws)
    for label in absent:  # in the truth, and in what is said
        truth[truth == label] = 5
        said[said == label] = 5
    truth[torch.rand(truth.shape, generator=draws) < 0.3] = -1
    kept = truth >= 0
    counts = torch.bincount(truth[kept] * 6 + said[kept], minlength=36).view(6, 6)
    options = {"num_classes": 6, "ignore_index": -1}
    want = multiclass_jaccard_index(said, truth, average="macro", **options)
    assert mean_iou(counts).item() == pytest.approx(want.item(), abs=1e-6)
    each = multiclass_jaccard_index(said, truth, average="none", **options)
    mine = iou_of(counts)
    assert mine.isnan().nonzero().flatten().tolist() == list(absent)
    torch.testing.assert_close(mine.nan_to_num().float(), each)
    found = summarise(counts, tuple("abcdef"), log_loss=0.0, ece=0.0, records=4)
    f1 = multiclass_f1_score(said, truth, average="macro", **options)
    assert found.macro_f1 == pytest.approx(f1.item(), abs=1e-6)


def test_numbers_by_hand():
    counts = torch.tensor([[6, 2, 0], [1, 3, 0], [0, 0, 0]])
    found = summarise(
        counts, ("bare", "wood", "sea"), log_loss=0.5, ece=0.1, records=2, background="bare"
    )
    assert found.miou == pytest.approx((6 / 9 + 3 / 6) / 2)
    assert found.miou_without_background == pytest.approx(3 / 6)
    assert found.overall_accuracy == pytest.approx(9 / 12)
    assert found.macro_f1 == pytest.approx((12 / 15 + 6 / 9) / 2)
    assert (found.n, found.records, found.background) == (12, 2, "bare")
    bare, wood, sea = found.classes
    assert (bare.n, bare.precision, bare.recall) == (8, 6 / 7, 6 / 8)
    assert (wood.n, wood.iou) == (4, 0.5)
    assert (sea.n, sea.iou, sea.precision, sea.recall) == (0, None, None, None)
    written = found.to_dict()
    assert written["confusion"] == counts.tolist() and written["classes"][1]["name"] == "wood"
    assert set(found.numbers()) == {
        *("miou", "miou_without_background", "overall_accuracy", "macro_f1"),
        *("log_loss", "ece", "n", "records", "unmatched"),
    }
    other = summarise(counts, ("a", "b", "c"), log_loss=0.5, ece=0.1, records=2, background="bare")
    assert other.miou_without_background is None and other.background == ""
    assert "miou_without_background" not in other.numbers()
    with pytest.raises(BadRecordError, match="No pixel is left to evaluate: of 3 pictures"):
        summarise(0 * counts, ("a", "b", "c"), log_loss=0, ece=0, records=0, unmatched=3)


def test_a_model_is_measured_on_every_known_pixel_in_parts_of_any_size(monkeypatch):
    made, data = model().train(), pictures()
    made.calibration = replace(made.calibration, pixel_temperature=1.5)
    logits, label, whole, masks = flat(made, data)
    share = (logits / 1.5).softmax(dim=1)
    monkeypatch.setattr(module, "PIXELS_AT_ONCE", 5 * 256)
    found = evaluate(made, data)
    assert made.training
    want = torch.nn.functional.cross_entropy(logits / 1.5, label)
    assert found.log_loss == pytest.approx(want.item(), rel=1e-5)
    ece = multiclass_calibration_error(share, label, num_classes=4, n_bins=15)
    assert found.ece == pytest.approx(ece.item(), abs=1e-5)
    counts = multiclass_confusion_matrix(whole.argmax(1), masks, num_classes=4, ignore_index=-1)
    assert found.confusion == tuple(map(tuple, counts.tolist()))
    assert found.overall_accuracy == pytest.approx((share.argmax(1) == label).double().mean())
    assert (found.n, found.records, found.background) == (len(label), 24, "ground")
    assert found.miou_without_background == pytest.approx(
        float(mean_iou(torch.tensor(found.confusion), without=0))
    )
    each = confusions(made, data)
    assert each.shape == (24, 4, 4) and torch.equal(each.sum(dim=0), counts)
    one = multiclass_confusion_matrix(whole[7].argmax(0), masks[7], num_classes=4, ignore_index=-1)
    assert torch.equal(each[7], one)


def test_classes_are_matched_by_name_and_pixels_without_data_do_not_count():
    data = pictures(8)
    made = model(("roof", "ground", "water"))
    valid = torch.ones(data.masks.shape, dtype=torch.bool)
    valid[:, :, :4] = False
    found = evaluate(made, replace(data, valid=valid))
    known = data.masks.masked_fill(~valid, -1)
    counts = [int((known == NAMES.index(name)).sum()) for name in made.classes.names]
    assert [one.n for one in found.classes] == counts and found.n == sum(counts)
    masks = data.masks.clone()
    masks[:3] = -1
    masks[3] = 2  # wood, which the model does not know
    found = evaluate(made, replace(data, masks=masks))
    assert (found.records, found.unmatched) == (4, 4)
    with pytest.raises(BadRecordError, match="No pixel is left"):
        evaluate(made, replace(data, masks=torch.full_like(masks, -1)))


def test_one_temperature_lowers_the_log_loss_and_changes_no_class(monkeypatch):
    made, data = model(), pictures(70)
    learn(made, data)
    made.pixel_classifier.weight.data *= 3  # surer than it is right
    before = evaluate(made, data)
    fit_pixels(made, data)
    first = made.calibration.pixel_temperature
    after = evaluate(made, data)
    assert after.log_loss < before.log_loss and after.confusion == before.confusion
    logits, label, _, _ = flat(made, data)
    losses = [
        torch.nn.functional.cross_entropy(logits / temperature, label).item()
        for temperature in np.linspace(0.2, 5, 200)
    ]
    assert after.log_loss <= min(losses) + 1e-4
    # Of fewer pixels, it is much the same, and the same each time.
    monkeypatch.setattr(module, "FITTED_PIXELS", 4000)
    found = []
    for seed in (0, 0, 1):
        fit_pixels(made, data, most=30, seed=seed)
        found.append(made.calibration.pixel_temperature)
    assert found[0] == found[1] != found[2]
    assert found[0] == pytest.approx(first, rel=0.1)


def test_the_measure_of_pixels_is_that_of_models_and_records_of_pixels():
    made, data = model(), pictures()
    measure = find_measure(made, data)
    # Only what answers with no class of its own is asked before.
    assert measure is MEASURES["pixels"] and list(MEASURES)[:2] == ["retrieval", "pixels"]
    assert measure.monitor(made) == "miou" and "miou" in measure.rising
    watched = measure.watch(made, data)
    assert set(measure.columns) <= set(watched)
    assert made.calibration.pixel_temperature != 1.0
    fitted = measure.calibrate(made, data)
    checked = measure.check(made, data)
    assert fitted.metrics == checked.metrics and set(fitted.metrics) == {PIXELS}
    assert plain(evaluate_answers(made, data)) == plain(fitted.metrics)
    assert find_measure(make_baseline("class_frequency", small.dataset()), data) is not measure


def test_kinds_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match=r"a class for each pixel, and .* one class a record"):
        evaluate(model(), small.pictures())
    whole = make_baseline("class_frequency", small.dataset())
    with pytest.raises(ConfigError, match=r"one class a record, and .* a class for each pixel"):
        evaluate(whole, pictures())
    with pytest.raises(ConfigError, match="objective segmentation"):
        confusions(model(), small.pictures())


def test_cautions():
    data = pictures(12)
    assert pixel_cautions(data.classes, data) == []
    few = replace(data, masks=data.masks.where(data.masks != 3, -1))
    table = ClassTable(NAMES, counts=(5, 0, 1, 1))
    few.masks[2:] = -1
    said = pixel_cautions(table, few)
    assert said[0] == "Only 2 pictures were measured: these numbers say little."
    assert "1 of 4 classes (roof) are in none of the measured masks" in said[1]
    assert "1 of 4 classes have no training pixel (water)" in said[2]
