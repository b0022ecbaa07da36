"""Maxout units: the largest of several linear functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from hintoncore._counts import as_count
from hintoncore._validate import given
from hintoncore.nn._arithmetic import Array
from hintoncore.nn.layers import Layer

__all__ = ["Maxout"]


class Maxout(Layer):
    """``y_j = max_p x_{p, j}``: each unit passes on the largest of its pieces, the first of those that are equal.

    After ``Linear(n_in, pieces * n_out)`` it makes units of ``pieces`` linear functions each (Goodfellow et al. 2013,
    eq. 1).

    Parameters
    ----------
    pieces : int >= 1
        Columns of the input come piece by piece: first those of all units' first pieces.

    References
    ----------
    I. Goodfellow, D. Warde-Farley, M. Mirza, A. Courville, Y. Bengio, "Maxout networks", ICML 2013.
    """

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = as_count(pieces, "pieces")
        self._winner: Array | None = None

    def forward(self, x: Array, *, training: bool = False) -> Array:  # noqa: ARG002
        """Maxima [B, N] of x [B, pieces * N]."""
        if x.ndim != 2 or x.shape[1] % self.pieces:
            raise ValueError(f"x: expected a multiple of {self.pieces} columns, given {given(x)}")
        parts = x.reshape(len(x), self.pieces, -1)
        y = parts[:, 0].copy()
        self._winner = np.zeros(y.shape, dtype=np.intp)
        for piece in range(1, self.pieces):
            self._winner[parts[:, piece] > y] = piece
            np.maximum(y, parts[:, piece], out=y)
        return y

    def backward(self, dy: Array, *, input_gradient: bool = True) -> Array | None:
        """dy [B, N] at the pieces that were passed on, 0 at the others."""
        winner = self._kept("_winner")
        if not input_gradient:
            return None
        return np.concatenate([dy * (winner == piece) for piece in range(self.pieces)], axis=1, dtype=dy.dtype)

    def describe(self) -> dict[str, Any]:
        """Kind and pieces."""
        return {**super().describe(), "pieces": self.pieces}
