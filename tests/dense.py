"""A tiny image encoder that keeps pixels, and invented pictures with masks that it can learn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

from csp_core.config import RunConfig, parse_config
from csp_core.data import DATASETS
from csp_core.data import counts as counting
from csp_core.data.images import ImageDataset, MemoryImages
from csp_core.data.records import ClassTable, RecordDataset
from csp_core.data.sets.facts import FACTS, Facts
from csp_core.image import IMAGE_ENCODERS, ImageEncoder, to_unit
from csp_core.model import DualEncoder, Heads

NAMES = ("ground", "water", "wood", "roof")


class TinyDense(ImageEncoder):
    """Two 3×3 convolutions; of series, the mean over the dates that there are.

    Args:
        dim: Numbers for each cell.
        bands: Channels of an image.
        stride: Side of a cell in pixels.
    """

    dense = True
    takes_series = True

    def __init__(self, dim: int = 8, bands: int = 3, *, stride: int = 1) -> None:
        super().__init__(dim, bands)
        self.stride = stride
        self.net = nn.Sequential(
            nn.Conv2d(bands, dim, 3, 1, 1),
            nn.GroupNorm(2, dim),
            nn.ReLU(),
            nn.Conv2d(dim, dim, 3, 1, 1),
            nn.AvgPool2d(stride),
        )

    def dense_maps(self, image: Tensor, days: Tensor | None = None) -> Tensor:
        """Embed ``(N, C, H, W)`` or ``(N, T, C, H, W)`` as ``(N, dim, H, W)``, in cells."""
        if image.ndim == 5:
            known = torch.ones(image.shape[:2]) if days is None else (~days.isnan()).float()
            each = self.net(to_unit(image).flatten(0, 1)).unflatten(0, image.shape[:2])
            weight = known[:, :, None, None, None]
            return (each * weight).sum(dim=1) / weight.sum(dim=1)
        return self.net(to_unit(image))

    def forward(self, image: Tensor, days: Tensor | None = None) -> Tensor:
        """Give ``(N, dim)``, the mean over the cells."""
        return self.dense_maps(image, days).mean(dim=(2, 3))


def model(classes: Sequence[str] = NAMES) -> DualEncoder:
    """Make a model that tells the class of each pixel, and has learned nothing."""
    torch.manual_seed(0)
    heads = Heads(image=None, classifiers=(), pixels=True)
    return DualEncoder(TinyDense(8), None, dim=8, classes=classes, heads=heads, name="fields")


def pictures(
    number: int = 24, side: int = 16, *, seed: int = 0, unknown: bool = True
) -> ImageDataset:
    """Draw fields of four classes, each of its own colour under noise, a fifth of it unknown."""
    draws = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 4, (number, side // 4, side // 4), generator=draws)
    mask = coarse.repeat_interleave(4, 1).repeat_interleave(4, 2)
    colours = torch.tensor([[0.5, 0.4, 0.3], [0.1, 0.2, 0.7], [0.1, 0.5, 0.1], [0.8, 0.3, 0.3]])
    clean = colours[mask].permute(0, 3, 1, 2)
    noise = torch.randn(clean.shape, generator=draws)
    image = (clean + 0.05 * noise).clamp(0, 1).mul(255).round().to(torch.uint8)
    if unknown:
        mask = mask.masked_fill(torch.rand(mask.shape, generator=draws) < 0.2, -1)
    counts = tuple(torch.bincount(mask[mask >= 0], minlength=4).tolist())
    return ImageDataset(
        lonlat=torch.rand(number, 2, generator=draws) * 4 + torch.tensor([127.0, 36.0]),
        label=torch.full((number,), -1),
        classes=ClassTable(NAMES, counts=counts),
        store=MemoryImages(image),
        rows=torch.arange(number),
        masks=mask.to(torch.int16),
        name="fields",
        info={"background": "ground"},
    )


def masked(records: RecordDataset) -> ImageDataset:
    """Give records with images masks in place of labels: how bright each pixel is, in classes."""
    image = records.__getitems__(range(len(records)))["image"]
    size = len(records.classes)
    masks = (to_unit(image).mean(dim=1) * size).long().clamp(0, size - 1)
    classes = replace(records.classes, counts=counting.pixels(masks, size))
    return ImageDataset(
        lonlat=records.lonlat,
        label=torch.full_like(records.label, -1),
        classes=classes,
        date=records.date,
        name=records.name,
        info=records.info,
        store=MemoryImages(image),
        rows=torch.arange(len(image)),
        masks=masks,
    )


def of_masks(loader: Callable[..., RecordDataset]) -> Callable[..., RecordDataset]:
    """Give a data set's loader whose records have masks in place of labels."""

    @wraps(loader)
    def load(*args: Any, **options: Any) -> RecordDataset:
        return masked(loader(*args, **options))

    return load


def load_fields(
    split: str = "train",
    *,
    root: str | None = None,
    number: int = 32,
    seed: int = 0,
    val_fraction: float = 0.25,
    test_fraction: float = 0.25,
    label_fraction: float = 1.0,
) -> ImageDataset:
    """Load the pictures of ``pictures`` as a data set of parts; some may be without their masks."""
    whole = pictures(number, seed=seed)
    ends = [round(number * part) for part in (val_fraction, val_fraction + test_fraction)]
    parts = {"val": (0, ends[0]), "test": (ends[0], ends[1]), "train": (ends[1], number)}
    start, stop = parts.get(split, (0, number))
    masks = whole.masks.clone()
    kept = ends[1] + max(1, round((number - ends[1]) * label_fraction))
    masks[kept:] = -1
    return replace(
        whole,
        **{name: getattr(whole, name)[start:stop] for name in ("lonlat", "label", "date", "rows")},
        hour=whole.hour[start:stop],
        recorder=whole.recorder[start:stop],
        masks=(masks if split == "train" else whole.masks)[start:stop],
        classes=replace(whole.classes, counts=counting.pixels(masks[ends[1] :], 4)),
    )


@contextmanager
def in_the_tables() -> Iterator[None]:
    """Let configurations name the encoder and the pictures for a while."""
    IMAGE_ENCODERS["tiny_dense"], DATASETS["fields"] = TinyDense, load_fields
    FACTS["fields"] = Facts(keeps_test=frozenset({"label_fraction"}), masks=True)
    try:
        yield
    finally:
        del IMAGE_ENCODERS["tiny_dense"], DATASETS["fields"], FACTS["fields"]


def config(**sections: dict[str, Any]) -> RunConfig:
    """Give a configuration that learns the pictures in a second."""
    base: dict[str, Any] = {
        "name": "fields",
        "data": {"name": "fields"},
        "model": {"dim": 8, "location": None, "image": {"name": "tiny_dense", "dim": 8}},
        "objective": {"name": "segmentation"},
        "training": {"epochs": 2, "batch_size": 4, "learning_rate": 0.02, "device": "cpu",
                     "threads": 1},
    }  # fmt: skip
    for name, values in sections.items():
        base[name] = base[name] | values
    return parse_config(base)
