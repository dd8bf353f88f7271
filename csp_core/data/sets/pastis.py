"""PASTIS: a year of Sentinel-2 over French fields, with the crop of each pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from csp_core.data.images import ImageDataset
from csp_core.data.parts import LEFT_OUT, PARTS, Dealt
from csp_core.data.records import ClassTable
from csp_core.data.series.masks import count_shown, patch_sets, shown_masks
from csp_core.data.series.pastis import CLASSES, FOLDS, Patch, PatchSeries, read_patches
from csp_core.data.splits import Split, deal, keep_labels
from csp_core.errors import ConfigError
from csp_core.tables import lookup

# How else patches can be dealt than by their folds.
METHODS = {"published": "random", "random": "random", "site": "site", "block": "block"}
SOURCE = {
    "source": "PASTIS (Garnot & Landrieu 2021); contains modified Copernicus Sentinel data",
    "license": "Etalab Open Licence 2.0",
}


def load_pastis(
    split: str = "train",
    *,
    root: str | Path | None = None,
    crop: int | None = None,
    dates: int | None = None,
    split_method: str = "published",
    test_fold: int = 5,
    val_fraction: float = 0.2,
    test_fraction: float = 0.2,
    block_degrees: float = 1.0,
    buffer_km: float = 0.0,
    seed: int = 0,
    label_fraction: float = 1.0,
    label_seed: int | None = None,
    labels: int | None = None,
    unlabelled: bool = False,
) -> ImageDataset:
    """Load PASTIS: 2,433 series of 128 pixels a side and ten bands, 33 to 61 dates each.

    Series are read from their files whenever they are asked for, and masks once. Pixels that are
    void in the masks are ignored; background is a class. Patches that cannot be read are left out
    and told in ``info``.

    Args:
        split: ``train``, ``val``, ``test`` or ``all``.
        root: The folder of ``metadata.geojson``, ``DATA_S2/`` and ``ANNOTATIONS/``, as published.
        crop: Side in pixels of the crops that a patch is cut into, a part of its side; None for the
            whole patch.
        dates: How many dates of a series are read, evenly spread over them; None for all. Shorter
            series end with dates that are not there.
        split_method: ``published``, by folds; or ``random``, ``site`` or ``block`` by patches.
        test_fold: Fold of the test, 1 to 5, for ``published``; the one before it is for validation.
        val_fraction: Share of the patches for validation, in [0, 1), where folds do not say.
        test_fraction: Share of the patches for test, likewise.
        block_degrees: Side of a block, for ``block``.
        buffer_km: Training patches this near to one of validation or test are left out; not for
            ``published``.
        seed: Seed of the split and of the choice of labels.
        label_fraction: Part of the training patches to keep, in (0, 1], at least one.
        label_seed: Seed of the choice of labels; that of the split if omitted.
        labels: Labelled patches in all, each class in two at least; None for as many as
            ``label_fraction`` says.
        unlabelled: Whether the other training patches stay, without their masks.

    Returns:
        The patches or crops of the part; classes have the published order and are counted in
        pixels of the training part.

    Raises:
        CspError: If a file is missing or of another form, or an option does not fit.

    Source:
        Garnot and Landrieu 2021, Panoptic Segmentation of Satellite Image Time Series.
    """
    how = Split(
        method=lookup("split method", METHODS, split_method),
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
    published = split_method == "published"
    if root is None or not 1 <= test_fold <= FOLDS or (dates is not None and dates < 2):
        raise ConfigError(
            f"root is {root}, test_fold {test_fold} and dates {dates}; give the folder of PASTIS, a"
            f" fold from 1 to {FOLDS}, and 2 dates or more, or none for all."
        )
    if published and buffer_km:
        raise ConfigError("The published folds have no buffer; give split_method=block.")
    patches, info = read_patches(Path(root))
    sets = patch_sets(torch.stack([patch.mask for patch in patches]), len(CLASSES))
    dealt = _deal(how, patches, sets, test_fold if published else None)
    store = _store(Path(root), patches, crop, dates)
    words = f"{split} of the published folds, test {test_fold}" if published else how.words(split)
    return _part(split, dealt, store, {**SOURCE, **info, "split": words})


def _deal(how: Split, patches: list[Patch], sets: Tensor, test_fold: int | None) -> Dealt:
    """Deal whole patches: by their published folds, or as other records are dealt."""
    if test_fold is None:
        return deal(how, _places(patches), sets, names=CLASSES)
    fold = torch.tensor([patch.fold for patch in patches])
    before = (test_fold - 2) % FOLDS + 1
    parts = PARTS["val"] * (fold == before) + PARTS["test"] * (fold == test_fold)
    kept = keep_labels(how, parts, sets, CLASSES)
    if not how.keep_unlabelled:
        parts = torch.where((parts == PARTS["train"]) & ~kept, LEFT_OUT, parts)
    return Dealt(parts, kept)


def _places(patches: list[Patch] | tuple[Patch, ...]) -> Tensor:
    return torch.tensor([patch.lonlat for patch in patches], dtype=torch.float32)


def _store(root: Path, patches: list[Patch], crop: int | None, dates: int | None) -> PatchSeries:
    height, width = patches[0].mask.shape
    side = height if crop is None else crop
    if side < 1 or height % side or width % side:
        raise ConfigError(
            f"crop is {crop}; give a number that {height} × {width} pixels can be divided by."
        )
    chosen = []
    for patch in patches:
        number = len(patch.order) if dates is None else min(dates, len(patch.order))
        at = np.linspace(0, len(patch.order) - 1, number).round().astype(int)
        chosen.append(tuple(int(one) for one in at))
    longest = max(map(len, chosen))
    return PatchSeries(
        root,
        tuple(patches),
        tuple(tuple(p.order[at] for at in some) for p, some in zip(patches, chosen, strict=True)),
        longest,
        side,
        (height // side) * (width // side),
    )


def _part(split: str, whole: Dealt, store: PatchSeries, info: dict[str, object]) -> ImageDataset:
    """Give the crops of one part."""
    each, patches = store.each, store.patches
    dealt = Dealt(whole.parts.repeat_interleave(each), whole.labelled.repeat_interleave(each))
    masks = torch.stack([patches[row // each].mask[store.window(row)] for row in range(len(store))])
    days = torch.full((len(patches), store.dates), float("nan"))
    for at, (patch, chosen) in enumerate(zip(patches, store.chosen, strict=True)):
        of = dict(zip(patch.order, patch.days, strict=True))
        days[at, : len(chosen)] = torch.tensor([of[one] for one in chosen])
    rows, lonlat = dealt.rows(split), _places(patches)
    numbers = torch.tensor([int(patch.number) for patch in patches])
    return ImageDataset(
        lonlat=lonlat.repeat_interleave(each, dim=0)[rows],
        label=torch.full((len(rows),), -1),
        classes=ClassTable(CLASSES, counts=count_shown(masks, dealt, len(CLASSES))),
        name="pastis",
        info={**info, **whole.left_out()},
        store=store,
        rows=rows,
        masks=shown_masks(masks, dealt)[rows],
        days=days.repeat_interleave(each, dim=0)[rows],
        test_hash=whole.test_hash(CLASSES, lonlat, numbers),
    )
