"""Where a click's time goes: processor time of the parts of a page, in a process of its own."""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CLICKS = 24
# Name of a part, module and function; a part within another counts for itself alone.
PARTS = {
    "map (folium, component)": ("mapping.leaflet", "click_map"),
    "picture, outlines, legend": ("range_map.drawing", "draw_maps"),
    "model's answer": ("csp_core.inference", "describe_place"),
    "ranked list": ("explore.ranked", "ranked_list"),
    "files for download (list)": ("explore.files", "downloads"),
    "files for download (map)": ("range_map.files", "downloads"),
    "reading the value": ("range_map.readout", "read_at"),
    "area above the threshold": ("range_map.readout", "one_area"),
    "choice of the threshold": ("range_map.threshold", "choose"),
    "species box": ("shared.widgets", "species_picker"),
    "place's boxes": ("shared.clicks", "coordinate_boxes"),
    "list of models, hashes": ("shared.resources", "content_hash"),
    "style": ("shared.style", "apply_style"),
}
PAGES = {"Explore": "explore", "Range map": "range_map"}
REST, ALL = "everything else on the page", "whole page"


class Clock:
    """Adds up the thread's processor time by part, less what nested parts took."""

    def __init__(self) -> None:
        self.open: list[float] = []
        self.spent: dict[str, float] = {}

    def around(self, name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function so that its time is counted."""

        @functools.wraps(inner)
        def timed(*args: Any, **options: Any) -> Any:
            began = time.thread_time()
            self.open.append(0.0)
            try:
                return inner(*args, **options)
            finally:
                taken = time.thread_time() - began
                nested = self.open.pop()
                self.spent[name] = self.spent.get(name, 0.0) + taken - nested
                if self.open:
                    self.open[-1] += taken

        return timed


def profile(checkout: Path, view: str, clicks: int) -> dict[str, float]:
    """Give the milliseconds of processor time of each part of a page, median over clicks."""
    from streamlit.navigation.page import StreamlitPage
    from streamlit.testing.v1 import AppTest

    clock = Clock()
    for name, (module, function) in PARTS.items():
        try:
            home = importlib.import_module(module)
        except ModuleNotFoundError:  # an older app has the part elsewhere
            continue
        setattr(home, function, clock.around(name, getattr(home, function)))
    StreamlitPage.run = clock.around(REST, StreamlitPage.run)  # type: ignore[method-assign]
    page = AppTest.from_file(checkout / "app" / "main.py", default_timeout=120).run()
    if view != "explore":
        page.switch_page(f"views/{view}.py")
    chance, rows = random.Random(0), []
    for _ in range(clicks + 4):
        lat, lon = chance.uniform(-12, 8), chance.uniform(28, 42)
        page.query_params["lat"], page.query_params["lon"] = f"{lat:.4f}", f"{lon:.4f}"
        clock.spent.clear()
        page.run()
        if page.exception:
            raise RuntimeError(f"The page failed: {page.exception[0].message}")
        rows.append(clock.spent | {ALL: sum(clock.spent.values())})
    rows = rows[4:]
    names = [name for name in (*PARTS, REST, ALL) if any(name in row for row in rows)]
    return {name: 1e3 * statistics.median(row.get(name, 0.0) for row in rows) for name in names}


def main() -> None:
    """Print one page's parts as JSON; the app is the one that stands first on the path."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", choices=PAGES)
    parser.add_argument("--app", type=Path, required=True, help="checkout to measure")
    parser.add_argument("--clicks", type=int, default=CLICKS)
    options = parser.parse_args()
    print(json.dumps(profile(options.app, PAGES[options.page], options.clicks)))


if __name__ == "__main__":
    main()
