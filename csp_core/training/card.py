"""The model card: what a model is, knows, was trained on and scored, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from csp_core.config import CardConfig, RunConfig
from csp_core.evaluation import Measure
from csp_core.inference.retrieval import sides_of
from csp_core.model import Calibration, DualEncoder
from csp_core.objectives import OBJECTIVES
from csp_core.training.front import answers_with, tags

# What begins the name of a report on sets of the test's records.
TEST_SETS = "test, "
# Classes of pixels whose shares of the training pixels are told one by one.
MOST_SHARES = 30
FITTED = "The F1 of val is at thresholds that were fitted to these very records: less is to be had."
REFITTED = (
    "Measured before the last stage, on records that the model had not seen. The weights in this"
    " folder were then trained anew in the same way on all records, these included, so they cannot"
    " be measured on them any more; temperature and sets are those of the stage before."
)


def write_card(
    model: DualEncoder,
    config: RunConfig,
    metrics: Mapping[str, Mapping[str, Any]],
    info: Mapping[str, Any],
    *,
    measure: Measure | None = None,
    refitted: bool = False,
    cautions: Sequence[str] = (),
) -> str:
    """Write the card of a trained model.

    Args:
        model: The model.
        config: What it was trained with.
        metrics: Split name to metrics, and ``sets``: ``all`` or continent to the fields of
            ``SetReport``, of sets meant to hold the truth 9 times in 10.
        info: Facts about the data, as ``RecordDataset.info``.
        measure: How the metrics were measured; None where nothing was.
        refitted: Whether the metrics are those of a model that had not seen the records held out,
            before it was trained anew on all.
        cautions: Why the metrics say little.

    Returns:
        Markdown with YAML front matter.
    """
    card = config.card
    title = card.title or config.name
    front = {
        "title": title,
        "summary": card.summary or _summary(model, config),
        "license": card.license,
        "library_name": "csp_core",
        "tags": tags(model, config),
        **answers_with(model),
        **({"introduction": card.introduction} if card.introduction else {}),
    }
    sections = [
        f"# {title}",
        card.summary,
        "## What its numbers mean",
        _meaning(model, config),
        "## Limits",
        card.limits or "Not checked against surveys. Not for conservation decisions as it is.",
        "## Training data",
        _data(model, card, info),
        "## How good it is",
        _table(_rows(metrics), {} if measure is None else measure.columns),
        "\n".join(f"- **Mind**: {sentence}" for sentence in cautions),
        REFITTED if refitted else "",
        FITTED if model.prior_kind == "probability" and "val" in metrics else "",
        "" if measure is None else _sets(model, metrics.get("sets", {}), measure),
        "" if measure is None else _classes(_rows(metrics), measure.of_classes),
        "## How it was made",
        _making(config),
        "## Licence",
        card.license_text or f"Weights: {card.license}.",
    ]
    body = "\n\n".join(part.strip() for part in sections if part.strip())
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n\n{body}\n"


def write_attribution(card: CardConfig, info: Mapping[str, Any]) -> str:
    """Credit those whose records a model learned from.

    Args:
        card: Its ``attribution`` opens the text.
        info: Facts about the data; ``recorders`` and ``licenses`` are used.

    Returns:
        Markdown.
    """
    parts = ["# Attribution", card.attribution.strip()]
    licenses = info.get("licenses") or {}
    if licenses:
        rows = "\n".join(f"- {name}: {count} records" for name, count in licenses.items())
        parts.append(f"Licences of the records, as stated in the data:\n\n{rows}")
    recorders = info.get("recorders") or []
    if recorders:
        # Some give an e-mail address as their name: the part before the @ credits them as well.
        names = "; ".join(re.sub(r"(\S+)@\S+\.\S+", r"\1", name) for name in recorders)
        parts.append(f"The {len(recorders)} recorders named in the data: {names}.")
    return "\n\n".join(filter(None, parts)) + "\n"


def _learns_places(config: RunConfig) -> bool:
    return "location" in OBJECTIVES[config.objective.name].trains


def _compared(model: DualEncoder, config: RunConfig) -> str:
    """Name the sides that were trained to be compared with one another; "" where none were."""
    words = {"image": "images", "location": "places", "text": "texts"}
    learns = OBJECTIVES[config.objective.name].trains
    sides = [words[side] for side in sides_of(model) if side in learns]
    return " and ".join(", ".join(sides).rsplit(", ", 1)) if len(sides) > 1 else ""


def _summary(model: DualEncoder, config: RunConfig) -> str:
    if compared := _compared(model, config):
        return f"It compares {compared}, and ranks no classes."
    several = model.prior_kind == "probability"
    if model.pixel_classifier is not None:
        return f"What each pixel of a picture is, of {len(model.classes)} classes."
    if model.image_classifier is not None:
        beside = "" if model.classifier is None else ", and what their places say of them"
        if several:
            return f"Which of {len(model.classes)} classes are in pictures, several each{beside}."
        return f"What is in pictures, of {len(model.classes)} classes{beside}."
    if model.classifier is None:
        side = "location" if _learns_places(config) else "image"
        return f"A pre-trained {side} encoder, which ranks no classes yet."
    if several:
        return f"Which of {len(model.classes)} classes are at a place, several each."
    return f"A location prior over {len(model.classes)} classes."


def _meaning(model: DualEncoder, config: RunConfig) -> str:
    if compared := _compared(model, config):
        # Records may bring captions of their own, whose words nobody here knows.
        captions = (config.data.captions or "their own") if model.uses_text else ""
        return _meaning_of_pairs(compared, captions)
    if model.pixel_classifier is not None:
        return _meaning_of_pixels(model)
    if model.prior_kind == "probability":
        return _meaning_of_sets(model)
    if model.image_classifier is not None:
        return _meaning_of_images(model)
    if model.classifier is None and not _learns_places(config):
        idle = "; its location encoder is as chance made it" if model.location is not None else ""
        return (
            "It gives each image a vector, learned from images alone, without labels or"
            f" places{idle}. It ranks classes only once a run on labelled records has begun from it"
            " (init_from)."
        )
    if model.classifier is None:
        return (
            "It gives each place a vector, learned from images made there or what describes it,"
            " and from no label. It ranks classes only once a run has begun from it (init_from)."
        )
    if model.prior_kind == "share":
        return (
            "Shares: of recordings of the listed classes made at a place, the part that would be of"
            " each; not the chance that a species is present. Calibrated by one temperature"
            f" ({model.calibration.temperature:.3f}), fitted on validation records."
            if model.calibration.temperature != 1.0
            else "Shares: of recordings of the listed classes made at a place, the part that would"
            " be of each; not the chance that a species is present. Not calibrated."
        )
    return "Relative scores: they rank, and are no percentages."


def _meaning_of_pairs(compared: str, captions: str) -> str:
    labels = "" if captions not in ("", "facts") else " and from no label"
    said = [
        f"It compares {compared} by vectors that were learned from what was recorded"
        f" together{labels}; agreements are cosines, which rank and are no probabilities.",
        "R@10: how often the right one is among the first 10 of those looked through; back: the"
        " other way round.",
        "It ranks classes only once a run on labelled records has begun from it (init_from)."
        " `csp retrieve` asks it.",
    ]
    if captions == "facts_and_class":
        said.insert(1, "The captions name the class, so it learned from labels, put in words.")
    if "places" in compared:
        said.insert(
            -1,
            "Median km: how far the best of about 4,000 places on the land near the training"
            " records lies from the true one, beside always naming the middle of these records.",
        )
    return " ".join(said)


def _meaning_of_sets(model: DualEncoder) -> str:
    fitted, both = model.calibration, None not in (model.classifier, model.image_classifier)
    known = "a picture" if model.classifier is None else "a place"
    by = "picture and place together" if both else known
    said = (
        "Probabilities: of each class by itself, that it is in the label set given"
        f" {'a picture, a place, or both' if both else known}; they need not sum to 100 %."
    )
    if fitted == Calibration():
        return f"{said} Not calibrated; a class is taken to be in the set from 50 % on."
    weight = (
        " The place adds to the picture's log-odds of a class what it says beyond how often the"
        f" class is in a label set, times {fitted.place_weight:.3f}."
    )
    return (
        f"{said} Calibrated by one temperature a class, and by a threshold a class for {by}, that"
        " of the highest F1 but none below that of all classes together, both fitted on validation"
        " records. A class without a presence and an absence there has the temperature common to"
        " all."
        f"{weight if both else ''}"
    )


def _meaning_of_pixels(model: DualEncoder) -> str:
    fitted = model.calibration.pixel_temperature
    how = f"calibrated by one temperature ({fitted:.3f}), fitted on validation pixels"
    return (
        "Shares of the listed classes that a pixel of a picture is of, given that it is of one of"
        f" them; {'not calibrated' if fitted == 1.0 else how}. IoU of a class: the pixels rightly"
        " said to be of it, over all that are of it or are said to be. Areas summed from classes"
        " that rank first are biased where classes are confused: the numbers of each class tell how"
        " far. Ask for a map by `csp segment`."
    )


def _meaning_of_images(model: DualEncoder) -> str:
    fitted = model.calibration
    image = (
        "Shares of the listed classes that a picture is of, given that it is of one of them;"
        f" calibrated by one temperature ({fitted.image_temperature:.3f})."
    )
    if model.classifier is None:
        return image
    divided = ", divided by the class frequency," if fitted.divide_frequency else ""
    return (
        f"{image} The place of a picture says which classes were recorded near it (temperature"
        f" {fitted.temperature:.3f}). Both are multiplied: the share of the place{divided} to the"
        f" power {fitted.place_weight:.3f}. All of these were fitted on validation records. Without"
        " a place the picture's own answer stands."
    )


def _data(model: DualEncoder, card: CardConfig, info: Mapping[str, Any]) -> str:
    plain = {k: v for k, v in info.items() if isinstance(v, (str, int, float)) and v != ""}
    facts = "\n".join(f"- {key.replace('_', ' ')}: {value}" for key, value in plain.items())
    records = model.classes.records
    counts = sum(model.classes.counts) if records is None else records
    head = f"{card.source}\n\n" if card.source else ""
    labels = f"- classes: {len(model.classes)}\n" + f"- training records: {counts}\n" * bool(counts)
    if model.pixel_classifier is not None:
        labels = f"- classes: {len(model.classes)}\n- training pixels of known class: {counts:,}\n"
        labels += _shares(model)
    known = model.classifier is not None or records is not None
    known = known or model.pixel_classifier is not None
    return f"{head}{labels if known else ''}{facts}"


def _shares(model: DualEncoder) -> str:
    """Tell how the training pixels are shared between the classes."""
    shares = zip(model.classes.names, model.classes.frequency().tolist(), strict=True)
    told = [f"{name} {share:.1%}" for name, share in shares]
    return f"- of them {', '.join(told)}\n" if len(told) <= MOST_SHARES else ""


def _rows(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Give each split a row, or one each to its answers by image, by place and by both."""
    found: dict[str, Mapping[str, Any]] = {}
    for split, values in metrics.items():
        if split == "sets":
            continue
        nested = {k: v for k, v in values.items() if isinstance(v, Mapping)}
        found |= {f"{split}, {name}": part for name, part in nested.items()} or {split: values}
    return found


def _table(metrics: Mapping[str, Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    if not metrics:
        return "No labelled records were held out, so nothing was measured in training."
    head = "| split | " + " | ".join(columns.values()) + " |"
    rule = "|---" * (len(columns) + 1) + "|"
    rows = [
        f"| {split} | " + " | ".join(_number(values.get(key)) for key in columns) + " |"
        for split, values in metrics.items()
    ]
    return "\n".join([head, rule, *rows])


def _sets(model: DualEncoder, sets: Mapping[str, Mapping[str, float]], measure: Measure) -> str:
    if not sets:
        return ""
    rows = "\n".join(
        f"| {place} | {values['coverage']:.1%} | {values['mean_size']:.1f} | {values['n']} |"
        for place, values in sets.items()
    )
    what, column = measure.sets_of
    tested = ", and on the test" if any(name.startswith(TEST_SETS) for name in sets) else ""
    return (
        f"Sets that hold the truth 9 times in 10: the first-ranked classes{what}, as many as"
        f" that takes of {len(model.classes)}. Measured on validation records of other blocks than"
        f" the level was fitted to{tested}.\n\n"
        f"| {column} | held the truth | mean size | records |\n|---|---|---|---|\n{rows}"
    )


def _classes(metrics: Mapping[str, Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """Write the numbers of each class, of the last split and answer that has them."""
    measured = [
        (name, values["classes"]) for name, values in metrics.items() if "classes" in values
    ]
    if not measured:
        return ""
    name, classes = measured[-1]
    rows = "\n".join(
        "| "
        + " | ".join([one["name"].replace("|", "\\|"), *(_number(one[k]) for k in columns)])
        + " |"
        for one in classes
    )
    head, rule = " | ".join(columns.values()), "|---" * (len(columns) + 1)
    return f"Each class ({name}):\n\n| class | {head} |\n{rule}|\n{rows}"


def _number(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _making(config: RunConfig) -> str:
    tree = config.without_folders()
    text = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
    return f"`csp train` with this configuration:\n\n```yaml\n{text}```"
