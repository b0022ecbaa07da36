"""Networks of layers: in a row, and side by side; and their files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hintoncore.files import load_tensors, save_tensors
from hintoncore.nn._arithmetic import Array
from hintoncore.nn.layers import Layer

__all__ = ["Parallel", "Sequential", "load", "save"]

_FILE_KIND = "network"


class _Composite(Layer):
    """Layers by number; parameters and counters have their names under it, as in ``"2.w"``."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.layers = list(layers)
        if not self.layers or not all(isinstance(layer, Layer) for layer in self.layers):
            raise TypeError(f"layers: expected a sequence of at least one nn.Layer, given {layers!r}")
        for i, layer in enumerate(self.layers):
            if layer in self.layers[:i]:
                raise ValueError(f"layers: layer {i} is there twice; a layer keeps the state of one place")

    def set_parameters(self, tensors: Mapping[str, Array]) -> None:
        """Copy arrays into the parameters of the same names; ValueError when names, shapes or types do not match."""
        set_parameters(self, tensors, "tensors")

    def parameters(self) -> dict[str, Array]:
        """Parameters of all layers."""
        return {f"{i}.{name}": value for i, part in enumerate(self.layers) for name, value in part.parameters().items()}

    def gradients(self) -> dict[str, Array]:
        """Gradients of all layers."""
        return {f"{i}.{name}": value for i, part in enumerate(self.layers) for name, value in part.gradients().items()}

    def decayed(self) -> set[str]:
        """Names of the parameters that weight decay applies to."""
        return {f"{i}.{name}" for i, layer in enumerate(self.layers) for name in layer.decayed()}

    def constrain(self) -> None:
        """Bring the parameters of all layers back to what they are constrained to."""
        for layer in self.layers:
            layer.constrain()

    def counters(self) -> dict[str, int]:
        """Counters of all layers."""
        return {f"{i}.{name}": value for i, part in enumerate(self.layers) for name, value in part.counters().items()}

    def set_counters(self, counters: Mapping[str, int]) -> None:
        """Restore what :meth:`counters` returned."""
        for i, layer in enumerate(self.layers):
            prefix = f"{i}."
            layer.set_counters({name[len(prefix) :]: n for name, n in counters.items() if name.startswith(prefix)})

    def describe(self) -> dict[str, Any]:
        """The layers."""
        return {**super().describe(), "layers": [layer.describe() for layer in self.layers]}

    def _convert(self, dtype: np.dtype[Any]) -> None:
        for layer in self.layers:
            layer._convert(dtype)


class Sequential(_Composite):
    """Layers in a row: each has the output of the one before for its input.

    Parameters
    ----------
    layers : sequence of Layer
    """

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Output of the last layer."""
        for layer in self.layers:
            x = layer.forward(x, training=training)
        return x

    def backward(self, dy: Array, *, input_gradient: bool = True) -> Array | None:
        """Backpropagation through all layers, the last first (Rumelhart, Hinton and Williams 1986)."""
        gradient: Array | None = dy
        for i in reversed(range(len(self.layers))):
            if gradient is None:
                raise ValueError(f"layers: layer {i + 1} passes no gradient on, so it must be the first")
            gradient = self.layers[i].backward(gradient, input_gradient=input_gradient or i > 0)
        return gradient


class Parallel(_Composite):
    """Layers side by side: each takes its own columns of the input, the outputs are laid side by side.

    Parameters
    ----------
    layers : sequence of Layer
    widths : sequence of int
        Columns of the input that each takes.
    """

    def __init__(self, layers: Sequence[Layer], widths: Sequence[int]) -> None:
        super().__init__(layers)
        self.widths = [int(width) for width in widths]
        if len(self.widths) != len(self.layers) or min(self.widths) < 1:
            raise ValueError(f"widths: expected a width >= 1 for each of {len(self.layers)} layers, given {widths}")
        self._cuts: list[int] = []

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Outputs side by side, for x [B, sum of widths]."""
        if x.shape[1] != sum(self.widths):
            raise ValueError(f"x: expected {sum(self.widths)} columns, given {x.shape[1]}")
        parts = np.split(x, np.cumsum(self.widths)[:-1], axis=1)
        outputs = [
            layer.forward(np.ascontiguousarray(part), training=training)
            for layer, part in zip(self.layers, parts, strict=True)
        ]
        self._cuts = list(np.cumsum([y.shape[1] for y in outputs])[:-1])
        return np.concatenate(outputs, axis=1)

    def backward(self, dy: Array, *, input_gradient: bool = True) -> Array | None:
        """Each layer's own part of dy goes back through it."""
        parts = np.split(dy, self._cuts, axis=1)
        gradients = [
            layer.backward(np.ascontiguousarray(part), input_gradient=input_gradient)
            for layer, part in zip(self.layers, parts, strict=True)
        ]
        present = [gradient for gradient in gradients if gradient is not None]
        return np.concatenate(present, axis=1) if len(present) == len(gradients) else None

    def describe(self) -> dict[str, Any]:
        """The layers and their widths."""
        return {**super().describe(), "widths": self.widths}


def save(model: Layer, path: str | os.PathLike[str]) -> None:
    """Write the parameters of a network and its description to a safetensors file, atomically.

    Raises
    ------
    OSError
        If the file cannot be written; an older one stays as it was.
    """
    save_tensors(path, model.parameters(), kind=_FILE_KIND, metadata={"network": model.describe()})


def load(model: Layer, path: str | os.PathLike[str]) -> None:
    """Read what :func:`save` wrote into a network built the same way.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the file is damaged or is not one of a network.
    ValueError
        If its parameters have other names or shapes; nothing is changed then.
    """
    tensors, _ = load_tensors(path, kind=_FILE_KIND)
    set_parameters(model, tensors, str(path))


def set_parameters(model: Layer, tensors: Mapping[str, Array], source: str) -> None:
    """Copy arrays into the parameters of the same names; ValueError, before any is written, when they do not match."""
    parameters = model.parameters()
    if tensors.keys() != parameters.keys():
        raise ValueError(f"{source}: expected parameters {sorted(parameters)}, got {sorted(tensors)}")
    for name, parameter in parameters.items():
        found = tensors[name]
        if found.shape != parameter.shape or found.dtype != parameter.dtype:
            raise ValueError(
                f"{source}: {name}: expected {parameter.dtype} of shape {parameter.shape}, "
                f"got {found.dtype} of shape {found.shape}"
            )
    for name, parameter in parameters.items():
        parameter[...] = tensors[name]
