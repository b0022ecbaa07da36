"""Vectors of symbols: those of a row side by side, or added whatever their order."""

from __future__ import annotations

from typing import Any

import numpy as np

from hintoncore._counts import as_count
from hintoncore._validate import given
from hintoncore.generator import RngLike, as_generator
from hintoncore.nn import _arithmetic, init
from hintoncore.nn._arithmetic import Array
from hintoncore.nn.layers import Layer

__all__ = ["Embedding", "EmbeddingBag"]


class _Vectors(Layer):
    """A vector for each symbol, and its gradient."""

    def __init__(
        self, n_symbols: int, n_features: int, *, rng: RngLike, weights: init.Initialiser | None = None
    ) -> None:
        super().__init__()
        self.n_symbols, self.n_features = as_count(n_symbols, "n_symbols"), as_count(n_features, "n_features")
        draw = weights or init.gaussian(0.01)
        self._add("w", draw(self.n_symbols, self.n_features, as_generator(rng)))

    @property
    def w(self) -> Array:
        """Vectors, [n_symbols, n_features]."""
        return self._parameters["w"]

    def describe(self) -> dict[str, Any]:
        """Kind and sizes."""
        return {**super().describe(), "n_symbols": self.n_symbols, "n_features": self.n_features}

    def _gather(self, index: Array, dy: Array) -> None:
        """The gradient from dy [..., n_features] of the vectors of symbols index [...]."""
        gradient = self._gradients["w"]
        gradient.fill(0)
        _arithmetic.embedding_add(gradient, index, dy)


class Embedding(_Vectors):
    """A vector for each symbol; those of a row of symbols are laid side by side.

    Parameters
    ----------
    n_symbols, n_features : int
    rng : Generator or int
        Of the initial vectors.
    weights : initialiser
        Normal with standard deviation 0.01 unless given.

    References
    ----------
    Hinton (1986), Learning distributed representations of concepts; Bengio, Ducharme, Vincent and Jauvin (2003), A
    neural probabilistic language model.
    """

    _index: Array | None = None

    def forward(self, x: Array, *, training: bool = False) -> Array:  # noqa: ARG002
        """Vectors of symbols x, integers [B] or [B, T]: [B, T * n_features]."""
        self._index = np.asarray(x)
        return _arithmetic.embedding(self.w, self._index).reshape(len(self._index), -1)

    def backward(self, dy: Array, *, input_gradient: bool = True) -> Array | None:  # noqa: ARG002
        """Gradients from dy [B, T * n_features]; symbols have none, so it returns None."""
        index = self._kept("_index")
        self._gather(index, dy.reshape(*index.shape, self.n_features))
        return None


class EmbeddingBag(_Vectors):
    """A vector for each symbol; those of a row of symbols are added, whatever their order: a bag of words.

    ``y = sum_j w[x_j] / sqrt(n)``, over the n symbols of the row that are there. The root keeps the size of y alike for
    few symbols and for many, as long as their vectors point in directions of their own.

    Parameters
    ----------
    n_symbols, n_features : int
        In a row the number ``n_symbols`` stands for no symbol.
    rng : Generator or int
        Of the initial vectors.
    weights : initialiser
        Normal with standard deviation 0.01 unless given.

    References
    ----------
    Irie, Schlueter and Ney (2015), Bag-of-words input for long history representation in neural network-based language
    models for speech recognition.
    """

    _bag: tuple[Array, Array, Array] | None = None

    def forward(self, x: Array, *, training: bool = False) -> Array:  # noqa: ARG002
        """Sums for rows of symbols x, integers [B, T]: [B, n_features]."""
        x = np.asarray(x)
        if x.ndim != 2:
            raise ValueError(f"x: expected shape [B, T], given {given(x)}")
        absent = x == self.n_symbols
        index = np.where(absent, 0, x)
        present = np.maximum(x.shape[1] - absent.sum(axis=1, keepdims=True), 1)
        scale = (1 / np.sqrt(present)).astype(self.w.dtype)
        self._bag = index, absent, scale
        vectors = _arithmetic.embedding(self.w, index)
        vectors[absent] = 0
        y: Array = vectors.sum(axis=1) * scale
        return y

    def backward(self, dy: Array, *, input_gradient: bool = True) -> Array | None:  # noqa: ARG002
        """Gradients from dy [B, n_features]; symbols have none, so it returns None."""
        index, absent, scale = self._kept("_bag")
        each = np.repeat((dy * scale)[:, None], index.shape[1], axis=1)
        each[absent] = 0
        self._gather(index, each)
        return None
