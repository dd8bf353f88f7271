"""What a run works on and what it leaves: data, model and objective made from a configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from csp_core.calibrate import fit_temperature
from csp_core.config import RunConfig
from csp_core.data import load_dataset
from csp_core.data.batch import Batch
from csp_core.data.records import ClassTable, RecordDataset, join_records
from csp_core.evaluation import (
    BOTH,
    IMAGE,
    PLACE,
    evaluate,
    fit_calibration,
    measure,
    records_logits,
    score,
    sees_images,
)
from csp_core.image import make_image_encoder
from csp_core.location import make_location_encoder
from csp_core.locked import compute_once, fit_bands
from csp_core.model import DualEncoder
from csp_core.objectives import OBJECTIVES, BatchRandom, Objective, heads_for, make_objective
from csp_core.start import check_unseen, describe_images, initialise
from csp_core.teachers import make_teacher
from csp_core.trainstate import derive_seed

CHUNK, IMAGE_CHUNK = 4096, 512
# What the weights of an objective's own layers are called beside those of its model.
OWN = "objective."
# What is told of each side beside the answer of both.
SHOWN = ("top1", "log_loss")


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
    options = {"root": config.data.root, **config.data.options}
    train_set = load_dataset(config.data.name, "train", **options)
    val_set = load_dataset(config.data.name, "val", **options) if _holds_out(config) else None
    if refit and val_set is not None:
        train_set, val_set = join_records(train_set, val_set), None
    torch.manual_seed(derive_seed(config.seed, "weights", 0))
    model = _make_model(config, train_set.classes)
    fit_bands(model, train_set)
    model.image_stats = describe_images(model, train_set)
    objective = make_objective(config.objective.name, model, **config.objective.options)
    objective.fit(train_set, make_teacher(config.teachers, train_set, networks))
    model.set_class_frequency(train_set.classes.frequency())
    source = config.model.init_from if start is None else str(start)
    if source:
        initialise(model, source)
    check_unseen(config, train_set, val_set, source)
    for part in objective.resting():
        # Processes wait for every gradient asked for.
        part.requires_grad_(False)
    if config.training.cache_features and not objective.changes_images:
        train_set = compute_once(model, train_set)
        val_set = None if val_set is None else compute_once(model, val_set)
    return Parts(train_set, val_set, model, objective)


def _make_model(config: RunConfig, classes: ClassTable) -> DualEncoder:
    """Make the model; one that is trained without labels knows no classes."""
    settings, objective = config.model, config.objective
    kind = OBJECTIVES[objective.name]
    # First weights follow from the seed in this order: location, image, heads.
    location = None
    if settings.location is not None:
        location = make_location_encoder(dim=settings.dim, **settings.location.model_dump())
    return DualEncoder(
        make_image_encoder(**settings.image.model_dump()) if settings.image else None,
        location,
        dim=settings.dim,
        classes=classes if "labels" in kind.learns_from else None,
        bias=settings.bias,
        prior_kind=kind.prior_kind,
        name=config.name,
        heads=heads_for(objective.name, objective.options),
    )


class Average:
    """Running average of what an objective trains: the model, and layers of its own.

    Args:
        objective: The objective that trains.
        decay: Weight of the past, in (0, 1). It grows from 0.1, so that the first, random weights
            are soon forgotten.
    """

    def __init__(self, objective: Objective, decay: float) -> None:
        self.objective, self.decay = objective, decay
        rule: Callable[..., None] = self._follow
        self.model = AveragedModel(objective.model, multi_avg_fn=rule)
        self.layers = {n: w.detach().clone() for n, w in objective.layers().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Follow the objective by one step."""
        if self.layers:
            now = [weight.detach() for weight in self.objective.layers().values()]
            self._follow(list(self.layers.values()), now, self.model.n_averaged)
        self.model.update_parameters(self.objective.model)

    def state_dict(self) -> dict[str, Tensor]:
        """Give the averages, those of the objective's own layers under ``objective``."""
        return {**self.model.state_dict(), **{f"{OWN}{n}": v for n, v in self.layers.items()}}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take back what ``state_dict`` gave; a RuntimeError if it does not fit."""
        model, layers = split_own(state)
        self.model.load_state_dict(model)
        copy_layers(self.layers, layers)

    @torch.no_grad()
    def _follow(self, average: Sequence[Tensor], current: Sequence[Tensor], number: Tensor) -> None:
        step = int(number)
        decay = min(self.decay, (1 + step) / (10 + step)) if step else 0.0
        torch._foreach_lerp_(list(average), list(current), 1 - decay)


class OwnState:
    """The persistent state of an objective without its model, as a checkpoint holds it.

    Args:
        objective: The objective.
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective

    def state_dict(self) -> dict[str, Tensor]:
        """Give the state."""
        return self.objective.own_state()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take it back; a RuntimeError if it does not fit."""
        self.objective.load_own_state(state)


def split_own(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Tell the weights of a model from those of an objective's own layers.

    Args:
        state: Both by name, the latter under ``objective``.

    Returns:
        The model's and the objective's.
    """
    own = {k.removeprefix(OWN): v for k, v in state.items() if k.startswith(OWN)}
    return {k: v for k, v in state.items() if not k.startswith(OWN)}, own


@torch.no_grad()
def copy_layers(layers: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Put values into an objective's own layers.

    Args:
        layers: The layers by name, changed.
        values: What they shall hold.

    Raises:
        RuntimeError: If names or shapes differ.
    """
    if set(layers) != set(values):
        raise RuntimeError(f"layers {sorted(values)} are not those here, {sorted(layers)}")
    for name, layer in layers.items():
        layer.copy_(values[name])


@torch.no_grad()
def validate(
    objective: Objective,
    model: DualEncoder,
    val_set: RecordDataset,
    *,
    layers: Mapping[str, Tensor] | None = None,
    seed: int,
) -> dict[str, float]:
    """Measure the objective without scatter or dropout and, with classes, the metrics.

    Args:
        objective: The objective that trains.
        model: The model to measure, which may be an average of the one that trains.
        val_set: Records held out.
        layers: Values of the objective's own layers that go with the model; as they train if None.
        seed: Of the draws that an objective needs, the same each time.

    Returns:
        ``val_objective`` and its parts, ``val_`` with each metric and, for shares, the log-loss
        that one temperature fitted on these records leaves.
    """
    was_training = (objective.training, model.training)
    objective.eval()
    model.eval()
    weights = objective.measured_weights(model, layers or {})
    device = next(model.parameters()).device
    totals: Counter[str] = Counter()
    chunk = CHUNK if val_set[0].get("image", torch.empty(0)).ndim < 3 else IMAGE_CHUNK
    for number, rows in enumerate(torch.split(torch.arange(len(val_set)), chunk)):
        draws = torch.Generator().manual_seed(derive_seed(seed, "validate", number))
        random = BatchRandom(draws, 0, len(rows), len(rows))
        batch = objective.draw(val_set.__getitems__(rows.tolist()), random)
        losses = objective.measure(to_device(batch, device), weights)
        totals.update({key: float(value) * len(rows) for key, value in losses.items()})
    totals["objective"] = totals.pop("loss")
    values = {f"val_{key}": total / len(val_set) for key, total in totals.items()}
    if sees_images(model, val_set):
        values |= _measure_answers(model, val_set)
    elif model.classifier is not None:
        metrics = evaluate(model, val_set).to_dict()
        values |= {f"val_{key}": value for key, value in metrics.items()}
        if model.prior_kind == "share":
            logits = records_logits(model, val_set)
            loss = F.cross_entropy(logits / fit_temperature(logits, val_set.label), val_set.label)
            values["val_calibrated_log_loss"] = float(loss)
    model.train(was_training[1])
    objective.train(was_training[0])
    return values


def _measure_answers(model: DualEncoder, val_set: RecordDataset) -> dict[str, float]:
    """Calibrate a model with images on the records held out and measure its answers there."""
    scores = score(model, val_set)
    loss = fit_calibration(model, scores)
    found = measure(model, scores)
    values = {f"val_{key}": value for key, value in found[BOTH].to_dict().items()}
    for name in (IMAGE, PLACE):
        if name in found:
            values |= {f"val_{name}_{key}": getattr(found[name], key) for key in SHOWN}
    return {**values, "val_calibrated_log_loss": loss}


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move a batch.

    Args:
        batch: Tensors by name.
        device: Where to.

    Returns:
        The batch on the device.
    """
    return {key: value.to(device) for key, value in batch.items()}  # type: ignore[attr-defined,return-value]


def _holds_out(config: RunConfig) -> bool:
    return bool(config.data.options.get("val_fraction", 1.0))
