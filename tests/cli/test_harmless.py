"""What files say is printed without what a terminal would obey."""

from __future__ import annotations

import io
import json
import logging
import shutil
import time
from pathlib import Path

import pytest
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from csp_core.cli.console import PlainConsole, out, print_json
from csp_core.files import harmless
from csp_core.runs.logs import PlainFormatter
from csp_core.runs.watch import watch
from csp_core.store import catalog

BAD = "\x1b]0;owned\x07\x1b[2J\x9b1m\u202e\u2066\rend :bomb: [red]x"


def is_plain(text):
    return not any(sign in text for sign in "\x07\x1b\x9b\u202e\u2066\r")


def test_whatever_is_printed():
    stream = io.StringIO()
    console = PlainConsole(file=stream, width=300, markup=False, emoji=False)
    table = Table(BAD, title=BAD)
    table.add_row(BAD, Text(BAD))
    for shown in (BAD, Text(BAD), table, Panel(BAD)):
        console.print(shown)
    told = stream.getvalue()
    assert is_plain(told) and told.count(":bomb: [red]x") >= 6
    stream.truncate(0)
    # The console's own colours go on.
    PlainConsole(file=stream, force_terminal=True).print(Text("a", style="red"))
    assert "\x1b[" in stream.getvalue()


def test_json_has_the_same_values(capsys):
    print_json({BAD: [BAD]})
    told = capsys.readouterr().out
    assert is_plain(told) and json.loads(told) == {BAD: [BAD]}


def test_letters_of_all_languages_stay():
    text = "Ñandú · 喜鹊 · עקעק · क्ष \u200d👩\u200d🌾\n\t"
    assert harmless(text) == text and harmless("\ud800") == "�"


def test_a_card_and_a_folder(csp, model_dir, tmp_path, monkeypatch):
    shelf = tmp_path / "shelf"
    folder = Path(shutil.copytree(model_dir, shelf / "m"))
    said = '"' + BAD.encode("unicode_escape").decode().replace("\\x1b", "\\e") + '"'
    (folder / "README.md").write_text(f"---\ntitle: {said}\nsummary: {said}\n---\n")
    (shelf / BAD).mkdir()
    (shelf / BAD / "config.json").write_text("[]")
    monkeypatch.setenv("CSP_MODELS", str(shelf))
    monkeypatch.setattr(catalog, "ASSETS", tmp_path)
    monkeypatch.setattr(out, "_width", 300)
    for options in ([], ["--json"]):
        code, told, _ = csp("models", *options)
        assert code == 0 and is_plain(told) and "owned" in told


@pytest.mark.parametrize("terminal", [True, False])
def test_a_run_that_is_watched(tmp_path, terminal, capsys):
    status = {"format": "csp-run/1", "state": "running", "host": "elsewhere",
              "heartbeat": time.time(), "message": BAD,
              "step": 1, "total_steps": 2}  # fmt: skip
    (tmp_path / "status.json").write_text(json.dumps(status))
    stream = io.StringIO()
    console = PlainConsole(file=stream, force_terminal=terminal, width=300, color_system=None)
    with watch(tmp_path, console):
        logging.getLogger("csp_core.training").warning("%s", BAD)
        if terminal:
            time.sleep(0.8)
    told = stream.getvalue() if terminal else capsys.readouterr().err
    assert "]0;owned" in told and ":bomb: [red]x" in told
    assert "\x1b]0;" not in told and "\x1b[2J" not in told and "\u202e" not in told


def test_a_log():
    record = logging.LogRecord("a", logging.INFO, "", 1, BAD, None, None)
    assert is_plain(PlainFormatter("%(message)s").format(record))
