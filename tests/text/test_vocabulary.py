"""A vocabulary of byte pairs: what it learns, reads and refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from csp_core.errors import ConfigError
from csp_core.text import Vocabulary
from csp_core.text.vocabulary import END, FEWEST, MASK, MOST_CHARACTERS, PAD, SPECIALS, START

ROOT = Path(__file__).resolve().parents[2]
CAPTIONS = [
    "a field of wheat near Vienna, Austria",
    "a field of rye near Graz, Austria in May",
    "a river between fields near Linz, Austria",
    "Häuser am Fluß in Österreich",
]


@pytest.fixture(scope="module")
def vocabulary():
    return Vocabulary.learn(CAPTIONS, 320)


def test_it_learns_pairs_that_come_again_and_no_more_than_asked_for(vocabulary):
    assert FEWEST == 260 < len(vocabulary) <= 320
    assert len(Vocabulary.learn(CAPTIONS, 265)) == 265
    assert len(Vocabulary.learn(["xyz"], 400)) == FEWEST  # no pair comes twice
    assert len(vocabulary.encode("a field near Austria")) == 4


def test_numbers_of_the_special_tokens():
    assert (PAD, START, END, MASK) == (0, 1, 2, 3) and len(SPECIALS) == 4


def test_no_character_is_unknown(vocabulary):
    for caption in ("中国", "🌾🌾", "Čakovec", "\u0000\u007f", "ß"):
        pieces = vocabulary.encode(caption)
        assert pieces and all(4 <= piece < len(vocabulary) for piece in pieces)
    # A character of four bytes is four tokens behind the space before the word, if not learned.
    assert len(vocabulary.encode("🌾")) == 5


def test_case_spaces_and_forms_of_a_letter_do_not_matter(vocabulary):
    plain = vocabulary.encode("ein häuschen")
    for other in ("Ein  HÄUSCHEN", "\tein ha\u0308uschen\n", " ein \u3000 häuschen"):
        assert vocabulary.encode(other) == plain


def test_what_has_no_letters_is_empty(vocabulary):
    assert vocabulary.encode("") == vocabulary.encode("   \n") == []


def test_words_that_look_like_special_tokens_are_words(vocabulary):
    for word in SPECIALS:
        assert not {PAD, START, END, MASK} & set(vocabulary.encode(f"a {word} b"))
    learned = Vocabulary.learn([f"{word} {word}" for word in SPECIALS] * 50, 400)
    for word in SPECIALS:
        assert not {PAD, START, END, MASK} & set(learned.encode(word))


def test_halves_of_characters_are_no_error(vocabulary):
    assert vocabulary.encode("a \ud800 b") == vocabulary.encode("a ? b")


def test_of_very_long_captions_the_beginning_is_read(vocabulary):
    assert len(vocabulary.encode("x" * 10**7)) <= MOST_CHARACTERS + 1


def test_it_is_written_and_read(vocabulary):
    again = Vocabulary.from_json(vocabulary.to_json())
    assert len(again) == len(vocabulary)
    assert all(again.encode(caption) == vocabulary.encode(caption) for caption in CAPTIONS)
    assert again.to_json() == vocabulary.to_json()


def test_earlier_versions_of_the_library_wrote_pairs_with_a_space(vocabulary):
    tree = json.loads(vocabulary.to_json())
    tree["model"]["merges"] = [" ".join(pair) for pair in tree["model"]["merges"]]
    assert Vocabulary.from_json(json.dumps(tree)).to_json() == vocabulary.to_json()


def test_of_a_file_nothing_but_pieces_and_pairs_is_used(vocabulary):
    tree = json.loads(vocabulary.to_json())
    tree["pre_tokenizer"] = {"type": "Split", "pattern": {"Regex": "(a+)+$"}}
    tree["added_tokens"] = [{"id": 7, "content": "field", "special": True}]
    assert Vocabulary.from_json(json.dumps(tree)).to_json() == vocabulary.to_json()


def test_the_same_captions_give_the_same_vocabulary_in_any_process(vocabulary):
    code = (
        "from csp_core.text import Vocabulary\n"
        f"print(Vocabulary.learn({CAPTIONS!r}, 320).to_json())"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=True,
        )
        assert done.stdout.strip() == vocabulary.to_json()


def test_learning_leaves_the_environment_as_it_was(monkeypatch):
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    Vocabulary.learn(CAPTIONS, 270)
    assert "TOKENIZERS_PARALLELISM" not in os.environ
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    Vocabulary.learn(CAPTIONS, 270)
    assert os.environ["TOKENIZERS_PARALLELISM"] == "true"


@pytest.mark.parametrize("most", [0, 259, 65_537])
def test_sizes_out_of_range(most):
    with pytest.raises(ConfigError, match=f"vocabulary is {most}; give 260 to"):
        Vocabulary.learn(CAPTIONS, most)


def drop_a_byte(model):
    numbers = {name: number for name, number in model["vocab"].items() if name != "a"}
    model["vocab"] = {name: number for number, name in enumerate(numbers)}


DAMAGES = {
    "few": (lambda m: m.update(vocab={"a": 0}), "1 pieces"),
    "many": (
        lambda m: m["vocab"].update({f"x{number}": number for number in range(320, 70_000)}),
        "pieces and",
    ),
    "gap": (lambda m: m["vocab"].update(new=10**6), "from 0 on"),
    "twice": (lambda m: m["vocab"].update(new=5), "from 0 on"),
    "float": (lambda m: m["vocab"].update(a=1.5), "from 0 on"),
    "byte": (drop_a_byte, "some byte"),
    "pair": (lambda m: m["merges"].append(["q", "q"]), "no piece"),
    "special": (lambda m: m["merges"].append(["<", "pad>"]), "no piece"),
    "number": (lambda m: m["merges"].append([1, 2]), "no piece"),
    "triple": (lambda m: m["merges"].append(["a", "b", "c"]), "no byte pairs"),
    "none": (lambda m: m.update(merges=None), "no byte pairs"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file(vocabulary, name):
    change, message = DAMAGES[name]
    tree = json.loads(vocabulary.to_json())
    change(tree["model"])
    with pytest.raises(ConfigError, match=message):
        Vocabulary.from_json(json.dumps(tree))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"model": 3}', "[" * 10**5, "\ud800"])
def test_a_file_of_something_else(text):
    with pytest.raises(ConfigError, match="no byte pairs"):
        Vocabulary.from_json(text)
