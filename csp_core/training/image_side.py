"""What is done once for the image side of a model before training: bands, features, facts."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from csp_core.data.features import FeatureDataset, map_features
from csp_core.data.images import ImageDataset, hash_images
from csp_core.data.records import RecordDataset
from csp_core.image import ImageEncoder, PixelEncoder
from csp_core.image.cache import cache_features
from csp_core.image.stats import LEAST_SIDE, ImageStats
from csp_core.model import DualEncoder

SAMPLE = 1024
log = logging.getLogger(__name__)
DESCRIBED = 4096
# Numbers in the images that a dense encoder is shown; as float64 they take half a GB.
MOST_VALUES = 2**26


@dataclass(frozen=True, eq=False)
class _Computed(FeatureDataset):
    """Records with features in the place of their images; told by the records they were made of.

    A model says which records it learned from by their hash, and whoever loads these again has
    images.
    """

    source_hash: str = ""

    def content_hash(self) -> str:
        """Return the hash of the records with their images."""
        return self.source_hash


def fit_bands(model: DualEncoder, train_set: RecordDataset) -> None:
    """Show an image encoder some training images, for the mean and spread of their bands.

    Args:
        model: The model; nothing is done where it looks at no pixels.
        train_set: The training records.
    """
    encoder = model.image
    if not isinstance(encoder, ImageEncoder) or not encoder.sees_pixels or not len(train_set):
        return
    rows = torch.linspace(0, len(train_set) - 1, _most(encoder, train_set, SAMPLE)).long()
    batch = train_set.__getitems__(rows.tolist())
    image = batch.get("image")
    if image is not None and image.ndim >= 4:
        encoder.fit_bands(image, batch.get("days"), batch.get("valid"))


def _most(encoder: ImageEncoder, dataset: RecordDataset, number: int) -> int:
    """Tell how many images to look at: of large ones that keep their pixels not so many."""
    size = dataset[0].get("image", torch.empty(0)).numel() if encoder.dense else 0
    return min(number, len(dataset), max(1, MOST_VALUES // max(1, size)))


def compute_once(model: DualEncoder, dataset: RecordDataset) -> RecordDataset:
    """Put features in the place of images, where the backbone that sees them does not train.

    The features are kept in the cache folder, in half precision, for this run and later ones.

    Args:
        model: The model, its image side frozen or not.
        dataset: Records.

    Returns:
        The same records with features as images; the data set itself where there is nothing to
        compute or the backbone trains.
    """
    encoder = model.image
    # What an encoder that keeps pixels gives is larger than the images.
    if not isinstance(encoder, PixelEncoder) or encoder.dense or not encoder.frozen:
        return dataset
    if not len(dataset):
        return dataset
    first = dataset[0].get("image")
    if first is None or first.ndim != 3:
        return dataset
    log.info("computing the features of %d images once", len(dataset))
    path = cache_features(
        encoder,
        lambda rows: dataset.__getitems__(rows.tolist())["image"],
        len(dataset),
        data_hash=_images_hash(dataset),
    )
    kept = {f.name: getattr(dataset, f.name) for f in fields(RecordDataset) if f.name != "image"}
    rows = torch.arange(len(dataset))
    files = (map_features(path, len(dataset)),)
    return _Computed(**kept, files=files, rows=rows, source_hash=dataset.content_hash())


def describe_images(model: DualEncoder, train_set: RecordDataset) -> ImageStats | None:
    """Describe the training images, so that pictures unlike them can be told.

    Args:
        model: The model.
        train_set: What it learns from.

    Returns:
        The description; None where the model looks at no pixels, or there are too few of
        them.
    """
    encoder = model.image
    if not isinstance(encoder, ImageEncoder) or not encoder.sees_pixels or len(train_set) < 2:
        return None
    number = _most(encoder, train_set, DESCRIBED)
    rows = torch.randperm(len(train_set), generator=torch.Generator().manual_seed(0))[:number]
    batch = train_set.__getitems__(rows.sort().values.tolist())
    image, valid = batch.get("image"), batch.get("valid")
    if image is None or image.ndim != 4 or min(image.shape[2:]) < LEAST_SIDE:
        return None
    known = number if valid is None else int(valid.flatten(1).any(dim=1).sum())
    if known < ImageStats.FEWEST:
        return None
    mixed = torch.randperm(number, generator=torch.Generator().manual_seed(1))
    return ImageStats.of(image[mixed], None if valid is None else valid[mixed])


def _images_hash(dataset: RecordDataset) -> str:
    if isinstance(dataset, ImageDataset) and dataset.store is not None:
        digest = hashlib.sha256(dataset.store.digest().encode())
        digest.update(dataset.rows.numpy().tobytes())
        return digest.hexdigest()
    image = dataset.image
    return hash_images(image) if isinstance(image, Tensor) else dataset.content_hash()
