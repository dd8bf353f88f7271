"""The bundled birds of the world: where endemics live, what winter leaves, what it cannot say."""

from __future__ import annotations

import json
import math

import pytest
import torch
from typer.testing import CliRunner

from csp_core import heatmap, list_models, load_model, location_prior
from csp_core.cli import app
from csp_core.files import ASSETS
from csp_core.inference import INLAND_ICE, describe_place, remarks
from csp_core.inference.weeks import week_date
from csp_core.land import on_inland_ice
from csp_core.model import UNKNOWN_LEVEL, LowRank
from csp_core.raster import GridPrior
from csp_core.store import model_size

PLACES = {
    "Vienna": (16.37, 48.21),
    "Lima": (-77.03, -12.05),
    "Nairobi": (36.82, -1.29),
    "Hawaii": (-155.5, 19.6),
    "Antarctica": (-64.0, -64.8),
}
# Species that live at one of these places and at none of the others.
HOMES = {
    "Vienna": ("Cyanistes caeruleus", "Phoenicurus ochruros", "Erithacus rubecula"),
    "Lima": ("Zenaida meloda", "Larus belcheri", "Columbina cruziana"),
    "Nairobi": ("Lamprotornis superbus", "Colius striatus", "Pycnonotus barbatus"),
    "Hawaii": ("Himatione sanguinea", "Chlorodrepanis virens"),
    "Antarctica": ("Pygoscelis papua", "Pygoscelis adeliae", "Pygoscelis antarcticus"),
}
TROPICS = ((36.8, -1.3), (-60.0, -3.1), (15.3, -4.3), (103.8, 1.35), (145.8, -16.9), (-84.0, 10.0))
NORTH = ((16.4, 48.2), (-75.0, 45.0), (-0.1, 51.5), (18.0, 59.3), (-150.0, 61.0), (-22.0, 64.1))
GREENLAND = ((-45.0, 61.2), (-51.7, 64.2), (-40.0, 72.0), (-68.0, 76.5), (-22.0, 70.5))
FOLDER = ASSETS / "models" / "world_birds"


@pytest.fixture(scope="module")
def birds():
    return load_model("world_birds")


def asked(model, places, week=None):
    lonlat = torch.tensor(places)
    date = None if week is None else torch.full((len(lonlat),), week_date(week))
    return location_prior(model, lonlat, date=date)


def test_it_is_small_and_says_whose_it_is(birds):
    assert model_size(FOLDER) <= 8_000_000
    (info,) = [one for one in list_models() if one.name == "world_birds"]
    assert info.problem is None and info.kind == "relative" and info.num_classes == 6522
    assert info.license == "cc-by-nc-sa-4.0"
    assert "BirdNET" in (FOLDER / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert "mixes them in" in (FOLDER / "LICENSE").read_text(encoding="utf-8")
    assert isinstance(birds.classifier, LowRank) and birds.uses_date and not birds.uses_hour


@pytest.mark.parametrize("home", HOMES)
def test_endemics_live_where_they_live(birds, home):
    scores = dict(zip(PLACES, asked(birds, list(PLACES.values())), strict=True))
    for name in HOMES[home]:
        label = birds.classes.label(name)
        here = scores.pop(home)
        assert here[label] > 0.3
        assert all(other[label] < 0.02 for other in scores.values()), name
        scores[home] = here


def test_nothing_tropical_in_greenland_in_january(birds):
    common = asked(birds, TROPICS).amax(0) >= 0.3
    for week in (3, 15, 25, 39):
        common &= asked(birds, NORTH, week).amax(0) < 0.03
    assert common.sum() > 1000
    assert asked(birds, GREENLAND, 2)[:, common].max() < 0.03


def test_swallows_come_and_go(birds):
    swallow, robin = (birds.classes.label(n) for n in ("Hirundo rustica", "Erithacus rubecula"))
    winter, summer = (asked(birds, [PLACES["Vienna"]], week)[0] for week in (2, 22))
    assert winter[swallow] < 0.05 < 0.8 < summer[swallow]
    assert min(winter[robin], summer[robin]) > 0.05


def test_sounds_are_reported_nowhere(birds):
    lonlat = [*PLACES.values(), *TROPICS, *NORTH]
    for sound in ("Engine", "Noise", "Siren", "Fireworks"):
        assert asked(birds, lonlat)[:, birds.classes.label(sound)].max() < 0.01


def test_what_it_rests_on_is_not_known(birds):
    report = describe_place(birds, *PLACES["Vienna"], date=week_date(20), top=5)
    assert report.level == UNKNOWN_LEVEL and not report.extrapolates
    assert report.records_within is None and report.taxa_within is None
    assert all(row.support is None and row.lift is None for row in report.results)
    said = (
        CliRunner()
        .invoke(app, ["predict", "world_birds", "--lon", "16.37", "--lat", "48.21", "--week", "20"])
        .stdout
    )
    assert "Support: not known" in said and "Great Tit" in said and "0.9" in said
    told = (
        CliRunner()
        .invoke(app, ["predict", "world_birds", "--lon", "16.37", "--lat", "48.21", "--json"])
        .stdout
    )
    support = json.loads(told)["support"]
    assert support["level"] == "unknown" and support["records_within"] is None


ICE = ((-40.0, 75.0), (-38.5, 72.6), (106.8, -78.5), (123.3, -75.1), (0.0, -90.0), (90.0, -85.0))
# Coasts of both, tundra, mountains with glaciers, and the Arctic sea.
NO_ICE = (
    (-51.7, 64.2),
    (-50.7, 67.0),
    (166.7, -77.85),
    (169.4, -77.5),
    (129.7, 72.0),
    (76.5, 35.9),
)


def test_inland_ice_is_told_where_no_counts_do(csp, birds):
    lonlat = torch.tensor([*ICE, *NO_ICE])
    assert on_inland_ice(lonlat).tolist() == [True] * len(ICE) + [False] * len(NO_ICE)
    # On the pole all longitudes are one; what is no number is nowhere.
    ends = torch.tensor([[180.0, -90.0], [-180.0, -90.0], [0.0, 90.0], [-40.0, math.nan],
                         [math.nan, 75.0], [math.inf, 75.0]])  # fmt: skip
    assert on_inland_ice(ends).tolist() == [True, True, False, False, False, False]
    on, off = (describe_place(birds, *place, top=1) for place in (ICE[0], NO_ICE[0]))
    assert on.inland_ice and on.results[0].value > 0.9 and remarks(on) == (INLAND_ICE,)
    assert not off.inland_ice and "inland_ice" not in off.to_dict()["support"]
    # Who keeps counts tells by these how little is known there.
    counted = describe_place(load_model("birds"), *ICE[0])
    assert not counted.inland_ice and counted.extrapolates
    where = ("predict", "world_birds", "--lon", ICE[0][0], "--lat", ICE[0][1])
    code, out, err = csp(*where)
    assert code == 0, err
    assert INLAND_ICE in " ".join(out.split())
    code, out, _ = csp(*where, "--json")
    assert json.loads(out)["support"]["inland_ice"] is True


# Where nobody could learn seasons from checklists, and where there are both.
SEASONLESS = ((129.7, 62.0), (-63.0, -5.0), (23.0, 0.0), (10.0, 23.0), (131.0, -25.0))
SEASONED = ((16.37, 48.21), (-77.03, -12.05), (36.82, -1.29), (-74.0, 4.6), (15.6, 78.2))


def test_where_the_week_says_nothing_that_is_said(birds):
    for lon, lat in SEASONLESS:
        values = torch.cat([asked(birds, [(lon, lat)], week) for week in range(1, 49)])
        first = values.amax(0).topk(50).indices
        assert (values.amin(0)[first] > 0.9 * values.amax(0)[first]).all()
        assert describe_place(birds, lon, lat, date=week_date(2)).seasonless is True
    for lon, lat in SEASONED:
        assert describe_place(birds, lon, lat, date=week_date(2)).seasonless is False
    # Who asks about the whole year asks about no week, and other models know none.
    assert describe_place(birds, *SEASONLESS[0]).seasonless is None
    assert describe_place(load_model("birds"), 36.8, -1.3, date=0.5).seasonless is None
    words = ["predict", "world_birds", "--lat", "62", "--lon", "129.7", "--week", "3"]
    said = " ".join(CliRunner().invoke(app, words).stdout.split())
    assert "The week changes next to nothing here" in said
    told = CliRunner().invoke(app, [*words, "--json"]).stdout
    assert json.loads(told)["support"]["seasonless"] is True


def test_its_maps_are_hatched_nowhere_and_follow_the_places(birds):
    name = "Parus major"
    raster = heatmap(birds, name, bounds=(0, 40, 20, 60), step=2.0, date=week_date(20))
    assert not raster.extrapolated.any() and not raster.values.isnan().any()
    lonlat = raster.grid.lonlat()
    date = torch.full((len(lonlat),), week_date(20))
    want = location_prior(birds, lonlat, date=date)[:, birds.classes.label(name)]
    torch.testing.assert_close(raster.values.flatten(), want, atol=1e-5, rtol=1e-4)
    assert not GridPrior(birds, (0, 40, 20, 60), 2.0, only_supported=True).only_supported
