"""Names of models on the hub, and the files of one: which there may be, and how large."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from csp_core.errors import ConfigError
from csp_core.files import MOST_JSON, printable
from csp_core.store.folder import (
    MOST_CARD,
    MOST_CLASS_TABLE,
    MOST_TEXT,
    MOST_VOCABULARY,
    MOST_WORDS_FILE,
    WORDS,
)

PREFIX = "hf:"
PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
NAME = re.compile(rf"({PART})/({PART})(?:@([\w./-]+))?")
COMMIT = re.compile(r"[0-9a-f]{40}")
MOST_NAME = 96
# The branch that stands for a model where no revision is named.
MAIN = "main"
# Nothing else is sent or fetched: no pickle, and nothing that merely lies in the same folder.
NEEDED = {
    "config.json": MOST_JSON,
    "classes.csv": MOST_CLASS_TABLE,
    "calibration.json": MOST_JSON,
    "model.safetensors": 4 << 30,
}
KNOWN = NEEDED | {
    "README.md": MOST_CARD,
    "metrics.json": MOST_JSON,
    "support.json": MOST_JSON,
    "support.safetensors": 1 << 30,
    "image_stats.safetensors": 64 << 20,
    "tokenizer.json": MOST_VOCABULARY,
    WORDS: MOST_WORDS_FILE,
    **{name: MOST_TEXT for name in ("LICENSE", "LICENSE.md", "LICENSE.txt")},
    **{name: MOST_TEXT for name in ("ATTRIBUTION", "ATTRIBUTION.md", "ATTRIBUTION.txt")},
}


@dataclass(frozen=True)
class HubName:
    """A model on the hub.

    Args:
        owner: Who it belongs to.
        name: What its owner calls it.
        revision: A branch, a tag or a commit; ``main`` where none is named.
    """

    owner: str
    name: str
    revision: str = MAIN

    @property
    def repository(self) -> str:
        """Owner and name, as the hub writes them."""
        return f"{self.owner}/{self.name}"

    @property
    def is_commit(self) -> bool:
        """Whether the revision is one that never changes."""
        return COMMIT.fullmatch(self.revision) is not None

    def __str__(self) -> str:
        """Write the name as it is given to commands."""
        at = "" if self.revision == MAIN else f"@{self.revision}"
        return f"{PREFIX}{self.repository}{at}"


def is_hub_name(name: str | Path) -> bool:
    """Tell whether a model's name is one on the hub.

    Args:
        name: As for ``load_model``.

    Returns:
        Whether it begins with ``hf:``.
    """
    return str(name).startswith(PREFIX)


def parse_hub_name(name: str | Path) -> HubName:
    """Read the name of a model on the hub.

    Args:
        name: ``hf:OWNER/NAME`` or ``hf:OWNER/NAME@REVISION``.

    Returns:
        Its parts.

    Raises:
        ConfigError: If it is none.

    Example:
        >>> parse_hub_name("hf:somebody/birds@v1").repository
        'somebody/birds'
    """
    found = NAME.fullmatch(str(name).removeprefix(PREFIX)) if is_hub_name(name) else None
    # The hub itself takes no such names, and a way upwards would leave the folder of copies.
    odd = found is None or any(two in str(name) for two in ("..", "--", "//"))
    if found is None or odd or len(f"{found[1]}/{found[2]}") > MOST_NAME:
        raise ConfigError(
            f"{printable(str(name)[:200])!r} is no name of a model on the hub; give hf:OWNER/NAME,"
            " or hf:OWNER/NAME@REVISION with a branch, a tag or a commit."
        )
    return HubName(found[1], found[2], found[3] or MAIN)
