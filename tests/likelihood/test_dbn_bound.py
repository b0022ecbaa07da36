"""Bounds of deep belief nets against exact enumeration.

Statistical tests are deterministic by seed; correct code would fail for at most one seed in a million.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from tiny_belief_net import generation, memory_log_weights, random_net, recognition, visible_distribution

import hintoncore as hc
from hintoncore import reference as ref
from hintoncore.likelihood import dbn_bound, dbn_log_z
from hintoncore.models import DBN, RBM

SIZES = [(4, 3, 2), (3, 4, 2, 3), (5, 4)]


def index_of(states: np.ndarray) -> np.ndarray:
    """Place of each state in the enumeration."""
    return np.asarray((states.astype(int) << np.arange(states.shape[1])).sum(axis=1))


def exact_bound(net: DBN) -> np.ndarray:
    """``E_q[log p(v, h) - log q(h | v)]`` of every visible state, by enumeration."""
    log_p = memory_log_weights(net).reshape(2**net.top.n_features, -1)
    value = np.logaddexp.reduce(log_p, axis=1) - np.logaddexp.reduce(log_p.ravel())
    for number in reversed(range(len(net.layers))):
        q = recognition(net, number)
        log_ratio = np.log(generation(net, number)).T - np.log(q) + value[None]
        value = (q * log_ratio).sum(axis=1)
    return np.asarray(value)


@pytest.mark.parametrize("n_labels", [0, 3])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_log_z_is_exact_and_annealing_finds_it(sizes: tuple[int, ...], n_labels: int) -> None:
    """Annealing forward and backward within five of their standard errors."""
    net = random_net(sizes, n_labels)
    exact = dbn_log_z(net, method="exact")
    assert exact.log_z == pytest.approx(float(np.logaddexp.reduce(memory_log_weights(net))), abs=1e-5)
    assert exact.std_error == 0
    rows = (np.random.default_rng(0).random((100, sizes[0])) < 0.5).astype(np.float32)
    alternatives: list[dict[str, Any]] = [{}, {"base": rows}, {"reverse": True}]
    for options in alternatives:
        found = dbn_log_z(net, chains=500, temperatures=100, rng=3, **options)
        assert 0 < found.std_error < 0.1
        assert abs(found.log_z - exact.log_z) < 5 * found.std_error


@pytest.mark.parametrize("n_labels", [0, 2])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_bound_is_the_expectation_by_enumeration(sizes: tuple[int, ...], n_labels: int) -> None:
    """Each visible state 20 times with 200 samples of q: within 5 standard errors, and below the likelihood."""
    net = random_net(sizes, n_labels, scale=0.6)
    visible = ref.all_states(sizes[0]).astype(np.float32)
    rows = np.tile(visible, (20, 1))
    exact = float(exact_bound(net).mean())
    likelihood = float(np.log(visible_distribution(net)).mean())
    found = dbn_bound(net, rows, samples=200, method="exact", rng=5)
    if len(sizes) == 2:  # nothing is sampled: the bound is the likelihood
        assert found.std_error < 1e-6
        assert found.bound == pytest.approx(likelihood, abs=1e-5)
        assert found.importance_weighted == pytest.approx(likelihood, abs=1e-5)
        return
    assert exact < likelihood - 0.05
    assert 0 < found.std_error < 0.02
    assert abs(found.bound - exact) < 5 * found.std_error
    # With 200 samples the weighted bound is nearly the likelihood, from below in expectation.
    assert found.bound + 0.03 < found.importance_weighted < likelihood + 5 * found.std_error
    assert found.importance_weighted > likelihood - 0.05


def test_equal_to_the_likelihood_where_the_posterior_is_factorial() -> None:
    """Generation from a single hidden unit that q knows exactly: every weight p(v, h) / q(h | v) is p(v)."""
    net = random_net((3, 1, 2))
    layer = net.layers[0]
    weights = np.exp(memory_log_weights(net))
    prior = math.log(weights[1] / weights[0])
    on, off = (ref.sigmoid(h * layer.down_w.astype(float) + layer.down_b)[0] for h in (1, 0))
    layer.up_w[:, 0] = np.log(on / off) - np.log((1 - on) / (1 - off))
    layer.up_b[0] = prior + np.log((1 - on) / (1 - off)).sum()
    visible = ref.all_states(3).astype(np.float32)
    found = dbn_bound(net, visible, samples=2, method="exact")
    likelihood = float(np.log(visible_distribution(net)).mean())
    assert found.bound == pytest.approx(likelihood, abs=1e-5)
    assert found.std_error < 1e-5


def test_a_layer_that_starts_as_its_replacement_leaves_the_bound_and_learning_raises_it() -> None:
    """Hinton, Osindero and Teh 2006, section 4: the transposed RBM on top changes nothing; better ones add to it.

    The RBM's exact posterior is factorial, so before the second layer learns the bound is the likelihood itself.
    """
    digits = hc.datasets.load("digits")
    x = hc.datasets.binarize(digits.train)
    single = DBN((64, 12), seed=2).fit(x, epochs=15, batch_size=20, learning_rate=0.1)
    rbm = RBM(64, 12)
    rbm.set_parameters(single.top.parameters())
    net = single.add_layer(64)
    before = dbn_bound(net, x, method="exact", samples=20)
    assert before.bound == pytest.approx(rbm.log_likelihood(x), abs=1e-3)
    wider = dbn_bound(single.add_layer(80), x, method="exact", samples=20)
    assert wider.bound == pytest.approx(before.bound, abs=0.02)  # 16 units that hardly do anything
    net.fit_layer(1, x, epochs=30, batch_size=20, k=5, learning_rate=0.02)
    after = dbn_bound(net, x, method="exact", samples=20)
    assert after.bound > before.bound + 0.3


@pytest.mark.parametrize("temperatures", [20, 200])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_annealing_back_from_data_keeps_the_bound_below_the_likelihood(
    sizes: tuple[int, ...], temperatures: int
) -> None:
    """Whatever the rows are; in expectation, so five standard errors are allowed. Log Z errs high, but not by much."""
    net = random_net(sizes, scale=1.2)
    rows = (np.random.default_rng(2).random((4000, sizes[0])) < 0.5).astype(np.float32)
    likelihood = np.log(visible_distribution(net))[index_of(rows)].mean()
    found = dbn_log_z(net, reverse=True, data=rows, chains=4000, temperatures=temperatures, rng=3)
    exact = dbn_log_z(net, method="exact")
    bound = dbn_bound(net, rows, log_z=found, rng=4)
    assert 0 < found.std_error < 0.1
    assert bound.bound <= likelihood + 5 * bound.std_error
    assert exact.log_z - 5 * found.std_error <= found.log_z <= exact.log_z + 5 * found.std_error + 2 / temperatures


def test_annealing_back_from_data_shows_a_mode_that_samples_of_ones_own_do_not() -> None:
    """Features all on or all off, and a base-rate model in the smaller mode: without data, forward and back agree.

    Both then make the net likelier than any: the bound of rows of the mode that was missed is above 0.
    """
    net = DBN((12, 12, 12))
    net.layers_trained = 2
    weight = np.float32(0.9)
    net.top.w[...] = weight
    net.top.b_vis[...], net.top.b_hid[...] = -weight * 12 / 2 + 0.1, -weight * 12 / 2 + 0.1
    layer = net.layers[0]  # a copy of the layer above
    for w, b in ((layer.up_w, layer.up_b), (layer.down_w, layer.down_b)):
        w[...], b[...] = 20.0 * np.eye(12), -10.0
    exact = dbn_log_z(net, method="exact").log_z
    off, on = np.zeros((50, 12), np.float32), np.ones((50, 12), np.float32)
    options: dict[str, Any] = {"base": off, "chains": 50, "temperatures": 10, "rng": 1}
    forward, backward = dbn_log_z(net, **options), dbn_log_z(net, reverse=True, **options)
    assert forward.log_z < exact - 1
    assert backward.log_z < exact - 1
    assert dbn_bound(net, on, log_z=backward).bound > 0
    from_data = dbn_log_z(net, reverse=True, data=on, **options)
    assert from_data.log_z > exact
    assert dbn_bound(net, on, log_z=from_data).bound < dbn_bound(net, on, method="exact").bound < 0


def test_labels_are_summed_out() -> None:
    net = random_net((4, 3, 2), n_labels=3)
    same_z = dbn_log_z(net, method="exact")
    visible = ref.all_states(4).astype(np.float32)
    found = dbn_bound(net, visible, samples=50, log_z=same_z, rng=1)
    assert abs(found.bound - float(exact_bound(net).mean())) < 5 * found.std_error
    assert net.log_likelihood_bound(visible, samples=50, log_z=same_z, rng=1) == found


def test_bad_arguments_are_refused_by_name() -> None:
    net = random_net((4, 3, 2))
    visible = ref.all_states(4)
    cases: list[tuple[str, Any]] = [
        ("X", lambda: dbn_bound(net, visible * 0.5, method="exact")),
        ("X", lambda: dbn_bound(net, visible[:, :3], method="exact")),
        ("samples", lambda: dbn_bound(net, visible, samples=1)),
        ("method", lambda: dbn_bound(net, visible, method="guess")),
        ("chains", lambda: dbn_bound(net, visible, log_z=dbn_log_z(net, method="exact"), chains=5)),
        ("base", lambda: dbn_log_z(net, base=visible[:, :3])),
        ("data", lambda: dbn_log_z(net, data=visible)),
        ("data", lambda: dbn_log_z(net, method="exact", reverse=True, data=visible)),
        ("data", lambda: dbn_log_z(net, reverse=True, data=visible[:, :3])),
        ("data", lambda: dbn_log_z(net, reverse=True, data=0.5 * visible)),
        ("data", lambda: dbn_log_z(random_net((4, 3), n_labels=2), reverse=True, data=visible)),
        ("units", lambda: dbn_log_z(random_net((3, 40, 40)), method="exact")),
    ]
    for word, call in cases:
        with pytest.raises(ValueError, match=word):
            call()
