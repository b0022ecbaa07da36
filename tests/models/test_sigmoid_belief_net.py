"""The sigmoid belief net against brute-force sums over all its joint states."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from hintoncore import BitMatrix
from hintoncore import reference as ref
from hintoncore.models import SigmoidBeliefNet

SIZES = (4, 3, 2)


def tiny_net(seed: int = 3) -> SigmoidBeliefNet:
    net = SigmoidBeliefNet(SIZES, seed=seed)
    rng = np.random.default_rng(seed)
    for array in (*net.w, *net.b):
        array[...] = rng.normal(scale=1.2, size=array.shape)
    return net


def joint_table(net: SigmoidBeliefNet) -> tuple[list[np.ndarray], np.ndarray]:
    """All joint states, layer by layer, and their probabilities, one by one as the definition has them."""
    states = [
        np.array(rows) for rows in zip(*itertools.product(*(ref.all_states(size) for size in net.sizes)), strict=True)
    ]
    p = np.ones(len(states[0]))
    for level, state in enumerate(states):
        x = net.b[level].astype(np.float64)
        if level < len(net.w):
            x = x + states[level + 1] @ net.w[level].astype(np.float64)
        mean = 1 / (1 + np.exp(-x))
        p *= np.prod(np.where(state == 1, mean, 1 - mean), axis=1)
    return states, p


def visible_probabilities(net: SigmoidBeliefNet) -> np.ndarray:
    """p(x) of all visible states in the order of ``all_states``."""
    states, p = joint_table(net)
    index = (states[0].astype(int) << np.arange(net.sizes[0])).sum(axis=1)
    return np.bincount(index, weights=p)


def test_joint_probabilities_add_up_to_one() -> None:
    assert joint_table(tiny_net())[1].sum() == pytest.approx(1.0, abs=1e-12)


def test_log_joint_is_the_product_of_the_layers() -> None:
    net = tiny_net()
    states, p = joint_table(net)
    found = net.log_joint([BitMatrix.from_dense(state.astype(np.float32)) for state in states])
    np.testing.assert_allclose(found, np.log(p), atol=1e-5)


def test_log_joint_keeps_the_tails() -> None:
    """A state of probability exp(-200) and one of 1 - exp(-200), neither of which float32 can hold."""
    net = SigmoidBeliefNet((1, 1))
    net.w[0][...], net.b[0][...], net.b[1][...] = 0.0, 200.0, 0.0
    found = net.log_joint([BitMatrix.from_dense(np.array([[0.0], [1.0]])), BitMatrix.from_dense(np.zeros((2, 1)))])
    np.testing.assert_allclose(found + math.log(2), [-200.0, 0.0], atol=1e-6)


@pytest.mark.parametrize("packed", [False, True])
def test_exact_log_probabilities(packed: bool) -> None:
    net = tiny_net()
    x = ref.all_states(SIZES[0]).astype(np.float32)
    found = net.log_probabilities(BitMatrix.from_dense(x) if packed else x)
    np.testing.assert_allclose(found, np.log(visible_probabilities(net)), atol=1e-12)
    assert net.log_likelihood(x) == pytest.approx(found.mean(), abs=1e-12)


def test_exact_log_probabilities_over_several_blocks() -> None:
    """Layers of more than one block of states; all visible probabilities add up to 1."""
    net = SigmoidBeliefNet((10, 9, 2), seed=1)
    for w in net.w:
        w *= 10
    assert np.exp(net.log_probabilities(ref.all_states(10))).sum() == pytest.approx(1.0, abs=1e-12)


def test_samples_have_the_exact_distribution() -> None:
    """Counts of 50,000 joint samples against 2^9 probabilities; the limit is passed once in 3.5 million seeds."""
    net, n = tiny_net(), 50_000
    states, p = joint_table(net)
    layers = net.sample_layers(n, rng=11)
    bits = np.concatenate([layer.to_dense() for layer in layers], axis=1).astype(int)
    all_bits = np.concatenate(states, axis=1).astype(int)
    place = np.arange(bits.shape[1])
    expected = np.zeros(2 ** len(place))
    expected[(all_bits << place).sum(axis=1)] = n * p
    counts = np.bincount((bits << place).sum(axis=1), minlength=len(expected))
    rare = expected < 10  # pooled into one cell
    cells = [(counts[i], expected[i]) for i in np.flatnonzero(~rare)] + [(counts[rare].sum(), expected[rare].sum())]
    chi_square = sum((count - mean) ** 2 / mean for count, mean in cells)
    degrees = len(cells) - 1
    limit = degrees * (1 - 2 / (9 * degrees) + 5 * math.sqrt(2 / (9 * degrees))) ** 3
    assert degrees > 100
    assert chi_square < limit


def test_sample_is_the_visible_layer() -> None:
    net = tiny_net()
    layers = net.sample_layers(70, rng=5)
    samples, probs = net.sample(70, rng=5, return_probs=True)
    np.testing.assert_array_equal(samples, layers[0].to_dense())
    mean = 1 / (1 + np.exp(-(layers[1].to_dense().astype(np.float64) @ net.w[0] + net.b[0])))
    np.testing.assert_allclose(probs, mean, atol=1e-6)
    assert not np.array_equal(net.sample(70), net.sample(70)), "the net's own generator moves on"
    np.testing.assert_array_equal(tiny_net().sample(70), tiny_net().sample(70))


def test_bad_input() -> None:
    for sizes in ((4,), (), (4, 0), (4, -1)):
        with pytest.raises(ValueError, match="sizes"):
            SigmoidBeliefNet(sizes)
    with pytest.raises(TypeError, match="sizes"):
        SigmoidBeliefNet((4, 2.5))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="seed"):
        SigmoidBeliefNet((4, 2), seed=-1)
    net = tiny_net()
    with pytest.raises(ValueError, match="n: "):
        net.sample(0)
    with pytest.raises(ValueError, match=r"X: .*0 or 1"):
        net.log_probabilities(np.full((2, 4), 0.5))
    with pytest.raises(ValueError, match="X: expected shape"):
        net.log_probabilities(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="layers: expected shapes"):
        net.log_joint(net.sample_layers(3)[:2])
    with pytest.raises(ValueError, match="at most 16 units"):
        SigmoidBeliefNet((4, 17)).log_probabilities(np.zeros((1, 4)))
