"""Pooling of images. Import it from :mod:`hintoncore.ops`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._validate import Array, as_float32, as_numpy, given, like
from ._conv import _pair

__all__ = ["max_pool2d", "max_pool2d_backward"]


def max_pool2d(
    x: Array, window: int | tuple[int, int], *, stride: int | tuple[int, int] | None = None
) -> tuple[Array, NDArray[np.int32]]:
    """Maxima over windows of images.

    ``y[n, c, i, j] = max over p, q of x[n, c, i sy + p, j sx + q]``. What a last row or column of windows would have
    beyond the image is left out.

    Parameters
    ----------
    x : array, shape (B, C, H, W)
    window : int or pair of int, >= 1
        Rows and columns of a window.
    stride : int or pair of int, >= 1, optional
        From one window to the next; the window unless given, so that windows do not overlap.

    Returns
    -------
    y : array of float32, shape (B, C, OH, OW)
        With OH = (H - window rows) // sy + 1 and OW likewise; of the kind `x` is. A NaN is larger than any number.
    index : NumPy array of int32, shape (B, C, OH, OW)
        Where in its plane each maximum is, row * W + column: the first of equals. The gradient needs it.

    Raises
    ------
    ValueError, TypeError
        For arrays of the wrong shape, windows larger than the image, windows or strides below 1.

    References
    ----------
    Riesenhuber and Poggio (1999), Hierarchical models of object recognition in cortex, Nature Neuroscience 2.
    """
    windows = _pair(window, "window", 1)
    strides = windows if stride is None else _pair(stride, "stride", 1)
    y, index = _core.max_pool2d(as_float32(x, "x", 4), windows, strides)
    return like(x, y), index


def max_pool2d_backward(dy: Array, index: Array, shape: tuple[int, int]) -> Array:
    """Gradient of :func:`max_pool2d`: each element of `dy` is added where the maximum was.

    Parameters
    ----------
    dy : array, shape (B, C, OH, OW)
        Gradient of the loss with respect to the maxima.
    index : array of int32, shape (B, C, OH, OW)
        As :func:`max_pool2d` returned it.
    shape : (H, W)
        Rows and columns of the images.

    Returns
    -------
    dx : array of float32, shape (B, C, H, W)
        Of the kind `dy` is; the same bits for any number of threads.

    Raises
    ------
    ValueError, TypeError
        For shapes that do not agree, an index outside the images.
    """
    height, width = _pair(shape, "shape", 1)
    at = as_numpy(index, "index")
    if at.dtype != np.int32:
        raise TypeError(f"index: expected int32 as max_pool2d returns it, got {given(at)}")
    dx = _core.max_pool2d_backward(as_float32(dy, "dy", 4), np.ascontiguousarray(at), height, width)
    return like(dy, dx)
