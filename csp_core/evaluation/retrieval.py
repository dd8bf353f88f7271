"""How well a model that only compares finds the right place, picture or caption."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from csp_core.data.captions.templates import class_words
from csp_core.data.records import RecordDataset
from csp_core.data.sets.facts import names_taxa
from csp_core.errors import BadRecordError, ConfigError
from csp_core.evaluation.measure import Fitted, Measure
from csp_core.evaluation.retrieval_numbers import (
    COLUMNS,
    Located,
    RetrievalMetrics,
    guess_km,
    locate,
    recall_at,
    right_ranks,
)
from csp_core.geo import great_circle_km
from csp_core.inference.retrieval import (
    agreement,
    joined,
    learned_centre,
    places_gallery,
    see_captions,
    see_images,
    see_places,
    sides_of,
    top1,
    zero_shot,
)
from csp_core.model import Prior
from csp_core.model.towers import TowerOut

# As in most tables on retrieval; more would take longer and say the same.
RECORDS, CHUNK = 1000, 256
# Sides, and what a pair of them is called in answers.
PAIRS = {
    ("image", "location"): "image-place",
    ("image", "text"): "image-text",
    ("location", "text"): "place-text",
}
HAVE = {"image": "images", "location": "places", "text": "captions"}


def measured_sides(model: Prior, dataset: RecordDataset) -> tuple[str, ...]:
    """Tell which sides of a model can be compared on records.

    Args:
        model: A model or a baseline.
        dataset: The records.

    Returns:
        Two or three of ``image``, ``location`` and ``text``; none where there are not two.
    """
    if not len(dataset):
        return ()
    sides = sides_of(model)
    has = {
        "image": "image" in sides and "image" in dataset[0],
        "location": bool((~dataset.lonlat.isnan().any(dim=1)).any()),
        "text": captions_of(dataset) is not None,
    }
    found = tuple(side for side in sides if has[side])
    return found if len(found) > 1 else ()


def captions_of(dataset: RecordDataset) -> tuple[tuple[str, ...], Tensor] | None:
    """Give the captions of records, where they have some.

    Args:
        dataset: The records.

    Returns:
        The table of captions and each record's number in it, -1 for none; None without a table.
    """
    table, number = getattr(dataset, "captions", None), getattr(dataset, "caption", None)
    return None if not table or number is None or not bool((number >= 0).any()) else (table, number)


def evaluate_retrieval(
    model: Any, dataset: RecordDataset, *, prior: bool = True, records: int = RECORDS
) -> dict[str, RetrievalMetrics]:
    """Measure how a model finds the right one among others, for each pair of its sides.

    At most ``records`` of the records are asked about, the same ones at every call. Distances are
    those of the best of about 4,000 places spread over the land where the model has learned.

    Args:
        model: A model that compares sides.
        dataset: The records, unseen if the numbers are to be honest.
        prior: As of other measures; nothing here answers without a comparison, so it is not used.
        records: How many records at most.

    Returns:
        ``image-place``, ``image-text`` and ``place-text``, as far as there are such.

    Raises:
        ConfigError: If model and records have no two sides in common.
        BadRecordError: If no record has all of them.
    """
    sides = measured_sides(model, dataset)
    if not sides:
        compares = " and ".join(HAVE[side] for side in sides_of(model)) or "nothing"
        raise ConfigError(
            f"Model {getattr(model, 'name', '')!r} compares {compares}, and the data set"
            f" {dataset.name!r} does not have two of them: give records with"
            " images and places, or with captions (data.captions)."
        )
    rows = _chosen(dataset, sides, records)
    seen = {side: _see(model, dataset, rows, side) for side in sides}
    same = {side: _groups(dataset, rows, side) for side in sides}
    gallery = places_gallery(model) if "location" in sides else None
    found = {}
    for (one, two), name in PAIRS.items():
        if one not in sides or two not in sides:
            continue
        parts = _both_ways(model, (seen[one], seen[two]), (same[one], same[two]))
        # Of the two sides, the one that is no place asks for places.
        asking = one if two == "location" else two if one == "location" else None
        if gallery is not None and asking is not None:
            truth = dataset.lonlat[rows]
            km = guess_km(agreement(model, seen[asking], gallery), _lonlat(gallery.lonlat), truth)
            parts |= _distances(locate(km), _centre(model, truth))
        if (one, two) == ("image", "text"):
            parts |= _named(model, dataset, rows, seen["image"])
        found[name] = RetrievalMetrics(**parts)
    return found


def _chosen(dataset: RecordDataset, sides: tuple[str, ...], most: int) -> Tensor:
    """Choose records that have all sides, the same ones at every call."""
    there = torch.ones(len(dataset), dtype=torch.bool)
    if "location" in sides:
        there &= ~dataset.lonlat.isnan().any(dim=1)
    told = captions_of(dataset)
    if "text" in sides and told is not None:
        there &= told[1] >= 0
    rows = there.nonzero().flatten()
    if not len(rows):
        wanted = " and ".join(HAVE[side] for side in sides)
        raise BadRecordError(f"No record of {dataset.name!r} has {wanted} at once.")
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    return rows[order[:most].sort().values]


def _see(model: Any, dataset: RecordDataset, rows: Tensor, side: str) -> TowerOut:
    if side == "location":
        columns = (column[rows] for column in (dataset.lonlat, dataset.date, dataset.hour))
        lonlat, date, hour = columns
        return see_places(model, lonlat, date=date, hour=hour)
    if side == "text":
        told = captions_of(dataset)
        assert told is not None  # or there would be no such side
        return see_captions(model, [told[0][k] for k in told[1][rows].tolist()])
    parts = []
    for part in torch.split(rows, CHUNK):
        batch = dataset.__getitems__(part.tolist())
        parts.append(see_images(model, batch["image"], days=batch.get("days")))
    return joined(parts)


def _groups(dataset: RecordDataset, rows: Tensor, side: str) -> Tensor:
    """Number what is the same on a side: ``(n,)`` int64."""
    if side == "image":
        return torch.arange(len(rows))
    if side == "text":
        told = captions_of(dataset)
        assert told is not None
        return _numbered(told[1][rows])
    when = torch.stack((dataset.date[rows], dataset.hour[rows]), dim=1).nan_to_num(-1)
    table = torch.cat((dataset.lonlat[rows], when), dim=1)
    return _numbered(table)


def _numbered(values: Tensor) -> Tensor:
    """Number equal rows alike: ``(n,)`` int64."""
    numbers: Tensor = torch.unique(values, dim=0, return_inverse=True)[1]
    return numbers


def _both_ways(
    model: Any, seen: tuple[TowerOut, TowerOut], same: tuple[Tensor, Tensor]
) -> dict[str, Any]:
    """Compute the recalls of a pair of sides, where what is equal counts as one and as right."""
    parts: dict[str, Any] = {"n": len(same[0])}
    for back, (one, two) in (("", (0, 1)), ("back_", (1, 0))):
        # The first of each group stands for it.
        first = _firsts(same[two])
        values = agreement(model, seen[one], seen[two])[:, first]
        pair = torch.zeros(int(same[one].max()) + 1, len(first), dtype=torch.bool)
        pair[same[one], same[two]] = True
        ranks = right_ranks(values, pair[same[one]])
        parts[f"{back}gallery"] = len(first)
        parts |= {f"{back}recall_at_{k}": recall_at(ranks, k) for k in (10, 100)}
    return parts


def _firsts(group: Tensor) -> Tensor:
    """Give the first row of each group, in the order of their numbers."""
    order = torch.argsort(group, stable=True)
    numbers = group[order]
    return order[torch.cat((torch.ones(1, dtype=torch.bool), numbers.diff() > 0))]


def _lonlat(places: Tensor | None) -> Tensor:
    assert places is not None  # a gallery of places has them
    return places


def _centre(model: Any, truth: Tensor) -> Located | None:
    middle = learned_centre(model)
    if middle is None:
        return None
    return locate(great_circle_km(truth.double(), torch.tensor(middle, dtype=torch.float64)))


def _distances(own: Located, centre: Located | None) -> dict[str, Any]:
    near, middle, far = own.within
    parts = {"median_km": own.median_km, "within_25_km": near, "within_200_km": middle,
             "within_750_km": far}  # fmt: skip
    if centre is None:
        return parts
    return {**parts, "centre_median_km": centre.median_km, "centre_within_200_km": centre.within[1]}


def _named(
    model: Any, dataset: RecordDataset, rows: Tensor, seen: TowerOut
) -> dict[str, float | None]:
    """Tell how often a class is named rightly by its name alone, where records have labels."""
    label = dataset.label[rows]
    known = (label >= 0).nonzero().flatten()
    if not len(known) or len(dataset.classes) < 2:
        return {}
    taxa = names_taxa(dataset.name)
    pairs = zip(dataset.classes.names, dataset.classes.common_names, strict=True)
    found = zero_shot(model, seen, [class_words(*pair, taxa=taxa) for pair in pairs])
    return {"zero_shot_top1": top1(found[known], label[known])}


def cautions_of_retrieval(model: Any, dataset: RecordDataset) -> list[str]:
    """Say why what is measured of a comparing model on records tells little.

    Args:
        model: The model.
        dataset: The records.

    Returns:
        Sentences; none where nothing is odd.
    """
    sides = measured_sides(model, dataset)
    if not sides:
        return []
    said, rows = [], _chosen(dataset, sides, RECORDS)
    if len(rows) < 100:
        said.append(f"Only {len(rows)} records could be compared, so R@10 is easily reached.")
    for side, what in (("text", "caption"), ("location", "place")):
        if side in sides and len(rows) > 1 and int(_groups(dataset, rows, side).max()) == 0:
            said.append(f"All records have one {what}: whatever is asked for, it is right.")
    return said


def _fitted(model: Any, records: RecordDataset) -> Fitted:
    return Fitted(evaluate_retrieval(model, records))


def _watch(model: Any, records: RecordDataset) -> dict[str, float]:
    # The objective tells how near pairs are, at each epoch, without another pass over the images.
    return {}


RETRIEVAL = Measure(
    applies=lambda model, records: bool(measured_sides(model, records)),
    measure=evaluate_retrieval,
    watch=_watch,
    calibrate=_fitted,
    check=_fitted,
    monitor=lambda model: "loss",
    headline=tuple(PAIRS.values()),
    columns=COLUMNS,
    rising=frozenset({"alignment", "recall_at_10"}),
)
