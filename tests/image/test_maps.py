"""Maps of features before they are pooled: shapes, strides and the way to what forward gives."""

from __future__ import annotations

import hashlib

import pytest
import torch

from csp_core.errors import ConfigError
from csp_core.image import make_image_encoder

CASES = {
    "small": {"name": "small_convnet", "width": 8},
    "small cells": {"name": "small_convnet", "width": 8, "cells": 2, "norm": "group"},
    "resnet": {"name": "timm", "model": "test_resnet"},
    "efficientnet": {"name": "timm", "model": "test_efficientnet"},
    "lite": {"name": "timm", "model": "tf_efficientnet_lite0"},
    "convnext": {"name": "timm", "model": "test_convnext"},
    "mobilenet": {"name": "timm", "model": "mobilenetv3_small_050"},
    "vit": {"name": "timm", "model": "test_vit", "size": 64},
    "swin": {"name": "timm", "model": "swin_tiny_patch4_window7_224", "size": 64},
    "vit without a class token": {
        **{"name": "timm", "model": "vit_base_patch16_siglip_gap_224", "size": 32},
        "architecture": {"patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2},
    },
}


def pixels(n=2, bands=3, side=64):
    chance = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, bands, side, side), dtype=torch.uint8, generator=chance)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dim", [None, 5])
def test_pooled_maps_are_what_forward_gives(case, dim):
    encoder = make_image_encoder(dim=dim, **CASES[case]).eval()
    maps = encoder.maps(pixels())
    assert torch.allclose(encoder.embed_features(encoder.pool(maps)), encoder(pixels()), atol=1e-6)
    assert tuple(map_.shape[1] for map_ in maps) == encoder.map_channels
    side = encoder.size or 64
    assert tuple(side // map_.shape[2] for map_ in maps) == encoder.map_strides
    assert list(encoder.map_strides) == sorted(set(encoder.map_strides))
    maps[0].sum().backward()
    assert any(parameter.grad is not None for parameter in encoder.net.parameters())


def test_a_vision_transformer_has_one_map_at_the_stride_of_its_patches():
    encoder = make_image_encoder(dim=None, **CASES["vit"]).eval()
    maps = encoder.maps(pixels(side=50))
    assert [tuple(map_.shape) for map_ in maps] == [(2, 64, 4, 4)] and encoder.map_strides == (16,)
    assert maps.prefix.shape == (2, 1, 64)
    before = encoder(pixels())
    encoder.add_token()
    with_token = encoder.maps(pixels())
    assert with_token[0].shape == (2, 64, 4, 4)
    assert torch.allclose(encoder.pool(with_token), encoder(pixels()), atol=1e-6)
    assert not torch.allclose(encoder(pixels()), before, atol=1e-6)


@pytest.mark.parametrize("side", [33, 50, 64])
def test_maps_of_any_size_of_image(side):
    encoder = make_image_encoder(dim=None, **CASES["small"]).eval()
    maps = encoder.maps(pixels(side=side))
    assert [map_.shape[-1] for map_ in maps] == [-(-side // s) for s in encoder.map_strides]


def test_encoders_without_maps_say_so():
    with pytest.raises(ConfigError, match="no maps of features"):
        make_image_encoder("features", 4).maps(torch.zeros(2, 4))
    with pytest.raises(ConfigError, match="no maps of features"):
        _ = make_image_encoder("features", 4).map_channels


@pytest.mark.parametrize(
    ("options", "digest"),
    [
        ({"name": "small_convnet"}, "84086ac9b8b85aa7"),
        ({"name": "small_convnet", "width": 8, "cells": 2, "norm": "group"}, "4400bcdb94ad952b"),
        ({"name": "timm", "model": "test_vit", "size": 64}, "6a4a286ff0be8083"),
    ],
)
def test_first_weights_and_their_names_are_as_before(options, digest):
    torch.manual_seed(4)
    state = make_image_encoder(dim=16, **options).state_dict()
    told = hashlib.sha256()
    for name, tensor in state.items():
        told.update(f"{name} {tuple(tensor.shape)} {tensor.double().sum():.4f}".encode())
    assert told.hexdigest()[:16] == digest
