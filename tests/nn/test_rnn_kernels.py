"""The recurrent layer over whole sequences against its reference, at every ISA level."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from central_differences import assert_gradient

from hintoncore import ops
from hintoncore import reference as ref

SetThreads = Callable[[int], None]
AtLevel = Callable[[str], AbstractContextManager[None]]

ACTIVATIONS = ["none", "relu", "sigmoid", "tanh"]
# Steps, batch, units: each alone 1; tiles of the batch and of units ragged, full, and one more; blocks of steps ragged.
SHAPES = [
    (1, 1, 1),
    (3, 1, 5),
    (4, 5, 1),
    (1, 13, 17),
    (7, 12, 32),
    (5, 25, 33),
    (70, 64, 15),
    (60, 37, 9),
    (3, 100, 100),
    (2, 3, 1024),
]


class Problem:
    """A recurrent layer with weights that keep states of order 1, its inputs, and gradients that arrive at it."""

    def __init__(self, shape: tuple[int, int, int], *, with_h0: bool, inputs: int = 3) -> None:
        steps, batch, hidden = shape
        draw = np.random.default_rng([steps, batch, hidden, inputs])

        def normal(*size: int) -> np.ndarray:
            return draw.standard_normal(size).astype(np.float32)

        self.z, self.x = normal(*shape), normal(steps, batch, inputs)
        self.w_x, self.b = normal(inputs, hidden), normal(hidden)
        self.w_h = normal(hidden, hidden) * np.float32(0.7 / np.sqrt(hidden))
        self.h0: Any = normal(batch, hidden) if with_h0 else None
        self.dh, self.dh_last = normal(*shape), normal(batch, hidden)


def assert_close(found: np.ndarray, expected: np.ndarray, bound: float = 2e-6) -> None:
    """Largest difference, relative to the largest value."""
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= bound * max(np.abs(expected).max(), 1e-30)


def bound_of(shape: tuple[int, int, int]) -> float:
    """Rounding grows with the square root of the terms of a sum, and over the steps."""
    return 1e-6 * max(4.0, float(np.sqrt(shape[0] * shape[1] + shape[2])))


@pytest.mark.parametrize("with_h0", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_states(isa: str, shape: tuple[int, int, int], activation: str, with_h0: bool) -> None:
    p = Problem(shape, with_h0=with_h0)
    h = ops.rnn(p.z, p.w_h, h0=p.h0, activation=activation)
    assert_close(h, ref.rnn(p.z, p.w_h, h0=p.h0, activation=activation), bound_of(shape))
    last = ops.rnn(p.z, p.w_h, h0=p.h0, activation=activation, last_only=True)
    np.testing.assert_array_equal(last, h[-1])
    out = np.full_like(h, np.nan)
    assert ops.rnn(p.z, p.w_h, h0=p.h0, activation=activation, out=out) is out
    np.testing.assert_array_equal(out, h)
    for b in (p.b, None):
        h = ops.rnn_inputs(p.x, p.w_x, b, p.w_h, h0=p.h0, activation=activation)
        expected = ref.rnn_inputs(p.x, p.w_x, b, p.w_h, h0=p.h0, activation=activation)
        assert_close(h, expected, bound_of(shape))


@pytest.mark.parametrize("last_only", [False, True])
@pytest.mark.parametrize("with_h0", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients(isa: str, shape: tuple[int, int, int], activation: str, with_h0: bool, last_only: bool) -> None:
    p = Problem(shape, with_h0=with_h0)
    dh = p.dh_last if last_only else p.dh
    h = ops.rnn(p.z, p.w_h, h0=p.h0, activation=activation)
    found = ops.rnn_backward(h, p.w_h, dh, h0=p.h0, activation=activation)
    expected = ref.rnn_backward(h, p.w_h, dh, h0=p.h0, activation=activation)
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, bound_of(shape))
    out = np.full_like(h, np.nan)
    again = ops.rnn_backward(h, p.w_h, dh, h0=p.h0, activation=activation, out=out)
    assert again[0] is out
    np.testing.assert_array_equal(out, found[0])
    h = ops.rnn_inputs(p.x, p.w_x, p.b, p.w_h, h0=p.h0, activation=activation)
    found_inputs = ops.rnn_inputs_backward(h, p.x, p.w_h, dh, h0=p.h0, activation=activation)
    expected_inputs = ref.rnn_inputs_backward(h, p.x, p.w_h, dh, h0=p.h0, activation=activation)
    for one, other in zip(found_inputs, expected_inputs, strict=True):
        assert_close(one, other, bound_of(shape))


@pytest.mark.parametrize("inputs", [1, 2, 16, 40])
def test_inputs_of_any_width(isa: str, inputs: int) -> None:
    p = Problem((6, 9, 20), with_h0=False, inputs=inputs)
    h = ops.rnn_inputs(p.x, p.w_x, p.b, p.w_h)
    assert_close(h, ref.rnn_inputs(p.x, p.w_x, p.b, p.w_h), 1e-5)
    found = ops.rnn_inputs_backward(h, p.x, p.w_h, p.dh)
    for one, other in zip(found, ref.rnn_inputs_backward(h, p.x, p.w_h, p.dh), strict=True):
        assert_close(one, other, 1e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_reference_is_a_gradient(activation: str) -> None:
    p = Problem((4, 3, 5), with_h0=True, inputs=2)
    z, x, w_x, b, w_h, h0, dh = (a.astype(np.float64) for a in (p.z, p.x, p.w_x, p.b, p.w_h, p.h0, p.dh))

    def loss() -> float:
        return float(np.sum(dh * ref.rnn(z, w_h, h0=h0, activation=activation)))

    h = ref.rnn(z, w_h, h0=h0, activation=activation)
    for parameter, gradient in zip(
        (z, w_h, h0), ref.rnn_backward(h, w_h, dh, h0=h0, activation=activation), strict=True
    ):
        assert_gradient(loss, parameter, gradient)

    def loss_of_inputs() -> float:
        return float(np.sum(dh[-1] * ref.rnn_inputs(x, w_x, b, w_h, h0=h0, activation=activation, last_only=True)))

    h = ref.rnn_inputs(x, w_x, b, w_h, h0=h0, activation=activation)
    gradients = ref.rnn_inputs_backward(h, x, w_h, dh[-1], h0=h0, activation=activation)
    for parameter, gradient in zip((w_x, b, w_h, h0), gradients, strict=True):
        assert_gradient(loss_of_inputs, parameter, gradient)


@pytest.mark.parametrize("shape", [(3, 1, 9), (20, 64, 100), (90, 37, 33), (2, 1200, 16)])
def test_same_for_any_number_of_threads(isa: str, set_threads: SetThreads, shape: tuple[int, int, int]) -> None:
    p = Problem(shape, with_h0=True, inputs=1)
    results = []
    for threads in (1, 2, 3, 8):
        set_threads(threads)
        h = ops.rnn(p.z, p.w_h, h0=p.h0, activation="tanh")
        g = ops.rnn_inputs(p.x, p.w_x, p.b, p.w_h, h0=p.h0)
        backward = ops.rnn_backward(h, p.w_h, p.dh, h0=p.h0, activation="tanh")
        results.append((h, g, *backward, *ops.rnn_inputs_backward(g, p.x, p.w_h, p.dh_last, h0=p.h0)))
    for other in results[1:]:
        for one, same in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(same, one)


def test_same_states_alone_as_in_a_batch(isa: str) -> None:
    p = Problem((5, 40, 50), with_h0=True)
    h = ops.rnn(p.z, p.w_h, h0=p.h0)
    for first, last in ((0, 1), (3, 10), (17, 40)):
        alone = ops.rnn(p.z[:, first:last], p.w_h, h0=p.h0[first:last])
        np.testing.assert_array_equal(alone, h[:, first:last])


def test_levels_agree_where_sums_are_exact(levels: list[str], at_level: AtLevel) -> None:
    draw = np.random.default_rng(5)
    z, x = (draw.integers(-2, 3, (6, 30, n)).astype(np.float32) for n in (40, 2))
    w_h = (draw.integers(-1, 2, (40, 40)) * (draw.random((40, 40)) < 0.1)).astype(np.float32)
    w_x, b = draw.integers(-2, 3, (2, 40)).astype(np.float32), draw.integers(-2, 3, 40).astype(np.float32)
    dh = draw.integers(-2, 3, z.shape).astype(np.float32)
    results = []
    for level in levels:
        with at_level(level):
            h, g = ops.rnn(z, w_h), ops.rnn_inputs(x, w_x, b, w_h)
            backward = ops.rnn_backward(h, w_h, dh)
            results.append((h, g, *backward, *ops.rnn_inputs_backward(g, x, w_h, dh)))
    np.testing.assert_array_equal(results[0][0], ref.rnn(z, w_h))
    for one, exact in zip(results[0][2:5], ref.rnn_backward(results[0][0], w_h, dh), strict=True):
        np.testing.assert_array_equal(one, exact)
    for other in results[1:]:
        for one, same in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(same, one)


def test_identity_remembers(isa: str) -> None:
    """With w_h = 1 and no bias a rectified unit adds up its inputs, and each gets the whole gradient."""
    x = np.zeros((300, 4, 1), np.float32)
    x[::50] = 1
    one = np.eye(3, dtype=np.float32)
    h = ops.rnn_inputs(x, np.ones((1, 3), np.float32), None, one)
    np.testing.assert_array_equal(h[:, 0, 0], np.cumsum(x[:, 0, 0]))
    dz, _, dh0 = ops.rnn_backward(h, one, np.ones((4, 3), np.float32))
    np.testing.assert_array_equal(dz, 1)
    np.testing.assert_array_equal(dh0, 1)


def test_nan_stays_in_its_sequence(isa: str) -> None:
    p = Problem((4, 20, 18), with_h0=False)
    p.z[1, 7, 3] = np.nan
    h = ops.rnn(p.z, p.w_h)
    assert np.isnan(h[3, 7]).all()
    assert np.isfinite(np.delete(h, 7, axis=1)).all()


def test_other_dtypes_and_layouts() -> None:
    p = Problem((4, 5, 6), with_h0=True)
    h = ops.rnn(p.z, p.w_h, h0=p.h0)
    np.testing.assert_array_equal(ops.rnn(p.z.astype(np.float64), np.asfortranarray(p.w_h), h0=p.h0), h)
    np.testing.assert_array_equal(ops.rnn(p.z.transpose(1, 0, 2).copy().transpose(1, 0, 2), p.w_h, h0=p.h0), h)


def test_errors() -> None:
    p = Problem((4, 5, 6), with_h0=True)
    h = ops.rnn(p.z, p.w_h)
    read_only = np.empty_like(h)
    read_only.flags.writeable = False
    for call, match in (
        (lambda: ops.rnn(p.z[0], p.w_h), "z: expected 3"),
        (lambda: ops.rnn(p.z[:0], p.w_h), "z: expected at least one"),
        (lambda: ops.rnn(p.z, p.w_h[:5]), "w_h"),
        (lambda: ops.rnn(p.z, p.w_h, h0=p.h0[:4]), "h0"),
        (lambda: ops.rnn(p.z, p.w_h, activation="step"), "activation"),
        (lambda: ops.rnn(p.z, p.w_h, out=np.empty((4, 5, 7), np.float32)), "out"),
        (lambda: ops.rnn(p.z, p.w_h, out=read_only), "out.*read-only"),
        (lambda: ops.rnn(p.z, p.w_h, out=p.z), "h: must not share memory with z"),
        (lambda: ops.rnn(p.z, p.w_h, last_only=True, out=h), "out: expected 2"),
        (lambda: ops.rnn_inputs(p.x, p.w_x[:2], p.b, p.w_h), "w_x"),
        (lambda: ops.rnn_inputs(p.x, p.w_x, p.b[:2], p.w_h), "b: "),
        (lambda: ops.rnn_inputs(p.x, p.w_x, p.b, p.w_h[:3]), "w_h"),
        (lambda: ops.rnn_backward(h, p.w_h, p.dh[:3]), "dh"),
        (lambda: ops.rnn_backward(h, p.w_h, p.dh[0, 0]), "dh: expected 3"),
        (lambda: ops.rnn_backward(h, p.w_h, p.dh_last[:2]), "dh"),
        (lambda: ops.rnn_backward(h, p.w_h, p.dh, out=p.dh), "dz: must not share memory with dh"),
        (lambda: ops.rnn_inputs_backward(h, p.x[:3], p.w_h, p.dh), "x"),
    ):
        with pytest.raises(ValueError, match=match):
            call()
    for call in (
        lambda: ops.rnn("z", p.w_h),
        lambda: ops.rnn(p.z, p.w_h, activation=1),  # type: ignore[arg-type]
        lambda: ops.rnn(p.z, p.w_h, out=np.empty_like(h, dtype=np.float64)),
    ):
        with pytest.raises(TypeError):
            call()
