import subprocess
import sys

import pytest

from csp_core.data.reading import read_occurrences
from csp_core.data.reading.places import OTHERS, read_places
from csp_core.errors import BadRecordError, DataNotFoundError


@pytest.fixture
def write(tmp_path):
    def make(text, name="places.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return make


def test_places_need_no_name(write):
    found = read_places(write("lon,lat\n13.4,52.5\n13.4,52.5\n2.3,48.8\n"))
    assert found.seen == ((13.4, 52.5), (13.4, 52.5), (2.3, 48.8))
    assert found.missed == () and found.name == "" and found.left_out == {}


def test_absences_are_told_as_everywhere(write):
    text = "species,lon,lat,occurrenceStatus,individualCount\n"
    text += "Aus bus,1,10,present,3\nAus bus,2,20,absent,\nAus bus,3,30,,0\nAus bus,4,40,,\n"
    path = write(text)
    found = read_places(path)
    assert found.seen == ((1.0, 10.0), (4.0, 40.0)) and found.missed == ((2.0, 20.0), (3.0, 30.0))
    assert found.name == "Aus bus" and found.left_out == {}
    assert len(read_occurrences(path)[0]) == 2
    all_missed = read_places(path, all_missed=True)
    assert all_missed.seen == () and len(all_missed.missed) == 4


def test_what_is_left_out_is_counted(write):
    text = "species,lon,lat\nAus bus,1,10\nAus bus,200,10\nCus dus,3,30\n,4,40\nAus bus,,\n"
    found = read_places(write(text), "aus  BUS")
    assert found.seen == ((1.0, 10.0),) and found.name == "Aus bus"
    assert found.left_out[OTHERS] == 2
    assert found.left_out["longitude is out of range (-180 to 180)"] == 1
    assert found.left_out["coordinates are missing"] == 1
    assert found.to_dict()["rows_read"] == 5


def test_several_species_ask_for_a_name(write):
    path = write("species,lon,lat\nAus bus,1,10\nCus dus,3,30\n")
    with pytest.raises(BadRecordError, match=r"names 2 species .*give the name of one"):
        read_places(path)
    with pytest.raises(BadRecordError, match="none of them is 'Eus fus'"):
        read_places(path, "Eus fus")


def test_what_cannot_be_read(write, tmp_path):
    with pytest.raises(DataNotFoundError):
        read_places(tmp_path / "gone.csv")
    with pytest.raises(BadRecordError, match="No column for lon, lat"):
        read_places(write("a,b\n1,2\n"))
    with pytest.raises(BadRecordError, match="no records"):
        read_places(write("lon,lat\n", "empty.csv"))


def test_other_formats(write):
    point = '{"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": '
    text = f'{{"type": "FeatureCollection", "features": [{point}[13.4, 52.5]}}}}]}}'
    assert read_places(write(text, "seen.geojson")).seen == ((13.4, 52.5),)


def test_it_needs_no_torch():
    code = "import csp_core.data.reading.places, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
