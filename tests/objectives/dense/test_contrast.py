"""Dense contrast: what it compares, what it remembers, and that it learns where things are."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from csp_core import losses
from csp_core.augment.dense import Views, match_cells
from csp_core.config import parse_config
from csp_core.errors import ConfigError
from csp_core.files import load_tensors
from csp_core.image import make_image_encoder
from csp_core.model import DualEncoder
from csp_core.objectives import BatchRandom, make_objective
from csp_core.objectives.dense.checks import check_pixels
from csp_core.objectives.dense.parts import CellQueue, momentum_at
from csp_core.runs import RunDir
from csp_core.training import train
from tests import dense, small
from tests.dense import TinyDense
from tests.processes import run_two

DATA = small.pictures(side=24)
OPTIONS = {"points": 16, "head_dim": 8}


@pytest.fixture(scope="module", autouse=True)
def maps_in_the_table():
    with dense.in_the_tables():
        yield


def make(encoder=None, data=DATA, **options):
    torch.manual_seed(0)
    model = DualEncoder(TinyDense(8) if encoder is None else encoder, None, dim=8)
    made = make_objective("dense_contrast", model, **{**OPTIONS, **options})
    made.fit(data)
    for part in made.resting():
        part.requires_grad_(False)
    return made.train()


def source(seed=7, total=8):
    return BatchRandom(torch.Generator().manual_seed(seed), 0, total, total)


def batch(rows=8):
    return DATA.__getitems__(list(range(rows)))


def step(made, number, given=None, optimizer=None):
    given = batch() if given is None else given
    found = made(made.draw(given, source(number, len(given["lonlat"]))))
    found["loss"].backward()
    if optimizer is not None:
        optimizer.step()
        optimizer.zero_grad()
    made.finish_step(number)
    return found


@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize("negatives", ["image", "batch"])
def test_the_loss_is_the_formula_on_the_cells_where_views_meet(stride, negatives):
    made = make(TinyDense(8, stride=stride), negatives=negatives, radius=1.5, temperature=0.2)
    drawn = made.draw(batch(), source())
    assert drawn["cells"].shape == (8, 16, 2)
    rows = {"a": [], "b": [], "image": [], "position": []}
    maps = [made.model.image.dense_maps(drawn[name]).flatten(2) for name in ("image", "view")]
    for number, cells in enumerate(drawn["cells"]):
        for at, (a, b) in enumerate(cells.tolist()):
            if a >= 0:
                rows["a"].append(maps[0][number, :, a])
                rows["b"].append(maps[1][number, :, b])
                rows["image"].append(torch.tensor(number))
                rows["position"].append(drawn["position"][number, at])
    a, b, image, position = (torch.stack(some) for some in rows.values())
    first, second = made.head(torch.cat((a, b))).split(len(a))
    want = losses.dense_info_nce(
        first, second, image, position, temperature=0.2, radius=1.5, negatives=negatives
    )
    found = made(drawn)
    torch.testing.assert_close(found["loss"], want)
    assert found["met"].item() == pytest.approx(len(a) / (8 * 16))


def test_what_is_matched_is_the_same_ground():
    along = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
    still = {"gain": 0.0, "offset": 0.0, "noise": 0.0, "clouds": 0.0, "blur": 0.0}
    made = make(TinyDense(8, bands=2), views=still, data=replace(
        DATA, image=torch.stack(along).expand(len(DATA), -1, -1, -1)))  # fmt: skip
    drawn = made.draw({**batch(), "image": torch.stack(along).expand(8, -1, -1, -1)}, source())
    for number, cells in enumerate(drawn["cells"]):
        a, b = cells[cells[:, 0] >= 0].T
        first = drawn["image"][number].flatten(1)[:, a]
        apart = first - drawn["view"][number].flatten(1)[:, b]
        assert apart.norm(dim=0).max() < 1
        torch.testing.assert_close(
            drawn["position"][number][cells[:, 0] >= 0].clamp(0, 23), first.T, atol=1e-3, rtol=0
        )


def test_images_that_may_overlap_are_no_negatives_of_each_other():
    here = {**batch(), "lonlat": torch.tensor([[9.0, 50.0]]).expand(8, -1).clone()}
    found = {}
    for km in (0.0, 1.0):
        for negatives in ("image", "batch", "queue"):
            made = make(apart_km=km, negatives=negatives, queue_size=64)
            step(made, 0, here)
            found[km, negatives] = made(made.draw(here, source(1)))["loss"].item()
    # All images lie at one place, so each is left with its own cells.
    assert found[1.0, "batch"] == pytest.approx(found[1.0, "image"], rel=1e-5)
    assert found[1.0, "queue"] == pytest.approx(found[1.0, "image"], rel=1e-5)
    assert found[0.0, "queue"] > found[0.0, "batch"] > found[0.0, "image"]
    made = make(apart_km=1.0)
    nowhere = {**here, "lonlat": here["lonlat"] * torch.nan}
    loss = made(made.draw(nowhere, source(1)))["loss"].item()
    assert loss == pytest.approx(make()(make().draw(here, source(1)))["loss"].item())


def test_a_queue_overwrites_its_oldest():
    queue = CellQueue(5, 2)
    assert [len(part) for part in queue.known()] == [0, 0]
    number = 0.0
    for count in (2, 2, 3, 7, 1):
        rows = torch.arange(number, number + count)[:, None].expand(-1, 2)
        number += count
        queue.push(rows, torch.where(rows % 2 == 0, rows, torch.nan))
        held = sorted(queue.known()[0][:, 0].tolist())
        assert held == [float(n) for n in range(max(0, int(number) - 5), int(number))]
        rows, places = queue.known()
        assert torch.equal(places[:, 0].isnan(), rows[:, 0] % 2 == 1)


def test_the_queue_holds_the_keys_of_the_steps_before():
    made = make(negatives="queue", queue_size=100, target="ema")
    drawn = made.draw(batch(), source(0))
    with torch.no_grad():
        made(drawn)
        maps = made.target.image.dense_maps(torch.cat((drawn["image"], drawn["view"]))).flatten(2)
        pick = [maps[at].T[drawn["cells"][at % 8, :, at // 8].clamp_min(0)] for at in range(16)]
        there = (drawn["cells"][..., 0] >= 0).flatten()
        first, second = torch.cat(pick[:8])[there], torch.cat(pick[8:])[there]
        want = made.target.head(torch.cat((first, second)))[len(first) :]
    made.finish_step(0)
    rows = made.queue.known()[0]
    assert int(made.queue.held) == min(100, len(want))
    want = torch.nn.functional.normalize(want, dim=1)[-100:]
    together = torch.cdist(rows, want, compute_mode="donot_use_mm_for_euclid_dist")
    assert together.amin(dim=0).max() < 1e-5 and together.amin(dim=1).max() < 1e-5


def test_the_slow_copy_follows_by_its_momentum_and_comes_to_rest():
    assert momentum_at(0, 0, 0.9) == momentum_at(0, 10, 0.9) == pytest.approx(0.9)
    assert momentum_at(10, 10, 0.9) == momentum_at(99, 10, 0.9) == pytest.approx(1.0)
    made = make(target="ema", momentum=0.9)
    made.plan_steps(100)
    before = copy.deepcopy(made.target.state_dict())
    step(made, 50, optimizer=torch.optim.SGD(made.parameters(), lr=1.0))
    now = {f"image.{k}": v for k, v in made.model.image.state_dict().items()}
    now |= {f"head.{k}": v for k, v in made.head.state_dict().items()}
    for name, held in made.target.state_dict().items():
        torch.testing.assert_close(held, 0.95 * before[name] + 0.05 * now[name])
        assert not torch.equal(held, before[name]) or torch.equal(now[name], before[name])
    assert all(weight.grad is None for weight in made.target.parameters())
    assert not made.target.training


@pytest.mark.parametrize("target", ["shared", "ema"])
def test_without_negatives_a_predictor_learns_what_the_other_view_says(target):
    made = make(loss="cosine", target=target)
    optimizer = torch.optim.Adam([w for w in made.parameters() if w.requires_grad], lr=0.003)
    first = step(made, 0, optimizer=optimizer)["loss"].item()
    for number in range(1, 30):
        step(made, number, optimizer=optimizer)
    made.eval()
    last = made(made.draw(batch(), source(99)))["loss"].item()
    assert -1 <= last < first - 0.3


def test_whole_images_are_told_apart_too():
    made = make(image_weight=0.5)
    drawn = made.draw(batch(), source())
    found, plain = made(drawn), make()(drawn)
    assert found["loss"].item() == pytest.approx(plain["loss"].item() + 0.5 * found["whole"].item())
    with torch.no_grad():
        maps = made.model.image.dense_maps(torch.cat((drawn["image"], drawn["view"])))
        views = torch.nn.functional.normalize(made.whole_head(maps.mean(dim=(2, 3))), dim=1)
        cosines = (views @ views.T / made.temperature).fill_diagonal_(-torch.inf)
        want = -cosines.log_softmax(dim=1)[torch.arange(16), torch.arange(16).roll(8)].mean()
    torch.testing.assert_close(found["whole"], want)


def test_where_no_cells_meet_nothing_is_learned_and_nothing_fails():
    nothing = {**batch(), "valid": torch.zeros(8, 24, 24, dtype=torch.bool)}
    for options in ({}, {"target": "ema", "negatives": "queue", "image_weight": 0.5}):
        made = make(**options)
        found = step(made, 0, nothing)
        assert found["loss"].item() == 0 and found["met"].item() == 0
        weights = [w for w in made.parameters() if w.requires_grad]
        assert all(w.grad is not None and not w.grad.any() for w in weights)
        full = {**nothing, "valid": torch.ones(8, 24, 24, dtype=torch.bool)}
        made.eval()
        keys = [set(made(made.draw(some, source()))) for some in (nothing, full)]
        assert keys[0] == keys[1]


def test_evaluation_compares_in_groups_as_large_as_the_batches_of_training():
    made = make()
    made.stream(DATA, 4)
    made.eval()
    drawn = made.draw(batch(10), source(total=10))
    whole = made(drawn)
    for name in ("loss", "recall", "met"):
        parts = [
            made({key: value[at : at + 4] for key, value in drawn.items()})[name] * number
            for at, number in ((0, 4), (4, 4), (8, 2))
        ]
        torch.testing.assert_close(whole[name], torch.stack(parts).sum() / 10)


def test_series_are_compared_across_their_dates():
    dates = torch.linspace(0, 0.9, 8).expand(len(DATA), -1).clone()
    dates[::2, 6:] = torch.nan
    image = DATA.image[:, None] + 0.1 * torch.randn(len(DATA), 8, 3, 1, 1)

    class Series:
        name = "series"
        labels = None

        def __getitem__(self, index):
            return {**DATA[index], "image": image[index], "days": dates[index]}

    given = {**batch(), "image": image[:8], "days": dates[:8]}
    made = make(TinyDense(8), data=Series(), views={"dates": [3]})
    drawn = made.draw(given, source())
    assert drawn["image"].shape[1] == drawn["view_days"].shape[1] == 3
    assert not (drawn["days"][:, :, None] == drawn["view_days"][:, None]).any()
    first = step(made, 0, given)["loss"]
    assert first.isfinite() and first > 0
    of_one_date = TinyDense(8)
    of_one_date.takes_series = False
    with pytest.raises(ConfigError, match="series of dates, and the image encoder takes one date"):
        make(of_one_date, data=Series())


U_NET = {"backbone": {"name": "small_convnet", "width": 8}, "width": 8}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("unet", U_NET),
        ("pixel_mlp", {}),
        ("over_dates", {"backbone": {"name": "unet", **U_NET}}),
        ("over_dates", {"backbone": {"name": "unet", **U_NET}, "pool": "mean"}),
        ("unet3d", {"dates": 4, "width": 8}),
    ],
)
def test_every_encoder_of_pixels_can_be_contrasted(name, options):
    encoder = make_image_encoder(name, 8, **options)
    given, data = batch(), DATA
    if encoder.takes_series:
        generator = torch.Generator().manual_seed(0)
        image = given["image"][:, None] * torch.rand(8, 9, 1, 1, 1, generator=generator)
        days = torch.linspace(0, 0.9, 9).expand(8, -1).clone()
        days[0, 6:] = torch.nan
        given = {**given, "image": image, "days": days}
        data = [given | {"image": image[0]}]
    torch.manual_seed(0)
    model = DualEncoder(encoder, None, dim=8)
    made = make_objective("dense_contrast", model, **OPTIONS, target="ema").train()
    check_pixels("dense_contrast", encoder, data if encoder.takes_series else DATA)
    drawn = made.draw(given, source())
    if encoder.takes_series:
        assert drawn["image"].shape[1] == drawn["view"].shape[1] == 4
    found = made(drawn)
    found["loss"].backward()
    assert found["loss"].isfinite() and found["met"] > 0.9
    weights = [w for w in encoder.parameters() if w.requires_grad]
    assert sum(w.grad is not None and bool(w.grad.any()) for w in weights) > len(weights) / 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"negatives": "all"}, "negatives is 'all'"),
        ({"target": "frozen"}, "target 'frozen'"),
        ({"loss": "mse"}, "loss 'mse'"),
        ({"loss": "cosine", "negatives": "queue"}, "'cosine', which has no negatives: leave"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"momentum": 1.0}, "momentum 1.0"),
        ({"points": 0}, "points 0"),
        ({"radius": -1.0}, "-1.0, 0.0, 0.0; give at least 0"),
        ({"queue_size": 0, "negatives": "queue"}, "queue_size is 0"),
        ({"views": {"zooms": 2}}, "views 'dense_contrast' has no option|no option 'zooms'"),
        ({"views": {"blur": 2.0}}, "give shares"),
    ],
)
def test_options_out_of_range(options, says):
    with pytest.raises(ConfigError, match=says):
        make(**options)


def test_what_gives_no_cells_is_refused():
    with pytest.raises(ConfigError, match=r"SmallConvnet, .* give an encoder of pixels, such as"):
        make(make_image_encoder("small_convnet", 8, width=8))
    with pytest.raises(ConfigError, match="no image encoder"):
        make_objective("dense_contrast", DualEncoder(None, None, dim=8))
    with pytest.raises(ConfigError, match="has no images"):
        make(data=replace(DATA, image=None))
    with pytest.raises(ConfigError, match="features in the place of images"):
        make(data=replace(DATA, image=DATA.image.flatten(1)))
    wrong = TinyDense(8, stride=4)
    wrong.stride = 2
    made = make(wrong)
    with pytest.raises(ConfigError, match=r"\(., .\) cells where its stride, 2, makes"):
        made(made.draw(batch(), source()))


def test_a_batch_of_one_cell_is_refused():
    with pytest.raises(ConfigError, match=r"1 image\(s\) with 1 point\(s\) each, which leaves"):
        make(points=1).stream(DATA, 1)
    with pytest.raises(ConfigError, match=r"raise training.batch_size"):
        make(image_weight=1.0).stream(DATA, 1)
    assert make().stream(DATA, 1).batch_size == 1
    assert step(make(), 0, batch(1))["loss"].isfinite()


def retrieval(encoder, images, seed=1):
    """Give how often the match of a cell is the nearest of 64 of the other view, by its map."""
    pair = Views(crop=(16, 16)).pair(images, source(seed, len(images)))
    chance = source(seed + 1, len(images)).uniform(16 * 16)
    first, second = pair
    cells = match_cells(first.coordinates, second.coordinates, chance, points=64)
    cells = cells[(cells[..., 0] >= 0).all(dim=1)]
    with torch.no_grad():
        maps = [encoder.dense_maps(view.image).flatten(2) for view in pair]
    hits = []
    for number, found in enumerate(cells):
        a, b = (maps[side][number][:, found[:, side]].T for side in (0, 1))
        hits.append(losses.similarities(a - a.mean(0), b - b.mean(0)).argmax(dim=1))
    return (torch.stack(hits) == torch.arange(64)).float().mean().item()


def test_cells_come_to_know_where_they_are():
    generator = torch.Generator().manual_seed(4)
    coarse = torch.rand(160, 3, 6, 6, generator=generator)
    image = torch.nn.functional.interpolate(coarse, size=24, mode="bicubic").clamp(0, 1)
    views = {"crop": [16, 16], "zoom": [1.0, 1.0], "shift": 0.25}
    made = make(TinyDense(16), points=32, head_dim=32, views=views)
    before = retrieval(made.model.image, image[128:])
    optimizer = torch.optim.Adam(made.parameters(), lr=0.005)
    lonlat = torch.zeros(16, 2)
    for number in range(120):
        rows = torch.randint(0, 128, (16,), generator=generator)
        given = {"image": image[rows], "lonlat": lonlat}
        step(made, number, given, optimizer)
    after = retrieval(made.model.image.eval(), image[128:])
    # Chance is one in 64.
    assert before < 0.2 and after > 0.35, (before, after)


SCRIPT = """
import sys
from csp_core.config import load_config
from csp_core.training import train
from tests.dense import in_the_tables

with in_the_tables():
    train(load_config(sys.argv[1]), run_dir=sys.argv[2])
"""


@pytest.mark.parametrize("loss", ["infonce", "cosine"])
def test_two_processes_equal_one(tmp_path, loss):
    queue = {"negatives": "queue", "queue_size": 300} if loss == "infonce" else {}
    one = parse_config(
        {
            "data": {"name": "demo", "size": 96, "images": True, "val_fraction": 0.2},
            "model": {"dim": 8, "location": None, "image": {"name": "tiny_dense", "dim": 8}},
            "objective": {"name": "dense_contrast", **OPTIONS, **queue, "loss": loss,
                          "target": "ema", "image_weight": 0.5,
                          "apart_km": 50.0, "views": {"crop": [16, 24]}},
            "training": {"epochs": 2, "batch_size": 16, "device": "cpu", "threads": 1},
        }
    )  # fmt: skip
    (tmp_path / "config.yaml").write_text(one.to_yaml())
    (tmp_path / "script.py").write_text(SCRIPT)
    history = train(one, run_dir=tmp_path / "one").history
    run_two(tmp_path / "script.py", tmp_path / "config.yaml", tmp_path / "two")
    for a, b in zip(history, RunDir(tmp_path / "two").read_metrics(), strict=True):
        for key in ("loss", "val_objective", "val_met", "val_whole"):
            assert b[key] == pytest.approx(a[key], rel=1e-4, abs=1e-6), key
    found, want = (
        load_tensors(max(RunDir(tmp_path / run).checkpoints.glob("*/state.safetensors")))
        for run in ("two", "one")
    )
    assert set(found) == set(want)
    assert int(want["objective/queue.held"]) == 300 if queue else "objective/queue.held" not in want
    for name, value in want.items():
        if name.startswith("objective/"):
            torch.testing.assert_close(found[name], value, atol=1e-4, rtol=1e-3, msg=name)
