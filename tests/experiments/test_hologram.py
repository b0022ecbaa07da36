"""The hologram experiment: what counts as recalled, and a quick run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from quick import check_quick

from hintoncore.experiments.hologram import lesion, recalled


def test_recalled_asks_for_enough_pixels_and_the_nearest_picture() -> None:
    pictures = np.zeros((2, 40), np.float32)
    pictures[1, :3] = 1
    pixels = np.ones(40, bool)
    assert recalled(pictures, pictures, pixels).all()
    out = pictures.copy()
    out[0, :2] = 1  # 95 % right, but nearer to the other picture
    out[1, 20:22] = 1  # 95 % right
    assert recalled(out, pictures, pixels).tolist() == [False, True]
    out[1, 22] = 1  # 92.5 %
    assert not recalled(out, pictures, pixels)[1]
    assert recalled(out, pictures, np.arange(40) < 10).tolist() == [False, True]


def test_lesions_destroy_their_share() -> None:
    left = lesion((1000, 100), 0.3, np.random.default_rng(0)).mean()
    assert abs(left - 0.7) < 5.5 * np.sqrt(0.21 / 100000)  # false alarms 4e-8


def test_quick(tmp_path: Path) -> None:
    report = check_quick("hologram", tmp_path)
    assert set(report["by_seed"]["0"]) == {"worst", "willshaw", "holographic", "hopfield", "rbm"}
