"""The tokens of a place: one for each scale, each time and the covariates, behind [LOC]."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from csp_core.config import ModelConfig
from csp_core.errors import ConfigError
from csp_core.location import ENCODINGS, MultiScaleTokens, TokenLayout, make_location_encoder

NAN = math.nan
PLACES = torch.tensor([[36.8, -1.3], [-77.1, -12.05], [180.0, 90.0], [0.0, 0.0]])
DATES = torch.tensor([0.1, NAN, 0.5, NAN])
SCALES = {
    "grid": 5,
    "theory": 5,
    "nerf": 3,
    "sphere_c": 5,
    "sphere_c_plus": 5,
    "sphere_c_seamless": 4,
    "sphere_m": 5,
    "sphere_m_plus": 5,
    "dfs": 3,
    "geoclip": 3,
}


def encoder(name="sphere_c_plus", dim=7, seed=0, network=None, **more):
    torch.manual_seed(seed)
    body = {"name": "tokens", "width": 16, "heads": 2, **(network or {})}
    options = {**ENCODINGS[name].example_options, **more}
    return make_location_encoder(name, dim, network=body, **options).eval()


@pytest.mark.parametrize("name", sorted(ENCODINGS))
def test_every_encoding_has_tokens(name):
    made = encoder(name)
    embedding, tokens, mask = made.tokens(PLACES)
    scales = SCALES.get(name, 1)
    assert tokens.shape == (4, 1 + scales, 16) and made.token_dim == 16 and mask.all()
    assert made.scale_slots == slice(1, 1 + scales)
    assert torch.equal(embedding, made(PLACES)) and embedding.shape == (4, 7)
    # Every feature belongs to a scale, and no scale has more than one copy of it.
    columns = made.encoding.scale_columns
    assert columns.unique().tolist() == list(range(made.encoding.out_dim))
    assert all(len(set(row)) == len(row) for row in columns.tolist())


@pytest.mark.parametrize("name", sorted(set(SCALES) - {"dfs", "geoclip"}))
def test_the_features_of_a_scale_are_those_of_its_frequency_alone(name):
    made = encoder(name)
    found = made.scale_features(PLACES)
    for scale in range(SCALES[name]):
        alone = copy.deepcopy(made.encoding)
        alone.frequencies = made.encoding.frequencies[scale : scale + 1]
        torch.testing.assert_close(found[:, scale], alone(PLACES))


def test_dfs_deals_its_products_out_by_the_wave_of_longitude():
    made = encoder("dfs")
    found = made.scale_features(PLACES)
    radians = torch.deg2rad(PLACES.double())
    for scale, frequency in enumerate(made.encoding.frequencies):
        lon, lat = (frequency * radians).unbind(1)
        every = radians[:, 1, None] * made.encoding.frequencies
        waves = torch.cat((every.sin(), every.cos()), dim=1)
        alone = torch.stack((lat.sin(), lat.cos(), lon.sin(), lon.cos()), dim=1)
        by_hand = torch.cat((lon.sin()[:, None] * waves, lon.cos()[:, None] * waves, alone), dim=1)
        torch.testing.assert_close(found[:, scale].double(), by_hand, atol=1e-5, rtol=0)


def test_scales_in_another_order_are_the_same_scales():
    # Nothing but its own map and slot tells one scale from another.
    made = encoder(time={"hour": True})
    other = copy.deepcopy(made)
    order = torch.tensor([3, 0, 4, 1, 2])
    slots = torch.tensor([0, *(1 + order).tolist(), 6, 7])
    layout = made.network.layout
    other.network.layout = TokenLayout(layout.scales[order], layout.further)
    with torch.no_grad():
        other.network.scale_weight.copy_(made.network.scale_weight[order])
        other.network.slot.copy_(made.network.slot[slots])
    before, after = made.tokens(PLACES, DATES, DATES), other.tokens(PLACES, DATES, DATES)
    torch.testing.assert_close(after[0], before[0])
    torch.testing.assert_close(after[1], before[1][:, slots])
    assert torch.equal(after[2], before[2][:, slots])


def test_what_is_not_known_is_masked():
    made = encoder(time={"harmonics": 2, "hour": True})
    embedding, tokens, mask = made.tokens(PLACES, DATES, torch.tensor([NAN, 0.5, NAN, NAN]))
    assert tokens.shape == (4, 1 + 5 + 2, 16)
    assert mask[:, :6].all()
    assert mask[:, 6:].tolist() == [[True, False], [False, True], [True, False], [False, False]]
    # Where the date is not known, nothing that stands in its token matters.
    with torch.no_grad():
        made.time.missing.fill_(3.0)
        after = made(PLACES, DATES, torch.tensor([NAN, 0.5, NAN, NAN]))
    torch.testing.assert_close(after, embedding, atol=1e-6, rtol=0)
    assert made.tokens(PLACES)[2][:, 6:].sum() == 0
    torch.testing.assert_close(made(PLACES)[3], embedding[3], atol=1e-6, rtol=0)


def test_hidden_dates_are_masked_in_training():
    made = encoder(time={"missing_rate": 0.5}).train()
    torch.manual_seed(0)
    mask = made.tokens(PLACES.repeat(100, 1), torch.full((400,), 0.25))[2]
    assert 150 < mask[:, -1].sum() < 250 and mask[:, :-1].all()


def test_covariates_are_one_token_masked_where_none_has_a_value():
    made = encoder(covariates={"columns": ["a", "b"], "step": 90.0, "bounds": (-180, -90, 180, 90)})
    with torch.no_grad():
        made.covariates.known[0].fill_(True)
        made.covariates.known[:, :, 0] = False  # the quarter of the globe west of -90° has none
    places = torch.tensor([[40.0, 0.0], [-135.0, 0.0]])
    mask = made.tokens(places)[2]
    assert mask.shape == (2, 7) and mask[:, -1].tolist() == [True, False] and mask[:, :-1].all()


def test_masked_scales_are_hidden_and_those_of_another_row_are_taken():
    made = encoder()
    none = torch.zeros(4, 5, dtype=torch.bool)
    own = torch.arange(4)[:, None].expand(4, 5).clone()
    plain = made.tokens(PLACES)
    for masked in (none, own):
        assert torch.equal(made.tokens(PLACES, masked=masked)[1], plain[1])
    # All scales masked: every place is the same place, at whatever is masked.
    hidden = made.tokens(PLACES, masked=~none)
    torch.testing.assert_close(hidden[0], hidden[0][:1].expand_as(hidden[0]))
    assert torch.equal(made.tokens(PLACES, masked=torch.full((4, 5), -1))[1], hidden[1])
    assert hidden[2].all()
    # All scales of the next row: it is the next place.
    torch.testing.assert_close(made.tokens(PLACES, masked=own.roll(-1, 0))[0], plain[0].roll(-1, 0))
    some = own.clone()
    some[0, 2] = -1
    changed = made.tokens(PLACES, masked=some)[0]
    assert torch.equal(changed[1:], plain[0][1:]) and not torch.equal(changed[0], plain[0][0])


def test_dropped_scales_say_nothing():
    made = encoder()
    dropped = torch.zeros(4, 5, dtype=torch.bool)
    dropped[:, 1] = True
    embedding, _, mask = made.tokens(PLACES, dropped=dropped)
    assert mask.tolist() == [[True, True, False, True, True, True]] * 4
    with torch.no_grad():
        made.network.scale_weight[1] = 9.0
        torch.testing.assert_close(
            made.tokens(PLACES, dropped=dropped)[0], embedding, atol=1e-6, rtol=0
        )
    # [LOC] is there when nothing else is.
    alone = made.tokens(PLACES, dropped=torch.ones(4, 5, dtype=torch.bool))
    assert alone[0].isfinite().all() and alone[2].sum(dim=1).tolist() == [1, 1, 1, 1]


def test_scales_drop_in_training_alone():
    made = encoder(network={"scale_drop": 0.15})
    assert made.tokens(PLACES)[2].all()
    torch.manual_seed(0)
    mask = made.train().tokens(PLACES.repeat(500, 1))[2]
    assert mask[:, 0].all() and abs((~mask[:, 1:]).float().mean() - 0.15) < 0.01


def test_a_row_does_not_depend_on_others_and_there_may_be_one_or_none():
    made = encoder(time=True).double()
    together = made(PLACES.double(), DATES)
    for row in range(4):
        alone = made(PLACES[row : row + 1].double(), DATES[row : row + 1])
        torch.testing.assert_close(alone[0], together[row])
    assert made.tokens(PLACES[:0].double())[1].shape == (0, 7, 16)


def test_a_network_without_tokens_gives_its_embedding_as_the_only_one():
    made = make_location_encoder("sphere_c", 7, num_scales=4).eval()
    embedding, tokens, mask = made.tokens(PLACES)
    assert torch.equal(tokens[:, 0], embedding) and torch.equal(embedding, made(PLACES))
    assert mask.shape == (4, 1) and mask.all() and made.token_dim == 7
    assert made.scale_slots == slice(1, 1) and made.scale_features(PLACES).shape == (4, 4, 3)
    with pytest.raises(ConfigError, match=r"ResidualMLP has no tokens.*network: tokens"):
        made.tokens(PLACES, masked=torch.zeros(4, 4, dtype=torch.bool))


def test_every_weight_has_a_gradient():
    # Processes that train together wait for every one.
    made = encoder(time=True).train()
    made(PLACES, DATES).sum().backward()
    assert [name for name, weight in made.named_parameters() if weight.grad is None] == []


def test_a_configuration_takes_it():
    config = ModelConfig.model_validate(
        {"location": {"name": "sphere_c", "network": {"name": "tokens", "layers": 4}}}
    )
    assert config.location.model_dump()["network"] == {
        **{"name": "tokens", "width": 128, "layers": 4, "heads": 4},
        **{"dropout": 0.0, "scale_drop": 0.0},
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": 0}, "1 to 4 layers"),
        ({"layers": 5}, "1 to 4 layers"),
        ({"heads": 3}, "multiple of heads"),
        ({"heads": 0}, "multiple of heads"),
        ({"width": 0}, "multiple of heads"),
        ({"width": 2048}, "at most 1024"),
        ({"scale_drop": 1.0}, "rate from 0"),
        ({"dropout": -0.1}, "rate from 0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        encoder(network=options)


def test_what_is_masked_has_the_shape_of_scales():
    with pytest.raises(ConfigError, match="4 places and 5 scales"):
        encoder().tokens(PLACES, masked=torch.zeros(4, 6, dtype=torch.bool))


def test_a_number_of_features_is_one_token():
    network = MultiScaleTokens(6, 3, width=8, layers=1, heads=2).eval()
    assert network.scales == 1 and network(torch.rand(5, 6)).shape == (5, 3)
