"""Matrix factorisation with biases, what the machine for ratings is measured against.

``r_ui = mean + b_u + b_i + p_u . q_i`` (Koren, Bell and Volinsky, "Matrix factorization techniques for recommender
systems", IEEE Computer 42, 2009, eq. 4), fitted in two ways: by stochastic gradients in scikit-surprise, the maintained
library for it (``pip install scikit-surprise``), where that is installed, and by alternating ridge regression here.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hintoncore.models._rating_baseline import RatingBaseline

__all__ = ["BiasedMF", "Triples", "alternating_ridge", "surprise_available", "with_surprise"]

Float64Array = NDArray[np.float64]
Triples = tuple[NDArray[np.int64], NDArray[np.int64], Float64Array]

_BLOCK = 1 << 14  # ratings whose outer products are held at a time


@dataclass
class BiasedMF:
    """A fitted factorisation; predictions are clipped to the range of the training ratings."""

    baseline: RatingBaseline
    user_factors: Float64Array
    item_factors: Float64Array
    low: float
    high: float

    def predict(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> Float64Array:
        """Expected ratings of pairs."""
        inner = np.einsum("nf,nf->n", self.user_factors[users], self.item_factors[items])
        return np.asarray(np.clip(self.baseline.predict(users, items) + inner, self.low, self.high))


def surprise_available() -> bool:
    """Whether scikit-surprise is installed."""
    return importlib.util.find_spec("surprise") is not None


def with_surprise(
    ratings: Triples, shape: tuple[int, int], *, factors: int, rate: float, decay: float, epochs: int, seed: int
) -> BiasedMF:
    """``surprise.SVD``, by stochastic gradients; users and items without ratings have biases and factors 0."""
    from surprise import SVD, Reader
    from surprise.dataset import Dataset

    users, items, values = ratings
    low, high = float(values.min()), float(values.max())
    rows = [(int(u), int(i), float(r), None) for u, i, r in zip(users, items, values, strict=True)]
    training = Dataset(Reader(rating_scale=(low, high))).construct_trainset(rows)
    fitted = SVD(n_factors=factors, lr_all=rate, reg_all=decay, n_epochs=epochs, random_state=seed).fit(training)
    own_users = np.array([training.to_raw_uid(u) for u in training.all_users()])
    own_items = np.array([training.to_raw_iid(i) for i in training.all_items()])
    baseline = RatingBaseline(float(training.global_mean), np.zeros(shape[0]), np.zeros(shape[1]))
    baseline.user[own_users], baseline.item[own_items] = fitted.bu, fitted.bi
    user_factors, item_factors = np.zeros((shape[0], factors)), np.zeros((shape[1], factors))
    user_factors[own_users], item_factors[own_items] = fitted.pu, fitted.qi
    return BiasedMF(baseline, user_factors, item_factors, low, high)


def alternating_ridge(
    ratings: Triples, shape: tuple[int, int], *, factors: int, decay: float, epochs: int, seed: int
) -> BiasedMF:
    """Alternating ridge regression of biases and factors, a decay for each rating of a user or an item."""
    users, items, values = ratings
    rng = np.random.default_rng(seed)
    mean = float(values.mean())
    # Columns: factors, own bias, and a 1 that meets the other side's bias.
    user_side, item_side = (
        np.column_stack([0.1 * rng.normal(size=(n, factors)), np.zeros(n), np.ones(n)]) for n in shape
    )
    residual = values - mean
    for _ in range(epochs):
        _solve(items, users, residual, item_side, user_side, decay)
        _solve(users, items, residual, user_side, item_side, decay)
    baseline = RatingBaseline(mean, user_side[:, factors].copy(), item_side[:, factors].copy())
    low, high = float(values.min()), float(values.max())
    return BiasedMF(baseline, user_side[:, :factors].copy(), item_side[:, :factors].copy(), low, high)


def _solve(
    own: NDArray[np.int64],
    other: NDArray[np.int64],
    residual: Float64Array,
    own_side: Float64Array,
    other_side: Float64Array,
    decay: float,
) -> None:
    """Fit factors and bias of each row of one side, the other side fixed."""
    factors = own_side.shape[1] - 2
    order = np.argsort(own, kind="stable")
    rows, starts, counts = np.unique(own[order], return_index=True, return_counts=True)
    first = 0
    while first < len(rows):
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + _BLOCK)))
        chosen = order[starts[first] : starts[last] if last < len(rows) else len(order)]
        met = other_side[other[chosen]]
        x = np.column_stack([met[:, :factors], np.ones(len(chosen))])
        y = residual[chosen] - met[:, factors]
        begins = starts[first:last] - starts[first]
        gram = np.add.reduceat(x[:, :, None] * x[:, None, :], begins, axis=0)
        gram += (decay * counts[first:last])[:, None, None] * np.eye(factors + 1)
        moment = np.add.reduceat(x * y[:, None], begins, axis=0)
        own_side[rows[first:last], : factors + 1] = np.linalg.solve(gram, moment[:, :, None])[:, :, 0]
        first = last
