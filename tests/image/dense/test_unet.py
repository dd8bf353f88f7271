"""The U-Net and the network of single pixels: sizes, what they start from, what they keep."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from csp_core.errors import CheckpointError, ConfigError, UnknownNameError
from csp_core.image import IMAGE_ENCODERS, make_image_encoder
from csp_core.image.dense.decoder import Decoder, plan_steps
from csp_core.model import DualEncoder
from csp_core.store import load_model, save_model
from csp_core.store.checkpoint import count_parameters
from csp_core.training.setup import initialise

SMALL = {"name": "small_convnet", "width": 8}
RESNET = {"name": "timm", "model": "test_resnet"}
VIT = {"name": "timm", "model": "test_vit", "size": 64}
CASES = {
    "small": {"name": "unet", "backbone": SMALL},
    "resnet": {"name": "unet", "backbone": RESNET, "norm": "group"},
    "convnext": {"name": "unet", "backbone": {"name": "timm", "model": "test_convnext"}},
    "mobilenet": {
        "name": "unet",
        "backbone": {"name": "timm", "model": "mobilenetv3_small_050"},
    },
    "vit": {"name": "unet", "backbone": VIT, "width": 8},
    "pixels": {"name": "pixel_mlp", "width": 16},
}


def pixels(n=2, bands=3, height=64, width=64, seed=0):
    chance = torch.Generator().manual_seed(seed)
    shape = (n, bands, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=chance)


def images_alone(dim=None, bands=3, **options):
    image = make_image_encoder(dim=dim, bands=bands, **options)
    return DualEncoder(image, None, dim=6, classes=("a", "b"))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("side", [(64, 64), (33, 50), (71, 47)])
@pytest.mark.parametrize("bands", [1, 5])
def test_every_pixel_of_any_size_of_image_is_described(case, side, bands):
    encoder = make_image_encoder(dim=7, bands=bands, **CASES[case]).eval()
    image = pixels(2, bands, *side)
    found = encoder.dense_maps(image)
    assert found.shape == (2, 7, *side) and found.isfinite().all() and encoder.out_dim == 7
    assert torch.equal(encoder(image), found.mean(dim=(2, 3)))
    found.square().sum().backward()
    assert all((p.grad is not None) == p.requires_grad for p in encoder.parameters())
    # The last scales of a published network's blocks start at 0, and nothing comes through them.
    named = [(n, p) for n, p in encoder.named_parameters() if not n.startswith("backbone.")]
    assert all(bool(p.grad.any()) for _, p in named), [n for n, p in named if not p.grad.any()]
    assert encoder.dense and not encoder.takes_series
    own = make_image_encoder(dim=None, bands=bands, **CASES[case])
    assert own.dense_maps(image).shape[1] == own.out_dim


def test_means_of_many_images_are_taken_in_turns():
    encoder = make_image_encoder(dim=4, **CASES["small"]).eval()
    image = pixels(70, height=16, width=16)
    with torch.no_grad():
        assert torch.allclose(encoder(image)[66:], encoder(image[66:]), atol=1e-6)


def test_it_is_light():
    assert count_parameters(make_image_encoder("unet", 64)) < 600_000


def test_one_pixel_changes_its_own_row_most():
    encoder = make_image_encoder(dim=8, **CASES["small"]).eval()
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    other = image.clone()
    other[0, :, 20, 30] = 1 - other[0, :, 20, 30]
    change = (encoder.dense_maps(other) - encoder.dense_maps(image)).norm(dim=1)[0]
    assert divmod(int(change.argmax()), 64)[0] in (19, 20, 21)
    assert divmod(int(change.argmax()), 64)[1] in (29, 30, 31)


def test_a_pixel_alone_is_described_by_its_bands_alone():
    encoder = make_image_encoder(dim=8, **CASES["pixels"])
    image = pixels(3, height=5, width=7)
    found = encoder.dense_maps(image)
    one = encoder.dense_maps(image[1:2, :, 2:3, 4:5])
    assert torch.allclose(found[1, :, 2, 4], one[0, :, 0, 0], atol=1e-6)


def symmetric(net):
    """Mirror-symmetric kernels, and edges that go on as in a mirror."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.data = (layer.weight + layer.weight.flip(3)).detach() / 2
            if max(layer.kernel_size) > 1 and net.mirrored:
                layer.padding_mode = "reflect"
                pad = layer.padding[0]
                layer._reversed_padding_repeated_twice = [pad] * 4
    return net.eval()


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_mirrored_image_has_mirrored_maps(mirrored):
    torch.manual_seed(2)
    encoder = make_image_encoder("unet", 8, backbone={"name": "timm", "model": "resnet18"})
    encoder.mirrored = mirrored
    # With 65 pixels every second one of 65, 33, 17, … is the same from either side.
    image = torch.rand(1, 3, 65, 65, generator=torch.Generator().manual_seed(3))
    encoder = symmetric(encoder)
    found, turned = encoder.dense_maps(image), encoder.dense_maps(image.flip(3)).flip(3)
    inside = (slice(None), slice(None), slice(8, -8), slice(8, -8))
    assert torch.allclose(found[inside], turned[inside], atol=1e-4)
    assert found[inside].std() > 0.01


@pytest.mark.parametrize("case", CASES)
def test_a_model_of_images_alone_comes_back(case, tmp_path):
    model = images_alone(dim=5, **CASES[case]).eval()
    model.image.fit_bands(pixels(8))
    again = load_model(save_model(model, tmp_path / "model"))
    assert torch.equal(again.image.dense_maps(pixels()), model.image.dense_maps(pixels()))
    assert torch.equal(again.embed_image(pixels()), model.embed_image(pixels()))
    assert again.image.spec == model.image.spec and again.image.spec["weights"] is None
    assert torch.equal(again.image.mean, model.image.mean)


def pooled_model(tmp_path, options):
    torch.manual_seed(7)
    model = images_alone(dim=9, **options)
    image = pixels(16)
    image[:, 2] //= 3
    model.image.fit_bands(image)
    return save_model(model, tmp_path / "pooled"), model


@pytest.mark.parametrize("backbone", [SMALL, RESNET, VIT], ids=["small", "resnet", "vit"])
@pytest.mark.parametrize("way", ["weights", "init_from"])
def test_it_starts_from_what_a_pooled_model_learned(backbone, way, tmp_path):
    folder, source = pooled_model(tmp_path, backbone)
    options = {"name": "unet", "backbone": backbone, "width": 8}
    if way == "weights":
        model = images_alone(dim=4, weights=str(folder), **options)
    else:
        model = images_alone(dim=4, **options)
        initialise(model, str(folder))
    for name, tensor in source.image.net.state_dict().items():
        assert torch.equal(model.image.backbone.net.state_dict()[name], tensor), name
    assert torch.equal(model.image.mean, source.image.mean)
    assert torch.equal(model.image.std, source.image.std)
    model.image.fit_bands(pixels(8, seed=5))
    assert torch.equal(model.image.mean, source.image.mean)  # bands are taken with the weights
    # A model that is loaded needs the folder no more.
    again = load_model(save_model(model.eval(), tmp_path / "dense"))
    assert torch.equal(again.image.dense_maps(pixels()), model.image.dense_maps(pixels()))


def test_it_starts_from_a_whole_one_of_another_size(tmp_path):
    source = images_alone(dim=9, **CASES["small"])
    folder = save_model(source, tmp_path / "first")
    model = images_alone(dim=4, weights=str(folder), **CASES["small"])
    ours, theirs = model.image.state_dict(), source.image.state_dict()
    assert all(torch.equal(ours[n], theirs[n]) for n in theirs if not n.startswith("project."))
    twin = images_alone(dim=9, **CASES["small"])
    initialise(twin, str(folder))
    assert torch.equal(twin.image.dense_maps(pixels()), source.image.dense_maps(pixels()))
    with pytest.raises(CheckpointError, match="another image encoder"):
        images_alone(dim=9, weights=str(folder), name="unet", backbone=RESNET)
    with pytest.raises(CheckpointError, match="another image encoder"):
        images_alone(dim=9, weights=str(folder), name="pixel_mlp")


def test_published_weights_are_the_backbones_business(tmp_path):
    import timm
    from safetensors.torch import save_file

    published = timm.create_model("test_resnet", num_classes=1000)
    file = tmp_path / "published.safetensors"
    save_file({k: v.contiguous() for k, v in published.state_dict().items()}, file)
    encoder = make_image_encoder("unet", 4, weights=str(file), backbone=RESNET)
    assert torch.equal(encoder.backbone.net.conv1[0].weight, published.conv1[0].weight)
    assert encoder.backbone.bands_known


def test_a_frozen_backbone_stays_as_it_is():
    frozen = {**SMALL, "trainable": "none"}
    encoder = make_image_encoder("unet", 4, backbone=frozen).train()
    before = {k: v.clone() for k, v in encoder.backbone.state_dict().items()}
    encoder.dense_maps(pixels()).sum().backward()
    assert all(torch.equal(before[k], v) for k, v in encoder.backbone.state_dict().items())
    assert all(p.grad is None for p in encoder.backbone.parameters())
    assert encoder.finest[0].weight.grad.any()


def test_bands_are_measured_where_there_are_data():
    encoder = make_image_encoder("unet", 4, backbone=SMALL)
    image, valid = pixels(4), torch.zeros(4, 64, 64, dtype=torch.bool)
    valid[:, :20] = True
    image[:, :, 20:] = 0
    encoder.fit_bands(image, valid=valid)
    want = image[:, :, :20].float().div(255).mean(dim=(0, 2, 3))
    assert torch.allclose(encoder.mean.flatten(), want, atol=1e-5)
    with pytest.raises(ConfigError, match="no pixel with data"):
        encoder.fit_bands(image, valid=valid & False)


def test_options_that_do_not_fit():
    with pytest.raises(UnknownNameError, match="features"):
        make_image_encoder("unet", 4, backbone="features")
    with pytest.raises(ConfigError, match=r"model\.image\.weights"):
        make_image_encoder("unet", 4, backbone={**SMALL, "weights": "some"})
    with pytest.raises(ConfigError, match="give it a name"):
        make_image_encoder("unet", 4, backbone={"width": 8})
    with pytest.raises(ConfigError, match="multiple of 8"):
        make_image_encoder("unet", 4, width=12)
    with pytest.raises(ConfigError, match="series of 5 dates"):
        make_image_encoder("unet", 4).dense_maps(torch.zeros(2, 5, 3, 32, 32))
    for name in ("unet", "pixel_mlp"):
        with pytest.raises(ConfigError, match="takes \\(N, 3"):
            make_image_encoder(name, 4).dense_maps(torch.zeros(2, 4, 32, 32))
    with pytest.raises(ConfigError, match="depth 0"):
        make_image_encoder("pixel_mlp", 4, depth=0)


def test_steps_of_the_decoder():
    assert plan_steps((1, 2, 4)) == [(2, 1), (1, 0)]
    assert plan_steps((1, 16)) == [(8, None), (4, None), (2, None), (1, 0)]
    assert plan_steps((1, 14)) == [(7, None), (3, None), (1, 0)]


def test_every_dense_encoder_has_a_default():
    for name, kind in IMAGE_ENCODERS.items():
        if kind.dense:
            assert make_image_encoder(name, 3).out_dim == 3


def test_a_decoder_gives_what_that_of_segmentation_models_pytorch_gives():
    pytest.importorskip("segmentation_models_pytorch", reason="only to compare with")
    from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder

    torch.manual_seed(1)
    channels = (8, 8, 16, 32)
    ours = Decoder(channels, (1, 2, 4, 8), 8, "batch").eval()
    # Its first entry stands for the image, which it does not look at.
    theirs = UnetDecoder((3, *channels), (16, 8, 8), n_blocks=3).eval()
    for mine, other in zip(ours.blocks, theirs.blocks, strict=True):
        values = [v for v in mine.state_dict().values()]
        theirs_named = other.state_dict()
        assert [v.shape for v in theirs_named.values()] == [v.shape for v in values]
        other.load_state_dict(dict(zip(theirs_named, values, strict=True)))
    maps = [torch.rand(2, c, 64 // s, 64 // s) for c, s in zip(channels, (1, 2, 4, 8), strict=True)]
    want = theirs([torch.zeros(2, 3, 64, 64), *maps])
    assert torch.allclose(ours(maps), want, atol=1e-5)
