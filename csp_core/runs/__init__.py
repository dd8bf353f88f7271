"""The files and processes of a run: what a page about jobs imports."""

from __future__ import annotations

from csp_core.runs.directory import RunDir
from csp_core.runs.logs import log_to
from csp_core.runs.status import ALIVE

__all__ = ["ALIVE", "RunDir", "log_to"]
