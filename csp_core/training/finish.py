"""What a run leaves: the finished model, calibrated, measured and described."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import csp_core
from csp_core.calibrate import (
    crossfit_sets,
    fit_set_level,
    fit_temperature,
    measure_sets,
    prediction_sets,
)
from csp_core.config import RunConfig
from csp_core.data import load_dataset
from csp_core.data.records import RecordDataset
from csp_core.evaluation import (
    PLACE,
    SET_COVERAGE,
    SET_LEVELS,
    Metrics,
    answer,
    evaluate,
    fit_calibration,
    measure,
    records_logits,
    score,
    sees_images,
)
from csp_core.files import read_json
from csp_core.geo import cell_ids
from csp_core.land import CONTINENTS, continent_of
from csp_core.model import CALIBRATED, DualEncoder, Support
from csp_core.store import halve, load_model, save_model
from csp_core.training.card import TEST_SETS, write_attribution, write_card

SET_BLOCK_DEGREES = 2.0


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
    if config.training.saved_as == "float16":
        halve(model)  # before anything is measured: the card is to tell of the model as it is kept
    if model.classifier is not None:
        places, label = train_set.lonlat, train_set.label
        model.support = Support.from_records(places, label, len(model.classes))
    metrics: dict[str, dict[str, Any]] = {}
    if held_out is not None:
        metrics = read_json(held_out / "metrics.json")
        before = load_model(held_out)
        for name in CALIBRATED:
            setattr(model, name, getattr(before, name))
    elif val_set is not None and sees_images(model, val_set):
        metrics = _calibrate_both(model, val_set, config)
    elif val_set is not None and model.classifier is not None:
        sets = _calibrate(model, val_set) if model.prior_kind == "share" else {}
        metrics["val"] = evaluate(model, val_set).to_dict()
        metrics |= {"sets": sets} if sets else {}
    provenance = _provenance(train_set, config, epochs)
    card = write_card(model, config, metrics, train_set.info, refitted=held_out is not None)
    texts = {"README.md": card}
    if config.card.attribution or train_set.info.get("recorders"):
        texts["ATTRIBUTION.md"] = write_attribution(config.card, train_set.info)
    if config.card.license_text:
        texts["LICENSE"] = config.card.license_text
    save_model(
        model,
        directory,
        metrics=metrics,
        provenance=provenance,
        texts=texts,
        dtype=config.training.saved_as,
    )


def _calibrate(model: DualEncoder, val_set: RecordDataset) -> dict[str, dict[str, float]]:
    """Fit temperature and set level; return the report of the sets, in all and by continent."""
    logits, label = records_logits(model, val_set), val_set.label
    model.temperature = fit_temperature(logits, label)
    share = (logits / model.temperature).softmax(dim=1)
    model.set_level = fit_set_level(share, label, SET_COVERAGE)
    # Measured on blocks that the level was not fitted to, unlike the level that is kept.
    blocks = cell_ids(val_set.lonlat, SET_BLOCK_DEGREES)
    sets, continent = (
        crossfit_sets(share, label, blocks, SET_COVERAGE),
        continent_of(val_set.lonlat),
    )
    reports = {"all": asdict(measure_sets(sets, label))}
    for number, name in enumerate(CONTINENTS):
        if (here := continent == number).any():
            reports[name] = asdict(measure_sets(sets[here], label[here]))
    return reports


def _calibrate_both(
    model: DualEncoder, val_set: RecordDataset, config: RunConfig
) -> dict[str, dict[str, Any]]:
    """Calibrate image and place together; return metrics by split and the reports of the sets.

    The test is measured too: its records were neither learned from nor calibrated on.
    """
    scores = score(model, val_set)
    fit_calibration(model, scores)
    metrics: dict[str, dict[str, Any]] = {"val": _plain(measure(model, scores))}
    reports = {}
    for name, (share, label) in answer(model, scores).items():
        lonlat = scores.lonlat[scores.placed] if name == PLACE else scores.lonlat
        # Images without a place are a group each.
        alone = -1 - torch.arange(len(lonlat))
        missing = lonlat.isnan().any(dim=1)
        blocks = torch.where(missing, alone, cell_ids(lonlat.nan_to_num(), SET_BLOCK_DEGREES))
        if len(label):
            sets = crossfit_sets(share, label, blocks, SET_COVERAGE)
            reports[name] = asdict(measure_sets(sets, label))
    options = config.data.options
    if options.get("test_fraction"):
        test_set = load_dataset(config.data.name, "test", root=config.data.root, **options)
        scores = score(model, test_set)
        metrics["test"] = _plain(measure(model, scores))
        for name, (share, label) in answer(model, scores).items():
            if len(label):
                sets = prediction_sets(share, getattr(model, SET_LEVELS[name]))
                reports[f"{TEST_SETS}{name}"] = asdict(measure_sets(sets, label))
    return {**metrics, "sets": reports}


def _plain(metrics: Mapping[str, Metrics]) -> dict[str, Any]:
    return {name: values.to_dict() for name, values in metrics.items()}


def _provenance(train_set: RecordDataset, config: RunConfig, epochs: int) -> dict[str, Any]:
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
    """Leave the recorders to the attribution: a model's settings name nobody."""
    return {key: value for key, value in info.items() if key != "recorders"}
