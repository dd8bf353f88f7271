"""The files and processes of a run: what a page about jobs imports."""

from __future__ import annotations

from csp_core.runs.directory import ALIVE, RunDir, log_to

__all__ = ["ALIVE", "RunDir", "log_to"]
