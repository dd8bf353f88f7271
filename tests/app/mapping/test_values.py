import io

import numpy as np
import pytest
import torch
from PIL import Image

from csp_core.raster import Raster
from mapping.evidence import EDGE
from mapping.values import difference_scale, mercator_png, value_scale
from shared.palette import DARK, LIGHT


def make_raster(values: torch.Tensor, extrapolated: torch.Tensor, kind: str = "share") -> Raster:
    return Raster(
        values, (-180, -90, 180, 90), 0.5, "A b", "", kind, "toy", None, extrapolated
    )  # fmt: skip


def pixel(png: bytes, lon: float, lat: float) -> tuple[int, int, int, int]:
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    top = np.arctanh(np.sin(np.radians(EDGE)))
    y = (1 - np.arctanh(np.sin(np.radians(lat))) / top) / 2 * image.height
    found = image.getpixel((int((lon + 180) / 360 * image.width), int(y)))
    assert isinstance(found, tuple) and len(found) == 4
    return found[0], found[1], found[2], found[3]


@pytest.mark.parametrize("hatch", [False, True])
def test_the_picture_lies_where_the_values_are(hatch: bool) -> None:
    values, extrapolated = torch.zeros(360, 720), torch.zeros(360, 720, dtype=torch.bool)
    raster = make_raster(values, extrapolated)
    for lon, lat in ((36.8, -1.3), (16.4, 48.2), (-150.3, 70.1), (170.2, -60.4)):
        values[raster.grid.cell(lon, lat)] = 0.6
    scale = value_scale("share", LIGHT)
    png = mercator_png(raster, scale, LIGHT, guesses=False, hatch=hatch)
    highest = (*(int(scale.colours[-1][i : i + 2], 16) for i in (1, 3, 5)), 255)
    for lon, lat in ((36.75, -1.25), (16.25, 48.25), (-150.25, 70.25), (170.25, -60.25)):
        assert pixel(png, lon, lat) == highest
        assert pixel(png, lon + 1, lat)[3] == pixel(png, lon, lat + 1)[3] == 0


def test_no_support_is_never_a_colour_of_the_scale() -> None:
    extrapolated = torch.zeros(360, 720, dtype=torch.bool)
    extrapolated[:, :360] = True
    raster = make_raster(torch.full((360, 720), 0.0015), extrapolated)
    for palette in (LIGHT, DARK):
        scale = value_scale("share", palette)
        for hatch in (False, True):
            png = mercator_png(raster, scale, palette, guesses=False, hatch=hatch)
            image = Image.open(io.BytesIO(png)).convert("RGBA")
            middle, bottom = image.width // 2, image.height
            west = image.crop((0, 0, middle, bottom)).getcolors()
            seen = {colour for _, colour in west or [] if colour[3]}
            ink = tuple(int(palette.hatch[i : i + 2], 16) for i in (1, 3, 5))
            assert seen == ({(*ink, 255)} if hatch else set())
            east = image.crop((middle, 0, image.width, bottom)).getcolors()
            assert [colour[3] for _, colour in east or []] == [255]
        assert palette.hatch not in scale.colours


def test_the_scale_is_the_same_for_every_map() -> None:
    scale = value_scale("share", LIGHT)
    values = np.array([0, 0.0009, 0.001, 0.0019, 0.5, 1.0, np.nan], dtype=np.float32)
    assert scale.step_of(values).tolist() == [0, 0, 1, 1, 9, 9, 0]
    assert len(scale.colours) == len(scale.edges) - 1 == 9
    assert len(set(scale.colours)) == 9
    assert value_scale("relative", LIGHT).unit == ""


def test_a_difference_is_even_around_zero() -> None:
    scale = difference_scale("share", DARK)
    steps = scale.step_of(np.array([-1, -0.05, 0, 0.05, 1], dtype=np.float32)).tolist()
    middle = len(scale.colours) // 2 + 1
    assert [step - middle for step in steps] == [-4, -3, 0, 3, 4]
    assert scale.colours[middle - 1] == "" and scale.labels()[0] == "−100"
