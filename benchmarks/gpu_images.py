"""Training on images end to end on a GPU, beside a bare loop over one batch that lies there."""

from __future__ import annotations

import csv
import json
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from gpu_cells import Measure, Setting, run_cells, seconds_of
from PIL import Image
from torch import nn

from csp_core import load_config, load_dataset, make_image_encoder, train

NET = {"name": "timm", "model": "resnet50", "dim": None}
QUICK_NET = {"name": "small_convnet", "width": 8, "dim": None}
CLASSES, RATE = 100, 1e-3
WARM, STEPS = 5, 30


class Photos:
    """Tables of invented photos, each listed often enough to fill an epoch."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.device = setting, setting.device
        self.side, self.batch = (64, 16) if setting.quick else (224, 256)
        self.net = QUICK_NET if setting.quick else NET
        # Steps an epoch: of photos in memory, and of photos read from their files again.
        self.steps = {True: 2, False: 1} if setting.quick else {True: 24, False: 8}

    @cached_property
    def files(self) -> list[Path]:
        """Photos of smooth patches, as JPEG files of the size that is trained on."""
        folder, found = self.setting.folder / "photos", []
        folder.mkdir(parents=True)
        generator = torch.Generator().manual_seed(0)
        for number in range(16 if self.setting.quick else 512):
            coarse = torch.rand(1, 3, 28, 28, generator=generator)
            fine = F.interpolate(coarse, (self.side, self.side), mode="bicubic").clamp(0, 1)
            pixels = (fine[0] * 255).byte().permute(1, 2, 0).contiguous().numpy()
            found.append(folder / f"{number}.jpg")
            Image.fromarray(pixels).save(found[-1], quality=90)
        return found

    def table(self, *, in_memory: bool) -> Path:
        """Write the list of an epoch."""
        path = self.setting.folder / f"photos-{in_memory}.csv"
        rows = range(self.batch * self.steps[in_memory])
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(("path", "label", "lon", "lat"))
            for row in rows:
                file = self.files[row % len(self.files)]
                label = f"class {row % CLASSES}"
                writer.writerow((file.relative_to(path.parent), label, row % 360 - 180, 10))
        return path

    def data(self, *, in_memory: bool) -> dict[str, Any]:
        """Give the section of a configuration that loads them, all to learn from."""
        place = {"root": str(self.table(in_memory=in_memory)), "in_memory": in_memory}
        return {"size": self.side, "val_fraction": 0.0, "test_fraction": 0.0, **place}

    def keep(self, *, in_memory: bool) -> object:
        """Read the photos, or what their files say; while that is held, no run reads it again."""
        return load_dataset("photos", "train", **self.data(in_memory=in_memory))

    @cached_property
    def bare_rate(self) -> float:
        """Images a second of the bare loop."""
        torch.manual_seed(0)
        if self.setting.quick:
            encoder = make_image_encoder(**self.net)
            net: nn.Module = nn.Sequential(encoder, nn.Linear(encoder.out_dim, CLASSES))
        else:
            import timm

            net = timm.create_model("resnet50", num_classes=CLASSES)
        net = net.to(self.device, memory_format=torch.channels_last).train()
        pixels = torch.rand(self.batch, 3, self.side, self.side).to(self.device)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        label = (torch.arange(self.batch) % CLASSES).to(self.device)
        optimizer = torch.optim.AdamW(net.parameters(), lr=RATE)

        def step() -> None:
            with torch.autocast(self.device, torch.bfloat16):
                loss = F.cross_entropy(net(pixels), label)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

        chosen = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = True
        try:
            seconds_of(step, self.device, 1 if self.setting.quick else WARM)
            taken = seconds_of(step, self.device, 2 if self.setting.quick else STEPS)
        finally:
            torch.backends.cudnn.benchmark = chosen
        return self.batch / taken


def end_to_end(photos: Photos, *, in_memory: bool, augmentation: str | None) -> dict[str, Any]:
    """Time an epoch that learns classes from photos alone, up to the checkpoint at its end.

    The first of two runs allocates; the quicker one counts.

    Args:
        photos: What to learn from.
        in_memory: Whether the photos are held in memory, or their files read again every epoch.
        augmentation: Changes to the photos in training.

    Returns:
        Images a second, and its ``ratio`` to that of the bare loop.
    """
    bare, kept = photos.bare_rate, photos.keep(in_memory=in_memory)
    name = f"{'memory' if in_memory else 'files'}-{augmentation}"
    path = photos.setting.folder / f"{name}.yaml"
    tree = {
        "name": name,
        "data": {"name": "photos", **photos.data(in_memory=in_memory)},
        "model": {"image": photos.net},
        "objective": {
            "name": "image_softmax", "sides": ["image"], "augmentation": augmentation
        },
        "training": {
            "epochs": 1,
            "batch_size": photos.batch,
            "learning_rate": RATE,
            "precision": "bf16",
            "device": photos.device,
        },
    }  # fmt: skip
    path.write_text(json.dumps(tree), encoding="utf-8")  # JSON is YAML
    config, epochs = load_config(path), []
    for number in (1, 2):
        result = train(config, run_dir=photos.setting.folder / f"{name}-{number}")
        epochs.append(result.history[0]["seconds"])
    del kept
    rate = photos.batch * photos.steps[in_memory] / min(epochs)
    return {"rate": rate, "ratio": rate / bare, "epochs": epochs, "batch": photos.batch}


def bare(photos: Photos) -> dict[str, Any]:
    """Time the bare loop."""
    return {"rate": photos.bare_rate, "batch": photos.batch}


def cells(setting: Setting) -> dict[str, Measure]:
    """Give the cells: the bare loop, and ways to feed `csp train`."""
    photos = Photos(setting)
    run = partial(end_to_end, photos)
    return {
        "bare loop": partial(bare, photos),
        "in memory": partial(run, in_memory=True, augmentation=None),
        "in memory, augmented": partial(run, in_memory=True, augmentation="weak"),
        "from files, augmented": partial(run, in_memory=False, augmentation="weak"),
    }


if __name__ == "__main__":
    run_cells("images", cells)
