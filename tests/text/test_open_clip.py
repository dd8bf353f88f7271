"""The text tower of a CLIP gives what open_clip gives."""

from __future__ import annotations

import sys

import pytest
import torch

from csp_core.errors import CheckpointError, ConfigError, DataNotFoundError
from csp_core.files import save_tensors
from csp_core.text import make_text_encoder

CAPTIONS = ["a photo of a cat!", "Vineyards near the sea, in Bordeaux", "", "x " * 60, "Wörter 中"]


@pytest.fixture(scope="module")
def tokenizer():
    # Its package imports torchvision, which takes seconds.
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


@pytest.fixture(scope="module", params=[False, True])
def clip(request, tokenizer):
    from open_clip import CLIP

    torch.manual_seed(0)
    text = {"context_length": 16, "vocab_size": 49_408, "width": 64, "heads": 1, "layers": 2}
    image = {"layers": 1, "width": 64, "patch_size": 16, "image_size": 32}
    made = CLIP(embed_dim=32, vision_cfg=image, text_cfg=text, quick_gelu=request.param)
    return made.eval(), request.param


@pytest.fixture
def weights(clip, tmp_path):
    path = tmp_path / "open_clip_model.safetensors"
    save_tensors(path, clip[0].state_dict())
    return path


def test_it_gives_what_open_clip_gives(clip, weights, tokenizer, tmp_path):
    theirs, quick = clip
    ours = make_text_encoder("open_clip", 32, weights=str(weights), quick_gelu=quick).eval()
    tokens, expected = ours.tokenise(CAPTIONS), tokenizer(CAPTIONS, 16)
    assert torch.equal(tokens, expected[:, : tokens.shape[1]])
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens), theirs.encode_text(expected), atol=2e-6, rtol=0)
        torch.testing.assert_close(ours(expected), ours(tokens), atol=1e-6, rtol=0)
    assert ours.spec["width"] == 64 and ours.spec["layers"] == 2 and ours.spec["context"] == 16
    assert ours.spec["weights"] is None
    # As a file of torch, and as the text part of another class of open_clip.
    state = {f"text.{name}": value for name, value in theirs.state_dict().items()}
    torch.save(state, tmp_path / "clip.pt")
    again = make_text_encoder("open_clip", 32, weights=str(tmp_path / "clip.pt"), quick_gelu=quick)
    assert torch.equal(again.eval()(tokens), ours(tokens))


def test_the_mask_token_is_behind_clips_and_means_any_word(weights):
    ours = make_text_encoder("open_clip", 32, weights=str(weights))
    assert ours.vocabulary_size == 49_409 and ours.mask_token == 49_408
    torch.testing.assert_close(ours.token.weight[-1], ours.token.weight[:-1].mean(dim=0))


def test_a_piece_with_the_number_of_padding_is_no_padding():
    ours = make_text_encoder("open_clip", 8, width=64, layers=1, context=12)
    # An exclamation mark inside of a run of marks is piece 0.
    tokens = ours.tokenise(["!?\u00a1", "!"])
    assert (tokens[0] == 0).any() and ours.real(tokens).sum(dim=1).tolist() == [
        (tokens[0] == ours.end_token).int().argmax() + 1,
        3,
    ]
    assert ours.real(torch.tensor([[49_406, 0, 0, 49_407, 0, 0]])).sum() == 4


def test_words_that_look_like_start_and_end_are_none():
    ours = make_text_encoder("open_clip", 8, width=64, layers=1, context=12)
    tokens = ours.tokenise(["a <end_of_text> b", "a b"])
    assert torch.equal(tokens[0], tokens[1])


def test_without_the_package(monkeypatch):
    ours = make_text_encoder("open_clip", 8, width=64, layers=1, context=12)
    monkeypatch.setitem(sys.modules, "open_clip.tokenizer", None)
    with pytest.raises(ConfigError, match="pip install open_clip_torch"):
        ours.tokenise(["a river"])


def test_weights_that_do_not_fit(clip, weights, tmp_path):
    with pytest.raises(ConfigError, match=r"give model\.dim: 32 \(now 64\)"):
        make_text_encoder("open_clip", 64, weights=str(weights))
    with pytest.raises(DataNotFoundError, match="give a file that open_clip saved"):
        make_text_encoder("open_clip", 32, weights=str(tmp_path / "none.safetensors"))
    state = clip[0].state_dict()
    bad = tmp_path / "bad.safetensors"
    for changed, message in (
        ({"x": torch.zeros(2)}, "no text tower"),
        ({**state, "token_embedding.weight": torch.zeros(9, 64)}, "9 pieces"),
        ({**state, "ln_final.bias": torch.zeros(9)}, "fits together"),
        ({**state, "positional_embedding": torch.zeros(9)}, "no text tower"),
        ({k: v for k, v in state.items() if "c_fc.bias" not in k}, "fits together"),
    ):
        save_tensors(bad, changed)
        with pytest.raises(CheckpointError, match=message):
            make_text_encoder("open_clip", 32, weights=str(bad))
    with pytest.raises(ConfigError, match="multiples of 64"):
        make_text_encoder("open_clip", 8, width=100)
