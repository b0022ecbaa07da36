"""n-grams: small texts by hand, probabilities that add up to 1, expectation-maximisation that never gets worse."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hintoncore.models import InterpolatedNGram, KneserNey

TEXT = np.array([0, 1, 2, 0, 1, 3, 0, 1, 2, 2, 0], dtype=np.int32)  # a b c a b d a b c c a


def _windows(words: NDArray[Any], length: int) -> NDArray[Any]:
    return np.lib.stride_tricks.sliding_window_view(words, length)


def _text(n: int, n_words: int, seed: int) -> NDArray[Any]:
    """Words that depend on the two before."""
    draw = np.random.default_rng(seed)
    table = draw.dirichlet(np.full(n_words, 0.3), (n_words, n_words))
    words = [0, 1]
    for _ in range(n):
        words.append(int(draw.choice(n_words, p=table[words[-2], words[-1]])))
    return np.array(words)


def test_relative_frequencies_by_hand() -> None:
    model = InterpolatedNGram(3, 5).fit(_windows(TEXT, 3))
    # Nine words are learned: c a b d a b c c a, so the context "a b" is met three times, twice before c.
    weights = np.array([0.1, 0.2, 0.3, 0.4])
    model.weights = np.tile(weights, (len(model.weights), 1))
    p = model.prob(np.array([[0, 1, 2], [0, 1, 4], [2, 1, 2], [4, 4, 0]]))
    expected = [
        weights @ [1 / 5, 3 / 9, 2 / 3, 2 / 3],  # c after a b: c is 3 of 9, 2 of the 3 after b
        weights @ [1 / 5, 0, 0, 0],  # a word never met
        weights @ [1 / 5, 3 / 9, 2 / 3, 2 / 3],  # "c b" is new: the bigram in place of the trigram
        weights @ [1 / 5, 3 / 9, 3 / 9, 3 / 9],  # "e e" and "e" are new: the unigram in place of both
    ]
    np.testing.assert_allclose(p, expected, rtol=1e-12)
    assert model.perplexity(np.array([[0, 1, 2]])) == pytest.approx(1 / expected[0])


def test_kneser_ney_by_hand() -> None:
    """Bigrams: eight are different, and c and b follow one and more different words."""
    model = KneserNey(2, 5).fit(_windows(TEXT, 2))
    # Learned: b c a b d a b c c a. After a: b b b. After b: c d c. After c: a c a. After d: a.
    assert model.discounts[1].tolist() == pytest.approx(_discounts([3, 2, 1, 2, 1, 1]))
    # Different words before a: c, d; before b: a; before c: b, c; before d: b.
    assert model.discounts[0].tolist() == pytest.approx(_discounts([2, 1, 2, 1]))
    low, high = _discounts([2, 1, 2, 1]), _discounts([3, 2, 1, 2, 1, 1])
    share = (2 * low[1] + 2 * low[2]) / 6
    unigram_c, unigram_e = (2 - low[2]) / 6 + share / 5, share / 5
    after_b = (high[2] + high[1]) / 3
    p = model.prob(np.array([[1, 2], [1, 4], [4, 2]]))
    expected = [(2 - high[2]) / 3 + after_b * unigram_c, after_b * unigram_e, unigram_c]
    np.testing.assert_allclose(p, expected, rtol=1e-12)


def _discounts(counts: list[int]) -> list[float]:
    n = [sum(c == k for c in counts) for k in range(5)]
    y = n[1] / (n[1] + 2 * n[2])
    raw = [1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3] if n[3] else 0.5]
    return [0.0, *(min(max(d, 0.0), k) for k, d in enumerate(raw, 1))]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("kind", [InterpolatedNGram, KneserNey])
def test_probabilities_add_up_to_one(kind: type[Any], order: int) -> None:
    words = _text(400, 7, seed=order)
    model = kind(order, 9).fit(_windows(words, 5))  # two words of the vocabulary never occur
    if kind is InterpolatedNGram:
        model.tune(_windows(_text(300, 9, seed=10 + order), 5))
    contexts = np.random.default_rng(1).integers(0, 9, (200, 4))
    p = model.distribution(contexts)
    assert p.shape == (200, 9)
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(p[:, 3], model.prob(np.column_stack([contexts, np.full(200, 3)])))


def test_counts_of_every_order_are_those_of_the_text() -> None:
    """The frequencies of a 4-gram model against counting in plain Python."""
    words, n_words = _text(600, 6, seed=3), 6
    windows = _windows(words, 4)
    model = InterpolatedNGram(4, n_words).fit(windows)
    model.weights[:] = [0, 0, 0, 0, 1]
    for window in windows[:100]:
        for length in (3, 2, 1, 0):
            same = [w for w in windows.tolist() if w[3 - length : 3] == window[3 - length : 3].tolist()]
            if same:
                break
        expected = sum(w[3] == window[3] for w in same) / len(same)
        assert model.prob(window[None])[0] == pytest.approx(expected)


def test_expectation_maximisation_never_gets_worse() -> None:
    text = _text(3000, 12, seed=4)
    train, held_out = _windows(text[:2000], 3), _windows(text[2000:], 3)
    model = InterpolatedNGram(3, 12).fit(train)
    curve = model.tune(held_out)
    assert all(after <= before * (1 + 1e-12) for before, after in pairwise(curve))
    assert model.perplexity(held_out) < curve[0] - 0.01
    np.testing.assert_allclose(model.weights.sum(axis=1), 1, rtol=1e-12)
    # Contexts met often deserve the trigram more: bucket numbers fall with frequency.
    _, bucket = model._parts(held_out.astype(np.int64))
    frequent, rare = bucket.min(), bucket.max()
    assert model.weights[frequent, 3] > model.weights[rare, 3]


def test_a_better_model_of_the_text_has_a_lower_perplexity() -> None:
    """The text is of order 3: its trigrams beat bigrams, those beat unigrams, and no model beats the source."""
    text = _text(30000, 8, seed=5)
    train, test = _windows(text[:25000], 3), _windows(text[25000:], 3)
    found = [KneserNey(order, 8).fit(train).perplexity(test) for order in (1, 2, 3)]
    assert found[0] > found[1] > found[2]


def test_bad_input_is_named() -> None:
    for kind in (InterpolatedNGram, KneserNey):
        with pytest.raises(RuntimeError, match="fit"):
            kind(2, 3).prob(np.array([[0, 1]]))
        with pytest.raises(ValueError, match="n_words"):
            kind(2, 1)
        with pytest.raises(ValueError, match="order"):
            kind(0, 3)
        model = kind(2, 3)
        for bad in (np.array([[0]]), np.array([0, 1]), np.empty((0, 2), int), np.array([[0, 3]]), np.array([[-1, 0]])):
            with pytest.raises(ValueError, match="windows"):
                model.fit(bad)
        with pytest.raises(TypeError, match="windows"):
            model.fit(np.array([[0.0, 1.0]]))
        with pytest.raises(ValueError, match="context"):
            model.fit(np.array([[0, 1]])).distribution(np.array([0, 1]))
