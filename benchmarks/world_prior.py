"""A world map of one class: place by place as published, and as csp_core computes it."""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from typing import Any

import torch
from encoder_speed import least_seconds, matrix_product, multiply_adds
from report import arguments, markdown, spread, write_report
from torch import Tensor

from csp_core import load_model, location_prior, make_location_encoder
from csp_core.location.separable import SPLITS
from csp_core.model import DualEncoder
from csp_core.raster import Grid, GridPrior, make_grid

# As many classes as the bundled bird model has; batches of the size that suits the published way.
CLASSES, LABEL, BATCH = 330, 7, 1024
BIRD_WAYS = ("place by place", "first class", "next class")
# Which cells of a map of the bundled model are computed.
ALL, SUPPORTED = "all", "supported"
AIM_RATIO, AIM_FIRST, AIM_NEXT = 3.0, 1.5, 0.2
# Encoding, hidden layers. The last two are where a grid helps least.
CASES = (
    ("grid", 1),
    ("sphere_c", 1),
    ("harmonics", 1),
    ("grid", 2),
    ("rff_sphere", 1),
)


def relative_model(encoding: str, num_hidden: int) -> DualEncoder:
    """Make a model with random weights; how long it takes does not depend on them."""
    torch.manual_seed(0)
    network = {"name": "residual_mlp", "final_activation": None, "num_hidden": num_hidden}
    encoder = make_location_encoder(encoding, 256, network=network)
    names = [str(number) for number in range(CLASSES)]
    return DualEncoder(None, encoder, dim=256, classes=names, prior_kind="relative").eval()


def by_location_prior(model: DualEncoder, grid: Grid) -> Tensor:
    """Ask for all classes in batches and keep one."""
    values = torch.empty(grid.rows * grid.columns)
    for own, part in zip(values.split(BATCH), grid.lonlat().split(BATCH), strict=True):
        own.copy_(location_prior(model, part)[:, LABEL])
    return values.view(grid.shape)


@torch.inference_mode()
def by_one_row(model: DualEncoder, grid: Grid) -> Tensor:
    """Do as the published code does: batches through the network, one row of the classifier."""
    weight, bias = model.classifier.weight[LABEL], model.classifier.bias[LABEL]
    values = torch.empty(grid.rows * grid.columns)
    for own, part in zip(values.split(BATCH), grid.lonlat().split(BATCH), strict=True):
        own.copy_(torch.sigmoid(model.location(part) @ weight + bias))
    return values.view(grid.shape)


def by_heatmap(model: DualEncoder, grid: Grid) -> Tensor:
    """Compute the class as a range map does, with where the model extrapolates."""
    return GridPrior(model, grid.bounds, grid.step).heatmap(LABEL).values


def by_supported_heatmap(model: DualEncoder, grid: Grid) -> Tensor:
    """Compute what the Range map page draws of a class until it is asked for more."""
    return GridPrior(model, grid.bounds, grid.step, only_supported=True).heatmap(LABEL).values


WAYS: dict[str, Callable[[DualEncoder, Grid], Tensor]] = {
    "all classes": by_location_prior,
    "one class": by_one_row,
    "heatmap": by_heatmap,
}


WAY_OF_CELLS = {ALL: "heatmap", SUPPORTED: "supported"}


def products_a_cell(model: DualEncoder, grid: Grid) -> tuple[int, int]:
    """Count the multiply-adds of linear maps for one class in one cell.

    Args:
        model: A relative model.
        grid: The grid.

    Returns:
        Those of the published way, and those left to a map, which joins the output layer with the
        classifier and, where the encoding can be taken apart, spares the first layer but for the
        waves that every row of the grid mixes anew.
    """
    encoding, network = model.location.encoding, model.location.network
    first, *others = network.hidden
    left = network.output.in_features + sum(layer.weight.numel() for layer in others)
    if type(encoding) not in SPLITS:
        left += first.weight.numel()
    elif products := SPLITS[type(encoding)](encoding, grid.lon, grid.lat).products:
        left += (products.basis.shape[1] + 1) * first.out_features
    return multiply_adds(model.location) + model.dim, left


def products_alone(model: DualEncoder, cells: int, threads: int) -> float:
    """Estimate the seconds that the products of all classes take, and nothing else.

    Args:
        model: A model of shares.
        cells: How many cells.
        threads: Threads that share them.

    Returns:
        Seconds at the rate of a plain product of matrices on undisturbed cores.
    """
    product, work = matrix_product()
    rate = work / least_seconds({"product": product}, 10)["product"]
    return (
        cells * (multiply_adds(model.location) + multiply_adds(model.classifier)) / rate / threads
    )


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Take the time that passes and the time of all processors."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def peak_megabytes(way: str, encoding: str, num_hidden: int, step: float) -> tuple[float, float]:
    """Run once in this process; give its peak memory, and by how much it grew for the map."""
    if encoding == "birds":
        model = load_model("birds")
    else:
        torch.set_num_threads(1)
        model = relative_model(encoding, num_hidden)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (WAYS | {"supported": by_supported_heatmap})[way](model, make_grid(step=step))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return after, after - before


def in_a_process_of_its_own(*case: Any) -> tuple[float, float]:
    """Measure memory where nothing else has grown it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(peak_megabytes, *case).result()


def measure(case: tuple[str, int], step: float, repeats: int) -> dict[str, Any]:
    """Time every way in turn, so that what else the machine does strikes all alike."""
    model, grid = relative_model(*case), make_grid(step=step)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    processor: dict[str, list[float]] = {way: [] for way in WAYS}
    found = {}
    for _ in range(repeats):
        for way, compute in WAYS.items():
            wall, cpu, found[way] = timed(lambda run=compute: run(model, grid))
            seconds[way].append(wall)
            processor[way].append(cpu)
    plain = found["one class"]
    difference = float(((found["heatmap"] - plain).abs() / plain).max())
    return {
        "seconds": seconds,
        "cpu_seconds": processor,
        "difference": difference,
    }


def measure_birds(step: float, repeats: int, *, only_supported: bool) -> dict[str, Any]:
    """Time the first and the next class of the bundled model, whose shares need all classes."""
    model, grid = load_model("birds"), make_grid(step=step)
    ways = ["first class", "next class"] if only_supported else list(BIRD_WAYS)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    processor: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        fresh = GridPrior(model, grid.bounds, grid.step, only_supported=only_supported)
        steps = {
            "place by place": lambda: by_location_prior(model, grid),
            "first class": lambda kept=fresh: kept.heatmap(LABEL),
            "next class": lambda kept=fresh: kept.heatmap(LABEL + 1),
        }
        for way in ways:
            work = steps[way]
            wall, cpu, _ = timed(work)
            seconds[way].append(wall)
            processor[way].append(cpu)
    return {"seconds": seconds, "cpu_seconds": processor}


def ratio(values: dict[str, list[float]], slow: str, fast: str) -> str:
    """Write how many times faster, a quotient a repeat."""
    quotients = [a / b for a, b in zip(values[slow], values[fast], strict=True)]
    return spread(quotients, 1) + "×"


def relative_rows(results: list[dict[str, Any]]) -> list[list[str]]:
    """Write the table of the relative models."""
    rows = []
    for result in results:
        seconds, processor = result["seconds"], result["cpu_seconds"]
        rows.append(
            [
                f"{result['encoding']}, {result['num_hidden']} hidden",
                *(spread(seconds[way], 2) for way in WAYS),
                ratio(seconds, "one class", "heatmap"),
                ratio(processor, "one class", "heatmap"),
                f"{result['products'][0] / result['products'][1]:.1f}×",
                *(f"{result['megabytes'][way][0]:.0f}" for way in ("one class", "heatmap")),
                f"{result['difference']:.0e}",
            ]
        )
    return rows


def bird_rows(results: list[dict[str, Any]]) -> list[list[str]]:
    """Write the table of the bundled model."""
    rows = []
    for result in results:
        peak, grown = result["megabytes"]
        seconds, processor = result["seconds"], result["cpu_seconds"]
        cells = [spread(seconds[way], 2) if way in seconds else "" for way in BIRD_WAYS]
        spent = [spread(processor[way], 2) for way in ("first class", "next class")]
        spent.append(f"{result['products_alone']:.2f}")
        about = [result["cells"], str(result["threads"])]
        sizes = [f"{peak:.0f}", f"{grown:.0f}"]
        rows.append([*about, *cells, *spent, *sizes, result["measured"]])
    return rows


def measure_relative(quick: bool) -> dict[str, Any]:
    """Measure every relative model, in a few minutes, or in less than one if it is to be quick."""
    step, repeats = (2.0, 2) if quick else (0.25, 3)
    cases = CASES[:1] + CASES[-1:] if quick else CASES
    sizes = {
        case: {way: in_a_process_of_its_own(way, *case, step) for way in ("one class", "heatmap")}
        for case in cases
    }
    relative = []
    for case in cases:
        about = {"encoding": case[0], "num_hidden": case[1], "threads": 1}
        found = measure(case, step, repeats)
        relative.append({**about, **found, "megabytes": sizes[case]})
    return {"step": step, "relative": relative}


def measure_birds_on(cells: str, threads: int, quick: bool) -> list[dict[str, Any]]:
    """Measure the bundled model on all cells or on the supported ones, by one thread and by all."""
    step, repeats = (2.0, 2) if quick else (0.5, 3)
    size = in_a_process_of_its_own(WAY_OF_CELLS[cells], "birds", 0, step)
    birds = []
    for number in sorted({1, threads}):
        torch.set_num_threads(number)
        found = measure_birds(step, repeats, only_supported=cells == SUPPORTED)
        now = f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
        about = {"cells": cells, "threads": number, "step": step, "measured": now}
        birds.append({**about, **found, "megabytes": size})
    torch.set_num_threads(1)
    return birds


def add_counts(data: dict[str, Any]) -> None:
    """Add what is counted and not timed: multiply-adds, and where the birds are a guess."""
    grid = make_grid(step=data["step"])
    for result in data["relative"]:
        model = relative_model(result["encoding"], result["num_hidden"])
        result["products"] = products_a_cell(model, grid)
    birds = load_model("birds")
    step = data["birds"][0]["step"]
    beyond = GridPrior(birds, step=step).extrapolated
    data["extrapolated"] = float(beyond.float().mean())
    for result in data["birds"]:
        if "products_alone" in result:
            continue
        cells = beyond.numel() - int(beyond.sum()) * (result["cells"] == SUPPORTED)
        result["products_alone"] = products_alone(birds, cells, result["threads"])


def _options(parser: argparse.ArgumentParser) -> None:
    words = "write the page anew from the times measured before"
    parser.add_argument("--tables-only", action="store_true", help=words)
    words = "measure the supported cells of the bundled birds anew, and keep all other times"
    parser.add_argument("--supported-only", action="store_true", help=words)


def main() -> None:
    """Run the benchmark."""
    options = arguments("A world map of one class.", _options)
    threads = torch.get_num_threads()
    # One thread a way: threads that wait for each other pay more where others use the processor.
    torch.set_num_threads(1)
    if options.tables_only or options.supported_only:
        data = json.loads((options.out / "world_prior.json").read_text(encoding="utf-8"))
    else:
        data = measure_relative(options.quick)
        data["birds"] = measure_birds_on(ALL, threads, options.quick)
    if not options.tables_only:
        whole = [result for result in data["birds"] if result["cells"] == ALL]
        data["birds"] = whole + measure_birds_on(SUPPORTED, threads, options.quick)
    add_counts(data)
    torch.set_num_threads(threads)
    step, birds, relative = (data[key] for key in ("step", "birds", "relative"))
    repeats = len(birds[0]["seconds"]["first class"])
    grid = make_grid(step=step)
    head = [
        *("encoding, network", "all classes s", "one class s", "heatmap s"),
        *("times faster than one class", "by processor time", "fewer multiply-adds"),
        *("one class peak MB", "heatmap peak MB", "largest relative difference"),
    ]
    bird_head = [
        *("cells", "threads", "place by place s", "first class s", "next class s"),
        *("first, processor s", "next, processor s", "products alone s"),
        *("peak MB", "of which for the map MB", "measured, UTC"),
    ]
    text = (
        f"A class of {grid.rows * grid.columns:,} cells of {step:g}°: a relative model of {CLASSES}"
        " classes, `residual_mlp` with 512 hidden units and a linear output of 256. *All classes*"
        f" is `location_prior` and *one class* the published way, both in batches of {BATCH};"
        " *heatmap* is `csp_core.heatmap`, first class of a grid."
        f" One thread each. Mean ± standard deviation over {repeats} repeats, the ways in turn."
        " Peak memory is that of a process of its own, Python and torch included. Where other"
        " programs want the processor too, processor time says more, and they did here."
    )
    floor_text = (
        f"Aim: {AIM_RATIO:g} times faster than one class. *Fewer multiply-adds* is what the"
        " products of the published way outnumber those of the map by. Where they are most of the"
        " work, it bounds what a map can win: a second hidden layer, and the one layer behind"
        " `rff_sphere`, whose waves run in every direction of space and come apart in no grid, must"
        " be computed in every cell. Those two stay below the aim."
    )
    bird_text = (
        f"The bundled model `birds` at {birds[0]['step']:g}°: shares of 330 classes need every"
        " class in a cell once; then a class is one product a cell. In"
        f" {data['extrapolated']:.0%} of the cells the model only extrapolates. The Range map page"
        " hatches them without a colour, so it computes the *supported* cells alone until somebody"
        " asks for a colour there, or for the GeoTIFF, which holds *all*: `csp_core.heatmap` with"
        " and without `only_supported`. *Products alone* is how long the multiply-adds of its"
        " linear layers take at the rate of `torch.mm` measured then, each thread on an undisturbed"
        f" core, and all else for nothing. Aim on 2 cores: the first class in {AIM_FIRST:g} s, that"
        f" is {2 * AIM_FIRST:g} s of processor time, and the next in {AIM_NEXT:g} s. Other programs"
        " used the processor too when the rows were measured, which the last column tells."
    )
    body = [text, markdown(head, relative_rows(relative)), floor_text, bird_text]
    write_report(
        "world_prior",
        "A world map of one class",
        "\n\n".join([*body, markdown(bird_head, bird_rows(birds))]),
        data,
        options,
    )


if __name__ == "__main__":
    main()
