"""Training on records as they come: the import's rules and words, dates that are missing."""

from __future__ import annotations

import datetime
import json

import pytest

from csp_core.config import parse_config
from csp_core.data import load_dataset
from csp_core.data.reading import import_records
from csp_core.errors import BadRecordError, ConfigError
from csp_core.evaluation.report import evaluate_splits
from csp_core.runs import RunDir
from csp_core.training import train
from tests import small


def table(folder, names, *, dated=0, each=20):
    """Write a table of some records a name, the first of them dated."""
    start, lines = datetime.date(2021, 1, 1), ["scientificName,lon,lat,eventDate"]
    for j, name in enumerate(names):
        for i in range(each):
            day = start + datetime.timedelta(days=7 * i) if len(lines) <= dated else ""
            lines.append(f'"{name}",{i * 2 + j / 10},{j + 1},{day}')
    path = folder / "records.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def settings(path, *, data=None, **location):
    tree = small.config(path).model_dump()
    tree["data"] |= {"split_method": "random"} | (data or {})
    tree["model"]["location"] |= location
    tree["training"]["epochs"] = 1
    return parse_config(tree)


def test_training_applies_the_rules_of_the_import_and_says_so(tmp_path):
    names = ["Aus bus", "aus bus", "Aus bus (L., 1758)", "Larus sp.", "Aves", "Cus dus", "Cus ?"]
    result = train(settings(table(tmp_path, names)), run_dir=tmp_path / "run")
    assert result.model.classes.names == ("Aus bus", "Cus dus")
    log = RunDir(tmp_path / "run").log.read_text(encoding="utf-8")
    assert "80 of 140 records kept" in log
    assert "dropped 40: name is not that of a species" in log
    assert "changed 20: author left out of the name" in log
    # What a model keeps of it are counts, no line of a record.
    kept = json.loads((tmp_path / "run" / "model" / "config.json").read_text(encoding="utf-8"))
    assert kept["provenance"]["data"]["dropped"]["name is not that of a species"] == 40
    assert "import_report" not in kept["provenance"]["data"]


def test_names_above_species_are_kept_when_asked_and_from_an_import(tmp_path):
    path = table(tmp_path, ["Aus bus", "Aves"])
    assert len(load_dataset("occurrences", "all", root=path).classes) == 1
    assert len(load_dataset("occurrences", "all", root=path, species_only=False).classes) == 2
    mapped = load_dataset(
        "occurrences", "all", root=path, mapping={"scientific_name": "scientificName"}
    )
    assert len(mapped.classes) == 2
    import_records(path, tmp_path / "tidy.parquet", species_only=False)
    assert len(load_dataset("occurrences", "all", root=tmp_path / "tidy.parquet").classes) == 2


def test_nothing_left_is_said_with_the_reasons(tmp_path):
    with pytest.raises(
        BadRecordError, match=r"No record is left to use of 40 \(40: name is not that"
    ):
        load_dataset("occurrences", "all", root=table(tmp_path, ["Aves", "Larus sp."]))


@pytest.mark.parametrize("dated", [0, 1])
def test_time_is_not_learned_from_undated_records(tmp_path, dated):
    path = table(tmp_path, ["Aus bus", "Cus dus"], dated=dated)
    with pytest.raises(ConfigError, match=r"of 36 training records .* would learn noise"):
        train(settings(path, time=True), run_dir=tmp_path / "run")


def test_time_is_learned_where_some_are_dated(tmp_path):
    path = table(tmp_path, ["Aus bus", "Cus dus"], dated=10)
    assert train(settings(path, time=True), run_dir=tmp_path / "run").state == "finished"
    assert "have a date: what the model says of one rests" in RunDir(
        tmp_path / "run"
    ).log.read_text(encoding="utf-8")


def test_hours_that_no_record_has(tmp_path):
    path = table(tmp_path, ["Aus bus", "Cus dus"], dated=40)
    with pytest.raises(ConfigError, match=r"hour of the day: it would .*hour: false"):
        train(settings(path, time={"hour": True}), run_dir=tmp_path / "run")


@pytest.mark.parametrize(
    ("names", "said"),
    [(["Aus bus"], "one class alone"), (["Aus bus", "Cus dus"], "Only 4 records")],
)
def test_numbers_that_say_nothing_are_said_to(tmp_path, names, said):
    path = table(tmp_path, names, each=40 // len(names))
    train(settings(path), run_dir=tmp_path / "run")
    model = tmp_path / "run" / "model"
    assert said in (model / "README.md").read_text(encoding="utf-8").split("## How it was made")[0]
    assert said in RunDir(tmp_path / "run").log.read_text(encoding="utf-8")
    report = evaluate_splits(str(model), str(path))
    assert any(said in sentence for sentence in report["cautions"]["val"])
