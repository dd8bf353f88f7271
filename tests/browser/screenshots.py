"""Draw the README's pictures: `make screenshots` writes docs/PAGE-{light,dark,phone}.png.

Names of pages, such as ``range-map``, draw those alone.
"""

from __future__ import annotations

import io
import itertools
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 200_000
# Of a map: the coarse world, or the finer one, which is painted.
DRAWN = ":is(svg path, canvas):visible"
RUNS = itertools.count(1)
SHOTS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 960}},
    "dark": {"viewport": {"width": 1280, "height": 960}, "color_scheme": "dark"},
    "phone": {
        "viewport": {"width": 390, "height": 1280},
        "device_scale_factor": 2,
        "has_touch": True,
        "is_mobile": True,
    },
}


def main(pages: list[str]) -> int:
    """Draw every picture.

    Args:
        pages: Keys of ``PAGES``; all if empty.

    Returns:
        The exit status.
    """
    from playwright.sync_api import sync_playwright

    from csp_core.files import ASSETS
    from tests.browser.server import CHROMIUM_FLAGS, find_chromium, running_app

    program = find_chromium()
    if program is None or not (ASSETS / "models" / "birds" / "config.json").is_file():
        print("Needs Chromium (Debian: apt-get install chromium) and the bundled model birds.")
        return 1
    with (
        tempfile.TemporaryDirectory() as folder,
        running_app(Path(folder), CSP_MODELS=_stand_ins(pages, Path(folder, "models"))) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=program, args=list(CHROMIUM_FLAGS))
        for page_name in pages or PAGES:
            for shot, options in SHOTS.items():
                page = browser.new_context(**options).new_page()
                PAGES[page_name](page, address)
                name = f"docs/{page_name}-{shot}.png"
                print(f"{name}  {_save(page.screenshot(), ROOT / name) / 1000:.0f} kB")
        browser.close()
    return 0


def _explore(page: Any, address: str) -> None:
    # A week of its own, so that pictures of another day are the same.
    page.goto(f"{address}?model=world_birds&week=18&taxon=Turdus+merula")
    page.frame_locator(".st-key-map-box iframe").locator(DRAWN).first.wait_for()
    page.locator(".csp-year").wait_for()
    page.wait_for_timeout(2500)


def _coloured_map(page: Any, address: str, button: str, *, pinned: bool = False) -> None:
    """Open a page whose map is coloured, and wait for that and for what is drawn last."""
    page.goto(address)
    frame = page.frame_locator(".st-key-map-box iframe")
    frame.locator("img.csp-values").first.wait_for(state="attached")
    if pinned:
        frame.locator(".leaflet-tooltip").wait_for()
    page.get_by_role("button", name=button).wait_for()
    page.wait_for_timeout(2500)


def _range_map(page: Any, address: str) -> None:
    place = "taxon=Actitis+hypoleucos&lat=59.3&lon=18.1"
    _coloured_map(page, f"{address}range-map?{place}", "GeoTIFF", pinned=True)


def _photo(page: Any, address: str) -> None:
    _coloured_map(page, f"{address}photo?example=kite-rockies.png", "Download JSON")


def _segment(page: Any, address: str) -> None:
    _coloured_map(page, f"{address}segment?lat=37.4845&lon=130.018", "CSV of areas")


def _train(page: Any, address: str) -> None:
    """Start a run from the sidebar and watch it until the range has a shape."""
    page.goto(address)
    menu = page.get_by_test_id("stExpandSidebarButton")
    page.locator(".st-key-map-box iframe").wait_for()
    if menu.is_visible():
        menu.click()
    name = f"demo-{next(RUNS)}"
    page.locator(".st-key-jobs-name input").fill(name)
    page.keyboard.press("Enter")
    page.wait_for_timeout(1000)
    page.locator(".st-key-jobs-train button").click()
    link = page.get_by_test_id("stSidebar").get_by_role("link", name=f"{name}-")
    link.first.wait_for()
    page.goto(f"{address}train?run={link.first.inner_text()}")
    main = page.locator(".stMain")
    main.get_by_text(re.compile(r"running epoch [23]\d")).wait_for(timeout=180_000)
    main.get_by_text("Range of", exact=False).first.wait_for()
    if page.viewport_size["width"] > 1000:
        page.set_viewport_size({"width": 1280, "height": 1330})
    else:
        page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click()
    page.wait_for_timeout(2500)


def _clusters(page: Any, address: str) -> None:
    _coloured_map(page, f"{address}clusters?lat=-1.3&lon=36.8", "GeoTIFF")


def _about(page: Any, address: str) -> None:
    page.goto(f"{address}about")
    page.locator("h1").first.wait_for()
    page.wait_for_timeout(2500)


def _stand_ins(pages: list[str], folder: Path) -> str:
    """Train models that see pictures where none is bundled, and give the folder they are in."""
    from csp_core.files import ASSETS
    from csp_core.store import list_models
    from tests.pixel_model import save_pixel_model
    from tests.toy import save_demo_model

    if "photo" in pages and not (ASSETS / "models" / "demo" / "config.json").is_file():
        save_demo_model(folder)
    if "segment" in (pages or PAGES) and not any(info.maps_pixels for info in list_models()):
        save_pixel_model(folder, steps=150)
    return str(folder)


# What brings a page to the view that its picture shows.
PAGES: dict[str, Callable[[Any, str], None]] = {
    "explore": _explore,
    "range-map": _range_map,
    "clusters": _clusters,
    "photo": _photo,
    "segment": _segment,
    "train": _train,
    "about": _about,
}


def _save(picture: bytes, path: Path) -> int:
    from PIL import Image

    path.parent.mkdir(exist_ok=True)
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    counts = sorted(image.getcolors(image.width * image.height) or [], reverse=True)
    # The commonest colours as they are, as a mean of them would tint land and sea; beside them
    # those that a pin or a line has few pixels of.
    for colours in (256, 128, 64, 32):
        rare = image.quantize(colours // 2, Image.Quantize.MAXCOVERAGE).getpalette() or []
        common = [part for _, colour in counts[: colours // 2] for part in colour]
        palette = Image.new("P", (1, 1))
        palette.putpalette(common + rare[: colours // 2 * 3])
        stream = io.BytesIO()
        small = image.quantize(palette=palette, dither=Image.Dither.NONE)
        small.save(stream, "PNG", optimize=True)
        if stream.tell() <= LIMIT:
            break
    temporary = path.with_suffix(".png.tmp")
    temporary.write_bytes(stream.getvalue())
    os.replace(temporary, path)
    return stream.tell()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main(sys.argv[1:]))
