"""Initial weights: functions of (inputs, outputs, generator) that return float32 arrays [inputs, outputs]."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hintoncore._counts import as_count
from hintoncore._validate import as_number
from hintoncore.generator import Generator

__all__ = ["Initialiser", "gaussian", "glorot", "he", "identity", "orthogonal", "scaled_identity", "sparse"]

Initialiser = Callable[[int, int, Generator], NDArray[np.float32]]


def gaussian(std: float = 0.01) -> Initialiser:
    """Normal with standard deviation ``std``; 0.01 is that of Hinton (2010), practical guide, section 8."""
    std = _positive(std, "std")

    def initialise(n_in: int, n_out: int, rng: Generator) -> NDArray[np.float32]:
        return rng.normal((n_in, n_out), std=std)

    return initialise


def he(n_in: int, n_out: int, rng: Generator) -> NDArray[np.float32]:
    """Normal with variance ``2 / n_in``, for rectified linear units (He, Zhang, Ren and Sun 2015, eq. 10)."""
    return rng.normal((n_in, n_out), std=(2.0 / n_in) ** 0.5)


def glorot(n_in: int, n_out: int, rng: Generator, *, fan_out: int | None = None) -> NDArray[np.float32]:
    """Uniform with variance ``2 / (n_in + fan_out)`` (Glorot and Bengio 2010, eq. 16).

    ``fan_out`` is how many outputs an input acts on: ``n_out``, but more where weights are shared, as in a convolution.
    """
    limit = np.float32((6.0 / (n_in + (n_out if fan_out is None else fan_out))) ** 0.5)
    return np.asarray((2 * rng.random((n_in, n_out)) - 1) * limit, dtype=np.float32)


def identity(n_in: int, n_out: int, rng: Generator) -> NDArray[np.float32]:  # noqa: ARG001
    """Ones on the diagonal: a rectified layer that starts by passing its input on (Le, Jaitly and Hinton 2015)."""
    return np.eye(n_in, n_out, dtype=np.float32)


def scaled_identity(scale: float) -> Initialiser:
    """``scale`` on the diagonal (Le, Jaitly and Hinton 2015, section 4)."""
    factor = np.float32(as_number(scale, "scale"))

    def initialise(n_in: int, n_out: int, rng: Generator) -> NDArray[np.float32]:
        return identity(n_in, n_out, rng) * factor

    return initialise


def orthogonal(gain: float = 1.0) -> Initialiser:
    """Orthonormal rows or columns, whichever are fewer, times ``gain`` (Saxe, McClelland and Ganguli 2014)."""
    gain = _positive(gain, "gain")

    def initialise(n_in: int, n_out: int, rng: Generator) -> NDArray[np.float32]:
        tall = rng.normal((max(n_in, n_out), min(n_in, n_out))).astype(np.float64)
        q, r = np.linalg.qr(tall)
        q *= np.sign(np.diag(r))  # with the signs of R's diagonal the distribution is uniform over orthogonal matrices
        return np.ascontiguousarray(gain * (q if n_in >= n_out else q.T), dtype=np.float32)

    return initialise


def sparse(connections: int = 15, std: float = 1.0) -> Initialiser:
    """Normal weights on ``connections`` random inputs of each unit, 0 elsewhere (Martens 2010, section 5)."""
    connections = as_count(connections, "connections")
    std = _positive(std, "std")

    def initialise(n_in: int, n_out: int, rng: Generator) -> NDArray[np.float32]:
        order = np.argsort(rng.random((n_in, n_out)), axis=0, kind="stable")
        chosen = np.zeros((n_in, n_out), dtype=np.float32)
        np.put_along_axis(chosen, order[:connections], 1, axis=0)
        return chosen * rng.normal((n_in, n_out), std=std)

    return initialise


def _positive(value: float, name: str) -> float:
    number = as_number(value, name)
    if number <= 0:
        raise ValueError(f"{name}: expected a number > 0, given {value}")
    return number
