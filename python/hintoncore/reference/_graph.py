"""Boltzmann machines on sparse graphs and fully connected ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._random import flat_uniforms, uniforms

__all__ = ["dense_gibbs", "graph_gibbs", "greedy_colors"]


def greedy_colors(indptr: ArrayLike, indices: ArrayLike) -> NDArray[np.int64]:
    """Colours of the sites of a graph such that neighbours differ: each site takes the lowest one free.

    Parameters
    ----------
    indptr, indices : arrays of integers, shapes [N + 1], [E]
        Neighbours of site ``i`` at ``indices[indptr[i]:indptr[i + 1]]``.

    Returns
    -------
    array of int64, shape [N]
    """
    starts, neighbours = np.asarray(indptr), np.asarray(indices)
    colors = np.full(len(starts) - 1, -1, dtype=np.int64)
    for i in range(len(colors)):
        taken = set(colors[neighbours[starts[i] : starts[i + 1]]].tolist())
        colors[i] = next(color for color in range(len(colors)) if color not in taken)
    return colors


def graph_gibbs(
    state: ArrayLike,
    indptr: ArrayLike,
    indices: ArrayLike,
    weights: ArrayLike,
    bias: ArrayLike,
    *,
    seed: int,
    offset: int,
    sweeps: int = 1,
    temperature: ArrayLike = 1.0,
    colors: ArrayLike | None = None,
    clamp: ArrayLike | None = None,
    spin: bool = False,
    first_sample: int = 0,
) -> NDArray[np.uint8]:
    """Gibbs sampling of a Boltzmann machine on a graph, site by site in the order of their colours [7]_, [8]_ eq. 3.

    A site is on with probability ``sigmoid(x / T)``, ``x = bias_i + sum_j w_ij s_j``; as a spin (-1 or +1) it is up
    with probability ``sigmoid(2 x / T)``. The draw is that of (seed, offset + sweep, site, chain).

    Parameters
    ----------
    state : array of 0 and 1, shape [B, N]
    indptr, indices, weights : arrays, shapes [N + 1], [E], [E]
        Symmetric couplings, row by row.
    bias : array, shape [N]
    seed, offset : int
        Generator state; a sweep consumes one offset.
    sweeps : int
    temperature : float, or array of shape [sweeps]
    colors : array of integers, shape [N], optional
        :func:`greedy_colors` when left out.
    clamp : array of bool, shape [N] or [B, N], optional
        Where states stay.
    spin : bool
        States are -1 and +1, and 0 in `state` is -1.
    first_sample : int
        Sample index of the first chain.

    Returns
    -------
    array of uint8 (0 or 1), shape [B, N]
    """
    starts, neighbours = np.asarray(indptr), np.asarray(indices)
    w, b = np.asarray(weights, dtype=np.float64), np.asarray(bias, dtype=np.float64)
    bits = np.array(state, dtype=np.uint8)
    batch, n = bits.shape
    color = greedy_colors(starts, neighbours) if colors is None else np.asarray(colors)
    fixed = np.zeros((batch, n), dtype=bool) if clamp is None else np.broadcast_to(np.asarray(clamp), (batch, n))
    schedule = np.broadcast_to(np.asarray(temperature, dtype=np.float64), (sweeps,))
    chain = (first_sample + np.arange(batch)).astype(np.uint64)
    for sweep in range(sweeps):
        for i in np.argsort(color, kind="stable"):
            row = slice(starts[i], starts[i + 1])
            values = bits[:, neighbours[row]].astype(np.float64)
            x = 2.0 * (b[i] + (2.0 * values - 1.0) @ w[row]) if spin else b[i] + values @ w[row]
            uniform = uniforms(seed, offset + sweep, np.asarray(i, dtype=np.uint64), chain)
            with np.errstate(over="ignore"):
                on = uniform * (1.0 + np.exp(-x / schedule[sweep])) < 1.0
            bits[:, i] = np.where(fixed[:, i], bits[:, i], on)
    return bits


def dense_gibbs(
    state: ArrayLike,
    w: ArrayLike,
    b: ArrayLike,
    *,
    seed: int,
    offset: int,
    sweeps: int = 1,
    temperature: ArrayLike = 1.0,
    clamp: ArrayLike | None = None,
    spin: bool = False,
    order: str = "sequential",
    count_pairs: int = 0,
    first_sample: int = 0,
) -> Any:
    """Gibbs sampling of a fully connected Boltzmann machine, unit by unit [8]_ eq. 3.

    The draw of a unit is that of (seed, offset, unit, chain). In "random" order a sweep consumes three offsets: two for
    the order, the stable sort of ``high + low 2^-23`` with uniform numbers of the first and of the second, one for
    the draws. In an "asynchronous" sweep probe k is of free unit number ``floor(u m)`` of m, u the draw of (seed,
    offset, unit 2^32 - 1, sample k), and the state it draws is that of (seed, offset, unit k, chain).

    Parameters
    ----------
    state : array of 0 and 1, shape [B, N]
    w : array, shape [N, N]
        Symmetric, zeros on the diagonal.
    b : array, shape [N]
    seed, offset : int
    sweeps, temperature, clamp, spin, first_sample
        As in :func:`graph_gibbs`.
    order : {"sequential", "random", "asynchronous"}
    count_pairs : int
        Count pairs that are on together after each of so many last sweeps.

    Returns
    -------
    array of uint8 (0 or 1), shape [B, N]
    pairs : array of int64, shape [N, N], only when `count_pairs`
    """
    weights, bias = np.asarray(w, dtype=np.float64), np.asarray(b, dtype=np.float64)
    schedule = np.broadcast_to(np.asarray(temperature, dtype=np.float64), (sweeps,))
    bits = np.array(state, dtype=np.uint8)
    batch, n = bits.shape
    fixed = np.zeros((batch, n), dtype=bool) if clamp is None else np.broadcast_to(np.asarray(clamp), (batch, n))
    free = np.flatnonzero(~fixed.all(axis=0))
    chain = (first_sample + np.arange(batch)).astype(np.uint64)
    pairs = np.zeros((n, n), dtype=np.int64)
    step = 3 if order == "random" else 1
    for sweep in range(sweeps):
        at = offset + step * (sweep + 1) - 1
        probes = numbers = free
        if order == "random":
            ranks = flat_uniforms(seed, at - 2, n) + flat_uniforms(seed, at - 1, n) * 2.0**-23
            permutation = np.argsort(ranks, kind="stable")
            probes = numbers = permutation[np.isin(permutation, free)]
        elif order == "asynchronous":
            numbers = np.arange(len(free))
            chosen = uniforms(seed, at, np.asarray(0xFFFFFFFF, dtype=np.uint64), numbers.astype(np.uint64))
            probes = free[np.floor(chosen * len(free)).astype(np.intp)]
        for unit, number in zip(probes, numbers, strict=True):
            values = 2.0 * bits - 1.0 if spin else bits.astype(np.float64)
            x = (2.0 if spin else 1.0) * (bias[unit] + values @ weights[unit])
            uniform = uniforms(seed, at, np.asarray(number, dtype=np.uint64), chain)
            with np.errstate(over="ignore"):
                on = uniform * (1.0 + np.exp(-x / schedule[sweep])) < 1.0
            bits[:, unit] = np.where(fixed[:, unit], bits[:, unit], on)
        if sweep >= sweeps - count_pairs:
            pairs += bits.T.astype(np.int64) @ bits.astype(np.int64)
    return (bits, pairs) if count_pairs else bits
