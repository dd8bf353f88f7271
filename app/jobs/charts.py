"""Curves of runs: losses, validation numbers beside baselines, learning rate and speed."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import streamlit as st

from csp_core.runs.reading import is_number
from shared import style
from shared.words import escape_markdown

Rows = Sequence[Mapping[str, Any]]

# Okabe and Ito's colours, which the colour-blind tell apart, two of them darker so that each stands
# out from the page; each line has a dash of its own too.
LIGHT = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b07800", "#2b8cc4")
DARK = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00")
DASHES: tuple[list[int], ...] = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2], [4, 4], [1, 3])
# Along which a curve is drawn.
AXES = {"epoch": "epoch", "step": "step", "seconds": "seconds of training"}
NAMES = {
    "loss": "loss, training",
    "val_objective": "loss, validation",
    "val_log_loss": "log-loss",
    "val_calibrated_log_loss": "log-loss, calibrated",
    "val_mrr": "mean reciprocal rank",
    "val_top1": "top-1 accuracy",
    "val_top3": "top-3 accuracy",
    "val_top5": "top-5 accuracy",
    "val_macro_top5": "top-5 accuracy, mean of classes",
    "val_macro_ap": "average precision, mean of classes",
    "val_micro_ap": "average precision, all classes in one",
    "val_macro_f1": "F1, mean of classes",
    "val_micro_f1": "F1, all classes together",
    "val_miou": "IoU, mean of classes",
    "val_miou_without_background": "IoU, mean without background",
    "val_overall_accuracy": "pixels right",
    "val_ece": "calibration error",
    "kept": "labels given that count, share",
    "learning_rate": "learning rate",
    "samples_per_second": "records per second",
    "memory_bytes": "memory, bytes",
}
HEIGHT = 260
# Of a line; a chart is no wider than that many pixels, and it is sent anew every two seconds.
MOST_POINTS = 500
SMALL = 0.01
# Pixels from one name of a level to the next; the part of a chart's height that its values take.
APART, FILLED = 13.0, 0.9
# Of a run's epochs, what a smoothed point is the mean of.
SMOOTHED = 20
NUMBER = {"type": "quantitative"}
LEGEND = {"orient": "bottom", "columns": 2, "labelLimit": 280}
# What is shown first, where there is a choice.
FIRST = ("val_macro_ap", "val_miou", "val_calibrated_log_loss", "val_log_loss", "val_mrr")


def name_of(key: str) -> str:
    """Say what a number is, in words."""
    return NAMES.get(key, key.removeprefix("val_").replace("_", " "))


def measures_of(rows: Rows) -> list[str]:
    """List the validation numbers of a run; the loss on validation records is drawn by itself."""
    found = {key: None for row in rows for key, value in row.items() if is_number(value)}
    return [key for key in found if key.startswith("val_") and key != "val_objective"]


def pick_axis(key: str) -> str:
    """Draw the box that chooses along what curves are drawn."""
    return st.selectbox("Along", AXES, format_func=AXES.__getitem__, key=key)


def pick_measure(measures: Sequence[str], key: str) -> str | None:
    """Draw the box that chooses a validation number.

    Args:
        measures: The numbers that there are.
        key: Of the box; runs with other numbers have another one, as it keeps what was chosen.

    Returns:
        The one to draw, or None.
    """
    first = first_of(measures)
    return st.selectbox(
        "Validation number",
        measures,
        measures.index(first) if first else None,
        format_func=name_of,
        key="-".join((key, *sorted(measures))),
        placeholder="none yet",
    )


def first_of(measures: Sequence[str]) -> str | None:
    """Choose the number to show first."""
    return next((key for key in (*FIRST, *measures) if key in measures), None)


def stages_of(rows: Rows) -> list[str]:
    """List the stages of a run, in their order; one without a name has ``""``."""
    return list(dict.fromkeys(str(row.get("stage", "")) for row in rows))


def of_stage(rows: Rows, stage: str) -> list[Mapping[str, Any]]:
    """Keep the rows of one stage."""
    return [row for row in rows if str(row.get("stage", "")) == stage]


def points(rows: Rows, keys: Sequence[str], axis: str, series: str = "") -> list[dict[str, Any]]:
    """Give what a chart draws, thinned where a line has more points than a chart shows.

    Args:
        rows: A run's numbers.
        keys: Which of them to draw.
        axis: A key of ``AXES``.
        series: Name of the line; by default that of the number.

    Returns:
        Points with ``x``, ``y`` and ``line``, at most ``2 * MOST_POINTS`` a line; the last is one.
    """
    step = max(1, len(rows) // MOST_POINTS)
    # Counted from the end, so that the newest is among them.
    thinned = [row for number, row in enumerate(rows, 1) if (len(rows) - number) % step == 0]
    return list(_points(thinned, keys, axis, series))


def pick_smoothing(key: str) -> bool:
    """Draw the switch that smooths losses; off at first."""
    return st.toggle(
        "Smooth the losses",
        key=key,
        help="Each point is the mean of the last epochs, a twentieth of them but at least three.",
    )


def smoothed(rows: Rows, keys: Sequence[str]) -> list[dict[str, Any]]:
    """Replace numbers by their mean over the last epochs.

    Args:
        rows: A run's numbers, one an epoch.
        keys: Which of them to smooth.

    Returns:
        The rows; the first are means of fewer.

    Example:
        >>> smoothed([{"loss": 4.0}, {"loss": 2.0}, {"loss": None}, {"loss": 1.0}], ["loss"])
        [{'loss': 4.0}, {'loss': 3.0}, {'loss': None}, {'loss': 1.5}]
    """
    most = max(3, len(rows) // SMOOTHED)
    found = [dict(row) for row in rows]
    for key in keys:
        # Of what is no number, zeros that are not counted.
        values: deque[float] = deque(maxlen=most)
        known: deque[bool] = deque(maxlen=most)
        for row in found:
            value = row.get(key)
            known.append(is_number(value))
            values.append(float(value) if is_number(value) else 0.0)
            if known[-1]:
                row[key] = math.fsum(values) / sum(known)
    return found


def _points(rows: Rows, keys: Sequence[str], axis: str, series: str) -> Iterator[dict[str, Any]]:
    for row in rows:
        if not is_number(row.get(axis)):
            continue
        for key in keys:
            if is_number(row.get(key)):
                yield {"x": row[axis], "y": row[key], "line": series or name_of(key)}


def draw_chart(
    title: str,
    data: Sequence[Mapping[str, Any]],
    axis: str,
    *,
    levels: Mapping[str, float] | None = None,
    height: int = HEIGHT,
) -> None:
    """Draw lines, with dashed levels to compare them with.

    Args:
        title: What the numbers are.
        data: As ``points`` gives them.
        axis: A key of ``AXES``.
        levels: Name to value of what is drawn straight across.
        height: In pixels.
    """
    st.markdown(f"**{escape_markdown(title)}**")
    if not data:
        st.caption("No numbers yet; the first come after the first epoch.")
        return
    lines = list(dict.fromkeys(str(point["line"]) for point in data))
    colours = DARK if style.is_dark() else LIGHT
    # One line needs no name but the title; rates of learning have more digits than a label.
    legend = LEGEND if len(lines) > 1 else None
    digits = {"format": ".2~e"} if all(abs(point["y"]) < SMALL for point in data) else {}
    scale = {
        "color": {"domain": lines, "range": [colours[i % 6] for i in range(len(lines))]},
        "strokeDash": {"domain": lines, "range": [DASHES[i % 6] for i in range(len(lines))]},
    }
    shared = {"field": "line", "type": "nominal", "title": None}
    curve = {
        "mark": {"type": "line", "point": len(data) < 60, "tooltip": True},
        "data": {"values": list(data)},
        "encoding": {
            "x": {**NUMBER, "field": "x", "title": AXES[axis], "axis": {"tickMinStep": 1}},
            "y": {**NUMBER, "field": "y", "title": None, "scale": {"zero": False}, "axis": digits},
            **{
                channel: {**shared, "scale": scale[channel], "legend": legend}
                for channel in ("color", "strokeDash")
            },
        },
    }
    layers = [curve, *_levels(levels or {}, [point["y"] for point in data], height)]
    words = ", ".join(f"{line} {_last(data, line):.4g}" for line in lines)
    st.vega_lite_chart(
        {"layer": layers, "height": height, "autosize": {"type": "fit", "contains": "padding"}},
        width="stretch",
        alt=f"{title}, latest: {words}",
    )


def _levels(
    levels: Mapping[str, float], values: Sequence[float], height: int
) -> list[dict[str, Any]]:
    if not levels:
        return []
    y = {"field": "y", "type": "quantitative"}
    colour = style.palette().text
    rule = {"type": "rule", "opacity": 0.6, "color": colour}
    words = {"type": "text", "align": "left", "x": 4, "fontSize": 11, "color": colour}
    rules = {"values": [{"y": value, "line": name} for name, value in levels.items()]}
    return [
        {"mark": rule, "data": rules, "encoding": {"y": y}},
        *(
            {
                "mark": {**words, "dy": shift},
                "data": {"values": [{"y": levels[name], "line": name}]},
                "encoding": {"y": y, "text": {"field": "line"}},
            }
            for name, shift in label_shifts(levels, values, height).items()
        ),
    ]


def label_shifts(
    levels: Mapping[str, float], values: Sequence[float], height: int
) -> dict[str, float]:
    """Say how far below its line the name of each level stands, so that none covers another.

    Args:
        levels: Name to value.
        values: Of the curves in the same chart.
        height: Of the chart, pixels.

    Returns:
        Name to pixels, from the highest level to the lowest; negative is above its line.

    Example:
        >>> label_shifts({"a": 1.0, "b": 0.0, "c": 0.99}, [0.5], 100)
        {'a': -5.0, 'c': 7.1, 'b': -5.0}
    """
    top, bottom = max(*levels.values(), *values), min(*levels.values(), *values)
    pixels = FILLED * height / ((top - bottom) or 1.0)
    found, before = {}, float("-inf")
    for name in sorted(levels, key=lambda name: -levels[name]):
        line = (top - levels[name]) * pixels
        at = max(line - 5, before + APART)
        found[name], before = round(at - line, 1), at
    return found


def _last(data: Sequence[Mapping[str, Any]], line: str) -> float:
    return float([point["y"] for point in data if point["line"] == line][-1])
