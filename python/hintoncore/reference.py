"""Readable NumPy versions of every kernel: documentation and test oracle.

Each function here states in plain NumPy, with float64 inside, what the kernel of the same name in
:mod:`hintoncore.ops` computes. Nothing in this module calls compiled code, and every function is pure:
arguments are never changed, and randomness enters only as an explicit ``(seed, offset)``.

Notation of the restricted Boltzmann machine (Smolensky 1986; Hinton 2002): visible states ``v`` [B, V],
hidden states ``h`` [B, H], couplings ``w`` [V, H], biases ``b_vis`` [V] and ``b_hid`` [H], and the energy

    E(v, h) = - b_vis . v - b_hid . h - v^T w h.

References
----------
.. [1] J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC
       2011.
.. [2] G. E. Hinton, "Training products of experts by minimizing contrastive divergence", Neural Computation
       14, 2002.
.. [3] T. Tieleman, "Training restricted Boltzmann machines using approximations to the likelihood gradient",
       ICML 2008.
.. [4] G. E. Hinton, "A practical guide to training restricted Boltzmann machines", UTML TR 2010-003, 2010.
.. [5] R. M. Neal, "Annealed importance sampling", Statistics and Computing 11, 2001.
.. [6] R. Salakhutdinov, I. Murray, "On the quantitative analysis of deep belief networks", ICML 2008.
.. [7] S. Geman, D. Geman, "Stochastic relaxation, Gibbs distributions, and the Bayesian restoration of images",
       IEEE PAMI 6, 1984.
.. [8] D. H. Ackley, G. E. Hinton, T. J. Sejnowski, "A learning algorithm for Boltzmann machines", Cognitive Science
       9, 1985.
.. [9] T. Tieleman, G. E. Hinton, "Using fast weights to improve persistent contrastive divergence", ICML 2009.
.. [10] J. Melchior, A. Fischer, L. Wiskott, "How to center deep Boltzmann machines", JMLR 17, 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore.reference_cf import cf_conditional, cf_gradient, cf_hidden, cf_visible
from hintoncore.reference_nn import (
    adam_update,
    dropout,
    embedding,
    embedding_add,
    layer_norm,
    layer_norm_backward,
    max_norm,
    rmsprop_update,
    sgd_update,
    softmax,
    softmax_cross_entropy,
)

__all__ = [
    "CDResult",
    "adam_update",
    "all_states",
    "anneal",
    "cd_gradient",
    "cd_update",
    "cf_conditional",
    "cf_gradient",
    "cf_hidden",
    "cf_visible",
    "dense_gibbs",
    "dropout",
    "embedding",
    "embedding_add",
    "exact_log_z",
    "exp",
    "flat_uniforms",
    "free_energy",
    "gibbs_step",
    "graph_gibbs",
    "greedy_colors",
    "layer_norm",
    "layer_norm_backward",
    "layer_uniforms",
    "linear",
    "linear_backward",
    "log",
    "matmul",
    "max_norm",
    "outer_update",
    "pack_bits",
    "philox4x32_10",
    "rmsprop_update",
    "sample_units",
    "sgd_update",
    "sigmoid",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
    "standard_normals",
    "tanh",
    "transpose_bits",
    "unpack_bits",
    "weight_update",
]

Float64Array = NDArray[np.float64]

_MASK32 = np.uint64(0xFFFFFFFF)
_SHIFT32 = np.uint64(32)
_PHILOX_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_PHILOX_WEYL = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))
_PHILOX_ROUNDS = 10

MAX_ENUMERATED_UNITS = 20
"""Largest ``V + H`` that :func:`exact_log_z` enumerates state by state."""


# Random numbers


def philox4x32_10(counter: ArrayLike, key: ArrayLike) -> NDArray[np.uint32]:
    """Philox4x32-10 block cipher, the counter-based generator of Salmon et al. [1]_, section 4.3.

    Parameters
    ----------
    counter : array of uint32, shape [..., 4]
    key : array of uint32, shape [..., 2]
        Broadcast against ``counter`` over the leading axes.

    Returns
    -------
    array of uint32, shape [..., 4]
        Four independent 32-bit words per counter.
    """
    counters = np.asarray(counter, dtype=np.uint64)
    keys = np.asarray(key, dtype=np.uint64)
    c0, c1, c2, c3 = (counters[..., i] for i in range(4))
    k0, k1 = keys[..., 0], keys[..., 1]
    for _ in range(_PHILOX_ROUNDS):
        product0 = _PHILOX_MULTIPLIERS[0] * c0
        product1 = _PHILOX_MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (product1 >> _SHIFT32) ^ c1 ^ k0,
            product1 & _MASK32,
            (product0 >> _SHIFT32) ^ c3 ^ k1,
            product0 & _MASK32,
        )
        k0 = (k0 + _PHILOX_WEYL[0]) & _MASK32
        k1 = (k1 + _PHILOX_WEYL[1]) & _MASK32
    return np.stack(np.broadcast_arrays(c0, c1, c2, c3), axis=-1).astype(np.uint32)


def _uniforms(seed: int, offset: int, unit: NDArray[np.uint64], sample: NDArray[np.uint64]) -> Float64Array:
    """Uniform number of each (unit, sample) pair: the draw mapping shared by all backends.

    One Philox block serves 64 consecutive samples of one unit, four words for each of 16 SIMD lanes: sample
    ``s`` takes word ``(s % 64) // 16`` of the block with counter ``((s // 64) * 16 + s % 16, unit, offset_lo,
    offset_hi)`` under the key ``(seed_lo, seed_hi)``.
    """
    unit, sample = np.broadcast_arrays(unit, sample)
    counter = np.empty((*sample.shape, 4), dtype=np.uint64)
    counter[..., 0] = (sample // np.uint64(64)) * np.uint64(16) + sample % np.uint64(16)
    counter[..., 1] = unit
    counter[..., 2] = offset & 0xFFFFFFFF
    counter[..., 3] = offset >> 32
    blocks = philox4x32_10(counter, np.array([seed & 0xFFFFFFFF, seed >> 32], dtype=np.uint64))
    word = ((sample % np.uint64(64)) // np.uint64(16)).astype(np.intp)
    bits = np.take_along_axis(blocks, word[..., None], axis=-1)[..., 0]
    return np.asarray(((bits >> np.uint32(9)).astype(np.float64) + 0.5) * 2.0**-23)


def layer_uniforms(seed: int, offset: int, batch: int, units: int) -> Float64Array:
    """Uniform numbers that one half-step of sampling uses, one for each sample and unit.

    Parameters
    ----------
    seed, offset : int in [0, 2**64)
        State of the generator; a half-step consumes one offset.
    batch, units : int

    Returns
    -------
    array of float64, shape [batch, units]
        Values ``(m + 0.5) * 2**-23`` with integer ``m``, so strictly inside (0, 1) and exact in float32.
    """
    unit = np.arange(units, dtype=np.uint64)[None, :]
    sample = np.arange(batch, dtype=np.uint64)[:, None]
    return _uniforms(seed, offset, unit, sample)


def flat_uniforms(seed: int, offset: int, n: int) -> Float64Array:
    """First ``n`` elements of a flat fill, as ``Generator.random`` makes it.

    Element ``e`` is sample ``e`` of unit ``e // 2**32``.

    Returns
    -------
    array of float64, shape [n], in (0, 1)
    """
    element = np.arange(n, dtype=np.uint64)
    return _uniforms(seed, offset, element >> _SHIFT32, element & _MASK32)


def standard_normals(seed: int, offset: int, n: int) -> Float64Array:
    """First ``n`` elements of a flat normal fill: Box-Muller on the fills of ``offset`` and ``offset + 1``.

    Returns
    -------
    array of float64, shape [n]
    """
    radius = np.sqrt(-2.0 * np.log(flat_uniforms(seed, offset, n)))
    return np.asarray(radius * np.cos(2.0 * np.pi * flat_uniforms(seed, offset + 1, n)), dtype=np.float64)


# Elementwise functions


def exp(x: ArrayLike) -> Float64Array:
    """Exponential of ``x``, any shape."""
    return np.asarray(np.exp(np.asarray(x, dtype=np.float64)))


def log(x: ArrayLike) -> Float64Array:
    """Natural logarithm of ``x``, any shape: -inf at 0 and NaN below."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(np.asarray(x, dtype=np.float64)))


def sigmoid(x: ArrayLike) -> Float64Array:
    """Logistic function 1 / (1 + exp(-x)), any shape, without overflow for either sign."""
    x = np.asarray(x, dtype=np.float64)
    decay = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, decay) / (1.0 + decay))


def tanh(x: ArrayLike) -> Float64Array:
    """Hyperbolic tangent of ``x``, any shape."""
    return np.asarray(np.tanh(np.asarray(x, dtype=np.float64)))


def softplus(x: ArrayLike) -> Float64Array:
    """log(1 + exp(x)), any shape, without overflow."""
    x = np.asarray(x, dtype=np.float64)
    return np.asarray(np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x))))


# Dense layers


def matmul(a: ArrayLike, b: ArrayLike, *, trans_a: bool = False, trans_b: bool = False) -> Float64Array:
    """Matrix product ``op(a) @ op(b)``, where ``op`` transposes when asked.

    Parameters
    ----------
    a : array, shape [M, K], or [K, M] with ``trans_a``
    b : array, shape [K, N], or [N, K] with ``trans_b``

    Returns
    -------
    array of float64, shape [M, N]
    """
    a = np.asarray(a, dtype=np.float64)
    b = np.asarray(b, dtype=np.float64)
    return np.asarray((a.T if trans_a else a) @ (b.T if trans_b else b))


def linear(x: ArrayLike, w: ArrayLike, b: ArrayLike | None = None, *, activation: str = "none") -> Float64Array:
    """Dense layer ``activation(x @ w + b)``.

    Parameters
    ----------
    x : array, shape [B, I]
    w : array, shape [I, O]
    b : array, shape [O], optional
    activation : {"none", "relu", "sigmoid", "tanh"}

    Returns
    -------
    array of float64, shape [B, O]
    """
    pre = matmul(x, w)
    if b is not None:
        pre = pre + np.asarray(b, dtype=np.float64)
    if activation == "none":
        return pre
    if activation == "relu":
        return np.asarray(np.maximum(pre, 0.0))
    if activation == "sigmoid":
        return sigmoid(pre)
    if activation == "tanh":
        return tanh(pre)
    raise ValueError(f"activation: expected 'none', 'relu', 'sigmoid' or 'tanh', given {activation!r}")


def linear_backward(
    x: ArrayLike, w: ArrayLike, y: ArrayLike, dy: ArrayLike, *, activation: str = "none"
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Gradients of :func:`linear` from its output ``y`` and the gradient ``dy`` that arrives at it.

    The derivative of each activation is written in its output: relu ``y > 0``, sigmoid ``y (1 - y)``, tanh
    ``1 - y^2``.

    Parameters
    ----------
    x : array, shape [B, I]
    w : array, shape [I, O]
    y, dy : arrays, shape [B, O]
    activation : {"none", "relu", "sigmoid", "tanh"}

    Returns
    -------
    dx : array of float64, shape [B, I]
    dw : array of float64, shape [I, O]
    db : array of float64, shape [O]
    """
    y = np.asarray(y, dtype=np.float64)
    delta = np.asarray(dy, dtype=np.float64)
    if activation == "relu":
        delta = delta * (y > 0)
    elif activation == "sigmoid":
        delta = delta * (y * (1.0 - y))
    elif activation == "tanh":
        delta = delta * (1.0 - y * y)
    elif activation != "none":
        raise ValueError(f"activation: expected 'none', 'relu', 'sigmoid' or 'tanh', given {activation!r}")
    return matmul(delta, w, trans_b=True), matmul(x, delta, trans_a=True), delta.sum(axis=0)


# Packed bits


def outer_update(
    x: ArrayLike, y: ArrayLike, w: ArrayLike, b: ArrayLike, *, rate: float
) -> tuple[Float64Array, Float64Array]:
    """Weights and biases after ``w += rate * x^T y`` and ``b += rate * sum over the batch of y``.

    Parameters
    ----------
    x : array, shape [B, I]
    y : array, shape [B, O]
    w, b : arrays, shapes [I, O] and [O]
    rate : float

    Returns
    -------
    arrays of float64, shapes [I, O] and [O]
    """
    inputs, factors = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    weights = np.asarray(w, dtype=np.float64) + rate * (inputs.T @ factors)
    return weights, np.asarray(b, dtype=np.float64) + rate * factors.sum(axis=0)


def pack_bits(x: ArrayLike) -> NDArray[np.uint64]:
    """Words of ``BitMatrix.from_dense(x)``: unit-major, with the samples as the bits.

    Parameters
    ----------
    x : array of 0 and 1, shape [batch, units]

    Returns
    -------
    array of uint64, shape [units, ceil(batch / 64)]
        Bit ``i`` of word ``j`` in row ``u`` is sample ``64 j + i`` of unit ``u``; bits past the batch are 0.
    """
    dense = np.asarray(x).astype(np.uint64)
    batch, units = dense.shape
    n_words = (batch + 63) // 64
    padded = np.zeros((n_words * 64, units), dtype=np.uint64)
    padded[:batch] = dense
    shifts = np.arange(64, dtype=np.uint64)[None, :, None]
    words = np.bitwise_or.reduce(padded.reshape(n_words, 64, units) << shifts, axis=1)
    return np.ascontiguousarray(words.T)


def unpack_bits(words: NDArray[np.uint64], batch: int) -> NDArray[np.uint8]:
    """Inverse of :func:`pack_bits`.

    Parameters
    ----------
    words : array of uint64, shape [units, ceil(batch / 64)]
    batch : int

    Returns
    -------
    array of uint8 (0 or 1), shape [batch, units]
    """
    sample = np.arange(batch)
    shifts = (sample % 64).astype(np.uint64)[:, None]
    return np.asarray((words.T[sample // 64] >> shifts) & np.uint64(1), dtype=np.uint8)


def transpose_bits(words: NDArray[np.uint64], batch: int) -> NDArray[np.uint64]:
    """Words of the transposed BitMatrix: the batch becomes the units.

    Parameters
    ----------
    words : array of uint64, shape [units, ceil(batch / 64)]
    batch : int

    Returns
    -------
    array of uint64, shape [batch, ceil(units / 64)]
    """
    return pack_bits(unpack_bits(words, batch).T)


# Restricted Boltzmann machines


def gibbs_step(
    v: ArrayLike,
    w: ArrayLike,
    b: ArrayLike,
    *,
    seed: int,
    offset: int,
    transpose: bool = False,
    temperature: float = 1.0,
) -> tuple[NDArray[np.uint8], Float64Array]:
    """Half a step of block Gibbs sampling: one layer given the other [2]_, [4]_ eq. 7 and 8.

    Each unit turns on with probability ``sigmoid(x / T)``, ``x`` its bias plus the weighted sum of the given
    layer; the comparison is ``u (1 + exp(-x / T)) < 1``, with ``u`` from :func:`layer_uniforms`.

    Parameters
    ----------
    v : array in [0, 1], shape [B, V] ([B, H] with ``transpose``)
    w : array, shape [V, H]
    b : array, shape [H] ([V] with ``transpose``)
    seed, offset : int
        Generator state; the step consumes one offset.
    transpose : bool
        Sample the visible layer from hidden states instead.
    temperature : float > 0
        ``T`` of the Boltzmann distribution exp(-E / T).

    Returns
    -------
    sample : array of uint8 (0 or 1), shape [B, H] ([B, V] with ``transpose``)
    probs : array of float64, same shape
    """
    x = (matmul(v, w, trans_b=transpose) + np.asarray(b, dtype=np.float64)) / temperature
    uniform = layer_uniforms(seed, offset, *x.shape)
    with np.errstate(over="ignore"):
        sample = uniform * (1.0 + np.exp(-x)) < 1.0
    return sample.astype(np.uint8), sigmoid(x)


def sample_units(
    x: ArrayLike,
    kind: str,
    *,
    seed: int,
    offset: int,
    group: int = 1,
    std: ArrayLike | None = None,
) -> tuple[Float64Array, Float64Array]:
    """States of units of one type given their total inputs, and the means of the conditional distributions.

    Gaussian and NReLU units are drawn in pairs ``u, u + 16`` of each block of 32 by Box and Muller (1958): the radius
    from the uniform of the first, the angle from that of the second.

    Parameters
    ----------
    x : array, shape [B, U]
        Total inputs, biases included.
    kind : {"bernoulli", "spin", "softmax", "gaussian", "nrelu", "stepped-sigmoid"}
    seed, offset : int
        Generator state; one offset is consumed.
    group : int
        Columns of a softmax group, a divisor of ``U``.
    std : array, shape [U], optional
        Standard deviations of Gaussian units, 1 when left out.

    Returns
    -------
    states, means : arrays of float64, shape [B, U]

    References
    ----------
    V. Nair, G. E. Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010, sections 2 and 3.
    """
    x = np.asarray(x, dtype=np.float64)
    batch, units = x.shape
    if kind == "softmax":
        scores = x.reshape(batch, units // group, group)
        p = np.exp(scores - scores.max(axis=2, keepdims=True))
        cumulative = np.cumsum(p, axis=2)
        threshold = layer_uniforms(seed, offset, batch, units // group) * cumulative[:, :, -1]
        chosen = (cumulative[:, :, :-1] <= threshold[:, :, None]).sum(axis=2)
        states = np.eye(group)[chosen]
        return states.reshape(batch, units), (p / cumulative[:, :, -1:]).reshape(batch, units)
    uniforms = layer_uniforms(seed, offset, batch, -(-units // 32) * 32)
    if kind in ("gaussian", "nrelu"):
        pairs = uniforms.reshape(batch, -1, 2, 16)
        radius, angle = np.sqrt(-2.0 * np.log(pairs[:, :, 0])), 2.0 * np.pi * pairs[:, :, 1]
        normals = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=2).reshape(batch, -1)[:, :units]
        if kind == "gaussian":
            return x + (1.0 if std is None else np.asarray(std, dtype=np.float64)) * normals, x
        return np.maximum(0.0, x + np.sqrt(sigmoid(x)) * normals), softplus(x)
    uniforms = uniforms[:, :units]
    if kind == "bernoulli":
        return np.where(uniforms < sigmoid(x), 1.0, 0.0), sigmoid(x)
    if kind == "spin":
        return np.where(uniforms < sigmoid(2.0 * x), 1.0, -1.0), np.tanh(x)
    if kind == "stepped-sigmoid":
        return _stepped_sigmoids(x, uniforms)
    raise ValueError(f"kind: unknown type of unit {kind!r}")


def _stepped_sigmoids(x: Float64Array, uniforms: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Number of Bernoulli units with inputs x - 1/2, x - 3/2, ... that are on, and its mean, for inputs up to 1000.

    By the q-binomial theorem, ``prod_i (1 + z q^i) = sum_h q^(h (h - 1) / 2) z^h / ((1 - q) ... (1 - q^h))`` with
    ``q = 1 / e`` and ``z = exp(x - 1/2)``: the terms are the weights of the states ``h``.
    """
    states, means = np.empty_like(x), np.empty_like(x)
    for at in np.ndindex(x.shape):
        count = np.arange(max(0.0, np.ceil(x[at])) + 40)
        growth = -np.log1p(-np.exp(-count[1:]))  # - log (1 - q^h)
        log_weights = count * x[at] - count**2 / 2 + np.concatenate([[0.0], np.cumsum(growth)])
        weights = np.exp(log_weights - log_weights.max())
        cumulative = np.cumsum(weights / weights.sum())
        states[at] = np.searchsorted(cumulative, uniforms[at], side="right")
        means[at] = (count * weights).sum() / weights.sum()
    return states, means


def cd_gradient(
    v0: ArrayLike,
    vk: ArrayLike,
    w: ArrayLike,
    b_hid: ArrayLike,
    *,
    negative_w: ArrayLike | None = None,
    negative_b_hid: ArrayLike | None = None,
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Contrastive-divergence gradient, [2]_ eq. 15 and [4]_ eq. 9.

    ``<v p(h|v)^T>`` over the data minus the same over the negative phase, each the mean over its own rows.

    Parameters
    ----------
    v0 : array in [0, 1], shape [B, V]
    vk : array of 0 and 1, shape [C, V]
    w : array, shape [V, H]
    b_hid : array, shape [H]
    negative_w, negative_b_hid : arrays, shapes [V, H], [H], optional
        Parameters of the negative phase when they are others, as with fast weights [9]_.

    Returns
    -------
    grad_w [V, H], grad_b_vis [V], grad_b_hid [H] : arrays of float64
    """
    v0 = np.asarray(v0, dtype=np.float64)
    vk = np.asarray(vk, dtype=np.float64)
    h0 = linear(v0, w, b_hid, activation="sigmoid")
    hk = linear(
        vk,
        w if negative_w is None else negative_w,
        b_hid if negative_b_hid is None else negative_b_hid,
        activation="sigmoid",
    )
    return (
        v0.T @ h0 / len(v0) - vk.T @ hk / len(vk),
        v0.mean(axis=0) - vk.mean(axis=0),
        h0.mean(axis=0) - hk.mean(axis=0),
    )


def weight_update(
    w: ArrayLike,
    grad: ArrayLike,
    *,
    lr: float,
    momentum: float = 0.0,
    velocity: ArrayLike | None = None,
    weight_decay: float = 0.0,
    l1: float = 0.0,
    outer: tuple[ArrayLike, ArrayLike] | None = None,
    offsets: tuple[ArrayLike, ArrayLike] | None = None,
) -> tuple[Float64Array, Float64Array, tuple[Float64Array, Float64Array] | None]:
    """One step up a gradient with momentum and penalties, [4]_ sections 9 and 10.

        velocity = momentum * velocity + lr * (grad - left^T right - weight_decay * w - l1 * sign(w)),

    ``w = w + velocity``. The outer products are what centring [10]_ and sparsity targets ([4]_ section 11) take off.

    Parameters
    ----------
    w, grad : arrays, shape [V, H]
    lr, momentum, weight_decay, l1 : float
    velocity : array, shape [V, H], optional
        Zero when left out.
    outer : (left [T, V], right [T, H]), optional
    offsets : (mu [V], lambda [H]), optional

    Returns
    -------
    w, velocity : arrays of float64, shape [V, H]
    sums : (velocity lambda [V], mu velocity [H]), or None without offsets
    """
    w = np.asarray(w, dtype=np.float64)
    gradient = np.asarray(grad, dtype=np.float64) - weight_decay * w - l1 * np.sign(w)
    if outer is not None:
        left, right = (np.asarray(factor, dtype=np.float64) for factor in outer)
        gradient = gradient - left.T @ right
    new = lr * gradient
    if velocity is not None:
        new = momentum * np.asarray(velocity, dtype=np.float64) + new
    sums = None
    if offsets is not None:
        mu, lam = (np.asarray(offset, dtype=np.float64) for offset in offsets)
        sums = (new @ lam, mu @ new)
    return w + new, new, sums


@dataclass(frozen=True)
class CDResult:
    """Everything one :func:`cd_update` leaves behind.

    Attributes
    ----------
    w, b_vis, b_hid : arrays of float64, shapes [V, H], [V], [H]
        Parameters after the update.
    velocity : tuple of arrays of float64, same shapes
    chains : array of uint8, shape [C, V]
        Visible states that ended the negative phase.
    reconstruction_error : float or None
        Mean over batch and visibles of ``(v0 - v1)^2``, ``v1`` the sampled reconstruction; None for
        persistent chains.
    hidden_mean : float
        Mean of ``p(h | v0)``.
    """

    w: Float64Array
    b_vis: Float64Array
    b_hid: Float64Array
    velocity: tuple[Float64Array, Float64Array, Float64Array]
    chains: NDArray[np.uint8]
    reconstruction_error: float | None
    hidden_mean: float


def cd_update(
    v0: ArrayLike,
    w: ArrayLike,
    b_vis: ArrayLike,
    b_hid: ArrayLike,
    *,
    k: int = 1,
    lr: float,
    seed: int,
    offset: int,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    velocity: Sequence[ArrayLike] | None = None,
    chains: ArrayLike | None = None,
) -> CDResult:
    """One update of CD-k [2]_ or, given ``chains``, of persistent contrastive divergence [3]_.

    Step ``i`` of the negative phase samples ``h ~ p(h|v)`` with ``offset + 2 i`` and ``v ~ p(v|h)`` with
    ``offset + 2 i + 1``, starting from ``v0`` or from ``chains``. Then, as in [4]_ sections 9 and 10,

        velocity = momentum * velocity + lr * (gradient - weight_decay * w),    w = w + velocity,

    without decay on the biases.

    Parameters
    ----------
    v0 : array in [0, 1], shape [B, V]
    w, b_vis, b_hid : arrays, shapes [V, H], [V], [H]
    k : int >= 1
    lr : float
    seed, offset : int
        Generator state; the update consumes ``2 k`` offsets.
    momentum : float in [0, 1)
    weight_decay : float >= 0
    velocity : three arrays, shapes [V, H], [V], [H], optional
        Zero when left out.
    chains : array of 0 and 1, shape [C, V], optional
        Persistent visible states; ``C`` need not be ``B``.

    Returns
    -------
    CDResult
    """
    data = np.asarray(v0, dtype=np.float64)
    parameters = [np.asarray(p, dtype=np.float64) for p in (w, b_vis, b_hid)]
    start = data if chains is None else np.asarray(chains, dtype=np.float64)
    visible: Any = start
    reconstruction_error: float | None = None
    for step in range(k):
        hidden, _ = gibbs_step(visible, w, b_hid, seed=seed, offset=offset + 2 * step)
        visible, _ = gibbs_step(hidden, w, b_vis, seed=seed, offset=offset + 2 * step + 1, transpose=True)
        if step == 0 and chains is None:
            reconstruction_error = float(np.mean((data - visible) ** 2))

    gradient = cd_gradient(data, visible, w, b_hid)
    old_velocity = velocity if velocity is not None else [np.zeros_like(p) for p in parameters]
    decay = (weight_decay, 0.0, 0.0)
    new_velocity = [
        momentum * np.asarray(old, dtype=np.float64) + lr * (g - d * p)
        for old, g, d, p in zip(old_velocity, gradient, decay, parameters, strict=True)
    ]
    new_w, new_b_vis, new_b_hid = (p + step for p, step in zip(parameters, new_velocity, strict=True))
    return CDResult(
        w=new_w,
        b_vis=new_b_vis,
        b_hid=new_b_hid,
        velocity=(new_velocity[0], new_velocity[1], new_velocity[2]),
        chains=np.asarray(visible, dtype=np.uint8),
        reconstruction_error=reconstruction_error,
        hidden_mean=float(linear(data, w, b_hid, activation="sigmoid").mean()),
    )


def free_energy(v: ArrayLike, w: ArrayLike, b_vis: ArrayLike, b_hid: ArrayLike) -> Float64Array:
    """Free energy, [4]_ eq. 25: ``-b_vis . v - sum_j softplus(b_j + (v w)_j) = -log sum_h exp(-E(v, h))``.

    Parameters
    ----------
    v : array, shape [B, V]
    w, b_vis, b_hid : arrays, shapes [V, H], [V], [H]

    Returns
    -------
    array of float64, shape [B]
        In nats.
    """
    v = np.asarray(v, dtype=np.float64)
    return np.asarray(-(v @ np.asarray(b_vis, dtype=np.float64)) - softplus(linear(v, w, b_hid)).sum(axis=1))


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


# Boltzmann machines on graphs


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
            uniform = _uniforms(seed, offset + sweep, np.asarray(i, dtype=np.uint64), chain)
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
    the draws. In an "asynchronous" sweep probe k is of free unit number ``floor(u m)`` of m, u the draw of (seed, offset,
    unit 2^32 - 1, sample k), and the state it draws is that of (seed, offset, unit k, chain).

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
            chosen = _uniforms(seed, at, np.asarray(0xFFFFFFFF, dtype=np.uint64), numbers.astype(np.uint64))
            probes = free[np.floor(chosen * len(free)).astype(np.intp)]
        for unit, number in zip(probes, numbers, strict=True):
            values = 2.0 * bits - 1.0 if spin else bits.astype(np.float64)
            x = (2.0 if spin else 1.0) * (bias[unit] + values @ weights[unit])
            uniform = _uniforms(seed, at, np.asarray(number, dtype=np.uint64), chain)
            with np.errstate(over="ignore"):
                on = uniform * (1.0 + np.exp(-x / schedule[sweep])) < 1.0
            bits[:, unit] = np.where(fixed[:, unit], bits[:, unit], on)
        if sweep >= sweeps - count_pairs:
            pairs += bits.T.astype(np.int64) @ bits.astype(np.int64)
    return (bits, pairs) if count_pairs else bits
