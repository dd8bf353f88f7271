"""Observations as the iNaturalist API returns them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from csp_core.data.reading.jsonrecords import JsonSource, Record
from csp_core.data.reading.pages import page_notes, records_in
from csp_core.errors import BadRecordError

SHAPE = (
    "neither GeoJSON nor iNaturalist observations nor another list of records ({'results': [...]})"
)
# What a record of iNaturalist has inside of others, and other records in themselves.
FLAT = {"scientificName", "scientific_name", "species", "decimalLatitude", "latitude", "lat"}


def read_observations(content: Any) -> JsonSource:
    """Turn observations into flat records.

    Args:
        content: A page of the API, ``{"results": [...]}``, or the list alone, or a single record.

    Returns:
        The records.

    Raises:
        BadRecordError: If it holds something else.
    """
    results = records_in(content) if isinstance(content, dict) else content
    if results is None and FLAT & content.keys():
        results = [content]
    if not isinstance(results, list) or not all(isinstance(r, dict) for r in results):
        raise BadRecordError(f"The JSON file holds {SHAPE}.")
    notes = page_notes(content, len(results))
    if not any(map(is_observation, results)):
        # A plain list of records is as good as a table.
        return JsonSource("json", map(unpacked, results), notes)
    return JsonSource("inaturalist", map(flat, results), notes)


def is_observation(record: Mapping[str, Any]) -> bool:
    """Tell whether a record is an observation of the iNaturalist API."""
    return isinstance(record.get("taxon"), dict) or (
        "species_guess" in record or ("location" in record and not FLAT & record.keys())
    )


def unpacked(record: Mapping[str, Any]) -> Record:
    """Lay open what iDigBio puts below ``data`` or ``indexTerms`` of each record."""
    for name in ("data", "indexTerms"):
        if name in record and isinstance(inner := record[name], dict):
            return {**record, **inner}
    return record


def flat(observation: Mapping[str, Any]) -> Record:
    """Lay an observation out as one row.

    Args:
        observation: As the API gives it.

    Returns:
        Column to value.
    """
    taxon, user = _part(observation, "taxon"), _part(observation, "user")
    lon, lat = _place(observation)
    accuracy = observation.get("public_positional_accuracy")
    return {
        "id": observation.get("id") or observation.get("uuid"),
        "scientific_name": taxon.get("name"),
        "common_name": taxon.get("preferred_common_name") or observation.get("species_guess"),
        "taxon_rank": taxon.get("rank"),
        "lon": lon,
        "lat": lat,
        "observed_on": observation.get("observed_on"),
        "user_login": user.get("login") or observation.get("user_login"),
        "uncertainty_m": observation.get("positional_accuracy") if accuracy is None else accuracy,
        "license_code": observation.get("license_code"),
        "captive": observation.get("captive"),
        "obscured": observation.get("obscured"),
        "quality_grade": observation.get("quality_grade"),
        "geoprivacy": observation.get("geoprivacy"),
        "taxon_geoprivacy": observation.get("taxon_geoprivacy"),
    }


def _part(observation: Mapping[str, Any], key: str) -> dict[str, Any]:
    part = observation.get(key)
    return part if isinstance(part, dict) else {}


def _place(observation: Mapping[str, Any]) -> Sequence[Any]:
    """Read longitude and latitude; ``location`` has them the other way round."""
    point = _part(observation, "geojson").get("coordinates")
    if isinstance(point, list) and len(point) >= 2:
        return point[0], point[1]
    location = observation.get("location")
    if isinstance(location, str):
        location = location.split(",")
    if isinstance(location, list) and len(location) >= 2:
        return location[1], location[0]
    return observation.get("longitude"), observation.get("latitude")
