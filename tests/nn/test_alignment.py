"""Cosines between updates."""

from __future__ import annotations

import numpy as np
import pytest

from hintoncore import nn


def test_cosine_of_known_angles() -> None:
    a = np.array([[3.0, 0.0], [4.0, 0.0]], np.float32)
    assert nn.cosine(a, 7 * a) == pytest.approx(1, abs=1e-12)
    assert nn.cosine(a, -a) == pytest.approx(-1, abs=1e-12)
    assert nn.cosine(a, np.array([[0, 1], [0, 2]])) == 0
    assert nn.cosine(a, np.array([[5.0, 0], [0, 0]])) == pytest.approx(0.6, abs=1e-12)
    assert nn.cosine(a, np.zeros((2, 2))) == 0


def test_sums_are_float64() -> None:
    """In float32 the small parts would vanish beside the large one."""
    a = np.array([1e4] + [1e-3] * 10_000, np.float32)
    b = np.array([0.0] + [1e-3] * 10_000, np.float32)
    assert nn.cosine(a, b) == pytest.approx(1e-3 * 100 / np.sqrt(1e8 + 1e-2), rel=1e-6)


def test_alignment_is_by_name_and_leaves_out_what_was_not_found() -> None:
    rng = np.random.default_rng(0)
    found = {"w": rng.normal(size=(4, 3)), "b": rng.normal(size=3)}
    expected = {"b": -found["b"], "w": 2 * found["w"], "other": np.ones(2)}
    result = nn.alignment(found, expected)
    assert list(result) == ["w", "b"]
    assert result == pytest.approx({"w": 1.0, "b": -1.0})


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"b: expected the shape of a, \(3,\), given .*\(2,\)"):
        nn.cosine(np.ones(3), np.ones(2))
    with pytest.raises(ValueError, match="finite"):
        nn.cosine(np.array([1, np.nan]), np.ones(2))
    with pytest.raises(KeyError):
        nn.alignment({"w": np.ones(2)}, {})
