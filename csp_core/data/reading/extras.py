"""Columns that help to judge a record and are not kept, by the names that exports give them."""

from __future__ import annotations

# What it is to us -> names it goes by, best first, in lower case without separators.
EXTRAS: dict[str, tuple[str, ...]] = {
    "status": ("occurrencestatus",),
    "rank": ("taxonrank",),
    "country": ("countrycode",),
    "country_name": ("country",),
    "captive": ("captive", "captivecultivated"),
    "obscured": ("obscured", "coordinatesobscured"),
    # The parts of a date, and where they stand for a date that is missing.
    "year": ("year",),
    "month": ("month",),
    "day": ("day",),
    "year_day": ("startdayofyear", "dayofyear"),
    "year_day_end": ("enddayofyear",),
    "date_end": ("enddate", "dateend", "eventdateend", "eventenddate", "enddatetime", "eventend"),
    # How the numbers of a place are meant.
    "lat_side": (
        *("latdir", "latitudedirection", "latitudedir", "latdirection", "latitudehemisphere"),
        *("lathemisphere", "lathem", "hemispherelat", "hemispherens", "latns", "latitudens", "ns"),
    ),
    "lon_side": (
        *("londir", "longdir", "longitudedirection", "longitudedir", "londirection"),
        *("longdirection", "longitudehemisphere", "lonhemisphere", "longhemisphere", "lonhem"),
        *("longhem", "hemispherelon", "hemisphereew", "lonew", "longew", "longitudeew", "ew"),
    ),
    "datum": ("geodeticdatum", "datum", "horizontaldatum", "coordinatedatum"),
    # Whether it was there at all, and as what.
    "count": ("individualcount", "observationcount", "count"),
    "quantity": ("organismquantity", "quantity"),
    "absence": ("absence", "isabsence", "absent"),
    "basis": ("basisofrecord",),
    "establishment": ("establishmentmeans",),
    "degree": ("degreeofestablishment",),
    "exotic": ("exoticcode",),
    # What the portal itself thinks of it.
    "issue": ("issue", "issues", "gbifissue", "gbifissues"),
    "flags": ("flags", "qcflags"),
    "left_out": ("dropped",),
    "spatial_issue": ("hasgeospatialissues", "hasgeospatialissue"),
    "grade": ("qualitygrade",),
    "privacy": ("geoprivacy",),
    "taxon_privacy": ("taxongeoprivacy",),
    "approved": ("approved",),
    "outlier": ("manuallymarkedoutlier", "importmarkedoutlier", "algorithmmarkedoutlier"),
    "visible": ("visible",),
}
