"""What the portal that a record comes from holds against it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import polars as pl

from csp_core.data.reading.presence import TRUE

PREFIX = "flagged by the source: "
OBSCURED = "place obscured by the recorder or the site"
# GBIF and OBIS note these of records that nothing is wrong with: what they filled in or lack.
HARMLESS = frozenset(
    "COORDINATE_ROUNDED COORDINATE_REPROJECTED GEODETIC_DATUM_ASSUMED_WGS84"
    " CONTINENT_DERIVED_FROM_COORDINATES CONTINENT_DERIVED_FROM_COUNTRY CONTINENT_INVALID"
    " CONTINENT_COUNTRY_MISMATCH CONTINENT_COORDINATE_MISMATCH"
    " COUNTRY_DERIVED_FROM_COORDINATES FOOTPRINT_SRS_INVALID FOOTPRINT_WKT_INVALID"
    " FOOTPRINT_WKT_MISMATCH INSTITUTION_MATCH_NONE INSTITUTION_MATCH_FUZZY"
    " INSTITUTION_COLLECTION_MISMATCH COLLECTION_MATCH_NONE COLLECTION_MATCH_FUZZY"
    " DIFFERENT_OWNER_INSTITUTION AMBIGUOUS_INSTITUTION AMBIGUOUS_COLLECTION POSSIBLY_ON_LOAN"
    " OCCURRENCE_STATUS_INFERRED_FROM_INDIVIDUAL_COUNT"
    " OCCURRENCE_STATUS_INFERRED_FROM_BASIS_OF_RECORD INDIVIDUAL_COUNT_INVALID"
    " MODIFIED_DATE_INVALID MODIFIED_DATE_UNLIKELY IDENTIFIED_DATE_INVALID"
    " IDENTIFIED_DATE_UNLIKELY MULTIMEDIA_DATE_INVALID MULTIMEDIA_URI_INVALID"
    " REFERENCES_URI_INVALID TYPE_STATUS_INVALID SUSPECTED_TYPE TAXON_MATCH_TAXON_ID_IGNORED"
    " TAXON_MATCH_SCIENTIFIC_NAME_ID_IGNORED TAXON_ID_NOT_FOUND SCIENTIFIC_NAME_ID_NOT_FOUND"
    " TAXON_MATCH_NAME_AND_ID_AMBIGUOUS TAXON_CONCEPT_ID_NOT_FOUND GEOREFERENCED_DATE_INVALID"
    " GEOREFERENCED_DATE_UNLIKELY ELEVATION_NON_NUMERIC DEPTH_NON_NUMERIC ELEVATION_NOT_METRIC"
    " DEPTH_NOT_METRIC ELEVATION_MIN_MAX_SWAPPED DEPTH_MIN_MAX_SWAPPED DEPTH_UNLIKELY"
    " ELEVATION_UNLIKELY NO_DEPTH DEPTH_EXCEEDS_BATH MIN_DEPTH_EXCEEDS_MAX NO_ACCEPTED_NAME".split()
)


def _tokens(text: str) -> str:
    """Give the weighty ones of a list of issues."""
    # Lists of structures in JSON name each value: {"array_element": "ZERO_COORDINATE"}.
    values = re.sub(r"""[{,]\s*["']\w+["']\s*:|\}""", ",", text) if "{" in text else text
    words = [word.strip().strip("'\"") for word in re.split(r"[;,|\[\]]", values)]
    return ", ".join(word for word in words if word and word.upper() not in HARMLESS)


def _grade(text: str) -> str:
    said = text.lower().replace(" ", "_")
    return "" if said in ("research", "research_grade") else f"quality grade {said}"


def _true(meaning: str) -> Callable[[str], str]:
    return lambda text: meaning if text.lower() in TRUE else ""


def _false(meaning: str) -> Callable[[str], str]:
    return lambda text: meaning if text.lower() in ("0", "false", "f", "no") else ""


def _hidden(text: str) -> str:
    return OBSCURED if text.lower() in ("obscured", "private", "obscured_private") else ""


# Canonical name -> from what stands there to what the source holds against the record.
MEANINGS: dict[str, Callable[[str], str]] = {
    "issue": _tokens,
    "flags": _tokens,
    "left_out": _true("left out by its quality control"),
    "spatial_issue": _true("has geospatial issues"),
    "grade": _grade,
    "approved": _false("not approved by the reviewer"),
    "outlier": _true("marked as an outlier"),
    "visible": _false("marked as an outlier"),
    "obscured": _true(OBSCURED),
    "privacy": _hidden,
    "taxon_privacy": _hidden,
}


class SourceFlags:
    """Reads the flags of a portal, one piece of a file after the other.

    Args:
        columns: Canonical name to column of the file.
    """

    def __init__(self, columns: Mapping[str, str]) -> None:
        self._columns = {key: columns[key] for key in MEANINGS if key in columns}
        self._known: dict[str, dict[str, str]] = {key: {} for key in self._columns}
        self._records: dict[str, int] = {}
        self._total = 0

    def read(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add what the source holds against each record.

        Args:
            rows: The columns of flags as text.

        Returns:
            The rows with ``source_flag``: words parted by ", ", null where there is nothing.
        """
        found = []
        for key in self._columns:
            texts = rows[key].drop_nulls().unique().to_list()
            known = self._known[key]
            if len(known) > 100_000:
                known.clear()
            for text in texts:
                if text not in known:
                    known[text] = MEANINGS[key](text)
            said = {text: known[text] for text in texts if known[text]}
            if said:
                words = pl.col(key).replace_strict(said, default=None, return_dtype=pl.String)
                found.append(words.alias(f"{key}_flag"))
        if not found:
            return rows.with_columns(source_flag=pl.lit(None, pl.String))
        rows = rows.with_columns(found)
        names = [expr.meta.output_name() for expr in found]
        joined = pl.concat_str(names, separator=", ", ignore_nulls=True)
        return rows.with_columns(source_flag=pl.when(joined != "").then(joined)).drop(names)

    def count(self, kept: pl.DataFrame) -> pl.DataFrame:
        """Count the flags of kept records.

        Args:
            kept: Records with ``source_flag`` and ``line``.

        Returns:
            A row for each flag: ``line``, ``reason``, ``detail``.
        """
        hit = kept.select("line", "source_flag", "scientific_name").drop_nulls("source_flag")
        if not len(hit):
            return hit.select("line", reason="source_flag", detail="scientific_name")
        self._total += len(hit)
        words = pl.col("source_flag").str.split(", ")
        each = hit.with_columns(words.list.unique(maintain_order=True).alias("word"))
        each = each.explode("word", empty_as_null=True, keep_nulls=False)
        plain = pl.col("word") == OBSCURED
        reason = pl.when(plain).then("word").otherwise(pl.format(PREFIX + "{}", "word"))
        return each.select("line", reason=reason, detail="scientific_name")

    def notes(self) -> list[str]:
        """Say how many records the source flags.

        Returns:
            A sentence, or nothing.
        """
        if not self._total:
            return []
        names = ", ".join(f"`{column}`" for column in self._columns.values())
        records = "record" if self._total == 1 else "records"
        return [
            f"{PREFIX}{self._total:,} {records}, by {names}; they are kept unless asked otherwise"
            " (--drop-flagged)"
        ]
