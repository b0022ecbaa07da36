"""Losses: the mean over a batch, and its gradient with respect to the output of the network."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from hintoncore._validate import given
from hintoncore.nn import _arithmetic
from hintoncore.nn._arithmetic import Array

__all__ = ["BinaryCrossEntropy", "Loss", "MeanSquaredError", "SoftmaxCrossEntropy"]


class Loss(Protocol):
    """A function of (output of the network, target) that returns a value and its gradient."""

    def __call__(self, y: Array, target: Array) -> tuple[float, Array]:
        """Loss of a batch, and its gradient with respect to ``y``."""

    def errors(self, y: Array, target: Array) -> Array | None:
        """For classifiers, which rows are wrong; None for other targets."""


class SoftmaxCrossEntropy:
    """``-log softmax(y)`` of the right class, in nats, averaged over the rows.

    Targets are classes, integers [B], or distributions [B, N].
    """

    def __call__(self, y: Array, target: Array) -> tuple[float, Array]:
        """Loss and gradient, in one pass over the logits."""
        return _arithmetic.softmax_cross_entropy(y, target)

    def errors(self, y: Array, target: Array) -> Array | None:
        """Rows whose largest output is not the (most probable) class."""
        target = np.asarray(target)
        return np.asarray(y.argmax(axis=1) != (target if target.ndim == 1 else target.argmax(axis=1)))


class MeanSquaredError:
    """``(y - target)^2``, averaged over all elements."""

    def __call__(self, y: Array, target: Array) -> tuple[float, Array]:
        """Loss and gradient."""
        difference = y - _as_like(target, y)
        return float(np.mean(difference**2, dtype=np.float64)), difference * y.dtype.type(2.0 / y.size)

    def errors(self, y: Array, target: Array) -> Array | None:  # noqa: ARG002
        """None: there are no classes."""
        return None


class BinaryCrossEntropy:
    """``softplus(y) - target y`` for logits y, summed over the units and averaged over the rows, in nats.

    Minus the log probability of independent binary targets; those may be anything in [0, 1].
    """

    def __call__(self, y: Array, target: Array) -> tuple[float, Array]:
        """Loss and gradient."""
        t = _as_like(target, y)
        value = float(np.sum(_arithmetic.softplus(y) - t * y, dtype=np.float64)) / len(y)
        return value, (_arithmetic.sigmoid(y) - t) / y.dtype.type(len(y))

    def errors(self, y: Array, target: Array) -> Array | None:  # noqa: ARG002
        """None: there are no classes."""
        return None


def _as_like(target: Array, y: Array) -> Array:
    array = np.asarray(target, dtype=y.dtype)
    if array.shape != y.shape:
        raise ValueError(f"target: expected shape {y.shape}, given {given(array)}")
    return array
