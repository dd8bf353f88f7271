"""Learning the class of each pixel from masks."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

from csp_core.data.images import known_mask
from csp_core.errors import ConfigError, UnknownNameError
from csp_core.files import load_tensors
from csp_core.model import Heads
from csp_core.objectives import OBJECTIVES, BatchRandom, heads_for, make_objective
from csp_core.objectives.supervised.segmentation import pixel_weights
from csp_core.runs import RunDir
from csp_core.store import load_model
from csp_core.training import train
from csp_core.training.loop import Stage
from csp_core.training.setup import make_parts
from tests import dense, small
from tests.processes import run_two

DATA = dense.pictures()


@pytest.fixture(autouse=True)
def tiny():
    with dense.in_the_tables():
        yield


def objective(**options):
    made = make_objective("segmentation", dense.model(), **options)
    made.fit(DATA)
    for part in made.resting():
        part.requires_grad_(False)
    return made.train()


def source(seed=0, start=0, stop=24, total=24):
    return BatchRandom(torch.Generator().manual_seed(seed), start, stop, total)


def batch(rows=range(24), data=DATA):
    return data.__getitems__(list(rows))


def test_it_asks_for_a_classifier_of_pixels_alone():
    assert heads_for("segmentation", {}) == Heads(image=None, classifiers=(), pixels=True)
    made = objective()
    assert list(dict(made.model.named_children())) == ["image", "pixel_classifier"]


def test_known_pixels_count_alike_whichever_picture_they_are_in():
    made = objective(augmentation=None).eval()
    given = made.draw(batch(), source())
    logits = made.model.pixel_logits(given["image"]).movedim(1, -1)[given["mask"] >= 0]
    label = given["mask"][given["mask"] >= 0]
    want = torch.nn.functional.cross_entropy(logits, label)
    assert made(given)["loss"].item() == pytest.approx(want.item(), rel=1e-5)
    assert made.counted(given) == len(label)


def test_dice_is_added_with_its_weight():
    plain, both = objective(augmentation=None), objective(augmentation=None, dice_weight=0.5)
    given = plain.draw(batch(), source())
    found = both(given)
    assert found["cross_entropy"].item() == plain(given)["loss"].item()
    want = found["cross_entropy"] + 0.5 * found["dice"]
    assert found["loss"].item() == pytest.approx(want.item()) and 0 < found["dice"] < 1


def test_weights_of_classes_are_part_of_learning_alone():
    model = dense.model()
    assert pixel_weights(model, "none") is None
    counts = torch.tensor([60.0, 30.0, 10.0, 0.0])
    table = replace(model.classes, counts=(60, 30, 10, 0))
    model.classes = table
    weight = pixel_weights(model, "balanced")
    torch.testing.assert_close((weight * counts)[:3], (weight * counts)[0].expand(3))
    assert weight[:3].mean().item() == pytest.approx(1.0) and weight[3] == 1.0
    assert pixel_weights(model, [1, 2, 3, 2]).tolist() == [0.5, 1.0, 1.5, 1.0]
    plain, heavy = objective(), objective(class_weights=[1.0, 5.0, 1.0, 1.0])
    given = plain.draw(batch(), source())
    assert plain(given)["loss"] != heavy(given)["loss"]
    assert plain.eval()(given)["loss"] == heavy.eval()(given)["loss"]
    for wrong in ([1.0, 2.0], [1.0, 0.0, 1.0, 1.0], "rare"):
        with pytest.raises(ConfigError, match="4 numbers above 0"):
            objective(class_weights=wrong)


def test_masks_follow_their_pictures_and_pixels_without_data_are_unknown():
    rows = torch.arange(256).view(1, 16, 16).expand(24, -1, -1)
    image = rows[:, None].expand(-1, 3, -1, -1).to(torch.uint8)
    valid = torch.ones(24, 16, 16, dtype=torch.bool)
    valid[:, :, :5] = False
    given = {**batch(), "image": image, "mask": rows.clone(), "valid": valid}
    made = objective(augmentation="weak")
    drawn = made.draw(given, source())
    known = drawn["mask"] >= 0
    assert torch.equal(drawn["mask"][known], drawn["image"][:, 0].long()[known])
    assert (~known).flatten(1).sum(1).tolist() == [5 * 16] * 24 and "valid" not in drawn
    assert not torch.equal(drawn["image"], image)
    rest = made.eval().draw(given, source())
    assert torch.equal(rest["mask"], known_mask(given)) and torch.equal(rest["image"], image)


def test_noise_is_drawn_for_the_whole_batch():
    made = objective(augmentation="strong")
    whole = made.draw(batch(), source())["image"]
    halves = [
        made.draw(batch(range(a, b)), source(start=a, stop=b))["image"]
        for a, b in ((0, 12), (12, 24))
    ]
    assert torch.equal(whole, torch.cat(halves))


def test_a_batch_of_which_nothing_is_known_moves_nothing():
    made = objective(augmentation=None, dice_weight=1.0, class_weights="balanced")
    given = {**batch(), "mask": torch.full((24, 16, 16), -1)}
    loss = made(given)["loss"]
    loss.backward()
    assert loss.item() == 0.0
    assert all(w.grad is None or bool((w.grad == 0).all()) for w in made.parameters())


def test_pictures_without_a_known_pixel_are_left_out_of_training():
    masks = DATA.masks.clone()
    masks[5:] = -1
    few = replace(DATA, masks=masks)
    stream = objective().stream(few, 2)
    assert (stream.batch_size, stream.steps) == (2, 2)
    seen = [part["mask"] for part in stream.batches(torch_generator, 0, 0, 2)]
    assert len(seen) == 2 and all(bool((m >= 0).flatten(1).any(1).all()) for m in seen)
    assert objective().stream(few, 32).batch_size == 5
    with pytest.raises(ConfigError, match="None of 24 training pictures"):
        objective().fit(replace(DATA, masks=torch.full_like(masks, -1)))


def torch_generator(purpose):
    return torch.Generator().manual_seed(len(purpose))


def test_labels_of_another_kind_are_refused():
    with pytest.raises(ConfigError, match=r"has none: give pictures with masks"):
        objective().fit(small.pictures())
    for name in ("image_softmax", "softmax", "label_sets", "fixmatch"):
        kind = OBJECTIVES[name]
        with pytest.raises(ConfigError, match="take the objective segmentation"):
            kind.fit(object.__new__(kind), DATA)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mode": "heads"}, "mode is 'heads'"),
        ({"dice_weight": -1.0}, "dice_weight -1.0"),
        ({"augmentation": "rand_augment"}, "medium"),
        ({"rarity_power": 1.0}, "no option 'rarity_power'"),
    ],
)
def test_options_out_of_range(options, says):
    with pytest.raises((ConfigError, UnknownNameError), match=says):
        objective(**options)


@pytest.mark.parametrize("mode", ["full", "linear"])
def test_linear_moves_the_classifier_and_nothing_else(mode, tmp_path):
    config = dense.config(objective={"mode": mode})
    torch.manual_seed(0)
    start = make_parts(config).model.state_dict()
    start = {name: value.clone() for name, value in start.items()}
    train(config, run_dir=tmp_path / "run")
    after = load_model(tmp_path / "run").state_dict()
    assert set(after) == set(start)
    moved = {name for name, value in after.items() if not torch.equal(value, start[name])}
    if mode == "linear":
        assert moved == {"pixel_classifier.weight", "pixel_classifier.bias"}
    else:
        assert {"pixel_classifier.weight", "image.net.0.weight", "image.net.3.bias"} <= moved


def flat_maps(scale):
    """Bring the maps of the tiny encoder far from mean 0 and spread 1."""
    made = dense.model()
    with torch.no_grad():
        made.image.net[3].weight.mul_(scale)
        made.image.net[3].bias.copy_(torch.linspace(-3, 3, 8))
    return made


def linear(scale, **options):
    made = make_objective("segmentation", flat_maps(scale), mode="linear", **options)
    made.fit(DATA)
    return made.train()


def test_linear_learns_on_maps_of_mean_0_and_spread_1():
    made, plain = linear(0.01), make_objective("segmentation", flat_maps(0.01))
    given = made.draw(batch(), source())
    maps = plain.model.pixel_maps(DATA.__getitems__(list(range(24)))["image"]).detach()
    torch.testing.assert_close(made.centre, maps.mean(dim=(0, 2, 3))[:, None, None])
    want = maps.transpose(0, 1).flatten(1).std(dim=1, correction=0)
    torch.testing.assert_close(made.spread.flatten(), want, rtol=1e-3, atol=0)
    # The start is the model's own, and a second look at the records changes nothing.
    start = plain(given)["loss"]
    torch.testing.assert_close(made(given)["loss"], start, rtol=1e-4, atol=1e-5)
    made.fit(DATA)
    torch.testing.assert_close(made(given)["loss"], start, rtol=1e-4, atol=1e-5)


def test_linear_answers_as_it_learned_and_whatever_the_scale_of_maps():
    losses = []
    for scale in (1.0, 0.01):
        made = linear(scale, augmentation=None)
        weights = made.model.pixel_classifier.parameters()
        optimizer, given = torch.optim.Adam(weights, 0.05), made.draw(batch(), source())
        for _ in range(60):
            optimizer.zero_grad()
            made(given)["loss"].backward()
            optimizer.step()
        losses.append(made(given)["loss"].item())
        answers = made.settled(made.model)
        assert answers is not made.model
        logits = answers.pixel_logits(given["image"]).movedim(1, -1)[given["mask"] >= 0]
        found = torch.nn.functional.cross_entropy(logits, given["mask"][given["mask"] >= 0])
        assert found.item() == pytest.approx(losses[-1], rel=1e-3)
    assert losses[0] == pytest.approx(losses[1], rel=0.1) and losses[1] < 0.9
    full = objective()
    assert full.settled(full.model) is full.model


def test_it_learns_the_fields_and_tells_of_it(tmp_path):
    result = train(dense.config(training={"epochs": 20}), run_dir=tmp_path / "run")
    last = result.history[-1]
    assert last["val_miou"] > 0.8 and last["val_objective"] < 0.5
    assert last["val_n"] > 0 and math.isfinite(last["val_miou_without_background"])
    metrics = json.loads((tmp_path / "run" / "model" / "metrics.json").read_text())
    assert metrics["test"]["miou"] > 0.8 and len(metrics["test"]["confusion"]) == 4
    assert metrics["test"]["background"] == "ground"
    model = load_model(tmp_path / "run")
    assert model.calibration.pixel_temperature != 1.0
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    for words in (
        "What each pixel of a picture is, of 4 classes.",
        "Shares of the listed classes that a pixel of a picture is of",
        "mean IoU without background",
        "- training pixels of known class: 3,",
        "| class | pixels | IoU | precision | recall |",
        "csp segment",
    ):
        assert words in card, words
    assert "at a place" not in card


def test_the_bias_starts_at_the_shares_of_the_training_pixels():
    parts = make_parts(dense.config())
    counts = torch.tensor(parts.train_set.classes.counts, dtype=torch.float32)
    bias = parts.model.pixel_classifier.bias
    torch.testing.assert_close(bias.detach().softmax(0), counts / counts.sum())


def test_a_run_begins_from_a_model_of_pixels(tmp_path):
    train(dense.config(training={"epochs": 3}), run_dir=tmp_path / "first")
    again = dense.config(model={"init_from": str(tmp_path / "first")})
    found, want = make_parts(again).model.state_dict(), load_model(tmp_path / "first").state_dict()
    assert all(torch.equal(found[name], value) for name, value in want.items())


class Crash(Exception):
    pass


def test_killed_within_an_epoch_it_goes_on_bit_for_bit(tmp_path, monkeypatch):
    config = dense.config(
        objective={"augmentation": "strong", "dice_weight": 0.5, "class_weights": "balanced"},
        training={"checkpoint_every": 2, "ema_decay": 0.9},
    )
    train(config, run_dir=tmp_path / "whole")
    step, calls = Stage._train_step, []

    def crash(self, batch):
        step(self, batch)
        calls.append(1)
        if len(calls) == 3:
            raise Crash

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(Stage, "_train_step", crash)
        train(config, run_dir=tmp_path / "run")
    train(config, run_dir=tmp_path / "run", resume=True)
    one, two = (load_tensors(tmp_path / run / "model" / "model.safetensors") for run in
                ("whole", "run"))  # fmt: skip
    assert one.keys() == two.keys() and all(torch.equal(two[key], one[key]) for key in one)


SCRIPT = """
import sys
from csp_core.config import load_config
from csp_core.training import train
from tests import dense

with dense.in_the_tables():
    train(load_config(sys.argv[1]), run_dir=sys.argv[2])
"""


def test_two_processes_learn_what_one_does(tmp_path):
    # Of a fifth of the pixels nothing is known, so each process knows another number.
    config = dense.config(
        objective={"augmentation": "strong", "dice_weight": 0.5, "class_weights": "balanced"}
    )
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    (tmp_path / "script.py").write_text(SCRIPT)
    one = train(config, run_dir=tmp_path / "one").history
    run_two(tmp_path / "script.py", tmp_path / "config.yaml", tmp_path / "two")
    two = RunDir(tmp_path / "two").read_metrics()
    assert len(one) == len(two) == 2
    for a, b in zip(one, two, strict=True):
        for key in ("loss", "val_objective", "val_log_loss", "val_miou"):
            assert math.isfinite(a[key]) and b[key] == pytest.approx(a[key], rel=1e-4), key
    models = [load_model(tmp_path / name).state_dict() for name in ("one", "two")]
    for name, value in models[0].items():
        torch.testing.assert_close(models[1][name], value, atol=1e-4, rtol=1e-4)
