"""A model is built once, from the heads that an objective's class asks for."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from csp_core.config import parse_config
from csp_core.errors import ConfigError
from csp_core.image import make_image_encoder
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder, Heads, read_heads
from csp_core.objectives import OBJECTIVES, heads_for, make_objective
from csp_core.objectives.clip import FAMILY
from csp_core.objectives.semisup import METHODS
from csp_core.store import load_model, save_model
from csp_core.training import train
from csp_core.training.setup import make_parts

PIXELS = {"name": "small_convnet", "dim": 8, "width": 8, "norm": "group", "size": 16}


def model(heads=None, classes=("a", "b"), image=True):
    torch.manual_seed(5)
    location = make_location_encoder("xyz", 6)
    encoder = make_image_encoder("features", 5) if image else None
    return DualEncoder(encoder, location, dim=6, classes=classes, heads=heads)


@pytest.mark.parametrize(
    ("name", "options", "want"),
    [
        ("softmax", {}, Heads()),
        ("image_softmax", {}, Heads(classifiers=("image", "location"))),
        ("image_softmax", {"sides": ["image"]}, Heads(classifiers=("image",))),
        ("csp_mc", {}, Heads(classifiers=(), temperatures=(0.07, 0.07))),
        ("csp_nce", {"learn_temperature": False}, Heads(classifiers=())),
        (
            "csp_mc",
            {"deep_head": True, "learn_temperature": False},
            Heads("two_layers", None, (), shared=True),
        ),
        (
            "csp_mc",
            {"batch_weight": 0, "random_weight": 0, "deep_head": True},
            Heads(classifiers=(), shared=False),
        ),
        ("csp_mse", {}, Heads(None, "linear", ())),
        ("simclr", {}, Heads("two_layers", None, ())),
    ],
)
def test_what_an_objective_asks_for(name, options, want):
    assert heads_for(name, options) == want
    built, taken = model(want), model()
    made = make_objective(name, taken, **options)
    assert made.model is taken and taken.heads == want
    # A model built of these heads and one that got them with its objective are the same.
    assert [n for n, _ in built.named_parameters()] == [n for n, _ in taken.named_parameters()]
    for (n, first), (_, second) in zip(
        built.named_parameters(), taken.named_parameters(), strict=True
    ):
        assert torch.equal(first, second), n
    before = {n: w.clone() for n, w in taken.named_parameters()}
    make_objective(name, taken, **options)
    assert all(torch.equal(before[n], w) for n, w in taken.named_parameters())


def test_heads_that_stay_keep_their_weights():
    one = model()
    make_objective("csp_mc", one, deep_head=True)
    head = one.image_head[0].weight.clone()
    make_objective("image_softmax", one)
    assert torch.equal(one.image_head[0].weight, head) and one.log_scale is not None
    assert one.image_classifier is not None and one.classifier is not None


@pytest.mark.parametrize("name", ["softmax", "csp_mc", "csp_mse", "simclr", "geo_prior"])
def test_nothing_that_was_learned_is_dropped(name):
    one = model(Heads("two_layers", None, ("image", "location"), (0.1, 0.2)))
    before = {n: w.clone() for n, w in one.named_parameters()}
    make_objective(name, one)
    after = dict(one.named_parameters())
    assert all(torch.equal(after[n], value) for n, value in before.items())


def test_a_side_that_does_not_learn_rests():
    one = model(Heads(classifiers=("image", "location")))
    made = make_objective("image_softmax", one, sides=["image"], augmentation=None)
    assert any(part is one.classifier for part in made.resting())


VIT = {
    "name": "timm", "model": "vit_tiny_patch16_224", "size": 8, "dim": None,
    "architecture": {"patch_size": 4, "embed_dim": 12, "depth": 1, "num_heads": 2},
}  # fmt: skip


def test_a_further_token_is_asked_for_by_what_distils_into_it(tmp_path):
    options = {"teacher": "metadata", "distil": "mse"}
    wanted = heads_for("freematch", options)
    assert wanted == Heads(None, None, ("image",), token=True)
    assert heads_for("freematch", {"teacher": "metadata"}) == Heads(None, None, ("image",))
    assert Heads.from_dict(wanted.to_dict()) == wanted and wanted.to_dict()["token"] is True
    assert "token" not in Heads().to_dict()
    one = DualEncoder(make_image_encoder(**VIT), None, dim=6, classes=("a", "b"), heads=wanted)
    token = one.image.token.clone()
    # What is there stays, also with an objective that asks for none.
    make_objective("image_softmax", one, sides=["image"])
    assert one.heads.token and torch.equal(one.image.token, token)
    again = load_model(save_model(one, tmp_path / "one"))
    pixels = torch.rand(2, 3, 8, 8)
    assert again.heads == one.heads and torch.equal(again.image(pixels), one.eval().image(pixels))


@pytest.mark.parametrize("image", [PIXELS, {"name": "features", "dim": 5}, None])
def test_only_vision_transformers_take_a_further_token(image):
    encoder = None if image is None else make_image_encoder(**image)
    location = make_location_encoder("xyz", 6)
    taken = DualEncoder(encoder, location, dim=6, classes=("a", "b"))
    with pytest.raises(ConfigError, match=r"vision transformer.*distil"):
        make_objective("freematch", taken, teacher="metadata", distil="mse")


def test_heads_are_frozen_and_go_to_a_file_and_back():
    for heads in (
        Heads(),
        Heads("two_layers", None, ("image",), (0.1, 0.2)),
        Heads(None, "linear"),
        Heads("two_layers", None, (), shared=True),
        Heads("linear", None, (), shared=False),
    ):
        assert Heads.from_dict(heads.to_dict()) == heads
        assert read_heads({"heads": heads.to_dict()}) == heads
    with pytest.raises(dataclasses.FrozenInstanceError):
        Heads().image = None


@pytest.mark.parametrize(
    ("flags", "want"),
    [
        ({}, Heads()),
        ({"head": "image", "temperatures": None}, Heads()),
        ({"head": "location", "temperatures": None}, Heads(None, "linear")),
        ({"head": "image_mlp", "temperatures": [0.1, 0.2]}, Heads("two_layers", None,
                                                                 temperatures=(0.1, 0.2))),
        ({"head": "image", "image_classifier": True, "place_classifier": False},
         Heads(classifiers=("image",))),
        ({"head": "image", "image_classifier": True, "place_classifier": True},
         Heads(classifiers=("image", "location"))),
    ],
)  # fmt: skip
def test_flags_of_earlier_versions(flags, want):
    assert read_heads(flags) == want


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"image": "deep"}, "image head is 'deep'"),
        ({"location": "two_layers"}, "location head is 'two_layers'"),
        ({"classifiers": ["text"]}, "classifiers are"),
        ({"temperatures": [0.0]}, "more than 0"),
        ({"temperatures": [float("nan")]}, "more than 0"),
        ({"token": 1}, "token is 1; give true or false"),
        ({"shared": 1}, "shared is 1; give true or false"),
        ({"hat": 1}, "no heads of a model"),
        (None, "no heads of a model"),
    ],
)
def test_what_are_no_heads(values, says):
    with pytest.raises(ConfigError, match=says):
        Heads.from_dict(values)


@pytest.mark.parametrize("objective", ["simclr", {"name": "image_softmax", "sides": ["image"]}])
def test_a_model_of_images_alone_is_trained_saved_and_loaded(objective, tmp_path):
    config = parse_config(
        {
            "data": {"name": "demo", "size": 150},
            "model": {"dim": 8, "location": None, "image": PIXELS},
            "objective": objective,
            "training": {"epochs": 1, "batch_size": 32, "device": "cpu"},
        }
    )
    assert parse_config(config.model_dump(mode="json")) == config
    trained = train(config, run_dir=tmp_path / "run").model
    again = load_model(save_model(load_model(tmp_path / "run"), tmp_path / "again"))
    assert again.location is None and again.heads == trained.heads
    pixels = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.image(pixels), trained.image(pixels))
    assert "location encoder" not in (tmp_path / "run/model/README.md").read_text()
    with pytest.raises(ConfigError, match="no location"):
        again.prior(torch.zeros(1, 2))


def begun(tmp_path, objective, start, **sides):
    model = {"dim": 8, "location": None, "image": None, **sides}
    if start:
        model["init_from"] = str(tmp_path / start)
    return parse_config(
        {
            "data": {"name": "demo", "size": 150},
            "model": model,
            "objective": objective,
            "training": {"epochs": 1, "batch_size": 32, "device": "cpu"},
        }
    )


def test_a_start_of_one_side_gives_what_it_has_and_one_of_none_is_refused(tmp_path):
    alone = {"name": "image_softmax", "sides": ["image"]}
    train(begun(tmp_path, alone, None, image=PIXELS), run_dir=tmp_path / "images")
    train(begun(tmp_path, "softmax", None, location="xyz"), run_dir=tmp_path / "places")
    for start, side in (("images", "image"), ("places", "location")):
        both = begun(tmp_path, "image_softmax", start, image=PIXELS, location="xyz")
        made = make_parts(both).model
        want = getattr(load_model(tmp_path / start), side).state_dict()
        found = getattr(made, side).state_dict()
        assert want and all(torch.equal(found[name], value) for name, value in want.items())
    with pytest.raises(ConfigError, match=r"knows images alone, .* nothing to start from"):
        make_parts(begun(tmp_path, "softmax", "images", location="xyz"))
    with pytest.raises(ConfigError, match=r"knows places alone, .* nothing to start from"):
        make_parts(begun(tmp_path, alone, "places", image=PIXELS))


def test_a_model_of_images_says_that_it_ranks_by_pictures(tmp_path):
    image = make_image_encoder("features", 5)
    one = DualEncoder(image, None, classes=("a", "b"), heads=Heads(classifiers=("image",)))
    made = save_model(one, tmp_path / "one")
    assert "What is in pictures, of 2 classes, saved" in (made / "README.md").read_text()
    with pytest.raises(ConfigError, match="by a picture alone"):
        one.prior(torch.zeros(1, 2))


@pytest.mark.parametrize(
    "name",
    # Methods of few labels have a network of their own that knows places, if any does.
    sorted(n for n, k in OBJECTIVES.items() if "places" in k.learns_from and n not in METHODS),
)
def test_objectives_on_places_ask_for_a_location_encoder(name):
    classes = ["a", "b"] if "labels" in OBJECTIVES[name].learns_from else None
    # Some compare tokens, which features have not.
    image = make_image_encoder("small_convnet" if name in FAMILY else "features", 5)
    with pytest.raises(ConfigError, match=r"location|model\.text"):
        make_objective(name, DualEncoder(image, None, classes=classes))


def test_a_deep_head_of_csp_leads_into_the_space_of_places():
    deep = Heads("two_layers", None, (), shared=True)
    # Saved before the heads told of it; SimCLR has the same head, of images alone.
    kept = {"heads": Heads("two_layers", None, ()).to_dict()}
    assert "shared" not in kept["heads"]
    for name, want in (("csp_mc", True), ("csp_nce", True), ("simclr", None), ([1], None)):
        told = {"provenance": {"config": {"objective": {"name": name}}}}
        assert read_heads({**kept, **told}).shared is want
    assert read_heads({**kept, "provenance": [1]}).shared is None
    # What is learned afterwards decides.
    assert deep.beside(Heads("two_layers", None, ())).shared is None
    assert Heads("two_layers", None, ()).beside(deep).shared is True
    assert Heads("two_layers", None, ()).beside(Heads(classifiers=())).shared is True
    assert Heads(classifiers=(), shared=False).beside(Heads(classifiers=())).shared is None
    assert deep.beside(Heads(None, "linear", ())).shared is True
