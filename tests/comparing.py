"""A small model of pictures, places and words, trained for a moment on an invented world.

Around three cities the ground has one colour each, and captions name it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from csp_core import geo
from csp_core.data.records import ClassTable, RecordDataset
from csp_core.image import make_image_encoder
from csp_core.image.stats import ImageStats
from csp_core.location import make_location_encoder
from csp_core.losses.captions import clip_loss
from csp_core.losses.interaction import fine_loss, late_interaction
from csp_core.model import DualEncoder, Heads, Support
from csp_core.store import save_model
from csp_core.text import make_text_encoder

CITIES = {"red": (16.4, 48.2), "green": (2.3, 48.9), "blue": (23.7, 38.0)}
FORMS = ("a {} field", "{} ground seen from above", "a satellite picture of {}")
SIDE, DIM = 16, 16
PAIRS = (("image", "location"), ("image", "text"), ("location", "text"))


def world(count: int = 240, seed: int = 0, *, captions: bool = True) -> RecordDataset:
    """Make records of the invented world: a picture, its place and a caption each."""
    draws = torch.Generator().manual_seed(seed)
    label = torch.arange(count) % len(CITIES)
    centre = torch.tensor(list(CITIES.values()))[label]
    lonlat = geo.jitter(centre, 60.0, torch.rand(count, 2, generator=draws))
    colour = torch.full((count, 3), 0.15)
    colour[torch.arange(count), label] = 0.75
    noise = 0.08 * torch.randn(count, 3, SIDE, SIDE, generator=draws)
    image = (colour[:, :, None, None] + noise).clamp(0, 1)
    told = tuple(form.format(name) for name in CITIES for form in FORMS)
    form = torch.randint(len(FORMS), (count,), generator=draws)
    options: dict[str, Any] = {"captions": told, "caption": label * len(FORMS) + form}
    table = ClassTable(tuple(CITIES), ("",) * len(CITIES), (count // 3,) * len(CITIES))
    return RecordDataset(
        lonlat, label, table, image=image, name="world", **(options if captions else {})
    )


def build(
    *,
    text: bool = True,
    tokens: bool = False,
    images: bool = True,
    parts: bool = False,
    seed: int = 0,
) -> DualEncoder:
    """Make the model, untrained: with whole embeddings, or with tokens alone as FILIP has them.

    With ``parts``, pictures are seen by a vision transformer, in 4 by 4 parts.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        reader = make_text_encoder("transformer", DIM, width=16, layers=1, heads=2, vocabulary=320)
        reader.fit_captions(world().captions or ())
        network = {"name": "tokens", "width": 16, "heads": 2, "layers": 1} if tokens else None
        heads = Heads(image=None, tokens=8, classifiers=()) if tokens else Heads(classifiers=())
        location = make_location_encoder("sphere_c", DIM, num_scales=6, network=network)
        image = make_image_encoder("small_convnet", DIM, width=8) if images else None
        if parts:
            shape = {"patch_size": 4, "embed_dim": 16, "depth": 1, "num_heads": 2}
            image = make_image_encoder(
                "timm", DIM, model="vit_tiny_patch16_224", size=SIDE, architecture=shape
            )
        return DualEncoder(
            image, location, dim=DIM, text=reader if text else None, heads=heads, name="colours"
        )


def trained(steps: int = 60, **options: Any) -> DualEncoder:
    """Train it for a moment on pairs of all sides that it has."""
    model, records = build(**options), world()
    sides = [side for side in ("image", "location", "text") if getattr(model, side) is not None]
    rule = torch.optim.Adam(model.parameters(), lr=0.01)
    draws = torch.Generator().manual_seed(1)
    for _ in range(steps):
        rows = torch.randperm(len(records), generator=draws)[:48]
        seen = {side: _see(model, records, rows, side) for side in sides}
        same = records.label[rows][:, None] == records.label[rows]
        parts = [
            _loss(seen[one], seen[two], same) for one, two in PAIRS if one in seen and two in seen
        ]
        rule.zero_grad()
        torch.stack(parts).mean().backward()
        rule.step()
    model.support = Support.from_places(records.lonlat, 0)
    if model.image is not None:
        assert records.image is not None
        model.image_stats = ImageStats.of(records.image)
    return model.eval()


def save(folder: Path, name: str = "colours", *, blocks: bool = True, **options: Any) -> Path:
    """Train the model, measure it on other records and save it below a folder."""
    from csp_core.evaluation import evaluate_retrieval, plain

    model = trained(**options)
    model.name = name
    found = evaluate_retrieval(model, world(90, seed=5))
    about = {"config": {"data": {"name": "world", "split_method": "block" if blocks else "random"}}}
    return save_model(model, folder / name, metrics={"val": plain(found)}, provenance=about)


def _see(model: DualEncoder, records: RecordDataset, rows: Tensor, side: str) -> Any:
    tokens = model.heads.tokens > 0
    if side == "image":
        assert records.image is not None
        found = model.tower("image", records.image[rows], tokens=tokens)
    elif side == "location":
        found = model.tower("location", records.lonlat[rows], tokens=tokens)
    else:
        told = [(records.captions or ())[k] for k in records.caption[rows].tolist()]
        found = model.tower("text", told, tokens=tokens)
    return (model.project_tokens(side, found.tokens), found.mask) if tokens else found.embedding


def _loss(one: Any, two: Any, same: Tensor) -> Tensor:
    if isinstance(one, Tensor):
        return clip_loss(one, two, 10.0, positives=same)
    there, back = late_interaction(one[0], two[0], one[1], two[1])
    return fine_loss(there, back, 10.0, positives=same)
