"""Running text as numbers of words; the Brown corpus and the sentences of Hinton's course."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hintoncore._counts import as_count
from hintoncore.datasets._dataset import DatasetFormatError
from hintoncore.generator import Generator

__all__ = ["TextData", "TextPart", "find_brown", "find_hinton_4gram", "read_brown", "read_hinton_4gram"]

TEXT_MARK, PARAGRAPH_MARK, RARE = "<text>", "<paragraph>", "<rare>"

_BROWN_FILE = "brown.zip"
_BROWN_TEXT = re.compile(r"(?:.*/)?c[a-r]\d\d")
_BROWN_PARAGRAPH = re.compile(r"\n\s*\n")
_BROWN_TRAINING, _BROWN_VALIDATION = 800_000, 200_000
_RARE_COUNT = 3

_SENTENCES_FILE = "raw_sentences.txt"
_SPLIT_SEED = 0


@dataclass(frozen=True)
class TextPart:
    """Words in their order, in one piece or several that have nothing to do with each other.

    Attributes
    ----------
    words : array of int32, shape [T]
        Numbers of the words.
    ends : array of int64, shape [S], rising to T
        Where each piece ends.
    """

    words: NDArray[np.int32]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.words)

    def windows(self, length: int, *, padding: int | None = None, least: int = 1) -> NDArray[np.int32]:
        """Runs of ``length`` consecutive words within a piece, in their order: [N, length].

        Parameters
        ----------
        length : int >= 1
        padding : int, optional
            Stands for the words that are missing at the beginning of a piece, so that every word ends a window. Without
            it a window has words only.
        least : int in 1..length
            Words, no padding, that a window must have.

        Raises
        ------
        ValueError
            If ``length`` or ``least`` is out of range or there is no such run.
        """
        length, least = as_count(length, "length"), as_count(least, "least")
        if least > length:
            raise ValueError(f"least: expected at most length, {length}, given {least}")
        place = np.arange(len(self.words)) - np.repeat(self._starts, self.ends - self._starts)  # in its piece
        last = np.flatnonzero(place + 1 >= (length if padding is None else least))
        if len(last) == 0:
            raise ValueError(f"length: expected a length that some piece has, given {length}")
        back = np.arange(1 - length, 1)
        windows: NDArray[np.int32] = self.words[np.maximum(last[:, None] + back, 0)]
        if padding is not None:
            windows[place[last][:, None] + back < 0] = padding
        return windows

    @property
    def _starts(self) -> NDArray[np.int64]:
        return np.concatenate([[0], self.ends[:-1]])


@dataclass(frozen=True)
class TextData:
    """A text in three parts, and its vocabulary.

    Attributes
    ----------
    name : str
    vocabulary : tuple of str, length V
        The word of each number, the most frequent first.
    train, validation, test : TextPart
    source : str
        File the text came from.
    """

    name: str
    vocabulary: tuple[str, ...]
    train: TextPart
    validation: TextPart
    test: TextPart
    source: str

    @cached_property
    def number(self) -> dict[str, int]:
        """The number of each word."""
        return {word: i for i, word in enumerate(self.vocabulary)}


def find_brown(folder: Path) -> Path | None:
    """The archive as the Natural Language Toolkit distributes it, if the folder has it."""
    path = folder / _BROWN_FILE
    return path if path.is_file() else None


def read_brown(name: str, path: Path) -> TextData:
    """The words of the 500 texts, without their tags, as Bengio et al. (2003), section 4.1, use them.

    Capital letters count. Marks between texts and between paragraphs are words too. Words that occur at most 3 times
    are one symbol. The first 800,000 words are for training, the next 200,000 for validation, the others for the test.

    Raises
    ------
    DatasetFormatError
        If the archive is damaged, has no texts, too few words, or a word without a tag.
    """
    stream: list[str] = []
    try:
        with zipfile.ZipFile(path) as archive:
            texts = sorted(member for member in archive.namelist() if _BROWN_TEXT.fullmatch(member))
            for member in texts:
                stream += _brown_words(archive.read(member).decode("ascii"), f"{path}: {member}")
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, DatasetFormatError):
            raise
        raise DatasetFormatError(f"{path}: damaged, or not the Brown corpus ({error})") from error
    first, second = _BROWN_TRAINING, _BROWN_TRAINING + _BROWN_VALIDATION
    if len(stream) <= second:
        raise DatasetFormatError(
            f"{path}: expected more than {second} words in texts such as ca01, given {len(stream)}"
        )
    vocabulary, words = _numbered(stream, rare=_RARE_COUNT)
    train, validation, test = (
        TextPart(part, np.array([len(part)], dtype=np.int64)) for part in np.split(words, [first, second])
    )
    return TextData(name, vocabulary, train, validation, test, str(path))


def _brown_words(text: str, where: str) -> list[str]:
    """Words of ``word/tag`` pairs, with a mark before the text and one before each later paragraph."""
    words = [TEXT_MARK]
    for paragraph in _BROWN_PARAGRAPH.split(text):
        pairs = paragraph.split()
        if not pairs:
            continue
        if len(words) > 1:
            words.append(PARAGRAPH_MARK)
        for pair in pairs:
            word, slash, _tag = pair.rpartition("/")
            if not (slash and word):
                raise DatasetFormatError(f"{where}: expected words as word/tag, given {pair!r}")
            words.append(word)
    return words


def find_hinton_4gram(folder: Path) -> Path | None:
    """The sentences of the course, if the folder has them."""
    path = folder / _SENTENCES_FILE
    return path if path.is_file() else None


def read_hinton_4gram(name: str, path: Path) -> TextData:
    """The sentences over 250 lower-cased words, from assignment 2 of Hinton's course of 2012.

    A tenth of the sentences, drawn at random with a fixed seed, is the test part, another tenth is for validation. The
    course drew 4-grams instead, so that a sentence was partly in each part; here its 4-grams stay together.

    Raises
    ------
    DatasetFormatError
        If the file is empty or is not plain text.
    """
    try:
        lines = [line.split() for line in path.read_text(encoding="ascii").lower().splitlines()]
    except ValueError as error:
        raise DatasetFormatError(f"{path}: expected plain ASCII text ({error})") from error
    lines = [line for line in lines if line]
    tenth = len(lines) // 10
    if tenth == 0:
        raise DatasetFormatError(f"{path}: expected at least 10 sentences, one a line, given {len(lines)}")
    vocabulary, words = _numbered([word for line in lines for word in line], rare=0)
    pieces = np.split(words, np.cumsum([len(line) for line in lines])[:-1])
    order = Generator(_SPLIT_SEED).permutation(len(lines))
    parts = [order[2 * tenth :], order[tenth : 2 * tenth], order[:tenth]]
    train, validation, test = (_joined([pieces[i] for i in np.sort(part)]) for part in parts)
    return TextData(name, vocabulary, train, validation, test, str(path))


def _joined(pieces: Sequence[NDArray[np.int32]]) -> TextPart:
    return TextPart(np.concatenate(pieces), np.cumsum([len(piece) for piece in pieces], dtype=np.int64))


def _numbered(stream: Sequence[str], *, rare: int) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Vocabulary by falling frequency, ties by spelling, and the text in its numbers.

    Words that occur at most ``rare`` times share the symbol RARE, whose number is the last.
    """
    counts = Counter(stream)
    kept = sorted((word for word, count in counts.items() if count > rare), key=lambda word: (-counts[word], word))
    if len(kept) < len(counts):
        kept.append(RARE)
    number = {word: i for i, word in enumerate(kept)}
    rest = number.get(RARE, 0)
    return tuple(kept), np.array([number.get(word, rest) for word in stream], dtype=np.int32)
