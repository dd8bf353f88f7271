"""A model with a text encoder comes back to the last bit, and its vocabulary is checked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from csp_core.errors import CheckpointError
from csp_core.image import make_image_encoder
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder, Heads
from csp_core.store import catalog, list_models, load_model, save_model
from csp_core.text import make_text_encoder

CAPTIONS = ["a field of wheat near Vienna", "a field of rye near Graz", "a river 中", ""]
HEADS = Heads(classifiers=(), temperatures=(0.07, 0.2), tokens=6, bias=True)
PLACES = torch.tensor([[36.8, -1.3], [16.4, 48.2]])
DATES = torch.tensor([0.25, float("nan")])


def model(text="transformer", heads=HEADS, fitted=True):
    torch.manual_seed(0)
    options = {"width": 64, "layers": 1, "context": 12}
    options |= {"heads": 2, "vocabulary": 400} if text == "transformer" else {}
    encoder = make_text_encoder(text, 8, **options)
    if fitted:
        encoder.fit_captions(CAPTIONS)
    network = {"name": "tokens", "width": 16, "heads": 2, "layers": 1}
    location = make_location_encoder("sphere_c", 8, num_scales=3, network=network, time=True)
    image = make_image_encoder("small_convnet", 12, width=8, size=16)
    return DualEncoder(image, location, text=encoder, dim=8, heads=heads, name="towers").eval()


def answers(made):
    image = torch.randint(0, 255, (2, 3, 16, 16), generator=torch.Generator().manual_seed(1))
    given = {"image": (image.byte(),), "location": (PLACES, DATES), "text": (CAPTIONS,)}
    found = []
    for side, inputs in given.items():
        out = made.tower(side, *inputs, tokens=True)
        found += [out.embedding, out.tokens, out.mask, made.project_tokens(side, out.tokens)]
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_model(model(), tmp_path_factory.mktemp("models") / "towers")


@pytest.fixture
def copy(folder, tmp_path):
    return Path(shutil.copytree(folder, tmp_path / "towers"))


def test_it_comes_back_to_the_last_bit(folder):
    before, after = model(), load_model(folder)
    assert all(torch.equal(a, b) for a, b in zip(answers(before), answers(after), strict=True))
    assert after.heads == HEADS and after.uses_text and after.text.spec == before.text.spec
    assert torch.equal(after.log_scale, before.log_scale)
    assert after.logit_bias == before.logit_bias == -10
    assert after.text.vocabulary.to_json() == before.text.vocabulary.to_json()
    config = json.loads((folder / "config.json").read_text())
    assert config["text"]["vocabulary"] == after.text.vocabulary_size
    assert config["heads"]["tokens"] == 6 and config["heads"]["bias"] is True
    assert (folder / "tokenizer.json").is_file()


def test_it_is_saved_again_byte_for_byte(folder, tmp_path):
    again = save_model(load_model(folder), tmp_path / "again")
    for name in ("model.safetensors", "tokenizer.json", "config.json", "words.txt"):
        assert (again / name).read_bytes() == (folder / name).read_bytes(), name


def test_the_words_of_captions_are_kept_beside_the_pieces(folder, copy):
    met = {"a", "field", "of", "wheat", "near", "vienna", "rye", "graz", "river"}
    assert (folder / "words.txt").read_text(encoding="utf-8").split() == sorted(met)
    assert load_model(folder).text.words == met
    (copy / "words.txt").unlink()
    assert load_model(copy).text.words is None


@pytest.mark.parametrize("line", ["two words", "<b>", "x" * 65, "", "7"])
def test_a_list_of_words_that_is_none(copy, line):
    (copy / "words.txt").write_text(f"field\n{line}\nrye\n")
    with pytest.raises(CheckpointError, match=r"words.txt holds .* no word; give one a line"):
        load_model(copy)


def test_half_the_space(tmp_path):
    small = load_model(save_model(model(), tmp_path / "half", dtype="float16"))
    for a, b in zip(answers(model()), answers(small), strict=True):
        torch.testing.assert_close(a.float(), b.float(), atol=0.02, rtol=0.02)


def test_clips_pieces_are_no_part_of_the_folder(tmp_path):
    pytest.importorskip("open_clip")
    before = model("open_clip")
    folder = save_model(before, tmp_path / "clip")
    assert not (folder / "tokenizer.json").exists()
    assert torch.equal(load_model(folder).embed_text(CAPTIONS), before.embed_text(CAPTIONS))


def test_models_without_new_parts_say_nothing_of_them(tmp_path):
    location = make_location_encoder("sphere_c", 8, num_scales=3)
    folder = save_model(DualEncoder(None, location, dim=8), tmp_path / "plain")
    config = json.loads((folder / "config.json").read_text())
    assert "text" not in config and not {"tokens", "bias"} & set(config["heads"])
    assert not (folder / "tokenizer.json").exists()
    plain = load_model(folder)
    assert not plain.uses_text and plain.token_heads is None and plain.logit_bias is None


def test_the_list_says_which_read_text(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(catalog, "ASSETS", tmp_path)
    monkeypatch.setenv("CSP_MODELS", str(folder.parent))
    (info,) = list_models()
    assert info.problem is None and info.reads_text


def test_a_text_encoder_that_learned_nothing_is_not_saved(tmp_path):
    with pytest.raises(CheckpointError, match="no vocabulary yet"):
        save_model(model(fitted=False), tmp_path / "none")


def change(path, edit):
    tree = json.loads(path.read_text(encoding="utf-8"))
    edit(tree)
    path.write_text(json.dumps(tree), encoding="utf-8")


def test_a_damaged_vocabulary_is_refused(copy):
    path = copy / "tokenizer.json"
    change(path, lambda tree: tree["model"]["merges"].append(["q", "q"]))
    with pytest.raises(CheckpointError, match="joins a pair of which it has no piece"):
        load_model(copy)
    change(path, lambda tree: tree["model"]["merges"].pop())
    assert load_model(copy).uses_text
    change(path, lambda tree: tree["model"]["vocab"].update(more=len(tree["model"]["vocab"])))
    with pytest.raises(CheckpointError, match=r"give model\.text\.vocabulary"):
        load_model(copy)


def test_a_smaller_vocabulary_does_not_fit_the_weights(copy):
    def shorten(tree):
        tokens, merges = tree["model"]["vocab"], tree["model"]["merges"]
        while merges:
            tokens.pop("".join(merges.pop()))

    change(copy / "tokenizer.json", shorten)
    with pytest.raises(CheckpointError, match=r"text\.token\.weight"):
        load_model(copy)


def test_a_vocabulary_out_of_bounds(copy):
    path = copy / "tokenizer.json"
    with path.open("r+b") as stream:
        stream.truncate(1 << 30)
    with pytest.raises(CheckpointError, match="larger than"):
        load_model(copy)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        load_model(copy)
    path.symlink_to("/etc/hostname")
    with pytest.raises(CheckpointError, match="leaves its directory"):
        load_model(copy)


def test_a_model_names_no_weights_of_this_machine(copy):
    change(copy / "config.json", lambda tree: tree["text"].update(weights="/etc/hostname"))
    with pytest.raises(CheckpointError, match="further files"):
        load_model(copy)


@pytest.mark.parametrize("options", [{"layers": 12}, {"width": 2048}, {"context": 512}])
def test_a_text_encoder_larger_than_its_file_is_never_built(copy, options):
    change(copy / "config.json", lambda tree: tree["text"].update(options))
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        load_model(copy)
