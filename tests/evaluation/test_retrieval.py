"""The numbers of retrieval against slow versions, and how models that compare are measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from csp_core.errors import ConfigError
from csp_core.evaluation import (
    MEASURES,
    cautions_of,
    evaluate,
    evaluate_answers,
    find_measure,
)
from csp_core.evaluation.retrieval_numbers import guess_km, locate, recall_at, right_ranks
from csp_core.geo import great_circle_km
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder
from tests import comparing


@pytest.fixture(scope="module")
def model() -> DualEncoder:
    return comparing.trained()


def slow_rank(row: np.ndarray, right: np.ndarray) -> float:
    """Sort, and take the middle of the places that the best right one shares with wrong ones."""
    own = row[right].max()
    higher = sum(1 for value, good in zip(row, right, strict=True) if not good and value > own)
    equal = sum(1 for value, good in zip(row, right, strict=True) if not good and value == own)
    return float(np.mean([higher + 1 + k for k in range(equal + 1)]))


def test_ranks_against_a_slow_version() -> None:
    draws = torch.Generator().manual_seed(0)
    values = torch.randint(6, (40, 25), generator=draws) / 5
    right = torch.rand(40, 25, generator=draws) < 0.1
    right[:, 3] = True
    found = right_ranks(values, right)
    slow = [slow_rank(r, g) for r, g in zip(values.numpy(), right.numpy(), strict=True)]
    assert found.tolist() == slow
    assert recall_at(found, 1) == np.mean(np.array(slow) <= 1)
    # Nothing is known of equal ones, so that all equal is chance.
    blind = right_ranks(torch.zeros(1, 1000), torch.arange(1000)[None] == 5)
    assert blind.item() == 500.5 and recall_at(blind, 10) == 0


def test_distances_of_the_best_place() -> None:
    places = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    truth = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    agreement = torch.tensor([[0.9, 0.1, 0.2], [0.1, 0.7, 0.7]])
    km = guess_km(agreement, places, truth)
    degree = great_circle_km(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.0])).item()
    assert km.tolist() == pytest.approx([0, 10 * degree], rel=1e-6)
    told = locate(torch.tensor([0.0, 100.0, 300.0, 1000.0]))
    assert told.median_km == 200 and told.within == (0.25, 0.5, 0.75)


def test_a_model_that_compares_is_measured_by_each_pair_of_sides(model: DualEncoder) -> None:
    records = comparing.world(90, seed=5)
    assert find_measure(model, records) is MEASURES["retrieval"]
    found = {name: one.to_dict() for name, one in evaluate_answers(model, records).items()}
    assert list(found) == ["image-place", "image-text", "place-text"]
    pictures = found["image-place"]
    assert pictures["n"] == pictures["gallery"] == 90 and pictures["recall_at_100"] == 1
    # A colour stands for a city, and 30 records of it are alike.
    assert pictures["recall_at_10"] > 0.2 > 10 / 90
    assert pictures["median_km"] < 350 < pictures["centre_median_km"]
    words = found["image-text"]
    assert words["gallery"] == 9 and words["recall_at_10"] == 1 and words["zero_shot_top1"] > 0.9
    assert "median_km" not in words and found["place-text"]["median_km"] < 400
    assert evaluate(model, records).to_dict() == pictures
    assert evaluate_answers(model, records)["image-place"].to_dict() == pictures


def test_sides_that_records_lack_are_left_out(model: DualEncoder) -> None:
    bare = comparing.world(30, captions=False)
    assert list(evaluate_answers(model, bare)) == ["image-place"]
    untold = replace(comparing.world(30), caption=torch.full((30,), -1))
    assert list(evaluate_answers(model, untold)) == ["image-place"]
    nowhere = replace(bare, lonlat=torch.full((30, 2), float("nan")))
    with pytest.raises(ConfigError, match="compares images and places and captions"):
        evaluate_answers(model, nowhere)
    # A model that neither compares nor answers is left to what it was told before.
    plain = DualEncoder(None, make_location_encoder("sphere_c", 8), dim=8)
    assert find_measure(plain, bare) is None


def test_equal_captions_and_places_are_right() -> None:
    records = comparing.world(30)
    one = replace(records, captions=("all the same",), caption=torch.zeros(30, dtype=torch.int64))
    model = comparing.build()
    found = evaluate_answers(model, one)["image-text"].to_dict()
    assert found["gallery"] == 1 and found["recall_at_10"] == found["back_recall_at_10"] == 1
    here = replace(records, lonlat=records.lonlat[:1].expand(30, 2))
    found = evaluate_answers(model, here)["image-place"].to_dict()
    assert found["gallery"] == 1 and found["recall_at_10"] == 1
    said = " ".join(cautions_of(model, one))
    assert "Only 30 records" in said and "All records have one caption" in said
    assert "All records have one place" in " ".join(cautions_of(model, here))


def test_random_weights_are_near_chance() -> None:
    records = comparing.world(240, seed=2, captions=False)
    shuffled = replace(records, lonlat=records.lonlat.roll(7, 0))
    found = evaluate_answers(comparing.build(seed=3), shuffled)["image-place"].to_dict()
    assert abs(found["recall_at_10"] - 10 / 240) < 0.05
    # It tells nothing of where it learned, so nobody knows the middle of its records.
    assert "centre_median_km" not in found and found["median_km"] > 1000
