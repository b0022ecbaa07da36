"""Errors of predicted ratings, and how good a ranking of what a user has not rated is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["mae", "ranking", "rmse"]

Float64Array = NDArray[np.float64]


def rmse(predicted: ArrayLike, values: ArrayLike) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(np.mean((np.asarray(predicted, dtype=np.float64) - np.asarray(values)) ** 2)))


def mae(predicted: ArrayLike, values: ArrayLike) -> float:
    """Mean absolute error."""
    return float(np.mean(np.abs(np.asarray(predicted, dtype=np.float64) - np.asarray(values))))


def ranking(
    score: Callable[[int, NDArray[np.int64]], Float64Array],
    training: tuple[NDArray[np.int64], NDArray[np.int64]],
    relevant: tuple[NDArray[np.int64], NDArray[np.int64]],
    n_items: int,
    *,
    n: int = 10,
    users: NDArray[np.int64] | None = None,
) -> dict[str, float]:
    """NDCG and recall among the first ``n`` of all items without a training rating, means over users.

    Parameters
    ----------
    score : callable
        ``score(user, items)``; items with equal scores rank in their order.
    training, relevant : (users, items)
        What is left out of the ranking, and what should come first in it: held-out ratings that are good. Users without
        relevant items are passed over.
    n_items : int
    n : int >= 1
    users : array, optional
        Only these.

    Returns
    -------
    dict
        ``ndcg_N``: sum of 1 / log2(1 + rank) over relevant items, by its largest possible value (Järvelin and
        Kekäläinen 2002); ``recall_N``: share of the relevant items that are there; ``users``: how many the means are
        of.
    """
    discounts = 1.0 / np.log2(np.arange(2, n + 2))
    gains, recalls = [], []
    for user in np.unique(relevant[0]) if users is None else np.intersect1d(users, relevant[0]):
        wanted = relevant[1][relevant[0] == user]
        candidates = np.setdiff1d(np.arange(n_items), training[1][training[0] == user])
        best = candidates[np.argsort(-score(int(user), candidates), kind="stable")[:n]]
        hits = np.isin(best, wanted)
        gains.append(discounts[: len(best)][hits].sum() / discounts[: len(wanted)].sum())
        recalls.append(hits.sum() / len(wanted))
    return {f"ndcg_{n}": float(np.mean(gains)), f"recall_{n}": float(np.mean(recalls)), "users": float(len(gains))}
