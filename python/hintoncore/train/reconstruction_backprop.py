"""Backpropagation by reconstruction: what a nudge of the labels changes in the layers below, on its way down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from hintoncore._validate import as_number
from hintoncore.train.credit import CreditRule, as_feedback_rate, learn_to_reconstruct

if TYPE_CHECKING:
    from hintoncore.nn.feedback import FeedbackNetwork
    from hintoncore.nn.layers import Linear

__all__ = ["ReconstructionBackprop"]

Array = NDArray[Any]


class ReconstructionBackprop(CreditRule):
    """Hinton's rule of 2007: a stack that reconstructs well carries errors down as changes of activity.

    One pass up gives activities ``h_1 .. h_L`` and the class probabilities p. Then activity comes down twice, once from
    p and once with the labels nudged towards the target t, and the difference over the nudge is each unit's rate of
    change::

        top     r_L = h_L                        r'_L = f(input of h_L + nudge (t - p) W_out^T)
        below   r_l = g_l(r_{l+1})               r'_l = g_l(r'_{l+1})
        learn   dw_l = h_{l-1}^T (r'_l - r_l) / nudge

    Presynaptic activity times the rate of change of postsynaptic activity: spike-timing-dependent plasticity, with no
    error ever sent. To first order ``r'_l - r_l`` is the nudge times ``g_l'`` of the change above, so where downward
    weights are the transposed upward ones and reconstructions are the activities themselves, it is the backpropagated
    error. Greedy learning of RBMs brings both about. Downward layers go on learning to reconstruct, by their own
    squared error; logits and their weights learn by the delta rule, and only these are used in both directions.

    Parameters
    ----------
    nudge : float in (0, 1]
        How far towards the target the labels are moved.
    feedback_rate : float >= 0
        Factor on the learning rate of the downward layers.

    References
    ----------
    .. [1] G. E. Hinton, "How to do backpropagation in a brain", invited talk, NIPS Deep Learning Workshop, 2007.
    """

    def __init__(self, *, nudge: float = 0.5, feedback_rate: float = 1.0) -> None:
        self.nudge = as_number(nudge, "nudge")
        if not 0 < self.nudge <= 1:
            raise ValueError(f"nudge: expected a number in (0, 1], given {nudge}")
        self.feedback_rate = as_feedback_rate(feedback_rate)

    def __call__(self, net: FeedbackNetwork, x: Array, target: Array) -> tuple[float, Array]:
        """Leave minus the change of each weight in the gradients."""
        from hintoncore.nn.losses import SoftmaxCrossEntropy

        h = net.activities(x)
        logits = net.output.forward(h[-1])
        value, error = SoftmaxCrossEntropy()(logits, target)  # (p - t) / B
        net.output.backward(error, input_gradient=False)

        scale = error.dtype.type(self.nudge * len(x))
        r, nudged = h[-1], net.top_given(h[-2], -scale * error)
        for i in reversed(range(len(net.up))):
            rate_of_change = (nudged - r) / scale
            _hebbian(net.up[i], h[i], -rate_of_change)
            if i > 0:
                r, nudged = net.down[i - 1].forward(r), net.down[i - 1].forward(nudged)
        learn_to_reconstruct(net, h, h, self.feedback_rate)
        return value, logits

    def describe(self) -> dict[str, Any]:
        """Kind and settings as JSON values."""
        return {**super().describe(), "nudge": self.nudge, "feedback_rate": self.feedback_rate}


def _hebbian(layer: Linear, presynaptic: Array, postsynaptic: Array) -> None:
    """Leave presynaptic times postsynaptic activity, summed over the rows, as the gradient of weights and biases."""
    from hintoncore.nn import _arithmetic

    dw, db = layer.gradients()["w"], layer.gradients().get("b")
    _arithmetic.linear_backward(presynaptic, layer.w, postsynaptic, postsynaptic, "none", dw, db, input_gradient=False)
