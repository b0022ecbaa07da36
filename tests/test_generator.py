"""Random numbers: the published vectors, the map from (seed, offset, element) to a draw, and who may use an offset."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hintoncore as hc
from hintoncore import _core
from hintoncore import reference as ref

UINT64_MAX = 2**64 - 1
words32 = st.integers(0, 2**32 - 1)


def from_hex(text: str) -> np.ndarray:
    return np.array([int(word, 16) for word in text.split()], np.uint32)


@pytest.mark.parametrize("at", [0, 1, 15, 16, 20])
@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_gives_the_published_vectors(isa: str, counter: str, key: str, expected: str, at: int) -> None:
    """Random123's known answers, in every lane."""
    counters = np.full((21, 4), 12345, np.uint32)
    counters[at] = from_hex(counter)
    np.testing.assert_array_equal(_core.philox4x32_10(counters, from_hex(key))[at], from_hex(expected))


@given(counters=st.lists(st.tuples(*[words32] * 4), min_size=1, max_size=40), key=st.tuples(words32, words32))
def test_philox_matches_the_reference(isa: str, counters: list[tuple[int, ...]], key: tuple[int, int]) -> None:
    blocks = _core.philox4x32_10(np.array(counters, np.uint32), np.array(key, np.uint32))
    np.testing.assert_array_equal(blocks, ref.philox4x32_10(counters, key))


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32, 0x0123456789ABCDEF, UINT64_MAX])
@pytest.mark.parametrize("offset", [0, 1, 2**32 - 1, 2**32, UINT64_MAX])
def test_uniform_fills_follow_the_draw_map(isa: str, seed: int, offset: int) -> None:
    wanted = ref.flat_uniforms(seed, offset, 130).astype(np.float32)
    for n in (1, 15, 16, 17, 63, 64, 65, 130):
        rng = hc.Generator(seed, offset)
        x = rng.random(n)
        assert x.dtype == np.float32
        np.testing.assert_array_equal(x, wanted[:n])
        assert rng.offset == (offset + 1) % 2**64


@pytest.mark.parametrize("n", [65535, 65536, 65537, 200_001])
def test_long_fills_do_not_depend_on_tiles_or_threads(isa: str, n: int, set_threads: Callable[[int], None]) -> None:
    wanted = ref.flat_uniforms(5, 6, n).astype(np.float32)
    for threads in (1, 3):
        set_threads(threads)
        np.testing.assert_array_equal(hc.Generator(5, 6).random(n), wanted)


def test_uniforms_stay_inside_the_open_interval(isa: str) -> None:
    x = hc.Generator(2).random(1 << 22)
    assert x.min() > 0
    assert x.max() < 1
    # Standard error of the mean 1.4e-4, six of them: a false alarm once in 5e8 seeds; the variance likewise.
    assert abs(float(x.mean(dtype=np.float64)) - 0.5) < 6 * (1 / 12 / x.size) ** 0.5
    assert abs(float(x.var(dtype=np.float64)) - 1 / 12) < 6 * (1 / 180 / x.size) ** 0.5


def test_shapes() -> None:
    flat = hc.Generator(3).random(24)
    for shape in ((24,), (4, 6), (2, 3, 4), (24, 1)):
        x = hc.Generator(3).random(shape)
        assert x.shape == shape
        np.testing.assert_array_equal(x.ravel(), flat)
    assert hc.Generator(3).random(()).shape == ()
    rng = hc.Generator(3)
    assert rng.random((3, 0)).shape == (3, 0)
    assert rng.offset == 1


def test_normals() -> None:
    rng = hc.Generator(8, 4)
    x = rng.normal((50, 21), mean=3.0, std=0.25)
    assert rng.offset == 6
    assert x.dtype == np.float32
    np.testing.assert_allclose(x.ravel(), 3.0 + 0.25 * ref.standard_normals(8, 4, 1050), rtol=1e-6, atol=1e-6)


def test_permutation_is_one() -> None:
    for n in (0, 1, 2, 63, 64, 65, 1000, 100_000):
        rng = hc.Generator(1, 10)
        order = rng.permutation(n)
        assert order.dtype == np.int64
        assert rng.offset == 12
        np.testing.assert_array_equal(np.sort(order), np.arange(n))


def test_permutation_depends_on_seed_and_offset() -> None:
    orders = [hc.Generator(seed, offset).permutation(20).tolist() for seed in range(5) for offset in range(0, 10, 2)]
    assert len({tuple(order) for order in orders}) == 25
    assert hc.Generator(4).permutation(20).tolist() == hc.Generator(4).permutation(20).tolist()


def test_permutations_are_uniform() -> None:
    rng = hc.Generator(12)
    counts: dict[tuple[int, ...], int] = {}
    for _ in range(6000):
        order = tuple(rng.permutation(3).tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    # Chi-square with 5 degrees of freedom: above 35.9 once in 1e6 seeds.
    assert sum((n - 1000) ** 2 / 1000 for n in counts.values()) < 35.9


def test_integers() -> None:
    for high in (1, 2, 3, 10, 2**23):
        rng = hc.Generator(6, 1)
        x = rng.integers(high, (30, 40))
        assert x.dtype == np.int64
        assert rng.offset == 2
        np.testing.assert_array_equal(x.ravel(), np.floor(ref.flat_uniforms(6, 1, 1200) * high).astype(np.int64))
        assert x.min() >= 0
        assert x.max() < high
    assert len(np.unique(hc.Generator(6).integers(10, 1000))) == 10


def test_the_state_is_seed_and_offset() -> None:
    rng = hc.Generator(7)
    assert (rng.seed, rng.offset) == (7, 0)
    first = rng.random(5)
    state = pickle.loads(pickle.dumps(rng))
    clone = copy.deepcopy(rng)
    again = hc.Generator(7, 1)
    assert repr(state) == "Generator(seed=7, offset=1)"
    second = rng.random(5)
    for other in (state, clone, again):
        np.testing.assert_array_equal(other.random(5), second)
    assert not np.array_equal(first, second)
    rng.offset = 0
    np.testing.assert_array_equal(rng.random(5), first)
    with pytest.raises(AttributeError):
        rng.seed = 3  # type: ignore[misc]


def test_advance_and_reserve() -> None:
    rng = hc.Generator(1, 10)
    assert rng.advance(3) == 10
    assert rng.offset == 13
    with rng.reserve(4) as first:
        assert first == 13
        assert rng.offset == 17

    def reserve_and_fail(error: type[Exception], meanwhile: int) -> None:
        with rng.reserve(2):
            rng.advance(meanwhile)
            raise error

    with pytest.raises(ValueError):
        reserve_and_fail(ValueError, 0)
    assert rng.offset == 17
    with pytest.raises(ValueError):
        reserve_and_fail(ValueError, 5)  # offsets that others took since cannot be given back
    assert rng.offset == 24
    with pytest.raises(FloatingPointError):
        reserve_and_fail(FloatingPointError, 0)  # an update that diverged has drawn
    assert rng.offset == 26


def test_offsets_wrap_around() -> None:
    rng = hc.Generator(1, UINT64_MAX)
    assert rng.advance(3) == UINT64_MAX
    assert rng.offset == 2
    x = hc.Generator(1, UINT64_MAX).normal(9)
    radius = np.sqrt(-2 * np.log(ref.flat_uniforms(1, UINT64_MAX, 9)))
    np.testing.assert_allclose(x, radius * np.cos(2 * np.pi * ref.flat_uniforms(1, 0, 9)), rtol=1e-6, atol=1e-6)
    assert sorted(hc.Generator(1, UINT64_MAX).permutation(9)) == list(range(9))
    w, b = np.zeros((3, 2), np.float32), np.zeros(2, np.float32)
    rng = hc.Generator(1, UINT64_MAX)
    hc.ops.cd_update(np.ones((5, 3)), w, np.zeros(3, np.float32), b, lr=0.1, rng=rng)
    assert rng.offset == 1


def test_an_integer_is_a_fresh_generator() -> None:
    v, w, b = np.ones((70, 3)), np.zeros((3, 40), np.float32), np.zeros(40, np.float32)
    wanted = hc.ops.gibbs_step(v, w, b, rng=hc.Generator(5))
    seeds: list[Any] = [5, np.int64(5), np.uint64(5)]
    for seed in seeds:
        np.testing.assert_array_equal(hc.ops.gibbs_step(v, w, b, rng=seed), wanted)
        np.testing.assert_array_equal(hc.ops.gibbs_step(v, w, b, rng=seed), wanted)
    assert not np.array_equal(hc.ops.gibbs_step(v, w, b, rng=6), wanted)


@pytest.mark.parametrize("bad", [-1, 2**64, 2**200])
def test_range_of_seed_and_offset(bad: int) -> None:
    with pytest.raises(ValueError, match=r"^seed: "):
        hc.Generator(bad)
    with pytest.raises(ValueError, match=r"^offset: "):
        hc.Generator(0, bad)
    rng = hc.Generator(0, 3)
    with pytest.raises(ValueError, match=r"^offset: "):
        rng.offset = bad
    with pytest.raises(ValueError, match=r"^n: "):
        rng.advance(bad)
    assert rng.offset == 3


@pytest.mark.parametrize("bad", [1.0, "7", None, True, np.zeros(3), [1]], ids=str)
def test_kind_of_seed_and_offset(bad: Any) -> None:
    with pytest.raises(TypeError, match=r"^seed: "):
        hc.Generator(bad)
    with pytest.raises(TypeError, match=r"^offset: "):
        hc.Generator(0, bad)


@pytest.mark.parametrize("shape", [-1, (3, -1), 2**34 + 1, (2**20, 2**20), (2**34, 2**34), 2.5, (2.5,), "ab", None])
def test_fills_refuse_bad_shapes(shape: Any) -> None:
    rng = hc.Generator(0)
    for fill in (rng.random, rng.normal, lambda s: rng.integers(5, s)):
        with pytest.raises((ValueError, TypeError), match=r"^shape: "):
            fill(shape)
    assert rng.offset == 0


@pytest.mark.parametrize("bad", [-1, 2**40, 1.5, None, "3", True])
def test_permutation_and_integers_refuse(bad: Any) -> None:
    rng = hc.Generator(0)
    with pytest.raises((ValueError, TypeError), match=r"^n: "):
        rng.permutation(bad)
    with pytest.raises((ValueError, TypeError), match=r"^high: "):
        rng.integers(bad, 3)
    with pytest.raises(ValueError, match=r"^high: "):
        rng.integers(0, 3)
    assert rng.offset == 0


def test_threads_sharing_a_generator_never_draw_the_same_offsets() -> None:
    rng = hc.Generator(9)
    v, w, b = np.ones((64, 2)), np.zeros((2, 64), np.float32), np.zeros(64, np.float32)
    drawn: list[bytes] = []
    taken: list[int] = []
    start = threading.Barrier(4)

    def caller() -> None:
        start.wait(30)
        for _ in range(60):
            drawn.append(hc.ops.gibbs_step(v, w, b, rng=rng).tobytes())
            with rng.reserve(2) as first:
                taken.extend((first, first + 1))

    threads = [threading.Thread(target=caller) for _ in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(interval)
    assert len(drawn) == len(set(drawn)) == 240
    assert len(taken) == len(set(taken)) == 480
    assert rng.offset == 720
