"""Ratings as a machine for ratings keeps them: sparse rows of items and levels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hintoncore.ops import Ratings

__all__ = ["RatingRows"]


@dataclass
class RatingRows:
    """Ratings of U users in compressed sparse rows, 13 bytes each with centers.

    Attributes
    ----------
    indptr : array of int64, shape [U + 1]
    items : array of int32, shape [N]
        Rising within a user.
    levels : array of uint8, shape [N]
    centers : array of float32, shape [N], or None
    """

    indptr: NDArray[np.int64]
    items: NDArray[np.int32]
    levels: NDArray[np.uint8]
    centers: NDArray[np.float32] | None = None

    @classmethod
    def read(cls, x: Any, n_items: int, values: NDArray[np.float64], name: str = "X") -> RatingRows:
        """Check what users pass to ``fit``.

        Raises
        ------
        TypeError
            If it is neither three arrays nor a scipy.sparse matrix.
        ValueError
            If these are no compressed sparse rows of ``n_items`` columns, an item comes twice in a row, or a value is
            not one of ``values``.
        """
        if hasattr(x, "tocsr"):
            if x.shape[1] != n_items:
                raise ValueError(f"{name}: expected {n_items} columns, given shape {tuple(x.shape)}")
            x = x.tocsr()
            x = (x.indptr, x.indices, x.data)
        if not (isinstance(x, tuple) and len(x) == 3):
            raise TypeError(
                f"{name}: expected (indptr, indices, values) or a scipy.sparse matrix, given {type(x).__name__}"
            )
        indptr, items, data = (np.asarray(part) for part in x)
        for part, kinds in ((indptr, "iu"), (items, "iu"), (data, "iuf")):
            if part.ndim != 1 or (part.dtype.kind not in kinds and part.size):
                raise TypeError(f"{name}: expected one-dimensional arrays of numbers, given {part.dtype} {part.shape}")
        if len(indptr) < 2 or indptr[0] != 0 or indptr[-1] != len(items) or (np.diff(indptr) < 0).any():
            raise ValueError(f"{name}: expected indptr from 0, never decreasing, to the number of indices {len(items)}")
        if len(items) != len(data):
            raise ValueError(f"{name}: expected as many values as indices, given {len(data)} and {len(items)}")
        if len(items) == 0:
            raise ValueError(f"{name}: expected at least one rating")
        if items.min() < 0 or items.max() >= n_items:
            raise ValueError(f"{name}: expected items in 0..{n_items - 1}, given {items.min()}..{items.max()}")
        users = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
        order = np.lexsort((items, users))
        items, data = items[order], data[order]
        if ((np.diff(items) == 0) & (np.diff(users) == 0)).any():
            raise ValueError(f"{name}: expected at most one rating of an item by a user")
        levels = np.searchsorted(values, data)
        levels = np.minimum(levels, len(values) - 1)
        if not np.allclose(values[levels], data, rtol=1e-6, atol=1e-6):  # also of a NaN
            raise ValueError(f"{name}: expected ratings among {values.tolist()}")
        return cls(indptr.astype(np.int64), items.astype(np.int32), levels.astype(np.uint8))

    @property
    def n_users(self) -> int:
        """Rows."""
        return len(self.indptr) - 1

    def level_counts(self, n_levels: int) -> NDArray[np.float64]:
        """How often each level was given."""
        return np.bincount(self.levels, minlength=n_levels).astype(np.float64)

    def as_ops(self, precision: float | None) -> Ratings:
        """What the kernels take; fields are ``precision`` times the centers."""
        fields = None if self.centers is None or precision is None else np.float32(precision) * self.centers
        return Ratings(self.indptr, self.items, self.levels, self.centers, fields)

    def with_new_users(self, users: NDArray[np.int64]) -> RatingRows:
        """Rows of some users; those past the last one have no ratings."""
        known = users < self.n_users
        safe = np.where(known, users, 0)
        lengths = np.where(known, self.indptr[safe + 1] - self.indptr[safe], 0)
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        which = np.repeat(self.indptr[safe] - indptr[:-1], lengths) + np.arange(indptr[-1])
        centers = None if self.centers is None else self.centers[which]
        return RatingRows(indptr, self.items[which], self.levels[which], centers)

    def fingerprint(self) -> str:
        """SHA-256 of the ratings and their order."""
        digest = hashlib.sha256()
        for array in (self.indptr, self.items, self.levels):
            digest.update(array.tobytes())
        return digest.hexdigest()

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays to keep in a file."""
        found: dict[str, NDArray[Any] | None] = {
            "indptr": self.indptr,
            "items": self.items,
            "levels": self.levels,
            "centers": self.centers,
        }
        return {f"ratings.{name}": array for name, array in found.items() if array is not None}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> RatingRows | None:
        """Read what :meth:`tensors` gave; None where a file has no ratings."""
        if "ratings.indptr" not in tensors:
            return None
        indptr, items, levels = (tensors[f"ratings.{name}"] for name in ("indptr", "items", "levels"))
        return cls(indptr, items, levels, tensors.get("ratings.centers"))
