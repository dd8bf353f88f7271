import io
import json
from pathlib import Path

from PIL import Image

from csp_core.raster import heatmap
from csp_core.store import checkpoint
from mapping.small import HEIGHT, NORTH, SOUTH, WIDTH
from mapping.values import value_scale
from range_map.month_sheet import CAPTION, SMALL_COLUMNS, months_png
from shared.palette import LIGHT
from tests.toy import NAIROBI, SPECIES


def test_twelve_small_maps_show_guesses_where_they_are_asked_for() -> None:
    model = checkpoint.load_model("birds")
    guess = heatmap(model, 0, step=10.0)
    guess.values.fill_(0.5)
    scale = value_scale("share", LIGHT)
    land = json.dumps({"type": "Polygon", "coordinates": [[[-9, -9], [9, -9], [9, 9], [-9, -9]]]})
    counts = []
    for options in ({}, {"hatch": False}, {"guesses": True, "hatch": False}):
        sheet = Image.open(io.BytesIO(months_png([guess] * 12, scale, LIGHT, land, **options)))
        colours = sheet.convert("RGB").getcolors(1 << 20)
        assert colours is not None
        # The sea is what nothing is drawn on.
        counts.append(next(n for n, c in colours if c == tuple(bytes.fromhex(LIGHT.sea[1:]))))
    assert counts[1] > counts[0] > counts[2]


def test_twelve_months_share_one_scale(seasonal: Path) -> None:
    # Where one month is coloured and another is not, a scale of its own would hide it.
    model = checkpoint.load_model(seasonal / "seasons")
    rasters = [heatmap(model, SPECIES[0][0], step=2.0, date=(m + 0.5) / 12) for m in range(12)]
    assert rasters[0].at(*NAIROBI) > 5 * rasters[6].at(*NAIROBI)
    scale = value_scale("share", LIGHT)
    land = json.dumps({"type": "Polygon", "coordinates": [[[-9, -9], [9, -9], [9, 9], [-9, -9]]]})
    sheet = Image.open(io.BytesIO(months_png(rasters, scale, LIGHT, land)))
    width, height = sheet.width // SMALL_COLUMNS, sheet.height // 3
    pixels = sheet.convert("RGB")

    def colour(month: int) -> tuple[int, ...]:
        x = (NAIROBI[0] + 180) / 360 * WIDTH
        y = (NORTH - NAIROBI[1]) / (NORTH - SOUTH) * HEIGHT
        left, top = month % SMALL_COLUMNS * width, month // SMALL_COLUMNS * height
        found = pixels.getpixel((int(left + x), int(top + CAPTION + y)))
        assert isinstance(found, tuple)
        return found

    # December and January look alike, July does not.
    assert colour(0) == colour(11) != colour(6)
