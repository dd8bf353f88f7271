"""What is looked at before sides are compared: the model's sides, the records, the batch."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping

import torch
from torch import Tensor, nn

from csp_core.augment import augmentation as find_augmentation
from csp_core.data.records import RecordDataset
from csp_core.errors import ConfigError
from csp_core.image.pixels import PixelEncoder
from csp_core.model import DualEncoder
from csp_core.objectives.clip.spec import PAIRS, Spec

log = logging.getLogger(__name__)
# With fewer records, normalisation over a batch says little.
FEW = 16
WORDS = {"image": "images", "location": "places", "text": "captions"}


def check_numbers(
    mask_km: float, mask_days: float | None, neighbour_km: float, queue_size: int
) -> None:
    """Check the options that are numbers.

    Args:
        mask_km: At least 0.
        mask_days: Above 0, or None.
        neighbour_km: At least 0.
        queue_size: At least 1.

    Raises:
        ConfigError: If one is out of range.
    """
    if not mask_km >= 0 or not neighbour_km >= 0 or queue_size < 1:
        raise ConfigError(
            f"mask_km is {mask_km}, neighbour_km {neighbour_km} and queue_size {queue_size}; give"
            " kilometres of at least 0, and at least 1."
        )
    if mask_days is not None and not mask_days > 0:
        raise ConfigError(f"mask_days is {mask_days}; give more than 0, or null for all days.")


def own_sides(model: DualEncoder) -> list[str]:
    """List the sides that a model has, of those that can be compared."""
    return [side for side in WORDS if getattr(model, side) is not None]


def find_pairs(
    name: str, sides: Collection[str], spec: Spec, asked: Mapping[str, float]
) -> dict[str, tuple[str, str]]:
    """Tell which pairs of sides are compared.

    Args:
        name: Name of the objective.
        sides: The sides that the model has.
        spec: What the objective does.
        asked: The weights of pairs that were given, of ``spec.pair_weights``.

    Returns:
        Name to the two sides, those of the table that the model has and that have a weight.

    Raises:
        ConfigError: If the model has no pair of sides, or lacks one that was given a weight.
    """
    has = [side for side in WORDS if side in sides]
    found = {
        pair: two
        for pair, two in PAIRS.items()
        if set(two) <= set(has) and spec.pair_weights[pair] > 0
    }
    if "image" not in has or not found:
        raise ConfigError(
            f"{name} compares images with places, with captions, or all three, and the model has"
            f" {' and '.join(WORDS[side] for side in has) or 'nothing'}: give model.image beside"
            " model.location or model.text, and pair_weights to a pair of them."
        )
    for pair in (pair for pair in asked if asked[pair] > 0 and pair not in found):
        lacking = next(side for side in PAIRS[pair] if side not in has)
        raise ConfigError(
            f"pair_weights gives {pair} {asked[pair]:g}, and the model has no {WORDS[lacking]}:"
            f" give model.{lacking}, or leave {pair} out."
        )
    return found


def check_parts(name: str, model: DualEncoder, spec: Spec, sides: Iterable[str], scales: int,
                best_tokens: int | None, hidden_share: float) -> None:  # fmt: skip
    """Check that the model has what the parts of the loss need.

    Args:
        name: Name of the objective.
        model: The model.
        spec: What the objective does.
        sides: The sides that are compared.
        scales: How many tokens of scales its places have.
        best_tokens: How many tokens are kept of each.
        hidden_share: Share of the tokens that is hidden.

    Raises:
        ConfigError: If it has not, or a number is out of range.
        UnknownNameError: If there is no such augmentation.
    """
    for chosen in {spec.augmentation, spec.views.strong} - {None}:
        find_augmentation(str(chosen))
    check_masked(name, spec, sides, scales)
    if (spec.has("random") or spec.random.columns) and "location" not in sides:
        raise ConfigError(f"{name}: places drawn at random need model.location.")
    if (best_tokens is not None and best_tokens < 1) or not 0 < hidden_share < 1:
        raise ConfigError(
            f"best_tokens is {best_tokens} and hidden_share {hidden_share}; give at least 1, or"
            " null for all, and a share between 0 and 1."
        )
    if spec.has("fine") and _is_convolutional(model.image):
        log.warning(
            "%s compares token by token, and the image encoder is convolutional: in the benchmark"
            " of Cui et al. 2022 this hurt a ResNet-50 (21.3 against 37.2 in 100) and helped a"
            " vision transformer",
            name,
        )


def check_masked(name: str, spec: Spec, sides: Iterable[str], scales: int) -> None:
    """Check that there are scales to hide, where nothing else is hidden.

    Args:
        name: Name of the objective.
        spec: What the objective does.
        sides: The sides that are compared.
        scales: How many tokens of scales its places have.

    Raises:
        ConfigError: If there is nothing to guess from.
    """
    if spec.has("masked") and "location" in sides and scales < 2 and "text" not in sides:
        raise ConfigError(
            f"{name} hides scales of a place and guesses them from the others, and the location"
            f" encoder has {'one' if scales else 'no'} token of a scale: give an encoding of"
            " several scales, such as sphere_c, with model.location.network: tokens, or"
            " objective.weights: {masked: 0}."
        )


def _is_convolutional(encoder: nn.Module | None) -> bool:
    kinds = [type(part).__name__ for part in encoder.modules()] if encoder else []
    return isinstance(encoder, PixelEncoder) and not any("Attention" in kind for kind in kinds)


def complete_rows(lonlat: Tensor, caption: Tensor | None, sides: Iterable[str]) -> Tensor:
    """Tell which records have all that is compared.

    Args:
        lonlat: ``(N, 2)`` degrees, NaN where unknown.
        caption: ``(N,)`` int64, -1 for none; or None.
        sides: The sides that are compared.

    Returns:
        ``(N,)`` bool.
    """
    there = torch.ones(len(lonlat), dtype=torch.bool)
    if "location" in sides:
        there &= ~lonlat.isnan().any(dim=1)
    if "text" in sides and caption is not None:
        there &= caption >= 0
    return there


def check_records(name: str, dataset: RecordDataset, sides: Iterable[str], spec: Spec) -> Tensor:
    """Check that there is something to compare, and tell what is left out.

    Args:
        name: Name of the objective.
        dataset: The training records.
        sides: The sides that are compared.
        spec: What the objective does.

    Returns:
        ``(n,)`` int64 numbers of the records that have all of it.

    Raises:
        ConfigError: If there are no images or captions, or all places or captions are one.
    """
    image = dataset[0].get("image")
    if image is None:
        raise ConfigError(
            f"{name} compares images, and the data set {dataset.name!r} has none. If it has an"
            " option to read them, turn that on."
        )
    if spec.has("image") and image.ndim != 3:
        what = "series of dates" if image.ndim == 4 else "features in their place"
        raise ConfigError(
            f"{name} compares two views of each image, and the data set {dataset.name!r} has"
            f" {what}: give pictures of one date, or objective.weights: {{image: 0}}."
        )
    if "text" in sides and dataset.captions is None:
        raise ConfigError(
            f"The data set {dataset.name!r} has no captions: give data.captions, such as facts, or"
            " leave model.text out."
        )
    rows = complete_rows(dataset.lonlat, dataset.caption, sides).nonzero()[:, 0]
    if left := len(dataset) - len(rows):
        log.warning(
            "%s of %s training records are left out: they have no %s",
            f"{left:,}",
            f"{len(dataset):,}",
            " or no ".join(WORDS[s][:-1] for s in ("location", "text") if s in sides),
        )
    _check_distinct(name, dataset, rows, sides)
    return rows


def _check_distinct(name: str, dataset: RecordDataset, rows: Tensor, sides: Iterable[str]) -> None:
    if not len(rows):
        raise ConfigError(f"No training record of {dataset.name!r} has all that {name} compares.")
    for side, values in (("location", dataset.lonlat), ("text", dataset.caption)):
        if side in sides and count_distinct(values[rows]) < 2:
            raise ConfigError(
                f"All training records of {dataset.name!r} have the same {WORDS[side][:-1]}, which"
                f" tells nothing of an image: {name} needs different ones."
            )


def count_distinct(values: Tensor) -> int:
    """Count the different rows.

    Args:
        values: ``(N, …)``.

    Returns:
        How many there are.
    """
    return len(torch.unique(values, dim=0))


def check_batch(name: str, size: int, spec: Spec) -> None:
    """Check that a batch holds something to tell apart.

    Args:
        name: Name of the objective.
        size: Records of a batch.
        spec: What the objective does.

    Raises:
        ConfigError: If it holds one record.
    """
    if size < 2:
        raise ConfigError(
            f"A batch holds {size} record, and {name} tells the records of a batch apart: raise"
            " training.batch_size."
        )
    if spec.has("image") and size < FEW:
        log.warning(
            "a batch holds %d records: the heads of image views normalise over it, which takes %d"
            " or more",
            size,
            FEW,
        )
