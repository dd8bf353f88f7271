"""The built-in data set ``demo``: an invented world in which every probability is known.

Nothing in it is real but the coastlines. Given its class, an image depends on neither place nor
date, so Bayes' rule gives P(class | place, date, image) in closed form, and with it the accuracy
that no classifier can pass.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from csp_core.data.records import ClassTable, RecordDataset
from csp_core.data.sets.demo_images import (
    CHUNK,
    DEFAULT_NOISE,
    LOOKALIKE_DISTANCE,
    beyond_waves,
    draw_features,
    draw_images,
    log_likelihood,
    make_templates,
)
from csp_core.data.sets.demo_looks import COMMON_NAMES, LOOKS, NAMES
from csp_core.data.sets.demo_ranges import (
    CLASSES,
    draw_records,
    log_density,
    make_components,
    per_class,
    stream,
)
from csp_core.data.splits import Split, deal
from csp_core.errors import ConfigError
from csp_core.tables import lookup

__all__ = ["COMMON_NAMES", "NAMES", "DemoWorld", "load_demo"]


class DemoWorld:
    """An invented world: 24 classes in 8 genera of three look-alikes, on real land.

    Args:
        seed: Seed of the world.
        noise: Standard deviation of the noise in the images, per channel and pixel, where the
            templates lie mostly in [0, 1].
        look: ``waves``, or ``butterflies``, which are made for a noise of 0.05. Classes live where
            and when they live in either.

    Raises:
        ConfigError: If the noise is not above 0.
        UnknownNameError: If there is no such look.

    Example:
        >>> world = DemoWorld(seed=0)
        >>> world.location_posterior(torch.tensor([[36.8, -1.3]])).shape
        torch.Size([1, 24])
    """

    def __init__(self, seed: int = 0, noise: float = DEFAULT_NOISE, *, look: str = "waves") -> None:
        if not 0 < noise < math.inf:
            raise ConfigError(f"noise is {noise}; give a standard deviation above 0.")
        chosen = lookup("look", LOOKS, look)
        generator = stream("world", seed)
        self.seed, self.noise, self.look = seed, noise, look
        self.names, self.common_names = chosen.names, chosen.common_names
        self.components = make_components(generator)
        kinds = chosen.draw(generator)
        self.templates = make_templates(kinds, LOOKALIKE_DISTANCE * chosen.noise, generator)
        self.details = beyond_waves(kinds)
        log_weight = self.components.weight.log()[None]
        self.class_probability = per_class(self.components, log_weight)[0].exp()

    def sample(
        self,
        n: int,
        seed: int = 0,
        *,
        images: bool = True,
        features: bool = False,
        rows: Tensor | None = None,
    ) -> RecordDataset:
        """Draw records.

        Args:
            n: How many.
            seed: Seed of the draw.
            images: Whether to draw the images too; they take 48 KiB each.
            features: Give 147 features of an image (155 of a butterfly), which hold all that tells
                classes apart, in place of its pixels.
            rows: ``(M,)`` ascending numbers of those of the ``n`` records to return. All if None.

        Returns:
            The records; their classes are counted over all ``n``.
        """
        if n < 1:
            raise ConfigError(f"{n} records were asked for; give 1 or more.")
        label, lonlat, date = draw_records(self.components, n, seed)
        rows = torch.arange(n) if rows is None else rows
        counts = torch.bincount(label, minlength=CLASSES).tolist()
        drawn = None
        if images:
            asked = self.templates, label, self.noise, seed, rows
            drawn = draw_features(*asked, self.details) if features else draw_images(*asked)
        return RecordDataset(
            lonlat=lonlat[rows],
            label=label[rows],
            classes=ClassTable(self.names, self.common_names, tuple(counts)),
            date=date[rows],
            image=drawn,
            name="demo (synthetic)",
            info={
                "source": "invented by csp_core; no real species, place or record",
                "world_seed": self.seed,
                "noise": self.noise,
                # The first look goes without saying, as before there were two.
                **({} if self.look == "waves" else {"look": self.look}),
            },
        )

    def location_posterior(self, lonlat: Tensor, date: Tensor | None = None) -> Tensor:
        """Give P(class | place, date).

        Args:
            lonlat: ``(N, 2)`` degrees, NaN where unknown.
            date: ``(N,)`` parts of the year, NaN where unknown; None for all unknown.

        Returns:
            ``(N, 24)`` float64, rows sum to 1.
        """
        return log_density(self.components, lonlat, date).softmax(1)

    def image_posterior(self, image: Tensor) -> Tensor:
        """Give P(class | image).

        Args:
            image: ``(N, 3, 64, 64)``.

        Returns:
            ``(N, 24)`` float64, rows sum to 1.
        """
        return (
            log_likelihood(self.templates, image, self.noise) + self.class_probability.log()
        ).softmax(1)

    def posterior(self, lonlat: Tensor, date: Tensor | None, image: Tensor) -> Tensor:
        """Give P(class | place, date, image).

        Args:
            lonlat: ``(N, 2)`` degrees, NaN where unknown.
            date: ``(N,)`` parts of the year, NaN where unknown; None for all unknown.
            image: ``(N, 3, 64, 64)``.

        Returns:
            ``(N, 24)`` float64, rows sum to 1.
        """
        return (
            log_density(self.components, lonlat, date)
            + log_likelihood(self.templates, image, self.noise)
        ).softmax(1)

    def bayes_rate(self, n: int = 5000, seed: int = 1) -> dict[str, tuple[float, float]]:
        """Estimate the best top-1 accuracy that any classifier can reach.

        The mean of the highest posterior over drawn records has the same expectation as the share
        that the best classifier gets right, and less scatter.

        Args:
            n: How many records to draw.
            seed: Seed of the draw.

        Returns:
            (rate, its standard error), knowing ``place``, ``place+date``, ``image``, or ``all``.
        """
        records = self.sample(n, seed, images=False)
        label, date = records.label, records.date
        chunks = [torch.arange(i, min(i + CHUNK, n)) for i in range(0, n, CHUNK)]
        drawn = (draw_images(self.templates, label, self.noise, seed, rows) for rows in chunks)
        image = torch.cat([log_likelihood(self.templates, some, self.noise) for some in drawn])
        place = log_density(self.components, records.lonlat, None)
        place_date = log_density(self.components, records.lonlat, date)
        logs = {
            "place": place,
            "place+date": place_date,
            "image": image + self.class_probability.log(),
            "all": image + place_date,
        }
        best = {key: value.softmax(1).amax(1) for key, value in logs.items()}
        return {k: (float(b.mean()), float(b.std()) / math.sqrt(n)) for k, b in best.items()}


def load_demo(
    split: str = "train",
    *,
    root: str | Path | None = None,
    size: int = 5000,
    seed: int = 0,
    noise: float = DEFAULT_NOISE,
    split_method: str = "random",
    val_fraction: float = 0.1,
    test_fraction: float = 0.1,
    block_degrees: float = 2.0,
    images: bool = True,
    features: bool = False,
    label_fraction: float = 1.0,
    buffer_km: float = 0.0,
    look: Literal["waves", "butterflies"] = "waves",
    label_seed: int | None = None,
    labels: int | None = None,
    unlabelled: bool = False,
) -> RecordDataset:
    """Load invented records, drawn on the spot.

    Args:
        split: ``train``, ``val``, ``test`` or ``all``.
        root: Not used; there are no files.
        size: Records in all parts together.
        seed: Seed of the world, of the draw and of the split.
        noise: Standard deviation of the noise in the images, per channel and pixel.
        split_method: ``random``, ``site`` or ``block``.
        val_fraction: Share of the records for validation, in [0, 1).
        test_fraction: Share of the records for test, in [0, 1).
        block_degrees: Side of a block, for ``block``.
        images: Whether to draw the images too.
        features: Give 147 precomputed features of an image (155 of a butterfly) in place of its
            pixels.
        label_fraction: Part of the training records of each class to keep, in (0, 1]; at least one
            of each stays.
        buffer_km: Training records this near to one of validation or test are left out.
        look: What the images show: ``waves``, or ``butterflies``, made for ``noise: 0.05``.
        label_seed: Seed of the choice of labels; ``seed`` if omitted.
        labels: Labels in all that are seen in training, the same number of each class; None for as
            many as ``label_fraction`` says.
        unlabelled: Whether the other training records stay, without their labels.

    Returns:
        The records of the part; classes are counted in the training part. A record is the same
        whichever part it is read through.

    Raises:
        UnknownNameError: If there is no such part, split method or look.
        ConfigError: If an option does not fit.
        BadRecordError: If ``size`` is too small for the parts.
    """
    how = Split(
        method=split_method,
        val=val_fraction,
        test=test_fraction,
        block_degrees=block_degrees,
        buffer_km=buffer_km,
        seed=seed,
        label_fraction=label_fraction,
        label_seed=label_seed,
        labels=labels,
        keep_unlabelled=unlabelled,
    )
    world = DemoWorld(seed, noise, look=look)
    everything = world.sample(size, seed, images=False)
    dealt = deal(how, everything.lonlat, everything.label, names=world.names)
    rows = dealt.rows(split)
    part = world.sample(size, seed, images=images, features=features, rows=rows)
    described = (
        f"{split} of {split_method}: val {val_fraction:g}, test {test_fraction:g}, seed {seed}"
        + (f", {label_fraction:g} of the labels" if label_fraction < 1 else "")
        + (f", {few}" if (few := how.few()) else "")
    )
    return replace(
        part,
        label=dealt.shown(everything.label)[rows],
        classes=replace(part.classes, counts=dealt.counts(everything.label, CLASSES)),
        info=part.info | {"split": described},
    )
