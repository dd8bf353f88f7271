"""Segmentation behind every encoder that keeps pixels: of one date and of series."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from csp_core.config import parse_config
from csp_core.data.images import MemoryImages
from csp_core.evaluation import evaluate, find_measure
from csp_core.image import make_image_encoder
from csp_core.image.dense import DENSE
from csp_core.model import DualEncoder
from csp_core.objectives import BatchRandom, heads_for, make_objective
from csp_core.store import load_model, save_model
from csp_core.training import train
from csp_core.training.setup import initialise
from tests import dense

BACKBONE = {"name": "small_convnet", "width": 8, "norm": "group"}
UNET = {"backbone": BACKBONE, "width": 8, "norm": "group"}
OPTIONS = {
    "unet": UNET,
    "pixel_mlp": {},
    "unet3d": {"width": 8, "dates": 4},
    "over_dates": {"backbone": {"name": "unet", **UNET}},
}


def given(series):
    """Give the pictures; of series the second date is noise, and a third of them has it not."""
    data = dense.pictures(12, unknown=True)
    if not series:
        return data
    clear = data.store.array
    noise = torch.randint(0, 255, clear.shape, dtype=torch.uint8)
    days = torch.tensor([[0.2, 0.4, 0.6, 0.9]]).repeat(12, 1)
    days[::3, 1] = torch.nan
    array = torch.stack((clear, noise, clear, clear), dim=1)
    return replace(data, store=MemoryImages(array), days=days)


@pytest.mark.parametrize("name", sorted(DENSE))
def test_every_dense_encoder_learns_is_measured_and_kept(name, tmp_path):
    torch.manual_seed(0)
    encoder = make_image_encoder(name, 8, **OPTIONS[name])
    data = given(encoder.takes_series)
    model = DualEncoder(
        encoder, None, dim=8, classes=data.classes, heads=heads_for("segmentation", {}), name="any"
    )
    made = make_objective("segmentation", model, augmentation="strong", dice_weight=0.2).train()
    made.fit(data)
    batch = data.__getitems__(range(12))
    encoder.fit_bands(batch["image"], batch.get("days"))
    optimizer = torch.optim.Adam(made.parameters(), lr=0.01)
    losses = []
    for step in range(15):
        optimizer.zero_grad()
        draws = torch.Generator().manual_seed(step)
        loss = made(made.draw(dict(batch), BatchRandom(draws, 0, 12, 12)))["loss"]
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    model.eval()
    fitted = find_measure(model, data).calibrate(model, data)
    assert fitted.metrics["pixels"].n == int((data.masks >= 0).sum())
    save_model(model, tmp_path / "any")
    read = load_model(tmp_path / "any")
    assert torch.equal(
        read.pixel_prior(batch["image"], batch.get("days")),
        model.pixel_prior(batch["image"], batch.get("days")),
    )
    assert evaluate(read, data) == fitted.metrics["pixels"]


def test_a_unet_begins_from_what_simclr_learned_and_keeps_it_in_linear_mode(tmp_path):
    with dense.in_the_tables():
        simclr = dense.config(
            model={"image": {**BACKBONE, "dim": 8}},
            objective={"name": "simclr", "augmentation": "weak"},
        )
        train(simclr, run_dir=tmp_path / "simclr")
        config = dense.config(
            model={"image": {"name": "unet", "dim": 8, **UNET}, "init_from":
                   str(tmp_path / "simclr")},
            objective={"name": "segmentation", "mode": "linear"},
        )  # fmt: skip
        train(config, run_dir=tmp_path / "linear")
    backbone = load_model(tmp_path / "simclr").image.state_dict()
    kept = load_model(tmp_path / "linear").image.backbone.state_dict()
    shared = set(backbone) & set(kept)
    assert any("weight" in name for name in shared)
    assert all(torch.equal(backbone[name], kept[name]) for name in shared)


def test_one_run_compares_places_first_and_learns_the_masks_then(tmp_path):
    unet = {"name": "unet", "dim": 8, **UNET}
    first = {
        "objective": {"name": "dense_contrast", "points": 16, "radius": 1, "negatives": "batch",
                      "views": {"crop": [8, 12]}},
        "data.label_fraction": 1.0,
        "training.epochs": 1,
        "training.monitor": "auto",
    }  # fmt: skip
    with dense.in_the_tables():
        config = dense.config(
            data={"label_fraction": 0.5}, model={"image": unet}, training={"monitor": "miou"}
        )
        config = parse_config({**config.model_dump(mode="json"), "pretrain": first})
        result = train(config, run_dir=tmp_path / "run")
    assert ["val_miou" in row for row in result.history] == [False, True, True]
    assert load_model(tmp_path / "run").heads.pixels


def test_heads_of_a_model_of_pixels_are_taken_where_the_classes_agree(tmp_path):
    model = DualEncoder(
        make_image_encoder("pixel_mlp", 8),
        None,
        dim=8,
        classes=dense.NAMES,
        heads=heads_for("segmentation", {}),
    )
    save_model(model, tmp_path / "first")
    for classes, same in ((dense.NAMES, True), (dense.NAMES[::-1], False)):
        other = DualEncoder(
            make_image_encoder("pixel_mlp", 8),
            None,
            dim=8,
            classes=classes,
            heads=heads_for("segmentation", {}),
        )
        initialise(other, str(tmp_path / "first"))
        assert torch.equal(other.pixel_classifier.weight, model.pixel_classifier.weight) is same
