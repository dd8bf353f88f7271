"""Layouts in a child process: the same to the bit, and gone when nobody wants them."""

from __future__ import annotations

import time
from concurrent.futures import CancelledError

import pytest
import torch

from csp_core.errors import ConfigError
from csp_core.inference.clusters import project
from csp_core.inference.clusters.apart import Layouts


def test_a_child_lays_out_to_the_bit_and_can_be_ended():
    layouts, vectors = Layouts(), torch.rand(80, 6, generator=torch.Generator().manual_seed(0))
    try:
        assert not layouts.started
        start = time.monotonic()
        with pytest.raises(CancelledError):
            layouts.umap(vectors, left=lambda: time.monotonic() > start + 0.3)
        # Long before the child could even have imported what it needs.
        assert time.monotonic() - start < 5 and not layouts.started
        plane = layouts.umap(vectors, seed=3)
        assert layouts.started and plane.shape == (80, 2)
        assert torch.equal(plane, project(vectors, method="umap", seed=3)[0])
        with pytest.raises(ConfigError, match="2 dimensions of 3 vectors"):
            layouts.umap(vectors[:3])
        assert layouts.started
        layouts._process.kill()
        layouts._process.wait()
        assert torch.equal(layouts.umap(vectors, seed=3), plane)
    finally:
        layouts.end()
    assert not layouts.started
