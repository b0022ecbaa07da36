"""The meaning of the Gibbs half-step in a few lines of NumPy, in float64 and on dense arrays.

Written on its own, not from `hintoncore.reference`, so that each can be held against the other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MASK = np.uint64(0xFFFFFFFF)


def philox4x32_10(counter: list[NDArray[np.uint64]], key: tuple[int, int]) -> list[NDArray[np.uint64]]:
    c = list(counter)
    k0, k1 = key
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [
            (p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0),
            p1 & MASK,
            (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1),
            p0 & MASK,
        ]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c


def uniforms(seed: int, offset: int, batch: int, units: int) -> NDArray[np.float64]:
    """The draws of a layer, [batch, units]."""
    s = np.arange(batch, dtype=np.uint64)[:, None] + np.zeros((1, units), np.uint64)
    u = np.arange(units, dtype=np.uint64)[None, :] + np.zeros((batch, 1), np.uint64)
    low, high = np.full_like(s, offset & 0xFFFFFFFF), np.full_like(s, offset >> 32)
    words = philox4x32_10(
        [s // np.uint64(64) * np.uint64(16) + s % np.uint64(16), u, low, high],
        (seed & 0xFFFFFFFF, seed >> 32),
    )
    word = np.choose((s % np.uint64(64) // np.uint64(16)).astype(np.intp), words)
    grid: NDArray[np.float64] = (word >> np.uint64(9)).astype(np.float64)
    return (grid + 0.5) * 2.0**-23


def pack(dense: NDArray[np.float32]) -> NDArray[np.uint64]:
    """0/1 [batch, units] -> words [units, ceil(batch / 64)]."""
    batch, units = dense.shape
    padded = np.zeros((units, (batch + 63) // 64 * 64), np.uint8)
    padded[:, :batch] = dense.T != 0
    packed = np.packbits(padded, axis=1, bitorder="little")
    return np.ascontiguousarray(packed).view("<u8").astype(np.uint64)


def gibbs(
    v: NDArray[np.float32],
    w: NDArray[np.float32],
    b: NDArray[np.float32],
    seed: int,
    offset: int,
    temperature: float = 1.0,
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Sample, probabilities and how near each draw came to its threshold (0: on it). w is [n_in, n_out]."""
    with np.errstate(over="ignore"):
        odds = 1.0 + np.exp(-(b.astype(np.float64) + v.astype(np.float64) @ w.astype(np.float64)) / temperature)
        level = uniforms(seed, offset, v.shape[0], w.shape[1]) * odds
    return (level < 1.0).astype(np.float32), 1.0 / odds, np.abs(level - 1.0)
