"""Where a table begins, which of its columns count, and what is told of the others."""

from __future__ import annotations

import datetime

import pytest

from csp_core.data import read_occurrences
from csp_core.errors import BadRecordError
from tests.data.reading import exports

NAMED = "species,lat,lon\nTurdus merula,52,13\n"
PLACE = [("Turdus merula", 13.0, 52.0)]


@pytest.fixture
def read(tmp_path):
    def reader(content: str | bytes, **options: object):
        path = tmp_path / "records.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        records, report = read_occurrences(path, **options)
        return records.table.select("scientific_name", "lon", "lat").rows(), report, records.table

    return reader


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("sep=;\nspecies;lat;lon\nTurdus merula;52;13\n", "semicolon"),
        ("\ufeffsep=;\r\nspecies;lat;lon\r\nTurdus merula;52;13\r\n", "semicolon"),
        ('"sep=,"\nspecies,lat,lon\nTurdus merula,52,13\n', "comma"),
        ("SEP=\t\nspecies\tlat\tlon\nTurdus merula\t52\t13\n", "tab"),
        ("sep=;;;\nspecies;lat;lon\nTurdus merula;52;13\n", "semicolon"),
        ("sep=^\nspecies^lat^lon\nTurdus merula^52^13\n", "'^'"),
        # The line knows better than the header, which holds more of another sign.
        ("sep=;\na,b,c,d;species;lat;lon\nx;Turdus merula;52;13\n", "semicolon"),
    ],
)
def test_a_line_that_names_the_delimiter(read, text, delimiter):
    places, report, _ = read(text)
    assert places == PLACE and report.delimiter == delimiter
    assert any("names the delimiter" in note for note in report.notes)


@pytest.mark.parametrize(
    ("before", "number"),
    [
        ("# Export of 2020-05-01\n# rights: mine\n", 2),
        ("Birds of my garden\n\n", 1),
        ("Query:,all species,lat from 3 to 5\nUser:,me\n\n", 2),
        ('"A title, with a comma"\n', 1),
        ("#" + "-" * 300 + "\n" * 50, 1),
    ],
)
def test_lines_before_the_header(read, before, number):
    places, report, _ = read(before + NAMED)
    assert places == PLACE and report.rows_read == 1
    (note,) = report.notes
    assert note.startswith(f"{number} line") and "before the header not read" in note


def test_lines_before_a_header_of_other_names(read):
    mapping = {"scientific_name": "art", "lon": "e", "lat": "n"}
    for before in ("# a comment, of, parts\n", "A title\n", "A title\nand more\n\n"):
        places, report, _ = read(before + "art,n,e\nTurdus merula,52,13\n", mapping=mapping)
        assert places == PLACE and len(report.notes) == 1
    places, report, _ = read("#art,n,e\nTurdus merula,52,13\n", mapping=mapping | {
        "scientific_name": "#art"
    })  # fmt: skip
    assert places == PLACE and not report.notes
    places, report, _ = read("#species,lat,lon\nTurdus merula,52,13\n")
    assert places == PLACE and not report.notes


@pytest.mark.parametrize("content", ["sep=;\n", "# nothing\n# at all\n", "A title\n"])
def test_only_what_stands_before_a_header(read, content):
    with pytest.raises(BadRecordError, match=r"no header|No column for"):
        read(content)


@pytest.mark.parametrize(
    ("header", "rows", "filled", "differ"),
    [
        ("species,lat,lat,lon,lon", ["Turdus merula,,52,,13"], 2, 0),
        ("species,Lat,LAT,lon,dwc:lon", ["Turdus merula,,52,,13"], 2, 0),
        ("species,lat,lat,lat,lon", ['"Turdus merula",," ",52,13'], 1, 0),
        ("species,lat,lat,lon,lon", ["Turdus merula,52,,13,99"], 0, 1),
        ("species,species,lat,lon", [",Turdus merula,52,13"], 1, 0),
    ],
)
def test_columns_of_one_name(read, header, rows, filled, differ):
    places, report, _ = read("\n".join([header, *rows]) + "\n")
    assert places == PLACE
    said = " | ".join(report.notes)
    assert ("where the first is empty" in said) == bool(filled)
    assert not filled or said.endswith(f"empty: {filled}")
    assert ("differ between columns of one name" in said) == bool(differ)


@pytest.mark.parametrize("name", ["date", "Date", "dcterms:date", "dc:date", "startDate"])
def test_a_column_of_our_name_does_not_beat_the_standards_term(read, name):
    text = f"species,lat,lon,{name},eventDate\nTurdus merula,52,13,2021-02-03,2019-05-01\n"
    _, report, table = read(text)
    assert table["date"].to_list() == [datetime.date(2019, 5, 1)]
    assert report.notes == (f"date is read from 'eventDate', not from {name!r}",)


def test_dublin_cores_date_is_none_of_a_record(read, tmp_path):
    _, report, table = read("species,lat,lon,dcterms:date\nTurdus merula,52,13,2021-02-03\n")
    assert table["date"].to_list() == [None] and "is not the date of a record" in report.notes[0]
    _, _, table = read(
        "species,lat,lon,dcterms:date\nTurdus merula,52,13,2021-02-03\n",
        mapping={"date": "dcterms:date"},
    )
    assert table["date"].to_list() == [datetime.date(2021, 2, 3)]
    fields = {n: i for i, n in enumerate(exports.FIELDS)}
    for more in ({}, {"eventDate": 4}):
        part = exports.part("o.txt", {**{k: fields[k] for k in exports.FIELDS[:4]}, **more})
        odd = '<field index="5" term="http://purl.org/dc/terms/date"/></core>'
        text = "a1\tTurdus merula\t52\t13\t2019-05-01\t2021-02-03\n"
        meta = exports.meta(part.replace("</core>", odd).replace('Lines="1"', 'Lines="0"'))
        path = exports.pack(tmp_path / "a.zip", {"meta.xml": meta, "o.txt": text})
        records, report = read_occurrences(path)
        assert records.table["date"].to_list() == [datetime.date(2019, 5, 1) if more else None]
        assert "dcterms:date" in report.notes[0]


@pytest.mark.parametrize(
    ("columns", "values", "told"),
    [
        (
            "lat,lon,decimalLatitude",
            "1,13,52",
            "lat is read from 'decimalLatitude', not from 'lat'",
        ),
        ("lat,lon,x", "52,13,4", "lon is read from 'lon', not from 'x'"),
        (
            "lat,lon,positional_accuracy,public_positional_accuracy",
            "52,13,5,500",
            "uncertainty_m is read from 'public_positional_accuracy', not from"
            " 'positional_accuracy'",
        ),
    ],
)
def test_columns_that_compete_are_told(read, columns, values, told):
    places, report, _ = read(f"species,{columns}\nTurdus merula,{values}\n")
    assert places == PLACE and report.notes == (told,)


EXPORTS = {
    "NBN Atlas": (
        '"NBN Atlas record ID","Scientific name","Start date","OSGR","Latitude (WGS84)",'
        '"Longitude (WGS84)","Coordinate uncertainty (m)","Recorder"',
        '"x","Turdus merula","2019-05-01","TQ38","52","13","707.1","Ada"',
    ),
    "Movebank": (
        "event-id,timestamp,location-long,location-lat,individual-taxon-canonical-name,study-name",
        "1,2019-05-01 10:00:00.000,13,52,Turdus merula,Blackbirds",
    ),
    "eBird data set": (
        "GLOBAL UNIQUE IDENTIFIER\tCATEGORY\tCOMMON NAME\tSCIENTIFIC NAME\tLATITUDE\tLONGITUDE"
        "\tOBSERVATION DATE\tTIME OBSERVATIONS STARTED\tOBSERVER ID",
        "URN:1\tspecies\tBlackbird\tTurdus merula\t52\t13\t2019-05-01\t07:00\tobs1",
    ),
    "eBird, my data": (
        "Submission ID,Common Name,Scientific Name,Count,Latitude,Longitude,Date,Time",
        "S1,Blackbird,Turdus merula,1,52,13,2019-05-01,07:00 AM",
    ),
    "OBIS": (
        "id,scientificName,decimalLongitude,decimalLatitude,eventDate,date_mid,"
        "coordinateUncertaintyInMeters",
        "a,Turdus merula,13,52,2019-05-01,1556668800000,10",
    ),
    "Observation.org": (
        "id;date;time;species name;scientific name;number;lat;lng;accuracy",
        "7;2019-05-01;10:00;Blackbird;Turdus merula;1;52;13;10 m",
    ),
    "iNaturalist": (
        "id,observed_on,latitude,longitude,positional_accuracy,scientific_name,user_login",
        "1,2019-05-01,52,13,5,Turdus merula,ada",
    ),
    "Atlas of Living Australia": (
        "Scientific Name,Latitude,Longitude,Event Date - parsed,"
        "Coordinate Uncertainty in Metres - parsed",
        "Turdus merula,52,13,2019-05-01,10",
    ),
    "Spanish": ("Nombre científico;Latitud;Longitud;Fecha", "Turdus merula;52;13;2019-05-01"),
    "German": (
        "Wissenschaftlicher Name;Breitengrad;Längengrad;date",
        "Turdus merula;52;13;2019-05-01",
    ),
    "xeno-canto": (
        "id,gen,sp,en,rec,lat,lng,date",
        "1,Turdus,merula,Blackbird,Ada,52,13,2019-05-01",
    ),
}


@pytest.mark.parametrize("export", EXPORTS)
def test_headings_of_common_exports(read, export):
    places, _, table = read("\n".join(EXPORTS[export]) + "\n")
    assert places == PLACE
    assert table["date"].to_list() == [datetime.date(2019, 5, 1)]


@pytest.mark.parametrize(
    ("header", "row", "name"),
    [
        ("genus,specificEpithet,Art", "Turdus,merula,Vogel", "Turdus merula"),
        ("Gattung,Art", "Turdus,merula", "Turdus merula"),
        ("Genre,Espèce", "Turdus,merula", "Turdus merula"),
        ("Género,especie", "Turdus,merula", "Turdus merula"),
        ("Genere,Specie", "TURDUS,MERULA", "Turdus merula"),
        ("genus,soort", "Turdus,merula", "Turdus merula"),
        ("Gattung,Art", "Turdus,Turdus merula", "Turdus merula"),
        ("Geschlecht,Art", "m,Turdus merula", "Turdus merula"),
        ("Art,wissenschaftlicher Name", "Amsel,Turdus merula", "Turdus merula"),
        ("Art,scientificName", "Amsel,Turdus merula", "Turdus merula"),
    ],
)
def test_a_species_in_other_languages(read, header, row, name):
    places, report, _ = read(f"{header},lat,lon\n{row},52,13\n")
    assert places == [(name, 13.0, 52.0)] and not report.flagged


@pytest.mark.parametrize(
    ("header", "row"),
    [
        *(("Art", "Amsel"), ("Gattung,Art", "Turdus,Amsel"), ("especie", "merula")),
        *(("Género,especie", "Macho,puma"), ("Genre,Espèce", "M,merle")),
    ],
)
def test_a_species_that_is_no_scientific_name_is_no_species(read, header, row):
    text = f"{header},lat,lon\n{row},52,13\nTurdus,Turdus merula,50,11\n"
    text = text if "," in header else text.replace("Turdus,T", "T")
    places, report, _ = read(text, species_only=True)
    assert places == [("Turdus merula", 11.0, 50.0)]
    assert report.dropped == {"name is not that of a species": 1}


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("x,y,Länge,Breite", "13,52,30,8"),
        ("Länge,Breite,lat,lon", "30,8,52,13"),
        ("Länge,Breite,decimalLatitude,decimalLongitude", "30,8,52,13"),
        ("Länge,Breite", "13,52"),
    ],
)
def test_length_and_width_are_no_place_beside_one(read, header, row):
    places, _, _ = read(f"species,{header}\nTurdus merula,{row}\n")
    assert places == PLACE


@pytest.mark.parametrize("header", ["x,Breite", "Länge,lat", "Länge,Gewicht"])
def test_half_of_length_and_width_is_no_place(read, header):
    with pytest.raises(BadRecordError, match="No column for"):
        read(f"species,{header}\nTurdus merula,13,52\n")
    lon, lat = header.split(",")
    mapping = {"lon": lon, "lat": lat}
    assert read(f"species,{header}\nTurdus merula,13,52\n", mapping=mapping)[0] == PLACE


def test_when_a_form_was_sent_is_no_date(read):
    _, report, table = read("Timestamp,species,lat,lon\n2019-05-01,Turdus merula,52,13\n")
    assert table["date"].to_list() == [None] and "date" not in report.mapping


@pytest.mark.parametrize(
    ("start", "end", "date"),
    [
        ("2019-05-01", "2019-05-01", datetime.date(2019, 5, 1)),
        ("2019-05-01", "", datetime.date(2019, 5, 1)),
        ("2019-05-01", "2019-12-31", None),
        ("2019-01-01", "2020-12-31", None),
    ],
)
def test_a_date_that_two_columns_span(read, start, end, date):
    text = f"Species,Start date,End date,lat,lon\nTurdus merula,{start},{end},52,13\n"
    _, report, table = read(text)
    assert table["date"].to_list() == [date]
    assert bool(report.changed) == (date is None)


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("Parus ma\0jor", "Parus major"),
        ("Parus major\0\0", "Parus major"),
        ("Parus\0major", "Parus major"),
        ("Parus\u200bmajor", "Parus major"),
        ("\ufeffParus major", "Parus major"),
        ("Parus ma\u00adjor", "Parus major"),
        ("Parus \x85 major\x7f", "Parus major"),
        ("\u202aParus major\u202c", "Parus major"),
    ],
)
def test_signs_that_nobody_sees_are_taken_out_of_names(read, name, clean):
    rows = "".join(f"Parus major,{n},13\n" for n in range(50))
    places, report, _ = read(f"species,lat,lon\n{rows}{name},51,13\n")
    assert {row[0] for row in places} == {clean} and len(places) == 51
    (reason,) = report.changed
    assert "invisible" in reason and report.changed[reason] == 1
    line, told = report.examples[reason][0]
    assert line == 52 and told == ascii(name) and told.isascii()


def test_a_name_of_nothing_but_such_signs_is_missing(read):
    _, report, _ = read("species,lat,lon\nParus major,52,13\n\u200b\0,52,13\n" + "P m,1,1\n" * 40)
    assert report.dropped == {"scientific name is missing": 1}
