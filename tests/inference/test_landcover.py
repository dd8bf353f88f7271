"""The bundled model of kinds of land: what it says at known places, and what it is made of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from csp_core import heatmap, load_model, location_prior
from csp_core.config import load_config
from csp_core.config.run import LATER
from csp_core.data.sets.bigearthnet_labels import classes_of
from csp_core.files import read_json
from csp_core.inference import describe_place
from csp_core.store import find_model, list_models
from csp_core.store.catalog import model_size

ROOT = Path(__file__).resolve().parents[2]
# Wetland forests of Lapland, cork oaks of the Alentejo, fields of the Vojvodina.
LAPLAND, ALENTEJO, VOJVODINA = (26.0, 66.5), (-7.91, 38.57), (20.2, 45.5)


@pytest.fixture(scope="module")
def model():
    return load_model("landcover")


def test_the_model_is_small_and_made_by_its_recipe(model):
    assert model_size(find_model("landcover")) <= 10_000_000
    assert model.classes.names == classes_of(19) and model.prior_kind == "probability"
    kept = read_json(find_model("landcover") / "config.json")["provenance"]["config"]
    # Settings that came later are what was usual before.
    kept["training"] = {**LATER, **kept["training"]}
    assert kept == load_config(ROOT / "configs" / "landcover.yaml").without_folders()
    # The weights have seen the tiles held out too; it holds counts of cells, not places.
    assert model.classes.records > 500_000 and model.support.cell_degrees >= 0.5
    assert not model.uses_date
    (info,) = [info for info in list_models() if info.name == "landcover"]
    assert info.problem is None and info.license == "cdla-permissive-1.0"


def test_each_class_has_a_probability_of_its_own(model):
    places = torch.tensor([LAPLAND, ALENTEJO, VOJVODINA])
    value = location_prior(model, places)
    assert value.shape == (3, 19) and ((value >= 0) & (value <= 1)).all()
    # Several classes are in one square, so they sum to more than 1.
    assert (value.sum(dim=1) > 1).all()
    of = dict(zip(model.classes.names, value.T.tolist(), strict=True))
    lapland, alentejo, vojvodina = range(3)
    assert of["Agro-forestry areas"][alentejo] > 0.3 > of["Agro-forestry areas"][vojvodina]
    assert of["Coniferous forest"][lapland] > 0.4 > of["Coniferous forest"][alentejo]
    assert of["Arable land"][vojvodina] > 0.6 > of["Arable land"][lapland]


def test_its_map_of_a_class_is_highest_where_the_class_is(model):
    europe = (-10.0, 36.0, 32.0, 70.0)
    found = heatmap(model, "Agro-forestry areas", bounds=europe, step=1.0)
    values = torch.as_tensor(found.values)
    row, column = divmod(int(values.nan_to_num(-1).argmax()), values.shape[1])
    lon, lat = europe[0] + column + 0.5, europe[3] - row - 0.5
    assert -10 < lon < -4 and 36 < lat < 42  # the oaks of Portugal, and of Spain beside it


def test_a_kind_that_a_place_does_not_foretell_is_in_no_set(model):
    inland = describe_place(model, 23.76, 61.5)
    assert "Coastal wetlands" not in {row.taxon for row in inland.label_set}
    places = model.support.most_recorded()
    assert describe_place(model, *places).label_set
    assert min(model.calibration.thresholds) > 0.2


def test_it_is_evaluated_by_the_options_of_its_training(csp):
    root = ROOT / ".." / "shared" / "data" / "bigearthnet"
    if not root.is_dir():
        pytest.skip("The table of BigEarthNet's patches is not there: ../shared/data/bigearthnet.")
    code, out, err = csp("evaluate", "landcover", "bigearthnet", "--root", root, "--json")
    assert code == 0, err
    told = json.loads(out)["splits"]
    assert told["all"]["n"] > 540_000 and told["all"]["macro_ap"] > 0.35
