"""What is done once for the text side of a model before training: its vocabulary."""

from __future__ import annotations

import logging

from csp_core.data.records import RecordDataset
from csp_core.errors import ConfigError
from csp_core.model import DualEncoder
from csp_core.store import find_model, read_model_config
from csp_core.text import TextEncoder
from csp_core.training.state import derive_seed

log = logging.getLogger(__name__)


def check_table(train_set: RecordDataset, val_set: RecordDataset | None) -> None:
    """Make sure that records held out number their captions as those do that are learned from.

    Args:
        train_set: The training records, by whose table an objective reads captions.
        val_set: Records held out, or None.

    Raises:
        ConfigError: If their numbers mean other captions.
    """
    if val_set is None or train_set.captions is None or val_set.captions == train_set.captions:
        return
    raise ConfigError(
        f"The validation records of {train_set.name!r} have another table of captions than the"
        " training records, so their numbers mean other captions: have its loader give all parts"
        " one table (csp_core.data.captions.column.number)."
    )


def fit_captions(
    model: DualEncoder, train_set: RecordDataset, seed: int, source: str | None
) -> None:
    """Let a text encoder learn its vocabulary from the captions of the training records.

    Args:
        model: The model; nothing is done where it has no text encoder.
        train_set: The training records.
        seed: Seed of the run.
        source: Model that the run starts from, whose vocabulary is taken if it has one; or None.

    Raises:
        ConfigError: If there are no captions.
        CspError: If there is no such model.
    """
    if not isinstance(model.text, TextEncoder):
        return
    taken = source is not None and bool(read_model_config(find_model(source)).get("text"))
    if not train_set.captions and not taken:
        raise ConfigError(
            "model.text reads captions, and the records have none: give data.captions, such as"
            " facts, or leave model.text out."
        )
    # The table is that of all parts of the data: those of other parts are not to be learned from.
    used = sorted(set(train_set.caption.tolist()) - {-1})
    own = [train_set.captions[number] for number in used] if train_set.captions else []
    if taken:
        model.text.meet(own)
        return
    model.text.fit_captions(own, derive_seed(seed, "captions", 0))
    log.info(
        "the text encoder reads %s tokens, of %s captions",
        f"{model.text.vocabulary_size:,}",
        f"{len(own):,}",
    )
