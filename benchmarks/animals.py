"""What a place adds to a classifier that confuses birds, told by simulated confusions."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from report import arguments, markdown, spread, write_report
from torch import Tensor

from csp_core import load_dataset, load_model, rerank
from csp_core.errors import DataNotFoundError
from csp_core.importers.animals import BIRD, classes_of, read_kinds, species_of
from csp_core.raster import winning_map
from csp_core.store import list_models
from csp_core.store.borrowing import narrow

BIRDS = Path(__file__).resolve().parents[2] / "shared/data/birds/xeno_canto_birds.csv.gz"
# How often the simulated classifier alone is right.
RIGHT = (0.3, 0.5, 0.7, 0.9)
WEIGHTS = (0.5, 1.0, 1.5)
# Of each record's probability: what goes to no bird, so that it can be seen to stay.
OTHER = 0.2
SEEDS, MOST, QUICK = 3, 5_000, 300


def simulated(label: Tensor, classes: int, right: float, seed: int) -> Tensor:
    """Draw probabilities of a classifier that is right so often, and wrong by noise.

    Each class has a normal score, and the true one is raised until it comes first as often as
    asked for. Temperature 1 makes this the exact posterior of that world.

    Args:
        label: ``(N,)`` the true classes.
        classes: K.
        right: Part of the records whose first class is the true one.
        seed: Of the noise.

    Returns:
        ``(N, K)``, rows sum to 1.
    """
    draws = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(label), classes, generator=draws)
    true = torch.nn.functional.one_hot(label, classes).float()
    others = (noise - 1e9 * true).max(dim=1).values
    own = noise.gather(1, label[:, None])[:, 0]
    # So much is missing for the true one to come first, record by record.
    lift = float((others - own).quantile(right).clamp_min(0.05))
    return (lift * (noise + lift * true)).softmax(dim=1)


def records_of_kinds() -> tuple[Any, Tensor, list[tuple[str, ...]]]:
    """Read the records of birds that are of a kind which the prior knows.

    Returns:
        The records, the kind of each (-1 for none), and the species of each kind.
    """
    if not BIRDS.is_file():
        raise DataNotFoundError(f"{BIRDS} is not here; it holds the records of birds.")
    records = load_dataset("occurrences", "all", root=BIRDS, min_records=1)
    known = load_model("world_birds").classes.names
    kinds = [k for k in classes_of(read_kinds()).values() if k.kind == BIRD and k.taxa]
    taxa = [species_of(kind, known) for kind in kinds]
    number = {name: k for k, names in enumerate(taxa) for name in names}
    of_class = torch.tensor([number.get(name, -1) for name in records.classes.names])
    return records, of_class[records.label], taxa


def measure(rows: Tensor, label: Tensor, records: Any, taxa: list[tuple[str, ...]], right: float,
            seed: int) -> dict[str, float]:  # fmt: skip
    """Measure one draw: the part of first classes that are true, by what was heard.

    Args:
        rows: ``(N,)`` records.
        label: ``(N,)`` their kinds.
        records: All records.
        taxa: The species of each kind.
        right: How often the classifier alone is right.
        seed: Of its noise.

    Returns:
        Name to part.
    """
    prior = load_model("world_birds")
    narrow(prior, [name for names in taxa for name in names])
    birds = simulated(label, len(taxa), right, seed) * (1 - OTHER)
    probs = torch.cat([birds, torch.full((len(birds), 1), OTHER)], dim=1)
    names = [*taxa, "something else"]
    found = {"image": _right(probs, label)}
    for weight in WEIGHTS:
        said = rerank(probs, records.lonlat[rows], model=prior, weight=weight, names=names).probs
        found[f"place, weight {weight:g}"] = _right(said, label)
        moved = (said[:, -1] - OTHER).abs().max().item()
        found["most moved of others"] = max(found.get("most moved of others", 0.0), moved)
    return found


def _right(probs: Tensor, label: Tensor) -> float:
    return (probs[:, :-1].argmax(dim=1) == label).float().mean().item()


def page_seconds() -> float | None:
    """Time the map of winners of the Photo page; None where the model is not put together."""
    if "animals" not in [info.name for info in list_models()]:
        return None
    model = load_model("animals")
    even = torch.full((len(model.classes),), 1 / len(model.classes))
    begin = time.perf_counter()
    winning_map(model, even, step=2.0, date=0.5)
    return time.perf_counter() - begin


def run(options: argparse.Namespace) -> None:
    """Measure and write the table."""
    torch.set_num_threads(1)
    records, kind, taxa = records_of_kinds()
    rows = (kind >= 0).nonzero()[:, 0]
    draw = torch.Generator().manual_seed(0)
    most = QUICK if options.quick else MOST
    rows = rows[torch.randperm(len(rows), generator=draw)[:most]]
    label, seeds = kind[rows], range(2 if options.quick else SEEDS)
    results: dict[str, list[dict[str, float]]] = {
        f"{right:g}": [measure(rows, label, records, taxa, right, seed) for seed in seeds]
        for right in RIGHT
    }
    names = list(next(iter(results.values()))[0])
    shown = [name for name in names if name.startswith("place")]
    table = [
        [right, *(spread([draw[name] for draw in draws_of]) for name in shown)]
        for right, draws_of in results.items()
    ]
    moved = max(draw["most moved of others"] for each in results.values() for draw in each)
    seconds = page_seconds()
    facts = {
        "records": len(rows),
        "kinds": len(taxa),
        "kinds_recorded": int(label.unique().numel()),
        "most_moved_of_others": moved,
        "winning_map_s": seconds,
    }
    timed = ""
    if seconds is not None:
        timed = f"\n\nThe map of where the answer would change, 16,200 cells: {seconds:.1f} s."
    text = (
        f"{len(rows):,} recordings of birds with their place, of {facts['kinds_recorded']} of the"
        f" {len(taxa)} kinds of birds that `animals` takes places for. A classifier is simulated"
        " that knows nothing of places: each kind has a normal score, the true one is raised until"
        f" it comes first as often as the first column says; {OTHER:.0%} goes to what is no bird."
        " Then `rerank` hears `world_birds`. Parts of the recordings whose first kind of bird is"
        f" the true one; mean and deviation over {len(list(seeds))} draws.\n\n"
        + markdown(["picture alone", *shown], table)
        + f"\n\nWhat went to no bird moved by {moved:.1e} at most."
        + timed
        + "\n\nThe confusions of a real network are between birds that look alike, many of which"
        " live at one place: there a place adds less. `world_birds` learned from checklists that"
        " cover the same places as these recordings, which have no dates. Kinds count as often as"
        " they are recorded."
    )
    data = {"facts": facts, "results": results}
    write_report("animals", "A place beside a picture of a bird", text, data, options)


if __name__ == "__main__":
    run(arguments(__doc__ or ""))
