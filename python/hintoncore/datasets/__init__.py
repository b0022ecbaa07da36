"""Loaders for data sets that users already have; the package ships no data.

``load(name, root=None)`` looks in ``root``, in ``$HINTONCORE_DATA`` and in the caches of torchvision, Keras,
Debian and scikit-learn, and says where it looked when it finds nothing.
"""

from hintoncore.datasets._binarize import binarize, binarize_stochastic
from hintoncore.datasets._catalog import NAMES, RATING_NAMES, TEXT_NAMES, load, load_ratings, locate, require
from hintoncore.datasets._dataset import Dataset, DatasetFormatError, DatasetNotFoundError
from hintoncore.datasets._ratings import RatingData, csr_ratings
from hintoncore.datasets._text import TextData, TextPart

__all__ = [
    "NAMES",
    "RATING_NAMES",
    "TEXT_NAMES",
    "Dataset",
    "DatasetFormatError",
    "DatasetNotFoundError",
    "RatingData",
    "TextData",
    "TextPart",
    "binarize",
    "binarize_stochastic",
    "csr_ratings",
    "load",
    "load_ratings",
    "locate",
    "require",
]
