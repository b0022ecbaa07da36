"""Wake-sleep: gradients of both phases against enumeration, learning, exact resumption, settings."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import hintoncore as hc
from hintoncore import BitMatrix, train
from hintoncore import reference as ref
from hintoncore.models import HelmholtzMachine
from hintoncore.train import WakeSleep, WakeSleepSettings
from hintoncore.train.wake_sleep import LayerError

SIZES = (3, 2, 2)
ROW = np.array([1.0, 0.0, 1.0])
REPETITIONS = 20_000


def tiny_machine() -> HelmholtzMachine:
    machine = HelmholtzMachine(SIZES, seed=2)
    rng = np.random.default_rng(2)
    for array in machine.parameters().values():
        array[...] = rng.normal(scale=0.9, size=array.shape)
    return machine


def task(machine: HelmholtzMachine, x: np.ndarray, **settings: object) -> WakeSleep:
    defaults: dict[str, object] = {
        "samples": 1,
        "batch_size": 10,
        "learning_rate": 0.1,
        "recognition_learning_rate": None,
        "momentum": 0.0,
        "weight_decay": 0.0,
        "nonnegative": False,
        "frozen": (),
    }
    return WakeSleep(machine, x, WakeSleepSettings.create(**{**defaults, **settings}))  # type: ignore[arg-type]


def joint_states() -> list[np.ndarray]:
    """All joint states: three arrays [2^7, units]."""
    bits = ref.all_states(sum(SIZES))
    return np.split(bits, np.cumsum(SIZES)[:-1], axis=1)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def log_bernoulli(states: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.asarray((states * x - np.logaddexp(0, x)).sum(axis=-1))


def log_joint(p: dict[str, np.ndarray], s: list[np.ndarray]) -> np.ndarray:
    return np.asarray(
        log_bernoulli(s[2], p["b2"])
        + log_bernoulli(s[1], s[2] @ p["w1"] + p["b1"])
        + log_bernoulli(s[0], s[1] @ p["w0"] + p["b0"])
    )


def log_recognition(p: dict[str, np.ndarray], s: list[np.ndarray]) -> np.ndarray:
    return np.asarray(log_bernoulli(s[1], s[0] @ p["r0"] + p["c0"]) + log_bernoulli(s[2], s[1] @ p["r1"] + p["c1"]))


def float64_parameters(machine: HelmholtzMachine) -> dict[str, np.ndarray]:
    return {name: array.astype(np.float64) for name, array in machine.parameters().items()}


def gradients_of(objective: object, p: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Central differences of ``objective(p)`` along every parameter."""
    found = {}
    for name in p:
        slope = np.zeros(p[name].shape)
        for index in np.ndindex(*slope.shape):
            values = []
            for step in (1e-5, -1e-5):
                moved = {**p, name: p[name].copy()}
                moved[name][index] += step
                values.append(objective(moved))  # type: ignore[operator]
            slope[index] = (values[0] - values[1]) / 2e-5
        found[name] = slope
    return found


def gradients(machine: HelmholtzMachine, errors: list[LayerError]) -> dict[str, np.ndarray]:
    """Sums of the outer products of inputs and errors, of the parameters that have any."""
    names = {name for error in errors for name in (error.weights, error.bias) if name}
    found = {name: np.zeros(array.shape) for name, array in machine.parameters().items() if name in names}
    for error in errors:
        found[error.bias] += error.error.sum(axis=0)
        if error.weights is not None and error.inputs is not None:
            found[error.weights] += error.inputs.to_dense().T @ error.error
    return found


def assert_in_expectation(found: list[dict[str, np.ndarray]], expected: dict[str, np.ndarray], names: str) -> None:
    """Means of repetitions within 5.5 of their standard errors (once in 26 million for each of some 30 numbers)."""
    assert {name for name in expected if name[0] in names} == found[0].keys()
    for name in found[0]:
        draws = np.stack([draw[name] for draw in found]).astype(np.float64)
        error = draws.mean(axis=0) - expected[name]
        limit = 5.5 * draws.std(axis=0, ddof=1) / math.sqrt(len(draws)) + 1e-6
        assert (np.abs(error) < limit).all(), name


def test_wake_gradient_is_that_of_the_bound() -> None:
    """Over explanations from q the delta rule is the slope of ``E_q log p(x, h)``, found by central differences."""
    machine = tiny_machine()
    fixed = float64_parameters(machine)
    states = [s[(joint_states()[0] == ROW).all(axis=1)] for s in joint_states()]
    q = np.exp(log_recognition(fixed, states))
    assert q.sum() == pytest.approx(1.0)
    expected = gradients_of(lambda p: (q * log_joint(p, states)).sum(), fixed)
    wake = task(machine, ROW[None])
    batch = BitMatrix.from_dense(np.tile(ROW, (200, 1)))
    assert_in_expectation(
        [gradients(machine, wake.wake_errors(batch)) for _ in range(REPETITIONS // 200)], expected, "wb"
    )


def test_sleep_gradient_is_that_of_recognising_dreams() -> None:
    """Over dreams from p the delta rule is the slope of ``E_p log q(h | x)``, found by central differences."""
    machine = tiny_machine()
    fixed = float64_parameters(machine)
    states = joint_states()
    p_joint = np.exp(log_joint(fixed, states))
    assert p_joint.sum() == pytest.approx(1.0)
    expected = gradients_of(lambda p: (p_joint * log_recognition(p, states)).sum(), fixed)
    sleep = task(machine, ROW[None])
    assert_in_expectation(
        [gradients(machine, sleep.sleep_errors(200)) for _ in range(REPETITIONS // 200)], expected, "rc"
    )


def test_reweighted_wake_gradient_with_two_samples() -> None:
    """With two explanations the expectation over all pairs of them is known."""
    machine = tiny_machine()
    fixed = float64_parameters(machine)
    states = [s[(joint_states()[0] == ROW).all(axis=1)] for s in joint_states()]
    log_q = log_recognition(fixed, states)
    log_w = log_joint(fixed, states) - log_q
    q = np.exp(log_q)
    first = sigmoid(log_w[:, None] - log_w[None, :])  # normalised weight of the first of a pair
    importance = q * (2 * first @ q)  # expected weight that a state gets: both members of a pair are alike
    assert importance.sum() == pytest.approx(1.0)
    expected = gradients_of(lambda p: (importance * (log_joint(p, states) + log_recognition(p, states))).sum(), fixed)
    wake = task(machine, ROW[None], samples=2)
    batch = BitMatrix.from_dense(np.tile(ROW, (400, 1)))
    assert_in_expectation(
        [gradients(machine, wake.wake_errors(batch)) for _ in range(REPETITIONS // 200)], expected, "wbrc"
    )


def test_reweighted_wake_gradient_approaches_that_of_the_likelihood() -> None:
    """Very many explanations: the slope of log p(x) itself, which plain wake-sleep misses."""
    machine = tiny_machine()
    states = [s[(joint_states()[0] == ROW).all(axis=1)] for s in joint_states()]
    expected = gradients_of(lambda p: np.log(np.exp(log_joint(p, states)).sum()), float64_parameters(machine))
    plain = gradients_of(
        lambda p: (np.exp(log_recognition(float64_parameters(machine), states)) * log_joint(p, states)).sum(),
        float64_parameters(machine),
    )
    samples = 50_000
    errors = task(machine, ROW[None], samples=samples).wake_errors(BitMatrix.from_dense(np.tile(ROW, (samples, 1))))
    found = gradients(machine, errors)
    assert max(np.abs(plain[name] - expected[name]).max() for name in ("w0", "w1")) > 0.05
    for name in ("w0", "b0", "w1", "b1", "b2"):
        np.testing.assert_allclose(found[name], expected[name], atol=0.02)


def test_one_update_follows_the_settings() -> None:
    """Momentum, decay of weights but not biases, and a rate for each net."""
    machine = tiny_machine()
    before = float64_parameters(machine)
    twin = tiny_machine()
    x = np.tile(ROW, (10, 1))
    running = task(machine, x, learning_rate=0.5, recognition_learning_rate=0.25, momentum=0.9, weight_decay=0.1)
    reference = task(twin, x)
    velocity = {name: np.zeros(array.shape) for name, array in before.items()}
    expected = {name: array.copy() for name, array in before.items()}
    for step in range(3):
        errors = reference.wake_errors(BitMatrix.from_dense(x)) + reference.sleep_errors(10)
        for name, gradient in gradients(twin, errors).items():
            decay = 0.1 * expected[name] if name[0] in "wr" else 0.0
            velocity[name] = 0.9 * velocity[name] + (0.5 if name[0] in "wb" else 0.25) * (gradient - decay)
            expected[name] += velocity[name]
        running.step(np.arange(10), step / 3)
        for name, array in machine.parameters().items():
            np.testing.assert_allclose(array, expected[name], atol=1e-5, err_msg=name)
        twin.set_parameters({name: array.copy() for name, array in machine.parameters().items()})
    assert machine.steps_trained == 3


@pytest.mark.parametrize("samples", [1, 5])
def test_learning_raises_the_exact_likelihood(samples: int) -> None:
    """Two patterns with noise: from the independent-units start to near the entropy of the data."""
    rng = np.random.default_rng(0)
    patterns = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]])
    x = patterns[rng.integers(0, 2, 1000)] ^ (rng.random((1000, 6)) < 0.05)
    machine = HelmholtzMachine((6, 2, 1), seed=4)
    machine.fit(x, epochs=0)
    start = machine.log_likelihood(x, method="exact")
    machine.fit(x, epochs=60, samples=samples, batch_size=20, learning_rate=train.Linear(0.5, 0.05, 60))
    entropy = math.log(2) - 6 * (0.05 * math.log(0.05) + 0.95 * math.log(0.95))
    assert start < -6 * math.log(2) * 0.95
    assert machine.log_likelihood(x, method="exact") > -entropy - 0.15


def test_nonnegative_keeps_the_sign() -> None:
    machine = HelmholtzMachine((6, 3, 2), seed=4)
    machine.fit(np.eye(6), epochs=20, batch_size=2, learning_rate=0.3, nonnegative=True)
    assert machine.generative.w[0].min() == 0.0
    assert machine.generative.w[0].max() > 0.0
    assert machine.generative.w[1].min() < 0.0, "only the weights into the visible layer are bound"


def test_frozen_parameters_keep_their_values() -> None:
    machine = HelmholtzMachine((6, 3, 2), seed=4)
    before = {name: array.copy() for name, array in machine.parameters().items()}
    machine.fit(np.eye(6), epochs=2, batch_size=2, learning_rate=0.3, momentum=0.5, frozen=("w1", "c0"))
    for name, array in machine.parameters().items():
        assert np.array_equal(array, before[name]) == (name in ("w1", "c0")), name
    with pytest.raises(ValueError, match=r"frozen: .*w9"):
        machine.fit(np.eye(6), epochs=1, frozen=["w9"])


class StopError(Exception):
    """Ends a run as a crash would."""


class StopAt(train.Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, trainer: train.Trainer) -> None:
        if trainer.step == self.step:
            raise StopError


@pytest.mark.parametrize("samples", [1, 3])
def test_a_run_that_broke_off_resumes_to_the_same_bytes(tmp_path: Path, samples: int) -> None:
    x = np.random.default_rng(3).integers(0, 2, (130, 12))
    checkpoint = tmp_path / "checkpoint.safetensors"

    def run(name: str, callbacks: list[train.Callback], resume: Path | None) -> bytes:
        machine = HelmholtzMachine((12, 7, 4), seed=6)
        machine.fit(
            x,
            epochs=4,
            samples=samples,
            batch_size=20,
            learning_rate=train.Exponential(0.2, 0.8),
            momentum=0.5,
            weight_decay=1e-3,
            validation=x[:30],
            callbacks=[*callbacks, train.MetricsWriter(tmp_path / f"{name}.jsonl")],
            resume=resume,
        )
        machine.save(tmp_path / name)
        return (tmp_path / name).read_bytes()

    whole = run("whole", [], None)
    with pytest.raises(StopError):
        run("broken", [train.Checkpoint(checkpoint, every_steps=3), StopAt(11)], None)
    assert run("resumed", [], checkpoint) == whole


def test_threads_do_not_change_the_result(set_threads: object, tmp_path: Path) -> None:
    x = np.random.default_rng(3).integers(0, 2, (300, 70))
    files = set()
    for threads in (1, 2, 3, 8):
        set_threads(threads)  # type: ignore[operator]
        machine = HelmholtzMachine((70, 40, 20), seed=6).fit(x, epochs=1, samples=2, batch_size=150)
        machine.save(tmp_path / "machine")
        files.add((tmp_path / "machine").read_bytes())
    assert len(files) == 1


def test_monitoring_does_not_change_training() -> None:
    x = np.random.default_rng(3).integers(0, 2, (60, 12))
    plain = HelmholtzMachine((12, 5), seed=1).fit(x, epochs=2)
    watched = HelmholtzMachine((12, 5), seed=1)
    watched.fit(x, epochs=2, validation=x[:9], callbacks=[train.LogLikelihood(x, method="exact")])
    for name, array in plain.parameters().items():
        np.testing.assert_array_equal(watched.parameters()[name], array)


def test_bad_settings() -> None:
    machine, x = tiny_machine(), ROW[None]
    cases: list[tuple[str, object]] = [
        ("samples", 0),
        ("batch_size", 0),
        ("learning_rate", -1.0),
        ("recognition_learning_rate", -1.0),
        ("momentum", 1.0),
        ("weight_decay", -0.1),
        ("weight_decay", math.nan),
    ]
    for name, value in cases:
        with pytest.raises(ValueError, match=name):
            machine.fit(x, epochs=1, **{name: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"X: .*0 or 1"):
        machine.fit(np.full((3, 3), 0.5), epochs=1)
    with pytest.raises(ValueError, match=r"validation: .*0 or 1"):
        machine.fit(x, epochs=1, validation=np.full((3, 3), 0.5))
    with pytest.raises(FloatingPointError, match="learning rate"):
        HelmholtzMachine(SIZES).fit(np.tile(ROW, (10, 1)), epochs=30, learning_rate=3e38, momentum=0.99)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    x = hc.BitMatrix.from_dense(np.tile(ROW, (10, 1)))
    tiny_machine().fit(x, epochs=1, callbacks=[train.Checkpoint(path)])
    with pytest.raises(ValueError, match=r"settings\.samples"):
        tiny_machine().fit(x, epochs=2, samples=2, resume=path)
