import json
from dataclasses import replace
from pathlib import Path

from csp_core.inference import describe_place
from csp_core.store import catalog, checkpoint
from explore import ranked
from tests.toy import save_toy_model


def test_exports_leave_out_numbers_where_the_model_extrapolates(tmp_path: Path) -> None:
    folder = save_toy_model(tmp_path)
    model = checkpoint.load_model(folder)
    info = catalog.ModelInfo("toy", folder, "Toy", "", "share", 6, "none")
    near, far = describe_place(model, 36.8, -1.3), describe_place(model, 100, -75)
    assert json.loads(ranked.to_json(near, info, "link"))["results"][0]["value"] > 0
    assert json.loads(ranked.to_json(far, info, "link"))["results"][0]["value"] is None
    lines = ranked.to_csv(far.results, numbers=False).splitlines()
    assert lines[0] == "rank,taxon,common_name,value,lift,support" and ",,," in lines[1]
    assert len(ranked.to_csv(near.results, numbers=True).splitlines()) == 7


def test_no_name_is_a_formula_in_a_spreadsheet(tmp_path: Path) -> None:
    model = checkpoint.load_model(save_toy_model(tmp_path))
    result = describe_place(model, 36.8, -1.3).results[0]
    text = ranked.to_csv([replace(result, taxon="=1+1", common_name="@a")], numbers=True)
    assert "'=1+1,'@a" in text
