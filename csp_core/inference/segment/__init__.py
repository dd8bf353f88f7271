"""What a model of pixels says of pictures of any size: classes, areas, doubt, likeness."""

from __future__ import annotations

from csp_core.inference.segment.areas import (
    INTERVAL_MEANING,
    LEAST,
    AreaSums,
    ClassArea,
    classes_of,
    doubtful,
    entropy,
)
from csp_core.inference.segment.ask import (
    PixelModel,
    Segmented,
    batch_of,
    check_pixel_model,
    embed_picture,
    make_windows,
    predictor,
    reading,
    segment,
    takes_series,
)
from csp_core.inference.segment.blend import Read, Strip, count_windows, strips
from csp_core.inference.segment.likeness import (
    LikePlace,
    component_picture,
    like_places,
    likeness,
)
from csp_core.inference.segment.windows import OVERLAP, SIDE, UNIT, Windows

__all__ = [
    "INTERVAL_MEANING",
    "LEAST",
    "OVERLAP",
    "SIDE",
    "UNIT",
    "AreaSums",
    "ClassArea",
    "LikePlace",
    "PixelModel",
    "Read",
    "Segmented",
    "Strip",
    "Windows",
    "batch_of",
    "check_pixel_model",
    "classes_of",
    "component_picture",
    "count_windows",
    "doubtful",
    "embed_picture",
    "entropy",
    "like_places",
    "likeness",
    "make_windows",
    "predictor",
    "reading",
    "segment",
    "strips",
    "takes_series",
]
