"""Encoders of series: dates in any order, dates that are missing, what they start from."""

from __future__ import annotations

import math

import pytest
import torch

from csp_core.errors import ConfigError, UnknownNameError
from csp_core.image import make_image_encoder
from csp_core.image.dense.dates import DateAttention, DateMean, day_waves, weigh
from csp_core.model import DualEncoder
from csp_core.store import load_model, save_model
from csp_core.store.checkpoint import count_parameters
from csp_core.training.setup import initialise

NAN = math.nan
UNET = {"name": "unet", "backbone": {"name": "small_convnet", "width": 8}, "width": 8}
MLP = {"name": "pixel_mlp", "width": 16}
CASES = {
    "attention": {"name": "over_dates", "backbone": UNET, "heads": 3},
    "mean": {"name": "over_dates", "backbone": UNET, "pool": "mean"},
    "pixels": {"name": "over_dates", "backbone": MLP},
    "cube": {"name": "unet3d", "dates": 8, "width": 4},
}
SHARED = [name for name in CASES if name != "cube"]


def series(n=2, dates=8, bands=3, height=20, width=24, seed=0):
    chance = torch.Generator().manual_seed(seed)
    image = torch.rand(n, dates, bands, height, width, generator=chance)
    return image, torch.rand(n, dates, generator=chance).sort(dim=1).values


def made(case, dim=5, **options):
    torch.manual_seed(1)
    encoder = make_image_encoder(dim=dim, **{**CASES[case], **options})
    # What is small at first would hide what is asked here.
    for name, values in encoder.named_parameters():
        if name.startswith("dated."):
            torch.nn.init.normal_(values, std=0.3)
    return encoder


SIDES = [
    *((case, side) for case in CASES for side in ((20, 24), (33, 18))),
    # A network of surroundings is not for single pixels.
    *((case, (1, 1)) for case in ("pixels", "cube")),
]


@pytest.mark.parametrize(("case", "side"), SIDES)
@pytest.mark.parametrize("training", [False, True])
def test_every_pixel_of_a_series_is_described(case, side, training):
    encoder = made(case).train(training)
    image, days = series(height=side[0], width=side[1])
    found = encoder.dense_maps(image, days)
    assert found.shape == (2, 5, *side) and found.isfinite().all()
    assert encoder.takes_series and encoder.dense and encoder.out_dim == 5
    assert encoder(image, days).shape == (2, 5)
    found.square().sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())
    encoder.eval()
    assert torch.equal(encoder(image, days), encoder.dense_maps(image, days).mean(dim=(2, 3)))
    assert encoder.dense_maps(image).shape == found.shape  # nothing known of days


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("training", [False, True])
def test_pixels_of_a_missing_date_change_nothing(case, training):
    encoder = made(case).train(training)
    image, days = series()
    days[0, 2] = days[0, 5] = days[1, 7] = NAN
    with torch.no_grad():
        found = encoder.dense_maps(image, days)
        other = image.clone()
        other[days.isnan()] = torch.tensor([NAN, 7.0, -3.0])[:, None, None]
        assert torch.equal(encoder.dense_maps(other, days), found)
        assert not torch.allclose(encoder.dense_maps(image, series()[1]), found, atol=1e-4)


@pytest.mark.parametrize("case", SHARED)
def test_filling_up_with_missing_dates_changes_nothing(case):
    encoder = made(case).eval()
    image, days = series(dates=5)
    filled = torch.cat((image, torch.full((2, 3, 3, 20, 24), 9.0)), dim=1)
    with torch.no_grad():
        longer = torch.cat((days, torch.full((2, 3), NAN)), dim=1)
        assert torch.equal(encoder.dense_maps(filled, longer), encoder.dense_maps(image, days))


@pytest.mark.parametrize("case", CASES)
def test_dates_in_another_order_give_the_same(case):
    encoder = made(case).eval()
    image, days = series()
    days[1, 3] = NAN
    order = torch.stack([torch.randperm(8, generator=torch.Generator().manual_seed(s)) for s in
                         (1, 2)])  # fmt: skip
    mixed = torch.stack([one[o] for one, o in zip(image, order, strict=True)])
    with torch.no_grad():
        found = encoder.dense_maps(mixed, days.gather(1, order))
        assert torch.equal(found, encoder.dense_maps(image, days))


@pytest.mark.parametrize("case", SHARED)
def test_one_date_works(case):
    encoder = made(case).eval()
    image, days = series(dates=1)
    with torch.no_grad():
        found = encoder.dense_maps(image, days)
        assert torch.equal(encoder.dense_maps(image[:, 0], days), found)
        assert torch.equal(encoder.dense_maps(image[:, 0], days[:, 0]), found)
        whole, some = series(dates=4)
        some[:, 1:] = NAN
        assert torch.equal(
            encoder.dense_maps(whole, some), encoder.dense_maps(whole[:, :1], some[:, :1])
        )


@pytest.mark.parametrize("case", CASES)
def test_the_day_matters_and_the_year_is_a_circle(case):
    encoder = made(case).eval()
    image, days = series()
    with torch.no_grad():
        found = encoder.dense_maps(image, days)
        assert (encoder.dense_maps(image, (days + 0.3) % 1) - found).abs().max() > 1e-5
    waves = day_waves(torch.tensor([0.0, 0.9999999, 0.5]))
    assert torch.allclose(waves[0], waves[1], atol=1e-5) and not torch.allclose(waves[0], waves[2])


@pytest.mark.parametrize("case", CASES)
def test_a_series_without_a_date_is_refused(case):
    encoder = made(case)
    image, days = series()
    days[1] = NAN
    with pytest.raises(ConfigError, match=r"1 of 2 series have no date at all.*number 1"):
        encoder.dense_maps(image, days)
    with pytest.raises(ConfigError, match="one day for each date"):
        encoder.dense_maps(image, days[:, :3])
    with pytest.raises(ConfigError, match=r"takes series \(N, T, 3"):
        encoder.dense_maps(image[:, :, :2])


def test_dates_of_the_3d_network_are_a_multiple_of_4():
    encoder = made("cube")
    for dates in (1, 6, 7):
        with pytest.raises(ConfigError, match=f"have {dates} dates.*a multiple of 4"):
            encoder.dense_maps(*series(dates=dates))
    with pytest.raises(ConfigError, match=r"made for 8: give model\.image\.dates: 12"):
        encoder.dense_maps(*series(dates=12))
    for dates in (0, 6, 1024):
        with pytest.raises(ConfigError, match="a multiple of 4"):
            made("cube", dates=dates)
    with pytest.raises(ConfigError, match=r"takes series \(N, T, 3"):
        encoder.dense_maps(torch.zeros(2, 3, 8, 8))


def test_the_3d_network_is_as_published():
    encoder = make_image_encoder("unet3d", None, bands=13, with_days=False)
    assert encoder.out_dim == 128
    sizes = {name: tuple(p.shape) for name, p in encoder.named_parameters() if p.ndim > 1}
    assert [shape[:2] for shape in sizes.values()] == [
        *[(64, 13), (64, 64), (128, 64), (128, 128)],
        *[(256, 128), (256, 256), (256, 128)],  # the last of these is transposed
        *[(128, 256), (128, 128), (128, 64), (128, 128), (128, 128), (128, 128), (1, 16)],
    ]
    # By hand: kernels of 27 numbers with biases, two numbers a normalised channel, 16 + 1 dates.
    assert count_parameters(encoder) == 7_215_633


def test_edges_of_the_3d_network_go_on_as_in_a_mirror():
    encoder = made("cube", with_days=False).eval()
    image, _ = series(height=6, width=7)
    mirrored = torch.nn.functional.pad(image, (0, 1, 0, 2, 0, 0), mode="reflect")
    with torch.no_grad():
        whole = encoder.dense_maps(mirrored)
        assert torch.equal(encoder.dense_maps(image), whole[..., :6, :7])


def test_weights_of_dates_by_hand():
    present = torch.tensor([[True, True, False], [True, False, False]])
    coarse = torch.rand(2, 3, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    mean = DateMean()(coarse, present)
    assert mean[:, :, 0, 0, 0].tolist() == [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]
    attention = DateAttention(4, 2).requires_grad_(False)
    weights = attention(coarse, present)
    assert torch.allclose(weights.sum(dim=1), torch.ones(2, 2, 2, 2)) and not weights[0, 2].any()
    key = attention.key.weight[:, :, 0, 0].reshape(2, 8, 4)
    bias = attention.key.bias.reshape(2, 8)
    score = [
        [sum(attention.query[h] * (key[h] @ coarse[0, t, :, 1, 0] + bias[h])) for t in (0, 1)]
        for h in (0, 1)
    ]
    want = torch.tensor(score).softmax(dim=1)
    assert torch.allclose(weights[0, :2, :, 1, 0].T, want, atol=1e-6)
    level = torch.rand(2, 3, 5, 4, 4)
    assert torch.allclose(weigh(level, mean)[0], level[0, :2].mean(dim=0))
    assert weigh(level, weights).shape == (2, 5, 4, 4)
    assert torch.allclose(weigh(torch.ones(2, 3, 5, 4, 4), weights), torch.ones(2, 5, 4, 4))


@pytest.mark.parametrize("case", CASES)
def test_a_model_of_series_comes_back(case, tmp_path):
    image, days = series()
    model = DualEncoder(made(case), None, dim=6, classes=("a", "b")).eval()
    model.image.fit_bands(image, days)
    again = load_model(save_model(model, tmp_path / "model"))
    assert torch.equal(again.image.dense_maps(image, days), model.image.dense_maps(image, days))
    assert again.image.spec == model.image.spec
    other = DualEncoder(make_image_encoder(dim=7, **CASES[case], weights=str(tmp_path / "model")),
                        None, dim=6, classes=("a", "b"))  # fmt: skip
    theirs = model.image.state_dict()
    same = [name for name, v in other.image.state_dict().items() if name not in theirs
            or (v.shape == theirs[name].shape and torch.equal(v, theirs[name]))]  # fmt: skip
    assert {name for name in theirs if name not in same} <= {
        f"{inside}project.{kind}" for inside in ("", "backbone.") for kind in ("weight", "bias")
    }


@pytest.mark.parametrize("way", ["weights", "init_from"])
@pytest.mark.parametrize("source", ["pooled", "dense"])
def test_it_starts_from_what_was_learned_of_single_dates(source, way, tmp_path):
    torch.manual_seed(3)
    options = UNET["backbone"] if source == "pooled" else UNET
    first = DualEncoder(make_image_encoder(dim=5, **options), None, dim=6, classes=("a", "b"))
    first.image.fit_bands(torch.rand(8, 3, 32, 32))
    folder = save_model(first.eval(), tmp_path / "first")
    named = {"weights": str(folder)} if way == "weights" else {}
    image = make_image_encoder(dim=5, **{**CASES["attention"], **named})
    model = DualEncoder(image, None, dim=6, classes=("a", "b"))
    if way == "init_from":
        initialise(model, str(folder))
    inner = image.backbone.backbone if source == "pooled" else image.backbone
    for name, tensor in first.image.state_dict().items():
        if not (source == "pooled" and name.startswith("project.")):
            assert torch.equal(inner.state_dict()[name], tensor), name
    if source == "dense":  # of one date it is at first what was learned before
        one = torch.rand(2, 3, 20, 20)
        want = first.image.dense_maps(one)
        assert torch.allclose(image.eval().dense_maps(one), want, atol=1e-6)


def test_days_are_heard_at_once_where_nothing_was_learned_before(tmp_path):
    torch.manual_seed(5)
    image, days = series()
    later = (days + 0.25) % 1
    model = DualEncoder(make_image_encoder(dim=5, **CASES["pixels"]), None, classes=("a", "b"))
    one = DualEncoder(make_image_encoder(dim=5, **MLP), None, classes=("a", "b"))
    for each in (model, one):
        each.image.fit_bands(torch.rand(8, 3, 32, 32))

    def heard():
        with torch.inference_mode():
            maps = [model.eval().image.dense_maps(image, when) for when in (days, later)]
        return float((maps[0] - maps[1]).abs().max())

    assert heard() > 1e-3
    initialise(model, str(save_model(one.eval(), tmp_path / "one")))
    assert heard() < 1e-5  # but for the order in which they are summed


def test_bands_of_series_are_measured_on_the_dates_that_there_are():
    image, days = series()
    days[0, 3:] = NAN
    image[0, 3:] = NAN
    valid = torch.ones(2, 20, 24, dtype=torch.bool)
    valid[1, :10] = False
    for case in CASES:
        encoder = made(case)
        encoder.fit_bands(image, days, valid)
        want = torch.cat((image[0, :3].movedim(1, 0).flatten(1),
                          image[1, :, :, 10:].movedim(1, 0).flatten(1)), dim=1)  # fmt: skip
        assert torch.allclose(encoder.mean.flatten(), want.mean(dim=1), atol=1e-5)
        assert torch.allclose(encoder.std.flatten(), want.std(dim=1, correction=0), atol=1e-5)


def test_series_of_single_pixels_are_learned():
    # Two classes that differ in when they are green, not in how green they become.
    chance = torch.Generator().manual_seed(4)
    days = torch.rand(256, 10, generator=chance)
    label = torch.arange(256) % 2
    peak = torch.where(label == 0, 0.35, 0.6)[:, None]
    green = torch.exp(-(((days - peak) / 0.12) ** 2))
    noise = 0.1 * torch.randn(256, 10, 2, generator=chance)
    image = (torch.stack((green, 1 - green), dim=2) + noise)[..., None, None]
    days[torch.rand(256, 10, generator=chance) < 0.3] = NAN
    days[:, 0] = days[:, 0].nan_to_num(0.5)
    torch.manual_seed(0)
    encoder = make_image_encoder("over_dates", 2, bands=2, backbone={"name": "pixel_mlp"})
    optimizer = torch.optim.Adam(encoder.parameters(), lr=3e-3)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(encoder(image[:192], days[:192]), label[:192])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    right = (encoder(image[192:], days[192:]).argmax(dim=1) == label[192:]).float().mean()
    assert right > 0.85


def test_options_that_do_not_fit():
    with pytest.raises(UnknownNameError, match="small_convnet"):
        make_image_encoder("over_dates", 4, backbone="small_convnet")
    with pytest.raises(ConfigError, match="'attention' or 'mean'"):
        make_image_encoder("over_dates", 4, pool="max")
    with pytest.raises(ConfigError, match="1 to 64"):
        make_image_encoder("over_dates", 4, heads=0)
    with pytest.raises(ConfigError, match="depth"):
        make_image_encoder("over_dates", 4, backbone={"name": "pixel_mlp", "depth": 40})
