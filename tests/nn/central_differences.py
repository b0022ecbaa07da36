"""Central differences of a function of float64 arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

STEP = 1e-5


def assert_gradient(loss: Callable[[], float], parameter: np.ndarray, gradient: np.ndarray) -> None:
    """Hold `gradient` to the central differences of `loss` in each element of `parameter`, to 1e-6."""
    assert parameter.dtype == np.float64
    assert gradient.shape == parameter.shape
    for index in np.ndindex(parameter.shape):
        kept = parameter[index]
        parameter[index] = kept + STEP
        above = loss()
        parameter[index] = kept - STEP
        below = loss()
        parameter[index] = kept
        assert abs((above - below) / (2 * STEP) - gradient[index]) <= 1e-6
