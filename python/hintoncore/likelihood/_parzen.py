"""Log-likelihood of held-out data under Gaussian kernels on samples: for models that can only be sampled."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore._validate import as_number, given

__all__ = ["best_bandwidth", "parzen_log_likelihood"]

_BLOCK_ROWS = 512


def parzen_log_likelihood(samples: ArrayLike, x: ArrayLike, bandwidth: float) -> NDArray[np.float64]:
    """``log mean_i N(x; sample_i, bandwidth^2)`` of each row, in nats and float64.

    The estimate has a large variance and favours samples that are near to many data, so it compares models badly
    (Theis, van den Oord and Bethge 2016); it is here because papers report it.

    Parameters
    ----------
    samples : array, shape [M, D]
    x : array, shape [N, D]
    bandwidth : float > 0
        Standard deviation of the kernels.

    Returns
    -------
    array of float64, shape [N]

    Raises
    ------
    ValueError
        If shapes do not fit, a value is not finite or the bandwidth is not positive.

    References
    ----------
    O. Breuleux, Y. Bengio, P. Vincent, "Quickly generating representative samples from an RBM-derived process", Neural
    Computation 23, 2011; I. Goodfellow et al., "Generative adversarial nets", NIPS 2014, table 1.
    """
    (by_row,) = _log_densities(samples, x, [bandwidth])
    return np.asarray(by_row)


def best_bandwidth(samples: ArrayLike, validation: ArrayLike, candidates: Sequence[float]) -> float:
    """The bandwidth under which the validation rows, shape [N, D], are likeliest.

    Raises
    ------
    ValueError
        As for :func:`parzen_log_likelihood`, or if there is no candidate.
    """
    if not candidates:
        raise ValueError("candidates: expected at least one bandwidth")
    densities = _log_densities(samples, validation, candidates)
    return float(candidates[int(densities.mean(axis=1).argmax())])


def _log_densities(samples: ArrayLike, x: ArrayLike, bandwidths: Sequence[float]) -> NDArray[np.float64]:
    """Float64 [bandwidths, N]; distances are computed once for all of them."""
    centres, rows = _matrix(samples, "samples"), _matrix(x, "x")
    if rows.shape[1] != centres.shape[1]:
        raise ValueError(f"x: expected {centres.shape[1]} columns, given {given(rows)}")
    widths = [as_number(width, "bandwidth") for width in bandwidths]
    if min(widths) <= 0:
        raise ValueError(f"bandwidth: expected numbers > 0, given {widths}")
    norms = np.square(centres).sum(axis=1)
    found = np.empty((len(widths), len(rows)))
    for first in range(0, len(rows), _BLOCK_ROWS):
        block = rows[first : first + _BLOCK_ROWS]
        squares = np.square(block).sum(axis=1)[:, None] + norms - 2 * block @ centres.T
        nearest = squares.min(axis=1, keepdims=True)
        for row, width in zip(found, widths, strict=True):
            log_normaliser = math.log(len(centres)) + rows.shape[1] * math.log(width * math.sqrt(2 * math.pi))
            scale = -0.5 / width**2
            log_sum = np.log(np.exp((squares - nearest) * scale).sum(axis=1)) + nearest[:, 0] * scale
            row[first : first + len(block)] = log_sum - log_normaliser
    return found


def _matrix(x: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(x, dtype=np.float64)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"{name}: expected shape [N >= 1, D >= 1], given {given(array)}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite values")
    return array
