"""Products of batches of matrices, on views as they lie. Import them from :mod:`hintoncore.ops`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._validate import Array, as_numpy, given
from ._dense import _result

__all__ = ["batched_matmul"]

_FLOAT = 4  # bytes
_MAX_WORK: Any = 10_000  # candidates to look at
_TooHardError: type[Exception] = getattr(np, "exceptions", np).TooHardError  # NumPy 2 moved it


def _ready(x: NDArray[np.float32]) -> bool:
    """Whether the kernels read it as it lies: unit stride along the rows or along the columns of each matrix."""
    if x.dtype != np.float32 or not x.flags.aligned or any(stride % _FLOAT for stride in x.strides):
        return False
    (rows, columns), (down, across) = x.shape[-2:], x.strides[-2:]
    return bool(columns == 1 or across == _FLOAT or rows == 1 or down == _FLOAT)


def _matrices(x: Array, name: str) -> NDArray[np.float32]:
    array = as_numpy(x, name)
    if array.ndim < 2:
        raise ValueError(f"{name}: expected 2 dimensions or more, got {given(array)}")
    if array.size == 0:
        raise ValueError(f"{name}: expected at least one element along each axis, got {given(array)}")
    if _ready(array):
        return array
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=np.float32)


def _target(x: Array) -> NDArray[np.float32]:
    array = as_numpy(x, "out")
    if not isinstance(x, np.ndarray) and not hasattr(x, "__dlpack__"):
        raise TypeError(f"out: is written in place: expected a float32 array, got {given(x)}")
    if array.dtype != np.float32:
        raise TypeError(f"out: is written in place and must be float32, got {given(array)}")
    if array.ndim < 2 or array.size == 0:
        raise ValueError(f"out: expected 2 dimensions or more, none empty, got {given(array)}")
    if not array.flags.writeable:
        raise ValueError("out: is written in place, but the array given is read-only")
    if not _ready(array):
        raise ValueError(f"out: is written in place and needs unit stride along rows or columns, got {array.strides}")
    return array


def _share_memory(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    """Whether they have an element in common; in doubt, which takes stranger views than slices, yes."""
    try:
        return bool(np.shares_memory(a, b, _MAX_WORK))
    except _TooHardError:
        return True


def batched_matmul(
    a: Array, b: Array, *, trans_a: bool = False, trans_b: bool = False, out: Array | None = None
) -> Array:
    """Matrix products ``op(a) @ op(b)`` of a batch of matrices, where ``op`` transposes when asked.

    Many small matrices are shared out among the threads, few large ones are cut up. Each product has the bits that
    :func:`matmul` gives it. Nothing is copied where the matrices lie with unit stride along their rows or columns:
    slices, transposed and reversed views, axes that are broadcast.

    Parameters
    ----------
    a : array, shape (..., M, K), or (..., K, M) with `trans_a`
    b : array, shape (..., K, N), or (..., N, K) with `trans_b`
        Leading axes, of which there may be none, are broadcast against those of `a`, as NumPy does it.
    trans_a, trans_b : bool
        Transpose the matrices of an operand.
    out : float32 array, shape (..., M, N), optional
        Written and returned; a view is well, with unit stride along rows or columns. It is writeable and has no element
        in common with `a` and `b`.

    Returns
    -------
    array of float32, shape (..., M, N)
        Of the kind `a` is. NaN and infinities propagate as in IEEE arithmetic.

    Raises
    ------
    ValueError
        For shapes that do not agree, empty operands, an `out` of the wrong shape or layout or that shares memory with
        an operand.
    TypeError
        For operands that are no arrays of real numbers, an `out` that is not float32.

    Examples
    --------
    >>> import numpy as np
    >>> from hintoncore import ops
    >>> x = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    >>> ops.batched_matmul(x[:, ::2, :], x, trans_b=True).shape
    (2, 2, 3)
    """
    left, right = _matrices(a, "a"), _matrices(b, "b")
    target = None if out is None else _target(out)
    if target is not None:
        for operand, name in ((left, "a"), (right, "b")):
            if _share_memory(target, operand):
                raise ValueError(f"out: must not share memory with {name}")
    return _result(a, out, _core.batched_matmul(left, right, bool(trans_a), bool(trans_b), target))
