"""Faces: the Olivetti (AT&T) portraits and the frames of Brendan Frey's face."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hintoncore.datasets._dataset import Dataset, DatasetFormatError, unit_interval

__all__ = ["find_frey", "find_olivetti", "read_frey", "read_olivetti"]

_OLIVETTI_FILE = "olivettifaces.mat"
_OLIVETTI_SHAPE = (64, 64)
_PEOPLE, _PICTURES = 40, 10  # of each person
_TRAINING_PICTURES = 8
_FREY_SHAPE = (28, 20)
_FREY_TEST_FRAMES = 200

_MAT_HEADER = 128
_MI_UINT8, _MI_MATRIX, _MI_COMPRESSED = 2, 14, 15


def find_olivetti(folder: Path) -> Path | None:
    """Sam Roweis's MATLAB file, in a folder."""
    path = folder / _OLIVETTI_FILE
    return path if path.is_file() else None


def read_olivetti(name: str, path: Path) -> Dataset:
    """40 people, 10 pictures each; the last 2 of each are the test set, the label is the person."""
    faces = _mat_bytes(path, "faces", (_OLIVETTI_SHAPE[0] * _OLIVETTI_SHAPE[1], _PEOPLE * _PICTURES)).T
    pixels = faces.reshape(-1, *_OLIVETTI_SHAPE).transpose(0, 2, 1).reshape(len(faces), -1)  # MATLAB's columns first
    people = np.arange(len(pixels)) // _PICTURES
    held_out = np.arange(len(pixels)) % _PICTURES >= _TRAINING_PICTURES
    return Dataset(
        name=name,
        train=unit_interval(np.ascontiguousarray(pixels[~held_out])),
        train_labels=people[~held_out].astype(np.int64),
        test_pixels=np.ascontiguousarray(pixels[held_out]),
        test_labels=people[held_out].astype(np.int64),
        image_shape=_OLIVETTI_SHAPE,
        source=str(path),
    )


def find_frey(folder: Path) -> Path | None:
    """An array of frames saved by NumPy, in a folder."""
    return next(iter(sorted(folder.glob("frey_*x28x20_uint8.npy"))), None)


def read_frey(name: str, path: Path) -> Dataset:
    """1965 frames of one face; the last 200 are the test set, and all labels are 0."""
    try:
        frames = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DatasetFormatError(f"{path}: damaged, or not an array of frames ({error})") from error
    if frames.dtype != np.uint8 or frames.shape[1:] != _FREY_SHAPE or len(frames) <= _FREY_TEST_FRAMES:
        raise DatasetFormatError(f"{path}: expected uint8 [N, 28, 20], given {frames.dtype} {list(frames.shape)}")
    pixels = frames.reshape(len(frames), -1)
    train, test = pixels[:-_FREY_TEST_FRAMES], pixels[-_FREY_TEST_FRAMES:]
    return Dataset(
        name=name,
        train=unit_interval(train),
        train_labels=np.zeros(len(train), dtype=np.int64),
        test_pixels=test,
        test_labels=np.zeros(len(test), dtype=np.int64),
        image_shape=_FREY_SHAPE,
        source=str(path),
    )


def _mat_bytes(path: Path, variable: str, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """One uint8 matrix of this shape from a little-endian MATLAB 5 file."""
    try:
        data = path.read_bytes()
        if data[126:128] != b"IM":
            raise ValueError("no little-endian MATLAB 5 header")
        at = _MAT_HEADER
        while at < len(data):
            kind, size = struct.unpack_from("<II", data, at)
            body = data[at + 8 : at + 8 + size]
            at += 8 + size
            if kind == _MI_COMPRESSED:
                body = zlib.decompress(body)
                (kind,) = struct.unpack_from("<I", body)
                body = body[8:]
            if kind == _MI_MATRIX:
                elements = _mat_elements(body)
                if elements[2][1].decode("latin1") == variable:
                    if tuple(np.frombuffer(elements[1][1], "<i4")) != shape or elements[3][0] != _MI_UINT8:
                        raise ValueError(f"{variable} is not uint8 {list(shape)}")
                    return np.frombuffer(elements[3][1], np.uint8).reshape(shape, order="F")
    except (OSError, ValueError, IndexError, struct.error, zlib.error) as error:
        raise DatasetFormatError(f"{path}: damaged, or not the faces of Olivetti ({error})") from error
    raise DatasetFormatError(f"{path}: has no variable {variable!r}")


def _mat_elements(body: bytes) -> list[tuple[int, bytes]]:
    """Type and bytes of flags, dimensions, name and values; small elements have their size beside the type."""
    elements: list[tuple[int, bytes]] = []
    at = 0
    while at + 8 <= len(body) and len(elements) < 4:
        kind, size = struct.unpack_from("<II", body, at)
        if kind >> 16:
            elements.append((kind & 0xFFFF, body[at + 4 : at + 4 + (kind >> 16)]))
            at += 8
        else:
            elements.append((kind, body[at + 8 : at + 8 + size]))
            at += 8 + -(-size // 8) * 8
    return elements
