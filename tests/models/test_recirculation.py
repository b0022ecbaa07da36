"""Recirculation: its update against the paper's equations, its relation to the gradient, files and resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hintoncore.files import FileFormatError
from hintoncore.models import RBM, Recirculation
from hintoncore.train import Callback, Checkpoint, Trainer

RNG = np.random.default_rng(3)
X = RNG.random((23, 7)).astype(np.float32)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def in_float64(model: Recirculation) -> dict[str, np.ndarray]:
    return {name: value.astype(np.float64) for name, value in model.parameters().items()}


def squared_error(p: dict[str, np.ndarray], x: np.ndarray) -> float:
    output = sigmoid(sigmoid(x @ p["w_up"] + p["b_hid"]) @ p["w_down"] + p["b_vis"])
    return 0.5 * float(((output - x) ** 2).sum()) / len(x)


@pytest.mark.parametrize("regression", [0.0, 0.75])
def test_update_is_the_papers(regression: float) -> None:
    model = Recirculation(7, 3, seed=2)
    p, x = in_float64(model), X.astype(np.float64)
    expected = {name: np.zeros_like(value) for name, value in p.items()}
    for v0 in x:  # one row at a time, with explicit outer products
        h1 = sigmoid(v0 @ p["w_up"] + p["b_hid"])
        v2 = regression * v0 + (1 - regression) * sigmoid(h1 @ p["w_down"] + p["b_vis"])
        h3 = regression * h1 + (1 - regression) * sigmoid(v2 @ p["w_up"] + p["b_hid"])
        expected["w_up"] += np.outer(v2, h1 - h3) / len(x)
        expected["w_down"] += np.outer(h1, v0 - v2) / len(x)
        expected["b_hid"] += (h1 - h3) / len(x)
        expected["b_vis"] += (v0 - v2) / len(x)
    found = model.update_direction(X, regression)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_descent_direction_is_minus_the_gradient_by_central_differences() -> None:
    model = Recirculation(7, 3, seed=2)
    found, x, step = model.descent_direction(X), X.astype(np.float64), 1e-6
    for name, parameter in in_float64(model).items():
        for index in np.ndindex(parameter.shape):
            p = in_float64(model)
            p[name][index] += step
            above = squared_error(p, x)
            p[name][index] -= 2 * step
            slope = (above - squared_error(p, x)) / (2 * step)
            assert found[name][index] == pytest.approx(-slope, rel=1e-3, abs=1e-6), (name, index)


def test_with_transposed_weights_and_gentle_feedback_the_hidden_update_is_the_gradient() -> None:
    """The paper's argument: h1 - h3 is to first order (1 - r) times the backpropagated error, when w_down = w_up^T."""
    model = Recirculation(7, 3, seed=2, scale=0.3)
    model.w_down[...] = model.w_up.T
    regression = 0.99
    # v2 = v0 + (1 - r)(output - v0), so that h1 - h3 = (1 - r)(h1 - h(v2)) = (1 - r)^2 times the error passed back.
    found, expected = model.update_direction(X, regression), model.descent_direction(X)
    # The visible units' derivative is not in it: with reconstructions near 1/2 it is a common factor of about 1/4.
    for name in ("w_up", "b_hid"):
        a, b = found[name].ravel().astype(np.float64), expected[name].ravel().astype(np.float64)
        assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.98, name


def test_it_learns_and_says_so() -> None:
    model = Recirculation(4, 2, seed=1)
    patterns = np.eye(4)
    before = model.reconstruction_error(patterns)
    model.fit(patterns, 200, batch_size=4, learning_rate=20.0)
    assert model.reconstruction_error(patterns) < 0.1 < before
    assert model.reconstruct(patterns).argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert model.transform(patterns).shape == (4, 2)
    assert (model.epochs_trained, model.steps_trained) == (200, 200)


def test_resumed_training_gives_the_same_bytes(tmp_path: Path) -> None:
    class Stop(Callback):
        def on_step(self, trainer: Trainer) -> None:
            if trainer.step == 8:
                raise KeyboardInterrupt

    settings: dict[str, Any] = {"batch_size": 5, "learning_rate": 2.0}
    whole = Recirculation(7, 3, seed=4).fit(X, 4, **settings)
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        Recirculation(7, 3, seed=4).fit(X, 4, callbacks=[Checkpoint(path, every_steps=7), Stop()], **settings)
    resumed = Recirculation(7, 3, seed=4).fit(X, 4, resume=path, **settings)
    for name, parameter in whole.parameters().items():
        assert parameter.tobytes() == resumed.parameters()[name].tobytes(), name
    with pytest.raises(ValueError, match="regression"):
        Recirculation(7, 3, seed=4).fit(X, 4, regression=0.5, resume=path, **settings)


def test_save_and_load(tmp_path: Path) -> None:
    model = Recirculation(7, 3, seed=4).fit(X, 1)
    model.save(tmp_path / "model.safetensors")
    loaded = Recirculation.load(tmp_path / "model.safetensors")
    assert repr(loaded) == repr(model) == "Recirculation(7, 3, seed=4)"
    assert loaded.steps_trained == 1
    np.testing.assert_array_equal(loaded.reconstruct(X), model.reconstruct(X))
    RBM(7, 3).save(tmp_path / "rbm.safetensors")
    with pytest.raises(FileFormatError):
        Recirculation.load(tmp_path / "rbm.safetensors")


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="scale: expected a number > 0"):
        Recirculation(7, 3, scale=0.0)
    model = Recirculation(7, 3)
    with pytest.raises(ValueError, match="regression: expected 0 <= regression < 1, given 1"):
        model.fit(X, 1, regression=1)
    with pytest.raises(ValueError, match=r"values in \[0, 1\]"):
        model.fit(2 * X + 1, 1)
    with pytest.raises(ValueError, match=r"expected shape \[N, 7\]"):
        model.transform(X[:, :5])
    with pytest.raises(ValueError, match="learning_rate"):
        model.fit(X, 1, learning_rate=-1.0)
    model.w_up[2, 1] = np.nan
    with pytest.raises(FloatingPointError, match="learning rate is too large"):
        model.fit(X, 1)
