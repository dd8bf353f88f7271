"""Rasters taken for pictures: ground control points, no data, decibels, colours, camera raws."""

from __future__ import annotations

import math
import struct
import warnings

import numpy as np
import pytest
import torch
from PIL import Image, features
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile
from rasterio.rpc import RPC

from csp_core.data.pictures import ENDINGS, read_photo, thumbnail
from csp_core.data.pictures.raws import is_raw
from csp_core.errors import BadRecordError
from tests.data.sets.photos import encode, exif, geotiff, gps, pixels, xmp


def raster(values, *, points=None, points_crs="EPSG:4326", rpcs=None, tags=None, **profile):
    """Write ``(bands, H, W)`` as a TIFF."""
    bands, high, wide = values.shape
    profile |= {"width": wide, "height": high, "count": bands, "dtype": values.dtype.name}
    with warnings.catch_warnings(), MemoryFile() as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open(driver="GTiff", **profile) as file:
            file.write(values)
            if points is not None:
                file.gcps = (points, points_crs)
            if rpcs is not None:
                file.rpcs = rpcs
            if tags:
                file.update_tags(**tags)
        return bytes(memory.read())


def corners(west, south, east, north, wide=20, high=10):
    return [
        GroundControlPoint(row, col, x, y)
        for row, y in ((0, north), (high, south))
        for col, x in ((0, west), (wide, east))
    ]


GREY = np.tile(np.arange(20, dtype=np.uint8), (3, 10, 1))
CONTROLLED = {
    "degrees": (corners(13, 52, 14, 53), "EPSG:4326", (13.5, 52.5)),
    "three corners": (corners(13, 52, 14, 53)[:3], "EPSG:4326", (13.5, 52.5)),
    "turned": ([GroundControlPoint(0, 0, 10, 50), GroundControlPoint(0, 20, 12, 52),
                GroundControlPoint(10, 0, 11, 49), GroundControlPoint(10, 20, 13, 51)],
               "EPSG:4326", (11.5, 50.5)),
    "metres": (corners(400_000, 5_700_000, 402_000, 5_701_000), "EPSG:32633", None),
    "across the antimeridian": (corners(179, -17, -179, -16), "EPSG:4326", (180, -16.5)),
    "longitudes to 360": (corners(189, -17, 191, -16), "EPSG:4326", (-170, -16.5)),
}  # fmt: skip


@pytest.mark.parametrize("case", CONTROLLED)
def test_control_points_place_the_middle(case):
    points, crs, expected = CONTROLLED[case]
    photo = read_photo(raster(GREY, points=points, points_crs=crs), "a.tif")
    assert photo.place_source == "georeference", photo.why_no_place
    assert photo.notes == (f"Placed by {len(points)} ground control points.",)
    if expected is None:  # computed by another way: the middle in metres, converted
        from pyproj import Transformer

        expected = Transformer.from_crs(crs, 4326, always_xy=True).transform(401_000, 5_700_500)
    lon, lat = photo.lonlat
    apart = (lon - expected[0] + 180) % 360 - 180
    assert (apart, lat) == pytest.approx((0, expected[1]), abs=1e-6)


@pytest.mark.parametrize(("west", "middle"), [(179.9, -179.1), (350, -9), (-181.5, 179.5)])
def test_a_grid_over_180_degrees_wraps(west, middle):
    grid = Affine(0.1, 0, west, 0, -0.1, 10)
    photo = read_photo(
        raster(np.zeros((3, 20, 20), "uint8"), crs="EPSG:4326", transform=grid), "a.tif"
    )
    assert photo.lonlat == pytest.approx((middle, 9))


def test_a_mask_of_white_on_black_is_no_missing_data():
    values = np.zeros((1, 20, 20), "uint16")
    values[:, :5] = 65535
    photo = read_photo(raster(values), "a.tif")
    assert photo.image[:, :5].min() == 255 and photo.image[:, 5:].max() == 0


def test_many_points_follow_a_curve():
    points = [
        GroundControlPoint(row, col, 10 + col / 20 + (col / 20) ** 2, 50 - row / 10)
        for row in (0, 3, 7, 10)
        for col in (0, 6, 13, 20)
    ]
    photo = read_photo(raster(GREY, points=points), "a.tif")
    assert photo.lonlat == pytest.approx((10.75, 49.5))


LOST = {
    "on one line": ([GroundControlPoint(i, i, i, i) for i in range(5)], "EPSG:4326", "no line"),
    "two": (corners(13, 52, 14, 53)[:2], "EPSG:4326", "three are needed"),
    "nowhere": (corners(13, 152, 14, 153), "EPSG:4326", "no place on Earth"),
}


@pytest.mark.parametrize("case", LOST)
def test_control_points_that_do_not_do_are_told(case):
    points, crs, reason = LOST[case]
    photo = read_photo(raster(GREY, points=points, points_crs=crs), "a.tif")
    assert photo.lonlat is None and reason in photo.why_no_place


def test_rational_polynomials_place_the_middle():
    zeros = [0.0] * 16
    # The row runs against latitude, the column with longitude.
    line = [0, 0, -1, 0, *zeros]
    rpcs = RPC(
        height_off=100, height_scale=500, lat_off=45.0, lat_scale=0.5, line_off=5,
        line_scale=5, line_num_coeff=line, line_den_coeff=[1, 0, 0, 0, *zeros],
        long_off=7.0, long_scale=1.0, samp_off=10, samp_scale=10,
        samp_num_coeff=[0, 1, 0, 0, *zeros], samp_den_coeff=[1, 0, 0, 0, *zeros],
        err_bias=None, err_rand=None,
    )  # fmt: skip
    photo = read_photo(raster(GREY, rpcs=rpcs), "a.tif")
    assert photo.lonlat == pytest.approx((7.0, 45.0), abs=0.2), photo.why_no_place
    assert "rational polynomials" in photo.notes[0]


def test_a_tiff_that_is_nowhere_speaks_of_no_exif_data():
    for content in (raster(GREY), raster(ramp("float32", 0, 1)), encode(format="TIFF")):
        why = read_photo(content, "a.tif").why_no_place
        assert why == "The TIFF has neither a GPS block nor a georeference."


# No data


def ramp(dtype, low, high, bands=1):
    one = np.linspace(low, high, 40 * 40).reshape(1, 40, 40).astype(dtype)
    return np.repeat(one, bands, axis=0)


HOLED = {
    "uint16, one band": ("uint16", 0, 4000, 1, 65535),
    "uint16, three bands": ("uint16", 0, 4000, 3, 65535),
    "int16": ("int16", 0, 4000, 1, -32768),
    "int16, four bands": ("int16", 0, 4000, 4, -9999),
    "float32": ("float32", 0, 0.4, 1, -9999),
    "float32, three bands": ("float32", 0, 0.4, 3, 1e20),
    "float32, NaN": ("float32", 0, 0.4, 1, math.nan),
    "float64, the lowest number": ("float64", 0, 0.4, 2, float(np.finfo(np.float32).min)),
}


@pytest.mark.parametrize("case", HOLED)
def test_no_data_is_left_out_of_the_scale(case):
    dtype, low, high, bands, nodata = HOLED[case]
    values = ramp(dtype, low, high, bands)
    # The dark half is lost in one corner, so that the scale is that of the whole.
    values[:, :10, :10] = nodata
    photo = read_photo(raster(values, nodata=nodata), "a.tif")
    shown = photo.image[0].float()
    assert (shown[:10, :10] == 0).all() and shown.max() == 255
    wanted = torch.from_numpy(values[0].astype(np.float64))[12:] / high * 255
    assert (shown[12:] - wanted.clamp(0, 255)).abs().max() < 2
    assert any("are no data" in note and "6 %" in note for note in photo.notes), photo.notes


@pytest.mark.parametrize(("dtype", "high", "none"), [
    ("uint16", 4000, 65535), ("int16", 4000, 32767), ("float32", 0.4, 1e20), ("int16", 4000, -9999),
    ("float32", 0.4, 9.96921e36), ("float32", 0.4, math.inf), ("float32", 0.4, -3.4e38),
])  # fmt: skip
@pytest.mark.parametrize("bands", [1, 3])
def test_no_data_that_is_not_declared(dtype, high, none, bands):
    values = ramp(dtype, 0, high, bands)
    values[:, :10, :10] = none
    photo = read_photo(raster(values), "a.tif")
    shown = photo.image[0].float()
    wanted = torch.from_numpy(values[0].astype(np.float64))[12:] / high * 255
    assert (shown[:10, :10] == 0).all() and (shown[12:] - wanted).abs().max() < 2
    assert any("6 % of the values are no data" in note for note in photo.notes), photo.notes


def test_a_bright_picture_keeps_its_brightest_value():
    photo = read_photo(raster(ramp("uint16", 0, 65535, 3)), "a.tif")
    assert photo.image.max() == 255 and not any("no data" in note for note in photo.notes)


@pytest.mark.parametrize("nodata", [None, -9999, math.nan, -math.inf])
@pytest.mark.parametrize("bands", [1, 2, 3])
def test_decibels_of_radar_are_a_scale_of_their_own(nodata, bands):
    values = ramp("float32", -25, -3, bands)
    values[:, :10, :10] = -9999 if nodata is None else nodata
    photo = read_photo(raster(values, **({} if nodata is None else {"nodata": nodata})), "a.tif")
    shown = photo.image[0].float()
    wanted = (torch.from_numpy(values[0])[12:] + 25) / 22 * 255
    assert (shown[:10, :10] == 0).all() and (shown[12:] - wanted).abs().max() < 4
    assert any("as decibels have" in note for note in photo.notes), photo.notes


def test_noise_below_zero_is_no_scale():
    values = ramp("float32", -0.001, 0.4)
    photo = read_photo(raster(values), "a.tif")
    assert not any("decibels" in note for note in photo.notes)


def test_a_picture_of_no_data_alone_is_refused():
    for nodata in (65535, 0):
        content = raster(np.full((3, 8, 8), nodata, dtype=np.uint16), nodata=nodata)
        with pytest.raises(BadRecordError, match=f"holds no data: all its values are {nodata}"):
            read_photo(content, "a.tif")


@pytest.mark.parametrize(("dtype", "nodata"), [("float32", -9999), ("float32", math.nan),
                                               ("uint16", 65535), ("int16", -9999)])  # fmt: skip
def test_no_data_of_many_bands_is_zero_and_told(dtype, nodata):
    values = ramp(dtype, 1, 100, 6)
    values[:, :10, :10] = nodata
    photo = read_photo(raster(values, nodata=nodata), "a.tif")
    assert photo.image.shape == (6, 40, 40) and (photo.image[:, :10, :10] == 0).all()
    assert photo.image.max() == 100 and "6 % of the values are no data" in photo.notes[0]


def test_values_that_16_bits_cannot_hold_are_told():
    photo = read_photo(raster(ramp("uint16", 0, 65535, 6)), "a.tif")
    assert photo.image.max() == 32_767 and "above 32,767 were set to it" in photo.notes[0]


def test_a_thumbnail_of_decibels_is_not_black():
    image = torch.linspace(-25, -3, 5 * 1600).reshape(5, 40, 40)
    image[:, :10, :10] = 0
    import io

    shown = np.asarray(Image.open(io.BytesIO(thumbnail(image, 200))))
    assert shown[:10, :10].max() == 0 and shown[12:].max() > 80


def test_a_deep_tiff_keeps_its_place_and_turns():
    values = np.zeros((3, 30, 40), dtype=np.uint16)
    values[:, :10] = 4000
    image = Image.fromarray(values[0])
    tagged = exif(gps(18.42, -33.858), orientation=6, taken="2023:07:02 18:00:00")
    photo = read_photo(encode(image, "TIFF", exif=tagged), "a.tif")
    assert photo.lonlat == pytest.approx((18.42, -33.858)) and photo.image.shape == (3, 40, 30)
    # Pillow writes no three bands of 16 bits, so the tags of such a file are made here.
    content = raster(values, nodata=7, photometric="RGB")
    assert read_photo(content, "a.tif").image.shape == (3, 30, 40)
    float_tiff = encode(Image.fromarray(values[0].astype(np.float32)), "TIFF", exif=tagged)
    photo = read_photo(float_tiff, "a.tif")
    assert photo.lonlat == pytest.approx((18.42, -33.858)) and photo.taken == "2023-07-02 18:00"
    assert photo.image.shape == photo.stored == (3, 40, 30)
    # A quarter to the right: what was above is at the right.
    assert photo.image[0, 0, -1] == 255 and photo.image[0, 0, 0] == 0


def test_a_grey_in_which_0_is_white():
    values = ramp("uint16", 0, 1000)
    light = read_photo(raster(values, photometric="MINISWHITE"), "a.tif").image
    assert light[0, 0, 0] == 255 and light[0, -1, -1] == 0


# Colours


@pytest.mark.parametrize("mode", ["LAB", "CMYK", "YCbCr"])
def test_colours_come_out_red_and_nothing_is_called_transparent(mode):
    red = {"LAB": (112, 192, 170), "CMYK": (0, 255, 255, 0), "YCbCr": (76, 85, 255)}[mode]
    photo = read_photo(encode(Image.new(mode, (16, 16), red), "TIFF"), "a.tif")
    r, g, b = photo.image[:, 8, 8].tolist()
    assert r > 190 and g < 60 and b < 60
    assert not any("ransparent" in note for note in photo.notes)
    assert (mode == "LAB") == any("Lab" in note for note in photo.notes)


@pytest.mark.parametrize("mode", ["L", "I;16", "1"])
def test_grey_is_not_transparent(mode):
    photo = read_photo(encode(pixels(mode="L").convert(mode), "PNG"), "a.png")
    assert not any("ransparent" in note for note in photo.notes)


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_one_colour_that_is_transparent_is_white(mode):
    image = Image.new(mode, (8, 8), 0)
    clear = (0, 0, 0) if mode == "RGB" else 0
    photo = read_photo(encode(image, "PNG", transparency=clear), "a.png")
    assert (photo.image == 255).all() and "Transparent parts were made white." in photo.notes


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_deep_colours_that_are_not_red_green_blue_are_refused(dtype):
    content = raster(ramp(dtype, 0, 1000, 3), photometric="CIELAB")
    with pytest.raises(BadRecordError, match=f"colours are Lab in {dtype}: save it as RGB"):
        read_photo(content, "a.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "I;16", "F"])
def test_a_tiff_is_turned_once(orientation, mode):
    values = np.linspace(0, 255, 12).reshape(3, 4)
    if mode == "RGB":
        stored = Image.fromarray(values.astype(np.uint8)).convert("RGB")
    else:
        kind = np.uint16 if mode == "I;16" else np.float32
        stored = Image.fromarray((values * 257).astype(kind))
    content = encode(stored, "TIFF", tiffinfo={274: orientation})
    upright = {
        1: values, 2: values[:, ::-1], 3: values[::-1, ::-1], 4: values[::-1],
        5: values.T, 6: values.T[:, ::-1], 7: values.T[::-1, ::-1], 8: values.T[::-1],
    }[orientation]  # fmt: skip
    photo = read_photo(content, "a.tif")
    assert photo.stored == tuple(photo.image.shape) == (3, *upright.shape)
    assert np.abs(photo.image[0].numpy() - upright).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_an_alpha_channel_of_opaque_pixels_is_no_transparency(mode, kind):
    whole, part = pixels(mode=mode), pixels(mode=mode)
    part.putpixel((3, 3), (0,) * len(mode))
    options = {"lossless": True} if kind == "WEBP" else {}
    told = [read_photo(encode(image, kind, **options)).notes for image in (whole, part)]
    assert not any("ransparent" in note for note in told[0])
    assert any("ransparent" in note for note in told[1])


# Camera raws


def tiff_of(*folders, order="<", mark=b""):
    """Write folders of tags, each in which 330 leads to the next that is listed below it."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(mark)) + mark
    sizes = [2 + 12 * len(tags) + 4 for tags in folders]
    starts = [len(head) + sum(sizes[:i]) for i in range(len(folders))]
    body = b""
    for tags in folders:
        body += struct.pack(order + "H", len(tags))
        for tag, value in sorted(tags.items()):
            value = starts[value[0]] if isinstance(value, list) else value
            body += struct.pack(order + "HHII", tag, 4, 1, value)
        body += bytes(4)
    return head + body + bytes(64)


SMALL = {256: 160, 257: 120, 254: 1}
RAWS = {
    "DNG": tiff_of({**SMALL, 50706: 0x01040000}),
    "DNG whose first picture is the sensor's": tiff_of({256: 9000, 257: 6000, 262: 32803}),
    "linear DNG": tiff_of({256: 9000, 257: 6000, 262: 34892}),
    "NEF": tiff_of({**SMALL, 330: [1]}, {256: 8000, 257: 5000, 262: 32803, 259: 34713}, order=">"),
    "ARW": tiff_of({**SMALL, 330: [1]}, {256: 8000, 257: 5000, 259: 32767}),
    "PEF": tiff_of({256: 6000, 257: 4000, 259: 65535}),
    "CR2": tiff_of({256: 5000, 257: 3000}, mark=b"CR\2\0\0\0\0\0"),
    "CR3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
    "RAF": b"FUJIFILMCCD-RAW 0201FF383501",
    "ORF": b"IIRO\x08\0\0\0" + bytes(60),
    "RW2": b"IIU\0\x18\0\0\0" + bytes(60),
    "CRW": b"II\x1a\0\0\0HEAPCCDR" + bytes(60),
    "X3F": b"FOVb" + bytes(60),
}


@pytest.mark.parametrize("case", RAWS)
def test_a_camera_raw_is_told_with_what_would_work(case):
    with pytest.raises(BadRecordError, match="This is a camera raw") as refused:
        read_photo(RAWS[case], f"a.{case[:3].lower()}")
    said = str(refused.value)
    assert "export it as JPEG or TIFF" in said and len(said.splitlines()) == 1


def test_a_raw_under_another_name_is_one_too():
    with pytest.raises(BadRecordError, match=r"^a\.tif: This is a camera raw, in"):
        read_photo(RAWS["NEF"], "a.tif")


def test_a_whole_raw_with_a_thumbnail_that_decodes():
    thumb = pixels(64, 48)
    content = encode(thumb, "TIFF", tiffinfo={50706: b"\1\4\0\0", 254: 1})
    with pytest.raises(BadRecordError, match=r"camera raw \(DNG\)"):
        read_photo(content, "a.dng")


PICTURES = {
    "TIFF": encode(format="TIFF"),
    "pages": encode(format="TIFF", save_all=True, append_images=[pixels(seed=3)]),
    "GeoTIFF": geotiff(),
    "a pyramid": tiff_of({256: 100, 257: 100, 330: [1]}, {256: 50, 257: 50, 254: 1}),
    "JPEG": encode(),
    "PNG": encode(format="PNG"),
    "cut": b"II*\0\x08\0",
    "empty": b"",
}


@pytest.mark.parametrize("case", PICTURES)
def test_other_files_are_no_raws(case):
    assert not is_raw(PICTURES[case])


# AVIF


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_gives_pixels_place_and_time():
    data = exif(gps(-93.79, 41.7876), taken="2023:07:02 18:00:00", orientation=6)
    photo = read_photo(encode(format="AVIF", exif=data), "a.avif")
    assert photo.format == "AVIF" and photo.notes == () and photo.image.shape == (3, 32, 24)
    assert photo.lonlat == pytest.approx((-93.79, 41.7876)) and photo.taken[:10] == "2023-07-02"
    tagged = encode(format="AVIF", xmp=xmp(exif__GPSLatitude="1N", exif__GPSLongitude="2E"))
    assert read_photo(tagged).lonlat == (2.0, 1.0)
    with pytest.raises(BadRecordError, match=r"damaged|no picture"):
        read_photo(tagged[:200], "a.avif")


def test_without_avif_it_is_said(monkeypatch):
    monkeypatch.setattr(features, "check", lambda name: False)
    with pytest.raises(BadRecordError, match="reads no AVIF: give a JPEG"):
        read_photo(b"\0\0\0\x20ftypavif" + bytes(40), "a.avif")


def test_one_list_of_endings():
    assert {".jpg", ".jpeg", ".avif", ".heic", ".tif", ".webp", ".png"} <= set(ENDINGS)
    assert len(ENDINGS) == len(set(ENDINGS)) and not {".gif", ".dng"} & set(ENDINGS)
