"""The table of a sweep: Markdown for people, CSV and JSON for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from csp_core.files import spreadsheet_cell, write_json, write_text

METRICS = ("top1", "top3", "top5", "mrr", "macro_ap", "micro_ap", "macro_f1", "miou", "log_loss")
NUMBERS = (
    *("epoch", "seconds", "val_objective"),
    *(f"{split} {name}" for split in ("train", "val", "test") for name in METRICS),
)
# On records held out, with the sign that makes less better.
CHOSEN_BY = (("val mrr", -1), ("val macro_ap", -1), ("val miou", -1), ("val_objective", 1))
Row = Mapping[str, Any]


def write_tables(rows: Sequence[Row], folder: Path) -> None:
    """Write ``table.md``, ``table.csv`` and ``table.json``, each replaced at once.

    Args:
        rows: As ``run_sweep`` returns.
        folder: Where to.
    """
    flat = [_flat(row) for row in rows]
    columns = list(dict.fromkeys(key for row in flat for key in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    # People open it in a spreadsheet; programs that read it back have ``table.json``.
    writer.writerows({key: spreadsheet_cell(value) for key, value in row.items()} for row in flat)
    write_text(folder / "table.csv", stream.getvalue())
    write_json(folder / "table.json", json.loads(json.dumps(list(rows), default=str)))
    write_text(folder / "table.md", markdown_table(rows))


def markdown_table(rows: Sequence[Row]) -> str:
    """Write the table for people.

    Args:
        rows: As ``run_sweep`` returns.

    Returns:
        Markdown: a line a cell, means over seeds if there are several, the best cell by records
        held out, and why what failed has failed.
    """
    keys, flat = list(rows[0]["values"]), [_flat(row) for row in rows]
    numbers = [name for name in NUMBERS if any(name in row for row in flat)]
    lines = [
        [*(_cell(row[key]) for key in keys), row["state"], *(_cell(row.get(n)) for n in numbers)]
        for row in flat
    ]
    parts = [_table([*short_keys(keys), "state", *numbers], lines)]
    finished = [row for row in flat if row["state"] == "finished"]
    if len({row.get("seed") for row in finished}) > 1 and len(keys) > 1:
        others = [key for key in keys if key != "seed"]
        parts.append("Means over seeds:\n\n" + _over_seeds(finished, others, numbers))
    # Chosen on records held out, never on those of a test.
    for name, sign in CHOSEN_BY:
        if found := [i for i, r in enumerate(flat) if r["state"] == "finished" and name in r]:
            best = min(found, key=lambda i: sign * flat[i][name])
            parts.append(f"Best by {name}: {describe(rows[best]['values'])}.")
            break
    failed = [f"- {describe(r['values'])}: {r['message']}" for r in rows if r["state"] == "failed"]
    parts += ["Failed:\n\n" + "\n".join(failed)] if failed else []
    return "\n\n".join(parts) + "\n"


def describe(values: Mapping[str, Any]) -> str:
    """Write what a cell sets in one line.

    Args:
        values: Key to value.

    Returns:
        ``key=value, …``, keys cut to what tells them apart.

    Example:
        >>> describe({"training.learning_rate": 0.001, "seed": 1})
        'learning_rate=0.001, seed=1'
    """
    keys = short_keys(list(values))
    return ", ".join(f"{k}={_cell(v)}" for k, v in zip(keys, values.values(), strict=True))


def short_keys(keys: Sequence[str]) -> list[str]:
    """Cut keys to their last part, where that is enough to tell them apart.

    Args:
        keys: ``section.key``.

    Returns:
        As many names.
    """
    last = [key.rsplit(".", 1)[-1] for key in keys]
    return [end if last.count(end) == 1 else key for key, end in zip(keys, last, strict=True)]


def _flat(row: Row) -> dict[str, Any]:
    """Give a row without nesting: values, state and numbers."""
    flat = {**row["values"], **{k: v for k, v in row.items() if not isinstance(v, Mapping)}}
    for split in ("train", "val", "test"):
        found = row.get(split, {})
        flat |= {f"{split} {name}": found[name] for name in METRICS if name in found}
    return flat


def _over_seeds(rows: Sequence[Row], keys: Sequence[str], numbers: Sequence[str]) -> str:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(str([row[key] for key in keys]), []).append(row)
    lines = []
    for group in groups.values():
        line = [*(_cell(group[0][key]) for key in keys), str(len(group))]
        for name in numbers:
            found = [float(row[name]) for row in group if name in row]
            spread = f" ± {stdev(found):.2g}" if len(found) > 1 else ""
            line.append(f"{mean(found):.4g}{spread}" if found else "–")
        lines.append(line)
    return _table([*short_keys(keys), "seeds", *numbers], lines)


def _cell(value: Any) -> str:
    text = "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join([*rows, *("| " + " | ".join(line) + " |" for line in lines)])
