"""Weights with Gaussian noise, drawn for each batch: the sampled form of variational learning of weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hintoncore._counts import as_count
from hintoncore._streams import Stream, derive_seed
from hintoncore._validate import as_number
from hintoncore.generator import Generator, RngLike, as_generator
from hintoncore.nn import _arithmetic, init
from hintoncore.nn._arithmetic import Array
from hintoncore.nn.coding import CodingPrior
from hintoncore.nn.layers import Layer

__all__ = ["NoisyLinear"]


class NoisyLinear(Layer):
    """``y = f(x w + b)`` with ``w`` and ``b`` drawn from ``N(mean, exp(log_std)^2)`` for each batch of training.

    The draw is ``mean + exp(log_std) noise``, so the gradient of the loss with respect to ``w`` gives those with
    respect to ``mean`` and, times ``exp(log_std) noise``, ``log_std`` (Graves 2011; Blundell et al. 2015, section 3.2).
    To them :meth:`backward` adds ``cost_weight`` times the gradient of :meth:`cost`, what it takes to communicate the
    weights. Outside training the means are used.

    Parameters
    ----------
    n_in, n_out : int
    activation : {"none", "relu", "sigmoid", "tanh"}
    rng : Generator or int
        Of the initial means; its seed and position seed the noise of this layer.
    weights : initialiser, optional
        Of the means, as for :class:`~hintoncore.nn.Linear`.
    std : float > 0
        Initial standard deviation of all weights and biases.
    prior : CodingPrior, optional
        A single adaptive Gaussian when left out. Weights and biases share it.
    cost_weight : float >= 0
        Of the coding cost beside the loss. For a loss that is a mean negative log-likelihood in nats over N training
        rows, 1 / N makes the description length of the data and the weights, over N.

    References
    ----------
    G. E. Hinton, D. van Camp, "Keeping neural networks simple by minimizing the description length of the weights",
    COLT 1993; A. Graves, "Practical variational inference for neural networks", NIPS 2011; C. Blundell et al., "Weight
    uncertainty in neural networks", ICML 2015.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        activation: str = "none",
        rng: RngLike,
        weights: init.Initialiser | None = None,
        std: float = 0.1,
        prior: CodingPrior | None = None,
        cost_weight: float = 0.0,
    ) -> None:
        super().__init__()
        self.n_in, self.n_out = as_count(n_in, "n_in"), as_count(n_out, "n_out")
        if activation not in ("none", "relu", "sigmoid", "tanh"):
            raise ValueError(f"activation: expected 'none', 'relu', 'sigmoid' or 'tanh', given {activation!r}")
        self.activation = activation
        self.std, self.cost_weight = as_number(std, "std"), as_number(cost_weight, "cost_weight")
        if self.std <= 0:
            raise ValueError(f"std: expected a number > 0, given {std}")
        if self.cost_weight < 0:
            raise ValueError(f"cost_weight: expected a number >= 0, given {cost_weight}")
        generator = as_generator(rng)
        self.seed = derive_seed(generator.seed, Stream.TRAINING, generator.advance(1))
        draw = weights or (init.he if activation == "relu" else init.glorot)
        mean = np.zeros((self.n_in + 1, self.n_out), dtype=np.float32)
        mean[:-1] = draw(self.n_in, self.n_out, generator)
        self.prior = prior or CodingPrior(1, 1.0)
        self._add("mean", mean)  # the last row is that of the biases
        self._add("log_std", np.full_like(mean, np.log(self.std)))
        for name, value in zip(CodingPrior.names, self.prior.initial(), strict=True):
            self._add(f"prior_{name}", value)
        self._offset = 0
        self._drawn: tuple[Array, Array, Array] | None = None
        self._y: Array | None = None

    def decayed(self) -> set[str]:
        """None: the coding cost is in their place."""
        return set()

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Output for x [B, n_in], with drawn weights when training and with their means otherwise."""
        mean = self._parameters["mean"]
        deviation = np.zeros_like(mean)
        if training:
            noise = Generator(self.seed, self._offset).normal(mean.shape).astype(mean.dtype, copy=False)
            deviation = np.exp(self._parameters["log_std"]) * noise
            self._offset += 2
        drawn = mean + deviation
        self._drawn = x, drawn, deviation
        self._y = _arithmetic.linear(x, drawn[:-1], drawn[-1], self.activation)
        return self._y

    def backward(self, dy: Array, *, input_gradient: bool = True) -> Array | None:
        """Gradients from dy [B, n_out], that of the coding cost among them; returns the gradient of x."""
        x, drawn, deviation = self._kept("_drawn")
        y, grads = self._kept("_y"), self._gradients
        dw = grads["mean"]
        dx = _arithmetic.linear_backward(
            x, drawn[:-1], y, dy, self.activation, dw[:-1], dw[-1], input_gradient=input_gradient
        )
        grads["log_std"][...] = dw * deviation
        if self.cost_weight == 0:
            for name in CodingPrior.names:
                grads[f"prior_{name}"].fill(0)
            return dx
        _, of_weights, of_prior = self._cost()
        for name, gradient in zip(("mean", "log_std"), of_weights, strict=True):
            grads[name] += dw.dtype.type(self.cost_weight) * gradient
        for name, gradient in zip(CodingPrior.names, of_prior, strict=True):
            grads[f"prior_{name}"][...] = self.cost_weight * gradient
        return dx

    def cost(self) -> float:
        """Nats to communicate weights and biases to the precision that their noise leaves."""
        return self._cost()[0]

    def _cost(self) -> tuple[float, tuple[Array, Array], tuple[Array, Array, Array]]:
        prior = (self._parameters[f"prior_{name}"] for name in CodingPrior.names)
        return self.prior.cost(self._parameters["mean"], self._parameters["log_std"], *prior)

    def counters(self) -> dict[str, int]:
        """The offset of the next noise."""
        return {"offset": self._offset}

    def set_counters(self, counters: Mapping[str, int]) -> None:
        """Go to an offset."""
        self._offset = counters["offset"]

    def describe(self) -> dict[str, Any]:
        """Kind, sizes, activation, noise and prior."""
        return {
            **super().describe(),
            "n_in": self.n_in,
            "n_out": self.n_out,
            "activation": self.activation,
            "seed": self.seed,
            "components": self.prior.n_components,
            "cost_weight": self.cost_weight,
        }
