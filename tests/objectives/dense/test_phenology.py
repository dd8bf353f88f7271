"""What contrast of cells is worth on invented series of fields, one tile in 100 with a mask."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from csp_core import evaluate, load_dataset
from csp_core.config import parse_config
from csp_core.training import train

# Chosen on the worlds 100 and 101 and not changed since. Points are of encoders that stay as they
# are: one from chance that learns on the masks comes near; see docs/dense_contrast.md.
WORLDS = (0, 1, 2)
POINTS = 5.0
# 400 tiles to learn from, of which four have a mask, and 100 to test on.
DATA = {"size": 500, "side": 16, "parcels": 6, "clouds": 0.3, "val_fraction": 0.0,
        "test_fraction": 0.2}  # fmt: skip
IMAGE = {"name": "over_dates", "bands": 4, "backbone": {"name": "pixel_mlp", "width": 32}}
# Half of the dates in each view, none in both; what grows shows in the level, which is left alone.
VIEWS = {"crop": [8, 8], "zoom": [1.0, 1.0], "gain": 0.03, "offset": 0.0, "noise": 0.0,
         "clouds": 0.0, "blur": 0.0}  # fmt: skip
CONTRAST = {"name": "dense_contrast", "points": 32, "head_dim": 32, "views": VIEWS}
# 200 steps of 40 tiles. Batches of 16 leave it to chance whether the days are found at all.
PRETRAINING = {"epochs": 20, "batch_size": 40, "learning_rate": 1.0e-2}
EPOCHS = {"linear": 100, "full": 80}
FEW = {"label_fraction": 0.01}


def learn(objective, training, world, folder, *, start=None, **data):
    """Train one thread on a world, and give the model."""
    tree = {
        "name": "fields",
        "seed": world,
        "data": {"name": "phenology", **DATA, "world_seed": world, "label_seed": world, **data},
        "model": {"dim": 32, "location": None, "image": IMAGE, "init_from": start},
        "objective": objective,
        "training": {"weight_decay": 1.0e-4, "warmup": 0.05, "schedule": "cosine", "keep": "last",
                     "ema_decay": None, "device": "cpu", "threads": 1, **training},
    }  # fmt: skip
    return train(parse_config(tree), run_dir=folder).model.eval()


def table(world, part, embed, **data):
    """Give the pixels of a part as rows, and their classes."""
    tiles = load_dataset("phenology", part, **DATA, world_seed=world, label_seed=world, **data)
    batch = tiles.__getitems__(range(len(tiles)))
    rows = embed(batch["image"], batch["days"]).movedim(1, -1).flatten(0, 2)
    return rows.numpy(), batch["mask"].flatten().numpy()


def raw(image, days):
    """Give the values of all dates of each pixel, and the days."""
    there = days[:, :, None, None].expand(-1, -1, *image.shape[-2:])
    return torch.cat((image.flatten(1, 2) / 10_000, there), dim=1)


def by_line(world, embed):
    """Measure a logistic regression on single pixels: mean IoU on the test tiles."""
    lines = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    lines.fit(*table(world, "train", embed, **FEW))
    rows, truth = table(world, "test", embed)
    said = lines.predict(rows)
    return np.mean([((said == k) & (truth == k)).sum() / ((said == k) | (truth == k)).sum()
                    for k in np.unique(truth)])  # fmt: skip


def by_training(world, folder, mode, start=None):
    """Measure what a classifier of pixels learns above an encoder, which learns on if ``full``."""
    how = {"epochs": EPOCHS[mode], "batch_size": 4, "learning_rate": 1.0e-2}
    objective = {"name": "segmentation", "mode": mode}
    model = learn(objective, how, world, folder, start=start, **FEW)
    test = load_dataset("phenology", "test", **DATA, world_seed=world)
    return 100 * evaluate(model, test).to_dict()["miou"]


def test_contrast_is_worth_five_points_where_one_tile_in_100_has_a_mask(tmp_path):
    gains, whole, lines = [], [], []
    for world in WORLDS:
        home = tmp_path / str(world)
        started = learn(CONTRAST, PRETRAINING, world, home / "contrast")
        found = by_training(world, home / "from contrast", "linear", str(home / "contrast"))
        gains.append(found - by_training(world, home / "from chance", "linear"))
        whole.append(found - by_training(world, home / "whole", "full"))
        lines.append((by_line(world, started.embed_pixels), by_line(world, raw)))
    assert np.mean(gains) >= POINTS and min(gains) > 0, gains
    # Frozen it is also ahead of the network from chance that learned on the masks as a whole.
    assert np.mean(whole) > 0, whole
    assert all(learned > plain for learned, plain in lines), lines
