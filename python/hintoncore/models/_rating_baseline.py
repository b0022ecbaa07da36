"""What the user and the item alone say about a rating: the center from which ordered levels are counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["RatingBaseline"]

Float64Array = NDArray[np.float64]

_SWEEPS = 15


@dataclass
class RatingBaseline:
    """``mean + user[u] + item[i]``, the biases shrunk by imagined ratings without bias.

    Koren, Bell and Volinsky, "Matrix factorization techniques for recommender systems", IEEE Computer 42, 2009, eq. 3;
    fitted by alternating ridge regression.

    Attributes
    ----------
    mean : float
    user, item : arrays of float64, shapes [U] and [I]
        Zero for users and items without ratings.
    """

    mean: float
    user: Float64Array
    item: Float64Array

    @classmethod
    def fit(
        cls,
        users: NDArray[np.integer],
        items: NDArray[np.integer],
        values: Float64Array,
        *,
        shape: tuple[int, int],
        user_shrinkage: float,
        item_shrinkage: float,
    ) -> tuple[RatingBaseline, Float64Array]:
        """Fit to ratings; also what it says of each of them without having seen it.

        The second is the center of a training rating: one that had seen it would hide the part of the rating that it
        explains from the machine, most of all for items with few ratings, and no rating to predict is like that.
        """
        n_users, n_items = shape
        mean = float(values.mean()) if len(values) else 0.0
        user, item = np.zeros(n_users), np.zeros(n_items)
        user_counts = np.bincount(users, minlength=n_users) + user_shrinkage
        item_counts = np.bincount(items, minlength=n_items) + item_shrinkage
        for _ in range(_SWEEPS):
            item = np.bincount(items, values - mean - user[users], minlength=n_items) / item_counts
            user = np.bincount(users, values - mean - item[items], minlength=n_users) / user_counts
        item_without = _without(item[items], item_counts[items], values - mean - user[users])
        user_without = _without(user[users], user_counts[users], values - mean - item[items])
        return cls(mean, user, item), mean + user_without + item_without

    def predict(self, users: NDArray[np.integer], items: NDArray[np.integer]) -> Float64Array:
        """Expected ratings; users past the last one have no bias."""
        known = users < len(self.user)
        bias = np.where(known, self.user[np.where(known, users, 0)], 0.0)
        return np.asarray(self.mean + bias + self.item[items])


def _without(bias: Float64Array, counts: Float64Array, residual: Float64Array) -> Float64Array:
    """A shrunk mean of ``counts`` residuals without one of them; 0 where nothing is left."""
    left = counts - 1.0
    return np.where(left > 0, (bias * counts - residual) / np.where(left > 0, left, 1.0), 0.0)
