"""Pseudo-likelihood: each visible unit given all the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import ops
from hintoncore.generator import Generator, RngLike, as_generator
from hintoncore.models._rows import as_rows, dense_blocks, is_binary

if TYPE_CHECKING:
    from hintoncore.bitmatrix import BitMatrix
    from hintoncore.models.rbm import RBM

__all__ = ["pseudo_log_likelihood"]

Float64Array = NDArray[np.float64]

_BLOCK_ROWS = 256


def pseudo_log_likelihood(model: RBM, x: ArrayLike | BitMatrix, *, rng: RngLike | None = None) -> float:
    """Mean over rows of ``sum_i log p(v_i | v_-i)``.

    A unit's conditional is the logistic function of the change of free energy when it flips:
    ``log p(v_i | v_-i) = -softplus(F(v) - F(v with bit i flipped))``.

    Parameters
    ----------
    model : RBM
    x : array of 0 and 1, shape [N, V], or BitMatrix
    rng : Generator or int, optional
        None computes all ``V`` conditionals: deterministic, ``O(N V H)`` exponentials. A generator or seed
        draws one visible unit for each row and multiplies its term by ``V``: an unbiased estimate for the
        price of one pass that consumes one offset.

    Returns
    -------
    float
        Nats for each row.

    Raises
    ------
    ValueError
        If ``x`` is not binary, is empty, or does not fit the model.

    References
    ----------
    J. Besag, "Statistical analysis of non-lattice data", The Statistician 24, 1975.
    """
    if model.visible_units.name != "bernoulli":
        raise ValueError(f"model: pseudo-likelihood needs Bernoulli visible units, given {model!r}")
    w = np.asarray(model.w, dtype=np.float64)
    b_vis = np.asarray(model.b_vis, dtype=np.float64)
    generator = None if rng is None else as_generator(rng)
    rows = as_rows(x, model.n_visible, "x")
    flips = None if generator is None else _random_units(generator, rows.shape[0], model.n_visible)
    total, done = 0.0, 0
    for block in dense_blocks(rows, model.n_visible, _BLOCK_ROWS, units=model.visible_units, name="x"):
        if not is_binary(block):
            raise ValueError("x: pseudo-likelihood needs values that are 0 or 1")
        pre = np.asarray(ops.linear(block, model.w, model.b_hid), dtype=np.float64)
        hidden_terms = model.hidden_units.log_normaliser(pre).sum(axis=1)
        signs = 1.0 - 2.0 * block.astype(np.float64)  # what a flip adds to a bit
        if flips is None:
            for unit in range(model.n_visible):
                sign = signs[:, unit]
                change = _free_energy_change(model, pre, hidden_terms, sign, w[unit], b_vis[unit])
                total -= float(np.logaddexp(0.0, -change).sum())
        else:
            units = flips[done : done + len(block)]
            sign = signs[np.arange(len(block)), units]
            change = _free_energy_change(model, pre, hidden_terms, sign, w[units], b_vis[units])
            total -= model.n_visible * float(np.logaddexp(0.0, -change).sum())
        done += len(block)
    return total / done


def _free_energy_change(
    model: RBM,
    pre: Float64Array,
    hidden_terms: Float64Array,
    sign: Float64Array,
    weights: Float64Array,
    bias: Float64Array | np.float64,
) -> Float64Array:
    """Free energy gained by the flip that adds ``sign`` to the unit with these weights and bias."""
    flipped_terms = model.hidden_units.log_normaliser(pre + sign[:, None] * weights).sum(axis=1)
    return np.asarray(-sign * bias - (flipped_terms - hidden_terms))


def _random_units(generator: Generator, n_rows: int, n_units: int) -> NDArray[np.intp]:
    return np.minimum((generator.random((n_rows,)) * n_units).astype(np.intp), n_units - 1)
