"""Models of text that count: interpolated n-grams, after Jelinek and Mercer, and after Kneser and Ney.

Both are fitted on windows of words, integers [N, length]: the last word of a window is predicted from those before it.
A model of order n looks at the last n words of a window, so models of several orders, and a neural one, learn from the
same cases and are tested on the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hintoncore._counts import as_count
from hintoncore._validate import given

__all__ = ["InterpolatedNGram", "KneserNey", "NGram"]

Words = NDArray[np.integer]
Probabilities = NDArray[np.float64]
Self = TypeVar("Self", bound="NGram")

_EM_STEPS = 50
_EM_PRECISION = 1e-7


@dataclass(frozen=True)
class _Counts:
    """Words after contexts of one length.

    A context has a number, its place in ``contexts``. Its key is made of the number of the context that is one word
    shorter (the first word left out) and of that first word, so keys stay small for contexts of any length.
    """

    n_words: int
    contexts: NDArray[np.int64]  # keys, rising
    grams: NDArray[np.int64]  # number of the context * n_words + word, rising
    counts: NDArray[np.int64]  # of each gram

    def context_of_grams(self) -> NDArray[np.int64]:
        """Number of the context of each gram."""
        return self.grams // self.n_words

    def sum_by_context(self, values: NDArray[np.integer | np.floating]) -> Probabilities:
        """Sums over the grams of each context."""
        sums = np.bincount(self.context_of_grams(), weights=values, minlength=len(self.contexts))
        return sums.astype(np.float64, copy=False)

    def count(self, context: NDArray[np.int64], word: Words) -> NDArray[np.int64]:
        """How often words follow contexts, given by number, -1 for an unknown one."""
        place = _place(self.grams, np.where(context < 0, -1, context * self.n_words + word))
        return np.where(place < 0, 0, self.counts[place])


def _place(keys: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each wanted key stands among rising keys, -1 where it does not."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)


class NGram(ABC):
    """Base class of models that predict the last word of a window from the words just before it.

    Parameters
    ----------
    order : int >= 1
        Words looked at, the predicted one included: 3 for trigrams.
    n_words : int >= 2
        Size of the vocabulary; words are integers in 0..n_words-1.
    """

    def __init__(self, order: int, n_words: int) -> None:
        self.order, self.n_words = as_count(order, "order"), as_count(n_words, "n_words")
        if self.n_words < 2:
            raise ValueError(f"n_words: expected at least 2, given {n_words}")
        self._levels: list[_Counts] = []

    def fit(self: Self, windows: Words) -> Self:
        """Count the words of windows [N, length >= order] that end with each word to learn."""
        words = self._checked(windows, "windows")
        self._levels = []
        number = np.zeros(len(words), dtype=np.int64)  # of the context of each window; the empty one is number 0
        contexts = np.zeros(1, dtype=np.int64)
        for length in range(self.order):
            if length > 0:
                contexts, number = np.unique(number * self.n_words + words[:, -1 - length], return_inverse=True)
            grams, counts = np.unique(number * self.n_words + words[:, -1], return_counts=True)
            self._levels.append(_Counts(self.n_words, contexts, grams, counts))
        self._estimate()
        return self

    def prob(self, windows: Words) -> Probabilities:
        """Probability of the last word of each window [N, length >= order] given those before it: [N]."""
        return self._prob(self._checked(windows, "windows"))

    def distribution(self, context: Words) -> Probabilities:
        """Probabilities of all words after contexts [N, length >= order - 1]: [N, n_words]."""
        context = np.asarray(context)
        if context.ndim != 2:
            raise ValueError(f"context: expected 2 dimensions, given {given(context)}")
        n = len(context)
        words = np.tile(np.arange(self.n_words), n)
        return self.prob(np.column_stack([np.repeat(context, self.n_words, axis=0), words])).reshape(n, self.n_words)

    def perplexity(self, windows: Words) -> float:
        """``exp(-mean log p)`` of the last words of windows."""
        return perplexity(self.prob(windows))

    @abstractmethod
    def _estimate(self) -> None:
        """What probabilities need, from the counts."""

    @abstractmethod
    def _prob(self, words: Words) -> Probabilities: ...

    def _checked(self, windows: Words, name: str) -> Words:
        words = np.asarray(windows)
        if words.dtype.kind not in "iu":
            raise TypeError(f"{name}: expected integers, given {given(words)}")
        if words.ndim != 2 or words.shape[1] < self.order or len(words) == 0:
            raise ValueError(f"{name}: expected shape [N >= 1, length >= {self.order}], given {given(words)}")
        if words.min() < 0 or words.max() >= self.n_words:
            raise ValueError(
                f"{name}: expected values in 0..{self.n_words - 1}, given {int(words.min())}..{int(words.max())}"
            )
        return words.astype(np.int64, copy=False)

    def _contexts(self, words: Words) -> list[NDArray[np.int64]]:
        """The number of the context of each length, from 0; -1 where it was never met."""
        if not self._levels:
            raise RuntimeError("n-gram: call fit first")
        numbers = [np.zeros(len(words), dtype=np.int64)]
        for length in range(1, self.order):
            shorter = numbers[-1]
            key = np.where(shorter < 0, -1, shorter * self.n_words + words[:, -1 - length])
            numbers.append(_place(self._levels[length].contexts, key))
        return numbers


def perplexity(probabilities: Probabilities) -> float:
    """``exp(-mean log p)``."""
    return float(np.exp(-np.mean(np.log(probabilities))))


class InterpolatedNGram(NGram):
    """A mixture of relative frequencies of all orders, with weights by how frequent the context is.

    ``p(w | context) = a_0(q) / n_words + sum_k a_k(q) p_k(w | last k - 1 words)``, with ``p_k`` the relative frequency,
    of a lower order where the context is new, and ``q = ceil(-log((1 + count of the longest context) / (1 + N)))``.
    The weights of each q are fitted to held-out windows by expectation-maximisation, :meth:`tune`; they begin equal.

    References
    ----------
    Jelinek and Mercer (1980), Interpolated estimation of Markov source parameters from sparse data; the form is that of
    Bengio, Ducharme, Vincent and Jauvin (2003), A neural probabilistic language model, section 4.1.
    """

    def _estimate(self) -> None:
        self._totals = [level.sum_by_context(level.counts) for level in self._levels]
        self._n = int(self._levels[0].counts.sum())
        self.weights = np.full((int(self._bucket(np.zeros(1))[0]) + 1, self.order + 1), 1 / (self.order + 1))

    def tune(self, windows: Words, steps: int = _EM_STEPS) -> list[float]:
        """Fit the weights to windows that were not fitted on; returns their perplexity before each step.

        A bucket of contexts that these windows never show keeps its weights. Ends when the perplexity falls by less
        than 1e-7 of itself.
        """
        words = self._checked(windows, "windows")
        parts, bucket = self._parts(words)
        curve: list[float] = []
        for _ in range(as_count(steps, "steps")):
            joint = self.weights[bucket] * parts
            total = joint.sum(axis=1)
            curve.append(perplexity(total))
            posterior = joint / total[:, None]
            met = np.bincount(bucket, minlength=len(self.weights))
            sums = np.stack(
                [np.bincount(bucket, weights=column, minlength=len(self.weights)) for column in posterior.T], axis=1
            )
            self.weights = np.where(met[:, None] > 0, sums / np.maximum(met, 1)[:, None], self.weights)
            if len(curve) > 1 and curve[-2] - curve[-1] < _EM_PRECISION * curve[-1]:
                break
        return curve

    def _bucket(self, counts: NDArray[np.floating]) -> NDArray[np.int64]:
        return np.ceil(-np.log((1 + counts) / (1 + self._n))).astype(np.int64)

    def _parts(self, words: Words) -> tuple[Probabilities, NDArray[np.int64]]:
        """Estimates of the orders 0 (uniform) to ``order``, [N, order + 1], and the bucket of each context."""
        parts = np.full((len(words), self.order + 1), 1 / self.n_words)
        total = np.zeros(len(words))
        for k, number in enumerate(self._contexts(words)):
            total = np.where(number < 0, 0.0, self._totals[k][number])
            frequency = self._levels[k].count(number, words[:, -1]) / np.maximum(total, 1)
            parts[:, k + 1] = np.where(number < 0, parts[:, k], frequency)
        return parts, self._bucket(total)

    def _prob(self, words: Words) -> Probabilities:
        parts, bucket = self._parts(words)
        mixture: Probabilities = (self.weights[bucket] * parts).sum(axis=1)
        return mixture


class KneserNey(NGram):
    """Interpolated modified Kneser-Ney smoothing: what discounts take off counts goes to shorter contexts.

    ``p(w | c) = (count(c w) - D(count)) / total + share(c) p(w | c without its first word)``, with discounts for counts
    of 1, 2 and 3 or more, estimated from the counts of counts. Shorter contexts count, in place of occurrences, the
    different words that precede; the last distribution is uniform.

    References
    ----------
    Kneser and Ney (1995), Improved backing-off for m-gram language modeling; Chen and Goodman (1999), An empirical
    study of smoothing techniques for language modeling, section 3, eq. 26 and 27.
    """

    def _estimate(self) -> None:
        levels = self._levels
        # How many different words precede a gram: the longer grams that end with it. The longer context says which one.
        for length in range(self.order - 1):
            longer = levels[length + 1]
            shorter_number = longer.contexts[longer.context_of_grams()] // self.n_words
            ends_with = shorter_number * self.n_words + longer.grams % self.n_words
            grams, counts = np.unique(ends_with, return_counts=True)
            levels[length] = _Counts(self.n_words, levels[length].contexts, grams, counts)
        self._totals = [level.sum_by_context(level.counts) for level in levels]
        self.discounts = [_discounts(level.counts) for level in levels]
        self._shares = [
            level.sum_by_context(discount[np.minimum(level.counts, 3)]) / total
            for level, discount, total in zip(levels, self.discounts, self._totals, strict=True)
        ]

    def _prob(self, words: Words) -> Probabilities:
        p = np.full(len(words), 1 / self.n_words)
        for i, number in enumerate(self._contexts(words)):
            count = self._levels[i].count(number, words[:, -1])
            kept = (count - self.discounts[i][np.minimum(count, 3)]) / self._totals[i][number]
            p = np.where(number < 0, p, kept + self._shares[i][number] * p)
        return p


def _discounts(counts: NDArray[np.int64]) -> Probabilities:
    """What is taken off counts of 0, 1, 2 and 3 or more (Chen and Goodman, eq. 26).

    Where the counts of counts leave one undefined, or out of [0, count], as in tiny texts, it is 1/2, or that end.
    """
    n1, n2, n3, n4 = (float((counts == k).sum()) for k in (1, 2, 3, 4))
    y = n1 / (n1 + 2 * n2) if n1 + n2 else 0.0
    pairs = ((n1, n2), (n2, n3), (n3, n4))
    raw = [k - (k + 1) * y * after / here if here else 0.5 for k, (here, after) in enumerate(pairs, start=1)]
    return np.array([0.0, *(min(max(d, 0.0), float(k)) for k, d in enumerate(raw, start=1))])
