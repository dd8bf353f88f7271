"""Retrieval beside an embedding, against a slow form."""

import numpy as np
import pytest
import torch

from csp_core.errors import BadRecordError, ConfigError
from csp_core.geo import sphere_points, unit_vectors
from csp_core.inference.retrieval import bank as banks
from csp_core.inference.retrieval.bank import ALIKE, NEAR, Bank


def drawn(count, seed):
    draw = torch.Generator().manual_seed(seed)
    lonlat = sphere_points(torch.rand(count, 2, generator=draw)).double()
    return torch.randn(count, 5, generator=draw).double().numpy(), lonlat


def slow(vectors, lonlat, keys, places, mix, kept):
    rows = []
    for vector, place in zip(vectors, lonlat, strict=True):
        length = np.linalg.norm(keys, axis=1) * np.linalg.norm(vector)
        alike, near = keys @ vector / length, (unit_vectors(places) @ unit_vectors(place)).numpy()
        others = [i for i in range(len(keys)) if not torch.equal(places[i], place)]
        own = np.zeros(len(vector))
        for part, factor, of in ((mix, ALIKE, alike), (1 - mix, NEAR, near)):
            best = sorted(others, key=(-of).__getitem__)[:kept]
            weight = np.exp(factor * of[best])
            own += part * (weight / weight.sum()) @ keys[best]
        rows.append(np.concatenate((vector, own)))
    return np.stack(rows)


@pytest.mark.parametrize("mix", [0.0, 0.3, 1.0])
def test_a_slow_form_agrees(mix, monkeypatch):
    monkeypatch.setattr(banks, "KEPT", 7)
    monkeypatch.setattr(banks, "CHUNK", 4)  # so that parts are put together
    keys, places = drawn(30, 0)
    asked, lonlat = drawn(9, 1)
    # Some places of the bank itself are asked about, too.
    asked, lonlat = np.concatenate((asked, keys[:3])), torch.cat((lonlat, places[:3]))
    found = Bank(keys, places).beside(asked, lonlat, mix)
    assert np.allclose(found, slow(asked, lonlat, keys, places, mix, 7), atol=1e-12)


def test_a_place_of_the_bank_is_told_nothing_of_itself():
    keys, places = drawn(40, 0)
    changed = keys.copy()
    changed[3] += 100.0
    first, then = (Bank(own, places).beside(keys[:5], places[:5], 0.0) for own in (keys, changed))
    assert np.array_equal(first[3], then[3]) and np.isfinite(first).all()
    # All entries at the place itself: they are all that is known.
    same = Bank(keys[:2], places[:1].expand(2, 2)).beside(keys[:1], places[:1], 0.5)
    assert np.allclose(same[0, 5:], keys[:2].mean(axis=0))


def test_what_makes_no_bank():
    keys, places = drawn(4, 0)
    with pytest.raises(BadRecordError, match="bank of 1 embeddings at 1 places"):
        Bank(keys[:1], places[:1])
    with pytest.raises(BadRecordError, match="4 embeddings at 3 places"):
        Bank(keys, places[:3])
    with pytest.raises(ConfigError, match=r"mix is 1\.5"):
        Bank(keys, places).beside(keys, places, 1.5)
