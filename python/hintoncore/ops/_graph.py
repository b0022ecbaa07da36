"""Gibbs sampling of Boltzmann machines on graphs: `hintoncore.ops` re-exports what is here."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._validate import Array, as_float32, as_int, as_number, as_numpy, given, like
from ..bitmatrix import BitMatrix
from ..generator import Generator, RngLike, as_generator


def graph_gibbs(
    state: BitMatrix | Array,
    indptr: Array,
    indices: Array,
    weights: Array,
    bias: Array,
    *,
    rng: RngLike,
    sweeps: int = 1,
    temperature: float | Array = 1.0,
    colors: Array | None = None,
    clamp: Array | None = None,
    spin: bool = False,
    first_sample: int = 0,
) -> Any:
    """Coloured block Gibbs sampling of a Boltzmann machine on a sparse graph, many chains at once.

    The energy of a state of the N sites is ``E(s) = -1/2 s^T w s - bias^T s``, with s in {0, 1}, or in {-1, +1} when
    `spin`. A sweep updates every site once, colour by colour, from its conditional at the temperature T:
    ``P(s_i = 1) = sigmoid(x_i / T)``, and with `spin` ``P(s_i = +1) = sigmoid(2 x_i / T)``, where
    ``x_i = bias_i + sum_j w_ij s_j``. Sites of one colour are no neighbours, so updating them together is the same as
    one after the other.

    Parameters
    ----------
    state : BitMatrix or array of 0/1, shape (B, N)
        B chains. With `spin`, 0 stands for -1.
    indptr, indices, weights : arrays, shapes (N+1,), (E,), (E,)
        Couplings [N, N] in compressed sparse rows (what `scipy.sparse.csr_array` holds): symmetric, finite, without
        diagonal, each pair once a row, rows sorted or not.
    bias : array, shape (N,)
        Biases, or fields of spins.
    rng : Generator or int
        Uses `sweeps` offsets. The draw of a site and a chain depends on nothing else.
    sweeps : int >= 1
        Sweeps to run.
    temperature : float > 0, or array of shape (sweeps,)
        Divides the energy; an array gives one temperature a sweep (an annealing schedule).
    colors : integer array, shape (N,), optional
        Values in [0, N), neighbours must differ; colours are updated in increasing order. Computed greedily, in the
        order of the sites, when left out.
    clamp : bool array, shape (N,) or (B, N), optional
        True where a site keeps its state, in all chains or in each.
    first_sample : int
        Index of the first chain in a larger batch, a multiple of 64: splitting a batch does not change the draws.

    Returns
    -------
    BitMatrix or array of float32, shape (B, N)
        The chains after the sweeps, of the same kind as `state`, which is not changed.

    Raises
    ------
    ValueError, TypeError
        For shapes that do not agree, states other than 0 and 1, couplings that are not symmetric or not finite or on
        the diagonal, neighbours of one colour, temperatures <= 0.

    References
    ----------
    Geman and Geman (1984), Stochastic relaxation, Gibbs distributions, and the Bayesian restoration of images, section
    XI; Ackley, Hinton and Sejnowski (1985), A learning algorithm for Boltzmann machines, eq. 1 and 3; Gonzalez, Low,
    Gretton and Guestrin (2011), Parallel Gibbs sampling: from colored fields to thin junction trees, section 3.

    Examples
    --------
    >>> import hintoncore as hc, numpy as np
    >>> ring = np.array([[4, 1], [0, 2], [1, 3], [2, 4], [3, 0]])
    >>> s = hc.ops.graph_gibbs(
    ...     np.zeros((3, 5)), np.arange(0, 11, 2), ring.ravel(), np.full(10, 9.0), np.full(5, 9.0), rng=1, spin=True
    ... )
    >>> s.shape
    (3, 5)
    """
    chains = state if isinstance(state, BitMatrix) else BitMatrix.from_dense(as_float32(state, "state", 2))
    schedule = temperatures(temperature, sweeps)
    generator = as_generator(rng)
    arguments = (
        as_indices(indptr, "indptr", np.int64),
        as_indices(indices, "indices", np.int32),
        _values(weights, "weights"),
        as_float32(bias, "bias", 1),
        None if colors is None else as_indices(colors, "colors", np.int32),
        None if clamp is None else clamp_words(clamp, chains),
        bool(spin),
        schedule,
    )
    first_sample = as_int(first_sample, "first_sample", 0, 2**34)
    with generator.reserve(len(schedule)) as offset:
        words = _core.graph_gibbs(chains.words, chains.batch, *arguments, generator.seed, offset, first_sample)
    return _as_given(state, BitMatrix._of(words, chains.batch))


def dense_gibbs(
    state: BitMatrix | Array,
    w: Array,
    b: Array,
    *,
    rng: RngLike,
    sweeps: int = 1,
    temperature: float | Array = 1.0,
    clamp: Array | None = None,
    spin: bool = False,
    order: str = "sequential",
    count_pairs: int = 0,
    first_sample: int = 0,
) -> Any:
    """Single-site Gibbs sampling of a fully connected Boltzmann machine, many chains at once.

    The energy is ``E(s) = -1/2 s^T w s - b^T s``, with s in {0, 1}, or in {-1, +1} when `spin`. A sweep updates every
    free unit once, one after the other, each from its conditional given all others as they are then:
    ``P(s_i = 1) = sigmoid((b_i + sum_j w_ij s_j) / T)``, and with `spin` ``P(s_i = +1)`` is the same with a factor 2.

    Parameters
    ----------
    state : BitMatrix or array of 0/1, shape (B, N)
        B chains. With `spin`, 0 stands for -1.
    w : array, shape (N, N)
        Couplings: symmetric, finite, zeros on the diagonal.
    b : array, shape (N,)
        Biases, or fields of spins.
    rng : Generator or int
        Uses one offset a sweep, three when `order` is "random".
    sweeps : int >= 1
        Sweeps to run.
    temperature : float > 0, or array of shape (sweeps,)
        Divides the energy; an array gives one temperature a sweep. The schedule that Ackley, Hinton and Sejnowski write
        as 2@20, 2@15, 2@12, 4@10 is ``sweeps=10, temperature=numpy.repeat([20, 15, 12, 10], [2, 2, 2, 4])``.
    clamp : bool array, shape (N,) or (B, N), optional
        True where a unit keeps its state, in all chains or in each. Units clamped in all chains cost nothing.
    order : {"sequential", "random", "asynchronous"}
        Units in the order 0, 1, ..., N-1; or in an order drawn for each sweep and shared by the chains: that of
        ``rng.permutation(N)``, drawn before the sweep. "asynchronous" is the unit of time of the 1985 paper: as many
        probes as there are free units (not clamped in all chains), each of a free unit drawn at random, so that a unit
        gets one chance on average; the chains share the probes.
    count_pairs : int in [0, sweeps]
        Count pairs of units after each of so many last sweeps.
    first_sample : int
        Index of the first chain in a larger batch, a multiple of 64: splitting a batch does not change the draws.

    Returns
    -------
    BitMatrix or array of float32, shape (B, N)
        The chains after the sweeps, of the same kind as `state`, which is not changed.
    pairs : array of int64, shape (N, N), only when `count_pairs`
        How many times units i and j were on together, over chains and counted sweeps; singles on the diagonal. Divided
        by ``B * count_pairs`` it is the p_ij of the learning rule (eq. 9 of the paper).

    Raises
    ------
    ValueError, TypeError
        For shapes that do not agree, states other than 0 and 1, couplings that are not symmetric, not finite or not
        zero on the diagonal, temperatures <= 0, another `order`, `count_pairs` above `sweeps`.

    References
    ----------
    Ackley, Hinton and Sejnowski (1985), A learning algorithm for Boltzmann machines, Cognitive Science 9, eq. 1, 3 and
    section 4.

    Examples
    --------
    >>> import hintoncore as hc, numpy as np
    >>> w = np.ones((8, 8)) - np.eye(8)
    >>> schedule = np.repeat([20.0, 15.0, 12.0, 10.0], [2, 2, 2, 4])
    >>> hc.ops.dense_gibbs(np.zeros((3, 8)), w, np.zeros(8), rng=1, sweeps=10, temperature=schedule).shape
    (3, 8)
    """
    chains = state if isinstance(state, BitMatrix) else BitMatrix.from_dense(as_float32(state, "state", 2))
    schedule = temperatures(temperature, sweeps)
    if order not in ("sequential", "random", "asynchronous"):
        raise ValueError(f"order: expected 'sequential', 'random' or 'asynchronous', got {order!r}")
    step = 3 if order == "random" else 1
    count_pairs = as_int(count_pairs, "count_pairs", 0, len(schedule))
    weights, bias = as_float32(w, "w", 2), as_float32(b, "b", 1)
    mask = None if clamp is None else clamp_words(clamp, chains)
    first_sample = as_int(first_sample, "first_sample", 0, 2**34)
    generator = as_generator(rng)
    with generator.reserve(step * len(schedule)) as offset:
        orders = None if step == 1 else _orders(generator.seed, offset, len(schedule), chains.shape[1])
        words, pairs = _core.dense_gibbs(
            chains.words,
            chains.batch,
            weights,
            bias,
            mask,
            bool(spin),
            schedule,
            orders,
            order == "asynchronous",
            count_pairs,
            generator.seed,
            (offset + step - 1) % 2**64,
            step,
            first_sample,
        )
    result = _as_given(state, BitMatrix._of(words, chains.batch))
    return (result, pairs) if count_pairs else result


def _orders(seed: int, offset: int, sweeps: int, n: int) -> NDArray[np.int32]:
    """The order of each sweep, from offsets 3 apart."""
    orders = [Generator(seed, (offset + 3 * sweep) % 2**64).permutation(n) for sweep in range(sweeps)]
    return np.array(orders, dtype=np.int32)


def temperatures(temperature: float | Array, sweeps: int) -> NDArray[np.float32]:
    """One temperature a sweep."""
    sweeps = as_int(sweeps, "sweeps", 1, 2**31 - 1)
    if np.ndim(temperature) == 0:
        return np.full(sweeps, as_number(temperature, "temperature"), np.float32)
    schedule = as_float32(temperature, "temperature", 1)
    if len(schedule) != sweeps:
        raise ValueError(
            f"temperature: expected a number or one value for each of {sweeps} sweeps, got {given(schedule)}"
        )
    return schedule


def as_indices(x: Array, name: str, dtype: type[np.integer[Any]]) -> NDArray[Any]:
    """`x` as a one-dimensional C-contiguous array of integers of this type; ValueError for values it cannot hold."""
    array = as_numpy(x, name)
    if array.ndim != 1:
        raise ValueError(f"{name}: expected 1 dimension, got {given(array)}")
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"{name}: expected integers, got {given(array)}")
    limits = np.iinfo(dtype)
    if array.size and array.dtype != dtype and (array.min() < limits.min or array.max() > limits.max):
        raise ValueError(f"{name}: expected values that {np.dtype(dtype)} holds, got {array.min()}..{array.max()}")
    return np.ascontiguousarray(array, dtype=dtype)


def clamp_words(clamp: Array, chains: BitMatrix) -> NDArray[np.uint64]:
    """The clamping mask in the layout of the chains' words."""
    if isinstance(clamp, BitMatrix):
        mask = clamp
    else:
        array = as_numpy(clamp, "clamp")
        if array.dtype != np.bool_:
            raise TypeError(f"clamp: expected booleans, got {given(array)}")
        if array.ndim == 1:
            array = np.broadcast_to(array, (chains.batch, len(array)))
        mask = BitMatrix.from_dense(as_float32(array, "clamp", 2))
    if mask.shape != chains.shape:
        raise ValueError(f"clamp: expected shape ({chains.shape[1]},) or {chains.shape}, got {given(clamp)}")
    return mask.words


def _values(x: Array, name: str) -> NDArray[np.float32]:
    array = as_numpy(x, name)
    if array.ndim != 1:
        raise ValueError(f"{name}: expected 1 dimension, got {given(array)}")
    return np.ascontiguousarray(array, dtype=np.float32)  # empty for a graph without couplings


def _as_given(state: BitMatrix | Array, chains: BitMatrix) -> Any:
    return chains if isinstance(state, BitMatrix) else like(state, chains.to_dense())
