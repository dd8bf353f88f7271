"""The image side: precomputed features, the published sets of them, models that hold both sides."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from csp_core import make_image_encoder
from csp_core.config import parse_config
from csp_core.data import load_dataset
from csp_core.data.features import read_predictions
from csp_core.data.sets.demo import DemoWorld
from csp_core.data.sets.demo_images import image_features
from csp_core.errors import (
    BadRecordError,
    CheckpointError,
    ConfigError,
    DataNotFoundError,
    UnknownNameError,
)
from csp_core.image import IMAGE_ENCODERS
from csp_core.inference import location_prior, posterior
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder, Heads
from csp_core.objectives import make_objective
from csp_core.store import list_models, load_model, save_model
from tests.data.sets import fmow, inat2018
from tests.data.sets.photos import encode, pixels

SETS = {"inat2018": inat2018, "fmow": fmow}


# Encoders by name


def test_features_pass_through():
    encoder = make_image_encoder("features", 5)
    features = torch.randn(3, 5)
    assert torch.equal(encoder(features), features) and encoder.out_dim == 5
    assert encoder(features.half()).dtype == torch.float32
    assert not list(encoder.parameters())
    assert encoder.spec == {"name": "features", "dim": 5, "bands": 3}


def test_pixels_pass_as_one_vector():
    assert make_image_encoder("features", 12)(torch.ones(2, 3, 2, 2)).shape == (2, 12)


def test_features_of_another_width():
    with pytest.raises(ConfigError, match=r"give model\.image\.dim=7"):
        make_image_encoder("features", 5)(torch.zeros(2, 7))


@pytest.mark.parametrize("name", sorted(IMAGE_ENCODERS))
def test_a_spec_makes_the_same_encoder_again(name):
    encoder = make_image_encoder(name, 6)
    again = make_image_encoder(**encoder.spec)
    assert again.spec == encoder.spec and again.out_dim == encoder.out_dim == 6
    assert json.loads(json.dumps(encoder.spec)) == encoder.spec


def test_what_no_encoder_is_made_of():
    with pytest.raises(UnknownNameError, match="Did you mean 'features'"):
        make_image_encoder("feature")
    with pytest.raises(ConfigError, match="no option 'width'"):
        make_image_encoder("features", width=3)
    with pytest.raises(ConfigError, match="dim is 0"):
        make_image_encoder("features", 0)


def test_configuration():
    config = parse_config({"model": {"image": "features"}})
    assert config.model.image.options == {"dim": 2048, "bands": 3}
    assert parse_config({}).model.image is None
    again = parse_config(config.model_dump(mode="json"))
    assert again.model.image == config.model.image
    assert parse_config({}).recipe_hash() != config.recipe_hash()
    with pytest.raises(ConfigError, match="image encoder 'features' has no option 'size'"):
        parse_config({"model": {"image": {"name": "features", "size": 3}}})
    with pytest.raises(ConfigError, match="dim is 'wide'; Input should be a valid integer"):
        parse_config({"model": {"image": {"name": "features", "dim": "wide"}}})


# Models of two sides


def pair_model(objective="csp_mc", **options):
    torch.manual_seed(3)
    location = make_location_encoder("xyz", 6)
    model = DualEncoder(make_image_encoder("features", 5), location, dim=6, name="pair")
    make_objective(objective, model, **options)
    return model.eval()


@pytest.mark.parametrize(
    ("objective", "options"),
    [("csp_mc", {}), ("csp_nce", {"learn_temperature": False}), ("csp_mse", {})],
)
def test_round_trip(tmp_path, objective, options):
    model = pair_model(objective, **options)
    again = load_model(save_model(model, tmp_path / "pair"))
    assert again.state_dict().keys() == model.state_dict().keys()
    for key, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key
    places, features = torch.tensor([[3.0, 4.0], [180.0, -90.0]]), torch.randn(2, 5)
    if objective == "csp_mse":
        assert torch.equal(again.predict_features(places), model.predict_features(places))
    else:
        assert torch.equal(again.embed_image(features), model.embed_image(features))
    saved = json.loads((tmp_path / "pair" / "config.json").read_text())
    assert saved["image"] == {"name": "features", "dim": 5, "bands": 3}
    sides = ("location", "image") if objective == "csp_mse" else ("image", "location")
    assert [saved["heads"][side] for side in sides] == ["linear", None]
    assert "without classes" in (tmp_path / "pair" / "README.md").read_text()


def test_a_model_of_places_says_nothing_of_images(model_dir):
    saved = json.loads((model_dir / "config.json").read_text())
    assert "image" not in saved
    assert saved["heads"] == {
        "image": None, "location": None, "classifiers": ["location"], "temperatures": None
    }  # fmt: skip


def test_a_listed_model_without_classes(tmp_path, monkeypatch):
    save_model(pair_model(), tmp_path / "shelf" / "pair")
    monkeypatch.setenv("CSP_MODELS", str(tmp_path / "shelf"))
    info = next(info for info in list_models() if info.name == "pair")
    assert info.problem is None and info.num_classes == 0
    assert load_model("pair").classifier is None
    with pytest.raises(ConfigError, match="fine-tune it on labelled records"):
        location_prior(load_model("pair"), torch.tensor([[1.0, 2.0]]))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image", {"name": "feature"}),
        ("image", {"name": "features", "dim": 7}),
        ("heads", {"location": "linear"}),
        ("heads", {"temperatures": [1.0]}),
        ("heads", {"temperatures": ["x"]}),
        ("heads", {"image": "deep"}),
        ("heads", {"hat": "linear"}),
        ("heads", []),
        ("heads", {}),
    ],
)
def test_parts_that_do_not_fit(tmp_path, key, value):
    folder = save_model(pair_model(), tmp_path / "pair")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {key: value}))
    with pytest.raises(CheckpointError, match="does not fit together"):
        load_model(folder)


def test_an_image_encoder_of_ones_own_cannot_be_a_directory(tmp_path):
    class Own(nn.Module):
        out_dim = 4

    model = DualEncoder(Own(), make_location_encoder("xyz", 4), dim=4)
    with pytest.raises(CheckpointError, match="modules of your own"):
        save_model(model, tmp_path / "own")


def test_heads_are_where_they_are():
    with pytest.raises(ConfigError, match="no projection head on its location side"):
        pair_model().predict_features(torch.zeros(1, 2))
    with pytest.raises(ConfigError, match="no projection head on its image side"):
        pair_model("csp_mse").embed_image(torch.zeros(1, 5))
    with pytest.raises(ConfigError, match="image head is 'deep'"):
        Heads(image="deep")


# The invented world


def test_features_of_the_demo_hold_all_that_tells_classes_apart():
    world = DemoWorld(0)
    pixels, features = (world.sample(300, 5, features=f) for f in (False, True))
    assert torch.equal(features.image, image_features(pixels.image))
    assert features.image.shape == (300, 147) and features.image.dtype == torch.float32
    gap = features.image.double()[:, None] - image_features(world.templates).double()
    logits = -(gap**2).sum(2) / (2 * world.noise**2) + world.class_probability.log()
    torch.testing.assert_close(
        logits.softmax(1), world.image_posterior(pixels.image), atol=1e-4, rtol=0
    )
    noise = features.image - image_features(world.templates)[features.label]
    assert noise.std().item() == pytest.approx(world.noise, rel=0.02)


def test_features_of_a_part_are_those_of_the_whole():
    whole, part = (load_dataset("demo", s, size=600, features=True) for s in ("all", "val"))
    row = {tuple(place): i for i, place in enumerate(whole.lonlat.tolist())}
    rows = [row[tuple(place)] for place in part.lonlat.tolist()]
    assert torch.equal(part.image, whole.image[rows])


def test_a_few_labels_of_the_demo():
    options = {"size": 600, "images": False}
    whole, few = (load_dataset("demo", **options, label_fraction=f) for f in (1.0, 0.1))
    want = [max(1, round(count * 0.1)) if count else 0 for count in whole.classes.counts]
    assert list(few.classes.counts) == want and len(few) == sum(want)
    val = [load_dataset("demo", "val", **options, label_fraction=f) for f in (1.0, 0.1)]
    assert torch.equal(val[0].lonlat, val[1].lonlat)
    assert "0.1 of the labels" in few.info["split"]


# The published sets


@pytest.fixture(params=sorted(SETS))
def published(request, tmp_path):
    SETS[request.param].make(tmp_path)
    return request.param, tmp_path


def image_number(data):
    """The first feature numbers the image in its file."""
    return data.__getitems__(range(len(data)))["image"][:, 0].long()


@pytest.mark.parametrize(("split", "part"), [("train", "train"), ("val", "train"), ("test", "val")])
def test_every_record_has_its_own_features_place_and_label(published, split, part):
    name, root = published
    data = load_dataset(name, split, root=root, val_fraction=0.2)
    want = inat2018.records(part)
    features = torch.from_numpy(inat2018.features(part))
    assert len(data) == {"train": 28, "val": 8, "test": 10}[split]
    for i, number in enumerate(image_number(data).tolist()):
        sample, record = data[i], want[number]
        assert torch.equal(sample["image"], features[number])
        assert data.classes.names[sample["label"]] == inat2018.CLASSES[record["category"]]
        place = [float("nan")] * 2 if record["lon"] is None else [record["lon"], record["lat"]]
        torch.testing.assert_close(sample["lonlat"], torch.tensor(place), equal_nan=True)
        assert sample["date"].item() == pytest.approx(record["date_c"], abs=1e-6)


def test_both_files_at_once(published):
    name, root = published
    data = load_dataset(name, "all", root=root, val_fraction=0.2)
    assert len(data) == 36 + 10
    want = torch.cat([torch.arange(40)[torch.arange(40) % 10 != 3], torch.arange(10)])
    assert torch.equal(image_number(data), want)
    mixed = data.__getitems__([45, 0, 36, 3])["image"]
    assert mixed[:, 0].tolist() == [9, 0, 0, 4]
    assert torch.equal(mixed[1], torch.from_numpy(inat2018.features("train"))[0])


def test_labels_are_the_published_numbers(published):
    name, root = published
    classes = load_dataset(name, root=root).classes
    assert classes.names == tuple(inat2018.CLASSES[i] for i in range(3))


def test_images_without_a_place_are_kept_for_the_test_alone(published):
    name, root = published
    for split, missing in (("train", 0), ("val", 0), ("test", 1)):
        data = load_dataset(name, split, root=root)
        assert int(data.lonlat.isnan().any(dim=1).sum()) == missing
    assert load_dataset(name, root=root).info["left_out_of_training"] == 4
    # As published, images without a user go too.
    assert load_dataset(name, root=root, with_user=True).info["left_out_of_training"] == 8


def test_the_root_may_be_the_folder_itself(published):
    name, root = published
    (folder,) = (p for p in root.iterdir() if p.is_dir())
    assert load_dataset(name, root=folder).content_hash() == (
        load_dataset(name, root=root).content_hash()
    )


def test_label_fraction(published):
    name, root = published
    whole, few = (load_dataset(name, root=root, label_fraction=f) for f in (1.0, 0.1))
    want = [max(1, round(count * 0.1)) for count in whole.classes.counts]
    assert list(few.classes.counts) == want
    assert set(image_number(few).tolist()) <= set(image_number(whole).tolist())


def test_without_features(published):
    name, root = published
    for file in root.rglob("*.npy"):
        file.unlink()
    data = load_dataset(name, root=root, images=False)
    assert "image" not in data[0] and "image" not in data.__getitems__([0, 1])
    with pytest.raises(DataNotFoundError, match="a row of features for each image"):
        load_dataset(name, root=root)


def test_other_features_are_other_data(published):
    name, root = published
    before = load_dataset(name, root=root).content_hash()
    (file,) = root.glob("*/features_inception_pretrain/*train_pretrain*.npy")
    np.save(file, inat2018.features("train") + 1)
    assert load_dataset(name, root=root).content_hash() != before


def test_half_precision_on_the_disk(published):
    name, root = published
    (file,) = root.glob("*/features_inception_pretrain/*train_pretrain*.npy")
    np.save(file, inat2018.features("train").astype(np.float16))
    assert load_dataset(name, root=root)[0]["image"].dtype == torch.float32


@pytest.mark.parametrize(
    "array",
    [np.zeros((39, 8), np.float32), np.zeros((40, 8), np.int64), np.zeros(40, np.float32),
     np.array([{}] * 40)],
)  # fmt: skip
def test_features_of_another_form(tmp_path, array):
    inat2018.make(tmp_path)
    (file,) = tmp_path.glob("*/features_inception_pretrain/*train_pretrain*.npy")
    np.save(file, array, allow_pickle=True)
    with pytest.raises(BadRecordError, match=r"train_pretrain_net_feats\.npy"):
        load_dataset("inat2018", root=tmp_path)
    file.write_bytes(b"nothing")
    with pytest.raises(BadRecordError, match="not a NumPy array"):
        load_dataset("inat2018", root=tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("train2018.json", "[]", "not of the published form"),
        ("train2018.json", '{"images": [{"id": 1}]}', "not of the published form"),
        ("train2018.json", "{", "not readable JSON"),
        ("train2018_locations.json", '[{"lon": 1}]', "not of the published form"),
        ("train2018_locations.json", '[{"id": 1000, "lon": 999, "lat": 0}]', "Longitude 999"),
        ("train2018_locations.json", '[{"id": 1000, "lon": "x", "lat": 0}]', "published form"),
        ("categories2018.json", '[{"id": 1}]', "give a list of id and name"),
        ("categories2018.json", '[{"id": 1, "name": "Aus bus"}]', "another set of classes"),
    ],
)
def test_files_of_another_form(tmp_path, file, text, says):
    inat2018.make(tmp_path)
    (tmp_path / "inat_2018" / file).write_text(text)
    with pytest.raises(BadRecordError, match=says):
        load_dataset("inat2018", root=tmp_path)


def test_no_root_and_no_files(published, tmp_path):
    name, root = published
    with pytest.raises(ConfigError, match="needs root"):
        load_dataset(name)
    with pytest.raises(DataNotFoundError, match="as it is published"):
        load_dataset(name, root=root / "elsewhere")
    with pytest.raises(UnknownNameError, match="kind of features 'moco'"):
        load_dataset(name, root=root, features="moco")
    shutil.rmtree(next(root.glob("*/features_inception_pretrain")))
    with pytest.raises(DataNotFoundError, match=r"No file .*pretrain_net_feats\.npy"):
        load_dataset(name, root=root)


# An image whose place is unknown is answered by the image alone


@pytest.mark.parametrize("sparse", [True, False])
def test_predictions_of_images(tmp_path, sparse):
    from scipy.sparse import csr_matrix, save_npz

    inat2018.make(tmp_path)
    test = load_dataset("inat2018", "test", root=tmp_path)
    chance = torch.rand(10, 3, generator=torch.Generator().manual_seed(0))
    said = (chance * (chance > 0.2)).numpy()
    path = tmp_path / ("preds.npz" if sparse else "preds.npy")
    _ = save_npz(path, csr_matrix(said)) if sparse else np.save(path, said)
    image = read_predictions(path, test.rows)
    assert torch.equal(image, torch.from_numpy(said))
    assert torch.equal(read_predictions(path, torch.tensor([9, 0])), image[[9, 0]])
    model = DualEncoder(None, make_location_encoder("xyz", 4), dim=4, classes=test.classes)
    known = ~test.lonlat.isnan().any(dim=1)
    prior = torch.full((10, 3), float("nan"))
    prior[known] = location_prior(model, test.lonlat[known])
    both = posterior(image, prior)
    alone = image / image.sum(dim=1, keepdim=True)
    assert (~known).sum() == 1
    torch.testing.assert_close(both[~known], alone[~known])
    assert not torch.allclose(both[known], alone[known])


def test_predictions_of_another_form(tmp_path):
    with pytest.raises(DataNotFoundError, match="No file"):
        read_predictions(tmp_path / "absent.npz", torch.tensor([0]))
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(BadRecordError, match="no predictions of these images"):
        read_predictions(tmp_path / "other.npz", torch.tensor([0]))


# Pixels in place of features.


@pytest.mark.parametrize("module", [inat2018, fmow], ids=["inat2018", "fmow"])
def test_images_of_the_published_layout(module, tmp_path):
    name = module.LAYOUT.name
    options = {**module.options(tmp_path), "features": "pixels", "size": 16}
    with pytest.raises(DataNotFoundError, match=r"images are not in .* the first 1\d\d\d\.jpg"):
        load_dataset(name, **options)
    folder = tmp_path / module.LAYOUT.folder
    for i in range(inat2018.SIZES["train"]):
        (folder / f"{1000 + 7 * i}.jpg").write_bytes(encode(pixels(40, 30, seed=i)))
    parts = {split: load_dataset(name, split, **options) for split in ("train", "val", "test")}
    assert all(part[0]["image"].shape == (3, 16, 16) for part in parts.values())
    assert parts["test"].lonlat.isnan().any() and not parts["train"].lonlat.isnan().any()
    features = load_dataset(name, **{**options, "features": "pretrain"})
    assert torch.equal(features.label, parts["train"].label)
    # Features number the images, and so does the picture's blue.
    for i in range(5):
        want = 40 * int(features[i]["image"][0]) % 255
        assert abs(float(parts["train"][i]["image"][2].float().mean()) - want) < 6
    path = folder / module.LAYOUT.annotations.format(part="train")
    path.write_text(path.read_text().replace('"1000.jpg"', '"../1000.jpg"'))
    with pytest.raises(BadRecordError, match=r"'\.\./1000\.jpg' is no path below"):
        load_dataset(name, "all", **options)
    with pytest.raises(ConfigError, match="size is 0"):
        load_dataset(name, **{**options, "size": 0})
