"""The gradient of contrastive divergence as arrays, and the update of weights from one.

Together they are `cd_update` in two calls, for learning rules that do more between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._validate import Array, as_float32, as_int, as_number, in_place
from ..bitmatrix import BitMatrix
from ..generator import RngLike, as_generator

__all__ = ["CDGradient", "cd_gradient", "weight_update"]

_MAX_STEPS = 2**31 - 1


@dataclass(frozen=True)
class CDGradient:
    """What `cd_gradient` returns: means over the data and over the end of the negative phase.

    Attributes
    ----------
    w : array of float32, shape (V, H)
        ``mean(v0 p(h|v0)^T) - mean(vk p(h|vk)^T)``.
    data_vis, data_hid : arrays of float32, shapes (V,), (H,)
        Means of v0 and of p(h|v0).
    model_vis, model_hid : arrays of float32, shapes (V,), (H,)
        Means of vk and of p(h|vk).
    stats : dict
        ``reconstruction_error`` and ``hidden_mean``, as of `cd_update`.
    """

    w: NDArray[np.float32]
    data_vis: NDArray[np.float32]
    data_hid: NDArray[np.float32]
    model_vis: NDArray[np.float32]
    model_hid: NDArray[np.float32]
    stats: dict[str, float | None]

    @property
    def b_vis(self) -> NDArray[np.float32]:
        """Gradient of the visible biases, shape (V,)."""
        return self.data_vis - self.model_vis

    @property
    def b_hid(self) -> NDArray[np.float32]:
        """Gradient of the hidden biases, shape (H,)."""
        return self.data_hid - self.model_hid


def cd_gradient(
    v0: BitMatrix | Array,
    w: Array,
    b_vis: Array,
    b_hid: Array,
    *,
    k: int = 1,
    rng: RngLike,
    chains: BitMatrix | None = None,
    negative: Sequence[Array] | None = None,
    out: Array | None = None,
) -> CDGradient:
    """The gradient that `cd_update` follows, without the update.

    The negative phase starts from the hidden sample of the data (CD), or from persistent `chains`.

    Parameters
    ----------
    v0 : BitMatrix or array, shape (B, V)
        Data, values in [0, 1].
    w, b_vis, b_hid : arrays, shapes (V, H), (V,), (H,)
        Parameters of the positive phase.
    k : int >= 1
        Gibbs alternations of the negative phase. With `chains`, 0 takes them as they are: the negative samples are
        another sampler's.
    rng : Generator or int
        Uses 2*k offsets.
    chains : BitMatrix, shape (C, V)
        Persistent visible states, advanced k steps in place. C need not be B.
    negative : three arrays shaped like w, b_vis, b_hid
        Parameters of the negative phase, its hidden probabilities included, when they are others: w plus fast weights,
        for one. (The hidden sample of the data that starts CD is still drawn under the positive ones.)
    out : float32 array, shape (V, H)
        Receives the gradient of w; allocated when left out.

    Returns
    -------
    CDGradient

    Raises
    ------
    ValueError, TypeError
        For shapes that do not agree, data outside [0, 1], NaN or infinities in the parameters. The chains are not
        advanced then.

    References
    ----------
    Hinton (2002), Neural Computation 14, eq. 8-9; Tieleman (2008), ICML; Tieleman and Hinton (2009), ICML, section 4.
    """
    packed = isinstance(v0, BitMatrix)
    data: NDArray[Any] = v0.words if isinstance(v0, BitMatrix) else as_float32(v0, "v0", 2)
    batch = v0.batch if isinstance(v0, BitMatrix) else data.shape[0]
    weights, vis, hid = as_float32(w, "w", 2), as_float32(b_vis, "b_vis", 1), as_float32(b_hid, "b_hid", 1)
    other = None
    if negative is not None:
        if not isinstance(negative, (tuple, list)) or len(negative) != 3:
            raise TypeError("negative: expected a tuple of three arrays shaped like w, b_vis, b_hid")
        other = (
            as_float32(negative[0], "negative[0]", 2),
            as_float32(negative[1], "negative[1]", 1),
            as_float32(negative[2], "negative[2]", 1),
        )
    if chains is not None and not isinstance(chains, BitMatrix):
        raise TypeError(f"chains: expected a BitMatrix, got {type(chains).__name__}")
    grad = np.empty_like(weights) if out is None else in_place(out, "out", 2)
    if any(np.may_share_memory(grad, x) for x in (data, weights, vis, hid, *(other or ()))):
        raise ValueError("out: is written while the other arguments are read and must not share memory with them")
    k = as_int(k, "k", 1 if chains is None else 0, _MAX_STEPS)
    generator = as_generator(rng)
    with generator.reserve(2 * k) as offset:
        data_vis, data_hid, model_vis, model_hid, stats = _core.cd_gradient(
            data,
            packed,
            batch,
            weights,
            vis,
            hid,
            k,
            other,
            None if chains is None else chains.words,
            0 if chains is None else chains.batch,
            grad,
            generator.seed,
            offset,
        )
    return CDGradient(grad, data_vis, data_hid, model_vis, model_hid, stats)


def weight_update(
    w: Array,
    grad: Array,
    *,
    lr: float,
    momentum: float = 0.0,
    velocity: Array | None = None,
    weight_decay: float = 0.0,
    l1: float = 0.0,
    outer: tuple[Array, Array] | None = None,
    offsets: tuple[Array, Array] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Update weights from a gradient that is to be followed upwards, in one pass over them.

    ``velocity = momentum * velocity + lr * (grad - left.T @ right - weight_decay * w - l1 * sign(w))``, then
    ``w += velocity``. Without `velocity`, momentum is 0.

    Parameters
    ----------
    w : float32 array, shape (V, H)
        Updated in place.
    grad : array, shape (V, H)
    lr : float >= 0
        Learning rate.
    momentum : float in [0, 1)
        Needs `velocity` when above 0.
    velocity : float32 array, shape (V, H)
        Updated in place.
    weight_decay, l1 : float >= 0
        L2 and L1 penalties; sign(0) is 0.
    outer : (left, right), arrays of shapes (T, V) and (T, H), T <= 64
        Sums of outer products to take off the gradient, without an array of them: what centring and sparsity targets
        change.
    offsets : (mu, lambda), arrays of shapes (V,) and (H,)
        Of a centred machine: asks for the two sums that its biases need.

    Returns
    -------
    None, or with `offsets` (velocity @ lambda, mu @ velocity), arrays of float32, shapes (V,) and (H,)
        With no array `velocity`, of the step made.

    Raises
    ------
    ValueError, TypeError
        For shapes that do not agree, NaN or infinities in `outer` or `offsets`. Nothing is changed then.
    FloatingPointError
        The update produced NaN or infinite weights (which `w` now holds): the learning rate is too large.

    References
    ----------
    Hinton (2010), A practical guide to training restricted Boltzmann machines, sections 9-11; Melchior, Fischer and
    Wiskott (2016), How to center deep Boltzmann machines, JMLR 17, eq. 9-10.
    """
    weights, gradient = in_place(w, "w", 2), as_float32(grad, "grad", 2)
    moving = None if velocity is None else in_place(velocity, "velocity", 2)
    factors = None if outer is None else _pair(outer, "outer", 2)
    means = None if offsets is None else _pair(offsets, "offsets", 1)
    written = [weights] if moving is None else [weights, moving]
    read = [gradient, *(factors or ()), *(means or ())]
    if any(np.may_share_memory(x, y) for x in written for y in read) or (
        moving is not None and np.may_share_memory(weights, moving)
    ):
        raise ValueError("w, velocity: are written in place and must not share memory with the other arguments")
    return _core.weight_update(
        weights,
        gradient,
        as_number(lr, "lr"),
        as_number(momentum, "momentum"),
        moving,
        as_number(weight_decay, "weight_decay"),
        as_number(l1, "l1"),
        factors,
        means,
    )


def _pair(x: object, name: str, ndim: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    if not isinstance(x, (tuple, list)) or len(x) != 2:
        raise TypeError(f"{name}: expected a pair of arrays")
    return as_float32(x[0], f"{name}[0]", ndim), as_float32(x[1], f"{name}[1]", ndim)
