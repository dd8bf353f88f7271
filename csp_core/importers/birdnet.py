"""Importer of BirdNET's location prior: the .tflite file of version 2.4."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from csp_core.errors import CheckpointError
from csp_core.importers.labels import class_names
from csp_core.importers.plan import Plan
from csp_core.importers.reading import Checkpoint
from csp_core.importers.tflite import Graph, Operator

WEEKS = 48
# More than any published file has.
MOST_LAYERS = 64
# What is added to each coordinate before it becomes a part of a turn, by which it is known.
SHIFTS = {"latitude": 90.0, "longitude": 180.0, "week": -1.0}
YEAR_BELOW_WEEKS = (
    "Without a date it gives the published answer for the year, which is learned by itself: for"
    " some species it lies below that of some weeks."
)


@dataclass(frozen=True)
class Wave:
    """Shifted copies of the wave of one coordinate.

    Args:
        column: Which of the three inputs it is.
        shift: What is added to it.
        angle: Radians for a unit of it.
        phases: ``(P,)`` radians.
        amplitude: Factor of all copies.
    """

    column: int
    shift: float
    angle: float
    phases: Tensor
    amplitude: float

    def layer(self, weight: Tensor) -> Tensor:
        """Sum up the part of a layer that stands behind the copies.

        Args:
            weight: ``(out, P)``.

        Returns:
            ``(out, 2)``: behind the sine of the angle without a phase, and behind its cosine.
        """
        phases, amplitude = self.phases.double(), self.amplitude
        both = torch.stack((phases.cos(), phases.sin()), dim=1) * amplitude
        return weight.double() @ both


def birdnet(checkpoint: Checkpoint) -> Plan:
    """Read the location prior of BirdNET 2.4.

    What it is given is looked up in its operators: latitude, longitude and a week from 1 to 48,
    with the year for all others. Half-precision constants are kept as they are.

    Args:
        checkpoint: The file, its graph among the settings.

    Returns:
        The model, its classes named by the labels that stand beside the file.

    Raises:
        CheckpointError: If it computes something else.

    Source:
        Kahl et al. 2021, BirdNET; Wood et al. 2022 for its location prior.
    """
    reader = _Reader(checkpoint.params["graph"], checkpoint.file)
    try:
        layers, waves = reader.layers(), reader.waves()
    except IndexError as error:  # an operator without what it needs
        raise reader.other() from error
    lat, lon, week = (waves[name] for name in ("latitude", "longitude", "week"))
    first, sizes = layers[0][0], [len(wave.phases) for wave in (lat, lon, week)]
    if first.shape[1] != sum(sizes) or [w.column for w in (lat, lon, week)] != [0, 1, 2]:
        raise reader.other()
    parts = torch.split(first, sizes, dim=1)
    north, east, time = (w.layer(p) for w, p in zip((lat, lon, week), parts, strict=True))
    columns = (east[:, 0], north[:, 0], east[:, 1], north[:, 1], time[:, 0], time[:, 1])
    *inner, (classifier, bias) = [(torch.stack(columns, dim=1).float(), layers[0][1]), *layers[1:]]
    angle = torch.arange(WEEKS, dtype=torch.float64) * week.angle
    weights = {
        "encoding.shift": torch.tensor([lon.shift, lat.shift]),
        "encoding.per_degree": torch.tensor([lon.angle, lat.angle]),
        "time.table": torch.stack((angle.sin(), angle.cos()), dim=1).float(),
        "time.missing": torch.zeros(1, 2),
    }
    for number, pair in enumerate(inner):
        weights |= {f"network.layers.{number}.{key}": t for key, t in zip(KEYS, pair, strict=True)}
    hidden = [len(bias) for _, bias in inner]
    names, notes = class_names(checkpoint.params["labels"], len(classifier))
    return Plan(
        encoding={"name": "birdnet"},
        network={"name": "dense", "hidden_dims": hidden[:-1], "activation": "relu"},
        dim=hidden[-1],
        weights=weights,
        classifier=classifier,
        bias=bias,
        names=[name for name, _ in names],
        common=[common for _, common in names],
        time={"harmonics": 1, "missing_rate": 0.0, "weeks": WEEKS},
        from_shapes={"layers": hidden, "num_classes": len(classifier), "weeks": WEEKS},
        notes=(*notes, YEAR_BELOW_WEEKS),
    )


KEYS = ("weight", "bias")


class _Reader:
    """Walks a graph from its end to its inputs, and refuses any other than the published one."""

    def __init__(self, graph: Graph, file: str) -> None:
        self.graph, self.file = graph, file

    def other(self) -> CheckpointError:
        """Say that the file computes something else."""
        return CheckpointError(
            f"{self.file} computes something else than BirdNET's location prior, which turns"
            " latitude, longitude and week into scores of species: give the file with MData in its"
            " name, of version 2.4."
        )

    def _made(self, value: int, *names: str) -> Operator:
        """Give the operator that makes a value, which must be one of some."""
        maker = self.graph.maker(value)
        if maker is None or maker.name not in names:
            raise self.other()
        return maker

    def _against(self, value: int, *names: str) -> tuple[int, Tensor]:
        """Go through an operator on something computed and a constant; give both."""
        inputs = self._made(value, *names).inputs
        constants = [self.graph.constant(one) for one in inputs]
        known = [one for one in constants if one is not None]
        if len(inputs) != 2 or len(known) != 1:
            raise self.other()
        return inputs[0 if constants[0] is None else 1], known[0]

    def _number(self, value: int) -> float:
        """Give a constant that is one number."""
        found = self.graph.constant(value)
        if found is None or found.numel() != 1:
            raise self.other()
        return float(found)

    def layers(self) -> list[tuple[Tensor, Tensor]]:
        """Read the fully connected layers, the first one first; all but the last have a ReLU."""
        value = self._made(self.graph.outputs[0], "LOGISTIC").inputs[0]
        found: list[tuple[Tensor, Tensor]] = []
        while (layer := self._made(value, "FULLY_CONNECTED", "CONCATENATION")).name[0] == "F":
            pair = [self.graph.constant(one) for one in layer.inputs[1:]]
            weight, bias = pair if len(pair) == 2 else (None, None)
            wanted = "RELU" if found else ""
            if weight is None or bias is None or layer.activation != wanted:
                raise self.other()
            # A file may be made so that a layer is asked by itself.
            if len(found) >= MOST_LAYERS:
                raise self.other()
            if weight.ndim != 2 or bias.shape != weight.shape[:1]:
                raise self.other()
            if found and found[0][0].shape[1] != len(weight):
                raise self.other()
            found.insert(0, (weight, bias))
            value = layer.inputs[0]
        self.joined = layer.inputs
        if len(found) < 2:
            raise self.other()
        return found

    def waves(self) -> dict[str, Wave]:
        """Read how the coordinates are encoded, by their names; the week behind its mask."""
        if len(self.joined) != 3:
            raise self.other()
        found = {}
        for value in self.joined:
            inner, mask = self._masked(value)
            wave = self._wave(inner)
            name = next((k for k, v in SHIFTS.items() if wave.shift == v), "")
            if mask != (name == "week"):
                raise self.other()
            found[name] = wave
        if list(found) != list(SHIFTS):
            raise self.other()
        return found

    def _masked(self, value: int) -> tuple[int, bool]:
        """Tell whether copies are set to 0 outside the weeks 1 to 48, and what stands inside."""
        inputs = self._made(value, "MUL").inputs
        makers = [self.graph.maker(one) for one in inputs]
        mask = next((m for m in makers if m is not None and m.name == "EXPAND_DIMS"), None)
        if mask is None:
            return value, False
        bounds: dict[str, float] = {}
        for one in self._made(mask.inputs[0], "MUL").inputs:
            chosen = self._made(one, "SELECT_V2").inputs
            if [self._number(each) for each in chosen[1:]] != [1.0, 0.0]:
                raise self.other()
            compared = self._made(chosen[0], "GREATER", "LESS")
            bounds[compared.name] = self._number(compared.inputs[1])
        if bounds != {"GREATER": 0.0, "LESS": WEEKS + 1.0}:
            raise self.other()
        return next(v for v, m in zip(inputs, makers, strict=True) if m is not mask), True

    def _wave(self, value: int) -> Wave:
        value, amplitude = self._against(value, "MUL")
        value, phases = self._against(self._made(value, "SIN").inputs[0], "ADD")
        value, turn = self._against(value, "MUL")
        value, part = self._against(self._made(value, "EXPAND_DIMS").inputs[0], "MUL")
        sign = -1 if self._made(value, "ADD", "SUB").name == "SUB" else 1
        value, shift = self._against(value, "ADD", "SUB")
        begin = self.graph.constant(self._made(value, "STRIDED_SLICE").inputs[1])
        numbers = [one.item() for one in (amplitude, turn, part, shift) if one.numel() == 1]
        if begin is None or begin.shape != (2,) or phases.ndim != 1 or len(numbers) != 4:
            raise self.other()
        if not all(map(math.isfinite, numbers)):
            raise self.other()
        angle = numbers[1] * numbers[2]
        return Wave(int(begin[1]), sign * numbers[3], angle, phases, numbers[0])
