"""Independent random streams from one user-facing seed.

Everything random that belongs to a model (initial weights, data order, Gibbs draws, monitoring) has a key of
its own. So an extra sample or a different monitor never shifts the numbers that training uses.
"""

from __future__ import annotations

import enum

import numpy as np

from hintoncore.reference import philox4x32_10

__all__ = ["Stream", "derive_seed"]

_DOMAIN = 0x48696E74  # keeps these counters apart from those of the draws


class Stream(enum.IntEnum):
    """What a derived seed is used for; the numbers are part of the reproducibility promise."""

    WEIGHTS = 0
    ORDER = 1
    TRAINING = 2
    CHAINS = 3
    SAMPLING = 4
    MONITORING = 5


def derive_seed(seed: int, stream: Stream, index: int = 0) -> int:
    """Seed of stream ``stream`` of ``seed``, a 64-bit number; ``index`` < 2**64 numbers streams of one use."""
    counter = np.array([stream, index & 0xFFFFFFFF, index >> 32, _DOMAIN], dtype=np.uint64)
    key = np.array([seed & 0xFFFFFFFF, seed >> 32], dtype=np.uint64)
    words = philox4x32_10(counter, key)
    return int(words[0]) | int(words[1]) << 32
