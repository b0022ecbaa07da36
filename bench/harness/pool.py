"""The worker processes, kept alive for the whole run and stopped whenever they are not being measured.

A stopped process cannot spin: the idle threads of OpenBLAS, OpenMP and others would otherwise take cycles from
whoever is measured next.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from types import TracebackType
from typing import Any

from . import libraries
from .cases import OURS, UnavailableError

_PACKAGE = __name__.rpartition(".")[0]
_PATIENCE = 600.0


class Process:
    """One worker: request in, reply out, stopped in between."""

    def __init__(self, engine: str, isa: str, threads: int) -> None:
        if not libraries.installed(engine):
            raise UnavailableError(f"{engine} is not installed")
        self.engine = engine
        self._stderr = tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{_PACKAGE}.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=libraries.environment(isa if engine == OURS else None, threads),
        )
        try:
            self.info = self.request({"op": "hello", "engine": engine, "threads": threads})
        except UnavailableError:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The worker's process number."""
        return self._process.pid

    def request(self, message: dict[str, Any]) -> dict[str, Any]:
        """Wake the worker, ask, wait for the answer, stop it again."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        line = b""
        try:
            self._process.send_signal(signal.SIGCONT)
            stdin.write(json.dumps(message).encode() + b"\n")
            stdin.flush()
            if select.select([stdout], [], [], _PATIENCE)[0]:
                line = stdout.readline()
            self._process.send_signal(signal.SIGSTOP)
        except BrokenPipeError:
            pass
        if not line:
            words = self._last_words()
            self.close()
            raise UnavailableError(f"its process died: {words}")
        reply: dict[str, Any] = json.loads(line)
        if "unavailable" in reply:
            raise UnavailableError(reply["unavailable"])
        return reply

    def _last_words(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().strip().splitlines()
        return lines[-1][:300] if lines else f"exit status {self._process.poll()}"

    def close(self) -> None:
        """End the process; SIGKILL also ends a stopped one."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self._stderr.close()


class Pool:
    """Workers by (engine, ISA level, threads). A change of threads replaces them all."""

    def __init__(self) -> None:
        self._processes: dict[tuple[str, str], Process | UnavailableError] = {}
        self._threads = 0
        self.libraries: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def get(self, engine: str, isa: str, threads: int) -> Process:
        """The process that measures `engine`; raises UnavailableError when there can be none."""
        if threads != self._threads:
            self.close()
            self._threads = threads
        key = (engine, isa if engine == OURS else "")
        process = self._processes.get(key)
        if process is None:
            try:
                process = Process(engine, isa, threads)
                self.libraries[engine] = process.info
            except UnavailableError as error:
                process = error
            self._processes[key] = process
        if isinstance(process, UnavailableError):
            raise process
        return process

    def close(self) -> None:
        """End every worker."""
        for process in self._processes.values():
            if isinstance(process, Process):
                process.close()
        self._processes.clear()


def cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
