"""Real patches and photos: how many there are, where they are, and what each photo says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import rasterio
import torch
from rasterio import warp

from csp_core.data import load_dataset
from csp_core.data.pictures import read_photo
from csp_core.errors import CspError
from csp_core.geo import great_circle_km

ROOT = Path(__file__).parents[2].parent / "shared" / "data"
ROOT = Path(os.environ.get("CSP_SHARED_DATA", ROOT))
EUROSAT, PHOTOS = ROOT / "eurosat", ROOT / "photos"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not EUROSAT.is_dir() or not PHOTOS.is_dir(),
        reason="needs the real data: put it beside the project as ../shared/data, or name its"
        " folder in CSP_SHARED_DATA",
    ),
]
BLOCKS = {"split_method": "block", "block_degrees": 1.0, "buffer_km": 5.0}


def test_all_patches_have_a_place():
    data = load_dataset("eurosat", "all", root=EUROSAT, images=False)
    assert len(data) == 23_790 and len(data.classes) == 10
    assert data.info["images_without_place"] == data.info["places_without_image"] == 0
    assert -25 < data.lonlat[:, 0].min() and data.lonlat[:, 0].max() < 45
    assert 27 < data.lonlat[:, 1].min() and data.lonlat[:, 1].max() < 72


def test_blocks_keep_the_test_apart():
    train = load_dataset("eurosat", root=EUROSAT, images=False, **BLOCKS)
    test = load_dataset("eurosat", "test", root=EUROSAT, images=False, **BLOCKS)
    nearest = [great_circle_km(train.lonlat, place).min() for place in test.lonlat[::50]]
    assert min(nearest) > 5
    few = load_dataset("eurosat", root=EUROSAT, images=False, label_fraction=0.05, **BLOCKS)
    assert len(few) == pytest.approx(0.05 * len(train), abs=10) and min(few.classes.counts) > 0


def test_patches_are_read_from_the_archive():
    data = load_dataset("eurosat", "test", root=EUROSAT, in_memory=False)
    batch = data.__getitems__(range(0, len(data), 100))
    assert batch["image"].shape[1:] == (3, 64, 64) and batch["image"].dtype == torch.uint8
    assert batch["image"].float().mean() == pytest.approx(96, abs=20)


def test_geotiffs_agree_with_the_table():
    table = (EUROSAT / "eurosat_coordinates.csv").read_text().splitlines()[1:]
    place = {line.split(",")[0].split("/")[1][:-4]: line.split(",")[2:] for line in table}
    compared = 0
    for path in sorted((EUROSAT / "multispectral").glob("*.tif")):
        photo = read_photo(path)
        assert photo.image.shape == (13, 64, 64) and photo.place_source == "georeference"
        if path.stem in place:
            lat, lon = map(float, place[path.stem])
            # The table names the middle of pixel (32, 32), half a pixel of 10 m south-east of the
            # middle of the patch, rounded to six digits.
            away = great_circle_km(torch.tensor(photo.lonlat).double(), torch.tensor((lon, lat)))
            assert 6 < away * 1000 < 8
            with rasterio.open(path) as file:
                x, y = file.xy(32, 32)
                place_of_pixel = warp.transform(file.crs, "EPSG:4326", [x], [y])
            assert [v[0] for v in place_of_pixel] == pytest.approx((lon, lat), abs=1e-6)
            compared += 1
    assert compared >= 10
    data = load_dataset("eurosat", "all", root=EUROSAT, bands="all", val_fraction=0.2)
    assert len(data) == 20 and not data.lonlat.isnan().any()


@pytest.mark.parametrize(
    "path", sorted(PHOTOS.glob("*")) if PHOTOS.is_dir() else [], ids=lambda p: p.name
)
def test_every_photo_gives_its_place_or_says_why_not(path):
    try:
        photo = read_photo(path)
    except CspError as error:
        assert len(str(error).splitlines()) == 1
        return
    assert photo.image.shape[0] == 3 and photo.image.dtype == torch.uint8
    said = photo.why_no_place
    assert bool(said) == (photo.lonlat is None) and len(said.splitlines()) <= 1


@pytest.mark.parametrize(
    ("name", "lonlat", "source", "taken", "taxon"),
    [
        ("DSCN0010.jpg", (11.88513, 43.46745), "EXIF", "2008-10-22 16:28", ""),
        ("IMG_5195.HEIC", (-94.28877, 39.05134), "EXIF", "2021-04-11 15:47", ""),
        (
            "48849031626_af2065ab64_k.jpg",
            (-93.79021, 41.78763),
            "EXIF",
            "2019-09-18 15:56",
            "Araneus marmoreus",
        ),
        ("Canon_40D.jpg", None, None, "2008-05-30 15:56", ""),
        ("Arbitro.tiff", None, None, "", ""),
    ],
)
def test_what_some_photos_say(name, lonlat, source, taken, taxon):
    photo = read_photo(PHOTOS / name)
    assert photo.lonlat == (pytest.approx(lonlat, abs=1e-5) if lonlat else None)
    assert (photo.place_source, photo.taken, photo.taxon) == (source, taken, taxon)


@pytest.mark.parametrize("name", ["landscape_6.jpg", "portrait_8.jpg"])
def test_turned_photos_are_upright(name):
    high, wide = read_photo(PHOTOS / name).image.shape[1:]
    assert (wide > high) == name.startswith("landscape")
