"""Holographic reduced representations: associations by circular convolution, all in one trace."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore._counts import as_count

__all__ = ["HolographicMemory", "bind", "unbind"]

Float64Array = NDArray[np.float64]


def bind(a: ArrayLike, b: ArrayLike) -> Float64Array:
    """Circular convolution along the last axis, ``c_k = sum_i a_i b_{k-i mod n}``, by FFT in float64.

    Parameters
    ----------
    a, b : arrays of real numbers, shapes that broadcast, equal in the last axis

    References
    ----------
    T. A. Plate, "Holographic reduced representations", IEEE Transactions on Neural Networks 6, 1995, section II.
    """
    x, y = _pair(a, b)
    return np.asarray(np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(y), n=x.shape[-1]))


def unbind(trace: ArrayLike, key: ArrayLike) -> Float64Array:
    """Circular correlation, the approximate inverse of :func:`bind`: ``x_k = sum_i key_i trace_{k+i mod n}``.

    Exact up to noise of variance 1/n for keys of independent elements of variance 1/n.
    """
    x, y = _pair(trace, key)
    return np.asarray(np.fft.irfft(np.fft.rfft(x) * np.conj(np.fft.rfft(y)), n=x.shape[-1]))


class HolographicMemory:
    """Pairs of vectors superposed in one trace of n numbers, each of which holds a little of every pair.

    Parameters
    ----------
    n : int >= 1

    Attributes
    ----------
    trace : array of float64, shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from hintoncore.models import HolographicMemory
    >>> keys, values = np.random.default_rng(0).normal(0, 1 / 32, (2, 5, 1024))
    >>> memory = HolographicMemory(1024).store(keys, values)
    >>> (memory.recall(keys) @ values.T).argmax(axis=1).tolist()
    [0, 1, 2, 3, 4]
    """

    def __init__(self, n: int) -> None:
        self.n = as_count(n, "n")
        self.trace: Float64Array = np.zeros(self.n)

    def store(self, keys: ArrayLike, values: ArrayLike) -> HolographicMemory:
        """Add ``sum_p bind(key_p, value_p)`` to the trace.

        Parameters
        ----------
        keys, values : arrays, shape (P, n)
            Elements of keys of variance about 1/n.
        """
        self.trace = self.trace + bind(self._rows(keys, "keys"), self._rows(values, "values")).sum(axis=0)
        return self

    def recall(self, keys: ArrayLike) -> Float64Array:
        """Noisy values of the keys, shape (B, n): to be compared with the items that are known."""
        return unbind(self.trace, self._rows(keys, "keys"))

    def _rows(self, x: ArrayLike, name: str) -> Float64Array:
        array = np.asarray(x, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != self.n or not np.isfinite(array).all():
            raise ValueError(f"{name}: expected finite numbers, shape (rows, {self.n}), given {array.shape}")
        return array


def _pair(a: ArrayLike, b: ArrayLike) -> tuple[Float64Array, Float64Array]:
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if not x.ndim or not y.ndim or x.shape[-1] != y.shape[-1] or not x.shape[-1]:
        raise ValueError(f"b: expected the last axis of a, given shapes {x.shape} and {y.shape}")
    return x, y
