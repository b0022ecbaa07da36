"""Strings in, strings out, one vector in between: a recurrent encoder, a thought vector, a recurrent decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hintoncore import nn
from hintoncore._counts import as_count
from hintoncore._validate import given
from hintoncore.generator import RngLike, as_generator

__all__ = ["Alphabet", "SequenceCrossEntropy", "SequenceToSequence"]

Array = NDArray[Any]


class Alphabet:
    """Characters by number; 0 stands for the end of a string and for what is before its beginning.

    Parameters
    ----------
    characters : str
        Each once.
    """

    def __init__(self, characters: str) -> None:
        if not characters or len(set(characters)) != len(characters):
            raise ValueError(f"characters: expected at least one and none twice, given {characters!r}")
        self.characters = characters
        self._number = {character: i for i, character in enumerate(characters, 1)}

    def __len__(self) -> int:
        """Symbols, with 0."""
        return len(self.characters) + 1

    def encode(self, strings: Sequence[str], length: int, *, at_end: bool) -> NDArray[np.int32]:
        """Numbers [N, length] of strings, which stand at the end of their rows or at the beginning; the rest is 0.

        Raises
        ------
        ValueError
            If a string is longer, or has another character.
        """
        rows = np.zeros((len(strings), length), dtype=np.int32)
        for row, string in zip(rows, strings, strict=True):
            if len(string) > length or not set(string) <= self._number.keys():
                raise ValueError(f"strings: expected at most {length} of {self.characters!r}, given {string!r}")
            numbers = [self._number[character] for character in string]
            if numbers:
                row[slice(-len(numbers), None) if at_end else slice(len(numbers))] = numbers
        return rows

    def decode(self, rows: Array) -> list[str]:
        """The string at the beginning of each row, up to the first 0."""
        return ["".join(self.characters[i - 1] for i in row[: _end(row)]) for row in np.asarray(rows)]


class SequenceToSequence(nn.Sequential):
    """A recurrent net reads a string into one vector, from which another recurrent net writes a string.

    A linear function of the encoder's last state is the thought vector; a linear function of that is the decoder's
    first state, and all it has of the input. At each step the decoder's input is the character before, in training the
    target's, and a softmax over characters its output. Both nets are IRNNs: rectified, started as the identity.

    Parameters
    ----------
    n_symbols : int
        Characters, and the 0 that ends strings.
    n_written : int
        Characters of a target, including the 0 at its end, at most.
    n_thought : int
        Components of the thought vector.
    n_hidden : int
        Units of encoder and decoder.
    n_features : int
        Components of a character's own vector.
    rng : Generator or int
        Of the initial weights.

    References
    ----------
    Sutskever, Vinyals and Le (2014), Sequence to sequence learning with neural networks; Cho et al. (2014), Learning
    phrase representations using RNN encoder-decoder; the nets: Le, Jaitly and Hinton (2015).
    """

    def __init__(
        self,
        n_symbols: int,
        n_written: int,
        *,
        n_thought: int = 128,
        n_hidden: int = 192,
        n_features: int = 32,
        rng: RngLike,
    ) -> None:
        n_symbols, n_hidden = as_count(n_symbols, "n_symbols"), as_count(n_hidden, "n_hidden")
        self.n_written, self.n_thought = as_count(n_written, "n_written"), as_count(n_thought, "n_thought")
        generator = as_generator(rng)
        vectors, small = nn.init.gaussian(1.0), nn.init.gaussian(0.02)
        self.read = nn.Embedding(n_symbols, n_features, rng=generator, weights=vectors)
        self.encoder = nn.RNN(n_features, n_hidden, rng=generator, weights=small)
        self.think = nn.Linear(n_hidden, n_thought, rng=generator)
        self.recall = nn.Linear(n_thought, n_hidden, rng=generator)
        self.before = nn.Embedding(n_symbols, n_features, rng=generator, weights=vectors)
        self.decoder = nn.RNN(n_features, n_hidden, rng=generator, weights=small, sequences=True)
        self.write = nn.Linear(n_hidden, n_symbols, rng=generator)
        super().__init__([self.read, self.encoder, self.think, self.recall, self.before, self.decoder, self.write])

    def thoughts(self, strings: Array, *, training: bool = False) -> Array:
        """Thought vectors [B, n_thought] of strings, integers [B, T], which end where their rows do."""
        last = self.encoder.forward(_vectors(self.read, strings), training=training)
        return self.think.forward(last, training=training)

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Logits [B, n_written, n_symbols] of each character of the targets, given those before it.

        Parameters
        ----------
        x : array of integers, shape [B, T + n_written]
            Strings, which end at column T, and then their targets.
        """
        x = np.asarray(x)
        if x.ndim != 2 or x.shape[1] <= self.n_written:
            raise ValueError(f"x: expected shape [B, T + {self.n_written}] with T > 0, given {given(x)}")
        strings, targets = x[:, : -self.n_written], x[:, -self.n_written :]
        state = self.recall.forward(self.thoughts(strings, training=training), training=training)
        previous = np.zeros_like(targets)
        previous[:, 1:] = targets[:, :-1]
        h = self.decoder.forward(_vectors(self.before, previous), training=training, h0=state)
        return _batch_first(self.write.forward(_rows(h), training=training).reshape(*h.shape[:2], -1))

    def backward(self, dy: Array, *, input_gradient: bool = True) -> Array | None:  # noqa: ARG002
        """Gradients from those of the logits; characters have none, so it returns None."""
        dlogits = _batch_first(dy)  # to time first: its own inverse
        dh = _there(self.write.backward(_rows(dlogits))).reshape(*dlogits.shape[:2], -1)
        self.before.backward(_rows(_there(self.decoder.backward(dh))))
        dthought = _there(self.recall.backward(_there(self.decoder.dh0)))
        self.read.backward(_rows(_there(self.encoder.backward(_there(self.think.backward(dthought))))))
        return None

    def rewrite(self, strings: Array) -> NDArray[np.int32]:
        """What the decoder writes, [B, n_written], for strings [B, T]: the most probable character, fed to the next."""
        state = self.recall.forward(self.thoughts(strings))
        written = np.zeros((len(strings), self.n_written), dtype=np.int32)
        previous = np.zeros((len(strings), 1), dtype=np.int32)
        for column in written.T:
            state = self.decoder.forward(_vectors(self.before, previous), h0=state)[0]
            column[:] = self.write.forward(state).argmax(axis=1)
            previous = column[:, None]
        return written


class SequenceCrossEntropy:
    """Minus the log probability of each target string, in nats, averaged over strings; those end at their first 0."""

    def __call__(self, y: Array, target: Array) -> tuple[float, Array]:
        """Loss and gradient, for logits [B, S, n_symbols] and targets, integers [B, S]."""
        counted = _counted(target)
        value, gradient = nn.SoftmaxCrossEntropy()(
            y.reshape(-1, y.shape[2]), np.eye(y.shape[2], dtype=y.dtype)[target.reshape(-1)] * counted.reshape(-1, 1)
        )
        length = y.dtype.type(target.shape[1])  # that loss is a mean over all characters
        return value * float(length), np.asarray(gradient.reshape(y.shape) * length)

    def errors(self, y: Array, target: Array) -> Array | None:
        """Strings of which a character is not the most probable one, given the right ones before it."""
        return np.asarray(((y.argmax(axis=2) != target) & _counted(target)).any(axis=1))


def _counted(target: Array) -> Array:
    """The characters of each string and the 0 that ends it."""
    ended = np.cumsum(target == 0, axis=1)
    return np.asarray((ended == 0) | ((ended == 1) & (target == 0)))


def _end(row: Array) -> int:
    zeros = np.flatnonzero(row == 0)
    return int(zeros[0]) if len(zeros) else len(row)


def _vectors(layer: nn.Embedding, strings: Array) -> Array:
    """Vectors of characters [B, T], time first: [T, B, n_features]."""
    steps = np.ascontiguousarray(strings.T)
    return layer.forward(steps.reshape(-1)).reshape(*steps.shape, -1)


def _batch_first(steps: Array) -> Array:
    return np.ascontiguousarray(steps.swapaxes(0, 1))


def _rows(steps: Array) -> Array:
    """All steps of all strings as rows of a matrix."""
    return steps.reshape(-1, steps.shape[-1])


def _there(gradient: Array | None) -> Array:
    assert gradient is not None
    return gradient
