"""What a run works on: data, model and objective made from a configuration."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from csp_core.config import RunConfig
from csp_core.data import load_dataset
from csp_core.data.records import RecordDataset, join_records, recounted
from csp_core.errors import ConfigError
from csp_core.image import DenseEncoder, make_image_encoder
from csp_core.image.dense import start_from
from csp_core.image.weights import Weights
from csp_core.location import make_location_encoder
from csp_core.model import TOWERS, DualEncoder, LowRank
from csp_core.objectives import OBJECTIVES, Objective, heads_for, make_objective
from csp_core.store import load_model
from csp_core.text import TextTransformer, make_text_encoder
from csp_core.training.image_side import compute_once, describe_images, fit_bands
from csp_core.training.limits import building_within_limits, check_parameters
from csp_core.training.quality import prepare_records
from csp_core.training.state import derive_seed
from csp_core.training.teachers import make_teacher, objective_options
from csp_core.training.text_side import check_table, fit_captions
from csp_core.training.unseen import check_unseen

log = logging.getLogger(__name__)
# A model with time needs this part of its records dated, or it learns what noise is.
LEAST_DATED = 0.05
# Places at which a classifier of low rank is compared with a full one.
MOST_SEEN = 20_000
# With fewer than this, what it says of a time rests on the smaller part of its records.
WELL_DATED = 0.5
# Parts of encoders that no other one takes over: a further token, the places of a species.
OWN_PARTS = ("token", "nearness.places")


@dataclass(frozen=True)
class Parts:
    """What a run works on.

    Args:
        train_set: Records to learn from.
        val_set: Records held out, or None.
        model: The model.
        objective: The objective that owns it.
    """

    train_set: RecordDataset
    val_set: RecordDataset | None
    model: DualEncoder
    objective: Objective


def make_parts(
    config: RunConfig,
    *,
    refit: bool = False,
    networks: Sequence[Path] = (),
    start: Path | None = None,
) -> Parts:
    """Load the data and make model and objective, all from the configuration's seed.

    Args:
        config: What to train.
        refit: Whether to learn from the validation records too, holding out none.
        networks: Directories of the networks among the teachers, trained before.
        start: Model that an earlier stage pre-trained, in place of ``model.init_from``.

    Returns:
        The parts.

    Raises:
        CspError: If data, names or options do not fit.
    """
    options = config.data.loading()
    train_set = load_dataset(config.data.name, "train", **options)
    for line in _read_lines(train_set):
        log.info("%s", line, extra={"tell": True})
    train_set.classes.check_distinct()
    if train_set.labels is not None and train_set.classes.records is None:
        counted = recounted(train_set.classes, train_set.label, train_set.labels)
        train_set = replace(train_set, classes=counted)
    val_set = load_dataset(config.data.name, "val", **options) if _holds_out(config) else None
    check_table(train_set, val_set)
    if refit and val_set is not None:
        train_set, val_set = join_records(train_set, val_set), None
    train_set = prepare_records(config, train_set)
    torch.manual_seed(derive_seed(config.seed, "weights", 0))
    with building_within_limits():
        model = _make_model(config, train_set)
    check_parameters(model)
    _check_dated(model, train_set)
    fit_bands(model, train_set)
    model.image_stats = describe_images(model, train_set)
    model.set_class_frequency(train_set.classes.frequency())
    source = config.model.init_from if start is None else str(start)
    fit_captions(model, train_set, config.seed, source)
    if source:
        # What an objective draws follows from the seed, whatever its start draws as it is loaded.
        with torch.random.fork_rng(devices=[]):
            initialise(model, source, train_set)
    # A copy of the model that an objective keeps is one of the model as it starts.
    objective = make_objective(config.objective.name, model, **objective_options(config))
    objective.fit(train_set, make_teacher(config.teachers, train_set, networks))
    check_unseen(config, train_set, val_set, source)
    for part in objective.resting():
        # Processes wait for every gradient asked for.
        part.requires_grad_(False)
    if config.training.cache_features and not objective.changes_images:
        train_set = compute_once(model, train_set)
        val_set = None if val_set is None else compute_once(model, val_set)
    return Parts(train_set, val_set, model, objective)


def _read_lines(train_set: RecordDataset) -> list[str]:
    """Give the lines in which reading the records is told, if they were read from a table."""
    lines = train_set.info.get("import_report")
    found = [str(line) for line in lines] if isinstance(lines, list) else []
    if train_set.captions is not None:
        without = int((train_set.caption < 0).sum())
        told = train_set.info.get("captions", "of the data set itself")
        found.append(
            f"captions {told}: {len(train_set.captions):,} distinct ones in all parts, and"
            f" {without:,} of {len(train_set):,} training records have none"
        )
    return found


def _check_dated(model: DualEncoder, train_set: RecordDataset) -> None:
    """Refuse to learn what a time means from records that hardly have any."""
    times = (
        (model.uses_date, train_set.date, "date", "day_of_year: false"),
        (model.uses_hour, train_set.hour, "hour of the day", "hour: false"),
    )
    for used, values, what, off in times:
        known = int((~values.isnan()).sum())
        if used and known < LEAST_DATED * len(values):
            raise ConfigError(
                f"The model is to learn from time (model.location.time), but {known:,} of"
                f" {len(values):,} training records ({known / max(len(values), 1):.1%}) have a"
                f" {what}: it would learn noise. Give records with one, or set"
                f" model.location.time=null (or {off} in its options)."
            )
        if used and known < WELL_DATED * len(values):
            log.warning(
                "%s of %s training records (%.0f%%) have a %s: what the model says of one rests"
                " on these alone",
                f"{known:,}",
                f"{len(values):,}",
                100 * known / len(values),
                what,
            )


def initialise(
    model: DualEncoder, source_name: str, train_set: RecordDataset | None = None
) -> None:
    """Start from another model's encoders, its heads and classifiers where those agree.

    Args:
        model: The model, changed.
        source_name: As for ``load_model``.
        train_set: The training records, at whose places a classifier of low rank is to answer as
            the other model's full one does; None for one that starts as it is.

    Raises:
        ConfigError: If its encoders are others, or it has none that the model has.
        CspError: If it cannot be loaded.
    """
    source = load_model(source_name)
    sides = [side for side in TOWERS if None not in (getattr(model, side), getattr(source, side))]
    if not sides:
        what = {"image": "images", "location": "places", "text": "words"}
        has = " and ".join(w for s, w in what.items() if getattr(source, s) is not None)
        raise ConfigError(
            f"model.init_from {source_name!r} knows {has} alone, and this model has no encoder of"
            " them, so there is nothing to start from."
        )
    for side in sides:
        try:
            _take_encoder(getattr(model, side), getattr(source, side), source_name)
        except RuntimeError as error:
            raise ConfigError(
                f"model.init_from {source_name!r} has another {side} encoder: give"
                f" model.{side} and model.dim the values in its config.json."
            ) from error
    same = source.classes.names == model.classes.names
    of_classes = ("classifier", "image_classifier", "pixel_classifier") if same else ()
    for name in ("image_head", "location_head", "token_heads", *of_classes):
        own, other = getattr(model, name), getattr(source, name)
        if own is None or other is None:
            continue
        if isinstance(own, LowRank) and isinstance(other, nn.Linear):
            if train_set is not None:
                _take_classifier(own, other, source, train_set)
            continue
        before, now = other.state_dict(), own.state_dict()
        if {k: v.shape for k, v in before.items()} == {k: v.shape for k, v in now.items()}:
            own.load_state_dict(before)


def _take_classifier(
    own: LowRank, other: nn.Linear, source: DualEncoder, train_set: RecordDataset
) -> None:
    """Start a classifier of low rank as what is nearest to a full one at the training places."""
    known = (~train_set.lonlat.isnan().any(dim=1)).nonzero()[:MOST_SEEN, 0]
    when = train_set.date[known], train_set.hour[known]
    with torch.inference_mode():
        seen = source.eval().embed_location(train_set.lonlat[known], *when)
    own.approximate(other.weight, other.bias, seen)


def _take_encoder(own: nn.Module, other: nn.Module, name: str) -> None:
    """Take another encoder's weights; what ``OWN_PARTS`` lists stays its own where one has it."""
    if isinstance(own, DenseEncoder):
        start_from(own, Weights(Path(name), other.state_dict(), own=True))
        return
    if isinstance(own, TextTransformer) and isinstance(other, TextTransformer) and other.vocabulary:
        own.take_vocabulary(other.vocabulary)
        # Those of its captions before, if anybody knows them, and of these.
        known = other.words is not None and own.words is not None
        own.words = (other.words or frozenset()) | (own.words or frozenset()) if known else None
    state = {name: value for name, value in other.state_dict().items() if name not in OWN_PARTS}
    kept = {name: value for name, value in own.state_dict().items() if name in OWN_PARTS}
    own.load_state_dict({**state, **kept})


def _make_model(config: RunConfig, train_set: RecordDataset) -> DualEncoder:
    """Make the model; one that is trained without labels knows no classes."""
    classes = train_set.classes
    settings, objective = config.model, config.objective
    kind = OBJECTIVES[objective.name]
    # First weights follow from the seed in this order: location, image, text, heads.
    location, dim = None, settings.dim
    if settings.location is not None:
        location = make_location_encoder(dim=dim, **settings.location.model_dump())
    return DualEncoder(
        make_image_encoder(**settings.image.model_dump()) if settings.image else None,
        location,
        text=make_text_encoder(dim=dim, **settings.text.model_dump()) if settings.text else None,
        dim=dim,
        classes=classes if "labels" in kind.learns_from else None,
        bias=settings.bias,
        # Some objectives learn label sets as well as labels; the records tell which these are.
        prior_kind=kind.prior_kind or ("share" if train_set.labels is None else "probability"),
        name=config.name,
        heads=heads_for(objective.name, objective.options),
    )


def _holds_out(config: RunConfig) -> bool:
    return bool(config.data.options.get("val_fraction", 1.0))
