"""Data rows as users pass them: dense arrays or BitMatrix, read in blocks of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore.bitmatrix import BitMatrix

if TYPE_CHECKING:
    from hintoncore.models.units import Units

__all__ = ["as_rows", "dense_blocks", "is_binary"]

_WORD_BITS = 64


def as_rows(x: ArrayLike | BitMatrix, n_units: int, name: str = "X") -> NDArray[Any] | BitMatrix:
    """Return ``x`` as an array or BitMatrix of shape [N >= 1, n_units].

    Raises
    ------
    TypeError
        If ``x`` is neither a BitMatrix nor numbers.
    ValueError
        If its shape is wrong.
    """
    rows = x if isinstance(x, BitMatrix) else np.asarray(x)
    if not isinstance(rows, BitMatrix) and rows.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected numbers or a BitMatrix, given dtype {rows.dtype}")
    shape = tuple(rows.shape)
    if len(shape) != 2 or shape[1] != n_units:
        raise ValueError(f"{name}: expected shape [N, {n_units}], given {list(shape)}")
    if shape[0] == 0:
        raise ValueError(f"{name}: expected at least one row, given shape {list(shape)}")
    return rows


def dense_blocks(
    x: ArrayLike | BitMatrix, n_units: int, block_rows: int, *, units: Units, name: str = "X"
) -> Iterator[NDArray[np.float32]]:
    """Yield the rows of ``x`` as float32 C-contiguous blocks [<= block_rows, n_units], checked against
    ``units``.

    ``block_rows`` is a multiple of 64, so that blocks of a BitMatrix are whole words.
    """
    rows = as_rows(x, n_units, name)
    for start in range(0, rows.shape[0], block_rows):
        stop = min(start + block_rows, rows.shape[0])
        if isinstance(rows, BitMatrix):
            words = rows.words[:, start // _WORD_BITS : (stop + _WORD_BITS - 1) // _WORD_BITS]
            block = BitMatrix(np.ascontiguousarray(words), stop - start).to_dense()
        else:
            block = np.ascontiguousarray(rows[start:stop], dtype=np.float32)
        units.check(block, name)
        yield block


def is_binary(block: NDArray[np.float32]) -> bool:
    """Whether every value is 0 or 1."""
    return bool(((block == 0.0) | (block == 1.0)).all())
