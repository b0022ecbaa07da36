"""Schedules: their values, their descriptions, and what they refuse."""

from __future__ import annotations

import json
import math

import pytest

from hintoncore.train import GUIDE_MOMENTUM, Constant, Exponential, Linear, Schedule, Step
from hintoncore.train.schedules import as_schedule


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (Constant(0.3), {0: 0.3, 17.5: 0.3}),
        (Linear(1.0, 0.0, 10), {0: 1.0, 2.5: 0.75, 10: 0.0, 20: 0.0}),
        (Linear(1, 5, 8), {0: 1, 4: 3, 8: 5}),
        (Exponential(0.8, 0.5), {0: 0.8, 1: 0.4, 0.5: 0.8 * math.sqrt(0.5)}),
        (Step(((0, 0.5), (5, 0.9))), {0: 0.5, 4.999: 0.5, 5: 0.9, 100: 0.9}),
    ],
)
def test_values(schedule: Schedule, values: dict[float, float]) -> None:
    for epoch, value in values.items():
        assert schedule(epoch) == pytest.approx(value)


def test_default_momentum_is_that_of_the_guide() -> None:
    assert (GUIDE_MOMENTUM(0), GUIDE_MOMENTUM(50)) == (0.5, 0.9)


def test_descriptions_tell_schedules_apart() -> None:
    schedules = [
        Constant(1),
        Constant(2),
        Linear(1, 2, 3),
        Exponential(1, 2),
        Step(((0, 1),)),
        Step(((0, 2),)),
    ]
    descriptions = {json.dumps(schedule.describe()) for schedule in schedules}
    assert len(descriptions) == len(schedules)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Constant(math.nan),
        lambda: Linear(1, 0, 0),
        lambda: Linear(1, math.inf, 2),
        lambda: Exponential(1, 0),
        lambda: Step(()),
        lambda: Step(((1, 0.5),)),
        lambda: Step(((0, 0.5), (0, 0.9))),
        lambda: Step(((0, math.nan),)),
    ],
)
def test_settings_out_of_range_are_refused(make: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        make()  # type: ignore[operator]


def test_a_number_becomes_a_constant() -> None:
    assert as_schedule(3, "k") == Constant(3.0)
    assert as_schedule(GUIDE_MOMENTUM, "momentum") is GUIDE_MOMENTUM
    with pytest.raises(TypeError, match="k: expected"):
        as_schedule("many", "k")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="k: expected a finite number"):
        as_schedule(math.nan, "k")
