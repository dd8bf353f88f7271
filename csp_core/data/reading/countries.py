"""The boxes that countries lie in: enough to tell a place whose coordinates were exchanged."""

from __future__ import annotations

import functools

import polars as pl

# ISO 3166 code, name in English, west, south, east and north in whole degrees around its land,
# without distant islands.
BOXES = """
AF Afghanistan 60 29 75 39;AL Albania 19 39 22 43;DZ Algeria -9 18 12 38;AO Angola 11 -19 25 -4
AR Argentina -74 -56 -53 -21;AM Armenia 43 38 47 42;AU Australia 112 -44 154 -9
AT Austria 9 46 18 50;AZ Azerbaijan 44 38 51 42;BD Bangladesh 88 20 93 27;BY Belarus 23 51 33 57
BE Belgium 2 49 7 52;BZ Belize -90 15 -87 19;BJ Benin 0 6 4 13;BT Bhutan 88 26 93 29
BO Bolivia -70 -23 -57 -9;BA Bosnia and Herzegovina 15 42 20 46;BW Botswana 19 -27 30 -17
BR Brazil -75 -34 -34 6;BN Brunei 113 4 116 6;BG Bulgaria 22 41 29 45;BF Burkina Faso -6 9 3 16
BI Burundi 28 -5 31 -2;KH Cambodia 102 9 108 15;CM Cameroon 8 1 17 14;CA Canada -142 41 -52 84
CF Central African Republic 14 2 28 12;TD Chad 13 7 24 24;CL Chile -76 -56 -66 -17
CN China 73 18 135 54;CO Colombia -82 -5 -66 14;CG Congo 11 -6 19 4;CD DR Congo 12 -14 32 6
CR Costa Rica -86 8 -82 12;CI Ivory Coast -9 4 -2 11;HR Croatia 13 42 20 47;CU Cuba -85 19 -74 24
CY Cyprus 32 34 35 36;CZ Czechia 12 48 19 52;DK Denmark 8 54 16 58;DJ Djibouti 41 10 44 13
DO Dominican Republic -72 17 -68 20;EC Ecuador -82 -6 -75 2;EG Egypt 24 21 37 32
SV El Salvador -91 13 -87 15;ER Eritrea 36 12 44 19;EE Estonia 21 57 29 60;ET Ethiopia 32 3 48 15
FI Finland 19 59 32 71;FR France -5 41 10 52;GA Gabon 8 -4 15 3;GM Gambia -17 13 -13 14
GE Georgia 39 41 47 44;DE Germany 5 47 16 56;GH Ghana -4 4 2 12;GR Greece 19 34 30 42
GT Guatemala -93 13 -88 18;GN Guinea -16 7 -7 13;GY Guyana -62 1 -56 9;HT Haiti -75 18 -71 21
HN Honduras -90 12 -83 17;HU Hungary 16 45 23 49;IS Iceland -25 63 -13 67;IN India 68 6 98 36
ID Indonesia 95 -11 142 6;IR Iran 44 25 64 40;IQ Iraq 38 29 49 38;IE Ireland -11 51 -5 56
IL Israel 34 29 36 34;IT Italy 6 35 19 48;JM Jamaica -79 17 -76 19;JP Japan 122 24 146 46
JO Jordan 34 29 40 34;KZ Kazakhstan 46 40 88 56;KE Kenya 33 -5 42 6;KP North Korea 124 37 131 44
KR South Korea 124 33 132 39;KW Kuwait 46 28 49 31;KG Kyrgyzstan 69 39 81 44;LA Laos 100 13 108 23
LV Latvia 20 55 29 59;LB Lebanon 35 33 37 35;LS Lesotho 27 -31 30 -28;LR Liberia -12 4 -7 9
LY Libya 9 19 26 34;LT Lithuania 20 53 27 57;LU Luxembourg 5 49 7 51;MG Madagascar 43 -26 51 -11
MW Malawi 32 -18 36 -9;MY Malaysia 99 0 120 8;ML Mali -13 10 5 25;MR Mauritania -18 14 -4 28
MX Mexico -119 14 -86 33;MD Moldova 26 45 31 49;MN Mongolia 87 41 120 53;ME Montenegro 18 41 21 44
MA Morocco -18 20 -1 36;MZ Mozambique 30 -27 41 -10;MM Myanmar 92 9 102 29
NA Namibia 11 -29 26 -16;NP Nepal 80 26 89 31;NL Netherlands 3 50 8 54
NZ New Zealand 166 -48 179 -34
NI Nicaragua -88 10 -82 16;NE Niger 0 11 16 24;NG Nigeria 2 4 15 14;MK North Macedonia 20 40 24 43
NO Norway 4 57 32 72;OM Oman 51 16 60 27;PK Pakistan 60 23 78 38;PA Panama -84 7 -77 10
PG Papua New Guinea 140 -12 156 0;PY Paraguay -63 -28 -54 -19;PE Peru -82 -19 -68 1
PH Philippines 116 4 127 22;PL Poland 14 49 25 55;PT Portugal -10 36 -6 43;QA Qatar 50 24 52 27
RO Romania 20 43 30 49;RW Rwanda 28 -3 31 -1;SA Saudi Arabia 34 16 56 33;SN Senegal -18 12 -11 17
RS Serbia 18 41 24 47;SL Sierra Leone -14 6 -10 10;SG Singapore 103 1 105 2;SK Slovakia 16 47 23 50
SI Slovenia 13 45 17 47;SO Somalia 40 -2 52 12;ZA South Africa 16 -35 33 -22
SS South Sudan 23 3 36 13
ES Spain -10 35 5 44;LK Sri Lanka 79 5 82 10;SD Sudan 21 8 39 23;SR Suriname -59 1 -53 7
SZ Eswatini 30 -28 33 -25;SE Sweden 10 55 25 70;CH Switzerland 5 45 11 48;SY Syria 35 32 43 38
TW Taiwan 118 21 123 26;TJ Tajikistan 67 36 76 42;TZ Tanzania 29 -12 41 0;TH Thailand 97 5 106 21
TG Togo -1 6 2 12;TN Tunisia 7 30 12 38;TR Turkey 25 35 45 43;TM Turkmenistan 52 35 67 43
UG Uganda 29 -2 36 5;UA Ukraine 22 44 41 53;AE United Arab Emirates 51 22 57 27
GB United Kingdom -9 49 2 61;US United States -180 18 -66 72;UY Uruguay -59 -35 -53 -30
UZ Uzbekistan 55 37 74 46;VE Venezuela -74 0 -59 13;VN Vietnam 102 8 110 24;YE Yemen 41 12 55 19
ZM Zambia 21 -19 34 -8;ZW Zimbabwe 25 -23 34 -15
"""
OTHER_NAMES = {
    "deutschland": "DE", "allemagne": "DE", "alemania": "DE", "österreich": "AT", "schweiz": "CH",
    "suisse": "CH", "españa": "ES", "espagne": "ES", "italia": "IT", "brasil": "BR", "méxico": "MX",
    "usa": "US", "united states of america": "US", "u.s.a.": "US", "uk": "GB", "england": "GB",
    "great britain": "GB", "scotland": "GB", "wales": "GB", "nederland": "NL", "sverige": "SE",
    "norge": "NO", "danmark": "DK", "suomi": "FI", "polska": "PL", "czech republic": "CZ",
    "türkiye": "TR", "south korea": "KR", "republic of korea": "KR", "viet nam": "VN",
    "côte d'ivoire": "CI", "cote d'ivoire": "CI", "the netherlands": "NL", "holland": "NL",
    "swaziland": "SZ", "macedonia": "MK", "democratic republic of the congo": "CD",
    "perú": "PE", "maroc": "MA", "algérie": "DZ", "japon": "JP", "belgique": "BE", "belgië": "BE",
}  # fmt: skip
# ISO 3166 codes of three letters: those that begin with that of two, and the others.
LONG_CODES = """
AFG ALB DZA ARG AUS AZE BEL BTN BOL BWA BRA BGR BFA KHM CMR CAN COL CRI CIV HRV CUB CYP CZE DJI ECU
EGY ERI ETH FIN FRA GAB GMB GEO DEU GHA GRC GTM HTI HND HUN ISL IND IDN IRN ITA JPN JOR KEN KWT KGZ
LAO LVA LBN LSO LTU LUX MWI MYS MLI MRT MDA MNG MAR MMR NAM NPL NLD NZL NIC NER NGA MKD NOR OMN PAN
PER PHL QAT ROU RWA SAU SLE SGP SOM ZAF SSD ESP LKA SDN CHE SYR TWN TJK TZA THA TGO UGA GBR USA UZB
VEN VNM YEM ZMB ZWE RUS PRI DOM BHR TLS FJI VUT NCL
"""
OTHER_LONG_CODES = """
AGO:AO ARM:AM AUT:AT BGD:BD BLR:BY BLZ:BZ BEN:BJ BIH:BA BRN:BN BDI:BI CAF:CF TCD:TD CHL:CL CHN:CN
COG:CG COD:CD DNK:DK SLV:SV EST:EE GIN:GN GNB:GW GUY:GY IRQ:IQ IRL:IE ISR:IL JAM:JM KAZ:KZ PRK:KP
KOR:KR LBR:LR LBY:LY MDG:MG MEX:MX MNE:ME MOZ:MZ PAK:PK PNG:PG PRY:PY POL:PL PRT:PT SEN:SN SRB:RS
SVK:SK SVN:SI SUR:SR SWZ:SZ SWE:SE TUN:TN TUR:TR TKM:TM UKR:UA ARE:AE URY:UY SLB:SB GRL:GL
"""
# In degrees.
MARGIN = 1.0
SWAPPED = "longitude and latitude look swapped (the country lies where they are exchanged)"


@functools.cache
def boxes() -> pl.DataFrame:
    """Read the table of boxes.

    Returns:
        Columns ``code``, ``name`` in lower case, ``west``, ``south``, ``east``, ``north`` in
        degrees.
    """
    rows = []
    for line in BOXES.strip().replace(";", "\n").splitlines():
        code, *name, west, south, east, north = line.split()
        rows.append((code, " ".join(name).lower(), *map(float, (west, south, east, north))))
    names = ("code", "name", "west", "south", "east", "north")
    return pl.DataFrame(rows, schema=names, orient="row")


def with_codes(rows: pl.DataFrame) -> pl.DataFrame:
    """Find the ISO code of each record's country, from a code or a name in either column.

    Args:
        rows: ``country`` (an ISO code) and ``country_name`` as text.

    Returns:
        The rows with ``code``, null where the country is not known.
    """
    keys = ["country", "country_name"]
    known = rows.select(keys).unique()
    known = known.with_columns(code=pl.Series(map(_code, *known.get_columns()), dtype=pl.String))
    return rows.join(known, on=keys, how="left", nulls_equal=True, maintain_order="left")


def swapped(rows: pl.DataFrame) -> pl.DataFrame:
    """Find places outside the country's box that would lie inside it if they were exchanged.

    Args:
        rows: ``line``, ``lon`` and ``lat`` as numbers, ``code`` as ``with_codes`` gives it.

    Returns:
        Those rows; none where the country is not known.
    """
    lon, lat = pl.col("lon"), pl.col("lat")
    west, south, east, north = (pl.col(side) for side in ("west", "south", "east", "north"))
    # Outside by a margin, as boats and shelves reach over the line; inside without one.
    across = (lon < west - MARGIN) | (lon > east + MARGIN)
    outside = across | (lat < south - MARGIN) | (lat > north + MARGIN)
    inside = lat.is_between(west, east) & lon.is_between(south, north)
    found = rows.lazy().join(boxes().lazy(), on="code", maintain_order="left")
    return found.filter(outside & inside).select(rows.columns).collect()


def _code(country: str | None, name: str | None) -> str | None:
    """Find the ISO code of a country; a column of codes may as well hold names."""
    for text in (country, name):
        plain = (text or "").strip().lower()
        if len(plain) == 2 and plain != "uk":
            return plain.upper()
        if len(plain) == 3 and plain in long_codes():
            return long_codes()[plain]
        if plain in names():
            return names()[plain]
    return None


@functools.cache
def long_codes() -> dict[str, str]:
    """List the codes of three letters.

    Returns:
        Code in lower case to the ISO code of two letters.

    Example:
        >>> long_codes()["zaf"], long_codes()["deu"]
        ('ZA', 'DE')
    """
    others = (pair.split(":") for pair in OTHER_LONG_CODES.split())
    return {long.lower(): long[:2] for long in LONG_CODES.split()} | {
        long.lower(): code for long, code in others
    }


@functools.cache
def names() -> dict[str, str]:
    """List the names of countries.

    Returns:
        Name in lower case to ISO code.
    """
    table = boxes()
    return dict(zip(table["name"], table["code"], strict=True)) | OTHER_NAMES
