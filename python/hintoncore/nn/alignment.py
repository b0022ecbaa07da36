"""How near the update of a learning rule comes to the gradient: cosines, parameter by parameter."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hintoncore._validate import given
from hintoncore.nn._arithmetic import Array

__all__ = ["alignment", "cosine"]


def cosine(a: Array, b: Array) -> float:
    """Cosine of the angle between two arrays of any equal shape, taken as vectors, in float64.

    1 when they point the same way, 0 at a right angle, -1 when opposed; 0 also when either is all zeros.

    Raises
    ------
    ValueError
        If the shapes differ, or a value is NaN or infinite.
    """
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        raise ValueError(f"b: expected the shape of a, {a.shape}, given {given(b)}")
    one, two = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    lengths = float(np.linalg.norm(one)) * float(np.linalg.norm(two))
    if not np.isfinite(lengths):
        raise ValueError("a, b: expected finite values")
    return float(one @ two) / lengths if lengths > 0 else 0.0


def alignment(found: Mapping[str, Array], expected: Mapping[str, Array]) -> dict[str, float]:
    """:func:`cosine` of arrays of the same names: a rule's updates and backpropagation's, of the same sign.

    A positive cosine means that a small enough step of this parameter alone lowers the loss (Lillicrap et al. 2016 show
    angles below 90 degrees; Lee et al. 2015 prove it for difference target propagation under exact inverses).

    Parameters
    ----------
    found : mapping of str to array
    expected : mapping of str to array
        Names that ``found`` has not are left out.

    Raises
    ------
    KeyError
        If ``expected`` has not every name of ``found``.
    ValueError
        If shapes differ, or a value is NaN or infinite.
    """
    return {name: cosine(array, expected[name]) for name, array in found.items()}
