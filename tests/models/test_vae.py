"""The variational autoencoder: gradient, bound and likelihood against quadrature, resumption, files, bad input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import hintoncore as hc
from hintoncore import nn
from hintoncore.files import FileFormatError
from hintoncore.models import VAE
from hintoncore.models.vae import NegativeBound
from hintoncore.train import Callback, Linear, Trainer, VariationalLearning


def bits(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random((rows, columns)) < 0.4).astype(np.float32)


def tiny(seed: int = 3) -> VAE:
    """One latent variable, a decoder with a posterior that is not Gaussian, and an encoder that covers it."""
    model = VAE(6, 1, (4,), seed=seed)
    for parameter in model.decoder.parameters().values():
        parameter *= 2
    for parameter in model.encoder.parameters().values():
        parameter *= 0.5
    return model


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_gradient_of_the_bound(isa: str, activation: str) -> None:
    """Central differences in float64 with the same noise; kernels against that gradient."""
    model = VAE(20, 3, (8, 7), activation=activation, seed=1)
    model.forward(bits(9, 20), training=True)  # so that the noise checked is not the first
    check = nn.check_gradients(model, bits(9, 20), bits(9, 20), loss=NegativeBound(20))
    assert check.difference.keys() == {*model.parameters(), "input"}
    assert check.largest_difference <= 1e-6
    assert check.largest_kernel_error <= 1e-4
    assert model.counters() == {"offset": 2}


def quadrature(model: VAE, x: np.ndarray) -> tuple[np.ndarray, float]:
    """Log-likelihood of each row, and the mean bound, by integration over the latent variable in float64."""
    exact = model.astype(np.float64)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights /= weights.sum()
    z = np.linspace(-12, 12, 4001)[:, None]
    logits = exact.decoder.forward(z)
    log_pixels = x @ logits.T - np.logaddexp(0, logits).sum(axis=1)
    log_prior = -0.5 * z[:, 0] ** 2 - 0.5 * np.log(2 * np.pi)
    by_row = np.log(np.exp(log_pixels + log_prior).sum(axis=1) * (z[1, 0] - z[0, 0]))
    mean, log_variance = exact.encoder.forward(x.astype(np.float64)).T
    codes = mean[:, None] + np.exp(log_variance / 2)[:, None] * nodes
    logits = exact.decoder.forward(codes.reshape(-1, 1)).reshape(len(x), len(nodes), -1)
    log_pixels = (x[:, None, :] * logits - np.logaddexp(0, logits)).sum(axis=2)
    divergence = 0.5 * (mean**2 + np.exp(log_variance) - log_variance - 1)
    return by_row, float((log_pixels @ weights - divergence).mean())


def test_likelihood_and_bound_against_quadrature() -> None:
    """Within 5 standard errors of 20,000 samples (false alarm 6e-7 each); the bound is clearly below."""
    model, x = tiny(), bits(30, 6)
    by_row, bound = quadrature(model, x)
    found = model.importance_log_likelihood(x, 20_000, rng=1)
    assert abs(found.log_likelihood - by_row.mean()) <= 5 * found.std_error
    assert abs(found.bound - bound) <= 5 * found.bound_std_error
    assert found.std_error < 0.01
    assert by_row.mean() - bound > 0.05
    np.testing.assert_allclose(found.by_row, by_row, atol=0.2)
    assert (found.samples, len(found.by_row)) == (20_000, 30)


def test_bound_in_expectation() -> None:
    """The mean of 200,000 one-sample bounds: their spread is below 4 nats, so 5 standard errors are 0.045."""
    model, x = tiny(), bits(20, 6)
    _, bound = quadrature(model, x)
    assert abs(model.bound(np.repeat(x, 10_000, axis=0), rng=2) - bound) <= 0.045


def test_more_samples_do_not_loosen() -> None:
    """The gains, 0.1 nats and more, are at least 10 standard errors at 20,000 rows."""
    model, x = tiny(), np.repeat(bits(20, 6), 1000, axis=0)
    found = [model.importance_log_likelihood(x, samples, rng=3).log_likelihood for samples in (2, 8, 32)]
    assert found[0] < found[1] - 0.01
    assert found[1] < found[2]


def test_learning_raises_the_bound_and_reconstructs() -> None:
    digits = hc.datasets.load("digits")
    held_out = hc.datasets.binarize(digits.test)
    model = VAE(64, 8, (64,), activation="relu", seed=4)
    before = model.bound(held_out)
    model.fit(hc.datasets.binarize(digits.train).to_dense(), 30, learning_rate=0.003, validation=held_out)
    after = model.bound(held_out)
    assert before < -42
    assert after > -27
    assert model.epochs_trained == 30
    rows = held_out.to_dense()
    wrong = np.mean((model.reconstruct(held_out) > 0.5) != (rows > 0.5))
    assert wrong < 0.13
    samples = model.sample(50, rng=0)
    assert samples.shape == (50, 64)
    assert np.abs(samples.mean(axis=0) - rows.mean(axis=0)).mean() < 0.12


class StopAfter(Callback):
    """Ends a run after some updates, as a kill would."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step(self, trainer: Trainer) -> None:
        if trainer.step == self.steps:
            raise KeyboardInterrupt


def trainer(callbacks: list[Callback], rate: float = 0.01) -> Trainer:
    grey = np.random.default_rng(5).random((130, 12)).astype(np.float32)
    model = VAE(12, 3, (10,), seed=6)
    task = VariationalLearning(
        model, grey, optimiser=nn.Adam(Linear(rate, 0.001, 5)), seed=6, validation=bits(40, 12, seed=7)
    )
    return Trainer(task, batch_size=30, callbacks=callbacks)


@pytest.mark.parametrize("stop", [2, 5, 13])
def test_resumed_runs_are_bit_identical(tmp_path: Path, stop: int) -> None:
    """Stopped in an epoch, at its end and later: bits, noise, order and optimiser all go on."""
    whole = trainer([])
    whole.run(4)
    part = trainer([StopAfter(stop)])
    with pytest.raises(KeyboardInterrupt):
        part.run(4)
    part.save_checkpoint(tmp_path / "c")
    rest = trainer([])
    rest.load_checkpoint(tmp_path / "c")
    rest.run(4)
    for name, parameter in whole.task.model.parameters().items():
        np.testing.assert_array_equal(rest.task.model.parameters()[name], parameter)
    assert whole.task.state()[1] == rest.task.state()[1]
    assert rest.task.model.epochs_trained == 4
    for one, two in zip(whole.history, rest.history, strict=True):
        assert {**one, "seconds": 0} == {**two, "seconds": 0}
    with pytest.raises(ValueError, match="learning_rate"):
        trainer([], rate=0.02).load_checkpoint(tmp_path / "c")


def test_bits_are_drawn_anew() -> None:
    """At a learning rate of 0 and with the same noise, the loss of the same rows changes with their bits only."""
    model = VAE(12, 3, (10,), seed=6)
    task = VariationalLearning(model, np.full((50, 12), 0.5), optimiser=nn.SGD(0.0))
    losses = []
    for _ in range(2):
        model.set_counters({"offset": 0})
        losses.append(task.step(np.arange(50), 0.0)["loss"])
    assert losses[0] != losses[1]


def test_results_do_not_depend_on_threads(set_threads: Callable[[int], None]) -> None:
    results = []
    for threads in (1, 2, 3, 8):
        set_threads(threads)
        run = trainer([])
        run.run(2)
        results.append(
            [
                *run.task.model.parameters().values(),
                run.task.model.importance_log_likelihood(bits(5, 12), 700, rng=1).by_row,
            ]
        )
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_files(tmp_path: Path) -> None:
    model = VAE(12, 3, (10, 5), activation="sigmoid", seed=6)
    model.fit(bits(30, 12), 1)
    model.save(tmp_path / "m")
    again = VAE.load(tmp_path / "m")
    assert repr(again) == repr(model)
    assert again.epochs_trained == 1
    np.testing.assert_array_equal(again.reconstruct(bits(4, 12)), model.reconstruct(bits(4, 12)))
    again.save(tmp_path / "n")
    assert (tmp_path / "m").read_bytes() == (tmp_path / "n").read_bytes()
    (tmp_path / "broken").write_bytes(b"nothing")
    with pytest.raises(FileFormatError):
        VAE.load(tmp_path / "broken")


def test_errors() -> None:
    model = VAE(12, 3, (10,))
    with pytest.raises(ValueError, match="n_latent"):
        VAE(12, 0)
    with pytest.raises(ValueError, match="activation"):
        VAE(12, 3, activation="swish")
    with pytest.raises(ValueError, match="X"):
        model.encode(np.zeros((2, 11)))
    with pytest.raises(ValueError, match="X"):
        model.bound(np.full((2, 12), 0.5))
    with pytest.raises(ValueError, match="X"):
        model.importance_log_likelihood(np.full((2, 12), np.nan))
    with pytest.raises(ValueError, match="samples"):
        model.importance_log_likelihood(np.zeros((2, 12)), 1)
    with pytest.raises(ValueError, match="z"):
        model.decode(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="z"):
        model.decode(np.full((2, 3), np.inf))
    with pytest.raises(ValueError, match="x"):
        model.fit(np.full((2, 12), 1.5), 1)
    with pytest.raises(ValueError, match="X"):
        model.fit(np.zeros((2, 12)), 1, validation=np.full((2, 12), 0.5))
    with pytest.raises(RuntimeError, match="forward"):
        VAE(12, 3).backward(np.zeros((2, 18), np.float32))
    with pytest.raises(FloatingPointError):
        model.fit(bits(20, 12), 20, learning_rate=1e30)
