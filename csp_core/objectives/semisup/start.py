"""What is looked at before a semi-supervised run begins, so that nothing fails silently in it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from csp_core.data.records import RecordDataset
from csp_core.errors import ConfigError
from csp_core.image import PixelEncoder
from csp_core.model import DualEncoder
from csp_core.objectives.semisup.policy import Policy, Task
from csp_core.tables import check_options

log = logging.getLogger(__name__)
NAMED = 5
LOOKED_AT = 512


def make_policy(
    method: str,
    kind: type[Policy],
    model: DualEncoder,
    several: bool,
    options: Mapping[str, Any] | None,
) -> Policy:
    """Make a method's policy for a model.

    Args:
        method: What to call the method in messages.
        kind: Class of the policy.
        model: What shall be trained.
        several: Whether it answers with label sets.
        options: Options of the policy.

    Returns:
        The policy, which has not heard yet how frequent the classes are.

    Raises:
        ConfigError: If the model has no images or classes, the policy is for label sets alone, or
            an option does not fit.
    """
    if not isinstance(model.image, PixelEncoder) or not isinstance(
        model.image_classifier, nn.Linear
    ):
        raise ConfigError(
            f"{method} learns from images of pixels and their labels: give model.image, such as"
            " {name: small_convnet}."
        )
    if kind.several_only and not several:
        raise ConfigError(
            f"{method} is made for several labels an image, and these records have one: take"
            " fixmatch, freematch or softmatch."
        )
    count, given = len(model.classes), dict(options or {})
    check_options("thresholds of", method, kind, given, given=1)
    return kind(Task(count, several, torch.full((count,), 1 / count), steps=1), **given)


def check_records(dataset: RecordDataset, *, several: bool, knows: bool) -> Tensor:
    """Check that records can be learned from with few labels.

    Args:
        dataset: The training records.
        several: Whether the model answers with label sets.
        knows: Whether a teacher is given places and dates.

    Returns:
        ``(K,)`` float32 frequency of each class among the labelled records: shares that sum to 1,
        or, of label sets, the part of the records that have the class.

    Raises:
        ConfigError: If there are no images, labels of another kind, a class without a label, or no
            place that a teacher could learn from.
    """
    image = dataset[0].get("image")
    if image is None or image.ndim != 3:
        what = "no images" if image is None else "features in the place of images"
        raise ConfigError(f"The data set {dataset.name!r} has {what}; views are made of pixels.")
    if several != (dataset.labels is not None):
        kinds = ("one label a record", "label sets")
        had, wants = kinds[not several], kinds[several]
        raise ConfigError(
            f"The data set {dataset.name!r} has {had}, and the model answers with {wants}: start"
            " it anew, or give data of that kind."
        )
    frequency = _frequency(dataset)
    _check_classes(dataset, frequency)
    if knows:
        _check_places(dataset)
    return frequency


def _frequency(dataset: RecordDataset) -> Tensor:
    classes = len(dataset.classes)
    if dataset.labels is None:
        label = dataset.label[dataset.label >= 0]
        return torch.bincount(label, minlength=classes).float() / max(1, len(label))
    known = (dataset.labels >= 0).sum(dim=0).clamp_min(1)
    return (dataset.labels == 1).sum(dim=0).float() / known


def _check_classes(dataset: RecordDataset, frequency: Tensor) -> None:
    labelled, names = int(dataset.labelled().sum()), dataset.classes.names
    missing = [name for name, share in zip(names, frequency.tolist(), strict=True) if not share]
    if not labelled or not missing:
        return
    told = ", ".join(missing[:NAMED]) + (", …" if len(missing) > NAMED else "")
    said = (
        f"{len(missing)} of {len(names)} classes have no label among {labelled:,} labelled training"
        f" records ({told}), so nothing could ever name them"
    )
    if dataset.labels is not None and len(missing) < len(names):
        # Of many classes the rarest are easily in none of a few label sets, as in published lists.
        log.warning("%s; the model will say that they are absent", said)
        return
    raise ConfigError(f"{said}: label one image of each at least, or leave the classes out.")


def _check_places(dataset: RecordDataset) -> None:
    total = len(dataset)
    placed = int((~dataset.lonlat.isnan().any(dim=1)).sum())
    dated = int((~dataset.date.isnan()).sum())
    if not placed:
        raise ConfigError(
            f"None of {total:,} training records has a place, so a teacher with metadata knows no"
            " more than one without: give places, or teacher: images."
        )
    for number, what in ((placed, "place"), (dated, "date")):
        if number < total:
            log.info(
                "%s of %s training records have no %s: for them the teacher has a learned vector",
                f"{total - number:,}",
                f"{total:,}",
                what,
            )


@torch.no_grad()
def report_far(image: Any, dataset: RecordDataset) -> tuple[int, int]:
    """Say how many unlabelled pictures lie far from all labelled ones: they may show other classes.

    Far is farther, by the cosine of what the network sees as it starts, than any labelled picture
    lies from the labelled one next to it. Up to 512 of either are looked at.

    Args:
        image: The image encoder, as it starts.
        dataset: The training records.

    Returns:
        How many lie far, and how many were looked at.
    """
    known, training = dataset.labelled(), image.training
    if int(known.sum()) < 2 or bool(known.all()):
        return 0, 0
    image.eval()
    own, others = (_seen(image, dataset, rows.nonzero().flatten()) for rows in (known, ~known))
    image.train(training)
    apart = 1 - own @ own.T
    limit = apart.fill_diagonal_(torch.inf).amin(dim=1).max()
    far = int(((1 - others @ own.T).amin(dim=1) > limit).sum())
    if far:
        log.info(
            "%d of %d unlabelled pictures lie farther from every labelled one than any of these"
            " lies from the next: they may show other classes, and get pseudo-labels all the same",
            far,
            len(others),
        )
    return far, len(others)


def _seen(image: Any, dataset: RecordDataset, rows: Tensor) -> Tensor:
    chosen = rows[torch.linspace(0, len(rows) - 1, min(LOOKED_AT, len(rows))).long()]
    found = [
        image(dataset.__getitems__(some.tolist())["image"]) for some in torch.split(chosen, 128)
    ]
    return nn.functional.normalize(torch.cat(found).float(), dim=1)
