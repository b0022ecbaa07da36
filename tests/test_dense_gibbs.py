"""ops.dense_gibbs: against the reference and against exact enumeration, at every level and thread count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import hintoncore as hc
from hintoncore import _core, reference

LEVELS = [level for level in ("scalar", "avx2", "avx512") if _core.isa_detected(level)]
SCHEDULE = np.repeat([20.0, 15.0, 12.0, 10.0], [2, 2, 2, 4]).astype(np.float32)


@pytest.fixture(autouse=True)
def _restore() -> Any:
    yield
    _core.set_isa(None)
    hc.set_num_threads(0)


def couplings(n: int, seed: int, integer: bool = True) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    w = np.triu(rng.integers(-2, 3, (n, n)) if integer else rng.normal(size=(n, n)), 1)
    return np.asarray(w + w.T, dtype=np.float32)


def binary(batch: int, n: int, seed: int = 0) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).random((batch, n)) < 0.5).astype(np.float32)


ORDERS = ["sequential", "random", "asynchronous"]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("spin", [False, True])
@pytest.mark.parametrize(("n", "batch"), [(1, 1), (5, 3), (16, 64), (17, 65), (61, 130), (125, 63)])
def test_matches_the_reference_exactly_on_integers(n: int, batch: int, spin: bool, order: str, level: str) -> None:
    w, rng = couplings(n, n), np.random.default_rng(n)
    state, bias, clamp = binary(batch, n), rng.integers(-2, 3, n).astype(np.float32), rng.random((batch, n)) < 0.2
    options: dict[str, Any] = {
        "sweeps": 3,
        "temperature": np.array([8.0, 8.0, 4.0], np.float32),
        "clamp": clamp,
        "spin": spin,
        "order": order,
        "first_sample": 64,
        "count_pairs": 2,
    }
    clamp[:, rng.random(n) < 0.2] = True  # in all chains: passed over
    _core.set_isa(level)
    generator = hc.Generator(5, 9)
    got, pairs = hc.ops.dense_gibbs(state, w, bias, rng=generator, **options)
    want, want_pairs = reference.dense_gibbs(state, w, bias, seed=5, offset=9, **options)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(pairs, want_pairs)
    assert generator.offset == 9 + (9 if order == "random" else 3)
    assert np.array_equal(got[clamp], state[clamp])


@pytest.mark.parametrize("level", LEVELS)
def test_one_sweep_of_real_weights(level: str) -> None:
    n, batch = 40, 1024
    w = couplings(n, 3, integer=False) / np.float32(np.sqrt(n))
    state, bias = binary(batch, n), np.random.default_rng(4).normal(size=n).astype(np.float32)
    _core.set_isa(level)
    got = hc.ops.dense_gibbs(state, w, bias, rng=3, temperature=0.7)
    want = reference.dense_gibbs(state, w, bias, seed=3, offset=0, temperature=0.7)
    assert np.mean(got != want) <= 1e-5 * n  # a sample at the threshold moves those after it


@pytest.mark.parametrize("order", ORDERS)
def test_results_do_not_depend_on_threads_levels_splits_or_resumption(order: str) -> None:
    n, batch = 130, 700
    w, state, bias = couplings(n, 1), binary(batch, n), np.ones(n, np.float32)
    options: dict[str, Any] = {"spin": True, "order": order}
    results = []
    for level in LEVELS:
        for threads in (1, 2, 3, 8):
            _core.set_isa(level)
            hc.set_num_threads(threads)
            results.append(hc.ops.dense_gibbs(state, w, bias, rng=7, sweeps=10, temperature=SCHEDULE, **options))
    parts = [
        hc.ops.dense_gibbs(part, w, bias, rng=7, sweeps=10, temperature=SCHEDULE, first_sample=first, **options)
        for first, part in ((0, state[:320]), (320, state[320:]))
    ]
    results.append(np.concatenate(parts))
    generator, walk = hc.Generator(7), hc.BitMatrix.from_dense(state)
    for temperature in SCHEDULE:
        walk = hc.ops.dense_gibbs(walk, w, bias, rng=generator, temperature=float(temperature), **options)
    results.append(walk.to_dense())
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize("order", ORDERS)
def test_pairs_do_not_depend_on_threads_levels_or_splits(order: str) -> None:
    n, batch = 130, 700
    w, state, bias = couplings(n, 1), binary(batch, n), np.ones(n, np.float32)
    options: dict[str, Any] = {"order": order, "sweeps": 3, "temperature": 9.0}
    states, pairs = [], []
    for level in LEVELS:
        for threads in (1, 2, 8):
            _core.set_isa(level)
            hc.set_num_threads(threads)
            after, counts = hc.ops.dense_gibbs(state, w, bias, rng=7, count_pairs=2, **options)
            states.append(after)
            pairs.append(counts)
    halves = [
        hc.ops.dense_gibbs(part, w, bias, rng=7, first_sample=first, count_pairs=2, **options)[1]
        for first, part in ((0, state[:320]), (320, state[320:]))
    ]
    pairs.append(halves[0] + halves[1])
    for counts in pairs[1:]:
        np.testing.assert_array_equal(counts, pairs[0])
    np.testing.assert_array_equal(states[0], hc.ops.dense_gibbs(state, w, bias, rng=7, **options))
    last = hc.ops.dense_gibbs(state, w, bias, rng=7, count_pairs=1, **options)[1]
    np.testing.assert_array_equal(last, states[0].T.astype(int) @ states[0].astype(int))


def test_clamped_units_stay_and_everything_clamped_is_the_state_itself() -> None:
    w, state = couplings(20, 1), binary(70, 20)
    for order in ORDERS:
        after, pairs = hc.ops.dense_gibbs(
            state, w, np.zeros(20), rng=1, sweeps=3, order=order, clamp=np.ones(20, bool), count_pairs=3
        )
        np.testing.assert_array_equal(after, state)
        np.testing.assert_array_equal(pairs, 3 * (state.T @ state).astype(int))


def test_asynchronous_probes_are_uniform_over_the_free_units() -> None:
    # Without couplings and with huge biases against the start a unit flips iff it is probed at all.
    # A unit is missed by all m probes with probability (1 - 1/m)^m.
    n, sweeps = 12, 4000
    clamp = np.zeros(n, bool)
    clamp[[2, 7]] = True
    m = n - clamp.sum()
    generator, start = hc.Generator(11), hc.BitMatrix.zeros((1, n))
    flipped = np.zeros(n)
    for _ in range(sweeps):
        after = hc.ops.dense_gibbs(
            start, np.zeros((n, n)), np.full(n, 1e6), rng=generator, order="asynchronous", clamp=clamp
        )
        flipped += after.to_dense()[0]
    assert not flipped[clamp].any()
    share = 1 - (1 - 1 / m) ** m
    z = (flipped[~clamp] - sweeps * share) / np.sqrt(sweeps * share * (1 - share))
    assert np.abs(z).max() < 5.5  # false alarms: 10 units x 4e-8


def test_agrees_with_the_sparse_kernel() -> None:
    n = 30
    w, state, bias = couplings(n, 8), binary(70, n), np.zeros(n, np.float32)
    w += ((w == 0) & ~np.eye(n, dtype=bool)).astype(np.float32)  # every coupling is there
    rows, columns = np.nonzero(w)
    starts = np.arange(n + 1) * (n - 1)
    sparse = hc.ops.graph_gibbs(state, starts, columns, w[rows, columns], bias, rng=3, sweeps=4, temperature=6.0)
    np.testing.assert_array_equal(sparse, hc.ops.dense_gibbs(state, w, bias, rng=3, sweeps=4, temperature=6.0))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("spin", [False, True])
def test_exact_transition_probabilities_and_invariance(spin: bool, order: str) -> None:
    n, batch, temperature = 5, 65536, 1.5
    w, bias = couplings(n, 2, integer=False), np.array([0.3, -0.2, 0.1, 0.0, -0.4], np.float32)
    s = reference.all_states(n)
    values = 2 * s - 1 if spin else s
    logits = (0.5 * np.einsum("ki,ij,kj->k", values, w, values) + values @ bias) / temperature
    p = np.exp(logits - logits.max())
    p /= p.sum()
    p_on = 1 / (1 + np.exp(-(1 + spin) * (values @ w + bias) / temperature))
    units = np.arange(n) if order == "sequential" else hc.Generator(4).permutation(n)
    if order == "asynchronous":  # the probes that this seed draws, some units more than once
        draws = reference.uniforms(4, 0, np.array(2**32 - 1, np.uint64), np.arange(n, dtype=np.uint64))
        units = np.floor(draws * n).astype(int)
        assert len(set(units)) < n
    matrix = np.eye(2**n)
    for i in units:
        others = np.delete(s, i, axis=1)
        same = (others[:, None, :] == others[None, :, :]).all(2)
        matrix = matrix @ (same * np.where(s[:, i][None, :] == 1, p_on[:, i : i + 1], 1 - p_on[:, i : i + 1]))
    np.testing.assert_allclose(p @ matrix, p, rtol=1e-10)

    def z(sample: NDArray[Any], expected: NDArray[Any]) -> float:
        counts = np.bincount((sample @ 2 ** np.arange(n)).astype(int), minlength=2**n)
        keep = expected * batch > 10
        chi = ((counts - expected * batch)[keep] ** 2 / (expected * batch)[keep]).sum()
        return float((chi - keep.sum()) / np.sqrt(2 * keep.sum()))

    options: dict[str, Any] = {"temperature": temperature, "spin": spin, "order": order}
    for start in (0, 13, 31):
        state = np.tile(s[start], (batch, 1)).astype(np.float32)
        assert abs(z(hc.ops.dense_gibbs(state, w, bias, rng=4, **options), matrix[start])) < 5
    assert abs(z(hc.ops.dense_gibbs(binary(batch, n), w, bias, rng=8, sweeps=40, **options), p)) < 5


BAD: list[tuple[dict[str, Any], str]] = [
    ({"state": np.full((2, 3), 0.5)}, "x|state|values"),
    ({"state": np.zeros((2, 4))}, "w"),
    ({"w": np.zeros((3, 4))}, "w"),
    ({"w": np.eye(3)}, "w: expected zeros"),
    ({"w": np.triu(np.ones((3, 3)), 1)}, "w: expected a symmetric"),
    ({"w": np.full((3, 3), np.nan)}, "w: expected finite"),
    ({"b": np.zeros(2)}, "b"),
    ({"b": np.array([0, np.inf, 0])}, "bias"),
    ({"clamp": np.zeros((3, 3), bool)}, "clamp"),
    ({"order": "shuffled"}, "order"),
    ({"count_pairs": 2}, "count_pairs"),
    ({"count_pairs": -1}, "count_pairs"),
    ({"sweeps": 0}, "sweeps"),
    ({"temperature": -1.0}, "temperature"),
    ({"temperature": [1.0, 1.0], "sweeps": 3}, "temperature"),
    ({"first_sample": 3}, "first_sample"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_input_is_named(change: dict[str, Any], message: str) -> None:
    generator = hc.Generator(1)
    w = np.ones((3, 3)) - np.eye(3)
    arguments: dict[str, Any] = {"state": np.zeros((2, 3)), "w": w, "b": np.zeros(3), "rng": generator}
    hc.ops.dense_gibbs(**arguments)
    with pytest.raises((ValueError, TypeError), match=message):
        hc.ops.dense_gibbs(**(arguments | change))
    assert generator.offset == 1
