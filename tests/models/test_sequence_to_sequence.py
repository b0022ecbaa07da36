"""Strings in, strings out: alphabet, loss, gradients, greedy writing, files, and a small task learnt."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from hintoncore import nn
from hintoncore.models.sequence_to_sequence import Alphabet, SequenceCrossEntropy, SequenceToSequence

ALPHABET = Alphabet("abc")


def model(seed: int = 0, *, scale: float = 20.0) -> SequenceToSequence:
    """A small one, the input weights of whose recurrent nets are large enough for states to differ."""
    net = SequenceToSequence(4, 4, n_thought=5, n_hidden=7, n_features=6, rng=seed)
    for layer in (net.encoder, net.decoder):
        layer.w_x[...] *= scale
    return net


def data(rows: int = 9, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    strings = ["".join(draw.choice(list("abc"), draw.integers(1, 4))) for _ in range(rows)]
    targets = ALPHABET.encode([string[::-1] for string in strings], 4, at_end=False)
    return ALPHABET.encode(strings, 3, at_end=True), targets


def train(net: SequenceToSequence, strings: np.ndarray, targets: np.ndarray, steps: int) -> None:
    loss, optimiser = SequenceCrossEntropy(), nn.Adam(0.005, clip_norm=1.0)
    for _ in range(steps):
        _, dy = loss(net.forward(np.concatenate([strings, targets], axis=1), training=True), targets)
        net.backward(dy)
        optimiser.step(net)


def test_alphabet() -> None:
    assert len(ALPHABET) == 4
    np.testing.assert_array_equal(ALPHABET.encode(["ab", ""], 3, at_end=True), [[0, 1, 2], [0, 0, 0]])
    rows = ALPHABET.encode(["ab", "", "cab"], 3, at_end=False)
    np.testing.assert_array_equal(rows, [[1, 2, 0], [0, 0, 0], [3, 1, 2]])
    assert ALPHABET.decode(rows) == ["ab", "", "cab"]
    assert ALPHABET.decode(np.array([[1, 0, 2]])) == ["a"]
    for strings in (["abca"], ["ad"]):
        with pytest.raises(ValueError, match="strings: expected at most 3"):
            ALPHABET.encode(strings, 3, at_end=True)
    for characters in ("", "aba"):
        with pytest.raises(ValueError, match="characters"):
            Alphabet(characters)


def test_loss_is_of_the_string_and_its_end() -> None:
    draw = np.random.default_rng(2)
    y = draw.standard_normal((2, 4, 4)).astype(np.float32)
    target = np.array([[2, 0, 0, 0], [1, 3, 2, 1]])
    log_p = y.astype(np.float64) - np.log(np.exp(y.astype(np.float64)).sum(axis=2, keepdims=True))
    expected = -(log_p[0, 0, 2] + log_p[0, 1, 0] + log_p[1, 0, 1] + log_p[1, 1, 3] + log_p[1, 2, 2] + log_p[1, 3, 1])
    value, gradient = SequenceCrossEntropy()(y, target)
    assert value == pytest.approx(expected / 2, rel=1e-5)
    np.testing.assert_array_equal(gradient[0, 2:], 0)
    right = np.full((2, 4, 4), -1.0, np.float32)
    np.put_along_axis(right, target[:, :, None], 1.0, axis=2)
    loss = SequenceCrossEntropy()
    np.testing.assert_array_equal(loss.errors(right, target), [False, False])
    right[0, 3, 1] = 2  # after the end: does not count
    right[1, 3, 0] = 2
    np.testing.assert_array_equal(loss.errors(right, target), [False, True])


def test_gradients(isa: str) -> None:
    strings, targets = data()
    check = nn.check_gradients(
        model(), np.concatenate([strings, targets], axis=1), targets, loss=SequenceCrossEntropy()
    )
    assert check.difference.keys() == model().parameters().keys()
    assert check.largest_difference <= 1e-6
    assert check.largest_kernel_error <= 1e-4


def test_writes_what_is_most_probable() -> None:
    """Given what it wrote as the target, the most probable characters are those it wrote."""
    net = model(3)
    strings, targets = data(40)
    train(net, strings, targets, 60)  # so that what is written depends on what was read
    written = net.rewrite(strings)
    assert len(np.unique(written, axis=0)) > 1
    logits = net.forward(np.concatenate([strings, written], axis=1))
    np.testing.assert_array_equal(logits.argmax(axis=2), written)
    assert net.thoughts(strings).shape == (40, 5)


def test_learns_to_reverse(tmp_path: Path) -> None:
    """All 39 strings of up to three letters, by heart."""
    strings = ["".join(letters) for n in (1, 2, 3) for letters in product("abc", repeat=n)]
    x = ALPHABET.encode(strings, 3, at_end=True)
    target = ALPHABET.encode([s[::-1] for s in strings], 4, at_end=False)
    net = SequenceToSequence(4, 4, n_thought=16, n_hidden=48, rng=1)
    train(net, x, target, 300)
    assert ALPHABET.decode(net.rewrite(x)) == [s[::-1] for s in strings]
    nn.save(net, tmp_path / "net.safetensors")
    other = SequenceToSequence(4, 4, n_thought=16, n_hidden=48, rng=2)
    nn.load(other, tmp_path / "net.safetensors")
    np.testing.assert_array_equal(other.rewrite(x), net.rewrite(x))


def test_errors() -> None:
    for bad in (np.zeros((2, 4), np.int32), np.zeros(5, np.int32)):
        with pytest.raises(ValueError, match="x: expected shape"):
            model().forward(bad)
