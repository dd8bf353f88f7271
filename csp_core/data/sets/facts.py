"""What is known of each data set beyond its signature, in one table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """What a data set promises.

    Args:
        keeps_test: Options that cannot change which records are its test. Every other one counts
            as one that can, so a new option is guarded until somebody has thought about it. How
            near to the test records may be learned from (``buffer_km``) is compared on its own.
        reads: Options of reading, which need not change the test: whether they did, its hash
            tells.
        taxa: Whether its classes are known to be taxa.
        label_sets: Whether a record has a set of labels rather than one.
        masks: Whether its records can have masks of classes, rather than a label or a set.
        asks: Whether its records have no labels, and are where a teacher is asked.
        captions: Whether its records can bring captions of their own.
        describes: Whether what stands for images says what places are like, and is no picture: a
            model keeps its location side alone.
    """

    keeps_test: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()
    taxa: bool = False
    label_sets: bool = False
    masks: bool = False
    asks: bool = False
    captions: bool = False
    describes: bool = False


# Which labels are seen, and what is learned from without them.
_LABELS = frozenset({"label_fraction", "label_seed", "labels", "unlabelled"})
# The test of these is published: nothing that is asked of a loader changes it, so it has no hash.
_PUBLISHED = frozenset(
    {
        *("features", "images", "split_method", "val_fraction", "block_degrees", "seed"),
        *("label_fraction", "label_seed", "labels", "unlabelled", "with_user", "size"),
    }
)
FACTS = {
    # Published labels fit published parts alone; `classes` changes which label sets are empty.
    "bigearthnet": Facts(
        keeps_test=frozenset({"published_labels", "buffer_km"}) | _LABELS,
        reads=frozenset({"images", "in_memory"}),
        label_sets=True,
    ),
    # Its records follow from its options, so their test has no hash; their last digits would differ
    # from one kind of machine to another.
    "demo": Facts(
        keeps_test=frozenset({"noise", "images", "features", "buffer_km"}) | _LABELS,
        taxa=True,
    ),
    # Images in memory that cannot be read are left out before the others are dealt.
    "eurosat": Facts(
        keeps_test=frozenset({"buffer_km", "index_file", "size"}) | _LABELS,
        reads=frozenset({"images", "in_memory"}),
    ),
    "fmow": Facts(keeps_test=_PUBLISHED),
    "inat2018": Facts(keeps_test=_PUBLISHED, taxa=True),
    "occurrences": Facts(
        keeps_test=frozenset({"label_fraction", "max_per_class", "buffer_km"}), taxa=True
    ),
    # Crops are of patches, and these are dealt.
    "pastis": Facts(keeps_test=frozenset({"buffer_km", "dates"}) | _LABELS, masks=True),
    # It has no hash, for the reason that demo has none.
    "phenology": Facts(keeps_test=frozenset({"buffer_km"}) | _LABELS, masks=True),
    "photos": Facts(keeps_test=frozenset({"in_memory", "buffer_km"}) | _LABELS, captions=True),
    # Places that nobody recorded have no hash either; `families` are what is told of them.
    "place_features": Facts(keeps_test=frozenset({"buffer_km", "families"}), describes=True),
    # It has no hash, for the reason that demo has none.
    "places": Facts(keeps_test=frozenset({"buffer_km"}), taxa=True, asks=True),
    "series": Facts(keeps_test=frozenset({"buffer_km"}) | _LABELS),
    # What classes are called in the masks, and their colours, is told by the hash of the truth.
    "tiles": Facts(
        keeps_test=frozenset({"buffer_km", "label_crops"}) | _LABELS,
        reads=frozenset({"classes", "ignored"}),
        label_sets=True,
        masks=True,
    ),
}


def facts_of(data_set: str) -> Facts:
    """Look up what is known of a data set.

    Args:
        data_set: Its name in ``DATASETS``.

    Returns:
        Its facts; of one that is not in the table, that nothing is known.
    """
    return FACTS.get(data_set, Facts())


def names_taxa(data_set: object) -> bool:
    """Tell whether the classes of a data set are known to be taxa.

    Args:
        data_set: Its name in ``DATASETS``; others are known for nothing.

    Returns:
        Whether they are.

    Example:
        >>> names_taxa("inat2018"), names_taxa("eurosat")
        (True, False)
    """
    return isinstance(data_set, str) and facts_of(data_set).taxa
