"""The data set record and the errors of its loaders."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Dataset", "DatasetFormatError", "DatasetNotFoundError", "unit_interval"]


class DatasetNotFoundError(FileNotFoundError):
    """No copy of a data set was found; the message lists where the loader looked."""


class DatasetFormatError(ValueError):
    """A data file is damaged, truncated or not of the format its name promises."""


@dataclass(frozen=True)
class Dataset:
    """Images with labels, split into a training and a test part.

    Attributes
    ----------
    name : str
    train, test : array of float32 in [0, 1], shape [N, D]
        One image a row, pixels in row-major order.
    train_labels, test_labels : array of int64, shape [N]
    image_shape : (rows, columns)
        ``D = rows * columns``.
    source : str
        Folder or file the data came from.
    test_pixels : array of float32 in [0, 1], or of uint8, shape [N, D]
        What `test` is made of when it is first asked for: training alone need not hold it as floats.
    """

    name: str
    train: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test_pixels: NDArray[np.float32] | NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    image_shape: tuple[int, int]
    source: str

    @cached_property
    def test(self) -> NDArray[np.float32]:
        """The test images, float32 in [0, 1], shape [N, D]."""
        return unit_interval(self.test_pixels)


def unit_interval(pixels: NDArray[np.float32] | NDArray[np.uint8]) -> NDArray[np.float32]:
    """Bytes as float32 in [0, 1]; floats as they are. 255 * float32(1 / 255) rounds to exactly 1."""
    if pixels.dtype == np.float32:
        return pixels.view(np.float32)
    images = pixels.astype(np.float32)
    images *= np.float32(1.0 / 255.0)
    return images
