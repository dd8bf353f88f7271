"""Dense contrast: pre-training an encoder of pixels on two views of each image, without labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from csp_core import losses
from csp_core.augment.dense import View, Views, match_cells, to_cells
from csp_core.data.batch import Batch
from csp_core.data.records import RecordDataset
from csp_core.data.streams import OneStream, Stream
from csp_core.model import DualEncoder, Heads, Prior
from csp_core.objectives.base import Objective
from csp_core.objectives.dense.checks import (
    check_batch,
    check_choices,
    check_dense,
    check_numbers,
    check_pixels,
)
from csp_core.objectives.dense.parts import CellHead, CellQueue, Target, momentum_at, untouched
from csp_core.objectives.dense.seen import recall, run_both, see_cells
from csp_core.objectives.draws import BatchRandom
from csp_core.objectives.gather import gather_rows
from csp_core.tables import check_options

# Images that are compared at a time in evaluation where no batch of training is known.
GROUP = 32


class DenseContrast(Objective):
    """Tell each place of an image from other places, by two views that both show it.

    Cells of the encoder's map are compared, not images: two views of an image are cut, turned,
    zoomed and shaded apart, and where both show the same ground their projections shall agree and
    those of other places not. Heads, queue and slow copy are the objective's own and dropped with
    it.

    Args:
        model: The model to train; its image encoder gives a map of cells.
        temperature: Divisor of the cosines, above 0.
        negatives: ``image`` for other cells of the same image alone; ``batch`` for all cells of
            the batch; ``queue`` for these and the cells of earlier batches.
        queue_size: Cells that a queue holds.
        radius: Cells of one image closer than this, in cells, are no negatives of each other.
        apart_km: Cells of other images whose places are closer than this, in kilometres, are no
            negatives either, as the images may overlap; 0 for no such rule. A record without a
            place is far from all.
        target: What the other view is compared with: ``shared``, the encoder itself; ``ema``, a
            slow copy of it, which a predictor behind the encoder's own head has to foretell.
        momentum: Weight of the past in that copy in the first step, which grows to 1.
        loss: ``infonce``, or ``cosine``, which has no negatives and always a predictor.
        points: Cells of each image that are compared.
        head_dim: Size of the projections.
        image_weight: Weight of a further part that tells whole images apart by the means of their
            maps; at least 0.
        views: Options of the views, as of ``Views``.

    Raises:
        ConfigError: If the image encoder gives no maps, or an option is out of range.

    Source:
        A reading of Tarasiou & Zafeiriou 2022, Embedding Earth; heads and queue as of Wang et al.
        2021, DenseCL; the slow copy of Grill et al. 2020, BYOL.
    """

    learns_from = ("images",)
    trains = ("image",)
    compares = True
    example_options: ClassVar[Mapping[str, Any]] = {"points": 8, "head_dim": 16}

    def __init__(
        self,
        model: DualEncoder,
        *,
        temperature: float = 0.1,
        negatives: Literal["image", "batch", "queue"] = "batch",
        queue_size: int = 8192,
        radius: float = 2.0,
        apart_km: float = 0.0,
        target: Literal["shared", "ema"] = "shared",
        momentum: float = 0.99,
        loss: Literal["infonce", "cosine"] = "infonce",
        points: int = 64,
        head_dim: int = 128,
        image_weight: float = 0.0,
        views: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(model)
        features = check_dense("dense_contrast", model.image)
        check_choices(negatives, target, loss)
        check_numbers(temperature, momentum, points, head_dim, (radius, apart_km, image_weight))
        check_options("dense_contrast", "views", Views, views or {})
        made, number = Views(**(views or {})), getattr(model.image, "dates", None)
        # A network made for so many dates takes no other number.
        if isinstance(number, int) and not made.dates:
            made = replace(made, dates=(number,))
        self.views = made
        self.temperature, self.radius, self.apart_km = temperature, radius, apart_km
        self.negatives, self.loss, self.points = negatives, loss, points
        self.momentum, self.steps, self.image_weight = momentum, 0, image_weight
        self.group = GROUP
        self.head = CellHead(features, head_dim)
        predicts = target == "ema" or loss == "cosine"
        self.predictor = CellHead(head_dim, head_dim) if predicts else None
        self.whole_head: nn.Sequential | None = None
        if image_weight > 0:
            self.whole_head = nn.Sequential(
                nn.Linear(features, features), nn.ReLU(), nn.Linear(features, head_dim)
            )
        self.target = Target(model.image, self.head) if target == "ema" and model.image else None
        self.queue = CellQueue(queue_size, head_dim) if negatives == "queue" else None

    @classmethod
    def heads(cls, options: Mapping[str, Any]) -> Heads:
        """Ask for no heads: those of cells are the objective's own."""
        return Heads(image=None, classifiers=())

    def fit(self, dataset: RecordDataset, teacher: Prior | None = None) -> None:
        """Check that there are images of pixels; labels are not looked at.

        Args:
            dataset: The training records.
            teacher: None: this objective learns from none.

        Raises:
            ConfigError: If there are no images of pixels, or series that the encoder does not take.
        """
        super().fit(dataset, teacher)
        check_pixels("dense_contrast", self.model.image, dataset)

    def stream(self, dataset: RecordDataset, batch_size: int) -> Stream:
        """Give all records once an epoch.

        Args:
            dataset: The training records.
            batch_size: Records of a step.

        Returns:
            Their batches.

        Raises:
            ConfigError: If a batch holds too little for normalisation over it.
        """
        stream = OneStream(dataset, batch_size)
        check_batch(stream.batch_size, self.points, compares=self.whole_head is not None)
        self.group = stream.batch_size
        return stream

    def plan_steps(self, total: int) -> None:
        """Hear over how many steps the slow copy comes to rest."""
        self.steps = total

    def resting(self) -> list[nn.Module]:
        """List what the model has beside its image encoder, and the slow copy."""
        return [*super().resting(), *([] if self.target is None else [self.target])]

    def draw(self, batch: Batch, random: BatchRandom) -> Batch:
        """Make two views of each image, and find where they meet; in evaluation too.

        Args:
            batch: A batch on the CPU.
            random: Its source of random numbers.

        Returns:
            The batch with the first view as ``image`` and the other as ``view``, of series with
            ``days`` and ``view_days``; ``cells`` ``(N, P, 2)`` int64, the cells of both views that
            show the same ground, -1 for none; and ``position`` ``(N, P, 2)`` float32, where they
            are in the image, in cells.
        """
        image = batch["image"]
        first, second = self.views.pair(
            image, random, days=batch.get("days"), valid=batch.get("valid")
        )
        cells, position = self._meet(first, second, random)
        found: Batch = {**batch, "image": first.image, "view": second.image}
        found["cells"], found["position"] = cells, position
        found.pop("valid", None)
        found.pop("mask", None)
        if first.days is not None and second.days is not None and "days" in batch:
            found["days"], found["view_days"] = first.days, second.days
        return found

    def _meet(self, first: View, second: View, random: BatchRandom) -> tuple[Tensor, Tensor]:
        stride = int(getattr(self.model.image, "stride", 1))
        maps = [to_cells(view.coordinates, view.valid, stride) for view in (first, second)]
        (place, valid), (other, other_valid) = maps
        cells = match_cells(
            place,
            other,
            random.uniform(valid[0].numel()),
            points=self.points,
            within=max(0.75, stride / 2),
            valid=(valid, other_valid),
        )
        at = cells[:, None, :, 0].clamp_min(0).expand(-1, 2, -1)
        return cells, place.flatten(2).gather(2, at).transpose(1, 2) / stride

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the loss of both directions.

        In evaluation, records are compared in groups as large as the batches of training, so that
        the numbers are those of the same task.

        Args:
            batch: As ``draw`` gives it.

        Returns:
            ``{"loss"}``, nats for ``infonce``; ``"met"``, the share of the points that were found;
            in evaluation also ``"recall"``, the share of cells whose own match is nearer than all
            negatives of the batch; ``"whole"``, the part of whole images where there is one.
        """
        if self.training or len(batch["cells"]) <= self.group:
            return self._forward(batch)
        ends = range(0, len(batch["cells"]), self.group)
        parts = [
            {key: value[at : at + self.group] for key, value in batch.items()}  # type: ignore[index]
            for at in ends
        ]
        shares = [len(part["cells"]) / len(batch["cells"]) for part in parts]
        found = [self._forward(part) for part in parts]  # type: ignore[arg-type]
        return {
            key: torch.stack([s * some[key] for s, some in zip(shares, found, strict=True)]).sum()
            for key in found[0]
        }

    def _forward(self, batch: Batch) -> dict[str, Tensor]:
        cells = self._all(batch["cells"])
        rows = (cells[..., 0] >= 0).flatten().nonzero()[:, 0]
        features, pooled = see_cells(self.model.image, batch, self._all)
        met = torch.tensor(len(rows) / cells[..., 0].numel(), device=cells.device)
        layers = [part for part in (self.head, self.predictor, self.whole_head) if part is not None]
        if len(rows) < 2:
            nothing = untouched(layers, features, pooled)
            wanted = {"recall": not self.training, "whole": self.whole_head is not None}
            other = {key: nothing.detach() for key, there in wanted.items() if there}
            return {"loss": nothing, "met": met, **other}
        chosen = features.flatten(1, 2)[:, rows]
        projected = run_both(self.head, chosen)
        query = projected if self.predictor is None else run_both(self.predictor, projected)
        key = projected if self.target is None else self._target(batch, rows)
        found = self._compare(batch, query.float(), key.float(), rows)
        if self.whole_head is not None:
            found["whole"] = self._whole(pooled)
            found["loss"] = found["loss"] + self.image_weight * found["whole"]
        return {**found, "met": met}

    @torch.no_grad()
    def _target(self, batch: Batch, rows: Tensor) -> Tensor:
        assert self.target is not None
        features, _ = see_cells(self.target.image, batch, self._all)
        return run_both(self.target.head, features.flatten(1, 2)[:, rows])

    def _compare(self, batch: Batch, query: Tensor, key: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """Compute the losses of ``(2, R, D)`` queries and keys, those of the first view first."""
        directions = ((query[0], key[1]), (query[1], key[0]))
        with torch.autocast(query.device.type, enabled=False):
            image = torch.div(rows, self.points, rounding_mode="floor")
            lonlat = self._all(batch["lonlat"])
            negative = losses.dense_negatives(
                image,
                self._all(batch["position"]).flatten(0, 1)[rows],
                negatives="image" if self.negatives == "image" else "batch",
                radius=self.radius,
                lonlat=lonlat,
                apart_km=self.apart_km,
            )
            extra, weight = self._remembered(lonlat, image)
            if self.loss == "cosine":
                terms = [losses.cosine_match(asked, told) for asked, told in directions]
            else:
                terms = [
                    losses.match_info_nce(asked, told, negative, temperature=self.temperature,
                                          extra=extra, extra_weight=weight)
                    for asked, told in directions
                ]  # fmt: skip
        found = {"loss": torch.stack(terms).mean()}
        if not self.training:
            recalls = [recall(asked, told, negative) for asked, told in directions]
            found["recall"] = torch.stack(recalls).mean()
        elif self.queue is not None:
            self._remember(batch, key[1], rows)
        return found

    def _remembered(self, lonlat: Tensor, image: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Give what the queue holds, and how much each of it counts for each cell."""
        if self.queue is None or not int(self.queue.held):
            return None, None
        rows, places = self.queue.known()
        if self.apart_km == 0:
            return rows, None
        return rows, losses.negative_weight(lonlat, places, mask_km=self.apart_km)[image]

    def _remember(self, batch: Batch, key: Tensor, rows: Tensor) -> None:
        """Stash the keys of this process's images for the queue, NaN where a point is missing."""
        everyone, start = gather_rows(batch["cells"])
        every = key.new_full((len(everyone) * self.points, key.shape[1]), torch.nan)
        every[rows] = F.normalize(key.detach(), dim=1)
        own = every.view(len(everyone), self.points, -1)[start : start + len(batch["cells"])]
        self.stash(key=own, lonlat=batch["lonlat"])

    def _whole(self, pooled: Tensor) -> Tensor:
        assert self.whole_head is not None
        with torch.autocast(pooled.device.type, enabled=False):
            views = run_both(self.whole_head, pooled.float())
            everyone, number = views.flatten(0, 1), views.shape[1]
            own = torch.arange(2 * number, device=views.device)
            return losses.nt_xent(
                everyone, everyone, own.roll(number), own, temperature=self.temperature
            )

    def _all(self, rows: Tensor) -> Tensor:
        # In evaluation each process has all rows already.
        return gather_rows(rows)[0] if self.training else rows

    def advance(self, rows: Mapping[str, Tensor], step: int) -> None:
        """Let the slow copy follow, and put the cells of this step into the queue."""
        if self.target is not None:
            past = momentum_at(step, self.steps, self.momentum)
            self.target.follow(self.model.image, self.head, past)  # type: ignore[arg-type]
        if self.queue is not None and "key" in rows:
            key = rows["key"].flatten(0, 1)
            lonlat = rows["lonlat"].repeat_interleave(self.points, dim=0)
            there = ~key.isnan().any(dim=1)
            self.queue.push(key[there], lonlat[there])
