"""How much of the machine other programs took while a round ran.

Two threads that meet at a barrier wait for whoever shares their cores, so a busy machine slows the row of one library
more than that of another. Rounds are chosen by what others did, never by their own times.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter, sleep

LOUD = 0.1  # cores
_ASLEEP = 0.04  # seconds without a tick of the processor's clock, which is 0.01
_PATIENCE = 1.0


def settle(pids: Iterable[int]) -> None:
    """Wait until these processes do nothing, at most a second.

    The threads of a library poll for more work before they sleep, OpenBLAS's for 0.1 s: on a machine with as many cores
    as a row has threads they would take one from whoever is timed next. Linux only.
    """
    pids = list(pids)
    end = perf_counter() + _PATIENCE
    before = -1
    while (now := sum(map(_ticks, pids))) != before and perf_counter() < end:
        before = now
        sleep(_ASLEEP)


def _ticks(pid: int) -> int:
    """Processor time of a process, in ticks; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


class Meter:
    """Cores that everything but `pids` (and this process) kept busy between `start` and `stop`, beyond half of those
    that a row on `threads` threads leaves idle, where others do little harm. Linux only."""

    def __init__(self, pids: Iterable[int], threads: int) -> None:
        self._pids = [os.getpid(), *pids]
        self._harmless = max(0, (os.cpu_count() or 1) - threads) / 2
        self._supported = Path("/proc/stat").exists() and hasattr(os, "sysconf")

    def start(self) -> None:
        """Note the counters."""
        self._before = self._foreign_seconds()
        self._time = perf_counter()

    def stop(self) -> float:
        """Cores since `start`, 0 where the system does not tell."""
        elapsed = perf_counter() - self._time
        return max(0.0, (self._foreign_seconds() - self._before) / max(elapsed, 1e-9) - self._harmless)

    def _foreign_seconds(self) -> float:
        if not self._supported:
            return 0.0
        ticks = os.sysconf("SC_CLK_TCK")
        user, nice, system, _, _, irq, softirq, steal = map(
            int, Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
        )
        own = sum(map(_ticks, self._pids))
        return (user + nice + system + irq + softirq + steal - own) / ticks
