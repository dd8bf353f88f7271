"""Splits: shares, groups, determinism and clear refusals."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from csp_core.data import load_occurrences
from csp_core.data.groups import SPLITS, by_recorder, by_site
from csp_core.data.labels import capped, stratified_fraction
from csp_core.data.parts import LEFT_OUT, rows_of
from csp_core.data.records import ClassTable, RecordDataset
from csp_core.data.splits import assign_parts
from csp_core.errors import BadRecordError, ConfigError, UnknownNameError
from csp_core.geo import cell_ids, great_circle_km, nearest_km, sphere_points


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
    groups = SPLITS[method](lonlat, 2.0, None)
    largest = groups.unique(return_counts=True)[1].max()
    for part, share in ((1, val), (2, test)):
        assert share * 2 * n <= (parts == part).sum() < share * 2 * n + largest
    assert parts.dtype == torch.int64


@pytest.mark.parametrize("method", ["site", "block", "recorder"])
def test_no_group_is_torn_apart(method):
    lonlat = places(400).repeat(3, 1)
    parts = assign_parts(lonlat, method=method, val=0.3, test=0.2, block_degrees=10)
    for group in (groups := SPLITS[method](lonlat, 10, None)).unique():
        assert len(parts[groups == group].unique()) == 1


@pytest.mark.parametrize("method", ["site", "block", "recorder"])
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
    assert torch.equal(SPLITS["block"](lonlat, 2.0, None), cell_ids(lonlat, 2.0))


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
    with pytest.raises(UnknownNameError, match="block, random, recorder, site"):
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


# Recorders, buffers and label fractions


def test_records_of_one_recorder_stay_together_and_unknown_ones_go_by_site():
    lonlat = places(300).repeat(2, 1)
    recorder = torch.randint(-1, 40, (600,), generator=torch.Generator().manual_seed(1))
    parts = assign_parts(lonlat, method="recorder", val=0.2, test=0.2, recorder=recorder)
    for code in range(40):
        assert len(parts[recorder == code].unique()) == 1
    unknown = recorder == -1
    for site in by_site(lonlat[unknown]).unique():
        assert len(parts[unknown][by_site(lonlat[unknown]) == site].unique()) == 1
    # A recorder's number is no site's number.
    lone = by_recorder(lonlat, 2.0, recorder)
    assert len(lone.unique()) == 40 + len(by_site(lonlat[unknown]).unique())


def test_without_recorders_the_recorder_split_is_the_site_split():
    lonlat = places(200).repeat(2, 1)
    unknown = torch.full((400,), -1)
    by_places = assign_parts(lonlat, method="site", val=0.3)
    for recorder in (None, unknown):
        parts = assign_parts(lonlat, method="recorder", val=0.3, recorder=recorder)
        assert torch.equal(parts, by_places)


@settings(max_examples=20, deadline=None)
@given(buffer_km=st.floats(1.0, 3000.0), seed=st.integers(0, 99))
def test_a_buffer_leaves_out_what_is_near_and_nothing_else(buffer_km, seed):
    lonlat = places(150, seed)
    plain = assign_parts(lonlat, val=0.05, test=0.05, seed=seed)
    held_out = plain > 0
    nearest = great_circle_km(lonlat[:, None].double(), lonlat[held_out].double()).amin(1)
    want = torch.where(~held_out & (nearest <= buffer_km), LEFT_OUT, plain)
    if not (want == 0).any():
        return
    most = int((want == LEFT_OUT).sum()) > int((want == 0).sum())
    told = pytest.warns(UserWarning, match="are left out") if most else nullcontext()
    with told:
        parts = assign_parts(lonlat, val=0.05, test=0.05, seed=seed, buffer_km=buffer_km)
    assert torch.equal(parts, want)


def test_a_buffer_that_takes_most_of_the_records_says_so():
    lonlat = torch.rand((400, 2), generator=torch.Generator().manual_seed(0)) * 5
    told = r"of 3\d\d training records lie within 50 km of one held out by the 'random' split"
    with pytest.warns(UserWarning, match=told):
        parts = assign_parts(lonlat, val=0.1, test=0.1, buffer_km=50.0)
    assert 0 < int((parts == 0).sum()) < 160


def test_a_buffer_reaches_over_the_antimeridian_and_the_pole():
    near = torch.tensor([[179.9, 0.0], [-179.9, 0.0], [10.0, 89.9], [-170.0, 89.9], [0.0, 0.0]])
    assert nearest_km(near[:1], near[1:2]).item() == pytest.approx(22.2, abs=0.1)
    assert nearest_km(near[2:3], near[3:4]).item() == pytest.approx(22.2, abs=0.1)
    assert nearest_km(near, near[:0]).isinf().all() and nearest_km(near[:0], near).shape == (0,)


def test_a_buffer_that_is_none_or_leaves_nothing():
    with pytest.raises(ConfigError, match="buffer_km is -1"):
        assign_parts(places(50), buffer_km=-1.0)
    with pytest.raises(ConfigError, match="buffer_km is nan"):
        assign_parts(places(50), buffer_km=float("nan"))
    with pytest.raises(BadRecordError, match="train empty"):
        assign_parts(places(50), buffer_km=21_000.0)


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.25, 0.5, 1.0])
def test_label_fraction_is_that_of_the_formula(fraction):
    label = torch.randint(0, 30, (1500,), generator=torch.Generator().manual_seed(2)) ** 2 // 30
    rows = stratified_fraction(label, fraction, seed=3)
    assert torch.equal(rows, rows.unique())
    for c in label.unique().tolist():
        n = int((label == c).sum())
        assert int((label[rows] == c).sum()) == max(1, int(np.round(n * fraction)))


def test_label_fraction_rounds_half_to_even():
    # 10, 30 and 50 records at 5 % are 0.5, 1.5 and 2.5.
    label = torch.arange(3).repeat_interleave(torch.tensor([10, 30, 50]))
    chosen = label[stratified_fraction(label, 0.05)]
    assert torch.bincount(chosen).tolist() == [1, 2, 2]


def test_label_fraction_is_seeded_nested_and_skips_the_unlabelled():
    label = torch.randint(-1, 5, (400,), generator=torch.Generator().manual_seed(2))
    one, again, other = (stratified_fraction(label, 0.2, seed) for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert torch.isin(stratified_fraction(label, 0.1, 1), one).all()
    everything = stratified_fraction(label, 1.0)
    assert torch.equal(everything, (label >= 0).nonzero().flatten())
    assert stratified_fraction(label[:0], 0.5).shape == (0,)
    for fraction in (0.0, 1.5, float("nan")):
        with pytest.raises(ConfigError, match="label_fraction"):
            stratified_fraction(label, fraction)


def write_records(path):
    """Write 200 records of two taxa by five recorders, some without a name."""
    people = ("Ada", "ada ", "Bo", "Cy", "Di | Ed", "")
    lines = ["species,lon,lat,recordedBy"]
    for i, (lon, lat) in enumerate(places(200).tolist()):
        lines.append(f"{('Aus bus', 'Cus dus')[i % 5 == 0]},{lon},{lat},{people[i % 6]}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_table_of_records_by_recorder(tmp_path):
    root = write_records(tmp_path / "r.csv")
    options = {"root": root, "split_method": "recorder", "val_fraction": 0.2, "seed": 4}
    train, val = (load_occurrences(split, **options) for split in ("train", "val"))
    whole = load_occurrences("all", **options)
    assert len(whole.recorder.unique()) == 5 and (whole.recorder == -1).sum() == 33
    people = [set(part.recorder.tolist()) - {-1} for part in (train, val)]
    assert people[0] and people[1] and not people[0] & people[1]
    assert "recorder: val 0.2" in str(train.info["split"])


def test_a_table_of_records_with_buffer_and_label_fraction(tmp_path):
    root = write_records(tmp_path / "r.csv")
    plain, buffered, few = (
        load_occurrences("train", root=root, **options)
        for options in ({}, {"buffer_km": 500.0}, {"label_fraction": 0.1})
    )
    val = load_occurrences("val", root=root, buffer_km=500.0)
    assert nearest_km(buffered.lonlat, val.lonlat).min() > 500
    assert len(buffered) < len(plain)
    assert buffered.info["rows_left_out_of_training"] == len(plain) - len(buffered)
    assert "500 km buffer" in str(buffered.info["split"])
    assert torch.bincount(few.label).tolist() == [
        max(1, round(int(n) * 0.1)) for n in torch.bincount(plain.label)
    ]
    assert few.classes.counts == tuple(torch.bincount(few.label).tolist())
    again = load_occurrences("val", root=root, label_fraction=0.1)
    assert again.content_hash() == val.content_hash() and again.classes == few.classes
    assert len(load_occurrences("all", root=root, buffer_km=500.0)) == 200


def test_recorders_are_no_part_of_what_a_model_learns_from():
    lonlat, label = places(20), torch.zeros(20, dtype=torch.int64)
    plain = RecordDataset(lonlat, label, ClassTable(("a",)))
    named = RecordDataset(lonlat, label, ClassTable(("a",)), recorder=torch.arange(20))
    assert plain.content_hash() == named.content_hash()
    assert plain.recorder.tolist() == [-1] * 20 and plain.recorder.dtype == torch.int64
    assert set(named[0]) == set(plain[0]) == {"lonlat", "date", "hour", "label"}
    with pytest.raises(BadRecordError, match="recorder need the same number"):
        RecordDataset(lonlat, label, ClassTable(("a",)), recorder=torch.arange(3))


def test_a_cap_keeps_at_most_so_many_of_each_class():
    label = torch.tensor([0] * 50 + [1] * 3 + [-1] * 4 + [2])
    rows = capped(label, 10, seed=3)
    assert torch.bincount(label[rows]).tolist() == [10, 3, 1]
    assert (rows.diff() > 0).all()
    assert torch.equal(rows, capped(label, 10, seed=3))
    assert not torch.equal(rows, capped(label, 10, seed=4))
    with pytest.raises(ConfigError, match="max_per_class is 0"):
        capped(label, 0)
