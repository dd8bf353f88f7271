"""The data set ``place_features``: places with vectors that describe them in place of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from csp_core import geo
from csp_core.data.features import FeatureDataset, map_features
from csp_core.data.records import ClassTable
from csp_core.data.splits import Split, deal
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError
from csp_core.files import atomic_directory
from csp_core.land import on_land

PLACES = "places.npy"
MOST_PLACES = 5_000_000
# How far from land the places at sea lie, standard deviation in degrees.
COAST_DEGREES = 2.0
# From how many places on land at least these are scattered: a few may all lie far inland.
STARTS = 1000
MOST_SEED = 2**31 - 1
SOURCE = {"source": "places drawn at random, with what published models and grids say of them"}
Describe = Callable[[Tensor], Tensor]


def load_place_features(
    split: str = "train",
    *,
    root: str | Path | None = None,
    families: Mapping[str, float] | None = None,
    size: int | None = None,
    split_method: str = "random",
    val_fraction: float = 0.1,
    test_fraction: float = 0.0,
    block_degrees: float = 2.0,
    buffer_km: float = 0.0,
    seed: int = 0,
) -> FeatureDataset:
    """Read places and what describes them, as ``csp import-places`` writes both.

    Each column is brought to mean 0 and variance 1 over all places. Then a family's columns are
    scaled so that its part of the variance of all is its weight; the mean variance stays 1.

    Args:
        split: ``train``, ``val``, ``test`` or ``all``.
        root: The folder.
        families: Which families to read, and their weights above 0. All with weight 1 if None.
        size: Take the first so many places alone.
        split_method: ``random``, ``site`` or ``block``.
        val_fraction: Share of the places for validation, in [0, 1).
        test_fraction: Share of the places for test, in [0, 1).
        block_degrees: Side of a block, for ``block``.
        buffer_km: Training places this near to one of validation or test are left out.
        seed: Seed of the split.

    Returns:
        The places of the part, without labels or classes.

    Raises:
        CspError: If there are no such files there, or an option does not fit.
    """
    how = Split(
        method=split_method,
        val=val_fraction,
        test=test_fraction,
        block_degrees=block_degrees,
        buffer_km=buffer_km,
        seed=seed,
    )
    folder = _folder(root)
    places = map_features(folder / PLACES)
    count = len(places) if size is None else min(size, len(places))
    if count < 1:
        raise ConfigError(f"size is {size}; give at least 1 place.")
    lonlat = geo.check_lonlat(torch.from_numpy(np.array(places[:count], dtype=np.float32)))
    described = _side_by_side(folder, _weights(folder, families), len(places), count)
    dealt = deal(how, lonlat, torch.zeros(count, dtype=torch.int64), names=("place",))
    rows = dealt.rows(split)
    return FeatureDataset(
        lonlat=lonlat[rows],
        label=torch.full((len(rows),), -1),
        classes=ClassTable((), ()),
        name="place_features",
        info={**SOURCE, **dealt.left_out(), "split": how.words(split)},
        files=(described,),
        rows=rows,
    )


def draw_places(size: int, *, land: float = 0.93, seed: int = 0) -> Tensor:
    """Draw places evenly from all land, and some from the sea near its coasts.

    Args:
        size: How many.
        land: Part of them that lies on land, above 0 and up to 1.
        seed: Of the draw.

    Returns:
        ``(size, 2)`` degrees, in no order.

    Raises:
        ConfigError: If an option does not fit.
    """
    if not 1 <= size <= MOST_PLACES or not 0 < land <= 1:
        raise ConfigError(
            f"size is {size} and land {land}; give 1 to {MOST_PLACES:,} places, a part of them"
            " above 0 on land."
        )
    if not 0 <= seed <= MOST_SEED:
        raise ConfigError(f"seed is {seed}; give 0 to {MOST_SEED:,}.")
    generator = torch.Generator().manual_seed(seed)

    def anywhere(count: int) -> Tensor:
        return geo.sphere_points(torch.rand(count, 2, generator=generator))

    ashore = _drawn(max(round(land * size), 1), anywhere, wet=False)
    starts = ashore if len(ashore) >= STARTS else _drawn(STARTS, anywhere, wet=False)

    def near_coasts(count: int) -> Tensor:
        start = starts[torch.randint(len(starts), (count,), generator=generator)]
        lon, lat = (start + COAST_DEGREES * torch.randn(count, 2, generator=generator)).unbind(1)
        return torch.stack(((lon + 180) % 360 - 180, lat.clamp(-90, 90)), dim=1)

    afloat = _drawn(size - len(ashore), near_coasts, wet=True)
    return torch.cat((ashore, afloat))[torch.randperm(size, generator=generator)]


def write_place_features(
    folder: str | Path, lonlat: Tensor, families: Mapping[str, Describe]
) -> dict[str, int]:
    """Describe places and write both as files that ``load_place_features`` reads.

    Args:
        folder: The folder, which must not be there.
        lonlat: ``(N, 2)`` degrees.
        families: Name of each family to what gives ``(N, F)`` of places.

    Returns:
        Columns of each family.
    """
    columns = {}
    with atomic_directory(folder) as made:
        np.save(made / PLACES, lonlat.numpy().astype(np.float32))
        for name, describe in families.items():
            found = describe(lonlat)
            # Half precision has three digits, more than any of these is known by.
            np.save(made / f"{name}.npy", found.half().numpy())
            columns[name] = found.shape[1]
    return columns


def _drawn(count: int, draw: Callable[[int], Tensor], *, wet: bool) -> Tensor:
    """Draw until so many places lie at sea, or on land."""
    found = [torch.empty(0, 2)]
    while count > 0:
        tried = draw(4 * count + 16)
        found.append(tried[on_land(tried) != wet][:count])
        count -= len(found[-1])
    return torch.cat(found)


def _folder(root: str | Path | None) -> Path:
    if root is None:
        raise ConfigError(
            "The data set 'place_features' needs root: the folder that csp import-places made."
        )
    if not (Path(root) / PLACES).is_file():
        raise DataNotFoundError(f"No {PLACES} in {root}; make the folder by csp import-places.")
    return Path(root)


def _weights(folder: Path, families: Mapping[str, float] | None) -> Mapping[str, float]:
    there = sorted(path.stem for path in folder.glob("*.npy") if path.name != PLACES)
    given = dict.fromkeys(there, 1.0) if families is None else families
    unknown = [name for name in given if name not in there]
    if unknown or not given or not all(0 < weight < np.inf for weight in given.values()):
        raise ConfigError(
            f"families are {dict(given)}; give weights above 0 of some of these, which"
            f" {folder.name} holds: {', '.join(there)}."
        )
    return given


def _side_by_side(
    folder: Path, weights: Mapping[str, float], rows: int, count: int
) -> NDArray[np.float16]:
    """Standardise and weigh: ``(count, F)``, statistics over the same rows."""
    files = {name: map_features(folder / f"{name}.npy", rows) for name in weights}
    whole = sum(file.shape[1] for file in files.values()) / sum(weights.values())
    parts = []
    for name, file in files.items():
        found = np.asarray(file[:count], dtype=np.float32)
        # Down a column NumPy adds one by one, which single precision does not bear.
        mean = found.mean(axis=0, dtype=np.float64)
        if not np.isfinite(mean).all():
            wrong = int(np.flatnonzero(~np.isfinite(mean))[0])
            raise BadRecordError(
                f"column {wrong + 1} holds NaN or infinity; describe every place by finite numbers",
                file=f"{name}.npy",
            )
        deviation = found.std(axis=0, dtype=np.float64)
        # What is the same everywhere stays 0.
        scale = np.sqrt(whole * weights[name] / file.shape[1]) / np.maximum(deviation, 1e-6)
        moved = found - mean.astype(np.float32)
        parts.append((moved * scale.astype(np.float32)).astype(np.float16))
    return np.concatenate(parts, axis=1)
