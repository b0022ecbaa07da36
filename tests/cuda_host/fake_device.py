"""NumPy memory that says to be on a CUDA device: what device memory is for the extension built on the shim."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from typing import Any

from numpy.typing import NDArray

_DLPACK_CUDA = 2
_CODES = {"i": 0, "u": 1, "f": 2}


def load_extension(path: str) -> None:
    """Makes the library at `path` the process's hintoncore._cuda."""
    spec = importlib.util.spec_from_file_location("hintoncore._cuda", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules["hintoncore._cuda"] = module


class _DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


_capsule_new = ctypes.pythonapi.PyCapsule_New
_capsule_new.restype = ctypes.py_object
_capsule_new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


class OnDevice:
    def __init__(self, array: NDArray[Any], device: int = 0) -> None:
        self.array, self.device = array, device
        self.shape, self.dtype = array.shape, array.dtype
        extents = ctypes.c_int64 * max(array.ndim, 1)
        self._extents = extents(*array.shape), extents(*(s // array.itemsize for s in array.strides))
        self._tensor = _DLTensor(
            array.ctypes.data,
            _DLPACK_CUDA,
            device,
            array.ndim,
            _CODES[array.dtype.kind],
            array.itemsize * 8,
            1,
            *self._extents,
            0,
        )

    def __dlpack_device__(self) -> tuple[int, int]:
        return _DLPACK_CUDA, self.device

    def __dlpack__(self, stream: int | None = None) -> object:
        assert stream == 1, "the default stream, as DLPack numbers it"
        return _capsule_new(ctypes.addressof(self._tensor), b"dltensor", None)
