"""What frozen location encoders tell of places, near and far from those seen: the table of probes.

Every row, set of places, split and seed is one file under runs/: a killed benchmark goes on.
"""

from __future__ import annotations

import argparse
import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import probe_data
import probe_tables
import torch
from probe_data import SHARED, places_of
from probe_tables import body, numbers_of
from report import arguments, code_mark, write_report
from stssl_common import Cell, add_options, run_cells

from csp_core import import_checkpoint
from csp_core.errors import DataNotFoundError
from csp_core.evaluation import probes
from csp_core.evaluation.probes import fitting, folds, interpolating, numbers
from csp_core.importers import surroundings
from csp_core.importers.packages import find_published
from csp_core.inference.retrieval import bank
from csp_core.location import ENCODINGS
from csp_core.model.parts import evaluating

# Rows probed on classes too; the other untrained encoders on numbers alone.
UNTRAINED = ("wrap", "grid", "rff_sphere", "sphere_c_plus", "harmonics")
BUNDLED = ("earth", "world_birds", "birds", "landcover", "eurosat", "demo")
PUBLISHED = ("fmow_xyz", "fmow_sphereM", "yfcc_space2vec_grid", "yfcc_sphereC")
GEOCLIP = "GeoCLIP, file of the package"
BESIDE = "GeoCLIP, climate and elevation side by side"
# `earth` trained on 200,000 places once, with all families of what is told of them or without one:
# `csp train configs/earth.yaml --run-dir runs/earth_variants/NAME training.epochs=1
# data.size=200_000`, without one also `data.families=…` and `model.image.dim=…` of the others.
VARIANTS = dict(zip(probe_tables.VARIANTS, ("all", "no_climate", "no_elevation", "no_geoclip"),
                    strict=True))  # fmt: skip
TRAINED = probe_data.ROOT / "runs" / "earth_variants"
MIX = 0.5
BANK = f"GeoCLIP beside a bank (RANGE, {MIX})"
# What no row may be without is done first: numbers at all distances, then classes.
NUMBERS, LIFE = "numbers", "life"
CLASSES = ("zones", "country", "eurosat", "bigearthnet", "birds", "crustaceans")
NEAR_AND_FAR, EVERY = (None, 10.0, 40.0), (None, *probes.BLOCKS)
COUNTS = {"numbers": 2000, "zones": 1500, "country": 2000}
OTHERWISE = 1500
QUICK_ROWS = ("interpolation (inverse distance)", "raw coordinates", "wrap, untrained", "birds")


# Cells of other code are other cells.
DECIDES = (probe_data, surroundings, fitting, folds, interpolating, numbers)


@functools.cache
def embed(row: str, name: str, count: int) -> probes.Embedding:
    """Embed a set of places by the encoder of a row.

    Args:
        row: Row of the table.
        name: Of the set of places.
        count: Its size.

    Returns:
        The embedding.

    Raises:
        DataNotFoundError: If the encoder's file is not there.
    """
    lonlat = places_of(name, count).lonlat
    if row == BESIDE:
        parts = [surroundings.FAMILIES[name](lonlat) for name in ("geoclip", "climate")]
        metres = torch.from_numpy(surroundings.heights(lonlat))[:, None]
        side = torch.cat((*parts, metres), dim=1).double().numpy()
        return probes.Embedding(row, side, "what packages hold of places")
    if row in VARIANTS:
        folder = TRAINED / VARIANTS[row] / "model"
        if not folder.is_dir():
            raise DataNotFoundError(f"needs runs/earth_variants/{VARIANTS[row]}, trained before")
        return probes.embed_frozen(str(folder), lonlat)
    if row in (GEOCLIP, BANK):
        return _published(find_published("geoclip"), lonlat)
    if row in PUBLISHED:
        path = SHARED / "torchspatial" / f"{row}.pth.tar"
        if not path.is_file():
            raise DataNotFoundError(f"needs ../shared/data/torchspatial/{row}.pth.tar")
        return _published(path, lonlat)
    return probes.embed_frozen(row.removesuffix(", untrained"), lonlat)


def _published(path: Path, lonlat: torch.Tensor) -> probes.Embedding:
    encoder = import_checkpoint(path).location
    with evaluating(encoder):
        vectors = encoder(lonlat.double()).double().numpy()
    return probes.Embedding(path.name, vectors, "a published file")


def way_of(row: str, name: str, count: int) -> probes.Way:
    """Make what answers in a row."""
    lonlat = places_of(name, count).lonlat
    plain = probes.plain_ways(lonlat)
    if row in plain:
        return plain[row]
    vectors = embed(row, name, count).vectors
    return probes.Probe(probes.with_bank(vectors, lonlat, MIX) if row == BANK else vectors)


def work(cell: Cell) -> Mapping[str, float]:
    """Probe one set of places with one row, at one distance, with one order of the folds.

    Args:
        cell: Its settings name the set, its size and the side of the blocks.

    Returns:
        Target and measure to number; ``groups`` alone where too few blocks are occupied.
    """
    name, count, degrees = (cell.settings[key] for key in ("set", "count", "degrees"))
    places = places_of(name, count)
    if degrees is not None:
        groups = probes.occupied_blocks(places.lonlat, degrees)
        if groups < probes.LEAST_BLOCKS:
            return {"groups": groups}
    found = probes.measure(way_of(cell.row, name, count), places, degrees, seed=cell.draw)
    return {f"{target}/{key}": value for target, told in found.items()
            for key, value in told.items()}  # fmt: skip


def rows_of(quick: bool) -> tuple[str, ...]:
    """List the rows on all targets, what any encoder has to beat first."""
    plain = tuple(probes.plain_ways(torch.zeros(1, 2)))
    rows = (
        *plain,
        GEOCLIP,
        BESIDE,
        BANK,
        *PUBLISHED,
        *BUNDLED,
        *(f"{one}, untrained" for one in UNTRAINED),
    )
    return tuple(row for row in rows if row in QUICK_ROWS) if quick else rows


def cells_of(quick: bool, draws: int) -> Iterable[Cell]:
    """List the cells: numbers at every distance before classes, every row once before again."""
    rows = rows_of(quick)
    more = () if quick else tuple(f"{one}, untrained" for one in ENCODINGS if one not in UNTRAINED)
    mark, with_bank = (
        code_mark(Path(str(inspect.getfile(part))) for part in parts)
        for parts in (DECIDES, (*DECIDES, bank))
    )

    def cell(row: str, name: str, degrees: float | None, draw: int) -> Cell:
        count = 300 if quick else COUNTS.get(name, OTHERWISE)
        settings = {"set": name, "count": count, "degrees": degrees}
        settings["code"] = with_bank if row == BANK else mark
        where = "random" if degrees is None else f"{degrees:g}°"
        return Cell(row, f"{name}, {where}", draw, settings)

    # What is compared at every distance; the others learn, or know, too little of the Earth.
    judged = [row for row in rows if row in (*probe_tables.JUDGED, *BUNDLED[:3])]
    for draw in range(1 if quick else draws):
        for name, degrees in itertools.product((NUMBERS, LIFE), EVERY):
            for row in (*rows, *more) if name == NUMBERS else judged:
                yield cell(row, name, degrees, draw)
            if not (quick or draw):
                yield from (cell(row, name, degrees, draw) for row in VARIANTS)
    # One order of the folds: classes cost most, and their deviation is seen in the numbers.
    for name, degrees, row in itertools.product(CLASSES[:1] if quick else CLASSES, EVERY, rows):
        if degrees in NEAR_AND_FAR or row in probe_tables.JUDGED:
            yield cell(row, name, degrees, 0)


def main() -> None:
    """Run the cells that lack and write the tables."""

    def extend(parser: argparse.ArgumentParser) -> None:
        add_options(parser, "probe")
        parser.set_defaults(draws=probes.probing.SEEDS)

    options = arguments(__doc__.splitlines()[0], extend)
    run: Callable[..., object] = run_cells
    outcome = run(
        cells_of(options.quick, options.draws),
        work,
        options.cells,
        workers=options.workers,
        seconds=options.seconds,
        tables_only=options.tables_only,
    )
    write_report(
        "probe",
        "Probes of location encoders",
        body(outcome, rows_of(options.quick)),
        numbers_of(outcome),
        options,
    )


if __name__ == "__main__":
    main()
