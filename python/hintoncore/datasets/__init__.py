"""Loaders for data sets that users already have; the package ships no data.

``load(name, root=None)`` looks in ``root``, in ``$HINTONCORE_DATA`` and in the caches of torchvision, Keras,
Debian and scikit-learn, and says where it looked when it finds nothing.
"""

from hintoncore.datasets._binarize import binarize, binarize_stochastic
from hintoncore.datasets._catalog import NAMES, load, locate, require
from hintoncore.datasets._dataset import Dataset, DatasetFormatError, DatasetNotFoundError

__all__ = [
    "NAMES",
    "Dataset",
    "DatasetFormatError",
    "DatasetNotFoundError",
    "binarize",
    "binarize_stochastic",
    "load",
    "locate",
    "require",
]
