"""Columns that help to judge a record and are not kept, by the names that exports give them."""

from __future__ import annotations

# Year, month and day, as one file calls them: a `tag` beside a `year` is that of a bird.
DATE_PARTS = (
    *(("year", "month", "day"), ("eventyear", "eventmonth", "eventday"), ("yr", "mo", "dy")),
    *(("yearcollected", "monthcollected", "daycollected"), ("startyear", "startmonth", "startday")),
    *(("collectionyear", "collectionmonth", "collectionday"), ("jahr", "monat", "tag")),
    *(("ano", "mes", "dia"), ("annee", "mois", "jour"), ("anno", "mese", "giorno")),
    *(("jaar", "maand", "dag"), ("observationyear", "observationmonth", "observationday")),
)
# What it is to us -> names it goes by, best first, in lower case without separators.
EXTRAS: dict[str, tuple[str, ...]] = {
    "status": ("occurrencestatus",),
    "rank": ("taxonrank",),
    "country": (
        *("countrycode", "countryiso", "countryiso2", "iso2", "isoa2", "countrycodeiso2"),
        *("countryiso3", "iso3", "isoa3", "countrycode3", "countrycodeiso3", "isocountrycode"),
    ),
    "country_name": (
        *("country", "placecountryname", "countryname", "land", "pays", "pais", "paese"),
        *("countryterritory", "interpretedcountry"),
    ),
    "captive": (
        *("captive", "captivecultivated", "iscaptive", "cultivated", "iscultivated"),
        *("cultivationstatus", "iscaptivecultivated"),
    ),
    "obscured": ("obscured", "coordinatesobscured"),
    # The parts of a date, and where they stand for a date that is missing.
    "year": tuple(year for year, _, _ in DATE_PARTS),
    "month": tuple(month for _, month, _ in DATE_PARTS),
    "day": tuple(day for _, _, day in DATE_PARTS),
    "year_day": ("startdayofyear", "dayofyear"),
    "year_day_end": ("enddayofyear",),
    "date_end": (
        *("enddate", "dateend", "eventdateend", "eventenddate", "enddatetime", "eventend"),
        *("dateto", "todate", "finishdate", "datefinish", "until", "stopdate", "datumbis"),
        *("enddatum", "fechafin", "datefin"),
    ),
    # How the numbers of a place are meant.
    "lat_side": (
        *("latdir", "latitudedirection", "latitudedir", "latdirection", "latitudehemisphere"),
        *("lathemisphere", "lathem", "hemispherelat", "hemispherens", "latns", "latitudens", "ns"),
        *(
            "latref",
            "latituderef",
            "gpslatituderef",
            "gpslatref",
            "latcardinal",
            "latitudecardinal",
        ),
        *(
            "latquadrant",
            "latitudequadrant",
            "latletter",
            "latitudeletter",
            "latsign",
            "latitudesign",
        ),
        *("latside", "latitudereference", "lathemi", "latitudehem", "latitudehemi", "latcard"),
    ),
    "lon_side": (
        *("londir", "longdir", "longitudedirection", "longitudedir", "londirection"),
        *("longdirection", "longitudehemisphere", "lonhemisphere", "longhemisphere", "lonhem"),
        *("longhem", "hemispherelon", "hemisphereew", "lonew", "longew", "longitudeew", "ew"),
        *("lonref", "longref", "lngref", "longituderef", "gpslongituderef", "gpslonref"),
        *("gpslongref", "loncardinal", "longcardinal", "longitudecardinal", "lonquadrant"),
        *("longquadrant", "longitudequadrant", "lonletter", "longletter", "longitudeletter"),
        *("lonsign", "longsign", "longitudesign", "lonside", "longside", "longitudereference"),
        *("lonhemi", "longhemi", "longitudehem", "longitudehemi", "loncard", "longcard"),
    ),
    "uncertainty_unit": (
        *("coordinateuncertaintyunit", "coordinateuncertaintyunits", "uncertaintyunit"),
        *("uncertaintyunits", "accuracyunit", "accuracyunits", "coordinateaccuracyunit"),
        *("coordinateaccuracyunits", "maxerrorunits", "maxerrorunit", "positionalaccuracyunit"),
        *("uncertaintyuom", "accuracyuom", "coordinateuncertaintyuom"),
    ),
    "datum": (
        *("geodeticdatum", "datum", "horizontaldatum", "coordinatedatum", "mapdatum", "gpsdatum"),
        *("crs", "srs", "srid", "epsg", "epsgcode", "coordinatereferencesystem", "gpsmapdatum"),
        *("coordinatesystem", "spatialreference", "spatialreferencesystem", "referencesystem"),
    ),
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
