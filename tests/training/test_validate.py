"""Measuring while a run trains: batches are put together by what their losses are means over."""

from __future__ import annotations

import pytest
import torch

from csp_core.data.records import ClassTable, RecordDataset
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder
from csp_core.objectives import make_objective
from csp_core.training import validate as measuring


@pytest.mark.parametrize("chunk", [7, 16])
def test_label_sets_that_are_known_in_part_weigh_by_what_is_known(monkeypatch, chunk):
    draws = torch.Generator().manual_seed(0)
    places = torch.rand(50, 2, generator=draws) * 60
    labels = (torch.rand(50, 3, generator=draws) < 0.4).to(torch.int8)
    # The first records are known in full, of the last hardly anything is.
    labels[10:] = labels[10:].where(torch.rand(40, 3, generator=draws) < 0.1, -1)
    table = ClassTable(("a", "b", "c"), counts=(9, 9, 9), records=50)
    data = RecordDataset(places, torch.full((50,), -1), table, labels=labels)
    torch.manual_seed(0)
    location = make_location_encoder("sphere_c", 16, num_scales=4)
    model = DualEncoder(None, location, dim=16, classes=table)
    objective = make_objective("label_sets", model, sides=["location"])
    whole = measuring.validate(objective, model, data, seed=0)
    monkeypatch.setattr(measuring, "CHUNK", chunk)
    found = measuring.validate(objective, model, data, seed=0)
    assert found["val_objective"] == pytest.approx(whole["val_objective"], rel=1e-5)
    assert found["val_location"] == pytest.approx(whole["val_location"], rel=1e-5)
