"""What docs/encoders.md says of each encoding and network is so, and its pictures can be drawn."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from csp_core import geo
from csp_core.location import ENCODINGS, NETWORKS
from csp_core.text import TEXT_ENCODERS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "encoders.md").read_text(encoding="utf-8")
PICTURES = ("encoders-nearness.png", "encoders-features.png")


def rows(heading):
    """The cells of the table under a heading, by the name in the first one."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0].strip("`"): row[1:] for row in cells}


def step_at_the_antimeridian(encoding):
    generator = torch.Generator().manual_seed(0)
    places = geo.sphere_points(torch.rand(2000, 2, generator=generator, dtype=torch.float64))
    lat = places[:500, 1]
    hair = torch.full_like(lat, 180 - 1e-10)
    with torch.no_grad():
        west, east = (encoding(torch.stack((lon, lat), dim=1)) for lon in (hair, -hair))
        features = encoding(places)
    usual = (features[:1000] - features[1000:]).norm(dim=1).median()
    return ((west - east).norm(dim=1).mean() / usual).item()


def test_every_encoding_and_network_is_listed_in_order():
    assert list(rows("The encodings")) == list(ENCODINGS)
    assert list(rows("The networks")) == list(NETWORKS)
    assert list(rows("Words")) == list(TEXT_ENCODERS)


@pytest.mark.parametrize("name", ENCODINGS)
def test_the_facts_of_an_encoding(name):
    _, size, step, poles, _ = rows("The encodings")[name]
    encoding = ENCODINGS[name]().double()
    assert int(size) == encoding.out_dim
    assert float(step) == pytest.approx(step_at_the_antimeridian(encoding), abs=0.06)
    assert (float(step) == 0) == encoding.continuous_at_antimeridian
    assert ("one" in poles) == encoding.continuous_at_poles
    assert ("same" in poles) == (not encoding.poles_differ)


def test_the_pictures_are_there_and_small():
    assert re.findall(r"\]\(([\w-]+\.png)\)", PAGE) == list(PICTURES)
    for picture in PICTURES:
        assert 20_000 < (ROOT / "docs" / picture).stat().st_size <= 200_000


def test_the_pictures_can_be_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    command = [sys.executable, "benchmarks/draw_encoders.py", "--quick", "--out", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=180)
    for picture in PICTURES:
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / picture).stat().st_size <= 200_000
