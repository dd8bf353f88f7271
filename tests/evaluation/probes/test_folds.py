import numpy as np
import pytest
import torch

from csp_core.errors import ConfigError
from csp_core.evaluation.probes import (
    make_splits,
    measure,
    occupied_blocks,
    one_form,
    plain_ways,
    run_probe,
    same_place,
    score_classes,
    score_numbers,
)
from csp_core.evaluation.probes.probing import Places, Target
from csp_core.geo import cell_ids, sphere_points


def world(count, seed=0):
    return sphere_points(torch.rand(count, 2, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("degrees", [None, 2.0, 10.0, 20.0, 40.0])
def test_folds_part_the_rows_and_never_a_block_or_a_place(degrees):
    lonlat = torch.cat((world(300), world(300)[:50], torch.tensor([[180.0, 5], [-180, 5]])))
    group = same_place(lonlat)
    if degrees is not None:
        group = cell_ids(one_form(lonlat), degrees).numpy()
    splits = make_splits(lonlat, degrees, seed=3)
    asked = np.concatenate([split.test for split in splits])
    assert len(splits) == 5 and sorted(asked) == list(range(len(lonlat)))
    for split in splits:
        assert sorted((*split.train, *split.test)) == list(range(len(lonlat)))
        assert not set(group[split.train]) & set(group[split.test])
        assert len(split.inner) == 3
        assert sorted(np.concatenate([test for _, test in split.inner])) == sorted(split.train)
        for train, test in split.inner:
            assert sorted((*train, *test)) == sorted(split.train)
            assert not set(group[train]) & set(group[test])
    if degrees is None:
        assert max(len(split.test) for split in splits) - 70 <= 3


def test_folds_follow_from_the_seed():
    lonlat = world(100)
    first, again, other = (make_splits(lonlat, 10, seed=seed)[0].test for seed in (1, 1, 2))
    assert (first == again).all() and set(first) != set(other)


def test_one_place_has_one_form_and_lies_in_one_fold():
    lonlat = torch.tensor([[180.0, 10], [-180, 10], [7, 90], [-90, 90], [5, 5.00000001], [5, 5]])
    assert same_place(lonlat).tolist() == [0, 0, 1, 1, 2, 2]
    # On both sides of an edge of blocks by their last digits alone.
    edge = torch.tensor([[9.9999999, 0.5], [10.0000001, 0.5]], dtype=torch.float64)
    assert occupied_blocks(edge, 10) == 1


def test_too_few_groups_and_options_out_of_range():
    lonlat = torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) * 30
    with pytest.raises(ConfigError, match="4 blocks of 20 degrees; 10 are needed"):
        make_splits(lonlat, 20)
    with pytest.raises(ConfigError, match="1 different places"):
        make_splits(lonlat[:1].expand(50, 2))
    with pytest.raises(ConfigError, match="folds is 2; give 3 to 10"):
        make_splits(lonlat, folds=2)
    with pytest.raises(ConfigError, match=r"from 0\.1 to 90"):
        make_splits(lonlat, 0.0)


def test_measures_are_those_of_scikit_learn():
    from sklearn.metrics import balanced_accuracy_score, r2_score

    rng = np.random.default_rng(0)
    truth, said = rng.normal(size=(2, 50))
    assert score_numbers(truth, said)["r2"] == pytest.approx(r2_score(truth, said))
    codes, others = rng.integers(0, 4, (2, 60))
    found = score_classes(codes, others)
    assert found["accuracy"] == pytest.approx((codes == others).mean())
    assert found["balanced"] == pytest.approx(balanced_accuracy_score(codes, others))


class Cheat:
    """Answers with the value itself, wherever it may look."""

    def numbers(self, split, values):
        return values[split.test]

    def classes(self, split, codes, count):
        return codes[split.test]


class Mean:
    """Answers with the mean, or the most frequent class, of the training fold."""

    def numbers(self, split, values):
        return np.repeat(values[split.train].mean(axis=0)[None], len(split.test), axis=0)

    def classes(self, split, codes, count):
        return np.full(len(split.test), np.bincount(codes[split.train]).argmax())


def test_answers_go_back_to_their_rows():
    lonlat = world(120)
    rng = np.random.default_rng(0)
    targets = (
        Target("class", rng.choice(3, 120, p=[0.6, 0.3, 0.1]), ("a", "b", "c")),
        Target("one", rng.normal(size=120)),
        Target("two", lonlat[:, 1].numpy()),
    )
    found = measure(Cheat(), Places(lonlat, targets), 10, seed=1)
    assert list(found) == ["class", "one", "two"]
    assert found["class"] == {"accuracy": 1, "balanced": 1} and found["two"] == {"r2": 1}
    usual = measure(Mean(), Places(lonlat, targets), 10, seed=1)
    assert -0.2 < usual["one"]["r2"] <= 0 and usual["class"]["balanced"] == pytest.approx(1 / 3)


def test_the_report_counts_seeds_and_leaves_out_few_blocks():
    lonlat = torch.rand(150, 2, generator=torch.Generator().manual_seed(0)) * 40
    places = Places(lonlat, (Target("north", lonlat[:, 1].numpy()),))
    told = []
    report = run_probe(
        {"mean": Mean(), **plain_ways(lonlat)}, places, blocks=(5, 20), seeds=2,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert report.blocks == {"random": 150, "5°": occupied_blocks(lonlat, 5), "20°": 6}
    assert all(row["20°"] is None for row in report.rows.values())
    plain = report.to_dict()
    one = plain["raw coordinates"]["5°"]["r2"]
    assert len(one["seeds"]) == 2 and one["mean"] > 0.999 and one["sd"] is not None
    assert plain["mean"]["random"]["r2"]["mean"] < 0.01
    assert plain["interpolation (inverse distance)"]["random"]["r2"]["mean"] > 0.9
    assert told[-1] == (20, 20)
