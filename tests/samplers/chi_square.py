"""Counts against exact probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LIMIT = 5.0
"""Of `deviation`: false alarms on one side 2.9e-7."""


def deviation(counts: NDArray[Any], p: NDArray[np.float64]) -> float:
    """Chi-square of the cells that expect 10 or more, the others together, as a standard normal deviate.

    By the cube root of Wilson and Hilferty (1931), good far into the tail, where ``(chi - k) / sqrt(2 k)`` is not.
    """
    expected = p * counts.sum()
    assert counts[p == 0].sum() == 0
    rare = expected < 10
    observed, expected = (np.append(x[~rare], x[rare].sum()) for x in (np.asarray(counts), expected))
    observed, expected = observed[expected > 5], expected[expected > 5]
    freedom = len(observed) - 1
    assert freedom >= 1
    chi = ((observed - expected) ** 2 / expected).sum()
    share = 2.0 / (9.0 * freedom)
    return float(((chi / freedom) ** (1.0 / 3.0) - (1.0 - share)) / np.sqrt(share))
