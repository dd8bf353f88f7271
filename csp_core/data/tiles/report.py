"""What is told of tiles as they are read: what was left out, what overlaps, what parts hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from csp_core.data.parts import LEFT_OUT, PARTS

# Facts that are told where they are not 0, with what they are called.
COUNTED = {
    "images_without_a_mask": "images without a mask",
    "masks_without_an_image": "masks without an image",
    "masks_without_a_place": "masks that do not say where they lie, taken to lie on their images",
    "images_with_opacity": "images whose last band says where there is data, and is not read",
    "images_with_bands_in_another_order": "images with bands in another order, read by their names",
    "images_with_no_data_undeclared": "images with numbers such as -9999, taken for no data",
    "crops_with_holes_left_out": "crops left out, as they lack data",
    "of_them_with_another_mask": "crops whose mask differs from another of the same ground",
}


def report(info: Mapping[str, Any], parts: Tensor, labelled: Tensor) -> list[str]:
    """Tell how tiles were read and dealt.

    Args:
        info: Facts of the data set.
        parts: ``(N,)`` the part of each crop, -1 where it is left out.
        labelled: ``(N,)`` bool, whether its label may be seen.

    Returns:
        Lines.
    """
    lines = [_tiles(info), *map(str, info["first_left_out"])]
    lines += [f"{info[key]:,} {words}" for key, words in COUNTED.items() if info.get(key)]
    shares = info.get("pixel_shares", {})
    for part, number in PARTS.items():
        crops = int((parts == number).sum())
        if crops:
            seen = int(((parts == number) & labelled).sum())
            found = "".join(f", {name} {share:.1%}" for name, share in shares.get(part, {}).items())
            lines.append(f"{part}: {crops:,} crops, {seen:,} with a label{found}")
    if left := int((parts == LEFT_OUT).sum()):
        lines.append(f"{left:,} crops belong to no part: between two, or without a label")
    return lines


def _tiles(info: Mapping[str, Any]) -> str:
    joined, pairs = info["most_tiles_joined_by_overlaps"], info["pairs_of_tiles_that_overlap"]
    overlap = (
        f"{pairs:,} pairs overlap, up to {joined:,} tiles in a row of them; the ground is that of"
        f" {info['ground_in_tiles']:g}"
        if pairs
        else "none overlap"
    )
    told = f"{info['tiles']:,} tiles, {info['tiles_left_out']:,} of them left out; {overlap}"
    return told + ("" if info["has_places"] else ", as no file has a reference system (CRS)")
