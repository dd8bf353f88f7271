"""Features computed once: the same as without, found again, gone on with, refused when not."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from csp_core.data import load_dataset
from csp_core.data.features import FeatureDataset
from csp_core.errors import CheckpointError
from csp_core.files import write_json
from csp_core.image import make_image_encoder
from csp_core.image.cache import _resume, cache_features, encoder_hash
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder
from csp_core.training.image_side import compute_once, fit_bands
from tests.data.sets import eurosat

COUNT = 20


def encoder(seed=0, **options):
    torch.manual_seed(seed)
    return make_image_encoder("small_convnet", None, width=8, trainable="none", **options)


def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (COUNT, 3, 32, 32), dtype=torch.uint8, generator=generator)


class Source:
    """Images that count how many of them were asked for; stops after some."""

    def __init__(self, most=10**9):
        self.asked, self.most = 0, most

    def __call__(self, rows):
        self.asked += len(rows)
        if self.asked > self.most:
            raise KeyboardInterrupt
        return images()[rows]


def test_features_are_those_of_the_backbone_in_half_precision(tmp_path):
    net = encoder()
    said = []
    path = cache_features(
        net,
        Source(),
        COUNT,
        data_hash="a",
        folder=tmp_path,
        batch_size=8,
        report=lambda done, of: said.append((done, of)),
    )
    found = np.load(path)
    assert found.dtype == np.float16 and found.shape == (COUNT, net.num_features)
    want = net.eval().features(images()).detach()
    assert torch.allclose(torch.from_numpy(found).float(), want, rtol=1e-3, atol=1e-3)
    assert said == [(8, 20), (16, 20), (20, 20)] and len(list(tmp_path.iterdir())) == 1


def test_they_are_found_again_but_not_for_other_data_or_weights(tmp_path):
    source = Source()
    first = cache_features(encoder(), source, COUNT, data_hash="a", folder=tmp_path)
    assert cache_features(encoder(), source, COUNT, data_hash="a", folder=tmp_path) == first
    assert source.asked == COUNT
    others = {
        cache_features(encoder(), source, COUNT, data_hash="b", folder=tmp_path),
        cache_features(encoder(1), source, COUNT, data_hash="a", folder=tmp_path),
        cache_features(encoder(mean=[0.1]), source, COUNT, data_hash="a", folder=tmp_path),
        cache_features(encoder(size=16), source, COUNT, data_hash="a", folder=tmp_path),
    }
    assert len(others | {first}) == 5


def test_a_stopped_computation_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("csp_core.image.cache.SAVE_SECONDS", 0.0)
    options = {"data_hash": "a", "folder": tmp_path, "batch_size": 4}
    with pytest.raises(KeyboardInterrupt):
        cache_features(encoder(), Source(most=12), COUNT, **options)
    rest = Source()
    path = cache_features(encoder(), rest, COUNT, **options)
    assert rest.asked == 8
    whole = cache_features(encoder(), Source(), COUNT, **{**options, "folder": tmp_path / "b"})
    assert path.read_bytes() == whole.read_bytes()
    for file in tmp_path.glob("*"):
        assert file.is_dir() or file == path


def test_a_damaged_beginning_is_begun_again(tmp_path, monkeypatch):
    monkeypatch.setattr("csp_core.image.cache.SAVE_SECONDS", 0.0)
    options = {"data_hash": "a", "folder": tmp_path, "batch_size": 4}
    with pytest.raises(KeyboardInterrupt):
        cache_features(encoder(), Source(most=12), COUNT, **options)
    next(tmp_path.glob("*.partial.npy")).write_bytes(b"x")
    again = Source()
    assert np.load(cache_features(encoder(), again, COUNT, **options)).shape[0] == COUNT
    assert again.asked == COUNT


def test_features_that_are_no_numbers_are_refused(tmp_path):
    broken = encoder()
    with torch.no_grad():
        next(broken.parameters()).fill_(float("nan"))
    with pytest.raises(CheckpointError, match="no finite numbers"):
        cache_features(broken, Source(), COUNT, data_hash="a", folder=tmp_path)


def test_the_hash_leaves_out_the_layer_behind_the_features():
    first, second = encoder(), encoder()
    assert encoder_hash(first) == encoder_hash(second) != encoder_hash(encoder(1))


def test_a_locked_model_learns_from_features_in_the_place_of_images(tmp_path):
    train = load_dataset("eurosat", root=eurosat.make(tmp_path), test_fraction=0.2)
    image = encoder()
    model = DualEncoder(image, make_location_encoder("xyz", dim=8), dim=8, classes=train.classes)
    fit_bands(model, train)
    assert image.mean.flatten().tolist() != [0.5, 0.5, 0.5]
    once = compute_once(model, train)
    assert isinstance(once, FeatureDataset) and len(once) == len(train)
    rows = list(range(len(train)))
    pixels, features = train.__getitems__(rows), once.__getitems__(rows)
    model.eval()
    want, found = model.embed_image(pixels["image"]), model.embed_image(features["image"])
    assert torch.allclose(found, want, atol=1e-2)
    assert torch.equal(pixels["label"], features["label"])
    image.requires_grad_(True)
    assert compute_once(model, train) is train
    assert compute_once(model, once) is once


def test_a_beginning_of_another_shape_leaves_no_progress(tmp_path):
    partial = tmp_path / "a.partial.npy"
    np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=(3, 2)).flush()
    write_json(partial.with_suffix(".json"), {"done": 3})
    assert _resume(partial, (5, 2))[1] == 0 and _resume(partial, (5, 2))[1] == 0


def test_the_hash_knows_how_many_features_there_are():
    assert encoder_hash(encoder(cells=1)) != encoder_hash(encoder(cells=2))


def test_two_at_once_compute_once(tmp_path):
    source, nets, found = Source(), [encoder(), encoder()], []

    def work(net):
        options = {"data_hash": "a", "folder": tmp_path, "batch_size": 4}
        found.append(cache_features(net, source, COUNT, **options))

    workers = [threading.Thread(target=work, args=(net,)) for net in nets]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert source.asked == COUNT and found[0] == found[1] and list(tmp_path.iterdir()) == found[:1]


def test_features_are_told_by_the_records_they_are_of(tmp_path):
    train = load_dataset("eurosat", **eurosat.options(tmp_path))
    location = make_location_encoder("wrap", dim=8)
    model = DualEncoder(encoder(), location, dim=8, classes=train.classes)
    once = compute_once(model, train)
    assert once is not train and once.content_hash() == train.content_hash()
