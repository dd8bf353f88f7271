"""Small models and records of pictures, places and captions, for tests of the CLIP family."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from csp_core.data.records import RecordDataset
from csp_core.image import make_image_encoder
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder
from csp_core.objectives import BatchRandom, make_objective
from csp_core.objectives.clip import ClipFamily
from csp_core.text import make_text_encoder
from tests import small

DIM = 16
IMAGE = {"name": "small_convnet", "dim": 8, "width": 8, "norm": "group", "size": 32}
PLACE = {
    "name": "sphere_c", "num_scales": 6,
    "network": {"name": "tokens", "width": 16, "layers": 1, "heads": 2},
}  # fmt: skip
TEXT = {"name": "transformer", "width": 16, "layers": 1, "heads": 2, "context": 12,
        "vocabulary": 320}  # fmt: skip
SMALL = {"head_dim": 12, "head_hidden": 10, "token_dim": 8}
CITIES = ("Nairobi in Kenya", "Vienna in Austria", "Suva in Fiji")
FORMS = ("a small picture near {}", "a view of the region around {}")


def captioned(records: RecordDataset) -> RecordDataset:
    """Give records captions, some of them the same."""
    captions = [form.format(city) for city in CITIES for form in FORMS]
    captions += [f"{captions[n % 6]}, number {n}" for n in range(60)]
    city = records.label // 2
    rows = torch.arange(len(records))
    number = torch.where(rows % 3 == 0, 2 * city + rows % 2, 6 + rows % 60)
    return replace(records, captions=tuple(captions), caption=number)


PAIRS = small.pictures()
CAPTIONED = captioned(PAIRS)


def model(*, text: bool = False, place: bool = True, image: dict[str, Any] | None = None,
          dim: int = DIM) -> DualEncoder:  # fmt: skip
    """Make a model of pictures and places, captions, or all three."""
    torch.manual_seed(0)
    words = make_text_encoder(dim=dim, **TEXT) if text else None
    if words is not None:
        words.fit_captions(CAPTIONED.captions)
    return DualEncoder(
        make_image_encoder(**(image or IMAGE)),
        make_location_encoder(dim=dim, **PLACE) if place else None,
        text=words,
        dim=dim,
    )


def make(name: str, made: DualEncoder | None = None, data: RecordDataset | None = None,
         **options: Any) -> ClipFamily:  # fmt: skip
    """Make an objective of the family, ready to train."""
    made = model() if made is None else made
    torch.manual_seed(1)
    found = make_objective(name, made, **{**SMALL, **options})
    found.fit((CAPTIONED if made.uses_text else PAIRS) if data is None else data)
    for part in found.resting():
        part.requires_grad_(False)
    return found.train()


def source(seed: int = 7, start: int = 0, stop: int = 24, total: int = 24) -> BatchRandom:
    """Give a source of random numbers."""
    return BatchRandom(torch.Generator().manual_seed(seed), start, stop, total)


def batch(start: int = 0, stop: int = 24, data: RecordDataset = CAPTIONED) -> dict[str, Any]:
    """Give rows of the records."""
    return data.__getitems__(list(range(start, stop)))


def step(made: ClipFamily, number: int, given: dict[str, Any] | None = None,
         optimizer: torch.optim.Optimizer | None = None) -> dict[str, torch.Tensor]:  # fmt: skip
    """Make a step of training."""
    given = batch() if given is None else given
    rows = len(given["lonlat"])
    found = made(made.draw(given, source(number, 0, rows, rows)))
    found["loss"].backward()
    if optimizer is not None:
        optimizer.step()
        optimizer.zero_grad()
    made.finish_step(number)
    return found
