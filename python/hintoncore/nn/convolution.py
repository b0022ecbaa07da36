"""Layers of images [B, C, H, W]: convolution, max-pooling, and the way from images to rows and back.

A small network for the 8x8 digits:

>>> import numpy as np
>>> import hintoncore as hc
>>> from hintoncore import nn
>>> from hintoncore.datasets import load
>>> digits = load("digits")
>>> rng = hc.Generator(0)
>>> model = nn.Sequential(
...     [
...         nn.Reshape(1, 8, 8),
...         nn.Conv2d(1, 16, 3, padding=1, activation="relu", rng=rng),
...         nn.MaxPool2d(2),
...         nn.Conv2d(16, 32, 3, activation="relu", rng=rng),
...         nn.Flatten(),
...         nn.Linear(32 * 2 * 2, 10, rng=rng),
...     ]
... )
>>> loss, optimiser, order = nn.SoftmaxCrossEntropy(), nn.Adam(0.003), np.random.default_rng(0)
>>> for _ in range(15):
...     for rows in np.array_split(order.permutation(len(digits.train)), 30):
...         value, dy = loss(model.forward(digits.train[rows], training=True), digits.train_labels[rows])
...         _ = model.backward(dy, input_gradient=False)
...         optimiser.step(model)
>>> float(loss.errors(model.forward(digits.test), digits.test_labels).mean()) < 0.08  # a linear one: 0.13
True
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hintoncore._counts import as_count
from hintoncore._validate import as_int, as_number, given
from hintoncore.generator import RngLike, as_generator
from hintoncore.nn import _arithmetic, init
from hintoncore.nn._arithmetic import Array
from hintoncore.nn.layers import Layer

__all__ = ["Conv2d", "Flatten", "MaxPool2d", "Reshape"]

Pair = int | tuple[int, int]


def _pair(value: Pair, name: str) -> tuple[int, int]:
    """Of rows and of columns."""
    if not isinstance(value, (tuple, list)):
        number = as_count(value, name)
        return number, number
    if len(value) != 2:
        raise ValueError(f"{name}: expected an integer or a pair of them, given {value!r}")
    return as_count(value[0], name), as_count(value[1], name)


class Conv2d(Layer):
    """``y = f(convolution of x with w, plus b)``, with bias and activation inside the kernel.

    Parameters
    ----------
    n_in, n_out : int
        Channels.
    kernel : int or pair of int
        Rows and columns.
    stride : int or pair of int, >= 1
    padding : int or pair of int, >= 0
        Rows and columns of zeros on each side.
    activation : {"none", "relu", "sigmoid", "tanh"}
    rng : Generator or int
        Of the initial weights. The layers of a network share a Generator; an int is the seed of a fresh one.
    weights : initialiser, optional
        See :mod:`hintoncore.nn.init`; ``he`` for rectified linear units, ``glorot`` for others. It is asked for
        (n_in kh kw, n_out): a unit has so many inputs. ``glorot`` is told, besides, that an input acts on n_out kh kw
        outputs.
    bias : float or None
        Initial value of all biases; None for a layer without.

    Attributes
    ----------
    w : array, shape [n_out, n_in, kh, kw]
    b : array, shape [n_out], or None

    References
    ----------
    LeCun et al. (1989), Backpropagation applied to handwritten zip code recognition, Neural Computation 1.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel: Pair,
        *,
        stride: Pair = 1,
        padding: Pair = 0,
        activation: str = "none",
        rng: RngLike,
        weights: init.Initialiser | None = None,
        bias: float | None = 0.0,
    ) -> None:
        super().__init__()
        self.n_in, self.n_out = as_count(n_in, "n_in"), as_count(n_out, "n_out")
        self.kernel, self.stride = _pair(kernel, "kernel"), _pair(stride, "stride")
        self.padding = _padding(padding)
        if activation not in ("none", "relu", "sigmoid", "tanh"):
            raise ValueError(f"activation: expected 'none', 'relu', 'sigmoid' or 'tanh', given {activation!r}")
        self.activation = activation
        draw = weights or (init.he if activation == "relu" else init.glorot)
        taps = self.kernel[0] * self.kernel[1]
        sizes, generator = (self.n_in * taps, self.n_out), as_generator(rng)
        if draw is init.glorot:
            w = init.glorot(*sizes, generator, fan_out=self.n_out * taps)
        else:
            w = draw(*sizes, generator)
        if w.shape != sizes:
            raise ValueError(f"weights: expected shape {sizes} from the initialiser, got {given(w)}")
        shape = (self.n_out, self.n_in, *self.kernel)
        self._add("w", np.ascontiguousarray(w.T, dtype=np.float32).reshape(shape))
        if bias is not None:
            self._add("b", np.full(self.n_out, as_number(bias, "bias"), dtype=np.float32))
        self._x: Array | None = None
        self._y: Array | None = None

    @property
    def w(self) -> Array:
        """Weights, [n_out, n_in, kh, kw]."""
        return self._parameters["w"]

    @property
    def b(self) -> Array | None:
        """Biases, [n_out]."""
        return self._parameters.get("b")

    def forward(self, x: Array, *, training: bool = False) -> Array:  # noqa: ARG002
        """Feature maps [B, n_out, OH, OW] of images x [B, n_in, H, W]."""
        self._x = x
        self._y = _arithmetic.conv2d(x, self.w, self.b, self.stride, self.padding, self.activation)
        return self._y

    def backward(self, dy: Array, *, input_gradient: bool = True) -> Array | None:
        """Gradients from dy [B, n_out, OH, OW]; returns that of x."""
        x, y = self._kept("_x"), self._kept("_y")
        dw, db = self._gradients["w"], self._gradients.get("b")
        how = self.stride, self.padding, self.activation
        return _arithmetic.conv2d_backward(x, self.w, y, dy, *how, dw, db, input_gradient=input_gradient)

    def describe(self) -> dict[str, Any]:
        """Kind, sizes, activation."""
        return {
            **super().describe(),
            "n_in": self.n_in,
            "n_out": self.n_out,
            "kernel": list(self.kernel),
            "stride": list(self.stride),
            "padding": list(self.padding),
            "activation": self.activation,
            "bias": self.b is not None,
        }


def _padding(value: Pair) -> tuple[int, int]:
    pair = (value, value) if not isinstance(value, (tuple, list)) else value
    if len(pair) != 2:
        raise ValueError(f"padding: expected an integer or a pair of them, given {value!r}")
    rows, columns = (as_int(n, "padding", 0, 2**29 - 1) for n in pair)
    return rows, columns


class MaxPool2d(Layer):
    """Maxima over windows of each channel.

    Parameters
    ----------
    window : int or pair of int
        Rows and columns.
    stride : int or pair of int, optional
        The window unless given.
    """

    def __init__(self, window: Pair, *, stride: Pair | None = None) -> None:
        super().__init__()
        self.window = _pair(window, "window")
        self.stride = self.window if stride is None else _pair(stride, "stride")
        self._winners: tuple[Array, tuple[int, int]] | None = None

    def forward(self, x: Array, *, training: bool = False) -> Array:  # noqa: ARG002
        """Maxima [B, C, OH, OW] of images x [B, C, H, W]."""
        y, index = _arithmetic.max_pool2d(x, self.window, self.stride)
        self._winners = index, (x.shape[2], x.shape[3])
        return y

    def backward(self, dy: Array, *, input_gradient: bool = True) -> Array | None:
        """The gradient of each maximum goes to where it was."""
        return _arithmetic.max_pool2d_backward(dy, *self._kept("_winners")) if input_gradient else None

    def describe(self) -> dict[str, Any]:
        """Kind, window and stride."""
        return {**super().describe(), "window": list(self.window), "stride": list(self.stride)}


class Reshape(Layer):
    """Each row of a batch in another shape.

    Parameters
    ----------
    *shape : int
        Without the batch.
    """

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = tuple(as_count(n, "shape") for n in shape)
        self._from: tuple[int, ...] | None = None

    def forward(self, x: Array, *, training: bool = False) -> Array:  # noqa: ARG002
        """The values of x [B, ...] as [B, *shape]."""
        if int(np.prod(x.shape[1:])) != int(np.prod(self.shape)):
            raise ValueError(f"x: expected {int(np.prod(self.shape))} values in each row, given shape {x.shape}")
        self._from = x.shape
        return x.reshape(len(x), *self.shape)

    def backward(self, dy: Array, *, input_gradient: bool = True) -> Array | None:  # noqa: ARG002
        """The values of dy in the shape of x."""
        gradient: Array = dy.reshape(self._kept("_from"))
        return gradient

    def describe(self) -> dict[str, Any]:
        """Kind and shape."""
        return {**super().describe(), "shape": list(self.shape)}


class Flatten(Layer):
    """Each image, or whatever a row of the batch is, as a row of numbers."""

    def __init__(self) -> None:
        super().__init__()
        self._from: tuple[int, ...] | None = None

    def forward(self, x: Array, *, training: bool = False) -> Array:  # noqa: ARG002
        """The values of x [B, ...] as [B, N]."""
        self._from = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dy: Array, *, input_gradient: bool = True) -> Array | None:  # noqa: ARG002
        """The values of dy in the shape of x."""
        gradient: Array = dy.reshape(self._kept("_from"))
        return gradient
