"""A model's card as the hub reads it: front matter with a licence that it knows, tags, library."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from csp_core.store.folder import read_front

LIBRARY = "csp_core"
TAGS = ("csp_core", "geospatial", "location-encoder")
# Licences that the hub knows by these names; of another one it takes the name beside "other".
CREATIVE = [f"cc-{kind}-{version}" for version in ("2.0", "2.5", "3.0", "4.0")
            for kind in ("by", "by-sa", "by-nc", "by-nc-sa", "by-nd", "by-nc-nd")]  # fmt: skip
LICENSES = {
    *CREATIVE,
    *("afl-3.0", "agpl-3.0", "apache-2.0", "artistic-2.0", "bsd", "bsd-2-clause", "bsd-3-clause"),
    *("bsl-1.0", "c-uda", "cc", "cc0-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0"),
    *("cdla-sharing-1.0", "ecl-2.0", "epl-1.0", "epl-2.0", "eupl-1.1", "eupl-1.2", "gfdl", "gpl"),
    *("gpl-2.0", "gpl-3.0", "isc", "lgpl", "lgpl-2.1", "lgpl-3.0", "mit", "mpl-2.0", "ms-pl"),
    *("mulanpsl-2.0", "ncsa", "odbl", "odc-by", "ofl-1.1", "openrail", "osl-3.0", "other"),
    *("pddl", "postgresql", "unknown", "unlicense", "wtfpl", "zlib"),
}
UNSTATED = ("", "unstated", "none")


def hub_card(folder: Path) -> tuple[str, str]:
    """Write the card of a model as the hub reads it.

    Args:
        folder: The model's directory.

    Returns:
        Markdown with YAML front matter: that of the model, with ``license``, ``tags`` and
        ``library_name`` as the hub wants them; and the licence, ``unknown`` where none is stated.

    Raises:
        CspError: If the card is not within bounds, or its front matter is no YAML.

    Source:
        Model cards of the Hugging Face hub, metadata specification.
    """
    front, body = read_front(folder)
    given = front.get("tags")
    own = [str(tag) for tag in given] if isinstance(given, list) else []
    licence = _licence(front)
    values = {
        **front,
        **licence,
        "library_name": LIBRARY,
        "tags": list(dict.fromkeys([*own, *TAGS])),
    }
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    stated = licence.get("license_name", licence["license"])
    return f"---\n{text}---\n\n{body}\n", stated


def _licence(front: dict[str, Any]) -> dict[str, str]:
    stated = " ".join(str(front.get("license") or "").split())
    known = stated.lower()
    if known in LICENSES:
        return {"license": known}
    if known in UNSTATED:
        return {"license": "unknown"}
    short = re.sub(r"[^a-z0-9.-]+", "-", known).strip("-") or "other"
    return {"license": "other", "license_name": short[:64]}
