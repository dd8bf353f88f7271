"""Windows, their blend, areas with their doubt, and what embeddings of pixels show."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from csp_core.errors import BadRecordError, ConfigError
from csp_core.inference.segment import (
    AreaSums,
    Windows,
    component_picture,
    count_windows,
    doubtful,
    embed_picture,
    entropy,
    like_places,
    likeness,
    make_windows,
    reading,
    segment,
    strips,
)
from csp_core.inference.segment.areas import BLOCK, SPREAD
from csp_core.inference.segment.suits import check_bands, misfits
from csp_core.inference.segment.windows import ramp
from csp_core.model import DualEncoder, Heads
from csp_core.store import load_model
from tests import scenes
from tests.dense import TinyDense

SIZES = [(300, 517, 128, 64), (100, 40, 128, 32), (33, 700, 64, 32), (1, 1, 64, 0),
         (512, 512, 512, 64), (600, 800, 256, 128), (95, 97, 96, 0),
         (50, 200, 128, 64)]  # fmt: skip


def conv_net():
    """Three by three pixels twice: what lies more than two pixels away changes nothing."""
    net = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 3, padding=1))
    return lambda image: net(image).softmax(dim=1).detach()


def whole(found, shape):
    """Put strips together; every pixel must be given once."""
    out, times = torch.zeros(shape), torch.zeros(shape[1:])
    for strip in found:
        high, wide = strip.valid.shape
        rows, columns = slice(strip.row, strip.row + high), slice(strip.column, strip.column + wide)
        out[:, rows, columns] = strip.values
        times[rows, columns] += 1
    assert bool((times == 1).all())
    return out


@pytest.mark.parametrize(("height", "width", "side", "overlap"), SIZES)
def test_weights_sum_to_one(height, width, side, overlap):
    windows = Windows(height, width, side, overlap)
    (high, wide), total = windows.size, torch.zeros(2000, 2000, dtype=torch.float64)
    assert high <= side and wide <= side and high % 32 == wide % 32 == 0
    for i, top in enumerate(windows.rows):
        for j, left in enumerate(windows.columns):
            down, right = windows.weights(i, j)
            total[top : top + high, left : left + wide] += down[:, None] * right
    assert float((total[:height, :width] - 1).abs().max()) < 1e-6


def test_the_ramp_is_a_cosine_squared_with_its_ends_cut():
    found = ramp(64).numpy()
    assert (found[:8] == 0).all() and (found[-8:] == 1).all()
    at = (np.arange(48) + 0.5) / 48
    assert np.allclose(found[8:-8], np.sin(at * math.pi / 2) ** 2)
    assert np.allclose(found + found[::-1], 1)


@pytest.mark.parametrize(("height", "width", "side", "overlap"), SIZES)
def test_no_seams(height, width, side, overlap):
    image, net = torch.rand(3, height, width), conv_net()
    windows = Windows(height, width, side, overlap)
    found = whole(strips(net, reading(image), windows, outputs=4, batch=3), (4, height, width))
    expected = net(image[None])[0]
    if overlap:
        # But for the last pixels, beyond which the network sees zeros or a mirror image.
        inside = (slice(None), slice(2, height - 2), slice(2, width - 2))
        torch.testing.assert_close(found[inside], expected[inside], rtol=0, atol=1e-6)
    assert torch.allclose(found.sum(dim=0), torch.ones(height, width), atol=1e-5)


def test_panels_and_parts_give_what_one_pass_gives(monkeypatch):
    image, net = torch.rand(3, 260, 700), conv_net()
    windows, counted = Windows(260, 700, 64, 32), []
    once = whole(strips(net, reading(image), windows, outputs=4), (4, 260, 700))
    monkeypatch.setattr("csp_core.inference.segment.blend.PANEL_BYTES", 4 * 64 * 64 * 4 * 5)
    again = whole(
        strips(net, reading(image), windows, outputs=4, progress=counted.append), (4, 260, 700)
    )
    assert sum(counted) == count_windows(windows, 4) > len(windows.rows) * len(windows.columns)
    parts = [
        strip
        for rows in (range(0, 3), range(3, 4), range(4, len(windows.rows)))
        for strip in strips(net, reading(image), windows, outputs=4, rows=rows)
    ]
    for other in (again, whole(parts, (4, 260, 700))):
        torch.testing.assert_close(other, once, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("side", "overlap", "says"),
    [(500, 64, "multiple of 32"), (0, 0, "multiple of 32"), (64, 48, "overlap of 48"),
     (64, 64, "at most half"), (64, -32, "overlap of -32")],
)  # fmt: skip
def test_windows_that_do_not_fit(side, overlap, says):
    with pytest.raises(ConfigError, match=says):
        Windows(100, 100, side, overlap)


def test_no_picture_has_no_pixels():
    with pytest.raises(ConfigError, match="0 × 5 pixels"):
        Windows(5, 0)


def test_no_data_has_no_class_and_costs_nothing():
    classes = scenes.blocks(200, 400)
    image = torch.from_numpy(scenes.colours(classes))
    valid = torch.ones(200, 400, dtype=torch.bool)
    valid[:, 150:] = False
    model = scenes.ColourModel()
    found = segment(model, image, valid=valid, window=64, overlap=0)
    assert model.asked == 4 * 3  # of 4 × 7 windows
    assert torch.equal(found.classes[:, :150], torch.from_numpy(classes)[:, :150])
    assert bool((found.classes[:, 150:] == -1).all()) and torch.equal(found.valid, valid)
    assert float(found.probs[:, :, 150:].abs().max()) == 0 and not bool(
        found.doubtful[:, 150:].any()
    )
    nothing = segment(model, image, valid=torch.zeros_like(valid))
    assert bool((nothing.classes == -1).all()) and nothing.probs.shape == (3, 200, 400)


def test_a_real_model_by_windows_and_at_once():
    image = (torch.rand(3, 70, 130) * 255).to(torch.uint8)
    encoder = TinyDense()
    encoder.takes_series, encoder.net[1] = False, nn.Identity()
    heads = Heads(image=None, classifiers=(), pixels=True)
    model = DualEncoder(encoder, None, dim=8, classes=scenes.NAMES, heads=heads).eval()
    found = segment(model, image, window=64, overlap=32)
    expected = model.pixel_prior(image[None])[0]
    inside = (slice(None), slice(2, 68), slice(2, 128))
    torch.testing.assert_close(found.probs[inside], expected[inside], rtol=0, atol=1e-5)
    vectors, valid, cell = embed_picture(model, image, side=65)
    assert vectors.shape == (8, 35, 65) and cell == 2 and bool(valid.all())
    mean = model.embed_pixels(image[None])[0].unflatten(1, (35, 2)).unflatten(3, (65, 2))
    inside = (slice(None), slice(1, -1), slice(1, -1))
    torch.testing.assert_close(vectors[inside], mean.mean(dim=(2, 4))[inside], rtol=0, atol=1e-4)


def test_series_are_asked_with_their_days():
    series = torch.from_numpy(
        np.stack([scenes.colours(scenes.blocks(64, 64), seed=i) for i in range(3)])
    )
    model, days = scenes.ColourModel(series=True), torch.tensor([0.1, float("nan"), 0.7])
    found = segment(model, series, days=days, window=32, overlap=0)
    assert torch.equal(found.classes, torch.from_numpy(scenes.blocks(64, 64)))
    assert model.days.shape == (2, 3) and torch.equal(model.days[1].isnan(), days.isnan())
    assert make_windows(model, 500, 500).side == 128
    assert torch.equal(segment(model, series[0]).classes, found.classes)
    with pytest.raises(BadRecordError, match=r"\(3, 3, 64, 64\); 'colours' takes \(C, H, W\)"):
        segment(scenes.ColourModel(), series)


def test_models_without_pixels():
    model = DualEncoder(TinyDense(), None, dim=8, classes=scenes.NAMES)
    for other in (model, object()):
        with pytest.raises(ConfigError, match="no classifier of pixels"):
            segment(other, torch.zeros(3, 8, 8))


# areas


def test_areas_by_hand():
    generator = torch.Generator().manual_seed(0)
    probs = torch.rand(3, 70, 50, generator=generator).softmax(dim=0)
    valid = torch.rand(70, 50, generator=generator) > 0.2
    size = torch.rand(70, 50, generator=generator, dtype=torch.float64)
    probs = probs * valid
    sums = AreaSums("abc", least=0.4)
    sums.add(probs, valid, size)
    p, ok, a = probs.double().numpy(), valid.numpy(), size.numpy()
    best, sure = p.argmax(axis=0), p.max(axis=0) >= np.float32(0.4)
    for k, area in enumerate(sums.results()):
        mine = ok & (best == k)
        assert area.pixels == mine.sum() and area.share == mine.sum() / ok.sum()
        assert area.counted == pytest.approx(a[mine].sum())
        assert area.doubtful == pytest.approx(a[mine & ~sure].sum())
        assert area.expected == pytest.approx((p[k] * a * ok).sum())
        variance = 0.0
        for top in range(0, 70, BLOCK):
            for left in range(0, 50, BLOCK):
                part = (slice(top, top + BLOCK), slice(left, left + BLOCK))
                variance += (np.sqrt(p[k][part] * (1 - p[k][part])) * (a * ok)[part]).sum() ** 2
        reach = SPREAD * math.sqrt(variance)
        assert area.high == pytest.approx(min((a * ok).sum(), area.expected + reach))
        assert area.low == pytest.approx(max(0, area.expected - reach))
    assert sum(area.counted for area in sums.results()) == pytest.approx(sums.total)


def test_areas_of_parts_are_those_of_the_whole():
    generator = torch.Generator().manual_seed(1)
    probs = torch.rand(3, 96, 64, generator=generator).softmax(dim=0)
    valid = torch.rand(96, 64, generator=generator) > 0.5
    once, parts = AreaSums("abc"), AreaSums("abc")
    once.add(probs * valid, valid)
    for rows in (slice(0, 64), slice(64, 96)):
        some = AreaSums("abc")
        some.add(probs[:, rows] * valid[rows], valid[rows])
        parts.merge(some)
    for one, other in zip(once.results(), parts.results(), strict=True):
        assert vars(one) == pytest.approx(vars(other))


def test_the_interval_holds_the_truth_nine_times_in_ten():
    # Blocks of one class each, drawn by the probabilities that a calibrated model gives.
    draws, inside = np.random.default_rng(0), 0
    for _ in range(200):
        p = draws.uniform(0.05, 0.95, (6, 6))
        truth = (draws.uniform(size=p.shape) < p).sum() * BLOCK**2
        probs = torch.from_numpy(np.stack((p, 1 - p))).float()
        probs = probs.repeat_interleave(BLOCK, 1).repeat_interleave(BLOCK, 2)
        sums = AreaSums("ab")
        sums.add(probs, torch.ones(probs.shape[1:], dtype=torch.bool))
        area = sums.results()[0]
        inside += area.low <= truth <= area.high
    assert 0.85 < inside / 200 < 0.95


def test_without_any_data_nothing_is_covered():
    sums = AreaSums("ab")
    sums.add(torch.zeros(2, 5, 5), torch.zeros(5, 5, dtype=torch.bool))
    assert all(area.pixels == area.share == area.high == 0 for area in sums.results())


def test_doubt():
    probs = torch.tensor([[0.5, 0.4, 1.0], [0.5, 0.3, 0.0], [0.0, 0.3, 0.0]])
    assert doubtful(probs).tolist() == [False, True, False]
    assert entropy(probs).tolist() == pytest.approx(
        [math.log(2) / math.log(3), 0.99107, 0], abs=1e-4
    )
    for least in (0, 1.5, math.nan):
        with pytest.raises(ConfigError, match="least probability"):
            AreaSums("ab", least=least)


# likeness


def test_components_are_those_of_a_singular_value_decomposition():
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(6, 20, 30, generator=generator) * torch.arange(1, 7)[:, None, None]
    valid = torch.rand(20, 30, generator=generator) > 0.1
    picture = component_picture(vectors, valid)
    known = vectors[:, valid].T.double().numpy()
    known -= known.mean(axis=0)
    axes = np.linalg.svd(known, full_matrices=False)[2][:3]
    axes *= np.sign(axes[range(3), np.abs(axes).argmax(axis=1)])[:, None]
    values = known @ axes.T
    levels = ((values / values.std(axis=0) / 2).clip(-1, 1) + 1) * 127.5
    assert np.abs(picture[:, valid].T.numpy() - levels).max() <= 0.501
    assert bool((picture[:, ~valid] == 0).all())


def test_components_of_little():
    assert component_picture(torch.zeros(2, 3, 3), torch.zeros(3, 3, dtype=torch.bool)).sum() == 0
    flat = component_picture(torch.ones(2, 3, 3), torch.ones(3, 3, dtype=torch.bool))
    assert flat.shape == (3, 3, 3) and int(flat[2].max()) == 0


def test_like_places():
    vectors, valid = torch.zeros(2, 20, 40), torch.ones(20, 40, dtype=torch.bool)
    vectors[0] = 1
    for row, column in ((5, 5), (5, 30), (15, 20)):
        vectors[:, row, column] = torch.tensor([-20.0, 1.0 + row / 100])
    valid[15, 20] = False
    found = like_places(vectors, valid, 5, 5, count=2, apart=4)
    assert (found[0].row, found[0].column) == (5, 30) and found[0].likeness > 0.999
    assert found[1].likeness < 0
    values = likeness(vectors, valid, 5, 5)
    assert values[5, 5] == pytest.approx(1) and values[15, 20] == 0
    assert len(like_places(vectors, valid, 5, 5, count=50, apart=15)) < 10
    for row, column in ((15, 20), (20, 0), (0, -1)):
        with pytest.raises(BadRecordError, match="holds no data; give a place"):
            like_places(vectors, valid, row, column)


# what a picture is for


def test_bands():
    model = scenes.ColourModel()
    check_bands(model, 3)
    with pytest.raises(
        BadRecordError, match=r"a\.tif: .* one band, .* takes 3 \(red, green, blue\)"
    ):
        check_bands(model, 1, "a.tif")


def test_pictures_that_a_model_is_not_for():
    model = scenes.ColourModel()
    image = torch.from_numpy(scenes.colours(scenes.blocks(96, 96)))
    valid = torch.ones(96, 96, dtype=torch.bool)
    assert misfits(model, image, valid, metres=10.0, learned_metres=9.0) == ()
    (size,) = misfits(model, image, valid, metres=30.2, learned_metres=10.0)
    assert "is 30 m wide on the ground" in size and "are 10 m" in size
    # Of 16 bits, read as reflectance, values up to 255 are as good as black.
    dark = misfits(model, image.to(torch.int16), valid)
    assert len(dark) == 3 and "The green of this picture is far darker than in" in dark[1]
    assert "hardly differs from pixel to pixel, unlike in" in dark[0]
    bright = misfits(model, torch.full((3, 9, 9), 255, dtype=torch.uint8), valid[:9, :9])
    assert "far brighter" in bright[1] and "its mean is 1" in bright[1]
    assert misfits(model, image, torch.zeros_like(valid)) == ()
    assert misfits(object(), image, valid) == ()


def test_noise_of_right_means_is_no_ground():
    model = load_model("korea_landuse")
    mean, std = model.image.mean.flatten(), model.image.std.flatten()
    draws = torch.Generator().manual_seed(0)
    noise = mean[:, None, None] + std[:, None, None] * torch.randn(3, 200, 130, generator=draws)
    valid = torch.ones(200, 130, dtype=torch.bool)
    (told,) = misfits(model, noise.clamp(0, 1), valid)
    assert told.startswith("6 of 6 squares of 64 × 64 pixels") and "a guess; of the first: " in told
    # A square without all its data, or a picture smaller than one, is not judged.
    valid[:150] = False
    assert misfits(model, noise.clamp(0, 1), valid) == ()
    assert misfits(model, noise[:, :60].clamp(0, 1), torch.ones(60, 130, dtype=torch.bool)) == ()
