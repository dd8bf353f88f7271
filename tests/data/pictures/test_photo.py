"""Photos: where and when each says it was taken, what is done to it, and what is refused."""

from __future__ import annotations

import math
import random
import struct
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from csp_core.data.pictures import geotiff as geotiffs
from csp_core.data.pictures import open_picture, read_photo
from csp_core.data.pictures.georeference import centre
from csp_core.data.pictures.xmp import read_xmp
from csp_core.errors import BadRecordError, DataNotFoundError
from tests.data.sets.photos import encode, exif, geotiff, gps, pixels, xmp


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "HEIF"])
def test_every_format_gives_its_place_and_time(format):
    if format == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    data = exif(gps(-93.79, 41.7876, tag31=IFDRational(25)), taken="2023:07:02 18:00:00")
    photo = read_photo(encode(format=format, exif=data), f"a.{format.lower()}")
    assert photo.lonlat == pytest.approx((-93.79, 41.7876), abs=1e-5)
    assert photo.place_source == "EXIF" and photo.why_no_place == "" and photo.uncertainty_m == 25
    assert photo.date == pytest.approx(182 / 365) and photo.hour == 0.75
    assert photo.taken == "2023-07-02 18:00" and photo.notes == ()
    assert photo.image.shape == (3, 24, 32) and photo.image.dtype == torch.uint8


@pytest.mark.parametrize(("lon", "lat"), [(10.5, -33.25), (-10.5, 33.25), (179.99, -89.5)])
def test_all_quarters_of_the_earth(lon, lat):
    assert read_photo(encode(exif=exif(gps(lon, lat)))).lonlat == pytest.approx((lon, lat))


def test_a_file_and_its_bytes_are_read_alike(tmp_path):
    content = encode(exif=exif(gps(1, 2)))
    (tmp_path / "a.jpg").write_bytes(content)
    first, second = read_photo(tmp_path / "a.jpg"), read_photo(content, "a.jpg")
    assert torch.equal(first.image, second.image) and first.lonlat == second.lonlat
    assert first.name == second.name == "a.jpg"
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_picture_is_upright(orientation):
    upright = pixels()
    turned = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(turned[orientation]) if orientation > 1 else upright
    photo = read_photo(encode(stored, "PNG", exif=exif(orientation=orientation)))
    assert photo.image.shape == (3, 24, 32)
    assert torch.equal(photo.image, read_photo(encode(upright, "PNG")).image)


WITHOUT_PLACE = {
    "no EXIF": (encode(), "no EXIF data"),
    "EXIF without GPS": (encode(exif=exif(taken="2023:01:01 00:00:00")), "no GPS block"),
    "block without coordinates": (encode(exif=exif({0: b"\2\2\0\0"})), "without coordinates"),
    "latitude alone": (encode(exif=exif({1: "N", 2: (1, 2, 3)})), "without coordinates"),
    "0/0": (
        encode(exif=exif(gps(1, 1) | {2: (IFDRational(0, 0),) * 3})),
        "no numbers",
    ),
    "0°, 0°": (encode(exif=exif(gps(0, 0))), "0°, 0°"),
    "no such latitude": (encode(exif=exif(gps(10, 95))), "no such place"),
    "no reference": (encode(exif=exif({2: (1, 2, 3), 4: (1, 2, 3)})), "north or south"),
    "malformed": (encode(exif=b"Exif\0\0" + b"\xff" * 40), "malformed"),
    "cut off": (encode(exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x01"), "malformed"),
    "GeoTIFF without CRS": (geotiff(crs=None), "no coordinate reference system"),
    "GeoTIFF without grid": (geotiff(grid=False), "no grid"),
    "unreadable XMP place": (encode(xmp=xmp(exif__GPSLatitude="north", exif__GPSLongitude="1E")),
                             "cannot be read"),
    "XMP beyond the pole": (
        encode(xmp=xmp(dwc__decimalLatitude="99", dwc__decimalLongitude="1")), "no such place"),
}  # fmt: skip


@pytest.mark.parametrize("case", WITHOUT_PLACE)
def test_a_missing_place_has_one_reason_in_one_sentence(case):
    content, reason = WITHOUT_PLACE[case]
    photo = read_photo(content)
    assert photo.lonlat is None and photo.place_source is None
    assert reason in photo.why_no_place and photo.why_no_place.endswith(".")
    assert len(photo.why_no_place.splitlines()) == 1
    assert photo.image.shape[0] == 3


def test_xmp_takes_the_place_of_missing_exif():
    tags = {"dwc__decimalLatitude": "41.7876", "dwc__decimalLongitude": "-93.7902"}
    found = read_photo(
        encode(
            xmp=xmp(
                **tags,
                dwc__coordinateUncertaintyInMeters="30",
                dwc__scientificName="Araneus marmoreus",
                dwc__eventDate="2019-09-18",
            )
        )
    )
    assert found.lonlat == (-93.7902, 41.7876) and found.place_source == "XMP"
    assert found.uncertainty_m == 30 and found.taxon == "Araneus marmoreus"
    assert found.date == pytest.approx(260 / 365) and math.isnan(found.hour)
    assert found.taken == "2019-09-18"
    degrees = xmp(exif__GPSLatitude="41,47.256S", exif__GPSLongitude="93,47,24.6E")
    lon, lat = read_photo(encode(xmp=degrees)).lonlat
    assert (lon, lat) == pytest.approx((93.79017, -41.7876), abs=1e-5)
    odd = read_photo(encode(exif=exif(gps(0, 0)), xmp=xmp(**tags)))
    assert odd.place_source == "XMP" and "0°, 0°" in odd.notes[0]


def test_xmp_with_a_document_type_is_refused():
    bomb = b'<!DOCTYPE a [<!ENTITY b "c">]><a dwc:decimalLatitude="1">&b;</a>'
    assert read_xmp(bomb) == {} and read_xmp(b"") == {} and read_xmp(b"\xff\xfe") == {}


def test_a_species_among_keywords():
    packet = xmp().replace(
        b"</rdf:RDF>",
        b'<rdf:Description rdf:about=""><dc:subject xmlns:dc="http://purl.org/dc/elements/1.1/">'
        b"<rdf:Seq><rdf:li>Spiders</rdf:li><rdf:li>taxonomy:species=Araneus marmoreus</rdf:li>"
        b"</rdf:Seq></dc:subject></rdf:Description></rdf:RDF>",
    )
    assert read_photo(encode(xmp=packet)).taxon == "Araneus marmoreus"


@pytest.mark.parametrize("taken", ["0000:00:00 00:00:00", "yesterday", ""])
def test_unset_clocks_give_no_time(taken):
    photo = read_photo(encode(exif=exif(gps(1, 1), taken=taken)))
    assert math.isnan(photo.date) and math.isnan(photo.hour) and photo.taken == ""


def test_a_geotiff_is_where_its_middle_is():
    photo = read_photo(geotiff(), "a.tif")
    assert photo.lonlat == pytest.approx((11.0, 47.5)) and photo.place_source == "georeference"
    assert photo.image.shape == (3, 10, 20) and photo.image[0, 0].tolist() == list(range(20))
    many = read_photo(geotiff(bands=13, dtype="uint16"))
    assert many.image.shape == (13, 10, 20) and many.image.dtype == torch.int16
    deep = read_photo(geotiff(bands=3, dtype="uint16"))
    assert deep.image.shape == (3, 10, 20) and deep.image.dtype == torch.uint8
    assert deep.lonlat == pytest.approx((11.0, 47.5))
    metres = read_photo(geotiff(crs="EPSG:32631"))
    assert metres.place_source == "georeference"


def half_clear(mode):
    found = pixels(mode=mode)
    found.putalpha(Image.new("L", found.size, 128))
    return found


CHANGED = {
    "CMYK": (encode(pixels(mode="CMYK")), "print (CMYK)"),
    "alpha": (encode(half_clear("RGBA"), "PNG"), "made white"),
    "grey": (encode(pixels(mode="L"), "PNG"), "grey"),
    "16 bits": (encode(pixels(mode="L").convert("I;16"), "PNG"), "more than 8 bits"),
    "animated": (
        encode(pixels(), "WEBP", save_all=True, append_images=[pixels(seed=3)]),
        "2 pictures; the first",
    ),
    "pages": (
        encode(pixels(), "TIFF", save_all=True, append_images=[pixels(seed=3)]),
        "2 pages; the first",
    ),
}


@pytest.mark.parametrize("case", CHANGED)
def test_what_was_done_to_a_picture_is_said(case):
    content, said = CHANGED[case]
    photo = read_photo(content)
    assert any(said in note for note in photo.notes), photo.notes
    assert photo.image.shape == (3, 24, 32) and photo.image.dtype == torch.uint8
    assert all(note.endswith(".") for note in photo.notes)


def test_16_bits_keep_their_brightness():
    ramp = Image.new("I;16", (2, 1))
    ramp.putpixel((0, 0), 65_535)
    assert read_photo(encode(ramp, "PNG")).image[0].tolist() == [[255, 0]]


def test_transparent_is_white():
    clear = Image.new("RGBA", (2, 2), (0, 0, 0, 0))
    assert (read_photo(encode(clear, "PNG")).image == 255).all()


def test_a_wrong_extension_is_noted_and_read():
    photo = read_photo(encode(format="PNG"), "a.jpg")
    assert photo.format == "PNG" and "called .jpg, but is a PNG" in photo.notes[0]
    assert read_photo(encode(), "a.JPEG").notes == ()


def huge_png(side=10_000):
    """Claim a size in the header, which is all that may be read of it."""
    content = bytearray(encode(format="PNG"))
    content[16:24] = struct.pack(">II", side, side)
    import zlib

    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


REFUSED = {
    "empty": (b"", "empty"),
    "text": (b"This is no picture.", "no picture that can be read"),
    "truncated JPEG": (encode(pixels(300, 300))[:2000], "cut short or damaged"),
    "truncated PNG": (encode(pixels(300, 300), "PNG")[:300], "cut short or damaged"),
    "truncated TIFF": (geotiff(bands=13, dtype="uint16")[:900], "cut short or damaged"),
    "100 megapixels": (huge_png(), "fewer than 100 megapixels"),
    "far more": (huge_png(60_000), "100 megapixels"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_picture_is_refused_in_one_sentence(case):
    content, reason = REFUSED[case]
    with pytest.raises(BadRecordError, match=r"^bad\.jpg: ") as refused:
        read_photo(content, "bad.jpg")
    assert reason in str(refused.value) and len(str(refused.value).splitlines()) == 1


def test_99_megapixels_are_not_refused_for_their_size():
    with pytest.raises(BadRecordError, match="cut short or damaged"):
        read_photo(huge_png(9_949))


def test_no_file(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"No file .*none\.jpg"):
        read_photo(tmp_path / "none.jpg")


def test_a_square_from_the_middle():
    photo = read_photo(encode(pixels(60, 40), "PNG"), size=20)
    assert photo.image.shape == (3, 20, 20)
    # Columns 10 to 50 of the picture: its green falls by 4 a column.
    green = photo.image[1].float()
    assert green[:, 0].mean() == pytest.approx(255 - 4 * 10.5, abs=2)


def spoilt(content, chance):
    """Cut a file short, or change some of its bytes."""
    content = bytearray(content)
    if chance.random() < 0.3:
        return bytes(content[: chance.randrange(1, len(content))])
    reach = min(len(content), chance.choice([60, 400, len(content)]))
    for _ in range(chance.choice([1, 2, 5, 20])):
        content[chance.randrange(reach)] = chance.randrange(256)
    return bytes(content)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "GeoTIFF", "bands"])
def test_spoilt_files_are_read_or_refused_in_one_sentence(format):
    data = {"exif": exif(gps(-93.79, 41.7876), taken="2023:07:02 18:00:00")}
    if format == "TIFF":
        whole = encode(format=format, **data)
    elif format == "GeoTIFF":
        whole = geotiff()
    elif format == "bands":
        whole = geotiff(bands=13, dtype="uint16")
    else:
        whole = encode(format=format, **data, xmp=xmp(exif__GPSLatitude="41,47.2N"))
    chance = random.Random(format)
    for _ in range(80):
        try:
            photo = read_photo(spoilt(whole, chance), "x.jpg")
        except BadRecordError as error:
            assert len(str(error).splitlines()) == 1
            continue
        assert bool(photo.why_no_place) == (photo.lonlat is None)
        assert all(len(note.splitlines()) == 1 for note in photo.notes)


@pytest.mark.parametrize("within", ["-5", "nan", "inf", "5 m", ""])
def test_a_radius_that_is_none_leaves_the_place(within):
    packet = xmp(
        dwc__decimalLongitude="11", dwc__decimalLatitude="47",
        dwc__coordinateUncertaintyInMeters=within,
    )  # fmt: skip
    photo = read_photo(encode(format="PNG", pnginfo=_itxt(packet)))
    assert photo.lonlat == (11.0, 47.0) and photo.uncertainty_m is None


def _itxt(packet):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet.decode())
    return info


def test_formats_that_run_other_programs_are_not_opened():
    with pytest.raises(BadRecordError, match="no picture that can be read"):
        read_photo(encode(format="EPS"), "a.jpg")


def test_only_tiffs_are_asked_for_their_place():
    # GDAL would follow the names in such a file.
    virtual = b'<VRTDataset rasterXSize="1" rasterYSize="1"><SRS>EPSG:4326</SRS></VRTDataset>'
    with pytest.raises(BadRecordError, match="cut short or damaged"):
        centre(virtual, "a.tif")


def test_bands_of_floating_point_and_complex_numbers():
    floats = read_photo(geotiff(bands=5, dtype="float32")).image
    assert floats.dtype == torch.float32 and floats[0, 0, 3] == 3
    with pytest.raises(BadRecordError, match="complex"):
        read_photo(geotiff(bands=5, dtype="complex64"))


@pytest.mark.parametrize("bands", [3, 5])
@pytest.mark.parametrize("dtype", ["complex64", "complex128", "complex_int16"])
def test_complex_numbers_are_refused_with_what_would_do(bands, dtype):
    content = sparse_geotiff(64, bands, dtype)
    with pytest.raises(BadRecordError, match=rf"complex numbers \({dtype}\): give real ones"):
        read_photo(content, "a.tif")


def test_complex_numbers_are_refused_before_they_are_read():
    # Most pixels are not there: to read them would give another sentence.
    with pytest.raises(BadRecordError, match="complex"):
        read_photo(geotiff(bands=13, dtype="complex64")[:2000], "a.tif")


def sparse_geotiff(side, bands, dtype):
    """Write a file of a few kilobytes that claims many pixels, none of which it holds."""
    import warnings

    from rasterio.errors import NotGeoreferencedWarning
    from rasterio.io import MemoryFile

    with warnings.catch_warnings(), MemoryFile() as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        size = {"width": side, "height": side, "count": bands, "dtype": dtype}
        layout = {"tiled": True, "blockxsize": 512, "blockysize": 512, "interleave": "band"}
        with memory.open(driver="GTiff", SPARSE_OK=True, **size, **layout):
            pass
        return bytes(memory.read())


def test_what_is_read_is_bounded_in_bytes():
    content = sparse_geotiff(3000, 20, "float64")
    assert len(content) < 100_000
    with pytest.raises(BadRecordError, match=r"20 bands of float64 take 1440 MB; up to 1000"):
        read_photo(content, "a.tif")


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_the_largest_picture_passes_the_bound_in_bytes(dtype):
    largest = SimpleNamespace(width=9999, height=9999, count=3, dtypes=(dtype,) * 3)
    geotiffs._check_size(largest, "a.tif")


# The types of TIFF's numbers, and values that no XMP packet has.
SHORT, LONG, SLONG, DOUBLE = (3, "H"), (4, "I"), (9, "i"), (12, "d")
ODD_PACKETS = {
    "DOUBLE": (DOUBLE, (1.5,)),
    "DOUBLEs": (DOUBLE, (1.5, 2.5)),
    "SHORTs": (SHORT, (60, 256)),
    "SLONG": (SLONG, (-1,)),
    "LONG": (LONG, (300_000_000,)),
}


def with_packet(kind, values):
    """Write a TIFF whose XMP tag claims to be of another type than bytes."""
    number, letter = kind
    packed = struct.pack(f"<{len(values)}{letter}", *values)
    content = encode(format="TIFF", tiffinfo={700: packed})
    entry = struct.pack("<HHI", 700, 1, len(packed))
    assert content.count(entry) == 1
    return content.replace(entry, struct.pack("<HHI", 700, number, len(values)))


@pytest.mark.parametrize("case", ODD_PACKETS)
def test_a_packet_of_other_numbers_than_bytes_is_none(case):
    content = with_packet(*ODD_PACKETS[case])
    assert open_picture(content).xmp == b""
    assert read_photo(content, "a.tif").image.shape == (3, 24, 32)


def test_a_packet_of_small_whole_numbers_is_read():
    packet = xmp(dwc__scientificName="Araneus marmoreus")
    assert open_picture(with_packet(SHORT, tuple(packet))).xmp == packet


def dated(**tags):
    """Make EXIF data with dates in tags other than the usual one."""
    data = exif()
    for name, value in tags.items():
        if name == "gps":
            data[0x8825] = {29: value, 7: (23.0, 59.0, 0.0)}
        elif name == "written":
            data[306] = value
        else:
            data.get_ifd(0x8769)[36868] = value
    return data


LATER, EARLIER = "2024:06:02 10:00:00", "2023:07:02 18:00:00"


@pytest.mark.parametrize(
    ("tags", "packet", "taken", "source"),
    [
        ({"digitised": LATER}, {}, "2024-06-02 10:00", "EXIF DateTimeDigitized"),
        ({"gps": "2024:06:02"}, {}, "2024-06-02", "EXIF GPSDateStamp, a date in UTC"),
        (
            {"written": LATER},
            {},
            "2024-06-02 10:00",
            "EXIF DateTime, when the file was last written",
        ),
        (
            {"written": LATER},
            {"exif__DateTimeOriginal": "2023-07-02"},
            "2023-07-02",
            "XMP exif:DateTimeOriginal",
        ),
        (
            {"gps": "2024:06:02", "written": "2025:01:01 00:00:00"},
            {},
            "2024-06-02",
            "EXIF GPSDateStamp, a date in UTC",
        ),
        ({"digitised": "0000:00:00 00:00:00", "written": EARLIER}, {}, "2023-07-02 18:00",
         "EXIF DateTime, when the file was last written"),
        ({"gps": "2024:13:40"}, {}, "", ""),
    ],
)  # fmt: skip
def test_a_date_of_another_tag_is_found_and_the_tag_named(tags, packet, taken, source):
    options = {"xmp": xmp(**packet)} if packet else {}
    photo = read_photo(encode(exif=dated(**tags), **options))
    assert (photo.taken, photo.taken_source) == (taken, source)
    assert math.isnan(photo.date) == (not taken)
    assert math.isnan(photo.hour) == (len(taken) <= 10)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2019-05-01/2019-12-31", "is no single time"),
        ("2019:05:01 - 2019:05:09", "is no single time"),
        ("2019-05-01 09:30-15:45", "is no single time"),
        ("2999:05:01 12:00:00", "lies in the future"),
        ("1899:12:31 00:00:00", "never set"),
        *((f"{year}:01:01 00:00:00", "never set") for year in (1601, 1900, 1904, 1970, 1980, 2000)),
    ],
)
def test_what_is_no_single_past_time_gives_no_date(text, said):
    photo = read_photo(encode(exif=exif(taken=text)))
    assert photo.taken == "" and math.isnan(photo.date)
    (note,) = photo.notes
    assert said in note and text in note


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("2019-05-01T09:30:00.25+02:00", "2019-05-01 09:30"),
        ("2019-05-01T09:30Z", "2019-05-01 09:30"),
        ("2008-05-25T19:31:26.0+1:00", "2008-05-25 19:31"),
        ("2000:01:01 14:05:10", "2000-01-01 14:05"),
        ("2019-05-01", "2019-05-01"),
    ],
)
def test_a_time_may_have_parts_of_seconds_and_a_zone(text, taken):
    photo = read_photo(encode(exif=exif(taken=text)))
    assert photo.taken == taken and not photo.notes
