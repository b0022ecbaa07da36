"""Restricted Boltzmann machines of binary units: the half-step and the fused update."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from .. import _core, cuda
from .._validate import Array, as_float32, as_int, as_number, in_place, like
from ..bitmatrix import BitMatrix
from ..generator import RngLike, as_generator

__all__ = ["gibbs_step", "cd_update"]


def gibbs_step(
    v: BitMatrix | Array,
    w: Array,
    b: Array,
    *,
    rng: RngLike,
    transpose: bool = False,
    temperature: float = 1.0,
    return_probs: bool = False,
    first_sample: int = 0,
) -> Any:
    """Sample one layer of a Bernoulli RBM given the other.

    ``h ~ Bernoulli(sigmoid((b + v w) / temperature))``, or with ``transpose``
    ``v ~ Bernoulli(sigmoid((b + h w.T) / temperature))``.

    Parameters
    ----------
    v : BitMatrix or array, shape (B, V)
        States of the given layer; (B, H) when `transpose`. An array holds values in [0, 1]: zeros and ones take the
        table path, other values (real-valued data) a matrix product.
    w : array, shape (V, H)
        Weights.
    b : array, shape (H,), or (V,) when `transpose`
        Biases of the sampled layer.
    rng : Generator or int
        Uses one offset. An int is the seed of a fresh generator.
    temperature : float > 0
        Divides the pre-activation.
    return_probs : bool
        Also return the probabilities.
    first_sample : int
        Index of the first row in a larger batch, a multiple of 64: splitting a batch does not change the draws.

    Returns
    -------
    sample : BitMatrix or array of 0/1, shape (B, H) or (B, V)
        Of the same kind as `v`.
    probs : array of float32, shape of the sample
        Only with `return_probs`.

    Raises
    ------
    ValueError, TypeError
        For shapes that do not agree, states outside [0, 1], NaN or infinities in `w` or `b`, temperature <= 0.

    References
    ----------
    Hinton (2002), Training products of experts by minimizing contrastive divergence; Smolensky (1986), eq. for P(h|v).
    """
    if cuda.is_cuda_array(v):
        generator = as_generator(rng)
        with generator.reserve(1) as offset:
            return cuda.gibbs_step(
                v,
                w,
                b,
                seed=generator.seed,
                offset=offset,
                transpose=transpose,
                temperature=temperature,
                return_probs=return_probs,
                first_sample=first_sample,
            )
    packed = isinstance(v, BitMatrix)
    states: NDArray[Any] = v.words if isinstance(v, BitMatrix) else as_float32(v, "h" if transpose else "v", 2)
    weights, bias = as_float32(w, "w", 2), as_float32(b, "b", 1)
    temperature = as_number(temperature, "temperature")
    first_sample = as_int(first_sample, "first_sample", 0, 2**34)
    generator = as_generator(rng)
    batch = v.batch if isinstance(v, BitMatrix) else states.shape[0]
    with generator.reserve(1) as offset:
        sample, probs = _core.gibbs_step(
            states,
            packed,
            batch,
            weights,
            bias,
            bool(transpose),
            temperature,
            generator.seed,
            offset,
            first_sample,
            bool(return_probs),
        )
    out = BitMatrix._of(sample, batch) if packed else like(v, sample)
    if not return_probs:
        return out
    return out, (probs if packed else like(v, probs))


def cd_update(
    v0: BitMatrix | Array,
    w: Array,
    b_vis: Array,
    b_hid: Array,
    *,
    k: int = 1,
    lr: float,
    rng: RngLike,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    velocity: tuple[Array, Array, Array] | None = None,
    chains: BitMatrix | None = None,
) -> dict[str, float | None]:
    """One update of a Bernoulli RBM by contrastive divergence, or by persistent CD when `chains` are given.

    The gradient is ``mean(v0 p(h|v0)^T) - mean(vk p(h|vk)^T)``, biases alike; hidden units and reconstructions are
    sampled, both statistics use hidden probabilities. Then
    ``velocity = momentum * velocity + lr * (gradient - weight_decay * w)`` and ``w += velocity``; biases have no decay.
    The whole step runs in one call on bit-packed states.

    Parameters
    ----------
    v0 : BitMatrix or array, shape (B, V)
        Data, values in [0, 1].
    w, b_vis, b_hid : float32 arrays, shapes (V, H), (V,), (H,)
        Parameters, updated in place.
    k : int >= 1
        Gibbs alternations of the negative phase.
    lr : float >= 0
        Learning rate.
    rng : Generator or int
        Uses 2*k offsets.
    momentum : float in [0, 1)
        Needs `velocity` when above 0.
    weight_decay : float >= 0
        L2 penalty on `w`.
    velocity : tuple of three float32 arrays shaped like w, b_vis, b_hid
        Updated in place.
    chains : BitMatrix, shape (C, V)
        Persistent visible states for PCD; advanced k steps in place. C need not be B.

    Returns
    -------
    dict
        ``reconstruction_error``: mean over batch and visibles of (v0 - v1)^2, v1 the first sampled reconstruction (None
        for PCD, which makes none). ``hidden_mean``: mean of p(h|v0).

    Raises
    ------
    ValueError, TypeError
        For shapes that do not agree, data outside [0, 1], NaN or infinities in the parameters, read-only or
        non-contiguous parameters. Nothing is changed then.
    FloatingPointError
        The update produced NaN or infinite weights (which `w` now holds): the learning rate is too large.

    References
    ----------
    Hinton (2002), Neural Computation 14, eq. 8-9; Tieleman (2008), ICML (PCD); Hinton (2010), A practical guide to
    training restricted Boltzmann machines, sections 3, 9 and 10.
    """
    packed = isinstance(v0, BitMatrix)
    data: NDArray[Any] = v0.words if isinstance(v0, BitMatrix) else as_float32(v0, "v0", 2)
    batch = v0.batch if isinstance(v0, BitMatrix) else data.shape[0]
    weights, vis, hid = in_place(w, "w", 2), in_place(b_vis, "b_vis", 1), in_place(b_hid, "b_hid", 1)
    if velocity is not None:
        if not isinstance(velocity, (tuple, list)) or len(velocity) != 3:
            raise TypeError("velocity: expected a tuple of three arrays shaped like w, b_vis, b_hid")
        velocity = (
            in_place(velocity[0], "velocity[0]", 2),
            in_place(velocity[1], "velocity[1]", 1),
            in_place(velocity[2], "velocity[2]", 1),
        )
    if chains is not None and not isinstance(chains, BitMatrix):
        raise TypeError(f"chains: expected a BitMatrix, got {type(chains).__name__}")
    k = as_int(k, "k", 1, 2**31 - 1)
    generator = as_generator(rng)
    with generator.reserve(2 * k) as offset:
        return _core.cd_update(
            data,
            packed,
            batch,
            weights,
            vis,
            hid,
            k,
            as_number(lr, "lr"),
            as_number(momentum, "momentum"),
            as_number(weight_decay, "weight_decay"),
            velocity,
            None if chains is None else chains.words,
            0 if chains is None else chains.batch,
            generator.seed,
            offset,
        )
