"""A position encoding as a picture: some of its features over the world."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image

from csp_core.errors import ConfigError
from csp_core.location import ENCODINGS
from csp_core.store.bounded import Bounded
from csp_core.tables import construct

STEP = 3.0
COLUMNS, ROWS, SCALE, GAP = 3, 2, 2, 4
# Low, zero and high; no pair that the colour-blind confuse.
LOW, ZERO, HIGH = (np.array(colour) for colour in ((84, 39, 136), (247, 247, 247), (179, 88, 6)))
MOST_FEATURES = 20_000
# What making the encoding may allocate, 64 MB.
MOST_VALUES = 16 << 20


def basis_picture(name: str, options: Mapping[str, Any] | None = None) -> bytes:
    """Draw six features of a position encoding, evenly chosen from the first to the last.

    Args:
        name: A name in ``ENCODINGS``.
        options: Its options; those left out have their defaults.

    Returns:
        A PNG of six world maps, west to east and north to south; purple is the least value of a
        feature, orange the greatest.

    Raises:
        UnknownNameError: If there is no such encoding.
        ConfigError: If an option does not fit, or the encoding is too large to be drawn.
    """
    # Some begin with weights of their own, which training then changes.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        with Bounded(MOST_VALUES, "These options make an encoding too large to be drawn."):
            encoding = construct("location encoder", ENCODINGS, name, **dict(options or {}))
    if encoding.out_dim > MOST_FEATURES:
        raise ConfigError(f"{encoding.out_dim:,} features are too many to draw.")
    lon = torch.arange(-180 + STEP / 2, 180, STEP)
    lat = torch.arange(90 - STEP / 2, -90, -STEP)
    places = torch.stack(torch.meshgrid(lon, lat, indexing="xy"), dim=-1)
    count = min(COLUMNS * ROWS, encoding.out_dim)
    chosen = torch.linspace(0, encoding.out_dim - 1, count).round().long()
    with torch.no_grad():
        # A row of the map at a time: some encodings have thousands of features.
        rows = [encoding(row)[:, chosen] for row in places]
    features = torch.stack(rows).permute(2, 0, 1).double().numpy()
    height, width = features.shape[1] * SCALE, features.shape[2] * SCALE
    across, down = min(COLUMNS, count), -(-count // COLUMNS)
    size = across * (width + GAP) - GAP, down * (height + GAP) - GAP
    sheet = Image.new("RGB", size, (255, 255, 255))
    for number, feature in enumerate(features):
        tile = Image.fromarray(_coloured(feature)).resize((width, height), Image.Resampling.NEAREST)
        row, column = divmod(number, COLUMNS)
        sheet.paste(tile, (column * (width + GAP), row * (height + GAP)))
    stream = io.BytesIO()
    sheet.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _coloured(feature: np.ndarray) -> np.ndarray:
    least, most = feature.min(), feature.max()
    part = ((feature - least) / max(most - least, 1e-12))[..., None]
    low = LOW + (ZERO - LOW) * np.minimum(part * 2, 1)
    both = low + (HIGH - ZERO) * np.maximum(part * 2 - 1, 0)
    return np.asarray(both.round(), dtype=np.uint8)
