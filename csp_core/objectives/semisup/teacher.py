"""Networks that label images: by the image alone, or by its place and date as well."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from csp_core.errors import ConfigError
from csp_core.image import PixelEncoder
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder

REFERENCE = "reference"
DAYS = 365


class FourNumbers(nn.Module):
    """Place and date as the four numbers of the publication, with learned ones where unknown.

    Latitude / 90, longitude / 180, and sine and cosine of the day of the year; a place beside the
    antimeridian is far from one across it. In a leap year days are counted as 365, so that its last
    is that of any year, where the publication has one more. Where the publication would have no
    number, as without a date, two learned ones stand.

    Source:
        Bernhard et al. 2024, the encoding of metadata.
    """

    out_dim = 4

    def __init__(self) -> None:
        super().__init__()
        self.missing_place = nn.Parameter(torch.zeros(2))
        self.missing_date = nn.Parameter(torch.zeros(2))

    def forward(self, lonlat: Tensor, date: Tensor, hour: Tensor | None = None) -> Tensor:
        """Encode places and dates.

        Args:
            lonlat: ``(N, 2)`` degrees, NaN where unknown.
            date: ``(N,)`` parts of the year in [0, 1), NaN where unknown.
            hour: Not looked at.

        Returns:
            ``(N, 4)``.

        Example:
            >>> day = torch.tensor([0.0])
            >>> (found,) = FourNumbers()(torch.tensor([[151.2, -33.9]]), day).tolist()
            >>> [round(value, 4) for value in found]
            [-0.3767, 0.84, 0.0172, 0.9999]
        """
        place = torch.stack((lonlat[:, 1] / 90, lonlat[:, 0] / 180), dim=1)
        angle = 2 * math.pi * (date * DAYS + 1) / DAYS
        time = torch.stack((angle.sin(), angle.cos()), dim=1)
        return torch.cat(
            [
                torch.where(values.isnan().any(dim=1, keepdim=True), missing, values.nan_to_num())
                for values, missing in ((place, self.missing_place), (time, self.missing_date))
            ],
            dim=1,
        )


class KnownPlaces(nn.Module):
    """A location encoder, with a learned vector where the place is unknown.

    Args:
        encoder: ``(N, 2)`` degrees → ``(N, out_dim)``; with dates and hours where it uses them.
        trained: Whether it learns; else it stays as it is.
    """

    def __init__(self, encoder: nn.Module, *, trained: bool = True) -> None:
        super().__init__()
        self.encoder, self.trained = encoder, trained
        self.out_dim = int(encoder.out_dim)  # type: ignore[arg-type]
        self.missing_place = nn.Parameter(torch.zeros(self.out_dim))
        if not trained:
            encoder.requires_grad_(False)

    def train(self, mode: bool = True) -> KnownPlaces:
        """Set the mode; an encoder that does not learn stays in evaluation mode."""
        super().train(mode)
        if not self.trained:
            self.encoder.eval()
        return self

    def forward(self, lonlat: Tensor, date: Tensor, hour: Tensor | None = None) -> Tensor:
        """Encode places, and times where the encoder knows time.

        Args:
            lonlat: ``(N, 2)`` degrees, NaN where unknown.
            date: ``(N,)`` parts of the year, NaN where unknown.
            hour: ``(N,)`` parts of the day, likewise, or None.

        Returns:
            ``(N, out_dim)``.
        """
        known = ~lonlat.isnan().any(dim=1, keepdim=True)
        uses = (getattr(self.encoder, f"uses_{time}", False) for time in ("date", "hour"))
        times = (date, hour) if any(uses) else ()
        features = self.encoder(torch.where(known, lonlat, 0.0), *times)
        return torch.where(known, features, self.missing_place)


def make_metadata(metadata: Any, size: int, *, trained: bool = True) -> nn.Module:
    """Make what turns place and date into a vector beside an image.

    Args:
        metadata: ``reference``, the published four numbers; a location encoder by name or with
            options, as ``model.location``; or a module.
        size: Size of the vector.
        trained: Whether a location encoder learns.

    Returns:
        ``(N, 2)`` degrees, ``(N,)`` dates and hours → ``(N, size)``: the encoding, and two layers.

    Raises:
        ConfigError: If it is none of these.
    """
    if metadata == REFERENCE:
        encoding: nn.Module = FourNumbers()
    elif isinstance(metadata, nn.Module):
        encoding = KnownPlaces(copy.deepcopy(metadata), trained=trained)
    elif isinstance(metadata, (str, Mapping)):
        given: dict[str, Any] = {"dim": size}
        given |= {"name": metadata} if isinstance(metadata, str) else metadata
        encoding = KnownPlaces(make_location_encoder(**given), trained=trained)
    else:
        raise ConfigError(
            f"metadata is {metadata!r}; give {REFERENCE}, a location encoder such as {{name:"
            " sphere_c_plus}}, or {{init_from: MODEL}}."
        )
    return Metadata(encoding, size)


class Metadata(nn.Module):
    """An encoding of place and date, and two layers behind it.

    Args:
        encoding: What gives ``(N, encoding.out_dim)`` numbers.
        size: Size of the vector.
    """

    def __init__(self, encoding: nn.Module, size: int) -> None:
        super().__init__()
        self.encoding = encoding
        inputs = int(encoding.out_dim)  # type: ignore[arg-type]
        self.layers = nn.Sequential(nn.Linear(inputs, size), nn.GELU(), nn.Linear(size, size))

    def forward(self, lonlat: Tensor, date: Tensor | None, hour: Tensor | None) -> Tensor:
        """Encode places and times.

        Args:
            lonlat: ``(N, 2)`` degrees, NaN where unknown.
            date: ``(N,)`` parts of the year, NaN where unknown, or None.
            hour: ``(N,)`` parts of the day, likewise.

        Returns:
            ``(N, size)``.
        """
        when = torch.full_like(lonlat[:, 0], math.nan) if date is None else date
        found: Tensor = self.layers(self.encoding(lonlat, when, hour))
        return found


def classify(
    image: Any, classifier: Any, pixels: Tensor, added: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """Score the classes of images, with a vector beside each image where one is given.

    Args:
        image: The image encoder, of pixels. A vision transformer with a further token is given the
            vector there; other networks have it added to their pooled features.
        classifier: Behind the image encoder.
        pixels: ``(N, C, H, W)``.
        added: ``(N, D)``, or None.

    Returns:
        ``(N, K)`` logits, and ``(N, D)`` what has become of the further token; None where there is
        none.
    """
    if image.token is not None:
        embedding, token = image.with_token(pixels, added)
        return classifier(embedding), token
    features = image.features(pixels)
    features = features if added is None else features + added
    return classifier(image.embed_features(features)), None


class Labeller(nn.Module):
    """A network that labels images, made like that of a model; it may know places and dates.

    Args:
        model: The model, whose image encoder is copied with its weights. The classifier starts
            from chance, as two networks that are equal would learn the same.
        metadata: None, or what ``make_metadata`` takes.
        trained: Whether a location encoder among the metadata learns.
    """

    def __init__(self, model: DualEncoder, metadata: Any = None, *, trained: bool = True) -> None:
        super().__init__()
        assert isinstance(model.image, PixelEncoder)
        assert isinstance(model.image_classifier, nn.Linear)
        self.image = copy.deepcopy(model.image)
        self.classifier = copy.deepcopy(model.image_classifier)
        nn.init.kaiming_uniform_(self.classifier.weight, a=math.sqrt(5))
        self.metadata: nn.Module | None = None
        if metadata is not None:
            size = self.image.num_features
            if self.image.takes_token:
                self.image.add_token()
                assert self.image.token is not None
                size = self.image.token.shape[-1]
            self.metadata = make_metadata(metadata, size, trained=trained)

    def forward(
        self,
        pixels: Tensor,
        lonlat: Tensor | None = None,
        date: Tensor | None = None,
        hour: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Score the classes of images at places.

        Args:
            pixels: ``(N, C, H, W)``.
            lonlat: ``(N, 2)`` degrees, NaN where unknown; looked at by one with metadata alone.
            date: ``(N,)`` parts of the year, NaN where unknown, or None.
            hour: ``(N,)`` parts of the day, likewise.

        Returns:
            As ``classify``.
        """
        if self.metadata is None:
            return classify(self.image, self.classifier, pixels)
        return classify(self.image, self.classifier, pixels, self.metadata(lonlat, date, hour))


def white_logits(image: Any, classifier: Any, sides: tuple[int, ...]) -> Tensor:
    """Score the classes of a picture in which there is nothing: 1 everywhere, once normalised.

    Networks are asked in evaluation mode and left in the mode that they had: one such picture is no
    batch to take statistics from.

    Args:
        image: The image encoder, of pixels.
        classifier: Behind it.
        sides: Height and width of the picture.

    Returns:
        ``(1, K)`` logits.
    """
    modes = [(part, part.training) for part in (*image.modules(), *classifier.modules())]
    image.eval()
    classifier.eval()
    try:
        pixels = (image.mean + image.std)[None].expand(1, -1, *sides)
        return classify(image, classifier, pixels)[0]
    finally:
        for part, mode in modes:
            part.training = mode
