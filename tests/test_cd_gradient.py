"""The gradient of contrastive divergence: against the reference, the update, and exact enumeration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import hintoncore as hc
from hintoncore import reference as ref


class Problem:
    """Data, chains, and two sets of parameters."""

    def __init__(self, batch: int, n_visible: int, n_hidden: int, n_chains: int = 0, real: bool = False) -> None:
        rng = np.random.default_rng([batch, n_visible, n_hidden, n_chains, real])
        self.v0 = rng.random((batch, n_visible), np.float32)
        if not real:
            self.v0 = (self.v0 < 0.4).astype(np.float32)
        self.parameters = self.draw(rng, n_visible, n_hidden)
        self.other = self.draw(rng, n_visible, n_hidden)
        self.chains: Any = None
        if n_chains:
            self.chains = hc.BitMatrix.from_dense((rng.random((n_chains, n_visible)) < 0.5).astype(np.float32))

    @staticmethod
    def draw(rng: np.random.Generator, n_visible: int, n_hidden: int) -> tuple[np.ndarray, ...]:
        shapes = ((n_visible, n_hidden), (n_visible,), (n_hidden,))
        return tuple(rng.normal(0, 0.4, shape).astype(np.float32) for shape in shapes)


def negative_states(p: Problem, model: tuple[np.ndarray, ...], k: int, seed: int, offset: int) -> np.ndarray:
    """End of the negative phase by the reference's half-steps; CD's first hidden sample is the positive phase's."""
    states: Any = p.v0 if p.chains is None else p.chains.to_dense()
    for step in range(k):
        w, _, b_hid = p.parameters if step == 0 and p.chains is None else model
        hidden, _ = ref.gibbs_step(states, w, b_hid, seed=seed, offset=offset + 2 * step)
        states, _ = ref.gibbs_step(hidden, model[0], model[1], seed=seed, offset=offset + 2 * step + 1, transpose=True)
    return np.asarray(states, dtype=np.float64)


SHAPES = [(1, 1, 1), (4, 3, 2), (37, 30, 17), (60, 8, 15), (65, 65, 33), (100, 47, 130), (520, 20, 11)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("n_chains", [0, 5, 70])
@pytest.mark.parametrize("kind", ["packed", "dense", "real"])
@pytest.mark.parametrize("other", [False, True], ids=["same", "other"])
def test_against_the_reference(isa: str, shape: tuple[int, int, int], n_chains: int, kind: str, other: bool) -> None:
    p = Problem(*shape, n_chains=n_chains, real=kind == "real")
    model, k = p.other if other else p.parameters, 2
    vk = negative_states(p, model, k, 99, 7)
    expected = ref.cd_gradient(p.v0, vk, p.parameters[0], p.parameters[2], negative_w=model[0], negative_b_hid=model[2])
    v0: Any = hc.BitMatrix.from_dense(p.v0) if kind == "packed" else p.v0
    before = [a.tobytes() for a in (*p.parameters, *p.other)]
    rng = hc.Generator(99, 7)
    found = hc.ops.cd_gradient(v0, *p.parameters, k=k, rng=rng, chains=p.chains, negative=p.other if other else None)
    assert rng.offset == 7 + 2 * k
    for name, wanted in zip(("w", "b_vis", "b_hid"), expected, strict=True):
        np.testing.assert_allclose(getattr(found, name), wanted, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.data_vis, p.v0.mean(axis=0, dtype=np.float64), rtol=0, atol=1e-7)
    np.testing.assert_allclose(found.model_vis, vk.mean(axis=0), rtol=0, atol=1e-7)
    h0 = ref.linear(p.v0, p.parameters[0], p.parameters[2], activation="sigmoid")
    hk = ref.linear(vk, model[0], model[2], activation="sigmoid")
    np.testing.assert_allclose(found.data_hid, h0.mean(axis=0), rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.model_hid, hk.mean(axis=0), rtol=0, atol=1e-6)
    assert found.stats["hidden_mean"] == pytest.approx(h0.mean(), rel=1e-6)
    assert (found.stats["reconstruction_error"] is None) == (p.chains is not None)
    if p.chains is not None:
        np.testing.assert_array_equal(p.chains.to_dense(), vk)
    assert [a.tobytes() for a in (*p.parameters, *p.other)] == before


@pytest.mark.parametrize("n_chains", [0, 70])
@pytest.mark.parametrize("real", [False, True], ids=["bits", "real"])
def test_it_is_the_step_of_the_update(isa: str, n_chains: int, real: bool) -> None:
    """With a learning rate of 1 from weights of 0, the update's velocity is the gradient, to the bit."""
    p = Problem(100, 47, 130, n_chains, real)
    velocity: Any = tuple(np.zeros_like(x) for x in p.parameters)
    chains = None if p.chains is None else p.chains.copy()
    gradient = hc.ops.cd_gradient(p.v0, *p.parameters, k=3, rng=5, chains=p.chains)
    stats = hc.ops.cd_update(p.v0, *p.parameters, k=3, lr=1.0, rng=5, velocity=velocity, chains=chains)
    np.testing.assert_array_equal(gradient.w, velocity[0])
    np.testing.assert_allclose(gradient.b_vis, velocity[1], rtol=0, atol=1e-7)
    np.testing.assert_allclose(gradient.b_hid, velocity[2], rtol=0, atol=2e-7)
    assert gradient.stats == stats
    assert p.chains == chains


def test_chains_of_another_sampler_are_taken_as_they_are(isa: str) -> None:
    p = Problem(37, 30, 17, 70)
    before, rng = p.chains.copy(), hc.Generator(3, 4)
    found = hc.ops.cd_gradient(p.v0, *p.parameters, k=0, rng=rng, chains=p.chains)
    expected = ref.cd_gradient(p.v0, before.to_dense(), p.parameters[0], p.parameters[2])
    np.testing.assert_allclose(found.w, expected[0], rtol=0, atol=1e-6)
    assert rng.offset == 4
    assert p.chains == before


def test_out_receives_the_gradient(isa: str) -> None:
    p = Problem(37, 30, 17)
    out = np.full_like(p.parameters[0], np.nan)
    found = hc.ops.cd_gradient(p.v0, *p.parameters, rng=1, out=out)
    assert found.w is out
    np.testing.assert_array_equal(out, hc.ops.cd_gradient(p.v0, *p.parameters, rng=1).w)


def test_the_bits_do_not_depend_on_the_thread_count(isa: str, set_threads: Callable[[int], None]) -> None:
    results = set()
    for threads in (1, 2, 3, 8):
        set_threads(threads)
        p = Problem(100, 190, 333, 23)
        found = hc.ops.cd_gradient(p.v0, *p.parameters, k=2, rng=4, chains=p.chains, negative=p.other)
        results.add((found.w.tobytes(), found.b_vis.tobytes(), found.b_hid.tobytes(), p.chains.words.tobytes()))
    assert len(results) == 1


def transition(v: np.ndarray, w: np.ndarray, b_vis: np.ndarray, b_hid: np.ndarray) -> np.ndarray:
    """Probabilities of all visible states after one Gibbs step under these parameters from v."""
    visible, hidden = ref.all_states(len(b_vis)), ref.all_states(len(b_hid))
    ph = ref.sigmoid(v @ w + b_hid)
    p_h = np.prod(np.where(hidden > 0, ph, 1 - ph), axis=1)
    pv = ref.sigmoid(hidden @ w.T + b_vis)
    return np.asarray(p_h @ np.prod(np.where(visible[None] > 0, pv[:, None], 1 - pv[:, None]), axis=2))


def test_the_expectation_under_other_parameters_is_exact(isa: str) -> None:
    """A chain of a 4 x 3 machine under parameters of its own, as fast PCD has it: the mean over 2**17 chains."""
    rng = np.random.default_rng(0)
    parameters, model = (Problem.draw(rng, 4, 3) for _ in range(2))
    v0, start = np.array([1.0, 0.0, 1.0, 1.0]), np.array([0.0, 1.0, 1.0, 0.0])
    visible, n = ref.all_states(4), 2**17
    p_v = transition(start, *model)
    h0, hk = ref.sigmoid(v0 @ parameters[0] + parameters[2]), ref.sigmoid(visible @ model[0] + model[2])
    expected = np.outer(v0, h0) - visible.T @ (p_v[:, None] * hk)
    chains = hc.BitMatrix.from_dense(np.broadcast_to(start, (n, 4)))
    found = hc.ops.cd_gradient(v0[None], *parameters, rng=31, chains=chains, negative=model)
    # Each term lies in [0, 1]: a standard error of at most 0.5 / sqrt(n). Six of them (1e-8 for twelve entries), and
    # float32 sums of n terms.
    np.testing.assert_allclose(found.w, expected, rtol=0, atol=3 / np.sqrt(n) + 1e-3)
    np.testing.assert_allclose(found.model_vis, p_v @ visible, rtol=0, atol=3 / np.sqrt(n))


# Failure


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("which", range(6))
@pytest.mark.parametrize("n_chains", [0, 20])
def test_poisoned_parameters_are_refused_and_the_chains_stay(value: float, which: int, n_chains: int) -> None:
    p = Problem(37, 30, 17, n_chains)
    arrays = [*p.parameters, *p.other]
    arrays[which].flat[-1] = value
    before = None if p.chains is None else p.chains.copy()
    rng = hc.Generator(1, 5)
    named = ("w", "b_vis", "b_hid", "negative: w", "negative: b_vis", "negative: b_hid")[which]
    with pytest.raises(ValueError, match=f"^{named}: expected finite"):
        hc.ops.cd_gradient(p.v0, *p.parameters, rng=rng, chains=p.chains, negative=p.other)
    assert p.chains == before
    assert rng.offset == 5


def test_bad_arguments_are_named() -> None:
    p = Problem(37, 30, 17, 20)
    for options, error, message in (
        ({"k": 0}, ValueError, "^k: "),
        ({"k": -1, "chains": p.chains}, ValueError, "^k: "),
        ({"chains": p.chains.to_dense()}, TypeError, "^chains: "),
        ({"chains": hc.BitMatrix.zeros((5, 29))}, ValueError, "^chains: "),
        ({"negative": p.other[:2]}, TypeError, "^negative: "),
        ({"negative": (p.other[0][:-1], *p.other[1:])}, ValueError, r"^negative\[0\]: "),
        ({"out": np.zeros((30, 16), np.float32)}, ValueError, "^out: "),
        ({"out": np.zeros((30, 17))}, TypeError, "^out: "),
        ({"out": p.parameters[0]}, ValueError, "^out: .*share memory"),
        ({"out": p.other[0], "negative": p.other}, ValueError, "^out: .*share memory"),
    ):
        with pytest.raises(error, match=message):
            hc.ops.cd_gradient(p.v0, *p.parameters, rng=1, **options)
    with pytest.raises(ValueError, match=r"^v0: "):
        hc.ops.cd_gradient(p.v0 + 1, *p.parameters, rng=1)
