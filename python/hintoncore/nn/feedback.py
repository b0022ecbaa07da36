"""A classifier with feedback: each hidden layer can reconstruct the one below it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hintoncore._counts import as_count
from hintoncore.generator import RngLike, as_generator
from hintoncore.nn import _arithmetic, init
from hintoncore.nn._arithmetic import Array
from hintoncore.nn.layers import Layer, Linear
from hintoncore.nn.network import _Composite

if TYPE_CHECKING:
    from hintoncore.models import RBM

__all__ = ["FeedbackNetwork"]


class FeedbackNetwork(_Composite):
    """Layers going up, logits on top, and layers of their own going down, from each hidden layer to the one below it.

    As a :class:`Layer` it is the network that goes up, and :meth:`backward` is backpropagation, which leaves the
    gradients of the downward layers at 0. The rules of :mod:`hintoncore.train` that do without backpropagation use the
    downward layers: :class:`~hintoncore.train.ReconstructionBackprop` and
    :class:`~hintoncore.train.DifferenceTargetPropagation`.

    Parameters
    ----------
    sizes : sequence of at least three int >= 1
        Inputs, hidden layers, classes.
    activation : {"sigmoid", "tanh", "relu", "none"}
        Of the hidden units, going up and going down.
    rng : Generator or int
        Of the initial weights.
    weights : initialiser, optional
        Of the hidden layers, going up and going down; those of :class:`Linear` when left out. The output weights are
        normal with standard deviation 0.01.

    Attributes
    ----------
    up : list of Linear
        Into hidden layer 1, 2, ..., L.
    output : Linear
        From hidden layer L to the logits.
    down : list of Linear
        Into hidden layer 1, ..., L - 1 from the one above it. None goes to the inputs: no weights are below them.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: str = "sigmoid",
        rng: RngLike,
        weights: init.Initialiser | None = None,
    ) -> None:
        sizes = [as_count(size, f"sizes[{i}]") for i, size in enumerate(sizes)]
        if len(sizes) < 3:
            raise ValueError(f"sizes: expected inputs, at least one hidden layer and classes, given {sizes}")
        generator = as_generator(rng)

        def layer(n_in: int, n_out: int) -> Linear:
            return Linear(n_in, n_out, activation=activation, rng=generator, weights=weights)

        hidden = sizes[1:-1]
        up = [layer(*pair) for pair in zip(sizes, hidden, strict=False)]
        output = Linear(sizes[-2], sizes[-1], rng=generator, weights=init.gaussian(0.01))
        down = [layer(*pair) for pair in zip(hidden[1:], hidden, strict=False)]
        super().__init__([*up, output, *down])
        self.activation = activation
        self._n_hidden = len(hidden)

    @classmethod
    def from_rbms(cls, rbms: Sequence[RBM], n_classes: int, *, rng: RngLike) -> FeedbackNetwork:
        """A stack of Bernoulli RBMs under a fresh output layer.

        Weights and hidden biases go up; transposed weights and visible biases go down, as the RBMs reconstruct.

        Parameters
        ----------
        rbms : sequence of RBM, the lowest first
        n_classes : int >= 1
        rng : Generator or int
            Of the output weights.

        Raises
        ------
        ValueError
            If there is none, they do not fit on one another, or their hidden units are not Bernoulli.
        """
        if not rbms:
            raise ValueError("rbms: expected at least one")
        for i, rbm in enumerate(rbms):
            if rbm.hidden_units.name != "bernoulli" or (i and rbm.visible_units.name != "bernoulli"):
                raise ValueError(f"rbms[{i}]: expected Bernoulli units above the inputs, given {rbm!r}")
            if i and rbm.n_visible != rbms[i - 1].n_hidden:
                raise ValueError(f"rbms[{i}]: expected {rbms[i - 1].n_hidden} visible units, given {rbm.n_visible}")
        sizes = [rbms[0].n_visible, *(rbm.n_hidden for rbm in rbms), n_classes]
        net = cls(sizes, rng=rng)
        for rbm, up in zip(rbms, net.up, strict=True):
            up.w[...] = rbm.w
            up.parameters()["b"][...] = rbm.b_hid
        for rbm, down in zip(rbms[1:], net.down, strict=True):
            down.w[...] = rbm.w.T
            down.parameters()["b"][...] = rbm.b_vis
        return net

    @property
    def up(self) -> list[Linear]:
        """Layers into hidden layer 1, ..., L."""
        return self._linear(0, self._n_hidden)

    @property
    def output(self) -> Linear:
        """The layer of the logits."""
        return self._linear(self._n_hidden, self._n_hidden + 1)[0]

    @property
    def down(self) -> list[Linear]:
        """Layers into hidden layer 1, ..., L - 1 from the one above."""
        return self._linear(self._n_hidden + 1, len(self.layers))

    def weight_names(self) -> list[str]:
        """Names of the weights going up, the lowest first, those of the logits last."""
        return [f"{i}.w" for i in range(self._n_hidden + 1)]

    def activities(self, x: Array) -> list[Array]:
        """Inputs x [B, I] and the hidden layers above them, the lowest first."""
        layers = [x]
        for layer in self.up:
            layers.append(layer.forward(layers[-1]))
        return layers

    def forward(self, x: Array, *, training: bool = False) -> Array:  # noqa: ARG002
        """Logits [B, classes]."""
        return self.output.forward(self.activities(x)[-1])

    def backward(self, dy: Array, *, input_gradient: bool = True) -> Array | None:
        """Backpropagation (Rumelhart, Hinton and Williams 1986); the gradients of the downward layers are 0."""
        gradient = self.output.backward(dy)
        for i in reversed(range(self._n_hidden)):
            assert gradient is not None
            gradient = self.up[i].backward(gradient, input_gradient=input_gradient or i > 0)
        for layer in self.down:
            for array in layer.gradients().values():
                array.fill(0)
        return gradient

    def top_given(self, below: Array, labels: Array) -> Array:
        """The top hidden layer when the label units are inputs too, through the output weights used backwards.

        That is how hidden units meet visible and label units in the RBM on top of a deep belief net.

        Parameters
        ----------
        below : array, shape [B, H]
            Activities of the layer below the top one.
        labels : array, shape [B, classes]
            Their input beside what ``below`` brings.
        """
        top = self.up[-1]
        joint = np.concatenate([top.w, self.output.w.T])
        return _arithmetic.linear(np.concatenate([below, labels], axis=1), joint, top.b, top.activation)

    def describe(self) -> dict[str, Any]:
        """The layers and how many of them are hidden."""
        return {**super().describe(), "hidden_layers": self._n_hidden}

    def _linear(self, first: int, stop: int) -> list[Linear]:
        layers: list[Layer] = self.layers[first:stop]
        return [layer for layer in layers if isinstance(layer, Linear)]
