"""Building a model that may not become larger than it should, before memory is taken for it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from csp_core.errors import ConfigError

SPARE_VALUES, SPARE_CALLS = 4 << 20, 20_000
FACTORIES = {
    *(torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.eye),
    *(torch.arange, torch.linspace, torch.logspace, torch.randperm, torch.randint),
}


class Bounded(TorchFunctionMode):
    """Ends the building of a model that becomes larger than it may.

    What a layer allocates is known before it is: from the same call on torch's device without
    memory. Modes hold for one thread, so models that are built beside this one do not notice.

    Args:
        values: Numbers that may be allocated in all.
        reason: What to say of more.
        calls: Calls of torch that may be made.
    """

    def __init__(self, values: float, reason: str, *, calls: float = math.inf) -> None:
        super().__init__()
        self.values, self.reason, self.calls = values, reason, calls

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Count a call, and what it allocates."""
        options = dict(kwargs or {})
        self.calls -= 1
        if func in FACTORIES:
            self.values -= _planned(func, args, options)
        if self.values < 0 or self.calls < 0:
            raise ConfigError(self.reason)
        return func(*args, **options)


def _planned(func: Any, args: tuple[Any, ...], options: dict[str, Any]) -> float:
    """Count the numbers that a call allocates."""
    if func is torch.arange:
        # Without memory, too, it loads torch's compiler, which takes 1.6 seconds.
        ends = {k: v for k, v in options.items() if k in ("start", "end", "step")}
        return _length(*args, **ends)
    plan = {k: v for k, v in options.items() if k not in ("generator", "out", "pin_memory")}
    return int(func(*args, **{**plan, "device": "meta"}).numel())


def _length(start: float = 0, end: float | None = None, step: float = 1) -> float:
    start, end = (0, start) if end is None else (start, end)
    return (end - start) / step
