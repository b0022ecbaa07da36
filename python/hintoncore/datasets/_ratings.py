"""Ratings as triples of user, item and value; MovieLens."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hintoncore.datasets._dataset import DatasetFormatError
from hintoncore.generator import Generator

__all__ = ["RatingData", "csr_ratings", "find_movielens", "read_movielens"]

CSR = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]

_RATINGS_HEADER = ["userId", "movieId", "rating", "timestamp"]
_MOVIES_HEADER = ["movieId", "title", "genres"]


@dataclass(frozen=True)
class RatingData:
    """Ratings of items by users.

    Attributes
    ----------
    name : str
    users, items : array of int64, shape [N]
        Numbers of users and items, from 0: rows and columns of the matrix of ratings.
    values : array of float32, shape [N]
    levels : array of float64, shape [K]
        The values there are, rising.
    user_ids : array of int64, shape [U]
    item_ids : array of int64, shape [I]
        What the files call user u and item i. Only items with a rating have a number.
    titles : tuple of str, length I
    source : str
        Folder the data came from.
    """

    name: str
    users: NDArray[np.int64]
    items: NDArray[np.int64]
    values: NDArray[np.float32]
    levels: NDArray[np.float64]
    user_ids: NDArray[np.int64]
    item_ids: NDArray[np.int64]
    titles: tuple[str, ...]
    source: str

    @property
    def shape(self) -> tuple[int, int]:
        """Users and items."""
        return len(self.user_ids), len(self.item_ids)

    def split(self, fraction: float = 0.1, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of the ratings to train on, and of a random ``fraction`` held out, each rising.

        Raises
        ------
        ValueError
            If ``fraction`` is not above 0 and below 1.
        """
        if not 0.0 < fraction < 1.0:
            raise ValueError(f"fraction: expected a number above 0 and below 1, given {fraction}")
        order = Generator(seed).permutation(len(self.values))
        held_out = round(fraction * len(order))
        return np.sort(order[held_out:]), np.sort(order[:held_out])

    def csr(self, which: NDArray[np.int64] | None = None) -> CSR:
        """Ratings, or some of them, as (indptr, indices, values) with a row for each user."""
        chosen = slice(None) if which is None else which
        return csr_ratings(self.users[chosen], self.items[chosen], self.values[chosen], n_users=self.shape[0])


def csr_ratings(
    users: NDArray[np.integer], items: NDArray[np.integer], values: NDArray[np.floating], *, n_users: int
) -> CSR:
    """Triples in compressed sparse rows: (indptr, indices, values), items rising within a user."""
    order = np.lexsort((items, users))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=n_users))]).astype(np.int64)
    return indptr, items[order].astype(np.int32), values[order].astype(np.float32)


def find_movielens(folder: Path) -> Path | None:
    """The folder, if it has the tables of ratings and titles."""
    return folder if all((folder / name).is_file() for name in ("ratings.csv", "movies.csv")) else None


def read_movielens(name: str, folder: Path) -> RatingData:
    """Read ``ratings.csv`` and ``movies.csv`` as GroupLens publishes them.

    Raises
    ------
    DatasetFormatError
        If a table has another header, a line that does not parse, or a rating twice.
    """
    rows = _table(folder / "ratings.csv", _RATINGS_HEADER)
    titles = {row[0]: row[1] for row in _table(folder / "movies.csv", _MOVIES_HEADER)}
    try:
        users_by_id = np.array([int(row[0]) for row in rows], dtype=np.int64)
        items_by_id = np.array([int(row[1]) for row in rows], dtype=np.int64)
        values = np.array([float(row[2]) for row in rows], dtype=np.float32)
    except ValueError as error:
        raise DatasetFormatError(f"{folder / 'ratings.csv'}: {error}") from error
    user_ids, users = np.unique(users_by_id, return_inverse=True)
    item_ids, items = np.unique(items_by_id, return_inverse=True)
    if len(np.unique(users * len(item_ids) + items)) != len(users):
        raise DatasetFormatError(f"{folder / 'ratings.csv'}: expected at most one rating of a film by a user")
    if not np.isfinite(values).all():
        raise DatasetFormatError(f"{folder / 'ratings.csv'}: expected finite ratings")
    return RatingData(
        name=name,
        users=users.astype(np.int64),
        items=items.astype(np.int64),
        values=values,
        levels=np.unique(values).astype(np.float64),
        user_ids=user_ids,
        item_ids=item_ids,
        titles=tuple(titles.get(str(item), str(item)) for item in item_ids),
        source=str(folder),
    )


def _table(path: Path, header: list[str]) -> list[list[str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            first, *rows = csv.reader(file)
    except (ValueError, csv.Error) as error:
        raise DatasetFormatError(f"{path}: empty or damaged ({error})") from error
    if first != header or not rows:
        raise DatasetFormatError(f"{path}: expected the columns {', '.join(header)} and rows, given {first}")
    if any(len(row) != len(header) for row in rows):
        raise DatasetFormatError(f"{path}: expected {len(header)} fields in every line")
    return rows
