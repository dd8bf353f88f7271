"""Runs that several cells start from: trained where they are not there, begun anew if killed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from report import ended

import csp_core
from csp_core.config import parse_config
from csp_core.model import DualEncoder


def train(tree: Mapping[str, Any], folder: Path) -> DualEncoder:
    """Train as ``csp train`` does.

    Args:
        tree: The configuration.
        folder: The run's folder.

    Returns:
        The model, in evaluation mode.
    """
    return ended(csp_core.train(parse_config(dict(tree)), run_dir=folder)).model.eval()


def once(tree: Mapping[str, Any], home: Path, name: str) -> Path:
    """Give the run of a configuration, which is trained where it is not there.

    Args:
        tree: The configuration; where its data lie decides nothing.
        home: Folder of such runs.
        name: What its folder's name begins with.

    Returns:
        Its folder.
    """
    data = {key: value for key, value in tree["data"].items() if key != "root"}
    told = json.dumps({**tree, "data": data}, sort_keys=True)
    folder = home / f"{name}-{hashlib.sha256(told.encode()).hexdigest()[:10]}"
    if not folder.is_dir():
        # What was killed in between is begun anew.
        begun = folder.with_suffix(".part")
        shutil.rmtree(begun, ignore_errors=True)
        train(tree, begun)
        begun.rename(folder)
    return folder
