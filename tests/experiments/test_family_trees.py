"""The family trees: their facts, the nets' gradients and noise, and a quick run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from quick import check_quick

import hintoncore as hc
from hintoncore.experiments import _family_trees as trees
from hintoncore.experiments import family_trees
from hintoncore.experiments._family_tree_nets import Nets


def test_questions_are_those_of_the_paper() -> None:
    known = trees.questions()
    assert known.x.shape == (104, 36)
    assert known.answers.sum() == 112
    np.testing.assert_array_equal(known.x.sum(axis=1), 2)
    texts = {known.text(i) for i in range(104)}
    assert "Colin has-uncle Arthur, Charles" in texts
    assert "Colin has-aunt Margaret, Jennifer" in texts
    assert "Alfonso has-aunt Gina, Angela" in texts
    assert "Victoria has-mother Penelope" in texts
    # Both trees have the same shape.
    np.testing.assert_array_equal(known.answers[:52, :12], known.answers[52:, 12:])
    assert not known.answers[:52, 12:].any()


def _exact(nets: Nets) -> Nets:
    """The nets in float64, with random parameters."""
    draw, doubled = np.random.default_rng(0), cast(Any, nets)
    doubled.weights, doubled.biases = (draw.standard_normal(a.shape) for a in (nets.weights, nets.biases))
    return nets


@pytest.mark.parametrize("noise", [0.0, 0.8])
def test_gradients_against_central_differences(noise: float) -> None:
    known = trees.questions()
    x, target = known.x[::7].astype(np.float64), (known.answers / known.answers.sum(axis=1, keepdims=True))[::7]
    nets, rng = _exact(Nets(3, hc.Generator(1))), np.random.default_rng(2)
    nets._rng = hc.Generator(5)
    found = nets.gradients(x, target, noise=noise)

    def loss() -> np.ndarray:
        nets._rng = hc.Generator(5)  # the same noise again
        y = nets._forward(x, noise)[-1]
        log_p = y - np.log(np.exp(y).sum(axis=2, keepdims=True))
        return np.asarray(-(target * log_p).sum(axis=(1, 2)) / len(x))

    if noise == 0:
        np.testing.assert_allclose(loss(), -(target * nets.log_probabilities(x)).sum(axis=(1, 2)) / len(x))
    step = 1e-5
    for parameters, gradient in zip((nets.weights, nets.biases), found, strict=True):
        for at in rng.permutation(parameters.shape[1])[:50]:
            kept = parameters[:, at].copy()
            parameters[:, at] = kept + step
            above = loss()
            parameters[:, at] = kept - step
            below = loss()
            parameters[:, at] = kept
            np.testing.assert_allclose(gradient[:, at], (above - below) / (2 * step), atol=1e-6)


def test_float32_gradients_against_float64() -> None:
    known = trees.questions()
    nets = Nets(2, hc.Generator(3))
    found = nets.gradients(known.x, known.answers, noise=0.0)
    nets.weights, nets.biases = nets.weights.astype(np.float64), nets.biases.astype(np.float64)
    exact = nets.gradients(known.x.astype(np.float64), known.answers.astype(np.float64), noise=0.0)
    for one, two in zip(found, exact, strict=True):
        assert one.dtype == np.float32
        assert np.abs(one - two).max() <= 1e-4 * np.abs(two).max()


def test_nets_do_not_see_each_other() -> None:
    known = trees.questions()
    many, one = Nets(4, hc.Generator(4)), Nets(1, hc.Generator(9))
    one.weights[...] = many.weights[2:3]
    together, alone = (
        many.gradients(known.x, known.answers, noise=0.0),
        one.gradients(known.x, known.answers, noise=0.0),
    )
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(a[2], b[0], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(many.person_codes()[2], one.person_codes()[0])


def test_noise_is_gaussian_and_only_asked_for() -> None:
    """The mean and variance of 200,000 draws within six standard errors: a false alarm in 4e-9 of seeds."""
    nets = Nets(10, hc.Generator(2))
    total = np.zeros((10, 1000, 20), np.float32)
    np.testing.assert_array_equal(nets._units(total, 0.0), np.full(total.shape, 0.5))
    states = nets._units(total, 1.5).astype(np.float64)
    noise = np.log(states / (1 - states)).ravel()
    n = noise.size
    assert abs(noise.mean()) < 6 * 1.5 / np.sqrt(n)
    assert abs(noise.var() / 1.5**2 - 1) < 6 * np.sqrt(2 / n)
    assert not np.array_equal(nets._units(total, 1.5), states)


def test_every_question_is_held_out_once_in_an_order() -> None:
    orders = [[family_trees._held_out(26 * order + group, 104) for group in range(26)] for order in range(2)]
    for groups in orders:
        assert all(len(group) == 4 for group in groups)
        np.testing.assert_array_equal(np.sort(np.concatenate(groups)), np.arange(104))
    assert not np.array_equal(orders[0], orders[1])


def test_quick(tmp_path: Path) -> None:
    report = check_quick("family-trees", tmp_path)
    losses = report["details"]["0"]["penalised_losses"]
    assert losses == sorted(losses)
