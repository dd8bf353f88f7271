"""Answers of web services that come in pages: what a file says of the records that it lacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Where services put the records of a page, and how many there are in all.
LISTS = (
    *("results", "records", "occurrences", "observations", "items", "recs", "data", "rows"),
    *("recordings", "hits", "value", "content"),
)
TOTALS = (
    *("total_results", "count", "total", "totalRecords", "itemCount", "numberMatched"),
    *("totalFeatures", "numFound", "total_count", "matching_records", "total_entries"),
    *("totalCount", "totalElements", "totalHits", "numRecordings", "@odata.count", "totalResults"),
    *("totalItems", "total_records", "recordsTotal", "total_rows", "totalRows"),
)
# Said of a page that others follow.
MORE = (
    *("next", "next_cursor", "nextPageToken", "cursor", "scroll_id", "nextCursor", "hasMore"),
    *("nextPage", "next_page", "next_page_url", "nextPageUrl", "nextLink", "@odata.nextLink"),
    *("has_more", "hasNextPage"),
)


def records_in(content: Mapping[str, Any]) -> list[Any] | None:
    """Find the list of records of a page.

    Args:
        content: The page.

    Returns:
        The list; None where there is none that holds objects alone, or several do.

    Example:
        >>> records_in({"total": 7, "results": [{"id": 1}]})
        [{'id': 1}]
    """
    found = [v for key in LISTS if isinstance(v := content.get(key), list)]
    filled = [v for v in found if v and all(isinstance(record, dict) for record in v)]
    return filled[0] if len(filled) == 1 else found[0] if len(found) == 1 else None


def page_notes(content: Any, number: int) -> list[str]:
    """Say whether a page is all there is.

    Args:
        content: The page.
        number: Of records in it.

    Returns:
        A sentence if there are more, else nothing.

    Example:
        >>> page_notes({"count": 54321, "results": [{}]}, 1)
        ['one page: 1 of 54,321 records']
        >>> page_notes({"endOfRecords": False, "results": [{}]}, 1)
        ['one page: 1 record, and the file says that there are more']
    """
    if not isinstance(content, Mapping):
        return []
    about = [content, *(v for v in content.values() if isinstance(v, Mapping))]
    totals = [t for part in about for key in TOTALS if (t := _whole(part.get(key))) is not None]
    total = max(totals, default=0)
    if total > number:
        return [f"one page: {number:,} of {total:,} records"]
    follows = any(part.get(key) for part in about for key in MORE) or any(
        isinstance(link, Mapping) and link.get("rel") == "next"
        for link in _list(content.get("links"))
    )
    ends = content.get("endOfRecords") is False or any(
        part.get("exceededTransferLimit") is True for part in about
    )
    follows |= any(content.get(key) is False for key in ("last", "isLastPage"))
    if ends or follows:
        records = "record" if number == 1 else "records"
        return [f"one page: {number:,} {records}, and the file says that there are more"]
    return []


def _whole(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 16:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
