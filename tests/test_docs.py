"""What README.md and docs/photos.md tell to type can be typed."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "docs/photos.md")
NETWORK = "hf-hub:"


def blocks(page, kind):
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"```{kind}\n(.*?)```", text, flags=re.DOTALL)


def commands(page):
    lines = "\n".join(blocks(page, "sh")).splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.startswith("csp ")]


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_runs(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    parts = [part for part in blocks(page, "python") if NETWORK not in part]
    assert len(parts) >= 2
    said, names = io.StringIO(), {}
    with contextlib.redirect_stdout(said):
        for part in parts:
            exec(compile(part, page, "exec"), names)
    for promised in re.findall(r"# (birds knows .*)", "\n".join(parts)):
        assert promised in said.getvalue()


def test_what_the_readme_shows_is_what_is_printed(csp, monkeypatch):
    monkeypatch.chdir(ROOT)
    printed, names = io.StringIO(), {}
    with contextlib.redirect_stdout(printed):
        for part in blocks("README.md", "python"):
            exec(compile(part, "README.md", "exec"), names)
    first = next(words for words in commands("README.md") if words[1] == "predict")
    printed.write(csp(*first[1:])[1])
    # A console draws its tables with other lines, and as wide as it is.
    said = {" ".join(re.split(r"[\s│┃]+", line)) for line in printed.getvalue().splitlines()}
    shown = "".join(blocks("README.md", "text")).splitlines()
    assert len(shown) == 9
    for line in shown:
        assert " ".join(re.split(r"[\s│┃]+", line)) in said, line


@pytest.mark.parametrize("page", PAGES)
def test_what_needs_a_network_can_at_least_be_read(page):
    for part in blocks(page, "python"):
        compile(part, page, "exec")


@pytest.mark.parametrize("page", PAGES)
def test_the_predictions_of_a_page_run(page, csp, monkeypatch):
    monkeypatch.chdir(ROOT)
    found = [words[1:] for words in commands(page) if words[1] == "predict"]
    found = [words for words in found if not words[1].startswith(("RUN", "runs/"))]
    assert found
    for words in found:
        code, said, complaint = csp(*words)
        assert code == 0, complaint
        if page == "docs/photos.md" and "--json" in words:
            text = (ROOT / page).read_text(encoding="utf-8")
            assert [key for key in json.loads(said) if f"`{key}`" not in text] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_files_that_a_page_names_are_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    missing = [link for link in linked if not ((ROOT / page).parent / link).exists()]
    words = {word for line in commands(page) for word in line}
    files = {word for word in words if word.startswith(("configs/", "assets/"))}
    assert missing == [] and [file for file in files if not (ROOT / file).is_file()] == []


def test_every_variable_of_the_environment_is_told():
    told = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    code = [path for home in ("csp_core", "app") for path in (ROOT / home).rglob("*.py")]
    named = {
        name
        for path in code
        for name in re.findall(r'"(CSP_[A-Z_]+)"', path.read_text(encoding="utf-8"))
    }
    # Between a launcher and what it launches.
    assert sorted(name for name in named - {"CSP_GATE"} if f"`{name}`" not in told) == []
