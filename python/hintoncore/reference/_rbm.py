"""Restricted Boltzmann machines of binary units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._dense import linear, matmul, sigmoid, softplus
from ._random import layer_uniforms

__all__ = ["CDResult", "cd_gradient", "cd_update", "free_energy", "gibbs_step", "weight_update"]

Float64Array = NDArray[np.float64]


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
