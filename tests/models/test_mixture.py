"""Mixtures: densities, EM in all its forms against its definition, a free energy that never falls, exact resumption."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from hintoncore import BitMatrix, train
from hintoncore.files import FileFormatError
from hintoncore.models import RBM, Mixture
from hintoncore.train import EMSettings, ExpectationMaximization

FAMILIES = ["bernoulli", "gaussian-diagonal", "gaussian-full"]


def data(family: str, n: int = 300, d: int = 5, seed: int = 0) -> np.ndarray:
    """Three clusters."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    if family == "bernoulli":
        means = rng.random((3, d))
        return np.asarray(rng.random((n, d)) < means[labels], dtype=np.float32)
    centres, mixing = 2 * rng.normal(size=(3, d)), rng.normal(size=(3, d, d))
    noise = np.einsum("nij,nj->ni", mixing[labels], rng.normal(size=(n, d)))
    return np.asarray(centres[labels] + noise, dtype=np.float32)


def log_density(mixture: Mixture, x: np.ndarray, k: int) -> np.ndarray:
    """The definition, with no algebra: a product of Bernoullis, or a Gaussian by its inverse and determinant."""
    c, p = mixture.components, mixture.components.parameters()
    if mixture.family == "bernoulli":
        return np.asarray(np.log(np.where(x == 1, c.mean[k], 1 - c.mean[k])).sum(axis=1))
    covariance = p["covariance"][k] if "covariance" in p else np.diag(p["variance"][k])
    off = x - c.mean[k]
    squares = np.einsum("ni,ij,nj->n", off, np.linalg.inv(covariance), off)
    return np.asarray(-0.5 * (squares + np.linalg.slogdet(2 * np.pi * covariance)[1]))


def log_joint(mixture: Mixture, x: np.ndarray) -> np.ndarray:
    return np.stack([log_density(mixture, x, k) + np.log(mixture.weights[k]) for k in range(len(mixture.weights))], 1)


def penalised_log_likelihood(mixture: Mixture, x: np.ndarray) -> float:
    """What EM maximises: the data's log-likelihood and the expected one of the imaginary observations."""
    table = log_joint(mixture, x)
    likelihood = np.log(np.exp(table - table.max()).sum(axis=1)).sum() + len(x) * table.max()
    a, prior = mixture.pseudo_count, mixture.prior
    assert prior is not None
    total = 0.0
    for k in range(mixture.n_components):
        total += a * np.log(mixture.weights[k])
        mean = mixture.components.mean[k]
        if mixture.family == "bernoulli":
            total += a * (prior * np.log(mean) + (1 - prior) * np.log(1 - mean)).sum()
            continue
        d = mixture.n_features
        if mixture.family == "gaussian-full":
            covariance, second = mixture.components.parameters()["covariance"][k], prior[d:].reshape(d, d)
        else:
            covariance = np.diag(mixture.components.parameters()["variance"][k])
            second = np.outer(prior[:d], prior[:d])
            np.fill_diagonal(second, prior[d:])
        scatter = second - np.outer(mean, prior[:d]) - np.outer(prior[:d], mean) + np.outer(mean, mean)
        trace = np.trace(np.linalg.inv(covariance) @ scatter)
        total -= 0.5 * a * (trace + np.linalg.slogdet(2 * np.pi * covariance)[1])
    return float(likelihood + total)


@pytest.mark.parametrize("family", FAMILIES)
def test_densities_are_the_definition(family: str) -> None:
    x = data(family)
    mixture = Mixture(3, 5, family, seed=1).fit(x, epochs=3)
    expected = log_joint(mixture, x.astype(np.float64))
    np.testing.assert_allclose(mixture.log_joint(x.astype(np.float64)), expected, rtol=1e-9, atol=1e-9)
    one = np.stack([mixture.components.log_density_of(x.astype(np.float64), k) for k in range(3)], axis=1)
    np.testing.assert_allclose(one + np.log(mixture.weights), expected, rtol=1e-9, atol=1e-9)
    total = np.log(np.exp(expected).sum(axis=1))
    np.testing.assert_allclose(mixture.log_probabilities(x), total, rtol=1e-9)
    np.testing.assert_allclose(mixture.responsibilities(x), np.exp(expected - total[:, None]), atol=1e-9)
    assert mixture.log_likelihood(x) == pytest.approx(total.mean())


def test_bernoulli_probabilities_add_up_to_one() -> None:
    mixture = Mixture(3, 5, seed=1).fit(data("bernoulli"), epochs=3)
    states = ((np.arange(32)[:, None] >> np.arange(5)) & 1).astype(np.float32)
    assert np.exp(mixture.log_probabilities(states)).sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_m_step_is_a_stationary_maximum(family: str) -> None:
    """No small move of any parameter raises the expected log joint, and its slope there is 0."""
    x = data(family)
    mixture = Mixture(3, 5, family, seed=1).fit(x, epochs=2)
    q = mixture.responsibilities(x)
    counts, sums = q.sum(axis=0), q.T @ mixture.components.statistics(x.astype(np.float64))
    mixture.maximise(counts, sums)
    best = mixture.expected_log_joint(counts, sums)
    rng = np.random.default_rng(0)
    for name in ("weights", *mixture.components.parameters()):
        for _ in range(5):
            values = []
            direction = rng.normal(size=mixture.parameters()[name].shape)
            if name == "weights":
                direction -= direction.mean()
            if name == "covariance":
                direction = direction + direction.transpose(0, 2, 1)
            for size in (1e-5, -1e-5):
                moved = Mixture(3, 5, family)
                tensors = {key: value.copy() for key, value in mixture.parameters().items()}
                tensors[name] += size * direction
                moved.set_parameters(tensors)
                values.append(moved.expected_log_joint(counts, sums))
            assert max(values) < best
            assert abs(values[0] - values[1]) / 2e-5 < 1e-3 * len(x)


@pytest.mark.parametrize("family", FAMILIES)
def test_after_a_full_e_step_f_is_the_penalised_likelihood(family: str) -> None:
    x = data(family)
    mixture = Mixture(3, 5, family, seed=1)
    task = ExpectationMaximization(mixture, x, EMSettings.create(sparse_threshold=0, full_every=1))
    task.step(np.arange(len(x)), 0.0)
    task._update_rows(np.arange(len(x)), sparse=False)
    expected = penalised_log_likelihood(mixture, x.astype(np.float64))
    assert task._free_energy() * len(x) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("batch_size", "threshold"), [(300, 0.0), (40, 0.0), (1, 0.0), (300, 0.01), (40, 0.1)])
def test_free_energy_never_falls(family: str, batch_size: int, threshold: float) -> None:
    """After every step of every form of EM, and not just by the check inside."""

    class Watch(train.Callback):
        values: list[float]

        def on_start(self, trainer: train.Trainer) -> None:
            self.values = [trainer.task.running_estimate()["free_energy"]]

        def on_step(self, trainer: train.Trainer) -> None:
            self.values.append(trainer.task.running_estimate()["free_energy"])

    watch = Watch()
    mixture = Mixture(4, 5, family, seed=2)
    mixture.fit(data(family), epochs=12, batch_size=batch_size, sparse_threshold=threshold, callbacks=[watch])
    steps = np.diff(watch.values)
    assert len(steps) == 12 * -(-300 // batch_size)
    assert (steps > -1e-11 * np.abs(watch.values[0])).all()
    assert watch.values[-1] > watch.values[0] + 0.01


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("threshold", [0.0, 0.01])
def test_kept_statistics_are_those_of_the_responsibilities(family: str, threshold: float) -> None:
    """After hundreds of partial updates in place: sums, entropy and F recomputed from scratch."""
    x = data(family)
    mixture = Mixture(3, 5, family, seed=1)
    task = ExpectationMaximization(mixture, x, EMSettings.create(sparse_threshold=threshold, full_every=3))
    rng = np.random.default_rng(0)
    for epoch in range(8):
        for rows in np.array_split(rng.permutation(len(x)), 50):
            task.step(rows, epoch)
        task.end_epoch()
    np.testing.assert_allclose(task.q.sum(axis=1), 1.0, atol=1e-12)
    statistics = mixture.components.statistics(x.astype(np.float64))
    np.testing.assert_allclose(task._counts, task.q.sum(axis=0), rtol=1e-10)
    np.testing.assert_allclose(task._sums, task.q.T @ statistics, rtol=1e-9, atol=1e-9)
    entropy = -(task.q * np.log(np.maximum(task.q, 1e-300))).sum()
    assert task._entropy == pytest.approx(entropy, abs=1e-8)


@pytest.mark.parametrize("family", FAMILIES)
def test_all_forms_converge_to_a_fixed_point_of_em(family: str) -> None:
    """At the end another standard EM step changes nothing: the sparse form does not stop short of it."""
    x = data(family)
    for options in ({}, {"batch_size": 30}, {"sparse_threshold": 0.01, "batch_size": 30}):
        mixture = Mixture(3, 5, family, seed=1).fit(x, epochs=400, **options)
        before = {name: array.copy() for name, array in mixture.parameters().items()}
        q = mixture.responsibilities(x)
        mixture.maximise(q.sum(axis=0), q.T @ mixture.components.statistics(x.astype(np.float64)))
        for name, array in mixture.parameters().items():
            np.testing.assert_allclose(array, before[name], atol=2e-3, err_msg=f"{options} {name}")


def test_one_standard_step_is_textbook_em() -> None:
    """Against responsibilities, means and weights written out for a Bernoulli mixture."""
    x = data("bernoulli")
    mixture = Mixture(3, 5, seed=4)
    task = ExpectationMaximization(mixture, x, EMSettings.create(sparse_threshold=0, full_every=1))
    table = log_joint(mixture, x.astype(np.float64))
    q = np.exp(table) / np.exp(table).sum(axis=1, keepdims=True)
    task.step(np.arange(len(x)), 0.0)
    x = x.astype(np.float64)
    prior = (x.sum(axis=0) + 0.5) / (len(x) + 1)
    np.testing.assert_allclose(mixture.weights, (q.sum(axis=0) + 1) / (len(x) + 3), rtol=1e-12)
    np.testing.assert_allclose(mixture.components.mean, (q.T @ x + prior) / (q.sum(axis=0) + 1)[:, None], rtol=1e-12)


def test_sparse_em_leaves_small_responsibilities_alone() -> None:
    x = data("bernoulli")
    mixture = Mixture(4, 5, seed=4)
    task = ExpectationMaximization(mixture, x, EMSettings.create(sparse_threshold=0.2, full_every=3))
    task.step(np.arange(len(x)), 0.0)
    before, passes = task.q.copy(), task.passes
    task.step(np.arange(len(x)), 0.0)
    active = before > 0.2
    active &= active.sum(axis=1, keepdims=True) > 1
    assert np.array_equal(task.q[~active], before[~active])
    assert (task.q[active] != before[active]).any()
    assert task.passes - passes == pytest.approx(active.mean())
    assert 0 < active.mean() < 0.6


def test_incremental_em_needs_fewer_passes() -> None:
    """The point of it: after as many passes it is where standard EM has not come yet, all clusters apart."""
    x = data("bernoulli", n=3000, d=40)
    reached = {}
    for size in (3000, 100):
        mixture = Mixture(8, 40, seed=0)
        task = ExpectationMaximization(mixture, x, EMSettings.create(sparse_threshold=0, full_every=1))
        trainer = train.Trainer(task, batch_size=size)
        trainer.run(2)
        reached[size] = task.free_energy
        assert task.passes == pytest.approx(3.0)
    assert reached[100] > reached[3000] + 0.005


def test_samples_have_the_moments_of_the_mixture() -> None:
    """Means and covariances of 40,000 samples within 5.5 standard errors of each number."""
    for family in FAMILIES:
        mixture = Mixture(2, 5, family, seed=1).fit(data(family), epochs=5)
        rows = mixture.sample(40_000, rng=3).astype(np.float64)
        mean = mixture.weights @ mixture.components.mean
        covariance = -np.outer(mean, mean)
        for k in range(2):
            m = mixture.components.mean[k]
            parameters = mixture.components.parameters()
            if family == "gaussian-full":
                within = parameters["covariance"][k]
            else:
                within = np.diag(m * (1 - m) if family == "bernoulli" else parameters["variance"][k])
            covariance += mixture.weights[k] * (within + np.outer(m, m))
        off = rows - mean
        products = off[:, :, None] * off[:, None, :]
        root = math.sqrt(len(rows))
        assert (np.abs(off.mean(axis=0)) < 5.5 * off.std(axis=0) / root).all(), family
        assert (np.abs(products.mean(axis=0) - covariance) < 5.5 * products.std(axis=0) / root + 1e-12).all(), family


def test_packed_and_dense_rows_give_the_same_model() -> None:
    x = data("bernoulli")
    dense = Mixture(3, 5, seed=1).fit(x, epochs=3, batch_size=50)
    packed = Mixture(3, 5, seed=1).fit(BitMatrix.from_dense(x), epochs=3, batch_size=50)
    for name, array in dense.parameters().items():
        np.testing.assert_array_equal(packed.parameters()[name], array)
    np.testing.assert_array_equal(packed.responsibilities(BitMatrix.from_dense(x)), dense.responsibilities(x))


class StopError(Exception):
    """Ends a run as a crash would."""


class StopAt(train.Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, trainer: train.Trainer) -> None:
        if trainer.step == self.step:
            raise StopError


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("threshold", [0.0, 0.01])
def test_a_run_that_broke_off_resumes_to_the_same_bytes(tmp_path: Path, family: str, threshold: float) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"

    def run(name: str, callbacks: list[train.Callback], resume: Path | None) -> bytes:
        mixture = Mixture(3, 5, family, seed=6)
        mixture.fit(
            data(family),
            epochs=6,
            batch_size=70,
            sparse_threshold=threshold,
            full_every=2,
            callbacks=callbacks,
            resume=resume,
        )
        mixture.save(tmp_path / name)
        return (tmp_path / name).read_bytes()

    whole = run("whole", [], None)
    with pytest.raises(StopError):
        run("broken", [train.Checkpoint(checkpoint, every_steps=3), StopAt(17)], None)
    assert run("resumed", [], checkpoint) == whole


@pytest.mark.parametrize("family", FAMILIES)
def test_save_and_load(tmp_path: Path, family: str) -> None:
    x = data(family)
    mixture = Mixture(3, 5, family, pseudo_count=0.5, seed=6).fit(x, epochs=3)
    mixture.save(tmp_path / "a")
    loaded = Mixture.load(tmp_path / "a")
    loaded.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert repr(loaded) == repr(mixture)
    np.testing.assert_array_equal(loaded.responsibilities(x), mixture.responsibilities(x))
    loaded.fit(x, epochs=1)
    assert loaded.epochs_trained == 4
    assert loaded.log_likelihood(x) > mixture.log_likelihood(x) - 0.05, "a second fit goes on from the first"
    RBM(5, 3).save(tmp_path / "rbm")
    with pytest.raises(FileFormatError, match="kind"):
        Mixture.load(tmp_path / "rbm")


def test_more_components_than_rows() -> None:
    mixture = Mixture(6, 5, seed=1).fit(data("bernoulli", n=4), epochs=3)
    assert mixture.weights.sum() == pytest.approx(1.0)


def test_features_that_never_vary() -> None:
    for family in FAMILIES:
        x = data(family)
        x[:, 2] = 1.0
        assert np.isfinite(Mixture(3, 5, family, seed=1).fit(x, epochs=5).log_likelihood(x))


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="family"):
        Mixture(3, 5, "poisson")
    with pytest.raises(ValueError, match="pseudo_count"):
        Mixture(3, 5, pseudo_count=0.0)
    with pytest.raises(ValueError, match="n_components"):
        Mixture(0, 5)
    x = data("bernoulli")
    cases: list[tuple[str, object]] = [
        ("sparse_threshold", 1.0),
        ("sparse_threshold", -0.1),
        ("full_every", 0),
        ("batch_size", 0),
        ("epochs", -1),
    ]
    for name, value in cases:
        with pytest.raises(ValueError, match=name):
            Mixture(3, 5).fit(x, **{name: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"X: expected values in \[0, 1\]"):
        Mixture(3, 5).fit(2 * x)
    with pytest.raises(ValueError, match="X: expected finite values"):
        Mixture(3, 5, "gaussian-diagonal").fit(np.full((4, 5), np.nan))
    with pytest.raises(ValueError, match="X: expected shape"):
        Mixture(3, 5).fit(x[:, :4])
    with pytest.raises(ValueError, match="prior: not set"):
        Mixture(3, 5).maximise(np.ones(3), np.ones((3, 5)))
    mixture = Mixture(3, 5).fit(x, epochs=1)
    tensors = {name: array.copy() for name, array in mixture.parameters().items()}
    tensors["mean"] = tensors["mean"].astype(np.float32)
    with pytest.raises(ValueError, match="mean: expected float64"):
        mixture.set_parameters(tensors)
