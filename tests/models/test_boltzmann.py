"""models.BoltzmannMachine: against enumeration, and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from chi_square import LIMIT, deviation
from numpy.typing import NDArray

import hintoncore as hc
from hintoncore import reference
from hintoncore.files import FileFormatError
from hintoncore.models import RBM, BoltzmannMachine
from hintoncore.samplers import ParallelTempering, annealing_schedule


def machine(n_visible: int, n_hidden: int, seed: int = 0, layered: bool = False) -> BoltzmannMachine:
    """Random weights on random connections."""
    rng, n = np.random.default_rng(seed), n_visible + n_hidden
    mask = np.triu(rng.random((n, n)) < 0.8, 1)
    if layered:
        mask[n_visible:, n_visible:] = False
    made = BoltzmannMachine(n_visible, n_hidden, connections=mask | mask.T, seed=seed)
    w = np.triu(rng.normal(size=(n, n)) * mask, 1).astype(np.float32)
    made.set_parameters({"w": w + w.T, "b": rng.normal(size=n).astype(np.float32)})
    return made


def joint(model: BoltzmannMachine, temperature: float) -> NDArray[np.float64]:
    """Probabilities of all joint states, unit 0 the lowest bit."""
    s = ((np.arange(2**model.n_units)[:, None] >> np.arange(model.n_units)) & 1).astype(np.float64)
    w, b = model.w.astype(np.float64), model.b.astype(np.float64)
    logits = (0.5 * np.einsum("ki,ij,kj->k", s, w, s) + s @ b) / temperature
    p = np.exp(logits - logits.max())
    return np.asarray(p / p.sum())


def numbers(states: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.asarray((states @ 2 ** np.arange(states.shape[1])).astype(np.int64))


def test_energies_partition_function_and_probabilities_by_enumeration() -> None:
    for n_visible, n_hidden in ((5, 0), (4, 3), (9, 7)):  # the last takes several blocks
        model, temperature = machine(n_visible, n_hidden), 1.7
        p = joint(model, temperature)
        states = ((np.arange(2**model.n_units)[:, None] >> np.arange(model.n_units)) & 1).astype(np.float32)
        energy = model.energy(hc.BitMatrix.from_dense(states))
        np.testing.assert_allclose(np.exp(-energy / temperature - model.log_z(temperature)), p, rtol=1e-9)
        visible = p.reshape(2**n_hidden, 2**n_visible).sum(axis=0)
        np.testing.assert_allclose(model.visible_probabilities(temperature), visible, rtol=1e-9)
    with pytest.raises(ValueError, match="n_units"):
        BoltzmannMachine(20, 5).log_z()


def test_layered_machines_sum_hidden_units_out() -> None:
    model, temperature = machine(5, 4, seed=2, layered=True), 2.5
    p = joint(model, temperature).reshape(2**4, 2**5)
    v = ((np.arange(2**5)[:, None] >> np.arange(5)) & 1).astype(np.float32)
    log_p = -model.free_energy(v, temperature) / temperature - model.log_z(temperature)
    np.testing.assert_allclose(np.exp(log_p), p.sum(axis=0), rtol=1e-9)
    on = ((np.arange(2**4)[:, None] >> np.arange(4)) & 1).astype(np.float64)
    np.testing.assert_allclose(model.hidden_probabilities(v, temperature), (p.T @ on) / p.sum(axis=0)[:, None])
    with pytest.raises(ValueError, match="hidden"):
        machine(5, 4).free_energy(v)


def test_an_rbm_is_a_layered_machine() -> None:
    rbm = RBM(4, 3, seed=3)
    rbm.w += np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    n = 7
    w = np.zeros((n, n), np.float32)
    w[:4, 4:], w[4:, :4] = rbm.w, rbm.w.T
    model = BoltzmannMachine(4, 3)
    model.set_parameters({"w": w, "b": np.concatenate([rbm.b_vis, rbm.b_hid])})
    assert model.log_z() == pytest.approx(hc.likelihood.exact_log_z(rbm).log_z, rel=1e-6)
    assert model.log_z() == pytest.approx(reference.exact_log_z(rbm.w, rbm.b_vis, rbm.b_hid), rel=1e-9)


@pytest.mark.parametrize("order", ["sequential", "random", "asynchronous"])
def test_annealing_ends_at_the_equilibrium_of_its_last_temperature(order: str) -> None:
    model, batch = machine(4, 2, seed=5), 30000
    schedule = annealing_schedule("2@20, 2@15, 2@12, 40@3")
    free = np.zeros(4, dtype=bool)
    states = model.anneal(np.zeros((batch, 4)), schedule, clamp=free, rng=1, order=order)
    assert abs(deviation(np.bincount(numbers(states), minlength=64), joint(model, 3.0))) < LIMIT


def test_clamped_units_stay_and_the_others_follow_their_conditional() -> None:
    model, batch = machine(4, 2, seed=6), 30000
    clamp = np.array([True, False, True, False])
    start = np.tile(np.array([1, 0, 0, 1], np.float32), (batch, 1))
    states = model.anneal(start, np.full(40, 2.0), clamp=clamp, rng=2)
    assert (states[:, [0, 2]] == [1, 0]).all()
    p = joint(model, 2.0)
    possible = ((np.arange(64)[:, None] >> [0, 2]) & 1 == [1, 0]).all(axis=1)
    assert abs(deviation(np.bincount(numbers(states), minlength=64), p * possible / p[possible].sum())) < LIMIT


def test_tempering_takes_the_machine_as_it_is() -> None:
    model = machine(3, 2, seed=7)
    pt = ParallelTempering(model, [1.0, 2.0, 4.0], chains=8192, rng=1)
    states = pt.run(rounds=30).to_dense()
    assert abs(deviation(np.bincount(numbers(states), minlength=32), joint(model, 1.0))) < LIMIT


def test_files_hold_the_machine(tmp_path: Path) -> None:
    model = machine(5, 3, seed=8)
    model.epochs_trained, model.steps_trained = 3, 7
    model.save(tmp_path / "a")
    again = BoltzmannMachine.load(tmp_path / "a")
    again.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert repr(again) == repr(model)
    np.testing.assert_array_equal(again.connections, model.connections)
    RBM(2, 2).save(tmp_path / "rbm")
    with pytest.raises(FileFormatError, match="kind"):
        BoltzmannMachine.load(tmp_path / "rbm")


def test_schedules_are_read_as_the_paper_writes_them() -> None:
    want = [20, 20, 15, 15, 12, 12, 10, 10, 10, 10]
    assert annealing_schedule("[2@20, 2@15, 2@12, 4@10]").tolist() == want
    assert annealing_schedule([(2, 20), (2, 15), (2, 12), (4, 10)]).tolist() == want
    for bad in ("", "2@", "2@20,", "x@3", "2@-1", "2@1e", "0@3", [(0, 1.0)], [(2, 0.0)], [(1, float("inf"))], []):
        with pytest.raises(ValueError, match="stages"):
            annealing_schedule(bad)


def test_bad_input_is_named() -> None:
    for connections, message in (
        (np.ones((3, 3), bool), "itself"),
        (np.triu(np.ones((3, 3), bool), 1), "symmetric"),
        (np.zeros((2, 2), bool), "connections"),
        (np.zeros((3, 3)), "connections"),
    ):
        with pytest.raises(ValueError, match=message):
            BoltzmannMachine(2, 1, connections=connections)
    with pytest.raises(ValueError, match="n_visible"):
        BoltzmannMachine(0, 1)
    model = machine(3, 2)
    good = {name: array.copy() for name, array in model.parameters().items()}
    with pytest.raises(ValueError, match="symmetric"):
        model.set_parameters({**good, "w": np.triu(np.ones((5, 5), np.float32), 1)})
    with pytest.raises(ValueError, match="connection"):
        model.set_parameters({**good, "w": np.eye(5, dtype=np.float32)})
    with pytest.raises(ValueError, match="visible"):
        model.anneal(np.zeros((2, 4)), [1.0])
    with pytest.raises(ValueError, match="clamp"):
        model.anneal(np.zeros((2, 3)), [1.0], clamp=np.zeros(5, bool))
    with pytest.raises(ValueError, match="temperature"):
        model.anneal(np.zeros((2, 3)), [0.0])
