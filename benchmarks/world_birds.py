"""How near `world_birds` is to the prior that it learned from, at places it was not fitted to."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from report import arguments, markdown, write_report
from torch import Tensor

from csp_core import load_dataset, load_model
from csp_core.data.sets.places import load_places
from csp_core.errors import DataNotFoundError
from csp_core.evaluation import compute_metrics
from csp_core.importers import import_checkpoint
from csp_core.inference.weeks import WEEKS
from csp_core.land import CONTINENTS, continent_of
from csp_core.model import DualEncoder, Prior
from csp_core.store import find_model

# From which score on the teacher says that a species is reported.
REPORTED = 0.03
FIRST = 20
PLACES, QUICK = 20_000, 400
CHUNK = 500
# A seed of its own: training draws with another, and scatters what it draws.
SEED = 20_000
RARITY = ((1, 10), (10, 100), (100, 1000), (1000, PLACES + 1))
BIRDS = Path(__file__).resolve().parents[2] / "shared/data/birds/xeno_canto_birds.csv.gz"
AIMS = {"overlap": 0.90, "ap": 0.95, "macro": 0.90}


def average_precision(truth: Tensor, scores: Tensor) -> Tensor:
    """Measure how well scores rank what is true above what is not, each row by itself.

    Args:
        truth: ``(N, M)`` bool.
        scores: ``(N, M)``.

    Returns:
        ``(N,)``: the mean, over what is true of a row, of the share of true ones down to it; NaN
        where nothing is.
    """
    order = scores.argsort(dim=1, descending=True, stable=True)
    ranked = truth.gather(1, order).float()
    share = ranked.cumsum(1) / torch.arange(1, ranked.shape[1] + 1)
    return (share * ranked).sum(1) / ranked.sum(1)


def first_overlap(want: Tensor, got: Tensor, count: int = FIRST) -> Tensor:
    """Count how many of the first classes two answers have in common.

    Args:
        want: ``(N, K)`` scores.
        got: ``(N, K)`` scores.
        count: How many first ones.

    Returns:
        ``(N,)`` parts in [0, 1].
    """
    first, second = (one.topk(count, dim=1).indices for one in (want, got))
    return (first[:, :, None] == second[:, None, :]).any(2).float().mean(1)


def ask(model: Prior, lonlat: Tensor, date: Tensor) -> Tensor:
    """Ask a model in parts; ``(N, K)``."""
    parts = zip(lonlat.split(CHUNK), date.split(CHUNK), strict=True)
    return torch.cat([model.prior(*part) for part in parts])


def by_place(teacher: Tensor, student: Tensor) -> dict[str, Tensor]:
    """Measure each place: overlap of the first, average precision, and what is reported there."""
    found: dict[str, list[Tensor]] = {"overlap": [], "ap": [], "reported": []}
    for want, got in zip(teacher.split(CHUNK), student.split(CHUNK), strict=True):
        truth = want >= REPORTED
        found["reported"].append(truth.sum(1))
        found["ap"].append(average_precision(truth, got))
        enough = truth.sum(1) >= FIRST
        overlap = first_overlap(want, got)
        found["overlap"].append(overlap.masked_fill(~enough, torch.nan))
    return {key: torch.cat(parts) for key, parts in found.items()}


def by_species(teacher: Tensor, student: Tensor) -> dict[str, Tensor]:
    """Measure each species over all places: average precision, and at how many it is reported."""
    ap, count = [], []
    for want, got in zip(teacher.split(CHUNK, 1), student.split(CHUNK, 1), strict=True):
        truth = want >= REPORTED
        count.append(truth.sum(0))
        ap.append(average_precision(truth.T, got.T))
    return {"ap": torch.cat(ap), "count": torch.cat(count)}


def mean(values: Tensor) -> float | None:
    """Average what is a number; None where nothing is."""
    known = values[~values.isnan()]
    return float(known.double().mean()) if len(known) else None


def parts_of(lonlat: Tensor, date: Tensor) -> dict[str, Tensor]:
    """Name the parts of the places that are told apart: all, seasons, continents."""
    where, year = continent_of(lonlat), date.isnan()
    named = {name: where == number for number, name in enumerate(CONTINENTS)}
    return {
        "all": torch.ones(len(lonlat), dtype=torch.bool),
        "in a week": ~year,
        "in the year": year,
        **named,
        "far at sea, ice": where < 0,
    }


def zero_shot(models: dict[str, DualEncoder]) -> list[dict[str, Any]]:
    """Rank the species of bird recordings by place alone, among those that the recordings have."""
    if not BIRDS.is_file():
        return []
    records = load_dataset("occurrences", "all", root=BIRDS, min_records=10)
    known = next(iter(models.values())).classes
    labels = known.match(records.classes.names)
    rows = labels[records.label] >= 0
    columns = labels[labels >= 0]
    number = torch.full((len(labels),), -1).masked_scatter(labels >= 0, torch.arange(len(columns)))
    found = []
    for name, model in models.items():
        scores = ask(model, records.lonlat[rows], records.date[rows])[:, columns]
        metrics = compute_metrics(scores, number[records.label[rows]], unmatched=int((~rows).sum()))
        found.append({"model": name, "species": len(columns), **metrics.to_dict()})
    return found


def measure(teacher: DualEncoder, student: DualEncoder, root: Path, count: int) -> dict[str, Any]:
    """Ask both at random places, and measure by place and by species."""
    drawn = load_places("all", root=root, size=count, world_seed=SEED, undated=1 / (WEEKS + 1))
    answers = [ask(model, drawn.lonlat, drawn.date) for model in (teacher, student)]
    places, species = by_place(*answers), by_species(*answers)
    rows = [
        {
            "places": name,
            "n": int(own.sum()),
            "reported": mean(places["reported"][own]),
            "with_first": int((~places["overlap"][own].isnan()).sum()),
            "overlap": mean(places["overlap"][own]),
            "ap": mean(places["ap"][own]),
        }
        for name, own in parts_of(drawn.lonlat, drawn.date).items()
    ]
    seen = species["count"] > 0
    groups = [
        {"from": low, "to": high - 1, "species": int(own.sum()), "macro": mean(species["ap"][own])}
        for low, high in RARITY
        if (own := (species["count"] >= low) & (species["count"] < high)).any()
    ]
    off = (answers[0] - answers[1]).abs()[answers[0] >= REPORTED]
    return {
        "places": rows,
        "rarity": groups,
        "macro": mean(species["ap"][seen]),
        "species": int(seen.sum()),
        "never": int((~seen).sum()),
        "mean_difference": float(off.mean()),
        "largest_difference": float(off.max()),
    }


def number(value: float | None) -> str:
    """Write a part of 1."""
    return "–" if value is None else f"{value:.4f}"


def write(found: dict[str, Any], ranked: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """Write the page."""
    whole = found["places"][0]
    places = markdown(
        ["places", "n", "reported there", f"first {FIRST} the same", "of places", "AP"],
        [
            [r["places"], f"{r['n']:,}", f"{r['reported'] or 0:.0f}", number(r["overlap"]),
             f"{r['with_first']:,}", number(r["ap"])]
            for r in found["places"]
        ],
    )  # fmt: skip
    rarity = markdown(
        ["reported at … of the places", "species", "macro AP"],
        [[f"{r['from']:,} to {r['to']:,}", f"{r['species']:,}", number(r["macro"])]
         for r in found["rarity"]],
    )  # fmt: skip
    aims = (
        f"overlap of the first {FIRST} {whole['overlap']:.3f} (aim {AIMS['overlap']:.2f}), average"
        f" precision over places {whole['ap']:.4f} ({AIMS['ap']:.2f}), macro over species"
        f" {found['macro']:.4f} ({AIMS['macro']:.2f})"
    )
    body = (
        "`world_birds` and the prior it was distilled from, BirdNET's, both asked at"
        f" {whole['n']:,} places and weeks drawn with a seed of their own, four in five of them on"
        f" land, one in {WEEKS + 1} without a week. **In all: {aims}.** What the teacher scores"
        f" {REPORTED} or more counts as reported. The first {FIRST} are compared where that many"
        " are. AP is the average precision of the student's order: over the species at a place, or,"
        " for macro, over the places of a species, each species counting the same. Of"
        f" {found['species'] + found['never']:,} classes {found['never']:,} are reported at none of"
        " these places and are left out of macro. Where reported, scores differ by"
        f" {found['mean_difference']:.4f} in the mean and by {found['largest_difference']:.2f} at"
        f" most.\n\n## By place\n\n{places}\n\n## By how widespread a species is\n\n{rarity}\n"
    )
    if ranked:
        table = markdown(
            ["model", "MRR", "top 1", "top 5", "macro top 5", "recordings", "species"],
            [[r["model"], *(number(r[k]) for k in ("mrr", "top1", "top5", "macro_top5")),
              f"{r['n']:,}", str(r["species"])] for r in ranked],
        )  # fmt: skip
        body += (
            "\n## Zero-shot: bird recordings\n\nThe species of recordings of xeno-canto by place"
            " alone, ranked among the species of these recordings. Neither model was fitted to"
            " them; they have no dates, so the answer is that for the year. A score of being"
            " reported is no share of recordings: common birds that nobody records rank too"
            f" high.\n\n{table}\n"
        )
    write_report(
        "world_birds",
        "How near `world_birds` is to what it learned from",
        body.rstrip(),
        {**found, "zero_shot": ranked},
        options,
    )


def main() -> None:
    """Measure, and write the tables."""

    def own(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--model", default="world_birds", help="name or directory")

    options = arguments(__doc__ or "", own)
    student = load_model(options.model)
    try:
        teacher = import_checkpoint("birdnet")
    except DataNotFoundError as error:
        raise SystemExit(str(error)) from error
    root, count = find_model(options.model), QUICK if options.quick else PLACES
    found = measure(teacher, student, root, count)
    models = {"world_birds": student, "BirdNET's prior": teacher}
    write(found, [] if options.quick else zero_shot(models), options)


if __name__ == "__main__":
    main()
