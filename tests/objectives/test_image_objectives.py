"""Objectives that look at pictures: what they compute, what they freeze, what they change."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from csp_core import losses
from csp_core.data.records import ClassTable, RecordDataset
from csp_core.errors import ConfigError, UnknownNameError
from csp_core.image import make_image_encoder
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder
from csp_core.objectives import BatchRandom, make_objective

NAN = float("nan")
NAMES = ("a", "b", "c")


def records(n=24):
    generator = torch.Generator().manual_seed(3)
    label = torch.arange(n) % 3
    image = torch.rand(n, 3, 16, 16, generator=generator) * 0.2
    image[torch.arange(n), label] += 0.6
    lonlat = torch.stack((label * 40.0 - 40, torch.rand(n, generator=generator) * 20), dim=1)
    return RecordDataset(lonlat, label, ClassTable(NAMES, (), (n // 3,) * 3), image=image)


DATA = records()


def make(name="image_softmax", data=DATA, dim=8, **options):
    torch.manual_seed(0)
    network = {"name": "residual_mlp", "hidden_dim": 16, "dropout": 0.2}
    location = make_location_encoder("sphere_c", dim, num_scales=4, network=network)
    image = make_image_encoder("small_convnet", 8, width=8, norm="batch")
    classes = data.classes if name == "image_softmax" else None
    made = make_objective(name, DualEncoder(image, location, dim=dim, classes=classes), **options)
    made.fit(data)
    for part in made.resting():
        part.requires_grad_(False)
    return made


def draw(made, seed=0, rows=range(24), data=DATA):
    source = BatchRandom(torch.Generator().manual_seed(seed), 0, len(rows), len(rows))
    return made.draw(data.__getitems__(list(rows)), source)


def moved(made, steps=2):
    """Name the parts of a model that change in training, running statistics included."""
    before = {key: value.clone() for key, value in made.model.state_dict().items()}
    free = [weight for weight in made.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(free, lr=0.01)
    made.train()
    for step in range(steps):
        optimizer.zero_grad()
        made(draw(made, step))["loss"].backward()
        optimizer.step()
    after = made.model.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    return {".".join(key.split(".")[:2]) if key[:6] == "image." else key.split(".")[0]
            for key in changed}  # fmt: skip


# Fine-tuning


def test_the_loss_is_one_cross_entropy_a_side():
    made = make(augmentation=None).eval()
    batch = draw(made)
    image = F.cross_entropy(made.model.image_logits(batch["image"]), batch["label"])
    place = F.cross_entropy(made.model.class_logits(batch["lonlat"]), batch["label"])
    found = made(batch)
    assert found["image"].item() == pytest.approx(image.item())
    assert found["location"].item() == pytest.approx(place.item())
    assert found["loss"].item() == pytest.approx((image + place).item())


@pytest.mark.parametrize(
    ("options", "learns"),
    [
        ({}, {"image.net", "image.project", "location", "classifier", "image_classifier"}),
        ({"mode": "heads"}, {"image.project", "classifier", "image_classifier"}),
        ({"mode": "linear"}, {"classifier", "image_classifier"}),
        ({"sides": ["image"]}, {"image.net", "image.project", "image_classifier"}),
        ({"sides": ["image"], "mode": "linear"}, {"image_classifier"}),
        ({"sides": ["location"]}, {"location", "classifier"}),
    ],
)
def test_what_learns(options, learns):
    assert moved(make(**options)) == learns


def test_frozen_encoders_have_no_dropout():
    made = make(mode="linear").train()
    assert not made.model.location.training and not made.model.image.training
    assert made.model.classifier.training


def test_records_without_place_or_label():
    lonlat, label = DATA.lonlat.clone(), DATA.label.clone()
    lonlat[:12], label[6:18] = NAN, -1
    made = make(augmentation=None).train(False)
    data = replace(DATA, lonlat=lonlat, label=label)
    found = made(draw(made, data=data))
    logits = made.model.image_logits(DATA.image[[*range(6), *range(18, 24)]])
    want = F.cross_entropy(logits, DATA.label[[*range(6), *range(18, 24)]])
    assert found["image"].item() == pytest.approx(want.item(), rel=1e-5)
    place = F.cross_entropy(made.model.class_logits(DATA.lonlat[18:]), DATA.label[18:])
    assert found["location"].item() == pytest.approx(place.item(), rel=1e-5)
    found["loss"].backward()
    assert all(w.grad is None or w.grad.isfinite().all() for w in made.parameters())


def test_nothing_to_learn_from_costs_nothing():
    made = make(augmentation=None)
    data = replace(DATA, lonlat=torch.full_like(DATA.lonlat, NAN))
    found = made(draw(made, data=data))
    assert found["location"].item() == 0
    found["loss"].backward()
    assert made.model.classifier.weight.grad.abs().sum() == 0


def test_images_are_changed_in_training_alone():
    made = make(augmentation="strong")
    assert not torch.equal(draw(made)["image"], DATA.image)
    assert torch.equal(draw(made)["image"], draw(made)["image"])
    assert torch.equal(draw(made.eval())["image"], DATA.image)
    assert made.changes_images and not make(augmentation=None).changes_images


def test_a_model_of_images_alone_knows_no_places():
    made = make(sides=["image"])
    with pytest.raises(ConfigError, match="no location classifier"):
        made.model.prior(DATA.lonlat)
    assert made.model.image_prior(DATA.image).sum(1) == pytest.approx(torch.ones(24))


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"sides": []}, ConfigError, "sides is"),
        ({"sides": ["picture"]}, ConfigError, "picture"),
        ({"mode": "half"}, ConfigError, "'half'"),
        ({"augmentation": "wild"}, UnknownNameError, "weak"),
    ],
)
def test_options_out_of_range(options, error, says):
    with pytest.raises(error, match=says):
        make(**options)


def test_images_are_needed():
    bare = replace(DATA, image=None)
    with pytest.raises(ConfigError, match="has no images"):
        make(data=bare)
    with pytest.raises(ConfigError, match="none"):
        make("simclr", data=bare)
    with pytest.raises(ConfigError, match="features instead"):
        make("simclr", data=replace(DATA, image=DATA.image.flatten(1)))
    location = make_location_encoder("xyz", 8)
    for name in ("image_softmax", "simclr"):
        with pytest.raises(ConfigError, match="image"):
            make_objective(name, DualEncoder(None, location, dim=8, classes=NAMES))


# SimCLR


def test_nt_xent_by_hand():
    view = F.normalize(torch.randn(6, 5), dim=1).double()
    own, target = torch.arange(3), torch.arange(3) + 3
    terms = []
    for i in range(3):
        scores = [view[i] @ view[j] / 0.5 for j in range(6) if j != i]
        partner = view[i] @ view[i + 3] / 0.5
        terms.append(float(torch.logsumexp(torch.stack(scores), 0) - partner))
    found = losses.nt_xent(view[:3], view, target, own, temperature=0.5)
    assert found.item() == pytest.approx(sum(terms) / 3)


def test_simclr_compares_both_views_with_all():
    made = make("simclr", temperature=0.5).eval()
    batch = draw(made)
    assert not torch.equal(batch["image"], batch["view"])
    views = torch.cat((batch["image"], batch["view"]))
    unit = F.normalize(made.model.embed_image(views), dim=1)
    scores = (unit @ unit.T / 0.5).fill_diagonal_(-math.inf)
    want = F.cross_entropy(scores, (torch.arange(48) + 24) % 48)
    assert made(batch)["loss"].item() == pytest.approx(want.item(), rel=1e-5)


def test_simclr_learns_the_image_side_alone():
    made = make("simclr")
    assert moved(made) == {"image.net", "image.project", "image_head"}
    assert isinstance(made.model.image_head, torch.nn.Sequential) and made.changes_images


def test_two_processes_make_the_views_of_one():
    made = make("simclr")
    whole = draw(made)
    halves = []
    for start, stop in ((0, 12), (12, 24)):
        source = BatchRandom(torch.Generator().manual_seed(0), start, stop, 24)
        halves.append(made.draw(DATA.__getitems__(list(range(start, stop))), source))
    for key in ("image", "view"):
        assert torch.equal(whole[key], torch.cat([half[key] for half in halves]))


# CSP with pixels


def test_csp_trains_the_backbone_unless_it_is_locked():
    both = {"image.net", "image.project", "image_head", "location", "log_scale"}
    assert moved(make("csp_mc", augmentation="weak")) == both
    assert moved(make("csp_mc", lock_image=True)) == {"image_head", "location", "log_scale"}
    assert moved(make("csp_mse")) == {"location_head", "location"}


def test_shuffled_pairs_give_each_image_a_place_of_the_training_records():
    made = make("csp_mc", shuffle_pairs=True, random_weight=0.0)
    first, again, other = draw(made), draw(made), draw(made, seed=1)
    known = {tuple(place) for place in DATA.lonlat.tolist()}
    assert {tuple(place) for place in first["lonlat"].tolist()} <= known
    assert torch.equal(first["lonlat"], again["lonlat"])
    assert not torch.equal(first["lonlat"], other["lonlat"])
    assert not torch.equal(first["lonlat"], DATA.lonlat)
    assert torch.equal(first["image"], DATA.image)
