"""The Segment page in a browser: the example, an upload, wrong files, a click, downloads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
from playwright.sync_api import FrameLocator, Page, expect
from rasterio.io import MemoryFile

from tests.browser.conftest import OpenPage
from tests.browser.server import running_app
from tests.browser.steps import (
    WIDER,
    brightness,
    check_headings,
    choose_files,
    click_map,
    focus_by_tab,
    heading_levels,
    leaflet,
    params,
    settle,
)
from tests.browser.test_axe import AXE, faults
from tests.pixel_model import CLASSES, VALLEY, save_pixel_model

pytestmark = pytest.mark.browser
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def segment_models(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("segment-models")
    save_pixel_model(folder)
    return str(folder)


@pytest.fixture(scope="module")
def segment_app(tmp_path_factory: pytest.TempPathFactory, segment_models: str) -> Any:
    folder = tmp_path_factory.mktemp("segment-app")
    with running_app(folder, CSP_MODELS=segment_models) as address:
        # The bundled model may stand before it.
        yield f"{address}segment?model=valley"


def drawn(page: Page) -> FrameLocator:
    """Wait until the scene and the classes over it are on the map."""
    frame = leaflet(page)
    # One of each, and two on the neighbouring worlds.
    expect(frame.locator(".leaflet-under-pane img")).to_have_count(3)
    expect(frame.locator(".leaflet-over-pane img")).to_have_count(3)
    settle(page)
    return frame


def values(bands: int = 3, side: int = 128) -> np.ndarray:
    with rasterio.open(VALLEY) as file:
        return file.read()[:bands, 100 : 100 + side, 50 : 50 + side]


def geotiff(pixels: np.ndarray) -> bytes:
    bands, height, width = pixels.shape
    grid = rasterio.Affine(10, 0, 588_900, 0, -10, 4_149_700)
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", count=bands, height=height, width=width, dtype="uint8",
                         crs="EPSG:32652", transform=grid) as file:  # fmt: skip
            file.write(pixels)
        return bytes(memory.read())


def upload(page: Page, name: str, content: bytes) -> None:
    file: Any = {"name": name, "mimeType": "image/tiff", "buffer": content}
    choose_files(page, "segment-input", [file])


def save(page: Page, label: str, path: Path) -> Path:
    with page.expect_download() as given:
        page.get_by_role("button", name=label, exact=True).click()
    given.value.save_as(path)
    return path


def test_the_example_a_click_and_the_files(
    segment_app: str, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(segment_app)
    frame = drawn(page)
    expect(page.get_by_text("where there is no such land")).to_be_visible()
    expect(page.locator(".csp-areas tbody tr")).to_have_count(len(CLASSES))
    size = page.locator(".st-key-map-box iframe").bounding_box()
    assert size
    click_map(page, round(size["width"] / 2), round(size["height"] / 2))
    expect(page.locator(".csp-probabilities .csp-line")).to_have_count(len(CLASSES))
    # Of the place that was clicked: the middle of the scene.
    expect(page.get_by_label("Row, 0 to 351")).to_have_value(re.compile("^17[0-9]$"))
    expect(page.get_by_label("Column, 0 to 351")).to_have_value(re.compile("^17[0-9]$"))
    expect(frame.locator(".csp-number")).to_have_count(3 * 6)
    shown = page.locator(".csp-probabilities").inner_text()
    settle(page)
    page.reload()
    drawn(page)
    expect(page.locator(".csp-probabilities")).to_have_text(shown, use_inner_text=True)
    classes = save(page, "GeoTIFF, classes", tmp_path / "classes.tif")
    with rasterio.open(classes) as file, rasterio.open(VALLEY) as scene:
        assert file.bounds == scene.bounds and file.crs == scene.crs
        assert file.read(1).shape == scene.shape
    with rasterio.open(save(page, "GeoTIFF, probabilities", tmp_path / "shares.tif")) as file:
        assert set(file.descriptions) == set(CLASSES.values())
    for label, name in (("GeoPackage", "map.gpkg"), ("GeoJSON", "map.geojson")):
        frame_of = geopandas.read_file(save(page, label, tmp_path / name))
        assert set(frame_of["class"]) <= set(CLASSES.values())
        assert frame_of.area_m2.sum() == pytest.approx(352 * 352 * 100, rel=0.01)
        west, south, east, north = frame_of.total_bounds
        assert 129.9 < west < east < 130.1 and 37.4 < south < north < 37.6
    assert "expected_area" in save(page, "CSV of areas", tmp_path / "areas.csv").read_text("utf-8")


def test_the_slider_wipes_the_classes_away_by_keys(segment_app: str, open_page: OpenPage) -> None:
    page = open_page(segment_app)
    frame = drawn(page)
    pane = frame.locator(".leaflet-over-pane")
    slider = frame.get_by_role("slider")
    expect(slider).to_have_attribute("aria-label", re.compile("the picture alone"))
    before = pane.evaluate("e => e.style.clip")
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    expect(slider).to_have_value("10")
    after = pane.evaluate("e => e.style.clip")
    edges = [[float(x) for x in re.findall(r"-?[\d.]+", clip)] for clip in (before, after)]
    # Top, right, bottom, left.
    assert edges[1][3] > edges[0][3] and edges[1][:3] == edges[0][:3]
    assert frame.locator(".csp-swipe-line").is_visible()
    # The map itself stays where it was, and so does what the page shows.
    assert "centre" not in params(page) and "lat" not in params(page)


def test_layers_and_opacity_by_keys(segment_app: str, open_page: OpenPage) -> None:
    page = open_page(segment_app)
    frame = drawn(page)
    focus_by_tab(page, ".st-key-segment-opacity input")
    page.keyboard.press("End")
    page.wait_for_url("**opacity=100**")
    over = frame.locator(".leaflet-over-pane img").first
    expect(over).to_have_css("opacity", "1")
    page.get_by_role("radio", name="What looks alike").click()
    page.wait_for_url("**layer=features**")
    expect(page.get_by_text("parts that the model sees as alike")).to_be_visible()
    page.get_by_role("radio", name="The picture alone").click()
    page.wait_for_url("**layer=picture**")
    expect(frame.locator(".leaflet-over-pane img")).to_have_count(0)


def test_an_upload_and_wrong_files(segment_app: str, open_page: OpenPage) -> None:
    page = open_page(segment_app)
    drawn(page)
    upload(page, "mine.tif", geotiff(values()))
    expect(page.get_by_text("128 × 128 pixels of 10 m")).to_be_visible()
    drawn(page)
    wrong = page.get_by_test_id("stAlertContentError")
    for name, content, says in (
        ("letter.tif", b"Dear bird", "This is no picture that can be read"),
        ("two.tif", geotiff(values(2)), "has 2 bands, and model 'valley' takes 3"),
    ):
        page.get_by_role("button", name="Back to the example").click()
        expect(page.get_by_text("where there is no such land")).to_be_visible()
        upload(page, name, content)
        expect(wrong).to_have_count(1)
        expect(wrong).to_contain_text(says)
        expect(page.locator(".csp-areas")).to_have_count(0)
    expect(page.locator("[data-testid=stException]")).to_have_count(0)


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is missing: `sh tools/setup.sh test`")
@pytest.mark.parametrize("look", [{}, {"color_scheme": "dark"}, PHONE])
def test_it_has_no_grave_faults(
    segment_app: str, open_page: OpenPage, look: dict[str, Any]
) -> None:
    page = open_page(f"{segment_app}&lat=37.4845&lon=130.018", **look)
    drawn(page)
    expect(page.locator(".csp-probabilities")).to_be_visible()
    assert faults(page) == []
    check_headings(heading_levels(page))


def test_a_phone_shows_it_without_scrolling_sideways(segment_app: str, open_page: OpenPage) -> None:
    page = open_page(f"{segment_app}&lat=37.4845&lon=130.018", **PHONE)
    drawn(page)
    assert page.evaluate(WIDER) <= 0
    top = page.locator(".st-key-map-box").bounding_box()
    pixel = page.locator(".st-key-segment-pixel").bounding_box()
    assert top and pixel and top["y"] < pixel["y"]


def test_the_dark_theme_reaches_it(segment_app: str, open_page: OpenPage) -> None:
    page = open_page(segment_app, color_scheme="dark")
    frame = drawn(page)
    ground = frame.locator("#map_div").evaluate("e => getComputedStyle(e).backgroundColor")
    assert brightness(ground) < 60


def test_without_leaflet_it_is_a_picture(
    segment_models: str, open_page: OpenPage, tmp_path: Path
) -> None:
    empty = str(tmp_path / "empty")
    with running_app(tmp_path, CSP_MODELS=segment_models, CSP_LEAFLET_DIR=empty) as address:
        page = open_page(f"{address}segment?model=valley&lat=37.4845&lon=130.018")
        picture = page.locator(".st-key-map-box img")
        expect(picture).to_have_js_property("complete", True)
        expect(picture).to_have_attribute("alt", re.compile("with the classes over it"))
        expect(page.get_by_text("Leaflet is not installed")).to_be_visible()
