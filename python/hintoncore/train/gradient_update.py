"""From a gradient to new parameters: momentum, weight decay, centring and sparsity targets.

The model keeps the parameters of the ordinary RBM. A centred machine,
``E = -(v - mu)^T a - (h - lambda)^T c - (v - mu)^T w (h - lambda)``, is that RBM with ``b_vis = a - w lambda`` and
``b_hid = c - w^T mu``: learning moves ``a``, ``c`` and ``w``, and the biases follow. Offsets may then change from one
update to the next without changing the model, the reparametrisation of [1]_, algorithm 1.

References
----------
.. [1] J. Melchior, A. Fischer, L. Wiskott, "How to center deep Boltzmann machines", JMLR 17, 2016.
.. [2] K. Cho, T. Raiko, A. Ilin, "Enhanced gradient and adaptive learning rate for training restricted Boltzmann
       machines", ICML 2011.
.. [3] G. E. Hinton, "A practical guide to training restricted Boltzmann machines", UTML TR 2010-003, 2010.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hintoncore import ops
from hintoncore.ops import CDGradient

if TYPE_CHECKING:
    from hintoncore.models.rbm import RBM

__all__ = ["Centring", "GradientUpdate", "Sparsity", "centring", "move_average"]

Float32Array = NDArray[np.float32]
Velocity = tuple[Float32Array, Float32Array, Float32Array]

_KINDS = ("data", "enhanced")


@dataclass(frozen=True)
class Centring:
    """The centred gradient: offsets mu and lambda are subtracted from visible and hidden units [1]_.

    ``dw = <(v - mu)(h - lambda)^T>_data - <(v - mu)(h - lambda)^T>_model``, and the biases follow so that the update
    does not depend on which states are called 1 and which 0.

    Parameters
    ----------
    offsets : {"data", "enhanced"}
        What the moving averages mu and lambda are of: means over the data, or halfway between those of data and model,
        the enhanced gradient of [2]_.
    rate : float in (0, 1]
        ``mu = (1 - rate) mu + rate mean`` in each update, before its gradient is taken; 0.01 in [1]_. 1 takes the means
        of the minibatch.
    """

    offsets: str = "data"
    rate: float = 0.01

    def __post_init__(self) -> None:
        if self.offsets not in _KINDS:
            raise ValueError(f"offsets: expected 'data' or 'enhanced', given {self.offsets!r}")
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate: expected 0 < rate <= 1, given {self.rate}")

    def describe(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {"offsets": self.offsets, "rate": self.rate}


@dataclass(frozen=True)
class Sparsity:
    """A penalty that pulls the mean activity q of each hidden unit to a target p ([3]_, section 11).

    It is the cross entropy of p and q, whose derivative with respect to the unit's total input is q - p:
    ``cost (q - p)`` is taken off the gradient of the hidden bias, and times the mean of each visible unit off that of
    the weights.

    Parameters
    ----------
    target : float in (0, 1)
        p; 0.01 to 0.1 in the guide.
    cost : float >= 0
    decay : float in [0, 1)
        Of ``q = decay q + (1 - decay) q_minibatch``; 0.9 to 0.99 in the guide.
    """

    target: float
    cost: float
    decay: float = 0.9

    def __post_init__(self) -> None:
        if not 0 < self.target < 1:
            raise ValueError(f"target: expected 0 < target < 1, given {self.target}")
        if not (math.isfinite(self.cost) and self.cost >= 0):
            raise ValueError(f"cost: expected a number >= 0, given {self.cost}")
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay: expected 0 <= decay < 1, given {self.decay}")

    def describe(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {"target": self.target, "cost": self.cost, "decay": self.decay}


def centring(centred: bool | str | Centring) -> Centring | None:
    """What ``RBM.fit`` takes as ``centred``: False, True, the kind of offsets, or settings.

    Raises
    ------
    ValueError, TypeError
        If it is none of them.
    """
    if isinstance(centred, Centring):
        return centred
    if isinstance(centred, str):
        return Centring(centred)
    if isinstance(centred, (bool, np.bool_)):
        return Centring() if centred else None
    raise TypeError(f"centred: expected a bool, 'data', 'enhanced' or Centring, given {type(centred).__name__}")


class GradientUpdate:
    """Applies gradients to one RBM; a velocity, offsets and mean activities live from update to update.

    Parameters
    ----------
    model : RBM
        Updated in place.
    velocity : three arrays shaped like w, b_vis, b_hid, or None
        None: no momentum. Of a centred machine the last two are those of its own biases.
    weight_decay, l1 : float >= 0
        Penalties on the weights.
    centring : Centring, optional
    sparsity : Sparsity, optional
    means : (visible [V], hidden [H])
        Means over the data to start offsets and mean activities from.
    """

    def __init__(
        self,
        model: RBM,
        velocity: Velocity | None,
        *,
        weight_decay: float,
        l1: float,
        centring: Centring | None,
        sparsity: Sparsity | None,
        means: tuple[NDArray[Any], NDArray[Any]],
    ) -> None:
        self._model = model
        self._velocity = velocity
        self._weight_decay, self._l1 = weight_decay, l1
        self._centring, self._sparsity = centring, sparsity
        self.offsets: tuple[Float32Array, Float32Array] | None = None
        if centring is not None:
            self.offsets = (means[0].astype(np.float32), means[1].astype(np.float32))
        self.activity: Float32Array | None = None if sparsity is None else means[1].astype(np.float32)

    def apply(self, gradient: CDGradient, learning_rate: float, momentum: float) -> None:
        """Update the model.

        Raises
        ------
        FloatingPointError
            If a parameter is NaN or infinite now.
        """
        model, rate, keep = self._model, np.float32(learning_rate), np.float32(momentum)
        grad_vis, grad_hid = gradient.b_vis, gradient.b_hid
        left: list[Float32Array] = []
        right: list[Float32Array] = []
        if self._sparsity is not None and self.activity is not None:
            move_average(self.activity, 1.0 - self._sparsity.decay, gradient.data_hid)
            pull = np.float32(self._sparsity.cost) * (self.activity - np.float32(self._sparsity.target))
            left, right = [gradient.data_vis], [pull]
            grad_hid = grad_hid - pull
        if self.offsets is not None:
            mu, lam = self.offsets
            self._move_offsets(gradient)
            # dw at fixed biases of the centred machine, b_vis = a - w lambda and b_hid = c - w^T mu, by the chain rule.
            left, right = [*left, grad_vis, mu], [*right, lam, grad_hid]
        follow = ops.weight_update(
            model.w,
            gradient.w,
            lr=learning_rate,
            momentum=momentum,
            velocity=None if self._velocity is None else self._velocity[0],
            weight_decay=self._weight_decay,
            l1=self._l1,
            outer=(np.stack(left), np.stack(right)) if left else None,
            offsets=self.offsets,
        )
        for i, (bias, grad) in enumerate(((model.b_vis, grad_vis), (model.b_hid, grad_hid))):
            step = rate * grad
            if self._velocity is not None:
                velocity = self._velocity[i + 1]
                velocity *= keep
                velocity += step
                step = velocity
            bias += step if follow is None else step - follow[i]
            if not np.isfinite(bias).all():
                raise FloatingPointError(
                    f"{('b_vis', 'b_hid')[i]}: the update produced NaN or infinity; the learning rate is too large"
                )

    def tensors(self) -> dict[str, NDArray[Any]]:
        """What a checkpoint keeps, apart from the velocity: the arrays themselves."""
        found: dict[str, NDArray[Any]] = {}
        if self.offsets is not None:
            found.update({"offsets.visible": self.offsets[0], "offsets.hidden": self.offsets[1]})
        if self.activity is not None:
            found["activity"] = self.activity
        return found

    def load_state(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Copy what :meth:`tensors` returned in."""
        for name, tensor in self.tensors().items():
            tensor[...] = tensors[name]

    def _move_offsets(self, gradient: CDGradient) -> None:
        assert self._centring is not None
        assert self.offsets is not None
        visible, hidden = gradient.data_vis, gradient.data_hid
        if self._centring.offsets == "enhanced":
            visible = np.float32(0.5) * (visible + gradient.model_vis)
            hidden = np.float32(0.5) * (hidden + gradient.model_hid)
        move_average(self.offsets[0], self._centring.rate, visible)
        move_average(self.offsets[1], self._centring.rate, hidden)


def move_average(average: Float32Array, rate: float, value: Float32Array) -> None:
    """Move an exponential average in place."""
    average += np.float32(rate) * (value - average)
