"""The process in which one contestant is measured: ``python -m hintoncore.bench.harness.worker``.

One process per library, because their thread pools fight inside one, because an OpenBLAS kernel and our ISA level
are chosen once per process, and because the thread count is best fixed before the libraries are loaded. Requests and
replies are JSON lines on stdin and on what was stdout; anything the libraries print goes to stderr.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
import traceback
from typing import Any, TextIO

from .cases import CEILINGS, Prepared, Setup, UnavailableError, WrongAnswerError
from .timing import calibrate, time_block

_BENCH = str(__package__).rpartition(".")[0]  # __name__ is __main__ here
_PR_SET_PDEATHSIG = 1


class Worker:
    """Holds the prepared contestants of one case."""

    def __init__(self) -> None:
        self.slots: dict[str, tuple[Prepared, int]] = {}

    def hello(self, request: dict[str, Any]) -> dict[str, Any]:
        """Import the library of this process and say what it is."""
        from .libraries import describe

        return describe(str(request["engine"]), int(request["threads"]))

    def prepare(self, request: dict[str, Any]) -> dict[str, Any]:
        """Set a contestant up, check its answer, and find how many calls fill a block."""
        name = str(request["contestant"])
        module = "harness.ceilings" if name in CEILINGS else str(request["family"])
        family = importlib.import_module(f"{_BENCH}.{module}")
        factory = family.CONTESTANTS[name]
        setup = Setup(request["params"], int(request["threads"]), int(request["seed"]), float(request["ceiling_work"]))
        prepared: Prepared = factory(setup)
        error = prepared.check()
        calls = 1 if prepared.rate is not None else calibrate(prepared.call, float(request["seconds"]))
        self.slots[name] = (prepared, calls)
        return {"error": error, "calls": calls}

    def time(self, request: dict[str, Any]) -> dict[str, Any]:
        """Time one block, after a tenth of it untimed to warm caches that other processes used meanwhile."""
        prepared, calls = self.slots[str(request["contestant"])]
        if prepared.rate is not None:
            return {"rate": prepared.rate()}
        time_block(prepared.call, 1 + calls // 10)
        return {"seconds": time_block(prepared.call, calls) / calls}

    def release(self, _: dict[str, Any]) -> dict[str, Any]:
        """Forget the case."""
        self.slots.clear()
        return {}


def _die_with_parent() -> None:
    """Ask Linux to kill this process when the parent goes, even while it is stopped."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def serve(requests: TextIO, replies: TextIO) -> None:
    """Answer requests until stdin closes."""
    worker = Worker()
    for line in requests:
        request = json.loads(line)
        try:
            reply = getattr(worker, request["op"])(request)
        except UnavailableError as error:
            reply = {"unavailable": str(error)}
        except WrongAnswerError as error:
            reply = {"wrong": str(error)}
        except Exception as error:  # every other failure is reported as the row's, and the run goes on
            traceback.print_exc()
            reply = {"unavailable": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def main() -> None:
    """Entry point of the process."""
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(sys.stdin, replies)


if __name__ == "__main__":
    main()
