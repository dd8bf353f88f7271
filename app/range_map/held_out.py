"""Records that a user gives to fit thresholds: which part of them lies above a value."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
import torch
from torch import Tensor

from csp_core.data.records import RecordDataset
from csp_core.errors import BadRecordError
from csp_core.inference import CHUNK, location_prior
from csp_core.model import DualEncoder
from csp_core.raster import Threshold, find_class, fit_threshold, read_held_out
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
        "A file of records (CSV, Parquet, Darwin Core Archive …)",
        key="records_file",
        max_upload_size=MAX_MEGABYTES,
    )
    if uploaded is not None:
        content = uploaded.getvalue()
        return Given(uploaded.name, hashlib.sha256(content).hexdigest(), content=content)
    named = Path(os.environ.get(VARIABLE, ""))
    return Given(named.name, resources.file_hash(named), named) if named.is_file() else None


@dataclass(frozen=True)
class HeldOut:
    """Values of one species at records that the model has not learned from.

    Args:
        presence: ``(P,)`` values at records of the species.
        background: ``(B,)`` values at records of others.
    """

    presence: Tensor
    background: Tensor

    def fit(self, method: str) -> Threshold:
        """Fit a threshold.

        Args:
            method: A key of ``csp_core.raster.THRESHOLDS``.

        Returns:
            The threshold.

        Raises:
            BadRecordError: If there are no records of the species, or none of others.
        """
        return fit_threshold(self.presence, self.background, method)

    def above(self, value: float) -> tuple[float, float]:
        """Tell which parts of the records reach a value.

        Args:
            value: The value.

        Returns:
            The part of the species' records, and that of the others; NaN where there are none.
        """
        own, others = (part >= value for part in (self.presence, self.background))
        return float(own.double().mean()), float(others.double().mean())


def held_out(info: ModelInfo, taxon: str, given: Given) -> HeldOut:
    """Ask a model about the places of records.

    Args:
        info: The model.
        taxon: Scientific name.
        given: The file.

    Returns:
        The values.

    Raises:
        CspError: If the file cannot be read, or the model has learned from all of it.
    """
    content = resources.content_hash(info)
    records = _records(str(info.directory), content, given.digest, given)
    model = resources.model(info)
    return _values(str(info.directory), content, given.digest, taxon, model, records)


@st.cache_resource(show_spinner="Reading the records …", max_entries=2)
def _records(directory: str, content: str, digest: str, _given: Given) -> RecordDataset:
    if _given.path:
        return read_held_out(directory, _given.path)
    uploads.check_length(len(_given.content), MAX_MEGABYTES)
    with tempfile.TemporaryDirectory() as folder:
        # Of the name only a plain ending is used: the rest is the user's to choose.
        suffix = Path(_given.name).suffix
        path = Path(folder, "records" + (suffix if suffix[1:].isalnum() else ""))
        path.write_bytes(_given.content)
        if not _is_own(directory, digest):
            # Whatever it holds, a child process makes one plain table of it.
            tidy = Path(folder, "tidy", "records.parquet")
            kept, report = uploads.import_upload(str(path), str(tidy), MOST_RECORDS)
            if not kept:
                raise BadRecordError(f"No row of the file can be used. {report}")
            path = tidy
        return read_held_out(directory, path)


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
    label = find_class(_model, taxon)
    matched = _model.classes.match(_records.classes.names)
    keep = (_records.label >= 0) & ~_records.lonlat.isnan().any(dim=1)
    own = matched[_records.label[keep]] == label
    parts = []
    for rows in torch.split(keep.nonzero()[:, 0], CHUNK):
        date = _records.date[rows] if _model.uses_date else None
        parts.append(location_prior(_model, _records.lonlat[rows], date=date)[:, label])
    values = torch.cat(parts) if parts else torch.zeros(0)
    return HeldOut(values[own], values[~own])
