"""Exact transition matrices of every sampler on tiny machines: block, single-site, coloured, annealed, tempered.

Chains start from the exact distribution, or from one state, and make one move; the counts are compared with the exact
distribution after it (chi_square.py has the rate of false alarms); seeds are fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from chi_square import LIMIT, deviation
from numpy.typing import NDArray

import hintoncore as hc
from hintoncore import reference
from hintoncore.models import BoltzmannMachine
from hintoncore.samplers import (
    DenseMachine,
    GraphMachine,
    Machine,
    ParallelTempering,
    RBMMachine,
    simulated_annealing,
)

BATCH = 1 << 17
N = 4
RNG = np.random.default_rng(11)
W = np.triu(RNG.normal(size=(N, N)), 1).astype(np.float32)
W[0, 3] = W[1, 2] = 0  # so that the graph needs two colours and not four
W += W.T
BIAS = np.array([0.4, -0.2, 0.3, -0.5], np.float32)
Matrix = NDArray[np.float64]


def csr(w: NDArray[Any]) -> tuple[Any, Any, Any]:
    rows, columns = np.nonzero(w)
    return np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(w)))]), columns, w[rows, columns]


def boltzmann_machine() -> BoltzmannMachine:
    made = BoltzmannMachine(2, 2, connections=W != 0)
    made.set_parameters({"w": W, "b": BIAS})
    return made


MODEL = SimpleNamespace(
    w=RNG.normal(size=(2, 2)).astype(np.float32),
    b_vis=RNG.normal(size=2).astype(np.float32),
    b_hid=RNG.normal(size=2).astype(np.float32),
)
MACHINES: dict[str, Machine] = {
    "rbm": RBMMachine(MODEL),
    "graph": GraphMachine(*csr(W), BIAS),
    "graph of spins": GraphMachine(*csr(W), BIAS, spin=True),
    "dense": DenseMachine(W, BIAS),
    "dense of spins": DenseMachine(W, BIAS, spin=True),
    "boltzmann": boltzmann_machine(),
}


def states() -> NDArray[np.float64]:
    """All of them; the number of a state is the sum of s_i 2^i."""
    return ((np.arange(2**N)[:, None] >> np.arange(N)) & 1).astype(np.float64)


def boltzmann(machine: Machine, temperature: float) -> NDArray[np.float64]:
    energy = machine.energy(hc.BitMatrix.from_dense(states()))
    p = np.exp(-(energy - energy.min()) / temperature)
    return np.asarray(p / p.sum())


def site_matrix(machine: Machine, temperature: float, unit: int) -> Matrix:
    """Of sampling one unit given the others, from the energies alone."""
    p = boltzmann(machine, temperature)
    matrix = np.zeros((2**N, 2**N))
    for i in range(2**N):
        on, off = i | 1 << unit, i & ~(1 << unit)
        matrix[i, on], matrix[i, off] = p[on] / (p[on] + p[off]), p[off] / (p[on] + p[off])
    return matrix


def sites_matrix(machine: Machine, temperature: float, order: Any) -> Matrix:
    matrix = np.eye(2**N)
    for unit in order:
        matrix = matrix @ site_matrix(machine, temperature, unit)
    return matrix


def sweep_order(name: str) -> list[int]:
    """Of the sites of a sweep: hidden units of the RBM, 2 and 3, come first; the graph goes colour by colour."""
    if name == "rbm":
        return [2, 3, 0, 1]
    if name.startswith("graph"):
        indptr, indices, _ = csr(W)
        return list(np.argsort(reference.greedy_colors(indptr, indices), kind="stable"))
    return list(range(N))


def draw(p: NDArray[np.float64], seed: int, batch: int = BATCH) -> NDArray[np.float32]:
    chosen = np.random.default_rng(seed).choice(len(p), batch, p=p)
    return states()[chosen].astype(np.float32)


def numbers(state: Any) -> NDArray[np.int64]:
    dense = state.to_dense() if isinstance(state, hc.BitMatrix) else state
    return np.asarray(dense @ 2.0 ** np.arange(N), dtype=np.int64)


def assert_is(state: Any, p: NDArray[np.float64]) -> None:
    assert abs(deviation(np.bincount(numbers(state), minlength=len(p)), p)) < LIMIT


@pytest.mark.parametrize("name", MACHINES)
def test_a_sweep_is_its_matrix_and_the_matrix_keeps_the_distribution(name: str) -> None:
    machine, temperature = MACHINES[name], 1.6
    matrix = sites_matrix(machine, temperature, sweep_order(name))
    p = boltzmann(machine, temperature)
    np.testing.assert_allclose(p @ matrix, p, rtol=1e-10)
    for start in range(0, 2**N, 5):
        one = hc.BitMatrix.from_dense(np.tile(states()[start], (BATCH, 1)))
        assert_is(machine.sweep(one, hc.Generator(start), temperature), matrix[start])
    exact = hc.BitMatrix.from_dense(draw(p, seed=1))
    assert_is(machine.sweep(exact, hc.Generator(2), temperature), p)


Move = Callable[[NDArray[np.float32], float], Any]
CLAMP = (np.random.default_rng(5).random((BATCH, N)) < 0.4).astype(bool)
DENSE: dict[str, Move] = {
    "random order": lambda s, t: hc.ops.dense_gibbs(s, W, BIAS, rng=3, temperature=t, order="random"),
    "asynchronous": lambda s, t: hc.ops.dense_gibbs(s, W, BIAS, rng=3, temperature=t, order="asynchronous"),
    "clamped in places": lambda s, t: hc.ops.dense_gibbs(s, W, BIAS, rng=3, temperature=t, clamp=CLAMP),
    "clamped, asynchronous": lambda s, t: hc.ops.dense_gibbs(
        s, W, BIAS, rng=3, temperature=t, clamp=CLAMP, order="asynchronous"
    ),
    "clamped on the graph": lambda s, t: hc.ops.graph_gibbs(s, *csr(W), BIAS, rng=3, temperature=t, clamp=CLAMP),
    "annealed at one temperature": lambda s, t: (
        simulated_annealing(MACHINES["dense"], np.full(3, t), rng=3, state=hc.BitMatrix.from_dense(s)).last
    ),
    "the fifth sweep of a call": lambda s, t: hc.ops.dense_gibbs(s, W, BIAS, rng=3, temperature=t, sweeps=5),
}


@pytest.mark.parametrize("name", DENSE)
def test_one_move_from_the_exact_distribution_keeps_it(name: str) -> None:
    # What is clamped does not depend on the state, so moves of the free units alone keep the joint distribution too.
    p = boltzmann(MACHINES["dense"], 1.6)
    assert_is(DENSE[name](draw(p, seed=4), 1.6), p)


@pytest.mark.parametrize("name", ["graph", "dense", "dense of spins"])
def test_an_annealing_schedule_is_the_product_of_its_matrices(name: str) -> None:
    machine, schedule = MACHINES[name], np.array([6.0, 2.0, 0.7], np.float32)
    matrix = np.eye(2**N)
    for temperature in schedule:
        matrix = matrix @ sites_matrix(machine, float(temperature), sweep_order(name))
    start = np.tile(states()[5], (BATCH, 1)).astype(np.float32)
    options: dict[str, Any] = {"rng": 8, "sweeps": 3, "temperature": schedule, "spin": "spins" in name}
    if name == "graph":
        assert_is(hc.ops.graph_gibbs(start, *csr(W), BIAS, **options), matrix[5])
    else:
        assert_is(hc.ops.dense_gibbs(start, W, BIAS, **options), matrix[5])
    annealed = simulated_annealing(machine, schedule, rng=8, state=hc.BitMatrix.from_dense(start))
    assert_is(annealed.last, matrix[5])


@pytest.mark.parametrize("name", ["rbm", "graph of spins", "boltzmann"])
def test_rounds_of_tempering_keep_the_product_of_the_distributions(name: str) -> None:
    machine, ladder = MACHINES[name], [1.0, 3.0]
    p = [boltzmann(machine, temperature) for temperature in ladder]
    pt = ParallelTempering(machine, ladder, chains=BATCH, rng=5)
    pt.states = [hc.BitMatrix.from_dense(draw(q, seed=20 + i)) for i, q in enumerate(p)]
    pt.energies = np.stack([machine.energy(state) for state in pt.states])
    for _ in range(3):
        pt.run(rounds=1)
        both = numbers(pt.states[0]) + 2**N * numbers(pt.states[1])
        assert abs(deviation(np.bincount(both, minlength=4**N), np.outer(p[1], p[0]).ravel())) < LIMIT
    assert 0.05 < pt.acceptance[0] < 0.999
