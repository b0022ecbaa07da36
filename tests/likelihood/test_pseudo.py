"""Pseudo-likelihood against conditionals computed by flipping bits."""

from __future__ import annotations

import numpy as np
import pytest

import hintoncore as hc
from hintoncore import reference as ref
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
