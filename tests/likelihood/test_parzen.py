"""Parzen windows against their formula, the choice of a bandwidth, bad input."""

from __future__ import annotations

import numpy as np
import pytest

from hintoncore.likelihood import best_bandwidth, parzen_log_likelihood


def test_against_the_formula() -> None:
    rng = np.random.default_rng(0)
    samples, x = rng.standard_normal((700, 5)), 2 * rng.standard_normal((1100, 5))
    for bandwidth in (0.3, 1.7):
        squares = np.square(x[:, None, :] - samples).sum(axis=2)
        density = np.exp(-squares / (2 * bandwidth**2)).mean(axis=1) / (2 * np.pi * bandwidth**2) ** 2.5
        found = parzen_log_likelihood(samples, x, bandwidth)
        assert found.dtype == np.float64
        seen = density > 1e-250
        np.testing.assert_allclose(found[seen], np.log(density[seen]), rtol=1e-9)
        assert np.isfinite(found).all()


def test_far_rows_do_not_underflow() -> None:
    found = parzen_log_likelihood(np.zeros((3, 2)), [[1000.0, 0.0]], 0.1)
    np.testing.assert_allclose(found, -0.5e8 - np.log(2 * np.pi * 0.01))


def test_bandwidth_of_a_gaussian() -> None:
    """Kernels on one point are the Gaussian itself: the likeliest width is nearest to its spread."""
    x = 0.5 * np.random.default_rng(1).standard_normal((4000, 3))
    assert best_bandwidth(np.zeros((1, 3)), x, [0.1, 0.3, 0.5, 0.7, 2.0]) == 0.5


def test_errors() -> None:
    x = np.zeros((2, 3))
    with pytest.raises(ValueError, match="x"):
        parzen_log_likelihood(x, np.zeros((2, 4)), 1.0)
    with pytest.raises(ValueError, match="bandwidth"):
        parzen_log_likelihood(x, x, 0.0)
    with pytest.raises(ValueError, match="samples"):
        parzen_log_likelihood(np.zeros((0, 3)), x, 1.0)
    with pytest.raises(ValueError, match="x"):
        parzen_log_likelihood(x, np.full((1, 3), np.nan), 1.0)
    with pytest.raises(ValueError, match="candidates"):
        best_bandwidth(x, x, [])
