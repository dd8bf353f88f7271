"""Records that a user gives to fit thresholds, read and asked about once."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from csp_core.data.records import RecordDataset
from csp_core.errors import BadRecordError
from csp_core.model import DualEncoder
from csp_core.raster import HeldOut, read_held_out, values_at_records
from csp_core.store import ModelInfo, read_mapping
from shared import resources, uploads

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


def held_out(info: ModelInfo, taxon: str, given: Given) -> tuple[HeldOut, str]:
    """Ask a model about the places of records.

    Args:
        info: The model.
        taxon: Scientific name.
        given: The file.

    Returns:
        The values, and what was read, left out and guessed, in lines; none for the model's own
        file.

    Raises:
        CspError: If the file cannot be read, or the model has learned from all of it.
    """
    content = resources.content_hash(info)
    # Of the name only a plain ending is used, as the rest is the user's to choose; and what is read
    # of a content is kept for all who give it, each under a name of their own.
    suffix = Path(given.name).suffix
    called = "records" + (suffix if suffix[1:].isalnum() else "")
    try:
        records, report = _records(str(info.directory), content, given.digest, given, called)
    except BadRecordError as error:
        raise BadRecordError(str(error).replace(called, given.name)) from None
    report = report.replace(called, given.name, 1)
    model = resources.model(info)
    values = _values(str(info.directory), content, given.digest, taxon, model, records)
    return values, report


@st.cache_resource(show_spinner="Reading the records …", max_entries=2)
def _records(
    directory: str, content: str, digest: str, _given: Given, called: str
) -> tuple[RecordDataset, str]:
    if _given.path:
        return read_held_out(directory, _given.path), ""
    uploads.check_length(len(_given.content), MAX_MEGABYTES)
    with tempfile.TemporaryDirectory() as folder:
        path, report = Path(folder, called), ""
        path.write_bytes(_given.content)
        if not _is_own(directory, digest):
            # Whatever it holds, a child process makes one plain table of it.
            tidy = Path(folder, "tidy", "records.parquet")
            kept, report = uploads.import_upload(str(path), str(tidy), MOST_RECORDS)
            if not kept:
                raise BadRecordError(f"No row of the file can be used. {report}")
            path = tidy
        return read_held_out(directory, path), report


def _is_own(directory: str, digest: str) -> bool:
    """Tell whether a file is the one that a model has learned from, of which some is held out."""
    provenance = read_mapping(Path(directory) / "config.json").get("provenance") or {}
    return bool((provenance.get("data") or {}).get("sha256") == digest)


@st.cache_resource(show_spinner="Asking the model about the records …", max_entries=16)
def _values(
    directory: str,
    content: str,
    digest: str,
    taxon: str,
    _model: DualEncoder,
    _records: RecordDataset,
) -> HeldOut:
    return values_at_records(_model, taxon, _records)
