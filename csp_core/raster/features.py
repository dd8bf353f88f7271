"""A model's location features on a grid, faster than place by place and equal but for rounding.

Three things save work. On a grid the first linear layer splits into longitude and latitude
(``splits``). A linear output layer and the classifier are one linear map, so one class costs one
row of it. And blocks of cells are small enough to stay in the processor's cache between layers;
where only some cells are wanted, only they fill the blocks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from csp_core import geo
from csp_core.grid import Grid
from csp_core.location import LocationEncoder, MultiScaleTokens
from csp_core.location.network import ResidualMLP
from csp_core.location.separable import SPLITS, Split
from csp_core.location.siren import Siren
from csp_core.location.spherical import RandomFourierSphere
from csp_core.model import PLACE, DualEncoder
from csp_core.raster.beside import Beside
from csp_core.raster.cuts import Cut, Piece, cut_all, cut_some

# Cells worked on at a time: on a processor as many as its cache holds, on a GPU as fill it.
BLOCK_CELLS, BLOCK_CELLS_GPU = 1440, 1 << 16
# Numbers of the products of one block of rows, 64 MB in single precision.
MAX_PRODUCTS = 1 << 24


@dataclass(frozen=True)
class _Parts:
    """A network taken apart: ``last`` of ``run`` is what it computes, ``run`` alone without it.

    Args:
        run: From encoded places; or, if told so, from what ``first`` makes of them.
        first: The first layer if the network uses its input for nothing else, or None.
        last: The last layer if nothing follows it, or None.
    """

    run: Callable[[Tensor, bool], Tensor]
    first: nn.Linear | None = None
    last: nn.Linear | None = None


def _residual_mlp(network: Any) -> _Parts:
    def run(features: Tensor, begun: bool) -> Tensor:
        for number, (linear, norm) in enumerate(zip(network.hidden, network.norms, strict=True)):
            done = begun and number == 0
            hidden = _in_place(network.activation, features if done else linear(features))
            if not done and hidden.shape == features.shape:
                hidden += features
            features = norm(hidden)
        return features if linear_end else network.final(network.output(features))

    linear_end = isinstance(network.final, nn.Identity)
    first = network.hidden[0] if len(network.hidden) else None
    if first is not None and first.in_features == first.out_features:
        # The skip connection needs the encoded places themselves.
        first = None
    return _Parts(run, first, network.output if linear_end else None)


def _in_place(activation: nn.Module, values: Tensor) -> Tensor:
    # Only a layer's own fresh output comes here, so nobody misses what it was before.
    if type(activation) is nn.ReLU:
        return values.relu_()
    if type(activation) is nn.LeakyReLU:
        return nn.functional.leaky_relu_(values, activation.negative_slope)
    result: Tensor = activation(values)
    return result


def _siren(network: Any) -> _Parts:
    def run(features: Tensor, begun: bool) -> Tensor:
        for number, (layer, w0) in enumerate(zip(network.layers, network.factors, strict=True)):
            inner = features if begun and number == 0 else layer(features)
            features = inner.mul_(w0).sin_()
        return features

    return _Parts(run, network.layers[0], network.last_layer)


def _any_network(network: Any) -> _Parts:
    return _Parts(lambda features, begun: network(features))


# By exact type: a subclass may compute something else.
NETWORK_PARTS: Mapping[type[nn.Module], Callable[[Any], _Parts]] = {
    ResidualMLP: _residual_mlp,
    Siren: _siren,
}


def _fourier_sphere(encoding: Any, places: Tensor) -> Tensor:
    """Encode as ``RandomFourierSphere`` does, without fresh memory for every step."""
    phase, omega = encoding.phase, encoding.omega
    waves = torch.addmm(phase, geo.unit_vectors(places), omega).cos_()
    return waves.mul_(math.sqrt(2 / len(phase)))


# Encodings that no grid takes apart, with less coming and going of memory.
ENCODERS: Mapping[type[nn.Module], Callable[[Any, Tensor], Tensor]] = {
    RandomFourierSphere: _fourier_sphere,
}


class _FirstLayer:
    """A linear layer behind an encoding, on the cells of a grid.

    Args:
        split: The encoding taken apart.
        linear: The layer.
        shape: Rows and columns of the grid.
        beside: What the layer knows besides the position.
        places: Gives the ``(rows · columns, 2)`` degrees of a block of cells.
    """

    def __init__(
        self,
        split: Split,
        linear: nn.Linear,
        shape: tuple[int, int],
        beside: Beside,
        places: Callable[[slice, slice | Tensor], Tensor],
    ) -> None:
        weight = linear.weight.T  # (features, hidden)
        # Where a layer has no bias, the module says None in spite of its type.
        bias = weight.new_zeros(weight.shape[1]) if linear.bias is None else linear.bias
        self.rows = (bias + beside.bias(weight)).expand(shape[0], -1)
        self.beside, self.places, self.all_weight = beside, places, weight
        if split.rows is not None:
            self.rows = self.rows + split.rows @ weight[split.row_index]
        self.columns: Tensor | None = None
        self.scaled = []
        for part in split.columns:
            values = part.values @ weight[part.index]
            if part.scale is not None:
                self.scaled.append((part.scale[:, None, None], values))
            else:
                self.columns = values if self.columns is None else self.columns + values
        self.products = split.products
        self.rows_at_a_time = shape[0]
        if split.products is not None:
            self.weight = weight[split.products.index]  # (products, hidden)
            self.rows_at_a_time = max(1, MAX_PRODUCTS // self.weight.numel())
            self.member = split.products.member.to(weight.device)
            basis = split.products.basis
            self.basis = torch.cat((basis, basis.new_ones(len(basis), 1)), dim=1)

    def block(self, rows: slice, columns: slice | Tensor) -> Tensor:
        """Compute the layer at some cells: ``(rows · columns, hidden)``."""
        row = self.rows[rows]
        if self.products is None:
            out = row[:, None]
            out = out if self.columns is None else out + self.columns[columns]
        else:
            mixed = row.new_zeros(len(row), self.basis.shape[1], row.shape[1])
            mixed[:, -1] = row
            terms = self.products.factor[rows, :, None] * self.weight
            mixed.index_add_(1, self.member, terms)
            basis = self.basis[columns].expand(len(row), -1, -1)
            if self.columns is None:
                out = torch.bmm(basis, mixed)
            else:
                out = torch.baddbmm(self.columns[columns].expand(len(row), -1, -1), basis, mixed)
        for scale, values in self.scaled:
            out = torch.addcmul(out, scale[rows], values[columns])
        out = out.flatten(0, 1)
        if self.beside.covariates is None:
            return out
        return self.beside.add(out, self.all_weight, self.places(rows, columns))


@dataclass(frozen=True)
class GridFeatures:
    """What a linear map from features to classes takes on every cell of a grid, and that map.

    Args:
        weight: ``(K, D)`` of the map, divided by the model's temperature.
        bias: ``(K,)`` of the map, divided alike.
        quick: Whether the encoding was taken apart, so that features cost little.
        cuts: The blocks of all cells that are computed.
        at: Gives the ``(cells, D)`` features of the pieces of a block.
    """

    weight: Tensor
    bias: Tensor
    quick: bool
    cuts: Sequence[Cut]
    at: Callable[[Sequence[Piece]], Tensor]

    def each(self, work: Callable[[slice, Tensor], None]) -> None:
        """Do something with every block, on as many threads as torch uses.

        A thread a block needs no agreement between threads inside of layers, which costs more than
        the layers where other programs want the processor too.

        Args:
            work: Called with the numbers of a block's cells, counted over those that are computed,
                and their features; blocks come in any order.
        """
        _keep_freed_memory()
        threads = torch.get_num_threads() if self.weight.device.type == "cpu" else 1
        if threads == 1 or len(self.cuts) <= 1:
            for cut in self.cuts:
                work(cut.own, self.at(cut.pieces))
            return

        def part(number: int) -> None:
            torch.set_num_threads(1)
            with torch.inference_mode():
                for cut in self.cuts[number::threads]:
                    work(cut.own, self.at(cut.pieces))

        try:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(part, range(threads)))
        finally:
            # The number holds for each thread alone, but the last one set is that of new threads.
            torch.set_num_threads(threads)


def _keep_freed_memory() -> None:
    """Have the C library reuse the memory of one block for the next.

    glibc gives blocks of some MB back to the system and fetches them again, a tenth of the time of
    a map, until it has seen a larger one freed; other C libraries lose nothing by it.
    """
    torch.empty(30 << 20, dtype=torch.uint8)


def can_split(model: object) -> bool:
    """Tell whether a model can be taken apart into location features and a linear map.

    Args:
        model: A model or a baseline.

    Returns:
        False for whatever is no plain ``DualEncoder`` with classes, and for one whose network sees
        which inputs are known, which features alone do not tell, or that is asked about all weeks.
    """
    return (
        type(model) is DualEncoder
        and type(model.location) is LocationEncoder
        and not isinstance(model.location.network, MultiScaleTokens)
        and model.classifier is not None
        and not model.asks_weeks
    )


def grid_features(
    model: DualEncoder,
    grid: Grid,
    *,
    split: bool = True,
    date: float | None = None,
    wanted: Tensor | None = None,
) -> GridFeatures:
    """Prepare a model's features on a grid; to be used in evaluation and inference mode.

    Args:
        model: A model that ``can_split``.
        grid: The grid.
        split: Whether the first layer may be taken apart.
        date: Part of the year in [0, 1), or None; for models that know time. The hour is unknown.
        wanted: ``(H, W)`` bool, the cells to compute, or None for all.

    Returns:
        The features, computed as they are asked for.
    """
    location: Any = model.location
    network, encoding = location.network, location.encoding
    parts = NETWORK_PARTS.get(type(network), _any_network)(network)
    weight, bias, run = _linear_end(model, parts)
    own = ENCODERS.get(type(encoding))
    encode = encoding if own is None else partial(own, encoding)
    lon, lat = grid.lon.to(weight.device, weight.dtype), grid.lat.to(weight.device, weight.dtype)

    def places(rows: slice, columns: slice | Tensor) -> Tensor:
        y, x = torch.meshgrid(lat[rows], lon[columns], indexing="ij")
        return torch.stack((x.flatten(), y.flatten()), dim=1)

    beside = Beside.of(location, weight, date)
    nearness = location.nearness
    first: _FirstLayer | None = None
    if split and parts.first is not None and type(encoding) in SPLITS:
        taken = SPLITS[type(encoding)](encoding, lon, lat)
        first = _FirstLayer(taken, parts.first, grid.shape, beside, places)

    def at(pieces: Sequence[Piece]) -> Tensor:
        if first is not None and nearness is None:
            return run(_join([first.block(*piece) for piece in pieces]), True)
        here = _join([places(*piece) for piece in pieces])
        if first is None:
            found = run(beside.join(encode(here), here), False)
        else:
            found = run(_join([first.block(*piece) for piece in pieces]), True)
        return found if nearness is None else torch.cat((found, nearness.in_parts(here)), dim=1)

    cells = BLOCK_CELLS if weight.device.type == "cpu" else BLOCK_CELLS_GPU
    if wanted is None:
        cuts = cut_all(grid, cells, grid.rows if first is None else first.rows_at_a_time)
    else:
        cuts = cut_some(wanted, cells)
    return GridFeatures(weight, bias, first is not None, list(cuts), at)


def _join(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _linear_end(
    model: DualEncoder, parts: _Parts
) -> tuple[Tensor, Tensor, Callable[[Tensor, bool], Tensor]]:
    """Join the classifier with the network's last layer where that saves work."""
    classifier: Any = model.classifier
    weight, last = classifier.weight, parts.last
    bias = weight.new_zeros(len(weight)) if classifier.bias is None else classifier.bias
    # One number, or, of label sets, a column of one a class.
    divisors = torch.tensor(model.calibration.divisors(PLACE), dtype=torch.float64)
    scale = (1 / divisors).to(weight).view(-1, 1)
    if last is None:
        return weight * scale, bias * scale[:, 0], parts.run
    classes, middle, width = len(weight), last.out_features, last.in_features
    if model.prior_kind == "share" and 4 * classes * width > 3 * middle * (classes + width):
        # Shares need all classes everywhere, which from a wider layer are more work, or little
        # less for far more to keep for the next class.
        return (
            weight * scale,
            bias * scale[:, 0],
            lambda places, begun: last(parts.run(places, begun)),
        )
    # Behind what the network gives stands what knows nothing of it, such as nearness.
    own, beside = weight[:, :middle], weight[:, middle:]
    joined = bias if last.bias is None else bias + own @ last.bias
    rows = torch.cat((own @ last.weight, beside), dim=1)
    return rows * scale, joined * scale[:, 0], parts.run
