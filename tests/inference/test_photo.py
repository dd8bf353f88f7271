"""Pictures and places end to end: pre-trained, tuned, calibrated, kept, asked."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from csp_core import geo
from csp_core.calibrate import fit_place_weight
from csp_core.cli.models import part_of_year
from csp_core.config import parse_config
from csp_core.data import load_dataset
from csp_core.data.leaks import check_apart
from csp_core.errors import BadRecordError, CheckpointError, ConfigError
from csp_core.evaluation import answer, evaluate, evaluate_images, fit_calibration, score
from csp_core.files import read_json
from csp_core.image import make_image_encoder
from csp_core.image.stats import ImageStats, _compared
from csp_core.inference import (
    RankedAnswer,
    Terms,
    answer_photo,
    image_fits,
    location_prior,
    posterior,
    prior_around,
)
from csp_core.inference.photo import bring
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder
from csp_core.raster import winning_map
from csp_core.store import load_model, save_model
from csp_core.store.introduction import read_introduction
from csp_core.training import train
from csp_core.training.card import write_card
from csp_core.training.unseen import check_unseen
from tests import photo_model

NAN = float("nan")
ROOT = Path(__file__).resolve().parents[2]
PRETRAIN = {"objective": {"name": "csp_mc", "augmentation": "weak"}, "training.epochs": 1}
ANSWERS = {"image", "place", "image+place"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two stages; not to be written to."""
    return photo_model.run(tmp_path_factory.mktemp("photo") / "look", pretrain=PRETRAIN)


@pytest.fixture
def model(run):
    return load_model(run)


def records(split="val", **options):
    settings = {k: v for k, v in photo_model.SMALL["data"].items() if k != "name"}
    return load_dataset("demo", split, **settings, **options)


@pytest.fixture(scope="module")
def held_out():
    return records()


# One run, two stages


def test_one_command_pretrains_and_tunes(run, model, held_out):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row.get("stage") for row in rows] == ["pre-training", None, None, None]
    first = load_model(run / "pretrained" / "model")
    assert first.classifier is None and first.image_classifier is None
    assert not len(first.classes)
    metrics = read_json(run / "model" / "metrics.json")
    assert set(metrics) == {"val", "test", "sets"}
    assert all(set(metrics[split]) == ANSWERS for split in ("val", "test"))
    assert set(metrics["sets"]) == ANSWERS | {f"test, {name}" for name in ANSWERS}
    assert metrics["sets"]["test, image"]["n"] == metrics["test"]["image"]["n"]
    for name, values in evaluate_images(model, held_out).items():
        assert values.to_dict() == pytest.approx(metrics["val"][name], rel=1e-4)
    assert model.image_stats.size.tolist() == [64, 64]


def test_the_card_tells_of_all_answers(run):
    card = (run / "model" / "README.md").read_text()
    assert "| val, image |" in card and "| test, image+place |" in card
    assert "to the power" in card and "| by | held the truth" in card
    assert "and on the test" in card and "| test, image |" in card


def test_the_second_stage_starts_from_the_first(run):
    config = photo_model.config(pretrain=PRETRAIN, training={"learning_rate": 1e-12, "epochs": 1})
    folder = run.parent / "still"
    train(config, run_dir=folder)
    before, after = load_model(folder / "pretrained" / "model"), load_model(folder)
    for side in ("image.net", "image.project", "location"):
        own = after.get_submodule(side).state_dict()
        for key, value in before.get_submodule(side).state_dict().items():
            if not key.endswith(("running_mean", "running_var", "num_batches_tracked")):
                torch.testing.assert_close(own[key], value, atol=1e-8, rtol=0)


def test_what_was_fitted_is_kept(model, tmp_path):
    again = load_model(save_model(model, tmp_path / "again"))
    assert again.calibration == model.calibration
    image = torch.rand(2, 3, 64, 64)
    assert torch.equal(again.image_prior(image), model.image_prior(image))
    fitted = read_json(tmp_path / "again" / "calibration.json")
    (tmp_path / "again" / "calibration.json").write_text(json.dumps(fitted | {"place_weight": -1}))
    with pytest.raises(CheckpointError, match="place_weight"):
        load_model(tmp_path / "again")


def test_a_model_of_images_alone_is_kept_too(tmp_path):
    objective = {"name": "image_softmax", "sides": ["image"], "augmentation": None}
    alone = photo_model.run(tmp_path / "alone", objective=objective, training={"epochs": 1})
    model, data = load_model(alone), records()
    assert model.classifier is None
    assert evaluate(model, data) == evaluate(model, data, prior=False)
    assert "top1" in read_json(alone / "model" / "metrics.json")["val"]
    found = answer_photo(model, data.image[0], lonlat=(10.0, 50.0))
    assert torch.equal(found.probs, found.image_probs)


# Evaluation


def test_prior_false_is_the_image_alone(model, held_out):
    answers = answer(model, score(model, held_out))
    share, label = answers["image"]
    assert evaluate(model, held_out, prior=False).top1 == pytest.approx(
        (share.argmax(1) == label).double().mean().item()
    )
    prior = location_prior(model, held_out.lonlat, date=held_out.date)
    weight = model.calibration.place_weight
    frequency = model.classes.frequency() if model.calibration.divide_frequency else None
    want = posterior(model.image_prior(held_out.image), prior, weight=weight,
                     class_frequency=frequency)  # fmt: skip
    torch.testing.assert_close(answers["image+place"][0], want, atol=1e-5, rtol=1e-4)


def test_records_without_a_place_keep_the_image_s_answer(model, held_out):
    lonlat = held_out.lonlat.clone()
    lonlat[::2] = NAN
    answers = answer(model, score(model, replace(held_out, lonlat=lonlat)))
    (image, _), (both, _) = answers["image"], answers["image+place"]
    torch.testing.assert_close(both[::2], image[::2])
    assert not torch.allclose(both[1::2], image[1::2])
    assert len(answers["place"][0]) == len(lonlat) // 2
    nowhere = replace(held_out, lonlat=torch.full_like(lonlat, NAN))
    assert set(evaluate_images(model, nowhere)) == {"image", "image+place"}
    fit_calibration(model, score(model, nowhere))
    assert model.calibration.place_weight == 1.0 and not model.calibration.divide_frequency


def test_records_without_images_are_asked_by_place(model, held_out):
    bare = replace(held_out, image=None)
    prior = location_prior(model, bare.lonlat, date=bare.date)
    right = (prior.argmax(1) == bare.label).double().mean().item()
    assert evaluate(model, bare).top1 == pytest.approx(right)


def test_the_weight_that_is_fitted_is_the_best():
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(4, (3000,), generator=generator)
    frequency = torch.tensor([0.55, 0.25, 0.15, 0.05])

    def side(strength):
        noise = torch.randn(3000, 4, generator=generator)
        hot = torch.nn.functional.one_hot(label, 4)
        # What a Gaussian with this mean says of its class, under even classes.
        return strength * (strength * hot + noise)

    image, place = side(1.0).softmax(1), side(0.7).softmax(1)
    found = fit_place_weight(image, place, label, torch.full((4,), 0.25))
    assert found.weight == pytest.approx(1.0, abs=0.1) and not found.divide_frequency
    # Both sides know the frequency: it is counted twice unless it is divided by once.
    uneven = torch.multinomial(frequency, 3000, replacement=True, generator=generator)
    label = uneven
    both = [(side(s).softmax(1) * frequency) for s in (1.0, 0.7)]
    both = [share / share.sum(1, keepdim=True) for share in both]
    found = fit_place_weight(*both, label, frequency)
    assert found.weight == pytest.approx(1.0, abs=0.15) and found.divide_frequency
    nothing = fit_place_weight(both[0][:0], both[1][:0], label[:0], frequency)
    assert nothing.weight == 1.0 and math.isnan(nothing.log_loss)


# One picture


def test_the_terms_sum_up_to_the_answer(model, held_out):
    lon, lat = held_out.lonlat[0].tolist()
    found = answer_photo(model, held_out.image[0], lonlat=(lon, lat), date=0.3)
    for line in found.combined:
        odds = line.log_odds
        assert odds.image + odds.place + odds.season == pytest.approx(
            math.log(line.value / (1 - line.value)), abs=1e-3
        )
        assert line.reason.startswith(line.taxon) or line.taxon in line.reason
    assert [line.rank for line in found.image_only] == list(range(1, 25))
    assert any(line.log_odds.season for line in found.combined)
    assert 1 <= found.set_size <= 24 and 1 <= found.image_set_size <= 24


@pytest.mark.parametrize(
    ("rank", "was", "place", "season", "end"),
    [
        (2, 5, -0.34, 0.0, "against it, 1.4 : 1, less than against others."),
        (5, 2, 0.34, 0.0, "for it, 1.4 : 1, less than for others."),
        (5, 2, -0.34, 0.0, "against it, 1.4 : 1."),
        (2, 5, 0.34, 0.0, "for it, 1.4 : 1."),
        (2, 2, -0.34, 0.0, "against it, 1.4 : 1."),
        (2, 5, -1.0, 0.34, "for it, 1.4 : 1, in all less than against others."),
        (2, 5, 1.0, -0.34, "against it, 1.4 : 1."),
    ],
)
def test_a_move_against_what_the_place_says_is_explained(rank, was, place, season, end):
    line = RankedAnswer(rank, "Aus bus", "", 0.1, was, 0.1, Terms(0.0, place, season))
    assert line.reason.startswith("Aus bus: the place speaks ") and line.reason.endswith(end)


@pytest.mark.parametrize("weight", [-3.0, NAN, float("inf")])
@pytest.mark.parametrize("lonlat", [None, (10.0, 50.0)])
def test_a_weight_that_is_none(model, held_out, weight, lonlat):
    with pytest.raises(ConfigError, match="weight is"):
        answer_photo(model, held_out.image[0], lonlat=lonlat, weight=weight)


def test_weight_nought_ignores_the_place(model, held_out):
    found = answer_photo(model, held_out.image[0], lonlat=(10.0, 50.0), weight=0.0)
    torch.testing.assert_close(found.probs, found.image_probs)
    assert found.set_size is None
    without = answer_photo(model, held_out.image[0])
    assert torch.equal(without.probs, without.image_probs)
    assert without.set_size == without.image_set_size


def test_the_prior_is_averaged_over_a_disc(model):
    point = location_prior(model, torch.tensor([[10.0, 50.0]]))[0]
    torch.testing.assert_close(prior_around(model, 10.0, 50.0), point)
    wide = prior_around(model, 10.0, 50.0, 800.0)
    assert wide.sum().item() == pytest.approx(1, abs=1e-4)
    assert not torch.allclose(wide, point, atol=1e-3)
    torch.testing.assert_close(prior_around(model, 10.0, 50.0, 800.0), wide)
    # The mean over many random points of the disc is what the spiral stands for.
    uniform = torch.rand(4000, 2, generator=torch.Generator().manual_seed(0))
    places = geo.displace(torch.tensor([[10.0, 50.0]]).expand(4000, 2), 800 * uniform[:, 0].sqrt(),
                          2 * math.pi * uniform[:, 1])  # fmt: skip
    torch.testing.assert_close(wide, location_prior(model, places).mean(0), atol=0.01, rtol=0)
    with pytest.raises(BadRecordError, match="radius"):
        prior_around(model, 10.0, 50.0, -1.0)


def test_where_the_answer_would_change(model):
    probs = torch.full((24,), 1 / 24)
    found = winning_map(model, probs, (0, 40, 20, 60), 5.0, date=0.5)
    assert found.winner.shape == found.share.shape == found.grid.shape == (4, 4)
    one = location_prior(model, torch.tensor([[2.5, 57.5]]), date=torch.tensor([0.5]))
    weight = model.calibration.place_weight
    frequency = model.classes.frequency() if model.calibration.divide_frequency else None
    want = posterior(probs[None], one, weight=weight, class_frequency=frequency)
    assert found.winner[0, 0] == want.argmax()
    assert found.share[0, 0].item() == pytest.approx(want.max().item(), rel=1e-4)
    assert set(found.classes) == set(found.winner.unique().tolist())
    with pytest.raises(ConfigError, match=r"give \(24,\)"):
        winning_map(model, probs[:3])


# Pictures that the model is not for


def test_pictures_unlike_the_training_images_are_told(model, held_out):
    own = [image_fits(model, image)[0] for image in held_out.image]
    assert sum(own) >= 0.9 * len(own)
    # The same pictures as a file holds them.
    files = [image_fits(model, image)[0] for image in held_out.image.clamp(0, 1).mul(255).byte()]
    assert sum(files) >= 0.9 * len(files)
    flat, photo = torch.full((3, 90, 120), 200).byte(), torch.rand(3, 300, 400).mul(255).byte()
    for picture in (flat, photo):
        fits, why = image_fits(model, picture)
        assert not fits and "unlike the training images (" in why and " compared): " in why
        assert re.search(r"in (red|green|blue) is \S+, in theirs (between|about) ", why)
    assert bring(model, flat).shape == (1, 3, 64, 64)
    with pytest.raises(BadRecordError, match="of 3 bands"):
        image_fits(model, torch.rand(13, 64, 64))
    model.image_stats = None
    assert image_fits(model, flat)[0]


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0.95, 1.0, 1.0), "0.95, in theirs about 1"),
        ((0.95, 0.998, 1.0), "0.95, in theirs between 0.998 and 1"),
        ((0.9968, 0.997, 1.0), "0.9968, in theirs between 0.997 and 1"),
        ((0.99999, 1.0, 1.0), "0.99999, in theirs about 1"),
        ((0.3, 0.5, 0.7), "0.3, in theirs between 0.5 and 0.7"),
        ((0.5, 0.5, 0.5), None),
    ],
)
def test_numbers_are_told_in_digits_that_tell_them_apart(numbers, words):
    assert _compared(*numbers) == words


def test_bands_that_are_no_colours_have_numbers():
    stats = ImageStats.of(torch.rand(40, 2, 16, 16, generator=torch.Generator().manual_seed(0)))
    fits, why = stats.judge(torch.zeros(1, 2, 16, 16))
    assert not fits and " in band " in why and "(40 compared)" in why


def test_the_middle_is_cut_out():
    stats = ImageStats.of(torch.rand(8, 1, 10, 20))
    picture = torch.zeros(1, 60, 40)
    picture[:, 20:40] = 1
    assert stats.bring(picture).shape == (1, 1, 10, 20) and bool((stats.bring(picture) == 1).all())
    with pytest.raises(BadRecordError, match="8 or more"):
        ImageStats.of(torch.rand(7, 1, 10, 20))


# The test stays unseen


def test_pretraining_keeps_away_from_the_test(monkeypatch):
    config = photo_model.config(objective={"name": "csp_mc", "augmentation": None})
    good = records("train"), records("val")
    check_unseen(config, *good, None)
    with pytest.raises(ConfigError, match="would have seen the test"):
        check_unseen(config, records("test"), None, None)
    with pytest.raises(ConfigError, match="within 20 km"):
        near = replace(good[0], lonlat=records("test").lonlat[: len(good[0])].repeat(9, 1)[:1] + 0,
                       label=good[0].label[:1], date=good[0].date[:1], hour=good[0].hour[:1],
                       recorder=good[0].recorder[:1], image=None)  # fmt: skip
        check_unseen(config, near, None, None)
    check_apart(replace(good[0], lonlat=torch.full_like(good[0].lonlat, NAN)), good[1], 2.0)


def test_another_split_of_the_same_data_is_refused(run):
    data, model = photo_model.SMALL["data"] | {"seed": 5}, {"init_from": str(run)}
    config = photo_model.config(data=data, model=model)
    with pytest.raises(ConfigError, match="trained on another split of the same data: seed 0"):
        check_unseen(config, records("train"), None, str(run))
    with pytest.raises(ConfigError, match="give one"):
        photo_model.config(model=model, pretrain=PRETRAIN)


def test_another_image_encoder_is_refused(run, tmp_path):
    model = {"init_from": str(run), "image": {"name": "small_convnet", "dim": 32, "width": 16}}
    with pytest.raises(ConfigError, match="another image encoder"):
        train(photo_model.config(model=model), run_dir=tmp_path / "other")


# The commands


def test_predict_with_a_picture(csp, run, held_out, tmp_path):
    file = tmp_path / "picture.png"
    pixels = held_out.image[0].clamp(0, 1).mul(255).byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(file)
    code, said, _ = csp("predict", run, "--image", file, "--lon", 10, "--lat", 50, "--json",
                        "--date", "2021-05-01", "--top", 3)  # fmt: skip
    found = json.loads(said)
    assert code == 0 and found["model"] == "look" and found["image"]["place_source"] == "given"
    assert len(found["image_only"]) == len(found["combined"]) == len(found["results"]) == 3
    assert {"rank", "taxon", "common_name", "value"} <= set(found["image_only"][0])
    code, said, _ = csp("predict", run, "--image", file)
    assert code == 0 and "No place: " in said and "image alone" in said
    code, said, _ = csp("predict", run, "--image", file, "--json")
    found = json.loads(said)
    assert found["lon"] is None and found["image"]["why_no_place"]
    assert [line["taxon"] for line in found["combined"]] == [
        line["taxon"] for line in found["image_only"]
    ]


GULF = ROOT / "assets" / "examples" / "lookalike-gulf.png"


def test_predict_with_a_picture_tells_support_date_and_set(csp):
    code, said, _ = csp("predict", "demo", "--image", GULF, "--date", "20240301")
    assert code == 0 and "Support: little (10 to 49 training records" in said
    assert "Date: 2024-03-01 (given)." in said
    assert "9 times in 10 the truth is among: synthetic fabula beta." in said
    code, said, _ = csp("predict", "demo", "--image", GULF, "--lon", 0, "--lat", 80)
    assert code == 0 and "Support: none (" in said and "extrapolates" in said
    assert "Date: 2024-09-28 (of the file)." in said and "9 times in 10" not in said
    code, said, _ = csp("predict", "eurosat", "--image", GULF, "--lon", 10, "--lat", 54)
    assert code == 0 and "no time input" in said and "9 times in 10" not in said


def test_a_typed_date_drops_the_file_s_hour(csp):
    told = {}
    for options in ((), ("--date", "2024-03-01"), ("--date", "2024-03-01", "--hour", "06:00"),
                    ("--hour", "06:00")):  # fmt: skip
        said = csp("predict", "demo", "--image", GULF, "--json", *options)[1]
        image = json.loads(said)["image"]
        told[options] = image["day"], image["hour"]
        assert image["date"] == pytest.approx(part_of_year(image["day"]))
    assert list(told.values()) == [
        ("2024-09-28", 0.5), ("2024-03-01", None), ("2024-03-01", 0.25), ("2024-09-28", 0.25)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (ROOT, "is a folder; give a picture in it."),
        ("https://example.org/a.jpg", "is an address, and only files are read"),
        ("no/such.jpg", "No file no/such.jpg."),
    ],
)
def test_predict_with_what_is_no_file(csp, image, says):
    code, said, complaint = csp("predict", "demo", "--image", image)
    assert code == 1 and said == "" and says in complaint and complaint.count("\n") == 1


def test_predict_prints_names_as_they_are(csp, model, tmp_path):
    names = [f"Turdus merula [juvenile {k}]" for k in range(len(model.classes) - 1)]
    common = (*["[bold]merle :bee:"] * len(names), "")
    model.classes = replace(model.classes, names=(*names, "moss [/] x"), common_names=common)
    folder = save_model(model, tmp_path / "odd")
    file = tmp_path / "picture.png"
    Image.new("RGB", (80, 80)).save(file)
    place = ("--lon", 10, "--lat", 50, "--top", len(model.classes))
    for options in ((), ("--image", file)):
        code, said, complaint = csp("predict", folder, *options, *place)
        assert code == 0, complaint
        # Columns are narrow, so a name may stand in two lines.
        assert "[juvenile" in said and "[/]" in said and "[bold]merle" in said and ":bee:" in said


def test_predict_says_what_is_missing(csp, run, model_dir, tmp_path):
    assert csp("predict", run)[0] == 2 and "--image" in csp("predict", run)[2]
    assert "both --lon and --lat" in csp("predict", run, "--lon", 3)[2]
    assert "No file" in csp("predict", run, "--image", tmp_path / "none.jpg")[2]
    file = tmp_path / "picture.png"
    Image.new("RGB", (80, 80)).save(file)
    code, _, said = csp("predict", model_dir, "--image", file)
    assert code == 1 and "no image classifier" in said


def test_evaluate_prints_image_beside_image_and_place(csp, run):
    code, said, _ = csp("evaluate", run, "demo", "--json")
    splits = json.loads(said)["splits"]
    assert code == 0 and set(splits) == {"all", "train", "val", "test"}
    assert all(set(values) == ANSWERS for values in splits.values())
    code, said, _ = csp("evaluate", run, "demo")
    assert code == 0 and "image+place" in said and "test" in said


def test_the_card_of_images_alone_claims_no_places():
    settings = photo_model.config(objective={"name": "simclr", "augmentation": "strong"})
    net = DualEncoder(
        make_image_encoder("small_convnet", 16, width=8),
        make_location_encoder("wrap", dim=16),
        dim=16,
        classes=None,
    )
    card = write_card(net, settings, {}, {})
    assert "A pre-trained image encoder" in card and "gives each image a vector" in card
    assert "gives each place" not in card and "species-distribution" not in card


@pytest.mark.parametrize(("data_set", "tagged"), [("demo", True), ("eurosat", False)])
def test_the_card_calls_no_land_cover_species(model, data_set, tagged):
    settings = parse_config(photo_model.SMALL | {"data": {"name": data_set}})
    front = write_card(model, settings, {}, {}).split("---\n")[1]
    assert ("species-distribution" in front) is tagged and "location-encoder" in front


def test_the_card_introduces_its_model(model):
    said = {"headline": "Crops: 9 kinds", "singular": "kind of crop", "plural": "kinds of crop"}
    settings = parse_config(photo_model.SMALL | {"card": {"introduction": said}})
    front = yaml.safe_load(write_card(model, settings, {}, {}).split("---\n")[1])
    assert read_introduction(front).plural == "kinds of crop"
    silent = write_card(model, parse_config(photo_model.SMALL), {}, {})
    assert "introduction" not in silent


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 500), (3, 3)])
def test_tiny_pictures_are_brought_to_size(height, width):
    stats = ImageStats.of(torch.rand(16, 3, 8, 900, generator=torch.Generator().manual_seed(0)))
    assert stats.bring(torch.zeros(3, height, width)).shape == (1, 3, 8, 900)


def test_tiny_training_images_are_not_described():
    with pytest.raises(BadRecordError, match="4 × 4 pixels"):
        ImageStats.of(torch.rand(16, 3, 4, 4))
