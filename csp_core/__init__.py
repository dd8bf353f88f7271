"""CSP Explorer's core: learn what a place says about a picture, and ask.

The names below are the public interface. They are imported on first use, so that importing the
package alone stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from csp_core.tables import lazily

if TYPE_CHECKING:
    from csp_core.config import load_config
    from csp_core.data import load_dataset, read_occurrences
    from csp_core.evaluation import evaluate
    from csp_core.image import make_image_encoder
    from csp_core.importers import import_checkpoint
    from csp_core.inference import location_prior, posterior
    from csp_core.inference.clusters import embedding_clusters
    from csp_core.inference.rerank import rerank
    from csp_core.location import make_location_encoder
    from csp_core.model import DualEncoder
    from csp_core.objectives import make_objective
    from csp_core.raster import heatmap
    from csp_core.store import list_models, load_model, save_model
    from csp_core.training import train

__version__ = "0.1.0"

_HOMES = {
    "DualEncoder": "csp_core.model",
    "embedding_clusters": "csp_core.inference.clusters",
    "evaluate": "csp_core.evaluation",
    "heatmap": "csp_core.raster",
    "import_checkpoint": "csp_core.importers",
    "list_models": "csp_core.store",
    "load_config": "csp_core.config",
    "load_dataset": "csp_core.data",
    "load_model": "csp_core.store",
    "location_prior": "csp_core.inference",
    "make_image_encoder": "csp_core.image",
    "make_location_encoder": "csp_core.location",
    "make_objective": "csp_core.objectives",
    "posterior": "csp_core.inference",
    "read_occurrences": "csp_core.data",
    "rerank": "csp_core.inference.rerank",
    "save_model": "csp_core.store",
    "train": "csp_core.training",
}

__all__ = [
    "DualEncoder",
    "embedding_clusters",
    "evaluate",
    "heatmap",
    "import_checkpoint",
    "list_models",
    "load_config",
    "load_dataset",
    "load_model",
    "location_prior",
    "make_image_encoder",
    "make_location_encoder",
    "make_objective",
    "posterior",
    "read_occurrences",
    "rerank",
    "save_model",
    "train",
]

__getattr__ = lazily(__name__, _HOMES)
