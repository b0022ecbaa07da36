"""Exact log Z and log-likelihood against brute force over all joint states."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest

import hintoncore as hc
from hintoncore import reference as ref
from hintoncore.likelihood import MAX_EXACT_UNITS, exact_log_likelihood, exact_log_z


def random_rbm(n_visible: int, n_hidden: int, *, scale: float = 1.0, seed: int = 0) -> hc.models.RBM:
    rng = np.random.default_rng(seed)
    model = hc.models.RBM(n_visible, n_hidden)
    for parameter in model.parameters().values():
        parameter[...] = rng.normal(scale=scale, size=parameter.shape)
    return model


@pytest.mark.parametrize("sizes", [(1, 1), (1, 5), (5, 1), (4, 3), (3, 4), (12, 8), (8, 12), (10, 10)])
@pytest.mark.parametrize("scale", [0.01, 1.0, 20.0])
def test_log_z_matches_brute_force(sizes: tuple[int, int], scale: float) -> None:
    model = random_rbm(*sizes, scale=scale, seed=sum(sizes))
    estimate = exact_log_z(model)
    assert estimate.log_z == pytest.approx(ref.exact_log_z(model.w, model.b_vis, model.b_hid), rel=1e-12)
    assert estimate.std_error == 0.0
    assert estimate.ess == math.inf


@pytest.mark.parametrize("sizes", [(40, 9), (9, 40)])
@pytest.mark.parametrize("scale", [0.3, 30.0, 1000.0])
def test_log_z_of_a_wider_layer_matches_logaddexp(sizes: tuple[int, int], scale: float) -> None:
    """Large weights: products that would overflow, and sums beyond the reach of exp, where logarithms take
    over."""
    model = random_rbm(*sizes, scale=scale)
    w, summed, enumerated = model.w.astype(float), model.b_vis.astype(float), model.b_hid.astype(float)
    if sizes[0] < sizes[1]:
        w, summed, enumerated = w.T, enumerated, summed
    states = ref.all_states(w.shape[1])
    log_weights = states @ enumerated + np.logaddexp(0.0, summed + states @ w.T).sum(axis=1)
    assert exact_log_z(model).log_z == pytest.approx(float(np.logaddexp.reduce(log_weights)), rel=1e-12)


def test_log_z_adds_up_several_blocks() -> None:
    """18 enumerated units are sixteen tiles; without couplings the sum factorises."""
    model = random_rbm(20, 18, seed=3)
    model.w[2:, :] = 0.0
    states = ref.all_states(2)
    exponents = states @ model.b_vis[:2] + np.logaddexp(0.0, model.b_hid + states @ model.w[:2]).sum(axis=1)
    expected = np.logaddexp.reduce(exponents) + np.logaddexp(0.0, model.b_vis[2:].astype(float)).sum()
    assert exact_log_z(model).log_z == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("n", [6, 7, 8, 11, 12, 13, 19, 20, 21])
def test_tiles_at_every_level_and_number_of_threads(
    n: int,
    levels: list[str],
    at_level: Callable[[str], AbstractContextManager[None]],
    set_threads: Callable[[int], None],
) -> None:
    """Both sides of the edges between the parts that a state's bits fall into, on a model that is solved by hand."""
    model = random_rbm(n, n, seed=n)
    model.w[:, 1:] = 0.0
    w, b_vis, b_hid = (p.astype(float) for p in (model.w, model.b_vis, model.b_hid))
    off, on = (np.logaddexp(0.0, b_vis + h * w[:, 0]).sum() + h * b_hid[0] for h in (0, 1))
    expected = np.logaddexp(off, on) + np.logaddexp(0.0, b_hid[1:]).sum()
    for level in levels:
        found = set()
        for threads in (1, 2, 3, 8):
            with at_level(level):
                set_threads(threads)
                found.add(exact_log_z(model).log_z)
        assert len(found) == 1, level
        assert found.pop() == pytest.approx(float(expected), rel=1e-14), level


def test_log_likelihood_is_the_log_of_the_probability() -> None:
    model = random_rbm(6, 4, seed=5)
    x = np.random.default_rng(0).integers(0, 2, (50, 6))
    log_p = -ref.free_energy(x, model.w, model.b_vis, model.b_hid) - ref.exact_log_z(model.w, model.b_vis, model.b_hid)
    for rows in (x, hc.BitMatrix.from_dense(x)):
        assert exact_log_likelihood(model, rows) == pytest.approx(log_p.mean(), abs=1e-6)
        assert model.log_likelihood(rows) == pytest.approx(log_p.mean(), abs=1e-6)


def test_probabilities_of_all_states_sum_to_one() -> None:
    model = random_rbm(7, 5, seed=6)
    log_z = exact_log_z(model).log_z
    assert np.exp(-model.free_energy(ref.all_states(7)) - log_z).sum() == pytest.approx(1.0, abs=1e-6)


def test_two_large_layers_are_refused() -> None:
    model = hc.models.RBM(MAX_EXACT_UNITS + 1, MAX_EXACT_UNITS + 1)
    with pytest.raises(ValueError, match=r"at most 30 units.*31 visible and 31 hidden"):
        exact_log_z(model)


@pytest.mark.parametrize("name", ["w", "b_vis", "b_hid"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_parameters_that_are_not_finite_are_refused(name: str, value: float) -> None:
    model = random_rbm(4, 3)
    model.parameters()[name].flat[1] = value
    with pytest.raises(ValueError, match=f"^{name}: expected finite"):
        exact_log_z(model)
