"""Gradients of a network against central differences in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hintoncore._counts import as_count
from hintoncore._validate import as_number
from hintoncore.nn._arithmetic import Array
from hintoncore.nn.layers import Layer
from hintoncore.nn.losses import Loss, SoftmaxCrossEntropy

__all__ = ["GradientCheck", "check_gradients"]


@dataclass(frozen=True)
class GradientCheck:
    """What :func:`check_gradients` found.

    Attributes
    ----------
    difference : dict of str to float
        By parameter (and ``"input"``): largest difference of the backward pass, run in float64, from central
        differences.
    kernel : dict of str to float
        By parameter: largest difference of the kernels' float32 gradient from that float64 one, relative to its
        largest element.
    """

    difference: dict[str, float] = field(default_factory=dict)
    kernel: dict[str, float] = field(default_factory=dict)

    @property
    def largest_difference(self) -> float:
        """The largest of ``difference``."""
        return max(self.difference.values())

    @property
    def largest_kernel_error(self) -> float:
        """The largest of ``kernel``."""
        return max(self.kernel.values())


def check_gradients(
    model: Layer, x: Array, target: Array, *, loss: Loss | None = None, samples: int = 100, step: float = 1e-5
) -> GradientCheck:
    """Compare the backward pass of a network with central differences of its loss.

    The differences are taken on a float64 copy, whose layers compute by :mod:`hintoncore.reference`; so a right
    gradient agrees to about 1e-8, and the float32 gradient of the kernels is compared with that one. Random layers draw
    the same numbers each time. A unit whose input is within ``step`` of the kink of a rectifier may show up as a
    difference.

    Parameters
    ----------
    model : Layer
        Its parameters and counters are left as they are.
    x : array, shape [B, ...]
        Inputs; of integers for a network that begins with an :class:`~hintoncore.nn.Embedding`.
    target : array
        As ``loss`` takes it.
    loss : Loss, optional
        :class:`~hintoncore.nn.SoftmaxCrossEntropy` when left out.
    samples : int >= 1
        Elements of each array to vary, evenly spaced.
    step : float > 0
        Half the distance of the two points.

    Returns
    -------
    GradientCheck
    """
    loss = loss or SoftmaxCrossEntropy()
    samples, step = as_count(samples, "samples"), as_number(step, "step")
    counters = model.counters()
    exact = model.astype(np.float64)
    x = np.asarray(x)
    inputs: Array = x.astype(np.float64) if x.dtype.kind == "f" else x

    def gradients(network: Layer, batch: Array) -> tuple[dict[str, Array], Array | None]:
        network.set_counters(counters)
        _, dy = loss(network.forward(batch, training=True), target)
        dx = network.backward(dy)
        return {name: gradient.copy() for name, gradient in network.gradients().items()}, dx

    def value() -> float:
        exact.set_counters(counters)
        return loss(exact.forward(inputs, training=True), target)[0]

    expected, dx = gradients(exact, inputs)
    varied = {name: (parameter, expected[name]) for name, parameter in exact.parameters().items()}
    if dx is not None:
        varied["input"] = inputs, dx
    difference = {
        name: max(
            abs(_central_difference(value, array, at, step) - gradient[at])
            for at in _evenly_spaced(array.shape, samples)
        )
        for name, (array, gradient) in varied.items()
    }
    found, _ = gradients(model, x.astype(np.float32) if x.dtype.kind == "f" else x)
    model.set_counters(counters)
    kernel = {
        name: float(np.abs(found[name] - gradient).max() / max(np.abs(gradient).max(), 1e-30))
        for name, gradient in expected.items()
    }
    return GradientCheck({name: float(value) for name, value in difference.items()}, kernel)


def _evenly_spaced(shape: tuple[int, ...], count: int) -> list[tuple[int, ...]]:
    size = int(np.prod(shape))
    flat = np.unique(np.linspace(0, size - 1, min(count, size)).astype(np.intp))
    return [tuple(int(i) for i in np.unravel_index(at, shape)) for at in flat]


def _central_difference(value: Callable[[], float], array: Array, at: tuple[int, ...], step: float) -> float:
    kept = array[at]
    array[at] = kept + step
    above = value()
    array[at] = kept - step
    below = value()
    array[at] = kept
    return (above - below) / (2 * step)
