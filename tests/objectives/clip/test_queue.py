"""The queue of nearest neighbours: what is nearest, what is left out, what is held."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from csp_core import losses
from csp_core.objectives.clip.queue import Neighbours, capped_size
from tests import clip


def t(shape, k):
    """Give the tensor on which the released code was run."""
    index = torch.arange(math.prod(shape), dtype=torch.float64)
    return torch.sin(0.37 * index * index + k).view(shape)


def nobody(number):
    return torch.arange(2.0 * number).view(number, 2) + 1000


def filled(rows, whose=None):
    queue = Neighbours(len(rows), rows.shape[1])
    queue.push(rows, nobody(len(rows)) if whose is None else whose)
    return queue


def test_the_nearest_are_those_of_the_release():
    bank, query = t((8, 6), 9).mT, t((4, 8), 1)
    queue = filled(bank)
    found, entry = queue.nearest(query, torch.zeros(4, 2))
    assert entry.tolist() == [1, 0, 4, 3]
    torch.testing.assert_close(found.norm(dim=1), torch.ones(4).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(found, F.normalize(bank, dim=1)[entry], atol=1e-6, rtol=0)


def test_the_oldest_are_overwritten():
    """The release drops what does not fit before the end; here it goes to the beginning."""
    queue = Neighbours(6, 8)
    rows = F.normalize(torch.randn(14, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    assert queue.held == 0
    for start in (0, 4, 8):
        queue.push(rows[start : start + 4], nobody(14)[start : start + 4])
    assert queue.held == 6 and int(queue.queue.next) == 0
    torch.testing.assert_close(queue.queue.rows, rows[6:12])
    queue.push(rows[12:], nobody(14)[12:])
    torch.testing.assert_close(queue.queue.rows, torch.cat((rows[12:14], rows[8:12])))
    queue.push(rows, nobody(14))
    held, theirs = queue.queue.known()
    order, want = theirs[:, 0].argsort(), nobody(14)[8:]
    torch.testing.assert_close(theirs[order], want)
    torch.testing.assert_close(held[order], rows[8:])


def test_entries_of_the_same_place_are_left_out():
    rows, whose = torch.eye(4), torch.tensor([[1.0, 2.0], [1.0, 2.0], [9.0, 9.0], [9.1, 9.0]])
    queue = filled(rows, whose)
    query = rows[:1] + 0.1 * rows[2:3]
    assert queue.nearest(query, torch.tensor([[5.0, 5.0]]))[1].item() == 0
    assert queue.nearest(query, whose[:1])[1].item() == 2
    far = Neighbours(4, 4, apart_km=100.0)
    far.push(rows, whose)
    assert far.nearest(rows[2:3] + 0.1 * rows[3:], torch.tensor([[9.2, 9.0]]))[1].item() < 2
    # Where all are of the same place, it is what was asked for, with a number of its own.
    own = filled(rows, whose[:1].expand(4, -1))
    found, entry = own.nearest(query.expand(2, -1), whose[:2])
    torch.testing.assert_close(found, F.normalize(query.expand(2, -1), dim=1))
    assert entry.tolist() == [-1, -2]


def test_an_oracle_gives_the_partner():
    made = clip.make("declip", augmentation=None, views={"number": 1}, masked_view=False,
                     mask_km=0.0, compat="reference")  # fmt: skip
    given = clip.batch(data=clip.PAIRS)
    drawn = made.draw(given, clip.source())
    seen = made._see(drawn)
    image, place = seen["image"].views[0], seen["location"].views[0]
    queue = made.neighbours()["location"]
    queue.push(place.detach(), nobody(24))
    scale = made.scale(0)
    want = F.cross_entropy(scale * losses.similarities(image, place), torch.arange(24))
    found = made(drawn)["neighbour"]
    # The model's places lie close together, so the nearest of each is itself alone by the digits.
    torch.testing.assert_close(found, want, atol=1e-4, rtol=1e-4)


def test_it_is_asked_before_it_is_filled_and_holds_no_row_of_chance():
    made = clip.make("declip", queue_size=60)
    given = clip.batch(data=clip.PAIRS)
    assert "neighbour" not in clip.step(made, 0, given)
    queue = made.neighbours()["location"]
    assert queue.held == 48 and (queue.queue.rows[48:] == 0).all()
    before = queue.queue.rows.clone()
    drawn = made.draw(given, clip.source())
    assert "neighbour" in made(drawn)
    assert torch.equal(queue.queue.rows, before)
    made.finish_step(1)
    assert queue.held == 60 and made.told()["queue_places"] == 60
    # Its own views were never among the entries of this step; places of the batch are left out.
    _, theirs = queue.queue.known()
    assert torch.equal(theirs[48:60], given["lonlat"][:12])
    _, entry = queue.nearest(torch.randn(24, 16), given["lonlat"])
    assert (theirs[entry.clamp_min(0)] != given["lonlat"]).any(dim=1)[entry >= 0].all()


def test_it_holds_a_quarter_of_the_places_at_most(caplog):
    few = replace(clip.PAIRS, lonlat=clip.PAIRS.lonlat[:40].repeat(15, 1))
    with caplog.at_level(logging.INFO):
        made = clip.make("declip", data=few)
    assert len(made.neighbours()["location"].queue.rows) == 10
    assert "holds 10, not 65,536: a quarter of the 40 different ones" in caplog.text
    assert capped_size(8, 40, "places") == 8 and capped_size(8, 3, "places") == 1
    # A batch larger than the queue.
    for number in range(2):
        found = clip.step(made, number, clip.batch(data=few))
    assert found["neighbour"].isfinite()


def test_records_of_one_neighbour_are_not_told_apart():
    made = clip.make("declip", augmentation=None, queue_size=1)
    given = clip.batch(data=clip.PAIRS)
    clip.step(made, 0, given)
    drawn = made.draw(given, clip.source())
    # All have the one neighbour there is, but the record that it is of.
    found = made(drawn)["neighbour"].item()
    assert found == pytest.approx(0.0, abs=0.7)
    made.spec = replace(made.spec, published=True)
    assert made(drawn)["neighbour"].item() > 2
