"""Exact log partition function of an RBM by enumerating its smaller layer.

With the hidden layer enumerated, the visible units sum out one by one (Salakhutdinov & Murray 2008, eq. 3):

    Z = sum_h exp(b_hid . h) prod_i (1 + exp(x_i(h))),    x_i(h) = b_i + sum_j w_ij h_j.

Three things make 2^16 states x 784 units take a fraction of a second in NumPy:

* the enumerated bits are split in two halves, and ``exp(x_i)`` is an outer product of a factor of each half,
so no
  exponential is taken inside the loop;
* the factors ``1 + exp(x_i)`` are multiplied, and one logarithm is taken for as many units as provably cannot
  overflow;
* a block of at most 2^16 states is worked on at a time, which bounds the memory and stays in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore.reference import all_states

if TYPE_CHECKING:
    from hintoncore.bitmatrix import BitMatrix
    from hintoncore.models.rbm import RBM

__all__ = ["MAX_EXACT_UNITS", "LogZ", "exact_log_likelihood", "exact_log_z"]

MAX_EXACT_UNITS = 25
"""Largest layer that is enumerated: 2**25 states."""

Float64Array = NDArray[np.float64]

_BLOCK_BITS = 16
_MAX_LOG_PRODUCT = 650.0  # exp(709.7) is the largest float64
_MAX_LOG_FACTOR = 300.0  # exp(+-300) and the product of two such are ordinary float64 numbers


@dataclass(frozen=True)
class LogZ:
    """An estimate of a log partition function.

    Attributes
    ----------
    log_z : float
        In nats.
    std_error : float
        Standard error of ``log_z`` in nats; 0 for an exact value.
    ess : float
        Effective number of independent samples behind it; infinite for an exact value.
    """

    log_z: float
    std_error: float
    ess: float


def exact_log_z(model: RBM) -> LogZ:
    """Log partition function, summing over all states of the smaller layer in float64.

    Parameters
    ----------
    model : RBM
        Its smaller layer has at most :data:`MAX_EXACT_UNITS` units.

    Returns
    -------
    LogZ
        Exact up to rounding: ``std_error`` is 0.

    Raises
    ------
    ValueError
        If both layers have more than :data:`MAX_EXACT_UNITS` units, or a parameter is not finite.

    References
    ----------
    R. Salakhutdinov, I. Murray, "On the quantitative analysis of deep belief networks", ICML 2008, eq. 3 and
    section 6.
    """
    w = np.asarray(model.w, dtype=np.float64)
    b_vis = np.asarray(model.b_vis, dtype=np.float64)
    b_hid = np.asarray(model.b_hid, dtype=np.float64)
    n_visible, n_hidden = w.shape
    if min(n_visible, n_hidden) > MAX_EXACT_UNITS:
        raise ValueError(
            f"model: exact log Z enumerates a layer of at most {MAX_EXACT_UNITS} units, "
            f"given {n_visible} visible and {n_hidden} hidden"
        )
    for name, parameter in (("w", w), ("b_vis", b_vis), ("b_hid", b_hid)):
        if not np.isfinite(parameter).all():
            raise ValueError(f"model: expected finite parameters, {name} has a NaN or an infinity")
    if n_hidden <= n_visible:
        log_z = _log_z_enumerating(w, b_summed=b_vis, b_enumerated=b_hid)
    else:
        log_z = _log_z_enumerating(np.ascontiguousarray(w.T), b_summed=b_hid, b_enumerated=b_vis)
    return LogZ(log_z=log_z, std_error=0.0, ess=math.inf)


def exact_log_likelihood(model: RBM, x: ArrayLike | BitMatrix) -> float:
    """Mean log-likelihood ``mean(-F(v)) - log Z``.

    Parameters
    ----------
    model : RBM
        Its smaller layer has at most :data:`MAX_EXACT_UNITS` units.
    x : array of 0 and 1, shape [N, V], or BitMatrix

    Returns
    -------
    float
        Nats for each row; the free energies carry the float32 rounding of the parameters' matrix product.

    Raises
    ------
    ValueError
        As :func:`exact_log_z`; or if ``x`` does not fit the model.
    """
    return float(-model.free_energy(x).mean() - exact_log_z(model).log_z)


def _log_z_enumerating(w: Float64Array, *, b_summed: Float64Array, b_enumerated: Float64Array) -> float:
    """Log of the sum over all states of the ``H`` enumerated units of ``w`` [V, H]."""
    n_enumerated = w.shape[1]
    block_bits = min(n_enumerated, _BLOCK_BITS)
    low_bits = block_bits // 2
    low, high, rest = np.split(np.arange(n_enumerated), [low_bits, block_bits])
    low_states, high_states = all_states(len(low)), all_states(len(high))
    block = _Block(
        low_sums=w[:, low] @ low_states.T,
        high_sums=w[:, high] @ high_states.T,
        bias_sums=np.add.outer(high_states @ b_enumerated[high], low_states @ b_enumerated[low]),
    )
    top, total = -math.inf, 0.0
    for rest_state in all_states(len(rest)):
        log_weights = block.log_weights(b_summed + w[:, rest] @ rest_state)
        log_weights += b_enumerated[rest] @ rest_state
        block_top = float(log_weights.max())
        block_total = float(np.exp(log_weights - block_top).sum())
        if block_top > top:
            top, total = block_top, total * math.exp(top - block_top) + block_total
        else:
            total += block_total * math.exp(block_top - top)
    return top + math.log(total)


@dataclass(frozen=True)
class _Block:
    """Sums over the two halves of the enumerated bits, shared by all blocks.

    Attributes
    ----------
    low_sums : array, shape [V, 2**low_bits]
    high_sums : array, shape [V, 2**high_bits]
        Weighted sums into each summed unit from each state of a half.
    bias_sums : array, shape [2**high_bits, 2**low_bits]
        Bias terms of the enumerated units.
    """

    low_sums: Float64Array
    high_sums: Float64Array
    bias_sums: Float64Array

    def log_weights(self, bias: Float64Array) -> Float64Array:
        """Log unnormalised probability of each state of the block, ``bias`` [V] entering each summed unit."""
        log_weights = self.bias_sums.copy()
        high_sums = self.high_sums + bias[:, None]
        # Largest |x_i| of either factor, and a bound of log(1 + exp(x_i)) over the block, for each unit.
        largest = np.maximum(np.abs(self.low_sums).max(axis=1), np.abs(high_sums).max(axis=1))
        bounds = np.maximum(self.low_sums.max(axis=1) + high_sums.max(axis=1), 0.0) + math.log(2.0)
        by_product = largest <= _MAX_LOG_FACTOR

        for units in _groups(np.flatnonzero(by_product), bounds):
            low_factors = np.exp(self.low_sums[units])
            high_factors = np.exp(high_sums[units])
            product = np.ones_like(log_weights)
            factor = np.empty_like(log_weights)
            for low_factor, high_factor in zip(low_factors, high_factors, strict=True):
                np.multiply(high_factor[:, None], low_factor, out=factor)
                factor += 1.0
                product *= factor
            log_weights += np.log(product)
        for unit in np.flatnonzero(~by_product):
            log_weights += np.logaddexp(0.0, np.add.outer(high_sums[unit], self.low_sums[unit]))
        return np.asarray(log_weights)


def _groups(units: NDArray[np.intp], bounds: Float64Array) -> Iterator[NDArray[np.intp]]:
    """Split ``units`` into runs whose product of factors cannot overflow."""
    start, total = 0, 0.0
    for position, unit in enumerate(units):
        if position > start and total + bounds[unit] > _MAX_LOG_PRODUCT:
            yield units[start:position]
            start, total = position, 0.0
        total += bounds[unit]
    if start < len(units):
        yield units[start:]
