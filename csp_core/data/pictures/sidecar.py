"""Sidecars: XMP files beside photos, where programs write what they leave out of the photo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from csp_core.data.pictures.xmp import MOST_XMP, read_xmp


@dataclass(frozen=True)
class Sidecar:
    """What stands beside a photo.

    Args:
        name: The file's name; empty where there is none.
        tags: Name with prefix to text; empty where it could not be read.
    """

    name: str
    tags: dict[str, str]


def beside(path: Path) -> list[Path]:
    """List the sidecars of a photo.

    Args:
        path: The photo.

    Returns:
        ``photo.jpg.xmp`` before ``photo.xmp``, which a raw of the same name may share.
    """
    names = [f"{path.name}{ending}" for ending in (".xmp", ".XMP")]
    names += [f"{path.stem}{ending}" for ending in (".xmp", ".XMP")]
    found: list[Path] = []
    for one in (path.with_name(name) for name in names):
        # A file system that knows no case shows one file under two names.
        known = any(one.samefile(other) for other in found) if one.is_file() else True
        if not known and one.name != path.name:
            found.append(one)
    return found


def read_sidecars(path: Path) -> list[Sidecar]:
    """Read the sidecars of a photo; a document type (DTD) is refused, so is what has over 4 MB.

    Args:
        path: The photo.

    Returns:
        One for each file.
    """
    return [Sidecar(one.name, _read(one)) for one in beside(path)]


def _read(path: Path) -> dict[str, str]:
    try:
        with path.open("rb") as stream:
            return read_xmp(stream.read(MOST_XMP + 1))
    except OSError:
        return {}
