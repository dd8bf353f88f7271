"""The contract of everything that trains: a module that owns the model and gives losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from csp_core import geo
from csp_core.data.batch import Batch
from csp_core.data.records import RecordDataset
from csp_core.data.streams import OneStream, Stream
from csp_core.errors import ConfigError
from csp_core.model import DualEncoder, Heads, Prior
from csp_core.objectives.draws import BatchRandom
from csp_core.objectives.gather import gather_rows
from csp_core.objectives.labels import check_labels

# What the weights of the model are called among those of its objective.
MODEL = "model."


class Objective(nn.Module):
    """Base of all objectives.

    What an objective needs and does stands in its class, and no instance changes it:
    ``learns_from`` names what it looks at of a record, of ``labels``, ``images``, ``places`` and
    ``text``; ``trains`` the parts of the model that it may change, of ``image``, ``location``,
    ``text`` and ``classifier``; ``augments`` says whether it may change images in training, so that
    no features can be computed once. Where it does so by an option ``augmentation``, None turns
    that off. Who says nothing is taken to change them: it costs time alone. ``compares`` says
    whether a record's loss depends on the others of its batch, ``taught`` whether it needs a
    teacher, ``label_sets`` whether its labels are sets, or None if it takes either kind, ``masks``
    whether they are masks of pixels; ``prior_kind`` what the model then answers, None where the
    records decide that; ``example_options`` are a small form for trying it out.

    An objective owns its state. Layers of its own are trained beside the model; its buffers that
    are persistent (a queue, a threshold, statistics) and copies that follow the model (a teacher,
    whose parameters need ``requires_grad=False``) are saved in checkpoints and left alone by
    measuring. They change in ``advance`` and nowhere else. A teacher that shall have no dropout is
    listed by ``resting``.

    Args:
        model: The model to train.
        jitter_km: Standard deviation of the Gaussian scatter given to places in training, km along
            each of two directions; a pair (low, high) draws it anew for each record, uniform in
            its logarithm.

    Raises:
        ConfigError: If the jitter is negative or not ordered.
    """

    prior_kind: ClassVar[str | None] = "share"
    learns_from: ClassVar[tuple[str, ...]] = ("labels", "places")
    trains: ClassVar[tuple[str, ...]] = ("location", "classifier")
    augments: ClassVar[bool] = True
    compares: ClassVar[bool] = False
    taught: ClassVar[bool] = False
    label_sets: ClassVar[bool | None] = False
    masks: ClassVar[bool] = False
    example_options: ClassVar[Mapping[str, Any]] = {}
    augmentation: str | None = "of its own"

    def __init__(self, model: DualEncoder, *, jitter_km: float | tuple[float, float] = 0.0) -> None:
        super().__init__()
        if model.location is None and "images" not in self.learns_from:
            raise ConfigError(
                f"The objective {type(self).__name__} learns from places: give model.location."
            )
        self.model = model
        self._stash: dict[str, Tensor] = {}
        pair = isinstance(jitter_km, (tuple, list))
        low, high = jitter_km if isinstance(jitter_km, (tuple, list)) else (jitter_km, jitter_km)
        if not 0 <= low <= high or (pair and low == 0):
            raise ConfigError(
                f"jitter_km is {jitter_km}; give km of at least 0, or (low, high) with 0 < low."
            )
        self.jitter_km = (float(low), float(high))

    @classmethod
    def heads(cls, options: Mapping[str, Any]) -> Heads:
        """Tell which heads the model needs.

        Args:
            options: All options of the objective, defaults written out, not checked yet.

        Returns:
            The heads.
        """
        return Heads()

    @property
    def changes_images(self) -> bool:
        """Whether images are changed in training, so that no features can be computed once."""
        return self.augments and self.augmentation is not None

    def fit(self, dataset: RecordDataset, teacher: Prior | None = None) -> None:
        """Look at the training records, once before training; most objectives need nothing.

        What is kept must follow from the records alone, so that it need not be saved: a resumed run
        and every process fit anew.

        Args:
            dataset: The training records.
            teacher: A prior to learn from, for objectives that do.

        Raises:
            ConfigError: If the objective needs a teacher and there is none, or the other way about,
                or if the records have labels of another kind.
        """
        if "labels" in self.learns_from:
            check_labels(type(self).__name__, self.label_sets, dataset, masks=self.masks)
        if teacher is not None and not self.taught:
            raise ConfigError(
                f"The objective {type(self).__name__} learns from no teacher: leave `teachers` out,"
                " or take the objective soft_targets, or soft_label_sets for label sets."
            )

    def stream(self, dataset: RecordDataset, batch_size: int) -> Stream:
        """Say which records a step sees.

        Args:
            dataset: The training records.
            batch_size: Records of a step.

        Returns:
            Batches of all records, each once an epoch.

        Raises:
            ConfigError: If no step can be filled.
        """
        return OneStream(dataset, batch_size)

    def plan_steps(self, total: int) -> None:
        """Hear how many steps the run has, before the first; most objectives do not care.

        Args:
            total: Steps of all epochs.
        """

    def told(self) -> dict[str, float]:
        """Tell numbers of its own state, by name, for the line of an epoch; mostly none."""
        return {}

    def settled(self, model: DualEncoder) -> DualEncoder:
        """Give the model as it answers once training is over; for most objectives it is as it is.

        Args:
            model: The model that trains, or an average of it, left as it is.

        Returns:
            It, or a changed copy.
        """
        return model

    def draw(self, batch: Batch, random: BatchRandom) -> Batch:
        """Add what chance decides; the forward pass itself draws nothing but dropout.

        Places are scattered in training mode only.

        Args:
            batch: A batch on the CPU.
            random: Its source of random numbers.

        Returns:
            The batch, ready for ``forward``.
        """
        if not self.training:
            return batch
        return {**batch, "lonlat": self.scatter(batch["lonlat"], random)}

    def resting(self) -> list[nn.Module]:
        """List the parts of the model that this objective leaves as they are.

        Returns:
            Modules; they need no gradient and stay in evaluation mode.
        """
        model = self.model
        parts = {
            "image": (model.image, model.image_head, *model.picture_classifiers()),
            "location": (model.location, model.location_head),
            "text": (model.text,),
            "classifier": (model.classifier,),
        }
        found = [one for side, some in parts.items() if side not in self.trains for one in some]
        return [part for part in found if part is not None]

    def train(self, mode: bool = True) -> Objective:
        """Set the mode; what rests stays in evaluation mode, its running statistics as they are.

        Args:
            mode: Whether to train.

        Returns:
            The objective.
        """
        super().train(mode)
        for part in self.resting():
            part.eval()
        return self

    def scatter(self, lonlat: Tensor, random: BatchRandom) -> Tensor:
        """Scatter places by ``jitter_km``.

        Args:
            lonlat: ``(N, 2)`` degrees, the rows of the batch.
            random: Source of random numbers.

        Returns:
            ``(N, 2)`` degrees.
        """
        low, high = self.jitter_km
        if high == 0:
            return lonlat
        sigma = low * (high / low) ** random.uniform(1)[:, 0] if high > low else high
        return geo.jitter(lonlat, sigma, random.uniform(2))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            batch: A batch on the model's device.

        Returns:
            Scalars by name; ``"loss"`` is what is minimised.
        """
        raise TypeError(f"{type(self).__name__} must define forward.")

    def stash(self, **rows: Tensor) -> None:
        """Keep rows of the batch for ``advance``; called in ``forward``, in training alone.

        Args:
            **rows: ``(n, …)`` each, the rows of this process; kept without gradients.
        """
        if self.training:
            self._stash |= {name: value.detach() for name, value in rows.items()}

    def advance(self, rows: Mapping[str, Tensor], step: int) -> None:
        """Move the objective's own state on by one step; most objectives have none.

        Runs after each step of the optimiser, without gradients, on every process alike.

        Args:
            rows: What ``forward`` stashed, ``(N, …)`` each: the rows of the global batch in its
                order, however many processes shared it.
            step: Number of the step that was made, from 0.
        """

    @torch.no_grad()
    def finish_step(self, step: int) -> None:
        """Join over all processes what was stashed, and advance; called by the loop alone.

        Args:
            step: Number of the step that was made, from 0.
        """
        rows = {name: gather_rows(value)[0] for name, value in sorted(self._stash.items())}
        self._stash = {}
        self.advance(rows, step)

    def layers(self) -> dict[str, nn.Parameter]:
        """List the trained weights that are not the model's.

        Returns:
            Name to weight.
        """
        own = ((n, p) for n, p in self.named_parameters() if not n.startswith(MODEL))
        return {name: weight for name, weight in own if weight.requires_grad}

    def named_weights(self) -> list[tuple[str, nn.Parameter]]:
        """List all weights, the model's before those of the objective itself.

        Checkpoints of earlier versions tell weights by their number in this order.

        Returns:
            Names and weights.
        """
        return sorted(self.named_parameters(), key=lambda item: not item[0].startswith(MODEL))

    def own_state(self) -> dict[str, Tensor]:
        """Give the persistent state without that of the model, by whatever name it is held.

        Returns:
            Name to tensor.
        """
        model = {id(value) for value in self.model.state_dict(keep_vars=True).values()}
        state = self.state_dict(keep_vars=True)
        return {name: value.detach() for name, value in state.items() if id(value) not in model}

    def load_own_state(self, state: Mapping[str, Tensor]) -> None:
        """Take back what ``own_state`` gave.

        Args:
            state: Name to tensor.

        Raises:
            RuntimeError: If names or shapes differ from those of this objective.
        """
        if set(state) != set(self.own_state()):
            raise RuntimeError(f"the state {sorted(state)} is not {sorted(self.own_state())}")
        self.load_state_dict({**self.state_dict(), **state})

    def measure(self, batch: Batch, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Compute the losses with other weights, in evaluation mode.

        Args:
            batch: A batch on the model's device.
            weights: What ``measured_weights`` gave.

        Returns:
            As ``forward``.
        """
        losses: dict[str, Tensor] = functional_call(self, dict(weights), (batch,))
        return losses

    def counted(self, batch: Batch) -> int:
        """Count what the losses of a batch are means over: known labels or pixels, or records.

        Args:
            batch: A batch as ``draw`` gave it.

        Returns:
            The number.
        """
        if "labels" not in self.learns_from:
            return len(batch["lonlat"])
        known = batch["mask"] if self.masks else batch.get("labels", batch["label"])
        return int((known >= 0).sum())

    def measured_weights(
        self, model: DualEncoder, layers: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Put together what ``measure`` computes with: it changes nothing of the objective.

        Args:
            model: The model to measure, such as an average of the one that trains.
            layers: Values of ``layers`` to measure with; those left out are as they train.

        Returns:
            Weights and buffers by their names here. Buffers of the objective are copies, so that
            even one whose ``forward`` writes to them keeps what it had.
        """
        held = {n: b.clone() for n, b in self.named_buffers() if not n.startswith(MODEL)}
        parts = (*model.named_parameters(), *model.named_buffers())
        return {**held, **layers, **{f"{MODEL}{name}": value for name, value in parts}}
