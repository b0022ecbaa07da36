"""The family trees: their facts, the noisy units' gradient, and a quick run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from quick import check_quick

import hintoncore as hc
from hintoncore import nn
from hintoncore.experiments import _family_trees as trees
from hintoncore.experiments.family_trees import NoisySigmoid, network


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


def test_noisy_units_have_the_right_gradient() -> None:
    known = trees.questions()
    target = known.answers.argmax(axis=1)
    check = nn.check_gradients(network(0.5, hc.Generator(1)), known.x, target, samples=20)
    assert check.largest_difference <= 1e-6
    assert check.largest_kernel_error <= 1e-4


def test_noise_is_of_training_alone() -> None:
    layer = NoisySigmoid(1.0, rng=hc.Generator(2))
    x = np.zeros((50, 40), np.float32)
    np.testing.assert_array_equal(layer.forward(x), np.full((50, 40), 0.5))
    noisy = layer.forward(x, training=True)
    assert (noisy != 0.5).all()
    layer.set_counters({"offset": 0})
    np.testing.assert_array_equal(layer.forward(x, training=True), noisy)


def test_quick(tmp_path: Path) -> None:
    check_quick("family-trees", tmp_path)
