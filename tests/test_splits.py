"""Splits: shares, groups, determinism and clear refusals."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from csp_core.data.splits import SPLITS, assign_parts, by_site, rows_of
from csp_core.errors import BadRecordError, ConfigError, UnknownNameError
from csp_core.geo import cell_ids, sphere_points


def places(n: int, seed: int = 0) -> torch.Tensor:
    return sphere_points(torch.rand(n, 2, generator=torch.Generator().manual_seed(seed)))


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(30, 300),
    val=st.floats(0.05, 0.4),
    test=st.floats(0.05, 0.4),
    method=st.sampled_from(sorted(SPLITS)),
    seed=st.integers(0, 2**40),
)
def test_shares_are_reached_and_passed_by_one_group_at_most(n, val, test, method, seed):
    lonlat = places(n).repeat(2, 1)
    parts = assign_parts(lonlat, method=method, val=val, test=test, seed=seed)
    groups = SPLITS[method](lonlat, 2.0)
    largest = groups.unique(return_counts=True)[1].max()
    for part, share in ((1, val), (2, test)):
        assert share * 2 * n <= (parts == part).sum() < share * 2 * n + largest
    assert parts.dtype == torch.int64


@pytest.mark.parametrize("method", ["site", "block"])
def test_no_group_is_torn_apart(method):
    lonlat = places(400).repeat(3, 1)
    parts = assign_parts(lonlat, method=method, val=0.3, test=0.2, block_degrees=10)
    for group in (groups := SPLITS[method](lonlat, 10)).unique():
        assert len(parts[groups == group].unique()) == 1


@pytest.mark.parametrize("method", ["site", "block"])
def test_order_of_records_does_not_matter(method):
    lonlat = places(300)
    shuffle = torch.randperm(300, generator=torch.Generator().manual_seed(5))
    parts = assign_parts(lonlat, method=method, val=0.2, seed=3)
    assert torch.equal(
        assign_parts(lonlat[shuffle], method=method, val=0.2, seed=3), parts[shuffle]
    )


def test_seed_decides():
    lonlat = places(300)
    again = [assign_parts(lonlat, val=0.2, seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(again[0], again[1]) and not torch.equal(again[0], again[2])


def test_sites_join_over_the_antimeridian_at_the_poles_and_in_either_precision():
    same = torch.tensor([[180.0, 5.0], [-180.0, 5.0], [179.999, 5.001], [-179.999, 4.999]])
    assert len(by_site(same, 0.0).unique()) == 1
    assert len(by_site(torch.tensor([[0.0, 90.0], [77.0, 90.0]]), 0.0).unique()) == 1
    apart = torch.tensor([[180.0, 5.0], [179.98, 5.0], [-179.98, 5.0], [180.0, 5.02]])
    assert len(by_site(apart, 0.0).unique()) == 4
    exact = torch.randint(-9000, 9000, (500, 2)).to(torch.float64) / 100
    assert torch.equal(by_site(exact, 0.0), by_site(exact.to(torch.float32), 0.0))


def test_blocks_are_cells():
    lonlat = places(200)
    assert torch.equal(SPLITS["block"](lonlat, 2.0), cell_ids(lonlat, 2.0))


def test_rows_of_parts():
    parts = torch.tensor([0, 1, 0, 2])
    assert rows_of(parts, "train").tolist() == [0, 2]
    assert rows_of(parts, "all").tolist() == [0, 1, 2, 3]
    with pytest.raises(UnknownNameError, match="'test'"):
        rows_of(parts, "tset")
    with pytest.raises(ConfigError, match="val_fraction"):
        rows_of(torch.zeros(3), "val")


def test_refusals():
    lonlat = places(20)
    with pytest.raises(UnknownNameError, match="block, random, site"):
        assign_parts(lonlat, method="blocks of flats")
    for val, test in ((-0.1, 0), (1.0, 0), (0.6, 0.5), (float("nan"), 0)):
        with pytest.raises(ConfigError, match="Shares"):
            assign_parts(lonlat, val=val, test=test)
    with pytest.raises(ConfigError, match="block_degrees"):
        assign_parts(lonlat, method="block", block_degrees=0)
    with pytest.raises(BadRecordError, match="train"):
        assign_parts(torch.zeros(9, 2), method="site", val=0.2)
    with pytest.raises(BadRecordError, match="0 records"):
        assign_parts(torch.zeros(0, 2))
