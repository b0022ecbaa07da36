"""Difference target propagation: each layer is given a target, by layers that have learned to invert."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from hintoncore._streams import Stream, derive_seed
from hintoncore._validate import as_int, as_number
from hintoncore.generator import Generator
from hintoncore.train.credit import CreditRule, as_feedback_rate, learn_to_reconstruct

if TYPE_CHECKING:
    from hintoncore.nn.feedback import FeedbackNetwork

__all__ = ["DifferenceTargetPropagation"]

Array = NDArray[Any]


class DifferenceTargetPropagation(CreditRule):
    """Targets instead of errors (Lee, Zhang, Fischer and Bengio 2015, algorithm 1).

    With ``f_l`` the layers going up and ``g_l`` those going down::

        top      t_L = h_L - target_rate dloss/dh_L
        below    t_l = h_l - g_l(h_{l+1}) + g_l(t_{l+1})
        up       descend |f_l(h_{l-1}) - t_l|^2
        down     descend |g_l(f_{l+1}(h_l + noise)) - (h_l + noise)|^2

    The difference makes ``t_l = h_l`` when ``t_{l+1} = h_{l+1}``, however badly the layers invert. Where they invert
    exactly, moving ``h_l`` to its target moves the top layer to its own: the steps are Gauss-Newton's, within 90
    degrees of the gradient (theorem 1). Changes are divided by ``target_rate``, so that learning rates mean what they
    do for backpropagation. The weights of the logits learn by the delta rule.

    Parameters
    ----------
    target_rate : float > 0
        How far the top layer's target is from its activity, in units of a row's own gradient.
    noise : float >= 0
        Standard deviation of what is added to activities while inverses are learned.
    feedback_rate : float >= 0
        Factor on the learning rate of the downward layers.
    seed : int in [0, 2**64)
        Of the noise.
    """

    def __init__(
        self, *, target_rate: float = 0.1, noise: float = 0.1, feedback_rate: float = 1.0, seed: int = 0
    ) -> None:
        self.target_rate, self.noise = as_number(target_rate, "target_rate"), as_number(noise, "noise")
        if self.target_rate <= 0:
            raise ValueError(f"target_rate: expected a number > 0, given {target_rate}")
        if self.noise < 0:
            raise ValueError(f"noise: expected a number >= 0, given {noise}")
        self.feedback_rate = as_feedback_rate(feedback_rate)
        self.seed = as_int(seed, "seed", 0, 2**64 - 1)
        self._rng = Generator(derive_seed(self.seed, Stream.TRAINING))

    def __call__(self, net: FeedbackNetwork, x: Array, target: Array) -> tuple[float, Array]:
        """Leave the gradients of the layers' own losses."""
        from hintoncore.nn.losses import SoftmaxCrossEntropy

        h = net.activities(x)
        logits = net.output.forward(h[-1])
        value, error = SoftmaxCrossEntropy()(logits, target)
        slope = net.output.backward(error)
        assert slope is not None

        rows, rate = x.dtype.type(len(x)), x.dtype.type(self.target_rate)
        goal = h[-1] - rate * rows * slope
        for i in reversed(range(len(net.up))):
            net.up[i].backward((h[i + 1] - goal) / (rate * rows), input_gradient=False)
            if i > 0:
                g = net.down[i - 1]
                goal = h[i] - g.forward(h[i + 1]) + g.forward(goal)

        below = [x, *(layer + self._draw(layer) for layer in h[1:-1])]
        above = [*h[:2], *(net.up[i].forward(below[i]) for i in range(1, len(net.up)))]
        learn_to_reconstruct(net, above, below, self.feedback_rate)
        return value, logits

    def counters(self) -> dict[str, int]:
        """The offset of the next noise."""
        return {"offset": self._rng.offset}

    def set_counters(self, counters: Mapping[str, int]) -> None:
        """Go to an offset."""
        self._rng = Generator(self._rng.seed, counters["offset"])

    def describe(self) -> dict[str, Any]:
        """Kind and settings as JSON values."""
        settings = {"target_rate": self.target_rate, "noise": self.noise, "feedback_rate": self.feedback_rate}
        return {**super().describe(), **settings, "seed": self.seed}

    def _draw(self, layer: Array) -> Array:
        noise: Array = self._rng.normal(layer.shape, std=self.noise)
        return noise.astype(layer.dtype, copy=False)
