"""exp, log, sigmoid, tanh and softplus: bounds in ulp on a dense sweep, the C library's special values, equal bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hintoncore import _core, ops
from hintoncore import reference as ref

AtLevel = Callable[[str], AbstractContextManager[None]]
SetThreads = Callable[[int], None]

# The bounds that csrc/cpu/math-inl.h, the C header and the docstrings state.
ULP = {"exp": 1.0, "log": 1.0, "sigmoid": 2.5, "tanh": 2.0, "softplus": 2.5}
NAMES = sorted(ULP)

TINY = np.float32(2.0**-126)
HUGE = np.finfo(np.float32).max

# Where an implementation changes its mind: range limits, branch points, multiples of ln 2 / 2, neighbours of each.
EDGES = np.array(
    [0.0, 1.0, 0.5, 2.0, 0.55, 1 / 3, 2 / 3, 4 / 3, 0.75, 1.5, 20.0, 43.5, 44.0, 87.0, 87.33, 88.0, 88.72, 88.73, 89.0,
     103.27, 103.97, 104.0, 105.0, 1e-45, 1e-38, TINY, 1e38, HUGE, math.log(2) / 2, math.log(2), 1.5 * math.log(2), 9.0,
     9.02, 16.6, 17.4],
    np.float32,
)  # fmt: skip
EDGES = np.concatenate([EDGES, np.nextafter(EDGES, np.float32(0)), np.nextafter(EDGES, HUGE)])
EDGES = np.concatenate([EDGES, -EDGES]).astype(np.float32)


def sweep(step: int) -> np.ndarray:
    """Every `step`-th finite float32, both signs, and the edges."""
    patterns = np.arange(0, 0x7F800000, step, dtype=np.uint32)
    x = np.concatenate([patterns, patterns | np.uint32(0x80000000)]).view(np.float32)
    x = np.concatenate([x, EDGES])
    return np.asarray(x[np.isfinite(x)])


def exact(name: str, x: np.ndarray) -> np.ndarray:
    """The function in float64."""
    with np.errstate(all="ignore"):
        return np.asarray(getattr(ref, name)(x.astype(np.float64)))


def error_in_ulp(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Distance in units of the float32 spacing at the exact value, the smallest subnormal below the normal range."""
    with np.errstate(over="ignore"):
        ulp = np.spacing(np.maximum(np.abs(expected.astype(np.float32)), TINY)).astype(np.float64)
    return np.asarray(np.abs(found.astype(np.float64) - expected) / ulp)


@pytest.mark.parametrize("name", NAMES)
def test_error_is_within_the_stated_bound(isa: str, name: str) -> None:
    x = sweep(1009)
    if name == "log":
        x = x[x > 0]
    found, expected = getattr(ops, name)(x), exact(name, x)
    fits = np.abs(expected) <= HUGE
    worst = error_in_ulp(found[fits], expected[fits])
    assert worst.max() <= ULP[name], f"{worst.max():.3f} ulp at {x[fits][worst.argmax()]!r}"
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(found[~fits], expected[~fits].astype(np.float32))  # overflow: infinity


@pytest.mark.parametrize("name", NAMES)
def test_every_level_has_the_same_bits(levels: list[str], at_level: AtLevel, name: str) -> None:
    x = np.concatenate([sweep(4001), np.array([np.inf, -np.inf, np.nan, -np.nan], np.float32)])
    results = []
    for level in levels:
        with at_level(level):
            results.append(getattr(ops, name)(x).view(np.uint32))
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        (
            "exp",
            [0.0, -0.0, np.inf, -np.inf, 89.0, HUGE, -104.0, -HUGE, 1e-45],
            [1, 1, np.inf, 0, np.inf, np.inf, 0, 0, 1],
        ),
        ("log", [1.0, 0.0, -0.0, np.inf, 1e-45], [0, -np.inf, -np.inf, np.inf, math.log(2.0**-149)]),
        ("sigmoid", [0.0, np.inf, -np.inf, HUGE, -HUGE, 20.0], [0.5, 1, 0, 1, 0, 1]),
        ("tanh", [0.0, np.inf, -np.inf, HUGE, -HUGE, 10.0, 1e-45], [0, 1, -1, 1, -1, 1, 1e-45]),
        ("softplus", [0.0, np.inf, -np.inf, HUGE, -HUGE, 100.0], [math.log(2), np.inf, 0, HUGE, 0, 100]),
    ],
)
def test_special_values(isa: str, name: str, x: list[float], expected: list[float]) -> None:
    found = getattr(ops, name)(np.array(x, np.float32))
    np.testing.assert_array_equal(found, np.array(expected, np.float32))
    assert np.all(np.isnan(getattr(ops, name)(np.array([np.nan, -np.nan], np.float32))))


def test_signs_and_domains(isa: str) -> None:
    assert np.all(np.isnan(ops.log(np.array([-1e-45, -1.0, -HUGE, -np.inf], np.float32))))
    x = sweep(100003)
    np.testing.assert_array_equal(ops.tanh(-x).view(np.uint32), (-ops.tanh(x)).view(np.uint32))  # odd, -0 included
    assert np.all(np.diff(ops.sigmoid(np.sort(x))) >= -np.finfo(np.float32).eps)
    subnormal = ops.exp(np.array([-90.0, -100.0], np.float32))
    assert np.all((subnormal > 0) & (subnormal < TINY))  # kept, not flushed


@pytest.mark.parametrize("name", NAMES)
def test_any_length_and_shape(isa: str, name: str) -> None:
    rng = np.random.default_rng(1)
    function = getattr(ops, name)
    whole = np.abs(rng.standard_normal(70, dtype=np.float32)) + np.float32(0.1)
    expected = function(whole)
    for n in range(1, 71):
        memory = np.full(n + 2, 7.0, np.float32)
        function(whole[:n], out=memory[1:-1])
        np.testing.assert_array_equal(memory[1:-1], expected[:n])
        assert memory[0] == memory[-1] == 7.0
    for shape in ((), (1,), (3, 5), (2, 3, 4, 2)):
        x = np.abs(rng.standard_normal(shape)).astype(np.float32)
        assert function(x).shape == shape
        np.testing.assert_array_equal(np.ravel(function(x)), function(np.ravel(x)))


@pytest.mark.parametrize("name", NAMES)
def test_layouts_dtypes_and_out(isa: str, name: str) -> None:
    function = getattr(ops, name)
    x = np.arange(1.0, 25.0).reshape(4, 6) / 8
    expected = function(x.astype(np.float32))
    np.testing.assert_array_equal(function(x), expected)
    np.testing.assert_array_equal(function(np.asfortranarray(x)), expected)
    np.testing.assert_array_equal(function(np.repeat(x, 2, axis=1)[:, ::2]), expected)
    out = np.empty((4, 6), np.float32)
    assert function(x, out=out) is out
    np.testing.assert_array_equal(out, expected)
    same = x.astype(np.float32)
    np.testing.assert_array_equal(function(same, out=same), expected)
    np.testing.assert_array_equal(same, expected)


def test_bits_do_not_depend_on_threads(isa: str, set_threads: SetThreads) -> None:
    x = np.random.default_rng(2).standard_normal(100_003, dtype=np.float32)
    results = []
    for threads in (1, 2, 3, 8):
        set_threads(threads)
        results.append(ops.sigmoid(x))
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


def test_refuses_bad_arguments() -> None:
    memory = np.zeros(20, np.float32)
    read_only = np.zeros(3, np.float32)
    read_only.flags.writeable = False
    bad: list[tuple[Any, Any, type[Exception], str]] = [
        (np.zeros(0), None, ValueError, "x: expected at least one element"),
        (np.zeros(3, complex), None, TypeError, "x: expected real numbers"),
        ("abc", None, TypeError, "x: expected an array"),
        (memory[:3], np.zeros(4, np.float32), ValueError, "out: expected float32 array of shape"),
        (memory[:3], np.zeros(3), TypeError, "out: .*float32"),
        (memory[:3], read_only, ValueError, "out: .*read-only"),
        (memory[:10], memory[5:15], ValueError, "y: must not share memory with x"),
    ]
    for x, out, error, match in bad:
        for name in NAMES:
            with pytest.raises(error, match=match):
                getattr(ops, name)(x, out=out)


def test_ceilings_are_rates() -> None:
    assert _core.bench_fma_peak("scalar", 1000) > 0
    assert _core.bench_copy(1 << 16, 2) > 0
    with pytest.raises(ValueError, match="isa: expected one of"):
        _core.bench_fma_peak("sse9", 1)
    with pytest.raises(ValueError, match="iterations: expected at least 1"):
        _core.bench_copy(1, 0)


@given(x=hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(width=32, allow_nan=True, allow_infinity=True)))
def test_any_floats(x: np.ndarray) -> None:
    for name in NAMES:
        found = getattr(ops, name)(x)
        expected = exact(name, x)
        with np.errstate(all="ignore"):
            rounded = expected.astype(np.float32)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(rounded))
        finite = np.isfinite(expected) & (np.abs(expected) <= HUGE)
        assert np.all(error_in_ulp(found[finite], expected[finite]) <= ULP[name])
        infinite = np.isinf(rounded) & ~finite
        np.testing.assert_array_equal(found[infinite], rounded[infinite])
