"""A scene, its classes and what looks alike as pictures, as a map or the page itself shows them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from csp_core.data.pictures.scene import HeldScene
from csp_core.raster.scenes import Layout, LearnedScene, SeenScene

# Parts in a thousand of the values that are left to white and to black.
LOW, HIGH = 2.0, 98.0
# Of the hatching of doubtful parts: from line to line, and how thick one is, pixels of the picture.
APART, THICK = 7, 2
INK, PIN = (20, 20, 20), (213, 94, 0)
# Without a map, a picture is made larger up to so many pixels.
LARGE = 720
QUALITY = 90


def flat_cells(rows: int, columns: int) -> NDArray[np.int64]:
    """Give the pixels of a scene that lies on no map, as ``Layout.cells`` has them."""
    times = max(1, LARGE // max(rows, columns))
    cells = np.arange(rows * columns, dtype=np.int64).reshape(rows, columns)
    return cells.repeat(times, 0).repeat(times, 1)


def cells_of(scene: HeldScene, layout: Layout | None) -> NDArray[np.int64]:
    """Give which pixel of a scene stands at each of its picture's."""
    if layout is not None:
        return layout.cells
    return flat_cells(scene.facts.height, scene.facts.width)


def scene_picture(scene: HeldScene, cells: NDArray[np.int64]) -> bytes:
    """Draw a scene in its first three bands, or its first in grey.

    Args:
        scene: The scene.
        cells: As ``cells_of`` gives them.

    Returns:
        A WebP; what has no data is transparent.
    """
    bands = scene.values[:3] if len(scene.values) >= 3 else scene.values[:1]
    shown = bands if bands.dtype == np.uint8 else _stretched(bands, scene.valid)
    flat = np.broadcast_to(shown, (3, *shown.shape[1:])).reshape(3, -1)
    return _webp(flat[:, _continued(cells)], _there(scene.valid, cells))


def _webp(rgb: NDArray[np.uint8], there: NDArray[np.bool_]) -> bytes:
    rgba = np.empty((*there.shape, 4), np.uint8)
    rgba[..., :3] = np.moveaxis(rgb, 0, -1)
    rgba[..., 3] = np.where(there, 255, 0)
    stream = io.BytesIO()
    Image.fromarray(rgba, "RGBA").save(stream, "WEBP", quality=QUALITY, method=2)
    return stream.getvalue()


def _continued(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Go on with a scene's last pixel beside it, as the format runs colours into each other."""
    inside = cells >= 0
    columns = np.arange(cells.shape[1])
    left = np.maximum.accumulate(np.where(inside, columns, -1), axis=1)
    first = np.where(inside.any(axis=1), inside.argmax(axis=1), 0)[:, None]
    return np.take_along_axis(cells, np.where(left < 0, first, left), axis=1).clip(0)


def _stretched(bands: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    out = np.zeros(bands.shape, np.uint8)
    for number, band in enumerate(bands):
        some = band[valid]
        low, high = np.percentile(some, (LOW, HIGH)) if some.size else (0.0, 1.0)
        part = (band.astype(np.float32) - low) / max(float(high - low), 1e-9)
        out[number] = (part.clip(0, 1) * 255).astype(np.uint8)
    return out


def _there(valid: NDArray[np.bool_], cells: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray((cells >= 0) & valid.ravel()[cells])


def class_picture(seen: SeenScene, cells: NDArray[np.int64], colours: Sequence[str]) -> bytes:
    """Draw the classes of a scene, hatched where they are doubtful.

    Args:
        seen: What the model says.
        cells: As ``cells_of`` gives them.
        colours: ``#rrggbb`` of each class.

    Returns:
        A PNG; what has no data is transparent.
    """
    found = seen.found
    labels = np.where(_there(found.valid.numpy(), cells), found.classes.numpy().ravel()[cells], -1)
    doubt = found.doubtful.numpy().ravel()[cells]
    down, right = np.indices(cells.shape)
    lines = (down + right) % APART < THICK
    steps = np.where(doubt & lines & (labels >= 0), len(colours), labels)
    steps = np.where(labels < 0, len(colours) + 1, steps).astype(np.uint8)
    palette = [bytes.fromhex(colour.removeprefix("#")) for colour in colours]
    image = Image.fromarray(steps, "P")
    image.putpalette(b"".join([*palette, bytes(INK), b"\0\0\0"]))
    stream = io.BytesIO()
    image.save(stream, "PNG", transparency=len(colours) + 1)
    return stream.getvalue()


def feature_picture(learned: LearnedScene, scene: HeldScene, cells: NDArray[np.int64]) -> bytes:
    """Draw what a model makes of the parts of a scene: like colours, like parts.

    Args:
        learned: What it makes of them.
        scene: The scene.
        cells: As ``cells_of`` gives them.

    Returns:
        A WebP; what has no data is transparent.
    """
    wide, known = scene.facts.width, _continued(cells)
    rgb = learned.colours.numpy()
    rgb = rgb[:, known // wide // learned.cell, known % wide // learned.cell]
    return _webp(rgb, _there(scene.valid, cells))


def over(below: bytes, above: bytes | None, opacity: float) -> bytes:
    """Lay one picture over another, for a page without a map.

    Args:
        below: A picture.
        above: Another of the same size, or None.
        opacity: Of the other, 0 to 1.

    Returns:
        A WebP.
    """
    image = Image.open(io.BytesIO(below)).convert("RGBA")
    if above is not None:
        layer = Image.open(io.BytesIO(above)).convert("RGBA")
        layer.putalpha(layer.getchannel("A").point(lambda value: round(value * opacity)))
        image.alpha_composite(layer)
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=QUALITY, method=2)
    return stream.getvalue()


def marked(picture: bytes, size: tuple[int, int], spots: Sequence[tuple[str, int, int]]) -> bytes:
    """Mark pixels of a picture of a scene that lies on no map.

    Args:
        picture: As ``over`` gives it.
        size: Rows and columns of the scene.
        spots: What is written at each, its row and its column; ``""`` rings the pixel asked about.

    Returns:
        A WebP.
    """
    from PIL import ImageDraw

    image = Image.open(io.BytesIO(picture)).convert("RGBA")
    draw = ImageDraw.Draw(image)
    for text, row, column in spots:
        x, y = (column + 0.5) * image.width / size[1], (row + 0.5) * image.height / size[0]
        edge, wide = ((255, 255, 255), 2) if text else (PIN, 4)
        draw.ellipse(
            (x - 8, y - 8, x + 8, y + 8), fill=INK if text else None, outline=edge, width=wide
        )
        if text:
            draw.text((x, y), text, fill=(255, 255, 255), anchor="mm")
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=QUALITY, method=2)
    return stream.getvalue()
