"""Running averages of what trains, and what an objective owns beside its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from csp_core.objectives import Objective

# What the weights of an objective's own layers are called beside those of its model.
OWN = "objective."


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
    here, given = ({n: tuple(v.shape) for n, v in some.items()} for some in (layers, values))
    if here != given:
        raise RuntimeError(f"layers {given} are not those here, {here}")
    for name, layer in layers.items():
        layer.copy_(values[name])
