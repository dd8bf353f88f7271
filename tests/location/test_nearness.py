"""How near some places lie, beside an embedding: by a slow formula, saved, cast, with times."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from csp_core.errors import ConfigError
from csp_core.location import LocationEncoder, Nearness, make_location_encoder
from csp_core.model import DualEncoder
from csp_core.store import load_model, save_model

PLACES = [(13.4, 52.5), (179.9, -17.0), (0.0, 90.0)]
ASKED = torch.tensor([[13.4, 52.5], [-179.9, -17.0], [120.0, 90.0], [-60.0, -30.0], [180.0, 0.0]])


def slow(places, lonlat, km):
    """The logarithm of the mean of exp(-d / km), d by the haversine formula."""
    found = []
    for lon, lat in np.radians(np.asarray(lonlat, dtype=np.float64)):
        total = 0.0
        for other_lon, other_lat in np.radians(np.asarray(places, dtype=np.float64)):
            chord = math.sin((lat - other_lat) / 2) ** 2
            chord += math.cos(lat) * math.cos(other_lat) * math.sin((lon - other_lon) / 2) ** 2
            total += math.exp(-2 * 6371.0088 * math.asin(math.sqrt(chord)) / km)
        found.append(math.log(total / len(places)))
    return np.array(found)


def made(**options):
    torch.manual_seed(0)
    near = {"places": PLACES, "km": 500.0}
    return make_location_encoder("xyz", 5, nearness=near, **options).eval()


@pytest.mark.parametrize("km", [100.0, 500.0, 3000.0])
def test_the_density_by_the_formula(km):
    nearness = Nearness(PLACES, km=km)
    expected = slow(PLACES, ASKED, km)
    np.testing.assert_allclose(nearness.log_density(ASKED), expected, rtol=1e-4, atol=1e-3)
    beside = nearness(ASKED.double())
    assert beside.dtype == torch.float64 and beside.shape == (5, 1)
    np.testing.assert_allclose(beside[:, 0], expected / 1000, rtol=1e-4, atol=1e-6)


def test_gradients_are_finite_at_the_places():
    lonlat = torch.tensor(PLACES, requires_grad=True)
    Nearness(PLACES)(lonlat).sum().backward()
    assert lonlat.grad.isfinite().all()


@pytest.mark.parametrize("network", ["residual_mlp", "siren", "tokens"])
def test_it_stands_beside_what_the_network_gives(network):
    encoder = made(network=network)
    assert encoder.out_dim == 5 and encoder.network_dim == 4
    bare = encoder.with_nearness(None)
    assert bare.out_dim == 4 and bare.network is encoder.network and "nearness" not in bare.spec
    embedding = encoder(ASKED)
    assert torch.equal(embedding[:, :4], bare(ASKED))
    assert torch.equal(embedding[:, 4:], encoder.nearness(ASKED))
    assert torch.equal(encoder.tokens(ASKED)[0], embedding)
    many = ASKED.repeat(1000, 1)
    with torch.inference_mode():
        assert torch.allclose(encoder(many)[-5:], embedding, atol=1e-6)


def test_times_change_what_the_network_gives_alone():
    encoder = made(time={"harmonics": 1})
    assert encoder.uses_date
    one, other = (encoder(ASKED, torch.full((5,), date)) for date in (0.1, 0.6))
    assert torch.equal(one[:, 4], other[:, 4]) and not torch.equal(one[:, :4], other[:, :4])
    bare = encoder.with_nearness(None)
    assert torch.equal(one[:, :4], bare(ASKED, torch.full((5,), 0.1)))


def test_it_is_saved_and_loaded(tmp_path):
    encoder = made()
    assert encoder.spec["nearness"] == {"count": 3, "km": 500.0}
    model = DualEncoder(None, encoder, dim=5, classes=("a",), prior_kind="relative").eval()
    again = load_model(save_model(model, tmp_path / "near"))
    assert isinstance(again.location, LocationEncoder)
    assert torch.equal(again.location(ASKED), encoder(ASKED))
    assert again.location.nearness.places.tolist() == encoder.nearness.places.tolist()


def test_a_cast_model_knows_its_places():
    encoder = made()
    half = made().to(torch.bfloat16)
    assert half.nearness.places.dtype == torch.float32
    assert torch.allclose(half(ASKED)[:, 4].float(), encoder(ASKED)[:, 4], rtol=1e-2, atol=1e-2)


def test_modules_of_your_own_stand_before_it():
    class Raw(nn.Module):
        def forward(self, lonlat):
            return lonlat

    encoder = LocationEncoder(Raw(), nn.Identity(), 2).with_nearness(Nearness(PLACES))
    assert encoder.spec is None and encoder.out_dim == 3
    assert torch.equal(encoder(ASKED)[:, :2], ASKED)


def test_what_cannot_be_near():
    with pytest.raises(ConfigError, match="places is empty"):
        Nearness(torch.empty(0, 2))
    with pytest.raises(ConfigError, match="pairs of longitude and latitude"):
        Nearness([(1000.0, 3.0)])
    for options in ({"count": 0}, {"count": 2.5}, {"count": "a"}, {"count": True}, {"km": 0.0},
                    {"km": 1e-40}, {"km": math.inf}, {"km": math.nan}, {"km": "x"}):  # fmt: skip
        with pytest.raises(ConfigError, match="at least one place"):
            Nearness(**options)
    with pytest.raises(ConfigError, match="no option 'miles'"):
        make_location_encoder("xyz", 5, nearness={"miles": 3})
    for given in (True, [(1.0, 2.0)]):
        with pytest.raises(ConfigError, match="give its options, such as places and km"):
            make_location_encoder("xyz", 5, nearness=given)
    with pytest.raises(ConfigError, match="needs at least 2"):
        make_location_encoder("xyz", 1, nearness={"places": PLACES})


@pytest.mark.parametrize("km", [0.001, 1e6])
def test_the_ends_of_the_distance_are_numbers(km):
    far = Nearness([(0.0, 0.0)], km=km).log_density(torch.tensor([[0.0, 0.0], [180.0, 0.0]]))
    expected = torch.tensor([0.0, -6371.0088 * math.pi / km])
    torch.testing.assert_close(far, expected, rtol=1e-3, atol=1e-6)


def test_many_places_are_asked_in_parts(monkeypatch):
    nearness = Nearness(PLACES)
    expected, most = nearness(ASKED), []
    whole = Nearness.exponents
    monkeypatch.setattr("csp_core.location.nearness.PAIRS", 7)
    monkeypatch.setattr(
        Nearness, "exponents", lambda self, given: most.append(len(given)) or whole(self, given)
    )
    assert torch.equal(nearness.in_parts(ASKED), expected) and most == [2, 2, 1]
    assert nearness.in_parts(ASKED[:0]).shape == (0, 1)
