"""Places given as codes and links: plus codes, MGRS, UTM and what map sites put in an address."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote, urlsplit

from csp_core.errors import BadRecordError

_UTM = re.compile(
    r"(?:UTM\s*)?(?P<zone>\d{1,2})\s*(?P<band>[C-HJ-NP-X])\s+"
    r"(?P<east>\d{6,7}(?:\.\d+)?)\s*m?\s*E?[\s,]+(?P<north>\d{1,8}(?:\.\d+)?)\s*m?\s*N?",
    re.IGNORECASE,
)
_MGRS = re.compile(
    r"\d{1,2}[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V](?P<pair>(?:\d{2}){1,5})", re.IGNORECASE
)
# "12, 10115 Berlin" is a street: whole degrees count where nothing else stands beside them.
_PAIR = re.compile(r"(?<![\w.])(-?\d{1,3}\.\d{1,20})\s?,\s?(-?\d{1,3}\.\d{1,20})(?![\w.])")
_WHOLE = re.compile(r"\s*(?:loc:)?(-?\d{1,3}(?:\.\d+)?)\s*,\s*(-?\d{1,3}(?:\.\d+)?)\s*")
_DEGREES = r"(-?\d{1,3}(?:\.\d{1,20})?)"
# Longer than any code; what can be read in many ways takes long where it is long.
_LONGEST, _LONGEST_LINK = 100, 10_000
# What the common map sites call their centre or pin, latitude first.
_QUERY = ("q", "query", "ll", "sll", "center", "destination", "daddr", "mlat", "coordinate", "cp")


def parse_code(text: str) -> tuple[float, float] | None:
    """Read a plus code, an MGRS or UTM reference, or a link of a map site.

    Args:
        text: What was typed or pasted.

    Returns:
        ``(lon, lat)`` in degrees, the middle of what a code covers; None if it is none of them.

    Raises:
        BadRecordError: If it is one, but names no place, for example a link without coordinates.

    Example:
        >>> parse_code("8FVC9G8F+6X")
        (8.524..., 47.365...)
        >>> parse_code("https://www.openstreetmap.org/#map=12/48.1372/11.5756")
        (11.5756, 48.1372)
    """
    text = text.strip()
    if re.match(r"https?://", text, re.IGNORECASE):
        return _link(text[:_LONGEST_LINK])
    if len(text) > _LONGEST:
        return None
    for read in (_plus_code, _utm, _mgrs):
        found = read(text)
        if found is not None:
            return found
    return None


def _plus_code(text: str) -> tuple[float, float] | None:
    from openlocationcode import openlocationcode as olc

    code = text.split(" ")[0].upper()
    # A sign before degrees is none of theirs.
    if code.find("+") < 2 or not olc.isValid(code):
        return None
    if not olc.isFull(code):
        raise BadRecordError(
            f"{code} is a short plus code, which means a place only beside a town. Give the full"
            " one, of ten characters and a plus, such as 8FVC9G8F+6X."
        )
    area = olc.decode(code)
    return float(area.longitudeCenter), float(area.latitudeCenter)


def _utm(text: str) -> tuple[float, float] | None:
    match = _UTM.fullmatch(text)
    if match is None:
        return None
    from pyproj import Transformer

    zone = int(match["zone"])
    if not 1 <= zone <= 60:
        raise BadRecordError(f"{text}: UTM has the zones 1 to 60, not {zone}.")
    band = match["band"].upper()
    # Many write N and S for the hemispheres, which are bands too: the one that fits is meant.
    for south in (False, True) if band == "S" else (band < "N",):
        code = (32700 if south else 32600) + zone
        lon, lat = Transformer.from_crs(code, 4326, always_xy=True).transform(
            float(match["east"]), float(match["north"])
        )
        hemisphere = band == "N" or (band == "S" and south)
        if abs(lon) <= 180 and (abs(lat) <= 90 if hemisphere else _in_band(lat, band)):
            return float(lon), float(lat)
    raise BadRecordError(
        f"{text}: these UTM coordinates lie outside of zone {zone} or of its band {band}."
    )


def _in_band(lat: float, band: str) -> bool:
    """Tell whether a latitude lies in a band of 8 degrees, or just beside it."""
    low = 8 * "CDEFGHJKLMNPQRSTUVWX".index(band) - 80
    return low - 0.5 <= lat <= low + (12.5 if band == "X" else 8.5)


def _mgrs(text: str) -> tuple[float, float] | None:
    packed = re.sub(r"\s", "", text)
    match = _MGRS.fullmatch(packed)
    if match is None:
        return None
    import mgrs

    # A reference names the south-western corner of its square; a 5 more each way is the middle.
    digits = match["pair"]
    head = packed[: -len(digits)]
    half = len(digits) // 2
    if half < 5:
        packed = f"{head}{digits[:half]}5{digits[half:]}5"
    try:
        lat, lon = mgrs.MGRS().toLatLon(packed.upper())
    except Exception as error:  # The library raises its own plain exceptions.
        raise BadRecordError(f"{text} is no MGRS reference: {error}.") from None
    return float(lon), float(lat)


def _link(text: str) -> tuple[float, float]:
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    query = {key.lower(): values[0] for key, values in parse_qs(parts.query).items()}
    if "mlat" in query and "mlon" in query:
        query["mlat"] = f"{query['mlat']},{query['mlon']}"
    rest = unquote(f"{parts.path}#{parts.fragment}")
    # A pin stands in the path's data, the centre of the view behind @ or #map=.
    for found in (
        re.search(f"!3d{_DEGREES}!4d{_DEGREES}", rest),
        *(_pair(query[key].replace("~", ",")) for key in _QUERY if key in query),
        re.search(f"@{_DEGREES},{_DEGREES}", rest),
        re.search(rf"map=[\d.]{{1,9}}/{_DEGREES}/{_DEGREES}", rest),
        _PAIR.search(rest),
    ):
        if found is not None and abs(float(found[1])) <= 90 and abs(float(found[2])) <= 180:
            return float(found[2]), float(found[1])
    raise BadRecordError(
        "This link holds no coordinates (short links lead to them only over the network). Open it"
        " and paste the long address, or the coordinates."
    )


def _pair(value: str) -> re.Match[str] | None:
    return _WHOLE.fullmatch(value) or _PAIR.search(value)
