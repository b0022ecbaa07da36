"""Layers and losses of networks trained by gradients. Import them from :mod:`hintoncore.ops`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._validate import Array, as_float32, as_int, as_number, as_numpy, given, in_place, like
from ..generator import RngLike, as_generator

__all__ = [
    "dropout",
    "embedding",
    "embedding_add",
    "layer_norm",
    "layer_norm_backward",
    "softmax",
    "softmax_cross_entropy",
]


def _indices(x: Array, name: str, limit: int) -> NDArray[np.int32]:
    """Integers in [0, limit) as C-contiguous int32, of any shape."""
    array = as_numpy(x, name)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected integers, got {given(array)}")
    if array.size == 0:
        raise ValueError(f"{name}: expected at least one element, got {given(array)}")
    # The kernels check int32. Without signs a negative number is a large one: one pass finds both.
    if array.dtype != np.int32 and int(array.astype(np.uint64, copy=False).max()) >= limit:
        low, high = int(array.min()), int(array.max())
        raise ValueError(f"{name}: expected values in 0..{limit - 1}, got {low if low < 0 else high}")
    return np.ascontiguousarray(array, dtype=np.int32)


def _target(x: NDArray[np.float32], out: Array | None) -> NDArray[np.float32]:
    return np.empty_like(x) if out is None else in_place(out, "out", 2)


def softmax(x: Array, *, out: Array | None = None) -> Array:
    """Softmax of each row, ``exp(x_j) / sum_k exp(x_k)``.

    Nothing overflows; probabilities below exp(-87) come out as 0.

    Parameters
    ----------
    x : array, shape (B, N)
        Logits; -inf stands for impossible.
    out : float32 array, shape (B, N), optional
        Written and returned; C-contiguous, writeable; may be `x` itself.

    Returns
    -------
    array of float32, shape (B, N), of the kind `x` is

    Raises
    ------
    ValueError, TypeError
        For arrays of the wrong shape, an `out` that cannot be written in place.

    References
    ----------
    Bridle (1990), Training stochastic model recognition algorithms as networks, eq. 7.
    """
    logits = as_float32(x, "x", 2)
    y = _target(logits, out)
    _core.softmax(logits, None, 1.0, y)
    return like(x, y) if out is None else out


def softmax_cross_entropy(logits: Array, targets: Array, *, out: Array | None = None) -> tuple[float, Array]:
    """Mean cross-entropy of a softmax against targets, and its gradient, in one pass.

    ``loss = mean over rows of -sum_j t_j log softmax(logits)_j``, in nats, with gradient
    ``(softmax(logits) sum_j t_j - t) / B`` with respect to the logits. The logarithm is taken of the sum of
    exponentials, never of a probability, so the loss is exact however unlikely the target is.

    Parameters
    ----------
    logits : array, shape (B, N)
    targets : array of integers, shape (B,), or array, shape (B, N)
        The right class of each row, in 0..N-1; or a distribution for each row (any non-negative weights).
    out : float32 array, shape (B, N), optional
        The gradient is written there; C-contiguous, writeable; may be `logits` itself.

    Returns
    -------
    loss : float
        In nats; NaN when a logit is.
    dlogits : array of float32, shape (B, N), of the kind `logits` is

    Raises
    ------
    ValueError, TypeError
        For shapes that do not agree, a class that does not exist, an `out` that cannot be written in place.

    References
    ----------
    Bridle (1990), Training stochastic model recognition algorithms as networks, eq. 13.
    """
    x = as_float32(logits, "logits", 2)
    array = as_numpy(targets, "targets")
    target: NDArray[Any]
    if array.ndim == 1:
        target = _indices(array, "targets", x.shape[1])
    elif array.ndim == 2:
        target = as_float32(array, "targets", 2)
    else:
        raise ValueError(f"targets: expected 1 dimension (classes) or 2 (distributions), got {given(array)}")
    gradient = _target(x, out)
    loss = _core.softmax(x, target, 1.0 / x.shape[0], gradient) / x.shape[0]
    return loss, like(logits, gradient) if out is None else out


def layer_norm(
    x: Array, gain: Array | None = None, shift: Array | None = None, *, epsilon: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Layer normalisation of each row: ``gain * (x - mean) / sqrt(variance + epsilon) + shift``.

    Parameters
    ----------
    x : array, shape (B, N)
    gain, shift : arrays, shape (N,), optional
        1 and 0 when left out.
    epsilon : float >= 0

    Returns
    -------
    y : array of float32, shape (B, N)
    mean : array of float32, shape (B,)
    inverse_std : array of float32, shape (B,)
        ``1 / sqrt(variance + epsilon)``; :func:`layer_norm_backward` wants both.

    Raises
    ------
    ValueError, TypeError
        For shapes that do not agree, a negative `epsilon`.

    References
    ----------
    Ba, Kiros and Hinton (2016), Layer normalization, eq. 3 and 4.
    """
    results = _core.layer_norm(
        as_float32(x, "x", 2),
        None if gain is None else as_float32(gain, "gain", 1),
        None if shift is None else as_float32(shift, "shift", 1),
        as_number(epsilon, "epsilon"),
    )
    y, mean, inverse_std = (like(x, result) for result in results)
    return y, mean, inverse_std


def layer_norm_backward(
    x: Array, mean: Array, inverse_std: Array, dy: Array, gain: Array | None = None
) -> tuple[Array, Array, Array]:
    """Gradients of :func:`layer_norm`.

    With ``n = (x - mean) * inverse_std`` and ``g = gain * dy``:
    ``dx = inverse_std * (g - mean(g) - n * mean(g * n))``, ``dgain = sum over rows of dy * n``,
    ``dshift = sum over rows of dy``.

    Parameters
    ----------
    x : array, shape (B, N)
        As given to :func:`layer_norm`.
    mean, inverse_std : arrays, shape (B,)
        As returned by it.
    dy : array, shape (B, N)
        Gradient of the loss with respect to its `y`.
    gain : array, shape (N,), optional
        As given to it.

    Returns
    -------
    dx : array of float32, shape (B, N)
    dgain, dshift : arrays of float32, shape (N,)

    Raises
    ------
    ValueError, TypeError
        For shapes that do not agree.
    """
    results = _core.layer_norm_backward(
        as_float32(x, "x", 2),
        None if gain is None else as_float32(gain, "gain", 1),
        as_float32(mean, "mean", 1),
        as_float32(inverse_std, "inverse_std", 1),
        as_float32(dy, "dy", 2),
    )
    dx, dgain, dshift = (like(x, result) for result in results)
    return dx, dgain, dshift


def dropout(x: Array, *, rate: float, rng: RngLike, first_sample: int = 0, out: Array | None = None) -> Array:
    """Set a random share `rate` of the elements to 0 and divide the others by ``1 - rate``.

    Element (row, column) is kept when the draw of (seed, offset, unit = column, sample = row) is below ``1 - rate``, so
    the mask need not be stored: the backward pass is the same call on the gradient, with a generator that stands where
    this one stood. The same for any number of threads and every ISA level.

    Parameters
    ----------
    x : array, shape (B, N)
    rate : float in [0, 1)
    rng : Generator or int
        Uses one offset. An int is the seed of a fresh generator.
    first_sample : int
        Index of the first row in a larger batch, a multiple of 64: splitting a batch does not change the mask.
    out : float32 array, shape (B, N), optional
        Written and returned; C-contiguous, writeable; may be `x` itself.

    Returns
    -------
    array of float32, shape (B, N), of the kind `x` is

    Raises
    ------
    ValueError, TypeError
        For a wrong shape or rate, an `out` that cannot be written in place.

    References
    ----------
    Hinton, Srivastava, Krizhevsky, Sutskever and Salakhutdinov (2012), Improving neural networks by preventing
    co-adaptation of feature detectors; Srivastava et al. (2014), JMLR 15, section 4 and, for the division, section 10.
    """
    values = as_float32(x, "x", 2)
    y = _target(values, out)
    rate = as_number(rate, "rate")
    first_sample = as_int(first_sample, "first_sample", 0, 2**34)
    generator = as_generator(rng)
    with generator.reserve(1) as offset:
        _core.dropout(values, rate, generator.seed, offset, first_sample, y)
    return like(x, y) if out is None else out


def embedding(table: Array, index: Array) -> Array:
    """Rows of a table by their index: ``table[index]``.

    Parameters
    ----------
    table : array, shape (V, D)
    index : array of integers in 0..V-1, shape (...)

    Returns
    -------
    array of float32, shape (..., D), of the kind `table` is

    Raises
    ------
    ValueError, TypeError
        For an index out of range, empty arrays, an index that is not of integers.
    """
    rows = as_float32(table, "table", 2)
    at = _indices(index, "index", rows.shape[0])
    return like(table, _core.embedding(rows, at.reshape(-1)).reshape(*at.shape, rows.shape[1]))


def embedding_add(table: Array, index: Array, dy: Array, *, scale: float = 1.0) -> None:
    """Add rows to those of a table: ``table[index[i]] += scale * dy[i]``, the transpose of :func:`embedding`.

    On an array of zeros it makes the gradient; on the table itself, with ``scale = -learning_rate``, the update of
    plain gradient descent, at the cost of the rows that occur. Rows that occur several times are added in their order
    in `index`, for any number of threads.

    Parameters
    ----------
    table : float32 array, shape (V, D)
        Updated in place.
    index : array of integers in 0..V-1, shape (...)
    dy : array, shape (..., D)
    scale : float

    Raises
    ------
    ValueError, TypeError
        For an index out of range, shapes that do not agree, a table that cannot be written in place. Nothing is changed
        then.
    """
    rows = in_place(table, "table", 2)
    at = _indices(index, "index", rows.shape[0])
    array = as_numpy(dy, "dy")
    if array.shape != (*at.shape, rows.shape[1]):
        raise ValueError(f"dy: expected shape {(*at.shape, rows.shape[1])}, got {given(array)}")
    source = as_float32(array.reshape(-1, rows.shape[1]), "dy", 2)
    _core.embedding_add(rows, at.reshape(-1), source, as_number(scale, "scale"))
