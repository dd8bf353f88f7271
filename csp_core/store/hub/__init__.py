"""Models on the Hugging Face hub: fetched by name, shared by command.

Nothing here is done unless somebody names a model by ``hf:OWNER/NAME``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from csp_core.tables import lazily

if TYPE_CHECKING:
    from csp_core.store.hub.copies import fetched
    from csp_core.store.hub.fetch import fetch_model
    from csp_core.store.hub.names import HubName, is_hub_name, parse_hub_name
    from csp_core.store.hub.share import Shared, share_model

_HOMES = {
    "HubName": "csp_core.store.hub.names",
    "Shared": "csp_core.store.hub.share",
    "fetch_model": "csp_core.store.hub.fetch",
    "fetched": "csp_core.store.hub.copies",
    "is_hub_name": "csp_core.store.hub.names",
    "parse_hub_name": "csp_core.store.hub.names",
    "share_model": "csp_core.store.hub.share",
}

__all__ = [
    "HubName",
    "Shared",
    "fetch_model",
    "fetched",
    "is_hub_name",
    "parse_hub_name",
    "share_model",
]

__getattr__ = lazily(__name__, _HOMES)
