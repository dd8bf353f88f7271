"""iNaturalist 2018 as pairs of precomputed image features and places."""

from __future__ import annotations

from pathlib import Path

from csp_core.data.records import RecordDataset
from csp_core.data.sets.published import Layout, load_pairs
from csp_core.data.splits import Split

LAYOUT = Layout(
    name="inat2018",
    folder="inat_2018",
    annotations="{part}2018.json",
    places="{part}2018_locations.json",
    classes="categories2018.json",
    features={
        "pretrain": "features_inception_pretrain/inat2018_{part}_pretrain_net_feats.npy",
        "finetuned": "features_inception/inat2018_{part}_net_feats.npy",
    },
)


def load_inat2018(
    split: str = "train",
    *,
    root: str | Path | None = None,
    features: str = "pretrain",
    images: bool = True,
    split_method: str = "random",
    val_fraction: float = 0.05,
    block_degrees: float = 2.0,
    seed: int = 0,
    label_fraction: float = 1.0,
    with_user: bool = False,
    size: int = 224,
    label_seed: int | None = None,
    labels: int | None = None,
    unlabelled: bool = False,
) -> RecordDataset:
    """Load iNaturalist 2018: 8,142 species, about 436,000 pairs to learn from.

    The published validation part is ``test``; ``val`` is held out of the published training part.
    The published test part names its users with a wish not to be shared, and is not read.

    Args:
        split: ``train``, ``val``, ``test`` or ``all``.
        root: The folder ``inat_2018`` as published, or the one above it.
        features: ``pretrain`` (of a network that has seen ImageNet alone) or ``finetuned`` (that
            has also learned these species, so no use where labels are to be few); or ``pixels``,
            the images themselves, from ``file_name`` below the folder.
        images: Whether to read the features; not needed where places alone are learned from.
        split_method: ``random``, ``site`` or ``block``.
        val_fraction: Share of the published training part for validation, in [0, 1).
        block_degrees: Side of a block, for ``block``.
        seed: Seed of the split and of the label fraction.
        label_fraction: Part of the training records of each species to keep, in (0, 1]; at least
            one of each stays.
        with_user: Also leave images without a user out of training, as was published.
        size: Side in pixels of the square cut from the middle of each image, for ``pixels``.
        label_seed: Seed of the choice of labels; ``seed`` if omitted.
        labels: Labels in all that are seen in training, the same number of each class; None for as
            many as ``label_fraction`` says.
        unlabelled: Whether the other training images stay, without their labels.

    Returns:
        The records of the part; images without a place are kept in ``test`` alone.

    Raises:
        CspError: If a file is missing or of another form, or an option does not fit.

    Source:
        Van Horn et al. 2018; places of Mac Aodha et al. 2019; features of Mai et al. 2023.
    """
    how = Split(
        method=split_method,
        val=val_fraction,
        block_degrees=block_degrees,
        seed=seed,
        label_fraction=label_fraction,
        label_seed=label_seed,
        labels=labels,
        keep_unlabelled=unlabelled,
    )
    return load_pairs(
        LAYOUT,
        split,
        root,
        how,
        features=features,
        images=images,
        with_user=with_user,
        size=size,
    )
