"""What this build and this machine offer."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np

from . import _core
from .cuda import status as cuda_status

ISA_LEVELS = ("scalar", "avx2", "avx512")
CPU_FEATURES = ("avx512_bf16", "avx512_vnni")


def config() -> dict[str, Any]:
    """Version, ISA levels built, detected and used, threads, and CUDA (with the reason when it is not available)."""
    return {
        "version": _core.version(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "cpu": cpu_model(),
        "isa": {
            "built": [level for level in ISA_LEVELS if _core.isa_built(level)],
            "detected": [level for level in ISA_LEVELS if _core.isa_detected(level)],
            "used": _core.get_isa(),
            "features": [feature for feature in CPU_FEATURES if _core.cpu_feature(feature)],
        },
        "threads": _core.get_num_threads(),
        "cuda": cuda_status(),
    }


def show_config(*, as_json: bool = False) -> None:
    """Print :func:`config` for people, or as JSON."""
    facts = config()
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    isa, cuda = facts["isa"], facts["cuda"]
    detected = ", ".join(isa["detected"] + isa["features"])
    state = "available" if cuda["available"] else f"not available: {cuda['reason']}"
    print(
        f"hintoncore {facts['version']} (Python {facts['python']}, numpy {facts['numpy']})\n"
        f"  cpu      {facts['cpu']} ({facts['machine']})\n"
        f"  isa      {isa['used']} in use; detected: {detected}; built: {', '.join(isa['built'])}\n"
        f"  threads  {facts['threads']}\n"
        f"  cuda     {'built' if cuda['built'] else 'not built'}, {state}"
    )


def cpu_model() -> str:
    """The processor's name as the operating system gives it."""
    if sys.platform.startswith("linux"):
        try:
            with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
                for line in file:
                    if line.lower().startswith("model name"):
                        return line.split(":", 1)[1].strip()
        except OSError:
            pass
    return platform.processor() or platform.machine()


def set_num_threads(n: int) -> None:
    """Threads every kernel uses, 1 to 256; 0 goes back to HINTONCORE_NUM_THREADS, else the processors available.

    Results never depend on it.
    """
    _core.set_num_threads(n)


def get_num_threads() -> int:
    """Threads every kernel uses."""
    return _core.get_num_threads()
