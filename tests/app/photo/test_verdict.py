import pytest

from csp_core.inference import RankedAnswer
from csp_core.inference.photo import Terms
from photo import verdict


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ((0.9, 0.05), "a, 90.0 %"),
        ((0.5, 0.5), "a or b, 50 : 50"),
        ((0.42, 0.32, 0.26), "a, b or c, 42 : 32 : 26"),
        ((0.55, 0.32, 0.1), "a, 55.0 %"),
        ((0.1, 0.09, 0.08), "no clear answer; 3 are about as likely, at most 10.0 % each"),
        ((0.2, 0.2, 0.2, 0.2), "no clear answer; 4 are about as likely, at most 20.0 % each"),
        ((1 / 3, 1 / 3, 1 / 3), "a, b or c, 34 : 33 : 33"),
    ],
)
def test_rivals_are_named_with_the_first(shares: tuple[float, ...], words: str) -> None:
    terms = Terms(0.0, 0.0, 0.0)
    rows = [(RankedAnswer(k + 1, "abcd"[k], "", share, k + 1, share, terms), share)
            for k, share in enumerate(shares)]  # fmt: skip
    assert verdict.leaning(rows) == words


@pytest.mark.parametrize(
    ("lonlat", "words"),
    [((2.35, 48.86), "Near Paris"), ((-30.0, 0.0), "At sea, 0° N, 30° W")],
)
def test_a_place_begins_a_sentence(lonlat: tuple[float, float], words: str) -> None:
    assert verdict.at(*lonlat).replace("\\", "").startswith(words)
