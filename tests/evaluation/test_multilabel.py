"""The metrics of label sets: by hand, against other libraries, and as a run calibrates them."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score
from torchmetrics.classification import MultilabelAveragePrecision, MultilabelF1Score
from torchmetrics.functional.classification import binary_calibration_error

from csp_core import rerank
from csp_core.calibrate import sort_classes
from csp_core.data.records import ClassTable, RecordDataset
from csp_core.errors import BadRecordError, ConfigError
from csp_core.evaluation import (
    MEASURES,
    cautions_of,
    compute_set_metrics,
    evaluate,
    evaluate_answers,
    find_measure,
    matched_sets,
)
from csp_core.evaluation.set_numbers import average_precision
from csp_core.image import make_image_encoder
from csp_core.location import make_location_encoder
from csp_core.model import BOTH, IMAGE, PLACE, DualEncoder, Heads, Support, make_baseline
from tests import comparing, dense, small

SETS = small.label_sets(small.pairs())
LABEL_SETS = MEASURES["label_sets"]


def drawn(n=500, k=6, levels=20, seed=0):
    draws = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 2, (n, k), generator=draws).to(torch.int8)
    probs = (0.3 * labels + 0.7 * torch.rand(n, k, generator=draws)).clamp(0, 1)
    return (probs * levels).round() / levels if levels else probs, labels


def model(location=True, image=True, classes=SETS.classes, seed=0):
    torch.manual_seed(seed)
    sides = [s for s, yes in (("image", image), ("location", location)) if yes]
    return DualEncoder(
        make_image_encoder("features", dim=12) if image else None,
        make_location_encoder("rff_sphere", 16, num_features=32) if location else None,
        dim=16,
        classes=classes,
        prior_kind="probability",
        heads=Heads(classifiers=tuple(sides)),
    ).eval()


def names(k):
    return [f"c{i}" for i in range(k)]


def test_average_precision_by_hand():
    # Ranks 1, and 2 to 3 shared: 1 · 1/2 + 2/3 · 1/2.
    scores = torch.tensor([[0.8], [0.5], [0.5], [0.2]])
    found = average_precision(sort_classes(scores, torch.tensor([[1], [0], [1], [0]])))
    assert found.item() == pytest.approx(5 / 6)
    all_equal = average_precision(
        sort_classes(torch.ones(4, 1), torch.tensor([[1], [0], [1], [0]]))
    )
    assert all_equal.item() == 0.5


@pytest.mark.parametrize("levels", [0, 3, 20])
def test_against_scikit_learn_and_torchmetrics(levels):
    probs, labels = drawn(levels=levels)
    found = compute_set_metrics(probs, labels, names(6), thresholds=[0.5] * 6)
    y, p = labels.numpy(), probs.numpy()
    for average in ("macro", "micro"):
        want = average_precision_score(y, p, average=average)
        assert getattr(found, f"{average}_ap") == pytest.approx(want, rel=1e-9)
        want = f1_score(y, p >= 0.5, average=average)
        assert getattr(found, f"{average}_f1") == pytest.approx(want, rel=1e-9)
        theirs = MultilabelAveragePrecision(num_labels=6, average=average)
        assert getattr(found, f"{average}_ap") == pytest.approx(
            float(theirs(probs, labels.long())), rel=1e-5
        )
        # That of torchmetrics takes probabilities above the threshold, ours from it on.
        theirs = MultilabelF1Score(num_labels=6, average=average, threshold=0.5 - 1e-6)
        assert getattr(found, f"{average}_f1") == pytest.approx(
            float(theirs(probs, labels.long())), rel=1e-5
        )
    want = average_precision_score(y, p, average=None)
    np.testing.assert_allclose([one.ap for one in found.classes], want, rtol=1e-9)
    likely = np.clip(p.astype(np.float64), 1e-7, 1 - 1e-7)
    want = -np.where(y == 1, np.log(likely), np.log(1 - likely)).mean()
    assert found.log_loss == pytest.approx(want)


def test_the_calibration_error_is_that_of_torchmetrics():
    probs, labels = drawn(levels=0)
    want = binary_calibration_error(probs.flatten(), labels.flatten().long(), n_bins=15)
    got = compute_set_metrics(probs, labels, names(6)).ece
    assert got == pytest.approx(float(want), abs=1e-6)


def test_what_is_unknown_counts_nowhere():
    probs, labels = drawn()
    labels[::3, 1], labels[1::4] = -1, -1
    found = compute_set_metrics(probs, labels, names(6))
    for k, one in enumerate(found.classes):
        known = (labels[:, k] >= 0).numpy()
        y, p = labels[known, k].numpy(), probs[known, k].numpy()
        assert one.n == (y == 1).sum()
        assert one.ap == pytest.approx(average_precision_score(y, p))
        assert one.f1 == pytest.approx(f1_score(y, p >= 0.5))
    known = (labels >= 0).numpy()
    want = average_precision_score(labels.numpy()[known], probs.numpy()[known])
    assert found.micro_ap == pytest.approx(want)
    # The same numbers at the unknown places change nothing.
    other = torch.where(labels >= 0, probs, torch.rand_like(probs))
    assert compute_set_metrics(other, labels, names(6)) == found


def test_a_class_in_no_set_is_left_out_of_the_means_and_counted():
    probs, labels = drawn()
    labels[:, 2] = 0
    found = compute_set_metrics(probs, labels, names(6))
    assert found.absent_classes == 1
    assert found.classes[2].ap is None and found.classes[2].f1 is None and found.classes[2].n == 0
    rest = [k for k in range(6) if k != 2]
    want = average_precision_score(labels[:, rest].numpy(), probs[:, rest].numpy())
    assert found.macro_ap == pytest.approx(want)
    assert found.macro_f1 == pytest.approx(np.mean([found.classes[k].f1 for k in rest]))
    with pytest.raises(BadRecordError, match=r"No record with a class is left.*\(3 more"):
        compute_set_metrics(probs, labels * 0, names(6), unmatched=3)


def test_thresholds_count_from_themselves_on():
    probs, labels = torch.tensor([[0.5], [0.25]]), torch.tensor([[1], [0]])
    assert compute_set_metrics(probs, labels, ["a"], thresholds=[0.5]).micro_f1 == 1
    assert compute_set_metrics(probs, labels, ["a"], thresholds=[0.51]).micro_f1 == 0
    assert compute_set_metrics(probs, labels, ["a"], thresholds=[0.2]).micro_f1 == 2 / 3


def test_the_measure_of_label_sets_comes_before_those_of_labels():
    assert list(MEASURES)[-3:] == ["label_sets", "images", "places"]
    assert find_measure(model(), SETS) is LABEL_SETS
    assert find_measure(make_baseline("class_frequency", SETS), SETS) is LABEL_SETS
    assert find_measure(model(location=False), replace(SETS, image=None)) is None
    assert LABEL_SETS.monitor(model()) in LABEL_SETS.rising
    assert set(LABEL_SETS.columns) <= set(compute_set_metrics(*drawn(), names(6)).to_dict())


@pytest.mark.parametrize(("location", "image"), [(True, True), (True, False), (False, True)])
def test_it_is_calibrated_measured_and_watched(location, image):
    made = model(location, image)
    # A model that knows nothing yet, but boldly: temperatures have something to do.
    for part in (made.classifier, made.image_classifier):
        if part is not None:
            torch.nn.init.normal_(part.weight, std=2.0)
    fitted = LABEL_SETS.calibrate(made, SETS)
    expected = [
        n for n, yes in ((IMAGE, image), (PLACE, location), (BOTH, location and image)) if yes
    ]
    assert list(fitted.metrics) == expected
    calibration = made.calibration
    assert [len(calibration.thresholds_of(n)) for n in expected] == [6] * len(expected)
    again = evaluate_answers(made, SETS)
    assert again == fitted.metrics == LABEL_SETS.check(made, SETS).metrics
    main = evaluate(made, SETS)
    assert main == again[expected[-1]] and main.n == 588 and main.unmatched == 12
    assert all(0 <= value <= 1 for value in (main.macro_ap, main.micro_f1, main.ece))
    watched = LABEL_SETS.watch(made, SETS)
    assert watched["macro_ap"] == main.macro_ap
    assert ("image_macro_ap" in watched) == (location and image)
    assert all(isinstance(value, int | float) for value in watched.values())
    # Fitted on these very records, temperatures make the log-loss no higher.
    cold = replace(calibration, class_temperatures=(), image_class_temperatures=(),
                   temperature=1.0, image_temperature=1.0)  # fmt: skip
    made.calibration = cold
    for name in expected[:2]:
        assert evaluate_answers(made, SETS)[name].log_loss >= again[name].log_loss - 1e-6


def test_places_that_are_unknown_leave_the_image_alone():
    made = model()
    some = SETS.lonlat.clone()
    some[::2] = math.nan
    scattered = replace(SETS, lonlat=some)
    LABEL_SETS.calibrate(made, scattered)
    found = evaluate_answers(made, scattered)
    assert found[PLACE].n < found[BOTH].n == found[IMAGE].n == 588
    assert found[PLACE].unmatched == 600 - found[PLACE].n
    nowhere = replace(SETS, lonlat=torch.full_like(some, math.nan))
    LABEL_SETS.calibrate(made, nowhere)
    both = evaluate_answers(made, nowhere)
    assert set(both) == {IMAGE, BOTH} and both[BOTH].macro_ap == pytest.approx(both[IMAGE].macro_ap)
    with pytest.raises(BadRecordError, match="No record with a class is left"):
        evaluate(model(image=False), replace(nowhere, image=None))


def test_without_the_prior_the_place_says_nothing():
    made = model()
    assert set(evaluate_answers(made, SETS, prior=False)) == {IMAGE}
    usual = evaluate_answers(model(image=False), SETS, prior=False)[PLACE]
    base = evaluate_answers(make_baseline("class_frequency", SETS), SETS)[PLACE]
    assert usual.macro_ap == pytest.approx(base.macro_ap)


def test_baselines_know_more_than_the_frequency():
    base, near = (
        evaluate(make_baseline(name, SETS), SETS) for name in ("class_frequency", "nearest_records")
    )
    assert near.macro_ap > base.macro_ap + 0.2 and near.log_loss < base.log_loss


def test_classes_are_matched_by_name():
    other = ClassTable(("Nowhere", *reversed(SETS.classes.names[:4])))
    columns = [torch.zeros(600, 1, dtype=torch.int8), SETS.labels[:, :4].flip(1)]
    moved = replace(SETS, classes=other, labels=torch.cat(columns, dim=1))
    assert torch.equal(matched_sets(model(), moved)[:, :4], SETS.labels[:, :4])
    assert (matched_sets(model(), moved)[:, 4:] == -1).all()
    assert evaluate(model(), moved).absent_classes == 2


def test_one_kind_is_not_measured_on_the_other():
    one = small.pairs()
    with pytest.raises(ConfigError, match=r"answers with label sets.*has one class a record"):
        evaluate(model(), one)
    shares = make_baseline("class_frequency", one)
    with pytest.raises(ConfigError, match=r"answers with one class a record.*has label sets"):
        evaluate(shares, SETS)
    with pytest.raises(ConfigError, match="set_posterior"):
        rerank([[0.5, 0.5] + [0.0] * 4], [[0.0, 0.0]], model=model())


def test_a_model_of_both_sides_must_have_counted_its_records():
    made = model(classes=replace(SETS.classes, records=None))
    with pytest.raises(ConfigError, match=r"ClassTable\.records"):
        evaluate(made, SETS)


def test_cautions():
    said = cautions_of(model(), replace(SETS, labels=torch.full_like(SETS.labels, -1)))
    assert said == []
    few = RecordDataset(SETS.lonlat[1:5], SETS.label[1:5], SETS.classes, labels=SETS.labels[1:5])
    assert "Only 4 records were measured" in cautions_of(model(), few)[0]
    assert "6 of 6 classes" in cautions_of(model(), few)[1]
    unlearned = replace(SETS.classes, counts=(0, *SETS.classes.counts[1:]))
    said = cautions_of(model(classes=unlearned), SETS)
    assert len(said) == 1 and "in no label set of the training (Aba alta)" in said[0]


def test_measures_of_one_contract():
    pixels = small.pairs()
    shares = DualEncoder(
        make_image_encoder("features", dim=12),
        make_location_encoder("rff_sphere", 16, num_features=32),
        dim=16,
        classes=pixels.classes,
        heads=Heads(classifiers=("image", "location")),
    ).eval()
    compares, world = comparing.build().eval(), comparing.world(60)
    compares.support = Support.from_places(world.lonlat, 0)
    served = {
        "retrieval": (compares, world),
        "pixels": (dense.model(), dense.pictures()),
        "label_sets": (model(), SETS),
        "images": (shares, pixels),
        "places": (shares, small.dataset()),
    }
    assert set(served) == set(MEASURES)
    for name, measure in MEASURES.items():
        made, records = served[name]
        assert find_measure(made, records) is measure
        watched = measure.watch(made, records)
        monitor = measure.monitor(made)
        assert monitor == "loss" or math.isfinite(watched[monitor])
        found = measure.calibrate(made, records).metrics
        assert found.keys() == measure.measure(made, records).keys()
        assert any(answer in found for answer in measure.headline)
        told = [set(numbers.to_dict()) for numbers in found.values()]
        # Kilometres are between places alone, so not every pair of sides has all columns.
        for names in [set().union(*told)] if name == "retrieval" else told:
            assert set(measure.columns) <= names, name
            # Its epochs are told by the objective.
            assert name == "retrieval" or measure.rising <= names


def test_many_classes_are_measured_without_a_loop_over_records():
    # Every step is a call on whole tensors: as many calls of Python for ten records as for many.
    def calls(n):
        count = 0

        def trace(*_):
            nonlocal count
            count += 1

        probs, labels = drawn(n, k=43)
        labels[0] = 1
        sys.setprofile(trace)
        try:
            compute_set_metrics(probs, labels, names(43))
        finally:
            sys.setprofile(None)
        return count

    calls(10)
    assert calls(5000) == calls(10)
