"""How long a click's ranked list takes inside the server, without drawing."""

from __future__ import annotations

import time

import torch
from report import arguments, markdown, write_report

from csp_core import geo, list_models, load_model
from csp_core.inference import describe_place


def milliseconds(name: str, clicks: int) -> list[float]:
    """Time the full ranked list at random places.

    Args:
        name: A bundled model.
        clicks: How many places.

    Returns:
        Milliseconds a click, sorted.
    """
    model = load_model(name)
    uniform = torch.rand(clicks + 20, 2, generator=torch.Generator().manual_seed(0))
    times = []
    for lon, lat in geo.sphere_points(uniform).tolist():
        started = time.perf_counter()
        describe_place(model, lon, lat)
        times.append(1e3 * (time.perf_counter() - started))
    return sorted(times[20:])


def main() -> None:
    """Run the benchmark."""
    options = arguments("Time of a click's ranked list.")
    clicks = 100 if options.quick else 2000
    data = {info.name: milliseconds(info.name, clicks) for info in list_models()
            if info.num_classes and not info.maps_pixels}  # fmt: skip
    rows = [
        [name, str(len(t)), f"{t[len(t) // 2]:.2f}", f"{t[int(0.95 * len(t))]:.2f}", f"{t[-1]:.2f}"]
        for name, t in data.items()
    ]
    body = markdown(["model", "clicks", "median ms", "95th percentile ms", "slowest ms"], rows)
    write_report(
        "click_latency",
        "A click's ranked list",
        body,
        {"milliseconds": {name: row[1:] for name, row in zip(data, rows, strict=True)}},
        options,
    )


if __name__ == "__main__":
    main()
