"""Images as bits: each grey value the probability of its pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hintoncore.bitmatrix import BitMatrix
from hintoncore.datasets import binarize_stochastic

__all__ = ["binarizations"]


def binarizations(images: NDArray[np.float32], draws: int, *, first: int = 0) -> BitMatrix:
    """``draws`` independent samples of the bits of all images, one set after the other, with seeds from ``first`` on.

    From a single sample a model learns the noise too.
    """
    words = [binarize_stochastic(images, rng=first + draw).transpose().words for draw in range(draws)]
    return BitMatrix(np.concatenate(words), images.shape[1]).transpose()
