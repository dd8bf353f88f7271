"""The dual encoder: an image side, a location side and a classifier over places."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from csp_core.data.records import ClassTable
from csp_core.errors import ConfigError
from csp_core.image.pixels import add_token
from csp_core.image.stats import ImageStats
from csp_core.model.borrowed import Borrowed
from csp_core.model.calibration import IMAGE, PLACE, Calibration
from csp_core.model.classifier import LowRank, make_classifier
from csp_core.model.grouped import REST, Grouped
from csp_core.model.heads import PRIOR_KINDS, Heads
from csp_core.model.parts import evaluating, out_dim, projection, see
from csp_core.model.pixels import PixelAnswers
from csp_core.model.prior import Prior
from csp_core.model.support import Support
from csp_core.model.towers import Towers

# Where the bias of SigLIP's similarities starts, with most pairs not belonging together.
FIRST_BIAS = -10.0


class DualEncoder(PixelAnswers, Towers):
    """An image, a location and a text encoder that can be compared, and classes given places.

    The embeddings of locations and texts are compared as they are; that of the image goes through
    a projection head. Any side may be absent. Which heads there are stands in ``heads``.

    Args:
        image: Module ``(N, C, H, W)`` → ``(N, image.out_dim)``, or None.
        location: Module ``(N, 2)`` degrees → ``(N, dim)``, or None. One that says ``uses_date`` or
            ``uses_hour`` is given dates and hours too.
        text: A ``TextEncoder`` of this ``dim``, or None.
        dim: Size of the shared space.
        classes: The classes of the location classifier, or None for pre-training alone.
        bias: Whether the classifier has a bias, which can hold the class frequency.
        prior_kind: ``"share"`` (softmax over classes), ``"relative"`` (independent sigmoids that
            rank) or ``"probability"`` (those of label sets, whose absences were labelled too).
        name: What to call the model.
        heads: Which heads it has. If None, one projection head on the image side and the location
            classifier, until an objective takes the model and asks for others.

    Raises:
        ConfigError: If the sizes, the kind or the heads do not fit.

    Source:
        Mai et al. 2023, CSP, section 3.
    """

    log_scale: nn.Parameter | None
    logit_bias: nn.Parameter | None

    def __init__(
        self,
        image: nn.Module | None,
        location: nn.Module | None,
        *,
        text: nn.Module | None = None,
        dim: int = 256,
        classes: ClassTable | Sequence[str] | None = None,
        bias: bool = True,
        prior_kind: str = "share",
        name: str = "model",
        heads: Heads | None = None,
    ) -> None:
        super().__init__()
        if prior_kind not in PRIOR_KINDS:
            raise ConfigError(f"prior_kind is {prior_kind!r}; give one of {PRIOR_KINDS}.")
        for side, encoder in (("location", location), ("text", text)):
            if encoder is not None and getattr(encoder, "out_dim", dim) != dim:
                raise ConfigError(
                    f"The {side} encoder gives {encoder.out_dim} dimensions, the model wants {dim}."
                )
        self.image, self.location, self.text, self.dim = image, location, text, dim
        # What a model of these sides usually has is made first, and first in order, also where
        # ``heads`` asks for something else: so a seed gives the weights that it always gave.
        self.image_head: nn.Module | None = (
            None if image is None else nn.Linear(out_dim(image), dim)
        )
        self.location_head: nn.Linear | None = None
        self.register_parameter("log_scale", None)
        self.register_parameter("logit_bias", None)
        self.token_heads: nn.ModuleDict | None = None
        table = classes if isinstance(classes, ClassTable) else ClassTable(tuple(classes or ()))
        self.classes = table
        self.bias = bias
        self.classifier = self._make_classifier()
        self.prior_kind, self.name = prior_kind, name
        self.image_classifier: nn.Linear | Grouped | None = None
        self.pixel_classifier = None
        self.calibration = Calibration()
        self.image_stats: ImageStats | None = None
        self.support: Support | None = None
        self.borrowed: Borrowed | None = None
        self.heads, self._chosen = Heads(), False
        if heads is not None:
            self.equip(heads)

    def equip(self, heads: Heads, *, prior_kind: str | None = None) -> None:
        """Give the model the heads that are asked for.

        A model whose heads nobody has chosen gets these and no others. One that was made with
        heads, loaded, or equipped before keeps its own beside them: something was learned there.

        Args:
            heads: Which heads. A projection head needs its encoders, and is left out without.
            prior_kind: What the model's answers are, if that is to change.

        Raises:
            ConfigError: If a classifier of images or pixels is asked for and there are no images or
                classes.
        """
        heads = self.heads.beside(heads) if self._chosen else heads
        size = None if self.image is None else out_dim(self.image)
        if heads.image != self.heads.image and size is not None:
            self.image_head = projection(heads.image, size, self.dim)
        if heads.location != self.heads.location and size is not None and self.location is not None:
            self.location_head = nn.Linear(self.dim, size) if heads.location else None
        if heads.token:
            add_token(self.image)
        if "image" in heads.classifiers and self.image_classifier is None:
            self.image_classifier = self._make_image_classifier(size, heads.fine)
        if "location" in heads.classifiers and (
            self.classifier is None or heads.rank != self.heads.rank
        ):
            self.classifier = self._make_classifier(heads.rank)
        for side, name in (("image", "image_classifier"), ("location", "classifier")):
            if side not in heads.classifiers:
                setattr(self, name, None)
        if heads.pixels and self.pixel_classifier is None:
            self.pixel_classifier = self.make_pixel_classifier()
        if heads.temperatures != self.heads.temperatures:
            scale = -torch.tensor(heads.temperatures or (), dtype=torch.float32).log()
            if self.log_scale is not None:  # these were learned, and stay as they are
                scale[: len(self.log_scale)] = self.log_scale.detach()
            self.log_scale = nn.Parameter(scale) if heads.temperatures else None
        if heads.tokens and self.token_heads is None:
            self.token_heads = self.make_token_heads(heads.tokens)
        if heads.bias and self.logit_bias is None:
            self.logit_bias = nn.Parameter(torch.tensor(FIRST_BIAS))
        self.heads, self._chosen = heads, True
        self.prior_kind = prior_kind or self.prior_kind

    def _make_classifier(self, rank: int = 0) -> nn.Linear | LowRank | None:
        if self.location is None or not len(self.classes):
            return None
        return make_classifier(self.dim, len(self.classes), bias=self.bias, rank=rank)

    def _make_image_classifier(self, size: int | None, fine: int = 0) -> nn.Linear | Grouped:
        if size is None or not len(self.classes):
            raise ConfigError(
                f"Model {self.name!r} has no {'image encoder' if size is None else 'classes'}: an"
                " image classifier needs model.image and labelled records."
            )
        return (
            Grouped(size, fine, len(self.classes)) if fine else nn.Linear(size, len(self.classes))
        )

    @property
    def places(self) -> Prior | None:
        """Who says what a place adds to a picture: the model itself, one it borrows from, none."""
        if self.classifier is not None:
            return self
        return None if self.borrowed is None else self.borrowed.prior

    @property
    def rest(self) -> int | None:
        """Label of the class that stands for all that the model does not name; None without."""
        return self.classes.names.index(REST) if REST in self.classes.names else None

    def picture_classifiers(self) -> tuple[nn.Module | None, ...]:
        """List the classifiers behind the image encoder, None for one that is not there."""
        return self.image_classifier, self.pixel_classifier

    def class_logits(
        self, lonlat: Tensor, date: Tensor | None = None, hour: Tensor | None = None
    ) -> Tensor:
        """Score every class at places, at a time where the model knows time.

        Args:
            lonlat: ``(N, 2)`` degrees.
            date: ``(N,)`` parts of the year in [0, 1), NaN where unknown; None for all unknown.
            hour: ``(N,)`` parts of the day in [0, 1), likewise.

        Returns:
            ``(N, K)`` logits before calibration.

        Raises:
            ConfigError: If the model has no location encoder or no classes.
        """
        if self.location is None or self.classifier is None:
            if self.pixel_classifier is not None:
                raise ConfigError(
                    f"Model {self.name!r} tells the class of each pixel of a picture and knows"
                    " nothing of places: `csp segment` draws its map of one."
                )
            if self.image_classifier is not None:
                raise ConfigError(
                    f"Model {self.name!r} has no location classifier: it ranks its classes by a"
                    " picture alone, so ask it about one, or take a model that knows places."
                )
            raise ConfigError(
                f"Model {self.name!r} has no location classifier, so it ranks no classes: fine-tune"
                " it on labelled records by a run whose model.init_from names it."
            )
        weeks = self.asks_weeks
        if weeks and not (date is not None and not date.isnan().any()):
            return self._highest(lonlat, date, weeks)
        logits: Tensor = self.classifier(self.embed_location(lonlat, date, hour))
        return logits

    def _highest(self, lonlat: Tensor, date: Tensor | None, weeks: int) -> Tensor:
        """Score every class at places; without a date, as in the week in which it scores most."""
        unknown = lonlat.new_full((len(lonlat),), torch.nan) if date is None else date
        found: Tensor | None = None
        for week in range(weeks):
            middle = torch.full_like(unknown, (week + 0.5) / weeks)
            when = torch.where(unknown.isnan(), middle, unknown)
            logits = self.class_logits(lonlat, when)
            found = logits if found is None else torch.maximum(found, logits)
        assert found is not None  # there are weeks
        return found

    def image_logits(self, image: Tensor, *, days: Tensor | None = None) -> Tensor:
        """Score every class on images.

        Args:
            image: ``(N, C, H, W)``, series ``(N, T, C, H, W)``, or ``(N, F)`` precomputed features.
            days: ``(N, T)`` part of the year of each date of series, NaN where there is none.

        Returns:
            ``(N, K)`` logits before calibration.

        Raises:
            ConfigError: If the model has no image classifier.
        """
        if self.image is None or self.image_classifier is None:
            if self.pixel_classifier is not None:
                raise ConfigError(
                    f"Model {self.name!r} tells the class of each pixel, not of a whole picture:"
                    " `csp segment` draws its map of one."
                )
            raise ConfigError(
                f"Model {self.name!r} has no image classifier, so it says nothing of a picture:"
                " train one with the objective image_softmax, or take a model that has one."
            )
        logits: Tensor = self.image_classifier(see(self.image, image, days))
        return logits

    def image_prior(self, image: Tensor, *, days: Tensor | None = None) -> Tensor:
        """Compute the calibrated P(class | image).

        Args:
            image: ``(N, C, H, W)``, series ``(N, T, C, H, W)``, or ``(N, F)`` precomputed features.
            days: ``(N, T)`` part of the year of each date of series, NaN where there is none.

        Returns:
            ``(N, K)`` in [0, 1], on the CPU; rows sum to 1, but for label sets.
        """
        with evaluating(self):
            first = next(self.parameters())
            days = None if days is None else days.to(first.device)
            found = self.image_logits(image.to(first.device), days=days)
            logits = self.divided(found, IMAGE).float()
            sets = self.prior_kind == "probability"
            value = logits.sigmoid() if sets else logits.softmax(dim=1)
        return value.cpu()

    def divided(self, logits: Tensor, answer: str) -> Tensor:
        """Divide logits by what was fitted to them.

        Args:
            logits: ``(N, K)``.
            answer: Whose they are, ``IMAGE`` or ``PLACE``.

        Returns:
            ``(N, K)``.
        """
        divisors = self.calibration.divisors(answer)
        return logits / (divisors if isinstance(divisors, float) else logits.new_tensor(divisors))

    def prior(
        self, lonlat: Tensor, date: Tensor | None = None, hour: Tensor | None = None
    ) -> Tensor:
        """Compute the calibrated prior at checked places.

        Args:
            lonlat: ``(N, 2)`` degrees.
            date: ``(N,)`` parts of the year in [0, 1), NaN where unknown, or None; a model without
                a time input does not use them.
            hour: ``(N,)`` parts of the day in [0, 1), likewise.

        Returns:
            ``(N, K)`` in [0, 1], on the CPU; rows sum to 1 for shares.
        """
        with evaluating(self):
            first = next(self.parameters())
            date, hour = (t if t is None else t.to(first.device) for t in (date, hour))
            places = lonlat.to(first.device, first.dtype)
            logits = self.divided(self.class_logits(places, date, hour), PLACE)
            value = logits.softmax(dim=1) if self.prior_kind == "share" else logits.sigmoid()
        return value.cpu()

    def set_class_frequency(self, frequency: Tensor) -> None:
        """Start the biases where the classifiers answer with the class frequency.

        That is its logarithm for shares, its log-odds for label sets; presence-only scores are left
        alone.

        Args:
            frequency: ``(K,)`` as of ``ClassTable.frequency``.
        """
        sets = self.prior_kind == "probability"
        bias = frequency.logit(eps=1e-6) if sets else frequency.clamp_min(1e-6).log()
        with torch.no_grad():
            held = None if self.classifier is None else self.classifier.bias
            if held is not None and self.prior_kind != "relative":
                held.copy_(bias)
            if isinstance(self.image_classifier, nn.Linear):
                self.image_classifier.bias.copy_(bias)
            if self.pixel_classifier is not None and self.pixel_classifier.bias is not None:
                self.pixel_classifier.bias.copy_(bias)
