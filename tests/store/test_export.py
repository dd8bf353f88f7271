"""ONNX files of what models say: every encoder, every bundled model, pictures, and the check."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from csp_core.data.records import ClassTable
from csp_core.errors import BadRecordError, CheckpointError, ConfigError
from csp_core.image import make_image_encoder
from csp_core.inference import answer_photo, location_prior
from csp_core.location import ENCODINGS, NETWORKS, make_location_encoder
from csp_core.model import DualEncoder, Heads
from csp_core.store import export, export_model, list_models, load_model, save_model
from csp_core.store.answers import BATCHES, draw_places
from csp_core.store.export import TOLERANCE, compare, to_onnx
from tests import small
from tests.animals import NAMES as ANIMALS
from tests.animals import save_few_animals

GRID = {"columns": ["a", "b"], "step": 30.0, "bounds": (-180.0, -90.0, 180.0, 90.0)}
BUNDLED = [info for info in list_models() if "assets" in info.directory.parts]


def run(content: bytes, **inputs: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


def encoder(name: str, network: str | None, **inputs):
    """Make a small encoder with weights of its own, covariates filled."""
    options = ENCODINGS[name].example_options
    made = make_location_encoder(name, dim=6, network=network, **options, **inputs).eval()
    if made.covariates is not None:
        values = torch.randn(2, 6, 12, dtype=torch.float64)
        made.covariates._take(values.where(torch.rand(2, 6, 12) > 0.3, torch.nan))
    return made


def agrees(model: DualEncoder, **options) -> float:
    """Export a model, run it in several batches and return the largest difference."""
    content, answer = to_onnx(model, **options)
    given = answer.examples()
    return compare(content, answer, given, (*BATCHES[answer.of], len(given[0])))[0]


@pytest.mark.parametrize("network", NETWORKS)
def test_every_encoding_before_every_network(network):
    names = ["geoclip"] if network == "capsules" else ENCODINGS
    for name in names:
        model = DualEncoder(None, encoder(name, network), dim=6, name=name)
        assert agrees(model) <= TOLERANCE, name


@pytest.mark.parametrize("network", [name for name in NETWORKS if name != "capsules"])
def test_times_and_covariates_before_every_network(network):
    both = encoder("wrap", network, time={"hour": True, "harmonics": 2}, covariates=GRID)
    with torch.no_grad():
        both.time.missing.normal_()
    assert agrees(DualEncoder(None, both, dim=6)) <= TOLERANCE


@pytest.mark.parametrize("network", ["residual_mlp", "tokens"])
def test_how_near_places_lie(network):
    near = {"places": [(13.4, 52.5), (-179.9, -17.0), (0.0, 90.0)], "km": 500.0}
    model = DualEncoder(None, encoder("xyz", network, nearness=near), dim=6, classes=("a",),
                        prior_kind="relative").eval()  # fmt: skip
    with torch.no_grad():
        model.classifier.weight[:, -1] = 1000.0  # as of a species learned from few places
    assert agrees(model) <= TOLERANCE
    assert agrees(DualEncoder(None, model.location, dim=6)) <= TOLERANCE


@pytest.mark.parametrize("name", ["grid", "sphere_m_plus", "rff_sphere", "geoclip", "nerf"])
def test_the_finest_waves_keep_their_phases(name):
    # At their defaults, with waves of some metres; a rounded 2π would be off by 5e-5 there.
    model = DualEncoder(None, make_location_encoder(name, dim=6).eval(), dim=6)
    assert agrees(model) <= TOLERANCE


@pytest.mark.parametrize("kind", ["share", "relative", "probability"])
def test_each_kind_of_answer_is_calibrated(kind):
    model = DualEncoder(
        None, encoder("xyz", None), dim=6, classes=("a", "b", "c"), prior_kind=kind
    ).eval()
    model.calibration = model.calibration.__class__(temperature=1.7)
    content, answer = to_onnx(model)
    places = torch.tensor([[36.8, -1.3], [180.0, 90.0]])
    theirs = run(content, lonlat=places.numpy())
    assert answer.output == {"relative": "score"}.get(kind, kind)
    np.testing.assert_allclose(theirs, location_prior(model, places).numpy(), atol=1e-6)
    if kind == "share":
        np.testing.assert_allclose(theirs.sum(axis=1), 1, atol=1e-6)


def test_against_the_formula_written_out():
    model = DualEncoder(None, encoder("xyz", "residual_mlp"), dim=6, classes=("a", "b")).eval()
    network = model.location.network
    content, _ = to_onnx(model)
    lonlat = np.array([[16.4, 48.2], [-70.0, -33.4]], dtype=np.float32)
    lon, lat = np.radians(lonlat.astype(np.float64)).T
    x = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    parts = [network.hidden[0], network.norms[0], network.output, model.classifier]
    (w1, b1), (g, s), (w2, b2), (w3, b3) = [
        (p.weight.detach().double().numpy(), p.bias.detach().double().numpy()) for p in parts
    ]
    h = x @ w1.T + b1
    h = np.where(h > 0, h, 0.2 * h)
    h = (h - h.mean(1, keepdims=True)) / np.sqrt(h.var(1, keepdims=True) + 1e-5) * g + s
    logits = (h @ w2.T + b2) @ w3.T + b3
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(run(content, lonlat=lonlat), expected, atol=1e-5)


@pytest.mark.parametrize("info", BUNDLED, ids=lambda info: info.name)
def test_bundled_models(info, tmp_path):
    if info.sees_pixels and not info.knows_places:
        with pytest.raises(CheckpointError, match="maps of pixels are not written"):
            export_model(info.directory, tmp_path / "out.onnx")
        assert list(tmp_path.iterdir()) == []
        return
    told = export_model(info.directory, tmp_path / "out.onnx")
    assert told.difference <= TOLERANCE and told.num_bytes == told.path.stat().st_size
    model = load_model(info.directory)
    graph = onnx.load(told.path)
    assert {part.version for part in graph.opset_import if not part.domain} == {18}
    facts = {entry.key: entry.value for entry in graph.metadata_props}
    assert facts["model"] == model.name and facts["license"] == info.license
    assert set(json.loads(facts["inputs"])) == set(told.inputs)
    if len(model.classes):
        assert facts["prior_kind"] == model.prior_kind == told.kind
        assert json.loads(facts["classes"]) == list(model.classes.names)
        assert json.loads(facts["common_names"]) == list(model.classes.common_names)
    places = torch.tensor([[36.8, -1.3], [-180.0, 12.0], [180.0, 12.0], [0.0, 90.0]])
    times = {name: np.full(4, np.nan, dtype=np.float32) for name in told.inputs[1:]}
    theirs = run(told.path.read_bytes(), lonlat=places.numpy(), **times)
    if told.kind != "embedding":  # no date is an unknown one
        np.testing.assert_allclose(theirs, location_prior(model, places).numpy(), atol=1e-5)


SEEING = [info for info in BUNDLED if info.sees_images and info.knows_places]


@pytest.mark.parametrize("info", SEEING, ids=lambda info: info.name)
@pytest.mark.parametrize("of", ["images", "both"])
def test_bundled_models_of_pictures(info, of, tmp_path):
    model = load_model(info.directory)
    if of == "both" and model.image_classifier is None:
        with pytest.raises(CheckpointError, match="by picture and place together"):
            export_model(info.directory, tmp_path / "out.onnx", of=of)
        return
    told = export_model(info.directory, tmp_path / "out.onnx", of=of)
    assert told.difference <= TOLERANCE and told.of == of and told.rows == 12
    facts = {entry.key: entry.value for entry in onnx.load(told.path).metadata_props}
    assert facts["of"] == of and "the largest part in the middle" in facts["inputs"]
    height, width = model.image_stats.size.tolist()
    image = torch.rand(3, 3, height, width, generator=torch.Generator().manual_seed(5))
    content = told.path.read_bytes()
    if told.kind == "embedding":
        with torch.no_grad():
            expected = model.embed_image(image)
        np.testing.assert_allclose(run(content, image=image.numpy()), expected, atol=1e-5)
        return
    places = {
        "lonlat": np.array([[2.0, 47.0], [np.nan, np.nan], [20.0, 60.0]], dtype=np.float32),
        "date": np.array([0.4, 0.4, np.nan], dtype=np.float32),
    }
    given = {name: places[name] for name in told.inputs if name != "image"}
    theirs = run(content, image=image.numpy(), **given)
    for row in range(3):
        lonlat, date = places["lonlat"][row], float(places["date"][row])
        answer = answer_photo(
            model,
            image[row],
            lonlat=None if np.isnan(lonlat).any() else tuple(map(float, lonlat)),
            date=None if math.isnan(date) else date,
        )
        expected = answer.image_probs if of == "images" else answer.probs
        np.testing.assert_allclose(theirs[row], expected.numpy(), atol=1e-5)


def test_what_a_file_leaves_out_is_told(tmp_path):
    told = export_model("demo", tmp_path / "out.onnx")
    assert told.left == (
        "The file leaves out what it says of pictures, which --of images and --of both write."
    )
    assert export_model("demo", tmp_path / "out.onnx", of="both").left == ""
    assert "takes words" in export_model("eurosat_words", tmp_path / "out.onnx", of="images").left


def test_a_borrowed_prior_is_written_with_the_pictures(tmp_path):
    folder = save_few_animals(tmp_path)
    told = export_model(folder, tmp_path / "out.onnx", of="both", side=32)
    assert told.inputs == ("image", "lonlat", "date") and told.difference <= TOLERANCE
    model, image = load_model(folder), torch.rand(2, 3, 32, 32)
    lonlat = np.array([[-93.6, 42.0], [np.nan, 42.0]], dtype=np.float32)
    date = np.array([0.45, 0.45], dtype=np.float32)
    theirs = run(told.path.read_bytes(), image=image.numpy(), lonlat=lonlat, date=date)
    iowa = answer_photo(model, image[0], lonlat=(-93.6, 42.0), date=0.45)
    np.testing.assert_allclose(theirs[0], iowa.probs.numpy(), atol=1e-5)
    np.testing.assert_allclose(theirs[1], iowa.image_probs.numpy(), atol=1e-5)
    assert theirs[0, 0] > 0.7 and ANIMALS[0] == "Passerina cyanea"
    with pytest.raises(ConfigError, match="give --side"):
        export_model(folder, tmp_path / "out.onnx")


@pytest.mark.parametrize(
    ("model", "size"),
    [("resnet10t", 40), ("mobilenetv3_small_050", None), ("vit_tiny_patch16_224", 32),
     ("convnext_atto", None)],
)  # fmt: skip
def test_backbones_of_timm(model, size):
    image = make_image_encoder("timm", 6, bands=4, model=model, weights=None, size=size)
    heads = Heads(image="linear", classifiers=("image",))
    made = DualEncoder(image, None, dim=6, classes=("a", "b", "c"), heads=heads).eval()
    assert agrees(made, side=size or 48) <= TOLERANCE
    assert agrees(made, embedding=True, side=None if size else 64) <= TOLERANCE


def test_label_sets_and_features_of_pictures():
    image = make_image_encoder("features", 7)
    heads = Heads(image="two_layers", classifiers=("image", "location"))
    model = DualEncoder(
        image, encoder("xyz", None), dim=6, classes=ClassTable(("a", "b"), ("", ""), (3, 4), 9),
        prior_kind="probability", heads=heads,
    ).eval()  # fmt: skip
    for of in ("images", "both"):
        _, answer = to_onnx(model, of=of)
        assert answer.inputs[0] == "features" and answer.output == "probability"
        assert agrees(model, of=of) <= TOLERANCE
    both, given = answer.ours, answer.examples()
    assert not torch.allclose(both(*given), to_onnx(model, of="images")[1].ours(given[0]))


def test_parts_that_there_are_not(tmp_path):
    for options, kind, says in [
        ({"of": "words"}, ConfigError, "Of 'words': give places, images or both"),
        ({"of": "both", "embedding": True}, ConfigError, "have an embedding each"),
        ({"side": 64}, ConfigError, "places have none: leave it out"),
        ({"of": "images", "side": 100}, ConfigError, "side is 100, and model 'demo' takes 3 × "),
    ]:
        with pytest.raises(kind, match=says):
            export_model("demo", tmp_path / "out.onnx", **options)
    for model, of, says in [
        ("birds", "images", "sees no pictures"),
        ("korea_landuse", "places", "knows nothing of places; --of images"),
    ]:
        with pytest.raises(CheckpointError, match=says):
            export_model(model, tmp_path / "out.onnx", of=of)
    assert list(tmp_path.iterdir()) == []


class Own(nn.Module):
    """An image encoder of a user's own, which says nothing of bands or series."""

    out_dim = 4

    def forward(self, image):
        return image.flatten(1)[:, :4]


def test_image_encoders_that_are_not_written():
    series = make_image_encoder("over_dates", bands=3, backbone="pixel_mlp")
    heads = Heads(image=None, classifiers=("image",))
    for image, says in ((series, "looks at series of dates"), (Own(), "integer attribute bands")):
        model = DualEncoder(image, None, dim=6, classes=("a", "b"), heads=heads).eval()
        with pytest.raises(CheckpointError, match=says):
            to_onnx(model, side=32)
        with pytest.raises(CheckpointError, match=says):
            to_onnx(model, of="images", embedding=True, side=32)
    plain = make_image_encoder("small_convnet", 6, bands=3)
    model = DualEncoder(plain, None, dim=6, classes=("a", "b"), heads=heads).eval()
    with pytest.raises(CheckpointError, match="no projection head on its image side"):
        to_onnx(model, embedding=True, side=32)
    with pytest.raises(ConfigError, match="--side is 4; give 8 to 4096"):
        to_onnx(model, side=4)


def test_the_embedding_of_a_model_with_classes(tmp_path):
    told = export_model("demo", tmp_path / "out.onnx", embedding=True)
    model = load_model("demo")
    assert (told.kind, told.width) == ("embedding", model.dim)
    facts = {e.key for e in onnx.load(told.path).metadata_props}
    assert "classes" not in facts


def test_a_file_that_answers_otherwise_is_not_written(tmp_path, monkeypatch):
    model = DualEncoder(None, encoder("xyz", None), dim=6, classes=("a", "b")).eval()
    save_model(model, tmp_path / "model")
    with torch.no_grad():
        model.classifier.bias += torch.tensor([1e-4, 0.0])
    other = export._traced(export.Answer(model, "share"))
    monkeypatch.setattr(export, "_traced", lambda answer: other)
    with pytest.raises(CheckpointError, match=r"by \d\.\de-05 where 1e-05 is the most"):
        export_model(tmp_path / "model", tmp_path / "out.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_answers_that_are_no_numbers_or_of_another_shape_differ():
    model = DualEncoder(None, encoder("xyz", None), dim=6, classes=("a", "b")).eval()
    content, answer = to_onnx(model)
    wide = DualEncoder(None, model.location, dim=6, classes=("a", "b", "c")).eval()
    assert compare(to_onnx(wide)[0], answer, draw_places(1), (2,))[0] == math.inf
    with torch.no_grad():
        model.classifier.weight.fill_(torch.nan)
    assert not compare(content, answer, draw_places(1), (2,))[0] <= TOLERANCE


def test_a_file_that_cannot_be_run_is_told():
    model = DualEncoder(None, encoder("xyz", None), dim=6, classes=("a", "b")).eval()
    content, answer = to_onnx(model)
    with pytest.raises(CheckpointError, match="ONNX Runtime cannot run what torch made of model"):
        compare(content[:-40], answer, draw_places(1), (2,))


class Solved(nn.Module):
    """An encoding of a user's own, of an operator that ONNX has no word for."""

    out_dim = 2

    def forward(self, lonlat):
        return torch.linalg.svd(lonlat)[0][:, :2]


def test_what_torch_cannot_export_is_told(capfd):
    own = make_location_encoder(Solved(), dim=6)
    with pytest.raises(CheckpointError, match=r"cannot be written as ONNX .*svd.* can"):
        to_onnx(DualEncoder(None, own, dim=6).eval())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["out.tflite", "out"])
def test_other_endings(name, tmp_path):
    with pytest.raises(ConfigError, match=r"ends in \.onnx"):
        export_model("demo", tmp_path / name)


def test_nowhere_to_write(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(BadRecordError, match="is a file, not a folder"):
        export_model("demo", tmp_path / "file" / "out.onnx")
    (tmp_path / "out.onnx").mkdir()
    with pytest.raises(BadRecordError, match="it is a folder"):
        export_model("demo", tmp_path / "out.onnx")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_is_closed(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(BadRecordError, match="nothing may be written"):
        export_model("demo", tmp_path / "out.onnx")


def test_a_file_that_is_there_is_replaced_whole(tmp_path):
    (tmp_path / "out.onnx").write_bytes(b"of before")
    told = export_model("demo", tmp_path / "out.onnx")
    assert onnx.load(told.path).producer_name == "csp_core"
    assert [path.name for path in tmp_path.iterdir()] == ["out.onnx"]


def test_a_trained_model(model_dir, tmp_path):
    told = export_model(model_dir, tmp_path / "out.onnx")
    assert told.width == len(small.NAMES) and told.kind == "share"


def test_what_the_manual_tells_to_type(tmp_path, monkeypatch, capsys):
    manual = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    block = next(part for part in re.findall(r"```python\n(.*?)```", manual, flags=re.DOTALL))
    export_model("birds", tmp_path / "birds.onnx")
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "docs/export.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    model = load_model("birds")
    best = location_prior(model, torch.tensor([[36.8, -1.3]]))[0].argsort(descending=True)[:5]
    assert [line.rsplit(" ", 1)[0] for line in lines] == [model.classes.names[k] for k in best]
