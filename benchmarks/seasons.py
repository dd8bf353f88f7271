"""What a date adds to a place: on the invented world, where it is known, and on crustaceans."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from report import arguments, markdown, spread, write_report
from torch import Tensor

from csp_core import load_config, load_dataset, location_prior, train
from csp_core.data.reading import import_records
from csp_core.data.records import RecordDataset
from csp_core.data.sets.demo import DemoWorld
from csp_core.evaluation import mid_ranks
from csp_core.geo import cell_ids
from csp_core.model import DualEncoder

ROOT = Path(__file__).resolve().parent.parent
CRUSTACEANS = ROOT.parent / "shared" / "data" / "crustaceans" / "obis_mnhn.csv.gz"
# What stands beside the place, as the option model.location.time.
INPUTS = {
    "place": "null",
    "place + date": "{harmonics: 2}",
    "place + date, none hidden": "{harmonics: 2, missing_rate: 0}",
}
WITHOUT, WITH, UNHIDDEN = INPUTS
COLUMNS = {"top1": "top-1", "mrr": "MRR", "log_loss": "log-loss"}
AIM = 0.8
DRAWS, BLOCK = 1000, 2.0
Scores = dict[str, Tensor]


def score(share: Tensor, label: Tensor) -> Scores:
    """Score shares, a number a record.

    Args:
        share: ``(N, K)``, rows sum to 1.
        label: ``(N,)``.

    Returns:
        Column to ``(N,)``.
    """
    rank = mid_ranks(share, label)
    truth = share.gather(1, label[:, None])[:, 0].double().clamp_min(1e-12)
    return {"top1": (rank <= 1).double(), "mrr": 1 / rank.double(), "log_loss": -truth.log()}


def fit(overrides: Sequence[str], file: str, folder: Path) -> tuple[DualEncoder, float]:
    """Train a configuration.

    Args:
        overrides: As on the command line.
        file: In configs/.
        folder: A new folder for the run.

    Returns:
        The model, and the minutes it took.
    """
    config = load_config(ROOT / "configs" / file, overrides)
    started = time.monotonic()
    model = train(config, run_dir=folder).model.eval()
    return model, (time.monotonic() - started) / 60


def demo_world(seed: int, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train on one invented world and score fresh records of it.

    Args:
        seed: Of the world, its records and the training.
        options: As ``main`` reads them.
        folder: For the runs.

    Returns:
        Name to means of the columns; the generator's own stand beside them.
    """
    size, epochs, n = (2000, 2, 1000) if options.quick else (20000, 30, 10000)
    world = DemoWorld(seed)
    fresh = world.sample(n, 1000 + seed, images=False)
    lonlat, date, label = fresh.lonlat, fresh.date, fresh.label
    bayes = {
        WITHOUT: world.location_posterior(lonlat),
        WITH: world.location_posterior(lonlat, date),
    }
    found: dict[str, Any] = {"bayes " + key: means(score(p, label)) for key, p in bayes.items()}
    found["rate"] = {key: float(p.amax(dim=1).mean()) for key, p in bayes.items()}
    for name, inputs in INPUTS.items():
        overrides = [f"data.size={size}", f"data.seed={seed}", f"seed={seed}"]
        overrides += [f"training.epochs={epochs}", f"model.location.time={inputs}"]
        where = folder / f"demo-{seed}-{len(found)}"
        model, minutes = fit(overrides, "demo_seasons.yaml", where)
        known = location_prior(model, lonlat, date=date)
        found[name] = {**means(score(known, label)), "minutes": minutes}
        found[name]["date unknown"] = means(score(location_prior(model, lonlat), label))
        print(seed, name, found[name], flush=True)
    return found


def means(scores: Scores) -> dict[str, float]:
    """Average every column."""
    return {key: float(column.mean()) for key, column in scores.items()}


def crustaceans(split: str, seed: int, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train on records of crustaceans and score the dated ones held out.

    Args:
        split: ``random`` or ``block``.
        seed: Of the split and the training.
        options: As ``main`` reads them.
        folder: For the runs and the imported table.

    Returns:
        Name to scores and minutes, and ``block``, the 2° cell of each record.
    """
    table = folder / "crustaceans.parquet"
    if not table.is_file():
        import_records(options.crustaceans, table)
    data = {"split_method": split, "test_fraction": 0.15, "val_fraction": 0.1, "seed": seed}
    data["min_records"] = 100 if options.quick else 10
    held_out = dated(load_dataset("occurrences", "test", root=table, **data))
    found: dict[str, Any] = {"block": cell_ids(held_out.lonlat, BLOCK)}
    for name in (WITHOUT, WITH):
        overrides = [f"data.{key}={value}" for key, value in data.items()]
        overrides += [f"data.root={table}", f"seed={seed}", f"model.location.time={INPUTS[name]}"]
        # A class of ten records is learned by heart soon: the best epoch is an early one.
        overrides += ["training.device=cpu", "training.patience=5"]
        overrides += ["training.epochs=1"] if options.quick else []
        where = folder / f"crustaceans-{split}-{seed}-{len(found)}"
        model, minutes = fit(overrides, "occurrences.yaml", where)
        share = location_prior(model, held_out.lonlat, date=held_out.date)
        found[name] = {**score(share, held_out.label), "minutes": minutes}
        print(split, seed, name, minutes, flush=True)
    return found


def dated(records: RecordDataset) -> RecordDataset:
    """Keep the records with a date, a place and a label."""
    keep = ~records.date.isnan() & ~records.lonlat.isnan().any(dim=1) & (records.label >= 0)
    columns = {"lonlat": records.lonlat[keep], "date": records.date[keep]}
    return RecordDataset(label=records.label[keep], classes=records.classes, **columns)


def intervals(runs: Sequence[Mapping[str, Any]]) -> dict[str, tuple[float, float, float]]:
    """Bound the gain of the date, a mean over the records of all seeds, by resampling 2° cells.

    A cell drawn twice counts twice in every seed. A draw may miss all cells of one seed, as records
    of a museum lie in few, so the seeds are pooled.

    Args:
        runs: What ``crustaceans`` returned, one a seed.

    Returns:
        Column to (gain, lower and upper end of the 95 % interval); above 0 is better.
    """
    blocks = torch.unique(torch.cat([run["block"] for run in runs]))
    draws = torch.randint(
        len(blocks), (DRAWS, len(blocks)), generator=torch.Generator().manual_seed(0)
    )
    times = torch.zeros(DRAWS, len(blocks)).scatter_add_(1, draws, torch.ones(draws.shape))
    found = {}
    for key in COLUMNS:
        sign = -1 if key == "log_loss" else 1
        total = torch.zeros(DRAWS + 1, dtype=torch.float64)
        records = torch.zeros(DRAWS + 1, dtype=torch.float64)
        for run in runs:
            weight = times[:, torch.searchsorted(blocks, run["block"])].double()
            weight = torch.cat((torch.ones(1, weight.shape[1], dtype=torch.float64), weight))
            total += weight @ (sign * (run[WITH][key] - run[WITHOUT][key]))
            records += weight.sum(dim=1)
        total = total / records
        low, high = torch.quantile(total[1:], torch.tensor([0.025, 0.975]).double()).tolist()
        found[key] = (float(total[0]), low, high)
    return found


def demo_tables(worlds: Sequence[Mapping[str, Any]]) -> tuple[str, dict[str, Any]]:
    """Write what was found on the invented worlds.

    Args:
        worlds: What ``demo_world`` returned, one a seed.

    Returns:
        Markdown, and the numbers behind it.
    """
    rows = []
    for name in ("bayes place", WITHOUT, "bayes place + date", WITH, UNHIDDEN):
        own = [world[name] for world in worlds]
        cells = [spread([run[key] for run in own]) for key in COLUMNS]
        minutes = spread([run["minutes"] for run in own], 1) if "minutes" in own[0] else ""
        shown = name.replace("bayes ", "the generator itself, ")
        rows.append([shown, *cells, minutes])
    unknown = [
        [name, *(spread([world[name]["date unknown"][key] for world in worlds]) for key in COLUMNS)]
        for name in INPUTS
    ]
    shares = [gain_share(world) for world in worlds]
    rates = {key: spread([world["rate"][key] for world in worlds]) for key in (WITHOUT, WITH)}
    reached = min(shares) >= AIM
    text = (
        f"The date raises top-1 by {spread([gain(world) for world in worlds])}; the generator's own"
        f" posterior gains {spread([gain(world, 'bayes ') for world in worlds])} on the same"
        f" records, so the model finds {spread(shares, 2)} of what is there (each world:"
        f" {', '.join(f'{share:.2f}' for share in shares)}; aim: at least {AIM:g} in each,"
        f" {'reached' if reached else 'missed'}). The best rates that any classifier can expect are"
        f" {rates[WITHOUT]} for place and {rates[WITH]} for place and date."
    )
    head = ["demo", *COLUMNS.values(), "minutes"]
    parts = [markdown(head, rows), text, "The same models, asked without a date:"]
    parts.append(markdown(["demo, date unknown", *COLUMNS.values()], unknown))
    return "\n\n".join(parts), {"worlds": list(worlds), "gain_share": shares, "reached": reached}


def gain(world: Mapping[str, Any], prefix: str = "") -> float:
    """Subtract the top-1 of the place from that of place and date."""
    difference: float = world[prefix + WITH]["top1"] - world[prefix + WITHOUT]["top1"]
    return difference


def gain_share(world: Mapping[str, Any]) -> float:
    """Divide the model's gain by the generator's."""
    return gain(world) / gain(world, "bayes ")


def crustacean_tables(
    splits: Mapping[str, Sequence[Mapping[str, Any]]],
) -> tuple[str, dict[str, Any]]:
    """Write what was found on crustaceans.

    Args:
        splits: Split to what ``crustaceans`` returned, one a seed.

    Returns:
        Markdown, and the numbers behind it.
    """
    rows, data = [], {}
    for split, runs in splits.items():
        for name in (WITHOUT, WITH):
            columns = {key: [float(run[name][key].mean()) for run in runs] for key in COLUMNS}
            minutes = spread([run[name]["minutes"] for run in runs], 1)
            rows.append([f"{split}, {name}", *(spread(columns[key]) for key in COLUMNS), minutes])
            data[f"{split}, {name}"] = columns
        found = intervals(runs)
        rows.append([f"{split}, better by the date", *map(_interval, found.values()), ""])
        data[f"{split}, gain"] = found
        data[f"{split}, records"] = [len(run["block"]) for run in runs]
        data[f"{split}, cells"] = [len(run["block"].unique()) for run in runs]
    return markdown(["crustaceans", *COLUMNS.values(), "minutes"], rows), data


def _interval(gain: tuple[float, float, float]) -> str:
    middle, low, high = gain
    mark = "**" if low > 0 or high < 0 else ""
    return f"{mark}{middle:+.3f}{mark} [{low:+.3f}, {high:+.3f}]"


def main() -> None:
    """Run the benchmark."""
    options = arguments("What a date adds to a place.", add_options)
    torch.set_num_threads(1)
    seeds = [0] if options.quick else options.seeds
    parts, data = [], {"seeds": seeds}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        size, epochs, n = (2000, 2, 1000) if options.quick else (20000, 30, 10000)
        worlds = [demo_world(seed, options, folder) for seed in seeds]
        body, data["demo"] = demo_tables(worlds)
        parts.append(
            f"## Invented worlds\n\n`configs/demo_seasons.yaml`: {size:,} records of which a tenth"
            f" each validates and is left out, {epochs} epochs, place only or place and date,"
            f" without images; measured on {n:,} fresh records. Worlds and training by seeds"
            f" {', '.join(map(str, seeds))}; mean ± standard deviation. *None hidden* is"
            " `missing_rate: 0`: no date is hidden in training."
        )
        parts.append(body)
        if options.crustaceans.is_file():
            kinds = ("random",) if options.quick else ("random", "block")
            splits = {
                kind: [crustaceans(kind, seed, options, folder) for seed in seeds[:3]]
                for kind in kinds
            }
            body, data["crustaceans"] = crustacean_tables(splits)
            records = [len(run["block"]) for runs in splits.values() for run in runs]
            cells = [len(run["block"].unique()) for runs in splits.values() for run in runs]
            parts.append(
                "## Crustaceans\n\nCrustaceans of the Paris museum (OBIS), two thirds of them with"
                " a day: `configs/occurrences.yaml` with and without time, early stopping after 5"
                " epochs, species of 10 records or more. Trained on dated and undated records,"
                f" measured on {min(records):,} to {max(records):,} dated ones held out, in"
                f" {min(cells):,} to {max(cells):,} cells of {BLOCK:g}°. Seeds of"
                f" split and training: {', '.join(map(str, seeds[:3]))}. In brackets the 95 %"
                f" interval of the gain over {DRAWS:,} resamples of these cells; bold"
                " where it excludes 0. A museum's records come from expeditions, so a date also"
                " says which one, whatever the season."
            )
            parts.append(body)
    write_report("seasons", "What a date adds to a place", "\n\n".join(parts), data, options)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options.

    Args:
        parser: The parser.
    """
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2, 3, 4], help="which")
    parser.add_argument("--crustaceans", type=Path, default=CRUSTACEANS, help="the table of them")


if __name__ == "__main__":
    main()
