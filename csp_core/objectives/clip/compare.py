"""What the CLIP family computes of a batch: its parts, how often partners are found, its queues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from csp_core import losses
from csp_core.data.batch import Batch
from csp_core.model import see
from csp_core.objectives.base import Objective
from csp_core.objectives.clip import parts
from csp_core.objectives.clip.heads import GuessScales, GuessTokens, SimSiamHead, ViewHead
from csp_core.objectives.clip.pairs import Alike, near_weight, retrieval, same_caption
from csp_core.objectives.clip.parts import Compared, Rows
from csp_core.objectives.clip.queue import Neighbours
from csp_core.objectives.clip.seen import (
    Seen,
    guess_scales,
    guess_tokens,
    see_images,
    see_places,
    see_text,
)
from csp_core.objectives.clip.spec import RANDOM, TOKENS, WHOLE, Spec
from csp_core.objectives.gather import gather_rows

# What the release multiplies cosines by at most, where it has such an end.
MOST_SCALE = 100.0
Tokens = tuple[Tensor, Tensor | None]
# Numbers of captions are kept in two parts.
HALF = 1 << 20


class Comparing(Objective):
    """Base of the CLIP family: computes what ``ClipFamily`` is told to, whose options these are."""

    spec: Spec
    pairs: dict[str, tuple[str, str]]
    sides: list[str]
    scales: int
    learn_temperature: bool
    masked_view: bool
    best_tokens: int | None
    mask_km: float
    mask_days: float | None
    image_head: SimSiamHead | ViewHead | None
    guesses: nn.ModuleDict
    queues: nn.ModuleDict

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the parts that have a weight.

        Args:
            batch: As ``draw`` gives it.

        Returns:
            ``{"loss"}``, the parts that have a weight and, in evaluation, how near partners are:
            ``alignment`` and ``recall_at_10``, with the pair's name where there are several.
        """
        lonlat = batch["lonlat"]
        if not self.training and len(lonlat) < 2:
            return {"loss": lonlat.new_zeros(())}
        seen, looks = self._see(batch), self._look(batch)
        # Similarities are multiplied by large numbers: half precision is too coarse for them.
        with torch.autocast(lonlat.device.type, enabled=False):
            alike = self._alike(batch)
            found = self._parts(batch, seen, looks, alike)
            loss = torch.stack([self.spec.weights[k] * v for k, v in found.items()]).sum()
            if self.training:
                self._remember(batch, seen)
                # Processes wait for a gradient of every weight, also where only tokens count.
                loss = loss + 0.0 * sum(v.sum() for s in seen.values() for v in s.views)
            else:
                found |= self._measured(seen, alike)
        return {"loss": loss, **found}

    def counted(self, batch: Batch) -> int:
        """Count the records that are compared: none where there is one alone."""
        return len(batch["lonlat"]) if len(batch["lonlat"]) > 1 else 0

    def neighbours(self) -> dict[str, Neighbours]:
        """Give the queues of earlier batches.

        Returns:
            Side to queue.
        """
        return {side: cast(Neighbours, queue) for side, queue in self.queues.items()}

    def scale(self, which: int) -> float | Tensor:
        """Give what cosines are multiplied by.

        Args:
            which: ``WHOLE``, ``TOKENS`` or ``RANDOM``.

        Returns:
            The inverse of a temperature.
        """
        learned = self.model.log_scale
        if learned is None or not self.learn_temperature:
            return 1 / self.spec.temperatures[which]
        found = learned[which].exp()
        return found.clamp_max(MOST_SCALE) if self.spec.published and self.spec.capped else found

    def advance(self, rows: Mapping[str, Tensor], step: int) -> None:
        """Hold learned temperatures in their range, and put this step's rows into the queues."""
        if self.model.log_scale is not None and self.learn_temperature:
            self.model.log_scale.clamp_(*self.spec.log_scale)
        for side, queue in self.neighbours().items():
            views = (rows.get(f"{side}_{number}") for number in range(2))
            for view in views:
                if view is not None:
                    queue.push(view, rows[f"{side}_whose"])

    def _see(self, batch: Batch) -> dict[str, Seen]:
        fine, apart = self.spec.has("fine"), not (self.training and self.masked_view)
        found = {}
        for side in self.sides:
            if side == "image":
                found[side] = see_images(self.model, batch, tokens=fine)
            elif side == "text":
                found[side] = see_text(self.model, batch, tokens=fine, apart=apart)
            else:
                found[side] = see_places(
                    self.model, batch, self._join, tokens=fine, scales=self.scales, apart=apart
                )
        return found

    def _parts(
        self,
        batch: Batch,
        seen: Mapping[str, Seen],
        looks: Tensor | None,
        alike: Mapping[str, Alike],
    ) -> dict[str, Tensor]:
        """Compute each part that has a weight; nearest neighbours once there are any."""
        spec = self.spec
        found: dict[str, Tensor] = {}
        pairs = self._compared(seen, alike)
        if spec.has("clip"):
            extra = seen["location"].random if spec.random.columns else None
            if extra is not None and spec.has("random"):
                extra = extra[:, spec.random.number :]
            found["clip"] = parts.whole_part(
                pairs, self.scale(WHOLE), loss=spec.loss, bias=self.model.logit_bias, extra=extra
            )
        if spec.has("image"):
            found["image"] = self._images(looks, pairs)
        if spec.has("masked"):
            found["masked"] = self._guessed(batch, seen)
        if spec.has("neighbour") and all(q.held for q in self.neighbours().values()):
            queues = {
                name: (self.neighbours()[side], Rows.joined(_whose(batch, side), self._join))
                for name, (_, side) in self.pairs.items()
            }
            found["neighbour"] = parts.neighbour_part(
                pairs, queues, self.scale(WHOLE), published=spec.published
            )
        if spec.has("fine"):
            found["fine"] = parts.fine_part(
                self.pairs, self._tokens(seen), alike, spec.pair_weights, self.scale(TOKENS),
                self._join, keep=self.best_tokens,
            )  # fmt: skip
        if spec.has("random"):
            found["random"] = self._random(batch, seen)
        return found

    def _alike(self, batch: Batch) -> dict[str, Alike]:
        """Tell what the records of the batch are to each other, by pair of sides."""
        near = near_weight(batch, self._join, mask_km=self.mask_km, mask_days=self.mask_days)
        same = None if self.spec.published else same_caption(batch, self._join)
        return {
            name: Alike(same if "text" in sides else None, near if "location" in sides else None)
            for name, sides in self.pairs.items()
        }

    def _compared(
        self, seen: Mapping[str, Seen], alike: Mapping[str, Alike]
    ) -> dict[str, Compared]:
        rows = {
            side: [Rows.joined(view, self._join) for view in some.views]
            for side, some in seen.items()
        }
        return {
            name: Compared(rows[a], rows[b], alike[name], self.spec.pair_weights[name])
            for name, (a, b) in self.pairs.items()
        }

    def _look(self, batch: Batch) -> Tensor | None:
        """Embed the views of images that are compared with each other alone, ``(2, n, D)``."""
        if "looks" not in batch or self.model.image is None:
            return None
        looks = batch["looks"].transpose(0, 1)
        both, simsiam = looks.flatten(0, 1), isinstance(self.image_head, SimSiamHead)
        rows = self.model.embed_image(both) if simsiam else see(self.model.image, both)
        return rows.float().view(2, looks.shape[1], -1)

    def _images(self, looks: Tensor | None, pairs: Mapping[str, Compared]) -> Tensor:
        """Compare two views of each image, over the images of all processes at once."""
        assert self.image_head is not None  # the part has a weight
        if looks is not None:
            first, second = (self._join(part)[0] for part in looks)
        else:
            views = next(pair.first for name, pair in pairs.items() if "image" in name)
            first, second = (view.all for view in views)
        found: Tensor = self.image_head(first, second)
        return found

    def _guessed(self, batch: Batch, seen: Mapping[str, Seen]) -> Tensor:
        terms = []
        if "location" in self.guesses:
            guess, place = cast(GuessScales, self.guesses["location"]), self.model.location
            terms.append(guess_scales(guess, seen["location"], place, batch, self._join))
        if "text" in self.guesses:
            words = cast(GuessTokens, self.guesses["text"])
            target = batch["hidden_target"]
            terms.append(guess_tokens(words, seen["text"], target, self._join))
        return torch.stack(terms).sum()

    def _tokens(self, seen: Mapping[str, Seen]) -> dict[str, Tokens]:
        found: dict[str, Tokens] = {}
        for side, some in seen.items():
            assert some.tokens is not None  # they were asked for
            found[side] = (self.model.project_tokens(side, some.tokens), some.mask)
        return found

    def _random(self, batch: Batch, seen: Mapping[str, Seen]) -> Tensor:
        number, weight = self.spec.random.number, None
        if self.mask_km > 0:
            far = batch["random_lonlat"][:, :number]
            weight = losses.negative_weight(
                batch["exact"][:, None], far, mask_km=self.mask_km
            )[:, 0]  # fmt: skip
        return parts.random_part(
            seen["image"].views[0], seen["location"].views[0], seen["location"],
            self.scale(RANDOM), weight, number,
        )  # fmt: skip

    def _measured(self, seen: Mapping[str, Seen], alike: Mapping[str, Alike]) -> dict[str, Tensor]:
        """Tell how often partners are found, by tokens where nothing else is compared."""
        found: dict[str, Tensor] = {}
        others = any(self.spec.has(part) for part in ("clip", "neighbour", "random"))
        whole = others or not self.spec.has("fine")
        tokens = {} if whole else self._tokens(seen)
        for name, (first, second) in self.pairs.items():
            if whole:
                # Rows are places or captions, columns what is found of them.
                views = seen[second].views[0], seen[first].views[0]
                similarity = losses.similarities(*views)
            else:
                there, back, _ = parts.agreements(
                    tokens[first], tokens[second], self._join, keep=self.best_tokens
                )
                similarity = (there.mT + back) / 2
            suffix = f"_{name}" if len(self.pairs) > 1 else ""
            told = retrieval(similarity, alike[name])
            found |= {f"{key}{suffix}": value for key, value in told.items()}
        return found

    def _remember(self, batch: Batch, seen: Mapping[str, Seen]) -> None:
        """Keep what the queues shall take after the step."""
        for side in self.queues:
            views = {f"{side}_{number}": view for number, view in enumerate(seen[side].views)}
            self.stash(**views, **{f"{side}_whose": _whose(batch, side)})

    def _join(self, rows: Tensor) -> tuple[Tensor, int]:
        """Join the rows of all processes; in evaluation each has all rows already."""
        return gather_rows(rows) if self.training else (rows, 0)


def _whose(batch: Batch, side: str) -> Tensor:
    """Name the place or the caption of each record, ``(n, 2)``."""
    if side == "location":
        return batch["exact"]
    # In single precision a number beyond 2^24 would be that of its neighbour, too.
    number = batch["caption"]
    parts = (number.div(HALF, rounding_mode="floor"), number % HALF)
    return torch.stack(parts, dim=1).float()
