"""Encoders that describe each pixel: one table.

Example:
    >>> import torch
    >>> encoder = DENSE["unet"](8, backbone={"name": "small_convnet", "width": 8})
    >>> encoder.dense_maps(torch.zeros(1, 3, 33, 50)).shape
    torch.Size([1, 8, 33, 50])
"""

from __future__ import annotations

from collections.abc import Callable

from csp_core.image.dense.base import DenseEncoder
from csp_core.image.dense.over_dates import OverDates
from csp_core.image.dense.pictures import PICTURES
from csp_core.image.dense.start import start_from
from csp_core.image.dense.unet3d import UNet3D

__all__ = ["DENSE", "DenseEncoder", "start_from"]

DENSE: dict[str, Callable[..., DenseEncoder]] = {
    **PICTURES,
    "unet3d": UNet3D,
    "over_dates": OverDates,
}
