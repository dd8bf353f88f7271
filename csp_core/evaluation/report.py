"""The report on a model: its numbers on the splits of a data set."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from torch import Tensor

from csp_core.data import DATASETS, load_dataset
from csp_core.data.again import are_those, captions_file, options_again
from csp_core.data.records import RecordDataset, join_records
from csp_core.errors import ConfigError, CspError
from csp_core.evaluation import (
    cautions_of,
    evaluate_answers,
    held_by_others,
    matched_labels,
    plain,
    sees_images,
)
from csp_core.evaluation.retrieval import captions_of
from csp_core.files import read_json, read_yaml
from csp_core.inference.retrieval import sides_of
from csp_core.model import DualEncoder
from csp_core.runs import RunDir
from csp_core.store import find_model, load_model

# The data set that a file of records is.
FILE = "occurrences"
# Whose photos are of any size and cut to what is asked for; other sets have squares of one size.
CUT = "photos"
# Which labels training saw: whatever is asked to be measured has all of its own.
OF_LABELS = ("label_fraction", "label_seed", "labels", "unlabelled", "published_labels")
NO_CAPTIONS = "These records have no captions, so none are measured: give --captions."
SEEN = {
    "all": "every record given",
    "train": "the records it learned from",
    "val": "records held out for early stopping and calibration",
    "test": "records it has never seen",
    "outside": "records it has never seen, where it has learned from none",
}


def evaluate_splits(
    model_name: str, data: str, *, root: Path | None = None, captions: str | None = None
) -> dict[str, Any]:
    """Evaluate a model on data, and on the parts it was trained and validated on if these are they.

    Args:
        model_name: As for ``load_model``.
        data: A name in DATASETS, or a file of occurrences.
        root: Where a named data set lies.
        captions: Of the records, as for ``load_dataset``. None for those of the training, if these
            records are its own; a table of them is looked for where the run's settings say, beside
            the data, and in the working directory.

    Returns:
        ``model``, ``data``, ``splits`` (name to the fields of ``Metrics``, or on label sets to
        those of ``LabelSetMetrics``; where the model sees the images of the records, name to
        ``image``, ``place`` and ``image+place``, each to those fields), a ``note``, and
        ``cautions``, name of a split to why its numbers say little.

    Raises:
        CspError: If model or data cannot be read or share no class, or the model has no answer that
            could be right or wrong.
    """
    model = load_model(model_name)
    if not len(model.classes) and not sides_of(model):
        raise ConfigError(
            f"Model {model.name!r} ranks no classes and compares nothing, so there is no answer to"
            " measure: `csp probe` measures what can be read off its embedding."
        )
    provenance = read_json(find_model(model_name) / "config.json").get("provenance", {})
    name, place = (data, root) if data in DATASETS else (FILE, Path(data))
    captions, of_captions = _captions(model_name, provenance, name, place, captions)
    told = {} if captions is None else {"captions": captions}
    # Whatever is asked to be measured is, however rare or clumped; nothing is dealt out.
    whole: dict[str, Any] = {"min_records": 1, "val_fraction": 0.0, "test_fraction": 0.0}
    # Which names are classes the model says.
    whole["species_only"] = False
    if name == FILE:
        sets = {"all": load_dataset(name, "all", root=place, **whole, **told)}
    else:
        sets = {"all": _whole(provenance, name, place, told, _side(model, name))}
    sets |= _trained_splits(provenance, name, place, told)
    splits, said = {}, {}
    for split, records in sets.items():
        if len(records):
            splits[split] = plain(evaluate_answers(model, records))
            if found := cautions_of(model, records):
                said[split] = found
    known = ", ".join(f"{split}: {SEEN[split]}" for split in splits)
    if "train" in splits and (bare := int((~sets["train"].labelled()).sum())):
        known += f". Of those, {bare:,} have no labels, and only the others are measured"
    if "train" in splits and (done := _learned(provenance).get("changed_on_purpose")):
        known += f". Before it learned from those, data.quality changed them: {done}"
    if len(splits) == 1:
        known += ". They are not the model's own training file, so no record was seen in training"
        known += " unless the two share records"
    note = f"{known}.{_heard(model, sets['all'])}"
    if "text" in sides_of(model):
        bare = captions_of(sets["all"]) is None
        note += f" {of_captions or (NO_CAPTIONS if bare else '')}".rstrip()
    return {
        "model": model.name,
        "data": str(data),
        "splits": splits,
        "note": note,
        "cautions": said,
    }


def _side(model: DualEncoder, name: str) -> dict[str, Any]:
    """Say how large photos are to be for a model that did not learn from these."""
    if name != CUT or model.image is None:
        return {}
    size: int | None = getattr(model.image, "size", None)
    if size is None and model.image_stats is not None:
        size = int(model.image_stats.size.max())
    return {} if size is None else {"size": size}


def _heard(model: DualEncoder, records: RecordDataset) -> str:
    """Say whose prior is heard where a model borrows one, and for how many records."""
    if model.borrowed is None or model.classifier is not None or not sees_images(model, records):
        return ""
    label = matched_labels(model, records)
    matched = label >= 0
    left = int((~matched).sum())
    placed = int((matched & ~records.lonlat.isnan().any(dim=1)).sum())
    return (
        f" {model.borrowed} {placed:,} of the {int(matched.sum()):,} records measured have a place;"
        " the others are told by the picture alone."
        + _held(model, records, label)
        + (f" Left out: {left:,} without a label or of no class of that name." if left else "")
    )


def _held(model: DualEncoder, records: RecordDataset, label: Tensor) -> str:
    """Say how many records count for a class that holds their taxon, and name one."""
    held = held_by_others(model, records)
    count = int(held.sum())
    if not count:
        return ""
    row = int(held.nonzero()[0])
    taxon, known = records.classes.names[records.label[row]], model.classes.names[label[row]]
    verb = "s" if count == 1 else ""
    return (
        f" {count:,} of them count{verb} for a class that holds the taxon, such as {taxon} for"
        f" {known}."
    )


def _captions(
    model: str, provenance: Any, name: str, place: Path | None, given: str | None
) -> tuple[str | None, str]:
    """Say which captions records are to have, and a sentence on a table that was looked for."""
    if given is not None:
        return given, ""
    try:
        settings = dict(provenance["config"]["data"])
    except (KeyError, TypeError, ValueError):
        return None, ""
    if settings.get("name") != name:
        return None, ""
    folder = find_model(model)
    beside = [] if place is None else [place, place.parent]
    looked = [*_of_run(folder), *beside, folder, folder.parent, Path.cwd()]
    found, said = captions_file(settings, _learned(provenance), looked)
    return (None if found is None else str(found)), said


def _of_run(folder: Path) -> list[Path]:
    """Give the table of captions that the run of a model names, if it is that of a run."""
    try:
        tree: Any = read_yaml(RunDir(folder.parent).config)
        named = tree["data"]["captions"]
    except (CspError, OSError, KeyError, TypeError):
        return []
    return [Path(named)] if isinstance(named, str) else []


def _whole(
    provenance: Any,
    name: str,
    place: Path | None,
    captions: dict[str, str],
    side: dict[str, Any],
) -> RecordDataset:
    """Load all records of a data set, read as in training where the model learned from that one."""
    settings = _settings(provenance, name)
    for label in OF_LABELS:
        settings.pop(label, None)
    if settings:
        try:
            with warnings.catch_warnings(action="ignore", category=UserWarning):
                return load_dataset(name, "all", root=place, **{**settings, **captions})
        except CspError:
            # Other records of that name, which these settings do not suit.
            pass
    # One photo is enough to be asked about, and too few to be dealt out.
    undealt: dict[str, Any] = {"val_fraction": 0.0, "test_fraction": 0.0} if name == CUT else {}
    return load_dataset(name, "all", root=place, **captions, **side, **undealt)


def _settings(provenance: Any, name: str) -> dict[str, Any]:
    """Give the options that a model's data were loaded with; none if those were other data."""
    try:
        settings = dict(provenance["config"]["data"])
    except (KeyError, TypeError, ValueError):
        return {}
    return options_again(settings) if settings.get("name") == name else {}


def _trained_splits(
    provenance: Any, name: str, place: Path | None, captions: dict[str, str]
) -> dict[str, RecordDataset]:
    """Deal the records out as in training; empty unless the training part is the very same."""
    settings = _settings(provenance, name)
    learned = _learned(provenance)
    if not settings or not learned:
        return {}
    settings |= captions
    try:
        # That a buffer leaves out much of other records is no news of these.
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            sets = _dealt(name, place, settings)
    except CspError:
        # Records that cannot be dealt out as in training are not those of the training.
        return {}
    if "val" in sets and provenance["config"]["training"].get("refit"):
        sets["train"] = join_records(sets["train"], sets.pop("val"))
    return sets if are_those(sets["train"], learned) else {}


def _learned(provenance: Any) -> dict[str, Any]:
    """Give what a model says of the data it learned from; nothing where it says nothing."""
    found = provenance.get("data") if isinstance(provenance, dict) else None
    return found if isinstance(found, dict) else {}


def _dealt(name: str, place: Path | None, settings: dict[str, Any]) -> dict[str, RecordDataset]:
    sets = {"train": load_dataset(name, "train", root=place, **settings)}
    for split in ("val", "test"):
        if settings.get(f"{split}_fraction"):
            sets[split] = load_dataset(name, split, root=place, **settings)
    if settings.get("split_longitude") is not None:
        sets["outside"] = load_dataset(name, "outside", root=place, **settings)
    return sets
