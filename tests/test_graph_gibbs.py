"""ops.graph_gibbs: against the reference and against exact enumeration, at every level and thread count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import hintoncore as hc
from hintoncore import _core, reference

LEVELS = [level for level in ("scalar", "avx2", "avx512") if _core.isa_detected(level)]
Csr = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]


@pytest.fixture(autouse=True)
def _restore() -> Any:
    threads = hc.get_num_threads()
    yield
    _core.set_isa(None)
    hc.set_num_threads(threads)


def csr(w: NDArray[Any]) -> Csr:
    rows, columns = np.nonzero(w)
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(w)))])
    return starts.astype(np.int64), columns.astype(np.int32), w[rows, columns].astype(np.float32)


def couplings(n: int, density: float, seed: int, integer: bool = True) -> NDArray[np.float32]:
    """Symmetric, with an empty diagonal."""
    rng = np.random.default_rng(seed)
    w = rng.integers(-2, 3, (n, n)).astype(np.float32) if integer else rng.normal(size=(n, n)).astype(np.float32)
    w = np.triu(w * (rng.random((n, n)) < density), 1)
    return np.asarray(w + w.T)


def binary(batch: int, n: int, seed: int = 0) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).random((batch, n)) < 0.5).astype(np.float32)


# Degrees on both sides of 4 and 6, where the kernel changes its method; both sides of a word of chains.
SHAPES = [
    (1, 0.0, 1),
    (2, 1.0, 2),
    (7, 0.5, 3),
    (5, 1.0, 64),
    (7, 1.0, 65),
    (9, 1.0, 63),
    (30, 0.12, 70),
    (40, 0.3, 130),
]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("spin", [False, True])
@pytest.mark.parametrize(("n", "density", "batch"), SHAPES)
def test_matches_the_reference_exactly_on_integers(n: int, density: float, batch: int, spin: bool, level: str) -> None:
    graph = csr(couplings(n, density, n))
    rng = np.random.default_rng(n)
    state, bias = binary(batch, n), rng.integers(-2, 3, n).astype(np.float32)
    clamp = rng.random((batch, n)) < 0.2
    schedule = np.array([4.0, 4.0, 2.0, 1.0], np.float32)
    _core.set_isa(level)
    generator = hc.Generator(5, 9)
    got = hc.ops.graph_gibbs(
        state, *graph, bias, rng=generator, sweeps=4, temperature=schedule, clamp=clamp, spin=spin, first_sample=128
    )
    want = reference.graph_gibbs(
        state, *graph, bias, seed=5, offset=9, sweeps=4, temperature=schedule, clamp=clamp, spin=spin, first_sample=128
    )
    np.testing.assert_array_equal(got, want)
    assert generator.offset == 13
    assert np.array_equal(got[clamp], state[clamp])


@pytest.mark.parametrize("level", LEVELS)
def test_one_sweep_of_real_weights(level: str) -> None:
    w = couplings(60, 0.1, 3, integer=False)
    state, bias = binary(640, 60), np.random.default_rng(4).normal(size=60).astype(np.float32)
    _core.set_isa(level)
    got = hc.ops.graph_gibbs(state, *csr(w), bias, rng=3, temperature=0.7)
    want = reference.graph_gibbs(state, *csr(w), bias, seed=3, offset=0, temperature=0.7)
    assert np.mean(got != want) <= 1e-5 + 1.5 / got.size


@pytest.mark.parametrize("spin", [False, True])
@pytest.mark.parametrize("schedule", [1.0, [2.0, 1.0, 1.0]])
def test_results_do_not_depend_on_threads_levels_or_splits(spin: bool, schedule: Any) -> None:
    n, batch = 700, 200
    w = couplings(n, 5 / n, 1)
    state, bias, graph = binary(batch, n), np.ones(n, np.float32), csr(w)
    options: dict[str, Any] = {"sweeps": 3, "temperature": schedule, "spin": spin}
    results = []
    for level in LEVELS:
        for threads in (1, 2, 3, 8):
            _core.set_isa(level)
            hc.set_num_threads(threads)
            results.append(hc.ops.graph_gibbs(state, *graph, bias, rng=7, **options))
    halves = [
        hc.ops.graph_gibbs(part, *graph, bias, rng=7, first_sample=first, **options)
        for first, part in ((0, state[:64]), (64, state[64:]))
    ]
    results.append(np.concatenate(halves))
    generator, walk = hc.Generator(7), hc.BitMatrix.from_dense(state)
    for temperature in np.broadcast_to(schedule, 3):
        walk = hc.ops.graph_gibbs(walk, *graph, bias, rng=generator, temperature=float(temperature), spin=spin)
    results.append(walk.to_dense())
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_rows_in_any_order_give_the_same_samples() -> None:
    starts, indices, weights = csr(couplings(50, 0.2, 2, integer=False))
    order = np.concatenate([np.random.default_rng(i).permutation(np.arange(*starts[i : i + 2])) for i in range(50)])
    state, bias = binary(70, 50), np.zeros(50, np.float32)
    sorted_rows = hc.ops.graph_gibbs(state, starts, indices, weights, bias, rng=1, sweeps=3)
    shuffled = hc.ops.graph_gibbs(state, starts, indices[order], weights[order], bias, rng=1, sweeps=3)
    np.testing.assert_array_equal(sorted_rows, shuffled)


def test_a_spin_is_a_binary_unit_in_other_units() -> None:
    # -1/2 s'Ws - b's with s = 2x - 1 is -1/2 x'(4W)x - 2(b - W1)'x and a constant.
    w = couplings(40, 0.2, 6)
    state, bias = binary(130, 40), np.random.default_rng(6).integers(-3, 4, 40).astype(np.float32)
    spins = hc.ops.graph_gibbs(state, *csr(w), bias, rng=2, sweeps=5, temperature=3.0, spin=True)
    bits = hc.ops.graph_gibbs(state, *csr(4 * w), 2 * (bias - w.sum(1)), rng=2, sweeps=5, temperature=3.0)
    np.testing.assert_array_equal(spins, bits)


def test_the_order_within_a_colour_does_not_matter() -> None:
    # One site after the other, each its own colour, against all of a colour together.
    w = couplings(60, 0.06, 8)
    graph, state, bias = csr(w), binary(64, 60), np.zeros(60, np.float32)
    colors = reference.greedy_colors(graph[0], graph[1])
    one_by_one = np.argsort(np.argsort(colors, kind="stable"))
    together = hc.ops.graph_gibbs(state, *graph, bias, rng=4, sweeps=3, colors=colors)
    np.testing.assert_array_equal(together, hc.ops.graph_gibbs(state, *graph, bias, rng=4, sweeps=3, colors=one_by_one))
    np.testing.assert_array_equal(together, hc.ops.graph_gibbs(state, *graph, bias, rng=4, sweeps=3))


def boltzmann(w: NDArray[Any], bias: NDArray[Any], temperature: float, spin: bool) -> NDArray[np.float64]:
    """Exact probabilities of all states, by enumeration."""
    s = reference.all_states(len(w))
    if spin:
        s = 2 * s - 1
    logits = (0.5 * np.einsum("ki,ij,kj->k", s, w, s) + s @ bias) / temperature
    p = np.exp(logits - logits.max())
    return np.asarray(p / p.sum())


def transition_matrix(w: NDArray[Any], bias: NDArray[Any], temperature: float, spin: bool, colors: Any) -> Any:
    """Of one sweep, from the probabilities that single sites are on, colour by colour."""
    n = len(w)
    s = reference.all_states(n)
    values = 2 * s - 1 if spin else s
    p_on = 1 / (1 + np.exp(-(1 + spin) * (values @ w + bias) / temperature))
    total = np.eye(2**n)
    for color in np.unique(colors):
        members = np.asarray(colors) == color
        step = np.ones((2**n, 2**n))
        for i in range(n):
            on = s[:, i][None, :]
            factor = np.where(on == 1, p_on[:, i : i + 1], 1 - p_on[:, i : i + 1])
            step *= factor if members[i] else (s[:, i : i + 1] == on)
        total = total @ step
    return total


def chi_square_z(counts: NDArray[Any], p: NDArray[Any]) -> float:
    """Deviation of counts from probabilities in standard deviations of chi-square, cells of small p together."""
    expected = p * counts.sum()
    small = expected < 10
    observed = np.append(counts[~small], counts[small].sum())
    expected = np.append(expected[~small], expected[small].sum())
    keep = expected > 5
    chi, dof = ((observed[keep] - expected[keep]) ** 2 / expected[keep]).sum(), keep.sum() - 1
    return float((chi - dof) / np.sqrt(2 * dof))


@pytest.mark.parametrize("spin", [False, True])
@pytest.mark.parametrize("temperature", [0.8, 2.0])
def test_a_sweep_has_the_exact_transition_probabilities_and_keeps_the_distribution(
    spin: bool, temperature: float
) -> None:
    n, batch = 5, 65536
    w, bias = couplings(n, 0.7, 11, integer=False) * 0.5, np.array([0.3, -0.2, 0.1, 0.0, -0.4], np.float32)
    graph = csr(w)
    colors = reference.greedy_colors(graph[0], graph[1])
    matrix = transition_matrix(w, bias, temperature, spin, colors)
    p = boltzmann(w, bias, temperature, spin)
    np.testing.assert_allclose(p @ matrix, p, rtol=1e-10)
    code = 2 ** np.arange(n)
    for start in (0, 13, 31):
        state = np.tile(reference.all_states(n)[start], (batch, 1)).astype(np.float32)
        out = hc.ops.graph_gibbs(state, *graph, bias, rng=start, temperature=temperature, spin=spin)
        counts = np.bincount((out @ code).astype(int), minlength=2**n)
        assert abs(chi_square_z(counts, matrix[start])) < 5
    long = hc.ops.graph_gibbs(state, *graph, bias, rng=99, sweeps=40, temperature=temperature, spin=spin)
    assert abs(chi_square_z(np.bincount((long @ code).astype(int), minlength=2**n), p)) < 5


def test_clamped_sites_condition_the_others() -> None:
    n, batch = 4, 65536
    w, bias = couplings(n, 1.0, 5, integer=False), np.array([0.2, -0.1, 0.3, 0.0], np.float32)
    state = np.tile(np.array([1, 0, 0, 1], np.float32), (batch, 1))
    clamp = np.array([True, False, False, True])
    out = hc.ops.graph_gibbs(state, *csr(w), bias, rng=1, sweeps=30, clamp=clamp)
    assert (out[:, clamp] == state[:, clamp]).all()
    p = boltzmann(w, bias, 1.0, False)
    s = reference.all_states(n)
    consistent = (s[:, 0] == 1) & (s[:, 3] == 1)
    conditional = np.where(consistent, p, 0) / p[consistent].sum()
    counts = np.bincount((out @ (2 ** np.arange(n))).astype(int), minlength=16)
    assert counts[~consistent].sum() == 0
    assert abs(chi_square_z(counts[consistent], conditional[consistent])) < 5


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("degree", [2, 5, 8])
def test_extreme_fields_saturate(degree: int, level: str) -> None:
    w = np.zeros((degree + 1, degree + 1), np.float32)
    _core.set_isa(level)
    w[0, 1:] = w[1:, 0] = 1e30
    off = hc.ops.graph_gibbs(np.zeros((70, degree + 1), np.float32), *csr(-w), np.full(degree + 1, 1e4), rng=1)
    assert (off[:, 0] == 1).all()
    assert (off[:, 1:] == 0).all()
    on = hc.ops.graph_gibbs(np.ones((70, degree + 1), np.float32), *csr(w), np.full(degree + 1, -1e4), rng=1)
    assert (on == 1).all()


def test_kinds_of_state() -> None:
    graph, bias = csr(couplings(6, 0.5, 1)), np.zeros(6, np.float32)
    dense = binary(70, 6)
    packed = hc.BitMatrix.from_dense(dense)
    before = packed.copy()
    out = hc.ops.graph_gibbs(packed, *graph, bias, rng=1, clamp=np.zeros((70, 6), bool))
    assert isinstance(out, hc.BitMatrix)
    assert packed == before
    indptr, indices, weights = (a.tolist() for a in graph)
    got = hc.ops.graph_gibbs(dense.astype(np.int64), indptr, indices, weights, bias, rng=1)
    np.testing.assert_array_equal(got, out.to_dense())
    empty = (np.zeros(7, np.int64), np.zeros(0, np.int64), np.zeros(0))
    assert hc.ops.graph_gibbs(dense, *empty, np.full(6, 50.0), rng=1).all()


W3 = np.array([[0, 1, 0], [1, 0, 2], [0, 2, 0]], np.float32)
BAD: list[tuple[dict[str, Any], str]] = [
    ({"state": np.full((2, 3), 0.5)}, "x|state|values"),
    ({"state": np.zeros(3)}, "state"),
    ({"state": np.zeros((2, 4))}, "indptr"),
    ({"indptr": [0, 1, 3]}, "indptr"),
    ({"indptr": [0, 3, 1, 4]}, "indptr"),
    ({"indptr": [1, 1, 3, 4]}, "indptr"),
    ({"indptr": [0, 1, 3, 5]}, "indptr"),
    ({"indices": [1, 0, 2, 3]}, "indices"),
    ({"indices": [1, 0, 2, -1]}, "indices"),
    ({"indices": [0, 0, 2, 1]}, "site with itself"),
    ({"indices": [1, 2, 2, 1]}, "twice"),
    ({"indices": [2, 0, 2, 1]}, "symmetric"),
    ({"indices": [1.0, 0.0, 2.0, 1.0]}, "indices"),
    ({"weights": [1, 2, 2, 2]}, "weights: expected symmetric"),
    ({"weights": [1, 1, np.nan, np.nan]}, "weights: expected finite"),
    ({"weights": [1, 1, 2]}, "weights"),
    ({"bias": [0, 0]}, "bias"),
    ({"bias": [0, np.inf, 0]}, "bias"),
    ({"colors": [0, 1]}, "colors"),
    ({"colors": [0, 0, 1]}, "colors: expected neighbours to differ"),
    ({"colors": [0, 3, 0]}, "colors"),
    ({"colors": [0, -1, 0]}, "colors"),
    ({"clamp": [True, False]}, "clamp"),
    ({"clamp": [1, 0, 0]}, "clamp"),
    ({"sweeps": 0}, "sweeps"),
    ({"temperature": 0.0}, "temperature"),
    ({"temperature": [1.0, -1.0], "sweeps": 2}, "temperature"),
    ({"temperature": [1.0, 1.0], "sweeps": 3}, "temperature"),
    ({"temperature": np.nan}, "temperature"),
    ({"first_sample": 3}, "first_sample"),
    ({"rng": "x"}, "rng"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_input_is_named(change: dict[str, Any], message: str) -> None:
    indptr, indices, weights = csr(W3)
    generator = hc.Generator(1)
    arguments: dict[str, Any] = {
        "state": np.zeros((2, 3), np.float32),
        "indptr": indptr,
        "indices": indices,
        "weights": weights,
        "bias": np.zeros(3, np.float32),
        "rng": generator,
    }
    hc.ops.graph_gibbs(**arguments)
    with pytest.raises((ValueError, TypeError), match=message):
        hc.ops.graph_gibbs(**(arguments | change))
    assert generator.offset == 1
