"""How fast our U-Net is beside that of segmentation_models_pytorch, on one backbone.

    python benchmarks/unet_speed.py

Both learn from the same crops in turns, so that the machine's moods meet both alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from report import arguments, markdown, write_report
from torch import Tensor, nn

from csp_core.image import make_image_encoder

BACKBONE, CLASSES, BATCH, ROUNDS = "resnet18", 5, 8, 12
# Ours is as wide as this at the image's own size; theirs is as wide as ours at every step.
WIDTH, THEIRS = 16, (128, 64, 32, 16, 16)
SIDES = (64, 128, 256)


class Ours(nn.Module):
    """Our U-Net with a classifier of pixels."""

    def __init__(self) -> None:
        super().__init__()
        backbone = {"name": "timm", "model": BACKBONE}
        self.image = make_image_encoder("unet", None, width=WIDTH, backbone=backbone)
        self.classifier = nn.Conv2d(self.image.out_dim, CLASSES, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Give the logits of each pixel, ``(N, K, H, W)``."""
        image: Any = self.image
        found: Tensor = self.classifier(image.dense_maps(pixels))
        return found


def step_of(net: nn.Module, pixels: Tensor, mask: Tensor) -> Callable[[], None]:
    """Give a step of training: forward, backward, AdamW."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(net(pixels), mask).backward()
        optimizer.step()

    return step


def look_of(net: nn.Module, pixels: Tensor) -> Callable[[], None]:
    """Give a forward pass without gradients."""

    def look() -> None:
        with torch.inference_mode():
            net(pixels)

    return look


def seconds(ways: list[Callable[[], None]], rounds: int) -> list[float]:
    """Give the median seconds of each way, which take turns."""
    taken: list[list[float]] = [[] for _ in ways]
    for number in range(rounds + 1):
        for own, way in zip(taken, ways, strict=True):
            began = time.process_time()
            way()
            if number:  # the first allocates
                own.append(time.process_time() - began)
    return [median(own) for own in taken]


def main() -> None:
    """Measure and write the table."""
    options = arguments(__doc__.splitlines()[0])
    torch.set_num_threads(1)
    torch.manual_seed(0)
    nets = [
        Ours(),
        smp.Unet(BACKBONE, encoder_weights=None, classes=CLASSES, decoder_channels=THEIRS),
    ]
    rounds, sides = (2, SIDES[:1]) if options.quick else (ROUNDS, SIDES)
    rows, data = [], []
    for side in sides:
        draws = torch.Generator().manual_seed(side)
        pixels = torch.rand(BATCH, 3, side, side, generator=draws)
        mask = torch.randint(CLASSES, (BATCH, side, side), generator=draws)
        learn = seconds([step_of(net.train(), pixels, mask) for net in nets], rounds)
        look = seconds([look_of(net.eval(), pixels) for net in nets], rounds)
        rates = [[BATCH / one for one in pair] for pair in (learn, look)]
        told = [[f"{own:.1f}", f"{theirs:.1f}", f"{own / theirs:.2f}"] for own, theirs in rates]
        rows.append([f"{side} pixels", *told[0], *told[1]])
        data.append({"side": side, "learning": rates[0], "asking": rates[1]})
    weights = [sum(p.numel() for p in net.parameters()) for net in nets]
    head = ["images", "learn, ours", "theirs", "ratio", "ask, ours", "theirs", "ratio"]
    text = (
        f"Images a second of one core's time. U-Nets on {BACKBONE} with {weights[0]:,} weights"
        f" (ours) and {weights[1]:,} (segmentation_models_pytorch {smp.__version__}), equally wide"
        f" at every step, {CLASSES} classes,"
        f" batches of {BATCH}, median of {rounds} rounds in turns. Ours has one more step, at the"
        f" image's own size.\n\n{markdown(head, rows)}\n\nAim: a ratio of 0.9 or more."
    )
    body = {"weights": weights, "rows": data}
    write_report("unet_speed", "Our U-Net beside a library's", text, body, options)


if __name__ == "__main__":
    main()
