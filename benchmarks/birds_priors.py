"""The bundled bird model's recipe beside every baseline, on site and block splits, over seeds."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from report import arguments, markdown, spread, write_report

from csp_core import evaluate, load_config, load_dataset, train
from csp_core.baselines import BASELINES, make_baseline

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "birds.yaml"
COLUMNS = {
    "mrr": "MRR",
    "top1": "top-1",
    "top5": "top-5",
    "macro_top5": "macro top-5",
    "log_loss": "log-loss",
    "ece": "ECE",
}
TEST, VAL = 0.12, 0.1


def run_split(method: str, seed: int, quick: bool) -> dict[str, dict[str, Any]]:
    """Train and evaluate everything on one split.

    Args:
        method: ``"site"`` or ``"block"``.
        seed: Of the split and the training.
        quick: Whether to train for two epochs only.

    Returns:
        Name to metrics, with the seconds that fitting took.
    """
    split = {"split_method": method, "test_fraction": TEST, "val_fraction": VAL, "seed": seed}
    overrides = [f"seed={seed}", *(f"data.{key}={value}" for key, value in split.items())]
    if quick:
        overrides += ["training.epochs=2", "objective.copies=1"]
    config = load_config(CONFIG, overrides)
    options = {"root": config.data.root, **config.data.options}
    test, learn = (load_dataset(config.data.name, part, **options) for part in ("test", "train"))
    results = {}
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        model = train(config, run_dir=Path(folder) / "run").model
    results["birds"] = {**evaluate(model, test).to_dict(), "seconds": time.monotonic() - started}
    for name in BASELINES:
        started = time.monotonic()
        metrics = evaluate(make_baseline(name, learn), test).to_dict()
        results[name] = {**metrics, "seconds": time.monotonic() - started}
    return results


def main() -> None:
    """Run the benchmark."""
    options = arguments("The bird model beside counting.")
    seeds = [0] if options.quick else [0, 1, 2]
    data = {
        method: [run_split(method, seed, options.quick) for seed in seeds]
        for method in (("site",) if options.quick else ("site", "block"))
    }
    parts = []
    for method, runs in data.items():
        rows = []
        for name in runs[0]:
            cells = [spread([run[name][key] for run in runs]) for key in COLUMNS]
            rows.append([name, *cells, spread([run[name]["seconds"] for run in runs], 0)])
        head = [f"{method} split", *COLUMNS.values(), "seconds"]
        parts.append(markdown(head, rows))
    text = (
        f"{TEST:.0%} of the records are held out by 0.01° site or by 2° block; of the rest,"
        f" {VAL:.0%} by the same rule stop and calibrate the training. Mean ± standard deviation"
        f" over {len(seeds)} seeds of split and training. Baselines use the same training records."
    )
    write_report(
        "birds_priors",
        "Bird priors: learning beside counting",
        "\n\n".join([text, *parts]),
        {"seeds": seeds, "results": data},
        options,
    )


if __name__ == "__main__":
    main()
