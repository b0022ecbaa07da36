"""Recurrent layers: whole sequences in one call of the kernels, exact backpropagation through time."""

from __future__ import annotations

from typing import Any

import numpy as np

from hintoncore._counts import as_count
from hintoncore._validate import as_number, given
from hintoncore.generator import RngLike, as_generator
from hintoncore.nn import _arithmetic, init
from hintoncore.nn._arithmetic import Array
from hintoncore.nn.layers import Layer

__all__ = ["RNN"]

_FEW_INPUTS = 16  # a step: their product is done inside the recurrence's


class RNN(Layer):
    """A recurrent layer, ``h_t = f(x_t w_x + b + h_{t-1} w_h)`` with ``h_{-1} = 0``; by default the IRNN.

    The IRNN of Le, Jaitly and Hinton (2015) has rectified units, recurrent weights that start as the identity and small
    input weights: at first each unit keeps what it has added up, and gradients come back through any number of steps as
    they are. Its backward pass keeps one array, the states.

    Parameters
    ----------
    n_in, n_hidden : int
    activation : {"relu", "tanh", "sigmoid", "none"}
    rng : Generator or int
        Of the initial weights.
    weights : initialiser, optional
        Of the input weights; normal with standard deviation 0.001 unless given.
    recurrent : initialiser
        Of the recurrent weights; the identity unless given. ``init.scaled_identity(0.01)`` makes the paper's choice for
        tasks with short memory, ``init.orthogonal()`` suits tanh.
    bias : float
        Initial value of all biases.
    sequences : bool
        Return all states, not just the last.
    batch_first : bool
        Inputs and states of all steps are [B, T, ...], so that the rows of a data set are its sequences, and not [T, B,
        ...], in which the kernels work.

    Attributes
    ----------
    w_x : array, shape [n_in, n_hidden]
    w_h : array, shape [n_hidden, n_hidden]
    b : array, shape [n_hidden]

    References
    ----------
    Le, Jaitly and Hinton (2015), A simple way to initialize recurrent networks of rectified linear units.
    """

    def __init__(
        self,
        n_in: int,
        n_hidden: int,
        *,
        activation: str = "relu",
        rng: RngLike,
        weights: init.Initialiser | None = None,
        recurrent: init.Initialiser = init.identity,
        bias: float = 0.0,
        sequences: bool = False,
        batch_first: bool = False,
    ) -> None:
        super().__init__()
        self.n_in, self.n_hidden = as_count(n_in, "n_in"), as_count(n_hidden, "n_hidden")
        if activation not in ("none", "relu", "sigmoid", "tanh"):
            raise ValueError(f"activation: expected 'none', 'relu', 'sigmoid' or 'tanh', given {activation!r}")
        self.activation, self.sequences, self.batch_first = activation, bool(sequences), bool(batch_first)
        generator = as_generator(rng)
        for name, draw, rows in (
            ("w_x", weights or init.gaussian(0.001), self.n_in),
            ("w_h", recurrent, self.n_hidden),
        ):
            w = draw(rows, self.n_hidden, generator)
            if w.shape != (rows, self.n_hidden):
                raise ValueError(f"{name}: expected shape {(rows, self.n_hidden)} from the initialiser, got {given(w)}")
            self._add(name, np.ascontiguousarray(w, dtype=np.float32))
        self._add("b", np.full(self.n_hidden, as_number(bias, "bias"), dtype=np.float32))
        self._x: Array | None = None
        self._h: Array | None = None
        self._h0: Array | None = None
        self.dh0: Array | None = None

    @property
    def w_x(self) -> Array:
        """Input weights, [n_in, n_hidden]."""
        return self._parameters["w_x"]

    @property
    def w_h(self) -> Array:
        """Recurrent weights, [n_hidden, n_hidden]."""
        return self._parameters["w_h"]

    @property
    def b(self) -> Array:
        """Biases, [n_hidden]."""
        return self._parameters["b"]

    def forward(self, x: Array, *, training: bool = False, h0: Array | None = None) -> Array:
        """The last state [B, n_hidden], or all of them, for sequences x.

        Without ``training`` and ``sequences`` no state but the last is stored, and no backward pass is possible.

        Parameters
        ----------
        x : array, shape [T, B, n_in], or with ``batch_first`` [B, T, n_in], or [B, T] for one input
        h0 : array, shape [B, n_hidden], optional
            State before the first step; after :meth:`backward` its gradient is in ``dh0``.
        """
        steps = self._time_first(x)
        self._x, self._h0, self._h = steps, h0, None
        if not (training or self.sequences):
            return self._states(steps, h0, last_only=True)
        self._h = self._states(steps, h0, last_only=False)
        if not self.sequences:
            return np.asarray(self._h[-1])
        return np.ascontiguousarray(self._h.swapaxes(0, 1)) if self.batch_first else self._h

    def backward(self, dy: Array, *, input_gradient: bool = True) -> Array | None:
        """Gradients from that of what :meth:`forward` returned; returns that of x."""
        if self._h is None:
            raise RuntimeError("RNN.backward: call forward with training=True first")
        x, h = self._kept("_x"), self._h
        dh = np.ascontiguousarray(dy.swapaxes(0, 1)) if self.sequences and self.batch_first else dy
        gradients = self._gradients
        if self.n_in <= _FEW_INPUTS and not input_gradient:
            found = _arithmetic.rnn_inputs_backward(h, x, self.w_h, dh, self._h0, self.activation)
            gradients["w_x"][...], gradients["b"][...], gradients["w_h"][...], self.dh0 = found
            return None
        dz, gradients["w_h"][...], self.dh0 = _arithmetic.rnn_backward(h, self.w_h, dh, self._h0, self.activation)
        rows, dz = _rows(x), _rows(dz)
        dx = _arithmetic.linear_backward(
            rows, self.w_x, dz, dz, "none", gradients["w_x"], gradients["b"], input_gradient=input_gradient
        )
        if dx is None or not input_gradient:
            return None
        dx = dx.reshape(x.shape)
        return np.ascontiguousarray(dx.swapaxes(0, 1)) if self.batch_first else dx

    def describe(self) -> dict[str, Any]:
        """Kind, sizes, activation, layout."""
        return {
            **super().describe(),
            "n_in": self.n_in,
            "n_hidden": self.n_hidden,
            "activation": self.activation,
            "sequences": self.sequences,
            "batch_first": self.batch_first,
        }

    def _time_first(self, x: Array) -> Array:
        """x as [T, B, n_in], contiguous."""
        x = np.asarray(x)
        if self.batch_first and x.ndim == 2 and self.n_in == 1:
            x = x[:, :, None]
        if x.ndim != 3 or x.shape[2] != self.n_in:
            axes = "[B, T, n_in]" if self.batch_first else "[T, B, n_in]"
            raise ValueError(f"x: expected shape {axes} with n_in = {self.n_in}, given {given(x)}")
        return np.ascontiguousarray(x.swapaxes(0, 1)) if self.batch_first else x

    def _states(self, x: Array, h0: Array | None, *, last_only: bool) -> Array:
        if self.n_in <= _FEW_INPUTS:
            return _arithmetic.rnn_inputs(x, self.w_x, self.b, self.w_h, h0, self.activation, last_only=last_only)
        z = _arithmetic.linear(_rows(x), self.w_x, self.b, "none").reshape(*x.shape[:2], self.n_hidden)
        return _arithmetic.rnn(z, self.w_h, h0, self.activation, last_only=last_only)


def _rows(x: Array) -> Array:
    """All steps of all sequences as rows of a matrix."""
    return x.reshape(-1, x.shape[-1])
