"""How the butterflies of ``demo`` are drawn: eight kinds of wings, by formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# A picture is drawn this many times finer and averaged, so that its edges are smooth.
FINER = 4
# Half the side of the picture, where the longest wing has about length 1; the wings' joint is a
# little above the middle.
REACH, JOINT = 1.05, 0.02
EDGE = 0.012
SKY, MEADOW = (0.80, 0.86, 0.88), (0.70, 0.80, 0.66)
BODY, SHADOW = (0.17, 0.14, 0.13), (0.42, 0.48, 0.44)
Colour = tuple[float, float, float]
# Where the pattern is, from 0 to 1: of the part of the way from the joint to the wing's edge, and
# of the angle in degrees, -90 down to 90 up.
Pattern = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Wings:
    """One kind.

    Args:
        name: What a reader calls it, two words.
        outline: Length of the wing every 15 degrees, from straight down to straight up.
        inner: Colour at the joint, red, green and blue in [0, 1].
        outer: Colour towards the edge.
        border: Colour of the edge.
        width: Part of the wing's length that is edge.
        mark: Colour of the pattern.
        pattern: Where it is.
    """

    name: str
    outline: tuple[float, ...]
    inner: Colour
    outer: Colour
    border: Colour
    width: float
    mark: Colour
    pattern: Pattern


def _step(value: Tensor, sharpness: float) -> Tensor:
    """Go smoothly from 0 to 1 where a value passes 0."""
    return torch.sigmoid(value * sharpness)


def _band(part: Tensor, low: float, high: float, sharpness: float = 60.0) -> Tensor:
    return _step(part - low, sharpness) * _step(high - part, sharpness)


def _dot(part: Tensor, angle: Tensor, at: tuple[float, float], radius: float) -> Tensor:
    """Give a disc on the wing, ``at`` a part of its length and an angle in degrees."""
    turn = (angle - at[1]) * math.pi / 180
    apart = (part**2 + at[0] ** 2 - 2 * part * at[0] * turn.cos()).clamp_min(0).sqrt()
    return _step(radius - apart, 60.0)


def _most(parts: list[Tensor]) -> Tensor:
    return torch.stack(parts).amax(0)


def _sash(part: Tensor, angle: Tensor) -> Tensor:
    """One pale band across both wings."""
    return _band(part + 0.0012 * angle, 0.48, 0.66)


def _eyes(part: Tensor, angle: Tensor) -> Tensor:
    """A ring with a dot in it on each wing."""
    found = []
    for at, radius in (((0.62, 44.0), 0.17), ((0.6, -42.0), 0.2)):
        ring = _dot(part, angle, at, radius) - _dot(part, angle, at, 0.62 * radius)
        found += [ring, _dot(part, angle, at, 0.3 * radius)]
    return _most(found)


def _rays(part: Tensor, angle: Tensor) -> Tensor:
    """Pale stripes from the joint to the edge."""
    stripes = _step((angle * math.pi / 180 * 16).cos() - 0.25, 8.0)
    return stripes * _band(part, 0.26, 0.84, 30.0)


def _beads(part: Tensor, angle: Tensor) -> Tensor:
    """A row of dots along the edge, and one in each wing."""
    row = [_dot(part, angle, (0.74, at), 0.075) for at in (-70, -48, -26, -6, 14, 32, 50, 68)]
    return _most([*row, _dot(part, angle, (0.4, 42.0), 0.1), _dot(part, angle, (0.4, -40.0), 0.1)])


def _stairs(part: Tensor, angle: Tensor) -> Tensor:
    """Three bands, narrower towards the joint."""
    return _most([_band(part, low, high) for low, high in ((0.2, 0.27), (0.4, 0.5), (0.63, 0.77))])


def _net(part: Tensor, angle: Tensor) -> Tensor:
    """Dark veins and two arcs that cross them."""
    veins = _step((angle * math.pi / 180 * 9).cos().abs() - 0.93, 60.0) * _step(part - 0.2, 40.0)
    return _most([veins, _band(part, 0.42, 0.47), _band(part, 0.7, 0.75)])


def _rib(part: Tensor, angle: Tensor) -> Tensor:
    """A leaf's rib along each wing, with side ribs."""
    found = []
    for middle in (46.0, -44.0):
        turn = (angle - middle).abs()
        side = _step((2 * math.pi * (part * 4.2 - turn / 26)).cos() - 0.86, 20.0)
        near = _step(32.0 - turn, 0.5)
        found += [_step(2.6 - turn, 1.4), 0.75 * side * near]
    return _most(found) * _band(part, 0.12, 0.86, 40.0)


def _glow(part: Tensor, angle: Tensor) -> Tensor:
    """Embers: a large patch in the fore wing and tongues in the hind wing."""
    patch = _dot(part, angle, (0.58, 46.0), 0.22)
    tongues = [_dot(part, angle, (0.6, at), 0.1) for at in (-18, -40, -62)]
    return _most([patch, *tongues])


KINDS = (
    Wings("Blue Kite",
          (0.30, 0.95, 0.86, 0.58, 0.55, 0.52, 0.44, 0.62, 0.90, 1.08, 0.92, 0.50, 0.16),
          (0.16, 0.36, 0.78), (0.30, 0.60, 0.93), (0.07, 0.13, 0.34), 0.10,
          (0.80, 0.92, 0.98), _sash),
    Wings("Amber Lantern",
          (0.44, 0.70, 0.80, 0.80, 0.76, 0.68, 0.58, 0.76, 0.86, 0.88, 0.84, 0.66, 0.20),
          (0.86, 0.46, 0.10), (0.97, 0.68, 0.22), (0.52, 0.24, 0.08), 0.09,
          (0.34, 0.13, 0.07), _eyes),
    Wings("Green Sail",
          (0.22, 0.46, 0.58, 0.66, 0.66, 0.58, 0.56, 0.74, 0.92, 1.04, 1.06, 0.90, 0.22),
          (0.05, 0.36, 0.24), (0.16, 0.58, 0.36), (0.04, 0.20, 0.16), 0.12,
          (0.78, 0.94, 0.70), _rays),
    Wings("Scarlet Fan",
          (0.40, 0.72, 0.66, 0.78, 0.70, 0.80, 0.60, 0.84, 0.76, 0.92, 0.80, 0.84, 0.24),
          (0.62, 0.07, 0.10), (0.90, 0.22, 0.18), (0.30, 0.04, 0.06), 0.08,
          (0.14, 0.05, 0.07), _beads),
    Wings("Violet Ribbon",
          (0.20, 0.34, 0.46, 0.56, 0.62, 0.60, 0.50, 0.92, 1.12, 0.92, 0.58, 0.34, 0.14),
          (0.34, 0.16, 0.52), (0.58, 0.36, 0.76), (0.20, 0.08, 0.30), 0.08,
          (0.93, 0.80, 0.95), _stairs),
    Wings("White Lace",
          (0.28, 0.52, 0.70, 1.04, 0.76, 0.66, 0.52, 0.70, 0.94, 1.02, 0.98, 0.72, 0.18),
          (0.93, 0.91, 0.83), (0.97, 0.96, 0.92), (0.36, 0.34, 0.36), 0.07,
          (0.30, 0.29, 0.33), _net),
    Wings("Golden Leaf",
          (0.24, 0.50, 0.84, 0.92, 0.70, 0.56, 0.42, 0.58, 0.82, 1.02, 0.78, 0.72, 0.16),
          (0.80, 0.64, 0.16), (0.93, 0.82, 0.34), (0.58, 0.40, 0.12), 0.08,
          (0.50, 0.36, 0.10), _rib),
    Wings("Dusk Ember",
          (0.26, 0.46, 0.62, 0.74, 0.76, 0.70, 0.62, 0.94, 1.08, 0.88, 0.92, 0.60, 0.18),
          (0.20, 0.14, 0.15), (0.30, 0.21, 0.21), (0.12, 0.08, 0.10), 0.10,
          (0.98, 0.48, 0.16), _glow),
)  # fmt: skip


def draw_wings(side: int) -> Tensor:
    """Draw all kinds before a meadow, the same every time.

    Args:
        side: Of a picture, pixels.

    Returns:
        ``(8, 3, side, side)`` float64 in [0, 1]; row 0 is the top.
    """
    fine = side * FINER
    ramp = ((torch.arange(fine, dtype=torch.float64) + 0.5) / fine * 2 - 1) * REACH
    y, x = torch.meshgrid(-ramp, ramp, indexing="ij")
    drawn = torch.stack([_draw(kind, x.abs(), y) for kind in KINDS])
    return torch.nn.functional.avg_pool2d(drawn, FINER)


def _draw(kind: Wings, x: Tensor, y: Tensor) -> Tensor:
    """Draw one kind; both halves are alike, so ``x`` is the distance from the middle."""
    picture = _mix(_colour(MEADOW), _colour(SKY), _step(y + 0.2, 2.4))
    shade, _, _ = _wing(kind, x, y + 0.07)
    picture = _mix(picture, _colour(SHADOW), 0.45 * _step(1 - shade, 9.0))
    part, angle, inside = _wing(kind, x, y)
    wing = _mix(_colour(kind.inner), _colour(kind.outer), _step(part - 0.45, 7.0))
    wing = _mix(wing, _colour(kind.mark), kind.pattern(part, angle))
    wing = _mix(wing, _colour(kind.border), _step(part - (1 - kind.width), 40.0))
    # The fold between fore wing and hind wing.
    wing = _mix(wing, _colour(kind.border), 0.6 * _step(1.6 - angle.abs(), 1.0))
    picture = _mix(picture, wing, inside)
    return _mix(picture, _colour(BODY), _body(x, y - JOINT))


def _wing(kind: Wings, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give part of the way to the edge, angle in degrees, and how much is inside the wing."""
    reach = (x**2 + (y - JOINT) ** 2).sqrt()
    angle = torch.atan2(y - JOINT, x.clamp_min(1e-9)) * 180 / math.pi
    length = _smooth_curve(kind.outline, (angle + 90) / 15)
    return reach / length, angle, _step(length - reach, 1 / EDGE)


def _smooth_curve(knots: tuple[float, ...], at: Tensor) -> Tensor:
    """Go through values at 0, 1, 2, … by cubic pieces that meet smoothly.

    Source:
        Catmull and Rom 1974.
    """
    values = torch.tensor([knots[0], *knots, knots[-1]], dtype=at.dtype)
    piece = at.long().clamp(0, len(knots) - 2)
    t = at - piece
    a, b, c, d = (values[piece + k] for k in range(4))
    return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))


def _body(x: Tensor, y: Tensor) -> Tensor:
    """Give the body with its two feelers, from the joint of the wings."""
    trunk = _step(1 - (x / 0.062) ** 2 - ((y + 0.1) / 0.36) ** 2, 9.0)
    head = _step(0.066 - (x**2 + (y - 0.28) ** 2).sqrt(), 1 / EDGE)
    along = torch.linspace(0, 1, 25, dtype=x.dtype)
    feeler_x, feeler_y = 0.03 + 0.26 * along**1.4, 0.3 + 0.36 * along
    thick = 0.012 + 0.018 * _step(along - 0.93, 60.0)
    feelers = [
        _step(w - ((x - u) ** 2 + (y - v) ** 2).sqrt(), 1 / EDGE)
        for u, v, w in zip(feeler_x, feeler_y, thick, strict=True)
    ]
    return _most([trunk, head, *feelers])


def _colour(colour: Colour) -> Tensor:
    return torch.tensor(colour, dtype=torch.float64)[:, None, None]


def _mix(under: Tensor, over: Tensor, weight: Tensor) -> Tensor:
    return under + (over - under) * weight
