"""Recurrent layers: gradients against central differences, layouts, files, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hintoncore import nn


def layer(n_in: int = 3, *, activation: str = "tanh", **settings: bool) -> nn.RNN:
    """A layer whose states are far from the rectifier's kink, and not the identity."""
    return nn.RNN(
        n_in,
        6,
        activation=activation,
        rng=4,
        weights=nn.init.gaussian(0.5),
        recurrent=nn.init.orthogonal(0.9),
        bias=0.1,
        **settings,
    )


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("n_in", [1, 3, 20])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "none"])
def test_gradients(isa: str, activation: str, n_in: int, sequences: bool, batch_first: bool) -> None:
    draw = np.random.default_rng([n_in, sequences])
    shape, out = ((4, 5), (4, 5, 6)) if batch_first else ((5, 4), (5, 4, 6))
    x = draw.standard_normal((*shape, n_in)).astype(np.float32)
    target = draw.standard_normal(out if sequences else (4, 6)).astype(np.float32)
    model = layer(n_in, activation=activation, sequences=sequences, batch_first=batch_first)
    check = nn.check_gradients(model, x, target, loss=nn.MeanSquaredError())
    assert check.difference.keys() == {"w_x", "w_h", "b", "input"}
    assert check.largest_difference <= 1e-6
    assert check.largest_kernel_error <= 1e-4


@pytest.mark.parametrize("n_in", [1, 20])
def test_gradients_without_that_of_the_input(n_in: int) -> None:
    draw = np.random.default_rng(1)
    x, dy = draw.standard_normal((7, 3, n_in)).astype(np.float32), draw.standard_normal((3, 6)).astype(np.float32)
    model, other = layer(n_in), layer(n_in)
    for one in (model, other):
        one.forward(x, training=True)
    assert model.backward(dy, input_gradient=False) is None
    assert other.backward(dy) is not None
    for name, gradient in model.gradients().items():
        np.testing.assert_allclose(gradient, other.gradients()[name], rtol=1e-4, atol=1e-6)


def test_first_state_and_its_gradient() -> None:
    draw = np.random.default_rng(2)
    x, h0, dy = draw.standard_normal((5, 4, 3)), draw.standard_normal((4, 6)), draw.standard_normal((4, 6))
    model = layer().astype(np.float64)
    assert isinstance(model, nn.RNN)
    model.forward(x, training=True, h0=h0)
    model.backward(dy)
    assert model.dh0 is not None
    for at in np.ndindex(h0.shape):
        value = []
        for step in (1e-5, -1e-5):
            moved = h0.copy()
            moved[at] += step
            value.append(float(np.sum(dy * model.forward(x, training=True, h0=moved))))
        assert abs((value[0] - value[1]) / 2e-5 - model.dh0[at]) <= 1e-6


def test_starts_as_the_irnn() -> None:
    model = nn.RNN(2, 50, rng=0)
    np.testing.assert_array_equal(model.w_h, np.eye(50))
    np.testing.assert_array_equal(model.b, 0)
    assert 0.0007 < model.w_x.std() < 0.0013
    assert model.activation == "relu"
    assert model.decayed() == {"w_x", "w_h"}


def test_last_state_is_that_of_all(isa: str) -> None:
    x = np.random.default_rng(3).standard_normal((9, 5, 1)).astype(np.float32)
    last, every = layer(1), layer(1, sequences=True)
    y = last.forward(x)
    np.testing.assert_array_equal(y, every.forward(x)[-1])
    np.testing.assert_array_equal(y, last.forward(x, training=True))
    rows = layer(1, batch_first=True)
    np.testing.assert_array_equal(rows.forward(x.swapaxes(0, 1)), y)
    np.testing.assert_array_equal(rows.forward(x[:, :, 0].T), y)


def test_in_a_network_with_a_file(tmp_path: Path) -> None:
    x = np.random.default_rng(5).standard_normal((10, 6, 2)).astype(np.float32)

    def network(seed: int) -> nn.Sequential:
        return nn.Sequential([nn.RNN(2, 7, rng=seed, batch_first=True), nn.Linear(7, 3, rng=seed)])

    model, other = network(1), network(2)
    assert list(model.parameters()) == ["0.w_x", "0.w_h", "0.b", "1.w", "1.b"]
    optimiser = nn.Adam(0.01)
    losses = []
    for _ in range(30):
        loss, dy = nn.SoftmaxCrossEntropy()(model.forward(x, training=True), np.arange(10) % 3)
        model.backward(dy, input_gradient=False)
        optimiser.step(model)
        losses.append(loss)
    assert losses[-1] < 0.9 * losses[0]
    nn.save(model, tmp_path / "rnn.safetensors")
    nn.load(other, tmp_path / "rnn.safetensors")
    np.testing.assert_array_equal(other.forward(x), model.forward(x))


def test_errors() -> None:
    with pytest.raises(ValueError, match="activation"):
        layer(activation="step")
    with pytest.raises(ValueError, match="n_hidden"):
        nn.RNN(1, 0, rng=0)
    with pytest.raises(ValueError, match="w_h: expected shape"):
        nn.RNN(1, 3, rng=0, recurrent=lambda n, m, rng: np.ones((m, n + 1), np.float32))
    model = layer()
    x = np.zeros((4, 2, 3), np.float32)
    for bad in (x[0], x[:, :, :2]):
        with pytest.raises(ValueError, match=r"x: expected shape \[T, B, n_in\]"):
            model.forward(bad)
    model.forward(x)
    with pytest.raises(RuntimeError, match="training=True"):
        model.backward(np.zeros((2, 6), np.float32))
