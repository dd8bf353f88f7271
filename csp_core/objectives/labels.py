"""Whether the labels of records are of the kind that an objective learns from."""

from __future__ import annotations

from csp_core.data.images import has_masks
from csp_core.data.records import RecordDataset
from csp_core.errors import ConfigError


def check_labels(
    name: str, wants_sets: bool | None, dataset: RecordDataset, *, masks: bool = False
) -> None:
    """Check that the labels of records are of the kind that is learned from.

    Args:
        name: What to call the objective.
        wants_sets: Whether it learns label sets, rather than one label a record; None for either.
        dataset: The training records.
        masks: Whether it learns masks of pixels instead.

    Raises:
        ConfigError: If it learns the other kind.
    """
    has = f"the data set {dataset.name!r} has"
    if masks != has_masks(dataset):
        if masks:
            raise ConfigError(
                f"The objective {name} learns masks, and {has} none: give pictures with masks (the"
                " data set tiles), or take the objective image_softmax for one label a picture."
            )
        raise ConfigError(
            f"The objective {name} learns labels of records, and {has} masks of their pixels: take"
            " the objective segmentation, or one that looks at no labels."
        )
    if not masks and wants_sets is not None and not dataset.labelled().any():
        raise ConfigError(
            f"The objective {name} learns labels, and {has} none: give records with labels, or take"
            " the objective soft_scores, which learns what `teachers` say."
        )
    sets = dataset.labels is not None
    if masks or wants_sets in (None, sets):
        return
    if sets:
        raise ConfigError(
            f"The objective {name} learns one label a record, and {has} label sets: take the"
            " objective label_sets."
        )
    raise ConfigError(
        f"The objective {name} learns label sets, and {has} one label a record: take the objective"
        " softmax, or image_softmax for its images."
    )
