"""Readable NumPy version of the recurrent layer; :mod:`hintoncore.reference` has it. Float64 inside."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore.reference._dense import linear, linear_backward

__all__ = ["rnn", "rnn_backward", "rnn_inputs", "rnn_inputs_backward"]

Float64Array = NDArray[np.float64]


def rnn(
    z: ArrayLike, w_h: ArrayLike, *, h0: ArrayLike | None = None, activation: str = "relu", last_only: bool = False
) -> Float64Array:
    """``h_t = f(z_t + h_{t-1} @ w_h)`` (Elman 1990); all states, or the last.

    Parameters
    ----------
    z : array, shape [T, B, H]
    w_h : array, shape [H, H]
    h0 : array, shape [B, H], optional
        0 when left out.
    """
    pre, weights = np.asarray(z, dtype=np.float64), np.asarray(w_h, dtype=np.float64)
    state = np.zeros(pre.shape[1:]) if h0 is None else np.asarray(h0, dtype=np.float64)
    h = np.empty_like(pre)
    for t, z_t in enumerate(pre):
        h[t] = state = linear(state, weights, z_t, activation=activation)  # z_t [B, H] in the place of a bias
    return np.asarray(h[-1] if last_only else h)


def rnn_inputs(
    x: ArrayLike,
    w_x: ArrayLike,
    b: ArrayLike | None,
    w_h: ArrayLike,
    *,
    h0: ArrayLike | None = None,
    activation: str = "relu",
    last_only: bool = False,
) -> Float64Array:
    """``h_t = f(x_t @ w_x + b + h_{t-1} @ w_h)`` for x [T, B, I], w_x [I, H], b [H]."""
    z = np.asarray(x, dtype=np.float64) @ np.asarray(w_x, dtype=np.float64)
    if b is not None:
        z = z + np.asarray(b, dtype=np.float64)
    return rnn(z, w_h, h0=h0, activation=activation, last_only=last_only)


def rnn_backward(
    h: ArrayLike, w_h: ArrayLike, dh: ArrayLike, *, h0: ArrayLike | None = None, activation: str = "relu"
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Gradients of :func:`rnn` with respect to z, w_h and h0, by backpropagation through time (Werbos 1990).

    Parameters
    ----------
    h : array, shape [T, B, H]
    w_h : array, shape [H, H]
    dh : array, shape [T, B, H]; or [B, H], of the last state
    h0 : array, shape [B, H], optional
    """
    states, weights = np.asarray(h, dtype=np.float64), np.asarray(w_h, dtype=np.float64)
    incoming = np.asarray(dh, dtype=np.float64)
    if incoming.ndim == 2:
        incoming = np.concatenate([np.zeros_like(states[:-1]), incoming[None]])
    start = np.zeros_like(states[0]) if h0 is None else np.asarray(h0, dtype=np.float64)
    before = np.concatenate([start[None], states[:-1]])
    dz, dw_h = np.empty_like(states), np.zeros_like(weights)
    carried, one = np.zeros_like(start), np.eye(len(weights))
    for t in reversed(range(len(states))):
        dz[t], _, _ = linear_backward(before[t], one, states[t], incoming[t] + carried, activation=activation)
        dw_h += before[t].T @ dz[t]
        carried = dz[t] @ weights.T
    return dz, dw_h, carried


def rnn_inputs_backward(
    h: ArrayLike, x: ArrayLike, w_h: ArrayLike, dh: ArrayLike, *, h0: ArrayLike | None = None, activation: str = "relu"
) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
    """Gradients of :func:`rnn_inputs` with respect to w_x, b, w_h and h0."""
    dz, dw_h, dh0 = rnn_backward(h, w_h, dh, h0=h0, activation=activation)
    dw_x = np.einsum("tbi,tbh->ih", np.asarray(x, dtype=np.float64), dz)
    return dw_x, dz.sum(axis=(0, 1)), dw_h, dh0
