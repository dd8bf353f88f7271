"""Draw the README's pictures: `make screenshots` writes docs/explore-{light,dark,phone}.png."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 200_000
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


def main() -> int:
    """Draw every picture.

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
        running_app(Path(folder)) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=program, args=list(CHROMIUM_FLAGS))
        for name, options in SHOTS.items():
            page = browser.new_context(**options).new_page()
            _prepare(page, address)
            size = _save(page.screenshot(), ROOT / "docs" / f"explore-{name}.png")
            print(f"docs/explore-{name}.png  {size / 1000:.0f} kB")
        browser.close()
    return 0


def _prepare(page: Any, address: str) -> None:
    page.goto(address)
    page.frame_locator(".st-key-map-box iframe").locator("svg path").first.wait_for()
    page.locator(".st-key-pick-1 button").click()
    page.get_by_text("Records per cell").wait_for()
    # The view is opened anew, so that it is not scrolled to what was clicked.
    page.goto(page.url)
    page.frame_locator(".st-key-map-box iframe").locator("svg path").first.wait_for()
    page.get_by_text("Records per cell").wait_for()
    page.wait_for_timeout(1500)


def _save(picture: bytes, path: Path) -> int:
    from PIL import Image

    path.parent.mkdir(exist_ok=True)
    # A palette keeps the pictures small; the page has few colours.
    for colours in (256, 128, 64, 32):
        stream = io.BytesIO()
        image = Image.open(io.BytesIO(picture)).convert("RGB")
        image.quantize(colours, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
        if stream.tell() <= LIMIT:
            break
    temporary = path.with_suffix(".png.tmp")
    temporary.write_bytes(stream.getvalue())
    os.replace(temporary, path)
    return stream.tell()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
