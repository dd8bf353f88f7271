"""Everything the app keeps between runs: models, maps, world outlines and what is installed."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import streamlit as st

from csp_core.errors import CheckpointError, CspError
from csp_core.files import asset_path, hash_file
from csp_core.model import DualEncoder
from csp_core.raster import Credit, Raster, heatmap, read_credit
from csp_core.runs.jobs import runs_home
from csp_core.store import (
    ModelInfo,
    class_names,
    entries,
    list_models,
    load_model,
    read_card,
)
from csp_core.store import text_files as model_texts
from shared.gate import LEAFLET, MAP

# Of the maps on the page, degrees; the twelve small ones are coarser.
STEP, SMALL_STEP = 0.5, 1.0


def leaflet_ready() -> bool:
    """Tell whether Leaflet is installed; ``CSP_LEAFLET_DIR`` names another folder to look in."""
    folder = os.environ.get("CSP_LEAFLET_DIR") or Path(__file__).resolve().parents[1] / LEAFLET
    return Path(folder, "leaflet.js").is_file()


def leaflet_url() -> str:
    """Give the address below which the server serves Leaflet."""
    return _static_url(LEAFLET)


def _static_url(folder: str) -> str:
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}/app/{folder}" if base else f"/app/{folder}"


def _map_file(name: str) -> str:
    """Give the address of a file of the maps, which changes with its content."""
    path = Path(__file__).resolve().parents[1] / MAP / name
    return f"{_static_url(MAP)}/{name}?v={file_hash(path)[:12]}"


def map_scripts() -> list[tuple[str, str]]:
    """Give the scripts of a map in their order: name and address."""
    own = [(name, _map_file(f"{name}.js")) for name in ("world", "told", "map")]
    return [("leaflet", f"{leaflet_url()}/leaflet.js"), *own]


def world_urls() -> dict[str, str]:
    """Give the addresses of what a map fetches itself.

    Returns:
        ``names`` of countries, and ``detail``, the finer world, for who looks closer.
    """
    return {name: _map_file(f"{name}.json") for name in ("names", "detail")}


@st.cache_data(show_spinner=False, max_entries=4)
def world(name: str) -> str:
    """Read a bundled outline.

    Args:
        name: ``"land"`` or ``"borders"``.

    Returns:
        GeoJSON text.
    """
    return asset_path("world", f"{name}.geojson").read_text(encoding="utf-8")


def models() -> list[ModelInfo]:
    """List the models, damaged ones included."""
    return _list_models(os.environ.get("CSP_MODELS", ""), str(runs_home().absolute()))


@st.cache_data(show_spinner=False, ttl=10, max_entries=4)
def _list_models(folder: str, runs: str) -> list[ModelInfo]:
    return list_models()


def forget_models() -> None:
    """Have the models listed anew, after one came or went."""
    _list_models.clear()


def model(info: ModelInfo) -> DualEncoder:
    """Load a model once for all sessions.

    Args:
        info: A line of ``models()``.

    Returns:
        The model, shared: read it, never change it.

    Raises:
        CheckpointError: If it is damaged.
    """
    return _load_model(str(info.directory), content_hash(info))


@st.cache_resource(show_spinner="Loading the model …", max_entries=2)
def _load_model(directory: str, content: str) -> DualEncoder:
    return load_model(directory)


def share_classes(info: ModelInfo, other: ModelInfo) -> bool:
    """Tell whether two models know a class in common, without loading either."""
    if info.name == other.name:
        return True
    try:
        return not _names(info).isdisjoint(_names(other))
    except CspError:
        return False


def _names(info: ModelInfo) -> frozenset[str]:
    return _read_names(str(info.directory), content_hash(info))


@st.cache_resource(show_spinner=False, max_entries=8)
def _read_names(directory: str, content: str) -> frozenset[str]:
    return frozenset(class_names(Path(directory)))


def content_hash(info: ModelInfo) -> str:
    """Tell a model from every other by its files.

    Args:
        info: A line of ``models()``.

    Returns:
        Text that changes with any of them.

    Raises:
        CheckpointError: If they cannot be read.
    """
    directory = info.directory
    try:
        files = [path for path in entries(directory) if path.is_file()]
        return "-".join(map(file_hash, files))
    except (CheckpointError, OSError) as error:
        raise CheckpointError(f"The model in {directory} cannot be read ({error}).") from error


def file_hash(path: Path) -> str:
    """Give a file's SHA-256, computed once while nothing writes to it."""
    stat = path.stat()
    return _hash(str(path), stat.st_mtime_ns, stat.st_size)


# A page asks for some forty of them at every click; Streamlit's cache takes a tenth of the click.
@lru_cache(maxsize=256)
def _hash(path: str, modified: int, size: int) -> str:
    return hash_file(path)


def raster(
    info: ModelInfo,
    taxon: str,
    date: float | None = None,
    step: float = STEP,
    *,
    only_supported: bool = False,
    sea: bool = True,
) -> Raster:
    """Compute a species on the world, once for all sessions.

    Args:
        info: A line of ``models()``.
        taxon: Scientific name.
        date: Part of the year in [0, 1), or None.
        step: Side of a cell, degrees.
        only_supported: Whether to spare the cells where the model extrapolates, nearly all the
            work of a map of the bundled birds; a model without counts of its records spares none.
        sea: Whether cells without land are part of it.

    Returns:
        The raster, shared: read it, never change it.

    Raises:
        CspError: If the model cannot be loaded or does not know the species.
    """
    return _raster(str(info.directory), content_hash(info), taxon, date, step, only_supported, sea)


# A raster of the world takes 1 MB; what the model knows of the grid is kept by ``heatmap``.
@st.cache_resource(show_spinner="Computing the map …", max_entries=48)
def _raster(
    directory: str, content: str, taxon: str, date: float | None, step: float, only_supported: bool,
    sea: bool,
) -> Raster:  # fmt: skip
    model = _load_model(directory, content)
    return heatmap(
        model, taxon, step=step, date=date, only_supported=only_supported, land_only=not sea
    )


def credit(info: ModelInfo) -> Credit:
    """Tell whom files made from a model have to name."""
    return read_credit(info.directory)


def card(info: ModelInfo) -> str:
    """Read a model's card.

    Args:
        info: A line of ``models()``.

    Returns:
        Markdown.
    """
    return read_card(info.directory)


def text_files(info: ModelInfo) -> dict[str, str]:
    """Read the licence and attribution that come with a model.

    Args:
        info: A line of ``models()``.

    Returns:
        File name to text.
    """
    return model_texts(info.directory)
