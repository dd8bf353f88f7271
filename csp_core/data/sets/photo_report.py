"""What a data set of photos tells of them: what was left out, what has no place and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from torch import Tensor

from csp_core.data.pictures import Photo

# How many of each kind are quoted.
FIRST = 5


def report(
    labels: Sequence[str],
    photos: Sequence[Photo | None],
    refused: Mapping[int, str],
    lonlat: Tensor,
) -> dict[str, object]:
    """Count what does not fit, and quote the first of each kind.

    Args:
        labels: Of all photos that were found, empty where one has none.
        photos: What their files say; None where one cannot be read.
        refused: For the number of each that cannot be read, why.
        lonlat: ``(N, 2)`` places of those that are kept, NaN where there is none.

    Returns:
        Facts for ``info`` of a data set.
    """
    read = [photo for photo in photos if photo is not None]
    pairs = zip(labels, photos, strict=True)
    sizes = Counter(label for label, photo in pairs if label and photo is not None)
    lone = sorted(name for name, number in sizes.items() if number == 1)
    sources = Counter(photo.place_source or "none" for photo in read)
    why_not = Counter(photo.why_no_place for photo in read if photo.why_no_place)
    notes = [f"{photo.name}: {note}" for photo in read for note in photo.notes]
    return {
        "photos_left_out": len(refused),
        "first_left_out": list(refused.values())[:FIRST],
        "photos_without_place": int(lonlat.isnan().any(dim=1).sum()),
        "why_files_have_no_place": dict(why_not.most_common(FIRST)),
        "places_in_files": dict(sources),
        "remarks_on_files": len(notes),
        "first_remarks": notes[:FIRST],
        "classes_with_one_photo": len(lone),
        "first_with_one_photo": lone[:FIRST],
    }
