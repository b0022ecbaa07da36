"""The data set record and the errors of its loaders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Dataset", "DatasetFormatError", "DatasetNotFoundError"]


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
    """

    name: str
    train: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test: NDArray[np.float32]
    test_labels: NDArray[np.int64]
    image_shape: tuple[int, int]
    source: str
