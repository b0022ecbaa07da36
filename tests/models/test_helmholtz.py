"""The Helmholtz machine: bound and importance estimate against exact enumeration, files, bad input."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from hintoncore import BitMatrix, likelihood
from hintoncore import reference as ref
from hintoncore.files import FileFormatError
from hintoncore.models import RBM, HelmholtzMachine

SIZES = (4, 3, 2)
HIDDEN = [ref.all_states(size) for size in SIZES[1:]]
VISIBLE = ref.all_states(SIZES[0]).astype(np.float32)


def tiny_machine(seed: int = 5) -> HelmholtzMachine:
    machine = HelmholtzMachine(SIZES, seed=seed)
    rng = np.random.default_rng(seed)
    for array in machine.parameters().values():
        array[...] = rng.normal(scale=0.8, size=array.shape)
    return machine


def log_bernoulli(states: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.asarray((states * x - np.logaddexp(0, x)).sum(axis=-1))


def explanations(machine: HelmholtzMachine, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``log p(x, h)`` and ``log q(h | x)`` of all hidden states of one row, in float64."""
    h1 = np.repeat(HIDDEN[0], len(HIDDEN[1]), axis=0)
    h2 = np.tile(HIDDEN[1], (len(HIDDEN[0]), 1))
    w, b = ([a.astype(np.float64) for a in group] for group in (machine.generative.w, machine.generative.b))
    r, c = ([a.astype(np.float64) for a in group] for group in (machine.r, machine.c))
    log_p = log_bernoulli(h2, b[2]) + log_bernoulli(h1, h2 @ w[1] + b[1]) + log_bernoulli(x, h1 @ w[0] + b[0])
    log_q = log_bernoulli(h1, x @ r[0] + c[0]) + log_bernoulli(h2, h1 @ r[1] + c[1])
    return log_p, log_q


def exact_bounds(machine: HelmholtzMachine) -> np.ndarray:
    """``E_q[log p(x, h) - log q(h | x)]`` of every visible state."""
    tables = [explanations(machine, x) for x in VISIBLE.astype(np.float64)]
    return np.array([(np.exp(log_q) * (log_p - log_q)).sum() for log_p, log_q in tables])


def test_bound_is_below_the_likelihood_and_estimated_without_bias() -> None:
    """5.5 standard errors: passed by chance once in 26 million seeds."""
    machine = tiny_machine()
    exact = machine.generative.log_probabilities(VISIBLE)
    bounds = exact_bounds(machine)
    assert (bounds < exact).all()
    found = machine.importance_estimate(VISIBLE, 20_000, rng=1)
    assert abs(found.bound - bounds.mean()) < 5.5 * found.bound_std_error
    assert found.bound_std_error < 0.01
    assert found.bound < found.log_likelihood
    assert machine.log_likelihood(VISIBLE, method="bound", samples=20_000, rng=1) == found.bound


def test_importance_estimate_converges_to_the_exact_likelihood() -> None:
    """Within 5.5 of its own standard errors with many samples; with few it errs low, the more the fewer."""
    machine = tiny_machine()
    exact = machine.log_likelihood(VISIBLE, method="exact")
    found = machine.importance_estimate(VISIBLE, 20_000, rng=2)
    assert abs(found.log_likelihood - exact) < 5.5 * found.std_error
    assert found.std_error < 0.005
    assert found.by_row.mean() == pytest.approx(found.log_likelihood)
    assert 1 < found.ess < 20_000
    many = np.repeat(VISIBLE, 500, axis=0)
    few = [machine.importance_estimate(many, samples, rng=3).log_likelihood for samples in (2, 8, 32)]
    assert few[0] < few[1] < few[2] < exact


def test_importance_estimate_in_expectation() -> None:
    """With K=2, the mean over all pairs of explanations is known; 5.5 standard errors over 20,000 repetitions."""
    machine = tiny_machine()
    x = VISIBLE[5]
    log_p, log_q = explanations(machine, x.astype(np.float64))
    q, log_w = np.exp(log_q), log_p - log_q
    pairs = np.logaddexp(log_w[:, None], log_w[None, :]) - math.log(2)
    expected = (q[:, None] * q[None, :] * pairs).sum()
    found = machine.importance_estimate(np.tile(x, (20_000, 1)), 2, rng=4).by_row
    assert abs(found.mean() - expected) < 5.5 * found.std() / math.sqrt(len(found))


def test_perfect_recognition_needs_one_explanation() -> None:
    """Where q is the posterior all weights are p(x): no spread, and the bound is the likelihood."""
    machine = HelmholtzMachine((3, 2))
    machine.generative.w[0][...] = 0  # hidden units explain nothing: their posterior is their prior
    machine.generative.b[1][...] = (0.3, -1.0)
    machine.r[0][...] = 0
    machine.c[0][...] = (0.3, -1.0)
    found = machine.importance_estimate(ref.all_states(3), 10, rng=0)
    exact = machine.log_likelihood(ref.all_states(3), method="exact")
    assert found.log_likelihood == pytest.approx(exact, abs=1e-5)
    assert found.bound == pytest.approx(exact, abs=1e-5)
    assert found.std_error < 1e-6
    assert found.ess == pytest.approx(10, abs=1e-3)


def test_more_samples_than_a_block() -> None:
    machine = tiny_machine()
    found = machine.importance_estimate(VISIBLE[:2], 9000, rng=1)
    assert found.samples == 9000
    assert abs(found.log_likelihood - machine.generative.log_likelihood(VISIBLE[:2])) < 5.5 * found.std_error


def test_infer_samples_the_recognition_net() -> None:
    """Counts of 50,000 explanations of one row against q(h | x); 5.5 standard errors for each of 32 states."""
    machine, n = tiny_machine(), 50_000
    x = VISIBLE[9]
    _, log_q = explanations(machine, x.astype(np.float64))
    layers = machine.infer(BitMatrix.from_dense(np.tile(x, (n, 1))), rng=7)
    h1, h2 = (layer.to_dense().astype(int) for layer in layers[1:])
    index = (h1 << np.arange(3)).sum(axis=1) * 4 + (h2 << np.arange(2)).sum(axis=1)
    q = np.exp(log_q)
    error = np.bincount(index, minlength=32) / n - q
    assert (np.abs(error) < 5.5 * np.sqrt(q * (1 - q) / n) + 1e-9).all()
    np.testing.assert_allclose(machine.log_recognition(layers), log_q[index], atol=1e-5)


def test_transform_gives_the_first_recognition_probabilities() -> None:
    machine = tiny_machine()
    expected = 1 / (1 + np.exp(-(VISIBLE.astype(np.float64) @ machine.r[0] + machine.c[0])))
    np.testing.assert_allclose(machine.transform(VISIBLE), expected, atol=1e-6)
    np.testing.assert_array_equal(machine.transform(BitMatrix.from_dense(VISIBLE)), machine.transform(VISIBLE))


def test_save_and_load(tmp_path: Path) -> None:
    machine = tiny_machine().fit(VISIBLE, epochs=2, batch_size=7)
    machine.save(tmp_path / "a.safetensors")
    loaded = HelmholtzMachine.load(tmp_path / "a.safetensors")
    loaded.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert loaded.steps_trained == machine.steps_trained == 6
    assert loaded.epochs_trained == 2
    assert repr(loaded) == repr(machine) == "HelmholtzMachine((4, 3, 2), seed=5)"
    for name, parameter in machine.parameters().items():
        np.testing.assert_array_equal(loaded.parameters()[name], parameter)


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    RBM(3, 2).save(tmp_path / "rbm.safetensors")
    with pytest.raises(FileFormatError, match="kind"):
        HelmholtzMachine.load(tmp_path / "rbm.safetensors")


def test_bad_input() -> None:
    machine = tiny_machine()
    with pytest.raises(ValueError, match="method"):
        machine.log_likelihood(VISIBLE, method="ais")
    with pytest.raises(ValueError, match="samples"):
        machine.importance_estimate(VISIBLE, 1)
    with pytest.raises(ValueError, match=r"x: .*0 or 1"):
        likelihood.importance_log_likelihood(machine, np.full((2, 4), 0.25))
    with pytest.raises(ValueError, match="x: expected shape"):
        likelihood.importance_log_likelihood(machine, np.zeros((2, 3)))
    with pytest.raises(KeyError):
        machine.set_parameters({})
    parameters = {name: array.copy() for name, array in machine.parameters().items()}
    parameters["r1"][0, 0] = np.nan
    with pytest.raises(ValueError, match="r1"):
        machine.set_parameters(parameters)
