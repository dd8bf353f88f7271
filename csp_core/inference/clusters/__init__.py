"""Clusters of what a model has learned of places: found, laid out, described and written."""

from __future__ import annotations

from csp_core.inference.clusters.facts import ClusterFacts, TypicalClass, describe
from csp_core.inference.clusters.files import WRITERS, check_ending, write_clusters
from csp_core.inference.clusters.groups import METHODS, NOISE, cluster, import_methods, match
from csp_core.inference.clusters.projection import MEANING, PROJECTIONS, project, rgb, umap_seconds
from csp_core.inference.clusters.quality import CAUTION, Quality, quality
from csp_core.inference.clusters.reference import Reference, make_reference, numbered
from csp_core.inference.clusters.related import similar_classes
from csp_core.inference.clusters.result import (
    STAGES,
    Clusters,
    colour_of,
    embedding_clusters,
)
from csp_core.inference.clusters.sampling import WHERE, Sample, make_sample
from csp_core.inference.clusters.similar import Similar, SimilarPlace, similar
from csp_core.inference.clusters.vectors import class_vectors, embed

__all__ = [
    "CAUTION",
    "MEANING",
    "METHODS",
    "NOISE",
    "PROJECTIONS",
    "STAGES",
    "WHERE",
    "WRITERS",
    "ClusterFacts",
    "Clusters",
    "Quality",
    "Reference",
    "Sample",
    "Similar",
    "SimilarPlace",
    "TypicalClass",
    "check_ending",
    "class_vectors",
    "cluster",
    "colour_of",
    "describe",
    "embed",
    "embedding_clusters",
    "import_methods",
    "make_reference",
    "make_sample",
    "match",
    "numbered",
    "project",
    "quality",
    "rgb",
    "similar",
    "similar_classes",
    "umap_seconds",
    "write_clusters",
]
