"""Pseudo-likelihood against conditionals computed by flipping bits."""

from __future__ import annotations

import numpy as np
import pytest

import hintoncore as hc
from hintoncore import reference as ref
from hintoncore import train
from hintoncore.likelihood import pseudo_log_likelihood


@pytest.fixture
def model() -> hc.models.RBM:
    rng = np.random.default_rng(1)
    rbm = hc.models.RBM(6, 4)
    for parameter in rbm.parameters().values():
        parameter[...] = rng.normal(size=parameter.shape)
    return rbm


def conditionals(model: hc.models.RBM, x: np.ndarray) -> np.ndarray:
    """log p(v_i | v_-i) from the joint probabilities of both values of each bit, shape [N, V]."""
    out = np.empty(x.shape)
    here = -ref.free_energy(x, model.w, model.b_vis, model.b_hid)
    for i in range(x.shape[1]):
        flipped = x.copy()
        flipped[:, i] = 1 - flipped[:, i]
        there = -ref.free_energy(flipped, model.w, model.b_vis, model.b_hid)
        out[:, i] = here - np.logaddexp(here, there)
    return out


def test_full_version_sums_all_conditionals(model: hc.models.RBM) -> None:
    x = np.random.default_rng(2).integers(0, 2, (300, 6))  # more than one block
    expected = conditionals(model, x).sum(axis=1).mean()
    assert pseudo_log_likelihood(model, x) == pytest.approx(expected, abs=1e-5)
    assert model.pseudo_log_likelihood(hc.BitMatrix.from_dense(x)) == pytest.approx(expected, abs=1e-5)


def test_stochastic_version_draws_one_unit_for_each_row(model: hc.models.RBM) -> None:
    x = np.random.default_rng(3).integers(0, 2, (300, 6))
    units = (hc.Generator(17, 5).random((300,)) * 6).astype(int)
    expected = 6 * conditionals(model, x)[np.arange(300), units].mean()
    rng = hc.Generator(17, 5)
    assert pseudo_log_likelihood(model, x, rng=rng) == pytest.approx(expected, abs=1e-5)
    assert rng.offset == 6


def test_stochastic_version_is_unbiased(model: hc.models.RBM) -> None:
    x = np.tile(np.random.default_rng(4).integers(0, 2, (10, 6)), (2000, 1))
    terms = conditionals(model, x[:10])
    # Each estimate has the variance of V times a uniformly drawn term, averaged over rows; five and a half
    # standard errors are a false alarm for 4 seeds in 1e8.
    std_error = 6 * np.sqrt(terms.var(axis=1).mean() / len(x))
    assert abs(pseudo_log_likelihood(model, x, rng=8) - terms.sum(axis=1).mean()) < 5.5 * std_error


SITES = {
    "bernoulli": [[0.0], [1.0]],
    "spin": [[-1.0], [1.0]],
    "softmax:3": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
}


def random_machine(visible: str, hidden: str) -> tuple[hc.models.RBM, np.ndarray]:
    """A machine of 6 columns with random parameters, and 300 random states of its visible units."""
    rng = np.random.default_rng(6)
    rbm = hc.models.RBM(6, 4, visible=visible, hidden=hidden)
    for parameter in rbm.parameters().values():
        parameter[...] = 0.7 * rng.normal(size=parameter.shape)
    table = np.array(SITES[visible])
    return rbm, table[rng.integers(0, len(table), (300, 6 // table.shape[1]))].reshape(300, 6)


def site_conditionals(model: hc.models.RBM, x: np.ndarray, visible: str) -> np.ndarray:
    """log p(site | the others) by the free energy of every state of every site, shape [N, sites]."""
    table = np.array(SITES[visible])
    columns = table.shape[1]
    out = np.empty((len(x), 6 // columns))
    for site in range(out.shape[1]):
        at = slice(site * columns, (site + 1) * columns)
        every = np.repeat(x[None], len(table), axis=0)
        every[:, :, at] = table[:, None, :]
        terms = np.stack([-model.free_energy(rows) for rows in every]).astype(np.float64)
        out[:, site] = -model.free_energy(x) - np.logaddexp.reduce(terms, axis=0)
    return out


@pytest.mark.parametrize("hidden", ["bernoulli", "spin", "softmax:2", "gaussian", "stepped-sigmoid", "nrelu"])
@pytest.mark.parametrize("visible", list(SITES))
def test_units_of_every_finite_type(visible: str, hidden: str) -> None:
    model, x = random_machine(visible, hidden)
    conditionals = site_conditionals(model, x, visible)
    assert pseudo_log_likelihood(model, x) == pytest.approx(conditionals.sum(axis=1).mean(), abs=1e-4)
    n_sites = conditionals.shape[1]
    sites = (hc.Generator(17, 5).random((300,)) * n_sites).astype(int)
    expected = n_sites * conditionals[np.arange(300), sites].mean()
    assert pseudo_log_likelihood(model, x, rng=hc.Generator(17, 5)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("visible", "x"), [("spin", np.zeros((2, 6))), ("softmax:3", np.full((2, 6), 1 / 3))], ids=["spin", "softmax:3"]
)
def test_means_are_refused(visible: str, x: np.ndarray) -> None:
    with pytest.raises(ValueError, match=f"x: .*states of {visible} units"):
        pseudo_log_likelihood(hc.models.RBM(6, 4, visible=visible), x)


def test_units_without_an_end_of_states_are_refused() -> None:
    with pytest.raises(ValueError, match="finite number of states"):
        pseudo_log_likelihood(hc.models.RBM(6, 4, visible="gaussian"), np.zeros((2, 6)))


@pytest.mark.parametrize("visible", ["spin", "softmax:3"])
def test_training_reports_it_for_units_of_these_types(visible: str) -> None:
    model, x = random_machine(visible, "bernoulli")
    epochs: list[dict[str, float]] = []

    class Keep(train.Callback):
        def on_epoch(self, trainer: train.Trainer) -> None:
            epochs.append(trainer.history[-1])

    model.fit(x, epochs=2, learning_rate=0.1, validation=x[:50], callbacks=[Keep()])
    before, after = (epoch["pseudo_log_likelihood"] for epoch in epochs)
    assert after > before
    assert epochs[-1]["validation_pseudo_log_likelihood"] < 0


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.full((2, 6), 0.5), "0 or 1"),
        (np.zeros((0, 6)), "at least one row"),
        (np.zeros((2, 5)), r"\[N, 6\].*\[2, 5\]"),
        (np.full((2, 6), np.nan), r"\[0, 1\]"),
    ],
)
def test_bad_rows_are_refused(model: hc.models.RBM, x: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=f"x: .*{message}"):
        pseudo_log_likelihood(model, x)
