"""The training set as minibatches are cut from it."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore.bitmatrix import BitMatrix
from hintoncore.models._rows import as_rows, dense_blocks

if TYPE_CHECKING:
    from hintoncore.models.units import Units

__all__ = ["TrainingRows", "evenly_spaced"]

_BLOCK_ROWS = 256


class TrainingRows:
    """Rows of a training set: packed at a bit a value when they are binary, float32 otherwise.

    Packed rows are kept sample-major, so that a minibatch is a gather of short rows of words and one bit
    transpose. Float rows are the caller's own array when it is float32 and C-contiguous: no copy is made.

    Parameters
    ----------
    x : array, shape [N, n_units], or BitMatrix
    n_units : int
    units : unit type
        Checks the values.
    name : str
        Of the argument, for error messages.

    Attributes
    ----------
    shape : (N, n_units)
    binary : bool
        Whether these are Bernoulli units and every value is 0 or 1.
    states : bool
        Whether units have a finite number of states and every value belongs to one, so is not a mean.
    mean : array of float64, shape [n_units]
        Mean of each column.
    """

    def __init__(self, x: ArrayLike | BitMatrix, n_units: int, *, units: Units, name: str = "X") -> None:
        rows = as_rows(x, n_units, name)
        self.shape: tuple[int, int] = (rows.shape[0], n_units)
        self.states = True
        self.binary = units.name == "bernoulli"
        column_sums = np.zeros(n_units)
        packed = np.empty((rows.shape[0] if self.binary else 0, (n_units + 63) // 64), dtype=np.uint64)
        start = 0
        for block in dense_blocks(rows, n_units, _BLOCK_ROWS, units=units, name=name):
            column_sums += block.sum(axis=0, dtype=np.float64)
            self.states = self.states and units.are_states(block)
            self.binary = self.binary and self.states
            if self.binary:
                packed[start : start + len(block)] = BitMatrix.from_dense(block).transpose().words
            start += len(block)
        self.mean = column_sums / rows.shape[0]
        self._packed = packed if self.binary else None
        if isinstance(rows, BitMatrix) and not self.binary:
            rows = rows.to_dense()
        self._dense = None if self.binary else np.ascontiguousarray(rows, dtype=np.float32)

    def batch(self, rows: NDArray[np.intp]) -> BitMatrix | NDArray[np.float32]:
        """Return the given rows, in that order."""
        if self._packed is not None:
            return BitMatrix(self._packed[rows], self.shape[1]).transpose()
        assert self._dense is not None
        return self._dense[rows]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the values and their order."""
        stored = self._dense if self._packed is None else self._packed
        assert stored is not None
        digest = hashlib.sha256(f"{stored.dtype.str}{self.shape}".encode())
        digest.update(stored.data)
        return digest.hexdigest()


def evenly_spaced(n_rows: int, count: int) -> NDArray[np.intp]:
    """Return at most ``count`` row numbers spread over ``n_rows``: a subset that depends on no seed."""
    return np.linspace(0, n_rows - 1, min(count, n_rows)).astype(np.intp)
