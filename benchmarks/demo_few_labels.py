"""What CSP pre-training is worth with few labels, in a world where the best answer is known.

Every run is one file under runs/, so that a killed benchmark goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
import yaml
from report import arguments, markdown, spread, write_report
from torch import Tensor

from csp_core import load_config, load_dataset, train
from csp_core.config import RunConfig
from csp_core.data.batch import Batch
from csp_core.data.records import RecordDataset
from csp_core.data.sets.demo import DemoWorld
from csp_core.evaluation import compute_metrics, evaluate
from csp_core.files import read_json, write_json
from csp_core.model import Prior, make_baseline
from csp_core.objectives import OBJECTIVES, BatchRandom
from csp_core.objectives.contrastive import CSPMC
from csp_core.training import TrainResult

ROOT = Path(__file__).resolve().parent.parent
SIZE, TEST, VAL, FRACTION = 6000, 0.25, 0.02, 0.05
# Split, and the finest wavelength of the location model, radians. The first was the best of 0.02,
# 0.1 and 0.4 for training from scratch in the worlds of the search; the second is the preset's.
SECTIONS = {
    "random split": ("random", 0.1),
    "random split, fine location model": ("random", 0.02),
    "block split": ("block", 0.1),
}
SEARCHED = "random"
# In the worlds of the search the in-batch part alone did better than with the two others.
PARTS = {"objective.dropout_weight": 0.0, "objective.random_weight": 0.0}
Settings = dict[str, Any]
# How a row of the table is made: what it begins from, and its part of the labels.
SCRATCH, SHUFFLED, CSP = "from scratch", "CSP, pairs shuffled", "CSP"
COUNTED, ALL, BEST = "kernel density", "from scratch, all labels", "best possible"
ROWS: dict[str, tuple[str | None, float]] = {
    COUNTED: (None, FRACTION),
    SCRATCH: (None, FRACTION),
    SHUFFLED: ("csp_mc_shuffled", FRACTION),
    CSP: ("csp_mc", FRACTION),
    ALL: (None, 1.0),
}
GRID: dict[str, list[Any]] = {
    "training.learning_rate": [5e-4, 2e-3],
    "training.epochs": [30, 60],
}
COUNTED_GRID: dict[str, list[Any]] = {
    "bandwidths_km": [[125.0], [250.0], [500.0], [1000.0]],
    "mass": [0.01, 0.1, 1.0],
}
COLUMNS = {"top1": "top-1", "log_loss": "log-loss"}
LOWER_IS_BETTER = {"log_loss"}
# Of places in training, in every step of every row.
JITTER_KM = [2, 500]


class ShuffledPairs(CSPMC):
    """CSP-MC that gives every place the image of another record of its batch.

    Batches are dealt anew in every epoch, so the pairs are too. Places and images stay as they are.
    """

    def draw(self, batch: Batch, random: BatchRandom) -> Batch:
        """Scatter the places, draw random ones and deal the images anew."""
        batch = super().draw(batch, random)
        if not self.training:
            return batch
        order = random.rows(lambda generator, n: torch.randperm(n, generator=generator))
        return {**batch, "image": batch["image"][order]}


Section = tuple[str, float]


def data_of(split: str, seed: int, quick: bool) -> Settings:
    """Give the options of the data set for a split and a seed, which also makes the world."""
    return {
        "size": 1000 if quick else SIZE,
        "test_fraction": TEST,
        "val_fraction": 0.1 if quick else VAL,
        "split_method": split,
        "seed": seed,
    }


def config_of(file: str, data: Settings, settings: Settings) -> RunConfig:
    """Make a configuration from one of the published files.

    Args:
        file: Name in ``configs/``.
        data: Options of the data set.
        settings: What else differs from the file.

    Returns:
        The configuration.
    """
    chosen = {"seed": data["seed"], "training.threads": 1, "training.checkpoint_every": 10**6}
    chosen |= {"objective.jitter_km": JITTER_KM, **settings}
    chosen |= {f"data.{key}": value for key, value in data.items()}
    return load_config(
        ROOT / "configs" / file, [f"{key}={json.dumps(value)}" for key, value in chosen.items()]
    )


def pretrain(objective: str, section: Section, seed: int, options: argparse.Namespace) -> Path:
    """Pre-train on all training pairs, or find the model where that was done before.

    Args:
        objective: ``csp_mc`` or ``csp_mc_shuffled``.
        section: One of ``SECTIONS``.
        seed: Of world, draw, split and training.
        options: As ``main`` reads them.

    Returns:
        Folder of the model.
    """
    split, radius = section
    mark = _mark("csp.yaml", section, seed, options.quick)
    home = options.cells / f"pretrained-{objective}-{split}-{seed}-{mark}"
    if home.is_dir():
        return home
    # The last weights: with pairs shuffled the first would be the best on pairs held out.
    settings = {"objective.name": objective, "training.keep": "last", **PARTS}
    settings |= {"model.location.min_radius": radius}
    settings |= {"training.epochs": 2} if options.quick else {}
    config = config_of("csp.yaml", data_of(split, seed, options.quick), settings)
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as folder:
        started = time.process_time()
        result = train(config, run_dir=Path(folder) / "run")
        seconds = time.process_time() - started
        made = finished(result)
        write_json(made / "seconds.json", {"seconds": seconds})
        shutil.move(str(made), home)
    return home


def finished(result: TrainResult) -> Path:
    """Give the folder of a model, and end where the run was stopped before it was done."""
    if result.model_directory is None:
        raise SystemExit("stopped; the same command goes on.")
    return result.model_directory


def fit(
    row: str, settings: Settings, section: Section, seed: int, options: argparse.Namespace
) -> Prior:
    """Fit one row of the table.

    Args:
        row: A key of ``ROWS``.
        settings: What was searched.
        section: One of ``SECTIONS``.
        seed: Of world, draw, split and training.
        options: As ``main`` reads them.

    Returns:
        The prior.
    """
    begins, fraction = ROWS[row]
    split, radius = section
    data = {**data_of(split, seed, options.quick), "label_fraction": fraction}
    if row == COUNTED:
        return make_baseline(row.replace(" ", "_"), load_demo("train", data), **settings)
    settings = {**settings, "training.patience": None, "model.location.min_radius": radius}
    settings |= {"training.batch_size": 256} if fraction == 1 else {}
    settings |= {"training.epochs": 2} if options.quick else {}
    if begins:
        settings["model.init_from"] = str(pretrain(begins, section, seed, options))
    config = config_of("csp-finetune.yaml", data, settings)
    with tempfile.TemporaryDirectory() as folder:
        result = train(config, run_dir=Path(folder) / "run")
        finished(result)
        return result.model


def load_demo(part: str, data: Settings) -> RecordDataset:
    """Load a part of the records, without images."""
    return load_dataset("demo", part, images=False, **data)


def run_cell(
    row: str, settings: Settings, section: Section, seed: int, options: argparse.Namespace
) -> dict[str, float]:
    """Give the metrics of one fit, from its file or by doing the work.

    Args:
        row: A key of ``ROWS``.
        settings: What was searched.
        section: One of ``SECTIONS``.
        seed: Of world, draw, split and training.
        options: As ``main`` reads them.

    Returns:
        Metrics on the test records, and processor ``seconds`` of the fit without pre-training.
    """
    mark = _mark("csp-finetune.yaml", section, seed, options.quick, row, settings)
    file = (
        options.cells
        / f"{row.replace(', ', '-').replace(' ', '_')}-{section[0]}-{seed}-{mark}.json"
    )
    if file.is_file():
        return dict(read_json(file))
    if ROWS[row][0]:
        pretrain(str(ROWS[row][0]), section, seed, options)
    started = time.process_time()
    prior = fit(row, settings, section, seed, options)
    seconds = time.process_time() - started
    test = load_demo("test", data_of(section[0], seed, options.quick))
    cell = {**evaluate(prior, test).to_dict(), "seconds": seconds}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, cell)
    print(f"{file.stem}: {cell['top1']:.4f} {cell['log_loss']:.4f}, {seconds:.1f} s", flush=True)
    return cell


def _mark(file: str, *asked: Any) -> str:
    """Hash what decides a run: the configurations without their cards, and what else is asked."""
    trees = []
    for name in {"csp.yaml", file}:
        tree = yaml.safe_load((ROOT / "configs" / name).read_text(encoding="utf-8"))
        trees.append({key: value for key, value in sorted(tree.items()) if key != "card"})
    text = json.dumps(
        [sorted(map(json.dumps, trees)), SIZE, TEST, VAL, FRACTION, JITTER_KM, PARTS, *asked]
    )
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def search(
    row: str, radius: float, options: argparse.Namespace
) -> tuple[Settings, list[dict[str, Any]]]:
    """Choose the settings of a row by the log-loss on the test records of other worlds.

    Args:
        row: A key of ``ROWS``.
        radius: Finest wavelength of the location model.
        options: As ``main`` reads them.

    Returns:
        The best settings, and all with their log-loss, the best first.
    """
    grid = COUNTED_GRID if row == COUNTED else GRID
    tried = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    if options.quick:
        tried = tried[-1:]
    found = []
    for settings in tried:
        section = (SEARCHED, radius)
        cells = [run_cell(row, settings, section, s, options) for s in options.search_seeds]
        means = {key: mean(cell[key] for cell in cells) for key in COLUMNS}
        found.append({"settings": settings, **means})
    found.sort(key=lambda entry: float(entry["log_loss"]))
    return found[0]["settings"], found


def best_known(split: str, seed: int, quick: bool) -> dict[str, float]:
    """Measure the true share of every class, given the place, on the test records."""
    data = data_of(split, seed, quick)
    test = load_demo("test", data)
    truth: Tensor = DemoWorld(seed).location_posterior(test.lonlat)
    return compute_metrics(truth.float(), test.label).to_dict()


def interval(gains: Sequence[float]) -> tuple[float, float, float]:
    """Bound a mean gain over seeds by Student's t.

    Args:
        gains: One a seed.

    Returns:
        Mean, lower and upper end of the 95 % interval.
    """
    from scipy.stats import t

    half = float(t.ppf(0.975, len(gains) - 1)) * stdev(gains) / math.sqrt(len(gains))
    return mean(gains), mean(gains) - half, mean(gains) + half


def gains_of(
    ours: Sequence[dict[str, float]], theirs: Sequence[dict[str, float]]
) -> dict[str, tuple[float, float, float]]:
    """Compare two rows seed by seed; above 0 is better."""
    gains = {}
    for key in COLUMNS:
        sign = -1 if key in LOWER_IS_BETTER else 1
        pairs = zip(ours, theirs, strict=True)
        gains[key] = interval([sign * (own[key] - other[key]) for own, other in pairs])
    return gains


PAIRS = ((CSP, SCRATCH), (SHUFFLED, SCRATCH), (CSP, SHUFFLED), (CSP, COUNTED))


def tables(title: str, cells: dict[str, list[dict[str, float]]]) -> tuple[str, dict[str, Any]]:
    """Write the tables of one section.

    Args:
        title: A key of ``SECTIONS``.
        cells: Row to cells, one a seed.

    Returns:
        Markdown, and the numbers behind it.
    """
    rows = [
        [name, *(spread([run[key] for run in runs], 4) for key in COLUMNS)]
        for name, runs in cells.items()
    ]
    gains = {f"{a} better than {b} by": gains_of(cells[a], cells[b]) for a, b in PAIRS}
    better = [[name, *(_interval(gain[key]) for key in COLUMNS)] for name, gain in gains.items()]
    parts = [
        f"## {title[0].upper()}{title[1:]}",
        markdown([title, *COLUMNS.values()], rows),
        markdown([title, *COLUMNS.values()], better),
        _verdict(gains),
    ]
    kept = {name: {k: [run[k] for run in runs] for k in COLUMNS} for name, runs in cells.items()}
    return "\n\n".join(parts), {"rows": kept, "gains": gains}


def _interval(gain: tuple[float, float, float]) -> str:
    middle, low, high = gain
    mark = "**" if low > 0 or high < 0 else ""
    return f"{mark}{middle:+.4f}{mark} [{low:+.4f}, {high:+.4f}]"


def _verdict(gains: dict[str, dict[str, tuple[float, float, float]]]) -> str:
    own, control = (gains[f"{name} better than {SCRATCH} by"] for name in (CSP, SHUFFLED))
    words = []
    for key, title in COLUMNS.items():
        said = "beats" if own[key][1] > 0 else "does not beat"
        helps = "helps too" if control[key][1] > 0 else "does not help"
        words.append(f"By {title}, CSP {said} training from scratch, and shuffled CSP {helps}.")
    return " ".join(words)


def search_table(found: Mapping[str, list[dict[str, Any]]]) -> str:
    """Write what was chosen and how much it mattered."""
    rows = []
    for row, entries in found.items():
        best = ", ".join(f"{k.split('.')[-1]} {v}" for k, v in entries[0]["settings"].items())
        losses = [f"{entries[i]['log_loss']:.4f}" for i in (0, len(entries) // 2, -1)]
        rows.append([row, str(len(entries)), best, *losses])
    head = ["row", "tried", "chosen", "log-loss of the best", "of the middle", "of the worst"]
    return markdown(head, rows)


def main() -> None:
    """Run the benchmark."""
    options = arguments("CSP pre-training and then few labels, in the invented world.", add_cells)
    OBJECTIVES["csp_mc_shuffled"] = ShuffledPairs
    torch.set_num_threads(1)
    seeds = options.seeds[:2] if options.quick else options.seeds
    options.search_seeds = options.search_seeds[:1] if options.quick else options.search_seeds
    if set(seeds) & set(options.search_seeds):
        raise SystemExit("The seeds of the search must not be those of the table.")
    titles = list(SECTIONS)[:1] if options.quick else options.sections
    parts, data, seconds = [], {}, []
    for title in titles:
        section = SECTIONS[title]
        found = {row: search(row, section[1], options) for row in ROWS}
        cells = {
            row: [run_cell(row, found[row][0], section, seed, options) for seed in seeds]
            for row in ROWS
        }
        cells[BEST] = [best_known(section[0], seed, options.quick) for seed in seeds]
        body, numbers = tables(title, cells)
        searched = {row: entries for row, (_, entries) in found.items()}
        parts += [body, search_table(searched)]
        homes = [pretrain("csp_mc", section, seed, options) for seed in seeds]
        seconds += [float(read_json(home / "seconds.json")["seconds"]) for home in homes]
        data[title] = {**numbers, "search": searched}
    write_report(
        "demo_few_labels",
        "CSP pre-training, then one label in twenty",
        "\n\n".join([describe(seeds, seconds, options), *parts]),
        {"seeds": seeds, "pretraining_seconds": seconds, "sections": data},
        options,
    )


def describe(seeds: Sequence[int], seconds: Sequence[float], options: argparse.Namespace) -> str:
    """Say what was done.

    Args:
        seeds: Of the tables.
        seconds: Of each pre-training.
        options: As ``main`` reads them.

    Returns:
        Three paragraphs.
    """
    data = data_of(SEARCHED, seeds[0], options.quick)
    pairs = load_demo("train", data)
    labels = load_demo("train", {**data, "label_fraction": FRACTION})
    preset = load_config(ROOT / "configs" / "csp.yaml").training.epochs
    epochs = 2 if options.quick else preset
    search = (
        "{learning rate 5e-4, 2e-3} × {30, 60 epochs}, and kernel density 4 bandwidths × 3 masses,"
    )
    return (
        f"The data set `demo` is an invented world of {len(pairs.classes)} classes, of which the"
        " true share of every class at every place is known (*best possible*). A seed makes a new"
        f" world and new records: {data['size']:,}, of which {len(pairs):,} to learn from with 147"
        f" features of an image each, {data['test_fraction']:.0%} for test and"
        f" {data['val_fraction']:.0%} whose labels choose epoch and temperature, for every trained"
        f" row alike. *CSP* pre-trains location encoder and projection head by `configs/csp.yaml`"
        f" with its in-batch part alone ({epochs} epochs, the last weights, {spread(seconds, 0)} s"
        " of processor time) on all these pairs without labels, and then trains encoder and"
        f" classifier by `configs/csp-finetune.yaml` on {FRACTION:.0%} of the labels"
        f" ({len(labels)}); *from scratch* does the second step alone, with the same labels, the"
        " same classifier at its start, batches and scatter of places"
        f" ({JITTER_KM[0]} to {JITTER_KM[1]} km). *CSP, pairs shuffled* is the control: while it"
        " pre-trains, the images of each batch are dealt to its places by chance, anew in every"
        " step of every epoch, so that only what links them is gone. *Kernel density* counts the"
        " same labels. All rows predict the class from the place alone, without the image.\n\n"
        "The location model has a smallest scale of 0.1 rad, the best of 0.02, 0.1 and 0.4 for"
        " training from scratch; *fine location model* means 0.02, that of the configurations."
        f" Every row had the same search, {search} by log-loss on the test records of the worlds"
        f" {', '.join(map(str, options.search_seeds))}, which are not in the tables. Before it the"
        " parts of the pre-training (three choices) and the smallest scale (three) were chosen in"
        " worlds 10 and 11, the scatter in training (with or without) in worlds 10 to 12, with"
        " 8,000 records.\n\n"
        f"Seeds: {', '.join(map(str, seeds))}; mean ± standard deviation; in brackets the 95 %"
        " interval of the mean paired difference (Student's t over seeds), bold where it excludes"
        " 0."
    )


def add_cells(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options.

    Args:
        parser: The parser.
    """
    home = ROOT / "runs" / "benchmarks" / "demo_few_labels"
    parser.add_argument("--cells", type=Path, default=home, help="folder of the finished runs")
    parser.add_argument(
        "--sections", nargs="*", choices=SECTIONS, default=list(SECTIONS), help="these alone"
    )
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2, 3, 4], help="which seeds")
    parser.add_argument(
        "--search-seeds", type=int, nargs="*", default=[10, 11, 12], help="other seeds, to tune on"
    )


if __name__ == "__main__":
    main()
