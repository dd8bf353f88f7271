"""EuroSAT's published protocol of few labels: which images are tested, and which are labelled."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from csp_core.data.counts import count_classes
from csp_core.data.labels import check_unseen, share_out, stratified_fraction
from csp_core.data.parts import LEFT_OUT, PARTS, Dealt
from csp_core.data.sets.eurosat_places import stem
from csp_core.data.splits import Split, keep_labels
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError
from csp_core.tables import lookup

# Images of each class: the files are <class>_1 to <class>_<number>.
COUNTS = {
    **{name: 3000 for name in ("AnnualCrop", "Forest", "HerbaceousVegetation")},
    **{name: 2500 for name in ("Highway", "Industrial")},
    **{"Pasture": 2000, "PermanentCrop": 2500, "Residential": 3000, "River": 2500, "SeaLake": 3000},
}
LEARNED = 0.8
PROTOCOLS = {"own": False, "published": True}
# As the published code writes them, and as its description spells them.
INDEX = re.compile(r"lb_labels_?(\d+)_1(?:\.0)?_seed(\d+)_idx\.npy")
BELOW = ("", "splits", "splits/eurosat", "eurosat")
FIRST = 5


@cache
def published_names() -> tuple[str, ...]:
    """List all images, class by class, in the order of their files' names.

    Returns:
        27,000 names without folder and ending: ``AnnualCrop_1``, ``AnnualCrop_10``,
        ``AnnualCrop_100``, …
    """
    files = ((name, range(1, size + 1)) for name, size in sorted(COUNTS.items()))
    return tuple(stem(file) for name, numbers in files
                 for file in sorted(f"{name}_{n}.jpg" for n in numbers))  # fmt: skip


@cache
def learned_names() -> tuple[str, ...]:
    """List the images that are not tested: the first 80 % of each class.

    Returns:
        21,600 names, in the order of ``published_names``.
    """
    names, found, start = published_names(), list[str](), 0
    for _, size in sorted(COUNTS.items()):
        found += names[start : start + int(LEARNED * size)]
        start += size
    return tuple(found)


def shuffled(seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Shuffle the images that are not tested as the published code does before it draws labels.

    Args:
        seed: Its seed, the number of the draw.

    Returns:
        ``(21600,)`` for each place in the shuffled list, the image's place in ``learned_names``;
        and of each class the places in the shuffled list in the order in which they are labelled.

    Source:
        ``get_eurosat`` and ``sample_labeled_unlabeled_data`` of Wang et al. 2022, USB, which
        Bernhard et al. 2024 keep.
    """
    # Their generator, as another would give another draw.
    chance = np.random.RandomState(seed)
    order = np.arange(len(learned_names()))
    chance.shuffle(order)
    label = _labels()[order]
    classes = [np.flatnonzero(label == number) for number in range(len(COUNTS))]
    for places in classes:
        chance.shuffle(places)
    return order, classes


@cache
def _labels() -> np.ndarray:
    index = {name: number for number, name in enumerate(sorted(COUNTS))}
    return np.array([index[name.rpartition("_")[0]] for name in learned_names()])


def check_published(protocol: str, how: Split, index_file: str | Path | None) -> bool:
    """Tell whether the published protocol is asked for, and refuse what does not go with it.

    Args:
        protocol: ``own`` or ``published``.
        how: The options of the split.
        index_file: List of labelled images, or None.

    Returns:
        Whether it is.

    Raises:
        UnknownNameError: If there is no such protocol.
        ConfigError: If an option does not go with it.
    """
    published = lookup("protocol", PROTOCOLS, protocol)
    if not published and index_file is not None:
        raise ConfigError("index_file is of the published protocol; give protocol: published too.")
    asked = (how.method, how.test, how.buffer_km, how.split_longitude)
    if published and asked != ("random", 0.2, 0.0, None):
        raise ConfigError(
            "protocol: published says what is tested, so split_method stays random, test_fraction"
            " 0.2, buffer_km 0 and split_longitude null; leave them out, or the protocol."
        )
    return published


def deal_published(
    how: Split, files: Sequence[str], label: Tensor, root: Path, index_file: str | Path | None
) -> tuple[Dealt, dict[str, object]]:
    """Deal the images that are there as they were published.

    Labelled are those of the list, where there is one; else those that the published code would
    draw, images that are absent or held out for validation being passed over.

    Args:
        how: Share of validation of what is not tested, seed, and what is to be labelled.
        files: Name of each image's file.
        label: ``(N,)`` int64.
        root: Folder where a list of the labelled images may be.
        index_file: That list, if it is another.

    Returns:
        The part of each image, and facts for ``info``.

    Raises:
        CspError: If an image is none of the published ones, or the list does not fit.
    """
    place = _places(files)
    draw = how.seed if how.label_seed is None else how.label_seed
    given = _find(root, how.labels, draw, index_file)
    index = None if given is None else _read(given, how.labels, draw)
    parts = torch.where(place < 0, PARTS["test"], PARTS["train"])
    free = place >= 0 if index is None else (place >= 0) & ~torch.isin(place, index.labelled)
    rows = free.nonzero().flatten()
    if how.val:
        parts[rows[stratified_fraction(label[rows], how.val, how.seed)]] = PARTS["val"]
    seen = _seen(how, parts, place, label, draw) if index is None else (parts > 0) | ~free
    if index is not None and index.unlabelled is not None:
        listed = torch.isin(place, torch.cat((index.labelled, index.unlabelled)))
        parts[(parts == PARTS["train"]) & ~listed] = LEFT_OUT
    learned = parts == PARTS["train"]
    if how.keep_unlabelled:
        check_unseen(label[learned], seen[learned], sorted(COUNTS))
    else:
        parts[learned & ~seen] = LEFT_OUT
    told = _told(how, parts, draw) | ({} if index is None else _told_of(index, place))
    _warn(label[seen & learned], index)
    return Dealt(parts, seen), told


def _places(files: Sequence[str]) -> Tensor:
    """Find the place of each image in the list of those not tested, -1 for those tested."""
    known = dict.fromkeys(published_names(), -1)
    known |= {name: at for at, name in enumerate(learned_names())}
    names = [stem(file) for file in files]
    if odd := [name for name in names if name not in known]:
        raise BadRecordError(
            f"{len(odd)} images are none of the {len(known):,} published ones, the first {odd[0]};"
            " the published protocol is of these alone."
        )
    return torch.tensor([known[name] for name in names])


def _seen(how: Split, parts: Tensor, place: Tensor, label: Tensor, draw: int) -> Tensor:
    """Choose the labelled images as the published code does, among those that are here."""
    if how.labels is None:
        return keep_labels(how, parts, label, sorted(COUNTS))
    train = parts == PARTS["train"]
    here = count_classes(label[train], None, len(COUNTS))
    each = share_out(how.labels, here, sorted(COUNTS))
    order, classes = shuffled(draw)
    there = np.isin(order, place[train].numpy())
    chosen = np.concatenate([order[places[there[places]][:each]] for places in classes])
    return ~train | torch.isin(place, torch.from_numpy(chosen))


@dataclass(frozen=True)
class _Index:
    """A list of images, as places in ``learned_names``, and how it was read."""

    name: str
    labelled: Tensor
    unlabelled: Tensor | None
    counts: str


def _find(root: Path, labels: int | None, draw: int, given: str | Path | None) -> Path | None:
    """Find the list for so many labels and this draw below the root, if none is given."""
    if given is not None:
        if not Path(given).is_file():
            raise DataNotFoundError(f"No file {given}: it lists the labelled images.")
        return Path(given)
    folders = [root / below / last for below in BELOW for last in ("", "labeled_idx")]
    names = [path for folder in folders if folder.is_dir() for path in sorted(folder.glob("lb_*"))]
    found = [(path, match) for path in names if (match := INDEX.fullmatch(path.name))]
    return next((path for path, m in found if (int(m[1]), int(m[2])) == (labels, draw)), None)


def _read(path: Path, labels: int | None, draw: int) -> _Index:
    """Read a list of labelled images, and that of unlabelled ones beside it."""
    listed = _array(path)
    if labels not in (None, len(listed)):
        raise ConfigError(f"labels is {labels}, but {path.name} lists {len(listed)}; give that.")
    named = INDEX.fullmatch(path.name)
    order, _ = shuffled(int(named[2]) if named else draw)
    seed = named[2] if named else draw
    ways = {
        f"places in the list of {len(order):,} that the published code shuffles with seed {seed}":
        order,
        f"places in the list of {len(order):,} class by class, in the order of file names":
        np.arange(len(order)),
    }  # fmt: skip
    beside = path.with_name(f"u{path.name}")
    for counts, meant in ways.items():
        sizes = np.bincount(_labels()[meant[listed]], minlength=len(COUNTS))
        if len(set(sizes.tolist())) == 1:
            rest = torch.from_numpy(meant[_array(beside)]) if beside.is_file() else None
            return _Index(path.name, torch.from_numpy(meant[listed]), rest, counts)
    raise BadRecordError(
        f"its labels do not match: neither as {' nor as '.join(ways)} are its {len(listed)} images"
        f" as many of each of the {len(COUNTS)} classes",
        file=path.name,
    )


def _array(path: Path) -> np.ndarray:
    most = len(learned_names())
    try:
        # Nothing in such a file is run.
        found = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError, MemoryError, OverflowError) as error:
        raise BadRecordError(f"no array of whole numbers ({error})", file=path.name) from error
    if not isinstance(found, np.ndarray) or found.ndim != 1 or found.dtype.kind not in "iu":
        raise BadRecordError("no array of whole numbers in one dimension", file=path.name)
    if not len(found) or found.min() < 0 or found.max() >= most:
        raise BadRecordError(
            f"give numbers from 0 to {most - 1:,}, which count the images not tested",
            file=path.name,
        )
    return np.unique(found).astype(np.int64)


def _told(how: Split, parts: Tensor, draw: int) -> dict[str, object]:
    held, test = int((parts == PARTS["val"]).sum()), int((parts == PARTS["test"]).sum())
    labels = how.few() or f"{how.label_fraction:g} of the labels"
    return {
        "split": f"the published protocol: val {how.val:g} of what is not tested, {labels}, draw"
        f" {draw}, seed {how.seed}",
        "published_images_absent": len(published_names()) - len(parts),
        "protocol": f"tested are the last 20 % of each class by file name, {test:,} images, which"
        f" the published code validates on too; here {held:,} others are held out for validation",
    }


def _told_of(index: _Index, place: Tensor) -> dict[str, object]:
    names, told = learned_names(), {"index_file": index.name, "index_counts": index.counts}
    absent = index.labelled[~torch.isin(index.labelled, place)].tolist()
    facts = {
        **told,
        "labelled_images_absent": len(absent),
        "first_labelled_images_absent": [names[at] for at in absent[:FIRST]],
    }
    if index.unlabelled is not None:
        gone = ~torch.isin(index.unlabelled, place)
        facts["unlabelled_images_absent"] = int(gone.sum())
    return facts


def _warn(label: Tensor, index: _Index | None) -> None:
    """Tell of classes that are left without a label as images of the list are absent."""
    sizes = count_classes(label, None, len(COUNTS))
    bare = [name for name, size in zip(sorted(COUNTS), sizes, strict=True) if not size]
    if index is not None and bare:
        warnings.warn(
            f"Of the images that {index.name} labels, those of {', '.join(bare)} are absent, so no"
            " label of these classes is seen; without the list, images that are there are drawn.",
            stacklevel=4,
        )
