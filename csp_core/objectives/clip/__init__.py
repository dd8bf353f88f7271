"""The CLIP family: images compared with places and captions, one engine and a table of presets."""

from __future__ import annotations

from csp_core.objectives.clip.engine import ClipFamily
from csp_core.objectives.clip.spec import PRESETS

__all__ = ["FAMILY", "PRESETS", "ClipFamily"]


class CLIP(ClipFamily):
    """Find each image's partner in the batch, and the other way round."""

    preset = PRESETS["clip"]


class SLIP(ClipFamily):
    """CLIP, and two further views of each image told from those of others."""

    preset = PRESETS["slip"]


class FILIP(ClipFamily):
    """Find partners by their tokens alone, each with the most similar of the other side."""

    preset = PRESETS["filip"]


class DeCLIP(ClipFamily):
    """CLIP over two views of each side, with images alone, what is hidden, and neighbours."""

    preset = PRESETS["declip"]


class DeFILIP(ClipFamily):
    """DeCLIP, and partners found by their tokens too."""

    preset = PRESETS["defilip"]


class SigLIP(ClipFamily):
    """Decide of each pair of the batch by itself whether the two belong together."""

    preset = PRESETS["siglip"]


FAMILY: dict[str, type[ClipFamily]] = {
    "clip": CLIP,
    "slip": SLIP,
    "filip": FILIP,
    "declip": DeCLIP,
    "defilip": DeFILIP,
    "siglip": SigLIP,
}
