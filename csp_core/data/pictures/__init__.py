"""Pictures and photos: decoded, and asked where and when they were taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csp_core.tables import lazily

if TYPE_CHECKING:
    from csp_core.data.pictures.decode import READABLE, Picture, open_picture, open_plain
    from csp_core.data.pictures.geotiff import MAX_MEGAPIXELS
    from csp_core.data.pictures.photo import Photo, read_photo
    from csp_core.data.pictures.position import parts_of_time

_HOMES = {
    "MAX_MEGAPIXELS": "csp_core.data.pictures.geotiff",
    "Photo": "csp_core.data.pictures.photo",
    "Picture": "csp_core.data.pictures.decode",
    "READABLE": "csp_core.data.pictures.decode",
    "open_picture": "csp_core.data.pictures.decode",
    "open_plain": "csp_core.data.pictures.decode",
    "parts_of_time": "csp_core.data.pictures.position",
    "read_photo": "csp_core.data.pictures.photo",
}

__all__ = [
    "MAX_MEGAPIXELS",
    "READABLE",
    "Photo",
    "Picture",
    "open_picture",
    "open_plain",
    "parts_of_time",
    "read_photo",
]

__getattr__ = lazily(__name__, _HOMES)
