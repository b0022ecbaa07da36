"""The gradient of contrastive divergence as arrays, for learning rules that do more with it than `cd_update`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._validate import Array, as_float32, as_int, in_place
from .bitmatrix import BitMatrix
from .generator import RngLike, as_generator

__all__ = ["CDGradient", "cd_gradient"]

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
