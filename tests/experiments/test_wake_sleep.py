"""The bars problem and the wake-sleep experiment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from quick import check_quick

from hintoncore.experiments._bars import bars_distribution, sample_bars
from hintoncore.experiments.wake_sleep import bars_divergence
from hintoncore.models import HelmholtzMachine


def test_quick(tmp_path: Path) -> None:
    report = check_quick("wake-sleep", tmp_path)
    assert report["seeds"] == [0]


def test_bars_distribution() -> None:
    """30 images; blank, one vertical bar and the full image have the probabilities of their definition."""
    images, p = bars_distribution()
    assert images.shape == (30, 16)
    assert p.sum() == pytest.approx(1.0)
    by_image = {tuple(image.astype(int)): chance for image, chance in zip(images, p, strict=True)}
    column, row = np.zeros((4, 4), int), np.zeros((4, 4), int)
    column[:, 1] = row[2] = 1
    assert by_image[(0,) * 16] == pytest.approx(0.8**4)
    assert by_image[(1,) * 16] == pytest.approx(0.2**4)
    assert by_image[tuple(column.ravel())] == pytest.approx(2 / 3 * 0.2 * 0.8**3)
    assert by_image[tuple(row.ravel())] == pytest.approx(1 / 3 * 0.2 * 0.8**3)


def test_samples_follow_the_distribution() -> None:
    """100,000 draws: each image's share within 5.5 standard errors."""
    images, p = bars_distribution()
    draws = sample_bars(100_000, rng=3)
    codes = draws.astype(int) @ (1 << np.arange(16))
    shares = np.array([(codes == code).mean() for code in images.astype(int) @ (1 << np.arange(16))])
    assert shares.sum() == pytest.approx(1.0)
    assert (np.abs(shares - p) < 5.5 * np.sqrt(p * (1 - p) / len(draws))).all()


def test_divergence_of_independent_pixels() -> None:
    """Without weights the model is a product of Bernoullis, whose divergence is written out here."""
    machine = HelmholtzMachine((16, 8, 1), seed=0)
    machine.generative.w[0][...] = 0
    machine.generative.b[0][...] = -1.0
    images, p = bars_distribution()
    on = 1 / (1 + np.exp(1.0))
    log_model = images.sum(axis=1) * np.log2(on) + (16 - images.sum(axis=1)) * np.log2(1 - on)
    assert bars_divergence(machine) == pytest.approx((p * (np.log2(p) - log_model)).sum(), abs=1e-5)
