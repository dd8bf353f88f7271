"""Models, baselines and support of label sets: each class by itself."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from csp_core import location_prior
from csp_core.data.records import ClassTable, RecordDataset, join_records, recounted
from csp_core.errors import BadRecordError, ConfigError
from csp_core.image import make_image_encoder
from csp_core.inference import describe_place
from csp_core.location import make_location_encoder
from csp_core.model import (
    BOTH,
    IMAGE,
    PLACE,
    Calibration,
    DualEncoder,
    Heads,
    Mixture,
    Support,
    class_frequency,
    make_baseline,
)
from csp_core.raster import heatmap
from csp_core.store import load_model, save_model
from tests import small

SETS = small.label_sets(small.pairs())
CITIES = torch.tensor([[36.8, -1.3], [16.4, 48.2], [178.0, -18.0]])


def model(classes=SETS.classes, **options):
    torch.manual_seed(0)
    return DualEncoder(
        make_image_encoder("features", dim=12),
        make_location_encoder("rff_sphere", 16, num_features=32),
        dim=16,
        classes=classes,
        prior_kind="probability",
        heads=Heads(classifiers=("image", "location")),
        **options,
    ).eval()


def fitted(number=6):
    return Calibration(
        temperature=1.5,
        class_temperatures=tuple(1 + k / 10 for k in range(number)),
        image_class_temperatures=tuple(2 + k / 10 for k in range(number)),
        thresholds=tuple(0.1 + k / 10 for k in range(number)),
        image_thresholds=(0.5,) * number,
        joint_thresholds=(0.25,) * number,
    )


def test_the_frequency_of_a_class_is_its_part_of_the_records() -> None:
    known = SETS.labels[SETS.labelled()]
    assert SETS.classes.records == len(known) == 588
    want = (known == 1).double().mean(dim=0).float()
    torch.testing.assert_close(SETS.classes.frequency(), want)
    assert SETS.classes.frequency().sum() > 1.1
    assert ((SETS.classes.usual() > 0) & (SETS.classes.usual() < 1)).all()
    assert SETS.classes.usual()[0] == pytest.approx(float(want[0]))
    with pytest.raises(BadRecordError, match="5 of 4 records"):
        ClassTable(("a", "b"), counts=(5, 1), records=4)


def test_classes_are_counted_anew_in_joined_parts() -> None:
    halves = [replace(SETS, labels=SETS.labels[rows], label=SETS.label[rows],
                      lonlat=SETS.lonlat[rows], date=SETS.date[rows], hour=SETS.hour[rows],
                      recorder=SETS.recorder[rows], image=SETS.image[rows])
              for rows in (slice(0, 300), slice(300, 600))]  # fmt: skip
    assert join_records(*halves).classes == SETS.classes
    one = recounted(SETS.classes, torch.tensor([0, 0, 5]), None)
    assert one.records is None and one.counts == (2, 0, 0, 0, 0, 1)


def test_a_model_answers_each_class_by_itself() -> None:
    made = model()
    logits = made.class_logits(CITIES).detach()
    torch.testing.assert_close(made.prior(CITIES), logits.sigmoid())
    made.calibration = fitted()
    divisor = torch.tensor(made.calibration.class_temperatures)
    torch.testing.assert_close(made.prior(CITIES), (logits / divisor).sigmoid())
    seen = made.image_logits(SETS.image[:4]).detach()
    divisor = torch.tensor(made.calibration.image_class_temperatures)
    torch.testing.assert_close(made.image_prior(SETS.image[:4]), (seen / divisor).sigmoid())


def test_the_biases_start_at_the_frequencies() -> None:
    made = model()
    made.set_class_frequency(SETS.classes.frequency())
    for part in (made.classifier, made.image_classifier):
        torch.testing.assert_close(part.bias.sigmoid(), SETS.classes.frequency())


def test_a_map_says_what_a_place_says() -> None:
    made = model()
    made.support = Support.from_records(SETS.lonlat, SETS.label, 6, labels=SETS.labels)
    made.calibration = fitted()
    for label in range(6):
        raster = heatmap(made, label, bounds=(30, -5, 42, 5), step=2.0)
        assert raster.kind == "probability"
        places = torch.tensor([[31.0, 3.0], [41.0, -3.0]])
        want = location_prior(made, places)[:, label]
        got = torch.tensor([raster.at(*place) for place in places.tolist()])
        torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-4)


def test_lift_is_over_the_part_of_the_records() -> None:
    made = model()
    report = describe_place(made, 36.8, -1.3)
    assert report.kind == "probability" and report.set_size is None
    frequency = dict(zip(SETS.classes.names, SETS.classes.frequency().tolist(), strict=True))
    for line in report.results:
        assert line.lift == pytest.approx(line.value / frequency[line.taxon], rel=1e-5)
    # Whoever has not counted the records cannot say.
    unknown = model(replace(SETS.classes, records=None))
    assert class_frequency(unknown) is None
    assert all(line.lift is None for line in describe_place(unknown, 36.8, -1.3).results)


def test_it_is_saved_and_loaded(tmp_path) -> None:
    made = model()
    made.calibration = fitted()
    made.support = Support.from_records(SETS.lonlat, SETS.label, 6, labels=SETS.labels)
    loaded = load_model(save_model(made, tmp_path / "model"))
    assert loaded.classes == made.classes and loaded.calibration == made.calibration
    assert loaded.prior_kind == "probability"
    torch.testing.assert_close(loaded.prior(CITIES), made.prior(CITIES))
    for name, tensor in made.support.tensors().items():
        assert torch.equal(loaded.support.tensors()[name], tensor), name


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("calibration.json", '"thresholds": [', '"thresholds": [0.5, ', "7 thresholds"),
        ("calibration.json", '"thresholds": [', '"thresholds": [1.5, ', "thresholds is 1.5"),
        ("calibration.json", '"thresholds": [', '"thresholds": ["a", ', "no number to use"),
        ("calibration.json", '"thresholds": [', '"thresholds": [NaN, ', "thresholds is nan|NaN"),
        ("calibration.json", '"class_temperatures": [', '"class_temperatures": [0, ', "is 0"),
        ("config.json", '"records": 588', '"records": 100', "records in config.json is 100"),
        ("config.json", '"records": 588', '"records": "many"', "records in config.json is many"),
        ("config.json", '"records": 588', '"records": 1e300', "records in config.json is 1e"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, file, old, new, says) -> None:
    made = model()
    made.calibration = fitted()
    path = save_model(made, tmp_path / "model") / file
    text = " ".join(path.read_text().split())
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    with pytest.raises(Exception, match=says):
        load_model(tmp_path / "model")


def test_calibration_of_classes() -> None:
    one = fitted()
    assert one.divisors(PLACE) == one.class_temperatures and one.divisors(IMAGE)[0] == 2.0
    assert Calibration(temperature=3.0).divisors(PLACE) == 3.0
    assert one.thresholds_of(BOTH) == (0.25,) * 6
    assert Calibration.from_dict(one.to_dict(images=True)) == one
    assert set(one.to_dict(images=False)) == {"temperature", "class_temperatures", "thresholds"}
    changed = one.with_sets({PLACE: [1.0]}, {IMAGE: [0.5]})
    assert changed.class_temperatures == (1.0,) and changed.image_thresholds == (0.5,)
    for wrong in (-0.1, 1.1, math.nan):
        with pytest.raises(ConfigError, match="joint_thresholds"):
            Calibration(joint_thresholds=(0.5, wrong))
    for wrong in (0.0, math.inf, math.nan):
        with pytest.raises(ConfigError, match="temperature is"):
            Calibration(image_class_temperatures=(wrong,))


def test_support_counts_a_record_for_each_class_and_once_for_its_cell() -> None:
    lonlat = torch.tensor([[0.2, 0.2], [0.3, 0.3], [5.5, 5.5], [9.0, 9.0], [math.nan, 0.0]])
    sets = torch.tensor([[1, 1, 1], [1, 0, -1], [0, 0, 0], [-1, -1, -1], [1, 1, 1]])
    support = Support.from_records(lonlat, torch.full((5,), -1), 3, labels=sets.to(torch.int8))
    here = support.near(0.5, 0.5, radius_km=100)
    assert here.records == 2 and here.per_class.tolist() == [2, 1, 1]
    # A record of an empty set is one too: somebody looked.
    assert support.near(5.5, 5.5, radius_km=100).records == 1
    assert support.near(9.0, 9.0, radius_km=100).records == 0
    assert support.near(0.5, 0.5, radius_km=2000).records == 3
    assert support.most_recorded() == (0.5, 0.5)
    assert support.records_on_grid(torch.tensor([0.5, 5.5]), torch.tensor([0.5, 5.5])).tolist() == [
        [2, 0],
        [0, 1],
    ]
    centres, records = support.cells()
    assert records.tolist() == [2, 1] and centres.shape == (2, 2)
    again = Support(**support.tensors(), num_classes=3)
    assert again.near(0.5, 0.5, radius_km=100).records == 2
    with pytest.raises(BadRecordError, match="does not say, once"):
        Support(**support.tensors() | {"record_cell": torch.tensor([0, 1])}, num_classes=3)


def test_support_of_many_records() -> None:
    draws = torch.Generator().manual_seed(0)
    lonlat = torch.rand(549_488, 2, generator=draws) * 30
    sets = (torch.rand(549_488, 19, generator=draws) < 0.15).to(torch.int8)
    support = Support.from_records(lonlat, torch.full((549_488,), -1), 19, labels=sets)
    assert int(support.cells()[1].sum()) == 549_488 and int(support.count.sum()) == int(sets.sum())


@pytest.mark.parametrize(
    "name", ["class_frequency", "nearest_records", "kernel_density", "random_forest"]
)
def test_baselines_answer_each_class_by_itself(name) -> None:
    whole = small.label_sets(small.dataset(), unknown=False)
    options = {"trees": 10} if name == "random_forest" else {}
    baseline = make_baseline(name, whole, **options)
    assert baseline.prior_kind == "probability" and baseline.classes.records == 600
    prior = location_prior(baseline, CITIES)
    assert prior.shape == (3, 6) and ((prior >= 0) & (prior <= 1)).all()
    if name == "class_frequency":
        torch.testing.assert_close(prior, whole.classes.frequency().expand(3, -1))
        return
    # The commoner one is in every set of its city, the rarer one in a quarter of them.
    for city in range(3):
        assert prior[city, 2 * city] > 0.7
        assert 0.1 < prior[city, 2 * city + 1] < 0.5
    assert (prior.sum(dim=1) > 1.0).all()


def test_baselines_leave_out_what_is_unknown() -> None:
    lonlat = torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    sets = torch.tensor([[1, -1], [0, 1], [1, -1]], dtype=torch.int8)
    data = RecordDataset(lonlat, torch.full((3,), -1), ClassTable(("a", "b")), labels=sets)
    at = torch.tensor([[0.0, 0.0]])
    usual = recounted(data.classes, data.label, sets).usual().double().numpy()
    near = make_baseline("nearest_records", data, k=3, mass=2.0).prior(at)[0].double().numpy()
    np.testing.assert_allclose(near, [(2 + 2 * usual[0]) / 5, (1 + 2 * usual[1]) / 3], rtol=1e-6)
    found = make_baseline("kernel_density", data, bandwidths_km=(100.0,), mass=0.5).prior(at)[0]
    far = math.exp(-6371.0088 * math.radians(1) / 100)
    want = [(1 + far + 0.5 * usual[0]) / (2 + far + 0.5), (1 + 0.5 * usual[1]) / 1.5]
    np.testing.assert_allclose(found.double().numpy(), want, rtol=1e-4)
    with pytest.raises(ConfigError, match="random_forest needs label sets in which"):
        make_baseline("random_forest", data)


def test_a_mixture_of_label_sets_mixes_the_odds_of_each_class() -> None:
    lonlat = torch.tensor([[0.0, 0.0], [0.5, 0.0], [1.0, 0.0], [3.0, 0.0]])
    sets = torch.tensor([[1, 0], [0, 1], [1, 1], [0, 0]], dtype=torch.int8)
    data = RecordDataset(lonlat, torch.full((4,), -1), ClassTable(("a", "b")), labels=sets)
    parts = [make_baseline(name, data) for name in ("nearest_records", "kernel_density")]
    mixed = Mixture(parts, [0.25, 0.75])
    at = torch.tensor([[0.2, 0.1], [2.0, 0.0]])
    p, q = (part.prior(at).double().numpy() for part in parts)
    odds = (p / (1 - p)) ** 0.25 * (q / (1 - q)) ** 0.75
    assert mixed.prior_kind == "probability"
    np.testing.assert_allclose(mixed.prior(at).double().numpy(), odds / (1 + odds), rtol=1e-5)
    # One that excludes a class, and one that is sure, leave finite odds.
    sure = make_baseline("kernel_density", data, mass=1e-30)
    assert torch.isfinite(Mixture([sure, parts[0]]).prior(at)).all()
    single = RecordDataset(lonlat, torch.tensor([0, 1, 0, 1]), ClassTable(("a", "b")))
    with pytest.raises(ConfigError, match="answers with label sets and another with single"):
        Mixture([parts[0], make_baseline("nearest_records", single)])
