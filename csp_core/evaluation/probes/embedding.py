"""Frozen embeddings of places: of a model, of an untrained encoder, or plain coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from csp_core.errors import BadRecordError, ConfigError, UnknownNameError
from csp_core.location import ENCODINGS, LocationEncoder, make_location_encoder
from csp_core.model.parts import evaluating
from csp_core.store import list_models, load_model
from csp_core.store.hub import is_hub_name

# Plain coordinates, which are no encoder: what to say of them.
PLAIN = {
    "raw": "longitude and latitude as they are",
    "sincos": "sine and cosine of longitude and latitude",
}
UNTRAINED_DIM = 256
CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Embedding:
    """What a frozen encoder gives for places.

    Args:
        name: What it is called.
        vectors: ``(N, D)`` float64, as the encoder gives them, not brought to unit length.
        about: What it is, as a part of a sentence.
    """

    name: str
    vectors: NDArray[np.float64]
    about: str


def embed_frozen(encoder: str, lonlat: Tensor, *, seed: int = 0) -> Embedding:
    """Embed places by any location encoder, without changing it.

    A model counts before an untrained encoder of its name. Where a model knows time, its date and
    hour are unknown. How near the places of a species lie that a model was learned for is left out,
    as it says nothing of what its encoder knows.

    Args:
        encoder: ``raw`` or ``sincos``; a bundled model, a model directory, a run or
            ``hf:OWNER/NAME``, which is fetched; or a name in ``ENCODINGS``: that encoder with its
            usual network, its weights as they are drawn.
        lonlat: ``(N, 2)`` degrees.
        seed: Of an untrained encoder's weights.

    Returns:
        The embedding.

    Raises:
        UnknownNameError: If nothing has that name.
        CspError: If the model is damaged, has no location encoder, or gives what is no number.
    """
    places = lonlat.double()
    if encoder in PLAIN:
        return Embedding(encoder, plain_coordinates(encoder, places), PLAIN[encoder])
    own = {info.name for info in list_models()}
    if is_hub_name(encoder) or encoder in own or Path(encoder).exists():
        model = load_model(encoder)
        if model.location is None:
            raise ConfigError(
                f"Model {encoder!r} has no location encoder, so it says nothing of places: take a"
                " model that was trained on places, such as 'birds'."
            )
        if model.asks_weeks:
            raise ConfigError(
                f"Model {encoder!r} answers with the highest of its weeks where no time is"
                " given, so it has no embedding of a place alone: take another model."
            )
        timed = ", date and hour unknown" if model.uses_date or model.uses_hour else ""
        location, near = model.location, ""
        if isinstance(location, LocationEncoder) and location.nearness is not None:
            location = location.with_nearness(None)
            near = ", without how near its species' places lie"
        return Embedding(
            model.name,
            _ask(location, places, encoder),
            f"the location encoder of model {encoder}{timed}{near}",
        )
    if encoder not in ENCODINGS:
        known = {*PLAIN, *ENCODINGS, *own}
        raise UnknownNameError("location encoder", encoder, known)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        untrained = make_location_encoder(encoder, dim=UNTRAINED_DIM).eval()
    about = f"not trained, its weights are those drawn with seed {seed}"
    return Embedding(f"{encoder}, untrained", _ask(untrained, places, encoder), about)


def plain_coordinates(name: str, lonlat: Tensor) -> NDArray[np.float64]:
    """Give coordinates as features.

    Args:
        name: A key of ``PLAIN``.
        lonlat: ``(N, 2)`` degrees.

    Returns:
        ``(N, 2)``, or ``(N, 4)`` for sine and cosine.
    """
    if name == "raw":
        return lonlat.double().numpy()
    angle = torch.deg2rad(lonlat.double())
    return torch.cat((angle.sin(), angle.cos()), dim=1).numpy()


def _ask(encoder: nn.Module, lonlat: Tensor, name: str) -> NDArray[np.float64]:
    with evaluating(encoder):
        parts = [encoder(part).double() for part in torch.split(lonlat, CHUNK)]
    vectors: NDArray[np.float64] = torch.cat(parts).numpy()
    if not np.isfinite(vectors).all():
        raise BadRecordError(
            f"Encoder {name!r} gives embeddings that are not finite: train it anew, or import it"
            " again."
        )
    return vectors
