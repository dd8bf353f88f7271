"""Files of tiles with masks: their kinds, bands, classes and tables, and what does not fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from csp_core.data.tiles.footprints import check_ground, footprints
from csp_core.data.tiles.raster import open_raster
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError
from tests.data.sets import tiles
from tests.data.sets.tiles import load

PARTS = ("train", "val", "test")
CLASSES = tiles.ALL


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    return tiles.masked(tmp_path_factory.mktemp("tiles"))


# What files may be


def picture(path, values):
    """Write a PNG without a place."""
    import rasterio

    path.parent.mkdir(parents=True, exist_ok=True)
    size = {"height": values.shape[1], "width": values.shape[2], "count": len(values)}
    with rasterio.open(path, "w", driver="PNG", dtype=values.dtype, **size) as file:
        file.write(values)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_pictures_without_a_place_share_no_ground(tmp_path, options):
    ground = tiles.ground()
    for at in range(6):
        mask = ground[:64, 64 * at : 64 * at + 64 + 16 * (at % 2)]
        image = np.stack([mask, mask + 1, mask + 2, np.full_like(mask, 255)])
        image[3, :5, :7] = 0  # a fourth band of a picture says where it is transparent
        picture(tmp_path / "images" / f"t{at}.png", image)
        picture(tmp_path / "masks" / f"t{at}.png", mask[None])
    data = load(options, root=tmp_path)
    assert len(data) == 4 * 4 * 6 + 4 * 3 and data.lonlat.isnan().all() and data.date.isnan().all()
    assert data[0]["image"].shape == (3, 16, 16) and int((~data[0]["valid"]).sum()) == 35
    assert "none overlap, as no file has a reference system" in data.info["import_report"][0]
    assert data.info["pairs_of_tiles_that_overlap"] == 0 and footprints(data).isnan().all()
    for method in ("block", "lines", "random"):
        parts = [load(options, part, root=tmp_path, split_method=method, gap=0) for part in PARTS]
        assert sum(map(len, parts)) == len(data)
    assert int(load(options, "train", root=tmp_path, labels=4, gap=0).labelled().sum()) == 16
    with pytest.raises(ConfigError, match="buffer_km needs tiles with a reference system"):
        load(options, root=tmp_path, buffer_km=1.0)
    tiles.pair(tmp_path, "x", 0, 0)
    with pytest.raises(BadRecordError, match=r"t0\.png: no place on the ground, but x\.tif has"):
        load(options, root=tmp_path)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_mask_without_a_place_lies_on_its_image(tmp_path, options):
    root = tiles.make(tmp_path)
    (root / "masks" / "202309_a.tif").unlink()
    picture(root / "masks" / "202309_a.png", tiles.ground()[None, :64, :64])
    data = load(options, root=root)
    assert data.info["masks_without_a_place"] == 1
    assert torch.equal(data.masks, load(options).masks)


@pytest.mark.parametrize("kind", ["uint16", "int16", "float32"])
def test_other_numbers_stay_as_they_are(tmp_path, options, kind):
    top = {"uint16": 60_000, "int16": -3, "float32": 0.25}[kind]
    for at, name in enumerate("abcd"):
        mask = tiles.ground()[:64, 64 * at : 64 * at + 64]
        image = np.full((5, 64, 64), top, dtype=kind)
        image[1] = mask
        if kind == "float32":
            image[4, :8] = np.nan
        tiles.write(tmp_path / "images" / f"{name}.tif", image, 0, 64 * at)
        tiles.write(tmp_path / "masks" / f"{name}.tif", mask[None], 0, 64 * at)
    data = load(options, root=tmp_path)
    kept = {"uint16": torch.uint16, "int16": torch.int16, "float32": torch.float32}[kind]
    assert data.store.array.dtype == kept and data[0]["image"].shape == (5, 16, 16)
    assert float(data[0]["image"][0, -1, -1]) == top
    assert data[0]["image"].dtype == (torch.int32 if kind == "uint16" else kept)
    assert (data.valid is not None) == (kind == "float32")
    if kind == "float32":
        assert int((~data.valid).sum()) == 8 * 256 and bool(data[0]["image"].isfinite().all())
    assert len(data.content_hash()) == 64


def test_a_band_that_a_file_calls_opacity_is_told(tmp_path, options):
    values = np.stack([tiles.ground()[:64, :64]] * 4)
    tiles.pair(tmp_path, "a", 0, 0)
    tiles.write(tmp_path / "images" / "a.tif", values, 0, 0, photometric="rgb", alpha="yes")
    data = load(options, root=tmp_path, gap=0)
    assert data[0]["image"].shape[0] == 3 and data.info["images_with_opacity"] == 1
    told = "1 images whose last band says where there is data, and is not read"
    assert told in data.info["import_report"]
    with pytest.raises(BadRecordError, match=r"no band 4; it has 3 beside band 4, which.*minisbl"):
        load(options, root=tmp_path, gap=0, bands=[1, 2, 3, 4])
    tiles.write(tmp_path / "images" / "a.tif", values, 0, 0, photometric="minisblack")
    data = load(options, root=tmp_path, gap=0)
    assert data[0]["image"].shape[0] == 4 and told not in data.info["import_report"]


def test_numbers_of_a_table_of_colours_are_no_values(tmp_path, options):
    tiles.pair(tmp_path, "a", 0, 0)
    values = tiles.ground()[None, :64, :64]
    # In a mask they are what the classes are called by.
    tiles.write(tmp_path / "masks" / "a.tif", values, 0, 0, photometric="palette")
    assert len(load(options, root=tmp_path, gap=0)) == 16
    tiles.write(tmp_path / "images" / "a.tif", values, 0, 0, photometric="palette")
    with pytest.raises(BadRecordError, match=r"a\.tif: its values are numbers of a table of colo"):
        load(options, root=tmp_path, gap=0)


def test_numbers_of_classes_need_not_fit_into_a_mask(tmp_path, options):
    tiles.pair(tmp_path, "a", 0, 0)
    assert len(load(options, root=tmp_path, gap=0, ignored=[-1, 70_000])) == 16
    with pytest.raises(BadRecordError, match=r"labels do not match: .* hold 300, 301"):
        load(options, root=tmp_path, gap=0, classes={300: "a", 301: "b"})


def named(folder, name, column, order, **more):
    """Write a tile whose bands have names."""
    import rasterio

    mask = tiles.ground()[:64, column : column + 64]
    values = {"B2": mask, "B3": mask + 1, "B4": mask + 2, "B8": mask + 3}
    image = np.stack([values[one] for one in order])
    tiles.write(folder / "images" / f"{name}.tif", image, 0, column, **more)
    tiles.write(folder / "masks" / f"{name}.tif", mask[None], 0, column)
    with rasterio.open(folder / "images" / f"{name}.tif", "r+") as file:
        file.descriptions = order


def test_bands_are_told_by_their_names(tmp_path, options):
    named(tmp_path, "a", 0, ("B4", "B3", "B2"))
    named(tmp_path, "b", 64, ("B2", "B3", "B4"))
    options = options | {"gap": 0}
    data = load(options, root=tmp_path)
    first, last = data[0]["image"].long(), data[len(data) - 1]["image"].long()
    for image in (first, last):
        assert torch.equal(image[0] - 1, image[1]) and torch.equal(image[1] - 1, image[2])
    assert data.info["images_with_bands_in_another_order"] == 1
    assert data.info["bands"] == ["B4", "B3", "B2"]
    one = load(options, root=tmp_path, bands=["B2"])
    assert torch.equal(one[0]["image"][0].long(), first[2]) and one[0]["image"].shape[0] == 1
    numbered = load(options, root=tmp_path, bands=[3, 1])
    assert torch.equal(numbered[0]["image"].long(), first[[2, 0]])
    named(tmp_path, "c", 128, ("B2", "B3", "B8"))
    with pytest.raises(BadRecordError, match=r"c\.tif: no band B4; its bands are B2, B3, B8"):
        load(options, root=tmp_path)
    assert len(load(options, root=tmp_path, bands=["B3", "B2"])) > len(data)
    with pytest.raises(BadRecordError, match=r"no band 4; it has 3"):
        load(options, root=tmp_path, bands=[4])


def test_classes_stand_in_a_table(tmp_path, options):
    root = tiles.make(tmp_path)
    table = root / "classes.csv"
    table.write_text(
        "Value,Name,Colour,Ignored\n10,building,#C02020,\n30,road,,0\n50,field,,no\n70,forest,"
        "#1f7a3d,\n100,background,,true\n"
    )
    given = options | {"root": root, "classes": None}
    data, told = load(given), load(options, classes=tiles.CLASSES, ignored=[100])
    assert torch.equal(data.masks, told.masks) and data.classes.names == told.classes.names
    assert data.info["class_colours"] == {"building": "#c02020", "forest": "#1f7a3d"}
    assert data.info["class_numbers"]["road"] == 30 and data.info["ignored_numbers"] == [100]
    shown = {10: {"name": "building", "colour": "#C02020"}, 100: {"name": "b", "ignored": True}}
    again = load(options, classes=tiles.CLASSES | shown)
    assert torch.equal(again.masks, data.masks)
    for text, match in (
        ("value,label\n1,a\n", "columns value, label; give value and name"),
        ("value,name\nx,a\n", r"classes\.csv, line 2: the value is 'x'"),
        ("value,name\n1,a\n1,b\n", "line 3: 1 is given twice"),
        ("value,name,ignored\n1,a,perhaps\n", "ignored is 'perhaps'"),
    ):
        table.write_text(text)
        with pytest.raises(BadRecordError, match=match):
            load(given)


def test_a_table_names_images_masks_days_and_parts(tmp_path, options):
    root = tmp_path / "x"
    rows = ["image,mask,date,split"]
    for at, part in enumerate(("train", "train", "val", "test", "test")):
        tiles.pair(root / "deep", f"n{at}", 0, 64 * at)
        mask = f"deep/masks/n{at}.tif" if at != 1 else ""
        rows.append(f"deep/images/n{at}.tif,{mask},2023-0{at + 1}-15,{part}")
    # A tile of training that covers half of one of the test.
    tiles.pair(root / "deep", "n9", 32, 192)
    rows.append("deep/images/n9.tif,deep/masks/n9.tif,2023-04-15,train")
    (root / "tiles.csv").write_text("\n".join(rows))
    given = options | {"root": root, "split_method": "table", "gap": 0}
    data = {part: load(given, part, unlabelled=True) for part in PARTS}
    assert [len(part) for part in data.values()] == [2 * 16 + 8, 16, 32]
    assert int((~data["train"].labelled()).sum()) == 16
    for other in ("val", "test"):
        check_ground(data["train"], data[other])
    assert set((data["val"].date * 365).round().tolist()) == {73.0}
    assert data["val"].info["split"].startswith("val of ground by table")
    assert len(load(given, table="tiles.csv")) == len(load(given))
    for row, error, match in (
        ("deep/images/none.tif,,,", DataNotFoundError, "line 8: no file deep/images/none.tif"),
        ("../x.tif,,,", DataNotFoundError, "no file"),
        ("deep/images/n0.tif,,,", BadRecordError, "stands in it twice"),
        ("deep/images/n8.tif,,x,", BadRecordError, "the date is 'x'"),
        ("deep/images/n8.tif,,,dev", BadRecordError, "the split 'dev'"),
        ("deep/images/n8.tif,,,", BadRecordError, "have no split there"),
    ):
        tiles.pair(root / "deep", "n8", 0, 400)
        (root / "tiles.csv").write_text("\n".join([*rows, row]))
        with pytest.raises(error, match=match):
            load(given, unlabelled=True)
    (root / "tiles.csv").write_text("path\na")
    with pytest.raises(BadRecordError, match="give image, and perhaps mask"):
        load(given)
    with pytest.raises(DataNotFoundError, match="No table"):
        load(given, table="other.csv")


# What does not fit


def test_damaged_files_are_left_out_and_named(tmp_path, options):
    root = tiles.make(tmp_path)
    whole = load(options, root=root)
    (root / "images" / "202309_c.tif").write_bytes(b"II*\0 no")
    cut = root / "images" / "202412_f.tif"
    # The header stands, and the pixels end early.
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    data = load(options, root=root)
    assert data.info["tiles"] == 7 and data.info["tiles_left_out"] == 2
    told = " ".join(data.info["first_left_out"])
    assert "202309_c.tif: cut short or damaged" in told and "202412_f.tif: cut short" in told
    assert 0 < len(data) < len(whole) and not any("_f" in one for one in data.store.names)
    lines = data.info["import_report"]
    assert lines[0].startswith("7 tiles, 2 of them left out; ") and "202309_c.tif" in lines[1]
    assert sum(line.startswith(("train: ", "val: ", "test: ")) for line in lines) == 3


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("bands", [1, 3])
def test_a_png_that_is_cut_short_is_damaged(tmp_path, bands):
    values = np.random.default_rng(0).integers(1, 255, (bands, 64, 64)).astype(np.uint8)
    path = tmp_path / "a.png"
    picture(path, values)
    with open_raster(path) as raster:
        assert np.array_equal(raster.rows(0, 64, raster.header.bands)[0], values)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with (
        pytest.raises(BadRecordError, match=r"a\.png: cut short or damaged"),
        open_raster(path) as raster,
    ):
        raster.rows(0, 64, raster.header.bands)


BAD = {
    "16 bits": (
        lambda root: tiles.write(
            root / "images" / "undated.tif", np.ones((3, 64, 64), dtype=np.uint16), 130, 130
        ),
        r"undated\.tif: uint16 values, but 202309_a\.tif has uint8; give one kind",
    ),
    "64 bits": (
        lambda root: tiles.write(
            root / "images" / "202309_a.tif", np.ones((3, 64, 64), dtype=np.float64), 0, 0
        ),
        "float64 values; give uint8, uint16, int16 or float32",
    ),
    "resolution": (
        lambda root: tiles.pair(root, "202309_x", 0, 0, transform=_grid(20.0)),
        "the size of its pixels is not that of 202309_a",
    ),
    "mask of another grid": (
        lambda root: tiles.write(
            root / "masks" / "undated.tif", tiles.ground()[None, :64, :64], 130, 131
        ),
        r"masks/undated\.tif: it lies elsewhere on the ground than its image",
    ),
    "mask of another resolution": (
        lambda root: tiles.write(
            root / "masks" / "202309_a.tif", tiles.ground()[None, :64, :64], 0, 0,
            transform=_grid(20.0),
        ),
        "it lies elsewhere on the ground than its image",
    ),
    "mask that is larger by a hair a pixel": (
        lambda root: tiles.write(
            root / "masks" / "202309_a.tif", tiles.ground()[None, :64, :64], 0, 0,
            transform=_grid(10.003),
        ),
        "it lies elsewhere on the ground than its image",
    ),
    "numbers": (
        lambda root: tiles.write(
            root / "masks" / "undated.tif", np.full((1, 64, 64), 11, dtype=np.int32), 130, 130
        ),
        r"masks/undated\.tif: labels do not match: 11 is neither in classes nor ignored",
    ),
    "two of one name": (
        lambda root: (root / "images" / "undated.TIFF").write_bytes(b"II*\0"),
        r"undated\.TIFF and undated\.tif have one name",
    ),
    "grid without a system": (
        lambda root: tiles.pair(root, "202309_a", 0, 0, crs=None),
        r"202309_a\.tif: no grid on the ground; give a reference system",
    ),
    "one piece": (lambda root: _huge(root), "stored in pieces of .* save it in tiles"),
}  # fmt: skip


def _grid(pixel):
    from rasterio import Affine

    return Affine(pixel, 0, tiles.LEFT, 0, -pixel, tiles.TOP)


def _huge(root):
    import rasterio

    size = {"height": 17_000, "width": 17_000, "count": 1, "dtype": "uint8"}
    more = {"crs": "EPSG:32652", "transform": _grid(10.0)} | {
        "tiled": True,
        "blockxsize": 17_008,
        "blockysize": 17_008,
        "SPARSE_OK": True,
    }
    with rasterio.open(root / "images" / "202309_a.tif", "w", driver="GTiff", **size, **more):
        pass


@pytest.mark.parametrize("case", BAD)
def test_folders_that_do_not_fit(tmp_path, options, case):
    change, match = BAD[case]
    root = tiles.make(tmp_path)
    change(root)
    with pytest.raises(BadRecordError, match=match) as caught:
        load(options, root=root)
    assert "\n" not in str(caught.value)


def test_masks_whose_names_fit_no_image_are_not_overlooked(tmp_path, options):
    root = tiles.make(tmp_path)
    for path in list((root / "masks").iterdir()):
        path.rename(path.with_stem(f"{path.stem}_mask"))
    with pytest.raises(DataNotFoundError, match=r"None of 7 files in masks has the name of an im"):
        load(options, root=root, unlabelled=True)
    (root / "masks" / "undated_mask.tif").rename(root / "masks" / "undated.tif")
    data = load(options, root=root, unlabelled=True, gap=0)
    assert data.info["masks_without_an_image"] == data.info["images_without_a_mask"] == 6


def test_pixels_without_data_have_no_class(tmp_path, options):
    root = tiles.make(tmp_path)
    mask = tiles.ground()[:64, :64].copy()
    image = np.stack([mask, mask + 1, mask // 2])
    image[:, :, 40:] = 0
    tiles.write(root / "images" / "202309_a.tif", image, 0, 0, nodata=0)
    mask[3, 3] = 255
    tiles.write(root / "masks" / "202309_a.tif", mask[None], 0, 0, nodata=255)
    data = load(options, root=root)
    (at,) = [at for at, name in enumerate(data.store.names) if name == "202309_a/0_0"]
    assert data.valid[at].all() and data.masks[at, 3, 3] == -1
    assert int((data.masks[at] < 0).sum()) == 1
    (edge,) = [at for at, name in enumerate(data.store.names) if name == "202309_a/0_32"]
    assert not data.valid[edge, :, 8:].any() and data.valid[edge, :, :8].all()
    assert (data.masks[edge, :, 8:] == -1).all()
    gone = [name for name in data.store.names if name == "202309_a/0_48"]
    assert not gone and data.info["crops_with_holes_left_out"] >= 4


def test_a_class_may_be_what_a_file_calls_no_data(tmp_path, options):
    import rasterio

    root = tiles.make(tmp_path)
    for path in (root / "masks").iterdir():
        with rasterio.open(path, "r+") as file:
            file.nodata = 100
    data = load(options, root=root)
    assert torch.equal(data.masks, load(options).masks)
    bare = load(options, root=root, classes=tiles.CLASSES, ignored=[100])
    assert torch.equal(bare.masks, load(options, classes=tiles.CLASSES, ignored=[100]).masks)


def test_one_class_and_ignored_pixels(tmp_path, options):
    root = tiles.make(tmp_path)
    tiles.write(root / "masks" / "undated.tif", np.full((1, 64, 64), 70, np.uint8), 130, 130)
    assert len(load(options, root=root)) == len(load(options))
    # Crops of ignored pixels alone have no label.
    tiles.write(root / "masks" / "undated.tif", np.full((1, 64, 64), 100, np.uint8), 130, 130)
    bare = {"root": root, "classes": tiles.CLASSES, "ignored": [100], "gap": 0}
    data = load(options, **bare, unlabelled=True)
    undated = torch.tensor([one.startswith("undated") for one in data.store.names])
    assert not data.labelled()[undated].any() and data.labelled()[~undated].any()
    assert len(load(options, "train", **bare)) > 0
    with pytest.raises(BadRecordError, match="Every pixel of the masks is ignored"):
        load(options, root=root, classes={1: "a"}, ignored=list(CLASSES))


def test_crops_larger_than_a_tile_and_tiles_of_many_sizes(tmp_path, options):
    options = options | {"val_fraction": 0.0, "test_fraction": 0.0}
    for at, side in enumerate((40, 64, 100)):
        mask = tiles.ground()[:side, 160 * at : 160 * at + side]
        tiles.write(tmp_path / "images" / f"t{at}.tif", mask[None], 0, 160 * at)
        tiles.write(tmp_path / "masks" / f"t{at}.tif", mask[None], 0, 160 * at)
    assert len(load(options, root=tmp_path, crop=20, min_valid=1.0)) == 4 + 9 + 25
    data = load(options, root=tmp_path, crop=80)
    assert data.valid.sum(dim=(1, 2)).tolist() == [64 * 64, 80 * 80]
    with pytest.raises(BadRecordError, match=r"No crop of 256 pixels .* up to 100 × 100; give a"):
        load(options, root=tmp_path, crop=256)


def test_a_large_tile_is_read_by_rows(tmp_path, options):
    import tracemalloc

    side = 1024
    mask = tiles.ground().repeat(2, axis=0).repeat(2, axis=1)
    size = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    image = np.stack([mask, mask, mask, mask, mask, mask]).astype(np.uint16)
    tiles.write(tmp_path / "images" / "a.tif", image, 0, 0, **size)
    tiles.write(tmp_path / "masks" / "a.tif", mask[None], 0, 0, **size)
    load(tiles.masked(tmp_path / "small"))  # what is imported counts once
    tracemalloc.start()
    try:
        data = load(options, root=tmp_path, crop=64)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    held = data.store.array.nbytes
    assert held == side**2 * 12
    # Masks, where there is data, a copy of both for this part, and a row of crops being cut.
    assert peak < held + 6 * side**2 + 3 * 64 * side * 12


def test_more_than_the_memory_is_refused_before_it_is_read(tmp_path, options, monkeypatch):
    root = tiles.make(tmp_path)
    monkeypatch.setattr("os.sysconf", lambda name: 4096 if "PAGE_SIZE" in name else 10)
    with pytest.raises(BadRecordError, match=r"The crops of 7 tiles take .* GB, and this machine"):
        load(options, root=root)


def test_what_was_read_without_a_mask_is_not_shared_with_who_needs_one(tmp_path):
    given = tiles.options(tmp_path)
    (tmp_path / "masks" / "undated.tif").unlink()
    kept = load(given, "train", unlabelled=True)
    with pytest.raises(DataNotFoundError, match="1 of 7 images have no mask of their name"):
        load(given, "train")
    assert len(kept)
