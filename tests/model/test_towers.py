"""Each side of a model gives one vector, and tokens where it has any."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from csp_core.errors import ConfigError
from csp_core.image import make_image_encoder
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder, Heads, TowerOut, token_size
from csp_core.text import make_text_encoder

CAPTIONS = ["a field of wheat", "a river between fields", ""]
PLACES = torch.tensor([[36.8, -1.3], [16.4, 48.2], [180.0, 90.0]])
DATES = torch.tensor([0.25, float("nan"), 0.5])
TOKENS = {"name": "tokens", "width": 16, "heads": 2, "layers": 1}


def images(number=3, side=32):
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 255, (number, 3, side, side), generator=generator).byte()


def text(dim=8):
    made = make_text_encoder("transformer", dim, width=16, heads=2, layers=1, vocabulary=300)
    made.fit_captions(CAPTIONS)
    return made


def model(image="small_convnet", network=TOKENS, heads=None, **more):
    torch.manual_seed(0)
    if image == "small_convnet":
        image = make_image_encoder("small_convnet", 12, width=8)
    location = make_location_encoder("sphere_c", 8, num_scales=3, network=network, time=True)
    return DualEncoder(image, location, text=text(), dim=8, heads=heads, **more).eval()


def test_every_side_gives_its_embedding_and_no_tokens_unless_asked():
    made = model()
    given = {"image": (images(),), "location": (PLACES, DATES), "text": (CAPTIONS,)}
    plain = {
        "image": made.embed_image(images()),
        "location": made.embed_location(PLACES, DATES),
        "text": made.embed_text(CAPTIONS),
    }
    for side, inputs in given.items():
        out, more = made.tower(side, *inputs), made.tower(side, *inputs, tokens=True)
        assert isinstance(out, TowerOut) and out.tokens is None and out.mask is None
        assert torch.equal(out.embedding, plain[side]) and out.embedding.shape == (3, 8)
        torch.testing.assert_close(more.embedding, out.embedding, atol=1e-6, rtol=0)
        assert more.tokens.shape[:2] == more.mask.shape and more.mask.dtype == torch.bool
        assert more.tokens.shape[2] == token_size(getattr(made, side))
        # One is a batch too.
        rows = [part[:1] for part in inputs]
        alone = made.tower(side, *rows, tokens=True)
        torch.testing.assert_close(alone.embedding, more.embedding[:1], atol=1e-6, rtol=0)


def test_tokens_of_images_are_the_cells_before_they_are_pooled():
    made = model()
    out = made.tower("image", images(), tokens=True)
    assert out.tokens.shape == (3, 4, 64) and out.mask.all()
    pooled = out.tokens.mean(dim=1)
    embedding = made.image_head(made.image.embed_features(pooled))
    torch.testing.assert_close(embedding, out.embedding, atol=1e-6, rtol=0)


def test_tokens_of_a_vision_transformer_are_its_patches():
    torch.manual_seed(0)
    made = model(make_image_encoder("timm", 12, model="vit_tiny_patch16_224", size=32))
    passes = []
    made.image.net.blocks[0].register_forward_hook(lambda *given: passes.append(1))
    out = made.tower("image", images(), tokens=True)
    assert out.tokens.shape == (3, 4, 192) and len(passes) == 1
    torch.testing.assert_close(out.embedding, made.embed_image(images()), atol=1e-5, rtol=1e-5)


def test_gradients_reach_every_side():
    made = model(heads=Heads(classifiers=(), tokens=6)).train()
    for side, inputs in (("image", (images(),)), ("location", (PLACES,)), ("text", (CAPTIONS,))):
        out = made.tower(side, *inputs, tokens=True)
        (out.embedding.sum() + made.project_tokens(side, out.tokens).sum()).backward()
    assert [n for n, weight in made.named_parameters() if weight.grad is None] == []


def test_tokens_of_places():
    made = model()
    out = made.tower("location", PLACES, DATES, tokens=True)
    assert out.tokens.shape == (3, 5, 16)
    assert out.mask.sum(dim=1).tolist() == [5, 4, 5]
    hidden = torch.ones(3, 3, dtype=torch.bool)
    masked = made.tower("location", PLACES, DATES, tokens=True, masked=hidden)
    assert torch.equal(
        made.tower("location", PLACES, DATES, masked=hidden).embedding, masked.embedding
    )
    assert not torch.allclose(masked.embedding, out.embedding)
    dropped = made.tower("location", PLACES, DATES, tokens=True, dropped=hidden)
    assert dropped.mask.sum(dim=1).tolist() == [2, 1, 2]


def test_a_place_without_tokens_has_one_and_so_has_a_module_of_ones_own():
    class Halves(nn.Module):
        out_dim = 8

        def forward(self, lonlat):
            return lonlat.repeat(1, 4) / 2

    for made in (model(network="residual_mlp"), DualEncoder(None, Halves(), dim=8)):
        out = made.tower("location", PLACES, tokens=True)
        assert torch.equal(out.tokens, out.embedding[:, None]) and out.mask.shape == (3, 1)
        assert token_size(made.location) == 8
    with pytest.raises(ConfigError, match="no tokens of scales"):
        model(network="residual_mlp").tower(
            "location", PLACES, masked=torch.zeros(3, 3, dtype=torch.bool)
        )


def test_captions_as_texts_and_as_tokens():
    made = model()
    assert made.uses_text and not DualEncoder(None, made.location, dim=8).uses_text
    assert torch.equal(made.embed_text(made.text.tokenise(CAPTIONS)), made.embed_text(CAPTIONS))


@pytest.mark.parametrize(
    "image",
    [
        make_image_encoder("features", 5),
        make_image_encoder("pixel_mlp", 5),
        nn.Linear(5, 5),
        None,
    ],
)
def test_images_without_tokens_are_told(image):
    if isinstance(image, nn.Linear):
        image.out_dim = 5
    made = model(image)
    shape = (2, 3, 8, 8) if getattr(image, "dense", False) else (2, 5)
    with pytest.raises(ConfigError, match=r"gives no tokens of images.*small_convnet.*siglip"):
        made.tower("image", torch.zeros(shape), tokens=True)
    if image is not None:
        with pytest.raises(ConfigError, match="gives no tokens of images"):
            model(image, heads=Heads(tokens=4))


def test_features_computed_before_have_no_tokens():
    made = model()
    rows = made.image.features(images())
    assert torch.equal(made.tower("image", rows).embedding, made.embed_image(images()))
    with pytest.raises(ConfigError, match="needs pixels"):
        made.tower("image", rows, tokens=True)


def test_what_a_model_has_not():
    bare = DualEncoder(None, make_location_encoder("sphere_c", 8, num_scales=3), dim=8, name="m")
    with pytest.raises(ConfigError, match=r"'m' has no text encoder.*trained with captions"):
        bare.embed_text(["a river"])
    with pytest.raises(ConfigError, match="'m' has no image encoder"):
        bare.tower("image", images())
    with pytest.raises(ConfigError, match="has no location encoder"):
        DualEncoder(None, None, text=text(), dim=8).tower("location", PLACES)
    with pytest.raises(ConfigError, match="no tower 'sound'; give one of image, location, text"):
        bare.tower("sound")
    with pytest.raises(ConfigError, match="compares no tokens of 'text'"):
        bare.project_tokens("text", torch.zeros(1, 1, 8))
    with pytest.raises(ConfigError, match="The text encoder gives 8 dimensions, the model wants 9"):
        DualEncoder(None, None, text=text(), dim=9)


def test_heads_of_tokens_and_a_bias():
    made = model(heads=Heads(classifiers=(), temperatures=(0.07, 0.2), tokens=6, bias=True))
    sizes = {side: (head.in_features, head.out_features) for side, head in made.token_heads.items()}
    assert sizes == {"image": (64, 6), "location": (16, 6), "text": (16, 6)}
    assert made.logit_bias.shape == () and made.logit_bias == -10
    torch.testing.assert_close(made.log_scale.exp(), torch.tensor([1 / 0.07, 1 / 0.2]))
    # Heads that it has keep what they learned, where more are asked for.
    with torch.no_grad():
        made.log_scale[0], made.logit_bias[...] = 1.25, -3.0
    kept = made.token_heads["text"].weight.clone()
    made.equip(Heads(classifiers=(), temperatures=(0.1, 0.1, 0.1), tokens=9, bias=True))
    assert made.heads.tokens == 6 and torch.equal(made.token_heads["text"].weight, kept)
    torch.testing.assert_close(
        made.log_scale, torch.tensor([1.25, -torch.tensor(0.2).log(), -torch.tensor(0.1).log()])
    )
    assert made.logit_bias == -3


def test_heads_as_plain_values():
    assert not {"tokens", "bias"} & set(Heads().to_dict())
    full = Heads(tokens=256, bias=True)
    assert full.to_dict()["tokens"] == 256 and Heads.from_dict(full.to_dict()) == full
    assert Heads().beside(full).tokens == full.beside(Heads()).tokens == 256
    assert Heads(temperatures=(0.1,)).beside(Heads(temperatures=(0.2, 0.3))).temperatures == (
        *(0.1, 0.3),
    )
    for tokens in (-1, 5000, True, 2.0):
        with pytest.raises(ConfigError, match="tokens is"):
            Heads(tokens=tokens)
    with pytest.raises(ConfigError, match="bias is 1; give true or false"):
        Heads(bias=1)


def test_a_text_encoder_changes_no_other_weight():
    torch.manual_seed(4)
    location, image = make_location_encoder("xyz", 8), make_image_encoder("features", 5)
    state = torch.get_rng_state()
    plain = DualEncoder(image, location, dim=8, classes=("a", "b"))
    words = text()
    torch.set_rng_state(state)
    full = DualEncoder(image, location, text=words, dim=8, classes=("a", "b"))
    mine, theirs = plain.state_dict(), full.state_dict()
    assert [name for name in theirs if not name.startswith("text.")] == list(mine)
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
