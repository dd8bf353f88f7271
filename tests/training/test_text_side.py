"""A run with a text encoder: its vocabulary, what it starts from, and runs without one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import yaml

from csp_core.config import load_config, parse_config
from csp_core.data import load_dataset
from csp_core.errors import ConfigError, UnknownNameError
from csp_core.model import DualEncoder, Heads
from csp_core.objectives import OBJECTIVES
from csp_core.store import load_model, save_model
from csp_core.training import text_side
from csp_core.training.card import write_card
from csp_core.training.setup import initialise, make_parts
from csp_core.training.text_side import fit_captions
from tests import photo_model

TEXT = {"name": "transformer", "width": 16, "layers": 1, "heads": 2, "vocabulary": 400}
DATA = {"size": 120, "buffer_km": 0.0, "captions": "facts"}


def config(text=TEXT, data=DATA, **model):
    return photo_model.config(data=data, model={"text": text, **model})


@pytest.fixture(scope="module")
def parts():
    return make_parts(config())


def test_the_vocabulary_is_that_of_the_training_captions(parts, monkeypatch):
    train_set, text = parts.train_set, parts.model.text
    whole, own = len(train_set.captions), set(train_set.caption.tolist()) - {-1}
    assert len(own) < whole  # the table is that of all parts
    given = []
    monkeypatch.setattr(
        type(text), "fit_captions", lambda self, captions, seed: given.append((captions, seed))
    )
    fit_captions(parts.model, train_set, 0, None)
    fit_captions(parts.model, replace(train_set, caption=train_set.caption.roll(1)), 0, None)
    fit_captions(parts.model, train_set, 1, None)
    assert given[0] == given[1] and {train_set.captions.index(each) for each in given[0][0]} == own
    assert given[0][1] != given[2][1]
    assert text.vocabulary_size == len(text.vocabulary) <= 400
    assert parts.model.embed_text(["a place near Nairobi"]).shape == (1, 16)


def test_the_same_run_is_the_same_model(parts):
    again = make_parts(config()).model
    mine, other = parts.model.state_dict(), again.state_dict()
    assert list(mine) == list(other) and all(torch.equal(mine[n], other[n]) for n in mine)
    assert again.text.vocabulary.to_json() == parts.model.text.vocabulary.to_json()


def test_an_objective_without_words_leaves_them_as_they_are(parts):
    assert parts.model.text in parts.objective.resting()
    assert not any(weight.requires_grad for weight in parts.model.text.parameters())


def test_without_captions_or_text():
    data = {key: value for key, value in DATA.items() if key != "captions"}
    with pytest.raises(ConfigError, match=r"give data\.captions, such as facts"):
        make_parts(config(data=data))
    assert make_parts(config(text=None)).model.text is None


def test_a_run_starts_from_the_words_of_another(parts, tmp_path):
    source = save_model(parts.model, tmp_path / "source")
    # It needs no captions then: the vocabulary is there.
    data = {key: value for key, value in DATA.items() if key != "captions"}
    size = parts.model.text.vocabulary_size
    for vocabulary in (size, 4096):
        text = {**TEXT, "vocabulary": vocabulary}
        begun = make_parts(config(text, data, init_from=str(source))).model
        assert begun.text.vocabulary.to_json() == parts.model.text.vocabulary.to_json()
        assert begun.text.words == parts.model.text.words and "near" in begun.text.words
        captions = ["a field near Nairobi"]
        assert torch.equal(begun.embed_text(captions), parts.model.embed_text(captions))
        assert begun.text.spec["vocabulary"] == size
    with pytest.raises(ConfigError, match=rf"give model\.text\.vocabulary {size} at least"):
        make_parts(config({**TEXT, "vocabulary": 300}, data, init_from=str(source)))
    with pytest.raises(ConfigError, match=r"another text encoder: give model\.text"):
        make_parts(config({**TEXT, "width": 8}, data, init_from=str(source)))
    # Words are left where they are not wanted.
    assert make_parts(config(None, data, init_from=str(source))).model.text is None
    with pytest.raises(UnknownNameError, match="nowhere"):
        make_parts(config(TEXT, data, init_from="nowhere"))


def test_words_that_the_start_does_not_have_are_learned_here(tmp_path):
    source = save_model(make_parts(config(text=None)).model, tmp_path / "source")
    begun = make_parts(config(init_from=str(source))).model
    assert begun.text.vocabulary is not None
    assert torch.equal(begun.image_head.weight, load_model(source).image_head.weight)


def test_a_model_that_shares_nothing_says_what_it_knows(parts, tmp_path):
    text = DualEncoder(None, None, text=parts.model.text, dim=16)
    folder = save_model(text, tmp_path / "words")
    with pytest.raises(ConfigError, match="knows words alone"):
        initialise(make_parts(config(text=None)).model, str(folder))


def test_runs_without_text_keep_their_recipe():
    plain = photo_model.config(data=DATA)
    assert '"text"' not in plain.model_dump_json(exclude={"model": {"text"}})
    # The hash that this configuration had before there were text encoders.
    assert parse_config({"name": "x"}).recipe_hash() == HASH
    assert config().recipe_hash() != plain.recipe_hash()
    assert config({**TEXT, "layers": 2}).recipe_hash() != config().recipe_hash()


HASH = "d53e30ec1ecd74d47a013a544c87d4a4c198c70a6193c312dd6f8c8e94f67198"


def test_weights_of_clip_are_a_path_beside_the_configuration(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("model: {dim: 32, text: {name: open_clip, weights: clip.safetensors}}\n")
    text = load_config(file).model.text
    assert text.options["weights"] == str(tmp_path / "clip.safetensors")


def test_the_log_tells_how_much_was_learned(parts, caplog):
    train_set = load_dataset("demo", "train", **config().data.loading())
    with caplog.at_level("INFO", logger=text_side.__name__):
        fit_captions(parts.model, train_set, 0, None)
    assert "the text encoder reads" in caplog.text and "captions" in caplog.text


@pytest.mark.parametrize(
    ("captions", "sentence"),
    [
        ("facts", "recorded together and from no label;"),
        ("facts_and_class", "The captions name the class, so it learned from labels"),
        (None, "recorded together and from no label;"),
    ],
)
def test_the_card_says_what_is_compared_and_what_it_learned_from(
    parts, monkeypatch, captions, sentence
):
    class Compares(OBJECTIVES["simclr"]):
        trains = ("image", "location", "text")

    monkeypatch.setitem(OBJECTIVES, "simclr", Compares)
    model = DualEncoder(
        parts.model.image,
        parts.model.location,
        text=parts.model.text if captions else None,
        dim=16,
        heads=Heads(classifiers=()),
    )
    given = photo_model.config(
        data={**DATA, "captions": captions}, objective={"name": "simclr", "augmentation": "strong"}
    )
    card = write_card(model, given, {}, {})
    front, text = yaml.safe_load(card.split("---")[1]), " ".join(card.split())
    # It gives no shares, so no program is told that it does.
    assert "prior_kind" not in front
    assert front["compares"] == ["image", "location", *(["text"] if captions else [])]
    sides = "images, places and texts" if captions else "images and places"
    assert f"It compares {sides}, and ranks no classes." in text
    assert f"It compares {sides} by vectors" in text and sentence in text


def test_records_held_out_number_captions_as_those_that_are_learned_from(parts):
    train_set, val_set = parts.train_set, parts.val_set
    text_side.check_table(train_set, val_set)
    text_side.check_table(train_set, None)
    shifted = replace(val_set, captions=(*train_set.captions, "zz"))
    with pytest.raises(ConfigError, match="another table of captions"):
        text_side.check_table(train_set, shifted)


def test_every_caption_of_a_part_is_in_the_table_of_all(parts):
    """A record whose caption were not there would count as one without, in silence."""
    options = photo_model.config(data=DATA).data.loading() | {"labels": 48, "size": 900}
    for source in ("facts", "facts_and_class"):
        for more in ({"unlabelled": True}, {}, {"labels": None, "label_fraction": 0.5}):
            given = {**options, "captions": source, **more}
            found = [load_dataset("demo", part, **given) for part in ("train", "val", "test")]
            assert len({one.captions for one in found}) == 1
            assert not any(bool((one.caption < 0).any()) for one in found)
