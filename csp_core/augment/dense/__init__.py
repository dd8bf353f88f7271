"""Two views of each image for dense contrast, and where their cells meet."""

from __future__ import annotations

from csp_core.augment.dense.matching import match_cells, to_cells
from csp_core.augment.dense.views import View, Views

__all__ = ["View", "Views", "match_cells", "to_cells"]
