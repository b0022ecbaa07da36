"""Binary states, one bit each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from . import _core
from ._validate import Array, as_float32, as_int, given


class BitMatrix:
    """A 0/1 matrix of shape (batch, units), stored unit by unit with the samples as bits.

    Parameters
    ----------
    words : ndarray of uint64, shape (units, ceil(batch / 64)), C-contiguous
        Bit i of ``words[u, j]`` is sample ``64*j + i`` of unit ``u``. Shared, not copied. Bits past `batch` must be
        zero.
    batch : int
        Number of samples (rows).

    Examples
    --------
    >>> import hintoncore as hc, numpy as np
    >>> b = hc.BitMatrix.from_dense(np.array([[1, 0, 1], [0, 0, 1]]))
    >>> b.shape
    (2, 3)
    >>> b.to_dense().tolist()
    [[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]
    """

    __slots__ = ("batch", "words")

    def __init__(self, words: NDArray[np.uint64], batch: int) -> None:
        batch = as_int(batch, "batch", 1, 2**31 - 1)
        row_words = (batch + 63) // 64
        if not isinstance(words, np.ndarray) or words.dtype != np.uint64:
            raise TypeError(f"words: expected a uint64 array, got {given(words)}")
        if words.ndim != 2 or words.shape[0] < 1 or words.shape[1] != row_words:
            raise ValueError(f"words: expected shape (units, {row_words}) for batch {batch}, got {given(words)}")
        if not words.flags.c_contiguous:
            raise ValueError("words: expected a C-contiguous array")
        if batch % 64 and np.any(words[:, -1] >> np.uint64(batch % 64)):
            raise ValueError(f"words: bits at and past batch={batch} must be zero")
        self.words = words
        self.batch = batch

    @classmethod
    def from_dense(cls, x: Array) -> BitMatrix:
        """Pack a (batch, units) array of zeros and ones; ValueError for any other value."""
        if isinstance(x, BitMatrix):
            return x.copy()
        array = as_float32(x, "x", 2)
        return cls._of(_core.bits_pack(array), array.shape[0])

    @classmethod
    def zeros(cls, shape: tuple[int, int]) -> BitMatrix:
        """All bits off."""
        batch, units = as_int(shape[0], "shape[0]", 1, 2**31 - 1), as_int(shape[1], "shape[1]", 1, 2**31 - 1)
        return cls._of(np.zeros((units, (batch + 63) // 64), np.uint64), batch)

    @classmethod
    def _of(cls, words: NDArray[np.uint64], batch: int) -> BitMatrix:
        """Without the checks: for words a kernel has just written."""
        self = object.__new__(cls)
        self.words = words
        self.batch = batch
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """(batch, units)"""
        return self.batch, int(self.words.shape[0])

    @property
    def nbytes(self) -> int:
        """Bytes of the packed states."""
        return int(self.words.nbytes)

    def to_dense(self, dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """The (batch, units) array of zeros and ones."""
        return _core.bits_unpack(self.words, self.batch).astype(dtype, copy=False)

    def transpose(self) -> BitMatrix:
        """The BitMatrix of shape (units, batch).

        A packed data set is best kept transposed: its rows of words are then samples, and a minibatch is
        ``BitMatrix(t.words[index], n_units).transpose()``.
        """
        return self._of(_core.bits_transpose(self.words, self.batch), int(self.words.shape[0]))

    def copy(self) -> BitMatrix:
        """A copy with its own memory."""
        return self._of(self.words.copy(), self.batch)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BitMatrix):
            return NotImplemented
        return self.shape == other.shape and bool(np.array_equal(self.words, other.words))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"BitMatrix(batch={self.batch}, units={self.words.shape[0]})"
