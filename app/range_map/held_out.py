"""Records that a user gives to fit thresholds, read and asked about once."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from csp_core.data.reading.columns import REMEDY
from csp_core.data.records import RecordDataset
from csp_core.errors import BadRecordError
from csp_core.model import DualEncoder
from csp_core.raster import HeldOut, names_known, read_held_out, values_at_records
from csp_core.store import ModelInfo, read_mapping
from range_map.columns import Chosen, choose_columns
from shared import resources, uploads
from shared.words import count_of

MAX_MEGABYTES = 200
MOST_RECORDS = 1_000_000
# The name of a file of records that whoever starts the app may give.
VARIABLE = "CSP_RECORDS"


@dataclass(frozen=True)
class Given:
    """A file of records.

    Args:
        name: What to call it.
        digest: SHA-256 of its content.
        path: Where it is, or None for an upload.
        content: What was uploaded.
    """

    name: str
    digest: str
    path: Path | None = None
    content: bytes = b""


def given_file() -> Given | None:
    """Draw the box for a file of records.

    Returns:
        The file that was given, by upload or by the environment variable ``CSP_RECORDS``.
    """
    uploaded = st.file_uploader(
        "A file of records (CSV, spreadsheet, Darwin Core Archive, GeoJSON, GeoPackage, Parquet …)",
        key="records_file",
        max_upload_size=MAX_MEGABYTES,
    )
    if uploaded is not None:
        content = uploaded.getvalue()
        return Given(uploaded.name, hashlib.sha256(content).hexdigest(), content=content)
    named = Path(os.environ.get(VARIABLE, ""))
    return Given(named.name, resources.file_hash(named), named) if named.is_file() else None


def columns_of(info: ModelInfo, given: Given) -> Chosen:
    """Let whoever gives a file say which of its columns holds what.

    Args:
        info: The model.
        given: The file.

    Returns:
        What was chosen; nothing of the model's own file, or one that whoever started the app gave.

    Raises:
        BadRecordError: If it cannot be read.
    """
    if given.path or _is_own(str(info.directory), given.digest):
        return ()
    called = _plain_name(given)
    try:
        columns, found = _columns(given.digest, called, given)
    except BadRecordError as error:
        raise BadRecordError(str(error).replace(called, given.name)) from None
    return choose_columns(given.digest[:12], columns, found)


def held_out(
    info: ModelInfo, taxon: str, given: Given, columns: Chosen = ()
) -> tuple[HeldOut, str, str]:
    """Ask a model about the places of records.

    Args:
        info: The model.
        taxon: Scientific name.
        given: The file.
        columns: Canonical name and column, where another is meant than is found.

    Returns:
        The values; what was read, left out and guessed, in lines; and which names are known.

    Raises:
        CspError: If the file cannot be read, or the model has learned from all of it.
    """
    content, called = resources.content_hash(info), _plain_name(given)
    where = str(info.directory), content, given.digest
    try:
        records, report = _records(*where, columns, given, called)
    except BadRecordError as error:
        said, _, remedy = str(error).replace(called, given.name).partition(REMEDY)
        if remedy and given.path:
            raise
        raise BadRecordError(f"{said} Choose them in the boxes." if remedy else said) from None
    report = report.replace(called, given.name, 1)
    model = resources.model(info)
    values = _values(*where, columns, taxon, model, records)
    return values, report, _names_known(*where, columns, model, records)


def _plain_name(given: Given) -> str:
    """Name a copy of a file with its ending alone; the rest of a name is the user's to choose.

    What is read of a content is kept for all who give it, each under a name of their own, which
    takes the place of this one in every message: so this is no word.
    """
    suffix = Path(given.name).suffix
    return f"upload-{given.digest[:12]}" + (suffix if suffix[1:].isalnum() else "")


@st.cache_data(show_spinner=False, max_entries=8)
def _columns(digest: str, called: str, _given: Given) -> tuple[list[str], dict[str, str]]:
    uploads.check_length(len(_given.content), MAX_MEGABYTES)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, called)
        path.write_bytes(_given.content)
        return uploads.read_columns(str(path))


@st.cache_resource(show_spinner="Reading the records …", max_entries=2)
def _records(
    directory: str, content: str, digest: str, columns: Chosen, _given: Given, called: str
) -> tuple[RecordDataset, str]:
    own = _is_own(directory, digest)
    if _given.path:
        records = read_held_out(directory, _given.path)
        return records, _own_words(called, len(records)) if own else ""
    uploads.check_length(len(_given.content), MAX_MEGABYTES)
    with tempfile.TemporaryDirectory() as folder:
        path, report = Path(folder, called), ""
        path.write_bytes(_given.content)
        if not own:
            # Whatever it holds, a child process makes one plain table of it.
            tidy = Path(folder, "tidy", "records.parquet")
            chosen = dict(columns)
            kept, report = uploads.import_upload(str(path), str(tidy), MOST_RECORDS, chosen)
            if not kept:
                raise BadRecordError(f"No row of the file can be used. {report}")
            path, own = tidy, _is_own(directory, resources.file_hash(tidy))
        records = read_held_out(directory, path)
        return records, _own_words(called, len(records)) if own else report


@st.cache_data(show_spinner=False, max_entries=16)
def _names_known(
    directory: str,
    content: str,
    digest: str,
    columns: Chosen,
    _model: DualEncoder,
    _records: RecordDataset,
) -> str:
    found = names_known(_model, _records)
    if not found.unknown:
        return f"The model knows {'its one name' if found.known == 1 else 'all of its names'}."
    rows = count_of(found.records, "record", "records")
    named = ", ".join(f"{name} ({count:,})" for name, count in found.named.items())
    more = found.unknown - len(found.named)
    rest = f" and {more:,} more" if more else ""
    return (
        f"The model knows {found.known:,} of its {found.known + found.unknown:,} names; the {rows}"
        f" of others count as other species: {named}{rest}."
    )


def _own_words(called: str, records: int) -> str:
    return (
        f"{called}: these are the records that the model learned from. Only the {records:,} that"
        " were held out of its training are used here."
    )


def _is_own(directory: str, digest: str) -> bool:
    """Tell whether a file is the one that a model has learned from, of which some is held out."""
    provenance = read_mapping(Path(directory) / "config.json").get("provenance") or {}
    return bool((provenance.get("data") or {}).get("sha256") == digest)


@st.cache_resource(show_spinner="Asking the model about the records …", max_entries=16)
def _values(
    directory: str,
    content: str,
    digest: str,
    columns: Chosen,
    taxon: str,
    _model: DualEncoder,
    _records: RecordDataset,
) -> HeldOut:
    return values_at_records(_model, taxon, _records)
