"""Exact log Z, annealing from both sides and brackets for every type of unit.

Comparisons with exact values allow five standard errors, a false alarm in fewer than 1e-6 of seeds; seeds are fixed.
"""

from __future__ import annotations

import functools
import itertools
import math
import warnings

import numpy as np
import pytest

from hintoncore import reference as ref
from hintoncore.likelihood import (
    MAX_EXACT_STATES,
    LikelihoodWarning,
    ais,
    bracket,
    exact_log_likelihood,
    exact_log_z,
    pseudo_log_likelihood,
    reverse_ais,
)
from hintoncore.models import RBM
from hintoncore.models.units import GaussianUnits

FIVE_SIGMA = 5.0
# Types, visible columns, hidden columns, scale of the weights: some 20 units, multimodal where the energy allows it.
CASES = [
    ("spin", "spin", 12, 8, 0.5),
    ("spin", "bernoulli", 12, 8, 1.0),
    ("bernoulli", "spin", 10, 10, 0.8),
    ("softmax:4", "bernoulli", 24, 12, 1.5),
    ("softmax:3", "softmax:3", 15, 15, 1.5),
    ("gaussian", "bernoulli", 12, 8, 0.7),
    ("gaussian", "spin", 12, 8, 0.4),
    ("gaussian", "softmax:3", 12, 12, 0.7),
    ("gaussian:unit", "bernoulli", 12, 8, 0.7),
    ("bernoulli", "gaussian", 14, 6, 0.4),
    ("spin", "gaussian", 12, 8, 0.2),
    ("softmax:3", "gaussian", 18, 6, 0.4),
    ("bernoulli", "stepped-sigmoid", 12, 8, 0.4),
    ("spin", "nrelu", 12, 8, 0.2),
    ("softmax:3", "nrelu", 18, 6, 0.4),
]
IDS = [f"{case[0]}-{case[1]}" for case in CASES]


@functools.cache
def machine(visible: str, hidden: str, n_visible: int, n_hidden: int, scale: float) -> RBM:
    model = RBM(n_visible, n_hidden, visible=visible, hidden=hidden)
    rng = np.random.default_rng([n_visible, n_hidden])
    model.w[...] = rng.normal(0, scale, model.w.shape)
    model.b_vis[...] = rng.normal(-0.2, 0.5, n_visible)
    model.b_hid[...] = rng.normal(-0.5, 0.5, n_hidden)
    if visible == "gaussian":
        model.parameters()["log_variance"][...] = rng.normal(0, 0.3, n_visible)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_ais_and_reverse_ais_meet_exact_log_z(case: tuple[str, str, int, int, float]) -> None:
    model = machine(*case)
    exact = exact_log_z(model)
    assert exact.std_error == 0
    rows = model.sample(300, 50, rng=5)
    for base in (None, rows):
        forward = ais(model, 400, 600, 7, base=base)
        assert forward.ess > 80
        assert forward.std_error < 0.2
        assert abs(forward.log_z - exact.log_z) < FIVE_SIGMA * forward.std_error
    back = reverse_ais(model, 400, 600, 11, base=rows)
    assert back.std_error < 0.2
    assert abs(back.log_z - exact.log_z) < FIVE_SIGMA * back.std_error + 0.05


@pytest.mark.slow
@pytest.mark.parametrize("case", [CASES[i] for i in (0, 4, 5, 9, 13)], ids=[IDS[i] for i in (0, 4, 5, 9, 13)])
def test_bracket_holds_the_exact_likelihood(case: tuple[str, str, int, int, float]) -> None:
    model = machine(*case)
    rows = model.sample(100, 50, rng=6)
    found = bracket(model, rows, 200, 1000, 1)
    exact = exact_log_likelihood(model, rows)
    assert found.lower - FIVE_SIGMA * found.lower_std_error < exact < found.upper + FIVE_SIGMA * found.upper_std_error
    assert not found.open
    assert model.log_likelihood(rows) == exact
    assert model.log_likelihood(rows, "bracket", chains=200, temperatures=1000, rng=1).upper == found.upper
    with pytest.warns(LikelihoodWarning, match="open"):
        bracket(model, rows, 20, 2, 1, max_width=0.01)


@pytest.mark.parametrize("case", [CASES[0], CASES[5], CASES[9]], ids=[IDS[0], IDS[5], IDS[9]])
def test_the_two_sides_err_to_their_own_side(case: tuple[str, str, int, int, float]) -> None:
    model = machine(*case[:4], case[4] * 1.3)
    exact = exact_log_z(model).log_z
    samples = model.sample(300, 200, rng=3)
    low, high = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LikelihoodWarning)
        for seed in range(60):
            low.append(ais(model, 5, 3, seed).log_z)
            high.append(reverse_ais(model, temperatures=3, rng=seed, samples=samples[seed::60]).log_z)
    assert np.mean(low) < exact < np.mean(high)


def test_gaussian_and_stepped_sigmoid_layers() -> None:
    """Exact by summing hidden states up to 25, beyond which nothing is left."""
    for hidden in ("stepped-sigmoid", "nrelu"):
        model = RBM(17, 3, visible="gaussian", hidden=hidden)
        rng = np.random.default_rng(2)
        model.w[...] = rng.normal(0, 0.15, model.w.shape)
        model.b_vis[...] = rng.normal(0, 0.5, 17)
        model.b_hid[...] = 0.5
        units = model.visible_units
        assert isinstance(units, GaussianUnits)
        h = np.array(list(itertools.product(np.arange(26.0), repeat=3)))
        log_p = units.log_normaliser(h @ model.w.T.astype(float) + model.b_vis).sum(axis=1)
        log_p -= model.hidden_units.energy(h, model.b_hid)
        exact = float(np.logaddexp.reduce(log_p)) - units.bias_energy(model.b_vis)
        forward = ais(model, 1000, 500, 3)
        assert forward.std_error < 0.1
        assert abs(forward.log_z - exact) < FIVE_SIGMA * forward.std_error
        with pytest.raises(ValueError, match="model: expected a layer of Bernoulli, spin or softmax"):
            exact_log_z(model)
        model.w *= np.float32(10.0)
        with pytest.raises(ValueError, match=r"expected weights / sigma of spectral norm below 1, given"):
            ais(model, 10, 5)


def test_exact_log_z_by_brute_force() -> None:
    """Both layers state by state, and both orders of summing one out."""
    tables = {"bernoulli": np.array([[0.0], [1.0]]), "spin": np.array([[-1.0], [1.0]]), "softmax:3": np.eye(3)}
    rng = np.random.default_rng(0)
    for visible, hidden in itertools.product(tables, tables):
        for n_visible, n_hidden in ((6, 3), (3, 6)):
            model = machine(visible, hidden, n_visible, n_hidden, float(rng.uniform(0.5, 2.0)))
            layers = []
            for name, n in ((visible, n_visible), (hidden, n_hidden)):
                sites = n // tables[name].shape[1]
                layers.append(np.array([np.concatenate(s) for s in itertools.product(tables[name], repeat=sites)]))
            v, h = layers
            minus_energy = (v @ model.b_vis)[:, None] + h @ model.b_hid + v @ model.w.astype(float) @ h.T
            want = float(np.logaddexp.reduce(minus_energy.ravel()))
            assert exact_log_z(model).log_z == pytest.approx(want, abs=1e-5)  # Bernoulli layers: float32 sums


def test_many_chunks_of_states() -> None:
    model = machine("softmax:3", "gaussian", 27, 4, 0.4)  # 3^9 states
    v = np.array([np.concatenate(s) for s in itertools.product(np.eye(3), repeat=9)])
    want = float(np.logaddexp.reduce(-model.free_energy(v)))
    assert exact_log_z(model).log_z == pytest.approx(want, abs=1e-4)


def test_refusals() -> None:
    assert MAX_EXACT_STATES < 2**24
    with pytest.raises(ValueError, match="model: expected a layer of Bernoulli"):
        exact_log_z(RBM(24, 30, visible="spin"))
    model = RBM(6, 4, visible="spin")
    with pytest.raises(ValueError, match="model: pseudo-likelihood needs visible units with a finite number"):
        pseudo_log_likelihood(RBM(6, 4, visible="gaussian"), np.ones((3, 6)))
    with pytest.raises(ValueError, match="data: expected states of spin units, not means"):
        reverse_ais(model, data=np.zeros((3, 6)))
    with pytest.raises(ValueError, match="base: expected 6 finite biases"):
        ais(model, 10, 5, base=np.zeros(5))
    with pytest.raises(ValueError, match=r"base: expected shape"):
        ais(model, 10, 5, base=np.ones((3, 5)))


def test_zero_weights_have_no_error() -> None:
    for visible, hidden in (("gaussian", "bernoulli"), ("softmax:3", "nrelu"), ("spin", "gaussian")):
        model = RBM(6, 4, visible=visible, hidden=hidden)
        model.w[...] = 0.0
        estimate = ais(model, 10, 5)
        assert estimate.std_error < 1e-7
        want = {"gaussian": 3 * math.log(2 * math.pi), "softmax:3": 2 * math.log(3), "spin": 6 * math.log(2)}[visible]
        stack = sum(float(ref.softplus(0.5 - i)) for i in range(1, 60))
        want += 4 * {"bernoulli": math.log(2), "nrelu": stack, "gaussian": math.log(2 * math.pi) / 2}[hidden]
        assert estimate.log_z == pytest.approx(want, abs=1e-9)
