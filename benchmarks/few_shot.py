"""How well a species is ranked over the world from 1 to 50 of its places, by encoders and without.

Every species that is asked for was hidden from every encoder that is asked. One cell is a row, a
group of species with a number of places, and a draw of the places; each is a file under runs/.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl
import shapely
import torch
from numpy.typing import NDArray
from report import arguments, write_report
from stssl_common import Cell, add_options, run_cells
from stssl_tables import measure_table, missing_list, numbers
from torch import Tensor, nn

from csp_core import geo
from csp_core.importers import import_checkpoint
from csp_core.importers.packages import packaged_file
from csp_core.inference import location_prior
from csp_core.inference.few_shot import Background, Ground, few_shot, make_ground
from csp_core.land import land_grid
from csp_core.model import DualEncoder
from csp_core.store import load_model

NAME = "few_shot"
DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
GROUPS = {
    "birds": ("birds/xeno_canto_birds.csv.gz", "scientific_name", "longitude", "latitude"),
    "crustaceans": (
        *("crustaceans/obis_mnhn.csv.gz", "species"),
        *("decimalLongitude", "decimalLatitude"),
    ),
}
# The same birds and places; truth is where BirdNET's prior, asked for the year, reports them, of so
# many cells of land, drawn by area.
RANGES, REPORTED, LAND_CELLS = "ranges of birds", 0.03, 5000
GROUPS[RANGES] = GROUPS["birds"]
BACKGROUND = {"birds": "land", "crustaceans": "world", RANGES: "land"}
COUNTS, SPECIES, LEFT = (1, 2, 5, 10, 50), 40, 5
# A column of fewer species than this is no mean of a group.
FEWEST = 5
KERNEL_KM = 500.0
# Rows that end so count distance too, the others the embedding alone.
BOTH = "and distance"
ENCODERS = {
    f"earth {BOTH}": "earth",
    f"GeoCLIP {BOTH}": "geoclip",
    "earth": "earth",
    "GeoCLIP": "geoclip",
    "landcover": "landcover",
    "eurosat": "eurosat",
    "birds": "birds",
    "GeoCLIP, target group": "geoclip",
    "raw coordinates": "raw",
}


@dataclass(frozen=True, eq=False)
class Group:
    """Cells of 1° with a record of a group of species, and the cells that are ranked.

    Args:
        seen: ``(S, 2)`` degrees, the centres of cells with a record.
        where: Species to the numbers of its cells among them; those that are asked for.
        sites: ``(M, 2)`` degrees, the centres of cells that are ranked.
        truth: Species to ``(M,)`` whether it is there.
    """

    seen: Tensor
    where: Mapping[str, NDArray[np.int64]]
    sites: Tensor
    truth: Mapping[str, NDArray[np.bool_]]


class RawCoordinates(nn.Module):
    """Longitude, latitude and the unit vector, as they are."""

    out_dim = 5

    def __init__(self) -> None:
        super().__init__()
        # A model is where its parameters are.
        self.scale = nn.Parameter(torch.tensor([180.0, 90.0]), requires_grad=False)

    def forward(self, lonlat: Tensor) -> Tensor:
        """Give ``(N, 5)`` of ``(N, 2)`` degrees."""
        return torch.cat((lonlat / self.scale, geo.unit_vectors(lonlat)), dim=1)


@lru_cache
def read_group(name: str, species: int) -> Group:
    """Read a group, and choose its species of the most cells.

    Args:
        name: A key of ``GROUPS``.
        species: How many.

    Returns:
        The group.
    """
    file, *columns = GROUPS[name]
    table = pl.read_csv(DATA / file).select(columns).drop_nulls()
    lonlat = table.select(columns[1:]).to_torch(dtype=pl.Float32)
    ids, cell = torch.unique(geo.cell_ids(lonlat, 1.0), return_inverse=True)
    sites = geo.cell_centres(ids, 1.0)
    found: dict[str, set[int]] = {}
    for taxon, one in zip(table[columns[0]].to_list(), cell.tolist(), strict=True):
        found.setdefault(taxon, set()).add(one)
    order = sorted(found, key=lambda taxon: (-len(found[taxon]), taxon))[:species]
    where = {taxon: np.array(sorted(found[taxon])) for taxon in order}
    if name == RANGES:
        return Group(sites, where, *read_ranges(order))
    every = np.arange(len(sites))
    return Group(sites, where, sites, {taxon: np.isin(every, where[taxon]) for taxon in order})


def read_ranges(taxa: list[str]) -> tuple[Tensor, dict[str, NDArray[np.bool_]]]:
    """Ask BirdNET's prior where species are reported.

    Args:
        taxa: Scientific names.

    Returns:
        ``(M, 2)`` cells of land, and for each species that it knows whether it is reported there.
    """
    centres, area = land_grid(1.0)
    generator = torch.Generator().manual_seed(0)
    sites = centres[torch.multinomial(area, LAND_CELLS, generator=generator)].float()
    prior = import_checkpoint("birdnet")
    reported = location_prior(prior, sites).numpy() >= REPORTED
    names = prior.classes.names
    return sites, {taxon: reported[:, names.index(taxon)] for taxon in taxa if taxon in names}


@lru_cache(maxsize=4)
def read_encoder(name: str) -> DualEncoder:
    """Load an encoder.

    Args:
        name: ``geoclip``, ``raw`` or a bundled model.

    Returns:
        The model.
    """
    if name == "raw":
        return DualEncoder(None, RawCoordinates(), dim=5).eval()
    if name == "geoclip":
        return import_checkpoint(packaged_file("geoclip", "location_encoder_weights.pth"))
    return load_model(name)


@lru_cache(maxsize=8)
def read_ground(row: str, group: str, species: int) -> tuple[Ground, Tensor]:
    """Prepare an encoder for a group, with the features of all sites.

    The target group is all cells with a record of the group, each alike.

    Args:
        row: A key of ``ENCODERS``.
        group: A key of ``GROUPS``.
        species: As for ``read_group``.

    Returns:
        The ground and ``(M, R)`` features.
    """
    data = read_group(group, species)
    background = Background(data.seen) if row.endswith("target group") else BACKGROUND[group]
    ground = make_ground(read_encoder(ENCODERS[row]), background)
    return ground, ground.see(data.sites)


def nearest(places: Tensor, sites: Tensor) -> Tensor:
    """Score sites by the distance to the nearest place."""
    return -_distances(places, sites).amin(dim=1)


def kernel(places: Tensor, sites: Tensor) -> Tensor:
    """Score sites by the sum of exponentials of the distances."""
    return torch.exp(-_distances(places, sites) / KERNEL_KM).sum(dim=1)


def hull(places: Tensor, sites: Tensor) -> Tensor:
    """Score sites by the distance to the convex hull, 0 inside, on an azimuthal equidistant map."""
    middle = geo.lonlat_of(geo.unit_vectors(places.double()).sum(dim=0))
    plane = [_flat(part.double(), middle) for part in (places, sites)]
    shape = shapely.MultiPoint(plane[0]).convex_hull
    return -torch.from_numpy(shapely.distance(shape, shapely.points(plane[1])))


BASELINES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "nearest record": nearest,
    f"kernel density, {KERNEL_KM:g} km": kernel,
    "convex hull": hull,
}


def _distances(places: Tensor, sites: Tensor) -> Tensor:
    return geo.great_circle_km(sites.double()[:, None], places.double()[None])


def _flat(lonlat: Tensor, middle: Tensor) -> NDArray[np.float64]:
    far = geo.great_circle_km(lonlat, middle.expand_as(lonlat))
    lon, lat = torch.deg2rad(lonlat).unbind(1)
    lon0, lat0 = torch.deg2rad(middle)
    east = lat.cos() * (lon - lon0).sin()
    north = lat0.cos() * lat.sin() - lat0.sin() * lat.cos() * (lon - lon0).cos()
    length = torch.hypot(east, north).clamp_min(1e-12)
    return (torch.stack((east, north), dim=1) / length[:, None] * far[:, None]).numpy()


def average_precision(scores: Tensor, truth: NDArray[np.bool_]) -> float:
    """Compute the average precision; of equal scores, those without a record come first.

    Args:
        scores: ``(M,)``.
        truth: ``(M,)``.

    Returns:
        The mean over true sites of the precision down to each.
    """
    order = np.lexsort((truth, -scores.numpy()))
    hits = truth[order]
    return float((np.cumsum(hits)[hits] / (np.flatnonzero(hits) + 1)).mean())


def work(cell: Cell) -> Mapping[str, float]:
    """Run a cell: the mean over species of the average precision.

    Args:
        cell: The cell.

    Returns:
        ``mean_ap``, and how many ``species`` it is of.
    """
    group, count = str(cell.settings["group"]), int(cell.settings["count"])
    species = int(cell.settings["species"])
    data = read_group(group, species)
    ids = geo.cell_ids(data.sites, 1.0)
    scores = []
    for taxon, cells in data.where.items():
        truth = data.truth.get(taxon)
        if truth is None or len(cells) < count + LEFT:
            continue
        generator = np.random.default_rng([cell.draw, zlib.crc32(taxon.encode())])
        chosen = generator.permutation(cells)[:count]
        places = data.seen[torch.from_numpy(chosen)]
        asked = ~torch.isin(ids, geo.cell_ids(places, 1.0)).numpy()
        if cell.row in BASELINES:
            found = BASELINES[cell.row](places, data.sites)
        else:
            ground, features = read_ground(cell.row, group, species)
            both = cell.row.endswith(BOTH)
            species_found = few_shot(ground.model, places, distance=both, ground=ground)
            found = species_found.scores(features, data.sites)
        scores.append(average_precision(found[torch.from_numpy(asked)], truth[asked]))
    if len(scores) < FEWEST:
        raise ValueError(f"only {len(scores)} species have that many places and {LEFT} more")
    return {"mean_ap": float(np.mean(scores)), "species": len(scores)}


def plan(options: argparse.Namespace) -> list[Cell]:
    """List the cells.

    Args:
        options: As ``arguments`` returned.

    Returns:
        Rows by groups, numbers of places and draws.
    """
    species, counts = (6, (1, 5)) if options.quick else (SPECIES, COUNTS)
    quick = (f"GeoCLIP {BOTH}", "GeoCLIP", "raw coordinates")
    rows = [*BASELINES, *(quick if options.quick else ENCODERS)]
    return [
        Cell(row, f"{group}, {count}", draw, {"group": group, "count": count, "species": species})
        for group in GROUPS
        for count in counts
        if not (group == "crustaceans" and count == 50)
        for row in rows
        # It has seen every bird that is asked for.
        if not (row == "birds" and group != "crustaceans")
        for draw in range(options.draws)
    ]


TEXT = (
    "Species of the most cells of 1° in each group, {species} at most, wholly hidden from every "
    "encoder: GeoCLIP has learned from photos of anything, earth from GeoCLIP, climate and "
    "relief, landcover and eurosat from land cover, and birds is asked of crustaceans alone. From "
    "the number of places in the heading a species is learned, and all cells with a record of its "
    "group are ranked; truth are its other cells. *Ranges of birds*: from the same places, "
    "{land:,} cells of land are ranked, and truth is where BirdNET's location prior, asked for "
    "the year, scores {reported:g} or more: a model, too, which learned from checklists of eBird."
    " Mean average precision over species, in percent, ± the standard deviation over draws of the"
    " places. *And distance*: the odds by the embedding times those by kernel density, as the page"
    " and the command have them; the rule was chosen on other species, those that come next by "
    "their number of cells. Birds are told from land, crustaceans from land and sea, in the row "
    "with a target group from all cells of the group. No crustacean has 55 cells, so that there is"
    " no column of 50. The hull ranks by the distance to it, all inside alike; with one place it is"
    " the nearest record."
    "\n\n{table}\n\n{missing}"
)


def main() -> None:
    """Run what is not there and write the table."""

    def extend(parser: argparse.ArgumentParser) -> None:
        add_options(parser, NAME)
        parser.set_defaults(draws=3)

    options = arguments(__doc__.splitlines()[0], extend)
    if options.quick:
        options.draws = 1
    if not DATA.is_dir():
        raise SystemExit("The records are not here: they are read from ../shared/data.")
    outcome = run_cells(
        plan(options),
        work,
        options.cells,
        workers=options.workers,
        seconds=options.seconds,
        tables_only=options.tables_only,
    )
    body = TEXT.format(
        species=6 if options.quick else SPECIES,
        land=LAND_CELLS,
        reported=REPORTED,
        table=measure_table(outcome, "mean_ap", title="learned by"),
        missing=missing_list(outcome),
    )
    title = "A species from a handful of places"
    write_report(NAME, title, body, numbers(outcome), options)


if __name__ == "__main__":
    main()
