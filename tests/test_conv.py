"""Convolution, forward and backward: exact on integers, gradients by central differences, bits, memory, bad input."""

from __future__ import annotations

import ctypes
import itertools
import mmap
import subprocess
import sys
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

# (B, C, H, W, O, kh, kw, stride, padding): a pixel, 1x1, kernels as large as the image, few and odd channels, rows that
# do not reach the edge, strides beyond the kernel, padding beyond it, more than one K block of channels and of images,
# images that are cut into ranges of rows, and runs around the vectors.
SHAPES = [
    (1, 1, 1, 1, 1, 1, 1, 1, 0),
    (1, 3, 5, 7, 4, 1, 1, 1, 0),
    (3, 5, 6, 6, 7, 1, 1, 2, 0),
    (2, 3, 4, 5, 13, 4, 5, 1, 0),
    (33, 2, 3, 3, 5, 3, 3, 1, 0),
    (2, 3, 8, 9, 5, 3, 2, (2, 3), (1, 0)),
    (2, 2, 9, 9, 3, 2, 2, (4, 5), 0),
    (1, 2, 3, 4, 3, 3, 3, 2, (4, 5)),
    (2, 13, 20, 20, 17, 9, 9, 2, 0),
    (2, 33, 14, 14, 25, 3, 3, 1, 1),
    (2, 120, 6, 6, 3, 3, 3, 1, 1),
    (3, 2, 6, 5, 1100, 3, 3, 1, 1),
    (2, 3, 60, 41, 40, 5, 5, 1, 2),
    (1, 2, 70, 33, 300, 3, 3, (2, 1), 1),
    (70, 4, 5, 5, 6, 2, 2, 1, 0),
    (1, 1, 4, 130, 2, 3, 65, 1, 0),
]
IDS = [f"{s[1]}x{s[2]}x{s[3]}-{s[4]}x{s[5]}x{s[6]}-B{s[0]}-s{s[7]}-p{s[8]}" for s in SHAPES]


def arrays(seed: int, shape: tuple[Any, ...], *, integers: bool) -> tuple[np.ndarray, ...]:
    """x, w, b and dy."""
    batch, channels, height, width, n_out, kh, kw, stride, padding = shape
    rng = np.random.default_rng([seed, batch, channels, height, width, n_out, kh, kw])

    def draw(*size: int) -> np.ndarray:
        return (rng.integers(-4, 5, size) if integers else rng.standard_normal(size)).astype(np.float32)

    x, w, b = draw(batch, channels, height, width), draw(n_out, channels, kh, kw), draw(n_out)
    if not integers:
        w /= np.float32(np.sqrt(channels * kh * kw))
    return x, w, b, draw(*ref.conv2d(x, w, stride=stride, padding=padding).shape)


@pytest.mark.parametrize("shape", SHAPES, ids=IDS)
@pytest.mark.parametrize("activation", ["none", "relu"])
def test_integers_are_exact(isa: str, shape: tuple[Any, ...], activation: str) -> None:
    x, w, b, dy = arrays(1, shape, integers=True)
    how: dict[str, Any] = {"stride": shape[7], "padding": shape[8], "activation": activation}
    y = ops.conv2d(x, w, b, **how)
    np.testing.assert_array_equal(y, ref.conv2d(x, w, b, **how))
    np.testing.assert_array_equal(ops.conv2d(x, w, **how), ref.conv2d(x, w, **how))
    for found, expected in zip(
        ops.conv2d_backward(x, w, y, dy, **how), ref.conv2d_backward(x, w, y, dy, **how), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("kh", "kw"), list(itertools.product((1, 2, 3), (1, 2, 4))))
def test_every_small_stride_and_padding(isa: str, kh: int, kw: int) -> None:
    for sy, sx, py, px in itertools.product((1, 2, 3), (1, 2, 5), (0, 1, 3), (0, 2)):
        shape = (2, 3, 5, 6, 4, kh, kw, (sy, sx), (py, px))
        x, w, b, dy = arrays(2, shape, integers=True)
        how: dict[str, Any] = {"stride": (sy, sx), "padding": (py, px)}
        y = ops.conv2d(x, w, b, **how)
        np.testing.assert_array_equal(y, ref.conv2d(x, w, b, **how), err_msg=str(shape))
        found = ops.conv2d_backward(x, w, y, dy, **how)
        for one, two in zip(found, ref.conv2d_backward(x, w, y, dy, **how), strict=True):
            np.testing.assert_array_equal(one, two, err_msg=str(shape))


sizes = st.integers(1, 9)
pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))


@given(
    batch=st.integers(1, 5), channels=st.integers(1, 20), height=sizes, width=sizes, n_out=st.integers(1, 20),
    kh=sizes, kw=sizes, stride=pairs, padding=pairs, seed=st.integers(0, 1000),
)  # fmt: skip
def test_any_shape(
    batch: int, channels: int, height: int, width: int, n_out: int, kh: int, kw: int,
    stride: tuple[int, int], padding: tuple[int, int], seed: int,
) -> None:  # fmt: skip
    padding = padding[0] - 1, padding[1] - 1
    kh, kw = min(kh, height + 2 * padding[0]), min(kw, width + 2 * padding[1])
    x, w, b, dy = arrays(seed, (batch, channels, height, width, n_out, kh, kw, stride, padding), integers=True)
    y = ops.conv2d(x, w, b, stride=stride, padding=padding)
    np.testing.assert_array_equal(y, ref.conv2d(x, w, b, stride=stride, padding=padding))
    found = ops.conv2d_backward(x, w, y, dy, stride=stride, padding=padding)
    for one, two in zip(found, ref.conv2d_backward(x, w, y, dy, stride=stride, padding=padding), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_floats_match_the_reference(isa: str, activation: str) -> None:
    for shape in SHAPES:
        x, w, b, dy = arrays(3, shape, integers=False)
        how: dict[str, Any] = {"stride": shape[7], "padding": shape[8], "activation": activation}
        y = ops.conv2d(x, w, b, **how)
        expected = ref.conv2d(x, w, b, **how)
        assert np.abs(y - expected).max() <= 1e-5 * (1 + np.abs(expected).max()), shape
        for found, exact in zip(
            ops.conv2d_backward(x, w, y, dy, **how), ref.conv2d_backward(x, w, y, dy, **how), strict=True
        ):
            assert np.abs(found - exact).max() <= 1e-5 * (1 + np.abs(exact).max()), shape


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_reference_gradients_are_central_differences(activation: str) -> None:
    rng = np.random.default_rng(4)
    x, w, b = rng.standard_normal((2, 2, 5, 4)), rng.standard_normal((3, 2, 3, 2)), rng.standard_normal(3)
    how: dict[str, Any] = {"stride": (2, 1), "padding": (1, 2), "activation": activation}
    y = ref.conv2d(x, w, b, **how)
    weights = rng.standard_normal(y.shape)
    gradients = ref.conv2d_backward(x, w, y, weights, **how)
    step = 1e-5
    for parameter, gradient in zip((x, w, b), gradients, strict=True):
        for index in np.ndindex(parameter.shape):
            kept = parameter[index]
            values = []
            for side in (step, -step):
                parameter[index] = kept + side
                values.append(float(np.sum(weights * ref.conv2d(x, w, b, **how))))
            parameter[index] = kept
            assert abs((values[0] - values[1]) / (2 * step) - gradient[index]) <= 1e-6


def test_reference_is_torchs_convolution() -> None:
    torch = pytest.importorskip("torch")
    for shape in SHAPES:
        x, w, b, dy = arrays(5, shape, integers=True)
        tensors = [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in (x, w, b)]
        y = torch.nn.functional.conv2d(*tensors, shape[7], shape[8])
        y.backward(torch.tensor(dy, dtype=torch.float64))
        how: dict[str, Any] = {"stride": shape[7], "padding": shape[8]}
        np.testing.assert_array_equal(ref.conv2d(x, w, b, **how), y.detach().numpy())
        for found, tensor in zip(ref.conv2d_backward(x, w, y.detach().numpy(), dy, **how), tensors, strict=True):
            np.testing.assert_array_equal(found, tensor.grad.numpy())


@pytest.mark.parametrize("shape", SHAPES, ids=IDS)
def test_bits_do_not_depend_on_threads(isa: str, set_threads: SetThreads, shape: tuple[Any, ...]) -> None:
    x, w, b, dy = arrays(6, shape, integers=False)
    how: dict[str, Any] = {"stride": shape[7], "padding": shape[8], "activation": "tanh"}
    results = []
    for threads in (1, 2, 3, 8):
        set_threads(threads)
        y = ops.conv2d(x, w, b, **how)
        results.append((y, *ops.conv2d_backward(x, w, y, dy, **how)))
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_an_image_has_the_same_bits_alone(isa: str) -> None:
    for shape in SHAPES:
        x, w, b, dy = arrays(7, shape, integers=False)
        how: dict[str, Any] = {"stride": shape[7], "padding": shape[8]}
        y = ops.conv2d(x, w, b, **how)
        dx, _, _ = ops.conv2d_backward(x, w, y, dy, **how)
        last = slice(len(x) - 1, None)
        np.testing.assert_array_equal(ops.conv2d(x[last], w, b, **how), y[last])
        np.testing.assert_array_equal(ops.conv2d_backward(x[last], w, y[last], dy[last], **how)[0], dx[last])


def test_levels_with_fused_multiply_add_agree(levels: list[str], at_level: Any) -> None:
    fused = [level for level in levels if level != "scalar"]
    for shape in SHAPES:
        x, w, b, dy = arrays(8, shape, integers=False)
        how: dict[str, Any] = {"stride": shape[7], "padding": shape[8], "activation": "sigmoid"}
        results = []
        for level in fused:
            with at_level(level):
                y = ops.conv2d(x, w, b, **how)
                results.append((y, *ops.conv2d_backward(x, w, y, dy, **how)))
        for other in results[1:]:
            for one, two in zip(results[0], other, strict=True):
                np.testing.assert_array_equal(one, two)


def test_nan_reaches_the_pixels_that_look_at_it(isa: str) -> None:
    x, w, b, _ = arrays(9, (2, 3, 9, 9, 4, 3, 3, 1, 0), integers=True)
    x[1, 2, 4, 5] = np.nan
    y = ops.conv2d(x, w, b)
    seen = np.zeros(y.shape, bool)
    seen[1, :, 2:5, 3:6] = True
    np.testing.assert_array_equal(np.isnan(y), seen)


def test_out_and_conversion(isa: str) -> None:
    shape = (3, 5, 8, 7, 6, 3, 3, 2, 1)
    x, w, b, dy = arrays(10, shape, integers=True)
    how: dict[str, Any] = {"stride": 2, "padding": 1}
    y = ops.conv2d(x, w, b, **how)
    out = np.full_like(y, np.nan)
    assert ops.conv2d(x, w, b, **how, out=out) is out
    np.testing.assert_array_equal(out, y)
    for convert in (lambda a: a.astype(np.float64), lambda a: np.repeat(a, 2, axis=0)[::2]):
        np.testing.assert_array_equal(ops.conv2d(convert(x), convert(w), b, **how), y)
    gradients = ops.conv2d_backward(x, w, y, dy, **how)
    for wanted in itertools.product((True, False), repeat=3):
        if not any(wanted):
            continue
        targets: Any = tuple(
            np.full_like(g, np.nan) if take else None for g, take in zip(gradients, wanted, strict=True)
        )
        assert ops.conv2d_backward(x, w, y, dy, **how, out=targets) is targets
        for gradient, target in zip(gradients, targets, strict=True):
            if target is not None:
                np.testing.assert_array_equal(gradient, target)


@pytest.mark.skipif(sys.platform != "linux", reason="protects pages")
@pytest.mark.parametrize("before", [False, True])
def test_nothing_is_read_or_written_beside_the_arrays(isa: str, before: bool) -> None:
    """Each array lies at the end of its pages, or at their start, with a page beside it that may not be touched."""
    page = mmap.PAGESIZE
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    kept = []

    def guarded(x: np.ndarray) -> np.ndarray:
        size = -(-x.nbytes // page) * page
        memory = mmap.mmap(-1, size + 2 * page)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        for at in (address, address + page + size):
            assert protect(ctypes.c_void_p(at), ctypes.c_size_t(page), 0) == 0
        offset = page if before else page + size - x.nbytes
        copy = np.frombuffer(memory, np.float32, x.size, offset).reshape(x.shape)
        copy[...] = x
        kept.append(memory)
        return copy

    for shape in SHAPES:
        x, w, b, dy = (guarded(a) for a in arrays(11, shape, integers=True))
        how: dict[str, Any] = {"stride": shape[7], "padding": shape[8]}
        y = guarded(np.zeros_like(dy))
        ops.conv2d(x, w, b, **how, out=y)
        gradients = guarded(np.zeros_like(x)), guarded(np.zeros_like(w)), guarded(np.zeros_like(b))
        ops.conv2d_backward(x, w, y, dy, **how, out=gradients)
        for found, expected in zip(gradients, ref.conv2d_backward(x, w, y, dy, **how), strict=True):
            np.testing.assert_array_equal(found, expected)


# Of the process, in a fresh one: what is allocated before counts too.
_MEMORY = """
import resource
import numpy as np
from hintoncore import ops
x, w = np.ones((4, 32, 160, 160), np.float32), np.ones((32, 32, 5, 5), np.float32)
y, dx, dw, db = (np.ones(s, np.float32) for s in (x.shape, x.shape, w.shape, (32,)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ops.conv2d(x, w, padding=2, out=y)
ops.conv2d_backward(x, w, y, y, padding=2, out=(dx, dw, db))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_patches_are_not_stored() -> None:
    """The matrix of patches would have 328 MB."""
    run = subprocess.run([sys.executable, "-c", _MEMORY], capture_output=True, text=True, check=True)
    assert int(run.stdout) <= 40 * 1024, run.stdout


def good() -> dict[str, Any]:
    return {"x": np.ones((2, 3, 5, 5)), "w": np.ones((4, 3, 3, 3)), "b": np.ones(4), "stride": 2, "padding": 1}


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"w": np.ones((4, 2, 3, 3))}, ValueError, r"w: expected \(O, C, kh, kw\) with C = 3"),
        (
            {"w": np.ones((4, 3, 8, 3))},
            ValueError,
            "w: a kernel 8 high does not fit into an image 5 high with padding 1",
        ),
        ({"w": np.ones((4, 3, 3, 8))}, ValueError, "w: a kernel 8 wide does not fit"),
        ({"w": np.ones((4, 27))}, ValueError, "w: expected 4 dimensions"),
        ({"w": np.ones((0, 3, 3, 3))}, ValueError, "w: expected at least one element"),
        ({"x": np.ones((2, 3, 0, 5))}, ValueError, "x: expected at least one element"),
        ({"x": np.ones((3, 5, 5))}, ValueError, "x: expected 4 dimensions"),
        ({"x": "text"}, TypeError, "x: expected an array"),
        ({"b": np.ones(3)}, ValueError, r"b: expected float32 array of shape \(4,\)"),
        ({"stride": 0}, ValueError, "stride: expected an integer in"),
        ({"stride": (1, 2, 3)}, ValueError, "stride: expected an integer or a pair"),
        ({"stride": 1.5}, TypeError, "stride: expected an integer"),
        ({"stride": True}, TypeError, "stride: expected an integer"),
        ({"padding": -1}, ValueError, "padding: expected an integer in"),
        ({"padding": (1, "1")}, TypeError, "padding: expected an integer"),
        ({"padding": 2**40}, ValueError, "padding: expected an integer in"),
        ({"padding": 2**29 - 1}, ValueError, "out: an array of shape .* is too large"),
        ({"activation": "gelu"}, ValueError, "activation: expected"),
        ({"out": np.ones((2, 4, 3, 3))}, TypeError, "out: is written in place and must be float32"),
        ({"out": np.ones((2, 4, 5, 3), np.float32)}, ValueError, "out: expected float32 array of shape"),
    ],
)
def test_forward_refuses(changes: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        ops.conv2d(**{**good(), **changes})


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"y": np.ones((2, 4, 3, 2))}, ValueError, "y: expected float32 array of shape"),
        ({"dy": np.ones((1, 4, 3, 3))}, ValueError, "dy: expected float32 array of shape"),
        ({"dy": np.ones((4, 3, 3))}, ValueError, "dy: expected 4 dimensions"),
        ({"stride": (0, 1)}, ValueError, "stride: "),
        ({"out": (None, None, None)}, ValueError, "dx, dw, db: give at least one"),
        ({"out": (None, None)}, TypeError, "out: expected a tuple of three"),
        ({"out": (None, np.ones((4, 3, 3, 2), np.float32), None)}, ValueError, r"out\[1\]: expected float32"),
    ],
)
def test_backward_refuses(changes: dict[str, Any], error: type[Exception], match: str) -> None:
    arguments = {**good(), "y": np.ones((2, 4, 3, 3)), "dy": np.ones((2, 4, 3, 3))}
    del arguments["b"]
    with pytest.raises(error, match=match):
        ops.conv2d_backward(**{**arguments, **changes})


def test_outputs_that_are_inputs_are_refused() -> None:
    x, w = np.ones((1, 1, 3, 3), np.float32), np.ones((1, 1, 1, 1), np.float32)
    with pytest.raises(ValueError, match="out: must not share memory with x"):
        ops.conv2d(x, w, out=x)
    with pytest.raises(ValueError, match="dx: must not share memory with dy"):
        ops.conv2d_backward(x.copy(), w, x.copy(), x, out=(x, None, None))
