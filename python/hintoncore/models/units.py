"""Unit types: what a layer's distribution is, in the terms that energy-based models need.

A new type is a new class here and a name in :data:`UNIT_TYPES`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["UNIT_TYPES", "BernoulliUnits", "unit_type"]

Float64Array = NDArray[np.float64]


class BernoulliUnits:
    """Binary units: ``p(1 | x) = sigmoid(x)`` for total input ``x``."""

    name = "bernoulli"
    activation = "sigmoid"  # of ops.linear, total input to mean

    def check(self, block: NDArray[np.float32], name: str) -> None:
        """Raise ``ValueError`` unless every value is a state or a mean of these units, so in [0, 1]."""
        low, high = block.min(initial=0.0), block.max(initial=0.0)
        if not (low >= 0.0 and high <= 1.0):  # also true of a NaN
            raise ValueError(f"{name}: expected values in [0, 1], given values from {low:g} to {high:g}")

    def log_normaliser(self, x: Float64Array) -> Float64Array:
        """Log of the sum of ``exp(x s)`` over the states ``s``: softplus."""
        return np.asarray(np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x))))

    def bias_for_mean(self, mean: Float64Array, n_rows: int) -> Float64Array:
        """Bias that reproduces the mean of ``n_rows`` rows: log(p / (1 - p)).

        Hinton's practical guide, section 8.1. One imagined row of each value keeps it finite.
        """
        p = (mean * n_rows + 1.0) / (n_rows + 2.0)
        return np.asarray(np.log(p / (1.0 - p)))


UNIT_TYPES = {BernoulliUnits.name: BernoulliUnits()}
"""Unit types by the name that models take."""


def unit_type(name: str, argument: str) -> BernoulliUnits:
    """Look a unit type up; an unknown name raises ``ValueError`` with the names there are."""
    if name not in UNIT_TYPES:
        known = ", ".join(repr(known) for known in UNIT_TYPES)
        raise ValueError(f"{argument}: supported unit types are {known}, given {name!r}")
    return UNIT_TYPES[name]
