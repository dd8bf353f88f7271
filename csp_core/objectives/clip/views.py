"""The views of a batch, and what is hidden of them: all that chance decides in the CLIP family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from csp_core.augment import views
from csp_core.augment.words import change_caption
from csp_core.data.batch import Batch
from csp_core.objectives.clip.spec import SecondViews, Spec
from csp_core.objectives.draws import BatchRandom
from csp_core.objectives.rows import change_images, times

# More captions than this are not kept as tokens, but cut anew at each step.
MOST_KEPT = 200_000


def draw_images(batch: Batch, spec: Spec, random: BatchRandom, *, training: bool) -> Batch:
    """Make the views of the images.

    Args:
        batch: ``image`` of pixels, or features, which are left as they are.
        spec: What the objective does.
        random: Source of random numbers.
        training: Whether images are changed for the comparison with the other sides; views that
            are compared with each other are made in evaluation too.

    Returns:
        ``image``; ``view``, a second view, where there are two and images change; ``looks``
        ``(N, 2, C, H, W)``, where images are compared in views of their own.
    """
    if "image" not in batch:
        return batch
    image, name, found = batch["image"], spec.augmentation, Batch()
    if image.ndim == 4 and spec.has("image") and (spec.own_images or not training):
        chosen = spec.views.strong if spec.own_images else name
        looks = [change_images(image, chosen, random) for _ in range(2)]
        found["looks"] = torch.stack(looks, dim=1)
    if training:
        found["image"] = change_images(image, name, random)
        if spec.number == 2 and image.ndim == 4 and name is not None:
            found["view"] = change_images(image, name, random)
    return {**batch, **found}


def draw_places(
    batch: Batch, exact: Tensor, made: SecondViews, random: BatchRandom, *, scales: int
) -> Batch:
    """Make second views of the places.

    Args:
        batch: Dates and hours, if there are any.
        exact: ``(N, 2)`` degrees, as they were recorded.
        made: How views are made.
        random: Source of random numbers.
        scales: How many tokens of scales a place has; 0 for none.

    Returns:
        ``view_lonlat``, ``view_date``, ``view_hour`` and ``view_dropped``, as far as there are any.
    """
    date, hour = times(batch)
    chance = random.uniform(5)
    found = Batch(view_lonlat=views.scatter_places(exact, *made.km, chance[:, :3]))
    if date is not None:
        moved = views.shift_dates(date, made.days, chance[:, 3].to(date.dtype))
        found["view_date"] = views.forget(moved, made.forget, chance[:, 4])
    if hour is not None:
        found["view_hour"] = views.forget(hour, made.forget, chance[:, 4])
    if scales:
        found["view_dropped"] = random.uniform(scales) < made.scale_drop
    return found


def hide_places(random: BatchRandom, share: float, scales: int) -> Batch:
    """Choose the scales of places that are to be guessed, and whose stand in their place.

    Args:
        random: Source of random numbers.
        share: Part that is chosen.
        scales: How many there are.

    Returns:
        ``scale_codes`` ``(N, scales)`` as of ``hide_scales``, and ``swap_row`` ``(N,)`` int64,
        another row of the global batch.
    """
    codes = views.hide_scales(share, random.uniform(2 * scales).view(-1, scales, 2))
    return Batch(scale_codes=codes, swap_row=random.rows(_others))


def _others(generator: torch.Generator, number: int) -> Tensor:
    step = torch.randint(1, max(2, number), (number,), generator=generator)
    return (torch.arange(number) + step) % number


class Captions:
    """The captions of a data set as tokens of a text encoder.

    Args:
        text: The text encoder.
        captions: Distinct captions, which records number.
    """

    def __init__(self, text: Any, captions: Sequence[str]) -> None:
        self.text, self.captions = text, captions
        self.kept = self.cut(captions) if len(captions) <= MOST_KEPT else None

    def cut(self, captions: Sequence[str]) -> Tensor:
        """Cut captions into tokens.

        Args:
            captions: Captions.

        Returns:
            ``(N, context)`` int64 on the CPU, padded, so that all processes have the same shape.
        """
        found: Tensor = self.text.tokenise(captions).cpu()
        return F.pad(found, (0, self.text.context - found.shape[1]), value=self.text.pad_token)

    def draw(self, number: Tensor, random: BatchRandom, *, second: bool, share: float) -> Batch:
        """Give the captions of a batch, and their views.

        Args:
            number: ``(N,)`` which captions.
            random: Source of random numbers.
            second: Whether to make a second view, with words changed.
            share: Part of the tokens that is to be guessed; 0 for none.

        Returns:
            ``tokens`` ``(N, context)``; ``view_tokens``; ``hidden_tokens`` and ``hidden_target``.
        """
        rows, text = number.tolist(), self.text
        whole = [self.captions[row] for row in rows] if second or self.kept is None else []
        tokens = self.cut(whole) if self.kept is None else self.kept[number]
        found = Batch(tokens=tokens)
        if second:
            seeds = random.rows(lambda g, n: torch.randint(1 << 62, (n,), generator=g)).tolist()
            changed = [
                change_caption(caption, torch.Generator().manual_seed(seed))
                for caption, seed in zip(whole, seeds, strict=True)
            ]
            found["view_tokens"] = self.cut(changed)
        if share:
            chance = random.uniform(3 * tokens.shape[1]).view(*tokens.shape, 3)
            found["hidden_tokens"], found["hidden_target"] = views.hide_tokens(
                tokens,
                share,
                chance,
                specials=text.specials,
                mask=text.mask_token,
                vocabulary=text.vocabulary_size,
            )
        return found
