"""Principal component analysis, the linear rival of the autoencoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PrincipalComponents"]

Float32Array = NDArray[np.float32]


@dataclass(frozen=True)
class PrincipalComponents:
    """Orthonormal directions of largest variance.

    Attributes
    ----------
    mean : array, shape [V]
    directions : array, shape [V, C]
        Largest variance first.
    """

    mean: Float32Array
    directions: Float32Array

    @classmethod
    def of(cls, rows: NDArray[Any], n_components: int) -> PrincipalComponents:
        """The first ``n_components`` of rows [N, V], from the float64 covariance."""
        mean = rows.mean(axis=0, dtype=np.float64)
        scatter = np.zeros((rows.shape[1], rows.shape[1]))
        for first in range(0, len(rows), 10_000):
            centred = rows[first : first + 10_000] - mean
            scatter += centred.T @ centred
        _, vectors = np.linalg.eigh(scatter)
        return cls(mean.astype(np.float32), vectors[:, : -n_components - 1 : -1].astype(np.float32))

    def encode(self, rows: NDArray[Any]) -> Float32Array:
        """Coordinates [N, C] of rows [N, V]."""
        return np.asarray((rows - self.mean) @ self.directions)

    def decode(self, codes: NDArray[Any]) -> Float32Array:
        """Rows [N, V] at coordinates [N, C]."""
        return np.asarray(codes @ self.directions.T + self.mean)

    def squared_error(self, rows: NDArray[Any]) -> float:
        """Squared error summed over the columns, mean over the rows."""
        return float(np.square(self.decode(self.encode(rows)) - rows, dtype=np.float64).sum()) / len(rows)
