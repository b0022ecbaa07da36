"""Binary states, one bit each."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["pack_bits", "transpose_bits", "unpack_bits"]


def pack_bits(x: ArrayLike) -> NDArray[np.uint64]:
    """Words of ``BitMatrix.from_dense(x)``: unit-major, with the samples as the bits.

    Parameters
    ----------
    x : array of 0 and 1, shape [batch, units]

    Returns
    -------
    array of uint64, shape [units, ceil(batch / 64)]
        Bit ``i`` of word ``j`` in row ``u`` is sample ``64 j + i`` of unit ``u``; bits past the batch are 0.
    """
    dense = np.asarray(x).astype(np.uint64)
    batch, units = dense.shape
    n_words = (batch + 63) // 64
    padded = np.zeros((n_words * 64, units), dtype=np.uint64)
    padded[:batch] = dense
    shifts = np.arange(64, dtype=np.uint64)[None, :, None]
    words = np.bitwise_or.reduce(padded.reshape(n_words, 64, units) << shifts, axis=1)
    return np.ascontiguousarray(words.T)


def unpack_bits(words: NDArray[np.uint64], batch: int) -> NDArray[np.uint8]:
    """Inverse of :func:`pack_bits`.

    Parameters
    ----------
    words : array of uint64, shape [units, ceil(batch / 64)]
    batch : int

    Returns
    -------
    array of uint8 (0 or 1), shape [batch, units]
    """
    sample = np.arange(batch)
    shifts = (sample % 64).astype(np.uint64)[:, None]
    return np.asarray((words.T[sample // 64] >> shifts) & np.uint64(1), dtype=np.uint8)


def transpose_bits(words: NDArray[np.uint64], batch: int) -> NDArray[np.uint64]:
    """Words of the transposed BitMatrix: the batch becomes the units.

    Parameters
    ----------
    words : array of uint64, shape [units, ceil(batch / 64)]
    batch : int

    Returns
    -------
    array of uint64, shape [batch, ceil(units / 64)]
    """
    return pack_bits(unpack_bits(words, batch).T)
