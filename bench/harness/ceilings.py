"""The machine's own limits: fp32 multiply-adds per second at the ISA level in use, and copy bandwidth at the
size of the row.

Both are measured in every round beside the contestants, on as many threads as the row has.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter
from typing import Any

from .cases import Prepared, Setup, UnavailableError

_SECONDS = 0.02


def _probe(name: str) -> Callable[[Any, int], float]:
    """The measuring loop of this name in the compiled core."""
    from hintoncore import _core

    function = getattr(_core, name, None)
    if function is None:
        raise UnavailableError(f"this build of hintoncore has no {name}")
    return function  # type: ignore[no-any-return]


def _iterations(probe: Callable[[int], float], seconds: float) -> int:
    """Iterations of the measuring loop that fill about `seconds`."""
    iterations = 1
    while True:
        start = perf_counter()
        probe(iterations)
        elapsed = perf_counter() - start
        if elapsed >= seconds / 4 or iterations >= 1 << 40:
            return max(1, int(iterations * seconds / max(elapsed, 1e-9)))
        iterations *= 4


def _on_threads(probe: Callable[[int], float], threads: int) -> Prepared:
    """Sum of the rates of `threads` threads that run the same loop at the same time."""
    iterations = _iterations(probe, _SECONDS)
    pool = ThreadPoolExecutor(threads)

    def rate() -> float:
        return sum(pool.map(probe, [iterations] * threads))

    return Prepared(call=lambda: None, check=lambda: 0.0, rate=rate)


def fma(setup: Setup) -> Prepared:
    """fp32 multiply-adds, two flop each, of the widest vectors of the ISA level in use, all in registers."""
    from hintoncore import _core

    return _on_threads(partial(_probe("bench_fma_peak"), _core.get_isa()), setup.threads)


def copy(setup: Setup) -> Prepared:
    """Bytes read plus bytes written per second by a copy that moves as many as the row does, so in the same cache."""
    return _on_threads(
        partial(_probe("bench_copy"), max(1, int(setup.ceiling_work / 2 / setup.threads))), setup.threads
    )


CONTESTANTS = {"fma": fma, "copy": copy}
