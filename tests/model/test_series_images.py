"""Series of images: the days of their dates reach the image encoder, from every objective."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from csp_core.data.images import ImageDataset, MemoryImages
from csp_core.data.records import ClassTable
from csp_core.errors import ConfigError
from csp_core.evaluation import evaluate
from csp_core.image import ImageEncoder
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder, see
from csp_core.objectives import heads_for, make_objective


class ByDay(ImageEncoder):
    """Gives the mean over dates of the days and of the first band, of the dates that there are."""

    takes_series = True

    def __init__(self) -> None:
        super().__init__(2, 1)
        self.scale = torch.nn.Parameter(torch.ones(2))

    def forward(self, image: Tensor, days: Tensor | None = None) -> Tensor:
        """Give ``(N, 2)``."""
        assert days is not None
        band = image[:, :, 0, 0, 0].float().where(~days.isnan(), torch.nan)
        return torch.stack((days.nanmean(dim=1), band.nanmean(dim=1)), dim=1) * self.scale


def records(number: int = 24) -> ImageDataset:
    """Draw series whose class is told by the mean of their days alone."""
    draws = torch.Generator().manual_seed(0)
    label = torch.arange(number) % 2
    days = torch.rand(number, 4, generator=draws) * 0.4 + 0.5 * label[:, None]
    days[:, 3] = torch.nan
    return ImageDataset(
        lonlat=torch.rand(number, 2, generator=draws) * 10,
        label=label,
        classes=ClassTable(("early", "late"), counts=(number // 2, number // 2)),
        store=MemoryImages(torch.rand(number, 4, 1, 1, 1, generator=draws)),
        rows=torch.arange(number),
        days=days,
        name="days",
    )


def model(objective: str, **options: object) -> DualEncoder:
    torch.manual_seed(0)
    heads = heads_for(objective, options)
    location = make_location_encoder("direct", dim=4)
    return DualEncoder(ByDay(), location, dim=4, classes=records().classes, heads=heads)


def test_days_reach_the_encoder_and_dates_that_are_not_there_do_not_matter():
    data = records()
    batch = data.__getitems__([0, 1, 5])
    found = see(ByDay(), batch["image"], batch["days"])
    torch.testing.assert_close(found[:, 0], batch["days"].nanmean(dim=1))
    changed = batch["image"].clone()
    changed[:, 3] = 9.0
    assert torch.equal(found, see(ByDay(), changed, batch["days"]))
    own = model("image_softmax")
    logits = own.image_logits(batch["image"], days=batch["days"])
    torch.testing.assert_close(
        own.image_prior(batch["image"], days=batch["days"]), logits.softmax(1)
    )


@pytest.mark.parametrize("name", ["image_softmax", "csp_mc", "csp_nce", "csp_mse"])
def test_objectives_give_the_days_of_a_batch(name):
    options = {"sides": ["image"]} if name == "image_softmax" else {}
    own = model(name, **options)
    objective = make_objective(name, own, **options)
    objective.fit(records())
    objective.eval()
    batch = records().__getitems__(range(8))
    others = {"random_lonlat": torch.rand(8, 1, 2)}
    told = objective({**batch, **others})["loss"]
    other = objective({**batch, **others, "days": batch["days"] * 0.5})["loss"]
    assert bool(told.isfinite()) and not torch.equal(told, other)


def test_classes_that_days_tell_are_learned_and_measured():
    own = model("image_softmax", sides=["image"])
    objective, data = make_objective("image_softmax", own, sides=["image"]), records()
    objective.fit(data)
    optimiser = torch.optim.Adam(objective.parameters(), lr=0.1)
    batch = data.__getitems__(range(len(data)))
    for _ in range(150):
        optimiser.zero_grad()
        objective(batch)["loss"].backward()
        optimiser.step()
    own.eval()
    assert evaluate(own, data).to_dict()["top1"] == 1.0


def test_an_encoder_of_one_date_says_what_to_take():
    with pytest.raises(ConfigError, match=r"series of 4 dates.*over_dates"):
        see(torch.nn.Flatten(), torch.zeros(2, 4, 1, 1, 1))
