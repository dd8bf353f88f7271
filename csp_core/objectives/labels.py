"""Whether the labels of records are of the kind that an objective learns from."""

from __future__ import annotations

from csp_core.data.records import RecordDataset
from csp_core.errors import ConfigError


def check_labels(name: str, wants_sets: bool | None, dataset: RecordDataset) -> None:
    """Check that the labels of records are of the kind that is learned from.

    Args:
        name: What to call the objective.
        wants_sets: Whether it learns label sets, rather than one label a record; None for either.
        dataset: The training records.

    Raises:
        ConfigError: If it learns the other kind.
    """
    sets = dataset.labels is not None
    if wants_sets in (None, sets):
        return
    has = f"the data set {dataset.name!r} has"
    if sets:
        raise ConfigError(
            f"The objective {name} learns one label a record, and {has} label sets: take the"
            " objective label_sets."
        )
    raise ConfigError(
        f"The objective {name} learns label sets, and {has} one label a record: take the objective"
        " softmax, or image_softmax for its images."
    )
