"""Vectors of symbols, side by side and in a bag: gradients, what they compute, bad input."""

from __future__ import annotations

import numpy as np
import pytest

import hintoncore as hc
from hintoncore import nn

SYMBOLS = 6


def test_gradients_of_an_embedding(isa: str) -> None:
    rng = hc.Generator(2)
    model = nn.Sequential(
        [nn.Embedding(SYMBOLS, 3, rng=rng, weights=nn.init.gaussian(1.0)), nn.Linear(12, 5, activation="tanh", rng=rng)]
    )
    index = np.random.default_rng(3).integers(0, SYMBOLS, (7, 4))
    check = nn.check_gradients(model, index, np.arange(7) % 5)
    assert check.difference.keys() == model.parameters().keys()
    assert check.largest_difference <= 1e-6
    assert check.largest_kernel_error <= 1e-4


def bags(rows: int = 7, seed: int = 3) -> np.ndarray:
    """Rows of four symbols, some of them the one that stands for none; the first row has no other."""
    x = np.random.default_rng(seed).integers(0, SYMBOLS + 1, (rows, 4))
    x[0] = SYMBOLS
    return x


def test_gradients_of_a_bag(isa: str) -> None:
    rng = hc.Generator(2)
    bag = nn.EmbeddingBag(SYMBOLS, 3, rng=rng, weights=nn.init.gaussian(1.0))
    model = nn.Sequential([bag, nn.Linear(3, 5, activation="tanh", rng=rng)])
    check = nn.check_gradients(model, bags(), np.arange(7) % 5)
    assert check.difference.keys() == model.parameters().keys()
    assert check.largest_difference <= 1e-6
    assert check.largest_kernel_error <= 1e-4


def test_a_bag_adds_what_is_there_in_any_order() -> None:
    bag = nn.EmbeddingBag(SYMBOLS, 5, rng=1, weights=nn.init.gaussian(1.0))
    x = bags(50)
    y = bag.forward(x)
    for row, found in zip(x, y, strict=True):
        present = row[row < SYMBOLS]
        expected = bag.w[present].astype(np.float64).sum(axis=0) / np.sqrt(max(len(present), 1))
        np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(y[0], 0)
    np.testing.assert_allclose(bag.forward(x[:, ::-1]), y, atol=1e-5)


@pytest.mark.parametrize("layer", [nn.Embedding(SYMBOLS, 2, rng=0), nn.EmbeddingBag(SYMBOLS, 2, rng=0)])
def test_symbols_out_of_range_are_named(layer: nn.Layer) -> None:
    for bad in (-1, SYMBOLS + 1):
        with pytest.raises(ValueError, match="index"):
            layer.forward(np.array([[0, bad]]))
    with pytest.raises(TypeError, match="index"):
        layer.forward(np.array([[0.5, 1.0]]))


def test_bad_bags_are_named() -> None:
    with pytest.raises(ValueError, match=r"x: expected shape \[B, T\]"):
        nn.EmbeddingBag(SYMBOLS, 2, rng=0).forward(np.arange(3))
    with pytest.raises(RuntimeError, match="forward"):
        nn.EmbeddingBag(SYMBOLS, 2, rng=0).backward(np.zeros((1, 2), np.float32))
    for sizes in ((0, 2), (2, 0)):
        with pytest.raises(ValueError, match="n_"):
            nn.EmbeddingBag(*sizes, rng=0)
