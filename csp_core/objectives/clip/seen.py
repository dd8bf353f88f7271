"""What the towers of a model say of a batch: one pass a side for all its views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from csp_core.augment.views import HIDDEN, KEPT, SWAPPED
from csp_core.data.batch import Batch
from csp_core.losses import IGNORED, masked_token_loss, masked_value_loss
from csp_core.model import DualEncoder
from csp_core.objectives.clip.heads import GuessScales, GuessTokens
from csp_core.objectives.clip.pairs import Join
from csp_core.objectives.rows import times


@dataclass(frozen=True, eq=False)
class Seen:
    """What one side says of the records of this process.

    Args:
        views: ``(n, dim)`` float32 embeddings of each view, the first before the second.
        tokens: ``(n, M, Dt)`` tokens of the first views, where they are asked for.
        mask: ``(n, M)`` bool, which of them are real.
        hidden: ``(n, M, Dt)`` tokens of the views of which something is hidden.
        random: ``(n, C, dim)`` embeddings of places drawn at random.
    """

    views: list[Tensor]
    tokens: Tensor | None = None
    mask: Tensor | None = None
    hidden: Tensor | None = None
    random: Tensor | None = None


def see_images(model: DualEncoder, batch: Batch, *, tokens: bool) -> Seen:
    """Embed the views of the images.

    Args:
        model: The model.
        batch: ``image``, and ``view`` where there is a second one.
        tokens: Whether to give the tokens of the first views.

    Returns:
        What the image tower says.
    """
    views = [batch["image"], *([batch["view"]] if "view" in batch else [])]
    days = [batch["days"]] * len(views) if "days" in batch else []
    inputs = (torch.cat(views), *([torch.cat(days)] if days else []))
    out = model.tower("image", *inputs, tokens=tokens)
    number = len(batch["image"])
    found = list(torch.split(out.embedding.float(), number))
    if not tokens or out.tokens is None or out.mask is None:
        return Seen(found)
    return Seen(found, out.tokens[:number].float(), out.mask[:number])


def see_text(model: DualEncoder, batch: Batch, *, tokens: bool, apart: bool) -> Seen:
    """Embed the views of the captions.

    Args:
        model: The model.
        batch: ``tokens`` ``(n, L)``; ``view_tokens`` of second views; ``hidden_tokens``, of which
            some are hidden.
        tokens: Whether to give the tokens of the first views.
        apart: Whether what is hidden is hidden of views of their own, not of the first ones.

    Returns:
        What the text tower says.
    """
    rows = [batch["tokens"], *([batch["view_tokens"]] if "view_tokens" in batch else [])]
    hides = "hidden_tokens" in batch
    own = hides and apart
    if own:
        rows.append(batch["hidden_tokens"])
    elif hides:
        rows[0] = batch["hidden_tokens"]
    out = model.tower("text", torch.cat(rows), tokens=tokens or hides)
    number = len(batch["tokens"])
    parts = list(torch.split(out.embedding.float(), number))
    found = parts[: len(rows) - own]
    if out.tokens is None or out.mask is None:
        return Seen(found)
    states = out.tokens.float()
    hidden = (states[-number:] if own else states[:number]) if hides else None
    return Seen(found, states[:number], out.mask[:number], hidden)


@dataclass(frozen=True, eq=False)
class _Block:
    """Rows of places of one kind; what is hidden of them, and which scales are left out."""

    lonlat: Tensor
    date: Tensor | None
    hour: Tensor | None
    codes: Tensor | None = None
    dropped: Tensor | None = None


@dataclass(eq=False)
class _Places:
    """All places of one pass, and which rows take the tokens of which."""

    blocks: list[_Block] = field(default_factory=list)

    def add(self, *block: Any, **options: Any) -> int:
        self.blocks.append(_Block(*block, **options))
        return len(self.blocks) - 1

    def starts(self) -> list[int]:
        found = [0]
        for block in self.blocks:
            found.append(found[-1] + len(block.lonlat))
        return found


def see_places(
    model: DualEncoder, batch: Batch, join: Join, *, tokens: bool, scales: int, apart: bool
) -> Seen:
    """Embed the views of the places, and those drawn at random.

    Args:
        model: The model.
        batch: ``lonlat``, dates and hours; ``view_lonlat``, ``view_date``, ``view_hour`` and
            ``view_dropped`` of second views; ``scale_codes`` and ``swap_row``, what is hidden;
            ``random_lonlat`` ``(n, C, 2)``.
        join: Joins rows of all processes.
        tokens: Whether to give the tokens of the first views.
        scales: How many tokens of scales there are.
        apart: Whether what is hidden is hidden of views of their own, not of the first ones.

    Returns:
        What the location tower says.
    """
    lonlat, (date, hour), places = batch["lonlat"], times(batch), _Places()
    hides = "scale_codes" in batch
    own = hides and apart
    codes = batch["scale_codes"] if hides else None
    places.add(lonlat, date, hour, codes=None if own else codes)
    if "view_lonlat" in batch:
        later = (batch.get("view_date"), batch.get("view_hour"))
        places.add(batch["view_lonlat"], *later, dropped=batch.get("view_dropped"))
    views = len(places.blocks)
    hidden = places.add(lonlat, date, hour, codes=codes) if own else 0
    drawn = None
    if "random_lonlat" in batch:
        # A random place has the time of its record: the image is to tell where, not when.
        number = batch["random_lonlat"].shape[1]
        when = [None if t is None else t.repeat_interleave(number) for t in (date, hour)]
        drawn = places.add(batch["random_lonlat"].flatten(0, 1), *when)
    masked = _hide(places, batch, join, scales) if hides else None
    blocks, ends = places.blocks, places.starts()
    dropped = _dropped(blocks, scales) if "view_dropped" in batch else None
    out = model.tower(
        "location",
        torch.cat([block.lonlat for block in blocks]),
        *(_join_times([getattr(block, name) for block in blocks]) for name in ("date", "hour")),
        tokens=tokens or hides,
        **{k: v for k, v in (("masked", masked), ("dropped", dropped)) if v is not None},
    )

    def rows(value: Tensor, block: int) -> Tensor:
        return value[ends[block] : ends[block + 1]].float()

    return Seen(
        [rows(out.embedding, block) for block in range(views)],
        None if out.tokens is None else rows(out.tokens, 0),
        None if out.mask is None else out.mask[: len(lonlat)],
        rows(out.tokens, hidden) if hides and out.tokens is not None else None,
        None if drawn is None else rows(out.embedding, drawn).view(len(lonlat), -1, model.dim),
    )


def _hide(places: _Places, batch: Batch, join: Join, scales: int) -> Tensor:
    """Add the places whose tokens stand in for others; tell for each row whose tokens it has."""
    codes = batch["scale_codes"]
    swapped = (codes == SWAPPED).any(dim=1).nonzero()[:, 0]
    partners = join(batch["lonlat"])[0][batch["swap_row"][swapped]]
    when = [None if t is None else t[swapped] for t in times(batch)]
    block = places.add(partners, *when)
    starts = places.starts()
    source = torch.arange(starts[-1], device=codes.device)[:, None].repeat(1, scales)
    taken = torch.zeros(len(codes), dtype=torch.int64, device=codes.device)
    taken[swapped] = starts[block] + torch.arange(len(swapped), device=codes.device)
    for number, some in enumerate(places.blocks):
        if some.codes is None:
            continue
        own = source[starts[number] : starts[number + 1]]
        own[codes == HIDDEN] = -1
        own[:] = torch.where(codes == SWAPPED, taken[:, None], own)
    return source


def _dropped(blocks: Sequence[_Block], scales: int) -> Tensor:
    none = [
        block.lonlat.new_zeros(len(block.lonlat), scales, dtype=torch.bool)
        if block.dropped is None
        else block.dropped
        for block in blocks
    ]
    return torch.cat(none)


def _join_times(parts: list[Tensor | None]) -> Tensor | None:
    known = [part for part in parts if part is not None]
    return torch.cat(known) if len(known) == len(parts) else None


def guess_tokens(guess: GuessTokens, seen: Seen, target: Tensor, join: Join) -> Tensor:
    """Compute the loss of guessing hidden tokens of captions.

    Args:
        guess: The layer that guesses.
        seen: What the text tower says.
        target: ``(n, L)`` tokens that are to be guessed, -100 elsewhere.
        join: Joins rows of all processes.

    Returns:
        Scalar, nats; the mean of it over the processes is that over all tokens of the batch.
    """
    assert seen.hidden is not None  # something was hidden
    chosen = target != IGNORED
    count = join(chosen.sum(dim=1).float())[0].mean() * len(chosen)
    return masked_token_loss(guess(seen.hidden[chosen]), target[chosen], count=count)


def guess_scales(guess: GuessScales, seen: Seen, place: Any, batch: Batch, join: Join) -> Tensor:
    """Compute the loss of guessing hidden scales of places.

    Args:
        guess: The layer that guesses.
        seen: What the location tower says.
        place: The location encoder.
        batch: ``lonlat`` and ``scale_codes``.
        join: Joins rows of all processes.

    Returns:
        Scalar, squared error of features in [-1, 1].
    """
    assert seen.hidden is not None  # something was hidden
    chosen = batch["scale_codes"] != KEPT
    count = join(chosen.sum(dim=1).float())[0].mean() * len(chosen)
    with torch.no_grad():
        value = place.scale_features(batch["lonlat"]).float()
    prediction = guess(seen.hidden[:, place.scale_slots])
    return masked_value_loss(prediction, value, chosen, count=count)
