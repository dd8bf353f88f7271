"""``csp probe``: tables, numbers as JSON, and what is refused."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from csp_core.geo import sphere_points


@pytest.fixture
def table(tmp_path):
    lonlat = sphere_points(torch.rand(200, 2, generator=torch.Generator().manual_seed(0))).numpy()
    warm = np.cos(np.radians(lonlat[:, 1]))
    path = tmp_path / "table.csv"
    pl.DataFrame(
        {
            "lon": lonlat[:, 0],
            "lat": lonlat[:, 1],
            "warm": warm,
            "belt": np.where(warm > 0.8, "tropic", "other"),
        }
    ).write_csv(path)
    return path


def test_numbers_as_json(csp, table):
    code, printed, err = csp(
        "probe", "sphere_c_plus", table, "--value", "warm", "--seeds", 2, "--bank", 0.5,
        "--blocks", "20,80", "--folds", 3, "--json",
    )  # fmt: skip
    assert code == 0, err
    told = json.loads(printed)
    assert told["dimensions"] == 256 and told["rows"] == 200 and told["groups"]["80°"] < 16
    names = list(told["ways"])
    assert names[:2] == [
        "sphere_c_plus, untrained",
        "sphere_c_plus, untrained, beside a bank (0.5)",
    ]
    assert names[2:] == ["interpolation (inverse distance)", "nearest places", "raw coordinates",
                         "sine and cosine"]  # fmt: skip
    for way in names:
        assert set(told["ways"][way]) == {"random", "20°", "80°"}
        assert len(told["ways"][way]["random"]["r2"]["seeds"]) == 2
    # The cosine of the latitude is one of the four features.
    assert told["ways"]["sine and cosine"]["20°"]["r2"]["mean"] > 0.999
    assert told["ways"]["raw coordinates"]["20°"]["r2"]["mean"] < 0.2


def test_a_table_of_classes_with_blocks_that_do_not_count(csp, table):
    code, printed, err = csp(
        "probe", "raw", table, "--value", "belt", "--seeds", 1, "--blocks", "90", "--alone"
    )
    assert code == 0, err
    assert "balanced accuracy of belt, 200 rows" in printed and "n/a" in printed
    assert "fewer than 10 blocks are occupied (8 of 90°)" in printed
    assert "2 classes; always saying" in printed and "interpolation" not in printed


def test_what_a_bundled_model_knows(csp, table):
    code, printed, err = csp(
        "probe", "birds", table, "--value", "belt", "--seeds", 1, "--blocks", "", "--alone"
    )
    assert code == 0, err
    assert "the location encoder of model birds, 256 dimensions" in printed


def test_words_that_are_a_value_are_kept_if_that_is_said(csp, table):
    rows = pl.read_csv(table).with_columns(belt=pl.col("belt").str.replace("other", "none"))
    rows.write_csv(table)
    given = ("probe", "raw", table, "--value", "belt", "--seeds", 1, "--blocks", "", "--alone")
    code, printed, err = csp(*given, "--missing", "na,-")
    assert code == 0, err
    assert "2 classes; always saying" in printed and "left out" not in printed
    code, printed, err = csp(*given)
    assert code == 1 and "are the class 'tropic'" in err


def test_a_model_of_the_hub_is_fetched_by_name(csp, table, monkeypatch, tmp_path):
    given = ("probe", "hf:somebody/places", table, "--value", "warm")
    monkeypatch.setenv("CSP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    code, printed, err = csp(*given)
    assert code == 1 and printed == "" and err.count("\n") == 1
    assert "hf:somebody/places" in err and "Unknown location encoder" not in err
    folder = tmp_path / "cache" / "hub" / "somebody"
    assert not folder.exists()
    code, _, err = csp("probe", "hf:", table, "--value", "warm")
    assert code == 1 and "give hf:OWNER/NAME" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing", "--value", "warm"], "Unknown location encoder 'nothing'"),
        (["raw", "--value", "height"], "there is no column 'height'"),
        (["raw", "--value", "belt", "--as", "numbers"], "is no finite number"),
        (["raw", "--value", "warm", "--as", "classes"], "200 classes in 200 rows"),
        (["raw"], "which column holds the values"),
        (["raw", "--value", "warm", "--blocks", "a,b"], "Blocks 'a,b': give sides"),
        (["raw", "--value", "warm", "--blocks", "2,100"], "give sides from 0.1 to 90"),
        (["raw", "--value", "warm", "--seed", "-1"], "seed is -1"),
        (["raw", "--value", "warm", "--most", "3"], "At most 3 rows"),
        (["korea_landuse", "--value", "warm"], "has no location encoder"),
    ],
)
def test_what_is_refused_is_told_in_one_line(csp, table, arguments, says):
    code, printed, err = csp("probe", arguments[0], table, *arguments[1:])
    assert code == 1 and printed == "" and says in err and err.count("\n") == 1
