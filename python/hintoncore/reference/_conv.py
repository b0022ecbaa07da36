"""Convolution of images, by the matrix of patches that the kernels never store."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._dense import linear, linear_backward

__all__ = ["conv2d", "conv2d_backward", "max_pool2d", "max_pool2d_backward"]

Float64Array = NDArray[np.float64]
Pair = int | tuple[int, int]


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _windows(padded: Float64Array, kernel: tuple[int, int], stride: tuple[int, int]) -> Float64Array:
    """A view of padded images [B, C, H, W]: what each output pixel looks at, [B, C, OH, OW, kh, kw]."""
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(2, 3), writeable=True)
    return windows[:, :, :: stride[0], :: stride[1]]


def _padded(x: Float64Array, padding: tuple[int, int]) -> Float64Array:
    return np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))


def _patches(windows: Float64Array) -> Float64Array:
    """A row for each output pixel, a column for each tap (channel, ky, kx)."""
    b, c, oh, ow, kh, kw = windows.shape
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(b * oh * ow, c * kh * kw)


def _pixel_rows(y: Float64Array) -> Float64Array:
    """[B, O, OH, OW] as a row for each pixel."""
    return y.transpose(0, 2, 3, 1).reshape(-1, y.shape[1])


def conv2d(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    activation: str = "none",
) -> Float64Array:
    """Two-dimensional convolution: a dense layer on the patch that each output pixel looks at.

    ``y[n, o, i, j] = f(b[o] + sum over c, p, q of w[o, c, p, q] x[n, c, i sy + p - py, j sx + q - px])``, with zeros
    around the images.

    Parameters
    ----------
    x : array, shape [B, C, H, W]
    w : array, shape [O, C, kh, kw]
    b : array, shape [O], optional
    stride, padding : int or pair of int
        Of rows and of columns.
    activation : {"none", "relu", "sigmoid", "tanh"}

    Returns
    -------
    array of float64, shape [B, O, OH, OW]
    """
    images, weights = np.asarray(x, dtype=np.float64), np.asarray(w, dtype=np.float64)
    windows = _windows(_padded(images, _pair(padding)), weights.shape[2:], _pair(stride))
    rows = linear(_patches(windows), weights.reshape(len(weights), -1).T, b, activation=activation)
    batch, _, oh, ow = windows.shape[:4]
    return np.ascontiguousarray(rows.reshape(batch, oh, ow, -1).transpose(0, 3, 1, 2))


def conv2d_backward(
    x: ArrayLike,
    w: ArrayLike,
    y: ArrayLike,
    dy: ArrayLike,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    activation: str = "none",
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Gradients of :func:`conv2d` from its output ``y`` and the gradient ``dy`` that arrives at it.

    Those of the dense layer; what falls to the patches is added up where they overlap.

    Parameters
    ----------
    x : array, shape [B, C, H, W]
    w : array, shape [O, C, kh, kw]
    y, dy : arrays, shape [B, O, OH, OW]
    stride, padding : int or pair of int
    activation : {"none", "relu", "sigmoid", "tanh"}

    Returns
    -------
    dx : array of float64, shape [B, C, H, W]
    dw : array of float64, shape [O, C, kh, kw]
    db : array of float64, shape [O]
    """
    images, weights = np.asarray(x, dtype=np.float64), np.asarray(w, dtype=np.float64)
    (py, px), kernel = _pair(padding), weights.shape[2:]
    padded = _padded(images, (py, px))
    windows = _windows(padded, kernel, _pair(stride))
    dpatches, dweights, db = linear_backward(
        _patches(windows),
        weights.reshape(len(weights), -1).T,
        _pixel_rows(np.asarray(y, dtype=np.float64)),
        _pixel_rows(np.asarray(dy, dtype=np.float64)),
        activation=activation,
    )
    dpadded = np.zeros_like(padded)
    into = _windows(dpadded, kernel, _pair(stride))
    b, c, oh, ow, kh, kw = into.shape
    parts = dpatches.reshape(b, oh, ow, c, kh, kw)
    for p, q in np.ndindex(kh, kw):  # the patches of one tap do not overlap
        into[..., p, q] += parts[..., p, q].transpose(0, 3, 1, 2)
    height, width = images.shape[2:]
    return dpadded[:, :, py : py + height, px : px + width].copy(), dweights.T.reshape(weights.shape), db


def max_pool2d(x: ArrayLike, window: Pair, *, stride: Pair | None = None) -> tuple[Float64Array, NDArray[np.int32]]:
    """Maxima over windows of images, and where in its plane each is: the first of equals.

    Parameters
    ----------
    x : array, shape [B, C, H, W]
    window, stride : int or pair of int
        Of rows and of columns; the stride is the window unless given.

    Returns
    -------
    y : array of float64, shape [B, C, OH, OW]
    index : array of int32, like y
        ``row * W + column``.
    """
    images, (kh, kw) = np.asarray(x, dtype=np.float64), _pair(window)
    sy, sx = (kh, kw) if stride is None else _pair(stride)
    windows = _windows(images, (kh, kw), (sy, sx))
    flat = windows.reshape(*windows.shape[:4], kh * kw)
    best = flat.argmax(axis=-1)  # NumPy takes the first NaN for the largest
    oh, ow = windows.shape[2:4]
    rows, columns = np.arange(oh)[:, None] * sy + best // kw, np.arange(ow) * sx + best % kw
    return flat.max(axis=-1), (rows * images.shape[3] + columns).astype(np.int32)


def max_pool2d_backward(dy: ArrayLike, index: ArrayLike, shape: tuple[int, int]) -> Float64Array:
    """Gradient of :func:`max_pool2d`: each element of ``dy`` goes where the maximum was.

    Parameters
    ----------
    dy : array, shape [B, C, OH, OW]
    index : array of int, like dy
    shape : (H, W)

    Returns
    -------
    dx : array of float64, shape [B, C, H, W]
    """
    incoming, at = np.asarray(dy, dtype=np.float64), np.asarray(index)
    batch, channels = incoming.shape[:2]
    dx = np.zeros((batch * channels, shape[0] * shape[1]))
    np.add.at(dx, (np.arange(len(dx))[:, None], at.reshape(len(dx), -1)), incoming.reshape(len(dx), -1))
    return dx.reshape(batch, channels, *shape)
