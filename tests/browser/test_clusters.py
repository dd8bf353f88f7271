"""The Clusters page in a browser: the map and the scatter mark each other."""

import contextlib
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from tests.browser.conftest import OpenPage
from tests.browser.steps import (
    WIDER,
    brightness,
    choose_by_keys,
    click_map,
    leaflet,
    params,
    settle,
)

SCATTER = ".st-key-clusters-scatter"
FEW = "clusters?points=500&count=4"
# Where a canvas has the grey of dots that are not marked, some of them, in the window's pixels.
DOTS = """where => {
  const canvas = document.querySelector(where), box = canvas.getBoundingClientRect();
  const image = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const scale = canvas.width / box.width, found = [];
  for (let i = 0; i < image.data.length; i += 4) {
    const [r, g, b] = image.data.slice(i, i + 3);
    const x = i / 4 % canvas.width / scale, y = Math.floor(i / 4 / canvas.width) / scale;
    if (Math.abs(r - 0x9b) + Math.abs(g - 0xa7) + Math.abs(b - 0xa9) < 60
        && found.every(([a, c]) => Math.hypot(a - x, c - y) > 12))
      found.push([x, y]);
  }
  return found.slice(3, 12).map(([x, y]) => [x + box.x + 1, y + box.y + 2]);
}"""


def ready(page: Page) -> None:
    leaflet(page).locator("img.csp-values").first.wait_for(state="attached")
    page.get_by_role("button", name="GeoTIFF").wait_for()
    settle(page)


def picture(page: Page) -> str:
    return str(leaflet(page).locator("img.csp-values").first.get_attribute("src"))


def marks(page: Page) -> str:
    """Give what the scatter shows, point for point."""
    return str(page.locator(f"{SCATTER} canvas.marks").evaluate("e => e.toDataURL()"))


def wait_for_other_marks(page: Page, before: str) -> None:
    page.wait_for_function(
        "([where, before]) => document.querySelector(where).toDataURL() !== before",
        arg=[f"{SCATTER} canvas.marks", before],
        timeout=10_000,
    )


def drag_over_scatter(page: Page) -> None:
    # Of up to some thousand points the chart is an SVG, of more a canvas.
    canvas = page.locator(f"{SCATTER} :is(svg, canvas).marks").first
    canvas.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    box = canvas.bounding_box()
    assert box
    x, y, width, height = (box[side] for side in ("x", "y", "width", "height"))
    page.mouse.move(x + 0.2 * width, y + 0.15 * height)
    page.mouse.down()
    for part in (0.3, 0.45, 0.6):
        page.mouse.move(x + part * width, y + part * height)
    page.mouse.up()


def test_a_click_on_the_map_shows_places_like_it(app: str, open_page: OpenPage) -> None:
    page = open_page(app + FEW + "&model=birds")
    ready(page)
    assert page.get_by_text("Choose a place on the map above").is_visible()
    click_map(page, 200, 200)
    settle(page)
    expect(page.get_by_text("It is in cluster")).to_be_visible()
    expect(page.locator("[class*='st-key-row-like-']")).to_have_count(10)
    leaflet(page, "map-box-2").locator("img.csp-values").first.wait_for(state="attached")
    page.locator(".st-key-row-like-1 a").click()
    page.get_by_role("heading", name="are recorded here?").wait_for()
    assert {"lat", "lon", "model"} <= set(params(page))


def test_the_scatter_and_the_map_mark_each_other(app: str, open_page: OpenPage) -> None:
    page = open_page(app + FEW)
    ready(page)
    before, bare = picture(page), marks(page)
    # A click on the map rings its point in the scatter, another click another.
    click_map(page, 200, 200)
    wait_for_other_marks(page, bare)
    settle(page)
    ringed = marks(page)
    click_map(page, 330, 170)
    wait_for_other_marks(page, ringed)
    settle(page)
    assert picture(page) == before
    drag_over_scatter(page)
    expect(page.get_by_text("places are highlighted")).to_be_visible()
    settle(page)
    marked = picture(page)
    assert "brush" in params(page) and marked != before
    # A click on the map leaves the rectangle alone.
    click_map(page, 200, 200)
    settle(page)
    assert "brush" in params(page) and picture(page) == marked
    page.get_by_role("button", name="Show all").click()
    expect(page.get_by_text("places are highlighted")).to_have_count(0)
    settle(page)
    assert "brush" not in params(page) and picture(page) == before


def test_the_same_without_a_mouse(app: str, open_page: OpenPage) -> None:
    page = open_page(app + FEW)
    ready(page)
    before = picture(page)
    choose_by_keys(page, ".st-key-clusters-cluster")
    expect(page.get_by_text("places are highlighted")).to_be_visible()
    settle(page)
    assert params(page)["cluster"] == "0" and picture(page) != before
    page.get_by_text("Highlight by numbers").click()
    handle = page.locator(".st-key-clusters-x input[type=range]").first
    handle.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_url("**brush=**")
    settle(page)
    assert {"cluster", "brush"} <= set(params(page))


def test_a_dot_of_the_classes_is_picked(app: str, open_page: OpenPage) -> None:
    page = open_page(app + FEW + "&model=birds")
    ready(page)
    chart = "[class*='st-key-clusters-classes'] canvas.marks"
    for _ in range(2):  # another dot is picked as the first was
        before, canvas = page.url, page.locator(chart)
        canvas.scroll_into_view_if_needed()
        page.wait_for_timeout(500)
        page.wait_for_function(f"chart => ({DOTS})(chart).length", arg=chart)
        for x, y in page.evaluate(DOTS, chart):
            page.mouse.click(x, y)
            with contextlib.suppress(PlaywrightTimeoutError):
                page.wait_for_function("seen => location.href !== seen", arg=before, timeout=3000)
                break
        settle(page)
        assert page.url != before and params(page)["taxon"]
    expect(page.get_by_text("Placed most like it", exact=True)).to_be_visible()


def test_long_work_is_announced_and_can_be_left(app: str, open_page: OpenPage) -> None:
    page = open_page(app + FEW)
    ready(page)
    shown = params(page)
    # The first layout by UMAP in a server takes long, whatever the number of points.
    page.locator(".st-key-clusters-projection input").click()
    page.get_by_role("option", name="UMAP").click()
    page.get_by_text("Laying them out: UMAP").first.wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_function("!location.search.includes('umap')", timeout=15_000)
    ready(page)
    assert params(page) == shown
    expect(page.locator(".st-key-clusters-projection input")).to_have_value("PCA")


def test_files_open_where_maps_are_made(app: str, open_page: OpenPage, tmp_path: Path) -> None:
    geopandas = pytest.importorskip("geopandas")
    rasterio = pytest.importorskip("rasterio")
    page = open_page(app + FEW)
    ready(page)
    for label, suffix in (
        ("GeoJSON", ".geojson"),
        ("GeoPackage", ".gpkg"),
        ("GeoParquet", ".parquet"),
        ("GeoParquet, areas", "-areas.parquet"),
        ("GeoTIFF", ".tif"),
        ("PNG", ".png"),
    ):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=label, exact=True).click()
        waiting.value.save_as(tmp_path / f"clusters{suffix}")
    for suffix, layer in ((".geojson", {}), (".gpkg", {"layer": "places"})):
        table = geopandas.read_file(tmp_path / f"clusters{suffix}", **layer)
        assert len(table) == 500 and table["cluster"].nunique() == 4
    table = geopandas.read_parquet(tmp_path / "clusters.parquet")
    assert len(table) == 500 and set(table.geom_type) == {"Point"}
    areas = geopandas.read_parquet(tmp_path / "clusters-areas.parquet")
    assert areas["cluster"].tolist() == [0, 1, 2, 3] and areas.geometry.is_valid.all()
    with rasterio.open(tmp_path / "clusters.tif") as raster:
        assert raster.crs.to_epsg() == 4326
    with Image.open(tmp_path / "clusters.png") as image:
        colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 24)}
    for shown in table["colour"].unique():
        assert tuple(bytes.fromhex(shown[1:])) in colours


def test_it_fits_a_phone(app: str, open_page: OpenPage) -> None:
    page = open_page(app + FEW + "&lat=-1.3&lon=36.8", viewport={"width": 390, "height": 844},
                     has_touch=True, is_mobile=True)  # fmt: skip
    ready(page)
    assert page.evaluate(WIDER) == 0
    table = page.locator(".csp-facts")
    assert table.evaluate("e => getComputedStyle(e).overflowX") == "auto"


def test_it_is_dark_where_the_system_is(app: str, open_page: OpenPage) -> None:
    page = open_page(app + FEW + "&show=components", color_scheme="dark")
    ready(page)
    sea = leaflet(page).locator(".leaflet-container").evaluate(
        "e => getComputedStyle(e).backgroundColor"
    )  # fmt: skip
    assert brightness(sea) < 60


def test_without_leaflet_a_cell_is_picked(app_without_leaflet: str, open_page: OpenPage) -> None:
    page = open_page(app_without_leaflet + FEW + "&lat=-1.3&lon=36.8")
    page.get_by_text("Leaflet is not installed").first.wait_for()
    page.locator("[data-testid='stDeckGlJsonChart'] canvas").first.wait_for()
    page.get_by_role("button", name="GeoTIFF").wait_for()
    settle(page)
    expect(page.get_by_text("It is in cluster")).to_be_visible()
