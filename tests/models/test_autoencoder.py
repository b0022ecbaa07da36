"""The deep autoencoder: unrolling against the RBMs themselves, gradients, files, resume, errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hintoncore import nn
from hintoncore.files import FileFormatError
from hintoncore.models import RBM, DeepAutoencoder
from hintoncore.train import AutoencoderLearning, Callback, Checkpoint, Linear, Trainer

X = np.random.default_rng(3).random((53, 11), dtype=np.float32)


def stack(visible: str = "bernoulli", inner: str = "bernoulli") -> list[RBM]:
    """RBMs 11-7-5-3 with weights and biases that are all different."""
    rng = np.random.default_rng(1)
    rbms = [
        RBM(11, 7, visible=visible, hidden=inner, seed=1),
        RBM(7, 5, visible=inner, hidden=inner, seed=2),
        RBM(5, 3, visible=inner, hidden="gaussian", seed=3),
    ]
    for rbm in rbms:
        for parameter in rbm.parameters().values():
            parameter[...] = rng.normal(0, 0.5, parameter.shape)
    return rbms


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian:unit", "gaussian"])
@pytest.mark.parametrize("inner", ["bernoulli", "spin"])
def test_unrolled_it_computes_what_the_rbms_do(visible: str, inner: str) -> None:
    rbms = stack(visible, inner)
    model = DeepAutoencoder.from_rbms(rbms)
    up = X
    for rbm in rbms:
        up = rbm.transform(up)
    np.testing.assert_allclose(model.encode(X), up, rtol=1e-4, atol=1e-5)
    down = up
    for rbm in reversed(rbms):
        down = rbm.visible_units.mean(rbm.visible_inputs(down))
    np.testing.assert_allclose(model.decode(up), down, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.reconstruct(X), down, rtol=1e-4, atol=1e-5)
    squares = ((down.astype(np.float64) - X) ** 2).sum(axis=1)
    assert model.squared_error(X) == pytest.approx(squares.mean(), rel=1e-4)


def test_unrolled_weights_are_copies() -> None:
    rbms = stack()
    model = DeepAutoencoder.from_rbms(rbms)
    before = [rbm.w.copy() for rbm in rbms]
    model.fit(X, 2)
    for rbm, w in zip(rbms, before, strict=True):
        np.testing.assert_array_equal(rbm.w, w)
    assert not np.array_equal(model.parameters()["0.w"], model.parameters()["5.w"].T), "each direction has its own"


@pytest.mark.parametrize(("visible", "inner"), [("bernoulli", "bernoulli"), ("gaussian:unit", "spin")])
def test_gradients_by_central_differences(visible: str, inner: str) -> None:
    model = DeepAutoencoder.from_rbms(stack(visible, inner))
    check = nn.check_gradients(model.network, X, X, loss=model.loss)
    assert check.largest_difference <= 1e-6
    assert check.largest_kernel_error <= 1e-4


def test_the_loss_is_the_papers_cross_entropy() -> None:
    model = DeepAutoencoder.from_rbms(stack())
    p, q = X.astype(np.float64), model.reconstruct(X).astype(np.float64)
    expected = -(p * np.log(q) + (1 - p) * np.log(1 - q)).sum(axis=1).mean()
    assert model.loss(model.network.forward(X), X)[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian:unit"])
def test_fine_tuning_learns(visible: str) -> None:
    line = np.linspace(0.1, 0.9, 200, dtype=np.float32)
    rows = np.stack([line, 1 - line, line**2, np.abs(line - 0.5)], axis=1)  # a curve: one number tells all
    model = DeepAutoencoder([4, 20, 1], visible=visible, hidden="spin", seed=5)
    before = model.squared_error(rows)
    model.fit(rows, 150, optimiser=nn.Adam(Linear(0.02, 0.0, 150)), batch_size=20)
    assert model.squared_error(rows) < 0.02 * before
    assert model.epochs_trained == 150


class Stop(Callback):
    """Ends the run in the middle of an epoch."""

    def on_step(self, trainer: Trainer) -> None:
        if trainer.step == 14:
            raise KeyboardInterrupt


def test_resumed_fine_tuning_gives_the_same_bytes(tmp_path: Path) -> None:
    def fit(**settings: Any) -> DeepAutoencoder:
        model = DeepAutoencoder.from_rbms(stack(), seed=9)
        return model.fit(X, 4, optimiser=nn.Adam(Linear(0.01, 0, 4)), batch_size=10, validation=X[:9], **settings)

    whole, path = fit(), tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fit(callbacks=[Checkpoint(path, every_steps=13), Stop()])
    resumed = fit(resume=path)
    assert resumed.epochs_trained == whole.epochs_trained == 4
    for name, parameter in whole.parameters().items():
        assert parameter.tobytes() == resumed.parameters()[name].tobytes(), name
    with pytest.raises(ValueError, match=r"optimiser\.learning_rate"):
        DeepAutoencoder.from_rbms(stack(), seed=9).fit(X, 4, batch_size=10, validation=X[:9], resume=path)


def test_records_have_the_squared_error_of_held_out_rows() -> None:
    model = DeepAutoencoder.from_rbms(stack())
    trainer = Trainer(AutoencoderLearning(model, X, optimiser=nn.SGD(0.1), validation=X[:20]), batch_size=10)
    trainer.run(2)
    assert trainer.history[-1]["validation_squared_error"] == model.squared_error(X[:20])
    assert trainer.history[-1]["validation_loss"] < trainer.history[0]["validation_loss"]


def test_results_do_not_depend_on_threads(set_threads: Callable[[int], None]) -> None:
    results = []
    for threads in (1, 2, 3, 8):
        set_threads(threads)
        results.append(DeepAutoencoder.from_rbms(stack(), seed=2).fit(X, 2, batch_size=10).encode(X).tobytes())
    assert len(set(results)) == 1


def test_save_and_load(tmp_path: Path) -> None:
    model = DeepAutoencoder.from_rbms(stack("gaussian", "spin"), seed=4).fit(X, 1)
    model.save(tmp_path / "model.safetensors")
    loaded = DeepAutoencoder.load(tmp_path / "model.safetensors")
    assert repr(loaded) == repr(model)
    assert (
        repr(model)
        == "DeepAutoencoder([11, 7, 5, 3], visible='gaussian:unit', hidden='spin', code='gaussian:unit', seed=4)"
    )
    assert loaded.epochs_trained == 1
    np.testing.assert_array_equal(loaded.reconstruct(X), model.reconstruct(X))
    RBM(7, 3).save(tmp_path / "rbm.safetensors")
    with pytest.raises(FileFormatError):
        DeepAutoencoder.load(tmp_path / "rbm.safetensors")


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="sizes: expected at least two"):
        DeepAutoencoder([5])
    with pytest.raises(ValueError, match=r"sizes\[1\]"):
        DeepAutoencoder([5, 0])
    with pytest.raises(ValueError, match="visible: expected one of 'bernoulli', 'gaussian:unit', given 'spin'"):
        DeepAutoencoder([5, 2], visible="spin")
    with pytest.raises(ValueError, match="at least one RBM"):
        DeepAutoencoder.from_rbms([])
    with pytest.raises(ValueError, match=r"rbms\[1\]: expected visible units \(7, 'bernoulli'\).*given \(6, "):
        DeepAutoencoder.from_rbms([RBM(11, 7), RBM(6, 2)])
    with pytest.raises(ValueError, match=r"rbms\[1\].*'gaussian:unit'"):
        DeepAutoencoder.from_rbms([RBM(11, 7, hidden="gaussian"), RBM(7, 2)])
    with pytest.raises(ValueError, match=r"code: expected one of .*given 'nrelu'"):
        DeepAutoencoder.from_rbms([RBM(11, 7, hidden="nrelu")])
    with pytest.raises(ValueError, match="visible"):
        DeepAutoencoder.from_rbms([RBM(12, 7, visible="softmax:3")])
    model = DeepAutoencoder([11, 4, 2])
    with pytest.raises(ValueError, match=r"X: expected values in \[0, 1\]"):
        model.fit(2 * X, 1)
    with pytest.raises(ValueError, match=r"validation: expected shape \[N, 11\]"):
        model.fit(X, 1, validation=X[:, :4])
    with pytest.raises(ValueError, match=r"codes: expected shape \[N, 2\]"):
        model.decode(X)
    with pytest.raises(ValueError, match="at least one row"):
        model.encode(X[:0])
    broken = X.copy()
    broken[3, 2] = np.nan
    with pytest.raises(ValueError, match="X"):
        model.reconstruct(broken)
