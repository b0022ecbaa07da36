"""A recurrent layer over whole sequences. Import its functions from :mod:`hintoncore.ops`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._validate import Array, as_float32, as_numpy, given, in_place, like
from ._dense import _activation

__all__ = ["rnn", "rnn_backward", "rnn_inputs", "rnn_inputs_backward"]


def rnn(
    z: Array,
    w_h: Array,
    *,
    h0: Array | None = None,
    activation: str = "relu",
    last_only: bool = False,
    out: Array | None = None,
) -> Array:
    """States of a recurrent layer, ``h_t = f(z_t + h_{t-1} @ w_h)``, for all steps in one call.

    A thread takes some sequences of the batch through all steps, with the weights in its cache; no step waits for other
    sequences. The result is the same for any number of threads, and a sequence's is the same alone as in a batch.

    Parameters
    ----------
    z : array, shape (T, B, H)
        The part of the pre-activation that the inputs give, such as ``x_t @ w_x + b``; time first.
    w_h : array, shape (H, H)
    h0 : array, shape (B, H), optional
        State before the first step; 0 when left out.
    activation : {"none", "relu", "sigmoid", "tanh"}
    last_only : bool
        Return the last state alone; no other is stored. :func:`rnn_backward` needs them all.
    out : float32 array of the result's shape, optional
        Written and returned; C-contiguous, writeable, sharing no memory with the inputs.

    Returns
    -------
    array of float32, shape (T, B, H), or (B, H) with `last_only`
        Of the kind `z` is. NaN and infinities propagate.

    Raises
    ------
    ValueError, TypeError
        For shapes that do not agree, empty arrays, an unknown activation, an `out` that cannot be written in place.

    References
    ----------
    Elman (1990), Finding structure in time; Le, Jaitly and Hinton (2015), A simple way to initialize recurrent networks
    of rectified linear units.
    """
    pre = as_float32(z, "z", 3)
    weights, start = as_float32(w_h, "w_h", 2), _optional(h0, "h0", 2)
    target = _target(out, (pre.shape[0], pre.shape[1], pre.shape[2]), last_only)
    _core.rnn(pre, None, None, None, weights, start, _activation(activation), target)
    return like(z, target) if out is None else out


def rnn_inputs(
    x: Array,
    w_x: Array,
    b: Array | None,
    w_h: Array,
    *,
    h0: Array | None = None,
    activation: str = "relu",
    last_only: bool = False,
    out: Array | None = None,
) -> Array:
    """States of a recurrent layer from its inputs, ``h_t = f(x_t @ w_x + b + h_{t-1} @ w_h)``.

    For few inputs a step, such as one pixel: their product is part of the recurrence's, and no array of pre-activations
    is written. With many inputs ``rnn(linear(x, w_x, b), w_h)`` is as fast.

    Parameters
    ----------
    x : array, shape (T, B, I)
        Time first.
    w_x : array, shape (I, H)
    b : array, shape (H,), or None
    w_h : array, shape (H, H)
    h0, activation, last_only, out
        As for :func:`rnn`.

    Returns
    -------
    array of float32, shape (T, B, H), or (B, H) with `last_only`

    Raises
    ------
    ValueError, TypeError
        As for :func:`rnn`.
    """
    inputs, input_weights = as_float32(x, "x", 3), as_float32(w_x, "w_x", 2)
    bias, weights, start = _optional(b, "b", 1), as_float32(w_h, "w_h", 2), _optional(h0, "h0", 2)
    target = _target(out, (inputs.shape[0], inputs.shape[1], input_weights.shape[1]), last_only)
    _core.rnn(None, inputs, input_weights, bias, weights, start, _activation(activation), target)
    return like(x, target) if out is None else out


def rnn_backward(
    h: Array, w_h: Array, dh: Array, *, h0: Array | None = None, activation: str = "relu", out: Array | None = None
) -> tuple[Array, Array, Array]:
    """Exact gradients of :func:`rnn` by backpropagation through all steps.

    With ``g_t = f'(pre_t) * (dh_t + g_{t+1} @ w_h.T)``, the derivative written in the state (relu: ``h > 0``, sigmoid:
    ``h (1 - h)``, tanh: ``1 - h^2``): ``dz_t = g_t``, ``dw_h = sum_t h_{t-1}.T @ g_t``, ``dh0 = g_0 @ w_h.T``. Beside
    its arguments and results it takes memory for some 1000 rows of H numbers, twice.

    Parameters
    ----------
    h : array, shape (T, B, H)
        What :func:`rnn` returned.
    w_h : array, shape (H, H)
    dh : array, shape (T, B, H), or (B, H)
        Gradient of the loss with respect to `h`; or to the last state, when the loss depends on no other.
    h0, activation
        As given to :func:`rnn`.
    out : float32 array, shape (T, B, H), optional
        dz is written there; C-contiguous, writeable, sharing no memory with the inputs.

    Returns
    -------
    dz : array of float32, shape (T, B, H)
    dw_h : array of float32, shape (H, H)
    dh0 : array of float32, shape (B, H)
        The same for any number of threads.

    Raises
    ------
    ValueError, TypeError
        For shapes that do not agree, empty arrays, an unknown activation.

    References
    ----------
    Rumelhart, Hinton and Williams (1986), Learning internal representations by error propagation; Werbos (1990),
    Backpropagation through time: what it does and how to do it.
    """
    target = None if out is None else in_place(out, "out", 3)
    results = _core.rnn_backward(*_backward_arguments(h, None, w_h, dh, h0, activation), target)
    dz, dw_h, dh0 = (like(h, result) for result in results)
    return dz if out is None else out, dw_h, dh0


def rnn_inputs_backward(
    h: Array, x: Array, w_h: Array, dh: Array, *, h0: Array | None = None, activation: str = "relu"
) -> tuple[Array, Array, Array, Array]:
    """Exact gradients of :func:`rnn_inputs` with respect to its weights and first state.

    As :func:`rnn_backward`, with ``dw_x = sum_t x_t.T @ g_t`` and ``db`` the sum of all ``g_t``; the ``g_t`` themselves
    are not kept. Where the gradient of `x` is wanted, take :func:`rnn_backward` and ``dx = dz @ w_x.T``.

    Parameters
    ----------
    h : array, shape (T, B, H)
        What :func:`rnn_inputs` returned.
    x : array, shape (T, B, I)
    w_h : array, shape (H, H)
    dh : array, shape (T, B, H), or (B, H)
        Gradient of the loss with respect to `h`; or to the last state, when the loss depends on no other.
    h0, activation
        As given to :func:`rnn_inputs`.

    Returns
    -------
    dw_x : array of float32, shape (I, H)
    db : array of float32, shape (H,)
    dw_h : array of float32, shape (H, H)
    dh0 : array of float32, shape (B, H)
        The same for any number of threads.

    Raises
    ------
    ValueError, TypeError
        For shapes that do not agree, empty arrays, an unknown activation.
    """
    arguments = _backward_arguments(h, as_float32(x, "x", 3), w_h, dh, h0, activation)
    dw_x, db, dw_h, dh0 = (like(h, result) for result in _core.rnn_backward(*arguments, None))
    return dw_x, db, dw_h, dh0


def _optional(x: Array | None, name: str, ndim: int) -> NDArray[np.float32] | None:
    return None if x is None else as_float32(x, name, ndim)


def _target(out: Array | None, shape: tuple[int, int, int], last_only: bool) -> NDArray[np.float32]:
    if out is None:
        return np.empty(shape[1:] if last_only else shape, dtype=np.float32)
    return in_place(out, "out", 2 if last_only else 3)


def _backward_arguments(
    h: Array, x: NDArray[np.float32] | None, w_h: Array, dh: Array, h0: Array | None, activation: str
) -> tuple[
    NDArray[np.float32],
    NDArray[np.float32] | None,
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32] | None,
    int,
]:
    gradient = as_numpy(dh, "dh")
    if gradient.ndim not in (2, 3):
        raise ValueError(f"dh: expected 3 dimensions (all states) or 2 (the last one), got {given(gradient)}")
    states, weights = as_float32(h, "h", 3), as_float32(w_h, "w_h", 2)
    incoming = as_float32(gradient, "dh", gradient.ndim)
    return states, x, weights, incoming, _optional(h0, "h0", 2), _activation(activation)
