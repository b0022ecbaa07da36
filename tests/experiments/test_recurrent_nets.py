"""Quick runs of the experiments on recurrent nets."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest
from quick import check_quick

from hintoncore.experiments import irnn, thought_vector
from hintoncore.experiments._framework import Run


def test_irnn(tmp_path: Path) -> None:
    report = check_quick("irnn", tmp_path)
    curves = report["details"]["0"]["adding_mse_by_epoch"]
    assert curves["identity"][0] < curves["Gaussian"][0]


def test_sums_are_of_the_marked_numbers() -> None:
    x, target = irnn.adding(2000, 31, seed=3)
    marks = x[:, :, 1]
    np.testing.assert_array_equal(np.unique(marks), [0, 1])
    np.testing.assert_array_equal(marks[:, :15].sum(axis=1), 1)
    np.testing.assert_array_equal(marks[:, 15:].sum(axis=1), 1)
    np.testing.assert_allclose((x[:, :, 0] * marks).sum(axis=1), target[:, 0], rtol=1e-6)
    # Guessing 1 costs the variance of a sum of two uniform numbers; its mean over 2000 rows errs by at most 0.0244 in
    # all but 1e-6 of runs (the standard deviation of one squared error is 0.197, five of its standard errors 0.022).
    assert abs(np.mean((target - 1) ** 2) - 1 / 6) < 0.0244


def test_begins_again_at_half_the_rate(tmp_path: Path) -> None:
    run = Run(seed=0, quick=True, out=tmp_path)
    tried: list[tuple[str, float]] = []

    def learn(file: str, rate: float, limit: float) -> list[dict[str, float]]:
        tried.append((file, rate))
        if rate > limit:
            raise FloatingPointError("too large")
        return [{"loss": rate}]

    assert irnn.steadily(run, "net", 1.0, lambda file, rate: learn(file, rate, 0.3)) == [{"loss": 0.25}]
    assert tried == [("net-0", 1.0), ("net-1", 0.5), ("net-2", 0.25)]
    assert run.details["diverged"] == ["net at rate 1: too large", "net at rate 0.5: too large"]
    with pytest.raises(FloatingPointError, match=r"every rate from 1 to 0\.125"):
        irnn.steadily(run, "net", 1.0, lambda file, rate: learn(file, rate, 0.0))


def test_thought_vector(tmp_path: Path) -> None:
    report = check_quick("thought-vector", tmp_path)
    assert len(report["details"]["0"]["exact_by_wording"]) == thought_vector.QUICK.wordings


def test_dates_in_words() -> None:
    """By hand, where English is irregular."""
    for date, words in {
        (1800, 1, 1): "the first of january, eighteen hundred",
        (1905, 12, 12): "the twelfth of december, nineteen oh five",
        (1912, 2, 20): "the twentieth of february, nineteen twelve",
        (2000, 5, 9): "the ninth of may, two thousand",
        (2007, 8, 31): "the thirty-first of august, two thousand and seven",
        (2010, 7, 5): "the fifth of july, twenty ten",
        (1999, 9, 18): "the eighteenth of september, nineteen ninety-nine",
    }.items():
        assert thought_vector.in_words(datetime.date(*date)) == words
    written = [
        thought_vector.in_figures(datetime.date(2001, 3, day), 3) for day in (1, 2, 3, 4, 11, 12, 13, 21, 22, 23)
    ]
    assert [text.split()[1][-2:] for text in written] == ["st", "nd", "rd", *4 * ["th"], "st", "nd", "rd"]
    every = [datetime.date.fromordinal(day) for day in range(657_072, 741_078)]  # 1800 to 2029
    assert (every[0].year, every[-1].year) == (1800, 2029)
    assert len({thought_vector.in_words(date) for date in every}) == len(every)
    assert max(len(thought_vector.in_words(date)) for date in every) < thought_vector.WRITTEN
    for wording in range(6):
        strings = {thought_vector.in_figures(date, wording) for date in every}
        assert len(strings) == len(every)
        assert max(map(len, strings)) <= thought_vector.READ
        assert set("".join(strings)) <= set(thought_vector.CHARACTERS)
