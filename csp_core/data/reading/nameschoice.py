"""Which of several columns of names holds scientific ones, by what stands in the first records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from csp_core.data.reading.columns import ALIASES, plain
from csp_core.data.reading.source import Rereader

BINOMIAL = r"^[A-Z][a-z-]{2,} (?:[×x] )?[a-z-]{3,}"
# The first so many records tell how a file uses its columns.
ENOUGH = 5_000
# As many of a hundred records may differ by synonyms and hybrids alone.
APART = 0.2


def choose_names(
    header: Sequence[str], columns: Mapping[str, str], sure: Mapping[str, str], reread: Rereader
) -> tuple[dict[str, str], list[str]]:
    """Take the column of scientific names where the one that was found holds others.

    Args:
        header: The columns of the file.
        columns: Canonical name to column, as headings tell.
        sure: Those that the user or the format names.
        reread: Gives columns of the whole file; the beginning is read where several hold names.

    Returns:
        Canonical name to column, and what there is to say of it.
    """
    taken = columns.get("scientific_name")
    aliases = {*ALIASES["scientific_name"], "species"}
    names = [
        n for n in dict.fromkeys(header) if plain(n) in aliases and plain(n) != plain(taken or "")
    ]
    names = [name for name in names if name not in columns.values()]
    if not taken or "scientific_name" in sure or not names or taken == "scientific_name":
        return dict(columns), []
    table = _beginning(reread, [taken, *names])
    share = {name: _share(table[name]) for name in (taken, *names)}
    best = max(names, key=lambda name: share[name])
    if share[taken] < 0.5 < share[best]:
        common = {} if "common_name" in columns else {"common_name": taken}
        chosen = (
            f"scientific_name is read from {best!r}, not from {taken!r}: {share[best]:.0%} of the"
            f" first {len(table):,} values look like scientific names there, {share[taken]:.0%}"
            " here"
        )
        return {**columns, "scientific_name": best, **common}, [chosen]
    said: list[str] = []
    for name in names:
        both = table.filter(
            pl.col(taken).str.contains(BINOMIAL), pl.col(name).str.contains(BINOMIAL)
        )
        apart = int((_words(both[taken]) != _words(both[name])).sum())
        if apart > APART * len(both):
            said.append(
                f"scientific_name is read from {taken!r}, not from {name!r}, which says otherwise"
                f" in {apart:,} of the first {len(both):,} records"
            )
    return dict(columns), said


def _beginning(reread: Rereader, columns: list[str]) -> pl.DataFrame:
    found: list[pl.DataFrame] = []
    for table in reread(columns):
        found.append(table.select(pl.col(columns).cast(pl.String).str.strip_chars()))
        if sum(map(len, found)) >= ENOUGH:
            break
    return (
        pl.concat(found).head(ENOUGH)
        if found
        else pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    )


def _share(names: pl.Series) -> float:
    given = names.filter(names != "")
    return int(given.str.contains(BINOMIAL).sum()) / len(given) if len(given) else 0.0


def _words(names: pl.Series) -> pl.Series:
    return names.str.to_lowercase().str.extract(r"^(\S+ \S+)", 1)
