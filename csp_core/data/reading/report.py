"""What reading a file did, in counts and examples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

import polars as pl

EXAMPLES = 100
# A cell may hold megabytes.
LONGEST = 200
Examples = tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class ImportReport:
    """What reading a file did; ``rows_read`` is ``rows_kept`` plus all that is in ``dropped``.

    Args:
        file: Name of the file, without its folder.
        format: What it was read as.
        delimiter: Name of the delimiter, ``""`` for formats without one.
        encoding: Text encoding, ``""`` for formats without one.
        mapping: Canonical column to the column of the file that it was read from.
        rows_read: Records in the file; blank lines do not count.
        rows_kept: Records that were kept.
        dropped: Reason to number of records left out.
        changed: Reason to number of kept records in which a value was changed.
        examples: Reason to its first (line, what stood there), header at line 1.
        flagged: Suspicion to number of kept records that it falls on; nothing was changed in them.
        notes: Sentences about what the file lacks, what of it was not used, and which conventions
            were guessed by what evidence.
        spellings: Name to the ways in which it was given, where those differ from it.
    """

    file: str
    format: str
    delimiter: str
    encoding: str
    mapping: dict[str, str]
    rows_read: int
    rows_kept: int
    dropped: dict[str, int]
    changed: dict[str, int]
    examples: dict[str, Examples]
    flagged: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    spellings: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Return the report as JSON can hold it.

        Returns:
            One entry per field.
        """
        some = {reason: [list(pair) for pair in pairs] for reason, pairs in self.examples.items()}
        spelled = {name: list(given) for name, given in self.spellings.items()}
        return asdict(self) | {
            "examples": some,
            "notes": list(self.notes),
            "spellings": spelled,
        }

    def __str__(self) -> str:
        """Return the report as a few lines of text."""
        kind = ", ".join(filter(None, (self.format, self.delimiter, self.encoding)))
        columns = ", ".join(f"{key} from {column!r}" for key, column in self.mapping.items())
        lines = [
            f"{self.file} ({kind}): {self.rows_kept:,} of {self.rows_read:,} records kept",
            f"  columns: {columns}",
        ]
        titles = ("dropped", self.dropped), ("changed", self.changed), ("look at", self.flagged)
        for title, counts in titles:
            for reason, count in counts.items():
                line, what = self.examples[reason][0]
                lines.append(f"  {title} {count:,}: {reason}; first at line {line}: {what}")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def _short(what: str) -> str:
    return what if len(what) <= LONGEST else f"{what[: LONGEST - 1]}…"


class Tally:
    """Counts of reasons, with the first examples of each, gathered batch by batch."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._examples: dict[str, list[tuple[int, str]]] = {}

    def add(self, reasons: pl.DataFrame) -> None:
        """Count reasons.

        Args:
            reasons: Columns ``line``, ``reason`` and ``detail``; rows without a reason do not
                count.
        """
        if not len(reasons):
            return
        hit = reasons.filter(pl.col("reason").is_not_null())
        for (reason,), group in hit.group_by(["reason"], maintain_order=True):
            some = group.head(EXAMPLES).select("line", "detail").rows()
            self.count(str(reason), len(group), some)

    def count(self, reason: str, number: int, examples: Iterable[tuple[int, str]]) -> None:
        """Count one reason.

        Args:
            reason: The reason.
            number: Records that it falls on.
            examples: (line, what stands there) of some of them.
        """
        self._counts[reason] = self._counts.get(reason, 0) + number
        known = self._examples.setdefault(reason, [])
        some = list(examples)[: EXAMPLES - len(known)]
        known += [(line, _short(what)) for line, what in some]

    @property
    def counts(self) -> dict[str, int]:
        """Reason to number of records, most frequent first."""
        return dict(sorted(self._counts.items(), key=lambda item: (-item[1], item[0])))

    @property
    def examples(self) -> dict[str, Examples]:
        """Reason to its first examples."""
        return {reason: tuple(self._examples[reason]) for reason in self.counts}
