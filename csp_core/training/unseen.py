"""Making sure that nothing a run learns from, now or before, has seen the test."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from csp_core.config import RunConfig
from csp_core.data import DATASETS, load_dataset
from csp_core.data.leaks import check_apart
from csp_core.data.records import RecordDataset
from csp_core.data.sets.facts import facts_of
from csp_core.data.tiles.footprints import TileDataset, check_ground
from csp_core.errors import ConfigError, CspError
from csp_core.objectives import OBJECTIVES
from csp_core.store import find_model, read_model_config
from csp_core.tables import option_names


def check_unseen(
    config: RunConfig, train_set: RecordDataset, val_set: RecordDataset | None, source: str | None
) -> None:
    """Make sure that nothing learned without labels, now or before, has seen the test.

    Tiles of ground may show none of the test's, whatever they are for. Where the test is made of
    blocks, pre-training may see neither an image nor a place in them, nor a place nearer to them
    than the buffer. A model that training starts from, or that its image encoder has its weights
    from, must have held out the same test if it was trained on the same data: every option must be
    the same but for those that cannot change the test, and ``root``, as folders move; and so must
    be the hash of the test, where both have one. In any case it must have kept at least as far from
    the test.

    Args:
        config: The run.
        train_set: What it learns from.
        val_set: Records held out, or None.
        source: Model it starts from, or None.

    Raises:
        ConfigError: If the test has been, or would be, seen.
    """
    if config.data.options.get("test_fraction") == 0:
        return
    if isinstance(train_set, TileDataset):
        _check_tiles(config, train_set, val_set)
    elif "labels" not in OBJECTIVES[config.objective.name].learns_from:
        _check_blocks(config, train_set, val_set)
    if source is not None:
        _check_model(config, train_set, source, "this run starts from")
    for path in _weights(config):
        _check_model(config, train_set, path, "this run's image encoder starts from")
    if config.data.quality is not None:
        for path in config.data.quality.models():
            _check_model(config, train_set, path, "chooses among this run's records")
    metadata = config.objective.options.get("metadata")
    if isinstance(metadata, Mapping) and "init_from" in metadata:
        path = str(metadata["init_from"])
        _check_model(config, train_set, path, "this run's metadata come from")
    for teacher in config.teachers:
        if teacher.name in ("model", "outside_prior"):
            path = str(teacher.options["path"])
            _check_model(config, train_set, path, "this run learns from")


def _weights(config: RunConfig) -> list[str]:
    """List the models of ours whose weights the image encoder, or what it is built on, takes."""
    found: list[str] = []
    options: list[Any] = [config.model.image and config.model.image.model_dump()]
    while options:
        each = options.pop()
        if not isinstance(each, Mapping):
            continue
        options += each.values()
        path = Path(str(each.get("weights") or ""))
        if each.get("weights") and path.exists():
            folder = path if path.is_dir() else path.parent
            # Weights of other programs do not say what they learned from.
            with suppress(CspError):
                read_model_config(find_model(folder))
                found.append(str(folder))
    return found


def _check_model(config: RunConfig, train_set: RecordDataset, source: str, role: str) -> None:
    provenance = read_model_config(find_model(source)).get("provenance") or {}
    before: dict[str, Any] = (provenance.get("config") or {}).get("data") or {}
    if before.get("name") != config.data.name:
        return
    now = _options(config.data.model_dump(mode="json"))
    then = _options(before)
    kept, own = (provenance.get("data") or {}).get("test_hash"), train_set.test_hash
    known, same = bool(kept and own), bool(own) and kept == own
    facts = facts_of(config.data.name)
    harmless = facts.keeps_test | facts.reads if same else facts.keeps_test
    changed = [key for key in {**now, **then} if now.get(key) != then.get(key)]
    changed = [key for key in changed if key not in harmless]
    begin = f"The model {source!r} that {role} was trained"
    if changed:
        told = ", ".join(f"{key} {then.get(key)!r} (now {now.get(key)!r})" for key in changed)
        seen = "As it happens, both tests" if same else "Records of this run's test may"
        seen += " hold the same records today" if same else " have been seen"
        raise ConfigError(
            f"{begin} on another split of the same data: {told}. {seen}; give both the same split."
        )
    if known and not same:
        raise ConfigError(
            f"{begin} with options that make the same test, but of other records: some were added,"
            " removed or changed since, or these are others altogether. Records of this run's test"
            " may have been seen. Train it anew on these records, or give test_fraction 0 and"
            " measure on records that neither has seen (`csp evaluate`)."
        )
    asked, had = now.get("buffer_km", 0), then.get("buffer_km", 0)
    if asked > had:
        raise ConfigError(
            f"{begin} with buffer_km {had!r} (now {asked!r}), so it may have learned from records"
            f" nearer to this run's test. Train it with {asked!r} or more, or give {had!r} here."
        )


def _options(data: dict[str, Any]) -> dict[str, Any]:
    """Give the options of a data set with its loader's defaults, but for where its files are.

    Captions, and what is done to training records on purpose, change no test.
    """
    found = {**option_names(DATASETS[data["name"]], given=1), **data}
    apart = ("name", "root", "captions", "quality")
    return {key: value for key, value in found.items() if key not in apart}


def _check_tiles(
    config: RunConfig, train_set: RecordDataset, val_set: RecordDataset | None
) -> None:
    """Make sure that no crop, with a label or without, shows ground of the test."""
    given = {"root": config.data.root, **config.data.options}
    test = load_dataset(config.data.name, "test", **given)
    for part in (train_set, val_set):
        if part is not None:
            check_ground(part, test)


def _check_blocks(
    config: RunConfig, train_set: RecordDataset, val_set: RecordDataset | None
) -> None:
    options = config.data.options
    defaults = option_names(DATASETS[config.data.name], given=1)
    # A published test, of which no share is asked for, is not made of blocks.
    blocks = options.get("split_method") == "block" and "block_degrees" in defaults
    if not blocks or "test_fraction" not in options:
        return
    without = {"images": False} if "images" in facts_of(config.data.name).keeps_test else {}
    given = {"root": config.data.root, **options, **without}
    test = load_dataset(config.data.name, "test", **given)
    degrees = float(options.get("block_degrees", 0))
    check_apart(train_set, test, degrees, float(options.get("buffer_km", 0)))
    if val_set is not None:
        check_apart(val_set, test, degrees)
