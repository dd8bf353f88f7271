"""Maps beside each other: differences, common areas, and what tells one from another."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from PIL import Image

from csp_core.errors import BadRecordError
from csp_core.raster import (
    Credit,
    Raster,
    common_area_km2,
    read_geotiff,
    subtract,
    write_geotiff,
    write_png,
)

NOWHERE = torch.zeros(18, 36, dtype=torch.bool)


def make_raster(values, extrapolated=NOWHERE):
    bounds = (-180, -90, 180, 90)
    return Raster(values, bounds, 10.0, "A b", "", "share", "toy", None, extrapolated)


@pytest.fixture
def corner():
    mask = NOWHERE.clone()
    mask[0, 0] = True
    return mask


def test_a_difference_has_no_support_where_a_model_is_known_to_have_none(corner):
    first = make_raster(torch.full((18, 36), 0.3), corner)
    other = make_raster(torch.full((18, 36), 0.25))
    difference = subtract(first, other, [corner, NOWHERE])
    assert float(difference.values[5, 5]) == pytest.approx(0.05)
    assert difference.extrapolated.equal(corner) and difference.any_extrapolated
    assert not subtract(first, other, []).any_extrapolated


def test_a_difference_says_of_what_it_is_one():
    first = make_raster(torch.zeros(18, 36))
    other = replace(first, taxon="C d", model="other", common_name="Dove")
    told = subtract(first, other, []).to_dict()
    assert (told["taxon"], told["model"]) == ("A b minus C d", "toy minus other")
    assert told["unit"] == "difference of two shares, -1 to 1" and told["common_name"] == ""
    assert subtract(first, first, []).taxon == "A b"
    with pytest.raises(BadRecordError, match=r"kind share, .* of relative"):
        subtract(first, replace(first, kind="relative"), [])


@pytest.mark.parametrize("kind", ["share", "relative"])
def test_a_difference_is_kept_as_a_file(kind, tmp_path):
    values = torch.linspace(-1, 1, 18 * 36).reshape(18, 36)
    first, other = (
        replace(make_raster(v), kind=kind) for v in (values.clamp(min=0), (-values).clamp(min=0))
    )
    raster = subtract(first, other, [])
    write_geotiff(raster, tmp_path / "map.tif", credit=Credit("cc-by-4.0", "By A."))
    again = read_geotiff(tmp_path / "map.tif")
    assert again.values.equal(raster.values) and again.kind == f"{kind} difference"
    write_png(raster, tmp_path / "map.png")
    with Image.open(tmp_path / "map.png") as picture:
        colours = {colour for _, colour in picture.convert("RGB").getcolors(10**6)}
    assert {(64, 0, 75), (0, 68, 27)} <= colours, "the two ends of the scale"


def test_the_common_area_is_that_of_the_cells_where_both_reach_their_threshold(corner):
    values = torch.zeros(18, 36)
    values[0, :2], values[9, 0] = 0.5, 0.2
    first, other = make_raster(values, corner), make_raster(values.flip(1).roll(2, 1))
    # The other's cells of the first row are columns 0 and 1 too, that of the tenth is column 1.
    size = first.grid.cell_areas_km2()
    assert common_area_km2(first, other, (0.4, 0.4)) == pytest.approx(2 * float(size[0]))
    assert common_area_km2(first, other, (0.1, 0.1)) == pytest.approx(2 * float(size[0]))
    assert common_area_km2(first, first, (0.1, 0.3)) == pytest.approx(2 * float(size[0]))
    assert common_area_km2(first, first, (0.1, 0.1)) == pytest.approx(first.area_km2(0.1))
    sure = common_area_km2(first, other, (0.4, 0.4), extrapolated=(False, None))
    assert sure == pytest.approx(float(size[0]))
    assert common_area_km2(first, other, (0.6, 0.1)) == 0


def test_maps_of_two_grids_are_not_compared():
    first = make_raster(torch.zeros(18, 36))
    other = replace(first, bounds=(0, -90, 180, 0), step=5.0)
    for ask in (lambda: subtract(first, other, []),
                lambda: common_area_km2(first, other, (0.1, 0.1))):  # fmt: skip
        with pytest.raises(BadRecordError, match=r"cells of 10° .* the other of 5°"):
            ask()


def test_what_cells_hold_and_where_they_lie_tells_maps_apart(corner):
    values = torch.linspace(0, 1, 18 * 36).reshape(18, 36)
    raster = make_raster(values)
    others = [
        replace(raster, values=values.flip(0)),
        replace(raster, extrapolated=corner),
        replace(raster, bounds=(0, -90, 180, 0), step=5.0),
    ]
    hashes = {each.content_hash() for each in (raster, *others)}
    assert len(hashes) == 4
    # The same content in another object; its name is not drawn.
    assert replace(raster, values=values.clone(), taxon="C d").content_hash() in hashes
