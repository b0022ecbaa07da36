"""Learning rules for classifiers with feedback, on one footing: each fills in what an optimiser takes for gradients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hintoncore._validate import as_number
from hintoncore.train.data import evenly_spaced
from hintoncore.train.supervised import Supervised

if TYPE_CHECKING:
    from hintoncore.nn.feedback import FeedbackNetwork
    from hintoncore.nn.optimisers import Optimiser

__all__ = ["Backpropagation", "CreditAssignment", "CreditRule", "rule_alignment"]

Array = NDArray[Any]

_ALIGNED_ROWS = 1000


class CreditRule(ABC):
    """How the weights of a :class:`hintoncore.nn.FeedbackNetwork` are to change for a batch of labelled rows."""

    @abstractmethod
    def __call__(self, net: FeedbackNetwork, x: Array, target: Array) -> tuple[float, Array]:
        """Leave the direction of ascent, what a gradient is to descent, in ``net.gradients()``.

        Parameters
        ----------
        net : FeedbackNetwork
        x : array, shape [B, I]
        target : array of int, shape [B]
            Classes.

        Returns
        -------
        loss : float
            Cross-entropy before the update, nats.
        logits : array, shape [B, classes]
        """

    def counters(self) -> dict[str, int]:
        """Positions in random streams, which a checkpoint must keep."""
        return {}

    def set_counters(self, counters: Mapping[str, int]) -> None:  # noqa: B027  # most rules draw nothing
        """Restore what :meth:`counters` returned."""

    def describe(self) -> dict[str, Any]:
        """Kind and settings as JSON values."""
        return {"rule": type(self).__name__}


class Backpropagation(CreditRule):
    """The gradient of the cross-entropy, for comparison; downward layers stay as they are."""

    def __call__(self, net: FeedbackNetwork, x: Array, target: Array) -> tuple[float, Array]:
        """Leave the gradient."""
        from hintoncore.nn.losses import SoftmaxCrossEntropy

        logits = net.forward(x)
        value, error = SoftmaxCrossEntropy()(logits, target)
        net.backward(error, input_gradient=False)
        return value, logits


class CreditAssignment(Supervised):
    """Trains a classifier with feedback by a rule; a :class:`hintoncore.train.Task`.

    Parameters
    ----------
    net : FeedbackNetwork
        Updated in place.
    x : array, shape [N, I]
    target : array of int, shape [N]
    rule : CreditRule
    optimiser : nn.Optimiser
    seed : int
        Of the data order.
    validation : pair (x, target), optional

    Notes
    -----
    Records hold what those of :class:`Supervised` do, and ``cosine_1``, ``cosine_2``, ...: the cosine between the
    rule's change and backpropagation's for the weights into hidden layer 1, 2, ... on at most 1000 training rows, after
    the epoch.
    """

    def __init__(
        self,
        net: FeedbackNetwork,
        x: Array,
        target: Array,
        *,
        rule: CreditRule,
        optimiser: Optimiser,
        seed: int = 0,
        validation: tuple[Array, Array] | None = None,
    ) -> None:
        from hintoncore.nn.losses import SoftmaxCrossEntropy

        super().__init__(
            net, x, target, loss=SoftmaxCrossEntropy(), optimiser=optimiser, seed=seed, validation=validation
        )
        self.net, self.rule = net, rule
        self._aligned = evenly_spaced(self.n_rows, _ALIGNED_ROWS)

    def step(self, rows: NDArray[np.intp], epoch: float) -> Mapping[str, float]:
        """One update on a minibatch; returns its loss and share of errors before the update.

        Raises
        ------
        FloatingPointError
            If the loss or a parameter became NaN or infinite.
        """
        target = self._target[rows]
        value, logits = self.rule(self.net, self._x[rows], target)
        if not np.isfinite(value):
            raise FloatingPointError(f"loss: {value} at epoch {epoch:g}; lower the learning rate")
        self.optimiser.step(self.net, epoch)
        self._running = {"loss": value, "error": float((logits.argmax(axis=1) != target).mean())}
        return self._running

    def evaluate(self, epoch: float) -> Mapping[str, float]:
        """The learning rate, loss and error on the held-out rows, cosines to backpropagation."""
        found = rule_alignment(self.rule, self.net, self._x[self._aligned], self._target[self._aligned])
        cosines = {f"cosine_{i + 1}": value for i, value in enumerate(found[:-1])}
        return {**super().evaluate(epoch), **cosines}

    def describe(self) -> dict[str, Any]:
        """What a run must share with a checkpoint to go on from it."""
        return {**super().describe(), "task": "credit assignment", "rule": self.rule.describe()}

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Parameters, optimiser state and counters."""
        tensors, counters = super().state()
        return tensors, {**counters, "rule": self.rule.counters()}

    def load_state(self, tensors: Mapping[str, Array], counters: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned."""
        super().load_state(tensors, counters)
        self.rule.set_counters(counters["rule"])


def rule_alignment(rule: CreditRule, net: FeedbackNetwork, x: Array, target: Array) -> list[float]:
    """Cosine between a rule's change and backpropagation's for each weight matrix going up, that of the logits last.

    Draws of the rule are taken back, so that asking changes nothing.
    """
    from hintoncore.nn.alignment import alignment

    counters = rule.counters()
    rule(net, x, target)
    rule.set_counters(counters)
    found = {name: net.gradients()[name].copy() for name in net.weight_names()}
    Backpropagation()(net, x, target)
    return list(alignment(found, net.gradients()).values())


def learn_to_reconstruct(net: FeedbackNetwork, above: Sequence[Array], below: Sequence[Array], rate: float) -> None:
    """Leave in each downward layer ``rate`` times the gradient of ``|g_l(above) - below|^2 / 2``, a mean over rows.

    It is local: the error of a unit is the difference of its reconstructed from its own activity.

    Parameters
    ----------
    net : FeedbackNetwork
    above, below : sequences of array
        By layer, the inputs first, as :meth:`FeedbackNetwork.activities` returns them.
    rate : float >= 0
        Factor on the learning rate.
    """
    for i, layer in enumerate(net.down):
        error = layer.forward(above[i + 2]) - below[i + 1]
        layer.backward(error * error.dtype.type(rate / len(error)), input_gradient=False)


def as_feedback_rate(value: float) -> float:
    """Check the factor on the learning rate of the downward layers."""
    rate = as_number(value, "feedback_rate")
    if rate < 0:
        raise ValueError(f"feedback_rate: expected a number >= 0, given {value}")
    return rate
