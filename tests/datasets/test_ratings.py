"""MovieLens: strict reading, a split that depends on the seed alone, sparse rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hintoncore import datasets
from hintoncore.datasets import DatasetFormatError, DatasetNotFoundError

RATINGS = "userId,movieId,rating,timestamp\r\n7,30,4.0,1\r\n7,10,0.5,2\r\n9,10,5.0,3\r\n"
MOVIES = 'movieId,title,genres\r\n10,"Kid, The (1921)",Comedy\r\n20,Unrated (1999),Drama\r\n30,M (1931),Crime\r\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("HINTONCORE_DATA", raising=False)
    found = tmp_path / "ml-latest-small"
    found.mkdir()
    (found / "ratings.csv").write_text(RATINGS, encoding="utf-8")
    (found / "movies.csv").write_text(MOVIES, encoding="utf-8")
    return found


def test_movielens_is_read(folder: Path) -> None:
    data = datasets.load_ratings("movielens-latest-small", folder.parent)
    assert data.shape == (2, 2)
    assert data.titles == ("Kid, The (1921)", "M (1931)")
    assert data.users.tolist() == [0, 0, 1]
    assert data.items.tolist() == [1, 0, 0]
    assert data.values.tolist() == [4.0, 0.5, 5.0]
    assert data.levels.tolist() == [0.5, 4.0, 5.0]
    assert (data.user_ids.tolist(), data.item_ids.tolist()) == ([7, 9], [10, 30])
    indptr, items, values = data.csr()
    assert (indptr.tolist(), items.tolist(), values.tolist()) == ([0, 2, 3], [0, 1, 0], [0.5, 4.0, 5.0])
    indptr, items, values = data.csr(np.array([2]))
    assert (indptr.tolist(), items.tolist(), values.tolist()) == ([0, 0, 1], [0], [5.0])


def test_a_split_is_a_partition_by_the_seed_alone() -> None:
    n = 1000
    data = datasets.RatingData(
        "made",
        np.arange(n),
        np.arange(n),
        np.ones(n, np.float32),
        np.ones(1),
        np.arange(n),
        np.arange(n),
        ("",) * n,
        "",
    )
    kept, held_out = data.split(0.1, seed=3)
    assert len(held_out) == 100
    assert np.array_equal(np.sort(np.concatenate([kept, held_out])), np.arange(n))
    assert all(np.array_equal(a, b) for a, b in zip(data.split(0.1, seed=3), (kept, held_out), strict=True))
    assert not np.array_equal(data.split(0.1, seed=4)[1], held_out)
    for fraction in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="fraction"):
            data.split(fraction)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ratings.csv", RATINGS.replace("userId", "user"), "columns"),
        ("ratings.csv", RATINGS + "9,10,4.0,4\r\n", "at most one"),
        ("ratings.csv", RATINGS + "9,30,four,4\r\n", "four"),
        ("ratings.csv", RATINGS + "9,30\r\n", "4 fields"),
        ("ratings.csv", RATINGS + "9,30,nan,4\r\n", "finite"),
        ("ratings.csv", "", "empty"),
        ("movies.csv", "movieId,title\r\n", "columns"),
    ],
)
def test_damaged_tables_are_refused(folder: Path, name: str, text: str, message: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(DatasetFormatError, match=message):
        datasets.load_ratings("movielens-latest-small", folder.parent)


def test_names_and_places(folder: Path) -> None:
    assert datasets.locate("movielens-latest-small", folder.parent) == folder
    (folder / "movies.csv").unlink()
    with pytest.raises(DatasetNotFoundError, match="GroupLens"):
        datasets.load_ratings("movielens-latest-small", folder.parent)
    with pytest.raises(ValueError, match="movielens"):
        datasets.load_ratings("netflix")
    with pytest.raises(ValueError, match="load_ratings"):
        datasets.load("movielens-latest-small")
