"""Products of batches of matrices: exact on integers, the bits of single products, views, threads, bad input."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hintoncore as hc
from hintoncore import ops
from hintoncore import reference as ref

SetThreads = Callable[[int], None]

TRANSPOSES = list(itertools.product((False, True), (False, True)))

# Leading axes of a and of b.
BATCHES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((), ()),
    ((5,), (5,)),
    ((5,), ()),
    ((), (5,)),
    ((2, 1, 3), (4, 1)),
    ((3, 2), (3, 2)),
    ((1,), (6,)),
]
MATRICES = [(1, 1, 1), (3, 5, 7), (13, 33, 20), (40, 2, 9), (2, 50, 30), (70, 70, 70)]


def integers(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(-8, 9, shape).astype(np.float32)


def operands(
    rng: np.random.Generator, batch: tuple[tuple[int, ...], tuple[int, ...]], mnk: tuple[int, int, int],
    trans_a: bool, trans_b: bool,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    m, n, k = mnk
    return (
        integers(rng, *batch[0], *((k, m) if trans_a else (m, k))),
        integers(rng, *batch[1], *((n, k) if trans_b else (k, n))),
    )


@pytest.mark.parametrize(("trans_a", "trans_b"), TRANSPOSES)
def test_integers_are_exact(isa: str, trans_a: bool, trans_b: bool) -> None:
    rng = np.random.default_rng(1)
    for batch, mnk in itertools.product(BATCHES, MATRICES):
        a, b = operands(rng, batch, mnk, trans_a, trans_b)
        found = ops.batched_matmul(a, b, trans_a=trans_a, trans_b=trans_b)
        expected = ref.batched_matmul(a, b, trans_a=trans_a, trans_b=trans_b)
        assert found.shape == expected.shape
        np.testing.assert_array_equal(found, expected, err_msg=f"{batch} {mnk}")


@pytest.mark.parametrize(("trans_a", "trans_b"), TRANSPOSES)
def test_many_small_ones(isa: str, trans_a: bool, trans_b: bool) -> None:
    """One tile each and several, columns of all strips full or not, more than is transposed at a time, one shared."""
    rng = np.random.default_rng(2)
    shapes = [(1, 1, 1), (4, 4, 4), (8, 16, 8), (12, 12, 64), (16, 1, 8), (25, 70, 9), (6, 130, 11), (13, 48, 70)]
    for (m, n, k), (left, right) in itertools.product(shapes, [((150,), (150,)), ((150,), ()), ((), (150,))]):
        a, b = operands(rng, (left, right), (m, n, k), trans_a, trans_b)
        out = np.full((152, m, n), np.nan, dtype=np.float32)
        ops.batched_matmul(a, b, trans_a=trans_a, trans_b=trans_b, out=out[1:-1])
        expected = ref.batched_matmul(a, b, trans_a=trans_a, trans_b=trans_b)
        np.testing.assert_array_equal(out[1:-1], expected, err_msg=f"{m} x {n} x {k}")
        assert np.isnan(out[[0, -1]]).all()


def views(rng: np.random.Generator, batch: tuple[int, ...], rows: int, columns: int) -> dict[str, np.ndarray]:
    """Arrays [*batch, rows, columns] that lie in memory in all sorts of ways; NaN between their elements."""

    def wide(*shape: int) -> np.ndarray:
        return np.full(shape, np.nan, np.float32)

    found = {
        "rows apart": wide(*batch, 2 * rows, columns)[..., ::2, :],
        "inside": wide(*batch, rows + 3, columns + 5)[..., 1:-2, 2:-3],
        "transposed": np.swapaxes(wide(*batch, columns, rows), -1, -2),
        "transposed apart": np.swapaxes(wide(*batch, columns * 3, rows + 1)[..., ::3, :-1], -1, -2),
        "rows backwards": wide(*batch, rows, columns)[..., ::-1, :],
        "columns apart": wide(*batch, rows, columns * 2)[..., ::2],  # to be copied
    }
    if batch:
        found["batch backwards"] = wide(*batch, rows, columns)[::-1]
        found["batch inside"] = np.moveaxis(wide(rows, *batch, columns), 0, -2)
    values = integers(rng, *batch, rows, columns)
    for view in found.values():
        view[...] = values
    return found


@pytest.mark.parametrize(("trans_a", "trans_b"), TRANSPOSES)
def test_views_are_read_as_they_lie(isa: str, trans_a: bool, trans_b: bool) -> None:
    rng = np.random.default_rng(2)
    for m, n, k in [(5, 9, 6), (30, 3, 18), (2, 40, 7), (20, 1, 9)]:
        many_a = views(rng, (3,), *((k, m) if trans_a else (m, k)))
        many_b = views(rng, (2, 3), *((n, k) if trans_b else (k, n)))
        for (one, a), (two, b) in itertools.product(many_a.items(), many_b.items()):
            found = ops.batched_matmul(a, b, trans_a=trans_a, trans_b=trans_b)
            np.testing.assert_array_equal(
                found, ref.batched_matmul(a, b, trans_a=trans_a, trans_b=trans_b), err_msg=f"{one}, {two}"
            )


def test_views_that_fit_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    fitting = views(rng, (3,), 5, 6)
    del fitting["columns apart"]

    def copy(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a copy was made")

    monkeypatch.setattr(np, "ascontiguousarray", copy)
    for view in fitting.values():
        ops.batched_matmul(view, view, trans_b=True)
    ops.batched_matmul(np.broadcast_to(view[0], (4, 5, 6)), view[0], trans_b=True)


@pytest.mark.parametrize("layout", ["rows apart", "inside", "transposed", "transposed apart", "rows backwards"])
def test_out_may_be_a_view(isa: str, layout: str) -> None:
    rng = np.random.default_rng(4)
    for m, n, k in [(5, 9, 6), (30, 3, 18), (2, 40, 7), (20, 1, 9)]:
        a, b = integers(rng, 3, m, k), integers(rng, 3, k, n)
        out = views(rng, (3,), m, n)[layout]
        base: Any = out.base
        base = base if base.base is None else base.base
        gaps = np.isnan(base)
        assert ops.batched_matmul(a, b, out=out) is out
        np.testing.assert_array_equal(out, ref.batched_matmul(a, b))
        np.testing.assert_array_equal(np.isnan(base), gaps)


def test_each_product_has_the_bits_of_a_single_one(isa: str, set_threads: SetThreads) -> None:
    rng = np.random.default_rng(5)
    for m, n, k, count in [(8, 8, 8, 1000), (70, 40, 1100, 3), (33, 50, 64, 40), (1, 90, 30, 7)]:
        a = rng.standard_normal((count, m, k), dtype=np.float32)
        b = rng.standard_normal((count, k, n), dtype=np.float32)
        single = np.stack([ops.matmul(x, y) for x, y in zip(a, b, strict=True)])
        shared = np.stack([ops.matmul(x, b[0]) for x in a])
        for threads in (1, 2, 3, 8):
            set_threads(threads)
            np.testing.assert_array_equal(ops.batched_matmul(a, b), single)
            np.testing.assert_array_equal(ops.batched_matmul(a, b[0]), shared)


sizes = st.integers(1, 12)
leading = st.lists(st.sampled_from((1, 2, 3)), max_size=3)


@given(
    shape=leading, keep_a=st.integers(0, 7), keep_b=st.integers(0, 7), cut=st.integers(0, 3), m=sizes, n=sizes, k=sizes,
    trans_a=st.booleans(), trans_b=st.booleans(), seed=st.integers(0, 1000),
)  # fmt: skip
def test_any_shapes_that_broadcast(
    shape: list[int], keep_a: int, keep_b: int, cut: int, m: int, n: int, k: int,
    trans_a: bool, trans_b: bool, seed: int,
) -> None:  # fmt: skip
    batch_a = tuple(size if keep_a >> i & 1 else 1 for i, size in enumerate(shape))
    batch_b = tuple(size if keep_b >> i & 1 else 1 for i, size in enumerate(shape))[cut:]
    a, b = operands(np.random.default_rng(seed), (batch_a, batch_b), (m, n, k), trans_a, trans_b)
    found = ops.batched_matmul(a, b, trans_a=trans_a, trans_b=trans_b)
    np.testing.assert_array_equal(found, ref.batched_matmul(a, b, trans_a=trans_a, trans_b=trans_b))


def test_other_dtypes_and_nan(isa: str) -> None:
    rng = np.random.default_rng(6)
    a, b = rng.integers(-5, 6, (2, 3, 4)), rng.integers(-5, 6, (2, 4, 5))
    np.testing.assert_array_equal(ops.batched_matmul(a, b.astype(np.float64)), a @ b)
    x = a.astype(np.float32)
    x[1, 2, 3] = np.nan
    assert np.argwhere(np.isnan(ops.batched_matmul(x, b))).tolist() == [[1, 2, j] for j in range(5)]


def test_torch_tensors_come_back_as_tensors() -> None:
    torch = pytest.importorskip("torch")
    a, b = torch.arange(24.0).reshape(2, 3, 4), torch.arange(24.0).reshape(2, 3, 4).transpose(1, 2)
    found = ops.batched_matmul(a, b)
    assert isinstance(found, torch.Tensor)
    assert torch.equal(found, torch.bmm(a, b))


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"a": np.ones(4)}, ValueError, "a: expected 2 dimensions or more"),
        ({"a": np.ones((2, 0, 4))}, ValueError, "a: expected at least one element"),
        ({"a": "text"}, TypeError, "a: expected an array"),
        ({"b": np.ones((2, 3, 5))}, ValueError, r"b: expected \(..., K, N\) with K = 4"),
        ({"trans_b": True}, ValueError, r"b: expected \(..., N, K\) with K = 4"),
        ({"b": np.ones((3, 4, 5))}, ValueError, "b: leading axes of .* do not broadcast with those of a"),
        ({"out": np.ones((2, 3, 5))}, TypeError, "out: is written in place and must be float32"),
        ({"out": np.ones((3, 5), np.float32)}, ValueError, r"out: expected float32 array of shape \(2, 3, 5\)"),
        ({"out": np.ones((2, 3, 4), np.float32)}, ValueError, r"out: expected float32 array of shape \(2, 3, 5\)"),
        ({"out": np.ones((2, 6, 10), np.float32)[:, ::2, ::2]}, ValueError, "out: .* needs unit stride"),
        ({"out": np.broadcast_to(np.float32(0), (2, 3, 5))}, ValueError, "out: .* read-only"),
        ({"out": [[1.0]]}, TypeError, "out: is written in place"),
    ],
)
def test_refuses(changes: dict[str, Any], error: type[Exception], match: str) -> None:
    arguments: dict[str, Any] = {"a": np.ones((2, 3, 4)), "b": np.ones((2, 4, 5)), **changes}
    with pytest.raises(error, match=match):
        ops.batched_matmul(**arguments)


def test_out_that_is_an_operand_is_refused_and_one_between_its_elements_is_not() -> None:
    x = np.ones((2, 4, 6, 6), np.float32)
    with pytest.raises(ValueError, match="out: must not share memory with a"):
        ops.batched_matmul(x[0], np.ones((6, 6), np.float32), out=x[0])
    with pytest.raises(ValueError, match="out: must not share memory with b"):
        ops.batched_matmul(x[0, :3].copy(), x[0, :3], out=x[0, 1:])
    ops.batched_matmul(x[:, ::2], np.ones((6, 6), np.float32), out=x[:, 1::2])
    np.testing.assert_array_equal(x[:, ::2], 1)
    np.testing.assert_array_equal(x[:, 1::2], 6)


def test_c_interface_checks_its_arguments() -> None:
    class Args(ctypes.Structure):
        _fields_ = [
            ("struct_size", ctypes.c_size_t), *((name, ctypes.c_int64) for name in ("m", "n", "k")),
            ("batch_dims", ctypes.c_int), ("batch_shape", ctypes.c_void_p),
            ("a", ctypes.c_void_p), ("a_strides", ctypes.c_void_p), ("lda", ctypes.c_int64), ("trans_a", ctypes.c_int),
            ("b", ctypes.c_void_p), ("b_strides", ctypes.c_void_p), ("ldb", ctypes.c_int64), ("trans_b", ctypes.c_int),
            ("out", ctypes.c_void_p), ("out_strides", ctypes.c_void_p), ("ld_out", ctypes.c_int64),
            ("threads", ctypes.c_int),
        ]  # fmt: skip

    library = ctypes.CDLL(hc._core.__file__)
    a, b, out = (np.ones((3, 2, 2), np.float32) for _ in range(3))
    shape, strides, none = np.array([3]), np.array([4]), np.array([0])

    def call(**changes: int) -> int:
        args = Args(
            ctypes.sizeof(Args), 2, 2, 2, 1, shape.ctypes.data, a.ctypes.data, strides.ctypes.data, 2, 0,
            b.ctypes.data, none.ctypes.data, 2, 0, out.ctypes.data, strides.ctypes.data, 2, 1,
        )  # fmt: skip
        for name, value in changes.items():
            setattr(args, name, value)
        return int(library.hc_batched_matmul(ctypes.byref(args)))

    assert call() == 0
    np.testing.assert_array_equal(out, 2)
    bad = [
        {"m": 0}, {"k": -1}, {"n": 2**31}, {"a": 0}, {"out": 0}, {"batch_dims": 65}, {"batch_shape": 0},
        {"out_strides": none.ctypes.data}, {"ld_out": 1}, {"threads": -1}, {"struct_size": 10_000},
    ]  # fmt: skip
    for changes in bad:
        assert call(**changes) != 0, changes
