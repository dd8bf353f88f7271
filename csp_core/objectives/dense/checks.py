"""What is looked at before cells are compared: options, the encoder, the images, the batch."""

from __future__ import annotations

from torch import nn

from csp_core.data.records import RecordDataset
from csp_core.errors import ConfigError

NEGATIVES, TARGETS, LOSSES = ("image", "batch", "queue"), ("shared", "ema"), ("infonce", "cosine")


def check_choices(negatives: str, target: str, loss: str) -> None:
    """Check the options of dense contrast that are one of a few words.

    Raises:
        ConfigError: If one is none of them, or a queue is asked for where nothing looks at it.
    """
    if negatives not in NEGATIVES or target not in TARGETS or loss not in LOSSES:
        raise ConfigError(
            f"negatives is {negatives!r}, target {target!r} and loss {loss!r}; give one of"
            f" {', '.join(NEGATIVES)}, of {', '.join(TARGETS)} and of {', '.join(LOSSES)}."
        )
    if negatives == "queue" and loss == "cosine":
        raise ConfigError(
            "negatives is 'queue' and loss 'cosine', which has no negatives: leave negatives out,"
            " or take the loss infonce."
        )


def check_numbers(
    temperature: float, momentum: float, points: int, head_dim: int, others: tuple[float, ...]
) -> None:
    """Check the options of dense contrast that are numbers.

    Args:
        temperature: Above 0.
        momentum: In [0, 1).
        points: At least 1.
        head_dim: At least 1.
        others: ``radius``, ``apart_km`` and ``image_weight``, at least 0.

    Raises:
        ConfigError: If one is out of range.
    """
    if not temperature > 0 or not 0 <= momentum < 1 or points < 1 or head_dim < 1:
        raise ConfigError(
            f"temperature is {temperature}, momentum {momentum}, points {points} and head_dim"
            f" {head_dim}; give more than 0, a number in [0, 1), and at least 1 of each."
        )
    if not all(value >= 0 for value in others):
        raise ConfigError(
            f"radius, apart_km and image_weight are {', '.join(map(str, others))}; give at least 0"
            " of each."
        )


def check_batch(size: int, points: int, *, compares: bool) -> None:
    """Check that a batch holds enough for normalisation over it.

    Args:
        size: Images of a batch.
        points: Cells of each that are compared.
        compares: Whether whole images are compared, too.

    Raises:
        ConfigError: If there is one cell, or one image where these are compared.
    """
    if size * points < 2 or (compares and size < 2):
        raise ConfigError(
            f"A batch holds {size} image(s) with {points} point(s) each, which leaves nothing to"
            " normalise over or to tell apart: raise training.batch_size, or objective.points and"
            " leave image_weight at 0."
        )


def check_dense(name: str, image: nn.Module | None) -> int:
    """Check that an image encoder gives a map of cells.

    Args:
        name: Name of the objective.
        image: The image encoder, or None.

    Returns:
        Size of a cell's embedding.

    Raises:
        ConfigError: If it gives none, or there is no encoder.
    """
    if image is None or not callable(getattr(image, "dense_maps", None)):
        kind = "no image encoder" if image is None else f"{type(image).__name__}, one vector each"
        raise ConfigError(
            f"{name} compares the cells of an image, and the model has {kind}: give an encoder of"
            " pixels, such as model.image: {name: unet, backbone: {name: small_convnet}}."
        )
    size = getattr(image, "out_dim", None)
    if not isinstance(size, int):
        raise ConfigError("An encoder of your own needs an integer attribute out_dim.")
    return size


def check_pixels(name: str, image: nn.Module | None, dataset: RecordDataset) -> None:
    """Check that records have images of pixels that an encoder takes.

    Args:
        name: Name of the objective.
        image: The image encoder.
        dataset: The training records.

    Raises:
        ConfigError: If they have none, or series where it takes one date.
    """
    found, series = dataset[0].get("image"), bool(getattr(image, "takes_series", False))
    if found is None or found.ndim not in (3, 4):
        what = "no images" if found is None else "features in the place of images"
        raise ConfigError(f"The data set {dataset.name!r} has {what}; {name} compares pixels.")
    if found.ndim == 4 and not series:
        raise ConfigError(
            f"The data set {dataset.name!r} has series of dates, and the image encoder takes one"
            " date: take model.image.name over_dates or unet3d."
        )
