"""Sums of outer products: exact on integers, at every edge of the tiles, for any number of threads."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest

import hintoncore as hc
from hintoncore import ops
from hintoncore import reference as ref

AtLevel = Callable[[str], AbstractContextManager[None]]
SetThreads = Callable[[int], None]

# (B, I, O): chunks of 60 samples, words of 64, groups of 5; blocks of 16 units, 4 of them a tile; 64 dense rows a tile.
SHAPES = [(1, 1, 1), (3, 5, 2), (59, 7, 15), (60, 64, 16), (61, 65, 17), (64, 63, 64), (65, 66, 65), (121, 30, 130)]
SHAPES += [(200, 129, 33), (5, 300, 70)]


def operands(
    batch: int, n_in: int, n_out: int, kind: str
) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Integers throughout, so that every sum is exact: ``(x, dense x, y, w, b)``."""
    rng = np.random.default_rng([batch, n_in, n_out])
    states = (rng.random((batch, n_in)) < 0.4).astype(np.float32)
    if kind == "dense":
        states = rng.integers(-4, 5, states.shape).astype(np.float32)
    x: Any = hc.BitMatrix.from_dense(states) if kind == "bits" else states
    y, w, b = (rng.integers(-8, 9, shape).astype(np.float32) for shape in ((batch, n_out), (n_in, n_out), (n_out,)))
    return x, states, y, w, b


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", ["bits", "dense"])
def test_integers_are_exact(isa: str, set_threads: SetThreads, shape: tuple[int, int, int], kind: str) -> None:
    x, states, y, w, b = operands(*shape, kind)
    expected_w, expected_b = ref.outer_update(states, y, w, b, rate=-0.5)
    for threads in (1, 2, 3, 8):
        set_threads(threads)
        found_w, found_b = w.copy(), b.copy()
        ops.outer_update(x, y, found_w, found_b, rate=-0.5)
        np.testing.assert_array_equal(found_w, expected_w)
        np.testing.assert_array_equal(found_b, expected_b)
        without_bias = w.copy()
        ops.outer_update(x, y, without_bias, rate=-0.5)
        np.testing.assert_array_equal(without_bias, expected_w)


@pytest.mark.parametrize("kind", ["bits", "dense"])
def test_floats_within_the_rounding_of_their_sums(isa: str, kind: str) -> None:
    x, states, _, w, b = operands(130, 70, 37, kind)
    y = np.random.default_rng(3).normal(size=(130, 37)).astype(np.float32)
    found_w, found_b = w.copy(), b.copy()
    ops.outer_update(x, y, found_w, found_b, rate=0.01)
    expected_w, expected_b = ref.outer_update(states, y, w, b, rate=0.01)
    slack = np.finfo(np.float32).eps * 132
    assert (np.abs(found_w - expected_w) <= slack * (0.01 * np.abs(states).T @ np.abs(y) + np.abs(w))).all()
    assert (np.abs(found_b - expected_b) <= slack * (0.01 * np.abs(y).sum(axis=0) + np.abs(b))).all()


@pytest.mark.parametrize("kind", ["bits", "dense"])
def test_threads_do_not_change_a_bit(set_threads: SetThreads, kind: str) -> None:
    x, _, _, w, b = operands(130, 70, 300, kind)
    y = np.random.default_rng(3).normal(size=(130, 300)).astype(np.float32)
    found = []
    for threads in (1, 2, 3, 8):
        set_threads(threads)
        found.append((w.copy(), b.copy()))
        ops.outer_update(x, y, *found[-1], rate=0.3)
    for other_w, other_b in found[1:]:
        np.testing.assert_array_equal(other_w, found[0][0])
        np.testing.assert_array_equal(other_b, found[0][1])


@pytest.mark.parametrize("kind", ["bits", "dense"])
def test_what_is_not_finite_is_an_error(isa: str, kind: str) -> None:
    x, states, y, w, b = operands(61, 20, 19, kind)
    states[60, 3] = 1.0
    x = hc.BitMatrix.from_dense(states) if kind == "bits" else states
    for bad in (np.nan, np.inf):
        poisoned = y.copy()
        poisoned[60, 18] = bad
        with pytest.raises(FloatingPointError, match="w, b"):
            ops.outer_update(x, poisoned, w.copy(), rate=0.1)
        full = w.copy()
        full[19, 18] = bad
        with pytest.raises(FloatingPointError, match="w, b"):
            ops.outer_update(x, y, full, rate=0.1)
        biases = b.copy()
        biases[18] = bad
        with pytest.raises(FloatingPointError, match="w, b"):
            ops.outer_update(x, y, w.copy(), biases, rate=0.1)


def test_bad_arguments_are_refused_by_name() -> None:
    x, states, y, w, b = operands(8, 6, 5, "bits")
    before = w.copy()
    cases: list[tuple[str, type[Exception], tuple[Any, ...], Any]] = [
        ("x", ValueError, (hc.BitMatrix.zeros((8, 7)), y, w, b), 0.1),
        ("x", ValueError, (states[:, :5].copy(), y, w, b), 0.1),
        ("y", ValueError, (x, y[:7].copy(), w, b), 0.1),
        ("y", ValueError, (x, y[:, :4].copy(), w, b), 0.1),
        ("b", ValueError, (x, y, w, b[:4].copy()), 0.1),
        ("w", TypeError, (x, y, w.astype(np.float64), b), 0.1),
        ("w", ValueError, (x, y, w.T, b), 0.1),
        ("rate", ValueError, (x, y, w, b), np.nan),
        ("rate", TypeError, (x, y, w, b), "fast"),
        ("x", TypeError, ("bits", y, w, b), 0.1),
        ("w", ValueError, (states, w[:1].repeat(8, axis=0), w, w[0]), 0.1),
        ("y", ValueError, (np.zeros((6, 6), np.float32), w, w, b), 0.1),
    ]
    for name, kind, arguments, rate in cases:
        with pytest.raises(kind, match=name):
            ops.outer_update(*arguments, rate=rate)
    np.testing.assert_array_equal(w, before)
