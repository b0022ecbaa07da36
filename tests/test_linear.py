"""Dense layer, forward and backward: against the reference, whose gradients are held to central differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hintoncore import ops
from hintoncore import reference as ref

SetThreads = Callable[[int], None]

ACTIVATIONS = ("none", "relu", "sigmoid", "tanh")
SHAPES = [(1, 1, 1), (1, 40, 10), (3, 5, 33), (12, 31, 64), (33, 20, 5), (100, 784, 10), (140, 65, 130), (600, 9, 3)]


def layer(seed: int, batch: int, n_in: int, n_out: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng([seed, batch, n_in, n_out])
    x = rng.standard_normal((batch, n_in), dtype=np.float32)
    w = rng.standard_normal((n_in, n_out), dtype=np.float32) / np.float32(np.sqrt(n_in))
    b = rng.standard_normal(n_out, dtype=np.float32)
    dy = rng.standard_normal((batch, n_out), dtype=np.float32)
    return x, w, b, dy


def assert_close(found: np.ndarray, expected: np.ndarray, depth: int) -> None:
    """Within the roundings of a sum of `depth` terms of the size of the result."""
    scale = np.abs(expected).max() + 1.0
    np.testing.assert_allclose(found, expected, rtol=0, atol=4e-7 * np.sqrt(depth + 1) * scale)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_forward_matches_the_reference(isa: str, activation: str) -> None:
    for shape in SHAPES:
        x, w, b, _ = layer(1, *shape)
        assert_close(ops.linear(x, w, b, activation=activation), ref.linear(x, w, b, activation=activation), shape[1])
        assert_close(ops.linear(x, w, activation=activation), ref.linear(x, w, activation=activation), shape[1])


@pytest.mark.parametrize("activation", ["none", "relu"])
def test_forward_is_exact_on_integers(isa: str, activation: str) -> None:
    rng = np.random.default_rng(2)
    for batch, n_in, n_out in SHAPES:
        x, w, b = (rng.integers(-5, 6, s).astype(np.float32) for s in ((batch, n_in), (n_in, n_out), (n_out,)))
        np.testing.assert_array_equal(
            ops.linear(x, w, b, activation=activation), ref.linear(x, w, b, activation=activation)
        )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_epilogue_is_the_elementwise_function(isa: str, activation: str) -> None:
    """The fused activation has the bits of the separate one, also after a second K block."""
    separate: dict[str, Callable[[Any], Any]] = {
        "none": lambda z: z,
        "relu": lambda z: np.maximum(z, np.float32(0)),
        "sigmoid": ops.sigmoid,
        "tanh": ops.tanh,
    }
    for shape in [(50, 30, 45), (50, 1100, 77), (2, 1100, 300), (300, 1100, 3)]:
        x, w, b, _ = layer(3, *shape)
        expected = separate[activation](ops.linear(x, w, b))
        np.testing.assert_array_equal(ops.linear(x, w, b, activation=activation), expected)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_backward_matches_the_reference(isa: str, activation: str) -> None:
    for shape in SHAPES:
        batch, _, n_out = shape
        x, w, b, dy = layer(4, *shape)
        y = ops.linear(x, w, b, activation=activation)
        dx, dw, db = ops.linear_backward(x, w, y, dy, activation=activation)
        expected = ref.linear_backward(x, w, y, dy, activation=activation)
        for found, exact, depth in zip((dx, dw, db), expected, (n_out, batch, batch), strict=True):
            assert_close(found, exact, depth)


@pytest.mark.parametrize("activation", ["none", "relu"])
def test_backward_is_exact_on_integers(isa: str, activation: str) -> None:
    rng = np.random.default_rng(5)
    for batch, n_in, n_out in [*SHAPES, (1100, 3, 300)]:
        x, w, dy = (rng.integers(-5, 6, s).astype(np.float32) for s in ((batch, n_in), (n_in, n_out), (batch, n_out)))
        y = ops.linear(x, w, activation=activation)
        found = ops.linear_backward(x, w, y, dy, activation=activation)
        for a, b in zip(found, ref.linear_backward(x, w, y, dy, activation=activation), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_reference_gradients_are_central_differences(activation: str) -> None:
    rng = np.random.default_rng(6)
    x, w, b = rng.standard_normal((4, 5)), rng.standard_normal((5, 3)), rng.standard_normal(3)
    weights = rng.standard_normal((4, 3))

    def loss() -> float:
        return float(np.sum(weights * ref.linear(x, w, b, activation=activation)))

    gradients = ref.linear_backward(x, w, ref.linear(x, w, b, activation=activation), weights, activation=activation)
    step = 1e-5
    for parameter, gradient in zip((x, w, b), gradients, strict=True):
        for index in np.ndindex(parameter.shape):
            kept = parameter[index]
            parameter[index] = kept + step
            above = loss()
            parameter[index] = kept - step
            below = loss()
            parameter[index] = kept
            assert abs((above - below) / (2 * step) - gradient[index]) <= 1e-6


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_bits_do_not_depend_on_threads_or_layout(isa: str, set_threads: SetThreads, activation: str) -> None:
    for n_out in (300, 30):  # a packed and a small matrix of weights
        x, w, b, dy = layer(7, 1100, 70, n_out)
        results = []
        for threads in (1, 2, 3, 8):
            set_threads(threads)
            y = ops.linear(x, w, b, activation=activation)
            results.append((y, *ops.linear_backward(x, w, y, dy, activation=activation)))
        for other in results[1:]:
            for one, two in zip(results[0], other, strict=True):
                np.testing.assert_array_equal(one, two)
        some = np.ascontiguousarray(w[:, :20])  # columns of the packed, by the kernel for small ones
        found = ops.linear(x[:50], some, b[:20], activation=activation)
        np.testing.assert_array_equal(found, results[0][0][:50, :20])


def test_out_and_conversion(isa: str) -> None:
    x, w, b, _ = layer(8, 20, 10, 15)
    out = np.empty((20, 15), np.float32)
    expected = ops.linear(x, w, b, activation="tanh")
    assert ops.linear(x, w, b, activation="tanh", out=out) is out
    np.testing.assert_array_equal(out, expected)
    for convert in (lambda a: a.astype(np.float64), np.asfortranarray, lambda a: np.repeat(a, 2, axis=0)[::2]):
        found = ops.linear(convert(x), convert(w), convert(b), activation="tanh")
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match="out: must not share memory with x"):
        ops.linear(x, np.ones((10, 10), np.float32), out=x)
    bias = np.zeros(16, np.float32)
    with pytest.raises(ValueError, match=r"out: must not share memory with b$"):
        ops.linear(np.ones((1, 10), np.float32), np.ones((10, 16), np.float32), bias, out=bias.reshape(1, 16))


def test_nan_comes_through_every_activation(isa: str) -> None:
    x, w, b, _ = layer(9, 5, 6, 7)
    x[2, 3] = np.nan
    for activation in ACTIVATIONS:
        y = ops.linear(x, w, b, activation=activation)
        assert np.all(np.isnan(y[2]))
        assert np.all(np.isfinite(np.delete(y, 2, axis=0)))


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"w": np.ones((4, 2))}, ValueError, r"w: expected \(K, N\) with K = 3"),
        ({"b": np.ones(3)}, ValueError, r"b: expected float32 array of shape \(2,\)"),
        ({"b": np.ones((1, 2))}, ValueError, "b: expected 1 dimension"),
        ({"x": np.ones((0, 3))}, ValueError, "x: expected at least one element"),
        ({"activation": "gelu"}, ValueError, "activation: expected 'none', 'relu', 'sigmoid' or 'tanh', got 'gelu'"),
        ({"activation": 1}, TypeError, "activation: expected a string"),
        ({"x": "text"}, TypeError, "x: expected an array"),
    ],
)
def test_forward_refuses(changes: dict[str, Any], error: type[Exception], match: str) -> None:
    arguments: dict[str, Any] = {"x": np.ones((5, 3)), "w": np.ones((3, 2)), "b": np.ones(2), **changes}
    with pytest.raises(error, match=match):
        ops.linear(**arguments)


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"w": np.ones((4, 2))}, ValueError, "w: expected float32 array of shape"),
        ({"y": np.ones((5, 3))}, ValueError, "y: expected float32 array of shape"),
        ({"dy": np.ones((4, 2))}, ValueError, "dy: expected float32 array of shape"),
        ({"dy": np.ones(2)}, ValueError, "dy: expected 2 dimensions"),
        ({"activation": "softmax"}, ValueError, "activation: "),
    ],
)
def test_backward_refuses(changes: dict[str, Any], error: type[Exception], match: str) -> None:
    arguments: dict[str, Any] = {
        "x": np.ones((5, 3)), "w": np.ones((3, 2)), "y": np.ones((5, 2)), "dy": np.ones((5, 2)), **changes,
    }  # fmt: skip
    with pytest.raises(error, match=match):
        ops.linear_backward(**arguments)


sizes = st.integers(1, 50)


@given(batch=sizes, n_in=sizes, n_out=sizes, activation=st.sampled_from(ACTIVATIONS), seed=st.integers(0, 1000))
def test_any_shape(batch: int, n_in: int, n_out: int, activation: str, seed: int) -> None:
    x, w, b, dy = layer(seed, batch, n_in, n_out)
    y = ops.linear(x, w, b, activation=activation)
    assert_close(y, ref.linear(x, w, b, activation=activation), n_in)
    found = ops.linear_backward(x, w, y, dy, activation=activation)
    expected = ref.linear_backward(x, w, y, dy, activation=activation)
    for a, e, depth in zip(found, expected, (n_out, batch, batch), strict=True):
        assert_close(a, e, depth)
