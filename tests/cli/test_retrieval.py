"""The commands that compare: csp retrieve, csp embed, and csp evaluate of such a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from tests import comparing
from tests.toy import save_toy_model
from tests.workers import once

Csp = Callable[..., tuple[int | str, str, str]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> None:
        comparing.save(folder)
        comparing.save(folder, "parts", steps=90, tokens=True, blocks=False)
        comparing.save(folder, "mute", text=False)
        save_toy_model(folder, "toy", train_steps=5)

    return once(tmp_path_factory, "comparing", make)


@pytest.fixture
def red(tmp_path: Path) -> Path:
    records = comparing.world(3, seed=9)
    assert records.image is not None
    pixels = (records.image[0] * 255).byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(tmp_path / "red.png")
    return tmp_path / "red.png"


def told(csp: Csp, *arguments: object) -> dict[str, Any]:
    code, printed, errors = csp(*arguments, "--json")
    assert code == 0, errors
    found: dict[str, Any] = json.loads(printed)
    return found


@pytest.mark.parametrize("name", ["colours", "parts"])
def test_words_and_pictures_are_ranked_by_places(
    csp: Csp, models: Path, name: str, red: Path
) -> None:
    for query in (("--text", "a red field"), ("--image", red)):
        found = told(csp, "retrieve", models / name, *query, "--top", 3)
        assert found["compares"] == ("tokens" if name == "parts" else "embeddings")
        assert [row["rank"] for row in found["results"]] == [1, 2, 3]
        best = found["results"][0]
        assert abs(best["lon"] - 16.4) < 8 and abs(best["lat"] - 48.2) < 6
        assert (found["spread"] is None) == (query[0] == "--text")
    code, printed, _ = csp("retrieve", models / name, "--image", red)
    assert code == 0 and "agreement" in printed and "no probability" in printed
    held = "at random" if name == "parts" else "had not seen"
    assert held in printed and "middle of the training records" in printed


def test_places_find_pictures_captions_and_places(
    csp: Csp, models: Path, red: Path, tmp_path: Path
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("a red field\na blue field\na green field\n")
    model, vienna = models / "colours", ("--place", 16.4, 48.2)
    found = told(csp, "retrieve", model, *vienna, "--of", "captions", "--gallery", texts)
    assert found["results"][0]["name"] == "a red field"
    found = told(csp, "retrieve", model, *vienna, "--of", "images", "--gallery", red)
    assert found["results"][0]["name"] == "red.png"
    found = told(csp, "retrieve", model, "--at", "Vienna", "--top", 1)
    assert found["query"]["value"].startswith("Vienna") and "taken for" in found["notes"][0]
    own = tmp_path / "own.csv"
    own.write_text("name,lon,lat\nfar,23.7,38.0\nnear,16.5,48.1\n")
    found = told(csp, "retrieve", model, *vienna, "--gallery", own)
    assert [row["name"] for row in found["results"]] == ["near", "far"]
    names = tmp_path / "names.txt"
    names.write_text("blue\nred\n")
    options = ("--of", "captions", "--gallery", names, "--as-classes")
    found = told(csp, "retrieve", model, "--image", red, *options)
    assert found["results"][0]["name"] == "red"


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("mute", ("--text", "x"), "reads no words"),
        ("toy", ("--text", "x"), "does not compare its sides"),
        ("colours", ("--text", " "), "Text is empty"),
        ("colours", ("--image", "absent.png"), "no picture and no folder"),
        ("colours", ("--text", "x", "--of", "birds"), "none of places, images, captions"),
        ("colours", ("--text", "x", "--of", "images"), "needs --gallery: a folder"),
        ("colours", ("--text", "x", "--gallery", "absent.csv"), "There is no file"),
        ("colours", ("--at", "Xyzzyqqq"), "No place called"),
        ("colours", ("--place", 200, 10), "no place in degrees|Longitude"),
        ("colours", ("--text", "x", "--as-classes"), "--as-classes needs"),
        ("colours", ("--text", "x", "--date", "soon"), "no date"),
    ],
)
def test_what_cannot_be_asked_is_said(
    csp: Csp, models: Path, name: str, options: tuple[object, ...], words: str
) -> None:
    code, _, errors = csp("retrieve", models / name, *options)
    assert code == 1 and errors.startswith("Error: ") and errors.count("\n") == 1
    assert any(word in errors for word in words.split("|")), errors


def test_one_question_at_a_time(csp: Csp, models: Path) -> None:
    for options in ((), ("--text", "x", "--place", 1, 2)):
        code, _, errors = csp("retrieve", models / "colours", *options)
        assert code == 2 and "Give one of --text, --image, --place and --at" in errors


def test_long_and_odd_texts_are_told(csp: Csp, models: Path) -> None:
    code, printed, _ = csp("retrieve", models / "colours", "--text", "森 red field " * 20)
    assert code == 0 and "was cut off" in printed and "byte by byte" in printed
    assert "the date changes nothing" not in printed
    code, printed, _ = csp("retrieve", models / "colours", "--text", "x", "--date", "2020-05-01")
    assert code == 0 and "the date changes nothing" in printed


def test_odd_files_are_told_in_one_sentence(csp: Csp, models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    files = {
        "empty.csv": "", "nan.csv": "lon,lat\nnan,3\n", "gone.csv": "lon,lat\n,3\n", "e.txt": " \n",
        "pictures/a.png": "", "fake.png": "no picture",
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    for name, said in (
        ("empty.csv", "no table"),
        ("nan.csv", "line 2: nan, 3 is no place"),
        ("gone.csv", "line 2: nothing, 3 is no place"),
        ("e.txt", "no texts in it"),
        ("pictures", "the first: a.png: The file is empty"),
        ("fake.png", "no picture that can be read"),
    ):
        out = tmp_path / "out.csv"
        code, _, errors = csp("embed", models / "colours", tmp_path / name, out)
        assert code == 1 and said in " ".join(errors.split()), errors
        assert "Traceback" not in errors and not out.exists()
    for place in ((500, 3), ("nan", 3), ("inf", 3)):
        code, _, errors = csp("retrieve", models / "colours", "--place", *place)
        assert code == 1 and errors.startswith("Error: ") and errors.count("\n") == 1
    texts = tmp_path / "odd.txt"
    texts.write_text("<script>x</script> [/b]\n\x1b[31m🦜\n" + "forest " * 2000)
    asked = ("--text", "<i>🦜</i> [bold]", "--of", "captions", "--gallery", texts)
    code, printed, _ = csp("retrieve", models / "colours", *asked)
    assert code == 0 and "<script>" in printed and "[/b]" in printed and "\x1b[31m" not in printed
    assert "was cut off" in printed
    texts.write_text("one\n")
    code, printed, _ = csp("retrieve", models / "colours", *asked)
    assert code == 0 and "Looked through: 1 caption." in printed


def test_embeddings_are_written(csp: Csp, models: Path, red: Path, tmp_path: Path) -> None:
    points = tmp_path / "points.csv"
    points.write_text("name,lon,lat\n=a,1,2\nb,3,4\n")
    texts = tmp_path / "texts.txt"
    texts.write_text("a red field\n")
    for name, source, of, size in (
        ("colours", points, "places", comparing.DIM),
        ("colours", texts, "captions", comparing.DIM),
        ("colours", red, "images", comparing.DIM),
        ("parts", red, "images", 8),
        ("toy", points, "places", None),
    ):
        out = tmp_path / f"{name}-{of}.parquet"
        found = told(csp, "embed", models / name, source, out)
        assert found["of"] == of and found["dimensions"] == (size or found["dimensions"])
        table = pl.read_parquet(out)
        vectors = table.select(pl.col("^e\\d+$")).to_numpy()
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
        assert len(table) == found["rows"]
    code, printed, _ = csp("embed", models / "toy", points, tmp_path / "toy.csv")
    assert code == 0 and "before any head" in printed
    # No cell of a table for spreadsheets is a formula.
    assert pl.read_csv(tmp_path / "toy.csv")["name"][0] == "'=a"
    assert told(csp, "embed", models / "parts", points, tmp_path / "p.npy")["space"].startswith(
        "means of the tokens"
    )
    assert np.load(tmp_path / "p.npy").shape == (2, 8)
    loaded = torch.from_numpy(np.load(tmp_path / "p.npy"))
    assert loaded.norm(dim=1).tolist() == pytest.approx([1, 1])


def test_what_cannot_be_embedded_is_said(csp: Csp, models: Path, red: Path, tmp_path: Path) -> None:
    both = tmp_path / "both.csv"
    both.write_text("lon,lat,caption\n1,2,x\n")
    for name, source, out, words in (
        ("colours", both, "a.csv", "has places and captions; say which"),
        ("colours", red, "a.txt", "no known ending"),
        ("toy", red, "a.csv", "looks at no pictures"),
        ("mute", both, "a.csv", "say which by --as"),
        ("colours", tmp_path / "none", "a.csv", "no picture and no folder"),
    ):
        code, _, errors = csp("embed", models / name, source, tmp_path / out)
        assert code == 1 and words in errors, errors
    code, _, errors = csp("embed", models / "mute", both, tmp_path / "a.csv", "--as", "captions")
    assert code == 1 and "reads no words" in errors and not (tmp_path / "a.csv").exists()


def test_it_has_no_map_of_a_class(csp: Csp, models: Path, tmp_path: Path) -> None:
    code, _, errors = csp("heatmap", models / "colours", "Forest", tmp_path / "map.tif")
    assert code == 1 and "'colours' ranks no classes" in errors and not any(tmp_path.iterdir())
