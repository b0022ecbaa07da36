"""What a benchmark is: a case (a row of the table), the contestants that answer it, and the targets it is judged by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

Params = Mapping[str, int]

OURS = "hintoncore"
CEILINGS = ("fma", "copy")

#: The process that runs each contestant. Contestants of one process share its libraries and its thread pool.
ENGINES = {
    OURS: OURS,
    "hintoncore (dense input)": OURS,
    "numpy": "numpy",
    "numpy (Philox)": "numpy",
    "torch": "torch",
    "torch.compile": "torch",
    "torch (loop)": "torch",
    "torch (nn.RNN)": "torch",
    "scikit-learn": "scikit-learn",
    "rbms": "rbms",
    "jax": "jax",
    "thrml": "thrml",
    "dwave-samplers": "dwave-samplers",
    "fma": OURS,
    "copy": OURS,
}

#: Peers that take part only when named, or where a target is set by them: torch.compile needs a compiler and many
#: seconds a row, and was slower than eager on most kernels here (its random numbers cost more than it saves).
ON_REQUEST = frozenset({"torch.compile"})

#: Units of speed, and how much work per second one of each is.
UNITS = {
    "GFLOP/s": 1e9,
    "k samples/s": 1e3,
    "k ratings/s": 1e3,
    "Gdraw/s": 1e9,
    "flips/ns": 1e9,
    "Gelem/s": 1e9,
    "GB/s": 1e9,
}


class WrongAnswerError(Exception):
    """A contestant computed something else than the reference; its time would mean nothing."""


class UnavailableError(Exception):
    """A contestant cannot run here (not installed, no compiler, kernel not built)."""


@dataclass(frozen=True)
class Target:
    """Ours must be at least `ratio` times as fast as the fastest of `against` (contestants, or a ceiling)."""

    against: tuple[str, ...]
    ratio: float


@dataclass(frozen=True)
class Case:
    """One row: the same work done by every contestant.

    `work` is what one call does, in the unit of `unit` (flop, samples, draws, bytes); `ceiling_work` is the work that
    the ceiling counts (fp32 multiply-adds as 2 flop each, or bytes moved), so that `ceiling_work / ceiling` is the
    time the hardware would need if that were the only limit.
    """

    family: str
    name: str
    params: Params
    threads: int
    work: float
    unit: str
    contestants: tuple[str, ...]
    ceiling: str | None = None
    ceiling_work: float = 0.0
    targets: tuple[Target, ...] = ()

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ValueError(f"unit {self.unit!r} is not one of {sorted(UNITS)}")


@dataclass(frozen=True)
class Prepared:
    """A contestant ready to be timed.

    `check` returns the error measured against the reference (and raises WrongAnswerError beyond the tolerance);
    `rate` replaces `call` for ceilings, which time themselves and report work per second.
    """

    call: Callable[[], object]
    check: Callable[[], float]
    rate: Callable[[], float] | None = None


@dataclass(frozen=True)
class Setup:
    """What the factory of a contestant gets to prepare it; `ceiling_work` as in Case."""

    params: Params
    threads: int
    seed: int
    ceiling_work: float = 0.0


@dataclass(frozen=True)
class Request:
    """What the command line asked of every family. `sizes` empty means the family's own list; below the best level of
    the machine (`best` false) ours is not judged against peers, who use the best."""

    threads: tuple[int, ...] = (1, 2)
    sizes: tuple[tuple[int, ...], ...] = ()
    isa: str = "scalar"
    best: bool = True

    def shapes(self, rank: int, default: Iterable[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """The sizes given that have this family's number of dimensions, or its own list when none were given."""
        if not self.sizes:
            return list(default)
        return [size for size in self.sizes if len(size) == rank]


def within(error: float, tolerance: float, what: str) -> float:
    """Return `error`, or raise WrongAnswerError when it exceeds `tolerance` or is not a number."""
    if not (math.isfinite(error) and error <= tolerance):
        raise WrongAnswerError(f"{what}: error {error:.3g} against the reference, at most {tolerance:.3g} allowed")
    return error
