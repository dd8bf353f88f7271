"""Captions of the published images of EuroSAT, made of their places."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from csp_core.data import load_dataset
from csp_core.data.captions.facts import captions_of_facts
from csp_core.data.captions.templates import MONTHS
from csp_core.gazetteer.index import connect

ROOT = Path(__file__).parents[2].parent / "shared" / "data"
ROOT = Path(os.environ.get("CSP_SHARED_DATA", ROOT)) / "eurosat"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not ROOT.is_dir(),
        reason="needs the real data: put it beside the project as ../shared/data, or name its"
        " folder in CSP_SHARED_DATA",
    ),
    pytest.mark.skipif(connect() is None, reason="needs the list of places"),
]


def test_every_image_has_a_caption_within_seconds():
    data = load_dataset("eurosat", "all", root=ROOT, images=False)
    began = time.process_time()
    texts = captions_of_facts(data)
    assert time.process_time() - began < 30
    assert "" not in texts and len(set(texts)) > 10_000
    said = {word for text in texts for word in text.split()}
    assert {"Germany", "Romania", "Spain"} <= said and not said & set(MONTHS) - {"May", "March"}
    # What the images show is said only where it is asked for.
    assert not any("residential" in text or "annual crop" in text for text in texts)
    assert sum("annual crop" in text for text in captions_of_facts(data, with_class=True)) > 2000
