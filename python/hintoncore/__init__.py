"""HintonCore: hand-written kernels for Boltzmann machines and their kin, under a thin Python API."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _core, ops
from ._errors import HintonCoreError
from .bitmatrix import BitMatrix
from .config import config, get_num_threads, set_num_threads, show_config
from .generator import Generator

if TYPE_CHECKING:
    from . import cuda, datasets, likelihood, models, nn, reference, samplers, train

__version__: str = _core.version()

# Imported when first used, so that `import hintoncore` costs little more than numpy.
_LAZY = ("cuda", "datasets", "likelihood", "models", "nn", "reference", "samplers", "train")

__all__ = [
    "BitMatrix",
    "Generator",
    "HintonCoreError",
    "__version__",
    "config",
    "cuda",
    "datasets",
    "get_cmake_dir",
    "get_include",
    "get_library_dir",
    "get_num_threads",
    "likelihood",
    "models",
    "nn",
    "ops",
    "reference",
    "samplers",
    "set_num_threads",
    "show_config",
    "train",
]


def get_include() -> str:
    """Directory to give a C compiler with ``-I``: it holds ``hintoncore/hintoncore.h``."""
    return _installed("include")


def get_library_dir() -> str:
    """Directory of libhintoncore, the shared library behind the C interface."""
    return _installed("lib")


def get_cmake_dir() -> str:
    """Directory to give CMake as ``hintoncore_DIR``, so that ``find_package(hintoncore)`` finds the library."""
    return _installed("cmake")


def _installed(name: str) -> str:
    # Beside the extension module: an editable install keeps compiled parts apart from the sources.
    return str(Path(_core.__file__).absolute().parent / name)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
