"""Probes of frozen location encoders: what of a place can be read off an embedding, how far away.

Example:
    >>> import torch
    >>> lonlat = torch.tensor([[float(x), float(y)] for x in range(0, 60, 4) for y in range(9)])
    >>> places = Places(lonlat, (Target("north", lonlat[:, 1].numpy()),))
    >>> found = measure(plain_ways(lonlat)["raw coordinates"], places, None, seed=0)
    >>> round(found["north"]["r2"], 3)
    1.0
"""

from __future__ import annotations

from csp_core.evaluation.probes.embedding import Embedding, embed_frozen
from csp_core.evaluation.probes.fitting import PENALTIES, STRENGTHS, Probe, with_bank
from csp_core.evaluation.probes.folds import (
    FOLDS,
    LEAST_BLOCKS,
    Split,
    make_splits,
    occupied_blocks,
    one_form,
    same_place,
)
from csp_core.evaluation.probes.interpolating import COUNTS, Nearest
from csp_core.evaluation.probes.numbers import MEASURED, score_classes, score_numbers
from csp_core.evaluation.probes.probing import (
    BLOCKS,
    Places,
    Report,
    Target,
    Way,
    measure,
    plain_ways,
    run_probe,
)
from csp_core.evaluation.probes.table import LEAST_PLACES, MOST_ROWS, ProbeTable, read_probe_table

__all__ = [
    "BLOCKS",
    "COUNTS",
    "FOLDS",
    "LEAST_BLOCKS",
    "LEAST_PLACES",
    "MEASURED",
    "MOST_ROWS",
    "PENALTIES",
    "STRENGTHS",
    "Embedding",
    "Nearest",
    "Places",
    "Probe",
    "ProbeTable",
    "Report",
    "Split",
    "Target",
    "Way",
    "embed_frozen",
    "make_splits",
    "measure",
    "occupied_blocks",
    "one_form",
    "plain_ways",
    "read_probe_table",
    "run_probe",
    "same_place",
    "score_classes",
    "score_numbers",
    "with_bank",
]
