"""How well a model tells the class of each pixel, counted picture by picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from csp_core.calibrate import fit_temperature
from csp_core.data.images import has_masks, known_mask
from csp_core.data.names import identity
from csp_core.data.records import ClassTable, RecordDataset
from csp_core.errors import ConfigError
from csp_core.evaluation.cautions import FEW, name_some
from csp_core.evaluation.measure import Fitted, Measure
from csp_core.evaluation.metrics import ECE_BINS
from csp_core.evaluation.segmentation_numbers import (
    PIXEL_CLASS_COLUMNS,
    PIXEL_COLUMNS,
    PIXEL_RISING,
    SegmentationMetrics,
    summarise,
)
from csp_core.model import PIXELS, DualEncoder, Prior
from csp_core.model.pixels import PIXELS_AT_ONCE

# Pixels that a temperature is fitted to, and pictures that they come from while a run trains.
FITTED_PIXELS, WATCHED_PICTURES = 2**17, 64
TINY = 1e-30


@dataclass(frozen=True)
class PixelTally:
    """What was counted of the pixels of pictures, whose class is known.

    Args:
        confusion: ``(N, K, K)`` int64 pixels of each picture by true class (rows) and class said
            (columns).
        log_loss: Sum of -log share of the true class, nats.
        bins: ``(15, 2)`` float64 sums, over pixels of similar confidence, of the first-ranked share
            and of whether it was right.
    """

    confusion: Tensor
    log_loss: float
    bins: Tensor


def answers_pixels(model: Prior, dataset: RecordDataset) -> bool:
    """Tell whether a model answers the masks of records.

    Args:
        model: A model or a baseline.
        dataset: The records.

    Returns:
        Whether it has a classifier of pixels, and they have masks.
    """
    return getattr(model, "pixel_classifier", None) is not None and has_masks(dataset)


@torch.no_grad()
def tally(model: DualEncoder, dataset: RecordDataset) -> PixelTally:
    """Ask a model about every pixel whose class is known, a few pictures at a time.

    Args:
        model: A model with a classifier of pixels, with its calibration.
        dataset: Records with masks.

    Returns:
        What was counted.
    """
    size = len(model.classes)
    confusion = torch.zeros(len(dataset), size, size, dtype=torch.int64)
    loss, bins = 0.0, torch.zeros(ECE_BINS, 2, dtype=torch.float64)
    for rows, logits, truth in _answers(model, dataset, _labelled(dataset)):
        picture, label, known = _flat(logits, truth)
        share = (known / model.calibration.pixel_temperature).softmax(dim=1)
        confidence, said = share.max(dim=1)
        number = (picture * size + label) * size + said
        counts = torch.bincount(number, minlength=len(rows) * size**2)
        confusion[rows] = counts.view(len(rows), size, size).cpu()
        own = share.gather(1, label[:, None])[:, 0].double().clamp_min(TINY)
        loss -= float(own.log().sum())
        which = (confidence * ECE_BINS).ceil().long().clamp(1, ECE_BINS) - 1
        for column, value in enumerate((confidence.double(), (said == label).double())):
            bins[:, column] += torch.bincount(which, value, minlength=ECE_BINS).cpu()
    return PixelTally(confusion, loss, bins)


def confusions(model: DualEncoder, dataset: RecordDataset) -> Tensor:
    """Count the pixels of each picture by true class and class said, so that they can be resampled.

    Args:
        model: A model with a classifier of pixels.
        dataset: Records with masks.

    Returns:
        ``(N, K, K)`` int64 in the classes of the model: a row for each true class, a column for
        each that was said; 0 for pictures without a known pixel.

    Raises:
        ConfigError: If the model has no classifier of pixels, or the records no masks.
    """
    if not answers_pixels(model, dataset):
        raise ConfigError(
            f"Model {model.name!r} and the data set {dataset.name!r} need a classifier of pixels"
            " and masks: train one with the objective segmentation on pictures with masks."
        )
    return _in_evaluation(model, dataset).confusion


def measure_pixels(
    model: DualEncoder, dataset: RecordDataset, *, prior: bool = True
) -> dict[str, SegmentationMetrics]:
    """Measure what a model says of pixels.

    Args:
        model: A model with a classifier of pixels.
        dataset: Records with masks.
        prior: Makes no difference: no place is asked about.

    Returns:
        The metrics of ``pixels``.

    Raises:
        BadRecordError: If no pixel is of a class that the model knows.
    """
    found = _in_evaluation(model, dataset)
    total = found.confusion.sum(dim=0)
    number = max(1, int(total.sum()))
    pictures = int(found.confusion.flatten(1).any(dim=1).sum())
    metrics = summarise(
        total,
        model.classes.names,
        log_loss=found.log_loss / number,
        ece=float((found.bins[:, 0] - found.bins[:, 1]).abs().sum()) / number,
        records=pictures,
        unmatched=len(dataset) - pictures,
        background=_background(model.classes, dataset),
    )
    return {PIXELS: metrics}


@torch.no_grad()
def fit_pixels(
    model: DualEncoder, dataset: RecordDataset, *, most: int | None = None, seed: int = 0
) -> None:
    """Fit the temperature of pixels to some of those of records held out, and keep it.

    Args:
        model: The model, whose calibration is replaced; left as it is where no pixel is known.
        dataset: Records that it did not learn from.
        most: Pictures that the pixels come from, evenly spread; None for all.
        seed: Of the choice of pixels.
    """
    rows = _labelled(dataset)
    if most is not None and len(rows) > most:
        rows = rows[torch.linspace(0, len(rows) - 1, most).long()]
    draws = torch.Generator().manual_seed(seed)
    kept: list[tuple[Tensor, Tensor]] = []
    for part, logits, truth in _answers(model, dataset, rows):
        _, label, known = _flat(logits, truth)
        share = -(-FITTED_PIXELS * len(part) // len(rows))
        chosen = torch.randperm(len(label), generator=draws)[:share].to(label.device)
        kept.append((known[chosen].cpu(), label[chosen].cpu()))
    if kept:
        temperature = fit_temperature(*(torch.cat(column) for column in zip(*kept, strict=True)))
        model.calibration = replace(model.calibration, pixel_temperature=temperature)


def watch_pixels(model: DualEncoder, val_set: RecordDataset) -> dict[str, float]:
    """Calibrate a model on some of the pixels held out and measure it on all of them.

    Args:
        model: The model, whose calibration is replaced.
        val_set: Records held out.

    Returns:
        Each number of all classes together.
    """
    fit_pixels(model, val_set, most=WATCHED_PICTURES)
    return measure_pixels(model, val_set)[PIXELS].numbers()


def calibrate_pixels(model: DualEncoder, val_set: RecordDataset) -> Fitted:
    """Fit the temperature of pixels, and measure.

    Args:
        model: The model, whose calibration is replaced.
        val_set: Records held out.

    Returns:
        The metrics.
    """
    fit_pixels(model, val_set)
    return Fitted(measure_pixels(model, val_set))


def check_pixels(model: DualEncoder, test_set: RecordDataset) -> Fitted:
    """Measure a calibrated model on the test, which it neither learned from nor was fitted to.

    Args:
        model: The model.
        test_set: Records of the test.

    Returns:
        The metrics.
    """
    return Fitted(measure_pixels(model, test_set))


def pixel_cautions(classes: ClassTable, dataset: RecordDataset) -> list[str]:
    """Say why numbers measured on masks tell little.

    Args:
        classes: What the model knows, counted in the pixels that it learned from.
        dataset: The measured records, with masks.

    Returns:
        Sentences; none where nothing is odd.
    """
    rows = _labelled(dataset)
    if not len(rows):
        return []
    said = []
    if len(rows) < FEW:
        pictures = "picture was" if len(rows) == 1 else "pictures were"
        said.append(f"Only {len(rows)} {pictures} measured: these numbers say little.")
    lookup, present = _lookup(classes, dataset), torch.zeros(len(classes), dtype=torch.bool)
    masks: Tensor = dataset.masks  # type: ignore[attr-defined]
    for row in rows.tolist():
        found = lookup[torch.unique(masks[row]).long()]
        present[found[found >= 0]] = True
    if not bool(present.all()):
        said.append(
            f"{int((~present).sum()):,} of {len(classes):,} classes"
            f" ({name_some(classes, ~present)}) are in none of the measured masks: of them these"
            " numbers say only how often they were seen where they are not."
        )
    unlearned = torch.tensor(classes.counts) == 0
    if sum(classes.counts) and bool(unlearned.any()):
        said.append(
            f"{int(unlearned.sum()):,} of {len(classes):,} classes have no training pixel"
            f" ({name_some(classes, unlearned)}): no model can find them but by chance."
        )
    return said


def _in_evaluation(model: DualEncoder, dataset: RecordDataset) -> PixelTally:
    was_training = model.training
    found = tally(model.eval(), dataset)
    model.train(was_training)
    return found


def _background(classes: ClassTable, dataset: RecordDataset) -> str:
    """Name the class that is the background: that which the data says, or one called so."""
    called = [name for name in classes.names if identity(name) == "background"]
    return str(dataset.info.get("background") or next(iter(called), ""))


def _labelled(dataset: RecordDataset) -> Tensor:
    return dataset.labelled().nonzero().flatten()


def _lookup(classes: ClassTable, dataset: RecordDataset) -> Tensor:
    """Give the label here of each class of a data set; the last entry is that of the label -1."""
    matched = classes.match(dataset.classes.names)
    return torch.cat((matched, matched.new_tensor([-1])))


def _answers(
    model: DualEncoder, dataset: RecordDataset, rows: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield some records, their ``(n, K, H, W)`` logits and ``(n, H, W)`` classes, -1 unknown."""
    if not len(rows):
        return
    device, lookup = next(model.parameters()).device, _lookup(model.classes, dataset)
    image = dataset[int(rows[0])]["image"]
    each = image.numel() // max(1, image.shape[-3])
    for part in torch.split(rows, max(1, PIXELS_AT_ONCE // each)):
        batch = dataset.__getitems__(part.tolist())
        truth = lookup[known_mask(batch)]
        days = batch.get("days")
        days = None if days is None else days.to(device)
        logits = model.pixel_logits(batch["image"].to(device), days).float()
        yield part, logits, truth.to(device)


def _flat(logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give the number of the picture, the class and the ``(n, K)`` logits of each known pixel."""
    picture, row, column = (truth >= 0).nonzero(as_tuple=True)
    return picture, truth[picture, row, column], logits.movedim(1, -1)[picture, row, column]


MAPS = Measure(
    applies=answers_pixels,
    measure=measure_pixels,
    watch=watch_pixels,
    calibrate=calibrate_pixels,
    check=check_pixels,
    monitor=lambda model: "miou",
    headline=(PIXELS,),
    columns=PIXEL_COLUMNS,
    rising=PIXEL_RISING,
    of_classes=PIXEL_CLASS_COLUMNS,
)
