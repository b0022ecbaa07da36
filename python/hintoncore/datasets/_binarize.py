"""From grey values to bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import RngLike, as_generator

__all__ = ["binarize", "binarize_stochastic"]

# A multiple of the word length, so that each chunk of rows fills whole words; bounds the temporary arrays.
_CHUNK_ROWS = 1024


def binarize(x: ArrayLike, threshold: float = 0.5) -> BitMatrix:
    """Pack ``x > threshold``.

    Parameters
    ----------
    x : array, shape [N, D]
        Grey values, usually in [0, 1].
    threshold : float

    Returns
    -------
    BitMatrix, shape (N, D)
        1/32 of the memory of float32; ``.to_dense()`` gives the 0/1 array.

    Raises
    ------
    ValueError
        If ``x`` is not two-dimensional or has a NaN.
    """
    return _pack_chunks(x, lambda chunk: chunk > threshold)


def binarize_stochastic(x: ArrayLike, rng: RngLike) -> BitMatrix:
    """Pack bits that are 1 with the probability that the grey value states.

    Parameters
    ----------
    x : array in [0, 1], shape [N, D]
    rng : Generator or int
        Generator or seed; one offset is consumed for each 1024 rows.

    Returns
    -------
    BitMatrix, shape (N, D)

    Raises
    ------
    ValueError
        If ``x`` is not two-dimensional, has a NaN, or leaves [0, 1].

    References
    ----------
    R. Salakhutdinov, I. Murray, "On the quantitative analysis of deep belief networks", ICML 2008, section 6.
    """
    generator = as_generator(rng)

    def draw(chunk: NDArray[Any]) -> NDArray[np.bool_]:
        if chunk.min(initial=0.0) < 0.0 or chunk.max(initial=1.0) > 1.0:
            raise ValueError("x: expected values in [0, 1]")
        return np.asarray(generator.random(chunk.shape) < chunk)

    return _pack_chunks(x, draw)


def _pack_chunks(x: ArrayLike, bits: Callable[[NDArray[Any]], NDArray[np.bool_]]) -> BitMatrix:
    values = np.asarray(x)
    if values.ndim != 2:
        raise ValueError(f"x: expected shape [N, D], given {values.shape}")
    n_rows, n_units = values.shape
    words = np.zeros((n_units, (n_rows + 63) // 64), dtype=np.uint64)
    for start in range(0, n_rows, _CHUNK_ROWS):
        chunk = values[start : start + _CHUNK_ROWS]
        if np.isnan(chunk).any():
            raise ValueError("x: expected numbers, given NaN")
        packed = BitMatrix.from_dense(bits(chunk)).words
        words[:, start // 64 : start // 64 + packed.shape[1]] = packed
    return BitMatrix(words, n_rows)
