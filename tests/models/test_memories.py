"""The memories of the hologram experiment: Willshaw net, holographic memory, Hopfield net."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hintoncore.models import HolographicMemory, HopfieldNet, WillshawNet
from hintoncore.models.holographic import bind, unbind


def bits(rows: int, columns: int, seed: int = 0) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).random((rows, columns)) < 0.5).astype(np.float32)


def test_binding_is_circular_convolution_and_unbinding_its_adjoint() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 7, 64):
        a, b, c = rng.normal(size=(3, n))
        direct = [sum(a[i] * b[(k - i) % n] for i in range(n)) for k in range(n)]
        np.testing.assert_allclose(bind(a, b), direct, atol=1e-12)
        np.testing.assert_allclose(bind(b, a), direct, atol=1e-12)
        correlation = [sum(a[i] * c[(k + i) % n] for i in range(n)) for k in range(n)]
        np.testing.assert_allclose(unbind(c, a), correlation, atol=1e-12)
        assert np.dot(bind(a, b), c) == pytest.approx(np.dot(b, unbind(c, a)), abs=1e-12)
    with pytest.raises(ValueError, match="b"):
        bind(np.zeros(3), np.zeros(4))


def test_holographic_memory_is_the_sum_of_its_pairs() -> None:
    rng = np.random.default_rng(1)
    keys, values = rng.normal(0, 32**-1, (2, 8, 1024))
    memory = HolographicMemory(1024).store(keys[:5], values[:5]).store(keys[5:], values[5:])
    want = sum(unbind(bind(k, v), keys[3]) for k, v in zip(keys, values, strict=True))
    np.testing.assert_allclose(memory.recall(keys[3:4])[0], want, atol=1e-12)
    assert ((memory.recall(keys) @ values.T).argmax(axis=1) == np.arange(8)).all()
    with pytest.raises(ValueError, match="keys"):
        memory.recall(np.zeros((1, 5)))
    with pytest.raises(ValueError, match="values"):
        memory.store(keys, values[:, :7])


def test_willshaw_synapses_are_the_or_of_outer_products_and_sums_decide() -> None:
    keys, values = bits(5, 20, 2), bits(5, 12, 3)
    net = WillshawNet(20, 12).store(keys[:3], values[:3]).store(keys[3:], values[3:])
    want = np.zeros((20, 12), bool)
    for key, value in zip(keys, values, strict=True):
        want |= np.outer(key, value).astype(bool)
    np.testing.assert_array_equal(net.w, want)
    active = values.sum(axis=1).astype(int)
    out = net.recall(keys, active=active)
    assert (out.sum(axis=1) == active).all()
    for row, key in zip(out, keys, strict=True):
        sums = key @ net.w
        assert sums[row == 1].min() >= sums[row == 0].max()
    with pytest.raises(ValueError, match="active"):
        net.recall(keys, active=13)
    with pytest.raises(ValueError, match="keys"):
        net.recall(0.5 * keys, active=1)
    with pytest.raises(ValueError, match="values"):
        net.store(keys, values[:2])


def test_hopfield_weights_and_that_energy_never_rises() -> None:
    patterns = bits(3, 40, 4)
    spins = 2 * patterns - 1
    hebb = HopfieldNet(40).store(patterns)
    want = (spins.T @ spins / 40) * (1 - np.eye(40))
    np.testing.assert_allclose(hebb.w, want, atol=1e-6)
    projection = HopfieldNet(40).store(np.concatenate([patterns, patterns[:1]]), rule="projection")
    onto = np.linalg.pinv(spins) @ spins
    np.testing.assert_allclose(projection.w, onto * (1 - np.eye(40)), atol=1e-6)
    for net in (hebb, projection):
        state = bits(50, 40, 5)
        energy = net.energy(state)
        np.testing.assert_allclose(
            energy, [-0.5 * (2 * s - 1) @ net.w.astype(float) @ (2 * s - 1) for s in state], rtol=1e-6, atol=1e-6
        )
        for sweep in range(5):
            state = net.recall(state, sweeps=1, rng=sweep)
            assert (net.energy(state) <= energy + 1e-5).all()
            energy = net.energy(state)
        np.testing.assert_array_equal(net.recall(patterns), patterns)


def test_hopfield_completes_and_keeps_what_is_clamped() -> None:
    patterns = bits(8, 200, 6)
    known = np.arange(200) < 120
    cues = np.where(known, patterns, bits(8, 200, 7))
    net = HopfieldNet(200).store(patterns)
    np.testing.assert_array_equal(net.recall(cues, clamp=known), patterns)
    np.testing.assert_array_equal(net.recall(cues, clamp=np.ones(200, bool)), cues)
    with pytest.raises(ValueError, match="rule"):
        net.store(patterns, rule="delta")
    with pytest.raises(ValueError, match="cues"):
        net.recall(0.5 * patterns)
    with pytest.raises(ValueError, match="patterns"):
        net.store(patterns[:, :9])
