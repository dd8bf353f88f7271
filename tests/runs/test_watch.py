"""What a run says in a terminal beside its bar."""

from __future__ import annotations

import io
import logging

from rich.console import Console

from csp_core.runs.watch import watch


def test_a_terminal_shows_what_a_person_should_read(tmp_path):
    log = logging.getLogger("csp_core.training")
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, no_color=True, width=120)
    before = list(log.handlers)
    log.setLevel(logging.INFO)
    with watch(tmp_path, console):
        log.info("dropped 120: [names] above species", extra={"tell": True})
        log.info("epoch 1")
        log.warning("mind the numbers")
        log.error("failed")
    shown = screen.getvalue()
    assert "dropped 120: [names] above species" in shown and "mind the numbers" in shown
    assert "epoch 1" not in shown and "failed" not in shown
    assert log.handlers == before
