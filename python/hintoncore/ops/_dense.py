"""Matrix products, dense layers and functions of one variable. Import them from :mod:`hintoncore.ops`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._validate import Array, as_float32, as_numpy, given, in_place, like

__all__ = ["exp", "linear", "linear_backward", "log", "matmul", "sigmoid", "softplus", "tanh"]

_ACTIVATIONS = {"none": 0, "relu": 1, "sigmoid": 2, "tanh": 3}


def _activation(activation: object) -> int:
    if not isinstance(activation, str):
        raise TypeError(f"activation: expected a string, got {activation!r}")
    code = _ACTIVATIONS.get(activation)
    if code is None:
        raise ValueError(f"activation: expected 'none', 'relu', 'sigmoid' or 'tanh', got {activation!r}")
    return code


def _result(template: Array, out: Array | None, result: NDArray[np.float32]) -> Array:
    """What the caller gets: the `out` it gave, or the result as the kind of array `template` is."""
    return like(template, result) if out is None else out


def matmul(a: Array, b: Array, *, trans_a: bool = False, trans_b: bool = False, out: Array | None = None) -> Array:
    """Matrix product ``op(a) @ op(b)`` in float32, where ``op`` transposes when asked.

    Every element is summed over K in an order that depends on K alone: a row of a batch has the same bits alone as
    among others, for any number of threads, and at every ISA level with fused multiply-add.

    Parameters
    ----------
    a : array, shape (M, K), or (K, M) with `trans_a`
    b : array, shape (K, N), or (N, K) with `trans_b`
    trans_a, trans_b : bool
        Transpose an operand. Free: nothing is copied that would not be otherwise.
    out : float32 array, shape (M, N), optional
        Written and returned; C-contiguous, writeable, sharing no memory with `a` and `b`.

    Returns
    -------
    array of float32, shape (M, N)
        Of the kind `a` is. NaN and infinities propagate as in IEEE arithmetic.

    Raises
    ------
    ValueError
        For shapes that do not agree, empty operands, an `out` of the wrong shape or that shares memory with an operand.
    TypeError
        For operands that are no arrays of real numbers, an `out` that is not float32.

    Examples
    --------
    >>> import numpy as np
    >>> from hintoncore import ops
    >>> ops.matmul(np.eye(2), np.array([[1.0, 2.0], [3.0, 4.0]]), trans_b=True)
    array([[1., 3.],
           [2., 4.]], dtype=float32)

    References
    ----------
    Goto and van de Geijn (2008), Anatomy of high-performance matrix multiplication; Van Zee and van de Geijn (2015),
    BLIS.
    """
    target = None if out is None else in_place(out, "out", 2)
    c = _core.matmul(as_float32(a, "a", 2), as_float32(b, "b", 2), bool(trans_a), bool(trans_b), target)
    return _result(a, out, c)


def linear(x: Array, w: Array, b: Array | None = None, *, activation: str = "none", out: Array | None = None) -> Array:
    """Dense layer ``activation(x @ w + b)``; bias and activation are applied while the product is in cache.

    Parameters
    ----------
    x : array, shape (B, I)
    w : array, shape (I, O)
    b : array, shape (O,), optional
    activation : {"none", "relu", "sigmoid", "tanh"}
    out : float32 array, shape (B, O), optional
        Written and returned; C-contiguous, writeable, sharing no memory with the inputs.

    Returns
    -------
    array of float32, shape (B, O)
        Of the kind `x` is.

    Raises
    ------
    ValueError, TypeError
        For shapes that do not agree, empty arrays, an unknown activation, an `out` that cannot be written in place.
    """
    code = _activation(activation)
    bias = None if b is None else as_float32(b, "b", 1)
    target = None if out is None else in_place(out, "out", 2)
    y = _core.linear(as_float32(x, "x", 2), as_float32(w, "w", 2), bias, code, target)
    return _result(x, out, y)


def linear_backward(
    x: Array,
    w: Array,
    y: Array,
    dy: Array,
    *,
    activation: str = "none",
    out: tuple[Array | None, Array | None, Array | None] | None = None,
) -> tuple[Array, Array, Array]:
    """Gradients of :func:`linear`.

    With ``g = f'(pre) * dy``, the derivative written in the output (relu: ``y > 0``, sigmoid: ``y (1 - y)``, tanh:
    ``1 - y^2``): ``dx = g @ w.T``, ``dw = x.T @ g``, ``db = sum over the batch of g``.

    Parameters
    ----------
    x : array, shape (B, I)
    w : array, shape (I, O)
    y : array, shape (B, O)
        Output of :func:`linear` for these arguments.
    dy : array, shape (B, O)
        Gradient of the loss with respect to `y`.
    activation : {"none", "relu", "sigmoid", "tanh"}
        As given to :func:`linear`.
    out : tuple of three float32 arrays or None, optional
        Where to write dx, dw and db; C-contiguous, writeable, sharing no memory with anything else. What is None is not
        computed: the first layer of a network needs no dx.

    Returns
    -------
    dx : array of float32, shape (B, I)
    dw : array of float32, shape (I, O)
    db : array of float32, shape (O,)
        Of the kind `x` is.

    Raises
    ------
    ValueError, TypeError
        For shapes that do not agree, empty arrays, an unknown activation.

    References
    ----------
    Rumelhart, Hinton and Williams (1986), Learning representations by back-propagating errors, Nature 323, eq. 4-7.
    """
    code = _activation(activation)
    arrays = as_float32(x, "x", 2), as_float32(w, "w", 2), as_float32(y, "y", 2), as_float32(dy, "dy", 2)
    if out is not None:
        if not isinstance(out, tuple) or len(out) != 3:
            raise TypeError("out: expected a tuple of three arrays or None: for dx, dw and db")
        dims = (("out[0]", 2), ("out[1]", 2), ("out[2]", 1))
        targets = [None if o is None else in_place(o, *dim) for o, dim in zip(out, dims, strict=True)]
        _core.linear_backward(*arrays, code, (targets[0], targets[1], targets[2]))
        return out
    gradients = _core.linear_backward(*arrays, code)
    dx, dw, db = (like(x, gradient) for gradient in gradients)
    return dx, dw, db


def _elementwise(function: Callable[..., NDArray[np.float32]], x: Array, out: Array | None) -> Array:
    array = as_numpy(np.asarray(x) if isinstance(x, np.generic) else x, "x")
    if array.size == 0:
        raise ValueError(f"x: expected at least one element, got {given(array)}")
    target = None if out is None else in_place(out, "out", array.ndim)
    # ascontiguousarray would make a 0-dimensional array one-dimensional.
    return _result(x, out, function(np.asarray(array, dtype=np.float32, order="C"), target))


def exp(x: Array, *, out: Array | None = None) -> Array:
    """Exponential ``e^x``, element by element in float32.

    At most 1 ulp from the exact value; overflow gives infinity, subnormal results are kept.
    The same bits at every ISA level and for any number of threads.

    Parameters
    ----------
    x : array of any shape
    out : float32 array, shape of `x`, optional
        Written and returned; C-contiguous, writeable; may be `x` itself, but not overlap it otherwise.

    Returns
    -------
    array of float32, shape and kind of `x`

    Raises
    ------
    ValueError, TypeError
        For an empty array, values that are not real numbers, an `out` that cannot be written in place.
    """
    return _elementwise(_core.exp, x, out)


def log(x: Array, *, out: Array | None = None) -> Array:
    """Natural logarithm, element by element in float32.

    At most 1 ulp from the exact value; ``log(0) = -inf``, NaN below 0.
    The same bits at every ISA level and for any number of threads.

    Parameters
    ----------
    x : array of any shape
    out : float32 array, shape of `x`, optional
        Written and returned; C-contiguous, writeable; may be `x` itself, but not overlap it otherwise.

    Returns
    -------
    array of float32, shape and kind of `x`

    Raises
    ------
    ValueError, TypeError
        For an empty array, values that are not real numbers, an `out` that cannot be written in place.
    """
    return _elementwise(_core.log, x, out)


def sigmoid(x: Array, *, out: Array | None = None) -> Array:
    """Logistic function ``1 / (1 + exp(-x))``, element by element in float32.

    At most 2.5 ulp from the exact value, in the left tail too (down to the smallest subnormal).
    The same bits at every ISA level and for any number of threads.

    Parameters
    ----------
    x : array of any shape
    out : float32 array, shape of `x`, optional
        Written and returned; C-contiguous, writeable; may be `x` itself, but not overlap it otherwise.

    Returns
    -------
    array of float32, shape and kind of `x`

    Raises
    ------
    ValueError, TypeError
        For an empty array, values that are not real numbers, an `out` that cannot be written in place.
    """
    return _elementwise(_core.sigmoid, x, out)


def tanh(x: Array, *, out: Array | None = None) -> Array:
    """Hyperbolic tangent, element by element in float32.

    At most 2 ulp from the exact value; odd, ``tanh(-0.0) = -0.0``.
    The same bits at every ISA level and for any number of threads.

    Parameters
    ----------
    x : array of any shape
    out : float32 array, shape of `x`, optional
        Written and returned; C-contiguous, writeable; may be `x` itself, but not overlap it otherwise.

    Returns
    -------
    array of float32, shape and kind of `x`

    Raises
    ------
    ValueError, TypeError
        For an empty array, values that are not real numbers, an `out` that cannot be written in place.
    """
    return _elementwise(_core.tanh, x, out)


def softplus(x: Array, *, out: Array | None = None) -> Array:
    """Softplus ``log(1 + exp(x))``, the free energy of one hidden unit, element by element in float32.

    At most 2.5 ulp from the exact value, without overflow, in the left tail too.
    The same bits at every ISA level and for any number of threads.

    Parameters
    ----------
    x : array of any shape
    out : float32 array, shape of `x`, optional
        Written and returned; C-contiguous, writeable; may be `x` itself, but not overlap it otherwise.

    Returns
    -------
    array of float32, shape and kind of `x`

    Raises
    ------
    ValueError, TypeError
        For an empty array, values that are not real numbers, an `out` that cannot be written in place.
    """
    return _elementwise(_core.softplus, x, out)
