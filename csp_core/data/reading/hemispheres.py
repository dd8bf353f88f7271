"""Countries that lie wholly north or south, east or west: a cheap check of a coordinate's sign."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

# ISO 3166 codes without those whose land, or whose distant islands, lie on both sides.
NORTH = (
    "US CA MX GT BZ SV HN NI CR PA CU JM HT DO PR IS GB IE PT ES DE BE LU CH AT IT PL CZ SK HU SI"
    " HR BA RS ME AL MK GR BG RO MD UA BY LT LV EE FI SE NO DK RU GE AM AZ TR CY SY LB IL JO IQ IR"
    " SA YE OM AE QA BH KW KZ UZ TM KG TJ AF PK IN NP BT BD LK MM TH LA VN KH PH CN MN JP KR KP TW"
    " MA DZ TN LY EG SD SS ET ER DJ NE NG ML BF SN GM GN GW SL LR CI GH TG BJ TD CF CM MR VE GY SR"
).split()
SOUTH = (
    "AU NZ ZA NA BW ZW ZM MZ MW MG LS SZ AO TZ RW BI BO PY UY AR CL PE PG TL FJ VU NC SB"
).split()
EAST = (
    "DE PL CZ SK HU AT CH IT SI HR RS GR BG RO UA BY LT LV EE FI SE DK TR CY SY IL JO IQ IR SA YE"
    " OM AE QA KW KZ UZ TM KG TJ AF PK IN NP BT BD LK MM TH LA VN KH PH CN MN JP KR KP TW ID MY SG"
    " PG AU ZA NA BW ZW ZM MZ MW MG LS SZ AO TZ RW BI KE UG ET ER DJ SO SD SS EG LY TD CF CM NG CG"
    " CD GA"
).split()
WEST = (
    "CA MX GT BZ SV HN NI CR PA CU JM HT DO PR CO VE GY SR BR EC PE BO PY UY AR CL IE IS PT GL SN"
    " GM GW GN SL LR CI MR"
).split()
# Words for the sides in columns of their own. "O" alone may be east or west.
SIDES = {
    "lat_side": (
        ("n", "north", "northern", "nord", "norte", "noord", "northing"),
        ("s", "south", "southern", "süd", "sud", "sur", "sul", "zuid", "southing"),
    ),
    "lon_side": (
        ("e", "east", "eastern", "ost", "est", "este", "leste", "oost", "easting"),
        ("w", "west", "western", "ouest", "oeste", "ovest", "westing"),
    ),
}
# Boats and shelves reach over the line; one degree is about 110 km.
MARGIN = 1.0


def wrong_sign() -> pl.Expr:
    """Tell where ``lat`` or ``lon`` has a sign that the country's ISO ``code`` contradicts.

    Returns:
        An expression: what looks wrong as text, or null.
    """
    country, lon, lat = pl.col("code"), pl.col("lon"), pl.col("lat")
    latitude = (country.is_in(NORTH) & (lat < -MARGIN)) | (country.is_in(SOUTH) & (lat > MARGIN))
    longitude = (country.is_in(EAST) & (lon < -MARGIN)) | (country.is_in(WEST) & (lon > MARGIN))
    return (
        pl.when(latitude)
        .then(pl.lit("sign of the latitude does not fit the country"))
        .when(longitude)
        .then(pl.lit("sign of the longitude does not fit the country"))
    )


def with_sides(rows: pl.DataFrame, columns: Mapping[str, str]) -> pl.DataFrame:
    """Give coordinates the sign of a hemisphere that stands in a column of its own.

    Args:
        rows: Records with ``lat`` and ``lon`` as numbers, and ``lat_side`` and ``lon_side`` as text
            where the file has them.
        columns: Canonical name to column of the file.

    Returns:
        The records with their signs, ``side_change`` where one was given, ``side_flag`` where it
        contradicts the sign or is not understood; null elsewhere.
    """
    changed, flagged, values = [], [], {}
    for key, side, name in (
        ("lat", "lat_side", "latitude"),
        ("lon", "lon_side", "longitude"),
    ):
        if side not in columns:
            continue
        positive, negative = SIDES[side]
        word = pl.col(side).str.to_lowercase().str.strip_chars(". ")
        value, below, above = pl.col(key), word.is_in(negative), word.is_in(positive)
        values[key] = pl.when(below & (value > 0)).then(-value).otherwise(value)
        changed.append(
            pl.when(below & (value > 0)).then(
                pl.lit(f"sign of the {name} taken from the hemisphere in {columns[side]!r}")
            )
        )
        odd = (above & (value < 0)) | (word.is_not_null() & ~below & ~above)
        flagged.append(
            pl.when(odd.fill_null(False)).then(
                pl.lit(f"hemisphere in {columns[side]!r} contradicts the sign or is not understood")
            )
        )
    if not values:
        none = pl.lit(None, pl.String)
        return rows.with_columns(side_change=none, side_flag=none)
    return rows.with_columns(
        **values, side_change=pl.coalesce(changed), side_flag=pl.coalesce(flagged)
    )
