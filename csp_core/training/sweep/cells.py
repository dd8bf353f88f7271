"""What a sweep varies: its file, and the configuration of every combination."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from csp_core.config import RunConfig, load_config
from csp_core.config.paths import anchor_value
from csp_core.errors import ConfigError, DataNotFoundError
from csp_core.files import read_yaml
from csp_core.runs import RunDir


class Sweep(BaseModel):
    """What to vary, read from YAML.

    Args:
        base: Configuration of a run, relative to the sweep's file.
        grid: ``section.key`` to the values it takes; every combination is a cell.
        evaluate: Parts of the data to measure each finished model on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    base: Path
    grid: dict[str, tuple[Any, ...]] = Field(min_length=1)
    evaluate: tuple[Literal["train", "val", "test"], ...] = ()

    @field_validator("grid")
    @classmethod
    def _no_empty_axis(cls, grid: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        empty = [key for key, values in grid.items() if not values]
        if empty:
            raise ValueError(f"{empty[0]} takes no value; give a list of at least one")
        return grid

    def combinations(self) -> list[dict[str, Any]]:
        """List the cells, the last key varying fastest.

        Returns:
            Key to value, one dictionary a cell.
        """
        return [
            dict(zip(self.grid, values, strict=True))
            for values in itertools.product(*self.grid.values())
        ]


@dataclass(frozen=True)
class Cell:
    """One combination of a sweep.

    Args:
        values: What it sets.
        config: Its whole configuration, or None if that does not fit.
        run: Where it runs; named by a hash of the configuration, so that a cell is found again
            whatever else the sweep's file says by then.
        problem: Why the configuration does not fit.
    """

    values: Mapping[str, Any]
    config: RunConfig | None
    run: RunDir
    problem: str = ""


def load_sweep(path: str | Path) -> Sweep:
    """Read a sweep's file.

    Args:
        path: YAML with ``base``, ``grid`` and perhaps ``evaluate``.

    Returns:
        The sweep; paths in it are absolute.

    Raises:
        DataNotFoundError: If there is no such file.
        ConfigError: If it is not YAML, or does not fit.
    """
    path = Path(path)
    if not path.is_file():
        raise DataNotFoundError(f"No file {path}; give YAML with `base` and `grid`.")
    try:
        sweep = Sweep.model_validate(read_yaml(path))
    except ValidationError as error:
        places = ((".".join(map(str, e["loc"])) or "the file", e["msg"]) for e in error.errors())
        faults = "; ".join(f"{where}: {what}" for where, what in places)
        known = ", ".join(Sweep.model_fields)
        raise ConfigError(f"{path}: {faults}. A sweep has the keys {known}.") from error
    folder = path.resolve().parent
    grid = {
        key: tuple(anchor_value(key, value, folder) for value in values)
        for key, values in sweep.grid.items()
    }
    return sweep.model_copy(update={"base": folder / sweep.base, "grid": grid})


def make_cells(sweep: Sweep, folder: Path, overrides: Sequence[str] = ()) -> list[Cell]:
    """Make the configuration of every combination.

    Args:
        sweep: What to vary.
        folder: The sweep's folder.
        overrides: ``section.key=value`` for all cells; the grid comes after them.

    Returns:
        The cells.

    Raises:
        ConfigError: If not one of them fits; says what is wrong with the first.
        DataNotFoundError: If there is no base.
    """
    cells = []
    for values in sweep.combinations():
        settings = [f"{key}={json.dumps(value, default=str)}" for key, value in values.items()]
        try:
            config = load_config(sweep.base, [*overrides, *settings])
        except ConfigError as error:
            cells.append(Cell(values, None, RunDir(folder / "none"), str(error)))
            continue
        name = hashlib.sha256(config.unwatched().to_yaml().encode()).hexdigest()[:12]
        cells.append(Cell(values, config, RunDir(folder / name)))
    if all(cell.config is None for cell in cells):
        raise ConfigError(cells[0].problem)
    return cells
