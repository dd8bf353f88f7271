"""The prior on a grid: one class as a raster, the next class of the same grid at once."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.geo import WORLD
from csp_core.grid import Bounds, Grid, make_grid
from csp_core.inference import CHUNK, location_prior
from csp_core.model import LEVELS, DualEncoder, Prior, calibration_of
from csp_core.raster.features import GridFeatures, can_split, grid_features
from csp_core.raster.land import land_cells, only_land
from csp_core.raster.raster import Raster, find_class

# What one grid keeps for its next class, and all kept grids together, in bytes.
KEEP_BYTES = 512 << 20
# One for a map and one for each month, of the models that a page compares.
KEEP_GRIDS, KEEP_MODELS = 14, 2
# A world of 0.05° has 26 million cells.
MAX_CELLS = 50_000_000


class GridPrior:
    """A model's prior on one grid, which keeps what its classes share.

    For shares that is the sum over all classes and, if it fits, the embedding of every cell; the
    next class then costs one product a cell. It follows the model as it is when it is made.

    Args:
        model: A model or a baseline.
        bounds: West, south, east, north, degrees; west above east crosses the antimeridian.
        step: Side of a cell, degrees.
        date: Part of the year in [0, 1), or None; models without a time input ignore it.
        keep_bytes: Memory that may be kept for further classes, beside a number a cell.
        only_supported: Whether only cells with enough training evidence near are computed; the
            others are not a number. Of a model without counts of its records all are.
        land_only: Whether only cells that hold some land are computed, as ``only_land`` leaves.

    Raises:
        ConfigError: If bounds, step or date are none, or there are too many cells.

    Example:
        >>> from csp_core import load_model
        >>> grid = GridPrior(load_model("birds"), (30, -5, 42, 5), 1.0)
        >>> a, b = grid.heatmap("Corvus albus"), grid.heatmap("Pied Crow")
        >>> bool((a.values == b.values).all())
        True
    """

    def __init__(
        self,
        model: Prior,
        bounds: Bounds = WORLD,
        step: float = 0.5,
        date: float | None = None,
        keep_bytes: int = KEEP_BYTES,
        *,
        only_supported: bool = False,
        land_only: bool = False,
    ) -> None:
        if date is not None and not 0 <= date < 1:
            raise ConfigError(f"date is {date}; give a part of the year in [0, 1), or None.")
        self.model, self.grid = model, make_grid(bounds, step)
        self.date = date if model.uses_date else None
        cells = self.grid.rows * self.grid.columns
        if cells > MAX_CELLS:
            raise ConfigError(
                f"{cells:,} cells of {step:g}° are too many to hold; give a larger step or smaller"
                " bounds, or write a .zarr, which is computed block by block."
            )
        self.keep_bytes = keep_bytes
        self.only_supported = only_supported and model.support is not None
        self.land_only = land_only
        self._lock = threading.Lock()
        # Of the cells that are computed, row by row: shares of all classes, or embeddings; and the
        # logarithm of their sum over classes.
        self._kept: Tensor | None = None
        self._log_sum: Tensor | None = None

    @property
    def kept_bytes(self) -> int:
        """Memory that waits for the next class."""
        return sum(t.nbytes for t in (self._kept, self._log_sum) if t is not None)

    @cached_property
    def extrapolated(self) -> Tensor:
        """``(H, W)`` bool, where too little evidence stands near, as in ``PlaceSupport``."""
        return extrapolates(self.model, self.grid)

    @cached_property
    def _wanted(self) -> Tensor | None:
        """``(H, W)`` bool, the cells that are computed, or None for all."""
        wanted = ~self.extrapolated if self.only_supported else None
        if not self.land_only:
            return wanted
        land = land_cells(self.grid)
        return land if wanted is None else wanted & land

    @cached_property
    def _count(self) -> int:
        return self.extrapolated.numel() if self._wanted is None else int(self._wanted.sum())

    def heatmap(self, taxon: str | int) -> Raster:
        """Compute one class.

        Args:
            taxon: Scientific name, common name or label.

        Returns:
            Its raster.

        Raises:
            UnknownNameError: If the model has no such class.
        """
        label = find_class(self.model, taxon)
        with self._lock:
            values = self.values(label)
        classes = self.model.classes
        raster = Raster(
            values=values,
            bounds=self.grid.bounds,
            step=self.grid.step,
            taxon=classes.names[label],
            common_name=classes.common_names[label],
            kind=self.model.prior_kind,
            model=self.model.name,
            date=self.date,
            extrapolated=self.extrapolated,
            support_known=self.model.support is not None,
        )
        return only_land(raster) if self.land_only else raster

    def values(self, label: int) -> Tensor:
        """Compute the values of one class.

        Args:
            label: The class.

        Returns:
            ``(H, W)`` float32 on the CPU; not a number where nothing is computed.
        """
        if not isinstance(self.model, DualEncoder) or not can_split(self.model):
            values = self._by_place(label)
        else:
            with _asking(self.model):
                features = grid_features(self.model, self.grid, date=self.date, wanted=self._wanted)
                values = self._by_features(features, label)
        # Outside of inference mode, a copy is a tensor like any other.
        if self._wanted is None:
            return values.clone().view(self.grid.shape)
        return torch.full(self.grid.shape, math.nan).masked_scatter_(self._wanted, values)

    def _by_features(self, features: GridFeatures, label: int) -> Tensor:
        """Compute a class of a model from its features and one row of its classifier."""
        weight, bias = features.weight[label], features.bias[label]
        logits = weight.new_empty(self._count)
        if self._kept is None:
            size = logits.nbytes * len(weight)
            # Features that cost little are sooner computed again than fetched from memory.
            worth = not features.quick and size <= self.keep_bytes
            keep = weight.new_empty(self._count, len(weight)) if worth else None
            first = self.model.prior_kind == "share" and self._log_sum is None
            log_sum = torch.empty_like(logits) if first else None

            def work(own: slice, block: Tensor) -> None:
                if log_sum is not None:
                    scores = torch.addmm(features.bias, block, features.weight.T)
                    log_sum[own] = scores.logsumexp(dim=1)
                if keep is not None:
                    keep[own] = block
                else:
                    logits[own] = block @ weight + bias

            features.each(work)
            self._kept = keep
            self._log_sum = log_sum if first else self._log_sum
        if self._kept is not None:
            # The first class too, so that asking for it again gives the same to the last bit.
            logits = self._kept @ weight + bias
        values = logits.sigmoid() if self._log_sum is None else (logits - self._log_sum).exp()
        return values.float().cpu()

    def _by_place(self, label: int) -> Tensor:
        """Compute a class of whatever answers ``prior``, all classes at a time."""
        if self._kept is not None:
            return self._kept[label]
        classes = len(self.model.classes)
        worth = self._count * classes * 4 <= self.keep_bytes
        keep = torch.empty(classes, self._count) if worth else None
        values = torch.empty(self._count)
        for start, prior in self._priors():
            values[start : start + len(prior)] = prior[:, label]
            if keep is not None:
                keep[:, start : start + len(prior)] = prior.T
        self._kept = keep
        return values

    def _priors(self) -> Iterator[tuple[int, Tensor]]:
        wanted = None if self._wanted is None else self._wanted.flatten().nonzero()[:, 0]
        for start in range(0, self._count, CHUNK):
            stop = min(start + CHUNK, self._count)
            cell = torch.arange(start, stop) if wanted is None else wanted[start:stop]
            lat, lon = (
                self.grid.lat[cell // self.grid.columns],
                self.grid.lon[cell % self.grid.columns],
            )
            when = None if self.date is None else torch.full((len(cell),), self.date)
            yield start, location_prior(self.model, torch.stack((lon, lat), dim=1), date=when)


@contextmanager
def _asking(model: DualEncoder) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)


def extrapolates(model: Prior, grid: Grid) -> Tensor:
    """Find the cells with too little training evidence near, by the rule of the place report.

    Args:
        model: A model or a baseline.
        grid: The cells.

    Returns:
        ``(H, W)`` bool; nowhere if the model keeps no counts, as nobody knows where.
    """
    if model.support is None:
        return torch.zeros(grid.shape, dtype=torch.bool)
    return model.support.records_on_grid(grid.lon, grid.lat) < LEVELS[-2][1]


_grids: OrderedDict[Any, GridPrior] = OrderedDict()
_grids_lock = threading.Lock()


def heatmap(
    model: Prior,
    taxon: str | int,
    *,
    bounds: Bounds = WORLD,
    step: float = 0.5,
    date: float | None = None,
    only_supported: bool = False,
    land_only: bool = False,
) -> Raster:
    """Compute the prior of a class on a grid.

    The last grids are kept, of two models at most, so that another class of one of them takes a
    fraction of the time. Cells are those of one grid of the world; the bounds grow to whole cells.

    Args:
        model: A model or a baseline.
        taxon: Scientific name, common name or label.
        bounds: West, south, east, north, degrees; west above east crosses the antimeridian.
        step: Side of a cell, degrees; it must divide 180.
        date: Part of the year in [0, 1), or None; models without a time input ignore it.
        only_supported: Whether to spare the cells where the model extrapolates; they are not a
            number then. A model without counts of its records spares none.
        land_only: Whether to spare the cells without land; they are not a number then, and no
            area. See ``only_land``.

    Returns:
        The raster; row 0 is the northernmost.

    Raises:
        UnknownNameError: If the model has no such class; near misses are named.
        ConfigError: If bounds, step or date are none, or there are too many cells.

    Example:
        >>> from csp_core import load_model
        >>> birds = load_model("birds")
        >>> crow = heatmap(birds, "Corvus albus", bounds=(30, -5, 42, 5), step=1.0)
        >>> crow.values.shape, crow.at(36.8, -1.3) > 0.001
        (torch.Size([10, 12]), True)
    """
    find_class(model, taxon)
    fresh = GridPrior(model, bounds, step, date, only_supported=only_supported, land_only=land_only)
    raster = _grid_prior(fresh).heatmap(taxon)
    _let_go(KEEP_BYTES)
    return raster


def _grid_prior(fresh: GridPrior) -> GridPrior:
    """Give the kept grid that is like a new one, or keep the new one."""
    key = (_state_of(fresh.model), fresh.grid, fresh.date, fresh.only_supported, fresh.land_only)
    with _grids_lock:
        found = _grids.pop(key, fresh)
        _grids[key] = found
    # A new grid fills at most all of it, so the ones before it go first if they hold much.
    _let_go(KEEP_BYTES if found is not fresh else KEEP_BYTES // 2)
    return found


def _let_go(most: int) -> None:
    """Forget the grids asked for longest ago until the others keep no more than ``most`` bytes."""
    with _grids_lock:
        while len(_grids) > 1 and (
            len(_grids) > KEEP_GRIDS
            or len({id(grid.model) for grid in _grids.values()}) > KEEP_MODELS
            or sum(grid.kept_bytes for grid in _grids.values()) > most
        ):
            _grids.popitem(last=False)


def forget_grids() -> None:
    """Give back the memory of the grids that ``heatmap`` keeps."""
    with _grids_lock:
        _grids.clear()


def _state_of(model: Prior) -> tuple[Any, ...]:
    """Tell a model from others, and from itself after a training step.

    A kept grid holds its model, so that no other object can take its place in memory.
    """
    state: tuple[Any, ...] = (id(model), model.prior_kind)
    if isinstance(model, torch.nn.Module):
        tensors = (*model.parameters(), *model.buffers())
        versions = tuple((t.data_ptr(), 0 if t.is_inference() else t._version) for t in tensors)
        state += (calibration_of(model), versions)
    return state
