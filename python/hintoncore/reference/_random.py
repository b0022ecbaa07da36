"""Counter-based random numbers: Philox4x32-10 and what is drawn with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["flat_uniforms", "layer_uniforms", "philox4x32_10", "standard_normals", "uniforms"]

Float64Array = NDArray[np.float64]

_MASK32 = np.uint64(0xFFFFFFFF)
_SHIFT32 = np.uint64(32)
_PHILOX_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_PHILOX_WEYL = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))
_PHILOX_ROUNDS = 10


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


def uniforms(seed: int, offset: int, unit: NDArray[np.uint64], sample: NDArray[np.uint64]) -> Float64Array:
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
    return uniforms(seed, offset, unit, sample)


def flat_uniforms(seed: int, offset: int, n: int) -> Float64Array:
    """First ``n`` elements of a flat fill, as ``Generator.random`` makes it.

    Element ``e`` is sample ``e`` of unit ``e // 2**32``.

    Returns
    -------
    array of float64, shape [n], in (0, 1)
    """
    element = np.arange(n, dtype=np.uint64)
    return uniforms(seed, offset, element >> _SHIFT32, element & _MASK32)


def standard_normals(seed: int, offset: int, n: int) -> Float64Array:
    """First ``n`` elements of a flat normal fill: Box-Muller on the fills of ``offset`` and ``offset + 1``.

    Returns
    -------
    array of float64, shape [n]
    """
    radius = np.sqrt(-2.0 * np.log(flat_uniforms(seed, offset, n)))
    return np.asarray(radius * np.cos(2.0 * np.pi * flat_uniforms(seed, offset + 1, n)), dtype=np.float64)
