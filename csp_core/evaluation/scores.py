"""What a model says of labelled records: by their images, by their places, and by both together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from csp_core.calibrate import fit_place_weight, fit_set_level, fit_temperature
from csp_core.data.records import RecordDataset
from csp_core.model import BOTH, IMAGE, PLACE, DualEncoder, Prior, match_taxa
from csp_core.model.combine import borrowed_prior, combine, combine_borrowed

CHUNK, IMAGE_CHUNK = 4096, 256
SET_COVERAGE = 0.9


@dataclass(frozen=True)
class Scores:
    """Logits of labelled records, before calibration.

    Args:
        label: ``(N,)`` int64 in the model's classes.
        lonlat: ``(N, 2)`` degrees, NaN where unknown.
        image: ``(N, K)`` logits of the image classifier.
        place: ``(N, K)`` logits of the location classifier, NaN where the place is unknown; None
            for a model without one.
        unmatched: Records left out: without a label, or of classes that the model does not know.
        lent: ``(N, K)`` what the model that is borrowed from says of the classes at the places, NaN
            where it says nothing; None for a model that borrows none or knows places itself.
    """

    label: Tensor
    lonlat: Tensor
    image: Tensor
    place: Tensor | None
    unmatched: int
    lent: Tensor | None = None

    @property
    def placed(self) -> Tensor:
        """Which records have a place: ``(N,)`` bool."""
        return ~self.lonlat.isnan().any(dim=1)


def sees_images(model: Prior, dataset: RecordDataset) -> bool:
    """Tell whether a model can be asked about the images of records.

    Args:
        model: A model or a baseline.
        dataset: The records.

    Returns:
        Whether the model has an image classifier and the records have images.
    """
    knows = getattr(model, "image_classifier", None) is not None
    return knows and len(dataset) > 0 and "image" in dataset[0]


@torch.no_grad()
def score(model: DualEncoder, dataset: RecordDataset) -> Scores:
    """Ask both sides of a model about all records whose class it knows.

    Args:
        model: A model with an image classifier, in evaluation mode.
        dataset: Records with images.

    Returns:
        The logits, on the CPU.
    """
    label = matched_labels(model, dataset)
    rows = (label >= 0).nonzero().flatten()
    return Scores(
        label=label[rows],
        lonlat=dataset.lonlat[rows],
        image=image_logits(model, dataset, rows),
        place=place_logits(model, dataset, rows),
        unmatched=len(dataset) - len(rows),
        lent=lent_prior(model, dataset, rows),
    )


def image_logits(model: DualEncoder, dataset: RecordDataset, rows: Tensor) -> Tensor:
    """Ask a model's image classifier about records.

    Args:
        model: A model with an image classifier, in evaluation mode.
        dataset: Records with images.
        rows: ``(n,)`` which of them.

    Returns:
        ``(n, K)`` logits, on the CPU.
    """
    device = next(model.parameters()).device
    found = []
    for image, days in _images(dataset, rows):
        days = None if days is None else days.to(device)
        found.append(model.image_logits(image.to(device), days=days).float().cpu())
    return torch.cat(found) if found else torch.empty(0, len(model.classes))


def place_logits(model: DualEncoder, dataset: RecordDataset, rows: Tensor) -> Tensor | None:
    """Ask a model's location classifier about records.

    Args:
        model: A model, in evaluation mode.
        dataset: The records.
        rows: ``(n,)`` which of them.

    Returns:
        ``(n, K)`` logits, on the CPU, NaN where the place is unknown; None without such a
        classifier.
    """
    if model.classifier is None:
        return None
    device = next(model.parameters()).device
    columns = [column[rows].to(device) for column in (dataset.lonlat, dataset.date, dataset.hour)]
    place = torch.full((len(rows), len(model.classes)), float("nan"))
    placed = ~dataset.lonlat[rows].isnan().any(dim=1)
    known = [torch.split(column[placed.to(device)], CHUNK) for column in columns]
    found = [model.class_logits(*part).float().cpu() for part in zip(*known, strict=True)]
    place[placed] = torch.cat(found) if found else place[placed]
    return place


def lent_prior(model: DualEncoder, dataset: RecordDataset, rows: Tensor) -> Tensor | None:
    """Ask the model whose prior is borrowed about the places of records.

    Args:
        model: A model that may borrow one.
        dataset: The records.
        rows: ``(n,)`` which of them.

    Returns:
        ``(n, K)`` as of ``borrowed_prior``, on the CPU, NaN where the place is unknown; None where
        nothing is borrowed, or the model knows places itself.
    """
    if model.borrowed is None or model.classifier is not None:
        return None
    found = torch.full((len(rows), len(model.classes)), float("nan"))
    placed = (~dataset.lonlat[rows].isnan().any(dim=1)).nonzero().flatten()
    for part in torch.split(placed, CHUNK):
        columns = (dataset.lonlat, dataset.date, dataset.hour)
        said = model.borrowed.prior.prior(*(column[rows[part]] for column in columns))
        found[part] = borrowed_prior(model, said.float())
    return found


def fit_calibration(model: DualEncoder, scores: Scores) -> float:
    """Fit what turns logits into answers, and keep it in the model.

    The temperatures of both sides, then the weight of the place and whether to divide by the class
    frequency, then the levels of the sets that hold the truth 9 times in 10.

    Args:
        model: The model, changed.
        scores: What it says of records that it was not fitted to.

    Returns:
        Log-loss of image and place together, or of the image alone, on these records, nats.
    """
    label, placed, place = scores.label, scores.placed, scores.place
    fitted = replace(model.calibration, image_temperature=fit_temperature(scores.image, label))
    if place is not None:
        fitted = replace(fitted, temperature=fit_temperature(place[placed], label[placed]))
        found = fit_place_weight(
            (scores.image[placed] / fitted.image_temperature).softmax(dim=1),
            (place[placed] / fitted.temperature).softmax(dim=1),
            label[placed],
            model.classes.frequency(),
        )
        fitted = replace(fitted, place_weight=found.weight, divide_frequency=found.divide_frequency)
    model.calibration = fitted
    answers = answer(model, scores)
    levels = {name: fit_set_level(*given, SET_COVERAGE) for name, given in answers.items()}
    model.calibration = fitted.with_levels(levels)
    share, truth = answers.get(BOTH, answers[IMAGE])
    own = share.gather(1, truth[:, None]).double().clamp_min(1e-30)
    return float(-own.log().mean()) if len(own) else float("nan")


def answer(model: DualEncoder, scores: Scores) -> dict[str, tuple[Tensor, Tensor]]:
    """Turn logits into calibrated shares.

    Args:
        model: The model, with its calibration.
        scores: What it says of records.

    Returns:
        ``image``, ``place`` (of the records with a place) and ``image+place`` (of all; without a
        place the image's own answer), each ``(n, K)`` shares with the ``(n,)`` true classes. A
        model that knows no places has the first alone, and the last beside it where it borrows.
    """
    label, placed = scores.label, scores.placed
    image = (scores.image / model.calibration.image_temperature).softmax(dim=1)
    if scores.lent is not None:
        return {
            IMAGE: (image, label),
            BOTH: (combine_borrowed(model, image, scores.lent), label),
        }
    if scores.place is None:
        return {IMAGE: (image, label)}
    prior = (scores.place / model.calibration.temperature).softmax(dim=1)
    both = combine(model, image, prior)
    return {IMAGE: (image, label), PLACE: (prior[placed], label[placed]), BOTH: (both, label)}


def matched_labels(model: Prior, dataset: RecordDataset) -> Tensor:
    """Give the labels of records in a model's classes, matched by scientific name.

    Args:
        model: A model or a baseline.
        dataset: The records.

    Returns:
        ``(N,)`` int64, -1 where there is no label or the model does not know the class.
    """
    return _of_records(match_taxa(model, dataset.classes.names)[0], dataset, -1)


def held_by_others(model: Prior, dataset: RecordDataset) -> Tensor:
    """Tell which records are of a taxon inside a class of another name.

    Args:
        model: A model or a baseline.
        dataset: The records.

    Returns:
        ``(N,)`` bool.
    """
    return _of_records(match_taxa(model, dataset.classes.names)[1], dataset, 0)


def _of_records(of_classes: Tensor, dataset: RecordDataset, unlabelled: int) -> Tensor:
    # The label -1 finds the last entry.
    return torch.cat((of_classes, of_classes.new_tensor([unlabelled])))[dataset.label]


def _images(dataset: RecordDataset, rows: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Give images, of series with their days, some at a time."""
    for part in torch.split(rows, IMAGE_CHUNK):
        batch = dataset.__getitems__(part.tolist())
        yield batch["image"], batch.get("days")
