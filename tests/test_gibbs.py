"""Half-steps of Gibbs sampling: the same bits as the reference and at every ISA level, and the right distribution."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hintoncore as hc
from hintoncore import reference as ref

AtLevel = Callable[[str], AbstractContextManager[None]]

SEED, OFFSET = 0x9E3779B97F4A7C15, (7 << 32) + 5

# (batch, inputs, outputs): one of each side of every edge of the kernel. Batch: 8 rows unrolled, 64 samples a Philox
# block, 1024 rows a tile. Inputs: groups of 5, chunks of 60 read from words of 64, lookups of 4, 8 or 12
# groups. Chunks start at 16 places of a word in turn, so all of them have been seen after 960. Outputs: vectors of 4, 8
# and 16, blocks of 16, tiles of 64.
BATCHES = (1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 128, 255, 257, 511, 512, 513, 1023, 1024, 1025)
INPUTS = (1, 4, 5, 6, 19, 20, 21, 39, 41, 59, 60, 61, 63, 64, 65, 119, 120, 121, 124, 125, 128, 180, 193, 241)
LONG_INPUTS = (896, 900, 961, 1025)
OUTPUTS = (1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 80, 129)
SHAPES = sorted(
    {(b, 61, 17) for b in BATCHES}
    | {(9, i, 17) for i in INPUTS + LONG_INPUTS}
    | {(66, 23, o) for o in OUTPUTS}
    | {(1, 1, 1)}
)


def states(batch: int, units: int, density: float = 0.5) -> np.ndarray:
    rng = np.random.default_rng([batch, units, 1])
    return (rng.random((batch, units)) < density).astype(np.float32)


def integer_weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).integers(-2, 3, shape).astype(np.float32)


def float_weights(*shape: int, std: float = 0.3) -> np.ndarray:
    return np.random.default_rng(shape).normal(0, std, shape).astype(np.float32)


def oriented(w: np.ndarray, transpose: bool) -> np.ndarray:
    """`w` [inputs, outputs] as the argument: [V, H] whichever layer is given."""
    return np.ascontiguousarray(w.T) if transpose else w


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_integer_weights_give_the_bits_of_the_reference(isa: str, shape: tuple[int, int, int], transpose: bool) -> None:
    batch, n_in, n_out = shape
    x, w, b = states(batch, n_in), integer_weights(n_in, n_out), integer_weights(n_out)
    w = oriented(w, transpose)
    expected, p = ref.gibbs_step(x, w, b, seed=SEED, offset=OFFSET, transpose=transpose)
    rng = hc.Generator(SEED, OFFSET)
    sample, probs = hc.ops.gibbs_step(hc.BitMatrix.from_dense(x), w, b, rng=rng, transpose=transpose, return_probs=True)
    assert rng.offset == OFFSET + 1
    assert isinstance(sample, hc.BitMatrix)
    np.testing.assert_array_equal(sample.words, ref.pack_bits(expected))
    assert probs.dtype == np.float32
    np.testing.assert_allclose(probs, p, rtol=3e-7, atol=1e-9)
    # Dense states, and no probabilities: the same sample.
    dense = hc.ops.gibbs_step(x, w, b, rng=hc.Generator(SEED, OFFSET), transpose=transpose)
    assert dense.dtype == np.float32
    np.testing.assert_array_equal(dense, expected)


@pytest.mark.parametrize("transpose", [False, True])
def test_one_long_row_of_tiles(isa: str, transpose: bool) -> None:
    """Several tiles in both directions and an uneven end in each."""
    batch, n_in, n_out = 1100, 309, 151
    x, w, b = states(batch, n_in, 0.2), integer_weights(n_in, n_out), integer_weights(n_out)
    w = oriented(w, transpose)
    expected, _ = ref.gibbs_step(x, w, b, seed=3, offset=0, transpose=transpose, temperature=4.0)
    sample = hc.ops.gibbs_step(x, w, b, rng=3, transpose=transpose, temperature=4.0)
    np.testing.assert_array_equal(sample, expected)


# From 192 output units on, rows are read by records of their groups of 5 that are not all zero. Rows of all zeros, of
# all ones and of every number of live groups in a chunk of 60, and inputs that no row has.
PLANNED_SHAPES = [(b, 125, 192) for b in (1, 2, 3, 4, 5, 7, 64, 65)] + [
    (41, i, 200) for i in (3, 19, 21, 59, 60, 61, 784)
]
PLANNED_SHAPES += [(1029, 130, 200), (100, 784, 193)]
ROW_KINDS = ("zeros", "ones", "one input", "sparse", "half", "every length", "runs", "one row of ones", "dead inputs")


def rows_of(kind: str, batch: int, n_in: int) -> np.ndarray:
    """States of [batch, n_in] that are 0 or 1 in the way of `kind`."""
    rng = np.random.default_rng([batch, n_in, ROW_KINDS.index(kind)])
    x = np.zeros((batch, n_in), np.float32)
    if kind == "ones":
        x[:] = 1
    elif kind == "one input":
        x[np.arange(batch), rng.integers(0, n_in, batch)] = 1
    elif kind in ("sparse", "half"):
        x[:] = rng.random((batch, n_in)) < (0.05 if kind == "sparse" else 0.5)
    elif kind == "every length":  # row r has r % 13 live groups in each chunk
        for r in range(batch):
            for chunk in range(0, n_in, 60):
                for group in rng.permutation(12)[: r % 13]:
                    first = chunk + 5 * group
                    bits = rng.integers(1, 32) >> np.arange(5) & 1
                    x[r, first : first + 5] = bits[: max(0, min(5, n_in - first))]
    elif kind == "runs":
        for r in range(batch):
            first = rng.integers(0, n_in)
            x[r, first : first + 7] = 1
    elif kind == "one row of ones":
        x[batch // 2] = 1
    elif kind == "dead inputs":
        x[:, n_in // 3 : n_in // 2] = rng.random((batch, n_in // 2 - n_in // 3)) < 0.3
    return x


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("kind", ROW_KINDS)
@pytest.mark.parametrize("shape", PLANNED_SHAPES, ids=str)
def test_rows_read_by_their_live_groups(isa: str, shape: tuple[int, int, int], kind: str, transpose: bool) -> None:
    """The bits of the reference; to the last bit the probabilities of the same units a few at a time, by all groups."""
    batch, n_in, n_out = shape
    x, w, b = rows_of(kind, batch, n_in), integer_weights(n_in, n_out), integer_weights(n_out)
    bits = hc.BitMatrix.from_dense(x)
    expected, _ = ref.gibbs_step(x, oriented(w, transpose), b, seed=SEED, offset=OFFSET, transpose=transpose)
    sample = hc.ops.gibbs_step(
        bits, oriented(w, transpose), b, rng=hc.Generator(SEED, OFFSET), transpose=transpose
    ).to_dense()
    np.testing.assert_array_equal(sample, expected)

    def probabilities(units: slice) -> np.ndarray:
        few = oriented(np.ascontiguousarray(w[:, units]), transpose)
        _, probs = hc.ops.gibbs_step(bits, few, b[units], rng=1, transpose=transpose, return_probs=True)
        return np.asarray(probs)

    w = float_weights(n_in, n_out)
    whole = probabilities(slice(None))
    parts = [probabilities(slice(first, min(first + 80, n_out))) for first in range(0, n_out, 80)]
    np.testing.assert_array_equal(whole, np.concatenate(parts, axis=1))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused_among_inputs_that_are_never_on(isa: str, value: float) -> None:
    x, w, b = np.zeros((20, 300), np.float32), float_weights(300, 200), float_weights(200)
    x[:, :3] = 1
    for i, u in ((7, 0), (64, 17), (123, 199), (299, 150)):
        poisoned = w.copy()
        poisoned[i, u] = value
        with pytest.raises(ValueError, match=r"w: .*got NaN"):
            hc.ops.gibbs_step(hc.BitMatrix.from_dense(x), poisoned, b, rng=1)


@pytest.mark.parametrize("kind", ROW_KINDS)
def test_live_groups_and_the_thread_count(isa: str, kind: str, set_threads: Callable[[int], None]) -> None:
    x, w, b = hc.BitMatrix.from_dense(rows_of(kind, 1030, 200)), float_weights(200, 300), float_weights(300)
    found = []
    for threads in (1, 2, 3, 8):
        set_threads(threads)
        found.append(hc.ops.gibbs_step(x, w, b, rng=1, return_probs=True))
    for sample, probs in found[1:]:
        assert sample == found[0][0]
        np.testing.assert_array_equal(probs, found[0][1])


def test_integer_weights_give_the_same_bits_at_every_level(levels: list[str], at_level: AtLevel) -> None:
    x, w, b = hc.BitMatrix.from_dense(states(2000, 300)), integer_weights(300, 500), integer_weights(500)
    found = []
    for level in levels:
        with at_level(level):
            found.append(hc.ops.gibbs_step(x, w, b, rng=1, temperature=3.0))
    assert all(sample == found[0] for sample in found)


BIG = (2100, 784, 1000)


@functools.cache
def big_problem(real: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """2.1e6 draws with the weights of a trained model, and what the reference makes of them."""
    batch, n_in, n_out = BIG
    x, w, b = states(batch, n_in, 0.2), float_weights(n_in, n_out, std=0.1), float_weights(n_out, std=0.5)
    if real:
        x = np.random.default_rng(0).random((batch, n_in), np.float32)
    expected, p = ref.gibbs_step(x, w, b, seed=SEED, offset=OFFSET)
    return x, w, b, expected, p


@pytest.mark.parametrize("real", [False, True], ids=["bits", "real"])
def test_float_weights_differ_in_at_most_1e_5_of_the_draws(real: bool, levels: list[str], at_level: AtLevel) -> None:
    x, w, b, expected, p = big_problem(real)
    assert expected.size >= 2_000_000
    found = [expected]
    for level in levels:
        with at_level(level):
            sample, probs = hc.ops.gibbs_step(x, w, b, rng=hc.Generator(SEED, OFFSET), return_probs=True)
        # 784 float32 additions of terms below 0.5: rounding of x near 1e-5, a quarter of that in p.
        np.testing.assert_allclose(probs, p, rtol=0, atol=5e-6)
        found.append(sample)
    for i, first in enumerate(found):
        for second in found[:i]:
            assert np.count_nonzero(first != second) <= 1e-5 * expected.size


@pytest.mark.parametrize("temperature", [1e-3, 0.25, 1.0, 1.5, 7.0, 1e6])
@pytest.mark.parametrize("kind", ["packed", "real"])
def test_temperature(isa: str, temperature: float, kind: str) -> None:
    x, w, b = states(130, 70), integer_weights(70, 40), integer_weights(40)
    if kind == "real":
        x = x * np.float32(0.5)
    expected, p = ref.gibbs_step(x, w, b, seed=2, offset=9, temperature=temperature)
    v = hc.BitMatrix.from_dense(x) if kind == "packed" else x
    sample, probs = hc.ops.gibbs_step(v, w, b, rng=hc.Generator(2, 9), temperature=temperature, return_probs=True)
    np.testing.assert_array_equal(sample.to_dense() if kind == "packed" else sample, expected)
    # x / T rounds once: a relative error of 6e-8 in an exponent of up to 87.
    np.testing.assert_allclose(probs, p, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1), (37, 19, 70), (64, 64, 64), (65, 129, 33), (600, 31, 81)], ids=str)
def test_real_valued_states(isa: str, shape: tuple[int, int, int], transpose: bool) -> None:
    batch, n_in, n_out = shape
    x = np.random.default_rng(shape).random((batch, n_in), np.float32)
    w, b = oriented(float_weights(n_in, n_out), transpose), float_weights(n_out)
    expected, p = ref.gibbs_step(x, w, b, seed=4, offset=1, transpose=transpose)
    sample, probs = hc.ops.gibbs_step(x, w, b, rng=hc.Generator(4, 1), transpose=transpose, return_probs=True)
    np.testing.assert_allclose(probs, p, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(sample, expected)  # 5e4 draws with a rounding error of 1e-6 at the threshold


def test_one_real_value_among_bits_is_not_rounded(isa: str) -> None:
    x, w, b = states(70, 33), float_weights(33, 20), float_weights(20)
    x[69, 32] = 0.25
    _, p = ref.gibbs_step(x, w, b, seed=0, offset=0)
    np.testing.assert_allclose(hc.ops.gibbs_step(x, w, b, rng=0, return_probs=True)[1], p, rtol=0, atol=1e-6)


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("real", [False, True], ids=["bits", "real"])
def test_results_do_not_depend_on_the_thread_count(
    isa: str, transpose: bool, real: bool, set_threads: Callable[[int], None]
) -> None:
    for batch, n_in, n_out in ((1, 1, 1), (37, 19, 70), (1100, 61, 133)):
        x = states(batch, n_in) * np.float32(0.5 if real else 1)
        w, b = oriented(float_weights(n_in, n_out), transpose), float_weights(n_out)
        found = []
        for threads in (1, 2, 3, 8):
            set_threads(threads)
            sample, probs = hc.ops.gibbs_step(x, w, b, rng=8, transpose=transpose, return_probs=True)
            found.append((sample.tobytes(), probs.tobytes()))
        assert len(set(found)) == 1


@pytest.mark.parametrize("real", [False, True], ids=["bits", "real"])
def test_a_batch_may_be_split(isa: str, real: bool) -> None:
    x, w, b = states(700, 61), float_weights(61, 83), float_weights(83)
    if real:
        x = x * np.float32(0.75)
    whole, p = hc.ops.gibbs_step(x, w, b, rng=hc.Generator(3, 4), return_probs=True)
    for first, last in ((0, 64), (64, 320), (320, 700), (640, 641)):
        rng = hc.Generator(3, 4)
        part, q = hc.ops.gibbs_step(x[first:last], w, b, rng=rng, first_sample=first, return_probs=True)
        np.testing.assert_array_equal(part, whole[first:last])
        np.testing.assert_allclose(q, p[first:last], rtol=0, atol=1e-6 if real else 0)
        if not real:
            packed = hc.BitMatrix.from_dense(x[first:last])
            part = hc.ops.gibbs_step(packed, w, b, rng=hc.Generator(3, 4), first_sample=first)
            np.testing.assert_array_equal(part.to_dense(), whole[first:last])


@pytest.mark.parametrize("first", [0, 64, 2**32 - 64, 2**32, 2**33 + 640, 2**34 - 128])
def test_first_sample_enters_the_counter(isa: str, first: int) -> None:
    batch, units = 70, 37
    sample = hc.ops.gibbs_step(
        np.ones((batch, 1)), np.zeros((1, units)), np.zeros(units), rng=hc.Generator(SEED, OFFSET), first_sample=first
    )
    s = first + np.arange(batch, dtype=np.uint64)[:, None]
    counter = np.zeros((batch, units, 4), np.uint64)
    counter[..., 0] = s // 64 * 16 + s % 16
    counter[..., 1] = np.arange(units)
    counter[..., 2], counter[..., 3] = OFFSET & 0xFFFFFFFF, OFFSET >> 32
    blocks = ref.philox4x32_10(counter, [SEED & 0xFFFFFFFF, SEED >> 32])
    word = np.broadcast_to((s % 64 // 16).astype(np.intp)[..., None], (batch, units, 1))
    np.testing.assert_array_equal(sample, np.take_along_axis(blocks, word, -1)[..., 0] < 2**31)


def test_other_layouts_and_dtypes_are_converted(isa: str) -> None:
    x, w, b = states(67, 24), integer_weights(24, 20), integer_weights(20)
    wanted = hc.ops.gibbs_step(x, w, b, rng=1)
    for v in (x.astype(bool), x.astype(np.int64), x.astype(np.float64), np.asfortranarray(x), x.tolist()):
        np.testing.assert_array_equal(hc.ops.gibbs_step(v, w, b, rng=1), wanted)
    for other in (np.asfortranarray(w), w.astype(np.float64), w.astype(np.int8), np.repeat(w, 2, 1)[:, ::2]):
        np.testing.assert_array_equal(hc.ops.gibbs_step(x, other, b.astype(np.float64), rng=1), wanted)


def test_inputs_are_not_written(isa: str) -> None:
    x, w, b = states(67, 24), float_weights(24, 20), float_weights(20)
    v = hc.BitMatrix.from_dense(x)
    before = [a.tobytes() for a in (x, w, b, v.words)]
    for array in (x, w, b, v.words):
        array.flags.writeable = False
    hc.ops.gibbs_step(x, w, b, rng=1, return_probs=True)
    hc.ops.gibbs_step(v, w, b, rng=1, return_probs=True)
    assert [a.tobytes() for a in (x, w, b, v.words)] == before


@pytest.mark.parametrize("kind", ["packed", "real"])
def test_saturated_units(isa: str, kind: str) -> None:
    """p within 2**-24 of 0 or 1 leaves no draw on the other side; 0 times infinity and overflow lie on this path."""
    x = np.ones((130, 3), np.float32)
    values = np.array([80, -80, 3e38, -3e38, 87.5, -87.5, 104, -104, 1e-45, 0], np.float32)
    w = np.zeros((3, len(values)), np.float32)
    w[1] = values
    expected = np.broadcast_to(values > 0.5, (130, len(values)))
    decided = np.abs(values) > 1
    v = hc.BitMatrix.from_dense(x) if kind == "packed" else x * np.float32(0.999)
    for temperature in (1.0, 1e-2, 1e-30, 1e-37):
        sample, probs = hc.ops.gibbs_step(
            v, w, np.zeros(len(values)), rng=1, temperature=temperature, return_probs=True
        )
        dense = sample.to_dense() if kind == "packed" else sample
        np.testing.assert_array_equal(dense[:, decided], expected[:, decided])
        np.testing.assert_allclose(probs[:, decided], expected[:, decided], rtol=0, atol=1e-30)
        assert (probs[:, -1] == 0.5).all()
        assert 20 < dense[:, -1].sum() < 110
        if temperature >= 1e-30:  # 1e-45 / T is still next to nothing
            assert (probs[:, -2] == 0.5).all()


def test_no_temperature_is_small_enough_to_lose_the_even_odds(isa: str) -> None:
    """1/T overflows below 3e-39, and 0 times infinity is no number: subnormal temperatures are refused."""
    v, w, b = np.ones((9, 1)), np.zeros((1, 5)), np.zeros(5)
    for temperature in (1.2e-38, 1.0, 3e38):
        _, probs = hc.ops.gibbs_step(v, w, b, rng=1, temperature=temperature, return_probs=True)
        assert (probs == 0.5).all()


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf, -np.inf, 1e39, 1e-38, 1e-45, 1e-60, 10**400])
def test_temperature_must_be_positive_and_finite(isa: str, bad: float) -> None:
    rng = hc.Generator(0)
    with pytest.raises(ValueError, match=r"^temperature: "):
        hc.ops.gibbs_step(np.ones((2, 2)), np.zeros((2, 2)), np.zeros(2), rng=rng, temperature=bad)
    assert rng.offset == 0


@settings(max_examples=60)
@given(data=st.data())
def test_nan_and_infinity_are_refused_wherever_they_are(isa: str, data: st.DataObject) -> None:
    batch, n_in, n_out = (data.draw(st.integers(1, n)) for n in (20, 130, 70))
    transpose, real = data.draw(st.booleans()), data.draw(st.booleans())
    value = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    name = data.draw(st.sampled_from(["w", "b", "states"]))
    x, w, b = (
        states(batch, n_in, 0.1) * np.float32(0.5 if real else 1),
        float_weights(n_in, n_out),
        float_weights(n_out),
    )
    poisoned = {"w": w, "b": b, "states": x}[name]
    poisoned.flat[data.draw(st.integers(0, poisoned.size - 1))] = value
    w = oriented(w, transpose)
    kinds: list[Any] = [x]
    if name != "states" and not real:
        kinds.append(hc.BitMatrix.from_dense(x))
    for v in kinds:
        rng = hc.Generator(1, 7)
        with pytest.raises(ValueError, match=f"^{name}"):
            hc.ops.gibbs_step(v, w, b, rng=rng, transpose=transpose)
        assert rng.offset == 7


@pytest.mark.parametrize("value", [-0.25, 1.0000001, 2.0, -1e-30, 1e300])
def test_states_outside_the_unit_interval_are_refused(isa: str, value: float) -> None:
    for at in ((0, 0), (99, 32), (50, 17)):
        x = states(100, 33).astype(np.float64)
        x[at] = value
        with pytest.raises(ValueError, match="states: expected values in"):
            hc.ops.gibbs_step(x, float_weights(33, 4), float_weights(4), rng=1)


# Distribution


def test_frequencies_are_the_probabilities(isa: str) -> None:
    """2**19 draws of each of 24 units. Six standard errors: a false alarm once in 2e7 runs, an error of 0.4 % found."""
    n, units = 2**19, 24
    v = hc.BitMatrix(np.full((2, n // 64), 2**64 - 1, np.uint64), n)
    w, b = np.zeros((2, units), np.float32), np.linspace(-5, 5, units, dtype=np.float32)
    w[0], w[1] = 0.75, -0.5
    p = ref.sigmoid((b + 0.25) / 1.25)
    sample = hc.ops.gibbs_step(v, w, b, rng=77, temperature=1.25)
    on = np.unpackbits(sample.words.view(np.uint8), axis=1).sum(1)
    assert np.all(np.abs(on - n * p) < 6 * np.sqrt(n * p * (1 - p)))


def test_draws_are_independent(isa: str) -> None:
    """No correlation between units, between samples a Philox lane apart, or between offsets: draws are never reused."""
    n, units = 2**14, 70
    rng = hc.Generator(5)
    v, w, b = np.ones((n, 1)), np.zeros((1, units)), np.zeros(units)
    first, second = (2 * hc.ops.gibbs_step(v, w, b, rng=rng) - 1 for _ in range(2))
    # 4900 pairs, 6.5 standard errors of a correlation: a false alarm once in 2e6 seeds.
    bound = 6.5 * np.sqrt(n)
    products = first.T @ first
    assert np.abs(products[~np.eye(units, dtype=bool)]).max() < bound
    assert np.abs(first.T @ second).max() < bound
    for lag in (1, 2, 4, 8, 16, 32, 48, 64, 512):
        assert np.abs((first[lag:] * first[:-lag]).sum(0)).max() < bound


def chi_square_bound(degrees: int) -> float:
    """Exceeded once in 1e6 (Wilson and Hilferty 1931)."""
    spread = 2 / (9 * degrees)
    return float(degrees * (1 - spread + 4.753 * spread**0.5) ** 3)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_long_chains_have_the_distribution_of_the_model(isa: str, temperature: float) -> None:
    """2**15 independent chains of a 3 x 3 machine, counted over all 64 joint states after 25 alternations."""
    n = 2**15
    w = np.array([[1.0, -0.6, 0.4], [-0.8, 0.9, 0.3], [0.5, 0.2, -1.1]], np.float32) * np.float32(temperature)
    b_vis = np.array([0.2, -0.3, 0.1], np.float32) * np.float32(temperature)
    b_hid = np.array([-0.1, 0.25, -0.4], np.float32) * np.float32(temperature)
    rng = hc.Generator(123)
    v = hc.BitMatrix.zeros((n, 3))
    for _ in range(25):
        h = hc.ops.gibbs_step(v, w, b_hid, rng=rng, temperature=temperature)
        v = hc.ops.gibbs_step(h, w, b_vis, rng=rng, transpose=True, temperature=temperature)
    joint = np.concatenate([v.to_dense(np.int64), h.to_dense(np.int64)], axis=1) @ (1 << np.arange(6))
    all_states = ref.all_states(6)
    vs, hs = all_states[:, :3], all_states[:, 3:]
    p = np.exp((vs @ b_vis + hs @ b_hid + ((vs @ w) * hs).sum(1)) / temperature)
    p /= p.sum()
    counts = np.bincount(joint, minlength=64)
    assert (n * p).min() > 50
    assert ((counts - n * p) ** 2 / (n * p)).sum() < chi_square_bound(63)
