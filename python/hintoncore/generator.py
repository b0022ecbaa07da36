"""Counter-based random numbers: the state of a generator is two integers."""

from __future__ import annotations

import math
import threading
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._validate import as_int

_UINT64_MAX = 2**64 - 1


class Generator:
    """Philox4x32-10 state: every sampling operation takes one as ``rng=``.

    A draw is a pure function of (seed, offset, unit, sample), so a run is reproduced, resumed or split over processes
    by these two integers alone. Each half-step of sampling of one layer uses one offset; an operation advances `offset`
    by as many as it used.

    Parameters
    ----------
    seed : int in [0, 2**64)
        Key of the stream.
    offset : int in [0, 2**64)
        Number of half-steps already drawn.

    References
    ----------
    Salmon, Moraes, Dror, Shaw (2011). Parallel random numbers: as easy as 1, 2, 3. SC'11.

    Examples
    --------
    >>> import hintoncore as hc
    >>> rng = hc.Generator(7)
    >>> x = rng.random((2, 3))
    >>> rng.offset
    1
    """

    __slots__ = ("_lock", "_offset", "_seed")

    def __init__(self, seed: int, offset: int = 0) -> None:
        self._seed = as_int(seed, "seed", 0, _UINT64_MAX)
        self._offset = as_int(offset, "offset", 0, _UINT64_MAX)
        self._lock = threading.Lock()

    @property
    def seed(self) -> int:
        """Key of the stream."""
        return self._seed

    @property
    def offset(self) -> int:
        """Half-steps drawn so far: the next operation starts here."""
        return self._offset

    @offset.setter
    def offset(self, value: int) -> None:
        self._offset = as_int(value, "offset", 0, _UINT64_MAX)

    def advance(self, n: int) -> int:
        """Reserve `n` offsets and return the first of them."""
        with self._lock:
            first = self._offset
            self._offset = (first + as_int(n, "n", 0, _UINT64_MAX)) % 2**64
        return first

    def reserve(self, n: int) -> _Reservation:
        """``with rng.reserve(n) as first``: like :meth:`advance`, undone when bad arguments end the block."""
        return _Reservation(self, n)

    def _give_back(self, first: int, n: int) -> None:
        with self._lock:
            if self._offset == (first + n) % 2**64:  # nobody has advanced since
                self._offset = first

    def __repr__(self) -> str:
        return f"Generator(seed={self._seed}, offset={self._offset})"

    def __reduce__(self) -> tuple[type[Generator], tuple[int, int]]:
        return Generator, (self._seed, self._offset)

    def random(self, shape: int | tuple[int, ...]) -> NDArray[np.float32]:
        """Uniform float32 draws in (0, 1) on a grid of 2**-23, never 0 or 1. Uses one offset."""
        shape, n = _shape(shape)
        return _core.uniform(self._seed, self.advance(1), n).reshape(shape)

    def normal(self, shape: int | tuple[int, ...], mean: float = 0.0, std: float = 1.0) -> NDArray[np.float32]:
        """Gaussian float32 draws by Box and Muller (1958). Uses two offsets."""
        shape, n = _shape(shape)
        first = self.advance(2)
        radius = np.sqrt(-2.0 * np.log(_core.uniform(self._seed, first, n).astype(np.float64)))
        angle = 2.0 * math.pi * _core.uniform(self._seed, (first + 1) % 2**64, n).astype(np.float64)
        return (mean + std * radius * np.cos(angle)).astype(np.float32).reshape(shape)

    def permutation(self, n: int) -> NDArray[np.int64]:
        """A random order of 0 .. n-1: the stable sort of 46-bit draws. Uses two offsets."""
        n = as_int(n, "n", 0, 2**34)
        first = self.advance(2)
        high = _core.uniform(self._seed, first, n).astype(np.float64)
        low = _core.uniform(self._seed, (first + 1) % 2**64, n).astype(np.float64)
        return np.argsort(high + low * 2.0**-23, kind="stable").astype(np.int64)

    def integers(self, high: int, shape: int | tuple[int, ...]) -> NDArray[np.int64]:
        """Uniform integers in [0, high), high <= 2**23. Uses one offset.

        The grid of 2**23 draws is divided into `high` cells as evenly as it goes: the relative bias is at most
        high * 2**-23.
        """
        high = as_int(high, "high", 1, 2**23)
        return np.floor(self.random(shape).astype(np.float64) * high).astype(np.int64)


class _Reservation:
    """What :meth:`Generator.reserve` returns. A class, for a generator function would cost a small kernel's time."""

    __slots__ = ("_first", "_generator", "_n")

    def __init__(self, generator: Generator, n: int) -> None:
        self._generator = generator
        self._n = n

    def __enter__(self) -> int:
        self._first = self._generator.advance(self._n)
        return self._first

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, (TypeError, ValueError, MemoryError)):
            self._generator._give_back(self._first, self._n)


RngLike: TypeAlias = Generator | int
"""A generator (which advances), or a seed for a fresh one."""


def as_generator(rng: RngLike) -> Generator:
    """`rng` itself, or a fresh generator from an integer seed."""
    if isinstance(rng, Generator):
        return rng
    try:
        return Generator(as_int(rng, "rng", 0, _UINT64_MAX))
    except TypeError:
        raise TypeError(f"rng: expected a hintoncore.Generator or an integer seed, got {rng!r}") from None


def _shape(shape: int | tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    try:
        dims = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    except TypeError:
        raise TypeError(f"shape: expected an integer or a tuple of them, got {shape!r}") from None
    dims = tuple(as_int(d, "shape", 0, 2**34) for d in dims)
    n = math.prod(dims)
    if n > 2**34:
        raise ValueError(f"shape: expected at most 2**34 elements, got {dims}")
    return dims, n
