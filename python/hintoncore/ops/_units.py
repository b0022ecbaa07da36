"""Sampling of layers of any type of unit. Import it from :mod:`hintoncore.ops`."""

from __future__ import annotations

from typing import Any

from .. import _core
from .._validate import Array, as_float32, as_int, like
from ..generator import RngLike, as_generator

__all__ = ["sample_units"]

_TYPES = {"bernoulli": 0, "spin": 1, "softmax": 2, "gaussian": 3, "nrelu": 4, "stepped-sigmoid": 5}


def sample_units(
    x: Array,
    kind: str,
    *,
    rng: RngLike,
    group: int | None = None,
    std: Array | None = None,
    return_means: bool = False,
    first_sample: int = 0,
) -> Any:
    """Sample a layer of units of one type given their total inputs.

    ==================== ======================= ==============================================
    kind                 states                  distribution given total input ``x``
    ==================== ======================= ==============================================
    ``bernoulli``        0, 1                    ``P(1) = sigmoid(x)``
    ``spin``             -1, +1                  ``P(+1) = sigmoid(2 x)``
    ``softmax``          one of a group is 1     ``P(k) = exp(x_k) / sum_j exp(x_j)``
    ``gaussian``         real                    ``N(x, std^2)``
    ``nrelu``            real, >= 0              ``max(0, N(x, sigmoid(x)))`` [1]_, section 2.1
    ``stepped-sigmoid``  0, 1, 2, ...            how many of the Bernoulli units with inputs
                                                 ``x - 1/2, x - 3/2, ...`` are on [1]_, section 2
    ==================== ======================= ==============================================

    Draws are a function of (seed, offset, unit, sample) alone: neither threads nor the split of a batch change them.

    Parameters
    ----------
    x : array, shape (B, U)
        Total inputs: biases included, divided by the temperature if there is one.
    kind : str
        One of the table.
    rng : Generator or int
        Uses one offset. An int is the seed of a fresh generator.
    group : int >= 2
        Columns of a softmax group, a divisor of U. Only for ``"softmax"``, which needs it.
    std : array of values > 0, shape (U,), optional
        Standard deviations, 1 when left out. Only for ``"gaussian"``.
    return_means : bool
        Also return the means of the distributions. For ``"nrelu"`` that is ``softplus(x)``, within 0.01 of the mean of
        the stack of sigmoids that the rectified normal stands for.
    first_sample : int
        Index of the first row in a larger batch, a multiple of 64.

    Returns
    -------
    states : array of float32, shape (B, U)
        Of the kind `x` is.
    means : array of float32, shape (B, U)
        Only with `return_means`.

    Raises
    ------
    ValueError, TypeError
        For an unknown kind, NaN or infinities in `x`, shapes that do not agree, or arguments that are not the kind's.

    Examples
    --------
    >>> import numpy as np
    >>> from hintoncore import ops
    >>> ops.sample_units(np.zeros((1, 6)), "softmax", group=3, rng=1).reshape(2, 3).sum(axis=1)
    array([1., 1.], dtype=float32)

    References
    ----------
    .. [1] V. Nair, G. E. Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.
    """
    if kind not in _TYPES:
        raise ValueError(f"kind: expected one of {', '.join(map(repr, _TYPES))}, got {kind!r}")
    if (group is None) == (kind == "softmax"):
        raise ValueError(f"group: {'needed by' if group is None else 'only for'} softmax units, got kind {kind!r}")
    if std is not None and kind != "gaussian":
        raise ValueError(f"std: only Gaussian units have standard deviations, got kind {kind!r}")
    inputs = as_float32(x, "x", 2)
    columns = 1 if group is None else as_int(group, "group", 2, 2**31 - 1)
    deviations = None if std is None else as_float32(std, "std", 1)
    first_sample = as_int(first_sample, "first_sample", 0, 2**34)
    generator = as_generator(rng)
    with generator.reserve(1) as offset:
        states, means = _core.sample_units(
            _TYPES[kind],
            inputs,
            columns,
            deviations,
            generator.seed,
            offset,
            first_sample,
            bool(return_means),
        )
    if means is None:
        return like(x, states)
    return like(x, states), like(x, means)
