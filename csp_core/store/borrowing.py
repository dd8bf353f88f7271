"""What a model's directory says of the model whose prior it borrows, written and read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from csp_core.errors import ConfigError

if TYPE_CHECKING:
    from csp_core.model import DualEncoder

KEY = "place_prior"
# Names of taxa for all classes together.
MOST_TAXA = 200_000


def described(model: DualEncoder) -> dict[str, Any]:
    """Describe whose prior a model borrows, for its ``config.json``.

    Args:
        model: The model.

    Returns:
        The key and its value; nothing where it borrows none.
    """
    lent = model.borrowed
    if lent is None:
        return {}
    pairs = zip(model.classes.names, lent.taxa, strict=True)
    taxa = {name: list(some) for name, some in pairs if some}
    return {KEY: {"model": lent.prior.name, "taxa": taxa}}


def lender(config: Mapping[str, Any]) -> str | None:
    """Tell which model is borrowed from.

    Args:
        config: Content of ``config.json``.

    Returns:
        Its name; None where nothing is borrowed.

    Raises:
        ConfigError: If that is not described as it should be.
    """
    said = config.get(KEY)
    if said is None:
        return None
    name = said.get("model") if isinstance(said, dict) else None
    if not isinstance(name, str) or not isinstance(said.get("taxa", {}), dict):
        raise ConfigError(f"{KEY} in config.json is no object of a model's name and taxa")
    return name


def borrow(model: DualEncoder, config: Mapping[str, Any], load: Callable[[str], Any]) -> None:
    """Let a model borrow the prior that its directory names.

    Args:
        model: The model.
        config: Content of its ``config.json``.
        load: Loads a model by its name.

    Raises:
        ConfigError: If the other model is not there, knows no places, or fits no class; or if the
            model answers with label sets.
    """
    name = lender(config)
    if name is None:
        return
    if model.prior_kind == "probability":
        # What is borrowed shares out anew among classes of which one is true.
        raise ConfigError(f"it answers with label sets, which hear no borrowed prior: drop {KEY}")
    # Listing models, which asks `lender`, does without torch.
    from csp_core.model import Borrowed

    given = config[KEY].get("taxa")
    # Without taxa each class is the taxon that it is named by.
    taxa = {own: [own] for own in model.classes.names} if given is None else given
    rows = tuple(_row(taxa.get(own, [])) for own in model.classes.names)
    if sum(map(len, rows)) > MOST_TAXA:
        raise ConfigError(f"{KEY} names more than {MOST_TAXA:,} taxa")
    prior = load(name)
    if prior.classifier is None:
        raise ConfigError(f"model {name!r}, whose prior it borrows, knows nothing of places")
    narrow(prior, [taxon for row in rows for taxon in row])
    model.borrowed = Borrowed(prior, rows)


def narrow(prior: DualEncoder, taxa: Iterable[str]) -> None:
    """Leave a prior the classes that are asked for, which is far quicker where it has thousands.

    Shares need all classes, as do counts of records; such a prior stays as it is.

    Args:
        prior: The model, which is changed.
        taxa: Names; those that it does not know are left out.
    """
    import torch

    from csp_core.data.records import ClassTable
    from csp_core.model.classifier import rows_of

    table = prior.classes
    found = table.match(list(dict.fromkeys(taxa)))
    labels = sorted({label for label in found.tolist() if label >= 0})
    if prior.prior_kind != "relative" or prior.support is not None or not labels:
        return
    assert prior.classifier is not None
    prior.classifier = rows_of(prior.classifier, torch.tensor(labels))
    prior.classes = ClassTable(
        tuple(table.names[k] for k in labels),
        tuple(table.common_names[k] for k in labels),
        tuple(table.counts[k] for k in labels),
        table.records,
    )


def _row(names: Any) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"the taxa of a class in {KEY} are {str(names)[:80]}, no list of names")
    return tuple(names)
