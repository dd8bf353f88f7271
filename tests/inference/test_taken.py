"""Where and when a picture counts as taken: given before file."""

from __future__ import annotations

import pytest
import torch

from csp_core.data.pictures import Photo
from csp_core.inference import When, taken

FILE = Photo(torch.zeros(3, 4, 4), (8.0, 47.0), "EXIF", "", uncertainty_m=2500.0, date=0.25,
             hour=0.5, taken="2024-04-01 12:00")  # fmt: skip
BARE = Photo(torch.zeros(3, 4, 4), None, None, "The file names no place.")
OF_FILE = When(0.25, 0.5, "2024-04-01")


def test_nothing_given_leaves_what_the_file_says():
    found = taken(FILE)
    assert (found.place, found.radius_km, found.when) == ((8, 47), 2.5, OF_FILE)
    assert found.own_place and found.own_date
    found = taken(BARE)
    assert (found.place, found.radius_km, found.when) == (None, 0, When())


@pytest.mark.parametrize("photo", [FILE, BARE])
def test_a_given_place_is_exact_and_leaves_the_time(photo):
    found = taken(photo, (0.0, 0.0))
    assert (found.place, found.radius_km, found.own_place) == ((0, 0), 0, False)
    assert found.when == taken(photo).when and found.own_date


@pytest.mark.parametrize(
    ("given", "want"),
    [(When(0.75, None, "2020-10-01"), When(0.75, None, "2020-10-01")),
     (When(0.75, 0.1, "2020-10-01"), When(0.75, 0.1, "2020-10-01")),
     (When(hour=0.1), When(0.25, 0.1, "2024-04-01")), (When(), OF_FILE), (None, OF_FILE)],
)  # fmt: skip
def test_a_given_date_leaves_out_the_hour_of_the_file(given, want):
    found = taken(FILE, when=given)
    assert found.when == want and found.own_date == (given is None or given.date is None)
    assert found.place == (8, 47) and found.own_place


def test_a_picture_may_be_left_undated():
    found = taken(FILE, undated=True)
    assert found.when == When() and not found.own_date
