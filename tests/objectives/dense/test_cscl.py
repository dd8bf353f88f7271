"""CSCL as an objective: the released numbers, masks with their images, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from csp_core.errors import ConfigError
from csp_core.model import DualEncoder
from csp_core.objectives import BatchRandom, make_objective
from csp_core.training.validate import validate
from tests import dense, small
from tests.dense import TinyDense
from tests.losses.test_dense import LABEL, t

DATA = dense.masked(small.pictures())


class Given(nn.Module):
    """Gives the image as its map."""

    out_dim = 6

    def dense_maps(self, image):
        return image


def make(encoder, **options):
    torch.manual_seed(0)
    model = DualEncoder(encoder, None, dim=6)
    return make_objective("cscl", model, **options)


def source(rows=4, seed=0):
    return BatchRandom(torch.Generator().manual_seed(seed), 0, rows, rows)


def test_the_objective_gives_what_the_released_code_gives():
    made = make(Given(), dim=4, masked=False, flips=False)
    with torch.no_grad():
        values = (made.down, 10), (made.right, 11), (made.key.weight, 12), (made.query.weight, 13)
        for weight, k in values:
            weight.copy_(t(weight.shape, k))
    given = {"image": t((1, 6, 4, 4), 20).float(), "mask": LABEL}
    assert made(given)["loss"].item() == pytest.approx(-0.0504890221384, abs=1e-7)
    # What lies beyond the edge and the centre of a window tell nothing of the ground.
    made.masked = True
    assert made(given)["loss"].item() != pytest.approx(-0.0504890221384, abs=1e-3)


def test_pixels_of_unknown_class_have_no_part():
    made = make(TinyDense(8), dim=8, flips=False)
    batch = DATA.__getitems__([0, 1])
    unknown = {**batch, "mask": torch.full_like(batch["mask"], -1)}
    assert made(unknown)["loss"].item() == 0
    made.masked = False
    assert made(unknown)["loss"].item() != 0


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("train", [True, False])
def test_pixels_without_data_have_no_part(masked, train):
    made = make(Given(), dim=4, masked=masked).train(train)
    draws = torch.Generator().manual_seed(0)
    image, mask = torch.randn(2, 6, 8, 8, generator=draws), torch.arange(64).view(8, 8) // 3 % 3
    valid = torch.ones(2, 8, 8, dtype=torch.bool)
    valid[:, 5:], valid[1, :, 6:] = False, False
    given = {"image": image, "mask": mask.expand(2, -1, -1), "valid": valid}
    image = image.clone().requires_grad_()
    drawn = made.draw({**given, "image": image}, source(2))
    assert torch.equal(drawn["mask"] >= 0, drawn["valid"])
    loss = made(drawn)["loss"]
    loss.backward()
    moved = image.grad.abs().sum(dim=1) > 0
    assert torch.equal(moved, valid)
    # Whatever stands there, in picture or mask, it is the same loss.
    other = {**given, "mask": given["mask"].where(valid, 2)}
    other["image"] = given["image"].where(valid[:, None], 9.0)
    assert made(made.draw(other, source(2)))["loss"].item() == pytest.approx(loss.item())
    whole = made(made.draw({**given, "valid": valid | True}, source(2)))["loss"]
    plain = {name: value for name, value in given.items() if name != "valid"}
    assert whole.item() == made(made.draw(plain, source(2)))["loss"].item() != loss.item()


def test_what_is_measured_is_the_mean_over_known_pixels():
    made = make(TinyDense(8), dim=8, flips=False)
    few = replace(DATA, masks=DATA.masks.clone())
    few.masks[:, 4:] = -1
    assert made.counted(few.__getitems__([0, 1])) == 2 * 4 * few.masks.shape[2]
    found = validate(made, made.model, few, seed=0)["val_objective"]
    with torch.no_grad():
        want = made.eval()(few.__getitems__(range(len(few))))["loss"].item()
    assert found == pytest.approx(want, rel=1e-3) and abs(want) > 1e-6


def test_masks_are_flipped_and_turned_with_their_images():
    made = make(TinyDense(8), dim=8).train()
    mask = torch.arange(4 * 64).view(4, 8, 8)
    given = {"image": mask[:, None].float().expand(-1, 3, -1, -1), "mask": mask}
    drawn = made.draw(given, source())
    assert torch.equal(drawn["image"][:, 1].long(), drawn["mask"])
    assert not torch.equal(drawn["mask"], mask)
    assert torch.equal(drawn["mask"].flatten(1).sort(dim=1).values, mask.flatten(1))
    series = {**given, "image": given["image"][:, None].expand(-1, 2, -1, -1, -1)}
    assert torch.equal(made.draw(series, source())["image"][:, 1, 2].long(), drawn["mask"])
    assert made.eval().draw(given, source()) is given
    assert make(TinyDense(8), dim=8, flips=False).train().draw(given, source()) is given


def test_what_it_cannot_learn_from_is_refused():
    with pytest.raises(ConfigError, match="learns masks, and the data set 'records' has none"):
        make(TinyDense(8)).fit(small.pictures())
    coarse = make(TinyDense(8, stride=2))
    with pytest.raises(ConfigError, match=r"\(8, 8\) cells for masks of \(16, 16\) pixels"):
        coarse(DATA.__getitems__([0, 1]))
    for options in ({"dim": 1}, {"window": 4}, {"window": 1}, {"positive_weight": -1.0}):
        with pytest.raises(ConfigError, match="an odd number of at least 3"):
            make(TinyDense(8), **options)


def test_cells_of_one_class_come_together():
    made = make(TinyDense(8), dim=8).train()
    made.fit(DATA)
    optimizer = torch.optim.Adam(made.parameters(), lr=0.01)
    batch = DATA.__getitems__(list(range(16)))
    losses = []
    for step in range(40):
        loss = made(made.draw(batch, source(16, step)))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.05
