"""Texts: strict reading, the vocabulary and the split of the papers, windows that stay within a piece."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hintoncore import datasets
from hintoncore.datasets import DatasetFormatError, DatasetNotFoundError, TextPart, _text


def _archive(folder: Path, texts: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "brown.zip", "w") as archive:
        for name, text in texts.items():
            archive.writestr(f"brown/{name}", text)


@pytest.fixture
def brown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two texts of 17 words and marks in all, cut after 8 and 12."""
    monkeypatch.delenv("HINTONCORE_DATA", raising=False)
    monkeypatch.setattr(_text, "_BROWN_TRAINING", 8)
    monkeypatch.setattr(_text, "_BROWN_VALIDATION", 4)
    monkeypatch.setattr(_text, "_RARE_COUNT", 1)
    first = "\n\n\tThe/at cat/nn and/or/cc the/at dog/nn ./.\n\n\n\tThe/at end/nn ./.\n"
    second = "\n\tthe/at cat/nn ran/vbd ./.\n\n \n"
    _archive(tmp_path / "brown", {"cb01": second, "ca01": first, "README": "not words", "cats.txt": "ca01 news"})
    return tmp_path


def test_brown_is_read_in_order_without_tags(brown: Path) -> None:
    data = datasets.load("brown", brown)
    words = [data.vocabulary[i] for part in (data.train, data.validation, data.test) for i in part.words]
    rare = "<rare>"
    expected = [
        "<text>",
        "The",
        "cat",
        rare,
        "the",
        rare,
        ".",
        rare,
        "The",
        rare,
        ".",
        "<text>",
        "the",
        "cat",
        rare,
        ".",
    ]
    assert words == expected
    assert [len(part) for part in (data.train, data.validation, data.test)] == [8, 4, 4]
    # By falling frequency, then by spelling; what is rare comes last.
    assert data.vocabulary == (".", "<text>", "The", "cat", "the", rare)
    assert data.number["cat"] == 3


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"ca01": "The/at cat"}, "word/tag"),
        ({"ca01": "/at"}, "word/tag"),
        ({"readme": "a/b"}, "expected more than"),
        ({"ca01": "a/at b/nn"}, "expected more than"),
        ({"ca01": "caf\u00e9/nn"}, "damaged"),
    ],
)
def test_a_damaged_brown_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: dict[str, str], message: str
) -> None:
    monkeypatch.delenv("HINTONCORE_DATA", raising=False)
    _archive(tmp_path / "brown", texts)
    with pytest.raises(DatasetFormatError, match=message):
        datasets.load("brown", tmp_path)
    (tmp_path / "brown" / "brown.zip").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(DatasetFormatError, match="damaged"):
        datasets.load("brown", tmp_path)


def test_sentences_are_split_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HINTONCORE_DATA", raising=False)
    lines = [f"W{i} w{i} Same ." for i in range(50)]
    path = tmp_path / "hinton-4gram" / "raw_sentences.txt"
    path.parent.mkdir()
    path.write_text("\n".join([*lines[:25], "", *lines[25:]]), encoding="ascii")
    data = datasets.load("hinton-4gram", tmp_path)
    parts = (data.train, data.validation, data.test)
    assert [len(part.ends) for part in parts] == [40, 5, 5]
    assert data.vocabulary[:2] == (".", "same")
    sentences = [[data.vocabulary[i] for i in window] for part in parts for window in part.windows(4)]
    assert sorted(sentences) == sorted(line.lower().split() for line in lines)
    with pytest.raises(ValueError, match="length"):
        data.train.windows(5)
    path.write_text("one\n" * 9, encoding="ascii")
    with pytest.raises(DatasetFormatError, match="at least 10 sentences"):
        datasets.load("hinton-4gram", tmp_path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DatasetFormatError, match="ASCII"):
        datasets.load("hinton-4gram", tmp_path)


def test_windows_do_not_cross_ends() -> None:
    part = TextPart(np.arange(7, dtype=np.int32), np.array([3, 4, 7]))
    assert part.windows(1).tolist() == [[i] for i in range(7)]
    assert part.windows(2).tolist() == [[0, 1], [1, 2], [4, 5], [5, 6]]
    assert part.windows(3).tolist() == [[0, 1, 2], [4, 5, 6]]
    assert part.windows(3).dtype == np.int32
    padded = part.windows(3, padding=9)
    assert padded.tolist() == [[9, 9, 0], [9, 0, 1], [0, 1, 2], [9, 9, 3], [9, 9, 4], [9, 4, 5], [4, 5, 6]]
    assert part.windows(4, padding=9, least=3).tolist() == [[9, 0, 1, 2], [9, 4, 5, 6]]
    with pytest.raises(ValueError, match="least"):
        part.windows(2, padding=9, least=3)
    for length in (4, 0, -1):
        with pytest.raises(ValueError, match="length"):
            part.windows(length)


def test_a_missing_text_says_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HINTONCORE_DATA", raising=False)
    monkeypatch.setenv("NLTK_DATA", str(tmp_path / "nltk"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in datasets.TEXT_NAMES:
        with pytest.raises(DatasetNotFoundError, match=str(tmp_path / "here")):
            datasets.load(name, tmp_path / "here")
    with pytest.raises(DatasetNotFoundError, match="nltk"):
        datasets.load("brown")
    with pytest.raises(ValueError, match="brown"):
        datasets.load("browne")


def test_the_whole_texts() -> None:
    for name in datasets.TEXT_NAMES:
        if datasets.locate(name) is None:
            if os.environ.get("CI"):
                datasets.require(name)
            pytest.skip(f"data set {name!r} is not on this machine (set HINTONCORE_DATA)")
    brown = datasets.load("brown")
    assert [len(part) for part in (brown.train, brown.validation, brown.test)] == [800_000, 200_000, 176_859]
    assert len(brown.vocabulary) == 17_907
    assert brown.vocabulary[:3] == ("the", ",", ".")
    course = datasets.load("hinton-4gram")
    assert len(course.vocabulary) == 250
    parts = (course.train, course.validation, course.test)
    # The course has 372,550 4-grams for training and twice 46,568 held out.
    assert sum(len(part.windows(4)) for part in parts) == 465_686
    assert sum(len(part.ends) for part in parts) == 97_162
