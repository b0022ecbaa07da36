"""The neural probabilistic language model: a vector for each word, and a net that predicts the next from those before.

    y = b + W x + U tanh(d + H x),    p(word i | context) = exp(y_i) / sum_j exp(y_j)                (eq. 1)

where x are the vectors of the words of the context, side by side (Bengio, Ducharme, Vincent and Jauvin 2003, A neural
probabilistic language model, JMLR 3). The direct connections W are optional, as in the paper. Two things are not in it:
dropout on the vectors and on the hidden units (Srivastava et al. 2014), and a bag of the words before the context,
whose vectors, others than those of the context, are added up to one more part of x: it tells what the text is about
(Irie, Schlueter and Ney 2015, Bag-of-words input for long history representation in neural network-based language
models for speech recognition).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hintoncore import ops
from hintoncore._counts import as_count
from hintoncore._validate import given
from hintoncore.generator import RngLike, as_generator
from hintoncore.nn import _arithmetic, init
from hintoncore.nn._arithmetic import Array
from hintoncore.nn.embedding import Embedding, EmbeddingBag
from hintoncore.nn.layers import Dropout, Layer, Linear
from hintoncore.nn.network import Parallel, Sequential

__all__ = ["NPLM", "WordCrossEntropy"]

_EVALUATION_ROWS = 256


class _BesideInput(Sequential):
    """The outputs of layers in a row, with their input laid beside."""

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """``[layers(x), x]``."""
        return np.concatenate([super().forward(x, training=training), x], axis=1)

    def backward(self, dy: Array, *, input_gradient: bool = True) -> Array | None:  # noqa: ARG002
        """Both ways back, added."""
        inputs = self.layers[0].parameters()["w"].shape[0]
        through = super().backward(np.ascontiguousarray(dy[:, :-inputs]))
        return None if through is None else through + dy[:, -inputs:]


class NPLM(Sequential):
    """A neural language model over contexts of a fixed length.

    Parameters
    ----------
    n_words : int >= 2
        Size of the vocabulary; words are integers in 0..n_words-1.
    context : int >= 1
        Words of the context.
    n_features : int
        Numbers in the vector of a word.
    n_hidden : int
    bag : int >= 0
        Words before the context that the net sees without their order.
    bag_features : int, optional
        Numbers in the vector of a word in the bag; as many as ``n_features`` unless given.
    direct : bool
        Connections from x to the output.
    feature_dropout, hidden_dropout : float in [0, 1)
        Shares of the vectors' numbers and of the hidden units that are dropped in training.
    rng : Generator or int
        Of the initial weights and the dropout.

    Notes
    -----
    ``forward`` takes the words before, integers [B, before] with ``before = bag + context``, the nearest last, and
    returns logits [B, n_words]. The number ``n_words`` stands for no word, for what is before a beginning; in the
    context it has a vector like the others, in the bag it adds nothing.
    """

    def __init__(
        self,
        n_words: int,
        *,
        context: int,
        n_features: int,
        n_hidden: int,
        bag: int = 0,
        bag_features: int | None = None,
        direct: bool = False,
        feature_dropout: float = 0.0,
        hidden_dropout: float = 0.0,
        rng: RngLike,
    ) -> None:
        self.n_words, self.context = as_count(n_words, "n_words"), as_count(context, "context")
        if self.n_words < 2:
            raise ValueError(f"n_words: expected at least 2, given {n_words}")
        self.bag = as_count(bag, "bag", low=0)
        rng = as_generator(rng)
        inputs = self.context * as_count(n_features, "n_features")
        # Vectors of this size give the hidden units inputs of order 1, and the first steps a use for every word.
        draw = init.gaussian(0.1)
        self.embedding = Embedding(self.n_words + 1, n_features, rng=rng, weights=draw)
        vectors: Layer = self.embedding
        if self.bag:
            width = n_features if bag_features is None else bag_features
            about = EmbeddingBag(self.n_words, width, rng=rng, weights=draw)
            vectors = Parallel([about, self.embedding], (self.bag, self.context))
            inputs += about.n_features
        hidden: list[Layer] = [Linear(inputs, n_hidden, activation="tanh", rng=rng), Dropout(hidden_dropout, rng=rng)]
        outputs = n_hidden + (inputs if direct else 0)
        super().__init__(
            [
                vectors,
                Dropout(feature_dropout, rng=rng),
                *([_BesideInput(hidden)] if direct else hidden),
                Linear(outputs, self.n_words, rng=rng, weights=init.gaussian(0.01)),
            ]
        )

    @property
    def before(self) -> int:
        """Words that the net looks at: those of the bag, then those of the context."""
        return self.bag + self.context

    @property
    def vectors(self) -> Array:
        """Vectors of the words in a context, [n_words, n_features]."""
        return self.embedding.w[:-1]

    def log_prob(self, windows: Array) -> NDArray[np.float64]:
        """``log p`` of the last word of each window [N, before + 1], integers, given those before it: [N].

        Raises
        ------
        ValueError, TypeError
            For windows of another shape, numbers that are no words.
        """
        words = np.asarray(windows)
        if words.ndim != 2 or words.shape[1] != self.before + 1:
            raise ValueError(f"windows: expected shape [N, {self.before + 1}], given {given(words)}")
        loss = np.empty(len(words))
        rows = np.arange(_EVALUATION_ROWS)
        for first in range(0, len(words), _EVALUATION_ROWS):
            part = words[first : first + _EVALUATION_ROWS]
            p = ops.softmax(self.forward(part[:, :-1]))[rows[: len(part)], part[:, -1]]
            loss[first : first + len(part)] = np.log(np.maximum(p, np.finfo(np.float32).tiny, dtype=np.float64))
        return loss

    def distribution(self, contexts: Array) -> Array:
        """Probabilities of all words after the words before, [N, before]: [N, n_words]."""
        p: Array = ops.softmax(self.forward(np.asarray(contexts)))
        return p

    def perplexity(self, windows: Array) -> float:
        """``exp(-mean log p)`` of the last words of windows [N, before + 1]."""
        return float(np.exp(-self.log_prob(windows).mean()))

    def neighbours(self, word: int, k: int = 8, *, among: int | None = None) -> list[int]:
        """The k words whose vectors point most nearly where that of ``word`` does, by cosine, the nearest first.

        ``among`` limits them to words with smaller numbers: the most frequent, in a vocabulary ordered by frequency.
        """
        vectors = self.vectors.astype(np.float64)
        unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        cosine = unit[: among or self.n_words] @ unit[word]
        order = np.argsort(-cosine, kind="stable")
        return [int(i) for i in order[order != word][:k]]

    def describe(self) -> dict[str, Any]:
        """Kind, sizes, layers."""
        return {**super().describe(), "n_words": self.n_words, "context": self.context, "bag": self.bag}


class WordCrossEntropy:
    """``-log softmax(y)`` of the right word, in nats, averaged over the rows.

    As :class:`hintoncore.nn.SoftmaxCrossEntropy`, but the gradient takes the place of the logits: no second array with
    the whole vocabulary in each row. Nor does it count the rows that have the right word on top.
    """

    def __call__(self, y: Array, target: Array) -> tuple[float, Array]:
        """Loss and gradient."""
        if y.dtype == np.float32:
            return ops.softmax_cross_entropy(y, target, out=y)
        return _arithmetic.softmax_cross_entropy(y, target)

    def errors(self, y: Array, target: Array) -> Array | None:  # noqa: ARG002
        """None: a language model is judged by its perplexity."""
        return None
