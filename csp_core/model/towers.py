"""The towers of a model: what each side makes of its input, as one vector and as tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from csp_core.errors import ConfigError
from csp_core.image import ImageEncoder
from csp_core.image.pixels import PixelEncoder
from csp_core.location import LocationEncoder
from csp_core.model.parts import see
from csp_core.text import TextEncoder

TOWERS = ("image", "location", "text")


@dataclass(frozen=True, eq=False)
class TowerOut:
    """What a tower makes of its input.

    Args:
        embedding: ``(N, dim)`` in the shared space, not normalised.
        tokens: ``(N, M, Dt)``, of the tower's own size, or None where none were asked for.
        mask: ``(N, M)`` bool, True where there is a token; None without tokens.
    """

    embedding: Tensor
    tokens: Tensor | None = None
    mask: Tensor | None = None


class Towers(nn.Module):
    """Base of the dual encoder: its image, location and text side, each of which may be absent."""

    name: str
    image: nn.Module | None
    location: nn.Module | None
    text: nn.Module | None
    image_head: nn.Module | None
    location_head: nn.Linear | None
    token_heads: nn.ModuleDict | None

    @property
    def uses_date(self) -> bool:
        """Whether the location encoder knows the time of the year."""
        return bool(getattr(self.location, "uses_date", False))

    @property
    def uses_hour(self) -> bool:
        """Whether the location encoder knows the time of the day."""
        return bool(getattr(self.location, "uses_hour", False))

    @property
    def asks_weeks(self) -> int:
        """Of how many weeks an answer without a time is the highest; 0 if it is one of its own."""
        return int(getattr(getattr(self.location, "time", None), "asks_weeks", 0))

    @property
    def uses_text(self) -> bool:
        """Whether the model has a text encoder."""
        return self.text is not None

    def embed_location(
        self, lonlat: Tensor, date: Tensor | None = None, hour: Tensor | None = None
    ) -> Tensor:
        """Embed places, at a time where the model knows time.

        Args:
            lonlat: ``(N, 2)`` degrees.
            date: ``(N,)`` parts of the year in [0, 1), NaN where unknown; None for all unknown.
            hour: ``(N,)`` parts of the day in [0, 1), likewise.

        Returns:
            ``(N, dim)``.

        Raises:
            ConfigError: If the model has no location encoder, or answers with the highest of its
                weeks where a time is unknown, which no embedding is.
        """
        if self.location is None:
            raise ConfigError(f"Model {self.name!r} has no location encoder.")
        if self.asks_weeks and (date is None or bool(date.isnan().any())):
            raise ConfigError(
                f"Model {self.name!r} answers with the highest of its {self.asks_weeks} weeks where"
                " no time is given, so it has no embedding without one: give a date."
            )
        # A module of a user's own may take places alone.
        timed = self.uses_date or self.uses_hour
        embedding: Tensor = self.location(lonlat, date, hour) if timed else self.location(lonlat)
        return embedding

    def embed_image(self, image: Tensor, *, days: Tensor | None = None) -> Tensor:
        """Project images into the shared space.

        Args:
            image: ``(N, C, H, W)``, series ``(N, T, C, H, W)``, or ``(N, F)`` precomputed features.
            days: ``(N, T)`` part of the year of each date of series, NaN where there is none.

        Returns:
            ``(N, dim)``, not normalised.

        Raises:
            ConfigError: If the model has no image encoder, or no projection head behind it.
        """
        if self.image is None or self.image_head is None:
            what = "image encoder" if self.image is None else "projection head on its image side"
            raise ConfigError(f"Model {self.name!r} has no {what}.")
        projection: Tensor = self.image_head(see(self.image, image, days))
        return projection

    def embed_text(self, captions: Sequence[str] | Tensor) -> Tensor:
        """Embed captions into the shared space.

        Args:
            captions: Captions, or ``(N, L)`` int64 tokens of them.

        Returns:
            ``(N, dim)``, not normalised.

        Raises:
            ConfigError: If the model has no text encoder, or these are no captions.
        """
        return self.tower("text", captions).embedding

    def predict_features(
        self, lonlat: Tensor, date: Tensor | None = None, hour: Tensor | None = None
    ) -> Tensor:
        """Predict an image's features from its place, and its time where the model knows time.

        Args:
            lonlat: ``(N, 2)`` degrees.
            date: ``(N,)`` parts of the year in [0, 1), NaN where unknown; None for all unknown.
            hour: ``(N,)`` parts of the day in [0, 1), likewise.

        Returns:
            ``(N, image.out_dim)``.

        Raises:
            ConfigError: If the head is not on the location side.
        """
        if self.location is None or self.location_head is None:
            raise ConfigError(f"Model {self.name!r} has no projection head on its location side.")
        prediction: Tensor = self.location_head(self.embed_location(lonlat, date, hour))
        return prediction

    def tower(self, side: str, *inputs: Any, tokens: bool = False, **options: Any) -> TowerOut:
        """Run one side of the model.

        Args:
            side: ``image``, ``location`` or ``text``.
            *inputs: Images and the days of series; ``lonlat``, dates and hours; or captions, as
                texts or tokens.
            tokens: Whether to give tokens, from the same pass: the cells of an image's last map
                before it is pooled; the tokens of a place, or its embedding as a single one where
                the location network has none; the tokens of a caption.
            **options: ``masked`` and ``dropped`` for places, as of ``LocationEncoder.tokens``.

        Returns:
            The embedding, and the tokens in their own size, which ``project_tokens`` brings to the
            common one.

        Raises:
            ConfigError: If the model has no such side, or that gives no tokens.
        """
        towers: dict[str, Callable[..., TowerOut]] = {
            "image": self._see_image,
            "location": self._see_place,
            "text": self._see_text,
        }
        if side not in towers:
            raise ConfigError(f"There is no tower {side!r}; give one of {', '.join(TOWERS)}.")
        return towers[side](*inputs, tokens=tokens, **options)

    def project_tokens(self, side: str, tokens: Tensor) -> Tensor:
        """Bring the tokens of one side to the size in which all are compared.

        Args:
            side: ``image``, ``location`` or ``text``.
            tokens: ``(N, M, Dt)`` as of ``tower``.

        Returns:
            ``(N, M, heads.tokens)``, not normalised.

        Raises:
            ConfigError: If the model has no such layer.
        """
        if self.token_heads is None or side not in self.token_heads:
            raise ConfigError(
                f"Model {self.name!r} compares no tokens of {side!r}: take one trained with"
                " filip or defilip."
            )
        projected: Tensor = self.token_heads[side](tokens)
        return projected

    def _see_image(
        self, image: Tensor, days: Tensor | None = None, *, tokens: bool = False
    ) -> TowerOut:
        if not tokens:
            return TowerOut(self.embed_image(image, days=days))
        encoder = self.image
        known = isinstance(encoder, PixelEncoder) and token_size(encoder) is not None
        if not known or image.ndim != 4:
            raise ConfigError(f"Model {self.name!r} {_no_tokens(encoder)}")
        assert isinstance(encoder, PixelEncoder)
        maps = encoder.maps(image)
        pooled = encoder.embed_features(encoder.pool(maps))
        # Who compares by tokens alone has no head, and compares no whole embeddings.
        embedding = pooled if self.image_head is None else self.image_head(pooled)
        cells = maps[-1].flatten(2).transpose(1, 2)
        return TowerOut(embedding, cells, cells.new_ones(cells.shape[:2], dtype=torch.bool))

    def _see_place(
        self,
        lonlat: Tensor,
        date: Tensor | None = None,
        hour: Tensor | None = None,
        *,
        tokens: bool = False,
        masked: Tensor | None = None,
        dropped: Tensor | None = None,
    ) -> TowerOut:
        if isinstance(self.location, LocationEncoder) and (
            tokens or masked is not None or dropped is not None
        ):
            found = self.location.tokens(lonlat, date, hour, masked=masked, dropped=dropped)
            return TowerOut(*found) if tokens else TowerOut(found[0])
        embedding = self.embed_location(lonlat, date, hour)
        if not tokens:
            return TowerOut(embedding)
        return TowerOut(embedding, embedding[:, None], embedding.new_ones(len(lonlat), 1).bool())

    def _see_text(self, captions: Sequence[str] | Tensor, *, tokens: bool = False) -> TowerOut:
        if not isinstance(self.text, TextEncoder):
            raise ConfigError(
                f"Model {self.name!r} has no text encoder, so it cannot read words: ask it about a"
                " picture or a place, or take a model that was trained with captions."
            )
        given = captions if isinstance(captions, Tensor) else self.text.tokenise(captions)
        found = self.text.see(given)
        return TowerOut(*found) if tokens else TowerOut(found[0])

    def make_token_heads(self, size: int) -> nn.ModuleDict:
        """Make the layers that bring the tokens of each side to one size.

        Args:
            size: That size.

        Returns:
            A linear layer for each side that there is.

        Raises:
            ConfigError: If the image encoder gives no tokens.
        """
        heads = nn.ModuleDict()
        for side in TOWERS:
            encoder = getattr(self, side)
            if encoder is None:
                continue
            own = token_size(encoder)
            if own is None or (side == "image" and not isinstance(encoder, ImageEncoder)):
                raise ConfigError(f"Model {self.name!r} {_no_tokens(encoder)}")
            heads[side] = nn.Linear(own, size)
        return heads


def token_size(encoder: nn.Module | None) -> int | None:
    """Tell the size of the tokens of an encoder.

    Args:
        encoder: The image, location or text encoder of a model; of a user's own, one of places.

    Returns:
        The size, or None where it gives no tokens.
    """
    if isinstance(encoder, ImageEncoder):
        # Dense encoders have maps of every pixel, which are no tokens of a picture.
        if not isinstance(encoder, PixelEncoder):
            return None
        try:
            return encoder.map_channels[-1]
        except ConfigError:
            return None
    size = getattr(encoder, "token_dim", None)
    return size if isinstance(size, int) else getattr(encoder, "out_dim", None)


def _no_tokens(encoder: object) -> str:
    kind = "no image encoder" if encoder is None else type(encoder).__name__
    return (
        f"gives no tokens of images ({kind}): comparing token by token needs pixels and an encoder"
        " with maps of features, such as model.image: small_convnet or a vision transformer of"
        " timm; the objectives clip, slip, declip and siglip need no tokens."
    )
