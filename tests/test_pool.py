"""Max-pooling: the reference's values and places, ties, NaN, gradients, threads, bad input."""

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

# (B, C, H, W, window, stride)
SHAPES: list[tuple[Any, ...]] = [
    (1, 1, 1, 1, 1, None),
    (2, 3, 8, 8, 2, None),
    (2, 3, 9, 7, 2, None),
    (1, 2, 6, 5, (6, 5), None),
    (3, 1, 10, 11, (3, 2), (2, 1)),
    (2, 2, 7, 9, 2, 3),
    (40, 8, 28, 28, 3, 2),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_places_are_the_references(shape: tuple[Any, ...], set_threads: SetThreads) -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(-3, 4, shape[:4]).astype(np.float32)  # many ties
    expected, places = ref.max_pool2d(x, shape[4], stride=shape[5])
    dy = rng.integers(-5, 6, expected.shape).astype(np.float32)
    for threads in (1, 2, 3, 8):
        set_threads(threads)
        y, index = ops.max_pool2d(x, shape[4], stride=shape[5])
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(index, places)
        dx = ops.max_pool2d_backward(dy, index, x.shape[2:])
        np.testing.assert_array_equal(dx, ref.max_pool2d_backward(dy, places, x.shape[2:]))


def test_reference_is_torchs_pooling() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    for shape in SHAPES:
        x = rng.standard_normal(shape[:4])
        tensor = torch.tensor(x, requires_grad=True)
        y, index = torch.nn.functional.max_pool2d(tensor, shape[4], shape[5], return_indices=True)
        found, places = ref.max_pool2d(x, shape[4], stride=shape[5])
        np.testing.assert_array_equal(found, y.detach().numpy())
        np.testing.assert_array_equal(places, index.numpy())
        dy = rng.standard_normal(found.shape)
        y.backward(torch.tensor(dy))
        np.testing.assert_allclose(ref.max_pool2d_backward(dy, places, x.shape[2:]), tensor.grad.numpy(), atol=1e-15)


def test_nan_is_the_largest() -> None:
    x = np.array([[[[np.nan, 1, np.inf, np.nan], [2, np.nan, 3, np.nan]]]], np.float32)
    y, index = ops.max_pool2d(x, 2)
    assert np.isnan(y).all()
    assert index.tolist() == ref.max_pool2d(x, 2)[1].tolist() == [[[[0, 3]]]]


sizes = st.integers(1, 8)


@given(
    h=sizes, w=sizes, kh=sizes, kw=sizes, sy=st.integers(1, 4), sx=st.integers(1, 4), seed=st.integers(0, 1000)
)  # fmt: skip
def test_any_window(h: int, w: int, kh: int, kw: int, sy: int, sx: int, seed: int) -> None:
    x = np.random.default_rng(seed).integers(0, 9, (2, 3, h, w)).astype(np.float32)
    window = min(kh, h), min(kw, w)
    y, index = ops.max_pool2d(x, window, stride=(sy, sx))
    expected, places = ref.max_pool2d(x, window, stride=(sy, sx))
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(index, places)


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"x": np.ones((3, 4, 4))}, ValueError, "x: expected 4 dimensions"),
        ({"x": np.ones((1, 0, 4, 4))}, ValueError, "x: expected at least one element"),
        ({"x": "text"}, TypeError, "x: expected an array"),
        ({"window": 5}, ValueError, "window: .* does not fit into images"),
        ({"window": 0}, ValueError, "window: expected an integer in"),
        ({"window": (1, 2, 3)}, ValueError, "window: expected an integer or a pair"),
        ({"stride": 0}, ValueError, "stride: expected an integer in"),
        ({"stride": 1.0}, TypeError, "stride: expected an integer"),
    ],
)
def test_refuses(changes: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        ops.max_pool2d(**{"x": np.ones((1, 1, 4, 4)), "window": 2, **changes})


def test_backward_refuses() -> None:
    dy, index = np.ones((1, 1, 2, 2), np.float32), np.zeros((1, 1, 2, 2), np.int32)
    with pytest.raises(ValueError, match=r"index: expected values in 0\.\.15, got 16"):
        ops.max_pool2d_backward(dy, index + np.int32(16), (4, 4))
    with pytest.raises(ValueError, match=r"index: expected values in 0\.\.15, got -1"):
        ops.max_pool2d_backward(dy, index - np.int32(1), (4, 4))
    with pytest.raises(TypeError, match="index: expected int32"):
        ops.max_pool2d_backward(dy, index.astype(np.int64), (4, 4))
    with pytest.raises(ValueError, match="index: expected int32 array of shape"):
        ops.max_pool2d_backward(dy, index[:, :, :1], (4, 4))
    with pytest.raises(ValueError, match="shape: expected an integer in"):
        ops.max_pool2d_backward(dy, index, (0, 4))
