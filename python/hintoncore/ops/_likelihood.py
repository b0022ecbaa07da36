"""Kernels of likelihood estimation; :mod:`hintoncore.ops` has them all, :mod:`hintoncore.likelihood` what to use."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._validate import Array, as_float32, given
from ..bitmatrix import BitMatrix
from ..generator import RngLike, as_generator

__all__ = ["anneal", "exact_log_z"]


def anneal(
    states: BitMatrix,
    log_weights: NDArray[np.float64],
    w: Array,
    b_vis: Array,
    b_hid: Array,
    betas: Array,
    *,
    rng: RngLike,
    b_base: Array | None = None,
) -> None:
    """Move chains through a sequence of inverse temperatures, adding up their importance weights.

    At inverse temperature ``beta`` the unnormalised distribution of visible states is

        f(v) = exp(((1 - beta) b_base + beta b_vis) . v) prod_j (1 + exp(beta (b_hid_j + v . w_j))):

    independent units at 0, the RBM at 1. For each further element of `betas` a chain's log weight grows by ``log f(v)``
    there minus ``log f(v)`` at the element before; then the chain takes a step of block Gibbs sampling there. One
    product of the states with `w` serves the weight and the hidden sample. A sequence may be cut at any element, and
    neither that nor the number of threads or the ISA level changes a bit of the weights.

    Parameters
    ----------
    states : BitMatrix, shape (C, V)
        Visible states of the chains at ``betas[0]``; advanced in place.
    log_weights : float64 array, shape (C,)
        Added to in place, in nats.
    w, b_vis, b_hid : arrays, shapes (V, H), (V,), (H,)
        Parameters of the RBM.
    betas : array of float32, shape (K + 1,)
        Inverse temperatures, each 0 or in [1e-9, 1]; rising for AIS, falling for reverse AIS.
    rng : Generator or int
        Uses 2*K offsets: step k samples hidden units with the first + 2*(k - 1), visible ones with the next.
    b_base : array, shape (V,), optional
        Visible biases of the base-rate model, `b_vis` when left out.

    Raises
    ------
    ValueError, TypeError
        For shapes that do not agree, NaN or infinities in a parameter, `betas` out of range. Nothing is changed then.

    References
    ----------
    Neal (2001), Annealed importance sampling; Salakhutdinov and Murray (2008), On the quantitative analysis of deep
    belief networks, eq. 11-16.
    """
    if not isinstance(states, BitMatrix):
        raise TypeError(f"states: expected a BitMatrix, got {given(states)}")
    if not isinstance(log_weights, np.ndarray) or log_weights.dtype != np.float64:
        raise TypeError(f"log_weights: is written in place: expected a float64 array, got {given(log_weights)}")
    biases = as_float32(b_vis, "b_vis", 1)
    base = biases if b_base is None else as_float32(b_base, "b_base", 1)
    schedule = as_float32(betas, "betas", 1)
    generator = as_generator(rng)
    with generator.reserve(2 * (len(schedule) - 1)) as offset:
        _core.ais(
            as_float32(w, "w", 2),
            biases,
            as_float32(b_hid, "b_hid", 1),
            base,
            schedule,
            states.words,
            states.batch,
            log_weights,
            generator.seed,
            offset,
        )


def exact_log_z(w: Array, b_vis: Array, b_hid: Array) -> float:
    """Log partition function of a Bernoulli RBM, enumerating its smaller layer.

    ``Z = sum_h exp(b_hid . h) prod_i (1 + exp(b_vis_i + w_i . h))``, or the same with the layers exchanged, in float64
    throughout: exact up to some 1e-15 of its size. Time is proportional to 2^units times the units of the other layer:
    16 x 784 take milliseconds on a core, 30 x 784 about a minute, and cannot be interrupted.

    Parameters
    ----------
    w, b_vis, b_hid : arrays, shapes (V, H), (V,), (H,)
        The smaller layer has at most 30 units.

    Returns
    -------
    float
        In nats.

    Raises
    ------
    ValueError, TypeError
        For shapes that do not agree, NaN or infinities, or two layers that are too large.

    References
    ----------
    Salakhutdinov and Murray (2008), On the quantitative analysis of deep belief networks, eq. 3 and section 6.
    """
    return _core.exact_log_z(as_float32(w, "w", 2), as_float32(b_vis, "b_vis", 1), as_float32(b_hid, "b_hid", 1))
