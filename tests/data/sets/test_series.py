"""Series of one pixel: tables in both forms, stacks of rasters, and what is wrong with them."""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl
import pytest
import torch

from csp_core.data import load_dataset
from csp_core.data.images import ImageDataset
from csp_core.data.series.stack import day_in
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError
from tests.data.sets import series

ALL = {"split_method": "random", "val_fraction": 0.0, "test_fraction": 0.0}


def load(root, **more) -> ImageDataset:
    found = load_dataset("series", "all", root=root, **ALL | more)
    assert isinstance(found, ImageDataset)
    return found


def part_of_year(day: str) -> float:
    date = datetime.date.fromisoformat(day)
    first, last = datetime.date(date.year, 1, 1), datetime.date(date.year, 12, 31)
    return (date - first).days / ((last - first).days + 1)


# Tables


def test_a_nested_table_gives_series_days_places_and_classes(tmp_path):
    data, table = load(series.make(tmp_path)), series.nested()
    assert data.classes.names == series.LABELS and len(data) == 60
    for row in (0, 17, 59):
        sample = data[row]
        assert sample["image"].shape == (series.DATES, 2, 1, 1)
        want = np.stack((table["ndvi"][row], table["evi"][row]), axis=1)
        np.testing.assert_allclose(sample["image"][..., 0, 0], want, rtol=1e-6)
        days = [part_of_year(day) for day in table["date"][row]]
        np.testing.assert_allclose(sample["days"], days, rtol=1e-6)
        assert int(sample["label"]) == series.LABELS.index(table["label"][row])
        want = [table["longitude"][row], table["latitude"][row]]
        np.testing.assert_allclose(sample["lonlat"], want, rtol=1e-6)
    assert load(series.make(tmp_path), bands=["evi"])[0]["image"].shape == (series.DATES, 1, 1, 1)


def test_one_row_a_date_is_the_same_and_told_to_have_been_sorted(tmp_path):
    short, long = load(series.make(tmp_path)), load(series.make_long(tmp_path))
    assert len(short) == len(long) and long.info["series_sorted_by_date"] > 50
    batch = short.__getitems__(range(60)), long.__getitems__(range(60))
    # The table in any order lists its series in another.
    key = [b["lonlat"].sum(1) + b["image"].flatten(1).sum(1) for b in batch]
    order = [k.argsort() for k in key]
    for name in ("image", "days", "label"):
        one, other = (b[name][o] for b, o in zip(batch, order, strict=True))
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_years_of_one_place_stay_in_one_part(tmp_path):
    root = series.make(tmp_path)
    places = [
        {tuple(place) for place in load_dataset("series", part, root=root).lonlat.tolist()}
        for part in ("train", "val", "test")
    ]
    assert not places[0] & places[1] and not places[0] & places[2] and not places[1] & places[2]


def edited(tmp_path, change) -> ImageDataset:
    rows = series.nested().to_dicts()
    change(rows)
    pl.DataFrame(rows).write_parquet(tmp_path / "edited.parquet")
    return load(tmp_path / "edited.parquet")


def test_dates_without_numbers_are_not_there_and_keep_their_place(tmp_path):
    def change(rows):
        rows[3]["ndvi"][2] = None
        rows[3]["evi"][4] = float("nan")

    data = edited(tmp_path, change)
    assert data.info["dates_without_numbers"] == 2
    assert data.days[3].isnan().tolist() == [False, False, True, False, True]
    assert (data[3]["image"][[2, 4]] == 0).all() and (data[3]["image"][[0, 1, 3]] > 0).all()


def test_codes_for_no_value_are_none(tmp_path, caplog):
    def put(value):
        def change(rows):
            for row in rows[:3]:
                row["ndvi"][2] = value

        return edited(tmp_path, change)

    coded, known = put(-9999.0), put(None)
    assert (
        "edited.parquet: 'ndvi' holds -9999 3 times, far from all its other values" in caplog.text
    )
    assert coded.info["dates_without_numbers"] == known.info["dates_without_numbers"] == 3
    every = range(len(coded))
    torch.testing.assert_close(coded.__getitems__(every), known.__getitems__(every), equal_nan=True)


def test_dates_are_sorted_and_days_counted_once(tmp_path):
    def change(rows):
        for name in ("date", "ndvi", "evi"):
            rows[1][name].reverse()
        rows[2]["date"][3] = rows[2]["date"][2]

    data, plain = edited(tmp_path, change), load(series.make(tmp_path))
    assert data.info["series_sorted_by_date"] == 1
    assert data.info["observations_of_a_day_seen_before"] == 1
    torch.testing.assert_close(data[1]["image"], plain[1]["image"])
    # The first of one day counts, and the series is filled at its end.
    want = plain[2]["image"][[0, 1, 2, 4]]
    torch.testing.assert_close(data[2]["image"][:4], want)
    assert bool(data.days[2, 4].isnan()) and not data.days[2, :4].isnan().any()


def test_series_of_one_date_uneven_lists_and_odd_places_are_told(tmp_path):
    def change(rows):
        rows[0]["ndvi"] = [0.5, None, None, None, None]
        rows[1]["evi"].pop()
        rows[4]["date"][0] = "some day"
        rows[5]["latitude"] = 95.0
        rows[6]["label"] = ""

    data = edited(tmp_path, change)
    assert len(data) == 58
    told = {
        "series_of_fewer_than_two_dates": 1,
        "series_whose_lists_differ_in_length": 1,
        "observations_without_a_date": 1,
        "series_without_a_place": 1,
        "series_without_label": 1,
    }
    assert {name: data.info[name] for name in told} == told
    assert int((data.label < 0).sum()) == 1 and int(data.lonlat.isnan().any(dim=1).sum()) == 1


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"longitude": "somewhere"}, "no column for lon"),
        ({"date": "when"}, "no column for date"),
        ({"ndvi": "_", "evi": "__"}, None),
    ],
)
def test_missing_columns_are_named(tmp_path, columns, says):
    path = tmp_path / "t.parquet"
    series.nested().rename(columns).write_parquet(path)
    if says is None:
        assert load(path)[0]["image"].shape == (series.DATES, 2, 1, 1)
        return
    with pytest.raises(BadRecordError, match=says):
        load(path)


def test_what_is_no_table_of_series_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="needs root"):
        load_dataset("series")
    with pytest.raises(DataNotFoundError, match="No table or folder"):
        load(tmp_path / "none.csv")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(BadRecordError, match="cannot be read as a table"):
        load(tmp_path / "bad.parquet")
    (tmp_path / "t.xls").write_bytes(b"")
    with pytest.raises(BadRecordError, match="CSV, TSV or Parquet"):
        load(tmp_path / "t.xls")
    path = series.make(tmp_path)
    with pytest.raises(BadRecordError, match=r"no band 'nvdi'.*ndvi, evi"):
        load(path, bands=["nvdi"])
    with pytest.raises(ConfigError, match="points"):
        load(path, points=path)
    single = series.nested().with_columns(pl.col("date", "ndvi", "evi").list.head(1))
    single.write_parquet(tmp_path / "single.parquet")
    with pytest.raises(BadRecordError, match="no series has two dates"):
        load(tmp_path / "single.parquet")


# Stacks


def test_every_pixel_of_a_stack_is_a_series_at_its_place(tmp_path):
    pytest.importorskip("pyproj")
    points = series.make_points(tmp_path)
    data = load(series.make_stack(tmp_path / "stack"), points=points)
    assert len(data) == series.ROWS * series.COLUMNS
    row, column = 4, 3
    sample = data[row * series.COLUMNS + column]
    assert sample["image"].dtype == torch.int16 and sample["image"].shape == (5, 1, 1, 1)
    assert sample["image"].flatten().tolist() == [1000 * at + 10 * row + column + 1
                                                  for at in range(5)]  # fmt: skip
    want = [part_of_year(day) for day in series.days_of(2013)]
    np.testing.assert_allclose(sample["days"], want, rtol=1e-6)
    np.testing.assert_allclose(sample["lonlat"], series.place(row + 0.5, column + 0.5), atol=1e-4)


def test_points_label_their_pixels_and_no_others(tmp_path):
    pytest.importorskip("pyproj")
    root, points = series.make_stack(tmp_path / "stack"), series.make_points(tmp_path)
    data = load(root, points=points)
    known = data.label >= 0
    assert known.nonzero().flatten().tolist() == [2 * 8 + 3, 4 * 8 + 0]
    assert data.classes.names == ("Forest", "Pasture")
    assert [data.classes.names[label] for label in data.label[known]] == ["Forest", "Pasture"]
    assert data.info["points"] == 4 and data.info["points_outside"] == 1
    assert data.info["points_in_a_pixel_with_a_label"] == 1
    train = load_dataset("series", root=root, points=points, **ALL, unlabelled=True)
    assert len(train) == 48 and int(train.labelled().sum()) == 2
    bare = load_dataset("series", root=root, **ALL)
    assert len(bare) == 48 and not bare.labelled().any() and not bare.classes.names
    with pytest.raises(ConfigError, match="no series has a label"):
        load(root, labels=4)
    with pytest.raises(ConfigError, match="bands chooses columns"):
        load(root, bands=["ndvi"])


def test_pixels_without_data_lack_a_date_or_are_left_out(tmp_path):
    root = series.make_stack(tmp_path)
    for at, day in enumerate(series.days_of(2013)):
        values = np.full((series.ROWS, series.COLUMNS), 100 + at, dtype=np.int16)
        values[0, 0] = -9999 if at else 100
        values[1, 1] = -9999 if at == 2 else 100
        series.write_raster(root / f"NDVI_{day}.tif", values, nodata=-9999)
    data = load(root)
    assert len(data) == 47 and data.info["pixels_without_data_on_two_dates"] == 1
    assert data.days[8].isnan().tolist() == [False, False, True, False, False]
    assert int(data[8]["image"][2]) == 0


def test_rasters_that_do_not_fit_are_left_out_and_told(tmp_path):
    root, days = series.make_stack(tmp_path), series.days_of(2013)
    good = np.ones((series.ROWS, series.COLUMNS), dtype=np.int16)
    (root / "NDVI_2014-05-01.tif").write_bytes(b"II*\0 and no more")
    series.write_raster(root / "NDVI_2014-06-01.tif", good[:4])
    series.write_raster(root / "NDVI_2014-07-01.tif", good, crs="EPSG:32721")
    series.write_raster(root / f"Z_{days[0]}.tif", good)
    series.write_raster(root / "undated.tif", good)
    data = load(root)
    assert data.info["dates"] == 5 and data.info["rasters_left_out"] == 4
    assert data.info["rasters_without_a_day_in_the_name"] == 1
    told = " ".join(map(str, data.info["first_rasters_left_out"]))
    for words in ("damaged", "1 × 4 × 8", "its grid is not that of", "of the same day as"):
        assert words in told


def test_names_are_sorted_by_day_and_too_few_rasters_refused(tmp_path):
    one = np.ones((2, 2), dtype=np.int16)
    for name, day in (("b", "20130101"), ("a", "20130601")):
        series.write_raster(tmp_path / f"{name}_{day}.tif", one * (1 if name == "b" else 2))
    data = load(tmp_path)
    assert data[0]["image"].flatten().tolist() == [1, 2]
    assert data.info["rasters_sorted_by_day"] == 2
    (tmp_path / "a_20130601.tif").unlink()
    with pytest.raises(BadRecordError, match="a series needs two dates"):
        load(tmp_path)
    (tmp_path / "b_20130101.tif").unlink()
    with pytest.raises(DataNotFoundError, match="No raster with a day in its name"):
        load(tmp_path)


def test_days_in_names():
    day = datetime.date(2018, 1, 3)
    assert day_in("S2_20180103T10") == day_in("x.2018-01-03") == day_in("2018_01_03") == day
    assert day_in("2018-0103") is None and day_in("S2_20180231") is None
