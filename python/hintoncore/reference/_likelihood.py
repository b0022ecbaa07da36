"""Partition functions: enumeration and annealed importance sampling."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._rbm import free_energy, gibbs_step

__all__ = ["all_states", "anneal", "exact_log_z"]

Float64Array = NDArray[np.float64]

MAX_ENUMERATED_UNITS = 20
"""Largest ``V + H`` that :func:`exact_log_z` enumerates state by state."""


def anneal(
    v: ArrayLike,
    w: ArrayLike,
    b_vis: ArrayLike,
    b_hid: ArrayLike,
    betas: ArrayLike,
    *,
    seed: int,
    offset: int,
    b_base: ArrayLike | None = None,
) -> tuple[NDArray[np.uint8], Float64Array]:
    """Annealed importance sampling between a base-rate model and an RBM [5]_, [6]_ eq. 11 to 16.

    The distribution at inverse temperature ``beta`` is itself an RBM, with weights ``beta w``, hidden biases ``beta
    b_hid`` and visible biases ``(1 - beta) b_base + beta b_vis``; ``-free_energy`` is its unnormalised log probability.
    Step ``k`` adds to the log weights how much that grows from ``betas[k - 1]`` to ``betas[k]`` at the present states,
    then samples hidden units with ``offset + 2 (k - 1)`` and visible units with the offset after.

    Parameters
    ----------
    v : array of 0 and 1, shape [C, V]
        States at ``betas[0]``.
    w, b_vis, b_hid : arrays, shapes [V, H], [V], [H]
    betas : array in [0, 1], shape [K + 1]
    seed, offset : int
        Generator state; ``2 K`` offsets are consumed.
    b_base : array, shape [V], optional
        ``b_vis`` when left out.

    Returns
    -------
    states : array of uint8, shape [C, V]
    log_weights : array of float64, shape [C]
        In nats.
    """
    w, b_vis, b_hid = (np.asarray(p, dtype=np.float64) for p in (w, b_vis, b_hid))
    base = b_vis if b_base is None else np.asarray(b_base, dtype=np.float64)
    states = np.asarray(v, dtype=np.uint8)
    log_weights = np.zeros(len(states))
    schedule = np.asarray(betas, dtype=np.float64)
    for k in range(1, len(schedule)):
        before, after = (
            (beta * w, (1.0 - beta) * base + beta * b_vis, beta * b_hid) for beta in (schedule[k - 1], schedule[k])
        )
        log_weights += free_energy(states, *before) - free_energy(states, *after)
        first = offset + 2 * (k - 1)
        hidden, _ = gibbs_step(states, after[0], after[2], seed=seed, offset=first)
        states, _ = gibbs_step(hidden, after[0], after[1], seed=seed, offset=first + 1, transpose=True)
    return states, log_weights


def exact_log_z(w: ArrayLike, b_vis: ArrayLike, b_hid: ArrayLike) -> float:
    """Log partition function by brute force over all ``2**(V + H)`` joint states.

    Deliberately without the factorisation that :func:`hintoncore.likelihood.exact_log_z` uses, so that it can
    check it.

    Parameters
    ----------
    w, b_vis, b_hid : arrays, shapes [V, H], [V], [H]

    Returns
    -------
    float
        ``log sum_{v,h} exp(-E(v, h))``.

    Raises
    ------
    ValueError
        If ``V + H`` exceeds :data:`MAX_ENUMERATED_UNITS`.
    """
    w = np.asarray(w, dtype=np.float64)
    n_visible, n_hidden = w.shape
    if n_visible + n_hidden > MAX_ENUMERATED_UNITS:
        raise ValueError(f"w: expected V + H <= {MAX_ENUMERATED_UNITS}, given {n_visible} + {n_hidden}")
    v, h = all_states(n_visible), all_states(n_hidden)
    negative_energy = (
        (v @ np.asarray(b_vis, dtype=np.float64))[:, None] + (h @ np.asarray(b_hid, dtype=np.float64)) + v @ w @ h.T
    )
    top = negative_energy.max()
    return float(top + np.log(np.exp(negative_energy - top).sum()))


def all_states(n: int) -> Float64Array:
    """All ``2**n`` binary states, shape [2**n, n]: bit ``i`` of the row number in column ``i``."""
    return ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(np.float64)
