"""The kinds of land of BigEarthNet: 43 as first published, 19 as revised, and how they meet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import torch
from torch import Tensor

from csp_core.errors import BadRecordError

_MOSAIC = "Land principally occupied by agriculture, with significant areas of natural vegetation"
# In the order of the columns of the published label vectors, most frequent first.
NAMES_43 = (
    *("Mixed forest", "Coniferous forest", "Non-irrigated arable land"),
    *("Transitional woodland/shrub", "Broad-leaved forest", _MOSAIC),
    *("Complex cultivation patterns", "Pastures", "Water bodies", "Sea and ocean"),
    *("Discontinuous urban fabric", "Agro-forestry areas", "Peatbogs"),
    *("Permanently irrigated land", "Industrial or commercial units", "Natural grassland"),
    *("Olive groves", "Sclerophyllous vegetation", "Continuous urban fabric", "Water courses"),
    *("Vineyards", "Annual crops associated with permanent crops", "Inland marshes"),
    *("Moors and heathland", "Sport and leisure facilities"),
    *("Fruit trees and berry plantations", "Mineral extraction sites", "Rice fields"),
    *("Road and rail networks and associated land", "Bare rock", "Green urban areas"),
    *("Beaches, dunes, sands", "Sparsely vegetated areas", "Salt marshes", "Coastal lagoons"),
    *("Construction sites", "Estuaries", "Intertidal flats", "Airports", "Dump sites"),
    *("Port areas", "Salines", "Burnt areas"),
)
NAMES_19 = (
    *("Mixed forest", "Coniferous forest", "Arable land", "Transitional woodland, shrub"),
    *("Broad-leaved forest", _MOSAIC, "Complex cultivation patterns", "Pastures"),
    *("Inland waters", "Marine waters", "Urban fabric", "Agro-forestry areas", "Inland wetlands"),
    *("Industrial or commercial units", "Natural grassland and sparsely vegetated areas"),
    *("Permanent crops", "Moors, heathland and sclerophyllous vegetation"),
    *("Beaches, dunes, sands", "Coastal wetlands"),
)
# Each of the 19 to those of the 43 that it is made of; where it is left out, to its own name.
_MADE_OF = {
    "Arable land": ("Non-irrigated arable land", "Permanently irrigated land", "Rice fields"),
    "Coastal wetlands": ("Salt marshes", "Salines"),
    "Inland waters": ("Water bodies", "Water courses"),
    "Inland wetlands": ("Inland marshes", "Peatbogs"),
    "Marine waters": ("Sea and ocean", "Coastal lagoons", "Estuaries"),
    "Moors, heathland and sclerophyllous vegetation": (
        *("Moors and heathland", "Sclerophyllous vegetation"),
    ),
    "Natural grassland and sparsely vegetated areas": (
        *("Natural grassland", "Sparsely vegetated areas"),
    ),
    "Permanent crops": (
        *("Vineyards", "Olive groves", "Fruit trees and berry plantations"),
        "Annual crops associated with permanent crops",
    ),
    "Transitional woodland, shrub": ("Transitional woodland/shrub",),
    "Urban fabric": ("Continuous urban fabric", "Discontinuous urban fabric"),
}
# 32 of the 43; the others, such as airports and bare rock, are in none of the 19.
TO_19 = {old: new for new in NAMES_19 for old in _MADE_OF.get(new, (new,))}
ORDERS = {19: NAMES_19, 43: NAMES_43}


def classes_of(number: int) -> tuple[str, ...]:
    """List the classes, sorted by name, as their columns stand in a label set.

    Args:
        number: 19 or 43.

    Returns:
        Their names.

    Example:
        >>> classes_of(19)[:2], len(classes_of(43))
        (('Agro-forestry areas', 'Arable land'), 43)
    """
    return tuple(sorted(ORDERS[number]))


def to_19(names: pl.Series) -> tuple[pl.Series, int, int]:
    """Bring lists of the 43 classes to the 19.

    Args:
        names: A list of class names for each record.

    Returns:
        The same of the 19, without doubles; how many labels are of a class that is none of the 19;
        and how many lists had some and now have none.

    Source:
        Sumbul et al. 2021, BigEarthNet-MM, table 2: the revised nomenclature.

    Example:
        >>> both = pl.Series([["Airports"], ["Salines", "Salt marshes"]])
        >>> lists, labels, emptied = to_19(both)
        >>> lists.to_list(), labels, emptied
        ([[], ['Coastal wetlands']], 1, 1)
    """
    each = pl.DataFrame({"row": np.arange(len(names), dtype=np.int64), "old": names})
    each = each.explode("old").drop_nulls("old")
    each = each.with_columns(new=pl.col("old").replace_strict(TO_19, default=None,
                                                              return_dtype=pl.String))  # fmt: skip
    lists = (
        each.drop_nulls("new").unique(["row", "new"], maintain_order=True)
        .group_by("row", maintain_order=True).agg("new")
    )  # fmt: skip
    rows = pl.DataFrame({"row": np.arange(len(names), dtype=np.int64)})
    joined = rows.join(lists, on="row", how="left", maintain_order="left")["new"]
    filled = joined.fill_null(pl.Series([[]], dtype=pl.List(pl.String)))
    emptied = int(((filled.list.len() == 0) & (names.list.len() > 0)).sum())
    return filled, each["new"].null_count(), emptied


def label_sets(names: pl.Series, classes: Sequence[str], file: str = "") -> Tensor:
    """Turn lists of class names into label sets.

    Args:
        names: A list of class names for each record.
        classes: The K classes.
        file: What to name in messages.

    Returns:
        ``(N, K)`` int8: 1 for each class that is named, 0 for the others.

    Raises:
        BadRecordError: If a name is none of the classes.

    Example:
        >>> label_sets(pl.Series([["b"], ["b", "a"]]), ("a", "b")).tolist()
        [[0, 1], [1, 1]]
    """
    number = {name: column for column, name in enumerate(classes)}
    each = pl.DataFrame({"row": np.arange(len(names), dtype=np.int64), "name": names})
    each = each.explode("name").drop_nulls("name")
    column = each["name"].replace_strict(number, default=-1, return_dtype=pl.Int64)
    odd = each.filter(column < 0)["name"].unique(maintain_order=True)
    if len(odd):
        raise BadRecordError(
            f"{len(odd)} names of labels are none of the {len(classes)} classes, the first"
            f" {odd[0]!r}; those are {', '.join(classes[:3])}, …",
            file=file or None,
        )
    sets = torch.zeros(len(names), len(classes), dtype=torch.int8)
    sets[torch.from_numpy(each["row"].to_numpy(writable=True)),
         torch.from_numpy(column.to_numpy(writable=True))] = 1  # fmt: skip
    return sets
