"""Observations as the iNaturalist API returns them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from csp_core.data.reading.jsonrecords import JsonSource, Record
from csp_core.errors import BadRecordError

SHAPE = "neither GeoJSON nor iNaturalist observations ({'results': [...]})"


def read_observations(content: Any) -> JsonSource:
    """Turn observations into flat records.

    Args:
        content: A page of the API, ``{"results": [...]}``, or the list alone.

    Returns:
        The records.

    Raises:
        BadRecordError: If it holds something else.
    """
    results = content.get("results") if isinstance(content, dict) else content
    if not isinstance(results, list) or not all(isinstance(r, dict) for r in results):
        raise BadRecordError(f"The JSON file holds {SHAPE}.")
    if not any("taxon" in r or "species_guess" in r or "location" in r for r in results):
        # A plain list of records is as good as a table.
        return JsonSource("json", results)
    notes = []
    total = content.get("total_results") if isinstance(content, dict) else None
    if isinstance(total, int) and total > len(results):
        notes.append(f"one page: {len(results):,} of {total:,} observations")
    return JsonSource("inaturalist", map(_flat, results), notes)


def _flat(observation: dict[str, Any]) -> Record:
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
    }


def _part(observation: dict[str, Any], key: str) -> dict[str, Any]:
    part = observation.get(key)
    return part if isinstance(part, dict) else {}


def _place(observation: dict[str, Any]) -> Sequence[Any]:
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
