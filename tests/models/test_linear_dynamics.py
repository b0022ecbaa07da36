"""Linear dynamics: inference against the joint Gaussian, EM, missing values, slow features, resumption, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hintoncore as hc
from hintoncore.files import FileFormatError
from hintoncore.models import LinearDynamics, SlowFeatures
from hintoncore.models.linear_dynamics import as_sequences
from hintoncore.train import Callback, KalmanEM, Trainer


def model(seed: int = 0, n_observed: int = 4, n_latent: int = 3) -> LinearDynamics:
    rng = np.random.default_rng(seed)

    def positive(n: int) -> np.ndarray:
        root = rng.standard_normal((n, n))
        return 0.2 * root @ root.T + 0.3 * np.eye(n)

    made = LinearDynamics(n_observed, n_latent, seed=seed)
    made.transition = 0.45 * rng.standard_normal((n_latent, n_latent))
    made.transition *= min(1.0, 0.95 / np.abs(np.linalg.eigvals(made.transition)).max())
    made.transition_covariance, made.initial_covariance = positive(n_latent), positive(n_latent)
    made.emission, made.offset = rng.standard_normal((n_observed, n_latent)), rng.standard_normal(n_observed)
    made.noise, made.initial_mean = rng.uniform(0.2, 0.8, n_observed), rng.standard_normal(n_latent)
    return made


def joint(m: LinearDynamics, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Means and covariance of all states, [T K], and the map from them to all observations."""
    k = m.n_latent
    mean, blocks = [m.initial_mean], [m.initial_covariance]
    for _ in range(length - 1):
        mean.append(m.transition @ mean[-1])
        blocks.append(m.transition @ blocks[-1] @ m.transition.T + m.transition_covariance)
    covariance = np.zeros((length * k, length * k))
    for late in range(length):
        for early in range(late + 1):
            block = np.linalg.matrix_power(m.transition, late - early) @ blocks[early]
            covariance[late * k : (late + 1) * k, early * k : (early + 1) * k] = block
            covariance[early * k : (early + 1) * k, late * k : (late + 1) * k] = block.T
    return np.concatenate(mean), covariance, np.kron(np.eye(length), m.emission), np.tile(m.offset, length)


def gaps(y: np.ndarray, share: float, seed: int = 1) -> np.ndarray:
    return np.where(np.random.default_rng(seed).random(y.shape) < share, np.nan, y)


@pytest.mark.parametrize("missing", [0.0, 0.3, 0.8])
def test_posterior_and_likelihood_against_the_joint_gaussian(missing: float) -> None:
    """Conditioning the Gaussian of all states and observations at once; sequences of two lengths."""
    m = model()
    both, _ = m.sample(2, 6, rng=2)
    data = [gaps(both[0], missing), gaps(both[1, :4], missing, seed=3)]
    if missing == 0.3:
        data[0][2] = np.nan  # a time at which nothing was observed
    smoothed, filtered = m.smooth(data), m.filter(data)
    assert smoothed.lagged is not None
    log_likelihood = 0.0
    for s, y in enumerate(data):
        mean, covariance, emission, offset = joint(m, len(y))
        for until in (*range(1, len(y)), None):
            seen = np.isfinite(y).ravel()
            if until is not None:
                seen[until * m.n_observed :] = False
            rows = emission[seen]
            noise = np.diag(np.tile(m.noise, len(y))[seen])
            marginal = rows @ covariance @ rows.T + noise
            residual = y.ravel()[seen] - offset[seen] - rows @ mean
            gain = covariance @ rows.T @ np.linalg.pinv(marginal) if seen.any() else np.zeros((len(mean), 0))
            posterior_mean = (mean + gain @ residual).reshape(len(y), -1)
            posterior = covariance - gain @ rows @ covariance
            if until is not None:
                at = slice((until - 1) * 3, until * 3)
                np.testing.assert_allclose(filtered.mean[s, until - 1], posterior_mean[until - 1], atol=1e-9)
                np.testing.assert_allclose(filtered.covariance[s, until - 1], posterior[at, at], atol=1e-9)
        log_likelihood += -0.5 * (
            residual @ np.linalg.solve(marginal, residual)
            + np.linalg.slogdet(marginal)[1]
            + seen.sum() * np.log(2 * np.pi)
        )
        np.testing.assert_allclose(smoothed.mean[s, : len(y)], posterior_mean, atol=1e-9)
        for t in range(len(y)):
            at = slice(3 * t, 3 * t + 3)
            np.testing.assert_allclose(smoothed.covariance[s, t], posterior[at, at], atol=1e-9)
            if t + 1 < len(y):
                lagged = posterior[3 * t + 3 : 3 * t + 6, at]
                np.testing.assert_allclose(smoothed.lagged[s, t], lagged, atol=1e-9)
    assert m.log_likelihood(data) == pytest.approx(log_likelihood, abs=1e-8)
    assert smoothed.log_likelihood == pytest.approx(log_likelihood, abs=1e-8)


def test_em_steps_satisfy_the_stationarity_conditions_of_the_expected_likelihood() -> None:
    """After an M step no parameter can be moved to raise the expected complete log-likelihood: its differences are 0.

    The expectation is over the posterior before the step, written out here term by term.
    """
    m = model(4)
    drawn, _ = m.sample(6, 9, rng=5)
    y = [row[:length] for row, length in zip(gaps(drawn, 0.3), (9, 9, 4, 7, 9, 5), strict=True)]
    m.epochs_trained = 1  # no subspace start
    m.emission = m.emission + 0.3
    task = KalmanEM(m, y)
    posterior = m.smooth(as_sequences(y, 4))
    task.step(np.arange(6), 0.0)

    def expected(p: dict[str, np.ndarray]) -> float:
        total = 0.0
        for s in range(6):
            for t in range(len(y[s])):
                mean, covariance = posterior.mean[s, t], posterior.covariance[s, t]
                for d in np.flatnonzero(np.isfinite(y[s][t])):
                    c = p["emission"][d]
                    error = (y[s][t, d] - c @ mean - p["offset"][d]) ** 2 + c @ covariance @ c
                    total -= 0.5 * (np.log(p["noise"][d]) + error / p["noise"][d])
                if t == 0:
                    delta, spread, scale = mean - p["initial_mean"], covariance, p["initial_covariance"]
                else:
                    assert posterior.lagged is not None
                    a, lag = p["transition"], posterior.lagged[s, t - 1]
                    delta = mean - a @ posterior.mean[s, t - 1]
                    spread = covariance - a @ lag.T - lag @ a.T + a @ posterior.covariance[s, t - 1] @ a.T
                    scale = p["transition_covariance"]
                moment = spread + np.outer(delta, delta)
                total -= 0.5 * (np.linalg.slogdet(scale)[1] + np.trace(np.linalg.solve(scale, moment)))
        return total

    parameters = {name: value.copy() for name, value in m.parameters().items()}
    for name, value in parameters.items():
        for index in np.ndindex(value.shape):
            kept = value.copy()
            mirrored = index[::-1] if "covariance" in name else index

            levels = []
            for step in (1e-4, -1e-4):
                value[index] = kept[index] + step
                value[mirrored] = kept[mirrored] + step
                levels.append(expected(parameters))
                value[...] = kept
            assert abs(levels[0] - levels[1]) / 2e-4 < 1e-4, (name, index)


@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_likelihood_never_falls_and_passes_the_truth(missing: float) -> None:
    m = model(6)
    y, _ = m.sample(24, 60, rng=7)
    data = [gaps(row[: 60 - 2 * i], missing, seed=i) for i, row in enumerate(y)]
    task = KalmanEM(LinearDynamics(4, 3), data)
    trainer = Trainer(task, batch_size=24)
    trainer.run(60)
    values = [record["log_likelihood"] for record in trainer.history]
    assert (np.diff(values) > -1e-12).all()
    assert task.model.log_likelihood(data) > m.log_likelihood(data)


def test_a_fall_is_an_error() -> None:
    task = KalmanEM(LinearDynamics(4, 2), model(6).sample(3, 30, rng=7)[0])
    task.step(np.arange(3), 0.0)
    task.model.transition = -task.model.transition
    with pytest.raises(FloatingPointError, match="fell"):
        task.step(np.arange(3), 0.0)


def rotation() -> LinearDynamics:
    made = LinearDynamics(5, 3)
    c, s = 0.97 * np.cos(0.6), 0.97 * np.sin(0.6)
    made.transition = np.array([[c, -s, 0], [s, c, 0], [0, 0, -0.8]])
    made.transition_covariance, made.noise = 0.2 * np.eye(3), np.full(5, 0.3)
    made.emission = np.random.default_rng(8).standard_normal((5, 3))
    return made


def test_eigenvalues_are_recovered() -> None:
    """8000 steps: their standard errors are sqrt((1 - |lambda|^2) / 8000), at most 0.0067; 6 of them are 0.04."""
    truth = rotation()
    y, _ = truth.sample(40, 200, rng=9)
    found = LinearDynamics(5, 3).fit(gaps(y, 0.2), 40)
    np.testing.assert_allclose(found.eigenvalues, truth.eigenvalues, atol=0.04)
    complete = LinearDynamics(5, 3).fit(y, 40)
    np.testing.assert_allclose(complete.eigenvalues, truth.eigenvalues, atol=0.04)


def test_predictions_and_gaps() -> None:
    """Predictions err as much as the truth's do, less than slow features'; what is missing is filled in."""
    truth = rotation()
    y, _ = truth.sample(20, 150, rng=10)
    test, _ = truth.sample(10, 150, rng=11)
    found = LinearDynamics(5, 3).fit(y, 30)

    def error(predicted: np.ndarray) -> float:
        return float(np.square(predicted[:, :-2] - test[:, 2:]).mean())

    best = error(truth.predict(test, 2))
    slow = SlowFeatures(3).fit(list(y))
    assert best <= error(found.predict(test, 2)) < 1.05 * best
    assert error(slow.predict(test, slow.autocorrelation(list(y), 2))) > 1.3 * best
    holes = gaps(test, 0.3)
    filled = found.fill_in(holes)
    missing = np.isnan(holes)
    np.testing.assert_array_equal(filled[~missing], test[~missing])
    assert np.square(filled - test)[missing].mean() < 0.5 * test.var(axis=(0, 1)).mean()
    np.testing.assert_allclose(truth.predict(y, 0), truth.filter(y).mean @ truth.emission.T, atol=1e-12)


def test_many_channels_of_one_sequence() -> None:
    """More channels than three for each state start from principal components; one sequence keeps its first spread."""
    rng = np.random.default_rng(12)
    truth = rotation()
    truth.emission, truth.n_observed = rng.standard_normal((40, 3)), 40
    truth.offset, truth.noise = rng.standard_normal(40), np.full(40, 0.5)
    y, _ = truth.sample(1, 600, rng=13)
    found = LinearDynamics(40, 3).fit(gaps(y[0], 0.2), 15)
    np.testing.assert_allclose(np.abs(found.eigenvalues), np.abs(truth.eigenvalues), atol=0.1)
    np.testing.assert_allclose(found.offset, truth.offset, atol=1.5)


def test_more_states_than_channels() -> None:
    t = np.arange(300)[:, None]
    y = np.sin(0.3 * t) + np.sin(1.1 * t + 1) + 0.02 * np.random.default_rng(0).standard_normal((300, 1))
    found = LinearDynamics(1, 4).fit(y, 30)
    np.testing.assert_allclose(np.sort(np.abs(np.angle(found.eigenvalues))), [0.3, 0.3, 1.1, 1.1], atol=0.01)


def test_slow_features() -> None:
    """The features are white, their slowness is in order, and the slowest is the slow source."""
    t = np.arange(2000)
    sources = np.stack([np.sin(0.01 * t), np.sin(0.2 * t), np.sin(0.7 * t)], axis=1)
    y = sources @ np.random.default_rng(1).standard_normal((3, 6)) + 2.0
    y += 1e-3 * np.random.default_rng(2).standard_normal(y.shape)
    slow = SlowFeatures(3).fit([y[:900], y[900:]])
    features = slow.transform([y])[0]
    np.testing.assert_allclose(features.T @ features / len(y), np.eye(3), atol=1e-6)
    steps = np.concatenate([np.diff(features[:900], axis=0), np.diff(features[900:], axis=0)])
    np.testing.assert_allclose((steps**2).mean(axis=0), slow.slowness, rtol=1e-6)
    assert (np.diff(slow.slowness) > 0).all()
    assert abs(np.corrcoef(features[:, 0], sources[:, 0])[0, 1]) > 0.999
    np.testing.assert_allclose(slow.predict([y], np.ones(3))[0], y, atol=0.02)
    np.testing.assert_allclose(slow.autocorrelation([y], 1), 1 - slow.slowness / 2, atol=2e-3)


class StopAfter(Callback):
    """Ends a run after some updates, as a kill would."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step(self, trainer: Trainer) -> None:
        if trainer.step == self.steps:
            raise KeyboardInterrupt


def test_resumed_runs_are_bit_identical(tmp_path: Path) -> None:
    y = gaps(model(6).sample(5, 30, rng=7)[0], 0.2)
    whole = Trainer(KalmanEM(LinearDynamics(4, 3), y), batch_size=5)
    whole.run(8)
    part = Trainer(KalmanEM(LinearDynamics(4, 3), y), batch_size=5, callbacks=[StopAfter(4)])
    with pytest.raises(KeyboardInterrupt):
        part.run(8)
    part.save_checkpoint(tmp_path / "c")
    found = LinearDynamics(4, 3).fit(y, 8, resume=tmp_path / "c")
    for name, value in whole.task.model.parameters().items():
        np.testing.assert_array_equal(found.parameters()[name], value)
    assert found.epochs_trained == 8
    with pytest.raises(ValueError, match="sha256"):
        LinearDynamics(4, 3).fit(y + 1, 8, resume=tmp_path / "c")


def test_files(tmp_path: Path) -> None:
    m = model(3)
    m.save(tmp_path / "m")
    again = LinearDynamics.load(tmp_path / "m")
    for name, value in m.parameters().items():
        np.testing.assert_array_equal(again.parameters()[name], value)
    again.save(tmp_path / "n")
    assert (tmp_path / "m").read_bytes() == (tmp_path / "n").read_bytes()
    (tmp_path / "broken").write_bytes(b"nothing")
    with pytest.raises(FileFormatError):
        LinearDynamics.load(tmp_path / "broken")
    with pytest.raises(ValueError, match="noise"):
        m.set_parameters({**m.parameters(), "noise": np.zeros(4)})
    with pytest.raises(ValueError, match="transition_covariance"):
        m.set_parameters({**m.parameters(), "transition_covariance": -np.eye(3)})


def test_errors() -> None:
    m = LinearDynamics(4, 2)
    with pytest.raises(ValueError, match="n_latent"):
        LinearDynamics(4, 0)
    with pytest.raises(ValueError, match="X"):
        m.filter(np.zeros((5, 3)))
    with pytest.raises(ValueError, match="X"):
        m.filter([])
    with pytest.raises(ValueError, match="X"):
        m.filter([np.zeros((0, 4))])
    with pytest.raises(ValueError, match="X"):
        m.filter(np.full((5, 4), np.inf))
    with pytest.raises(ValueError, match="horizon"):
        m.predict(np.zeros((5, 4)), -1)
    with pytest.raises(ValueError, match="channel"):
        m.fit(np.where(np.arange(4) == 1, np.nan, np.ones((5, 4))))
    with pytest.raises(ValueError, match="two steps"):
        m.fit(np.ones((1, 4)))
    with pytest.raises(ValueError, match="rows"):
        KalmanEM(m, model().sample(2, 9)[0]).step(np.arange(1), 0.0)
    with pytest.raises(ValueError, match="X"):
        SlowFeatures(2).fit(gaps(np.ones((9, 4)), 0.5))
    with pytest.raises(ValueError, match="n_features"):
        SlowFeatures(5).fit(np.random.default_rng(0).standard_normal((50, 4)))
    assert repr(m) == "LinearDynamics(4, 2, seed=0)"
    assert hc.models.LinearDynamics is LinearDynamics
