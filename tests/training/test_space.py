"""What a run keeps of its location space, and the film that is made of it."""

from __future__ import annotations

import pytest
import torch

from csp_core.errors import ConfigError, CspError, DataNotFoundError
from csp_core.files import hash_file, save_tensors
from csp_core.inference.clusters import embed
from csp_core.inference.clusters.series import PLACES, find_frames, unfold
from csp_core.runs import RunDir
from csp_core.runs.artifacts import drop_frames, range_frames
from csp_core.store import load_model
from csp_core.training import train
from csp_core.training.space import keep_space
from tests import small

TRAINING = {"epochs": 3, "threads": 1, "keep": "last"}


def keeping(records_csv, every):
    return small.config(records_csv, training={**TRAINING, "space_every": every})


@pytest.fixture(scope="module")
def plain(records_csv, tmp_path_factory):
    run = RunDir(tmp_path_factory.mktemp("plain") / "run")
    train(keeping(records_csv, None), run_dir=run.path)
    return run


@pytest.fixture(scope="module")
def kept(records_csv, tmp_path_factory):
    """A run that keeps its space; not to be written to."""
    run = RunDir(tmp_path_factory.mktemp("kept") / "run")
    train(keeping(records_csv, 1), run_dir=run.path)
    return run


def test_keeping_changes_nothing_of_the_run(plain, kept, records_csv):
    model = "model.safetensors"
    assert hash_file(kept.model / model) == hash_file(plain.model / model)
    assert (kept.model / "config.json").read_bytes() == (plain.model / "config.json").read_bytes()
    assert find_frames(plain) == [] and range_frames(kept) == []
    asked, none = keeping(records_csv, 1), keeping(records_csv, None)
    assert asked.recipe_hash() == none.recipe_hash() and "space_every" not in none.to_yaml()


def test_the_film_ends_with_what_the_model_sees(kept):
    found = find_frames(kept)
    assert [frame.epoch for frame in found] == [0, 1, 2, 3]
    film = unfold(found, count=3)
    assert [frame.title for frame in film.frames[:2]] == ["before training", "epoch 1"]
    assert film.lonlat.shape == (PLACES, 2) and film.frames[-1].agreement == 1.0
    vectors = embed(load_model(kept.model), film.lonlat)
    distance = torch.cdist(vectors[:50], vectors[:50])
    across = torch.cdist(film.frames[-1].plane[:50], film.frames[-1].plane[:50])
    assert bool((across <= distance + 0.01).all())
    for frame, after in zip(film.frames, film.frames[1:], strict=False):
        # Numbers are those that most places keep: no exchange of two would keep more.
        same = float((frame.labels == after.labels).double().mean())
        for one, other in ((0, 1), (0, 2), (1, 2)):
            changed = frame.labels.clone()
            changed[frame.labels == one], changed[frame.labels == other] = other, one
            assert float((changed == after.labels).double().mean()) <= same + 1e-9


def test_colours_may_be_those_of_other_clusters(kept):
    film = unfold(find_frames(kept), count=3)
    last = film.frames[-1].labels
    other = torch.tensor([5, 2, 0])
    found = film.numbered_like(other[last])
    assert torch.equal(found.frames[-1].labels, other[last])
    for frame, before in zip(found.frames, film.frames, strict=True):
        assert torch.equal(frame.labels, other[before.labels])


def test_some_epochs_alone_and_those_done_again(records_csv, tmp_path):
    run = RunDir(tmp_path / "run")
    train(keeping(records_csv, 2), run_dir=run.path)
    assert [frame.epoch for frame in find_frames(run)] == [0, 2]
    drop_frames(run, 1, stage="", before=())
    assert [frame.epoch for frame in find_frames(run)] == [0]


def test_what_cannot_be_unfolded(kept, plain, tmp_path):
    with pytest.raises(DataNotFoundError, match="space_every=1"):
        unfold(find_frames(plain))
    with pytest.raises(ConfigError, match="number of clusters is 1"):
        unfold(find_frames(kept), count=1)
    folder = RunDir(tmp_path / "run").artifacts
    folder.mkdir(parents=True)
    path = folder / "space-main-00001.safetensors"
    for content in (b"nothing", b"", b"\xff" * 64):
        path.write_bytes(content)
        with pytest.raises(CspError, match="no frame of a space"):
            unfold(find_frames(RunDir(tmp_path / "run")))
    for vectors in (torch.zeros(3, 4), torch.full((5, 4), float("nan")), torch.zeros(5, 4)):
        save_tensors(path, {"lonlat": torch.zeros(5, 2), "vectors": vectors})
        with pytest.raises(CspError):
            unfold(find_frames(RunDir(tmp_path / "run")))


def test_a_frame_that_tells_no_places_apart(tmp_path):
    folder = RunDir(tmp_path / "run").artifacts
    folder.mkdir(parents=True)
    lonlat = torch.tensor([[float(n), 0.0] for n in range(20)])
    later = torch.nn.functional.normalize(torch.randn(20, 4, generator=torch.Generator()), dim=1)
    for epoch, vectors in enumerate((torch.ones(20, 4), later)):
        path = folder / f"space-main-{epoch:05d}.safetensors"
        save_tensors(path, {"lonlat": lonlat, "vectors": vectors.half()})
    film = unfold(find_frames(RunDir(tmp_path / "run")), count=3)
    assert set(film.numbered_like(film.frames[1].labels).frames[0].labels.tolist()) == {-1}
    assert set(film.frames[0].labels.tolist()) == {-1} and film.frames[0].agreement == 0.0


def test_a_space_that_is_zero_leaves_out_a_frame_and_the_run_goes_on(plain, tmp_path, caplog):
    model, run = load_model(plain.model), RunDir(tmp_path / "run")
    with torch.no_grad():
        for weight in model.location.parameters():
            weight.zero_()
    run.artifacts.mkdir(parents=True)
    with caplog.at_level("WARNING", logger="csp_core.training"):
        keep_space(run, "main", model, 2, 1)
    assert "no frame" in caplog.text and "zero" in caplog.text
    assert list(run.artifacts.iterdir()) == []
