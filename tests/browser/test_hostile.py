"""What one session uploads holds up no other, and is answered in a sentence."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from shared.quota import MOST_FILES
from tests.browser.steps import choose_files, click_map, settle
from tests.photos import encode, picture

OpenPage = Callable[..., Page]
pytestmark = pytest.mark.browser
SIDE = 9990


def upload(page: Page, files: dict[str, bytes]) -> None:
    given: list[Any] = [
        {"name": name, "mimeType": "image/png", "buffer": content}
        for name, content in files.items()
    ]
    choose_files(page, "photo-input", given)


def large(kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.new("L" if kind == "PNG" else "RGB", (SIDE, SIDE)).save(stream, kind, **options)
    return stream.getvalue()


def test_a_second_session_goes_on_beside_hostile_uploads(
    photo_app: str, open_page: OpenPage
) -> None:
    second = open_page(f"{photo_app}?lat=38&lon=-100")
    settle(second)
    first = open_page(f"{photo_app}photo")
    expect(first.locator(".st-key-photo-verdict").get_by_role("heading", level=2)).to_be_visible()
    webp = large("WEBP", lossless=True, method=0)
    assert len(webp) < 100
    png = large("PNG", compress_level=1)
    upload(first, {"p.png": png, "w.webp": webp, "s.jpg": encode(picture())})
    slowest = 0.0
    for number in range(2):
        began = time.monotonic()
        click_map(second, 200 + 60 * number, 150)
        settle(second)
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 10
    expect(first.get_by_text("fewer than 36 megapixels")).to_be_visible()
    expect(first.locator(".st-key-photo-row").get_by_role("img")).to_have_count(2)
    for page in (first, second):
        expect(page.locator("[data-testid=stException]")).to_have_count(0)


def test_a_session_has_room_for_so_many_files(photo_app: str, browser: Browser) -> None:
    # The refused ones are errors in the console, as they are meant to be.
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{photo_app}photo")
        expect(page.locator(".st-key-photo-input input[type=file]")).to_be_attached()
        small = encode(picture())
        upload(page, {f"{n}.jpg": small for n in range(MOST_FILES + 2)})
        row = page.locator(".st-key-photo-row")
        expect(row.get_by_role("img")).to_have_count(MOST_FILES, timeout=30_000)
        expect(page.get_by_text(f"There is room for up to {MOST_FILES} files")).to_be_visible()
