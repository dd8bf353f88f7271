"""Dealing crops of tiles to parts by their ground, and choosing blocks of it for labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from csp_core.data.labels import few_sets
from csp_core.data.parts import LEFT_OUT, PARTS, Dealt
from csp_core.data.splits import Split, deal, keep_labels, with_buffer
from csp_core.data.tiles.crops import Crops
from csp_core.data.tiles.ground import blocks_of, leave_gap, strips
from csp_core.errors import BadRecordError, ConfigError
from csp_core.tables import lookup

LINES, TABLE = "lines", "table"
# What ground stays together, in crops a side; the option where None.
METHODS = {"block": None, "random": 1, LINES: None, TABLE: None}


@dataclass(frozen=True)
class Ground:
    """How the ground of tiles is dealt.

    Args:
        method: A name in ``METHODS``.
        block: Side of a block in crops, for ``block``.
        gap: How many crops lie between those of two parts.
        label_block: Side of a block of ground that is labelled as a whole, in crops; None where
            labels are of crops.
        min_cover: Part of such a block, or of a crop, that a class covers where it is present.
    """

    method: str
    block: int
    gap: int = 0
    label_block: int | None = None
    min_cover: float = 0.01

    def __post_init__(self) -> None:
        """Check the values before any file is read."""
        side = lookup("split method", METHODS, self.method) or self.block
        object.__setattr__(self, "block", side)
        sides = (self.block, 1 if self.label_block is None else self.label_block)
        if min(sides) < 1 or self.gap < 0:
            raise ConfigError(
                f"block_crops is {self.block}, label_crops {self.label_block} and gap {self.gap};"
                " give 1 crop or more, and a gap of 0 or more."
            )

    def words(self, how: Split, part: str) -> str:
        """Say in words what a part of the crops is, for cards."""
        told = how.words(part)
        if self.method in (LINES, TABLE):
            told = told.replace(f"block, {how.block_degrees:g}°", f"ground by {self.method}")
        told = told.replace(f"{how.block_degrees:g}°", f"{self.block} crops a side")
        return told + (f", gap of {self.gap}" if self.gap else "")


def deal_crops(
    how: Split, ground: Ground, crops: Crops, sets: Tensor, names: Sequence[str]
) -> Dealt:
    """Deal crops to their parts, and keep of their labels what is asked for.

    Crops without a label are trained on where those without labels are kept and their block, strip
    or tile is; else they are left out. Where no crop has a label, all are dealt as if they had.

    Args:
        how: How, but for what ``ground`` says.
        ground: How the ground is dealt.
        crops: The crops.
        sets: ``(N, K)`` int8 which classes each crop has, -1 where it has no mask.
        names: Names of the classes.

    Returns:
        The part of each crop. No ground is in two parts.

    Raises:
        BadRecordError: If the crops are too few or too clumped to fill every part.
        ConfigError: If the labels that are asked for do not fit.
    """
    known = crops.masked if ground.label_block is None else crops.pixels.any(dim=1)
    dealt = known if known.any() else torch.ones_like(known)
    parts, near = _parts(how, ground, crops, dealt)
    beside = ~dealt & (parts != PARTS["train"])
    parts = parts.masked_fill(beside if how.keep_unlabelled else ~dealt, LEFT_OUT)
    far = with_buffer(parts, crops.lonlat, how.buffer_km)
    near += int(((far != parts) & dealt).sum())
    parts = leave_gap(far, crops.cells, ground.gap)
    _check_filled(parts, how, ground)
    kept = _labels(how, ground, crops, parts, sets, names)
    if not how.keep_unlabelled and known.any():
        parts = torch.where((parts == PARTS["train"]) & ~kept, LEFT_OUT, parts)
    return Dealt(parts, kept & known, near, int(beside.sum()) if how.keep_unlabelled else 0)


def _parts(how: Split, ground: Ground, crops: Crops, dealt: Tensor) -> tuple[Tensor, int]:
    """Deal crops; those that are not dealt go where their ground goes. Count what is too near."""
    if ground.method == TABLE:
        return _given(crops), 0
    if ground.method == LINES:
        shares = (1 - how.val - how.test, how.val, how.test)
        return strips(crops.cells, dealt, shares, how.seed), 0
    placed = not crops.lonlat.isnan().any()
    if how.buffer_km and not placed:
        raise ConfigError("buffer_km needs tiles with a reference system (CRS); give gap instead.")
    plain = replace(how, labels=None, label_fraction=1.0, keep_unlabelled=False)
    groups = blocks_of(crops.cells, ground.block)
    found = deal(
        plain if placed else replace(plain, method="random"),
        crops.lonlat,
        torch.zeros(len(dealt), dtype=torch.int64),
        without_place="test" if placed else "train",
        among=dealt,
        groups=groups,
    )
    held_out = torch.isin(groups, groups[found.parts > PARTS["train"]])
    others = torch.where(held_out, PARTS["val"], PARTS["train"])
    return torch.where(dealt, found.parts, others), found.near


def _given(crops: Crops) -> Tensor:
    """Take the parts that a table gives."""
    bare = [name for name, part in zip(crops.names, crops.parts, strict=True) if not part]
    if bare:
        raise BadRecordError(
            f"split_method is table, but {len(bare)} crops have no split there, the first of"
            f" {bare[0].rpartition('/')[0]}; give each image train, val or test."
        )
    return torch.tensor([PARTS[part] for part in crops.parts])


def _check_filled(parts: Tensor, how: Split, ground: Ground) -> None:
    """Make sure that what was asked for is there once ground between parts is left out."""
    wanted = {"train": 1.0, "val": how.val, "test": how.test}
    empty = [name for name, share in wanted.items() if share and not (parts == PARTS[name]).any()]
    if empty:
        if ground.method == TABLE:
            raise BadRecordError(
                f"The table leaves {' and '.join(empty)} empty, with a gap of {ground.gap} crops"
                " between parts. Write it in the column split of some images that lie further from"
                " others, give a smaller gap, or a share of 0 for a part that there is not"
                " (val_fraction, test_fraction)."
            )
        raise BadRecordError(
            f"{len(parts)} crops leave {' and '.join(empty)} empty with the {ground.method!r} split"
            f" and a gap of {ground.gap}. Give more ground, other shares, smaller crops, a smaller"
            " gap or another seed."
        )


def _labels(
    how: Split, ground: Ground, crops: Crops, parts: Tensor, sets: Tensor, names: Sequence[str]
) -> Tensor:
    """Choose the crops whose labels are seen: some of them, or all of some blocks of ground."""
    if ground.label_block is None:
        return keep_labels(how, parts, sets, names)
    kept = torch.ones(len(parts), dtype=torch.bool)
    if how.labels is None and how.label_fraction == 1:
        return kept
    learned = ((parts == PARTS["train"]) & crops.pixels.any(dim=1)).nonzero().flatten()
    if not len(learned):
        raise BadRecordError("Labels are asked for, but no training crop has a mask.")
    blocks = blocks_of(crops.cells[learned], ground.label_block)
    sizes, present = _blocks(crops, learned, blocks, ground.min_cover)
    # Blocks at the edge of the ground hold fewer crops; so many labels are to be as much ground.
    full = (sizes == sizes.max()).nonzero().flatten()
    number = how.labels or max(1, round(how.label_fraction * len(full)))
    if number > len(full):
        raise BadRecordError(
            f"{number} blocks are to be labelled, and {len(full)} whole ones of"
            f" {ground.label_block} × {ground.label_block} crops are learned from; give fewer"
            " labels, smaller blocks (label_crops), a smaller gap or larger blocks of a part"
            " (block_crops)."
        )
    draw = how.seed if how.label_seed is None else how.label_seed
    chosen = full[few_sets(present[full], number, draw, names, least=1)]
    return kept.index_fill(0, learned, False).index_fill(
        0, learned[torch.isin(blocks, chosen)], True
    )


def _blocks(crops: Crops, rows: Tensor, blocks: Tensor, least: float) -> tuple[Tensor, Tensor]:
    """Count the ground of blocks in crops, and find the classes that each has."""
    ground = torch.unique(torch.column_stack((blocks, crops.cells[rows])), dim=0)
    sizes = torch.bincount(ground[:, 0])
    shares = crops.shares()[rows]
    summed = shares.new_zeros(len(sizes), shares.shape[1]).index_add_(0, blocks, shares)
    mean = summed / torch.bincount(blocks)[:, None]
    return sizes, (mean >= least).to(torch.int8)
