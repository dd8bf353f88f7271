"""Image encoders of pixels: shapes, bands, frozen layers and where weights come from."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from csp_core.errors import CheckpointError, ConfigError, DataNotFoundError, UnknownNameError
from csp_core.image import make_image_encoder, to_unit
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder
from csp_core.store import load_model, save_model

SMALL = {"name": "small_convnet", "width": 8}
TIMM = {"name": "timm", "model": "test_resnet"}
BOTH = [SMALL, TIMM]


def pixels(n=4, bands=3, side=64, seed=0):
    chance = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, bands, side, side), dtype=torch.uint8, generator=chance)


def model_with(options, dim=None):
    image = make_image_encoder(dim=dim, **options)
    location = make_location_encoder("xyz", dim=16)
    return DualEncoder(image, location, dim=16, classes=("a", "b"))


@pytest.mark.parametrize("options", BOTH, ids=lambda o: o["name"])
@pytest.mark.parametrize("bands", [1, 3, 13])
@pytest.mark.parametrize("side", [32, 64, 100])
def test_any_number_of_bands_and_any_size(options, bands, side):
    encoder = make_image_encoder(dim=None, bands=bands, **options).eval()
    found = encoder(pixels(2, bands, side))
    assert found.shape == (2, encoder.out_dim) and encoder.out_dim == encoder.num_features
    assert found.isfinite().all() and found.requires_grad
    assert make_image_encoder(dim=10, bands=bands, **options)(pixels(2, bands, side)).shape[1] == 10


def test_vision_transformers_are_made_for_a_size():
    encoder = make_image_encoder("timm", None, model="test_vit", size=64).eval()
    assert encoder(pixels(2, side=48)).shape == (2, encoder.out_dim)


def test_our_small_one_stays_below_a_million_weights():
    encoder = make_image_encoder("small_convnet", None)
    assert sum(p.numel() for p in encoder.parameters()) < 350_000


def test_means_over_cells_know_where_something_stands():
    corner = torch.zeros(2, 3, 64, 64)
    corner[0, :, 8:24, 8:24] = corner[1, :, 40:56, 40:56] = 1.0
    whole = make_image_encoder("small_convnet", None, width=8).eval()
    cells = make_image_encoder("small_convnet", None, width=8, cells=2).eval()
    assert cells.out_dim == 4 * whole.out_dim == 256
    spread = [(a - b).norm() / a.norm() for a, b in (whole(corner), cells(corner))]
    assert spread[1] > 2 * spread[0]


def test_chance_follows_from_the_seed():
    def make():
        torch.manual_seed(3)
        return make_image_encoder(dim=None, **TIMM).state_dict()

    first, second = make(), make()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_whole_and_floating_point_images_agree():
    encoder = make_image_encoder(dim=None, **SMALL).eval()
    image = pixels()
    assert torch.allclose(encoder(image), encoder(image.float() / 255), atol=1e-6)
    as_reflectance = (image.float() / 255 * 10_000).round().to(torch.int16)
    assert torch.allclose(encoder(image), encoder(as_reflectance), atol=1e-3)
    with pytest.raises(ConfigError, match="int64"):
        to_unit(torch.zeros(1, dtype=torch.int64))


def test_bands_are_brought_to_mean_0_and_spread_1():
    encoder = make_image_encoder(dim=None, **SMALL)
    image = pixels(64)
    image[:, 2] //= 4
    encoder.fit_bands(image)
    scaled = (to_unit(image) - encoder.mean) / encoder.std
    assert scaled.mean(dim=(0, 2, 3)).abs().max() < 1e-4
    assert (scaled.std(dim=(0, 2, 3)) - 1).abs().max() < 1e-3
    given = make_image_encoder(dim=None, mean=[0.1, 0.2, 0.3], std=[1.0], **SMALL)
    given.fit_bands(image)
    assert given.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    with pytest.raises(ConfigError, match="mean has 2 numbers"):
        make_image_encoder(mean=[0.1, 0.2], **SMALL)
    with pytest.raises(ConfigError, match="above 0"):
        make_image_encoder(std=[0.0], **SMALL)


def test_a_band_that_never_changes_stays_finite():
    encoder = make_image_encoder(dim=None, **SMALL)
    image = torch.full((4, 3, 32, 32), 7, dtype=torch.uint8)
    encoder.fit_bands(image)
    assert encoder.eval()(image).isfinite().all()


@pytest.mark.parametrize("options", BOTH, ids=lambda o: o["name"])
def test_a_frozen_backbone_does_not_move(options):
    encoder = make_image_encoder(dim=8, trainable="none", **options).train()
    assert encoder.frozen and not encoder.net.training and encoder.project.training
    before = {key: value.clone() for key, value in encoder.net.state_dict().items()}
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1)
    encoder(pixels()).square().sum().backward()
    optimizer.step()
    assert all(torch.equal(before[k], v) for k, v in encoder.net.state_dict().items())
    assert encoder.project.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("options", [*BOTH, {"name": "timm", "model": "test_vit", "size": 64}])
def test_only_the_last_blocks_train(options):
    encoder = make_image_encoder(dim=None, trainable="last", **options).train()
    trains = [name for name, p in encoder.net.named_parameters() if p.requires_grad]
    total = [name for name, _ in encoder.net.named_parameters()]
    assert 0 < len(trains) < len(total) / 2 and trains[-1] == total[-1]
    before = {key: value.clone() for key, value in encoder.net.state_dict().items()}
    encoder(pixels()).square().sum().backward()
    # Running statistics of frozen layers stay, those of the last block move.
    moved = [k for k, v in encoder.net.state_dict().items() if not torch.equal(before[k], v)]
    blocks = {name.rpartition(".")[0] for name in trains}
    assert all(key.rpartition(".")[0] in blocks for key in moved)
    with pytest.raises(ConfigError, match="last_blocks is 99"):
        make_image_encoder(dim=None, trainable="last", last_blocks=99, **options)


@pytest.mark.parametrize("options", BOTH, ids=lambda o: o["name"])
def test_features_computed_before_pass_by_the_backbone(options):
    encoder = make_image_encoder(dim=8, **options).eval()
    found = encoder.features(pixels())
    assert torch.equal(encoder(found), encoder(pixels()))
    with pytest.raises(ConfigError, match="3 features"):
        encoder(torch.zeros(2, 3))


def test_many_images_without_gradients_are_taken_in_turns():
    encoder = make_image_encoder(dim=None, **SMALL).eval()
    image = pixels(300, side=16)
    with torch.no_grad():
        assert torch.allclose(encoder(image)[299], encoder(image[299:])[0], atol=1e-5)


@pytest.mark.parametrize("options", BOTH, ids=lambda o: o["name"])
def test_a_model_directory_comes_back_without_the_weights_it_started_from(options, tmp_path):
    start = save_model(model_with(options), tmp_path / "start")
    model = model_with({**options, "weights": str(start), "trainable": "none"}, dim=12)
    old = load_model(start).image.net.state_dict()
    assert all(torch.equal(old[k], v) for k, v in model.image.net.state_dict().items())
    save_model(model.eval(), tmp_path / "end")
    for file in sorted(start.iterdir()):
        file.unlink()
    again = load_model(tmp_path / "end")
    assert torch.equal(again.embed_image(pixels()), model.embed_image(pixels()))
    assert again.image.frozen and again.image.spec["weights"] is None


@pytest.mark.parametrize("form", ["file", "folder", "pth"])
def test_published_weights_fit_other_bands_and_lose_their_classifier(form, tmp_path):
    import timm

    torch.manual_seed(5)
    published = timm.create_model("test_resnet", num_classes=1000)
    state = {k: v.contiguous() for k, v in published.state_dict().items()}
    folder = tmp_path / "hub"
    folder.mkdir()
    if form == "pth":
        torch.save({"state_dict": state}, folder / "weights.pth")
    else:
        save_file(state, folder / "model.safetensors")
    path = {"file": folder / "model.safetensors", "folder": folder, "pth": folder / "weights.pth"}
    encoder = make_image_encoder(dim=None, weights=str(path[form]), **TIMM).eval()
    image = pixels()
    scaled = (to_unit(image) - encoder.mean) / encoder.std
    want = published.eval().forward_head(published.forward_features(scaled), pre_logits=True)
    assert torch.allclose(encoder(image), want, atol=1e-5)
    assert encoder.bands_known  # the weights were trained with bands of their own
    wide = make_image_encoder(dim=None, bands=13, weights=str(path[form]), **TIMM)
    assert torch.equal(wide.net.layer1[0].conv1.weight, encoder.net.layer1[0].conv1.weight)


def test_weights_that_cannot_be_had(tmp_path, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match=r"model\.safetensors of timm/test_resnet.*weights"):
        make_image_encoder(weights="pretrained", **TIMM)
    with pytest.raises(DataNotFoundError, match="No weights at"):
        make_image_encoder(weights=str(tmp_path / "none.safetensors"), **TIMM)
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    for options, match in ((TIMM, "do not fit test_resnet"), (SMALL, "another image encoder")):
        with pytest.raises(CheckpointError, match=match):
            make_image_encoder(weights=str(tmp_path / "other.safetensors"), **options)
    (tmp_path / "code.pth").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(CheckpointError, match="tensors alone"):
        make_image_encoder(weights=str(tmp_path / "code.pth"), **TIMM)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ConfigError, match="no file of weights"):
        make_image_encoder(weights=str(tmp_path / "notes.txt"), **TIMM)


def test_names_and_options_that_do_not_fit():
    with pytest.raises(UnknownNameError, match="Did you mean 'resnet18'"):
        make_image_encoder("timm", model="resnet_18")
    with pytest.raises(ConfigError, match="trainable is 'some'"):
        make_image_encoder(trainable="some", **SMALL)
    with pytest.raises(ConfigError, match="multiple of 8"):
        make_image_encoder("small_convnet", width=10)
    with pytest.raises(ConfigError, match="give 1 to 4"):
        make_image_encoder("small_convnet", cells=5)
    with pytest.raises(ConfigError, match="'batch' or 'group'"):
        make_image_encoder("small_convnet", norm="layer")
    with pytest.raises(ConfigError, match="takes \\(N, 3"):
        make_image_encoder(dim=None, **SMALL)(pixels(bands=4))


def test_half_precision_halves_the_file_and_hardly_changes_the_answer(tmp_path):
    model = model_with(SMALL).eval()
    save_model(model, tmp_path / "full")
    whole = model.embed_image(pixels())
    save_model(model, tmp_path / "half", dtype="float16")
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.65 * sizes[1]
    again = load_model(tmp_path / "half")
    assert all(p.dtype == torch.float32 for p in again.parameters())
    assert torch.allclose(again.embed_image(pixels()), whole, atol=0.02)
    with pytest.raises(ConfigError, match="float16"):
        save_model(model, tmp_path / "third", dtype="int8")
