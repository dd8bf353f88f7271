"""A species learned from a handful of places, as a model of one class."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from csp_core.data.records import ClassTable
from csp_core.errors import ConfigError
from csp_core.inference.few_shot.background import Background
from csp_core.inference.few_shot.distance import Distance
from csp_core.inference.few_shot.ground import DEFAULT_ENCODER, Ground, make_ground
from csp_core.inference.few_shot.leaving import Chosen, choose
from csp_core.inference.few_shot.places import Given, Places, at_sea, check_places
from csp_core.location import LocationEncoder
from csp_core.location.nearness import PART
from csp_core.model import Calibration, DualEncoder, Heads


@dataclass(frozen=True, eq=False)
class FewShot:
    """A species learned from a handful of places.

    Args:
        model: Its prior: a model with the encoder it was learned on, and one class. Relative.
        ground: What it was learned on.
        given: The places.
        chosen: Its classifier on the features of ``ground``, and what leaving out decided.
        notes: What has to be known of it, in sentences.
    """

    model: DualEncoder
    ground: Ground
    given: Given
    chosen: Chosen
    notes: tuple[str, ...]

    def scores(self, features: Tensor, lonlat: Tensor) -> Tensor:
        """Score places by their features, as the model does by the places alone.

        Args:
            features: ``(N, R)`` as of ``ground.see``, of any precision.
            lonlat: ``(N, 2)`` degrees of the same places, by which their distance counts.

        Returns:
            ``(N,)`` in [0, 1], of the same precision.
        """
        found = self.chosen.fitted.coefficients.to(features.dtype)
        logits = features @ found[:-1] + found[-1]
        if self.chosen.distance is not None:
            logits = logits + self.chosen.distance.logits(lonlat).to(logits)
        return (logits / self.chosen.temperature).sigmoid()

    def to_dict(self) -> dict[str, Any]:
        """Return its numbers as plain values, without the places.

        Returns:
            Name to value.
        """
        made = self.chosen
        left = made.left_out
        return {
            "taxon": self.model.classes.names[0],
            "encoder": self.ground.model.name,
            "background": self.ground.background.kind,
            "background_points": len(self.ground.background.lonlat),
            "presences": len(self.given.seen),
            "absences": len(self.given.missed),
            "distance_km": None if made.distance is None else made.distance.nearness.km,
            "penalty": made.penalty,
            "temperature": made.temperature,
            "leave_one_out": left
            and {"folds": left.folds, "log_loss": left.log_loss, "auc": left.auc},
            "threshold": made.threshold,
            "threshold_rule": made.rule,
            "notes": list(self.notes),
        }


def few_shot(
    model: Any,
    seen: Places,
    missed: Places | None = None,
    *,
    name: str = "Unnamed species",
    common_name: str = "",
    background: str | Background = "land",
    distance: bool = True,
    seed: int = 0,
    ground: Ground | None = None,
) -> FewShot:
    """Learn where a species lives from a handful of places.

    A logistic classifier on the frozen, standardised embedding of places tells places where it was
    seen, which weigh 1 together, from background points, which weigh 1 together; each place where
    it was not seen weighs as much as one where it was, up to 1 together. Its penalty is the one
    with the least log-loss where the places of each cell of 1° are left out in turn; from four
    places on a divisor of the logits, from 1/2 to 2, is fitted to the same scores. Its odds are
    multiplied by those of the distance, the density of the cells where it was seen over that on the
    background, so that what lies far from all of them scores low even where it is alike.

    Args:
        model: Any model with a location encoder.
        seen: ``(N, 2)`` longitude, latitude, degrees, where it was seen; a tensor or pairs, 1 to
            2,000 with the others.
        missed: ``(M, 2)`` where it was looked for and not seen, or None.
        name: Its scientific name.
        common_name: Its common name, or ``""``.
        background: A key of ``BACKGROUNDS``, or points of your own.
        distance: Whether distance counts. Without it places alike are found anywhere in the world,
            and the model keeps nothing of where it was seen.
        seed: Of the draw of the background.
        ground: As of ``make_ground``, kept from another species of this model; then model,
            background and seed are those of it.

    Returns:
        The species; its ``model`` answers as any other.

    Raises:
        UnknownNameError: If there is no such background.
        ConfigError: If the model has no location encoder, or distance shall count beside an encoder
            of your own that is given times.
        BadRecordError: If the places cannot be used.

    Source:
        Hamilton et al. 2024, Combining observational data and language for species range
        estimation, for a logistic classifier on a frozen embedding; Elith et al. 2011, A
        statistical explanation of MaxEnt for ecologists, for what presence-only scores mean.
    """
    given = check_places(seen, missed)
    ground = ground or make_ground(model, background, seed=seed)
    chosen = choose(ground, given, distance=distance)
    made = _model(ground, chosen, ClassTable((name,), (common_name,), (len(given.seen),)))
    return FewShot(made, ground, given, chosen, (*given.notes, *_sea(ground, given, distance)))


def _model(ground: Ground, chosen: Chosen, classes: ClassTable) -> DualEncoder:
    """Make a model of the encoder and a classifier for one class."""
    coefficients, distance = chosen.fitted.coefficients, chosen.distance
    weight = ground.axes @ coefficients[:-1]
    bias = coefficients[-1] - ground.mean @ weight
    if distance is not None:
        weight = torch.cat((weight, weight.new_tensor([1 / PART])))
        bias = bias - distance.level
    base = ground.model
    # The layers draw weights that are replaced at once; the caller's random state stays.
    with torch.random.fork_rng(devices=[]):
        made = DualEncoder(
            None,
            _location(base, distance),
            dim=len(weight),
            classes=classes,
            prior_kind="relative",
            name=f"few-shot on {base.name}",
            heads=Heads(image=None, classifiers=("location",)),
        )
    assert isinstance(made.classifier, nn.Linear)
    with torch.no_grad():
        made.classifier.weight.copy_(weight[None])
        made.classifier.bias.copy_(bias[None])
    made.calibration = Calibration(temperature=chosen.temperature)
    # Else asking it would leave the shared encoder in training mode.
    return made.to(next(base.parameters()).device).eval()


def _location(base: DualEncoder, distance: Distance | None) -> nn.Module:
    """Put the distance, where it counts, beside the embedding of a model."""
    location = base.location
    assert location is not None  # of every ground
    if not isinstance(location, LocationEncoder):
        if distance is None:
            return location
        if base.uses_date or base.uses_hour:
            raise ConfigError(
                f"Model {base.name!r} has a location encoder of your own that is given times: no"
                " distance can stand beside it, so give distance=False."
            )
        location = LocationEncoder(location, nn.Identity(), base.dim)
    # Of the same weights; what counts places is the species' own.
    nearness = None if distance is None else deepcopy(distance.nearness)
    return location.with_nearness(nearness)


def _sea(ground: Ground, given: Given, distance: bool) -> tuple[str, ...]:
    """Say where places lie at sea and what is learned from knows land alone, or may."""
    wet = int(at_sea(given.seen).sum())
    if not wet:
        return ()
    why = _on_land(ground.model)
    if not why and ground.background.kind == "land":
        why = "the background is of land"
    if not why and not _cells(ground.model):
        why = f"{ground.model.name} keeps no counts that say whether it learned the sea"
    if not why:
        return ()
    which = "1 place lies" if wet == 1 else f"{wet:,} places lie"
    end = "the map says little but how far it is" if distance else "the map is a guess"
    way = "" if ground.background.kind == "world" else "; for the sea, take background world"
    return (f"{which} at sea and {why}, so that at sea {end}{way}.",)


def _cells(model: DualEncoder) -> tuple[Tensor, Tensor] | None:
    """Give centres and counts of the cells where a model's records were made, if it keeps any."""
    found = None if model.support is None else model.support.cells()
    return found if found is not None and len(found[0]) else None


def _on_land(model: DualEncoder) -> str:
    """Say that a model learned on land, as part of a sentence; nothing if that is not known."""
    cells = _cells(model)
    if cells is None:
        # Made of places drawn on land and near coasts, of which it keeps no counts.
        known = model.name == DEFAULT_ENCODER
        return f"{model.name} learned what land and coasts are like" if known else ""
    far = at_sea(cells[0].float())
    dry = float(cells[1][far].sum()) < 0.1 * float(cells[1].sum())
    return f"{model.name} learned its records on land" if dry else ""
