from collections.abc import Iterator
from dataclasses import replace

import pytest
import streamlit as st
import torch

from csp_core.raster import Raster
from mapping import values
from range_map import drawing
from shared.palette import DARK, LIGHT


@pytest.fixture(autouse=True)
def clear() -> Iterator[None]:
    st.cache_data.clear()
    yield
    st.cache_data.clear()


def make_raster() -> Raster:
    numbers = torch.linspace(0, 1, 360 * 720).reshape(360, 720)
    return Raster(
        numbers, (-180, -90, 180, 90), 0.5, "A b", "", "share", "toy", None, numbers < 0.1
    )


def test_what_was_drawn_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    for name in ("mercator_png", "outline_unsupported"):
        function = getattr(values, name)

        def noted(*args: object, name: str = name, function=function, **options: object) -> object:  # type: ignore[no-untyped-def]
            drawn.append(name)
            return function(*args, **options)

        monkeypatch.setattr(values, name, noted)
    scale = values.value_scale("share", LIGHT)
    for _ in range(2):
        # Another object with the same content.
        raster = make_raster()
        picture = drawing._picture(raster, scale, LIGHT, False, False)
        drawing._outline_unsupported(raster)
    assert drawn == ["mercator_png", "outline_unsupported"]
    assert picture == values.mercator_png(raster, scale, LIGHT, guesses=False, fade=True)


def test_anything_else_is_drawn_anew() -> None:
    raster, scale = make_raster(), values.value_scale("share", LIGHT)
    changed = replace(raster, values=raster.values.flip(0))
    nowhere = replace(raster, extrapolated=torch.zeros_like(raster.extrapolated))
    pictures = {
        drawing._picture(each, scale, LIGHT, False, hatch)
        for each in (raster, changed, nowhere)
        for hatch in (False, True)
    }
    pictures |= {drawing._picture(raster, values.value_scale("share", DARK), DARK, False, False)}
    # Where all is supported there is nothing to hatch, but the picture is as wide as if there were.
    assert len(pictures) == 7
    assert drawing._outline_unsupported(raster) != drawing._outline_unsupported(nowhere)
