"""EuroSAT at 32 pixels a side, packed without loss into 28 MiB, for machines without a network.

    python benchmarks/eurosat32.py pack ../shared/data/eurosat FOLDER
    python benchmarks/eurosat32.py unpack FOLDER ROOT

The first brings all images to 32 pixels, as ``FileImages`` does, and lays them side by side on
sheets. The second makes of them a folder that ``load_eurosat`` reads. ``load`` gives the tensors.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import io
import lzma
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from csp_core.data.image_files import FileImages, read_shared
from csp_core.data.images import ImageDataset, MemoryImages
from csp_core.data.sets.eurosat import ARCHIVES, load_eurosat
from csp_core.data.sets.eurosat_places import PLACES
from csp_core.files import atomic_directory, atomic_path, read_json, write_json

SIZE = 32
# Images in a row of a sheet, and rows: sides of WebP end at 16,383 pixels.
ACROSS, DOWN = 32, 64
# Of what was tried, the least bytes for a few minutes of one core.
WEBP = {"lossless": True, "quality": 80, "method": 5}
ABOUT, NAMES = "eurosat32.json", "names.txt.xz"


@dataclass(frozen=True)
class Packed:
    """Images of EuroSAT, in the order in which ``load_eurosat`` lists them.

    Args:
        image: ``(N, 3, 32, 32)`` uint8.
        names: Class folder and file of each, such as ``Forest/Forest_1.jpg``.
        label: ``(N,)`` int64, number of the class.
        classes: Names, sorted.
        places: The table of coordinates as it was published, in bytes.
    """

    image: Tensor
    names: tuple[str, ...]
    label: Tensor
    classes: tuple[str, ...]
    places: bytes


def short(name: str) -> str:
    """Give class folder and file of an image.

    Args:
        name: Its path in an archive or below a folder.

    Returns:
        The last two parts.
    """
    return "/".join(name.split("/")[-2:])


def pack(root: Path, out: Path, rows: Sequence[int] | None = None) -> int:
    """Bring images to 32 pixels and pack them.

    Args:
        root: Folder of EuroSAT, as ``load_eurosat`` takes it.
        out: Folder to make; one that is there is left as it is.
        rows: Which images, by their place in the list; all if None.

    Returns:
        Bytes of the packed files.

    Raises:
        SystemExit: If an image cannot be read, or the folder is there.
    """
    if out.exists():
        raise SystemExit(f"{out} is there; give a folder that is not.")
    store = load_eurosat("all", root=root, in_memory=False, split_method="random").store
    assert isinstance(store, FileImages)
    names = [store.names[row] for row in (range(len(store)) if rows is None else rows)]
    small = read_shared(FileImages(store.root, names, SIZE))
    if small.refused:
        raise SystemExit(f"{len(small.refused)} images cannot be read: {[*small.refused][:5]}")
    pixels = small.array.numpy()
    with atomic_directory(out) as folder:
        each = ACROSS * DOWN
        sheets = [pixels[first : first + each] for first in range(0, len(pixels), each)]
        for number, part in enumerate(sheets):
            Image.fromarray(_sheet(part)).save(folder / _file(number), "WEBP", **WEBP)
            print(f"sheet {number + 1} of {len(sheets)}", flush=True)
        (folder / NAMES).write_bytes(lzma.compress("\n".join(map(short, names)).encode()))
        (folder / f"{PLACES}.xz").write_bytes(lzma.compress((root / PLACES).read_bytes()))
        about = {"images": len(names), "size": SIZE, "sha256": _digest(pixels)}
        write_json(folder / ABOUT, about)
    return sum(path.stat().st_size for path in out.iterdir())


def load(folder: Path) -> Packed:
    """Read what was packed.

    Args:
        folder: As ``pack`` made it.

    Returns:
        Images, names, labels and the table of places.

    Raises:
        SystemExit: If these are not the pixels that were packed.
    """
    about = read_json(folder / ABOUT)
    names = tuple(lzma.decompress((folder / NAMES).read_bytes()).decode().splitlines())
    sheets = range(-(-len(names) // (ACROSS * DOWN)))
    parts = [_patches(np.asarray(Image.open(folder / _file(number)))) for number in sheets]
    pixels = np.ascontiguousarray(np.concatenate(parts)[: len(names)])
    if _digest(pixels) != about["sha256"]:
        raise SystemExit(f"{folder} is damaged: its images are not those that were packed.")
    folders = [name.split("/")[0] for name in names]
    classes = tuple(sorted(set(folders)))
    label = torch.tensor([classes.index(name) for name in folders])
    places = lzma.decompress((folder / f"{PLACES}.xz").read_bytes())
    return Packed(torch.from_numpy(pixels), names, label, classes, places)


def unpack(folder: Path, root: Path) -> None:
    """Make a folder of EuroSAT whose archive holds the small images, without loss.

    Args:
        folder: As ``pack`` made it.
        root: Where to; ``load_eurosat`` takes it.
    """
    packed = load(folder)
    root.mkdir(parents=True, exist_ok=True)
    with atomic_path(root / ARCHIVES[0]) as path, ZipFile(path, "w") as archive:
        for name, pixels in zip(packed.names, packed.image.permute(0, 2, 3, 1), strict=True):
            content = io.BytesIO()
            # Readers go by what a file holds, and the names are those of the publication.
            Image.fromarray(pixels.numpy()).save(content, "PNG", compress_level=1)
            archive.writestr(f"2750/{name}", content.getvalue())
    (root / PLACES).write_bytes(packed.places)


def at_32(dataset: ImageDataset, packed: Packed | None = None) -> ImageDataset:
    """Give records of EuroSAT their images at 32 pixels, in memory.

    Args:
        dataset: As ``load_eurosat(..., in_memory=False)`` gave it.
        packed: Images to take; read from its files if None.

    Returns:
        The same records; all parts of one data set share the images.
    """
    store = dataset.store
    assert isinstance(store, FileImages), "load it with in_memory=False"
    if packed is None:
        small = read_shared(FileImages(store.root, store.names, SIZE))
        return dataclasses.replace(dataset, store=small)
    number = {name: row for row, name in enumerate(packed.names)}
    order = torch.tensor([number[short(name)] for name in store.names])
    return dataclasses.replace(dataset, store=MemoryImages(packed.image), rows=order[dataset.rows])


def _file(number: int) -> str:
    return f"sheet-{number:02d}.webp"


def _digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels)).hexdigest()


def _sheet(pixels: np.ndarray) -> np.ndarray:
    """Lay ``(n, 3, 32, 32)`` images side by side, row by row; what is left of the last is black."""
    rows = -(-len(pixels) // ACROSS)
    full = np.zeros((rows * ACROSS, *pixels.shape[1:]), np.uint8)
    full[: len(pixels)] = pixels
    grid = full.reshape(rows, ACROSS, 3, SIZE, SIZE).transpose(0, 3, 1, 4, 2)
    return np.ascontiguousarray(grid.reshape(rows * SIZE, ACROSS * SIZE, 3))


def _patches(sheet: np.ndarray) -> np.ndarray:
    """Cut a sheet into ``(n, 3, 32, 32)`` images."""
    grid = sheet.reshape(-1, SIZE, ACROSS, SIZE, 3).transpose(0, 2, 4, 1, 3)
    return grid.reshape(-1, 3, SIZE, SIZE)


def main() -> int:
    """Pack or unpack.

    Returns:
        Exit code.
    """
    parser = argparse.ArgumentParser(description="EuroSAT at 32 pixels, without loss.")
    parser.add_argument("what", choices=("pack", "unpack"))
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    if options.what == "pack":
        size = pack(options.source, options.target)
        print(f"{size / (1 << 20):.1f} MiB in {options.target}")
    else:
        unpack(options.source, options.target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
