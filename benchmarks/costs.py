"""What ten times the records, classes or cells cost, in time and in memory."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import torch
from report import arguments, markdown, write_report
from torch import Tensor
from torch.utils.data import DataLoader

from csp_core import location_prior, make_location_encoder
from csp_core.data.batch import collate
from csp_core.data.records import ClassTable, RecordDataset
from csp_core.geo import sphere_points
from csp_core.model import DualEncoder, Support
from csp_core.objectives import BatchRandom, make_objective
from csp_core.raster import GridPrior

BATCH, DIM, USUAL_CLASSES, PLACES = 1024, 256, 300, 20_000


def make_model(classes: int, prior_kind: str = "share") -> DualEncoder:
    """Make a model with random weights; what it costs does not depend on them."""
    torch.manual_seed(0)
    encoder = make_location_encoder("sphere_c", DIM)
    names = ClassTable(tuple(map(str, range(classes))), counts=(1,) * classes)
    return DualEncoder(None, encoder, dim=DIM, classes=names, prior_kind=prior_kind).eval()


def make_records(records: int, classes: int) -> tuple[Tensor, Tensor]:
    """Invent places ``(N, 2)`` and classes ``(N,)``."""
    generator = torch.Generator().manual_seed(0)
    places = sphere_points(torch.rand(records, 2, generator=generator))
    return places, torch.randint(classes, (records,), generator=generator)


def training(records: int, classes: int, batch_size: int) -> Callable[[], None]:
    """Prepare the steps of an epoch as a run makes them, with the objective ``softmax``."""
    model = make_model(classes)
    objective = make_objective("softmax", model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    places, label = make_records(records, classes)
    data = RecordDataset(lonlat=places, label=label, classes=model.classes)
    objective.train()

    def epoch() -> None:
        generator = torch.Generator().manual_seed(0)
        order = torch.randperm(records, generator=generator).split(batch_size)
        rows = [part.tolist() for part in order if len(part) == batch_size]
        for batch in DataLoader(data, batch_sampler=rows, collate_fn=collate):
            draws = BatchRandom(generator, 0, batch_size, batch_size)
            objective(objective.draw(batch, draws))["loss"].backward()
            optimizer.step()
            optimizer.zero_grad()

    return epoch


def training_epoch(records: int) -> Callable[[], object]:
    """Prepare an epoch over records of the usual number of classes."""
    return training(records, USUAL_CLASSES, BATCH)


def training_step(classes: int) -> Callable[[], object]:
    """Prepare one step of the usual batch."""
    return training(BATCH, classes, BATCH)


def support_building(records: int) -> Callable[[], object]:
    """Prepare counting records per class and cell."""
    places, label = make_records(records, USUAL_CLASSES)
    return lambda: Support.from_records(places, label, USUAL_CLASSES)


def prior_at_places(classes: int) -> Callable[[], object]:
    """Prepare the prior of all classes at places."""
    model, (places, _) = make_model(classes), make_records(PLACES, 1)
    return lambda: location_prior(model, places)


def first_class(cells: int) -> Callable[[], object]:
    """Prepare the first class of a world map, a share."""
    return _heatmap(cells, "share")


def relative_class(cells: int) -> Callable[[], object]:
    """Prepare a class of a world map, a relative score."""
    return _heatmap(cells, "relative")


def _heatmap(cells: int, prior_kind: str) -> Callable[[], object]:
    model, step = make_model(USUAL_CLASSES, prior_kind), 180 / round(math.sqrt(cells / 2))
    return lambda: GridPrior(model, step=step).heatmap(0)


@dataclass(frozen=True)
class Case:
    """Work whose size is taken once and ten times.

    Args:
        what: Its name in the table.
        of: What grows.
        prepare: Size to work.
        small: The smaller size.
    """

    what: str
    of: str
    prepare: Callable[[int], Callable[[], object]]
    small: int


CASES = (
    Case("training epoch", "records", training_epoch, 10 * BATCH),
    Case("support building", "records", support_building, 100_000),
    Case("prior at 20,000 places", "classes", prior_at_places, USUAL_CLASSES),
    Case("training step", "classes", training_step, USUAL_CLASSES),
    Case("heatmap, first class, share", "cells", first_class, 2 * 90**2),
    Case("heatmap, relative", "cells", relative_class, 2 * 90**2),
)
# Sizes ten times the small ones, but for cells: a side of whole cells is nearest to √10 times.
TIMES = 10


def run(case: int, size: int, repeats: int) -> tuple[float, float, float]:
    """Do the work in this process, on one thread.

    Args:
        case: Its number in ``CASES``.
        size: Its size.
        repeats: How often; the quickest counts.

    Returns:
        Seconds of this process at work, its peak memory in MB, and by how much the work raised it.
    """
    torch.set_num_threads(1)
    work = CASES[case].prepare(size)
    before, seconds = _peak(), []
    for _ in range(repeats):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return min(seconds), _peak(), _peak() - before


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_a_process_of_its_own(case: int, size: int, repeats: int) -> tuple[float, float, float]:
    """Measure where nothing else has grown the memory."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(run, case, size, repeats).result()


def measure(number: int, repeats: int, shrink: int) -> dict[str, object]:
    """Measure a case at both sizes.

    Args:
        number: Its number in ``CASES``.
        repeats: Repeats of each.
        shrink: Divisor of the sizes, for a quick run.

    Returns:
        Sizes, seconds, MB, and the exponents of time and of the memory that the work takes.
    """
    case = CASES[number]
    small = case.small // shrink
    large = 2 * round(90 * math.sqrt(TIMES / shrink)) ** 2 if case.of == "cells" else TIMES * small
    if case.of == "cells":
        small = 2 * round(90 / math.sqrt(shrink)) ** 2
    found = [in_a_process_of_its_own(number, size, repeats) for size in (small, large)]
    growth = math.log(large / small)
    (seconds, peak, grown), (more_seconds, more_peak, more_grown) = found
    return {
        "what": case.what,
        "of": case.of,
        "sizes": [small, large],
        "seconds": [seconds, more_seconds],
        "peak_mb": [peak, more_peak],
        "work_mb": [grown, more_grown],
        "time_exponent": math.log(more_seconds / seconds) / growth,
    }


ABOUT = """\
Each row is one piece of work at one size and at ten times that size, each in a process of its own
on one thread: the least of {repeats} repeats in seconds of the process at work (the machine was
shared with other programs), and its peak memory, Python and torch included, of which the work
itself raised so much. The exponent is the logarithm of the quotient of the times over that of the
sizes: 1 grows with the size, 0 does not grow, above 1 would grow faster.

{table}

Models: `sphere_c` with its default network, {dim} dimensions, {classes} classes where classes do
not grow; batches of {batch:,}. Small sizes carry what every size costs once, which keeps exponents
below 1; building support sorts its records, of which a million do not fit into the processor's
cache. The largest exponent is {largest:.2f} ({worst}).
"""


def table_rows(rows: list[dict[str, object]]) -> list[list[str]]:
    """Write the rows of the table."""
    written = []
    for row in rows:
        sizes, seconds, peak, work = (row[k] for k in ("sizes", "seconds", "peak_mb", "work_mb"))
        written.append(
            [
                str(row["what"]),
                f"{sizes[0]:,} → {sizes[1]:,} {row['of']}",
                *(f"{value:.3f}" for value in seconds),
                f"{row['time_exponent']:.2f}",
                *(f"{total:.0f} ({own:.0f})" for total, own in zip(peak, work, strict=True)),
            ]
        )
    return written


def main() -> None:
    """Run the benchmark."""
    options = arguments("What ten times the records, classes or cells cost.")
    torch.set_num_threads(1)
    repeats, shrink = (1, 10) if options.quick else (5, 1)
    every = 2 if options.quick else 1
    rows = [measure(number, repeats, shrink) for number in range(0, len(CASES), every)]
    worst = max(rows, key=lambda row: row["time_exponent"])
    head = ["work", "size", "s", "s at ten times", "exponent", "peak MB", "peak MB at ten times"]
    body = ABOUT.format(
        repeats=repeats,
        table=markdown(head, table_rows(rows)),
        dim=DIM,
        classes=USUAL_CLASSES,
        batch=BATCH,
        largest=worst["time_exponent"],
        worst=worst["what"],
    )
    write_report("costs", "What size costs", body.strip(), {"cases": rows}, options)


if __name__ == "__main__":
    main()
