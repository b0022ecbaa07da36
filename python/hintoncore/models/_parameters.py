"""Parameter arrays by name, as files and checkpoints hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["copy_parameters"]

Float32Array = NDArray[np.float32]


def copy_parameters(parameters: Mapping[str, Float32Array], tensors: Mapping[str, NDArray[Any]]) -> None:
    """Copy tensors into the parameter arrays of the same names.

    Raises
    ------
    KeyError
        If one is missing.
    ValueError
        If one has another shape or dtype, or a value that is not finite.
    """
    for name, parameter in parameters.items():
        tensor = tensors[name]
        if tensor.shape != parameter.shape or tensor.dtype != np.float32:
            raise ValueError(
                f"{name}: expected float32 {list(parameter.shape)}, given {tensor.dtype} {list(tensor.shape)}"
            )
        if not np.isfinite(tensor).all():
            raise ValueError(f"{name}: expected finite values")
        parameter[...] = tensor
