"""The restricted Boltzmann machine for ratings: `hintoncore.ops` re-exports what is here.

A machine for each user, with weights that all share (Salakhutdinov, Mnih and Hinton, "Restricted Boltzmann machines for
collaborative filtering", ICML 2007). The visible units are the items that the user rated, each a softmax over K levels;
missing ratings have no units at all. Memory and time go with the number of ratings.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._validate import Array, as_int, as_number, as_numpy, given
from ..generator import RngLike, as_generator

__all__ = [
    "CFOptimiser",
    "CFParameters",
    "Ratings",
    "cf_conditional",
    "cf_hidden",
    "cf_settle",
    "cf_update",
    "cf_visible",
]

Float32Array = NDArray[np.float32]


class CFParameters(NamedTuple):
    """Parameters of a machine for ratings, float32 and C-contiguous.

    Attributes
    ----------
    scores : array, shape (K,), or None
        None: every level of an item has weights of its own, as in the paper. Otherwise level k acts on the hidden units
        through ``(scores[k] - center) w[i, 0]``, with a center for each rating: levels in order, a K-th of the weights.
    w : array, shape (I, K, H), or (I, 1, H) with scores
    d : array, shape (I, H), or None
        What having rated an item adds to the total inputs of the hidden units (the conditional machine, section 4).
    b_vis : array, shape (I, K)
        Added to `b_level`.
    b_level : array, shape (K,)
    b_hid : array, shape (H,)
    """

    scores: Float32Array | None
    w: Float32Array
    d: Float32Array | None
    b_vis: Float32Array
    b_level: Float32Array
    b_hid: Float32Array

    def copy(self) -> CFParameters:
        """The same values in arrays of their own."""
        scores = None if self.scores is None else self.scores.copy()
        d = None if self.d is None else self.d.copy()
        return CFParameters(scores, self.w.copy(), d, self.b_vis.copy(), self.b_level.copy(), self.b_hid.copy())


class Ratings(NamedTuple):
    """Ratings of U users in compressed sparse rows.

    Attributes
    ----------
    indptr : array of int64, shape (U + 1,)
        User u has ratings ``indptr[u]`` to ``indptr[u + 1]``, at most one of each item.
    items : array of int32, shape (N,)
    levels : array of uint8, shape (N,), or None
        In 0 .. K - 1; None where only probabilities are asked for.
    centers, fields : array of float32, shape (N,), or None
        With scores only: see :class:`CFParameters`; ``scores[k] * field`` is added to the total input of level k.
    users : array of int64, shape (U,), or None
        Numbers in [0, 2**34) that name the users' draws; 0, 1, 2, ... when None.
    """

    indptr: NDArray[np.int64]
    items: NDArray[np.int32]
    levels: NDArray[np.uint8] | None = None
    centers: Float32Array | None = None
    fields: Float32Array | None = None
    users: NDArray[np.int64] | None = None

    def rows(self, users: NDArray[np.integer[Any]]) -> Ratings:
        """Ratings of some users, in that order; they keep the names of their draws."""
        starts, lengths = self.indptr[users], self.indptr[users + 1] - self.indptr[users]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        which = np.repeat(starts - indptr[:-1], lengths) + np.arange(indptr[-1])
        names = np.asarray(users, dtype=np.int64) if self.users is None else self.users[users]
        return Ratings(
            indptr,
            self.items[which],
            None if self.levels is None else self.levels[which],
            None if self.centers is None else self.centers[which],
            None if self.fields is None else self.fields[which],
            names,
        )


class CFOptimiser(NamedTuple):
    """How the parameters move, and what they carry along.

    ``velocity = momentum * velocity + rate * (gradient - decay * parameter)``, then ``parameter += velocity``, with the
    gradient's mean over the users of a minibatch. An update touches the items of its minibatch alone; the momentum and
    decay that the others miss are made up for, to rounding, when their turn comes. So rates, decays and momentum may
    change only after :func:`cf_settle`.

    Attributes
    ----------
    rates : (w, d, b_vis, b_level, b_hid)
    decays : (w, d, b_vis)
    momentum : float in [0, 1)
    velocity : tuple of 5 arrays
        Like the parameters without the scores, changed in place.
    updates : array of int64, shape (I,)
        How many updates each item has had, changed in place.
    item_rates : array of float32, shape (I,), or None
        Factors of the rates of an item's parameters.
    """

    rates: tuple[float, float, float, float, float]
    decays: tuple[float, float, float]
    momentum: float
    velocity: tuple[Float32Array, Float32Array | None, Float32Array, Float32Array, Float32Array]
    updates: NDArray[np.int64]
    item_rates: Float32Array | None = None

    @classmethod
    def start(
        cls,
        parameters: CFParameters,
        *,
        rates: tuple[float, float, float, float, float],
        decays: tuple[float, float, float] = (0.0, 0.0, 0.0),
        momentum: float = 0.0,
        item_rates: Float32Array | None = None,
    ) -> CFOptimiser:
        """An optimiser at rest, before the first update."""
        velocity: Any = tuple(None if a is None else np.zeros_like(a) for a in parameters[1:])
        updates = np.zeros(len(parameters.b_vis), dtype=np.int64)
        return cls(rates, decays, momentum, velocity, updates, item_rates)


def cf_hidden(
    parameters: CFParameters, ratings: Ratings, *, rng: RngLike | None = None
) -> tuple[Float32Array, Float32Array, Float32Array | None]:
    """Hidden units given ratings: ``x = b_hid + sum over ratings of row(item, level) + d[item]`` (eq. 2).

    Parameters
    ----------
    parameters : CFParameters
    ratings : Ratings
    rng : Generator or int, optional
        Draw states, with one offset: unit the hidden unit, sample the user's name.

    Returns
    -------
    x, probs : arrays of float32, shape (U, H)
        Total inputs and ``sigmoid(x)``.
    states : array of float32 (0 or 1), shape (U, H), or None without `rng`

    Raises
    ------
    ValueError, TypeError
        For arrays of other shapes or types, items or levels out of range.
    """
    model, rows = _model(parameters), _ratings(ratings)
    if rng is None:
        return _core.cf_hidden(model, rows, 0, 0, False)
    generator = as_generator(rng)
    with generator.reserve(1) as offset:
        return _core.cf_hidden(model, rows, generator.seed, offset, True)


def cf_visible(
    parameters: CFParameters, ratings: Ratings, hidden: Array, *, rng: RngLike | None = None
) -> tuple[Float32Array, NDArray[np.uint8] | None]:
    """Levels of rated items given hidden states: a softmax of ``b_level + b_vis[i] + row(i, k) . h`` (eq. 1).

    Parameters
    ----------
    parameters : CFParameters
    ratings : Ratings
        Which items; levels are not read.
    hidden : array of float32, shape (U, H)
        States, or probabilities for a mean-field step.
    rng : Generator or int, optional
        Draw levels, with one offset: unit the item, sample the user's name.

    Returns
    -------
    probs : array of float32, shape (N, K)
    levels : array of uint8, shape (N,), or None without `rng`

    Raises
    ------
    ValueError, TypeError
        As :func:`cf_hidden`, and for a hidden state that is not finite.
    """
    model, rows, states = _model(parameters), _ratings(ratings), _floats(hidden, "hidden")
    if rng is None:
        return _core.cf_visible(model, rows, states, 0, 0, False)
    generator = as_generator(rng)
    with generator.reserve(1) as offset:
        return _core.cf_visible(model, rows, states, generator.seed, offset, True)


def cf_conditional(parameters: CFParameters, ratings: Ratings, x: Array, *, leave_out: bool = False) -> Float32Array:
    """Probabilities of the levels of an item given ratings of other items, the hidden units summed out (eq. 10).

    ``p(k) ~ exp(b_level[k] + b_vis[i, k] + scores[k] field + sum_j softplus(x_j + row(i, k)_j))``: exact, of one item
    at a time.

    Parameters
    ----------
    parameters : CFParameters
    ratings : Ratings
        Of which items; their levels are read with `leave_out` alone.
    x : array of float32, shape (U, H)
        Total inputs of the hidden units from the ratings that are given: :func:`cf_hidden`.
    leave_out : bool
        `x` has these ratings themselves: take each off before its turn, its ``d`` as well, as if the item had not been
        rated.

    Returns
    -------
    array of float32, shape (N, K)

    Raises
    ------
    ValueError, TypeError
        As :func:`cf_hidden`.
    """
    return _core.cf_conditional(_model(parameters), _ratings(ratings), _floats(x, "x"), bool(leave_out))


def cf_update(
    parameters: CFParameters,
    ratings: Ratings,
    optimiser: CFOptimiser,
    *,
    step: int,
    k: int = 1,
    rng: RngLike = 0,
) -> dict[str, float | None]:
    """One update of the parameters, in place, on the ratings of a minibatch of users.

    With ``k >= 1`` by k-step contrastive divergence (eq. 6 to 8): positive statistics with ``p(h | ratings)``, k
    times states of the hidden units and levels of the rated items are drawn, negative ones with ``p(h | drawn)``.
    With ``k = 0`` along the exact gradient of the pseudo-likelihood, the sum over the ratings of ``log p(rating | the
    user's other ratings)`` (Besag 1975): what predictions are made of, without sampling.

    Parameters
    ----------
    parameters : CFParameters
        Changed.
    ratings : Ratings
    optimiser : CFOptimiser
        Changed.
    step : int >= 0
        Updates before this one.
    k : int >= 0
    rng : Generator or int
        Uses 2k offsets.

    Returns
    -------
    dict
        ``log_conditional``: mean over the ratings of log p(rating | others) before the update, None with k >= 1;
        ``reconstruction_error``: mean of (level - drawn level)^2, None with k = 0.

    Raises
    ------
    ValueError, TypeError
        As :func:`cf_hidden`, and for negative rates or decays, momentum outside [0, 1).
    FloatingPointError
        If the update makes a parameter NaN or infinite.
    """
    k, step = as_int(k, "k", 0, 2**31 - 1), as_int(step, "step", 0, 2**62)
    generator = as_generator(rng)
    with generator.reserve(2 * k) as offset:
        return _core.cf_update(
            _model(parameters), _ratings(ratings), *_optimiser(optimiser), step, k, generator.seed, offset
        )


def cf_settle(parameters: CFParameters, optimiser: CFOptimiser, *, step: int) -> None:
    """Make up for what items have missed, so that each has had `step` updates; changes the parameters in place.

    Raises
    ------
    ValueError, TypeError
        As :func:`cf_update`.
    FloatingPointError
        If a parameter becomes NaN or infinite.
    """
    _core.cf_settle(_model(parameters), *_optimiser(optimiser), as_int(step, "step", 0, 2**62))


def _model(parameters: CFParameters) -> tuple[Any, ...]:
    if not isinstance(parameters, CFParameters):
        raise TypeError(f"parameters: expected CFParameters, got {given(parameters)}")
    return tuple(parameters)


def _ratings(ratings: Ratings) -> tuple[Any, ...]:
    if not isinstance(ratings, Ratings):
        raise TypeError(f"ratings: expected Ratings, got {given(ratings)}")
    return tuple(ratings)


def _floats(x: Array, name: str) -> Float32Array:
    array = as_numpy(x, name)
    if array.ndim != 2:
        raise ValueError(f"{name}: expected 2 dimensions, got {given(array)}")
    return np.ascontiguousarray(array, dtype=np.float32)


def _optimiser(optimiser: CFOptimiser) -> tuple[Any, Any, Any, Any, float, Any]:
    if not isinstance(optimiser, CFOptimiser):
        raise TypeError(f"optimiser: expected CFOptimiser, got {given(optimiser)}")
    return (
        tuple(optimiser.velocity),
        optimiser.item_rates,
        tuple(as_number(rate, "rates") for rate in optimiser.rates),
        tuple(as_number(decay, "decays") for decay in optimiser.decays),
        as_number(optimiser.momentum, "momentum"),
        optimiser.updates,
    )
