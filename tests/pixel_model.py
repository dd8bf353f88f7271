"""A small model of pixels that has learned the invented valley, for tests that need a real one."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F

from csp_core.data.pictures.scene import open_scene
from csp_core.files import ASSETS
from csp_core.image import make_image_encoder
from csp_core.model import DualEncoder, Heads
from csp_core.store import save_model

VALLEY = ASSETS / "examples" / "invented-valley.tif"
MASK = ASSETS / "examples" / "invented-valley-mask.tif"
# By their values in the mask.
CLASSES = {10: "building", 30: "road", 50: "field", 70: "forest", 100: "background"}
CARD = (
    "---\ntitle: Invented land cover\nsummary: For tests.\nlicense: cc0-1.0\nintroduction:\n"
    "  {headline: Fields and forest of an invented valley, singular: kind of land cover,"
    " plural: kinds of land cover, metres: 10}\n---\n\n# Invented land cover\n\nFor tests.\n"
)


def save_pixel_model(folder: Path, name: str = "valley", *, steps: int = 60) -> Path:
    """Train a U-Net for seconds on the example scene of the Segment page, and save it.

    Args:
        folder: The folder of models.
        name: Its name.
        steps: Steps of Adam, of 8 crops of 64 pixels each.

    Returns:
        The model's directory.
    """
    image, mask = (_read(path) for path in (VALLEY, MASK))
    label = torch.zeros(mask.shape[1:], dtype=torch.long)
    for number, value in enumerate(CLASSES):
        label[mask[0] == value] = number
    generator = torch.Generator().manual_seed(0)
    # Houses and roads are few, and would not be learned in so short a time.
    weight = (label.numel() / torch.bincount(label.flatten())).sqrt()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = make_image_encoder("unet", 16, backbone={"name": "small_convnet", "width": 8})
        encoder.fit_bands(image[None])
        model = DualEncoder(
            encoder,
            None,
            dim=16,
            classes=tuple(CLASSES.values()),
            name=name,
            heads=Heads(pixels=True),
        )
        optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(steps):
            at = torch.randint(0, image.shape[-1] - 64, (8, 2), generator=generator).tolist()
            crops = torch.stack([image[:, r : r + 64, c : c + 64] for r, c in at])
            truth = torch.stack([label[r : r + 64, c : c + 64] for r, c in at])
            optimiser.zero_grad()
            F.cross_entropy(model.pixel_logits(crops), truth, weight).backward()
            optimiser.step()
    return save_model(model.eval(), folder / name, texts={"README.md": CARD, "LICENSE": "CC0\n"})


def _read(path: Path) -> torch.Tensor:
    with open_scene(path) as scene:
        return torch.from_numpy(scene.hold(10**6).values)
