"""The faces of Olivetti and Frey: files in their formats, made here, and damage to them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from hintoncore.datasets import DatasetFormatError, load


def element(kind: int, body: bytes) -> bytes:
    return struct.pack("<II", kind, len(body)) + body + b"\0" * (-len(body) % 8)


def mat_file(faces: np.ndarray, *, compressed: bool, name: bytes = b"faces") -> bytes:
    """A MATLAB 5 file with one uint8 matrix, after a variable that is none of ours."""
    variables = []
    for title, values in ((b"other", faces[:1]), (name, faces)):
        body = element(6, struct.pack("<II", 9, 0)) + element(5, struct.pack("<ii", *values.shape))
        # A name of at most four letters is kept beside its size.
        body += struct.pack("<HH4s", 1, len(title), title) if len(title) <= 4 else element(1, title)
        body += element(2, values.tobytes(order="F"))
        variable = element(14, body)
        if compressed:
            packed = zlib.compress(variable)
            variable = struct.pack("<II", 15, len(packed)) + packed
        variables.append(variable)
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"".join(variables)


@pytest.mark.parametrize("compressed", [True, False])
def test_olivetti(tmp_path: Path, compressed: bool) -> None:
    faces = np.random.default_rng(0).integers(0, 256, (4096, 400), dtype=np.uint8)
    (tmp_path / "olivetti").mkdir()
    file = tmp_path / "olivetti" / "olivettifaces.mat"
    file.write_bytes(mat_file(faces, compressed=compressed))
    data = load("olivetti", tmp_path)
    assert data.train.shape == (320, 4096)
    assert data.test.shape == (80, 4096)
    assert data.image_shape == (64, 64)
    np.testing.assert_array_equal(np.bincount(data.train_labels), 8)
    np.testing.assert_array_equal(np.bincount(data.test_labels), 2)
    # Pixel (row, column) of a picture is entry row + 64 * column of its column.
    picture = faces[:, 13].reshape(64, 64).T  # the fourth of the second person
    np.testing.assert_array_equal(np.round(data.train[8 + 3].reshape(64, 64) * 255), picture)
    np.testing.assert_array_equal(np.round(data.test[1].reshape(64, 64) * 255), faces[:, 9].reshape(64, 64).T)

    for damaged in (
        b"",
        file.read_bytes()[:200],
        file.read_bytes()[:-5000],
        mat_file(faces, compressed=compressed, name=b"houses"),
        mat_file(faces[:, :399], compressed=compressed),
    ):
        file.write_bytes(damaged)
        with pytest.raises(DatasetFormatError, match=r"olivettifaces\.mat"):
            load("olivetti", tmp_path)


def test_frey(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (230, 28, 20), dtype=np.uint8)
    (tmp_path / "frey").mkdir()
    file = tmp_path / "frey" / "frey_230x28x20_uint8.npy"
    np.save(file, frames)
    data = load("frey", tmp_path)
    assert data.train.shape == (30, 560)
    assert data.test.shape == (200, 560)
    np.testing.assert_array_equal(np.round(data.test[3] * 255), frames[33].ravel())
    for bad in (frames[:, :5], frames.astype(np.float32), frames[:100]):
        np.save(file, bad)
        with pytest.raises(DatasetFormatError, match="expected uint8"):
            load("frey", tmp_path)
    file.write_bytes(b"\x93NUMPY")
    with pytest.raises(DatasetFormatError, match="damaged"):
        load("frey", tmp_path)
