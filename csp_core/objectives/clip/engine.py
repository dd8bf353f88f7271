"""The engine of the CLIP family: one objective, whose parts and weights are a row of a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from csp_core.data.batch import Batch
from csp_core.data.records import RecordDataset
from csp_core.data.streams import OneStream, Stream
from csp_core.location.base import is_reference
from csp_core.model import DualEncoder, Heads, Prior
from csp_core.objectives.background import make_sampler
from csp_core.objectives.clip import checks
from csp_core.objectives.clip.compare import Comparing
from csp_core.objectives.clip.heads import count_scales, make_guesses, make_image_head
from csp_core.objectives.clip.queue import Neighbours, capped_size
from csp_core.objectives.clip.spec import (
    LAID_OVER,
    TOKENS,
    WHOLE,
    ImageLoss,
    Loss,
    Preset,
    make_spec,
)
from csp_core.objectives.clip.views import Captions, draw_images, draw_places, hide_places
from csp_core.objectives.draws import BatchRandom


class ClipFamily(Comparing):
    """Compare images with places, with captions, or all three, by up to five supervisions.

    The loss is a weighted sum of parts, and one of weight 0 is not computed: ``clip`` finds each
    one's partner in the batch by whole embeddings, mean over all pairs of views; ``image`` compares
    two views of each image; ``masked`` guesses what is hidden of places and captions; ``neighbour``
    finds, in place of the partner, the nearest to it in earlier batches; ``fine`` compares token
    by token; ``random`` tells a place from places drawn at random, as CSP does. Heads and queues
    are the objective's own and dropped with it. In evaluation, each side has one view, unchanged,
    and images and hidden parts have views of their own.

    Args:
        model: The model to train, with an image encoder and one of places, of captions, or both.
        weights: Part to weight; those left out are the preset's.
        pair_weights: Weights of ``image_place``, ``image_text`` and ``place_text``, 1 each.
        views: Options of ``SecondViews``.
        random: Options of ``RandomPlaces``.
        loss: ``softmax`` over the batch, or ``sigmoid``, each pair by itself with a learned bias;
            None for the preset's.
        image_loss: ``nt_xent`` or ``simsiam``; None for the preset's.
        temperature: Divisor of the cosines, or where it begins; None for the preset's.
        token_temperature: The same of those of tokens.
        learn_temperature: Whether these are learned, held in [0.01, 1].
        token_dim: Size of the space in which tokens are compared.
        best_tokens: How many tokens of each are compared with all of the other sides; None for all.
        queue_size: Earlier places or captions that are held, at most a quarter of those there are.
        neighbour_km: Places closer than this are no neighbours; 0 for the same place alone.
        hidden_share: Share of scales or tokens that is to be guessed.
        masked_view: Whether the first view, which is compared with the other sides, is the one of
            which something is hidden, as released; else there is a further view for it.
        augmentation: Changes to images in training, a name in ``AUGMENTATIONS``, None, or
            ``preset`` for the preset's.
        mask_km: Records closer than this, in kilometres, are no negatives of each other; the
            default is the same place. At 0 the loss is exactly CLIP's.
        mask_days: Of those, only records whose days of the year differ by less; None for all.
        head_dim: Size of image views' projections; None for 1,024, or 256 of ``nt_xent``.
        head_hidden: Size of the layers before; None for 1,024, or 4,096 of ``nt_xent``.
        jitter_km: Scatter of first views of places in training; see ``Objective``.
        compat: ``"reference"`` for what was released: the temperature's own ends, and one and the
            same caption or neighbour counting as wrong.

    Raises:
        ConfigError: If the model lacks what the parts need, or an option is out of range.

    Source:
        Cui et al. 2022, Democratizing Contrastive Language-Image Pre-training; Radford et al. 2021;
        Mu et al. 2022; Yao et al. 2022; Li et al. 2022; Zhai et al. 2023.
    """

    learns_from = ("images", "places", "text")
    trains = ("image", "location", "text")
    compares = True
    example_options: ClassVar[Mapping[str, Any]] = {
        "head_dim": 16, "head_hidden": 16, "token_dim": 8, "augmentation": "weak",
        "views": {"strong": "weak"},
    }  # fmt: skip
    preset: ClassVar[Preset]
    captions: Captions | None = None

    def __init__(
        self,
        model: DualEncoder,
        *,
        weights: Mapping[str, float] | None = None,
        pair_weights: Mapping[str, float] | None = None,
        views: Mapping[str, Any] | None = None,
        random: Mapping[str, Any] | None = None,
        loss: Loss | None = None,
        image_loss: ImageLoss | None = None,
        temperature: float | None = None,
        token_temperature: float = 0.07,
        learn_temperature: bool = True,
        token_dim: int = 256,
        best_tokens: int | None = 16,
        queue_size: int = 65536,
        neighbour_km: float = 0.0,
        hidden_share: float = 0.15,
        masked_view: bool = True,
        augmentation: str | None = "preset",
        mask_km: float = 0.001,
        mask_days: float | None = None,
        head_dim: int | None = None,
        head_hidden: int | None = None,
        jitter_km: float | tuple[float, float] = 0.0,
        compat: Literal["reference"] | None = None,
    ) -> None:
        super().__init__(model, jitter_km=jitter_km)
        is_reference(compat)
        checks.check_numbers(mask_km, mask_days, neighbour_km, queue_size)
        self.spec = spec = make_spec(
            self.preset, weights=weights, pair_weights=pair_weights, views=views, random=random,
            loss=loss, image_loss=image_loss, temperature=temperature, compat=compat,
            token_temperature=token_temperature, augmentation=augmentation)  # fmt: skip
        self.augmentation = spec.augmentation
        own, asked = checks.own_sides(model), pair_weights or {}
        self.pairs = checks.find_pairs(type(self).__name__, own, spec, asked)
        self.sides = sorted({side for pair in self.pairs.values() for side in pair})
        self.scales = count_scales(model)
        self.learn_temperature, self.best_tokens = learn_temperature, best_tokens
        self.queue_size, self.neighbour_km = queue_size, neighbour_km
        self.hidden_share, self.masked_view = hidden_share, masked_view
        self.mask_km, self.mask_days = mask_km, mask_days
        checks.check_parts(
            type(self).__name__, model, spec, self.sides, self.scales, best_tokens, hidden_share
        )
        self.image_head = make_image_head(model, spec, head_dim, head_hidden)
        self.guesses = make_guesses(model, spec, self.sides, self.scales)
        self.queues = nn.ModuleDict()
        self.sampler = make_sampler(spec.random.places, published=False)

    @classmethod
    def check_settings(
        cls, sides: Collection[str], options: Mapping[str, Any], *, tokens: bool
    ) -> None:
        """Check what a configuration alone tells, before anything is loaded.

        Args:
            sides: The sides that the model is to have, of ``image``, ``location`` and ``text``.
            options: All options, defaults written out.
            tokens: Whether its places are to be made of tokens.

        Raises:
            ConfigError: If the sides lack what is to be compared, or an option is out of range.
        """
        spec = make_spec(cls.preset, **{name: options[name] for name in LAID_OVER})
        asked = options["pair_weights"] or {}
        pairs = checks.find_pairs(cls.__name__, sides, spec, asked)
        compared = {side for pair in pairs.values() for side in pair}
        # How many scales an encoding has, it tells once it is made.
        checks.check_masked(cls.__name__, spec, compared, 2 if tokens else 0)

    @classmethod
    def heads(cls, options: Mapping[str, Any]) -> Heads:
        """Ask for a projection of images, temperatures, and where needed tokens and a bias."""
        spec = make_spec(cls.preset, **{name: options[name] for name in LAID_OVER})
        # Beside tokens none is projected without a part that compares whole embeddings: that is how
        # it is told of a model that it compares by tokens alone.
        parts = ("clip", "image", "neighbour", "random")
        whole = not spec.has("fine") or any(spec.has(part) for part in parts)
        return Heads(
            image="linear" if whole else None,
            classifiers=(),
            temperatures=spec.temperatures if options["learn_temperature"] else None,
            tokens=options["token_dim"] if spec.has("fine") else 0,
            bias=spec.loss == "sigmoid" and spec.has("clip"),
        )

    @property
    def changes_images(self) -> bool:
        """Whether images are changed in training, so that no features can be computed once."""
        return self.augmentation is not None or self.spec.has("image")

    def resting(self) -> list[nn.Module]:
        """List what no part looks at: sides without a pair, layers of tokens that none compares."""
        model, found = self.model, super().resting()
        unused = [getattr(model, s) for s in ("location", "text") if s not in self.sides]
        unused += [] if self.spec.has("fine") else [model.token_heads]
        return [*found, *(part for part in unused if part is not None)]

    def fit(self, dataset: RecordDataset, teacher: Prior | None = None) -> None:
        """Check the records; size the queues by them; cut the captions into tokens.

        Args:
            dataset: The training records.
            teacher: None: this objective learns from none.

        Raises:
            ConfigError: If there are no images or captions, or all places or captions are one.
        """
        super().fit(dataset, teacher)
        rows = checks.check_records(type(self).__name__, dataset, self.sides, self.spec)
        self.sampler.fit(dataset)
        if "text" in self.sides and dataset.captions is not None:
            self.captions = Captions(self.model.text, dataset.captions)
        if not self.spec.has("neighbour"):
            return
        for side in sorted({second for _, second in self.pairs.values()}):
            values = dataset.lonlat if side == "location" else dataset.caption
            distinct = checks.count_distinct(values[rows])
            size = capped_size(self.queue_size, distinct, checks.WORDS[side])
            apart = self.neighbour_km if side == "location" else 0.0
            self.queues[side] = Neighbours(size, self.model.dim, apart_km=apart)

    def stream(self, dataset: RecordDataset, batch_size: int) -> Stream:
        """Give all records that have what is compared once an epoch.

        Args:
            dataset: The training records.
            batch_size: Records of a step.

        Returns:
            Their batches.

        Raises:
            ConfigError: If a batch holds one record.
        """
        there = checks.complete_rows(dataset.lonlat, dataset.caption, self.sides)
        rows = None if there.all() else there.nonzero()[:, 0]
        stream = OneStream(dataset, batch_size, rows)
        checks.check_batch(type(self).__name__, stream.batch_size, self.spec)
        return stream

    def told(self) -> dict[str, float]:
        """Tell what cosines are multiplied by, and how much the queues hold."""
        told = {"scale": WHOLE, **({"scale_tokens": TOKENS} if self.spec.has("fine") else {})}
        scales = {name: float(torch.as_tensor(self.scale(k)).detach()) for name, k in told.items()}
        held = {f"queue_{checks.WORDS[k]}": float(q.held) for k, q in self.neighbours().items()}
        return {**scales, **held}

    def draw(self, batch: Batch, random: BatchRandom) -> Batch:
        """Make the views of all sides, and choose what is hidden of them.

        Args:
            batch: A batch on the CPU.
            random: Its source of random numbers.

        Returns:
            The batch, with what ``Batch`` says of the CLIP family; in evaluation without records
            that lack what is compared.
        """
        if not self.training:
            there = checks.complete_rows(batch["lonlat"], batch.get("caption"), self.sides)
            batch = {key: value[there] for key, value in batch.items()}  # type: ignore[index,assignment]
            number = len(batch["lonlat"])
            random = BatchRandom(random.generator, 0, number, number)
        spec, exact = self.spec, batch["lonlat"]
        share = self.hidden_share if spec.has("masked") else 0.0
        second = self.training and spec.number == 2
        found: Batch = {**super().draw(batch, random), "exact": exact}
        if "date" in batch and self.mask_days is not None:
            found["exact_date"] = batch["date"]
        found = draw_images(found, spec, random, training=self.training)
        if "location" in self.sides:
            if second:
                made = draw_places(batch, exact, spec.views, random, scales=self.scales)
                found = {**found, **made}
            if share and "location" in self.guesses:
                found = {**found, **hide_places(random, share, self.scales)}
            if number := spec.random.number * spec.has("random") + spec.random.columns:
                drawn = random.rows(lambda g, n: self.sampler.draw(g, n * number).view(n, -1, 2))
                found["random_lonlat"] = drawn
        if self.captions is not None:
            told = self.captions.draw(batch["caption"], random, second=second, share=share)
            found = {**found, **told}
        return found
