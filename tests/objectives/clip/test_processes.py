"""Two processes equal one for every preset, with all three sides and with two."""

from __future__ import annotations

import pytest
import torch

from csp_core.files import load_tensors
from csp_core.objectives.clip import FAMILY
from tests import clip
from tests.processes import run_two

# A larger rate turns what rounding leaves into what can be seen.
ROWS, STEPS, LR = 16, 3, 2e-4
SCRIPT = """
import sys, torch
from pathlib import Path
from torch import distributed
from safetensors.torch import save_file
from tests.objectives.clip.test_processes import CASES, trained
torch.set_num_threads(1)
distributed.init_process_group("gloo")
for name, sides in CASES:
    state = trained(name, sides, distributed.get_rank(), 2)
    if distributed.get_rank() == 0:
        save_file(state, str(Path(sys.argv[1]) / f"{name}-{sides}.safetensors"))
distributed.barrier()
distributed.destroy_process_group()
"""
CASES = [(name, sides) for name in sorted(FAMILY) for sides in ("two", "three")]


def trained(name, sides, rank, processes):
    """Make a few steps with this process's rows of each batch; give what became of all weights."""
    torch.manual_seed(0)
    made = clip.make(
        name, clip.model(text=sides == "three"), mask_km=300.0, queue_size=50,
        hidden_share=0.4, augmentation="weak", views={"strong": "weak"},
        weights={"random": 0.5}, random={"columns": 1},
    )  # fmt: skip
    weights = [p for p in made.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(weights, lr=LR)
    share = ROWS // processes
    start = rank * share
    seen = []
    for number in range(STEPS):
        first = number * ROWS
        given = clip.batch(first + start, first + start + share)
        drawn = made.draw(given, clip.source(number, start, start + share, ROWS))
        found = made(drawn)
        found["loss"].backward()
        values = torch.stack([found[part].detach() for part in sorted(found)])
        for each in (values, *(weight.grad for weight in weights)):
            if processes > 1:
                torch.distributed.all_reduce(each)
                each /= processes
        seen.append(values)
        optimizer.step()
        optimizer.zero_grad()
        made.finish_step(number)
    state = {k: v.detach().clone().contiguous() for k, v in made.state_dict().items()}
    return state | {f"losses.{number}": values for number, values in enumerate(seen)}


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    (folder / "script.py").write_text(SCRIPT)
    run_two(folder / "script.py", folder)
    return folder


@pytest.mark.parametrize(("name", "sides"), CASES)
def test_two_processes_equal_one(name, sides, two):
    want = trained(name, sides, 0, 1)
    found = load_tensors(two / f"{name}-{sides}.safetensors")
    assert set(found) == set(want)
    for key, value in want.items():
        torch.testing.assert_close(
            found[key], value, atol=2e-5, rtol=1e-4, msg=lambda said, key=key: f"{key}: {said}"
        )
    held = [int(value) for key, value in want.items() if key.endswith("queue.held")]
    # Of captions there are 46, a quarter of which is held.
    queues = [50, 11][: 1 + (sides == "three")]
    assert held == (queues if FAMILY[name].preset.neighbour else [])
