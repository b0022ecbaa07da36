"""The kernels on float32 arrays, their references on float64 ones: one spelling for both.

A float64 copy of a network is what :func:`hintoncore.nn.check_gradients` differentiates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hintoncore import ops, reference
from hintoncore.generator import Generator

__all__ = [
    "Array",
    "conv2d",
    "conv2d_backward",
    "dropout",
    "embedding",
    "embedding_add",
    "layer_norm",
    "layer_norm_backward",
    "linear",
    "linear_backward",
    "rnn",
    "rnn_backward",
    "rnn_inputs",
    "rnn_inputs_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "sigmoid",
    "softmax_cross_entropy",
    "softplus",
]

Array = NDArray[Any]


def _exact(x: Array) -> bool:
    return x.dtype == np.float64


def linear(x: Array, w: Array, b: Array | None, activation: str) -> Array:
    """See :func:`hintoncore.ops.linear`."""
    if _exact(w):
        return reference.linear(x, w, b, activation=activation)
    y: Array = ops.linear(x, w, b, activation=activation)
    return y


def linear_backward(
    x: Array, w: Array, y: Array, dy: Array, activation: str, dw: Array, db: Array | None, *, input_gradient: bool
) -> Array | None:
    """Write dw and db, return dx; see :func:`hintoncore.ops.linear_backward`."""
    if _exact(w):
        dx, dw[...], gradient = reference.linear_backward(x, w, y, dy, activation=activation)
        if db is not None:
            db[...] = gradient
        return dx
    target = np.empty_like(x, dtype=np.float32) if input_gradient else None
    ops.linear_backward(x, w, y, dy, activation=activation, out=(target, dw, db))
    return target


def conv2d(
    x: Array, w: Array, b: Array | None, stride: tuple[int, int], padding: tuple[int, int], activation: str
) -> Array:
    """See :func:`hintoncore.ops.conv2d`."""
    y: Array = (reference if _exact(w) else ops).conv2d(x, w, b, stride=stride, padding=padding, activation=activation)
    return y


def conv2d_backward(
    x: Array,
    w: Array,
    y: Array,
    dy: Array,
    stride: tuple[int, int],
    padding: tuple[int, int],
    activation: str,
    dw: Array,
    db: Array | None,
    *,
    input_gradient: bool,
) -> Array | None:
    """Write dw and db, return dx; see :func:`hintoncore.ops.conv2d_backward`."""
    how = {"stride": stride, "padding": padding, "activation": activation}
    if _exact(w):
        dx, dw[...], gradient = reference.conv2d_backward(x, w, y, dy, **how)  # type: ignore[arg-type]
        if db is not None:
            db[...] = gradient
        return dx
    target = np.empty_like(x, dtype=np.float32) if input_gradient else None
    ops.conv2d_backward(x, w, y, dy, **how, out=(target, dw, db))  # type: ignore[arg-type]
    return target


def max_pool2d(x: Array, window: tuple[int, int], stride: tuple[int, int]) -> tuple[Array, Array]:
    """See :func:`hintoncore.ops.max_pool2d`."""
    y, index = (reference if _exact(x) else ops).max_pool2d(x, window, stride=stride)
    return y, index


def max_pool2d_backward(dy: Array, index: Array, shape: tuple[int, int]) -> Array:
    """See :func:`hintoncore.ops.max_pool2d_backward`."""
    dx: Array = (reference if _exact(dy) else ops).max_pool2d_backward(dy, index, shape)
    return dx


def layer_norm(x: Array, gain: Array, shift: Array, epsilon: float) -> tuple[Array, Array, Array]:
    """See :func:`hintoncore.ops.layer_norm`."""
    y, mean, inverse_std = (reference if _exact(gain) else ops).layer_norm(x, gain, shift, epsilon=epsilon)
    return y, mean, inverse_std


def layer_norm_backward(
    x: Array, mean: Array, inverse_std: Array, dy: Array, gain: Array
) -> tuple[Array, Array, Array]:
    """See :func:`hintoncore.ops.layer_norm_backward`."""
    dx, dgain, dshift = (reference if _exact(gain) else ops).layer_norm_backward(x, mean, inverse_std, dy, gain)
    return dx, dgain, dshift


def dropout(x: Array, rate: float, seed: int, offset: int) -> Array:
    """See :func:`hintoncore.ops.dropout`."""
    if _exact(x):
        return reference.dropout(x, rate=rate, seed=seed, offset=offset)
    y: Array = ops.dropout(x, rate=rate, rng=Generator(seed, offset))
    return y


def embedding(table: Array, index: Array) -> Array:
    """See :func:`hintoncore.ops.embedding`."""
    rows: Array = (reference if _exact(table) else ops).embedding(table, index)
    return rows


def embedding_add(table: Array, index: Array, dy: Array) -> None:
    """See :func:`hintoncore.ops.embedding_add`."""
    if _exact(table):
        table[...] = reference.embedding_add(table, index, dy)
    else:
        ops.embedding_add(table, index, dy)


def softmax_cross_entropy(logits: Array, targets: Array) -> tuple[float, Array]:
    """See :func:`hintoncore.ops.softmax_cross_entropy`."""
    loss, gradient = (reference if _exact(logits) else ops).softmax_cross_entropy(logits, targets)
    return loss, gradient


def sigmoid(x: Array) -> Array:
    """See :func:`hintoncore.ops.sigmoid`."""
    y: Array = (reference if _exact(x) else ops).sigmoid(x)
    return y


def softplus(x: Array) -> Array:
    """See :func:`hintoncore.ops.softplus`."""
    y: Array = (reference if _exact(x) else ops).softplus(x)
    return y


def rnn(z: Array, w_h: Array, h0: Array | None, activation: str, *, last_only: bool) -> Array:
    """See :func:`hintoncore.ops.rnn`."""
    h: Array = (reference if _exact(w_h) else ops).rnn(z, w_h, h0=h0, activation=activation, last_only=last_only)
    return h


def rnn_inputs(
    x: Array, w_x: Array, b: Array, w_h: Array, h0: Array | None, activation: str, *, last_only: bool
) -> Array:
    """See :func:`hintoncore.ops.rnn_inputs`."""
    module = reference if _exact(w_h) else ops
    h: Array = module.rnn_inputs(x, w_x, b, w_h, h0=h0, activation=activation, last_only=last_only)
    return h


def rnn_backward(h: Array, w_h: Array, dh: Array, h0: Array | None, activation: str) -> tuple[Array, Array, Array]:
    """See :func:`hintoncore.ops.rnn_backward`."""
    dz, dw_h, dh0 = (reference if _exact(w_h) else ops).rnn_backward(h, w_h, dh, h0=h0, activation=activation)
    return dz, dw_h, dh0


def rnn_inputs_backward(
    h: Array, x: Array, w_h: Array, dh: Array, h0: Array | None, activation: str
) -> tuple[Array, Array, Array, Array]:
    """See :func:`hintoncore.ops.rnn_inputs_backward`."""
    module = reference if _exact(w_h) else ops
    dw_x, db, dw_h, dh0 = module.rnn_inputs_backward(h, x, w_h, dh, h0=h0, activation=activation)
    return dw_x, db, dw_h, dh0
