"""Adversarial nets: both players' gradients, the best discriminator, resumption, files, bad input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import hintoncore as hc
from hintoncore import nn
from hintoncore.files import FileFormatError
from hintoncore.models import GAN
from hintoncore.train import AdversarialLearning, Callback, Linear, Trainer


def grey(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((rows, columns)).astype(np.float32)


def test_gradient_of_the_generator(isa: str) -> None:
    """``-log D(G(z))`` against central differences, dropout masks fixed: the generator's part comes through D."""
    model = GAN(12, 5, (9, 8), (7, 6), seed=1)
    noise = model.noise(11, hc.Generator(3))
    check = nn.check_gradients(model, noise, np.ones((11, 1)), loss=nn.BinaryCrossEntropy())
    assert check.difference.keys() == {*model.parameters(), "input"}
    assert check.largest_difference <= 1e-6
    assert check.largest_kernel_error <= 1e-4


def test_maxout() -> None:
    layer = nn.Maxout(3)
    x = np.array([[1, 5, 2, 5, 2, 4]], np.float32)  # pieces (1, 5), (2, 5), (2, 4) of two units
    np.testing.assert_array_equal(layer.forward(x), [[2, 5]])
    np.testing.assert_array_equal(layer.backward(np.array([[7.0, 8.0]], np.float32)), [[0, 8, 7, 0, 0, 0]])
    model = nn.Sequential([nn.Linear(6, 12, rng=1), nn.Maxout(3), nn.Linear(4, 3, rng=2)])
    check = nn.check_gradients(model, grey(9, 6), np.arange(9) % 3)
    assert check.largest_difference <= 1e-6
    assert check.largest_kernel_error <= 1e-4
    with pytest.raises(ValueError, match="x"):
        layer.forward(np.zeros((2, 4), np.float32))
    with pytest.raises(ValueError, match="pieces"):
        nn.Maxout(0)
    with pytest.raises(RuntimeError, match="forward"):
        nn.Maxout(2).backward(np.zeros((2, 2), np.float32))


class Recorder(nn.SGD):
    """Keeps the gradients that it is given and moves nothing."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.seen: list[dict[str, np.ndarray]] = []

    def step(self, model: nn.Layer, epoch: float = 0.0) -> None:
        self.seen.append({name: value.astype(np.float64) for name, value in model.gradients().items()})
        self.steps += 1


def value_of_the_game(model: GAN, x: np.ndarray, z: np.ndarray) -> tuple[float, float]:
    """``E[log D(x)]`` and ``E[log(1 - D(G(z)))]`` in float64."""
    real = model.discriminator.forward(x)
    made = model.discriminator.forward(model.generator.forward(z))
    return -float(np.logaddexp(0, -real).mean()), -float(np.logaddexp(0, made).mean())


def test_each_player_is_given_the_gradient_of_its_own_objective() -> None:
    """The discriminator's, half of eq. 1, and the generator's, by central differences; k = 2 shares of a minibatch."""
    model = GAN(6, 3, (5,), (4,), pieces=3, dropout=(0.0, 0.0), seed=2)
    players = {"generator": Recorder(), "discriminator": Recorder()}
    x = grey(10, 6)
    task = AdversarialLearning(
        model,
        x,
        generator_optimiser=players["generator"],
        discriminator_optimiser=players["discriminator"],
        discriminator_steps=2,
        seed=4,
    )
    noise = hc.Generator(task._noise.seed)
    found = task.step(np.arange(10), 0.0)
    draws = [model.noise(5, noise) for _ in range(3)]
    exact = model.astype(np.float64)
    z = [draw.astype(np.float64) for draw in draws]
    seen = players["discriminator"].seen
    objectives: list[tuple[nn.Layer, dict[str, np.ndarray], Callable[[], float]]] = [
        (exact.discriminator, seen[0], lambda: -sum(value_of_the_game(exact, x[:5], z[0])) / 2),
        (exact.discriminator, seen[1], lambda: -sum(value_of_the_game(exact, x[5:], z[1])) / 2),
        (exact.generator, players["generator"].seen[0], lambda: generator_loss(exact, z[2])),
    ]
    assert (players["discriminator"].steps, players["generator"].steps) == (2, 1)
    for net, gradients, objective in objectives:
        for name, parameter in net.parameters().items():
            for index in np.ndindex(parameter.shape):
                kept = parameter[index]
                parameter[index] = kept + 1e-5
                above = objective()
                parameter[index] = kept - 1e-5
                below = objective()
                parameter[index] = kept
                assert abs((above - below) / 2e-5 - gradients[name][index]) <= 2e-6, (name, index)
    losses = [-sum(value_of_the_game(exact, part, noise)) / 2 for part, noise in ((x[:5], z[0]), (x[5:], z[1]))]
    assert found["discriminator_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert found["generator_loss"] == pytest.approx(generator_loss(exact, z[2]), rel=1e-5)


def generator_loss(model: GAN, z: np.ndarray) -> float:
    return float(np.logaddexp(0, -model.discriminator.forward(model.generator.forward(z))).mean())


def test_the_discriminator_tends_to_the_ratio_of_the_densities() -> None:
    """With a fixed generator, ``D(x) = p_data(x) / (p_data(x) + p_made(x))`` (proposition 1 of the paper).

    Data are uniform on (0, 1); the generator's outputs are ``sigmoid(2 u)`` with u uniform of variance 1, whose density
    is ``1 / (2 sqrt(3) 2 y (1 - y))`` inside ``sigmoid(+-2 sqrt(3))``.
    """
    model = GAN(1, 1, (2,), (16, 16), pieces=3, dropout=(0.0, 0.0), seed=5)
    first, last = model.generator.layers[0], model.generator.layers[-1]
    first.parameters()["w"][...] = [[1.0, -1.0]]
    last.parameters()["w"][...] = [[2.0], [-2.0]]
    task = AdversarialLearning(
        model,
        grey(20_000, 1),
        generator_optimiser=nn.SGD(0.0),
        discriminator_optimiser=nn.Adam(Linear(0.01, 0.0, 12)),
    )
    Trainer(task, batch_size=200).run(12)
    y = np.linspace(0.12, 0.88, 39)  # away from the edges of what is made, where the ratio jumps
    made = 1 / (4 * np.sqrt(3) * y * (1 - y))
    found = model.discriminate(y[:, None])
    assert np.abs(found - 1 / (1 + made)).max() < 0.05
    assert np.ptp(1 / (1 + made)) > 0.15


class StopAfter(Callback):
    """Ends a run after some updates, as a kill would."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step(self, trainer: Trainer) -> None:
        if trainer.step == self.steps:
            raise KeyboardInterrupt


def trainer(callbacks: list[Callback], rate: float = 0.01) -> Trainer:
    task = AdversarialLearning(
        GAN(12, 4, (10,), (9,), seed=6),
        grey(130, 12),
        generator_optimiser=nn.Adam(Linear(rate, 0.001, 5), beta1=0.5),
        discriminator_optimiser=nn.Momentum(0.05, 0.5),
        discriminator_steps=2,
        seed=6,
    )
    return Trainer(task, batch_size=30, callbacks=callbacks)


@pytest.mark.parametrize("stop", [2, 5, 13])
def test_resumed_runs_are_bit_identical(tmp_path: Path, stop: int) -> None:
    """Stopped in an epoch, at its end and later: noise, dropout, order and both optimisers all go on."""
    whole = trainer([])
    whole.run(4)
    part = trainer([StopAfter(stop)])
    with pytest.raises(KeyboardInterrupt):
        part.run(4)
    part.save_checkpoint(tmp_path / "c")
    rest = trainer([])
    rest.load_checkpoint(tmp_path / "c")
    rest.run(4)
    for name, array in whole.task.state()[0].items():
        np.testing.assert_array_equal(rest.task.state()[0][name], array)
    assert whole.task.state()[1] == rest.task.state()[1]
    for one, two in zip(whole.history, rest.history, strict=True):
        assert {**one, "seconds": 0} == {**two, "seconds": 0}
    with pytest.raises(ValueError, match="generator_optimiser"):
        trainer([], rate=0.02).load_checkpoint(tmp_path / "c")


def test_results_do_not_depend_on_threads(set_threads: Callable[[int], None]) -> None:
    results = []
    for threads in (1, 2, 3, 8):
        set_threads(threads)
        run = trainer([])
        run.run(2)
        results.append([*run.task.model.parameters().values(), run.task.model.sample(5, rng=1)])
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_noise_has_mean_0_and_variance_1() -> None:
    """400,000 draws: 6 standard errors of the mean are 0.0095, of the variance (4/5 of a draw's) 0.0085."""
    noise = GAN(2, 40).noise(10_000, hc.Generator(8)).astype(np.float64)
    assert abs(noise.mean()) < 0.0095
    assert abs(noise.var() - 1) < 0.0085
    assert np.abs(noise).max() <= np.sqrt(3) * (1 + 1e-6)


def test_files(tmp_path: Path) -> None:
    model = GAN(12, 4, (10, 5), (9,), pieces=2, dropout=(0.1, 0.4), seed=6).fit(grey(30, 12), 1)
    model.save(tmp_path / "m")
    again = GAN.load(tmp_path / "m")
    assert repr(again) == repr(model)
    assert again.epochs_trained == 1
    np.testing.assert_array_equal(again.discriminate(grey(4, 12)), model.discriminate(grey(4, 12)))
    again.save(tmp_path / "n")
    assert (tmp_path / "m").read_bytes() == (tmp_path / "n").read_bytes()
    (tmp_path / "broken").write_bytes(b"nothing")
    with pytest.raises(FileFormatError):
        GAN.load(tmp_path / "broken")


def test_errors() -> None:
    with pytest.raises(ValueError, match="n_noise"):
        GAN(12, 0)
    with pytest.raises(ValueError, match="rate"):
        GAN(12, 3, dropout=(0.0, 1.0))
    with pytest.raises(TypeError, match="dropout"):
        GAN(12, 3, dropout=0.5)  # type: ignore[arg-type]
    model = GAN(12, 3, (4,), (4,))
    with pytest.raises(ValueError, match="x"):
        model.fit(np.full((5, 12), 1.5), 1)
    with pytest.raises(ValueError, match="x"):
        model.fit(np.zeros((5, 11)), 1)
    with pytest.raises(ValueError, match="discriminator_steps"):
        model.fit(grey(5, 12), 1, discriminator_steps=0)
    with pytest.raises(ValueError, match="X"):
        model.discriminate(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="n"):
        model.sample(0)
    with pytest.raises(FloatingPointError):
        model.fit(grey(50, 12), 50, learning_rate=1e38)
