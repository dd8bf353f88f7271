"""A small model of pictures and places, trained for a moment on an invented world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from csp_core.config import RunConfig, parse_config

SMALL: dict[str, Any] = {
    "name": "look",
    "data": {
        "name": "demo",
        "size": 700,
        "split_method": "block",
        "val_fraction": 0.2,
        "test_fraction": 0.2,
        "buffer_km": 20.0,
    },
    "model": {
        "dim": 16,
        "location": {
            "name": "sphere_c",
            "num_scales": 8,
            "time": {"day_of_year": True},
            "network": {"name": "residual_mlp", "hidden_dim": 32, "dropout": 0.1},
        },
        "image": {"name": "small_convnet", "dim": 32, "width": 8},
    },
    "objective": {"name": "image_softmax", "augmentation": None},
    "training": {"epochs": 3, "batch_size": 64, "learning_rate": 0.01, "device": "cpu"},
}


def config(**sections: Any) -> RunConfig:
    """Give a configuration that trains in seconds, with keys of its sections replaced."""
    tree = dict(SMALL)
    for name, values in sections.items():
        old = tree.get(name)
        tree[name] = old | values if isinstance(old, dict) else values
    return parse_config(tree)


def run(folder: Path, **sections: Any) -> Path:
    """Train, and return the directory of the run."""
    from csp_core.training import train

    train(config(**sections), run_dir=folder)
    return folder
