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


def rgb(colour: str) -> tuple[int, int, int]:
    return (int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16))


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
    highest = (*rgb(scale.colours[-1]), 255)
    for lon, lat in ((36.75, -1.25), (16.25, 48.25), (-150.25, 70.25), (170.25, -60.25)):
        assert pixel(png, lon, lat) == highest
        assert pixel(png, lon + 1, lat) == pixel(png, lon, lat + 1) == (*rgb(LIGHT.looked), 255)


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
            assert seen == ({(*rgb(palette.hatch), 255)} if hatch else set())
            east = image.crop((middle, 0, image.width, bottom)).getcolors()
            assert {colour[:3] for _, colour in east or []} == {rgb(scale.colours[1])}
        assert palette.hatch not in scale.colours


def test_the_scale_is_the_same_for_every_map() -> None:
    scale = value_scale("share", LIGHT)
    values = np.array([0, 0.0009, 0.001, 0.0019, 0.5, 1.0, np.nan], dtype=np.float32)
    assert scale.step_of(values).tolist() == [1, 1, 2, 2, 10, 10, 0]
    assert len(scale.colours) == len(scale.edges) - 1 == 10
    assert len(set(scale.colours)) == 10 and scale.colours[0] == LIGHT.looked
    assert value_scale("relative", LIGHT).unit == ""


def test_a_difference_is_even_around_zero() -> None:
    scale = difference_scale("share", DARK)
    steps = scale.step_of(np.array([-1, -0.05, 0, 0.05, 1], dtype=np.float32)).tolist()
    middle = len(scale.colours) // 2 + 1
    assert [step - middle for step in steps] == [-4, -3, 0, 3, 4]
    assert scale.colours[middle - 1] == DARK.looked and scale.labels()[0] == "−100"


def test_colours_grow_faint_towards_where_nobody_looked() -> None:
    extrapolated = torch.zeros(360, 720, dtype=torch.bool)
    extrapolated[:, :360] = True
    raster = make_raster(torch.full((360, 720), 0.6), extrapolated)
    scale = value_scale("share", LIGHT)
    png = mercator_png(raster, scale, LIGHT, guesses=False, fade=True)
    # At 60° north a degree is half as many kilometres, so the border is twice as wide there.
    for lat, degrees in ((0.25, 1.0), (60.25, 2.0)):
        seen = [pixel(png, lon * degrees + 0.25, lat)[3] for lon in (0.0, 0.6, 1.2)]
        assert seen[0] < seen[1] < seen[2] == 255 and pixel(png, -0.25, lat)[3] == 0
        assert pixel(png, 179.75, lat)[3] == seen[0], "the world goes on beyond 180°"
    shown = mercator_png(raster, scale, LIGHT, guesses=True, fade=True)
    assert pixel(shown, 0.25, 0.25)[3] == pixel(shown, -0.25, 0.25)[3] == 255
    assert pixel(mercator_png(raster, scale, LIGHT, guesses=False), 0.25, 0.25)[3] == 255
