"""Camera raws, which decoders of pictures take for the small preview that lies in front of them."""

from __future__ import annotations

from pathlib import Path

from csp_core.data.pictures.limits import TIFF_MARKS, folder_at, folders
from csp_core.errors import BadRecordError

ENDINGS = ("dng", "cr2", "cr3", "crw", "nef", "nrw", "arw", "srf", "sr2", "raf", "orf", "rw2",
           "rwl", "pef", "srw", "x3f", "3fr", "fff", "iiq", "mrw", "erf", "mef", "mos", "kdc",
           "dcr", "gpr")  # fmt: skip
# How raws begin that are no TIFFs, or nearly are.
MARKS = {b"FUJIFILMCCD-RAW": "RAF", b"IIRO": "ORF", b"IIRS": "ORF", b"MMOR": "ORF",
         b"IIU\0": "RW2", b"FOVb": "X3F", b"\0MRM": "MRW"}  # fmt: skip
KIND, COMPRESSION, COLOURS, DNG = 254, 259, 262, 50706
# The colours of a sensor's mosaic, and of one that was taken apart but not developed.
SENSOR = (32803, 34892)
# Compressions of Sony, Samsung, Nikon and Pentax.
OWN = (32767, 32769, 32770, 34713, 65535)
MOST_FOLDERS = 16


def is_raw(content: bytes) -> bool:
    """Tell whether a file holds what a sensor saw, before it was developed.

    Args:
        content: The bytes of a file.

    Returns:
        Whether it does.
    """
    if any(content.startswith(mark) for mark in MARKS) or content[4:12] == b"ftypcrx ":
        return True
    if content[6:14] == b"HEAPCCDR":
        return True
    if content[:4] not in TIFF_MARKS:
        return False
    if content[8:10] == b"CR" or content[8:12] == b"IIII":
        return True
    found = []
    for folder in folders(content, MOST_FOLDERS):
        found.append(folder)
        found += [inner for at in folder.below if (inner := folder_at(content, at)) is not None]
    if not found:
        return False
    first = found[0]
    # What leads to larger pictures and is itself a smaller version of one.
    preview = bool(first.tags.get(KIND, 0) & 1) and bool(first.below)
    return preview or DNG in first.tags or any(
        folder.tags.get(COLOURS) in SENSOR or folder.tags.get(COMPRESSION) in OWN
        for folder in found
    )  # fmt: skip


def check_raw(content: bytes, name: str) -> None:
    """Refuse a camera raw: what a decoder finds in it is a preview.

    Args:
        content: The bytes of a file.
        name: What to call it.

    Raises:
        BadRecordError: If it is one.
    """
    if not is_raw(content):
        return
    ending = Path(name).suffix.lower().lstrip(".")
    kind = f" ({ending.upper()})" if ending in ENDINGS else ""
    raise BadRecordError(
        f"This is a camera raw{kind}, in which only a preview can be read: export it as JPEG or"
        " TIFF from the program that develops it, or give the JPEG that the camera wrote with it.",
        file=name or None,
    )
