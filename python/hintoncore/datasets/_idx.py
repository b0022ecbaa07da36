"""The IDX format of the MNIST files: strict, streaming, plain or gzip-compressed.

Layout: two zero bytes, a type code (8 = unsigned byte), the number of dimensions, each dimension as a
big-endian 32-bit integer, then the values in row-major order.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import IO, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from hintoncore.datasets._dataset import DatasetFormatError

__all__ = ["read_images", "read_labels", "read_pixels"]

_Number = TypeVar("_Number", np.float32, np.uint8, np.int64)

_UNSIGNED_BYTE = 0x08
_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK_BYTES = 1 << 20
_MAX_COMPRESSION = 1032  # of deflate: 258 bytes in 2 bits


def read_images(path: Path) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """Read an image file, pixel 255 becoming 1.

    Decompression, scaling and widening go chunk by chunk: no byte copy of the whole file is made.

    Returns
    -------
    images : array of float32 in [0, 1], shape [N, rows * columns]
    image_shape : (rows, columns)

    Raises
    ------
    DatasetFormatError
        If the file is not an IDX file of bytes with three dimensions, or is cut short or too long.
    """
    images, image_shape = _read_images(path, np.float32)
    images *= np.float32(1.0 / 255.0)
    # 255 * float32(1 / 255) rounds to exactly 1, and every grey level stays below it.
    return images, image_shape


def read_pixels(path: Path) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """The same file as bytes: array of uint8, shape [N, rows * columns], and (rows, columns). Same errors."""
    return _read_images(path, np.uint8)


def _read_images(path: Path, dtype: type[_Number]) -> tuple[NDArray[_Number], tuple[int, int]]:
    with _open(path) as file:
        try:
            count, rows, columns = _read_header(path, file, n_dimensions=3)
            images = np.empty(count * rows * columns, dtype=dtype)
            _read_values(path, file, images)
        except (OSError, EOFError, zlib.error) as error:
            raise DatasetFormatError(f"{path}: damaged compressed data ({error})") from error
    return images.reshape(count, rows * columns), (rows, columns)


def read_labels(path: Path) -> NDArray[np.int64]:
    """Read a label file.

    Returns
    -------
    array of int64 in [0, 255], shape [N]

    Raises
    ------
    DatasetFormatError
        If the file is not an IDX file of bytes with one dimension, or is cut short or too long.
    """
    with _open(path) as file:
        try:
            (count,) = _read_header(path, file, n_dimensions=1)
            labels = np.empty(count, dtype=np.int64)
            _read_values(path, file, labels)
        except (OSError, EOFError, zlib.error) as error:
            raise DatasetFormatError(f"{path}: damaged compressed data ({error})") from error
    return labels


def _open(path: Path) -> IO[bytes]:
    """Open a plain or gzip file by its first bytes: some caches drop or keep the ``.gz`` of the name."""
    with path.open("rb") as probe:
        compressed = probe.read(2) == _GZIP_MAGIC
    return cast("IO[bytes]", gzip.open(path, "rb")) if compressed else path.open("rb")


def _read_header(path: Path, file: IO[bytes], *, n_dimensions: int) -> tuple[int, ...]:
    magic = file.read(4)
    expected = bytes([0, 0, _UNSIGNED_BYTE, n_dimensions])
    if magic != expected:
        raise DatasetFormatError(
            f"{path}: expected an IDX file of bytes with {n_dimensions} dimension(s), "
            f"magic {expected.hex()}, given {magic.hex() or 'an empty file'}"
        )
    sizes = file.read(4 * n_dimensions)
    if len(sizes) != 4 * n_dimensions:
        raise DatasetFormatError(f"{path}: truncated header")
    shape = tuple(int(size) for size in np.frombuffer(sizes, dtype=">u4"))
    # Refused before anything of that size is allocated.
    if min(shape) == 0 or math.prod(shape) > _MAX_COMPRESSION * path.stat().st_size:
        raise DatasetFormatError(f"{path}: dimensions {shape} do not fit the size of the file")
    return shape


def _read_values(path: Path, file: IO[bytes], out: NDArray[_Number]) -> None:
    done = 0
    while done < out.size:
        chunk = file.read(min(_CHUNK_BYTES, out.size - done))
        if not chunk:
            raise DatasetFormatError(f"{path}: truncated, expected {out.size} values, given {done}")
        out[done : done + len(chunk)] = np.frombuffer(chunk, dtype=np.uint8)
        done += len(chunk)
    if file.read(1):
        raise DatasetFormatError(f"{path}: trailing bytes after the expected {out.size} values")
