"""The bars problem: images of horizontal or of vertical bars, never both."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hintoncore.generator import RngLike, as_generator
from hintoncore.reference import all_states

__all__ = ["bars_distribution", "sample_bars"]


def bars_distribution(
    size: int = 4, *, bar: float = 0.2, vertical: float = 2 / 3
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """All images of the bars problem and their probabilities.

    First an orientation is chosen, vertical with probability ``vertical``; then each of its ``size`` bars is there with
    probability ``bar``, independently. The empty and the full image can come about either way.

    Parameters
    ----------
    size : int >= 1
        Rows and columns.
    bar, vertical : float in [0, 1]

    Returns
    -------
    images : array of float32 (0 or 1), shape [2 ** (size + 1) - 2, size * size]
    probabilities : array of float64
        They add up to 1.

    References
    ----------
    G. E. Hinton, P. Dayan, B. J. Frey, R. M. Neal, "The wake-sleep algorithm for unsupervised neural networks", Science
    268, 1995, figure 2.
    """
    present = all_states(size)
    chances = np.prod(np.where(present == 1, bar, 1 - bar), axis=1)
    columns = np.repeat(present[:, None, :], size, axis=1)
    rows = np.repeat(present[:, :, None], size, axis=2)
    images, index = np.unique(np.concatenate([columns, rows]).reshape(-1, size * size), axis=0, return_inverse=True)
    weights = np.concatenate([vertical * chances, (1 - vertical) * chances])
    return images.astype(np.float32), np.bincount(index.ravel(), weights=weights).astype(np.float64)


def sample_bars(n: int, *, rng: RngLike, size: int = 4) -> NDArray[np.float32]:
    """Draw ``n`` images, shape [n, size * size]; one offset is consumed."""
    images, probabilities = bars_distribution(size)
    draws = as_generator(rng).random((n,)).astype(np.float64)
    index = np.searchsorted(np.cumsum(probabilities), draws)
    return np.asarray(images[np.minimum(index, len(images) - 1)])
