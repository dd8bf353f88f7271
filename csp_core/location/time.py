"""Features of the day of the year and of the hour, with what stands for an unknown one."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from csp_core.errors import ConfigError
from csp_core.location.base import Options

HARMONICS = range(1, 13)
MOST_WEEKS = 366
WITHOUT_DATE = ("learned", "highest_week")
# Of a week.
BEFORE = 1e-4


class TimeFeatures(nn.Module):
    """Sines and cosines of the part of the year, of the part of the day, or of both.

    The features of a time t in [0, 1) are sin πkd and cos πkd of d = 2t - 1 in [-1, 1], for k = 1
    to ``harmonics``: the end of a year or day joins its beginning. Where the time is unknown, a
    learned vector takes their place. In training a share of the known times is hidden at random,
    so that this vector learns also from records that are all dated.

    Args:
        day_of_year: Whether the part of the year is used.
        hour: Whether the part of the day is used.
        harmonics: Number of waves, 1 to 12; the shortest is a year or a day over this number.
        missing_rate: Share of the times to hide in training, in [0, 1).
        weeks: Into how many equal parts the year is cut, all times of one of which are the same:
            its features stand in a table that is kept with the weights, at first those of its
            middle. 48, four a month, is what BirdNET calls weeks. None for any time.
        without_date: What a model answers where the time is unknown: ``learned``, by the learned
            vector; ``highest_week``, of each class the highest answer of all weeks.

    Raises:
        ConfigError: If neither is used, or an option is out of range.

    Source:
        Mac Aodha et al. 2019, whose date input is ``harmonics=1`` and ``missing_rate=0``.

    Example:
        >>> features = TimeFeatures().eval()
        >>> features(2, torch.tensor([0.5, 0.75])).detach().abs().round(decimals=3)
        tensor([[0., 1.],
                [1., 0.]])
    """

    table: Tensor | None
    example_options: ClassVar[Options] = {"harmonics": 2}

    def __init__(
        self,
        day_of_year: bool = True,
        hour: bool = False,
        harmonics: int = 1,
        missing_rate: float = 0.1,
        weeks: int | None = None,
        without_date: Literal["learned", "highest_week"] = "learned",
    ) -> None:
        super().__init__()
        if not (day_of_year or hour):
            raise ConfigError(
                "time uses neither day_of_year nor hour; turn one of them on, or leave time out."
            )
        if harmonics not in HARMONICS or not 0 <= missing_rate < 1:
            raise ConfigError(
                f"time: harmonics is {harmonics} and missing_rate {missing_rate}; give 1 to 12 and"
                " a rate from 0 up to, not including, 1."
            )
        if weeks is not None and (hour or not day_of_year or not 2 <= weeks <= MOST_WEEKS):
            raise ConfigError(
                f"time: weeks is {weeks}; give 2 to {MOST_WEEKS}, with day_of_year and no hour."
            )
        if without_date not in WITHOUT_DATE or (without_date == "highest_week" and weeks is None):
            raise ConfigError(
                f"time: without_date is {without_date!r}; give 'learned', or 'highest_week' beside"
                " weeks."
            )
        self.day_of_year, self.hour = bool(day_of_year), bool(hour)
        self.without_date = without_date
        self.harmonics, self.missing_rate = int(harmonics), float(missing_rate)
        self.out_dim = 2 * self.harmonics * (self.day_of_year + self.hour)
        # The middle of the circle on which all known times lie.
        self.missing = nn.Parameter(torch.zeros(self.day_of_year + self.hour, 2 * self.harmonics))
        self.weeks = weeks
        middles = None if weeks is None else (torch.arange(weeks) + 0.5) / weeks
        self.register_buffer("table", None if middles is None else self._waves(middles))

    def forward(
        self, number: int, date: Tensor | None = None, hour: Tensor | None = None
    ) -> Tensor:
        """Encode times.

        Args:
            number: How many rows to give; told apart from the times because these may be absent.
            date: ``(N,)`` parts of the year in [0, 1), NaN where unknown; None for all unknown.
            hour: ``(N,)`` parts of the day in [0, 1), likewise.

        Returns:
            ``(N, out_dim)``: sines and then cosines of the year, then those of the day.
        """
        return self.encode(number, date, hour)[0]

    def encode(
        self, number: int, date: Tensor | None = None, hour: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Encode times, and tell which are known.

        Args:
            number: How many rows to give.
            date: ``(N,)`` parts of the year in [0, 1), NaN where unknown; None for all unknown.
            hour: ``(N,)`` parts of the day in [0, 1), likewise.

        Returns:
            ``(N, out_dim)`` as of ``forward``, and ``(N, T)`` bool: whether the time of the year,
            and that of the day, is known and not hidden, for those that are used.
        """
        used = ([date] if self.day_of_year else []) + ([hour] if self.hour else [])
        blocks = zip(used, self.missing, strict=True)
        found = [self._encode(number, time, vector) for time, vector in blocks]
        return torch.cat([f for f, _ in found], dim=1), torch.stack([k for _, k in found], dim=1)

    def _encode(self, number: int, time: Tensor | None, missing: Tensor) -> tuple[Tensor, Tensor]:
        if time is None:
            unknown = torch.ones(number, dtype=torch.bool, device=missing.device)
            return missing.expand(number, -1), ~unknown
        time = time.to(missing)
        unknown = time.isnan()
        if self.training and self.missing_rate:
            # From the same source of chance as dropout, which follows from seed and step.
            hidden = torch.rand(number, device=time.device) < self.missing_rate
            unknown = unknown | hidden
        # Not a number would poison gradients even where another value is taken.
        known = self._known(time.nan_to_num())
        return torch.where(unknown[:, None], missing, known), ~unknown

    @property
    def asks_weeks(self) -> int:
        """How many weeks a model is asked about where the time is unknown; 0 for none of them."""
        return self.weeks or 0 if self.without_date == "highest_week" else 0

    def _known(self, time: Tensor) -> Tensor:
        """Encode times that are all known."""
        if self.weeks is None or self.table is None:
            return self._waves(time)
        # The beginning of a week in single precision may lie a little before it.
        week = (time * self.weeks + BEFORE).floor().long().clamp(0, self.weeks - 1)
        return self.table.to(time)[week]

    def _waves(self, time: Tensor) -> Tensor:
        """Compute the waves at times: ``(N,)`` to ``(N, 2 * harmonics)``."""
        d = 2 * time - 1
        waves = torch.arange(1, self.harmonics + 1, device=d.device, dtype=d.dtype)
        angle = math.pi * d[:, None] * waves  # (N, harmonics)
        return torch.cat((angle.sin(), angle.cos()), dim=1)
