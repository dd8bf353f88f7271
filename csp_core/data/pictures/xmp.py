"""What an XMP packet says: where and when a picture was taken, and of what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.parsers import expat

from csp_core.data.pictures.clock import read_time
from csp_core.data.pictures.degrees import SIGNS, UNSURE, NoAngleError, of_decimal, of_text
from csp_core.data.pictures.position import (
    AXES,
    MALFORMED,
    Place,
    Time,
    checked,
    read_radius,
)

# Vocabularies by their address, without what follows its version, and their usual prefix.
SPACES = {
    "http://ns.adobe.com/exif/1.0": "exif",
    "http://ns.adobe.com/photoshop/1.0": "photoshop",
    "http://rs.tdwg.org/dwc/index.htm": "dwc",
    "http://rs.tdwg.org/dwc/terms": "dwc",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns": "rdf",
    "http://www.w3.org/2003/01/geo/wgs84_pos": "geo",
    "http://www.dji.com/drone-dji/1.0": "drone-dji",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29": "Iptc4xmpExt",
    "adobe:ns:meta": "x",
}
# Decimal degrees, where no sign means north or east; the second drone writes its first name wrong.
DECIMAL = (
    ("dwc:decimalLongitude", "dwc:decimalLatitude"),
    ("geo:long", "geo:lat"),
    ("drone-dji:GpsLongitude", "drone-dji:GpsLatitude"),
    ("drone-dji:GpsLongtitude", "drone-dji:GpsLatitude"),
)
# Where the camera stood comes before what the picture shows.
WITHIN = ("", "Iptc4xmpExt:LocationCreated/", "Iptc4xmpExt:LocationShown/")
# Not xmp:CreateDate: programs set it to when they made the file.
TIMES = ("exif:DateTimeOriginal", "dwc:eventDate", "photoshop:DateCreated")
SPECIES = re.compile(r'"?taxonomy:species=([^"]+)"?')
# An XMP packet has some kilobytes, and its lists lie a few deep.
MOST_XMP, DEEPEST = 1 << 22, 64
UNREADABLE = "The XMP data hold a place that cannot be read."


def place_of_xmp(tags: Mapping[str, str]) -> Place:
    """Read the place: decimal degrees of Darwin Core, else degrees as in EXIF, else others.

    Args:
        tags: Name with prefix to text.

    Returns:
        The place, or why there is none; the reason is empty if no tag names one.
    """
    found = Place(None)
    radius = read_radius(tags.get("dwc:coordinateUncertaintyInMeters"))
    pairs = [DECIMAL[0], *((f"{w}exif:GPSLongitude", f"{w}exif:GPSLatitude") for w in WITHIN)]
    for names in (*pairs, *DECIMAL[1:]):
        if not any(tags.get(name) for name in names):
            continue
        place = _place(tags, names, radius if names == DECIMAL[0] else None)
        if place.lonlat is not None:
            return place
        # The first reason is kept: what a more telling tag says comes before the others.
        found = found if found.why_not else place
    return found


def _place(tags: Mapping[str, str], names: tuple[str, str], radius: float | None) -> Place:
    values, guessed, notes = [], False, []
    for name, (axis, signs) in zip(names[::-1], AXES[::-1], strict=True):
        text = _one(tags.get(name, ""))
        reference = _one(tags.get(f"{name}Ref", ""))
        if text is None or reference is None:
            return Place(None, f"The XMP data name more than one {axis}.")
        try:
            if names in DECIMAL:
                value, unsigned, comma = of_decimal(text, reference.strip(), signs)
                notes += [f"The comma in the {axis} {text[:40]} parts decimals."] if comma else []
            else:
                value, unsigned = of_text(text, reference.strip(), signs)
                if UNSURE.fullmatch(text.translate(SIGNS).strip()):
                    notes.append(
                        f"The {axis} {text[:40]} of the XMP data is read as degrees and minutes, as"
                        " the standard has it; the comma may part decimals."
                    )
        except NoAngleError as error:
            if not text or str(error) == "cannot be read":
                return Place(None, UNREADABLE)
            return Place(None, f"The {axis} {text[:40]} of the XMP data {error}.")
        except MALFORMED:
            return Place(None, UNREADABLE)
        values.append(value)
        guessed |= unsigned
    if guessed and names not in DECIMAL:
        notes.append(
            "The XMP data give degrees without N, S, E or W; where no sign is, north and east"
            " count."
        )
    lat, lon = values
    return checked(lon, lat, "XMP data", uncertainty_m=radius, notes=tuple(notes))


def _one(text: str) -> str | None:
    """Take what all values of a tag say; None where they differ."""
    values = set(text.splitlines())
    return None if len(values) > 1 else text.splitlines()[0] if values else ""


def time_of_xmp(tags: Mapping[str, str]) -> Time | None:
    """Read when the picture was taken, as a clock there would have shown.

    Args:
        tags: Name with prefix to text.

    Returns:
        The time, or None.
    """
    for name in TIMES:
        time, has_hour = read_time(_one(tags.get(name, "")) or "")
        if time is not None:
            return Time(time, has_hour, f"XMP {name}")
    return None


def taxon_of_xmp(tags: Mapping[str, str]) -> str:
    """Read which taxon the picture shows, by who described it.

    Args:
        tags: Name with prefix to text.

    Returns:
        A scientific name, or ``""``.
    """
    if name := tags.get("dwc:scientificName", "").strip():
        return name
    match = SPECIES.search(tags.get("rdf:li", ""))
    return match[1].splitlines()[0].strip() if match else ""


def read_xmp(packet: bytes) -> dict[str, str]:
    """Read the tags of an XMP packet; a document type (DTD) is refused.

    Args:
        packet: XML, maybe padded.

    Returns:
        Name with its usual prefix, whatever the packet calls it, to text, list items joined by line
        breaks; what is said of a place that was created or shown has that one's name and ``/``
        before it. Empty where the packet cannot be read, has more than 4 MB or is nested more than
        64 deep.
    """
    if len(packet) > MOST_XMP:
        return {}
    try:
        return _parse(packet, spaces=True)
    except (expat.ExpatError, ValueError) as error:
        # Some programs forget to say what their prefixes mean.
        if getattr(error, "code", 0) != expat.errors.codes[expat.errors.XML_ERROR_UNBOUND_PREFIX]:
            return {}
    try:
        return _parse(packet, spaces=False)
    except (expat.ExpatError, ValueError):
        return {}


def _parse(packet: bytes, *, spaces: bool) -> dict[str, str]:
    tags: dict[str, list[str]] = {}
    stack: list[str] = []

    def add(name: str, value: str) -> None:
        tags.setdefault(_within(stack, name), []).append(value)

    def start(name: str, attributes: Mapping[str, str]) -> None:
        stack.append(_usual(name))
        if len(stack) > DEEPEST:
            raise ValueError("nested too deeply")
        for key, value in attributes.items():
            add(_usual(key), value)

    def text(value: str) -> None:
        if value.strip():
            # Text in a list belongs to the list's own name too.
            outer = [name for name in stack if not name.startswith("rdf:")]
            for name in {stack[-1], *outer[-1:]}:
                add(name, value)

    parser = expat.ParserCreate(namespace_separator=" " if spaces else None)
    parser.namespace_prefixes = spaces
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: stack.pop()
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    # Letters of two bytes end in a zero that is no padding.
    wide = packet[:2] in (b"\xff\xfe", b"\xfe\xff")
    parser.Parse(packet if wide else packet.strip(b"\0 \r\n\t"), True)
    return {name: "\n".join(values) for name, values in tags.items()}


def _usual(name: str) -> str:
    """Give a name its usual prefix: expat hands over address, name and the packet's own prefix."""
    address, *rest = name.split(" ")
    if not rest:
        return name
    prefix = SPACES.get(address.rstrip("/#"), rest[1] if len(rest) > 1 else "")
    return f"{prefix}:{rest[0]}" if prefix else rest[0]


def _within(outer: list[str], name: str) -> str:
    """Put the name of the place that is described before what is said of it."""
    holder = next((one for one in reversed(outer) if one.startswith("Iptc4xmpExt:Location")), "")
    return f"{holder}/{name}" if holder and not name.startswith(("Iptc4xmpExt:", "rdf:")) else name


def _refuse(*_: object) -> None:
    raise ValueError("a document type or entities")
