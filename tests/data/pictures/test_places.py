"""Places that photos write in odd ways: signs, references, XMP of every spelling, sidecars."""

from __future__ import annotations

import re
import struct
from fractions import Fraction

import pytest

from csp_core import load_dataset
from csp_core.data.pictures import read_photo
from csp_core.data.pictures.degrees import NoAngleError, of_parts, of_text
from csp_core.data.pictures.found import kilometres
from csp_core.data.pictures.sidecar import beside
from tests.data.sets.photos import encode, exif, gps, pixels, xmp

SPACE = "http://ns.adobe.com/exif/1.0/"


def block_of(tags):
    """Write EXIF data with a GPS block, numbers as signed rationals, which Pillow writes never."""
    start = 8 + 2 + 12 + 4
    room = start + 2 + 12 * len(tags) + 4
    rows, values = b"", b""
    for tag, value in sorted(tags.items()):
        if isinstance(value, str):
            text = value.encode() + b"\0"
            kind, count, packed = 2, len(text), text
        else:
            parts = [Fraction(part).limit_denominator(10**6) for part in value]
            flat = [number for part in parts for number in (part.numerator, part.denominator)]
            kind, count, packed = 10, len(parts), struct.pack(f"<{len(flat)}i", *flat)
        if len(packed) <= 4:
            rows += struct.pack("<HHI", tag, kind, count) + packed.ljust(4, b"\0")
        else:
            rows += struct.pack("<HHII", tag, kind, count, room + len(values))
            values += packed
    first = struct.pack("<HHHII", 1, 34853, 4, 1, start) + bytes(4)
    inner = struct.pack("<H", len(tags)) + rows + bytes(4)
    return b"Exif\0\0II*\0\x08\0\0\0" + first + inner + values


def placed(lat, lat_ref, lon=(18, 25, 12), lon_ref="E", **more):
    block = {2: lat, 4: lon} | {int(key.removeprefix("tag")): value for key, value in more.items()}
    block |= {1: lat_ref} if lat_ref is not None else {}
    return read_photo(encode(exif=block_of(block | ({3: lon_ref} if lon_ref else {}))))


SIGNED = {
    "degrees alone": ((-33.858,), "S", -33.858),
    "all parts": ((-33, -51, -28.8), "S", -33.858),
    "the first part": ((-33, 51, 28.8), "S", -33.858),
    "minutes, below one degree": ((0, -30, 0), "S", -0.5),
    "no reference": ((-33, 51, 28.8), None, -33.858),
    "plain": ((33, 51, 28.8), "S", -33.858),
    "north": ((33, 51, 28.8), "N", 33.858),
    "a word": ((33, 51, 28.8), "South", -33.858),
    "small letter": ((33, 51, 28.8), "s", -33.858),
    "60 seconds by rounding": ((33, 51, 60), "S", -33.8666667),
}


@pytest.mark.parametrize("case", SIGNED)
def test_degrees_minutes_and_seconds_carry_their_sign_together(case):
    parts, reference, latitude = SIGNED[case]
    photo = placed(parts, reference)
    assert photo.lonlat == pytest.approx((18.42, latitude), abs=1e-6), photo.why_no_place
    assert photo.place_source == "EXIF" and photo.notes == ()


CONTRADICTING = {
    "negative north": ((-33.858,), "N", r"latitude -33.858 of the GPS block and the reference N"),
    "negative parts north": ((-33, -51, -28), "N", r"latitude -33, -51, -28 .* reference N"),
    "parts of both signs": ((33, -51, 28), "S", "parts of both signs"),
    "east of a latitude": ((33, 51, 28), "E", "reference E contradict"),
    "minutes of 75": ((33, 75, 0), "S", "above 60"),
    "a fraction and minutes": ((33.858, 51, 28.8), "S", "a fraction of degrees"),
    "a fraction of minutes and seconds": ((33, 51.48, 28.8), "S", "a fraction of degrees or min"),
}


@pytest.mark.parametrize("case", CONTRADICTING)
def test_parts_sign_and_reference_that_contradict_give_no_place_and_say_so(case):
    parts, reference, reason = CONTRADICTING[case]
    photo = placed(parts, reference)
    assert photo.lonlat is None and photo.place_source is None
    assert re.search(reason, photo.why_no_place), photo.why_no_place
    assert photo.why_no_place.endswith(".")


def test_a_longitude_keeps_its_sign_too():
    assert placed((51, 30, 0), "N", (-0.5,), "W").lonlat == (-0.5, 51.5)
    assert "longitude -0.5" in placed((51, 30, 0), "N", (-0.5,), "E").why_no_place
    assert placed((51, 30, 0), "N", (0, 30, 0), "W").lonlat == (-0.5, 51.5)


@pytest.mark.parametrize("datum", ["TOKYO", "NAD27", "GCJ-02"])
def test_another_datum_is_told(datum):
    assert f"of the datum {datum}" in placed((35, 0, 0), "N", tag18=datum).notes[0]


@pytest.mark.parametrize("datum", ["WGS-84", "WGS84", "JGD2000", ""])
def test_a_datum_within_metres_is_not_told(datum):
    assert placed((35, 0, 0), "N", tag18=datum).notes == ()


def test_a_place_that_was_not_measured_is_told():
    assert "not measured" in placed((35, 0, 0), "N", tag9="V").notes[0]
    assert placed((35, 0, 0), "N", tag9="A").notes == ()


def packet(lat, lon, lat_ref="", lon_ref=""):
    tags = {"exif__GPSLatitude": lat, "exif__GPSLongitude": lon}
    tags |= {"exif__GPSLatitudeRef": lat_ref} if lat_ref else {}
    return xmp(**tags, **({"exif__GPSLongitudeRef": lon_ref} if lon_ref else {}))


SPELLED = {
    "minutes": (packet("18,32.7S", "70,19.8W"), (-70.33, -18.545)),
    "seconds": (packet("18,32,42S", "70,19,48W"), (-70.33, -18.545)),
    "decimal, references apart": (packet("28.1844", "14.1606", "N", "W"), (-14.1606, 28.1844)),
    "signed": (packet("28.1844", "-14.1606"), (-14.1606, 28.1844)),
    "both signs": (packet("+28.1844", "-14.1606"), (-14.1606, 28.1844)),
    "signed with references": (packet("-33.858", "-18.42", "S", "W"), (-18.42, -33.858)),
    "letters after decimals": (packet("33.858S", "18.42 E"), (18.42, -33.858)),
    "letter and reference agree": (packet("18,32.7S", "70,19.8W", "S", "W"), (-70.33, -18.545)),
    "words": (packet("18.545", "70.33", "South", "West"), (-70.33, -18.545)),
    "parts without letters": (packet("18,32.7", "70,19.8", "S", "W"), (-70.33, -18.545)),
    "printed": (packet("18° 32′ 42″ S", "70º 19' 48\" W".replace('"', "&quot;")),
                (-70.33, -18.545)),
    "a printed minus": (packet("−18.545", "−70.33"), (-70.33, -18.545)),
    "below one degree": (packet("-0,30,0", "-0,15"), (-0.25, -0.5)),
    "a letter before": (packet("S 18.545", "W70.33"), (-70.33, -18.545)),
}  # fmt: skip


@pytest.mark.parametrize("case", SPELLED)
def test_every_spelling_of_a_place_in_xmp(case):
    content, expected = SPELLED[case]
    photo = read_photo(encode(xmp=content))
    assert photo.lonlat == pytest.approx(expected, abs=1e-9), photo.why_no_place
    assert photo.place_source == "XMP"


REFUSED = {
    "letter and reference": (packet("18,32.7N", "70,19.8W", "S", "W"), "reference S contradict"),
    "sign and reference": (packet("-33.858", "18.42", "N", "E"), "reference N contradict"),
    "sign and letter": (packet("-33.858N", "18.42E"), "reference N contradict"),
    "two letters": (packet("N 18.5 S", "70W"), "contradict"),
    "parts without a side": (packet("18,32.7", "70,19.8"), "on which side"),
    "a decimal comma": (packet("28,1844", "14,1606", "N", "W"), "above 60"),
    "another axis": (packet("18.5E", "70W"), "contradict"),
    "one alone": (packet("18.5N", ""), "cannot be read"),
    "a word": (packet("north", "1E"), "cannot be read"),
    "long": (packet("1" + " " * 5000 + "N", "1E"), "cannot be read"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_xmp_that_contradicts_itself_gives_no_place_and_says_so(case):
    content, reason = REFUSED[case]
    photo = read_photo(encode(xmp=content))
    assert photo.lonlat is None and reason in photo.why_no_place, photo.why_no_place
    assert len(photo.why_no_place.splitlines()) == 1


def test_degrees_without_any_side_are_told_as_a_guess():
    photo = read_photo(encode(xmp=packet("28.1844", "14.1606")))
    assert photo.lonlat == (14.1606, 28.1844) and "without N, S, E or W" in photo.notes[0]
    darwin = xmp(dwc__decimalLatitude="28.1844", dwc__decimalLongitude="14.1606")
    assert read_photo(encode(xmp=darwin)).notes == ()


def elements(prefix, lat, lon, declared=SPACE, outer="", close=""):
    return (
        '<a:xmpmeta xmlns:a="adobe:ns:meta/">'
        '<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
        f'<r:Description xmlns:{prefix}="{declared}">{outer}'
        f"<{prefix}:GPSLatitude>{lat}</{prefix}:GPSLatitude>"
        f"<{prefix}:GPSLongitude>{lon}</{prefix}:GPSLongitude>{close}"
        "</r:Description></r:RDF></a:xmpmeta>"
    ).encode()


@pytest.mark.parametrize(
    ("prefix", "declared"),
    [("ns1", SPACE), ("EXIF", SPACE), ("exif", SPACE.rstrip("/")), ("x", SPACE)],
)
def test_a_vocabulary_is_known_by_its_address_whatever_its_prefix(prefix, declared):
    photo = read_photo(encode(xmp=elements(prefix, "18,32.7S", "70,19.8W", declared)))
    assert photo.lonlat == pytest.approx((-70.33, -18.545))


def test_prefixes_that_are_not_declared_are_read_by_name():
    loose = b'<d exif:GPSLatitude="18,32.7S" exif:GPSLongitude="70,19.8W"/>'
    assert read_photo(encode(xmp=loose)).lonlat == pytest.approx((-70.33, -18.545))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_packets_of_other_encodings(encoding, tmp_path):
    (tmp_path / "a.jpg").write_bytes(encode())
    text = elements("exif", "18,32.7S", "70,19.8W").decode()
    (tmp_path / "a.xmp").write_bytes(text.encode(encoding))
    assert read_photo(tmp_path / "a.jpg").lonlat == pytest.approx((-70.33, -18.545))


def test_where_the_camera_stood_comes_before_what_is_shown():
    shown = "<Iptc4xmpExt:LocationShown><r:Bag><r:li r:parseType='Resource'>"
    shown += f"<e:GPSLatitude xmlns:e='{SPACE}'>10,0N</e:GPSLatitude>"
    shown += f"<e:GPSLongitude xmlns:e='{SPACE}'>20,0E</e:GPSLongitude>"
    shown += "</r:li></r:Bag></Iptc4xmpExt:LocationShown>"
    both = elements("exif", "18,32.7S", "70,19.8W", outer=shown)
    assert read_photo(encode(xmp=both)).lonlat == pytest.approx((-70.33, -18.545))
    alone = elements("exif", "", "", outer=shown)
    assert read_photo(encode(xmp=alone)).lonlat == (20.0, 10.0)


def test_two_latitudes_are_told():
    twice = elements("exif", "18,32.7S", "70,19.8W", outer=f"<e:GPSLatitude xmlns:e='{SPACE}'>"
                     "10,0N</e:GPSLatitude>")  # fmt: skip
    photo = read_photo(encode(xmp=twice))
    assert photo.lonlat is None and "more than one latitude" in photo.why_no_place
    ref = "<e:GPSLatitudeRef xmlns:e='{0}'>{1}</e:GPSLatitudeRef>"
    sides = elements("exif", "18.5", "70W", outer=ref.format(SPACE, "N") + ref.format(SPACE, "S"))
    assert "more than one latitude" in read_photo(encode(xmp=sides)).why_no_place


def test_exif_and_xmp_that_lie_apart_are_told():
    near, far = (packet(lat, "18.42E") for lat in ("33.8581S", "33.858N"))
    data = exif(gps(18.42, -33.858))
    assert read_photo(encode(exif=data, xmp=near)).notes == ()
    told = read_photo(encode(exif=data, xmp=far))
    assert told.lonlat == pytest.approx((18.42, -33.858))
    assert told.notes == ("EXIF and XMP name places 7,530 km apart; that of EXIF counts.",)
    assert kilometres((0, 90), (50, 90)) == pytest.approx(0, abs=1e-6)


# Sidecars


@pytest.mark.parametrize("name", ["a.xmp", "a.jpg.xmp", "a.XMP", "a.jpg.XMP"])
def test_a_sidecar_beside_a_photo_is_read_and_told(name, tmp_path):
    (tmp_path / "a.jpg").write_bytes(encode())
    (tmp_path / "other.xmp").write_bytes(packet("1N", "1E"))
    content = xmp(exif__GPSLatitude="18,32.7S", exif__GPSLongitude="70,19.8W",
                  dwc__scientificName="Araneus marmoreus",
                  exif__DateTimeOriginal="2019-09-18T18:00:00")  # fmt: skip
    (tmp_path / name).write_bytes(content)
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.lonlat == pytest.approx((-70.33, -18.545)) and photo.place_source == "sidecar"
    assert photo.taken == "2019-09-18 18:00" and photo.taxon == "Araneus marmoreus"
    assert photo.notes == (f"Read from {name} beside the photo: place, time and name.",)


def test_what_the_photo_says_itself_comes_first(tmp_path):
    data = exif(gps(18.42, -33.858), taken="2023:07:02 18:00:00")
    (tmp_path / "a.jpg").write_bytes(encode(exif=data))
    (tmp_path / "a.xmp").write_bytes(packet("18,32.7S", "70,19.8W"))
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.place_source == "EXIF" and photo.lonlat == pytest.approx((18.42, -33.858))
    assert "EXIF and sidecar name places" in photo.notes[0] and len(photo.notes) == 1
    (tmp_path / "a.jpg.xmp").write_bytes(packet("33,51.48S", "18,25.2E"))
    (tmp_path / "a.xmp").unlink()
    assert read_photo(tmp_path / "a.jpg").notes == ()


def test_the_sidecar_of_the_whole_name_comes_first(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encode())
    (tmp_path / "a.xmp").write_bytes(packet("1N", "1E"))
    (tmp_path / "a.jpg.xmp").write_bytes(packet("2N", "2E"))
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.lonlat == (2.0, 2.0) and "km apart" in photo.notes[0]
    assert [path.name for path in beside(tmp_path / "a.jpg")] == ["a.jpg.xmp", "a.xmp"]


HOSTILE = {
    "entity": b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>',
    "laughs": b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>',
    "no XML": b"Dear bird",
    "large": b"<a>" + b" " * (5 << 20) + b"</a>",
    "deep": b"<a>" * 100 + b"</a>" * 100,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_sidecar_that_cannot_be_read_is_told(case, tmp_path):
    (tmp_path / "a.jpg").write_bytes(encode())
    (tmp_path / "a.xmp").write_bytes(HOSTILE[case])
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.lonlat is None and photo.notes[0].startswith("a.xmp beside the photo cannot be")


def test_a_sidecar_that_contradicts_itself_says_why_there_is_no_place(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encode())
    (tmp_path / "a.xmp").write_bytes(packet("18,32.7N", "70,19.8W", "S", "W"))
    assert "reference S contradict" in read_photo(tmp_path / "a.jpg").why_no_place


def test_bytes_have_no_sidecar(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.xmp").write_bytes(packet("1N", "1E"))
    assert read_photo(encode(), "a.jpg").lonlat is None


def test_folders_and_tables_of_photos_read_sidecars(tmp_path):
    lines = ["path,label"]
    for label in ("Aus bus", "Cus dus"):
        (tmp_path / label).mkdir()
        for i in range(4):
            lines.append(f"{label}/{i}.jpg,{label}")
            (tmp_path / label / f"{i}.jpg").write_bytes(encode(pixels(40, 40)))
            (tmp_path / label / f"{i}.xmp").write_bytes(packet(f"{40 + i}N", "20W"))
    (tmp_path / "Aus bus" / "raw.NEF").write_bytes(b"MM\0*")
    (tmp_path / "all.csv").write_text("\n".join(lines))
    how = {"val_fraction": 0.25, "test_fraction": 0.25, "size": 32}
    for root in (tmp_path, tmp_path / "all.csv"):
        data = load_dataset("photos", "all", root=root, **how)
        assert data.info["places_in_files"] == {"sidecar": 8} and data.info["remarks_on_files"] == 8
        assert sorted(data.lonlat[:, 1].tolist()) == [40, 40, 41, 41, 42, 42, 43, 43]
        assert "0.xmp beside the photo: place" in data.info["first_remarks"][0]
    assert load_dataset("photos", root=tmp_path, **how).info["camera_raws_among_them"] == 1
    # A sidecar that changed is read again, as long as the first is still held.
    (tmp_path / "Aus bus" / "0.xmp").write_bytes(packet("10.25N", "20W"))
    assert load_dataset("photos", "all", root=tmp_path, **how).lonlat.min(dim=0)[0][1] == 10.25
    (tmp_path / "Aus bus" / "0.xmp").write_bytes(packet("10N", "20W", "S"))
    info = load_dataset("photos", "all", root=tmp_path, **how).info
    assert any("contradict" in why for why in info["why_files_have_no_place"])


def test_angles_by_themselves():
    assert of_text("0", "N", "NS") == (0.0, False) and of_parts([1, 30], "S", "NS") == -1.5
    assert of_text("-0", "", "EW")[0] == 0 and of_text("180", "W", "EW") == (-180.0, False)
    for text in ("", "12.", "1.2.3", "12;30N", "1e2N", "nanN", "٣N" * 40):
        try:
            of_text(text, "N", "NS")
        except NoAngleError:
            continue
        assert text == "12."


@pytest.mark.parametrize(
    ("lat", "lon", "place"),
    [
        ("-33,45", "18,5", (18.5, -33.45)),
        ("33,45 S", "18.5", (18.5, -33.45)),
        ("-33.45", "18,5E", (18.5, -33.45)),
        ("-33,45,10", "18,5", None),
        ("-33 45", "18.5", None),
    ],
)
def test_a_comma_of_decimal_degrees_parts_decimals(lat, lon, place):
    darwin = xmp(dwc__decimalLatitude=lat, dwc__decimalLongitude=lon)
    photo = read_photo(encode(xmp=darwin))
    assert photo.lonlat == (place if place is None else pytest.approx(place))
    commas = sum("," in text for text in (lat, lon))
    assert place is None or len([n for n in photo.notes if "parts decimals" in n]) == commas


def test_a_comma_that_may_part_minutes_is_told():
    sided = xmp(exif__GPSLatitude="28,18", exif__GPSLatitudeRef="N", exif__GPSLongitude="14.5",
                exif__GPSLongitudeRef="W")  # fmt: skip
    photo = read_photo(encode(xmp=sided))
    assert photo.lonlat == pytest.approx((-14.5, 28.3))
    assert len([note for note in photo.notes if "may part decimals" in note]) == 1
