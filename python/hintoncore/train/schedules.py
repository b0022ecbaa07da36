"""Schedules of the learning rate, the momentum and the number of Gibbs steps.

A schedule is a function of the time in epochs, a float that grows within an epoch as well, so it needs no
state and resumes for free.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from hintoncore._validate import as_number

__all__ = [
    "GUIDE_MOMENTUM",
    "Constant",
    "Exponential",
    "Linear",
    "Schedule",
    "Step",
    "as_schedule",
    "learning_rate_at",
    "momentum_at",
    "steps_at",
]


class Schedule(ABC):
    """A number that depends on the time in epochs."""

    @abstractmethod
    def __call__(self, epoch: float) -> float:
        """Value at time ``epoch`` >= 0."""

    def describe(self) -> dict[str, Any]:
        """Kind and settings as JSON values; equal schedules have equal descriptions."""
        settings = dataclasses.asdict(self)  # type: ignore[call-overload]
        return {"schedule": type(self).__name__, **settings}


@dataclass(frozen=True)
class Constant(Schedule):
    """``value`` throughout."""

    value: float

    def __post_init__(self) -> None:
        _check_finite(self, "value")

    def __call__(self, epoch: float) -> float:  # noqa: ARG002
        """Value at time ``epoch`` >= 0."""
        return self.value


@dataclass(frozen=True)
class Linear(Schedule):
    """From ``start`` to ``end`` in a straight line over ``epochs`` > 0 epochs, then ``end``."""

    start: float
    end: float
    epochs: float

    def __post_init__(self) -> None:
        _check_finite(self, "start", "end", "epochs")
        if self.epochs <= 0:
            raise ValueError(f"epochs: expected a positive number, given {self.epochs}")

    def __call__(self, epoch: float) -> float:
        """Value at time ``epoch`` >= 0."""
        done = min(epoch / self.epochs, 1.0)
        return self.start + (self.end - self.start) * done


@dataclass(frozen=True)
class Exponential(Schedule):
    """``start * rate ** epoch`` with ``rate`` > 0."""

    start: float
    rate: float

    def __post_init__(self) -> None:
        _check_finite(self, "start", "rate")
        if self.rate <= 0:
            raise ValueError(f"rate: expected a positive number, given {self.rate}")

    def __call__(self, epoch: float) -> float:
        """Value at time ``epoch`` >= 0."""
        return float(self.start * self.rate**epoch)


@dataclass(frozen=True)
class Step(Schedule):
    """Piecewise constant: ``steps`` are pairs (first epoch, value) with rising epochs, the first at 0."""

    steps: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        starts = [start for start, _ in self.steps]
        if not starts or starts[0] != 0 or sorted(set(starts)) != starts:
            raise ValueError(f"steps: expected pairs (epoch, value) with rising epochs from 0, given {self.steps}")
        if not all(math.isfinite(number) for pair in self.steps for number in pair):
            raise ValueError(f"steps: expected finite numbers, given {self.steps}")

    def __call__(self, epoch: float) -> float:
        """Value at time ``epoch`` >= 0."""
        return [value for start, value in self.steps if start <= epoch][-1]


GUIDE_MOMENTUM = Step(((0, 0.5), (5, 0.9)))
"""Momentum of the practical guide, section 9: 0.5, then 0.9 once the large initial progress is made."""


def as_schedule(value: float | Schedule, name: str) -> Schedule:
    """Return a schedule; a number becomes :class:`Constant`."""
    if isinstance(value, Schedule):
        return value
    return Constant(as_number(value, name))


def learning_rate_at(schedule: Schedule, epoch: float, name: str = "learning_rate") -> float:
    """Value at a time in epochs; raises ValueError where it is no number >= 0."""
    rate = schedule(epoch)
    if not (math.isfinite(rate) and rate >= 0):
        raise ValueError(f"{name}: expected a number >= 0, given {rate} at epoch {epoch:g}")
    return rate


def momentum_at(schedule: Schedule, epoch: float) -> float:
    """Value at a time in epochs; raises ValueError outside [0, 1)."""
    momentum = schedule(epoch)
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum: expected 0 <= momentum < 1, given {momentum} at epoch {epoch:g}")
    return momentum


def steps_at(schedule: Schedule, epoch: float, name: str) -> int:
    """Nearest whole number at a time in epochs; raises ValueError where it is below 1."""
    steps = schedule(epoch)
    if not 0.5 <= steps < math.inf:
        raise ValueError(f"{name}: expected at least 1, given {steps} at epoch {epoch:g}")
    return round(steps)


def _check_finite(schedule: Schedule, *names: str) -> None:
    for name in names:
        if not math.isfinite(getattr(schedule, name)):
            raise ValueError(f"{name}: expected a finite number, given {getattr(schedule, name)}")
