"""Which data sets there are, where they may lie, and how each is read."""

from __future__ import annotations

import gzip
import importlib.util
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

import numpy as np

from hintoncore.datasets._dataset import Dataset, DatasetFormatError, DatasetNotFoundError, unit_interval
from hintoncore.datasets._faces import find_frey, find_olivetti, read_frey, read_olivetti
from hintoncore.datasets._idx import read_images, read_labels, read_pixels
from hintoncore.datasets._ratings import RatingData, find_movielens, read_movielens
from hintoncore.datasets._text import TextData, find_brown, find_hinton_4gram, read_brown, read_hinton_4gram

__all__ = ["NAMES", "RATING_NAMES", "TEXT_NAMES", "load", "load_ratings", "locate", "require"]

_ROOT_VARIABLE = "HINTONCORE_DATA"

_DIGITS_TRAINING_ROWS = 1500
_DIGITS_LEVELS = 16


@dataclass(frozen=True)
class _Place:
    """Where a data set may lie; ``find`` names the source in a folder, if it is there."""

    folders: tuple[str, ...]  # below root and $HINTONCORE_DATA
    caches: Callable[[], Iterator[Path]]
    find: Callable[[Path], Path | None]
    hint: str


@dataclass(frozen=True)
class _Entry(_Place):
    """One data set of images, which ``read`` loads."""

    read: Callable[[str, Path], Dataset]


@dataclass(frozen=True)
class _RatingEntry(_Place):
    """One data set of ratings, which ``read`` loads."""

    read: Callable[[str, Path], RatingData]


@dataclass(frozen=True)
class _TextEntry(_Place):
    """One text, which ``read`` loads."""

    read: Callable[[str, Path], TextData]


@overload
def load(  # type: ignore[overload-overlap]  # a name that is not a literal is one of images
    name: Literal["brown", "hinton-4gram"], root: str | os.PathLike[str] | None = None
) -> TextData: ...
@overload
def load(name: str, root: str | os.PathLike[str] | None = None) -> Dataset: ...
def load(name: str, root: str | os.PathLike[str] | None = None) -> Dataset | TextData:
    """Load a data set that is already on this machine.

    Parameters
    ----------
    name : str
        One of :data:`NAMES`: ``"digits"`` (scikit-learn's 8x8 digits of UCI, 1500 + 297), ``"mnist"`` or
        ``"fashion-mnist"`` (28x28, 60000 + 10000), ``"olivetti"`` (64x64 faces of 40 people, 320 + 80), ``"frey"``
        (28x20 frames of one face, 1765 + 200). Or one of :data:`TEXT_NAMES`: ``"brown"`` (the Brown corpus, 1.18
        million words in order, 17907 different), ``"hinton-4gram"`` (97162 sentences of 250 words).
    root : path, optional
        Folder to search first; the files may lie in it or in its usual subfolders. Then follow
        ``$HINTONCORE_DATA`` and the caches of torchvision, Keras, Debian's ``dataset-fashion-mnist`` and
        scikit-learn.

    Returns
    -------
    Dataset or TextData

    Raises
    ------
    ValueError
        If the name is unknown.
    DatasetNotFoundError
        If no copy is found; the message says where it looked.
    DatasetFormatError
        If a copy is found and is damaged.
    """
    if name in _RATING_ENTRIES:
        raise ValueError(f"name: {name!r} has ratings, not images: use load_ratings")
    source = require(name, root)
    return _TEXT_ENTRIES[name].read(name, source) if name in _TEXT_ENTRIES else _ENTRIES[name].read(name, source)


def load_ratings(name: str, root: str | os.PathLike[str] | None = None) -> RatingData:
    """Load ratings that are already on this machine.

    Parameters
    ----------
    name : str
        One of :data:`RATING_NAMES`: ``"movielens-latest-small"`` (100836 ratings by 610 people of 9724 films).
    root : path, optional
        Folder to search before ``$HINTONCORE_DATA``.

    Raises
    ------
    ValueError
        If the name is unknown.
    DatasetNotFoundError, DatasetFormatError
        As :func:`load`.
    """
    if name not in _RATING_ENTRIES:
        raise ValueError(f"name: expected one of {', '.join(RATING_NAMES)}, given {name!r}")
    return _RATING_ENTRIES[name].read(name, require(name, root))


def require(name: str, root: str | os.PathLike[str] | None = None) -> Path:
    """Folder or file that :func:`load` would read; nothing is opened.

    Raises
    ------
    ValueError
        If the name is unknown.
    DatasetNotFoundError
        If no copy is found; the message says where it looked.
    """
    source = locate(name, root)
    if source is None:
        entry = _place(name)
        places = "".join(f"\n  {folder}" for folder in dict.fromkeys(_search_path(entry, root)))
        raise DatasetNotFoundError(f"data set {name!r} not found; looked in{places}\n{entry.hint}")
    return source


def locate(name: str, root: str | os.PathLike[str] | None = None) -> Path | None:
    """Folder or file that :func:`load` would read, None where there is none; nothing is opened.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    entry = _place(name)
    return next(filter(None, map(entry.find, _search_path(entry, root))), None)


def _place(name: str) -> _Place:
    place = _ENTRIES.get(name) or _RATING_ENTRIES.get(name) or _TEXT_ENTRIES.get(name)
    if place is None:
        known = ", ".join((*NAMES, *TEXT_NAMES, *RATING_NAMES))
        raise ValueError(f"name: expected one of {known}, given {name!r}")
    return place


def _search_path(entry: _Place, root: str | os.PathLike[str] | None) -> Iterator[Path]:
    for base in (root, os.environ.get(_ROOT_VARIABLE)):
        if base:
            yield from (Path(base).expanduser() / folder for folder in entry.folders)
    yield from entry.caches()


# MNIST and Fashion-MNIST

_IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def _idx_paths(folder: Path) -> list[Path]:
    """Those of the four files that the folder has, plain or compressed."""
    candidates = ((folder / stem, folder / f"{stem}.gz") for stem in _IDX_FILES)
    return [path for pair in candidates for path in [next((p for p in pair if p.is_file()), None)] if path is not None]


def _find_idx(folder: Path) -> Path | None:
    return folder if len(_idx_paths(folder)) == len(_IDX_FILES) else None


def _read_idx(name: str, folder: Path) -> Dataset:
    train_images, train_labels, test_images, test_labels = _idx_paths(folder)
    train, image_shape = read_images(train_images)
    test, test_shape = read_pixels(test_images)
    if test_shape != image_shape:
        raise DatasetFormatError(f"{test_images}: expected images of shape {image_shape}, given {test_shape}")
    dataset = Dataset(name, train, read_labels(train_labels), test, read_labels(test_labels), image_shape, str(folder))
    return _with_matching_labels(dataset)


def _find_mnist(folder: Path) -> Path | None:
    """IDX files or the archive that Keras keeps."""
    archive = folder / "mnist.npz"
    return archive if archive.is_file() else _find_idx(folder)


def _read_mnist(name: str, source: Path) -> Dataset:
    return _read_keras_archive(name, source) if source.suffix == ".npz" else _read_idx(name, source)


def _read_keras_archive(name: str, path: Path) -> Dataset:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            parts = {key: np.asarray(archive[key]) for key in ("x_train", "y_train", "x_test", "y_test")}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DatasetFormatError(f"{path}: damaged, or not the MNIST archive of Keras ({error})") from error
    for key, array in parts.items():
        n_dimensions = 3 if key.startswith("x") else 1
        if array.dtype != np.uint8 or array.ndim != n_dimensions:
            raise DatasetFormatError(
                f"{path}: {key}: expected uint8 with {n_dimensions} dimension(s), given {array.dtype} {array.shape}"
            )
    rows, columns = parts["x_train"].shape[1:]
    if parts["x_test"].shape[1:] != (rows, columns):
        raise DatasetFormatError(f"{path}: x_test: expected images of shape {(rows, columns)}")
    dataset = Dataset(
        name=name,
        train=unit_interval(parts["x_train"].reshape(-1, rows * columns)),
        train_labels=parts["y_train"].astype(np.int64),
        test_pixels=parts["x_test"].reshape(-1, rows * columns),
        test_labels=parts["y_test"].astype(np.int64),
        image_shape=(rows, columns),
        source=str(path),
    )
    return _with_matching_labels(dataset)


def _with_matching_labels(dataset: Dataset) -> Dataset:
    for part, images, labels in (
        ("training", dataset.train, dataset.train_labels),
        ("test", dataset.test_pixels, dataset.test_labels),
    ):
        if len(images) != len(labels):
            raise DatasetFormatError(f"{dataset.source}: {len(images)} {part} images but {len(labels)} labels")
    return dataset


def _torchvision_folders(dataset: str) -> Iterator[Path]:
    """``torchvision.datasets.MNIST(root)`` keeps its files in ``root/MNIST/raw``; these are the usual roots."""
    torch_home = os.environ.get("TORCH_HOME", "~/.cache/torch")
    for base in ("data", ".", "~/data", "~/datasets", torch_home):
        yield Path(base).expanduser() / dataset / "raw"


def _keras_folder() -> Path:
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "datasets"


def _mnist_caches() -> Iterator[Path]:
    yield from _torchvision_folders("MNIST")
    yield _keras_folder()


def _fashion_mnist_caches() -> Iterator[Path]:
    yield from _torchvision_folders("FashionMNIST")
    yield _keras_folder() / "fashion-mnist"
    yield Path("/usr/share/datasets/fashion-mnist")


# The digits of scikit-learn


def _find_digits(folder: Path) -> Path | None:
    path = folder / "digits.csv.gz"
    return path if path.is_file() else None


def _read_digits(name: str, path: Path) -> Dataset:
    try:
        lines = gzip.decompress(path.read_bytes()).decode("ascii").split()
        table = np.array([line.split(",") for line in lines], dtype=np.float64)
    except (ValueError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DatasetFormatError(f"{path}: damaged, or not the digits of scikit-learn ({error})") from error
    if table.ndim != 2 or table.shape[0] <= _DIGITS_TRAINING_ROWS or table.shape[1] != 65:
        raise DatasetFormatError(f"{path}: expected shape (1797, 65), given {table.shape}")
    levels, labels = table[:, :64], table[:, 64]
    if levels.min() < 0 or levels.max() > _DIGITS_LEVELS:
        raise DatasetFormatError(f"{path}: expected grey levels from 0 to {_DIGITS_LEVELS}")
    images = (levels / _DIGITS_LEVELS).astype(np.float32)
    split = _DIGITS_TRAINING_ROWS
    return Dataset(
        name=name,
        train=images[:split],
        train_labels=labels[:split].astype(np.int64),
        test_pixels=images[split:],
        test_labels=labels[split:].astype(np.int64),
        image_shape=(8, 8),
        source=str(path),
    )


def _digits_caches() -> Iterator[Path]:
    """Find the file inside an installed scikit-learn without the second that importing it takes."""
    spec = importlib.util.find_spec("sklearn")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        yield Path(location) / "datasets" / "data"


# Texts


def _nltk_folders() -> Iterator[Path]:
    """Where ``nltk.download("brown")`` puts the archive."""
    for base in (os.environ.get("NLTK_DATA"), "~/nltk_data", "/usr/share/nltk_data"):
        if base:
            yield Path(base).expanduser() / "corpora"


_ENTRIES = {
    "digits": _Entry(
        folders=("", "digits"),
        caches=_digits_caches,
        find=_find_digits,
        read=_read_digits,
        hint="It comes with scikit-learn: pip install scikit-learn.",
    ),
    "fashion-mnist": _Entry(
        folders=("fashion-mnist", "FashionMNIST/raw"),
        caches=_fashion_mnist_caches,
        find=_find_idx,
        read=_read_idx,
        hint=(
            "Put the four IDX files (train-images-idx3-ubyte.gz ...) into a folder fashion-mnist and pass "
            f"its parent as root or set ${_ROOT_VARIABLE}; Debian packages them as dataset-fashion-mnist."
        ),
    ),
    "frey": _Entry(
        folders=("frey",),
        caches=lambda: iter(()),
        find=find_frey,
        read=read_frey,
        hint=(
            "Save Brendan Frey's 1965 frames, uint8 [1965, 28, 20], as frey_1965x28x20_uint8.npy in a folder frey and "
            f"pass its parent as root or set ${_ROOT_VARIABLE}."
        ),
    ),
    "mnist": _Entry(
        folders=("mnist", "MNIST/raw"),
        caches=_mnist_caches,
        find=_find_mnist,
        read=_read_mnist,
        hint=(
            "Put the four IDX files (train-images-idx3-ubyte.gz ...) into a folder mnist and pass its parent "
            f"as root or set ${_ROOT_VARIABLE}."
        ),
    ),
    "olivetti": _Entry(
        folders=("olivetti",),
        caches=lambda: iter(()),
        find=find_olivetti,
        read=read_olivetti,
        hint=(
            "Put Sam Roweis's olivettifaces.mat (pictures of AT&T Laboratories Cambridge) into a folder olivetti and "
            f"pass its parent as root or set ${_ROOT_VARIABLE}."
        ),
    ),
}

_RATING_ENTRIES = {
    "movielens-latest-small": _RatingEntry(
        folders=("movielens-latest-small", "ml-latest-small"),
        caches=lambda: iter(()),
        find=find_movielens,
        read=read_movielens,
        hint=(
            "Download ml-latest-small.zip from GroupLens (grouplens.org/datasets/movielens, not for commerce) and "
            f"pass the folder of ml-latest-small as root or set ${_ROOT_VARIABLE}."
        ),
    ),
}

_TEXT_ENTRIES = {
    "brown": _TextEntry(
        folders=("brown", "corpora"),
        caches=_nltk_folders,
        find=find_brown,
        read=read_brown,
        hint=(
            "Put brown.zip of the Natural Language Toolkit's data (not for commerce) into a folder brown and pass its "
            f"parent as root or set ${_ROOT_VARIABLE}; python -m nltk.downloader brown fetches it."
        ),
    ),
    "hinton-4gram": _TextEntry(
        folders=("hinton-4gram",),
        caches=lambda: iter(()),
        find=find_hinton_4gram,
        read=read_hinton_4gram,
        hint=(
            "Put raw_sentences.txt of assignment 2 of Hinton's course Neural Networks for Machine Learning into a "
            f"folder hinton-4gram and pass its parent as root or set ${_ROOT_VARIABLE}."
        ),
    ),
}

NAMES = tuple(_ENTRIES)
"""Names of data sets of images, which :func:`load` knows."""

TEXT_NAMES = tuple(_TEXT_ENTRIES)
"""Names of texts, which :func:`load` knows too."""

RATING_NAMES = tuple(_RATING_ENTRIES)
"""Names that :func:`load_ratings` knows."""
