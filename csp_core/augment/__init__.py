"""What training does to images: one table of augmentations."""

from __future__ import annotations

from csp_core.augment.pixels import AUGMENTATIONS, augment, augmentation

__all__ = ["AUGMENTATIONS", "augment", "augmentation"]
