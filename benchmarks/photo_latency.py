"""How long it takes from an uploaded photo to both rankings: reading, image and place, on a CPU."""

from __future__ import annotations

import io
import re
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from report import arguments, markdown, write_report

from csp_core.data.pictures import read_photo
from csp_core.data.records import ClassTable
from csp_core.data.sets.demo import COMMON_NAMES, NAMES
from csp_core.image import make_image_encoder
from csp_core.image.stats import ImageStats
from csp_core.inference import answer_photo
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder, Heads
from csp_core.raster import winning_map
from csp_core.store import list_models, load_model, save_model

MEGAPIXELS, LIMIT_SECONDS = 12, 1.5
PLACE, RADIUS_KM, DATE = (-88.5, 33.7), 25.0, 0.4
VERDICT = ".st-key-photo-verdict h2"
CHANGED = f"""before => {{ const said = document.querySelector('{VERDICT}')?.innerText;
    return said && said !== before }}"""
# Whole numbers of a 4:3 picture.
SHAPES = {12: (4000, 3000), 1: (1152, 864)}


def photo(megapixels: int) -> bytes:
    """Make a JPEG with the detail of a photo: smooth shapes and noise.

    Args:
        megapixels: A key of ``SHAPES``.

    Returns:
        The file's content.
    """
    width, height = SHAPES[megapixels]
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
    noisy = smooth + rng.integers(-12, 13, smooth.shape, dtype=np.int16)
    stream = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def models() -> dict[str, DualEncoder]:
    """Load the bundled models that see images; an untrained one of their shape where none is."""
    found = {}
    for info in list_models():
        if info.name in ("demo", "eurosat") and info.sees_images and not info.problem:
            found[info.name] = load_model(info.name)
    if not found:
        classes = ClassTable(NAMES, COMMON_NAMES, (100,) * len(NAMES))
        model = DualEncoder(
            make_image_encoder("small_convnet", None),
            make_location_encoder("sphere_c_plus", time=True),
            classes=classes,
            heads=Heads(classifiers=("image", "location")),
        )
        pixels = torch.rand(64, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        model.image_stats = ImageStats.of(pixels)
        found["untrained"] = model.eval()
    return found


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Time a call.

    Args:
        call: What to time.
        repeats: How often, after once for warming up.

    Returns:
        Median, seconds.
    """
    call()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return sorted(times)[len(times) // 2]


def measure(model: DualEncoder, content: bytes, repeats: int) -> dict[str, float]:
    """Time the steps from a file to both rankings, and the map that follows them.

    Args:
        model: A model that sees images.
        content: The file.
        repeats: How often.

    Returns:
        Step to seconds.
    """
    image = read_photo(content, "photo.jpg").image
    ask = partial(answer_photo, model, lonlat=PLACE, radius_km=RADIUS_KM, date=DATE)
    answer = ask(image)

    def whole() -> None:
        ask(read_photo(content, "photo.jpg").image)

    return {
        "read": seconds(lambda: read_photo(content, "photo.jpg"), repeats),
        "answer": seconds(lambda: ask(image), repeats),
        "together": seconds(whole, repeats),
        "map of winners": seconds(
            lambda: winning_map(model, answer.image_probs, step=2.0, date=DATE), min(repeats, 3)
        ),
    }


def in_browser(model: DualEncoder, content: bytes, repeats: int) -> list[float]:
    """Time an upload to the page, from the choice of the file until the verdict stands.

    Args:
        model: A model that sees images.
        content: The file.
        repeats: How often, after once for warming up.

    Returns:
        Seconds, sorted; none where there is no Chromium.
    """
    from playwright.sync_api import expect, sync_playwright

    from tests.browser.server import CHROMIUM_FLAGS, find_chromium, running_app

    program = find_chromium()
    if program is None:
        return []
    times = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        save_model(model, Path(folder, "models", "timed"))
        browser = playwright.chromium.launch(executable_path=program, args=list(CHROMIUM_FLAGS))
        with running_app(Path(folder), CSP_MODELS=str(Path(folder, "models"))) as address:
            page = browser.new_page()
            for _ in range(repeats + 1):
                page.goto(f"{address}photo?model=timed&example=lookalike-gulf.png")
                name = page.locator(".st-key-photo-box img")
                expect(name).to_have_attribute("alt", re.compile("Look-alike"), timeout=60_000)
                page.get_by_text("Download JSON").wait_for()
                page.wait_for_timeout(1500)
                before = page.locator(VERDICT).inner_text()
                upload: Any = {"name": "p.jpg", "mimeType": "image/jpeg", "buffer": content}
                started = time.perf_counter()
                page.locator(".st-key-photo_files input[type=file]").set_input_files(upload)
                page.wait_for_function(CHANGED, arg=before, timeout=60_000, polling=20)
                times.append(time.perf_counter() - started)
        browser.close()
    return sorted(times[1:])


def main() -> None:
    """Run the benchmark."""
    options = arguments("Time from an uploaded photo to both rankings.")
    megapixels, repeats = (1, 2) if options.quick else (MEGAPIXELS, 15)
    content = photo(megapixels)
    found = {name: measure(model, content, repeats) for name, model in models().items()}
    steps = next(iter(found.values()))
    rows = [
        [name, *(f"{1000 * times[step]:.0f}" for step in steps)] for name, times in found.items()
    ]
    slowest = max(times["together"] for times in found.values())
    shown = in_browser(next(iter(models().values())), content, 1 if options.quick else 7)
    page = "Not measured on the page: no Chromium."
    if shown:
        page = (
            f"On the page, from the choice of the file to both rankings: median"
            f" {shown[len(shown) // 2]:.2f} s, slowest of {len(shown)} {shown[-1]:.2f} s (Chromium"
            " on the same machine)."
        )
    body = (
        f"One JPEG of {megapixels} megapixels, {len(content) / 1e6:.1f} MB, from bytes in memory to"
        f" the rankings by image and by image and place, the prior averaged over a disc of"
        f" {RADIUS_KM:g} km. Medians of {repeats}, milliseconds; the map is drawn after the"
        " rankings.\n\n"
        + markdown(["model", *steps], rows)
        + f"\n\n{page}\n\nAim: at most {LIMIT_SECONDS:g} s for {MEGAPIXELS} megapixels. Without the"
        f" page: {slowest:.2f} s at most."
    )
    write_report(
        "photo_latency",
        "From a photo to both rankings",
        body,
        {"seconds": found, "page_seconds": shown, "megapixels": megapixels},
        options,
    )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main()
