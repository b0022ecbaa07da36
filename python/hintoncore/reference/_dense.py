"""Elementwise functions and products of real matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "batched_matmul",
    "exp",
    "linear",
    "linear_backward",
    "log",
    "matmul",
    "outer_update",
    "sigmoid",
    "softplus",
    "tanh",
]

Float64Array = NDArray[np.float64]


def exp(x: ArrayLike) -> Float64Array:
    """Exponential of ``x``, any shape."""
    return np.asarray(np.exp(np.asarray(x, dtype=np.float64)))


def log(x: ArrayLike) -> Float64Array:
    """Natural logarithm of ``x``, any shape: -inf at 0 and NaN below."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(np.asarray(x, dtype=np.float64)))


def sigmoid(x: ArrayLike) -> Float64Array:
    """Logistic function 1 / (1 + exp(-x)), any shape, without overflow for either sign."""
    x = np.asarray(x, dtype=np.float64)
    decay = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, decay) / (1.0 + decay))


def tanh(x: ArrayLike) -> Float64Array:
    """Hyperbolic tangent of ``x``, any shape."""
    return np.asarray(np.tanh(np.asarray(x, dtype=np.float64)))


def softplus(x: ArrayLike) -> Float64Array:
    """log(1 + exp(x)), any shape, without overflow."""
    x = np.asarray(x, dtype=np.float64)
    return np.asarray(np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x))))


def matmul(a: ArrayLike, b: ArrayLike, *, trans_a: bool = False, trans_b: bool = False) -> Float64Array:
    """Matrix product ``op(a) @ op(b)``, where ``op`` transposes when asked.

    Parameters
    ----------
    a : array, shape [M, K], or [K, M] with ``trans_a``
    b : array, shape [K, N], or [N, K] with ``trans_b``

    Returns
    -------
    array of float64, shape [M, N]
    """
    a = np.asarray(a, dtype=np.float64)
    b = np.asarray(b, dtype=np.float64)
    return np.asarray((a.T if trans_a else a) @ (b.T if trans_b else b))


def batched_matmul(a: ArrayLike, b: ArrayLike, *, trans_a: bool = False, trans_b: bool = False) -> Float64Array:
    """The products ``op(a) @ op(b)`` of a batch of matrices.

    Parameters
    ----------
    a : array, shape [..., M, K], or [..., K, M] with ``trans_a``
    b : array, shape [..., K, N], or [..., N, K] with ``trans_b``
        Leading axes broadcast with those of ``a``.

    Returns
    -------
    array of float64, shape [..., M, N]
    """
    a = np.asarray(a, dtype=np.float64)
    b = np.asarray(b, dtype=np.float64)
    return np.asarray((np.swapaxes(a, -1, -2) if trans_a else a) @ (np.swapaxes(b, -1, -2) if trans_b else b))


def linear(x: ArrayLike, w: ArrayLike, b: ArrayLike | None = None, *, activation: str = "none") -> Float64Array:
    """Dense layer ``activation(x @ w + b)``.

    Parameters
    ----------
    x : array, shape [B, I]
    w : array, shape [I, O]
    b : array, shape [O], optional
    activation : {"none", "relu", "sigmoid", "tanh"}

    Returns
    -------
    array of float64, shape [B, O]
    """
    pre = matmul(x, w)
    if b is not None:
        pre = pre + np.asarray(b, dtype=np.float64)
    if activation == "none":
        return pre
    if activation == "relu":
        return np.asarray(np.maximum(pre, 0.0))
    if activation == "sigmoid":
        return sigmoid(pre)
    if activation == "tanh":
        return tanh(pre)
    raise ValueError(f"activation: expected 'none', 'relu', 'sigmoid' or 'tanh', given {activation!r}")


def linear_backward(
    x: ArrayLike, w: ArrayLike, y: ArrayLike, dy: ArrayLike, *, activation: str = "none"
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Gradients of :func:`linear` from its output ``y`` and the gradient ``dy`` that arrives at it.

    The derivative of each activation is written in its output: relu ``y > 0``, sigmoid ``y (1 - y)``, tanh
    ``1 - y^2``.

    Parameters
    ----------
    x : array, shape [B, I]
    w : array, shape [I, O]
    y, dy : arrays, shape [B, O]
    activation : {"none", "relu", "sigmoid", "tanh"}

    Returns
    -------
    dx : array of float64, shape [B, I]
    dw : array of float64, shape [I, O]
    db : array of float64, shape [O]
    """
    y = np.asarray(y, dtype=np.float64)
    delta = np.asarray(dy, dtype=np.float64)
    if activation == "relu":
        delta = delta * (y > 0)
    elif activation == "sigmoid":
        delta = delta * (y * (1.0 - y))
    elif activation == "tanh":
        delta = delta * (1.0 - y * y)
    elif activation != "none":
        raise ValueError(f"activation: expected 'none', 'relu', 'sigmoid' or 'tanh', given {activation!r}")
    return matmul(delta, w, trans_b=True), matmul(x, delta, trans_a=True), delta.sum(axis=0)


def outer_update(
    x: ArrayLike, y: ArrayLike, w: ArrayLike, b: ArrayLike, *, rate: float
) -> tuple[Float64Array, Float64Array]:
    """Weights and biases after ``w += rate * x^T y`` and ``b += rate * sum over the batch of y``.

    Parameters
    ----------
    x : array, shape [B, I]
    y : array, shape [B, O]
    w, b : arrays, shapes [I, O] and [O]
    rate : float

    Returns
    -------
    arrays of float64, shapes [I, O] and [O]
    """
    inputs, factors = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    weights = np.asarray(w, dtype=np.float64) + rate * (inputs.T @ factors)
    return weights, np.asarray(b, dtype=np.float64) + rate * factors.sum(axis=0)
