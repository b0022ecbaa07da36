"""The restricted Boltzmann machine for ratings in plain NumPy: :mod:`hintoncore.reference` re-exports what is here.

Arguments are those of :mod:`hintoncore.ops._cf`; everything is float64, rating by rating, and nothing is changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hintoncore.ops._cf import CFParameters, Ratings

__all__ = ["cf_conditional", "cf_gradient", "cf_hidden", "cf_visible"]

Float64Array = NDArray[np.float64]


def cf_hidden(parameters: CFParameters, ratings: Ratings) -> Float64Array:
    """Total inputs of the hidden units of each user (Salakhutdinov, Mnih and Hinton 2007, eq. 2), shape (U, H)."""
    assert ratings.levels is not None
    x = np.tile(parameters.b_hid.astype(np.float64), (len(ratings.indptr) - 1, 1))
    for u, n in _entries(ratings):
        x[u] += _rows(parameters, ratings, n)[ratings.levels[n]] + _extra(parameters, ratings, n)
    return x


def cf_visible(parameters: CFParameters, ratings: Ratings, hidden: NDArray[Any]) -> Float64Array:
    """``p(level | hidden)`` of each rating (eq. 1), shape (N, K)."""
    logits = [
        _biases(parameters, ratings, n) + _rows(parameters, ratings, n) @ hidden[u].astype(np.float64)
        for u, n in _entries(ratings)
    ]
    return _softmax(np.array(logits))


def cf_conditional(
    parameters: CFParameters, ratings: Ratings, x: NDArray[Any], *, leave_out: bool = False
) -> Float64Array:
    """``p(level | other ratings)`` of each rating, the hidden units summed out (eq. 10), shape (N, K)."""
    logits = []
    for u, n in _entries(ratings):
        rows = _rows(parameters, ratings, n)
        rest = x[u].astype(np.float64)
        if leave_out:
            assert ratings.levels is not None
            rest = rest - rows[ratings.levels[n]] - _extra(parameters, ratings, n)
        logits.append(_biases(parameters, ratings, n) + np.logaddexp(0.0, rest + rows).sum(axis=1))
    return _softmax(np.array(logits))


def cf_gradient(
    parameters: CFParameters, ratings: Ratings, levels: NDArray[Any], hidden: NDArray[Any]
) -> dict[str, Float64Array]:
    """Derivatives of minus the energy of levels and hidden means, summed over users: one phase of learning (eq. 6)."""
    gradient = {
        name: np.zeros(array.shape)
        for name, array in parameters._asdict().items()
        if array is not None and name != "scores"
    }
    gradient["b_hid"] = hidden.astype(np.float64).sum(axis=0)
    for u, n in _entries(ratings):
        item, level = ratings.items[n], int(levels[n])
        if parameters.scores is None:
            gradient["w"][item, level] += hidden[u]
        else:
            gradient["w"][item, 0] += (float(parameters.scores[level]) - _of(ratings.centers, n)) * hidden[u]
        if "d" in gradient:
            gradient["d"][item] += hidden[u]
        gradient["b_vis"][item, level] += 1.0
        gradient["b_level"][level] += 1.0
    return gradient


def _entries(ratings: Ratings) -> list[tuple[int, int]]:
    """User and number of each rating."""
    lengths = np.diff(ratings.indptr)
    return list(zip(np.repeat(np.arange(len(lengths)), lengths).tolist(), range(len(ratings.items)), strict=True))


def _of(values: NDArray[Any] | None, n: int) -> float:
    return 0.0 if values is None else float(values[n])


def _rows(parameters: CFParameters, ratings: Ratings, n: int) -> Float64Array:
    """What each level of rating ``n`` adds to the hidden units, shape (K, H)."""
    w = parameters.w[ratings.items[n]].astype(np.float64)
    if parameters.scores is None:
        return np.asarray(w)
    return np.asarray((parameters.scores.astype(np.float64) - _of(ratings.centers, n))[:, None] * w)


def _extra(parameters: CFParameters, ratings: Ratings, n: int) -> Float64Array:
    if parameters.d is None:
        return np.zeros(len(parameters.b_hid))
    return np.asarray(parameters.d[ratings.items[n]].astype(np.float64))


def _biases(parameters: CFParameters, ratings: Ratings, n: int) -> Float64Array:
    biases = parameters.b_level.astype(np.float64) + parameters.b_vis[ratings.items[n]]
    if parameters.scores is not None:
        # (score - center) w . h of the rows has the same constant in all levels, which a softmax does not see.
        biases = biases + parameters.scores.astype(np.float64) * _of(ratings.fields, n)
    return np.asarray(biases)


def _softmax(logits: Float64Array) -> Float64Array:
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=-1, keepdims=True))
