"""The headings that common exports give their columns, best first.

Those of GBIF, iNaturalist, eBird, OBIS, Observation.org, NBN Atlas and the Atlas of Living
Australia, Movebank, Camtrap DP, xeno-canto and iDigBio are among them. All stand as
``columns.plain`` leaves them: lower case, without accents and separators.
"""

from __future__ import annotations

# "Species" in other languages: the whole name, its second part beside a genus, or a common name.
SPECIES = ("especie", "espece", "specie", "soort", "art")
# Canonical column -> headings. The term of a standard comes before our own spelling: a column that
# merely bears our name, such as `date` for `dcterms:date`, may hold something else.
ALIASES: dict[str, tuple[str, ...]] = {
    "scientific_name": (
        *("scientificname", "taxonname", "latinname", "taxon", "binomial", "sciname"),
        *("individualtaxoncanonicalname", "taxoncanonicalname", "speciesname", "binomialname"),
        *("taxonlatinname", "specieslatinname", "specieslatin", "namelat", "latin"),
        *("interpretedscientificname", "acceptedscientificname", "acceptedname"),
        *("wissenschaftlichername", "wetenschappelijkenaam", "nomscientifique"),
        *("nombrecientifico", "nomecientifico", "nomescientifico", "vetenskapligtnamn"),
        *("nomelatino", "nomlatin", "nombrelatino"),
        # As a Shapefile has it, which cuts names.
        "scientific",
        *SPECIES,
    ),
    "common_name": (
        *("commonname", "vernacularname", "preferredcommonname", "taxonpreferredcommonname"),
        *("comname", "individualtaxoncommonname", "englishname", "speciesguess"),
    ),
    "lon": (
        *("decimallongitude", "longitude", "lon", "lng", "long", "longitudewgs84"),
        *("longitudedecimal", "locationlong", "locationlon", "longitudedecimaldegrees"),
        *("longitudedegrees", "longitudedd", "longwgs84", "lonwgs84", "wgs84longitude"),
        *("wgs84lon", "declon", "declong", "decimallong", "londd", "longdd", "longdecimal"),
        *("londecimal", "gpslongitude", "longitudeprocessed", "longitud", "langengrad"),
        *("geografischelange", "longitudine", "lengtegraad", "longdeg", "londeg"),
        *("longdegrees", "londegrees", "x", "lange"),
    ),
    "lat": (
        *("decimallatitude", "latitude", "lat", "latitudewgs84", "latitudedecimal"),
        *("locationlat", "latitudedecimaldegrees", "latitudedegrees", "latitudedd", "latwgs84"),
        *("wgs84latitude", "wgs84lat", "declat", "decimallat", "latdd", "latdecimal"),
        *("gpslatitude", "latitudeprocessed", "latitud", "breitengrad", "geografischebreite"),
        *("latitudine", "breedtegraad", "latdeg", "latdegrees", "y", "breite"),
    ),
    "date": (
        *("eventdate", "observedon", "observationdate", "datecollected", "eventstart"),
        *("obsdt", "eventdateparsed", "date", "dateobserved", "observeddate", "recorddate"),
        *("dateofrecord", "dateofobservation", "recordeddate", "sightingdate", "collectiondate"),
        *("startdate", "datestart", "fecha", "dateobs"),
        *("datefrom", "fromdate", "begindate", "datebegin", "datumvon", "funddatum"),
        *("beobachtungsdatum", "waarnemingsdatum", "fechaobservacion", "dateobservation"),
    ),
    "recorder": (
        *("recordedby", "recorder", "author", "userlogin", "observer", "recordist"),
        *("observerid", "userdisplayname", "observername", "rec"),
    ),
    "uncertainty_m": (
        "coordinateuncertaintyinmeters",
        "uncertaintym",
        "publicpositionalaccuracy",
        "positionalaccuracy",
        "coordinateuncertaintym",
        "coordinateuncertaintyinmetres",
        "coordinateuncertaintyinmetresparsed",
        "coordinateuncertainty",
        "coordinateaccuracy",
        "accuracym",
        *("maxerrordistance", "uncertaintyinmeters", "uncertaintyinmetres", "uncertaintymeters"),
        *("gpsaccuracy", "gpsaccuracym", "gpsuncertainty", "horizontalaccuracy"),
        *("horizontalaccuracym", "locationaccuracy", "locationaccuracym", "positionaluncertainty"),
        *("spatialuncertainty", "positionalaccuracym", "accuracyinmeters", "accuracyinmetres"),
        *("accuracymeters", "accuracymetres", "coordinateaccuracyinmeters", "uncertainty"),
        *(
            f"{stem}{unit}"
            for stem in (
                "coordinateuncertainty",
                "uncertainty",
                "coordinateaccuracy",
                "accuracy",
                "positionalaccuracy",
                "gpsaccuracy",
                "locationaccuracy",
            )
            for unit in (
                "km",
                "inkm",
                "kilometers",
                "kilometres",
                "inkilometers",
                "inkilometres",
                "ft",
                "feet",
                "infeet",
                "miles",
                "inmiles",
                "yards",
                "inyards",
            )
        ),
    ),
    "record_id": (
        *("recordid", "gbifid", "occurrenceid", "xcid", "observationid", "globaluniqueidentifier"),
        *("nbnatlasrecordid", "id", "uuid"),
    ),
    "license": ("license", "licence", "licensecode"),
}
CANONICAL = (
    *("scientific_name", "common_name", "lon", "lat", "date"),
    *("recorder", "uncertainty_m", "record_id", "license"),
)
# Length and width as well: a place only as a pair, where no other columns hold one.
SIZES = {"lon": "lange", "lat": "breite"}
GENUS = ("genus", "gen", "gattung", "genre", "genero", "genere")
EPITHET = ("specificepithet", "speciesepithet", "epithet", "sp")
# Terms that bear one of our names and hold something else: when the entry was made or changed.
NOT_OURS = ("dcterms:date", "dc:date")
# Headings that hold a date only beside another: elsewhere it is when a form was sent.
BESIDE = {"timestamp": ("locationlong", "deploymentid")}
