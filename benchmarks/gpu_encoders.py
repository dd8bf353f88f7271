"""Location encoders on a GPU: the rate of their layers beside that of a plain matrix product."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from encoder_speed import DIM, HIDDEN, multiply_adds, usual_places
from gpu_cells import Measure, Setting, run_cells, seconds_in_turns
from torch import Tensor

from csp_core.location import ENCODINGS, make_location_encoder

PLACES, QUICK_PLACES, COMPARED = 262_144, 1024, 512
ROUNDS = 7


def matrix_product(rows: int, device: str, dtype: torch.dtype) -> Callable[[], Tensor]:
    """Give a plain product of matrices as large as a hidden layer's, of numbers drawn at random."""
    generator = torch.Generator(device).manual_seed(0)
    left = torch.randn(rows, HIDDEN, generator=generator, device=device).to(dtype)
    right = torch.randn(HIDDEN, HIDDEN, generator=generator, device=device).to(dtype)
    return lambda: torch.mm(left, right)


@torch.inference_mode()
def measure(setting: Setting, name: str) -> dict[str, Any]:
    """Time an encoder with its default options and network, in evaluation.

    Args:
        setting: How.
        name: A name in ``ENCODINGS``.

    Returns:
        ``share`` of the rate of the product in single precision, ``share_bf16`` in bf16, places a
        second, and the largest ``difference`` from what the CPU says of some places.
    """
    torch.manual_seed(0)
    device, rows = setting.device, QUICK_PLACES if setting.quick else PLACES
    on_cpu = make_location_encoder(name, DIM).eval()
    encoder, places = copy.deepcopy(on_cpu).to(device), usual_places(rows).to(device)
    few = places[:COMPARED]
    difference = float((encoder(few).cpu() - on_cpu(few.cpu())).abs().max())

    def in_bf16() -> Tensor:
        with torch.autocast(device, torch.bfloat16):
            found: Tensor = encoder(places)
        return found

    ways: dict[str, Callable[[], Tensor]] = {
        "single": lambda: encoder(places),
        "product": matrix_product(rows, device, torch.float32),
        "bf16": in_bf16,
        "product bf16": matrix_product(rows, device, torch.bfloat16),
    }
    found = seconds_in_turns(ways, 1 if setting.quick else ROUNDS, device)
    own, work = multiply_adds(encoder) * rows, rows * HIDDEN * HIDDEN
    return {
        "share": own / found["single"] / (work / found["product"]),
        "share_bf16": own / found["bf16"] / (work / found["product bf16"]),
        "places_a_second": rows / found["single"],
        "product_rate": work / found["product"],
        "difference": difference,
        "seconds": found,
    }


def cells(setting: Setting) -> dict[str, Measure]:
    """Give the cells: every encoder."""
    return {name: partial(measure, setting, name) for name in ENCODINGS}


if __name__ == "__main__":
    run_cells("encoders", cells)
