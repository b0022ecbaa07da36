"""Layers, losses and networks: gradients against central differences, names, files, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hintoncore as hc
from hintoncore import nn
from hintoncore.files import FileFormatError
from hintoncore.nn.network import set_parameters


def network(seed: int = 0, activation: str = "tanh") -> nn.Sequential:
    rng = hc.Generator(seed)
    return nn.Sequential(
        [
            nn.Parallel(
                [nn.Linear(3, 4, activation=activation, rng=rng), nn.Linear(5, 6, activation="sigmoid", rng=rng)],
                (3, 5),
            ),
            nn.LayerNorm(10),
            nn.Dropout(0.3, rng=rng),
            nn.Linear(10, 7, activation="relu", rng=rng, bias=None),
            nn.Linear(7, 4, rng=rng),
        ]
    )


def data(seed: int = 1, rows: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, 8)).astype(np.float32), rng.integers(0, 4, rows)


@pytest.mark.parametrize("activation", ["none", "relu", "sigmoid", "tanh"])
def test_gradients_of_a_network(isa: str, activation: str) -> None:
    x, target = data()
    model = network(activation=activation)
    model.forward(x, training=True)  # so that the mask checked is not the first
    before = {name: value.copy() for name, value in model.parameters().items()}
    check = nn.check_gradients(model, x, target)
    assert check.difference.keys() == {*model.parameters(), "input"}
    assert check.largest_difference <= 1e-6
    assert check.largest_kernel_error <= 1e-4
    assert model.counters() == {"2.offset": 1}
    for name, value in model.parameters().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("loss", [nn.SoftmaxCrossEntropy(), nn.MeanSquaredError(), nn.BinaryCrossEntropy()])
def test_gradients_of_losses(isa: str, loss: nn.Loss) -> None:
    rng = hc.Generator(4)
    model = nn.Linear(6, 3, rng=rng)
    draw = np.random.default_rng(5)
    target = draw.random((9, 3)).astype(np.float32)
    check = nn.check_gradients(model, draw.standard_normal((9, 6)).astype(np.float32), target, loss=loss)
    assert check.largest_difference <= 1e-6
    assert check.largest_kernel_error <= 1e-4


def test_a_wrong_gradient_is_found() -> None:
    class Wrong(nn.Linear):
        def backward(self, dy: np.ndarray, *, input_gradient: bool = True) -> np.ndarray | None:
            dx = super().backward(dy, input_gradient=input_gradient)
            self._gradients["b"] *= 1.01
            return dx

    x, target = data()
    check = nn.check_gradients(Wrong(8, 4, rng=0), x, target)
    assert check.difference["b"] > 1e-4
    assert check.difference["w"] < 1e-6


def test_losses_are_what_they_say() -> None:
    y = np.array([[0.0, 1.0], [2.0, -1.0]], np.float32)
    target = np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)
    p = 1 / (1 + np.exp(-y.astype(np.float64)))
    expected = -np.sum(target * np.log(p) + (1 - target) * np.log(1 - p)) / 2
    assert abs(nn.BinaryCrossEntropy()(y, target)[0] - expected) < 1e-6
    assert nn.MeanSquaredError()(y, target)[0] == pytest.approx((0 + 0 + 1 + 1) / 4)
    value, _ = nn.SoftmaxCrossEntropy()(y, np.array([1, 0]))
    assert value == pytest.approx((np.log(1 + np.exp(-1)) + np.log(1 + np.exp(-3))) / 2, rel=1e-6)
    np.testing.assert_array_equal(nn.SoftmaxCrossEntropy().errors(y, np.array([1, 1])), [False, True])
    np.testing.assert_array_equal(nn.SoftmaxCrossEntropy().errors(y, target), [False, False])
    with pytest.raises(ValueError, match="target"):
        nn.MeanSquaredError()(y, target[:1])


def test_dropout_is_off_outside_training_and_counts() -> None:
    layer = nn.Dropout(0.5, rng=1)
    x = np.ones((40, 30), np.float32)
    assert layer.forward(x) is x
    assert layer.counters() == {"offset": 0}
    y = layer.forward(x, training=True)
    np.testing.assert_array_equal(layer.backward(x), y)
    again = layer.forward(x, training=True)
    assert (again != y).any()
    layer.set_counters({"offset": 0})
    np.testing.assert_array_equal(layer.forward(x, training=True), y)
    other = nn.Dropout(0.5, rng=hc.Generator(1, 1))
    assert other.seed != layer.seed


def test_max_norm_constrains_after_updates() -> None:
    layer = nn.Linear(20, 10, rng=0, max_norm=0.5)
    optimiser = nn.SGD(1.0)
    x = np.random.default_rng(6).standard_normal((8, 20)).astype(np.float32)
    _, dy = nn.MeanSquaredError()(layer.forward(x), np.ones((8, 10)))
    layer.backward(dy)
    optimiser.step(layer)
    assert np.linalg.norm(layer.w, axis=0).max() <= 0.5 * (1 + 1e-5)


def test_names_and_files(tmp_path: Path) -> None:
    model, other = network(7), network(8)
    assert list(model.parameters()) == ["0.0.w", "0.0.b", "0.1.w", "0.1.b", "1.gain", "1.shift", "3.w", "4.w", "4.b"]
    assert model.decayed() == {"0.0.w", "0.1.w", "3.w", "4.w"}
    nn.save(model, tmp_path / "model.safetensors")
    nn.load(other, tmp_path / "model.safetensors")
    x, _ = data()
    np.testing.assert_array_equal(other.forward(x), model.forward(x))
    with pytest.raises(ValueError, match="parameters"):
        nn.load(nn.Linear(8, 4, rng=0), tmp_path / "model.safetensors")
    before = other.parameters()["4.w"].copy()
    bad = {name: np.zeros_like(value) for name, value in model.parameters().items()} | {"0.0.w": np.zeros((1, 1), "f4")}
    with pytest.raises(ValueError, match=r"0\.0\.w"):
        set_parameters(other, bad, "here")
    np.testing.assert_array_equal(other.parameters()["4.w"], before)
    (tmp_path / "broken").write_bytes(b"nothing")
    with pytest.raises(FileFormatError):
        nn.load(other, tmp_path / "broken")


def test_initialisers() -> None:
    rng = hc.Generator(9)
    w = nn.init.orthogonal(2.0)(20, 7, rng)
    np.testing.assert_allclose(w.T @ w, 4 * np.eye(7), atol=1e-5)
    w = nn.init.orthogonal()(7, 20, rng)
    np.testing.assert_allclose(w @ w.T, np.eye(7), atol=1e-5)
    np.testing.assert_array_equal(nn.init.identity(3, 5, rng), np.eye(3, 5))
    np.testing.assert_array_equal(nn.init.scaled_identity(0.5)(4, 4, rng), 0.5 * np.eye(4))
    w = nn.init.sparse(15)(100, 30, rng)
    np.testing.assert_array_equal((w != 0).sum(axis=0), 15)
    # 250,000 weights: the sample standard deviation is within 6 of its own (chance 2e-9) of the right one.
    spread = 6 / np.sqrt(2 * 250_000)
    assert abs(nn.init.he(500, 500, rng).std() / np.sqrt(2 / 500) - 1) < spread
    assert abs(nn.init.glorot(500, 500, rng).std() / np.sqrt(2 / 1000) - 1) < spread
    assert abs(nn.init.gaussian()(500, 500, rng).std() / 0.01 - 1) < spread


def test_errors() -> None:
    rng = hc.Generator(0)
    with pytest.raises(ValueError, match="activation"):
        nn.Linear(2, 3, activation="gelu", rng=rng)
    with pytest.raises(ValueError, match="rate"):
        nn.Dropout(1.0, rng=rng)
    with pytest.raises(RuntimeError, match="forward"):
        nn.Linear(2, 3, rng=rng).backward(np.ones((1, 3), np.float32))
    layer = nn.Linear(3, 3, rng=rng)
    with pytest.raises(ValueError, match="twice"):
        nn.Sequential([layer, layer])
    with pytest.raises(TypeError, match="layers"):
        nn.Sequential([])
    with pytest.raises(ValueError, match="widths"):
        nn.Parallel([layer], (3, 3))
    with pytest.raises(ValueError, match="columns"):
        nn.Parallel([layer], (3,)).forward(np.ones((1, 4), np.float32))
    with pytest.raises(ValueError, match="weights"):
        nn.Linear(2, 3, rng=rng, weights=lambda n_in, n_out, _: np.ones((n_out, n_in), np.float32))
