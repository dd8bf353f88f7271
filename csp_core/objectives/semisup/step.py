"""One step of semi-supervised learning: labelled and unlabelled images, and a network that labels.

Every method is this step with another policy. What labels is the network itself, a second network,
or one that is given place and date as well; only the model, which sees images alone, is kept.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from csp_core.augment import augmentation as find_augmentation
from csp_core.data.batch import Batch
from csp_core.data.records import RecordDataset
from csp_core.data.streams import Stream, TwoStreams, Unlabelled
from csp_core.errors import ConfigError
from csp_core.losses.consistency import draw_towards
from csp_core.model import DualEncoder, Heads, Prior
from csp_core.objectives.base import Objective
from csp_core.objectives.draws import BatchRandom
from csp_core.objectives.gather import gather_rows
from csp_core.objectives.rows import change_images, join_times, times
from csp_core.objectives.semisup.policy import Policy
from csp_core.objectives.semisup.seen import Seen, network_loss, plain_loss
from csp_core.objectives.semisup.start import check_records, make_policy, report_far
from csp_core.objectives.semisup.teacher import Labeller, classify, white_logits

Teacher = Literal["none", "images", "metadata"]
Distil = Literal["none", "mse", "mae", "cosine"]
TEACHERS, DISTIL = ("none", "images", "metadata"), ("none", "mse", "mae", "cosine")
SEVERAL = "probability"
# How fast the share of pseudo-labels that count, which is told, follows that of a step.
TOLD = 0.99
Ask = Callable[..., tuple[Tensor, Tensor | None]]


class SemiSupervised(Objective):
    """Learn from few labelled images and many without a label.

    A network labels weakly changed unlabelled images; where its policy trusts these labels, they
    are learned for strongly changed views. With ``teacher="none"`` it is the model itself, as in
    the methods' own publications. Else a second network labels, which learns beside the model and
    is dropped in the end; with ``metadata`` it is given place and date of each image too, and the
    model learns from its labels what images alone would not have told it. No gradient goes from
    the model to its teacher.

    Args:
        model: The model to train: an image encoder of pixels and a classifier of images.
        teacher: What labels: ``none``, the model itself; ``images``, a second network of images;
            ``metadata``, a second network that knows places and dates.
        metadata: How it is given them: ``reference``, the published four numbers; a location
            encoder, as in ``model.location``; or ``{init_from: MODEL}``, that of a trained model.
        metadata_trained: Whether a location encoder of the teacher learns.
        distil: How the model's further token is drawn to what the teacher's has become of place and
            date: ``mse``, ``mae``, ``cosine`` or ``none``. It needs vision transformers.
        distil_weight: Weight of that part, at least 0.
        ratio: Unlabelled images of a step for each labelled one, at least 1.
        unlabelled: ``all`` images, labelled ones without their label among them, or the ``rest``.
        unlabelled_weight: Weight of the part of unlabelled images, at least 0; None for that of the
            method.
        weak: Changes before an image is labelled, a name in ``AUGMENTATIONS``.
        strong: Changes before it is learned.
        thresholds: Options of the method's policy, such as ``{threshold: 0.95}``.
        follow: Weight of the past in the average of the labelling network, for a method that labels
            by one, in (0, 1).

    Raises:
        ConfigError: If the model has no images or classes, or an option is out of range.

    Source:
        Sohn et al. 2020, FixMatch; Bernhard et al. 2024, with metadata for the teacher alone.
    """

    learns_from = ("labels", "images", "places")
    trains = ("image",)
    augments = True
    prior_kind: ClassVar[str | None] = None
    label_sets: ClassVar[bool | None] = None
    policy_class: ClassVar[type[Policy]]
    kept: Tensor

    def __init__(
        self,
        model: DualEncoder,
        *,
        teacher: Teacher = "none",
        metadata: Any = "reference",
        metadata_trained: bool = True,
        distil: Distil = "none",
        distil_weight: float = 1.0,
        ratio: int = 1,
        unlabelled: Unlabelled = "all",
        unlabelled_weight: float | None = None,
        weak: str = "weak_reflect",
        strong: str = "rand_augment",
        thresholds: Mapping[str, Any] | None = None,
        follow: float = 0.999,
    ) -> None:
        super().__init__(model)
        several = model.prior_kind == SEVERAL
        name, kind = type(self).__name__, self.policy_class
        self.policy = make_policy(name, kind, model, several, thresholds)
        self._check(teacher, distil, distil_weight, ratio, follow)
        for name in (weak, strong):
            find_augmentation(name)
        self.weak, self.strong, self.ratio, self.unlabelled = weak, strong, ratio, unlabelled
        usual = self.policy.unlabelled_weight if unlabelled_weight is None else unlabelled_weight
        if not usual >= 0:
            raise ConfigError(f"unlabelled_weight is {usual}; give at least 0.")
        self.unlabelled_weight, self.follow = float(usual), follow
        self.distil, self.distil_weight = distil, distil_weight
        given = metadata if teacher == "metadata" else None
        self.teacher = (
            None if teacher == "none" else Labeller(model, given, trained=metadata_trained)
        )
        # Where statistics are those of a network, the model's are not its teacher's.
        apart = self.policy.apart and self.teacher is not None
        self.own_policy = copy.deepcopy(self.policy) if apart else None
        self.follower: nn.Module | None = None
        if self.policy.averaged:
            labeller = Labeller(model) if self.teacher is None else self.teacher
            self.follower = copy.deepcopy(labeller).requires_grad_(False)
            if self.teacher is None:
                self._follow(0.0)
        self.register_buffer("kept", torch.zeros(()))
        self.sides: tuple[int, ...] = (32, 32)

    def _check(self, teacher: str, distil: str, weight: float, ratio: int, follow: float) -> None:
        if teacher not in TEACHERS or distil not in DISTIL:
            raise ConfigError(
                f"teacher is {teacher!r} and distil {distil!r}; give one of {', '.join(TEACHERS)}"
                f" and one of {', '.join(DISTIL)}."
            )
        if distil != "none" and teacher != "metadata":
            raise ConfigError(
                f"distil is {distil!r}, which draws the model to what a teacher knows of place and"
                f" date, and teacher is {teacher!r}: give teacher: metadata, or distil: none."
            )
        if ratio < 1 or not weight >= 0 or not 0 < follow < 1:
            raise ConfigError(
                f"ratio is {ratio}, distil_weight {weight} and follow {follow}; give 1 or more, 0"
                " or more, and a number in (0, 1)."
            )

    @classmethod
    def heads(cls, options: Mapping[str, Any]) -> Heads:
        """Ask for a classifier of images, and for a further token where one is distilled into."""
        token = options.get("distil", "none") != "none"
        return Heads(image=None, classifiers=("image",), token=token)

    def fit(self, dataset: RecordDataset, teacher: Prior | None = None) -> None:
        """Check the records, and tell the policy how frequent the classes are.

        Args:
            dataset: The training records.
            teacher: None: this objective learns from none.

        Raises:
            ConfigError: If the records have no images, no labels of the model's kind, or a class
                has no label at all.
        """
        super().fit(dataset, teacher)
        several = self.model.prior_kind == SEVERAL
        knows = self.teacher is not None and self.teacher.metadata is not None
        frequency = check_records(dataset, several=several, knows=knows)
        for policy in self._policies():
            policy.take_frequency(frequency)
        self.sides = tuple(dataset[0]["image"].shape[1:])
        report_far(self.model.image, dataset)

    def stream(self, dataset: RecordDataset, batch_size: int) -> Stream:
        """Give labelled and unlabelled records in each step, as ``TwoStreams`` does."""
        return TwoStreams(dataset, batch_size, self.ratio, self.unlabelled)

    def plan_steps(self, total: int) -> None:
        """Tell the policies how many steps there are."""
        for policy in self._policies():
            policy.steps = total

    def _policies(self) -> list[Policy]:
        return [one for one in (self.policy, self.own_policy) if one is not None]

    def resting(self) -> list[nn.Module]:
        """List what the model may have beside its image encoder and the classifier of images."""
        model = self.model
        parts = (model.image_head, model.location, model.location_head, model.text)
        return [p for p in (*parts, model.classifier, self.follower) if p is not None]

    def draw(self, batch: Batch, random: BatchRandom) -> Batch:
        """Make weak views of all images and strong ones of the unlabelled, in training.

        Args:
            batch: Labelled records with ``unlabelled`` beside them, on the CPU.
            random: Its source of random numbers.

        Returns:
            The batch.
        """
        if not self.training:
            return batch
        other, beside = batch["unlabelled"], random.times(self.ratio)
        own: Batch = {**batch, "image": change_images(batch["image"], self.weak, random)}
        if self.policy.labelled_strong:
            own["strong"] = change_images(batch["image"], self.strong, random)
        if not self.policy.unlabelled:
            return own
        changed: Batch = {**other, "image": change_images(other["image"], self.weak, beside)}
        if self.policy.strong:
            changed["strong"] = change_images(other["image"], self.strong, beside)
        return {**own, "unlabelled": changed}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the loss of the model and, where there is one, that of its teacher.

        Args:
            batch: ``image`` and ``label`` or ``labels``; in training, as ``draw`` gives it, with
                ``lonlat``, ``date`` and ``hour``.

        Returns:
            ``{"loss"}``, nats; in training also parts, ``"labelled"``, ``"unlabelled"``, …
        """
        target = batch["labels"] if self.policy.several else batch["label"]
        if not self.training:
            logits = self.model.image_logits(batch["image"])
            return {"loss": plain_loss(logits, target, several=self.policy.several)}
        target, judged = gather_rows(target)[0], None
        state: dict[str, Tensor] = {}
        if self.policy.unlabelled:
            own = self._label(batch["unlabelled"])
            weak = gather_rows(own)[0]
            state = self.policy.after(weak)
            if self.policy.ready():
                judged = self.policy.judge(weak, state, white=self._white())
            counted = weak.new_zeros(()) if judged is None else judged.weight.mean()
            self.stash(weak=own, counted=counted.expand(len(own)))
        seen = self._see(batch, self._ask)
        if self.teacher is None:
            total, parts = self._loss(self.policy, seen, seen, target, judged, state)
            return {"loss": total, **parts}
        knows = self._see(batch, self.teacher)
        policy, own_state = self._of_model(batch, state)
        total, parts = self._loss(policy, seen, knows, target, judged, own_state)
        total = total + self._loss(self.policy, knows, knows, target, judged, state)[0]
        if self.distil != "none" and seen.token is not None and knows.token is not None:
            parts["distilled"] = draw_towards(seen.token, knows.token, how=self.distil)
            total = total + self.distil_weight * parts["distilled"]
        return {"loss": total, **parts}

    def _loss(self, policy: Policy, *given: Any) -> tuple[Tensor, dict[str, Tensor]]:
        return network_loss(policy, *given, weight=self.unlabelled_weight)

    def _of_model(self, batch: Batch, state: dict[str, Tensor]) -> tuple[Policy, dict[str, Tensor]]:
        """Give the policy and statistics of the model, which may be those of its teacher."""
        if self.own_policy is None:
            return self.policy, state
        with torch.no_grad():
            own = self._ask(batch["unlabelled"]["image"])[0]
        self.stash(model_weak=own)
        return self.own_policy, self.own_policy.after(gather_rows(own)[0])

    def _ask(self, pixels: Tensor, *place: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Ask the model, which looks at no place."""
        return classify(self.model.image, self.model.image_classifier, pixels)

    @torch.no_grad()
    def _label(self, other: Batch) -> Tensor:
        """Give the logits by which the unlabelled rows of this process are labelled."""
        who = self.follower or self.teacher or self._ask
        found: tuple[Tensor, Tensor | None] = who(other["image"], other["lonlat"], *times(other))
        return found[0]

    @torch.no_grad()
    def _white(self) -> Tensor | None:
        if not self.policy.white:
            return None
        teacher, model = self.teacher, self.model
        if teacher is None:
            return white_logits(model.image, model.image_classifier, self.sides)
        return white_logits(teacher.image, teacher.classifier, self.sides)

    def _see(self, batch: Batch, ask: Ask) -> Seen:
        """Ask about the labelled rows, and the views of the unlabelled that are learned on."""
        parts = [(batch["image"], batch)]
        if self.policy.labelled_strong:
            parts.append((batch["strong"], batch))
        if self.policy.unlabelled:
            other = batch["unlabelled"]
            parts.append((other.get("strong", other["image"]), other))
        columns = zip(*((rows["lonlat"], *times(rows)) for _, rows in parts), strict=True)
        pixels = torch.cat([view for view, _ in parts])
        logits, token = ask(pixels, *(join_times(*column) for column in columns))
        sizes = [len(view) for view, _ in parts]
        views = [gather_rows(part)[0] for part in torch.split(logits, sizes)]
        strong = views[1] if self.policy.labelled_strong else None
        return Seen(views[0], strong, views[-1] if self.policy.unlabelled else None, token)

    def advance(self, rows: Mapping[str, Tensor], step: int) -> None:
        """Move the policy's statistics, and the average of the network that labels."""
        for policy, name in ((self.policy, "weak"), (self.own_policy, "model_weak")):
            if policy is not None:
                policy.commit(policy.after(rows[name]) if name in rows else {})
        if "counted" in rows:
            counted = rows["counted"].mean().to(self.kept.dtype)
            self.kept.lerp_(counted, 1 - TOLD if step else 1.0)
        if self.follower is not None:
            self._follow(self.follow)

    def _follow(self, past: float) -> None:
        """Move the average of the network that labels by one step."""
        if self.teacher is None:
            parts = {"image": self.model.image, "classifier": self.model.image_classifier}
        else:
            parts = dict(self.teacher.named_children())
        assert self.follower is not None
        now = {
            f"{name}.{key}": value
            for name, part in parts.items()
            for key, value in part.state_dict().items()  # type: ignore[union-attr]
        }
        for name, held in self.follower.state_dict().items():
            if held.is_floating_point():
                held.lerp_(now[name], 1 - past)
            else:
                held.copy_(now[name])

    def told(self) -> dict[str, float]:
        """Tell the share of pseudo-labels that count, averaged over about 100 steps."""
        return {"kept": float(self.kept)} if self.policy.unlabelled else {}

    def settled(self, model: DualEncoder) -> DualEncoder:
        """Give the model as it answers: without its own bias where the method takes that away.

        Args:
            model: The model that trains, or an average of it.

        Returns:
            It, or a copy with what it says of a white image taken from its classifier.
        """
        if not self.policy.white:
            return model
        found = copy.deepcopy(model).eval()
        with torch.no_grad():
            head = found.image_classifier
            assert isinstance(head, nn.Linear)
            head.bias.sub_(white_logits(found.image, head, self.sides)[0])
        return found
