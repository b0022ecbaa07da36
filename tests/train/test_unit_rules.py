"""Learning rules of RBMs with units of other types: negative phases against exact enumeration, and resumption."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hintoncore import Generator, samplers, train
from hintoncore.models import RBM
from hintoncore.train.contrastive import CDSettings
from hintoncore.train.unit_divergence import UnitDivergence

V, H = 6, 2
TABLES = {"spin": [[-1.0], [1.0]], "softmax:3": [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]], "bernoulli": [[0.0], [1.0]]}
PAIRS = [("spin", "bernoulli"), ("softmax:3", "spin"), ("spin", "softmax:2")]
CHAINS = 2**13


def all_states(units: str, n: int) -> np.ndarray:
    """Every joint state of a layer of ``n`` columns, float32 [states, n]."""
    table = np.eye(int(units[8:])) if units.startswith("softmax") else np.array(TABLES[units])
    sites = n // table.shape[1]
    return np.array([np.concatenate(rows) for rows in itertools.product(table, repeat=sites)], dtype=np.float32)


def tiny_model(visible: str, hidden: str, std: float = 0.6) -> RBM:
    rng = np.random.default_rng(0)
    model = RBM(V, H, visible=visible, hidden=hidden)
    for parameter in model.parameters().values():
        parameter[...] = rng.normal(0, std, parameter.shape)
    return model


def conditional(units: str, states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """p(state | inputs) for every state [S, n] and row of inputs [R, n]: shape [R, S], rows normalised."""
    log_p = inputs.astype(np.float64) @ states.astype(np.float64).T
    p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def moments(p: np.ndarray, v: np.ndarray, model: RBM) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """<v E[h|v]^T>, <v>, <E[h|v]> under a distribution over all visible states."""
    hidden = all_states(model.hidden_units.name, H)
    means = conditional(model.hidden_units.name, hidden, v @ model.w + model.b_hid) @ hidden
    return v.T @ (p[:, None] * means), p @ v, p @ means


def check(found: Any, data: np.ndarray, negative: tuple[np.ndarray, ...], model: RBM) -> None:
    """Terms in [-1, 1], so a standard error of at most 1 / sqrt(chains), and six of them: 4e-8 for the 20 entries."""
    rows = np.ones(len(data)) / len(data)
    for ours, plus, minus in zip(
        (found.w, found.b_vis, found.b_hid), moments(rows, data, model), negative, strict=True
    ):
        np.testing.assert_allclose(ours, plus - minus, rtol=0, atol=6 / np.sqrt(CHAINS) + 1e-3)


def phase_of(model: RBM, data: np.ndarray, rule: train.LearningRule) -> Any:
    settings = CDSettings.create(
        k=1, persistent=True, batch_size=len(data), n_chains=CHAINS, learning_rate=0.1, momentum=0.0, weight_decay=0.0,
        rule=rule,
    )  # fmt: skip
    return UnitDivergence(model, data, settings)._negative


@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_fast_pcd_in_expectation(visible: str, hidden: str) -> None:
    """Chains move under w + fast, fast = 19/20 fast + rate gradient; the positive phase knows only w."""
    model, states = tiny_model(visible, hidden), all_states(visible, V)
    model.steps_trained = 1  # biases stay those above
    data = states[[1, 3, 4]]
    phase, rng, out = phase_of(model, data, train.FastPCD(learning_rate=0.4)), Generator(1), np.empty_like(model.w)
    p = conditional(visible, states, model.b_vis[None])[0]
    fast = [np.zeros((V, H)), np.zeros(V), np.zeros(H)]
    hidden_states = all_states(hidden, H)
    for update in range(3):
        found = phase.gradient(data, 1, rng, out)
        chain = tiny_model(visible, hidden)
        for parameter, extra in zip((chain.w, chain.b_vis, chain.b_hid), fast, strict=True):
            parameter += extra.astype(np.float32)
        up = conditional(hidden, hidden_states, states @ chain.w + chain.b_hid)
        down = conditional(visible, states, hidden_states @ chain.w.T + chain.b_vis)
        p = p @ up @ down
        rows = np.ones(len(data)) / len(data)
        for ours, plus, minus in zip(
            (found.w, found.b_vis, found.b_hid), moments(rows, data, model), moments(p, states, chain), strict=True
        ):
            np.testing.assert_allclose(ours, plus - minus, rtol=0, atol=6 / np.sqrt(CHAINS) + 1e-3)
        phase.learn(found, float(update))
        for extra, grad in zip(fast, (found.w, found.b_vis, found.b_hid), strict=True):
            extra *= 19 / 20
            extra += 0.4 * grad
    assert np.abs(fast[0]).max() > 0.05, "the fast weights must matter here"


@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_tempered_pcd_is_the_likelihood_gradient(visible: str, hidden: str) -> None:
    """The coldest replicas have the model's distribution."""
    model, states = tiny_model(visible, hidden, std=2.0), all_states(visible, V)
    model.steps_trained = 1
    data = states[[1, 3, 4]]
    phase = phase_of(model, data, train.TemperedPCD(temperatures=(1.0, 1.6, 3.0, 8.0)))
    found = phase.gradient(data, 60, Generator(1), np.empty_like(model.w))
    log_p = -model.free_energy(states).astype(np.float64)
    p = np.exp(log_p - np.logaddexp.reduce(log_p))
    check(found, data, moments(p, states, model), model)
    assert 0.0 < phase.metrics()["swap_acceptance"] < 1.0


@pytest.mark.parametrize(("visible", "hidden"), [*PAIRS, ("gaussian", "bernoulli"), ("spin", "gaussian")])
def test_energy_of_joint_states_sums_to_the_free_energy(visible: str, hidden: str) -> None:
    """exp(-F(v)) is the sum, or integral, over hidden states of exp(-E(v, h))."""
    model = tiny_model(visible, hidden)
    machine = samplers.UnitMachine(model)
    v = machine.split(machine.random_state(5, Generator(3)))[0]
    if hidden == "gaussian":  # a grid fine and wide enough to integrate on
        axis = np.linspace(-12, 12, 241, dtype=np.float32)
        h, volume = np.array(list(itertools.product(axis, repeat=H)), dtype=np.float32), (axis[1] - axis[0]) ** H
    else:
        h, volume = all_states(hidden, H), 1.0
    for row in v:
        energy = machine.energy(np.concatenate([np.tile(row, (len(h), 1)), h], axis=1))
        total = np.logaddexp.reduce(-energy) + np.log(volume)
        assert -total == pytest.approx(float(model.free_energy(row[None])[0]), abs=2e-4)


@pytest.mark.parametrize("rule", ["fpcd", train.TemperedPCD(temperatures=(1.0, 2.0, 4.0))], ids=["fpcd", "pt"])
@pytest.mark.parametrize("visible", ["spin", "gaussian"])
def test_resume_is_exact(visible: str, rule: Any, tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    x = np.sign(draw.normal(size=(90, V))).astype(np.float32)
    x = x if visible == "spin" else x + draw.normal(size=x.shape).astype(np.float32)
    settings: dict[str, Any] = {"rule": rule, "batch_size": 20, "n_chains": 30, "learning_rate": 0.05}
    whole = RBM(V, H, visible=visible).fit(x, 4, **settings)
    RBM(V, H, visible=visible).fit(x, 2, **settings, callbacks=[train.Checkpoint(tmp_path / "c")])
    resumed = RBM(V, H, visible=visible).fit(x, 4, **settings, resume=tmp_path / "c")
    for name, parameter in whole.parameters().items():
        np.testing.assert_array_equal(resumed.parameters()[name], parameter, err_msg=name)
    assert np.abs(whole.w).max() > 0
