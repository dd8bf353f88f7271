"""Losses between cells, against themselves written slowly and against published numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from csp_core import losses


def t(shape, k):
    """Give the tensor on which the released code was run."""
    index = torch.arange(math.prod(shape), dtype=torch.float64)
    return torch.sin(0.37 * index * index + k).view(shape)


def contrast(first, second, **options):
    number = len(first)
    given = {"image": torch.arange(number), "position": torch.zeros(number, 2), **options}
    return losses.dense_info_nce(first, second, **given)


def cells(number=12, images=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        "image": torch.arange(number) % images,
        "position": torch.randint(0, 5, (number, 2), generator=generator).float(),
        "lonlat": torch.tensor([[9.0, 50.0], [9.001, 50.0], [math.nan, math.nan]]),
    }


def slow(first, second, image, position, lonlat, *, temperature, radius, negatives, apart_km):
    """Write the loss as the sums that it is, without a matrix."""
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (first, second))
    total = 0.0
    for query, key in ((a, b), (b, a)):
        for i in range(len(a)):
            own = math.exp(query[i] @ key[i] / temperature)
            others = 0.0
            for j in range(len(a)):
                same = image[i] == image[j]
                if i == j or (negatives == "image" and not same):
                    continue
                if same and math.dist(position[i], position[j]) < radius:
                    continue
                here, there = lonlat[image[i]], lonlat[image[j]]
                if not same and apart_km and not np.isnan([*here, *there]).any():
                    east = (here[0] - there[0]) * math.cos(math.radians(50))
                    north = here[1] - there[1]
                    if math.hypot(east, north) * 111.19 < apart_km:
                        continue
                others += math.exp(query[i] @ key[j] / temperature)
            total -= math.log(own / (own + others))
    return total / (2 * len(a))


@pytest.mark.parametrize("negatives", ["image", "batch"])
@pytest.mark.parametrize("radius", [0.0, 1.5])
@pytest.mark.parametrize("apart_km", [0.0, 1.0])
def test_dense_info_nce_is_its_sums(negatives, radius, apart_km):
    first, second, given = t((12, 6), 1), t((12, 6), 2), cells()
    options = {"temperature": 0.2, "radius": radius, "negatives": negatives, "apart_km": apart_km}
    found = losses.dense_info_nce(first, second, **given, **options)
    plain = {key: value.tolist() for key, value in given.items()}
    want = slow(first.numpy(), second.numpy(), **plain, **options)
    assert found.item() == pytest.approx(want, rel=1e-6)


def test_dense_info_nce_has_the_known_values():
    pairs = torch.eye(10, dtype=torch.float64)
    closed = contrast(pairs, pairs, temperature=0.1).item()
    assert closed == pytest.approx(math.log(1 + 9 * math.exp(-10)), rel=1e-9)
    assert closed == pytest.approx(4.08515914e-4, abs=5e-13)
    found = contrast(t((10, 8), 1), t((10, 8), 2), temperature=0.1).item()
    assert found == pytest.approx(1.1638221064, abs=5e-11)


def test_dense_info_nce_does_not_depend_on_order_or_on_which_view_is_first():
    first, second, given = t((12, 6), 1), t((12, 6), 2), cells()
    options = {"radius": 1.5, "apart_km": 1.0}
    want = losses.dense_info_nce(first, second, **given, **options)
    swapped = losses.dense_info_nce(second, first, **given, **options)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(3))
    mixed = {key: given[key][order] for key in ("image", "position")}
    mixed["lonlat"] = given["lonlat"]
    other = losses.dense_info_nce(first[order], second[order], **mixed, **options)
    torch.testing.assert_close(swapped, want)
    torch.testing.assert_close(other, want)


def test_the_radius_takes_out_what_is_near_in_the_same_image_and_nothing_else():
    rows, columns = torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij")
    position = torch.stack((rows, columns), dim=2).view(-1, 2).float().repeat(2, 1)
    image = torch.arange(2).repeat_interleave(16)
    counts = losses.dense_negatives(image, position, radius=1.5)
    for i in range(32):
        for j in range(32):
            near = max((position[i] - position[j]).abs().tolist()) <= 1
            assert counts[i, j] == (0 if image[i] == image[j] and near else 1)
    inside = losses.dense_negatives(image, position, negatives="image")
    assert torch.equal(inside, (image[:, None] == image).float() - torch.eye(32))


def test_places_take_out_overlapping_images_but_not_the_image_itself():
    given = cells()
    counts = losses.dense_negatives(**given, apart_km=1.0)
    image = given["image"]
    pair = image[:, None] + image == 1  # the images 0 and 1 lie 70 metres apart
    assert torch.equal(counts == 0, pair | torch.eye(12, dtype=torch.bool))
    nearer = losses.dense_negatives(**given, apart_km=0.05)
    assert torch.equal(nearer == 0, torch.eye(12, dtype=torch.bool))


def test_further_cells_are_negatives_by_their_weight():
    query, key, extra = t((4, 6), 1), t((4, 6), 2), t((3, 6), 3)
    none = torch.zeros(4, 4, dtype=torch.float64)
    weight = torch.tensor([[1.0, 0.0, 2.0]], dtype=torch.float64).expand(4, -1)
    found = losses.match_info_nce(
        query, key, none, temperature=0.5, extra=extra, extra_weight=weight
    )
    a, b, c = (F.normalize(x, dim=1) for x in (query, key, extra))
    own = ((a * b).sum(dim=1) / 0.5).exp()
    others = ((a @ c.T / 0.5).exp() * weight).sum(dim=1)
    torch.testing.assert_close(found, -(own / (own + others)).log().mean())
    alone = losses.match_info_nce(query, key, none, temperature=0.5)
    assert alone.item() == 0.0


def test_cosine_match_is_that_of_simsiam():
    p1, z1, p2, z2 = (t((4, 8), k) for k in (3, 4, 5, 6))
    found = (losses.cosine_match(p1, z2) + losses.cosine_match(p2, z1)) / 2
    assert found.item() == pytest.approx(0.1448456817449, abs=5e-14)
    p1.requires_grad_(), z1.requires_grad_()
    losses.cosine_match(p1, z1).backward()
    assert z1.grad is None and p1.grad.abs().max() > 0
    assert losses.cosine_match(p1, 3 * p1).item() == pytest.approx(-1.0)


def released():
    down, right = t((2, 1, 1, 3, 1), 10).view(2, 3), t((2, 1, 1, 1, 3), 11).view(2, 3)
    key, query = t((4, 6, 1, 1), 12), t((4, 6, 1, 1), 13)
    embedding = t((1, 6, 4, 4), 20)
    return F.conv2d(embedding, query), F.conv2d(embedding, key), down, right


LABEL = torch.tensor([[[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 1, 1], [2, 2, 2, 1]]])


def test_cscl_gives_what_the_released_code_gives():
    similarity = losses.window_similarities(*released())
    assert similarity.shape == (1, 4, 4, 3, 3)
    assert similarity.sum().item() == pytest.approx(-8.593640695068, abs=5e-13)
    want = [[0.266071, 0.750160, -0.086440], [0.028153, 0.458082, -0.755112],
            [0.235346, 0.676748, -0.717744]]  # fmt: skip
    np.testing.assert_allclose(similarity[0, 1, 1].numpy(), want, atol=5e-7)
    agrees, _ = losses.window_agreement(LABEL)
    assert agrees.double().mean().item() == pytest.approx(0.4861111, abs=5e-8)
    loss = losses.cscl(similarity, agrees)
    assert loss.item() == pytest.approx(-0.0504890221384, abs=5e-14)


@pytest.mark.parametrize("unit", [True, False])
def test_windows_are_what_a_loop_makes_of_them(unit):
    query, key, down, right = released()
    found = losses.window_similarities(query, key, down, right, unit=unit)
    for row in range(4):
        for column in range(4):
            for u in range(3):
                for v in range(3):
                    y, x = row + u - 1, column + v - 1
                    inside = 0 <= y < 4 and 0 <= x < 4
                    cell = key[0, :, y, x] if inside else torch.zeros(4, dtype=torch.float64)
                    cell = cell + torch.cat((down[:, u], right[:, v]))
                    asked = query[0, :, row, column]
                    if unit:
                        cell, asked = cell / cell.norm(), asked / asked.norm()
                    torch.testing.assert_close(found[0, row, column, u, v], cell @ asked)


def test_cells_that_tell_nothing_are_left_out():
    label = LABEL.clone()
    label[0, 0, 0] = -1
    agrees, told = losses.window_agreement(label)
    assert not told[..., 1, 1].any() and not told[0, 0].any(dim=2)[:, 0].any()
    assert not told[0, 0, 0].any() and not told[0, 1, 1, 0, 0]
    assert told[0, 1, 1].sum() == 7 and agrees[0, 1, 1].tolist() == [
        [False, True, False],
        [True, True, False],
        [False, False, False],
    ]
    pairs = losses.window_pairs(label >= 0)
    for row, column, u, v in torch.cartesian_prod(*map(torch.arange, (4, 4, 3, 3))).tolist():
        y, x = row + u - 1, column + v - 1
        there = not (0 <= y < 4 and 0 <= x < 4) or bool(label[0, y, x] >= 0)
        assert pairs[0, row, column, u, v] == (there and bool(label[0, row, column] >= 0))
    similarity = losses.window_similarities(*released())
    found = losses.cscl(similarity, agrees, counts=told, positive_weight=0.5)
    terms = [
        -0.5 * similarity[at] if agrees[at] else similarity[at]
        for at in map(tuple, told.nonzero().tolist())
    ]
    torch.testing.assert_close(found, torch.stack(terms).mean())
    assert losses.cscl(similarity, agrees, counts=torch.zeros_like(told)).item() == 0
