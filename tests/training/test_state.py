"""What a checkpoint keeps of a long run is read back whole."""

from __future__ import annotations

import torch

from csp_core.runs.reading import OBJECT_BYTES
from csp_core.training.state import Progress, load_state, save_state

ORIGIN = {"data": "a", "recipe": "b"}


def test_the_lines_of_a_thousand_epochs_are_read_back(tmp_path):
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(layer.parameters())
    names = [name for name, _ in layer.named_parameters()]
    values = {f"a measure of name {i}": i / 7 for i in range(20)}
    rows = [{"stage": "second", "epoch": n, "loss": None, **values} for n in range(1, 1001)]
    progress = Progress(step=5000, epoch=1000, rows=rows)
    save_state(tmp_path, progress, {"layer": layer}, optimizer, names, None, ORIGIN)
    (state,) = tmp_path.glob("step-*/state.json")
    assert state.stat().st_size > OBJECT_BYTES, "larger than other files of a run may be"
    found, best = load_state(tmp_path, {"layer": layer}, optimizer, names, ORIGIN)
    assert found == progress and best is None
