"""Conversion of arguments at the border: what may be converted is converted with a copy, the rest is refused by name.

Shapes are checked next to the kernels (the extension raises the same kind of message); here only kinds, dtypes and
layouts are.
"""

from __future__ import annotations

import operator
import sys
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = Any
"""A NumPy array, or anything with ``__dlpack__`` on the CPU (torch and JAX arrays among them)."""


_MAX_EXTENT = 2**31 - 1  # along one axis, as the kernels have it
_MAX_SIZE = 2**46
_FLOAT32 = np.dtype(np.float32)
_FLOAT32_MAX = float(np.finfo(np.float32).max)


def given(x: object) -> str:
    """How an error message names what it was given."""
    shape, dtype = getattr(x, "shape", None), getattr(x, "dtype", None)
    if shape is None or dtype is None:
        return type(x).__name__
    return f"{type(x).__name__} of {dtype}, shape {tuple(shape)}"


def as_numpy(x: Array, name: str) -> NDArray[Any]:
    """A NumPy view (or conversion) of `x`; TypeError when it is no array of numbers."""
    if isinstance(x, np.ndarray):
        array = x
    elif hasattr(x, "__dlpack__"):
        try:
            array = np.from_dlpack(x)
        except (RuntimeError, TypeError, BufferError) as error:
            raise TypeError(f"{name}: cannot be read through DLPack on the CPU ({error})") from error
    elif isinstance(x, (list, tuple, int, float)):
        try:
            array = np.asarray(x)
        except ValueError as error:  # rows of different lengths
            raise ValueError(f"{name}: expected an array, got a {type(x).__name__} that makes none ({error})") from None
    else:
        raise TypeError(f"{name}: expected an array, got {given(x)}")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected real numbers, got {given(array)}")
    return array


def as_float32(x: Array, name: str, ndim: int) -> NDArray[np.float32]:
    """`x` as a C-contiguous float32 array of `ndim` dimensions, copied only when it has to be."""
    if type(x) is np.ndarray and x.dtype is _FLOAT32 and x.ndim == ndim and x.flags.c_contiguous:
        ready: NDArray[np.float32] = x
        if 0 < ready.size <= _MAX_EXTENT:
            return ready  # as nearly always: the checks below cost more than a small kernel
    array = as_numpy(x, name)
    if array.ndim != ndim:
        raise ValueError(f"{name}: expected {ndim} dimension{'s' * (ndim != 1)}, got {given(array)}")
    if array.size == 0:
        raise ValueError(f"{name}: expected at least one element along each axis, got {given(array)}")
    if max(array.shape) > _MAX_EXTENT or array.size > _MAX_SIZE:
        raise ValueError(f"{name}: is too large: {given(array)}")
    if array.dtype == np.float32 and array.flags.c_contiguous and type(array) is np.ndarray:
        return array
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite, which the kernels refuse by name
        return np.ascontiguousarray(array, dtype=np.float32)


def in_place(x: Array, name: str, ndim: int) -> NDArray[np.float32]:
    """The NumPy view of an argument that is written in place: float32, C-contiguous, writeable, never a copy."""
    if type(x) is np.ndarray and x.dtype is _FLOAT32 and x.ndim == ndim and x.size and x.flags.carray:
        return x  # as nearly always: the checks below cost more than a small kernel
    array = as_numpy(x, name)
    if not isinstance(x, np.ndarray) and not hasattr(x, "__dlpack__"):
        raise TypeError(f"{name}: is written in place: expected a float32 array, got {given(x)}")
    if array.ndim != ndim:
        raise ValueError(f"{name}: expected {ndim} dimension{'s' * (ndim != 1)}, got {given(array)}")
    if array.size == 0:
        raise ValueError(f"{name}: expected at least one element along each axis, got {given(array)}")
    if array.dtype != np.float32:
        raise TypeError(f"{name}: is written in place and must be float32, got {given(array)}")
    if not array.flags.c_contiguous:
        raise ValueError(f"{name}: is written in place and must be C-contiguous, got strides {array.strides}")
    if not array.flags.writeable:
        raise ValueError(f"{name}: is written in place, but the array given is read-only")
    return array


def like(template: Array, result: NDArray[Any]) -> Array:
    """`result` as the kind of array `template` is (shared memory)."""
    if isinstance(template, np.ndarray) or not hasattr(template, "__dlpack__"):
        return result
    root = type(template).__module__.split(".")[0]
    module: Any = sys.modules.get("jax.numpy" if root in ("jax", "jaxlib") else root)
    if module is None or not hasattr(module, "from_dlpack"):
        raise TypeError(f"cannot return an array of type {type(template).__name__}: '{root}' has no from_dlpack")
    return module.from_dlpack(result)


def as_int(x: object, name: str, low: int, high: int) -> int:
    """`x` as an int in [low, high]; bool and float are refused."""
    if isinstance(x, (bool, np.bool_)):
        raise TypeError(f"{name}: expected an integer, got {x!r}")
    try:
        value = operator.index(x)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name}: expected an integer, got {x!r}") from None
    if not low <= value <= high:
        raise ValueError(f"{name}: expected an integer in [{low}, {high}], got {value}")
    return value


def as_number(x: object, name: str) -> float:
    """`x` as a float that float32 can hold; the kernels check ranges."""
    if type(x) is float and -_FLOAT32_MAX <= x <= _FLOAT32_MAX:
        return x
    if isinstance(x, (bool, np.bool_, str, bytes)) or x is None:
        raise TypeError(f"{name}: expected a number, got {x!r}")
    try:
        value = float(x)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise TypeError(f"{name}: expected a number, got {x!r}") from None
    except OverflowError:
        raise ValueError(f"{name}: expected a number that float32 can hold") from None
    if not abs(value) <= _FLOAT32_MAX:
        raise ValueError(f"{name}: expected a finite number, got {value}")
    return value
