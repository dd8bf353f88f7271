"""The one schema of samples, and how samples become a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import torch
from torch import Tensor


class Sample(TypedDict, total=False):
    """One record.

    ``lonlat``: ``(2,)`` degrees, NaN when the place is unknown. ``date``: ``()`` part of the year
    in [0, 1), NaN when unknown. ``hour``: ``()`` part of the day in [0, 1) as recorded, which may
    be local time or UTC, NaN when unknown. ``label``: ``()`` int64 class, -1 when unlabelled.
    ``labels``: ``(K,)`` int8, 1 for each class of the record's label set, 0 for the others, -1
    where unknown, present only in data sets of label sets, whose ``label`` is -1. ``image``:
    ``(C, H, W)`` float, or ``(F,)`` precomputed features, present only in data sets with images; in
    data sets of series ``(T, C, H, W)``. ``days``: ``(T,)`` part of the year of each date of a
    series, NaN where there is none, present only there. ``mask``: ``(H, W)`` int64 class of each
    pixel, -1 where unknown or ignored, present only in data sets with masks, whose ``label`` is -1.
    ``valid``: ``(H, W)`` bool, where the image has data, present only where it may lack some.
    ``caption``: ``()`` int64 number of the record's caption in the data set's table, -1 where it
    has none, present only in data sets with captions.
    """

    lonlat: Tensor
    date: Tensor
    hour: Tensor
    label: Tensor
    labels: Tensor
    image: Tensor
    days: Tensor
    mask: Tensor
    valid: Tensor
    caption: Tensor


class Batch(TypedDict, total=False):
    """Samples stacked along a first dimension, with what an objective drew for them.

    Added by ``Objective.draw``: ``background``, ``(N, 2)`` places drawn to describe what was
    available; ``absent``, ``(N,)`` int64 a class taken to be absent at the record; ``soft_lonlat``,
    ``(N, 2)``, ``soft_date`` and ``soft_hour``, ``(N,)``, and ``target``, ``(N, K)``: places with
    the times of their records, and what a teacher says of them; ``random_lonlat``, ``(N, C, 2)``
    places that are negatives of each record's image; ``view``, another view of the image;
    ``view_days``, ``(N, t)``, the days of that of a series; ``cells``, ``(N, P, 2)`` int64, cells
    of the image and of the view that show the same ground, -1 for none; ``position``,
    ``(N, P, 2)``, where these are, in cells; ``strong``, a strongly changed view of it. Of the CLIP
    family: ``looks``, ``(N, 2, C, H, W)`` views of an image that are compared with each other;
    ``exact`` and ``exact_date``, place and date as they were recorded; ``view_lonlat``,
    ``view_date``, ``view_hour`` and ``view_dropped``, ``(N, S)`` bool, a second view of the place,
    with the scales that it lacks; ``scale_codes``, ``(N, S)`` int64, what is hidden of the scales,
    and ``swap_row``, ``(N,)`` int64, the row of the batch whose stand in for some; ``tokens``,
    ``view_tokens`` and ``hidden_tokens``, ``(N, L)`` int64, the caption, a second view of it, and
    with tokens hidden; ``hidden_target``, ``(N, L)`` int64, these, and -100 elsewhere.

    Added by the loop for an objective of two streams: ``unlabelled``, a batch of other records,
    which have neither ``label`` nor ``labels`` nor ``mask``.
    """

    lonlat: Tensor
    date: Tensor
    hour: Tensor
    label: Tensor
    labels: Tensor
    image: Tensor
    days: Tensor
    mask: Tensor
    valid: Tensor
    caption: Tensor
    background: Tensor
    absent: Tensor
    soft_lonlat: Tensor
    soft_date: Tensor
    soft_hour: Tensor
    target: Tensor
    random_lonlat: Tensor
    view: Tensor
    view_days: Tensor
    cells: Tensor
    position: Tensor
    strong: Tensor
    looks: Tensor
    exact: Tensor
    exact_date: Tensor
    view_lonlat: Tensor
    view_date: Tensor
    view_hour: Tensor
    view_dropped: Tensor
    scale_codes: Tensor
    swap_row: Tensor
    tokens: Tensor
    view_tokens: Tensor
    hidden_tokens: Tensor
    hidden_target: Tensor
    unlabelled: Batch


def collate(samples: Sequence[Sample] | Batch) -> Batch:
    """Stack samples into a batch; a batch (from a data set's ``__getitems__``) passes unchanged.

    Args:
        samples: Samples of one schema, or a batch.

    Returns:
        The batch.
    """
    if isinstance(samples, dict):
        return samples
    return {key: torch.stack([s[key] for s in samples]) for key in samples[0]}  # type: ignore[literal-required,return-value]
