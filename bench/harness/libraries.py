"""Which library each worker process measures, its version, and which BLAS kernel it really uses."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from typing import Any

from .cases import OURS, UnavailableError

_MODULES = {
    OURS: "hintoncore",
    "numpy": "numpy",
    "torch": "torch",
    "scikit-learn": "sklearn",
    "rbms": "rbms",
    "jax": "jax",
    "thrml": "thrml",
    "dwave-samplers": "dwave.samplers",
}

#: Choices of kernel that a user's environment forces on OpenBLAS and that its own detection makes better.
_FORCED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_VERBOSE")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def installed(engine: str) -> bool:
    """Whether the library of this process can be imported."""
    try:
        return importlib.util.find_spec(_MODULES[engine]) is not None
    except ModuleNotFoundError:  # not even the package it would be in
        return False


def environment(isa: str | None, threads: int) -> dict[str, str]:
    """Environment of a worker: threads fixed, OpenBLAS free to choose its kernel, our ISA level forced if given."""
    env = {key: value for key, value in os.environ.items() if key not in _FORCED}
    env.update(dict.fromkeys(_THREADS, str(threads)))
    env["HINTONCORE_NUM_THREADS"] = str(threads)
    env["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    if isa is not None:
        env["HINTONCORE_ISA"] = isa
    return env


def forced() -> dict[str, str]:
    """The OpenBLAS variables of the caller's environment that the workers do not inherit."""
    return {key: os.environ[key] for key in _FORCED if key in os.environ}


def describe(engine: str, threads: int) -> dict[str, Any]:
    """Import the library, fix its threads, and return its version and BLAS."""
    if not installed(engine):
        raise UnavailableError(f"{_MODULES[engine]} is not installed")
    module = importlib.import_module(_MODULES[engine])
    if engine in (OURS, "torch"):
        module.set_num_threads(threads)
    return {
        "version": str(getattr(module, "__version__", None) or importlib.metadata.version(engine)),
        "blas": _torch_blas(module) if engine == "torch" else _openblas(),
    }


def _openblas() -> str:
    """The kernel that OpenBLAS chose, as threadpoolctl sees it; empty without threadpoolctl or OpenBLAS."""
    if importlib.util.find_spec("threadpoolctl") is None:
        return ""
    from threadpoolctl import threadpool_info

    kernels = (f"{pool['internal_api']} {pool['architecture']}" for pool in threadpool_info() if "architecture" in pool)
    return ", ".join(dict.fromkeys(kernels))


def _torch_blas(torch: Any) -> str:
    """Torch's BLAS and the vector level of its own loops."""
    blas = "MKL" if torch.backends.mkl.is_available() else "no MKL"
    return f"{blas}, {torch.backends.cpu.get_cpu_capability()} loops"
