"""Pictures and photos: decoded, and asked where and when they were taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csp_core.tables import lazily

if TYPE_CHECKING:
    from csp_core.data.pictures.decode import ENDINGS, READABLE
    from csp_core.data.pictures.limits import MAX_MEGAPIXELS
    from csp_core.data.pictures.photo import Photo, describe_photo, make_photo, read_photo
    from csp_core.data.pictures.position import parts_of_time
    from csp_core.data.pictures.tensors import Picture, open_picture, open_plain
    from csp_core.data.pictures.thumbnails import LONGEST, thumbnail

_HOMES = {
    "ENDINGS": "csp_core.data.pictures.decode",
    "LONGEST": "csp_core.data.pictures.thumbnails",
    "MAX_MEGAPIXELS": "csp_core.data.pictures.limits",
    "Photo": "csp_core.data.pictures.photo",
    "Picture": "csp_core.data.pictures.tensors",
    "READABLE": "csp_core.data.pictures.decode",
    "describe_photo": "csp_core.data.pictures.photo",
    "make_photo": "csp_core.data.pictures.photo",
    "open_picture": "csp_core.data.pictures.tensors",
    "open_plain": "csp_core.data.pictures.tensors",
    "parts_of_time": "csp_core.data.pictures.position",
    "read_photo": "csp_core.data.pictures.photo",
    "thumbnail": "csp_core.data.pictures.thumbnails",
}

__all__ = [
    "ENDINGS",
    "LONGEST",
    "MAX_MEGAPIXELS",
    "READABLE",
    "Photo",
    "Picture",
    "describe_photo",
    "make_photo",
    "open_picture",
    "open_plain",
    "parts_of_time",
    "read_photo",
    "thumbnail",
]

__getattr__ = lazily(__name__, _HOMES)
