"""Every text encoder keeps the same contract; our own learns its vocabulary."""

from __future__ import annotations

import copy
import json
import logging
import math

import pytest
import torch

from csp_core.config import ModelConfig
from csp_core.errors import ConfigError, UnknownNameError
from csp_core.tables import option_names
from csp_core.text import TEXT_ENCODERS, TextEncoder, TextTransformer, make_text_encoder
from csp_core.text import transformer as module

NAMES = sorted(TEXT_ENCODERS)
SMALL = {
    "transformer": {"width": 16, "layers": 2, "heads": 2, "context": 12, "vocabulary": 320},
    "open_clip": {"width": 64, "layers": 2, "context": 12},
}
CAPTIONS = ["a field of wheat near Vienna", "a field of rye near Graz", "a river", ""]


def encoder(name="transformer", dim=7, seed=0, **more):
    torch.manual_seed(seed)
    made = make_text_encoder(name, dim, **{**SMALL[name], **more})
    made.fit_captions(CAPTIONS)
    return made.eval()


@pytest.fixture(scope="module", params=NAMES)
def made(request):
    return encoder(request.param)


def test_shapes(made):
    tokens = made.tokenise(CAPTIONS)
    assert isinstance(made, TextEncoder) and made.out_dim == 7
    assert tokens.shape[0] == 4 and tokens.dtype == torch.int64
    assert 0 <= tokens.min() and tokens.max() < made.vocabulary_size
    embedding, states, mask = made.see(tokens)
    assert embedding.shape == (4, 7) and torch.equal(made(tokens), embedding)
    assert states.shape == (*tokens.shape, made.token_dim) and mask.shape == tokens.shape
    assert embedding.isfinite().all() and states.isfinite().all()


def test_a_caption_begins_and_ends(made):
    tokens = made.tokenise(CAPTIONS)
    mask = made.real(tokens)
    assert (tokens[:, 0] == made.start_token).all()
    lengths = mask.sum(dim=1)
    assert (tokens[torch.arange(4), lengths - 1] == made.end_token).all()
    assert (tokens[~mask] == made.pad_token).all()
    assert lengths[3] == 2 and tokens[3, :2].tolist() == [made.start_token, made.end_token]
    assert {made.start_token, made.end_token, made.mask_token} <= set(made.specials)


def test_padding_changes_nothing(made):
    tokens = made.tokenise(["a river"])
    longer = torch.nn.functional.pad(tokens, (0, made.context - tokens.shape[1]))
    assert longer.shape[1] > tokens.shape[1] and not made.real(longer)[:, tokens.shape[1] :].any()
    torch.testing.assert_close(made(longer), made(tokens), atol=1e-6, rtol=0)
    length = tokens.shape[1]
    states = made.see(longer)[1][:, :length]
    torch.testing.assert_close(states, made.see(tokens)[1], atol=1e-5, rtol=0)


def test_a_row_does_not_depend_on_others_and_there_may_be_one_or_none(made):
    together = made(made.tokenise(CAPTIONS))
    for caption, row in zip(CAPTIONS, together, strict=True):
        torch.testing.assert_close(made(made.tokenise([caption]))[0], row, atol=1e-6, rtol=0)
    nothing = made.tokenise([])
    assert made.see(nothing)[1].shape == (0, 2, made.token_dim)


def test_the_order_of_words_matters(made):
    first, second = made(made.tokenise(["a field near a river", "a river near a field"]))
    assert (first - second).abs().max() > 1e-4


def test_long_captions_are_cut_and_keep_their_end(made, caplog):
    with caplog.at_level(logging.WARNING):
        tokens = made.tokenise(["a field " * 50, "a field"])
    assert tokens.shape == (2, 12) and tokens[0, -1] == made.end_token
    assert "1 of 2 captions are longer than the 10 tokens" in caplog.text
    assert made.real(tokens)[0].all()


def test_unknown_characters_are_bytes(made):
    tokens = made.tokenise(["中"])
    assert 4 <= made.real(tokens).sum() <= 6 and made(tokens).isfinite().all()


def test_rows_of_padding_alone_are_finite(made):
    tokens = torch.full((2, 3), made.pad_token)
    assert made(tokens).isfinite().all()


@pytest.mark.parametrize("shape", [(2, 13), (2, 0), (5,)])
def test_tokens_that_do_not_fit(made, shape):
    with pytest.raises(ConfigError, match="1 to 12 of them"):
        made.see(torch.zeros(shape, dtype=torch.int64))


@pytest.mark.parametrize("captions", ["a river", [3], [None]])
def test_what_is_no_sequence_of_captions(made, captions):
    with pytest.raises(ConfigError, match="sequence of texts"):
        made.tokenise(captions)


@pytest.mark.parametrize("name", NAMES)
def test_the_specification_makes_the_encoder_again(name):
    first = encoder(name)
    spec = json.loads(json.dumps(first.spec))
    assert set(spec) == {"name", *option_names(TEXT_ENCODERS[name], given=1)}
    second = make_text_encoder(dim=7, **spec)
    second.load_state_dict(first.state_dict())
    tokens = first.tokenise(CAPTIONS)
    assert torch.equal(second.eval()(tokens), first(tokens))


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_takes_it(name):
    config = ModelConfig.model_validate({"location": "xyz", "text": {"name": name, **SMALL[name]}})
    again = ModelConfig.model_validate(json.loads(config.model_dump_json()))
    assert again.model_dump(mode="json") == config.model_dump(mode="json")
    assert isinstance(make_text_encoder(dim=3, **config.text.model_dump()), TextEncoder)
    with pytest.raises(ConfigError, match="no option 'depth'"):
        make_text_encoder(name, depth=3)


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="open_clip, transformer"):
        make_text_encoder("bert")


@pytest.mark.parametrize("layers", [1, 12])
def test_same_seed_same_encoder_whatever_the_vocabulary_learns(layers):
    first = encoder(seed=3, layers=layers)
    second = encoder(seed=3, layers=layers)
    other = make_text_encoder("transformer", 7, **{**SMALL["transformer"], "layers": layers})
    torch.manual_seed(3)
    other = make_text_encoder("transformer", 7, **{**SMALL["transformer"], "layers": layers})
    other.fit_captions(["something else"])
    tokens = first.tokenise(CAPTIONS)
    assert torch.equal(first(tokens), second(tokens))
    size = other.vocabulary_size
    assert size < first.vocabulary_size and torch.equal(
        other.token.weight, first.token.weight[:size]
    )


def test_learning_keeps_as_many_tokens_as_there_are():
    made = encoder(vocabulary=4096)
    assert made.vocabulary_size == len(made.vocabulary) == made.token.num_embeddings < 320
    assert made.spec["vocabulary"] == made.vocabulary_size
    assert made.token.weight.requires_grad
    smaller = make_text_encoder("transformer", 7, **{**SMALL["transformer"], "vocabulary": 260})
    with pytest.raises(ConfigError, match=r"give model\.text\.vocabulary"):
        smaller.take_vocabulary(made.vocabulary)


def test_of_very_many_captions_some_are_drawn(monkeypatch):
    monkeypatch.setattr(module, "MOST_CAPTIONS", 20)
    captions = [f"place{number} place{number}" for number in range(200)]
    found = []
    for seed in (0, 0, 1):
        made = make_text_encoder("transformer", 7, **SMALL["transformer"])
        made.fit_captions(captions, seed)
        found.append(made.vocabulary.to_json())
    assert found[0] == found[1] != found[2]


def test_without_captions_or_a_vocabulary():
    made = make_text_encoder("transformer", 7, **SMALL["transformer"])
    with pytest.raises(ConfigError, match=r"give data\.captions"):
        made.fit_captions([])
    with pytest.raises(ConfigError, match="call fit_captions"):
        made.tokenise(["a river"])


def test_a_copy_shares_the_vocabulary():
    made = encoder()
    assert copy.deepcopy(made).vocabulary is made.vocabulary


def test_causal_tokens_do_not_see_those_behind_them():
    tokens = encoder().tokenise(["a field near a river", "a field near a house"])
    same = int((tokens[0] == tokens[1]).long().cumprod(0).sum())
    assert same >= 4
    for causal in (True, False):
        states = encoder(causal=causal).see(tokens)[1][:, :same]
        assert torch.allclose(states[0], states[1], atol=1e-6) == causal


def test_every_weight_has_a_gradient():
    made = encoder().train()
    made(made.tokenise(CAPTIONS)).sum().backward()
    assert [name for name, weight in made.named_parameters() if weight.grad is None] == []


def test_dropout_in_training_alone():
    made = encoder(dropout=0.5)
    tokens = made.tokenise(CAPTIONS)
    assert torch.equal(made(tokens), made(tokens))
    assert not torch.equal(made.train()(tokens), made(tokens))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": 0}, "1 to 12 layers"),
        ({"layers": 13}, "1 to 12 layers"),
        ({"heads": 3}, "multiple of heads"),
        ({"heads": 0}, "multiple of heads"),
        ({"width": 4096}, "at most 2048"),
        ({"context": 3}, "4 to 512"),
        ({"context": 513}, "4 to 512"),
        ({"vocabulary": 100}, "260 to"),
        ({"dropout": 1.0}, "rate from 0"),
        ({"dropout": math.nan}, "rate from 0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        TextTransformer(7, **{**SMALL["transformer"], **options})
    with pytest.raises(ConfigError, match="dim is 0"):
        make_text_encoder("transformer", 0)
