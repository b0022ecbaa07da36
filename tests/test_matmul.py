"""Matrix product: exact on integers, within K roundings of float64, one order of summation whatever the tiling."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hintoncore as hc
from hintoncore import ops
from hintoncore import reference as ref

AtLevel = Callable[[str], AbstractContextManager[None]]
SetThreads = Callable[[int], None]

TRANSPOSES = list(itertools.product((False, True), (False, True)))

# (M, N, K): around the edges of the register tiles (12 x 32, 6 x 16, 4 x 8) and of the vectors, one row and one column,
# few of either, depths around one and two K blocks (1024), several row groups and many panels.
SHAPES = [
    (1, 1, 1), (1, 7, 3), (7, 1, 3), (2, 2, 2), (3, 300, 5), (300, 3, 5), (4, 8, 16), (5, 9, 17), (6, 16, 64),
    (7, 17, 65), (11, 31, 33), (12, 32, 31), (13, 33, 32), (24, 64, 16), (25, 65, 15), (40, 40, 40), (1, 1, 5000),
    (1, 600, 50), (600, 1, 50), (2, 130, 1024), (130, 2, 1025), (12, 100, 1030), (13, 10, 2049), (100, 10, 784),
    (131, 70, 90), (300, 5, 64), (520, 40, 24),
]  # fmt: skip


def operands(
    rng: np.random.Generator, m: int, n: int, k: int, trans_a: bool, trans_b: bool, integers: bool
) -> tuple[np.ndarray, np.ndarray]:
    shapes = ((k, m) if trans_a else (m, k)), ((n, k) if trans_b else (k, n))
    if integers:
        a, b = (rng.integers(-8, 9, shape).astype(np.float32) for shape in shapes)
    else:
        a, b = (rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
    return a, b


def tolerance(a: np.ndarray, b: np.ndarray, trans_a: bool = False, trans_b: bool = False) -> np.ndarray:
    """A bound on the error of any order of summation, element by element: K eps sum |a||b|."""
    depth = a.shape[0] if trans_a else a.shape[1]
    sums = ref.matmul(np.abs(a), np.abs(b), trans_a=trans_a, trans_b=trans_b)
    return np.asarray(np.finfo(np.float32).eps * depth * sums)


@pytest.mark.parametrize(("trans_a", "trans_b"), TRANSPOSES)
def test_integers_are_exact(isa: str, trans_a: bool, trans_b: bool) -> None:
    rng = np.random.default_rng(1)
    for m, n, k in SHAPES:
        a, b = operands(rng, m, n, k, trans_a, trans_b, integers=True)
        expected = ref.matmul(a, b, trans_a=trans_a, trans_b=trans_b)
        np.testing.assert_array_equal(
            ops.matmul(a, b, trans_a=trans_a, trans_b=trans_b), expected, err_msg=str((m, n, k))
        )


def test_every_small_edge(isa: str) -> None:
    """All M and N in 1..40 in one product each: row m of the big product is what the small one must give."""
    rng = np.random.default_rng(2)
    a, b = operands(rng, 40, 40, 19, False, False, integers=True)
    expected = ref.matmul(a, b)
    for m, n in itertools.product(range(1, 41), repeat=2):
        found = ops.matmul(a[:m], np.ascontiguousarray(b[:, :n]))
        assert np.array_equal(found, expected[:m, :n]), (m, n)


@pytest.mark.parametrize(("trans_a", "trans_b"), TRANSPOSES)
def test_floats_are_within_k_roundings(isa: str, trans_a: bool, trans_b: bool) -> None:
    rng = np.random.default_rng(3)
    for m, n, k in [*SHAPES, (33, 50, 4100)]:
        a, b = operands(rng, m, n, k, trans_a, trans_b, integers=False)
        error = np.abs(
            ops.matmul(a, b, trans_a=trans_a, trans_b=trans_b) - ref.matmul(a, b, trans_a=trans_a, trans_b=trans_b)
        )
        assert np.all(error <= tolerance(a, b, trans_a, trans_b)), (m, n, k)


def test_long_sums_keep_their_accuracy(isa: str) -> None:
    """A million equal positive terms: one float32 chain would be off by thousands of roundings, blocks are not."""
    k = 1 << 20
    a, b = np.full((1, k), 0.1, dtype=np.float32), np.ones((k, 1), dtype=np.float32)
    exact = float(np.float32(0.1)) * k
    assert abs(float(ops.matmul(a, b)[0, 0]) - exact) <= 1e-4 * exact


def test_more_of_b_than_is_packed_at_a_time(isa: str, set_threads: SetThreads) -> None:
    rng = np.random.default_rng(12)
    a, b = operands(rng, 40, 4600, 1000, False, False, integers=True)
    expected = ref.matmul(a, b)
    for threads in (1, 2):
        set_threads(threads)
        np.testing.assert_array_equal(ops.matmul(a, b), expected)


@pytest.mark.parametrize(("trans_a", "trans_b"), TRANSPOSES)
def test_bits_do_not_depend_on_threads(isa: str, set_threads: SetThreads, trans_a: bool, trans_b: bool) -> None:
    """Panels packed one and several at a time, K blocks shared out, C as it lies and transposed, small products."""
    rng = np.random.default_rng(4)
    for m, n, k in [
        (128, 160, 300), (300, 70, 1100), (12, 900, 200), (900, 3, 200), (1, 2000, 300), (20, 3001, 40),
        (130, 90, 8200), (250, 3, 8200), (100, 100, 100), (3001, 30, 33),
    ]:  # fmt: skip
        a, b = operands(rng, m, n, k, trans_a, trans_b, integers=False)
        results = []
        for threads in (1, 2, 3, 8):
            set_threads(threads)
            results.append(ops.matmul(a, b, trans_a=trans_a, trans_b=trans_b))
        for other in results[1:]:
            np.testing.assert_array_equal(results[0], other)


@pytest.mark.parametrize(("m", "k"), [(150, 1500), (600, 100)])
def test_bits_do_not_depend_on_batch_or_layout(isa: str, m: int, k: int) -> None:
    """A row alone, a block of rows, a column alone, a transposed operand: the same sums in the same order.

    B of the second is too large for the kernel of small products; most of its parts are not.
    """
    rng = np.random.default_rng(5)
    a, b = operands(rng, m, 140, k, False, False, integers=False)
    whole = ops.matmul(a, b)
    for rows in (1, 2, 3, 4, 11, 12, 13, 64):
        np.testing.assert_array_equal(ops.matmul(a[:rows], b), whole[:rows])
    for columns in (1, 2, 3, 7, 8, 15, 16, 17, 31, 33):
        part = np.ascontiguousarray(b[:, :columns])
        np.testing.assert_array_equal(ops.matmul(a, part), whole[:, :columns])
        np.testing.assert_array_equal(ops.matmul(a[:5], part), whole[:5, :columns])
    for trans_a, trans_b in TRANSPOSES:
        left, right = a.T if trans_a else a, b.T if trans_b else b
        np.testing.assert_array_equal(ops.matmul(left, right, trans_a=trans_a, trans_b=trans_b), whole)
        for rows, columns in [(1, 90), (2, 20), (13, 37), (64, 90), (50, 1), (100, 5)]:
            left = a[:rows].T if trans_a else a[:rows]
            right = b[:, :columns].T if trans_b else b[:, :columns]
            part = ops.matmul(left, right, trans_a=trans_a, trans_b=trans_b)
            np.testing.assert_array_equal(part, whole[:rows, :columns], err_msg=f"{rows} x {columns}")
    np.testing.assert_array_equal(ops.matmul(b, a, trans_a=True, trans_b=True), whole.T)


def test_levels_with_fma_agree_to_the_bit(levels: list[str], at_level: AtLevel) -> None:
    fused = [level for level in levels if level != "scalar"]
    rng = np.random.default_rng(6)
    for m, n, k in [(37, 70, 500), (3, 100, 1300), (200, 2, 64)]:
        a, b = operands(rng, m, n, k, False, False, integers=False)
        results = []
        for level in fused:
            with at_level(level):
                results.append(ops.matmul(a, b))
        for other in results[1:]:
            np.testing.assert_array_equal(results[0], other)


def test_other_layouts_and_dtypes_are_converted(isa: str) -> None:
    rng = np.random.default_rng(7)
    a, b = operands(rng, 20, 30, 40, False, False, integers=True)
    expected = ref.matmul(a, b)
    for left in (a.astype(np.float64), a.astype(np.int64), np.asfortranarray(a), np.repeat(a, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(ops.matmul(left, b), expected)
        np.testing.assert_array_equal(ops.matmul(left, np.asfortranarray(b)), expected)
    np.testing.assert_array_equal(ops.matmul([[1, 2], [3, 4]], [[1.0], [1.0]]), [[3.0], [7.0]])
    assert ops.matmul(a.astype(np.float64), b).dtype == np.float32


def test_out_is_filled_and_returned(isa: str) -> None:
    rng = np.random.default_rng(8)
    a, b = operands(rng, 50, 35, 20, False, False, integers=True)
    out = np.full((50, 35), np.nan, dtype=np.float32)
    assert ops.matmul(a, b, out=out) is out
    np.testing.assert_array_equal(out, ref.matmul(a, b))


def test_nothing_is_written_outside_out(isa: str) -> None:
    rng = np.random.default_rng(9)
    for m, n, k in SHAPES:
        a, b = operands(rng, m, n, k, False, False, integers=True)
        memory = np.full(m * n + 64, 7.0, dtype=np.float32)
        ops.matmul(a, b, out=memory[32:-32].reshape(m, n))
        assert np.all(memory[:32] == 7.0), (m, n, k)
        assert np.all(memory[-32:] == 7.0), (m, n, k)


def test_refuses_a_bad_out() -> None:
    a, b = np.ones((4, 4), np.float32), np.ones((4, 4), np.float32)
    read_only = np.empty((4, 4), np.float32)
    read_only.flags.writeable = False
    for out, match in [
        (np.empty((4, 5), np.float32), r"out: expected float32 array of shape \(4, 4\)"),
        (np.empty(16, np.float32), "out: expected 2 dimensions"),
        (np.empty((4, 4), np.float32).T[::-1], "out: .*contiguous"),
        (read_only, "out: .*read-only"),
        (a, "out: must not share memory with a"),
        (b, "out: must not share memory with b"),
    ]:
        with pytest.raises(ValueError, match=match):
            ops.matmul(a, b, out=out)
    with pytest.raises(TypeError, match=r"out: .*float32"):
        ops.matmul(a, b, out=np.empty((4, 4)))
    memory = np.ones(40, np.float32)
    with pytest.raises(ValueError, match="out: must not share memory with a"):
        ops.matmul(memory[:16].reshape(4, 4), b, out=memory[12:28].reshape(4, 4))
    assert np.all(memory == 1.0)
    assert np.all(a == 1.0)


@pytest.mark.parametrize(
    ("a", "b", "error", "match"),
    [
        (np.ones((3, 4)), np.ones((5, 2)), ValueError, r"b: expected \(K, N\) with K = 4"),
        (np.ones((3, 4)), np.ones(4), ValueError, "b: expected 2 dimensions"),
        (np.ones((0, 4)), np.ones((4, 2)), ValueError, "a: expected at least one element"),
        (np.ones((3, 0)), np.ones((0, 2)), ValueError, "a: expected at least one element"),
        (np.ones((3, 4)), np.ones((4, 0)), ValueError, "b: expected at least one element"),
        (np.ones((3, 4), complex), np.ones((4, 2)), TypeError, "a: expected real numbers"),
        (None, np.ones((4, 2)), TypeError, "a: expected an array"),
    ],
)
def test_refuses_bad_operands(a: Any, b: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        ops.matmul(a, b)


def test_nan_and_infinity_stay_in_their_row_and_column(isa: str) -> None:
    rng = np.random.default_rng(10)
    for m, n in [(30, 45), (2, 45), (30, 2)]:
        a, b = operands(rng, m, n, 50, False, False, integers=False)
        clean = ops.matmul(a, b)
        a[1, 7], b[49, 0] = np.nan, np.inf
        found = ops.matmul(a, b)
        assert np.all(np.isnan(found[1]))
        assert not np.any(np.isfinite(found[:, 0]))
        untouched = np.ones((m, n), dtype=bool)
        untouched[1], untouched[:, 0] = False, False
        np.testing.assert_array_equal(found[untouched], clean[untouched])


sizes = st.integers(1, 70)


@given(
    m=sizes, n=sizes, k=st.integers(1, 90), trans_a=st.booleans(), trans_b=st.booleans(), seed=st.integers(0, 2**32 - 1)
)
def test_any_shape_is_exact_on_integers(m: int, n: int, k: int, trans_a: bool, trans_b: bool, seed: int) -> None:
    a, b = operands(np.random.default_rng(seed), m, n, k, trans_a, trans_b, integers=True)
    np.testing.assert_array_equal(
        ops.matmul(a, b, trans_a=trans_a, trans_b=trans_b), ref.matmul(a, b, trans_a=trans_a, trans_b=trans_b)
    )


@given(m=sizes, n=sizes, k=sizes, seed=st.integers(0, 2**32 - 1))
def test_product_of_transposes_is_the_transposed_product(m: int, n: int, k: int, seed: int) -> None:
    a, b = operands(np.random.default_rng(seed), m, n, k, False, False, integers=False)
    np.testing.assert_array_equal(ops.matmul(b, a, trans_a=True, trans_b=True), ops.matmul(a, b).T)


def test_strided_rows_through_the_c_interface(isa: str) -> None:
    """lda, ldb, ld_out, alpha, bias and the activation together, which Python reaches only in part."""
    library = ctypes.CDLL(hc._core.__file__)

    class Args(ctypes.Structure):
        _fields_ = [
            ("struct_size", ctypes.c_size_t),
            *((name, ctypes.c_int64) for name in ("m", "n", "k")),
            ("a", ctypes.c_void_p), ("lda", ctypes.c_int64), ("trans_a", ctypes.c_int),
            ("b", ctypes.c_void_p), ("ldb", ctypes.c_int64), ("trans_b", ctypes.c_int),
            ("alpha", ctypes.c_float), ("bias", ctypes.c_void_p), ("activation", ctypes.c_int),
            ("out", ctypes.c_void_p), ("ld_out", ctypes.c_int64), ("threads", ctypes.c_int),
        ]  # fmt: skip

    rng = np.random.default_rng(11)
    for (m, n, k), trans_a, trans_b in [
        ((30, 40, 20), 0, 0),
        ((5, 33, 70), 1, 1),
        ((50, 3, 40), 0, 1),
        ((50, 3, 40), 1, 0),
        ((30, 40, 3500), 0, 1),
        ((50, 3, 3500), 0, 0),
    ]:
        a, b = operands(rng, m, n, k, bool(trans_a), bool(trans_b), integers=True)
        wide_a = np.full((a.shape[0], a.shape[1] + 3), np.nan, np.float32)
        wide_b = np.full((b.shape[0], b.shape[1] + 5), np.nan, np.float32)
        wide_a[:, :-3], wide_b[:, :-5] = a, b
        bias, out = rng.integers(-9, 9, n).astype(np.float32), np.full((m, n + 2), -1.0, np.float32)
        args = Args(
            ctypes.sizeof(Args), m, n, k, wide_a.ctypes.data, wide_a.shape[1], trans_a, wide_b.ctypes.data,
            wide_b.shape[1], trans_b, 0.5, bias.ctypes.data, 1, out.ctypes.data, n + 2, 2,
        )  # fmt: skip
        assert library.hc_matmul(ctypes.byref(args)) == 0
        product = ref.matmul(a, b, trans_a=bool(trans_a), trans_b=bool(trans_b))
        np.testing.assert_array_equal(out[:, :n], np.maximum(0.5 * product + bias, 0.0))
        assert np.all(out[:, n:] == -1.0)
        args.ld_out = n - 1
        assert library.hc_matmul(ctypes.byref(args)) != 0
