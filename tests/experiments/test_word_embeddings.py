"""Language models side by side: the same cases for all, mixtures, and a quick run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from quick import check_quick

from hintoncore.datasets import TextData, TextPart
from hintoncore.experiments._language import Windows, cache, mixing_weight, rivals


def _data() -> TextData:
    draw = np.random.default_rng(0)

    def part(n: int) -> TextPart:
        pieces = [draw.integers(0, 5, draw.integers(3, 9)) for _ in range(n)]
        ends = np.cumsum([len(piece) for piece in pieces])
        return TextPart(np.concatenate(pieces).astype(np.int32), ends)

    return TextData("made", ("a", "b", "c", "d", "e"), part(200), part(50), part(50), "")


def test_all_models_have_the_same_cases() -> None:
    data = _data()
    windows = Windows.of(data, context=6, least=3)
    assert windows.test.shape[1] == 7
    assert (windows.test[:, -4:] < 5).all()  # the padding never reaches the n-grams
    np.testing.assert_array_equal(windows.test[:, -4:], data.test.windows(4))
    found = rivals(windows, 5, least=3)
    assert len(found.trigram[0]) == len(windows.validation)
    assert len(found.kneser_ney[1]) == len(windows.test)
    assert set(found.perplexities) == {f"{kind} {n}-gram" for kind in ("interpolated", "Kneser-Ney") for n in (2, 3, 4)}
    for values in found.perplexities.values():
        assert 4.5 < values["test"] < 7  # five words drawn at random: nothing beats 5 but by chance


def test_the_mixing_weight_makes_the_words_most_likely() -> None:
    draw = np.random.default_rng(1)
    p, q = draw.random(500), 0.7 * draw.random(500)
    weight = mixing_weight(p, q)
    grid = np.linspace(0.001, 0.999, 999)
    best = grid[np.argmax([np.log(w * p + (1 - w) * q).sum() for w in grid])]
    assert weight == pytest.approx(best, abs=2e-3)
    assert mixing_weight(p, p / 2) > 0.99


def test_a_cache_is_the_share_of_the_words_before() -> None:
    windows = np.array([[3, 1, 3, 3], [5, 5, 2, 2], [5, 5, 5, 0], [0, 1, 2, 4]])
    np.testing.assert_array_equal(cache(windows, 5), [2 / 3, 1, 0, 0])


def test_quick(tmp_path: Path) -> None:
    report = check_quick("word-embeddings", tmp_path)
    details = json.loads((tmp_path / "seed-0" / "figures.json").read_text(encoding="utf-8"))["details"]["hinton-4gram"]
    assert report["quick"]
    assert 0 < details["weight_of_the_net_in_the_mixture"]["trigram"] < 1
    found = details["test_perplexity"]
    assert found["net and trigram"] < found["net"]
    assert found["cache and trigram"] < found["trigram"] * 1.01
