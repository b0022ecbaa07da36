"""Noisy weights: exact moments, gradients, their agreement with sampling, the coding cost, resumption, bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from central_differences import assert_gradient

import hintoncore as hc
from hintoncore import nn
from hintoncore.models.noisy_weights import ExpectedSquaredError, NoisyWeightsNet, hidden_moments
from hintoncore.nn.coding import CodingPrior
from hintoncore.train import Callback, Supervised, Trainer


def data(rows: int = 15, columns: int = 6, outputs: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((rows, columns)).astype(np.float32), rng.standard_normal((rows, outputs)).astype("f4")


def net(cost_weight: float = 0.0, seed: int = 1) -> NoisyWeightsNet:
    model = NoisyWeightsNet(6, 4, 2, components=3, std=0.3, cost_weight=cost_weight, seed=seed)
    rng = np.random.default_rng(2)  # no two noises, biases or components alike
    for parameter in model.parameters().values():
        parameter += 0.3 * rng.standard_normal(parameter.shape).astype(np.float32)
    return model


def test_moments_against_dense_integration() -> None:
    mean, variance = (part.ravel() for part in np.meshgrid(np.linspace(-3, 3, 7), [0.01, 0.3, 1.0, 2.0]))
    nodes, weights = np.polynomial.hermite_e.hermegauss(32)
    (first, second), by_mean, by_variance = hidden_moments(mean, variance, nodes, weights / weights.sum())
    t = np.linspace(-10, 10, 20001)
    density = np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi) * (t[1] - t[0])

    def exact(m: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        y = np.tanh(m[:, None] + np.sqrt(v)[:, None] * t)
        return y @ density, y**2 @ density - (y @ density) ** 2

    for largest, tolerance in ((0.3, 1e-6), (1.0, 1e-4), (2.0, 1e-3)):
        near = variance <= largest
        for moment, expected in zip((first, second), exact(mean[near], variance[near]), strict=True):
            np.testing.assert_allclose(moment[near], expected, atol=tolerance)
    step = 1e-5
    for found, shift in ((by_mean, (step, 0.0)), (by_variance, (0.0, step))):
        above, _, _ = hidden_moments(mean + shift[0], variance + shift[1], nodes, weights / weights.sum())
        below, _, _ = hidden_moments(mean - shift[0], variance - shift[1], nodes, weights / weights.sum())
        for one, two, slope in zip(above, below, found, strict=True):
            np.testing.assert_allclose((one - two) / (2 * step), slope, atol=1e-7)


def test_gradient_of_the_expected_error() -> None:
    x, target = data()
    check = nn.check_gradients(net(), x, target, loss=ExpectedSquaredError())
    without_prior = {name: value for name, value in check.difference.items() if "prior" not in name}
    assert without_prior.keys() >= {"hidden_mean", "hidden_log_std", "output_mean", "output_log_std", "input"}
    assert check.largest_difference <= 1e-6
    assert max(check.kernel[name] for name in without_prior if name != "input") <= 1e-4


def test_gradient_of_the_description_length() -> None:
    """The cost of the weights included, in every parameter, those of the coding priors too."""
    x, target = data()
    exact, loss = net(cost_weight=0.07).astype(np.float64), ExpectedSquaredError()

    def length() -> float:
        return loss(exact.forward(x.astype(np.float64)), target)[0] + 0.07 * exact.cost()

    _, dy = loss(exact.forward(x.astype(np.float64)), target)
    exact.backward(dy)
    for name, gradient in {name: value.copy() for name, value in exact.gradients().items()}.items():
        assert_gradient(length, exact.parameters()[name], gradient)


class SquaredError:
    """Half the squared error, summed over all elements."""

    def __call__(self, y: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        return 0.5 * float(((y - target) ** 2).sum()), y - target

    def errors(self, y: np.ndarray, target: np.ndarray) -> np.ndarray | None:
        return None


def twin(model: NoisyWeightsNet) -> nn.Sequential:
    """The same net with sampled weights, in float64."""
    layers = [nn.NoisyLinear(6, 4, activation="tanh", rng=3), nn.NoisyLinear(4, 2, rng=4)]
    for layer, name in zip(layers, ("hidden", "output"), strict=True):
        layer.parameters()["mean"][...] = model.parameters()[f"{name}_mean"]
        layer.parameters()["log_std"][...] = model.parameters()[f"{name}_log_std"]
    return nn.Sequential(layers).astype(np.float64)


def test_the_exact_gradient_is_the_mean_of_the_sampled_one() -> None:
    """Loss and all 72 gradients over 20,000 draws, each within 6 standard errors (2e-9 each, 1.5e-7 for all)."""
    x, target = (part.astype(np.float64) for part in data())
    exact = net().astype(np.float64)
    y = exact.forward(x)
    expected_loss = 0.5 * float(((y[:, :2] - target) ** 2 + y[:, 2:]).sum())
    exact.backward(np.concatenate([y[:, :2] - target, np.full((15, 2), 0.5)], axis=1))
    names = {
        "0.mean": "hidden_mean",
        "0.log_std": "hidden_log_std",
        "1.mean": "output_mean",
        "1.log_std": "output_log_std",
    }
    expected = np.concatenate([[expected_loss], *(exact.gradients()[name].ravel() for name in names.values())])
    assert len(expected) == 1 + 2 * (7 * 4 + 5 * 2)
    sampled, loss = twin(exact), SquaredError()
    draws = np.empty((20_000, len(expected)))
    for draw in draws:
        value, dy = loss(sampled.forward(x, training=True), target)
        sampled.backward(dy, input_gradient=False)
        draw[:] = np.concatenate([[value], *(sampled.gradients()[name].ravel() for name in names)])
    error = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    assert np.abs((draws.mean(axis=0) - expected) / error).max() <= 6
    assert np.median(np.abs(expected) / error) > 20  # the test would see a wrong sign or factor


def test_gradient_of_the_sampled_layer(isa: str) -> None:
    """Central differences with the same noise; and the cost's part by itself."""
    rng = hc.Generator(5)
    prior = CodingPrior(2, 0.4)
    model = nn.Sequential(
        [nn.NoisyLinear(6, 5, activation="sigmoid", rng=rng), nn.NoisyLinear(5, 3, rng=rng, prior=prior)]
    )
    x, _ = data()
    check = nn.check_gradients(model, x, np.arange(15) % 3)
    assert check.largest_difference <= 1e-6
    assert max(value for name, value in check.kernel.items() if "prior" not in name) <= 1e-4

    layer = nn.NoisyLinear(6, 5, rng=rng, std=0.2, prior=prior, cost_weight=0.3).astype(np.float64)
    layer.forward(x.astype(np.float64), training=True)
    layer.backward(np.zeros((15, 5)))
    for name, gradient in layer.gradients().items():
        assert_gradient(lambda: 0.3 * layer.cost(), layer.parameters()[name], gradient.copy())


def test_coding_cost() -> None:
    """One component: the divergence in closed form. Several: at least that from the mixture, by quadrature."""
    mean, log_std = np.array([0.3, -1.2]), np.log([0.1, 0.7])
    prior = CodingPrior(1)
    found, _, _ = prior.cost(mean, log_std, np.array([0.2]), np.log([0.9]), np.zeros(1))
    std = np.exp(log_std)
    expected = np.log(0.9 / std) + (std**2 + (mean - 0.2) ** 2) / (2 * 0.81) - 0.5
    assert found == pytest.approx(expected.sum(), rel=1e-12)

    means, stds, share = np.array([-1.0, 0.0, 0.8]), np.array([0.5, 0.05, 0.3]), np.array([0.2, 0.5, 0.3])
    t = np.linspace(-12, 12, 400_001)
    for m, s in zip(mean, std, strict=True):
        q = np.exp(-(((t - m) / s) ** 2) / 2) / (s * np.sqrt(2 * np.pi))
        p = (share * np.exp(-(((t[:, None] - means) / stds) ** 2) / 2) / (stds * np.sqrt(2 * np.pi))).sum(axis=1)
        divergence = float((q * (np.log(q + 1e-300) - np.log(p + 1e-300))).sum() * (t[1] - t[0]))
        cost, _, _ = prior.cost(np.array([m]), np.log([s]), means, np.log(stds), np.log(share))
        by_component = [
            prior.cost(np.array([m]), np.log([s]), means[k : k + 1], np.log(stds[k : k + 1]), np.zeros(1))[0]
            - np.log(share[k])
            for k in range(3)
        ]
        assert divergence - 1e-6 <= cost <= min(by_component)


def test_means_are_used_outside_training_and_noise_counts() -> None:
    layer = nn.NoisyLinear(6, 5, rng=7, std=0.5)
    x, _ = data()
    first, again = layer.forward(x), layer.forward(x)
    np.testing.assert_array_equal(first, again)
    assert layer.counters() == {"offset": 0}
    drawn = layer.forward(x, training=True)
    assert layer.counters() == {"offset": 2}
    assert np.abs(drawn - first).max() > 0.1
    layer.set_counters({"offset": 0})
    np.testing.assert_array_equal(layer.forward(x, training=True), drawn)


class StopAfter(Callback):
    """Ends a run after some updates, as a kill would."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step(self, trainer: Trainer) -> None:
        if trainer.step == self.steps:
            raise KeyboardInterrupt


@pytest.mark.parametrize("kind", ["exact", "sampled"])
def test_resumed_runs_are_bit_identical(tmp_path: Path, kind: str) -> None:
    x, target = data(outputs=1)

    def trainer(callbacks: list[Callback]) -> Trainer:
        model: nn.Layer = NoisyWeightsNet(6, 4, cost_weight=0.05)
        loss: nn.Loss = ExpectedSquaredError()
        if kind == "sampled":
            rng, loss = hc.Generator(1), nn.MeanSquaredError()
            model = nn.Sequential(
                [nn.NoisyLinear(6, 4, activation="tanh", rng=rng, cost_weight=0.05), nn.NoisyLinear(4, 1, rng=rng)]
            )
        return Trainer(
            Supervised(model, x, target, loss=loss, optimiser=nn.Adam(0.01)), batch_size=15, callbacks=callbacks
        )

    whole = trainer([])
    whole.run(9)
    part = trainer([StopAfter(4)])
    with pytest.raises(KeyboardInterrupt):
        part.run(9)
    part.save_checkpoint(tmp_path / "c")
    rest = trainer([])
    rest.load_checkpoint(tmp_path / "c")
    rest.run(9)
    for name, array in whole.task.state()[0].items():
        np.testing.assert_array_equal(rest.task.state()[0][name], array)
    assert whole.task.state()[1] == rest.task.state()[1]


def test_useless_weights_are_given_up() -> None:
    """Targets that do not depend on the inputs: the description gets short, and the outputs forget the inputs."""
    rng = np.random.default_rng(9)
    x = rng.standard_normal((100, 20)).astype(np.float32)
    target = rng.standard_normal((100, 1)).astype(np.float32)
    model = NoisyWeightsNet(20, 3, cost_weight=1 / 100)
    before = model.cost()
    Trainer(Supervised(model, x, target, loss=ExpectedSquaredError(), optimiser=nn.Adam(0.01)), batch_size=100).run(
        1500
    )
    assert model.cost() < 3 < before
    assert model.predict(x).std() < 0.15


def test_errors() -> None:
    with pytest.raises(ValueError, match="std"):
        NoisyWeightsNet(3, 2, std=0.0)
    with pytest.raises(ValueError, match="cost_weight"):
        NoisyWeightsNet(3, 2, cost_weight=-1.0)
    with pytest.raises(ValueError, match="components"):
        NoisyWeightsNet(3, 2, components=0)
    with pytest.raises(ValueError, match="x"):
        NoisyWeightsNet(3, 2).forward(np.zeros((5, 4), np.float32))
    with pytest.raises(RuntimeError, match="forward"):
        NoisyWeightsNet(3, 2).backward(np.zeros((5, 2), np.float32))
    with pytest.raises(ValueError, match="target"):
        ExpectedSquaredError()(np.zeros((5, 2), np.float32), np.zeros((5, 2)))
    with pytest.raises(ValueError, match="scale"):
        CodingPrior(2, 0.0)
    with pytest.raises(ValueError, match="activation"):
        nn.NoisyLinear(3, 2, activation="gelu", rng=0)
    with pytest.raises(ValueError, match="std"):
        nn.NoisyLinear(3, 2, rng=0, std=-1.0)
    with pytest.raises(RuntimeError, match="forward"):
        nn.NoisyLinear(3, 2, rng=0).backward(np.zeros((1, 2), np.float32))
