"""RBMs with units of every type against enumeration and quadrature of tiny ones.

Statistical tests are deterministic by seed; their thresholds give a false alarm for at most one seed in a million.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hintoncore as hc
from hintoncore.models import RBM
from hintoncore.models.units import GaussianUnits, Units, unit_type
from hintoncore.train import Callback, Checkpoint

VISIBLE = ["bernoulli", "spin", "softmax:3", "gaussian", "gaussian:unit"]
HIDDEN = ["bernoulli", "spin", "softmax:2", "gaussian", "stepped-sigmoid"]
PAIRS = [(v, h) for v, h in itertools.product(VISIBLE, HIDDEN) if not (v.startswith("gaussian") and h == "gaussian")]
MOST = 30  # stepped sigmoid states that tiny models reach
FALSE_ALARM = 1e-6


def tiny(visible: str, hidden: str, n_visible: int = 3, n_hidden: int = 2, scale: float = 0.7) -> RBM:
    """Few units, random parameters; with Gaussian or stepped sigmoid units weights that keep the energy bounded."""
    model = RBM(n_visible, n_hidden, visible=visible, hidden=hidden, seed=3)
    rng = np.random.default_rng(5)
    for parameter in model.parameters().values():
        parameter[:] = rng.normal(0, scale, parameter.shape)
    if hidden in ("stepped-sigmoid", "gaussian"):
        model.w *= np.float32(0.5)
    return model


def support(units: Units, n: int, mean: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """States [S, n] and log weights to integrate smooth functions of a layer with: all states, or Gauss-Hermite nodes.

    For Gaussian units the weights are those of the density ``N(mean, sigma^2)`` itself.
    """
    if isinstance(units, GaussianUnits):
        nodes, weights = np.polynomial.hermite_e.hermegauss(16)
        std = np.sqrt(units.variance)
        grid = np.array(list(itertools.product(nodes, repeat=n))) * std + (0.0 if mean is None else mean)
        log_weights = np.array([sum(t) for t in itertools.product(np.log(weights), repeat=n)])
        return grid, log_weights - n * 0.5 * math.log(2 * math.pi)
    table = np.arange(MOST + 1.0)[:, None] if units.kind in ("stepped-sigmoid", "nrelu") else units.site_table()
    sites = n // units.site_columns
    states = np.array([np.concatenate(rows) for rows in itertools.product(table, repeat=sites)])
    return states, np.zeros(len(states))


def statistic(units: Units, states: np.ndarray) -> np.ndarray:
    return states / units.variance if isinstance(units, GaussianUnits) else states


def layer_log_weights(units: Units, bias: np.ndarray, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """States of a layer and log of ``exp(-energy + t(s) inputs)`` times what integrates over it."""
    if isinstance(units, GaussianUnits):
        mean = bias + inputs
        states, log_weights = support(units, len(bias), mean)
        log_density = -(((states - mean) ** 2) / (2 * units.variance) + 0.5 * np.log(2 * np.pi * units.variance)).sum(1)
        log_weights = log_weights - log_density
    else:
        states, log_weights = support(units, len(bias))
    return states, log_weights - units.energy(states, bias) + statistic(units, states) @ inputs


def log_sum_exp(x: np.ndarray) -> float:
    return float(x.max() + np.log(np.exp(x - x.max()).sum()))


def rows_of(units: Units, n: int, count: int) -> np.ndarray:
    """Typical data."""
    if isinstance(units, GaussianUnits):
        return np.random.default_rng(1).normal(0.3, 0.8, (count, n))
    states, _ = support(units, n)
    return states[np.random.default_rng(1).integers(0, len(states), count)]


@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_free_energy_sums_out_the_hidden_units(visible: str, hidden: str) -> None:
    model = tiny(visible, hidden, 3, 2)
    rows = rows_of(model.visible_units, 3, 20)
    want = []
    for v in rows:
        inputs = statistic(model.visible_units, v) @ model.w
        _, log_weights = layer_log_weights(model.hidden_units, model.b_hid.astype(float), inputs)
        want.append(model.visible_units.energy(v[None], model.b_vis)[0] - log_sum_exp(log_weights))
    np.testing.assert_allclose(model.free_energy(rows), want, rtol=0, atol=3e-5)


@pytest.mark.parametrize("hidden", [*HIDDEN, "nrelu"])
def test_means_are_slopes_of_the_normaliser(hidden: str) -> None:
    """d log Z / dx = E[s]; rectified units by softplus, within 0.011."""
    units = unit_type("gaussian:unit" if hidden == "gaussian" else hidden, "hidden", 4)
    x = np.linspace(-9, 9, 72).reshape(18, 4)
    step = 1e-5
    slopes = np.empty_like(x)
    for column in range(4):
        moved = np.zeros(4)
        moved[column] = step
        both = [units.log_normaliser(x + sign * moved).sum(axis=1) for sign in (1, -1)]
        slopes[:, column] = (both[0] - both[1]) / (2 * step)
    np.testing.assert_allclose(
        units.mean(x.astype(np.float32)), slopes, rtol=0, atol=0.011 if hidden == "nrelu" else 1e-5
    )


def test_stack_of_sigmoids_is_summed_exactly() -> None:
    units = unit_type("stepped-sigmoid", "hidden")
    x = np.linspace(-60, 200, 1301)
    want = sum(np.logaddexp(0.0, x - i + 0.5) for i in range(1, 300))
    np.testing.assert_allclose(units.log_normaliser(x), want, rtol=1e-13, atol=1e-13)
    for at in (-3.0, 0.0, 5.5):
        states = np.arange(80.0)[:, None]
        assert log_sum_exp(at * states[:, 0] - units.energy(states, np.zeros(1))) == pytest.approx(
            units.log_normaliser(np.array([at]))[0], abs=1e-12
        )


def visible_distribution(model: RBM) -> tuple[np.ndarray, np.ndarray]:
    states, _ = support(model.visible_units, model.n_visible)
    p = -model.free_energy(states)
    return states, np.exp(p - log_sum_exp(p))


def chi_square(observed: np.ndarray, p: np.ndarray) -> float:
    """p-value of counts, rare cells pooled."""
    from scipy import stats

    expected = observed.sum() * p
    rare = expected < 5
    pooled = [
        np.append(x[~rare], x[rare].sum()) if expected[rare].sum() >= 1 else x[~rare] for x in (observed, expected)
    ]
    return float(stats.chisquare(pooled[0], pooled[1] * pooled[0].sum() / pooled[1].sum()).pvalue)


@pytest.mark.parametrize(("visible", "hidden"), [pair for pair in PAIRS if not pair[0].startswith("gaussian")])
def test_long_gibbs_runs_reach_the_distribution(visible: str, hidden: str) -> None:
    """20,000 chains of 30 steps: counts of visible states against the exact probabilities."""
    model = tiny(visible, hidden, 3, 2)
    states, p = visible_distribution(model)
    samples = model.sample(20_000, 30, rng=17)
    index = (samples[:, None, :] == states[None]).all(axis=2).argmax(axis=1)
    assert (states[index] == samples).all()
    assert chi_square(np.bincount(index, minlength=len(p)), p) > FALSE_ALARM


@pytest.mark.parametrize("hidden", ["bernoulli", "spin", "softmax:2"])
def test_gaussian_visibles_reach_their_mixture(hidden: str) -> None:
    """The exact marginal is a mixture of a normal for each hidden state: every column's distribution function."""
    from scipy import stats

    model = tiny("gaussian", hidden, 3, 2)
    units = model.visible_units
    assert isinstance(units, GaussianUnits)
    states, _ = support(model.hidden_units, 2)
    means = model.b_vis + states @ model.w.T.astype(float)
    log_p = units.log_normaliser(means).sum(axis=1) - units.bias_energy(model.b_vis) + states @ model.b_hid
    p = np.exp(log_p - log_sum_exp(log_p))
    samples = model.sample(20_000, 30, rng=23)
    std = np.sqrt(units.variance)
    for column in range(3):

        def cdf(x: np.ndarray, column: int = column) -> np.ndarray:
            return np.asarray((p * stats.norm.cdf(x[:, None], means[:, column], std[column])).sum(axis=1))

        assert stats.kstest(samples[:, column], cdf).pvalue > FALSE_ALARM


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize(("visible", "hidden"), [pair for pair in PAIRS if pair != ("bernoulli", "bernoulli")])
def test_gradient_in_expectation(visible: str, hidden: str, persistent: bool) -> None:
    """One update of CD-1 or PCD-1 against the exact expectation over the hidden and the visible draws.

    At most 17 parameters, two-sided, 5.8 standard errors: a false alarm for 1.1 seeds in 1e7.
    """
    model = tiny(visible, hidden, 3, 2, scale=0.5)
    units, repeats, rate = model.visible_units, 4096, 0.05
    data = rows_of(units, 3, 4)

    def moments(v: np.ndarray) -> np.ndarray:
        """Statistics of visible states [S, 3]: w, b_vis, b_hid and, if it is learned, log_variance."""
        t = statistic(units, v)
        mean = np.asarray(model.hidden_units.mean((t @ model.w + model.b_hid).astype(np.float32)), dtype=float)
        parts = [(t[:, :, None] * mean[:, None, :]).reshape(len(v), -1), t, mean]
        if isinstance(units, GaussianUnits) and units.learned:
            parts.append((v - model.b_vis) ** 2 / (2 * units.variance) - t * (mean @ model.w.T))
        return np.hstack(parts)

    def after_a_step(v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Expectation of the moments and of their squares after a Gibbs step from one row."""
        h, log_p = layer_log_weights(model.hidden_units, model.b_hid.astype(float), statistic(units, v) @ model.w)
        total = np.zeros((2, len(moments(v[None])[0])))
        for state, weight in zip(h, np.exp(log_p - log_sum_exp(log_p)), strict=True):
            if weight < 1e-12:
                continue
            new, log_q = layer_log_weights(units, model.b_vis.astype(float), model.w.astype(float) @ state)
            found, q = moments(new), np.exp(log_q - log_sum_exp(log_q))
            total += weight * np.stack([q @ found, q @ found**2])
        return total[0], total[1]

    start = data
    x = np.tile(data, (repeats, 1)).astype(np.float32)
    model.steps_trained = 1  # keeps biases and variances as they are
    settings: dict[str, Any] = {"momentum": 0.0, "weight_decay": 0.0, "learning_rate": rate, "batch_size": len(x)}
    before = {name: array.copy() for name, array in model.parameters().items()}
    if persistent:
        chains = Recorder()
        start = np.repeat(rows_of(units, 3, 3)[1:], 1, axis=0)
        chains.start = np.tile(start, (repeats, 1)).astype(np.float32)
        model.fit(x, 1, persistent=True, n_chains=len(chains.start), callbacks=[chains], **settings)
    else:
        model.fit(x, 1, **settings)
    update = np.concatenate([((model.parameters()[n].astype(float) - before[n]) / rate).ravel() for n in before])
    for name, array in before.items():
        model.parameters()[name][...] = array
    expected = np.array([after_a_step(row) for row in start])
    want = moments(data).mean(axis=0) - expected[:, 0].mean(axis=0)
    variance = (expected[:, 1] - expected[:, 0] ** 2).mean(axis=0) / (len(start) * repeats)
    assert np.abs((update - want) / np.sqrt(variance + 1e-10)).max() < 5.8


class Recorder(Callback):
    """Puts the persistent chains where the test wants them."""

    start: np.ndarray

    def on_start(self, trainer: Any) -> None:
        trainer.task._negative.states[...] = self.start


@pytest.mark.parametrize(("visible", "hidden"), [("gaussian", "nrelu"), ("softmax:3", "bernoulli"), ("spin", "spin")])
@pytest.mark.parametrize("persistent", [False, True])
def test_resumed_training_is_bit_identical(tmp_path: Path, visible: str, hidden: str, persistent: bool) -> None:
    x = np.random.default_rng(0).normal(size=(90, 6))
    units = unit_type(visible, "visible", 6)
    if not isinstance(units, GaussianUnits):
        x = rows_of(units, 6, 90)
    options: dict[str, Any] = {"persistent": persistent, "batch_size": 40, "learning_rate": 0.01}
    if hidden == "bernoulli":
        options["sparsity"] = hc.train.Sparsity(0.1, 0.5)

    def new() -> RBM:
        return RBM(6, 4, visible=visible, hidden=hidden, seed=2)

    whole = new().fit(x, 6, **options)
    path = tmp_path / "checkpoint"
    new().fit(x, 3, callbacks=[Checkpoint(path)], **options)
    resumed = new().fit(x, 6, resume=path, **options)
    for name, array in whole.parameters().items():
        np.testing.assert_array_equal(array, resumed.parameters()[name], err_msg=name)
    whole.save(tmp_path / "a")
    RBM.load(tmp_path / "a").save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_learned_variances_approach_those_of_the_noise() -> None:
    """Data of a known Gaussian-Bernoulli machine: two causes, noise of 0.3 and 1.5."""
    rng = np.random.default_rng(3)
    causes = rng.integers(0, 2, (4000, 2))
    x = causes @ np.array([[2.0, 0.0, 2.0, 0.0], [0.0, 2.0, 0.0, 2.0]]) + rng.normal(size=(4000, 4)) * [
        0.3,
        0.3,
        1.5,
        1.5,
    ]
    model = RBM(4, 2, visible="gaussian", seed=6).fit(x, 150, learning_rate=0.02, weight_decay=0.0)
    units = model.visible_units
    assert isinstance(units, GaussianUnits)
    std = np.sqrt(units.variance)
    assert np.all(np.abs(std[:2] - 0.3) < 0.1), std
    assert np.all(np.abs(std[2:] - 1.5) < 0.3), std


def test_sparsity_target_is_met() -> None:
    x = rows_of(unit_type("softmax:3", "visible", 12), 12, 600)
    model = RBM(12, 20, visible="softmax:3", seed=1)
    model.fit(x, 60, learning_rate=0.05, sparsity=hc.train.Sparsity(0.1, 0.3))
    assert model.transform(x).mean() == pytest.approx(0.1, rel=0.1)


def test_data_as_bits_and_as_arrays_train_alike() -> None:
    x = rows_of(unit_type("softmax:3", "visible", 6), 6, 70)
    models = [RBM(6, 4, visible="softmax:3", seed=2) for _ in range(2)]
    models[0].fit(x, 2)
    models[1].fit(hc.BitMatrix.from_dense(x), 2)
    np.testing.assert_array_equal(models[0].w, models[1].w)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"visible": "nrelu"}, "visible: nrelu units are hidden units"),
        ({"visible": "gaussian", "hidden": "gaussian"}, "hidden: expected units other than Gaussian"),
        ({"visible": "softmax:4"}, "visible: expected groups of 4 columns, given 6"),
        ({"visible": "softmax:1"}, "visible: supported unit types"),
        ({"visible": "softmax"}, "visible: supported unit types"),
        ({"hidden": "softmax:x"}, "hidden: supported unit types"),
    ],
)
def test_refused_layers(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RBM(6, 4, **arguments)


@pytest.mark.parametrize(
    ("visible", "bad", "message"),
    [
        ("spin", np.full((2, 6), 1.5), r"X: expected values in \[-1, 1\]"),
        ("softmax:3", np.zeros((2, 6)), "X: expected groups of 3 columns that sum to 1, given 0"),
        ("gaussian", np.full((2, 6), np.nan), "X: expected finite values"),
        ("gaussian", np.full((2, 6), np.inf), "X: expected finite values"),
    ],
)
def test_refused_data(visible: str, bad: np.ndarray, message: str) -> None:
    model = RBM(6, 4, visible=visible)
    for call in (model.transform, model.free_energy, model.fit):
        with pytest.raises(ValueError, match=message):
            call(bad)


def test_refused_settings() -> None:
    x = rows_of(unit_type("spin", "visible"), 6, 20)
    with pytest.raises(ValueError, match="sparsity: expected logistic hidden units, given 'nrelu'"):
        RBM(6, 4, visible="spin", hidden="nrelu").fit(x, 1, sparsity=hc.train.Sparsity(0.1, 1.0))
    with pytest.raises(ValueError, match=r"model: expected units that can be sampled at any temperature.*nrelu"):
        RBM(6, 4, visible="spin", hidden="nrelu").fit(x, 1, rule="pt")
    with pytest.raises(ValueError, match="temperature: nrelu units are sampled at 1 only"):
        RBM(6, 4, visible="spin", hidden="nrelu").sample(2, temperature=2.0)
    with pytest.raises(ValueError, match=r"initial: expected shape \[3, 6\]"):
        RBM(6, 4, visible="spin").sample(3, initial=x)
