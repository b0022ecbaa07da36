"""Timing of one block of calls, long enough to stand well above timer and scheduler noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import perf_counter


def calibrate(call: Callable[[], object], seconds: float) -> int:
    """Number of calls that fill about `seconds`, as fast as they are once caches, predictors and threads are warm.

    Hence from a whole block: a shorter one would go by calls still slow, and blocks as short would be spent warming up.
    """
    call()
    calls = 1
    while True:
        elapsed = time_block(call, calls)
        if elapsed >= seconds or calls >= 1 << 24:
            return max(1, math.ceil(calls * seconds / max(elapsed, 1e-9)))
        calls *= 2


def time_block(call: Callable[[], object], calls: int) -> float:
    """Seconds that `calls` calls take."""
    start = perf_counter()
    for _ in range(calls):
        call()
    return perf_counter() - start
