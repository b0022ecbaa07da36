"""What language models of a text are trained and judged on: windows of words, rivals that count, mixtures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hintoncore.datasets import TextData

__all__ = ["Rivals", "Windows", "cache", "mixing_weight", "rivals"]

Array = NDArray[Any]

_TRIGRAM = 3


@dataclass(frozen=True)
class Windows:
    """The same cases for every model: a context and the word after it, [N, context + 1], in three parts."""

    train: NDArray[np.int32]
    validation: NDArray[np.int32]
    test: NDArray[np.int32]

    @classmethod
    def of(cls, data: TextData, context: int, least: int) -> Windows:
        """All windows with at least ``least`` words before the last; the number V stands for what is missing."""
        parts = (data.train, data.validation, data.test)
        padding = len(data.vocabulary)
        return cls(*(part.windows(context + 1, padding=padding, least=least + 1) for part in parts))

    def part(self, train: int, held_out: int) -> Windows:
        """The first cases of each part."""
        return Windows(self.train[:train], self.validation[:held_out], self.test[:held_out])


@dataclass(frozen=True)
class Rivals:
    """Probabilities of the validation and test words by two n-gram models, and the perplexities of several.

    ``trigram`` is the interpolated trigram of Bengio et al. (2003), its weights tuned on the validation part;
    ``kneser_ney`` is modified Kneser-Ney of the order that does best there.
    """

    trigram: tuple[Array, Array]
    kneser_ney: tuple[Array, Array]
    perplexities: dict[str, dict[str, float]]


def rivals(windows: Windows, n_words: int, least: int) -> Rivals:
    """Fit the n-grams; none looks at more than the ``least`` words that every window has."""
    from hintoncore.models import InterpolatedNGram, KneserNey
    from hintoncore.models.ngram import perplexity

    train, validation, test = (part[:, -least - 1 :] for part in (windows.train, windows.validation, windows.test))
    found: dict[str, tuple[Array, Array]] = {}
    for order in range(2, least + 2):
        interpolated = InterpolatedNGram(order, n_words).fit(train)
        interpolated.tune(validation)
        found[f"interpolated {order}-gram"] = interpolated.prob(validation), interpolated.prob(test)
        kneser_ney = KneserNey(order, n_words).fit(train)
        found[f"Kneser-Ney {order}-gram"] = kneser_ney.prob(validation), kneser_ney.prob(test)
    best = min((name for name in found if name.startswith("Kneser")), key=lambda name: perplexity(found[name][0]))
    return Rivals(
        trigram=found[f"interpolated {_TRIGRAM}-gram"],
        kneser_ney=found[best],
        perplexities={
            name: {"validation": perplexity(validation), "test": perplexity(test)}
            for name, (validation, test) in found.items()
        },
    )


def cache(windows: Array, no_word: int) -> Array:
    """The share of the words before the last of each window that are the same as it, [N]: what was said is said again.

    Kuhn and De Mori (1990), A cache-based natural language model for speech recognition, IEEE PAMI 12. The number
    ``no_word`` stands for a missing word.
    """
    before, last = windows[:, :-1], windows[:, -1:]
    share: Array = (before == last).sum(axis=1) / np.maximum((before != no_word).sum(axis=1), 1)
    return share


def mixing_weight(p: Array, q: Array, steps: int = 100) -> float:
    """The weight of p in ``weight * p + (1 - weight) * q`` that makes these probabilities most likely, by EM."""
    weight = 0.5
    for _ in range(steps):
        share = weight * p
        weight = float(np.mean(share / (share + (1 - weight) * q)))
    return weight
