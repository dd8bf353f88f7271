"""What ten photos uploaded at once cost the server, and how long another session waits."""

from __future__ import annotations

import io
import statistics
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image
from report import arguments, markdown, write_report

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "app"))

from shared import uploads

MEGABYTE = 1_000_000
COLUMNS = ("photos", "megapixels", "format", "seconds", "MB above rest", "longest stall, ms",
           "small photo beside, s")  # fmt: skip


def photo(width: int, height: int, kind: str) -> bytes:
    """Make a photo of smooth colours with some noise."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(20, 220, width)[None, :, None] + np.zeros((height, 1, 3))
    noisy = ramp + rng.normal(0, 8, (height, width, 1))
    stream = io.BytesIO()
    image = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    image.save(stream, kind, **({"quality": 90} if kind == "JPEG" else {"compress_level": 1}))
    return stream.getvalue()


def memory() -> float:
    """Give the memory of this process and its children, MB."""
    total = 0
    for process in (psutil.Process(), *psutil.Process().children()):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / MEGABYTE


def measure(content: bytes, small: bytes, count: int) -> dict[str, float]:
    """Upload photos at once, and a small one in the midst of it."""
    kept: list[uploads.Photo] = []
    asking = [
        threading.Thread(target=lambda: kept.append(uploads.read_photo(content, "a", 1024)))
        for _ in range(count)
    ]
    rest, began = memory(), time.monotonic()
    for thread in asking:
        thread.start()
    # The second session's photo stands behind those in the queue; its clicks do not.
    beside: list[float] = []

    def second() -> None:
        start = time.monotonic()
        uploads.read_photo(small, "b", 1024)
        beside.append(time.monotonic() - start)

    other = threading.Thread(target=second)
    other.start()
    peak, stall = rest, 0.0
    while any(thread.is_alive() for thread in (*asking, other)):
        before = time.monotonic()
        time.sleep(0.01)
        stall = max(stall, time.monotonic() - before - 0.01)
        peak = max(peak, memory())
    assert len(kept) == count
    return {"seconds": time.monotonic() - began, "above": peak - rest, "stall": stall * 1000,
            "beside": beside[0]}  # fmt: skip


def main() -> None:
    """Measure and write the table."""
    options = arguments(__doc__ or "")
    small = photo(640, 480, "JPEG")
    # Both children are there and have read one before.
    measure(small, small, uploads.MOST * 4)
    rows = []
    for kind in ("JPEG", "PNG"):
        content = photo(4000, 3000, kind)
        runs = [measure(content, small, 10) for _ in range(1 if options.quick else 3)]
        worst = max(run["above"] for run in runs)
        middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        rows.append({
            "photos": 10, "megapixels": 12, "format": kind, "seconds": round(middle["seconds"], 2),
            "MB above rest": round(worst), "longest stall, ms": round(middle["stall"]),
            "small photo beside, s": round(middle["beside"], 2),
        })  # fmt: skip
    table = markdown(COLUMNS, [[str(row[name]) for name in COLUMNS] for row in rows])
    body = (
        f"{table}\n\nTen sessions upload a photo each at the same moment; {uploads.MOST} child"
        " processes read them. *Stall*: how long a thread of the server waits for its turn.\n"
    )
    write_report("uploads", "Ten photos at once", body, {"rows": rows}, options)


if __name__ == "__main__":
    main()
