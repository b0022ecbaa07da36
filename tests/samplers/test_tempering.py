"""Parallel tempering: swaps leave the product of the distributions invariant, and use the energy of the joint state."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import hintoncore as hc
from hintoncore import reference
from hintoncore.samplers import (
    DenseMachine,
    GraphMachine,
    Machine,
    ParallelTempering,
    RBMMachine,
    simulated_annealing,
    swap_probability,
)

RNG = np.random.default_rng(3)
W = np.triu(RNG.normal(size=(4, 4)), 1).astype(np.float32)
W += W.T
BIAS = np.array([0.5, -0.3, 0.2, 0.1], np.float32)


def csr(w: NDArray[Any]) -> tuple[Any, Any, Any]:
    rows, columns = np.nonzero(w)
    return np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(w)))]), columns, w[rows, columns]


def rbm(scale: float = 1.0) -> Any:
    rng = np.random.default_rng(5)
    return SimpleNamespace(
        w=(scale * rng.normal(size=(3, 2))).astype(np.float32),
        b_vis=rng.normal(size=3).astype(np.float32),
        b_hid=rng.normal(size=2).astype(np.float32),
    )


MACHINES: dict[str, Machine] = {
    "rbm": RBMMachine(rbm()),
    "graph": GraphMachine(*csr(W), BIAS),
    "graph of spins": GraphMachine(*csr(W), BIAS, spin=True),
    "dense": DenseMachine(W, BIAS),
    "dense of spins": DenseMachine(W, BIAS, spin=True),
}


def all_states(machine: Machine) -> hc.BitMatrix:
    return hc.BitMatrix.from_dense(reference.all_states(machine.n_units))


def boltzmann(machine: Machine, temperature: float) -> NDArray[np.float64]:
    energy = machine.energy(all_states(machine))
    p = np.exp(-(energy - energy.min()) / temperature)
    return np.asarray(p / p.sum())


def codes(state: hc.BitMatrix) -> NDArray[np.int64]:
    return np.asarray(state.to_dense() @ 2.0 ** np.arange(state.shape[1]), dtype=np.int64)


def z_score(counts: NDArray[Any], p: NDArray[Any]) -> float:
    expected = p * counts.sum()
    small = expected < 10
    observed, expected = (
        np.append(counts[~small], counts[small].sum()),
        np.append(expected[~small], expected[small].sum()),
    )
    keep = expected > 5
    chi, dof = ((observed[keep] - expected[keep]) ** 2 / expected[keep]).sum(), keep.sum() - 1
    return float((chi - dof) / np.sqrt(2 * dof))


@pytest.mark.parametrize("name", MACHINES)
def test_energies_are_those_of_the_definition(name: str) -> None:
    machine = MACHINES[name]
    s = reference.all_states(machine.n_units)
    if isinstance(machine, RBMMachine):
        m = machine.model
        want = [-(v @ m.b_vis) - h @ m.b_hid - v @ m.w @ h for v, h in zip(s[:, :3], s[:, 3:], strict=True)]
    else:
        if "spins" in name:
            s = 2 * s - 1
        want = [-0.5 * x @ W.astype(np.float64) @ x - BIAS.astype(np.float64) @ x for x in s]
    np.testing.assert_allclose(machine.energy(all_states(machine)), want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", MACHINES)
def test_sweeps_keep_the_distribution_of_that_energy(name: str) -> None:
    machine, batch, temperature = MACHINES[name], 65536, 1.7
    start = hc.BitMatrix.from_dense(
        (np.random.default_rng(0).random((batch, machine.n_units)) < 0.5).astype(np.float32)
    )
    state = machine.sweep(start, hc.Generator(1), temperature, sweeps=60)
    counts = np.bincount(codes(state), minlength=2**machine.n_units)
    assert abs(z_score(counts, boltzmann(machine, temperature))) < 5


def tempering_at(machine: Machine, states: list[hc.BitMatrix], temperatures: list[float], seed: int) -> Any:
    pt = ParallelTempering(machine, temperatures, chains=states[0].batch, rng=seed)
    pt.states = [state.copy() for state in states]
    pt.energies = np.stack([machine.energy(state) for state in states])
    return pt


def test_swap_has_the_exact_transition_probabilities() -> None:
    # Every pair of joint states (x, y) at temperatures (1, 3): the swap happens with probability
    # min(1, pi_1(y) pi_3(x) / (pi_1(x) pi_3(y))), computed here from enumerated probabilities.
    machine, repeats = MACHINES["rbm"], 2048
    n_states = 2**machine.n_units
    dense = reference.all_states(machine.n_units)
    x, y = np.divmod(np.repeat(np.arange(n_states**2), repeats), n_states)
    pt = tempering_at(machine, [hc.BitMatrix.from_dense(dense[i]) for i in (x, y)], [1.0, 3.0], seed=1)
    pt.swap(0)
    swapped = codes(pt.states[0]) != x
    assert np.array_equal(codes(pt.states[0])[swapped], y[swapped])
    assert np.array_equal(codes(pt.states[1]), np.where(swapped, x, y))
    np.testing.assert_allclose(pt.energies, [machine.energy(state) for state in pt.states])
    cold, hot = boltzmann(machine, 1.0), boltzmann(machine, 3.0)
    want = np.minimum(1.0, np.outer(hot, cold) / np.outer(cold, hot))  # [x, y]
    matrix = swapped.reshape(n_states, n_states, repeats).mean(2)
    np.fill_diagonal(want, 0.0)  # a swap of equal states cannot be seen
    error = np.abs(matrix - want) / np.sqrt(want * (1 - want) / repeats + 1e-9)
    assert error[(want > 0) & (want < 1)].max() < 6
    assert (matrix[want == 1] == 1).all()
    # Detailed balance of that matrix with respect to pi_1(x) pi_3(y), hence invariance.
    flow = np.outer(cold, hot) * want
    np.testing.assert_allclose(flow, flow.T, atol=1e-15)


def test_swap_keeps_the_product_distribution() -> None:
    machine, chains, rng = MACHINES["dense of spins"], 131072, np.random.default_rng(2)
    dense, temperatures = reference.all_states(machine.n_units), [1.0, 2.0, 4.0]
    drawn = [rng.choice(16, size=chains, p=boltzmann(machine, t)) for t in temperatures]
    pt = tempering_at(machine, [hc.BitMatrix.from_dense(dense[i]) for i in drawn], temperatures, seed=3)
    pt.swap(0)
    pt.swap(1)
    for state, temperature in zip(pt.states, temperatures, strict=True):
        assert abs(z_score(np.bincount(codes(state), minlength=16), boltzmann(machine, temperature))) < 5
    pair = codes(pt.states[0]) * 16 + codes(pt.states[1])
    product = np.outer(boltzmann(machine, 1.0), boltzmann(machine, 2.0)).ravel()
    assert abs(z_score(np.bincount(pair, minlength=256), product)) < 5


def test_swaps_use_the_joint_energy_of_an_rbm_not_the_free_energy() -> None:
    # The trap: acceptance by free energies F(v) = -log sum_h exp(-E(v, h)) at temperature 1 is far off here.
    machine = RBMMachine(rbm(scale=4.0))
    model = machine.model
    dense = reference.all_states(5)
    x, y = dense[5], dense[26]
    states = [hc.BitMatrix.from_dense(np.tile(s, (65536, 1))) for s in (x, y)]
    pt = tempering_at(machine, states, [1.0, 1.25], seed=2)
    energy = pt.energies[:, 0]
    free = reference.free_energy(np.stack([x[:3], y[:3]]), model.w, model.b_vis, model.b_hid)
    if energy[0] > energy[1]:
        pt = tempering_at(machine, states[::-1], [1.0, 1.25], seed=2)
        energy, free = energy[::-1], free[::-1]
    joint, wrong = swap_probability(1.0, 1.25, *energy), swap_probability(1.0, 1.25, *free)
    pt.swap(0)
    rate = np.mean(pt.energies[0] != energy[0])
    assert abs(wrong - joint) > 0.05
    assert abs(rate - joint) < 5 * np.sqrt(joint * (1 - joint) / 65536)
    assert pt.acceptance[0] == pytest.approx(float(joint))


def test_tempering_crosses_a_barrier_that_gibbs_does_not() -> None:
    # Two modes of a ferromagnet, P = 1/2 each; all chains start in one of them.
    machine = DenseMachine(np.ones((10, 10)) - np.eye(10), np.zeros(10), spin=True)
    pt = ParallelTempering(machine, np.geomspace(1.0, 30.0, 10), chains=512, rng=4)
    up = hc.BitMatrix.from_dense(np.ones((512, 10)))
    pt.states = [up.copy() for _ in pt.states]
    pt.run(300)
    assert 0.4 < pt.states[0].to_dense().mean() < 0.6
    assert machine.sweep(up, hc.Generator(1), 1.0, sweeps=300).to_dense().mean() > 0.99
    assert pt.round_trips.sum() > 0


def test_round_trips_are_counted_from_cold_to_hot_and_back() -> None:
    machine = DenseMachine(np.zeros((3, 3)), np.zeros(3))  # every swap is accepted: walkers move deterministically
    pt = ParallelTempering(machine, [1.0, 2.0, 3.0], chains=2, rng=1)
    trips = []
    for _ in range(12):
        pt.run(1)
        trips.append(int(pt.round_trips[0]))
    # With 3 rungs and alternate pairs a walker is back after 6 rounds (2 up, 1 wait, 2 down, 1 wait).
    assert trips[-1] >= 3
    assert np.all(np.diff(trips) <= 1)
    np.testing.assert_array_equal(pt.acceptance, 1.0)
    assert trips[2] == 0


def test_adapt_makes_the_pairs_accept_alike() -> None:
    n = 60
    machine = DenseMachine((np.ones((n, n)) - np.eye(n)) / n, np.zeros(n), spin=True)
    pt = ParallelTempering(machine, [0.5, 0.55, 0.6, 0.7, 8.0], chains=128, rng=2)
    pt.run(40)
    before = np.ptp(pt.acceptance)
    ladder = pt.adapt(60, passes=5)
    assert (np.diff(ladder) > 0).all()
    assert (ladder[0], ladder[-1]) == (0.5, 8.0)
    pt.run(60)
    assert np.ptp(pt.acceptance) < min(0.15, before / 3)


@pytest.mark.parametrize("name", MACHINES)
def test_resume_is_exact(name: str) -> None:
    machine, ladder = MACHINES[name], [1.0, 1.5, 3.0]
    whole = ParallelTempering(machine, ladder, chains=70, rng=9)
    whole.run(7, sweeps=2)
    first = ParallelTempering(machine, ladder, chains=70, rng=9)
    first.run(3, sweeps=2)
    second = ParallelTempering(machine, ladder, chains=70, rng=0)
    second.load_state_dict(first.state_dict())
    second.run(4, sweeps=2)
    want, got = whole.state_dict(), second.state_dict()
    for key, value in want.items():
        np.testing.assert_array_equal(got[key], value, err_msg=key)


def test_simulated_annealing_finds_ground_states_and_reports_their_energies() -> None:
    rng = np.random.default_rng(1)
    w = np.triu(rng.integers(-3, 4, (14, 14)), 1).astype(np.float32)
    w += w.T
    for spin in (False, True):
        machine = DenseMachine(w, np.zeros(14), spin=spin)
        ground = machine.energy(all_states(machine)).min()
        found = simulated_annealing(machine, np.geomspace(20, 0.3, 60), chains=64, rng=1)
        np.testing.assert_allclose(machine.energy(found.states), found.energies)
        assert found.energies.min() == pytest.approx(ground)
        assert machine.energy(hc.BitMatrix.from_dense(found.best[None, :]))[0] == found.energies.min()
        assert (found.energies <= machine.energy(found.last)).all()
        rare = simulated_annealing(machine, np.geomspace(20, 0.3, 60), chains=64, rng=1, every=1000)
        assert rare.last == found.last
        assert (rare.energies >= found.energies).all()


def test_bad_input_is_named() -> None:
    machine = MACHINES["dense"]
    for ladder in ([1.0], [2.0, 1.0], [0.0, 1.0], [1.0, np.nan], [1.0, 1.0]):
        with pytest.raises(ValueError, match="temperatures"):
            ParallelTempering(machine, ladder, chains=2, rng=0)
    with pytest.raises(ValueError, match="chains"):
        ParallelTempering(machine, [1.0, 2.0], chains=0, rng=0)
    with pytest.raises(ValueError, match="temperatures"):
        simulated_annealing(machine, [1.0, 0.0], rng=0)
    with pytest.raises(ValueError, match="state"):
        simulated_annealing(machine, [1.0], rng=0, state=hc.BitMatrix.zeros((2, 3)))
    with pytest.raises(ValueError, match="w: expected a symmetric"):
        DenseMachine(np.triu(np.ones((3, 3)), 1), np.zeros(3))
    pt = ParallelTempering(machine, [1.0, 2.0], chains=2, rng=0)
    with pytest.raises(ValueError, match="words"):
        pt.load_state_dict(ParallelTempering(machine, [1.0, 2.0], chains=65, rng=0).state_dict())
