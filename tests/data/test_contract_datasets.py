"""Every data set obeys one schema, whatever its source."""

from __future__ import annotations

import math

import pytest
import torch
from torch.utils.data import DataLoader

from csp_core.data import DATASETS, Sample, collate, counts, load_dataset
from csp_core.data.counts import count_classes
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError, UnknownNameError
from tests.data.sets import (
    bigearthnet,
    eurosat,
    fmow,
    inat2018,
    occurrences,
    pastis,
    photos,
    place_features,
    places,
    series,
    tiles,
)

OPTIONS = {
    "bigearthnet": bigearthnet.options,
    "demo": lambda folder: {"size": 60},
    "eurosat": eurosat.options,
    "fmow": fmow.options,
    "inat2018": inat2018.options,
    "occurrences": occurrences.options,
    "pastis": pastis.options,
    "phenology": lambda folder: {"size": 40, "side": 8, "dates": 4, "parcels": 3},
    "photos": photos.options,
    "place_features": place_features.options,
    "places": places.options,
    "series": series.options,
    "tiles": tiles.options,
}
MASKED = "tiles with masks"


@pytest.fixture(params=[*sorted(DATASETS), MASKED])
def loader(request, tmp_path):
    name, make = request.param, OPTIONS.get(request.param)
    if request.param == MASKED:
        name, make = "tiles", lambda folder: tiles.masked(folder) | {"gap": 0}
    options = make(tmp_path)
    return lambda split="train", **more: load_dataset(name, split, **options, **more)


def test_every_sample_has_the_schema(loader):
    data = loader()
    assert len(data) > 0 and data.name and data.info["split"]
    for i in range(len(data)):
        sample = data[i]
        assert set(sample) <= set(Sample.__annotations__)
        assert sample["lonlat"].shape == (2,) and sample["lonlat"].dtype == torch.float32
        lon, lat = sample["lonlat"].tolist()
        known = not (math.isnan(lon) or math.isnan(lat))
        assert abs(lon) <= 180 and abs(lat) <= 90 if known else math.isnan(lon) and math.isnan(lat)
        assert sample["label"].shape == () and sample["label"].dtype == torch.int64
        assert -1 <= sample["label"] < len(data.classes)
        if "labels" in sample:
            sets = sample["labels"]
            assert sets.shape == (len(data.classes),) and sets.dtype == torch.int8
            assert set(sets.tolist()) <= {-1, 0, 1} and sample["label"] == -1
        for name in ("date", "hour"):
            time = sample[name].item()
            assert sample[name].dtype == torch.float32 and (math.isnan(time) or 0 <= time < 1)
        if "image" in sample:
            # Pixels (C, H, W), whole or floating-point, or a vector of precomputed features.
            image = sample["image"]
            assert image.ndim == (4 if "days" in sample else 3) or (
                image.ndim == 1 and image.is_floating_point()
            )
            assert image.is_floating_point() or image.dtype in (torch.uint8, torch.int16)
        if "days" in sample:
            days = sample["days"]
            assert days.dtype == torch.float32 and days.shape == image.shape[:1]
            known = days[~days.isnan()]
            assert len(known) >= 2 and bool(((known >= 0) & (known < 1)).all())
        if "mask" in sample:
            mask = sample["mask"]
            assert mask.dtype == torch.int64 and mask.shape == image.shape[-2:]
            assert -1 <= mask.min() and mask.max() < len(data.classes) and sample["label"] == -1
        if "valid" in sample:
            assert sample["valid"].dtype == torch.bool and (mask[~sample["valid"]] == -1).all()


def test_parts_make_up_the_whole(loader):
    whole = loader("all")
    parts = [loader(split) for split in ("train", "val", "test")]
    assert sum(map(len, parts)) == len(whole)
    rows = torch.cat([torch.column_stack((p.lonlat, p.date, p.label)) for p in parts])
    want = torch.column_stack((whole.lonlat, whole.date, whole.label))
    assert sorted(map(str, rows.tolist())) == sorted(map(str, want.tolist()))


def test_classes_are_the_same_in_every_part_and_counted_in_training(loader):
    train = loader("train")
    counted = list(count_classes(train.label, train.labels, len(train.classes)))
    if (masks := getattr(train, "masks", None)) is not None:
        counted = list(counts.pixels(masks, len(train.classes)))
    for split in ("train", "val", "test", "all"):
        assert loader(split).classes == train.classes
    assert list(train.classes.counts) == counted
    # Published numbers of classes are kept, so that published predictions fit.
    if train.name not in ("inat2018", "fmow", "pastis", "places"):
        assert list(train.classes.names) == sorted(train.classes.names)


def test_loading_twice_gives_the_same_records(loader):
    assert loader().content_hash() == loader().content_hash()


def test_batches_by_rows_equal_batches_of_samples(loader):
    data = loader()
    one = collate([data[i] for i in (0, 3, 1)])
    many = data.__getitems__([0, 3, 1])
    assert set(one) == set(many)
    for key in one:
        torch.testing.assert_close(one[key], many[key], rtol=0, atol=0, equal_nan=True)
    first = next(iter(DataLoader(data, batch_size=4, collate_fn=collate)))
    assert first["lonlat"].shape == (4, 2)


def test_wrong_names_and_options_say_what_exists(loader):
    with pytest.raises(UnknownNameError, match="train"):
        loader("trian")
    with pytest.raises(ConfigError, match="split_method"):
        loader(split_methd="site")
    with pytest.raises(UnknownNameError, match="random"):
        loader(split_method="blok")


def test_unknown_data_set():
    with pytest.raises(UnknownNameError, match="Did you mean 'demo'"):
        load_dataset("dem")


def test_a_part_without_a_share_is_refused():
    with pytest.raises(ConfigError, match="test_fraction"):
        load_dataset("demo", "test", size=50, test_fraction=0.0, images=False)


# What only tables of occurrences have.


def test_taxa_with_few_records_are_left_out(tmp_path):
    path = occurrences.make(tmp_path)
    with path.open("a") as stream:
        stream.write("99,Eus fus,,10,10,,\n")
    data = load_dataset("occurrences", "all", root=path, min_records=2)
    assert data.classes.names == ("Aus bus", "Cus dus")
    assert data.classes.common_names == ("First", "Second")
    assert data.info["rows_left_out_by_min_records"] == 1
    assert data.info["file"] == "fake.csv" and str(tmp_path) not in str(data.info)
    assert load_dataset("occurrences", "all", root=path).classes.names[-1] == "Eus fus"


def test_too_vague_records_are_left_out_but_unknown_precision_stays(tmp_path):
    path = tmp_path / "u.csv"
    rows = [f"Aus bus,{i},1,{u}" for i, u in enumerate(("5", "5000", "", "10"))]
    path.write_text("species,lon,lat,coordinateUncertaintyInMeters\n" + "\n".join(rows))
    data = load_dataset("occurrences", "all", root=path, max_uncertainty_m=1000, val_fraction=0.3)
    assert data.lonlat[:, 0].tolist() == [0, 2, 3]
    assert data.info["rows_left_out_by_uncertainty"] == 1


@pytest.mark.parametrize("options", [{"min_records": 0}, {"max_uncertainty_m": -1.0}])
def test_options_out_of_range(tmp_path, options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        load_dataset("occurrences", root=occurrences.make(tmp_path), **options)


def test_missing_root_and_nothing_left(tmp_path):
    with pytest.raises(ConfigError, match="needs root"):
        load_dataset("occurrences")
    with pytest.raises(DataNotFoundError, match="No file"):
        load_dataset("occurrences", root=tmp_path / "none.csv")
    with pytest.raises(BadRecordError, match="No record is left"):
        load_dataset("occurrences", root=occurrences.make(tmp_path), min_records=100)
