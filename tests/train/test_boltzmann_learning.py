"""The 1985 learning rule: its gradient against enumeration, its two forms of step, exact resumption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hintoncore.models import BoltzmannMachine
from hintoncore.train import BoltzmannLearning, BoltzmannSettings, Checkpoint, Linear, Trainer

PATTERNS = np.array([[1, 0, 0, 1], [0, 1, 0, 1], [1, 1, 1, 0]], dtype=np.float32)
DEFAULTS: dict[str, Any] = {
    "rule": "gradient",
    "learning_rate": 1.0,
    "momentum": 0.0,
    "weight_decay": 0.0,
    "repeats": 2,
    "anneal": "2@20, 2@15, 2@12, 4@10",
    "collect": 10,
    "noise": (0.15, 0.05),
    "order": "asynchronous",
}


def settings(**changes: Any) -> BoltzmannSettings:
    return BoltzmannSettings.create(**{**DEFAULTS, **changes})


def machine(seed: int = 0, scale: float = 1.0, n_hidden: int = 2) -> BoltzmannMachine:
    rng, n = np.random.default_rng(seed), 4 + n_hidden
    mask = np.triu(rng.random((n, n)) < 0.8, 1)
    made = BoltzmannMachine(4, n_hidden, connections=mask | mask.T, seed=seed)
    w = np.triu(scale * rng.normal(size=(n, n)) * mask, 1).astype(np.float32)
    made.set_parameters({"w": w + w.T, "b": (scale * rng.normal(size=n)).astype(np.float32)})
    return made


def log_likelihood(model: BoltzmannMachine, w: NDArray[Any], b: NDArray[Any], temperature: float) -> float:
    """Mean of ``log p(v)`` over the patterns at a temperature, by enumeration in float64."""
    s = ((np.arange(2**model.n_units)[:, None] >> np.arange(model.n_units)) & 1).astype(np.float64)
    logits = (0.5 * np.einsum("ki,ij,kj->k", s, w, s) + s @ b) / temperature
    total = np.logaddexp.reduce(logits)
    clamped = [np.logaddexp.reduce(logits[(s[:, :4] == v).all(axis=1)]) for v in PATTERNS]
    return float(np.mean(clamped) - total)


@pytest.mark.parametrize("order", ["asynchronous", "sequential"])
def test_the_step_is_the_gradient_of_the_log_likelihood(order: str) -> None:
    # d log p / d w_ij = (p+ - p-) / T, eq. 9; 60 long annealings of 300 chains: 5.5 standard errors, 17 parameters.
    temperature, repeats, cycles = 2.0, 100, 60
    model = machine(seed=3)
    options: dict[str, Any] = {
        "noise": (0.0, 0.0),
        "repeats": repeats,
        "anneal": np.full(30, temperature),
        "order": order,
    }
    task = BoltzmannLearning(model, PATTERNS, settings(**options, collect=1))
    w, b = model.w.astype(np.float64), model.b.astype(np.float64)
    steps = []
    for _ in range(cycles):
        before = model.w.copy(), model.b.copy()
        task.step(np.arange(3), 0.0)
        steps.append(np.concatenate([(model.w - before[0]).ravel(), model.b - before[1]]).astype(np.float64))
        model.w[:], model.b[:] = before
    mean, error = np.mean(steps, axis=0), np.std(steps, axis=0, ddof=1) / np.sqrt(cycles)
    h = 1e-5
    for i in range(6):
        for j in range(i):
            if not model.connections[i, j]:
                assert mean[i * 6 + j] == 0
                continue
            shift = np.zeros((6, 6))
            shift[i, j] = shift[j, i] = h
            up, down = (log_likelihood(model, w + sign * shift, b, temperature) for sign in (1, -1))
            exact = temperature * (up - down) / (2 * h)
            assert abs(mean[i * 6 + j] - exact) < 6.5 * error[i * 6 + j]  # t with 59 degrees of freedom: 2e-8
            assert mean[i * 6 + j] == mean[j * 6 + i]
        shift = h * np.eye(6)[i]
        exact = (
            temperature
            * (log_likelihood(model, w, b + shift, temperature) - log_likelihood(model, w, b - shift, temperature))
            / (2 * h)
        )
        assert abs(mean[36 + i] - exact) < 6.5 * error[36 + i]


def test_signed_steps_have_one_size_and_keep_symmetry_and_connections() -> None:
    model = machine(scale=0.0)
    task = BoltzmannLearning(model, PATTERNS, settings(rule="signed", learning_rate=2.0))
    for cycle in range(20):
        before = model.w.copy()
        task.step(np.arange(3), float(cycle))
        assert set(np.unique(model.w - before)) <= {-2.0, 0.0, 2.0}
    assert np.array_equal(model.w, model.w.T)
    assert not model.w[~model.connections].any()
    before = model.w.copy()
    task = BoltzmannLearning(model, PATTERNS, settings(rule="signed", learning_rate=2.0, weight_decay=0.01))
    task.step(np.arange(3), 0.0)
    steps = (model.w - before + 0.02 * before)[model.connections]
    np.testing.assert_allclose(np.abs(steps[np.abs(steps) > 1e-4]), 2.0, atol=1e-4)
    assert (np.abs(steps) > 1e-4).any()
    assert len(np.unique(model.w)) > 3
    assert len(np.unique(model.b)) > 3


def test_momentum_decay_and_schedules_enter_as_documented() -> None:
    plain = machine(seed=4)
    task = BoltzmannLearning(plain, PATTERNS, settings())
    w0, b0 = plain.w.copy(), plain.b.copy()
    task.step(np.arange(3), 0.0)
    difference_w, difference_b = plain.w - w0, plain.b - b0  # of rate 1
    model = machine(seed=4)
    options = settings(learning_rate=Linear(4.0, 0.0, 10), momentum=0.5, weight_decay=0.1)
    task = BoltzmannLearning(model, PATTERNS, options)
    task._velocity["w"][...] = 0.25 * model.connections
    task._velocity["b"][...] = -0.5
    task.step(np.arange(3), 5.0)  # the rate is 2 there
    velocity = 0.5 * 0.25 * model.connections + 2.0 * (difference_w - 0.1 * w0)
    np.testing.assert_allclose(model.w, w0 + velocity, atol=2e-6)
    np.testing.assert_allclose(model.b, b0 - 0.25 + 2.0 * (difference_b - 0.1 * b0), atol=2e-6)


def test_noise_turns_clamped_units_with_its_probabilities() -> None:
    task = BoltzmannLearning(machine(), PATTERNS, settings(noise=(0.15, 0.05)))
    clamped = np.repeat(PATTERNS, 20000, axis=0)
    noisy = task._noisy(clamped)
    assert set(np.unique(noisy)) == {0.0, 1.0}
    for value, share in ((1.0, 0.15), (0.0, 0.05)):
        cells = clamped == value
        turned, n = (noisy != clamped)[cells].sum(), cells.sum()
        assert abs(turned - n * share) < 5.5 * np.sqrt(n * share * (1 - share))  # false alarms 4e-8 each
    quiet = BoltzmannLearning(machine(), PATTERNS, settings(noise=(0.0, 0.0)))
    np.testing.assert_array_equal(quiet._noisy(clamped), clamped)


def test_inputs_stay_clamped_asleep() -> None:
    model = machine(seed=5)
    inputs = np.array([True, True, False, False])
    task = BoltzmannLearning(model, PATTERNS, settings(), inputs=inputs)
    before = model.w.copy(), model.b.copy()
    task.step(np.arange(3), 0.0)
    assert (model.w - before[0])[0, 1] == 0
    assert ((model.b - before[1])[:2] == 0).all()
    assert (model.b - before[1])[2:4].any()


@pytest.mark.parametrize("rule", ["signed", "gradient"])
def test_a_run_that_was_stopped_goes_on_to_the_same_machine(rule: str, tmp_path: Path) -> None:
    options = settings(rule=rule, momentum=0.0 if rule == "signed" else 0.5)

    def trainer(path: Path, model: BoltzmannMachine) -> Trainer:
        task = BoltzmannLearning(model, PATTERNS, options)
        return Trainer(task, batch_size=2, callbacks=[Checkpoint(path)])

    straight, stopped = machine(seed=6), machine(seed=6)
    trainer(tmp_path / "straight", straight).run(7)
    trainer(tmp_path / "stopped", stopped).run(3)
    resumed = machine(seed=6)
    second = trainer(tmp_path / "stopped", resumed)
    second.load_checkpoint(tmp_path / "stopped")
    second.run(7)
    for name, array in straight.parameters().items():
        assert array.tobytes() == resumed.parameters()[name].tobytes()
    assert resumed.steps_trained == 14
    other = BoltzmannLearning(machine(seed=6), PATTERNS, settings(rule=rule, collect=3))
    with pytest.raises(ValueError, match="collect"):
        Trainer(other, batch_size=2).load_checkpoint(tmp_path / "stopped")


def test_fit_learns_a_distribution_no_pairs_can_hold() -> None:
    # Parity of three units: all pairs are independent, so only the hidden unit can carry it.
    parity = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]], dtype=np.float32)
    model = BoltzmannMachine(3, 1, seed=2).fit(
        parity, 1000, rule="gradient", learning_rate=30.0, repeats=16, noise=(0.05, 0.05)
    )
    p = model.visible_probabilities(10.0)
    assert 0.78 < p[[0, 3, 5, 6]].sum() < 0.94  # 0.86 in the noisy environment; 0.5 without the hidden unit
    assert model.epochs_trained == model.steps_trained == 1000


BAD: list[tuple[dict[str, Any], str]] = [
    ({"rule": "hebb"}, "rule"),
    ({"learning_rate": -1.0}, "learning_rate"),
    ({"momentum": 1.0}, "momentum"),
    ({"weight_decay": -1.0}, "weight_decay"),
    ({"repeats": 0}, "repeats"),
    ({"anneal": [1.0, 0.0]}, "anneal"),
    ({"anneal": []}, "anneal"),
    ({"anneal": "20"}, "stages"),
    ({"collect": 0}, "collect"),
    ({"noise": (1.5, 0.0)}, "noise"),
    ({"order": "any"}, "order"),
    ({"rule": "signed", "momentum": 0.5}, "rule"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_settings_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings(**change)


def test_bad_environments_are_named() -> None:
    for x, message in ((np.zeros((2, 5)), "X"), (np.full((2, 4), 0.5), "X")):
        with pytest.raises(ValueError, match=message):
            BoltzmannLearning(machine(), x, settings())
    with pytest.raises(ValueError, match="clamp"):
        BoltzmannLearning(machine(), PATTERNS, settings(), inputs=np.zeros(3, bool))
