"""Sampling of units of every type."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._dense import sigmoid, softplus
from ._random import layer_uniforms

__all__ = ["sample_units"]

Float64Array = NDArray[np.float64]


def sample_units(
    x: ArrayLike,
    kind: str,
    *,
    seed: int,
    offset: int,
    group: int = 1,
    std: ArrayLike | None = None,
) -> tuple[Float64Array, Float64Array]:
    """States of units of one type given their total inputs, and the means of the conditional distributions.

    Gaussian and NReLU units are drawn in pairs ``u, u + 16`` of each block of 32 by Box and Muller (1958): the radius
    from the uniform of the first, the angle from that of the second.

    Parameters
    ----------
    x : array, shape [B, U]
        Total inputs, biases included.
    kind : {"bernoulli", "spin", "softmax", "gaussian", "nrelu", "stepped-sigmoid"}
    seed, offset : int
        Generator state; one offset is consumed.
    group : int
        Columns of a softmax group, a divisor of ``U``.
    std : array, shape [U], optional
        Standard deviations of Gaussian units, 1 when left out.

    Returns
    -------
    states, means : arrays of float64, shape [B, U]

    References
    ----------
    V. Nair, G. E. Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010, sections 2 and 3.
    """
    x = np.asarray(x, dtype=np.float64)
    batch, units = x.shape
    if kind == "softmax":
        scores = x.reshape(batch, units // group, group)
        p = np.exp(scores - scores.max(axis=2, keepdims=True))
        cumulative = np.cumsum(p, axis=2)
        threshold = layer_uniforms(seed, offset, batch, units // group) * cumulative[:, :, -1]
        chosen = (cumulative[:, :, :-1] <= threshold[:, :, None]).sum(axis=2)
        states = np.eye(group)[chosen]
        return states.reshape(batch, units), (p / cumulative[:, :, -1:]).reshape(batch, units)
    uniforms = layer_uniforms(seed, offset, batch, -(-units // 32) * 32)
    if kind in ("gaussian", "nrelu"):
        pairs = uniforms.reshape(batch, -1, 2, 16)
        radius, angle = np.sqrt(-2.0 * np.log(pairs[:, :, 0])), 2.0 * np.pi * pairs[:, :, 1]
        normals = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=2).reshape(batch, -1)[:, :units]
        if kind == "gaussian":
            return x + (1.0 if std is None else np.asarray(std, dtype=np.float64)) * normals, x
        return np.maximum(0.0, x + np.sqrt(sigmoid(x)) * normals), softplus(x)
    uniforms = uniforms[:, :units]
    if kind == "bernoulli":
        return np.where(uniforms < sigmoid(x), 1.0, 0.0), sigmoid(x)
    if kind == "spin":
        return np.where(uniforms < sigmoid(2.0 * x), 1.0, -1.0), np.tanh(x)
    if kind == "stepped-sigmoid":
        return _stepped_sigmoids(x, uniforms)
    raise ValueError(f"kind: unknown type of unit {kind!r}")


def _stepped_sigmoids(x: Float64Array, uniforms: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Number of Bernoulli units with inputs x - 1/2, x - 3/2, ... that are on, and its mean, for inputs up to 1000.

    By the q-binomial theorem, ``prod_i (1 + z q^i) = sum_h q^(h (h - 1) / 2) z^h / ((1 - q) ... (1 - q^h))`` with
    ``q = 1 / e`` and ``z = exp(x - 1/2)``: the terms are the weights of the states ``h``.
    """
    states, means = np.empty_like(x), np.empty_like(x)
    for at in np.ndindex(x.shape):
        count = np.arange(max(0.0, float(np.ceil(x[at]))) + 40)
        growth = -np.log1p(-np.exp(-count[1:]))  # - log (1 - q^h)
        log_weights = count * x[at] - count**2 / 2 + np.concatenate([[0.0], np.cumsum(growth)])
        weights = np.exp(log_weights - log_weights.max())
        cumulative = np.cumsum(weights / weights.sum())
        states[at] = np.searchsorted(cumulative, uniforms[at], side="right")
        means[at] = (count * weights).sum() / weights.sum()
    return states, means
