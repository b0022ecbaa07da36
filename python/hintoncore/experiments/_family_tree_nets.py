"""Many nets for the family trees side by side: tiny ones, so that one at a time is nearly all overhead.

Every array has the nets in front. All learn the same questions; initial weights and noise are their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hintoncore.experiments._family_trees import PERSONS, RELATIONS
from hintoncore.generator import Generator
from hintoncore.nn import _arithmetic

__all__ = ["CODE", "Nets"]

Array = NDArray[Any]

CODE, MIDDLE, LAST = 6, 12, 6
_SHAPES = {
    "person": (len(PERSONS), CODE),
    "relation": (len(RELATIONS), CODE),
    "middle": (2 * CODE, MIDDLE),
    "last": (MIDDLE, LAST),
    "answer": (LAST, len(PERSONS)),
}
_UNITS = {"code": 2 * CODE, "middle": MIDDLE, "last": LAST, "answer": len(PERSONS)}
_INITIAL_STD = 0.3


class Nets:
    """24 + 12 -> 6 + 6 -> 12 -> 6 -> 24, logistic with a softmax at the end (Hinton 1986).

    Parameters
    ----------
    n : int
        Nets.
    rng : Generator
        Of initial weights and noise.

    Attributes
    ----------
    weights : array, shape [n, 552]
    biases : array, shape [n, 54]
        Those of a net in a row, layer by layer.
    """

    def __init__(self, n: int, rng: Generator) -> None:
        self._rng = rng
        self.weights = rng.normal((n, sum(a * b for a, b in _SHAPES.values())), std=_INITIAL_STD)
        self.biases = np.zeros((n, sum(_UNITS.values())), dtype=np.float32)

    def layer(self, name: str, of: Array | None = None) -> Array:
        """The weights of a layer, [n, inputs, outputs], as a view of ``weights`` or of an array laid out like it."""
        first = sum(a * b for a, b in list(_SHAPES.values())[: list(_SHAPES).index(name)])
        a, b = _SHAPES[name]
        source = self.weights if of is None else of
        return source[:, first : first + a * b].reshape(-1, a, b)

    def bias(self, name: str, of: Array | None = None) -> Array:
        """The biases of a layer, [n, 1, units], as a view of ``biases`` or of an array laid out like it."""
        first = sum(list(_UNITS.values())[: list(_UNITS).index(name)])
        source = self.biases if of is None else of
        return source[:, None, first : first + _UNITS[name]]

    def person_codes(self) -> Array:
        """States of the six units of each person, [n, 24, 6]."""
        return _arithmetic.sigmoid(self.layer("person") + self.bias("code")[:, :, :CODE])

    def log_probabilities(self, x: Array) -> Array:
        """Of all persons for questions x [Q, 36], without noise: [n, Q, 24]."""
        y = self._forward(x, 0.0)[-1]
        y = y - y.max(axis=2, keepdims=True)
        return np.asarray(y - np.log(np.exp(y).sum(axis=2, keepdims=True)))

    def gradients(self, x: Array, target: Array, *, noise: float) -> tuple[Array, Array]:
        """Of the cross-entropy of each net, averaged over questions x [Q, 36], with noise of a standard deviation.

        Returns them laid out as ``weights`` and ``biases``.
        """
        code, middle, last, y = self._forward(x, noise)
        n, rows = len(self.weights), len(x)
        flat = y.reshape(-1, y.shape[2])
        _, dy = _arithmetic.softmax_cross_entropy(flat, np.tile(target, (n, 1)).astype(y.dtype, copy=False))
        dy = dy.reshape(n, rows, -1) * y.dtype.type(n)  # the mean is over the questions, not over the nets
        dw, db = np.empty_like(self.weights), np.empty_like(self.biases)
        for name, below in (("answer", last), ("last", middle), ("middle", code)):
            np.matmul(below.transpose(0, 2, 1), dy, out=self.layer(name, dw))
            np.sum(dy, axis=1, keepdims=True, out=self.bias(name, db))
            dy = np.matmul(dy, self.layer(name).transpose(0, 2, 1)) * below * (1 - below)
        np.sum(dy, axis=1, keepdims=True, out=self.bias("code", db))
        person, relation = x[:, : len(PERSONS)].T, x[:, len(PERSONS) :].T
        np.matmul(person, dy[:, :, :CODE], out=self.layer("person", dw))
        np.matmul(relation, dy[:, :, CODE:], out=self.layer("relation", dw))
        return dw, db

    def _forward(self, x: Array, noise: float) -> tuple[Array, Array, Array, Array]:
        """States of the layers; the last are logits."""
        person, relation = x[:, : len(PERSONS)], x[:, len(PERSONS) :]
        total = np.concatenate([person @ self.layer("person"), relation @ self.layer("relation")], axis=2)
        code = self._units(total + self.bias("code"), noise)
        middle = self._units(code @ self.layer("middle") + self.bias("middle"), noise)
        last = self._units(middle @ self.layer("last") + self.bias("last"), noise)
        return code, middle, last, last @ self.layer("answer") + self.bias("answer")

    def _units(self, total: Array, noise: float) -> Array:
        """``sigmoid(total + noise)``; the gradient passes as if the noise were a constant."""
        if noise > 0:
            # Box and Muller in float32: Generator.normal computes in float64 and would take longer than all the rest.
            radius = np.sqrt(-2 * np.log(self._rng.random(total.shape)))
            total = total + np.float32(noise) * radius * np.cos(np.float32(2 * np.pi) * self._rng.random(total.shape))
        return _arithmetic.sigmoid(total)
