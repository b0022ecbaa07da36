"""The quick relu-stack, and the jitter of its faces."""

from pathlib import Path

import numpy as np
from quick import check_quick

from hintoncore import Generator
from hintoncore.experiments.relu_stack import jittered


def test_quick(tmp_path: Path) -> None:
    check_quick("relu-stack", tmp_path)


def test_jitter_turns_scales_and_moves() -> None:
    """A ramp stays a ramp under interpolation: its slope tells scale and turn, its middle the movement."""
    rows, columns = np.mgrid[:64, :64].astype(np.float32)
    n = 200
    for ramp, slope in ((rows, (1.0, 0.0)), (columns, (0.0, 1.0))):
        middle = jittered(np.tile(ramp, (n, 1, 1)), Generator(3)).reshape(n, 32, 32)[:, 12:20, 12:20]
        down, across = np.diff(middle, axis=1), np.diff(middle, axis=2)
        np.testing.assert_allclose(down, down[:, :1, :1] * np.ones_like(down), atol=1e-4)
        np.testing.assert_allclose(across, across[:, :1, :1] * np.ones_like(across), atol=1e-4)
        gradient = np.stack([down[:, 0, 0], across[:, 0, 0]], axis=1)
        scale = 2.0 / np.linalg.norm(gradient, axis=1)  # the result has half the pixels
        turn = np.degrees(np.arccos((gradient @ np.array(slope)) * scale / 2.0))
        moved = middle.mean(axis=(1, 2)) - 31.5
        for value, low, high in ((scale, 0.85, 1.15), (moved, -6.0, 6.0)):
            assert low - 1e-3 <= value.min() < low + 0.1 * (high - low)
            assert high - 0.1 * (high - low) < value.max() <= high + 1e-3
        assert 13 < turn.max() <= 15 + 1e-2
    face = np.random.default_rng(0).random((3, 64, 64), dtype=np.float32)
    assert jittered(face, Generator(1)).shape == (3, 1024)
    assert np.ptp(jittered(np.full((5, 64, 64), 0.25, np.float32), Generator(2))) < 1e-12
