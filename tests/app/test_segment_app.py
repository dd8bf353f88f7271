"""The Segment page without a browser: the example, uploads, what does not fit, files."""

from __future__ import annotations

import csv
import io
import runpy
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.io import MemoryFile
from streamlit.testing.v1 import AppTest

from csp_core.data.pictures.scene import open_scene
from csp_core.files import ASSETS
from csp_core.raster.scenes import PROBABILITIES
from segment import answer, chosen, files
from shared import resources
from tests.pixel_model import MASK, VALLEY, save_pixel_model
from tests.toy import save_toy_model

Open = Callable[..., AppTest]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pixel-models")
    save_pixel_model(folder)
    save_toy_model(folder, "places", train_steps=20)
    return folder


@pytest.fixture
def open_page(models: Path, open_view: Open) -> Open:
    return partial(open_view, "segment", folder=models)


def texts(app: AppTest) -> str:
    shown = [*app.title, *app.header, *app.subheader, *app.markdown, *app.caption]
    shown += [*app.error, *app.warning, *app.info]
    parts = [element.value for element in shown]
    parts += [element.proto.body for element in app.get("html")]
    return "\n".join(parts).replace("\\", "")


def upload(app: AppTest, name: str, content: bytes) -> AppTest:
    # The box is another one each time that it was emptied.
    (box,) = [one for one in app.file_uploader if str(one.key).startswith("segment_file")]
    return box.set_value((name, content, "image/tiff")).run()


def geotiff(values: np.ndarray, *, metres: float = 10, crs: str | None = "EPSG:32652") -> bytes:
    grid = rasterio.Affine(metres, 0, 588_400, 0, -metres, 4_150_700) if crs else None
    bands, height, width = values.shape
    profile = {"count": bands, "height": height, "width": width, "dtype": values.dtype}
    placing = {"crs": crs, "transform": grid} if crs else {}
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", **profile, **placing) as file:
            file.write(values)
        return bytes(memory.read())


def valley() -> np.ndarray:
    with rasterio.open(VALLEY) as file:
        return file.read()


def param(app: AppTest, name: str) -> str:
    value = app.query_params[name]
    return value[0] if isinstance(value, list) else value


def test_it_opens_on_the_invented_valley(open_page: Open) -> None:
    app = open_page()
    assert not app.exception and not app.error and not app.warning
    said = texts(app)
    for words in (
        "**invented** valley",
        "Most of it is",
        "doubtful: no class reaches 50%",
        "352 × 352 pixels of 10 m",
        "9 times in 10",
        "Click the scene",
    ):
        assert words in said, words
    labels = [button.proto.label for button in app.get("download_button")]
    assert labels == [label for label, _ in files.KINDS.values()]


def test_a_pixel_says_how_probable_each_class_is_and_what_is_like_it(open_page: Open) -> None:
    app = open_page(lat="37.4845", lon="130.018")
    said = texts(app)
    assert "Row 159, column 160, 37.4845° N, 130.018° E" in said
    assert said.count("csp-value") == 5 and "What looks like it" in said
    (told,) = [text.value for text in app.markdown if 'role="status"' in text.value]
    assert "Row 159, column 160" in told and "%" in told
    # Boxes are the second way to choose one.
    app.number_input(key="segment-row").set_value(10).run()
    assert "Row 10, column 160" in texts(app) and not app.exception
    assert round(float(param(app, "lat")), 3) == 37.498
    beside = open_page(lat="0", lon="0")
    assert "lies beside the scene" in texts(beside) and not beside.exception


def test_layers_and_opacity_stand_in_the_address(open_page: Open) -> None:
    app = open_page(layer="features", opacity="30")
    assert app.slider(key="segment-opacity").value == 30
    assert "parts that the model sees as alike" in texts(app)
    app.segmented_control(key="segment-layer").set_value("picture").run()
    assert param(app, "layer") == "picture" and not app.exception
    assert not [slider for slider in app.slider if slider.key == "segment-opacity"]
    app = open_page(layer="x", opacity="7", zoom="50", lat="1", row="-1", column="1")
    assert not app.exception and len(app.error) == 1
    for words in ("layer=x", "opacity=7", "zoom=50", "Half a place", "row=-1"):
        assert words in app.error[0].value.replace("\\", ""), words


def test_an_upload_takes_the_place_of_the_example_and_goes_again(open_page: Open) -> None:
    app = open_page(lat="37.4845", lon="130.018")
    upload(app, "part.tif", geotiff(valley()[:, 100:228, 50:178]))
    said = texts(app)
    assert not app.exception and "128 × 128 pixels of 10 m" in said and "**invented**" not in said
    # The pixel of another scene is none of this one.
    assert "lat" not in app.query_params and "Click the scene" in said
    app.button(key="segment-remove").click().run()
    assert "**invented** valley" in texts(app) and not app.exception


def test_a_picture_without_a_place_is_shown_without_a_map(open_page: Open) -> None:
    app = upload(open_page(), "part.png", png(part()))
    said = texts(app)
    assert not app.exception and "shown without a map, and areas are counted in pixels" in said
    assert "On the map, pixels" in said and len(app.get("image")) == 1
    app.number_input(key="segment-row").set_value(5).run()
    app.number_input(key="segment-column").set_value(7).run()
    assert param(app, "row") == "5" and "Row 5, column 7." in texts(app)


def sparse(side: int) -> bytes:
    """Give a small file whose header names an area of pixels that no machine holds."""
    options = {"SPARSE_OK": "TRUE", "tiled": True, "compress": "DEFLATE", "crs": "EPSG:32652"}
    size = {"count": 3, "height": side, "width": side, "dtype": "uint8"}
    grid = rasterio.Affine(10, 0, 588_400, 0, -10, 4_150_700)
    with MemoryFile() as memory:
        memory.open(driver="GTiff", transform=grid, **size, **options).close()
        return bytes(memory.read())


def png(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.moveaxis(values, 0, -1).squeeze()).save(stream, "PNG")
    return stream.getvalue()


def huge_png() -> bytes:
    """Give a PNG whose header names 60,000 pixels a side, with its right checksum."""
    content = png(np.zeros((3, 8, 8), np.uint8))
    header = struct.pack(">II", 60_000, 60_000) + content[24:29]
    return content[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + content[33:]


def part() -> np.ndarray:
    return valley()[:, :96, :96]


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


NO_PICTURE = "This is no picture that can be read: give a GeoTIFF, PNG, JPEG or JPEG 2000"
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing.tif": (lambda: b"", NO_PICTURE),
    "letter.tif": (lambda: b"Dear bird", NO_PICTURE),
    "begins.tif": (lambda: geotiff(part())[:200], NO_PICTURE),
    "cut.tif": (lambda: half(geotiff(valley())), "is cut short or damaged: copy it again."),
    "cut.png": (lambda: half(png(part())), "is cut short or damaged: copy it again."),
    "large.tif": (
        lambda: geotiff(np.zeros((1, 2100, 2100), np.uint8)),
        "2,100 × 2,100 pixels; up to 4,200,000 are taken here",
    ),
    "huge.tif": (lambda: sparse(60_000), "60,000 × 60,000 pixels; up to 4,200,000 are taken"),
    "huge.png": (huge_png, "60,000 × 60,000 pixels; up to 100 megapixels are read"),
    "waves.tif": (lambda: geotiff(part().astype(np.complex64)), "complex64 numbers: give real"),
}


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_what_is_no_scene_gets_one_sentence_and_the_page_goes_on(open_page: Open) -> None:
    app = open_page()
    for name, (content, says) in REFUSED.items():
        upload(app, name, content())
        assert not app.exception, name
        (said,) = [error.value.replace("\\", "") for error in app.error]
        assert said.startswith(f"**{name}**: ") and says in said, said
        assert "Most of it" not in texts(app) and not app.get("download_button"), name
    # It can be put away, and what comes next is looked at.
    app.button(key="segment-remove").click().run()
    assert not app.error and "**invented** valley" in texts(app)
    upload(app, "part.tif", geotiff(part()))
    assert not app.error and not app.exception and "Most of it is" in texts(app)


@pytest.mark.parametrize("name", ["one.tif", "one.png", "two.tif"])
def test_other_bands_are_shown_without_classes(open_page: Open, name: str) -> None:
    values = part()[: 1 if "one" in name else 2]
    app = upload(open_page(), name, png(values) if name.endswith("png") else geotiff(values))
    number = "one band" if "one" in name else "2 bands"
    assert not app.exception and len(app.error) == 1
    assert f"has {number}, and model 'valley' takes 3" in texts(app)
    assert "Most of it" not in texts(app) and not app.get("download_button")
    app.button(key="segment-remove").click().run()
    assert not app.error and "Most of it" in texts(app)


SHOWN: dict[str, tuple[Callable[[], bytes], str]] = {
    "bare.tif": (lambda: geotiff(part(), crs=None), "does not say where it lies. So it is shown"),
    "bare.png": (lambda: png(part()), "does not say where it lies. So it is shown"),
    "deep.tif": (lambda: geotiff(part().astype(np.uint16) * 39), "96 × 96 pixels of 10 m"),
    "signed.tif": (lambda: geotiff(part().astype(np.int16) * 39), "96 × 96 pixels of 10 m"),
    "beyond.tif": (lambda: geotiff(beyond()), "5.2 % of the picture has no data"),
    "empty.tif": (lambda: geotiff(np.full((3, 96, 96), np.nan, np.float32)), "No pixel of it has"),
    "pixel.tif": (lambda: geotiff(part()[:, :1, :1]), "1 × 1 pixels of 10 m"),
    "flat.tif": (lambda: geotiff(part(), metres=0), "has pixels without an area. So it is shown"),
    "nowhere.tif": (lambda: geotiff(part(), crs="EPSG:4326"), "places that are not on Earth"),
}


def beyond() -> np.ndarray:
    """Give numbers some of which 32 bits cannot hold."""
    values = part().astype(np.float64) / 255
    values[:, :5] = 1e300
    return values


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_strange_scenes_are_looked_at(open_page: Open) -> None:
    app = open_page()
    for name, (content, says) in SHOWN.items():
        upload(app, name, content())
        assert not app.exception and not app.error, name
        said = texts(app)
        assert says in said and ("Most of it is" in said or name == "empty.tif"), (name, said)
        rows = app.number_input(key="segment-row")
        rows.set_value(rows.max).run()
        app.number_input(key="segment-column").set_value(0).run()
        told = "no data" if name == "empty.tif" else f"Row {int(rows.max)}, column 0"
        assert not app.exception and told in texts(app), (name, texts(app))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("name", SHOWN)
def test_strange_scenes_can_be_had_as_files(open_page: Open, name: str, tmp_path: Path) -> None:
    open_page()
    (info,) = [one for one in resources.models() if one.maps_pixels]
    with open_scene(SHOWN[name][0](), name) as scene:
        held = scene.hold(10**6)
    said = answer._begin(info, chosen.placed("strange", name, held))
    for suffix in files.KINDS:
        path = tmp_path / f"map{suffix}"
        path.write_bytes(files.file_of(suffix, said))
        if suffix in (".tif", PROBABILITIES):
            with rasterio.open(path) as file:
                assert file.shape == (held.facts.height, held.facts.width)
        elif suffix != ".csv":
            assert bool(len(geopandas.read_file(path))) == (name != "empty.tif")


def test_a_scene_that_the_model_is_not_for_is_said_to_be_so(open_page: Open) -> None:
    app = upload(open_page(), "near.tif", geotiff(valley()[:, :128, :128], metres=0.5))
    (said,) = [warning.value for warning in app.warning]
    assert "was not made for a scene like this" in said and "0.5 m wide" in said.replace("\\", "")
    white = np.clip(valley()[:, :128, :128].astype(int) + 235, 0, 255).astype(np.uint8)
    app = upload(open_page(), "white.tif", geotiff(white))
    assert "far brighter" in app.warning[0].value and "Most of it" in texts(app)


def test_deep_values_and_holes_are_drawn(open_page: Open) -> None:
    deep = valley()[:, :96, :96].astype(np.float32) / 255
    deep[:, :10] = np.nan
    app = upload(open_page(), "deep.tif", geotiff(deep))
    assert not app.exception and "10.4 % of the picture has no data" in texts(app)
    app.number_input(key="segment-row").set_value(3).run()
    app.number_input(key="segment-column").set_value(3).run()
    assert not app.exception


def test_without_such_a_model_it_says_how_to_get_one(open_page: Open, tmp_path: Path) -> None:
    save_toy_model(tmp_path, "places", train_steps=1)
    app = open_page(folder=tmp_path)
    assert not app.exception and app.header[0].value == "No model for this page yet"
    assert "csp train configs/dense/korea.yaml" in texts(app)
    assert "says nothing of single pixels" in texts(open_page(model="places"))


def test_other_pages_do_not_offer_it(open_page: Open) -> None:
    app = open_page()
    for page in ("explore", "range_map", "clusters", "photo", "about"):
        app.switch_page(f"views/{page}.py").run()
        boxes = [box for box in app.selectbox if box.label == "Model"]
        assert not app.exception and all("valley" not in box.options for box in boxes), page
    app.switch_page("views/explore.py")
    app.query_params["model"] = "valley"
    assert "names the pixels of pictures from above" in texts(app.run())


def test_files_hold_what_the_page_says(open_page: Open, models: Path, tmp_path: Path) -> None:
    open_page()
    (info,) = [one for one in resources.models() if one.maps_pixels]
    said: answer.Answer = answer._begin(info, chosen._example())
    written = {}
    for suffix in files.KINDS:
        written[suffix] = tmp_path / f"map{suffix}"
        written[suffix].write_bytes(files.file_of(suffix, said))
    areas = said.seen.report.areas
    with rasterio.open(written[".tif"]) as file, rasterio.open(VALLEY) as scene:
        assert file.crs == scene.crs and file.transform == scene.transform
        counts = np.bincount(file.read(1).ravel(), minlength=len(areas)).tolist()
        assert counts == [area.pixels for area in areas]
        # In the colours of the page.
        colours = said.seen.report.legend.colours
        assert file.colormap(1)[3][:3] == tuple(bytes.fromhex(colours[3][1:]))
    with rasterio.open(written[PROBABILITIES]) as file:
        assert file.descriptions == said.seen.names and file.count == len(areas)
    for suffix in (".gpkg", ".geojson"):
        frame = geopandas.read_file(written[suffix])
        sums = frame.groupby("class").area_m2.sum()
        assert frame.crs == "EPSG:4326"
        for area in areas:
            assert sums[area.name] == pytest.approx(area.counted, rel=1e-3)
    with written[".csv"].open(encoding="utf-8", newline="") as stream:
        rows = {row["class"]: row for row in csv.DictReader(stream)}
    assert {name: int(row["pixels"]) for name, row in rows.items()} == {
        area.name: area.pixels for area in areas
    }


def test_the_example_is_told_as_invented_in_its_own_file() -> None:
    for name in ("invented-valley.tif", "invented-valley-mask.tif"):
        path = ASSETS / "examples" / name
        with rasterio.open(path) as file:
            assert "Invented" in file.tags()["TIFFTAG_IMAGEDESCRIPTION"]
        assert path.stat().st_size < 300_000


def test_the_example_is_what_its_script_draws(tmp_path: Path) -> None:
    script = runpy.run_path(str(ASSETS / "examples" / "make_scene.py"))
    script["main"](tmp_path)
    for path in (VALLEY, MASK):
        with rasterio.open(path) as kept, rasterio.open(tmp_path / path.name) as made:
            assert kept.profile == made.profile and kept.tags() == made.tags()
            # Fourier transforms differ in their last digits from machine to machine.
            assert (kept.read() != made.read()).mean() < 1e-3
