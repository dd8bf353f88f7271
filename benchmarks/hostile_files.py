"""Small files and folders made to do harm, written where a benchmark wants them."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

from hostile_folders import MODELS, RUNS
from hostile_pictures import PICTURES
from hostile_records import CONFIGS, RECORDS

from csp_core.files import ASSETS


def write_files(folder: Path, given: Path | None = None) -> dict[str, list[Path]]:
    """Write all files and folders, and copy those that are given.

    Args:
        folder: Where to.
        given: A folder of further ones: pictures, records, configurations, models and states of
            runs lie in it side by side.

    Returns:
        Kind to what there is of it: ``pictures``, ``records`` and ``configs`` are files, ``models``
        and ``runs`` folders.
    """
    found: dict[str, list[Path]] = {}
    for kind, made in (("pictures", PICTURES), ("records", RECORDS), ("configs", CONFIGS)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for name, make in made.items():
            content = make()
            path = folder / kind / name
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    model = ASSETS / "models" / "demo"
    for name, change in MODELS.items():
        change(Path(shutil.copytree(model, folder / "models" / name)))
    for name, change in RUNS.items():
        (folder / "runs" / name).mkdir(parents=True)
        change(folder / "runs" / name)
    if given:
        copy_given(given, folder, model)
    for kind in ("pictures", "records", "configs", "models", "runs"):
        found[kind] = sorted((folder / kind).iterdir())
    return found


def copy_given(given: Path, folder: Path, model: Path) -> None:
    """Copy files of others to where those of their kind lie."""
    kinds = {".png": "pictures", ".tif": "pictures", ".jpg": "pictures", ".yaml": "configs",
             ".geojson": "records", ".parquet": "records", ".csv": "records"}  # fmt: skip
    for path in given.iterdir():
        if path.suffix in kinds:
            shutil.copyfile(path, folder / kinds[path.suffix] / path.name)
        elif path.name.startswith("status_"):
            (folder / "runs" / path.stem).mkdir()
            shutil.copyfile(path, folder / "runs" / path.stem / "status.json")
    models = given / "models"
    for path in models.iterdir() if models.is_dir() else ():
        into = folder / "models" / f"given_{path.stem}"
        shutil.copytree(model, into)
        for part in path.iterdir() if path.is_dir() else [path]:
            name = next((n for n in ("config.json", "classes.csv", "calibration.json")
                         if n.split(".")[0] in part.name), part.name)  # fmt: skip
            content = part.read_bytes()
            (into / name).unlink(missing_ok=True)
            (into / name).write_bytes(gzip.decompress(content) if part.suffix == ".gz" else content)
