"""What a run leaves: the finished model, calibrated, measured and described."""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import csp_core
from csp_core.config import RunConfig
from csp_core.data import load_dataset
from csp_core.data.records import RecordDataset
from csp_core.data.sets.facts import facts_of
from csp_core.evaluation import Measure, cautions_of, find_measure, plain
from csp_core.files import read_json
from csp_core.inference.retrieval import sides_of
from csp_core.model import DualEncoder, Support
from csp_core.store import halve, load_model, save_model
from csp_core.training.card import TEST_SETS, write_attribution, write_card
from csp_core.training.described import places_alone

log = logging.getLogger(__name__)


def finish_model(
    model: DualEncoder,
    train_set: RecordDataset,
    val_set: RecordDataset | None,
    config: RunConfig,
    directory: Path,
    *,
    held_out: Path | None = None,
    epochs: int,
) -> None:
    """Calibrate, measure and write the finished model.

    Args:
        model: The model, on the CPU.
        train_set: What it learned from.
        val_set: Records held out, or None.
        config: How it was trained.
        directory: Where it shall stand.
        held_out: Directory of the same model trained without the validation records, which lends
            its calibration and its metrics to a model that has seen them all.
        epochs: Epochs that its weights saw.
    """
    if facts_of(config.data.name).describes and model.location is not None:
        model = places_alone(model)
    if config.training.saved_as == "float16":
        halve(model)  # before anything is measured: the card is to tell of the model as it is kept
    model.support = _support(model, train_set)
    metrics: dict[str, dict[str, Any]] = {}
    # A model that has seen all records was measured, before, as it answers these.
    measure = find_measure(model, train_set if val_set is None else val_set)
    if held_out is not None:
        metrics = read_json(held_out / "metrics.json")
        model.calibration = load_model(held_out).calibration
    elif val_set is not None and measure is not None:
        metrics = _calibrate(measure, model, val_set, config)
    about = provenance(train_set, config, epochs)
    said = _cautions(model, val_set, held_out) if metrics else []
    about |= {"cautions": said} if said else {}
    for sentence in said:
        log.warning("mind the numbers: %s", sentence)
    card = write_card(
        model,
        config,
        metrics,
        train_set.info,
        measure=measure,
        refitted=held_out is not None,
        cautions=said,
    )
    texts = {"README.md": card}
    if config.card.attribution or train_set.info.get("recorders"):
        texts["ATTRIBUTION.md"] = write_attribution(config.card, train_set.info)
    if config.card.license_text:
        texts["LICENSE"] = config.card.license_text
    save_model(
        model,
        directory,
        metrics=metrics,
        provenance=about,
        texts=texts,
        dtype=config.training.saved_as,
    )


def _support(model: DualEncoder, train_set: RecordDataset) -> Support | None:
    """Count where a model has learned: what its classes rest on, or where places are looked for."""
    places, label, labels = train_set.lonlat, train_set.label, train_set.labels
    if model.classifier is not None and not train_set.labelled().any():
        return None  # a teacher's answers, whose own records nobody here knows
    if model.classifier is not None:
        return Support.from_records(places, label, len(model.classes), labels=labels)
    if "location" in sides_of(model):
        return Support.from_places(places, len(model.classes))
    return model.support


def _cautions(
    model: DualEncoder, val_set: RecordDataset | None, held_out: Path | None
) -> list[str]:
    """Say why the metrics say little; those of a model that was measured before are its own."""
    if held_out is not None:
        told = read_json(held_out / "config.json").get("provenance", {})
        return [str(sentence) for sentence in told.get("cautions", [])]
    if val_set is None or not (len(model.classes) or sides_of(model)):
        return []
    return cautions_of(model, val_set)


def _calibrate(
    measure: Measure, model: DualEncoder, val_set: RecordDataset, config: RunConfig
) -> dict[str, dict[str, Any]]:
    """Calibrate and measure; return metrics by split, and the reports of the sets."""
    fitted = measure.calibrate(model, val_set)
    metrics, sets = {"val": plain(fitted.metrics)}, dict(fitted.sets)
    options = config.data.options
    if measure.check is not None and options.get("test_fraction"):
        test_set = load_dataset(config.data.name, "test", **config.data.loading())
        checked = measure.check(model, test_set)
        metrics["test"] = plain(checked.metrics)
        sets |= {f"{TEST_SETS}{name}": report for name, report in checked.sets.items()}
    return {**metrics, **({"sets": sets} if sets else {})}


def provenance(train_set: RecordDataset, config: RunConfig, epochs: int) -> dict[str, Any]:
    """Say what a model is made from and with.

    Args:
        train_set: What it learned from.
        config: How it was trained.
        epochs: Epochs that its weights saw.

    Returns:
        Plain values for its ``config.json``.
    """
    return {
        "config": config.without_folders(),
        "epochs": epochs,
        "data": {
            "hash": train_set.content_hash(),
            # A run that starts from this model asks whether it has seen the test.
            **({"test_hash": train_set.test_hash} if train_set.test_hash else {}),
            **_without_people(train_set.info),
        },
        "versions": {
            "csp_core": csp_core.__version__,
            "torch": torch.__version__,
            "accelerate": metadata.version("accelerate"),
            "python": platform.python_version(),
        },
    }


def _without_people(info: Mapping[str, object]) -> dict[str, object]:
    """Leave the recorders to the attribution: a model's settings name nobody, and no record."""
    return {k: v for k, v in info.items() if k not in ("recorders", "import_report")}
