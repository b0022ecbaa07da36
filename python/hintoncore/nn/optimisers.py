"""Optimisers: each update of a parameter is one pass of a kernel over it, its gradient and its state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from hintoncore import ops
from hintoncore._validate import as_number
from hintoncore.nn._arithmetic import Array
from hintoncore.nn.layers import Layer
from hintoncore.train.schedules import Schedule, as_schedule

__all__ = ["SGD", "Adam", "Momentum", "Nesterov", "Optimiser", "RMSprop"]


class Optimiser(ABC):
    """Base class: goes through the parameters, decays weights, clips, constrains, keeps the state.

    Parameters
    ----------
    learning_rate : float or Schedule
        A schedule is a function of the time in epochs.
    weight_decay : float >= 0
        Of weights, not of biases: an L2 penalty; :class:`Adam` keeps it apart from the gradient unless told otherwise.
    clip_norm : float > 0, optional
        Gradients whose joint norm is larger are scaled back to it.
    """

    state_names: tuple[str, ...] = ()

    def __init__(
        self, learning_rate: float | Schedule, *, weight_decay: float = 0.0, clip_norm: float | None = None
    ) -> None:
        self.learning_rate = as_schedule(learning_rate, "learning_rate")
        self.weight_decay = as_number(weight_decay, "weight_decay")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay: expected a number >= 0, given {weight_decay}")
        self.clip_norm = None if clip_norm is None else as_number(clip_norm, "clip_norm")
        if self.clip_norm is not None and self.clip_norm <= 0:
            raise ValueError(f"clip_norm: expected a number > 0, given {clip_norm}")
        self.steps = 0
        self._state: dict[str, dict[str, Array]] = {}

    def step(self, model: Layer, epoch: float = 0.0) -> None:
        """Update every parameter of ``model`` by the gradients of its last backward pass.

        Raises
        ------
        FloatingPointError
            If a parameter, or the norm that clipping needs, became NaN or infinite: the learning rate is too large.
        """
        self.steps += 1
        parameters, gradients, decayed = model.parameters(), model.gradients(), model.decayed()
        rate, scale = self.learning_rate(epoch), self._clip_factor(gradients)
        for name, parameter in parameters.items():
            decay = self.weight_decay if name in decayed else 0.0
            settings = {"lr": rate, "weight_decay": decay, "grad_scale": scale}
            self._update(parameter, gradients[name], self._state_of(name, parameter), settings, epoch)
        model.constrain()

    @abstractmethod
    def _update(self, w: Array, grad: Array, state: dict[str, Any], settings: dict[str, Any], epoch: float) -> None: ...

    def state(self) -> dict[str, Array]:
        """Arrays that a checkpoint must keep, by names such as ``"velocity.0.w"``."""
        return {f"{kind}.{name}": array for name, arrays in self._state.items() for kind, array in arrays.items()}

    def load_state(self, model: Layer, tensors: Mapping[str, Array], steps: int) -> None:
        """Restore what :meth:`state` returned after ``steps`` steps.

        Raises
        ------
        KeyError, ValueError
            If something is missing or has another shape.
        """
        self.steps, self._state = steps, {}
        if steps == 0:
            return
        for name, parameter in model.parameters().items():
            for kind, array in self._state_of(name, parameter).items():
                array[...] = tensors[f"{kind}.{name}"]

    def describe(self) -> dict[str, Any]:
        """Kind and settings as JSON values."""
        return {
            "optimiser": type(self).__name__,
            "learning_rate": self.learning_rate.describe(),
            "weight_decay": self.weight_decay,
            "clip_norm": self.clip_norm,
        }

    def _state_of(self, name: str, parameter: Array) -> dict[str, Array]:
        if name not in self._state:
            self._state[name] = {kind: np.zeros_like(parameter) for kind in self.state_names}
        return self._state[name]

    def _clip_factor(self, gradients: Mapping[str, Array]) -> float:
        if self.clip_norm is None:
            return 1.0
        norm = float(np.sqrt(sum(ops.sum_of_squares(gradient) for gradient in gradients.values())))
        if not np.isfinite(norm):
            raise FloatingPointError("gradients: their norm is NaN or infinite; lower the learning rate")
        return min(1.0, self.clip_norm / max(norm, 1e-30))


class SGD(Optimiser):
    """``w -= lr g``."""

    def _update(
        self,
        w: Array,
        grad: Array,
        state: dict[str, Any],  # noqa: ARG002
        settings: dict[str, Any],
        epoch: float,  # noqa: ARG002
    ) -> None:
        ops.sgd_update(w, grad, **settings)


class Momentum(Optimiser):
    """``velocity = momentum velocity - lr g``, ``w += velocity`` (Polyak 1964).

    Parameters
    ----------
    learning_rate, momentum : float or Schedule
    weight_decay, clip_norm
        As for :class:`Optimiser`.
    """

    state_names = ("velocity",)
    nesterov = False

    def __init__(
        self,
        learning_rate: float | Schedule,
        momentum: float | Schedule = 0.9,
        *,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, clip_norm=clip_norm)
        self.momentum = as_schedule(momentum, "momentum")

    def _update(self, w: Array, grad: Array, state: dict[str, Any], settings: dict[str, Any], epoch: float) -> None:
        ops.sgd_update(w, grad, momentum=self.momentum(epoch), nesterov=self.nesterov, **state, **settings)

    def describe(self) -> dict[str, Any]:
        """Kind and settings as JSON values."""
        return {**super().describe(), "momentum": self.momentum.describe()}


class Nesterov(Momentum):
    """Momentum with the gradient taken where the velocity leads (Sutskever et al. 2013, eq. 3-4).

    The parameters are kept at that point: the network computes with them.
    """

    nesterov = True


class RMSprop(Optimiser):
    """The gradient divided by a running root mean square of itself (Tieleman and Hinton 2012, lecture 6e).

    Parameters
    ----------
    learning_rate : float or Schedule
    decay : float in [0, 1)
        Of the mean square.
    momentum : float or Schedule
        Of the steps; 0 for none.
    epsilon : float > 0
    weight_decay, clip_norm
        As for :class:`Optimiser`.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        decay: float = 0.9,
        *,
        momentum: float | Schedule = 0.0,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, clip_norm=clip_norm)
        self.decay, self.epsilon = as_number(decay, "decay"), as_number(epsilon, "epsilon")
        self.momentum = as_schedule(momentum, "momentum")
        self.state_names = ("square",) if momentum == 0.0 else ("square", "velocity")

    def _update(self, w: Array, grad: Array, state: dict[str, Any], settings: dict[str, Any], epoch: float) -> None:
        momentum = self.momentum(epoch) if "velocity" in state else 0.0
        ops.rmsprop_update(w, grad, decay=self.decay, epsilon=self.epsilon, momentum=momentum, **state, **settings)

    def describe(self) -> dict[str, Any]:
        """Kind and settings as JSON values."""
        settings = {"decay": self.decay, "momentum": self.momentum.describe(), "epsilon": self.epsilon}
        return {**super().describe(), **settings}


class Adam(Optimiser):
    """Adam (Kingma and Ba 2015), with decoupled weight decay (Loshchilov and Hutter 2019).

    Parameters
    ----------
    learning_rate : float or Schedule
    beta1, beta2 : float in [0, 1)
    epsilon : float > 0
    decoupled : bool
        False: the decay is part of the gradient, an L2 penalty.
    weight_decay, clip_norm
        As for :class:`Optimiser`.
    """

    state_names = ("mean", "square")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        *,
        epsilon: float = 1e-8,
        decoupled: bool = True,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, clip_norm=clip_norm)
        self.decoupled = bool(decoupled)
        self.beta1, self.beta2 = as_number(beta1, "beta1"), as_number(beta2, "beta2")
        self.epsilon = as_number(epsilon, "epsilon")

    def _update(
        self,
        w: Array,
        grad: Array,
        state: dict[str, Any],
        settings: dict[str, Any],
        epoch: float,  # noqa: ARG002
    ) -> None:
        ops.adam_update(
            w,
            grad,
            step=self.steps,
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=self.epsilon,
            decoupled=self.decoupled,
            **state,
            **settings,
        )

    def describe(self) -> dict[str, Any]:
        """Kind and settings as JSON values."""
        settings = {"beta1": self.beta1, "beta2": self.beta2, "epsilon": self.epsilon, "decoupled": self.decoupled}
        return {**super().describe(), **settings}
