"""The column of captions of a data set: distinct texts, and the number of each record's text."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from csp_core.errors import BadRecordError

# Letters of a caption. Text towers read some dozens of words; this is a page.
LONGEST = 2000


def tidy(text: str | None) -> str:
    """Bring a caption to the form in which captions are compared: single spaces, no line ends.

    Args:
        text: What was written, or None.

    Returns:
        The caption; empty where there is none.

    Example:
        >>> tidy("  a mill  by the  sea ")
        'a mill by the sea'
    """
    return " ".join((text or "").split())


def number(texts: Sequence[str], captions: Sequence[str] | None = None) -> tuple[
    tuple[str, ...], Tensor
]:  # fmt: skip
    """Number captions, equal ones alike.

    Args:
        texts: The caption of each record, N, tidy; empty where it has none.
        captions: The table that they are numbered by; their own, sorted, if None. What is not in it
            counts as none.

    Returns:
        The table, and ``(N,)`` int64 numbers, -1 where a record has no caption.

    Example:
        >>> number(["b", "", "a", "b"])
        (('a', 'b'), tensor([ 1, -1,  0,  1]))
    """
    table = tuple(sorted(set(texts) - {""})) if captions is None else tuple(captions)
    index = {text: row for row, text in enumerate(table)}
    return table, torch.tensor([index.get(text, -1) for text in texts], dtype=torch.int64)


def check_column(captions: Sequence[str] | None, caption: Tensor) -> None:
    """Check that numbers of captions fit their table.

    Args:
        captions: Distinct captions, none of them empty; None where there are none.
        caption: ``(N,)`` numbers, -1 where a record has no caption.

    Raises:
        BadRecordError: If they do not.
    """
    known = len(captions or ())
    if caption.ndim != 1 or caption.is_floating_point():
        raise BadRecordError(f"caption is {caption.dtype} {tuple(caption.shape)}; give (N,) int64.")
    if len(caption) and not -1 <= int(caption.min()) <= int(caption.max()) < known:
        raise BadRecordError(
            f"Captions are numbered {int(caption.min())} to {int(caption.max())}, and there are"
            f" {known}; give -1 where a record has none."
        )
    if len(set(captions or ())) != known or "" in (captions or ()):
        raise BadRecordError("Captions must be distinct, and none of them empty.")
