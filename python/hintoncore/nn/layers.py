"""Layers: a forward pass that keeps what the backward pass needs, and a backward pass."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from hintoncore import ops
from hintoncore._counts import as_count
from hintoncore._streams import Stream, derive_seed
from hintoncore._validate import as_number, given
from hintoncore.generator import RngLike, as_generator
from hintoncore.nn import _arithmetic, init
from hintoncore.nn._arithmetic import Array

__all__ = ["Dropout", "Layer", "LayerNorm", "Linear"]

Self = TypeVar("Self", bound="Layer")


class Layer(ABC):
    """Base class of layers.

    A subclass puts its parameters into ``self._parameters`` by :meth:`_add`, and its backward pass writes their
    gradients into the arrays of the same names in ``self._gradients``.
    """

    def __init__(self) -> None:
        self._parameters: dict[str, Array] = {}
        self._gradients: dict[str, Array] = {}

    @abstractmethod
    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Output for a batch; ``training`` turns on what only training does, such as dropout."""

    @abstractmethod
    def backward(self, dy: Array, *, input_gradient: bool = True) -> Array | None:
        """Gradient of the loss with respect to the input of the last :meth:`forward`, given that for its output.

        The gradients of the parameters are in :meth:`gradients` after it. Without ``input_gradient`` the result may be
        None: the first layer of a network need not compute it.
        """

    def parameters(self) -> dict[str, Array]:
        """Parameters by name: the arrays themselves, which optimisers update."""
        return self._parameters

    def gradients(self) -> dict[str, Array]:
        """Gradients of the last :meth:`backward`, named as :meth:`parameters` are."""
        return self._gradients

    def decayed(self) -> set[str]:
        """Names of the parameters that weight decay applies to: weights, not biases."""
        return {name for name, parameter in self._parameters.items() if parameter.ndim > 1}

    def constrain(self) -> None:  # noqa: B027  # most layers have no constraint
        """Bring parameters back to what they are constrained to, after an update."""

    def counters(self) -> dict[str, int]:
        """Positions in random streams, which a checkpoint must keep."""
        return {}

    def set_counters(self, counters: Mapping[str, int]) -> None:
        """Restore what :meth:`counters` returned."""
        if counters:
            raise ValueError(f"counters: {type(self).__name__} has none, given {sorted(counters)}")

    def describe(self) -> dict[str, Any]:
        """Kind and sizes as JSON values."""
        return {"layer": type(self).__name__}

    def astype(self: Self, dtype: DTypeLike) -> Self:
        """A copy with parameters of another type: in float64, every layer computes by the reference."""
        other = copy.deepcopy(self)
        other._convert(np.dtype(dtype))
        return other

    def _convert(self, dtype: np.dtype[Any]) -> None:
        for arrays in (self._parameters, self._gradients):
            for name in arrays:
                arrays[name] = arrays[name].astype(dtype)

    def _add(self, name: str, value: Array) -> None:
        self._parameters[name] = value
        self._gradients[name] = np.zeros_like(value)

    def _kept(self, name: str) -> Any:
        """What the forward pass left under ``name``."""
        value = getattr(self, name)
        if value is None:
            raise RuntimeError(f"{type(self).__name__}.backward: call forward first")
        return value


class Linear(Layer):
    """``y = f(x w + b)``, with bias and activation inside the matrix product.

    Parameters
    ----------
    n_in, n_out : int
    activation : {"none", "relu", "sigmoid", "tanh"}
    rng : Generator or int
        Of the initial weights. The layers of a network share a Generator; an int is the seed of a fresh one.
    weights : initialiser, optional
        See :mod:`hintoncore.nn.init`; ``he`` for rectified linear units, ``glorot`` for others.
    bias : float or None
        Initial value of all biases; None for a layer without.
    max_norm : float, optional
        Bound on the length of the incoming weights of each unit (Srivastava et al. 2014, section 5.1).

    Attributes
    ----------
    w : array, shape [n_in, n_out]
    b : array, shape [n_out], or None
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        activation: str = "none",
        rng: RngLike,
        weights: init.Initialiser | None = None,
        bias: float | None = 0.0,
        max_norm: float | None = None,
    ) -> None:
        super().__init__()
        self.n_in, self.n_out = as_count(n_in, "n_in"), as_count(n_out, "n_out")
        if activation not in ("none", "relu", "sigmoid", "tanh"):
            raise ValueError(f"activation: expected 'none', 'relu', 'sigmoid' or 'tanh', given {activation!r}")
        self.activation = activation
        self.max_norm = None if max_norm is None else as_number(max_norm, "max_norm")
        draw = weights or (init.he if activation == "relu" else init.glorot)
        w = draw(self.n_in, self.n_out, as_generator(rng))
        if w.shape != (self.n_in, self.n_out):
            raise ValueError(f"weights: expected shape {(self.n_in, self.n_out)} from the initialiser, got {given(w)}")
        self._add("w", np.ascontiguousarray(w, dtype=np.float32))
        if bias is not None:
            self._add("b", np.full(self.n_out, as_number(bias, "bias"), dtype=np.float32))
        self._x: Array | None = None
        self._y: Array | None = None

    @property
    def w(self) -> Array:
        """Weights, [n_in, n_out]."""
        return self._parameters["w"]

    @property
    def b(self) -> Array | None:
        """Biases, [n_out]."""
        return self._parameters.get("b")

    def forward(self, x: Array, *, training: bool = False) -> Array:  # noqa: ARG002
        """``f(x w + b)`` for x [B, n_in]."""
        self._x = x
        self._y = _arithmetic.linear(x, self.w, self.b, self.activation)
        return self._y

    def backward(self, dy: Array, *, input_gradient: bool = True) -> Array | None:
        """Gradients from dy [B, n_out]; returns that of x."""
        x, y = self._kept("_x"), self._kept("_y")
        dw, db = self._gradients["w"], self._gradients.get("b")
        return _arithmetic.linear_backward(x, self.w, y, dy, self.activation, dw, db, input_gradient=input_gradient)

    def constrain(self) -> None:
        """Scale the incoming weights of units back to ``max_norm``."""
        if self.max_norm is not None:
            ops.max_norm(self.w, self.max_norm)

    def describe(self) -> dict[str, Any]:
        """Kind, sizes, activation, constraint."""
        return {
            **super().describe(),
            "n_in": self.n_in,
            "n_out": self.n_out,
            "activation": self.activation,
            "bias": self.b is not None,
            "max_norm": self.max_norm,
        }


class Dropout(Layer):
    """Sets a random share of its inputs to 0 while training, and divides the others by what is kept.

    The mask is drawn again in the backward pass from the counter that made it; nothing is stored.

    Parameters
    ----------
    rate : float in [0, 1)
        Share of zeros.
    rng : Generator or int
        Its seed and position seed the masks of this layer.

    References
    ----------
    Hinton et al. (2012), Improving neural networks by preventing co-adaptation of feature detectors; Srivastava et al.
    (2014), Dropout, JMLR 15.
    """

    def __init__(self, rate: float, *, rng: RngLike) -> None:
        super().__init__()
        self.rate = as_number(rate, "rate")
        if not 0 <= self.rate < 1:
            raise ValueError(f"rate: expected a number in [0, 1), given {rate}")
        generator = as_generator(rng)
        self.seed = derive_seed(generator.seed, Stream.TRAINING, generator.advance(1))
        self._offset = 0
        self._masked = False

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Masked x [B, N] when training, x itself otherwise."""
        self._masked = training and self.rate > 0
        if not self._masked:
            return x
        y = _arithmetic.dropout(x, self.rate, self.seed, self._offset)
        self._offset += 1
        return y

    def backward(self, dy: Array, *, input_gradient: bool = True) -> Array | None:
        """The same mask on dy."""
        if not input_gradient:
            return None
        return _arithmetic.dropout(dy, self.rate, self.seed, self._offset - 1) if self._masked else dy

    def counters(self) -> dict[str, int]:
        """The offset of the next mask."""
        return {"offset": self._offset}

    def set_counters(self, counters: Mapping[str, int]) -> None:
        """Go to an offset."""
        self._offset = counters["offset"]

    def describe(self) -> dict[str, Any]:
        """Kind, rate and seed."""
        return {**super().describe(), "rate": self.rate, "seed": self.seed}


class LayerNorm(Layer):
    """``gain * (x - mean) / sqrt(variance + epsilon) + shift`` over the units of each row.

    Parameters
    ----------
    n : int
        Units.
    epsilon : float >= 0

    References
    ----------
    Ba, Kiros and Hinton (2016), Layer normalization.
    """

    def __init__(self, n: int, *, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.n = as_count(n, "n")
        self.epsilon = as_number(epsilon, "epsilon")
        self._add("gain", np.ones(self.n, dtype=np.float32))
        self._add("shift", np.zeros(self.n, dtype=np.float32))
        self._statistics: tuple[Array, Array, Array] | None = None

    def forward(self, x: Array, *, training: bool = False) -> Array:  # noqa: ARG002
        """Normalised x [B, n]."""
        parameters = self._parameters
        y, mean, inverse_std = _arithmetic.layer_norm(x, parameters["gain"], parameters["shift"], self.epsilon)
        self._statistics = x, mean, inverse_std
        return y

    def backward(self, dy: Array, *, input_gradient: bool = True) -> Array | None:  # noqa: ARG002
        """Gradients from dy [B, n]; returns that of x."""
        x, mean, inverse_std = self._kept("_statistics")
        dx, dgain, dshift = _arithmetic.layer_norm_backward(x, mean, inverse_std, dy, self._parameters["gain"])
        self._gradients["gain"][...] = dgain
        self._gradients["shift"][...] = dshift
        return dx

    def describe(self) -> dict[str, Any]:
        """Kind, size, epsilon."""
        return {**super().describe(), "n": self.n, "epsilon": self.epsilon}
