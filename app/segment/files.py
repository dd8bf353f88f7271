"""The map of the scene as files: classes and probabilities, outlines, areas."""

from __future__ import annotations

from segment.answer import Answer


def downloads(answer: Answer) -> None:
    """Offer the map as files."""
