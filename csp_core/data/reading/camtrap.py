"""Camera Trap Data Packages: observations, each with what its deployment says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import polars as pl

from csp_core.data.reading.archives import Members
from csp_core.data.reading.columns import listed
from csp_core.data.reading.events import own_or_theirs
from csp_core.data.reading.source import Chunk, Rejected, Source
from csp_core.data.reading.text import TextSource
from csp_core.errors import BadRecordError

PACKAGE = "datapackage.json"
MAX_JSON = 1 << 24
DEPLOYMENT = "deploymentID"
KIND, LEVEL = "observationType", "observationLevel"
NO_ANIMAL = "observation of no animal"
OF_MEDIA = "observation of a single picture, where its event is a record too"
# Columns of our own, by names that no file can have.
LINE, REASON = "\0line", "\0reason"
NAMES = ("observations", "deployments")


def find_package(members: Members) -> str | None:
    """Find the description of a camera trap package, which may lie in a folder of its own.

    Args:
        members: The files.

    Returns:
        Its name; None if there is none, or it describes something else.
    """
    found = [name for name in members.names if PurePosixPath(name).name == PACKAGE]
    for name in sorted(found, key=lambda name: (name.count("/"), name))[:1]:
        about = _described(members, name)
        resources = {_text(r.get("name")) for r in _resources(about)}
        folder = _folder(name)
        beside = all(f"{folder}{table}.csv" in members.names for table in NAMES)
        if "camtrap" in _text(about.get("profile")) or {*NAMES} <= resources or beside:
            return name
    return None


class CamtrapSource(Source):
    """The observations of a camera trap package, joined to their deployments.

    Args:
        members: The files.
        name: Name of the description among them.

    Raises:
        BadRecordError: If the description is damaged or names files that are not there.
    """

    def __init__(self, members: Members, name: str) -> None:
        about = _described(members, name)
        files = {table: _file(members, _folder(name), about, table) for table in NAMES}
        self._rows, self._deployments = (TextSource(members.opener(files[t])) for t in NAMES)
        for text, table in ((self._rows, NAMES[0]), (self._deployments, NAMES[1])):
            if DEPLOYMENT not in text.header:
                raise BadRecordError(
                    f"{files[table][:80]} has no column {DEPLOYMENT}, by which observations find"
                    f" their deployment; it has: {listed(text.header, most=8)}."
                )
        header = dict.fromkeys([*self._rows.header, *self._deployments.header])
        notes = ["each observation joined to its deployment"]
        super().__init__(
            "camtrap dp",
            list(header),
            delimiter=self._rows.delimiter,
            encoding=self._rows.encoding,
            notes=[*notes, *self._rows.notes],
        )
        # Earlier versions of the standard call it so.
        if "timestamp" in self.header:
            self.fallback["date"] = "timestamp"

    def chunks(self, columns: Sequence[str]) -> Iterator[Chunk]:
        """Read the observations of animals.

        Args:
            columns: Those of ``header`` to read.

        Yields:
            Some records at a time.

        Raises:
            BadRecordError: If a file is damaged.
        """
        own = [name for name in columns if name in self._rows.header]
        theirs = [n for n in columns if n in self._deployments.header and n != DEPLOYMENT]
        about = self._places(theirs)
        judged = [name for name in (KIND, LEVEL) if name in self._rows.header]
        reason = _reason(judged, LEVEL in judged and self._has_events())
        for chunk in self._rows.chunks(list(dict.fromkeys([*own, DEPLOYMENT, *judged]))):
            table = chunk.table.with_columns(pl.col(DEPLOYMENT).str.strip_chars())
            table = table.join(about, on=DEPLOYMENT, how="left", suffix="\0", maintain_order="left")
            table = table.with_columns(own_or_theirs(table, own, theirs, "\0"))
            table = table.with_columns(reason, chunk.lines.alias(LINE))
            out = table.filter(pl.col(REASON).is_not_null())
            bad = [
                Rejected(line, " ".join(filter(None, said)), why)
                for line, why, *said in out.select(LINE, REASON, *judged).rows()
            ]
            kept = table.filter(pl.col(REASON).is_null())
            self.encoding = self._rows.encoding
            yield Chunk(kept.select(columns), kept[LINE], (*chunk.rejected, *bad))

    def _places(self, columns: Sequence[str]) -> pl.DataFrame:
        """Read what is said of each deployment; of rows of one identifier the first counts."""
        tables = [chunk.table for chunk in self._deployments.chunks([*columns, DEPLOYMENT])]
        table = pl.concat(tables).with_columns(pl.col(DEPLOYMENT).str.strip_chars())
        return table.unique(DEPLOYMENT, keep="first").drop_nulls(DEPLOYMENT)

    def _has_events(self) -> bool:
        """Tell whether whole events are recorded beside the pictures that they are made of."""
        levels = (chunk.table[LEVEL] for chunk in self._rows.chunks([LEVEL]))
        return any(bool((level.str.strip_chars() == "event").any()) for level in levels)


def _reason(judged: Sequence[str], events: bool) -> pl.Expr:
    """Say why an observation is no record of its own."""
    none = pl.lit(None, pl.String)
    kind = pl.col(KIND).str.strip_chars().str.to_lowercase() if KIND in judged else none
    level = pl.col(LEVEL).str.strip_chars().str.to_lowercase() if LEVEL in judged else none
    return (
        pl.when((kind != "") & (kind != "animal"))
        .then(pl.lit(NO_ANIMAL))
        .when((level == "media") & pl.lit(events))
        .then(pl.lit(OF_MEDIA))
        .alias(REASON)
    )


def _described(members: Members, name: str) -> dict[str, Any]:
    with members.open(name) as stream:
        data = stream.read(MAX_JSON + 1)
    try:
        about = json.loads(data) if len(data) <= MAX_JSON else None
    except (ValueError, RecursionError) as error:
        raise BadRecordError(f"{name[:80]} is damaged ({str(error)[:80]}).") from error
    if not isinstance(about, dict):
        raise BadRecordError(f"{name[:80]} describes no package.")
    return about


def _resources(about: dict[str, Any]) -> list[dict[str, Any]]:
    found = about.get("resources")
    return [r for r in found if isinstance(r, dict)] if isinstance(found, list) else []


def _file(members: Members, folder: str, about: dict[str, Any], table: str) -> str:
    """Find the file of a table: as the description names it, else by its usual name."""
    paths = [r.get("path") for r in _resources(about) if r.get("name") == table]
    named = next((path for path in paths if isinstance(path, str)), f"{table}.csv")
    name = folder + named.removeprefix("./")
    if name in members.names:
        return name
    held = listed(members.names, most=8) or "nothing"
    raise BadRecordError(f"{named[:80]!r} is not in the package, which holds: {held}.")


def _folder(name: str) -> str:
    folder = str(PurePosixPath(name).parent)
    return "" if folder == "." else f"{folder}/"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
