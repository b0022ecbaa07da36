"""The kernels against exact enumeration of a tiny RBM: stationary distribution and gradients in expectation.

All tests are deterministic by seed. Their thresholds are set so that a correct kernel would fail for at most
one seed in a million.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import hintoncore as hc
from hintoncore import reference as ref

N_VISIBLE, N_HIDDEN = 4, 3
VISIBLE_STATES, HIDDEN_STATES = ref.all_states(N_VISIBLE), ref.all_states(N_HIDDEN)


def tiny_rbm() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    return (
        rng.normal(size=(N_VISIBLE, N_HIDDEN)).astype(np.float32),
        rng.normal(scale=0.5, size=N_VISIBLE).astype(np.float32),
        rng.normal(scale=0.5, size=N_HIDDEN).astype(np.float32),
    )


def conditional(means: np.ndarray, states: np.ndarray) -> np.ndarray:
    """p(state | means) of independent units, shape [len(means), len(states)]."""
    return np.asarray(np.prod(np.where(states[None] == 1, means[:, None], 1 - means[:, None]), axis=2))


def transition_matrix(w: np.ndarray, b_vis: np.ndarray, b_hid: np.ndarray) -> np.ndarray:
    """p(v' | v) of one full Gibbs step, shape [2^V, 2^V]."""
    to_hidden = conditional(ref.sigmoid(VISIBLE_STATES @ w + b_hid), HIDDEN_STATES)
    to_visible = conditional(ref.sigmoid(HIDDEN_STATES @ w.T + b_vis), VISIBLE_STATES)
    return np.asarray(to_hidden @ to_visible)


def state_index(states: np.ndarray) -> np.ndarray:
    return np.asarray((states.astype(int) << np.arange(states.shape[1])).sum(axis=1))


def chi_square_limit(degrees: int) -> float:
    """Quantile exceeded once in 3.5e6, by Wilson and Hilferty's cube approximation with z = 5."""
    return degrees * (1 - 2 / (9 * degrees) + 5 * math.sqrt(2 / (9 * degrees))) ** 3


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("packed", [True, False])
def test_long_gibbs_runs_reach_the_boltzmann_distribution(temperature: float, packed: bool) -> None:
    """20,000 independent chains of 40 steps each: joint (v, h) counts against the exact 2^7 probabilities."""
    w, b_vis, b_hid = tiny_rbm()
    weights = np.exp(
        ((VISIBLE_STATES @ b_vis)[:, None] + HIDDEN_STATES @ b_hid + VISIBLE_STATES @ w @ HIDDEN_STATES.T) / temperature
    )
    probabilities = weights / weights.sum()
    # After 40 steps nothing is left of the start.
    mixed = np.linalg.matrix_power(transition_matrix(w / temperature, b_vis / temperature, b_hid / temperature), 40)
    assert np.abs(mixed - probabilities.sum(axis=1)).max() < 1e-9

    chains = 20_000
    rng = hc.Generator(2024)
    v: hc.BitMatrix | np.ndarray = np.zeros((chains, N_VISIBLE), dtype=np.float32)
    if packed:
        v = hc.BitMatrix.from_dense(v)
    for _ in range(40):
        h = hc.ops.gibbs_step(v, w, b_hid, rng=rng, temperature=temperature)
        v = hc.ops.gibbs_step(h, w, b_vis, rng=rng, transpose=True, temperature=temperature)
    h = hc.ops.gibbs_step(v, w, b_hid, rng=rng, temperature=temperature)
    if isinstance(v, hc.BitMatrix):
        v, h = v.to_dense(), h.to_dense()
    joint = state_index(v) * len(HIDDEN_STATES) + state_index(h)
    observed = np.bincount(joint, minlength=probabilities.size)
    expected = chains * probabilities.ravel()
    rare = expected < 5  # pooled into one cell, as the chi-square approximation needs
    cells = [(observed[~rare], expected[~rare]), ([observed[rare].sum()], [expected[rare].sum()])]
    observed, expected = (np.concatenate(column) for column in zip(*cells, strict=True))
    statistic = float(((observed - expected) ** 2 / np.maximum(expected, 1e-12)).sum())
    assert statistic < chi_square_limit(len(expected) - 1)


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_cd_gradient_in_expectation(k: int, persistent: bool) -> None:
    """The update with learning rate 1 against the expectation by powers of the transition matrix, in standard
    errors.

    19 parameters, two-sided, 5.8 standard errors: a false alarm for 1.3 seeds in 1e7.
    """
    w, b_vis, b_hid = tiny_rbm()
    repeats = 8192
    data = VISIBLE_STATES[[1, 6, 7, 12, 15]]
    v0 = np.tile(data, (repeats, 1)).astype(np.float32)
    start = VISIBLE_STATES[[0, 3]] if persistent else data
    chains = hc.BitMatrix.from_dense(np.tile(start, (repeats, 1))) if persistent else None

    hidden_means = ref.sigmoid(VISIBLE_STATES @ w + b_hid)
    statistics = np.hstack(
        [
            (VISIBLE_STATES[:, :, None] * hidden_means[:, None, :]).reshape(len(VISIBLE_STATES), -1),
            VISIBLE_STATES,
            hidden_means,
        ]
    )
    after = np.linalg.matrix_power(transition_matrix(w, b_vis, b_hid), k)[state_index(start)]
    negative = after @ statistics
    variance = (after @ statistics**2 - negative**2).mean(axis=0) / (len(start) * repeats)
    expected = statistics[state_index(data)].mean(axis=0) - negative.mean(axis=0)

    new = [w.copy(), b_vis.copy(), b_hid.copy()]
    hc.ops.cd_update(v0, *new, k=k, lr=1.0, rng=hc.Generator(11), chains=chains)
    update = np.concatenate([(a.astype(float) - b).ravel() for a, b in zip(new, (w, b_vis, b_hid), strict=True)])
    assert np.abs((update - expected) / np.sqrt(variance)).max() < 5.8


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("persistent", [False, True])
def test_cd_update_agrees_with_the_reference(packed: bool, persistent: bool) -> None:
    """Same draws, so the same states and, up to float32, the same parameters; 37 rows are no whole word."""
    rng = np.random.default_rng(3)
    w = rng.normal(scale=0.3, size=(50, 21)).astype(np.float32)
    b_vis, b_hid = rng.normal(size=50).astype(np.float32), rng.normal(size=21).astype(np.float32)
    x = rng.integers(0, 2, (37, 50)).astype(np.float32) if packed else rng.random((37, 50), dtype=np.float32)
    start = rng.integers(0, 2, (23, 50)).astype(np.float32)
    v_w, v_vis, v_hid = (rng.normal(scale=0.01, size=p.shape).astype(np.float32) for p in (w, b_vis, b_hid))
    velocity = (v_w, v_vis, v_hid)
    expected = ref.cd_update(
        x,
        w,
        b_vis,
        b_hid,
        k=3,
        lr=0.1,
        seed=5,
        offset=8,
        momentum=0.5,
        weight_decay=0.01,
        velocity=velocity,
        chains=start if persistent else None,
    )
    chains = hc.BitMatrix.from_dense(start) if persistent else None
    stats = hc.ops.cd_update(
        hc.BitMatrix.from_dense(x) if packed else x,
        w,
        b_vis,
        b_hid,
        k=3,
        lr=0.1,
        rng=hc.Generator(5, 8),
        momentum=0.5,
        weight_decay=0.01,
        velocity=velocity,
        chains=chains,
    )
    for ours, theirs in zip(
        (w, b_vis, b_hid, *velocity),
        (expected.w, expected.b_vis, expected.b_hid, *expected.velocity),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=2e-6)
    assert stats["hidden_mean"] == pytest.approx(expected.hidden_mean, abs=1e-6)
    if chains is not None:
        assert stats["reconstruction_error"] is None
        np.testing.assert_array_equal(chains.to_dense(), expected.chains)
    else:
        assert stats["reconstruction_error"] == pytest.approx(expected.reconstruction_error, abs=1e-6)
