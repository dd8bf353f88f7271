"""One more token in a vision transformer: how many there are, who sees it, what it costs."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from csp_core.errors import ConfigError
from csp_core.image import make_image_encoder
from csp_core.image.tokens import make_token, run_with_token, takes_token
from csp_core.model import DualEncoder, Heads
from csp_core.objectives.semisup.teacher import Labeller

SMALL = {"patch_size": 4, "embed_dim": 24, "depth": 2, "num_heads": 2}
VIT_S = "vit_small_patch16_224"


def encoder(size=8, model="vit_tiny_patch16_224", dim=None, **form):
    torch.manual_seed(0)
    architecture = form or SMALL
    return make_image_encoder("timm", dim, model=model, size=size, architecture=architecture)


def pixels(number=3, side=8):
    return torch.rand(number, 3, side, side, generator=torch.Generator().manual_seed(1))


def counted(net):
    """Tell, once the network has run, how many tokens each block had."""
    found = []
    for block in net.blocks:
        block.register_forward_hook(lambda _, given, out: found.append((len(given[0][0]), out)))
    return found


@pytest.mark.parametrize(("size", "patch", "want"), [(128, 16, 65), (32, 2, 257)])
def test_tokens_of_the_published_networks(size, patch, want):
    # As narrow and flat as can be: the number of tokens follows from the sides alone.
    made = encoder(size, VIT_S, patch_size=patch, embed_dim=8, depth=2, num_heads=1).eval()
    seen = counted(made.net)
    with torch.no_grad():
        made.features(pixels(1, size))
        assert [number for number, _ in seen] == [want] * 2
        made.add_token()
        seen.clear()
        made.features(pixels(1, size))
        made.with_token(pixels(1, size), torch.zeros(1, 8))
    assert [number for number, _ in seen] == [want + 1] * 4


@pytest.mark.parametrize(
    ("size", "patch", "classes", "published"),
    [(128, 16, 43, 43_446_700), (32, 2, 10, 42_962_728)],
)
def test_weights_of_the_published_pair_of_networks(size, patch, classes, published, monkeypatch):
    make = timm.create_model

    def without_numbers(*given, **options):
        with torch.device("meta"):
            return make(*given, **options)

    monkeypatch.setattr(timm, "create_model", without_numbers)
    image = make_image_encoder("timm", None, model=VIT_S, size=size,
                               architecture={"patch_size": patch})  # fmt: skip
    heads = Heads(None, None, ("image",), token=True)
    model = DualEncoder(image, None, classes=[str(k) for k in range(classes)], heads=heads)
    teacher = Labeller(model, "reference")
    count = sum(w.numel() for part in (model, teacher) for w in part.parameters())
    # Published networks have a second classifier each that never learns; ours have four numbers
    # for what is not known.
    unused = 2 * (384 * classes + classes)
    assert count == published - unused + 4
    layers = sum(w.numel() for w in teacher.metadata.layers.parameters())
    assert layers == 149_760
    assert image.token.shape == (1, 1, 384)


def test_without_the_token_features_are_as_before():
    made, other = encoder().eval(), encoder().eval()
    want = made.features(pixels())
    token = torch.randn(3, 1, 24) * 100
    features, last = run_with_token(made.net, made._scaled(pixels()), token)
    assert features.shape == want.shape == (3, 24) and last.shape == (3, 24)
    assert not torch.allclose(features, want)
    # Blocks that pass tokens on: what the token says goes nowhere.
    for net in (made.net, other.net):
        net.blocks = nn.Identity()
    alone = run_with_token(made.net, made._scaled(pixels()), token)
    torch.testing.assert_close(alone[0], other.features(pixels()))
    torch.testing.assert_close(alone[1], made.net.norm(token)[:, 0])


def test_the_token_is_the_last_and_has_no_position():
    made = encoder().eval()
    made.add_token()
    seen = counted(made.net)
    given = {}
    made.net.blocks[0].register_forward_pre_hook(lambda _, tokens: given.update(tokens=tokens[0]))
    added = torch.randn(3, 24)
    _, last = made.with_token(pixels(), added)
    torch.testing.assert_close(given["tokens"][:, -1], made.token[0] + added)
    torch.testing.assert_close(last, made.net.norm(seen[-1][1])[:, -1])
    plain, nothing = made.with_token(pixels()), made.with_token(pixels(), torch.zeros(3, 24))
    assert all(torch.equal(a, b) for a, b in zip(plain, nothing, strict=True))
    assert torch.equal(plain[0], made(pixels()))


def test_a_mean_over_patches_leaves_the_token_out():
    made = make_image_encoder("timm", None, model="vit_base_patch16_siglip_gap_224", size=8,
                              architecture=SMALL).eval()  # fmt: skip
    made.net.blocks = nn.Identity()
    features, _ = run_with_token(made.net, made._scaled(pixels()), torch.full((1, 1, 24), 50.0))
    torch.testing.assert_close(features, made.net(made._scaled(pixels())))


def test_the_token_is_drawn_once_and_small():
    made = encoder(embed_dim=768, depth=1, num_heads=2, patch_size=4)
    made.add_token()
    token = made.token
    made.add_token()
    assert made.token is token and "token" in dict(made.named_parameters())
    assert token.std().item() == pytest.approx(0.02, rel=0.1)


def test_networks_that_take_no_token():
    made = make_image_encoder("small_convnet", 8, width=8)
    assert not made.takes_token and made.token is None and not takes_token(made.net)
    with pytest.raises(ConfigError, match=r"takes no further token: .*vit_small.*distil: none"):
        made.add_token()
    with pytest.raises(ConfigError, match="takes no further token"):
        make_token(made.net)
    with pytest.raises(ConfigError, match="call add_token first"):
        encoder().with_token(pixels())
