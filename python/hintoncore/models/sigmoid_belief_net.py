"""The sigmoid belief net: layers of binary units, each the independent causes of the layer below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import ops
from hintoncore._counts import as_count
from hintoncore._streams import Stream, derive_seed
from hintoncore._validate import as_int
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator, RngLike, as_generator
from hintoncore.models._rows import dense_blocks, is_binary
from hintoncore.models.units import BernoulliUnits
from hintoncore.reference import all_states

__all__ = ["MAX_ENUMERATED_UNITS", "SigmoidBeliefNet", "as_sizes", "layer_log_probability"]

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]

MAX_ENUMERATED_UNITS = 16
"""Largest layer whose states are enumerated: 2**16."""

_WEIGHT_STD = 0.1
_BLOCK_ROWS = 256
_BERNOULLI = BernoulliUnits()


class SigmoidBeliefNet:
    """Directed net of binary units: ``p(h_0, ..., h_L) = p(h_L) prod_l p(h_l | h_{l+1})``.

    Layer 0 is visible. The units of a layer are independent given the layer above: ``p(h_l = 1 | h_{l+1}) =
    sigmoid(b_l + h_{l+1} w_l)``, and ``p(h_L = 1) = sigmoid(b_L)`` at the top (Neal [1]_, eq. 4 and 5).

    Parameters
    ----------
    sizes : sequence of at least two ints >= 1
        Units of each layer, the visible one first.
    seed : int in [0, 2**64)
        The initial weights and :meth:`sample` are functions of it.

    Attributes
    ----------
    w : list of L arrays of float32, shape [sizes[l + 1], sizes[l]]
        Generative weights into layer ``l``, at first normal with standard deviation 0.1.
    b : list of L + 1 arrays of float32, shape [sizes[l]]
        Generative biases, at first 0.

    Raises
    ------
    ValueError, TypeError
        If a size is below 1, there are fewer than two, or the seed is out of range.

    References
    ----------
    .. [1] R. M. Neal, "Connectionist learning of belief networks", Artificial Intelligence 56, 1992.
    """

    def __init__(self, sizes: Sequence[int], seed: int = 0) -> None:
        self.sizes = as_sizes(sizes)
        self.seed = as_int(seed, "seed", 0, 2**64 - 1)
        rng = Generator(derive_seed(self.seed, Stream.WEIGHTS))
        self.w: list[Float32Array] = [
            rng.normal((above, below), std=_WEIGHT_STD)
            for below, above in zip(self.sizes[:-1], self.sizes[1:], strict=True)
        ]
        self.b: list[Float32Array] = [np.zeros(size, dtype=np.float32) for size in self.sizes]
        self._sampling_rng = Generator(derive_seed(self.seed, Stream.SAMPLING))

    def __repr__(self) -> str:
        """Sizes and seed, as the constructor takes them."""
        return f"SigmoidBeliefNet({self.sizes}, seed={self.seed})"

    def sample_layers(self, n: int, *, rng: RngLike | None = None) -> list[BitMatrix]:
        """Draw states of all layers by ancestral sampling, from the top down.

        Parameters
        ----------
        n : int >= 1
        rng : Generator or int, optional
            One offset for each layer is consumed. The net's own generator when left out.

        Returns
        -------
        list of BitMatrix, shapes (n, sizes[l])
            Independent exact samples of the joint distribution, visible layer first.
        """
        generator = self._sampling_rng if rng is None else as_generator(rng)
        nothing = BitMatrix.zeros((as_count(n, "n"), 1))
        state = ops.gibbs_step(nothing, np.zeros((1, self.sizes[-1]), np.float32), self.b[-1], rng=generator)
        layers = [state]
        for w, b in zip(reversed(self.w), reversed(self.b[:-1]), strict=True):
            layers.append(ops.gibbs_step(layers[-1], w, b, rng=generator))
        return layers[::-1]

    def sample(self, n: int, *, rng: RngLike | None = None, return_probs: bool = False) -> Any:
        """Draw visible states: exact, independent samples.

        Parameters
        ----------
        n : int >= 1
        rng : Generator or int, optional
            One offset for each layer is consumed. The net's own generator when left out.
        return_probs : bool
            Also return ``p(h_0 | h_1)``, smoother to look at.

        Returns
        -------
        samples : array of float32 (0 or 1), shape [n, sizes[0]]
        probs : array of float32, shape [n, sizes[0]], only with ``return_probs``
        """
        layers = self.sample_layers(n, rng=rng)
        samples = layers[0].to_dense()
        if not return_probs:
            return samples
        return samples, ops.linear(layers[1].to_dense(), self.w[0], self.b[0], activation="sigmoid")

    def log_joint(self, layers: Sequence[BitMatrix]) -> Float64Array:
        """Log probability of joint states of all layers.

        Parameters
        ----------
        layers : sequence of BitMatrix, shapes (B, sizes[l])
            Visible layer first.

        Returns
        -------
        array of float64, shape [B]
            Nats; total inputs are float32, sums over units float64.

        Raises
        ------
        ValueError
            If the layers do not fit the net.
        """
        batch = layers[0].batch if layers else 0
        if [layer.shape for layer in layers] != [(batch, size) for size in self.sizes]:
            expected = [f"(B, {size})" for size in self.sizes]
            raise ValueError(
                f"layers: expected shapes {', '.join(expected)}, given {[layer.shape for layer in layers]}"
            )
        dense = [layer.to_dense() for layer in layers]
        total = layer_log_probability(dense[-1], np.broadcast_to(self.b[-1], dense[-1].shape))
        for below, above, w, b in zip(dense[:-1], dense[1:], self.w, self.b[:-1], strict=True):
            total += layer_log_probability(below, ops.linear(above, w, b))
        return total

    def log_probabilities(self, X: ArrayLike | BitMatrix) -> Float64Array:
        """Exact log probability of visible states, summing over all states of the hidden layers.

        The sum goes layer by layer, so its price is that of pairs of neighbouring layers, ``2 ** (n_l + n_{l+1})``
        terms, and not of all hidden units together. Float64 throughout.

        Parameters
        ----------
        X : array of 0 and 1, shape [N, sizes[0]], or BitMatrix

        Returns
        -------
        array of float64, shape [N]
            In nats.

        Raises
        ------
        ValueError
            If a hidden layer has more than :data:`MAX_ENUMERATED_UNITS` units, or ``X`` is not binary or does not fit.
        """
        if max(self.sizes[1:]) > MAX_ENUMERATED_UNITS:
            raise ValueError(
                f"sizes: hidden layers of at most {MAX_ENUMERATED_UNITS} units can be enumerated, given {self.sizes}"
            )
        states = all_states(self.sizes[-1])
        log_p = _log_bernoulli(states, self.b[-1].astype(np.float64)[None])[:, 0]
        for level in range(len(self.w) - 1, 0, -1):
            above, states = states, all_states(self.sizes[level])
            log_p = np.concatenate(
                [
                    self._sum_over(level, states[i : i + _BLOCK_ROWS], above, log_p)
                    for i in range(0, len(states), _BLOCK_ROWS)
                ]
            )
        return np.concatenate(
            [self._sum_over(0, block.astype(np.float64), states, log_p) for block in self._binary_blocks(X)]
        )

    def log_likelihood(self, X: ArrayLike | BitMatrix) -> float:
        """Exact mean log-likelihood in nats for each row, see :meth:`log_probabilities`."""
        return float(self.log_probabilities(X).mean())

    def _binary_blocks(self, X: ArrayLike | BitMatrix) -> Any:
        for block in dense_blocks(X, self.sizes[0], _BLOCK_ROWS, units=_BERNOULLI):
            if not is_binary(block):
                raise ValueError("X: the likelihood needs values that are 0 or 1")
            yield block

    def _sum_over(self, level: int, states: Float64Array, above: Float64Array, log_p: Float64Array) -> Float64Array:
        """Log of the sum over the states ``above``, with log probabilities ``log_p``, of p(states, above)."""
        x = above @ self.w[level].astype(np.float64) + self.b[level]
        terms = _log_bernoulli(states, x) + log_p
        top = terms.max(axis=1)
        return np.asarray(top + np.log(np.exp(terms - top[:, None]).sum(axis=1)))


def as_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """Check the units of layers: at least two layers of at least one unit.

    Raises
    ------
    ValueError, TypeError
        If they are not.
    """
    checked = tuple(as_count(size, f"sizes[{i}]") for i, size in enumerate(sizes))
    if len(checked) < 2:
        raise ValueError(f"sizes: expected a visible layer and at least one hidden layer, given {list(sizes)}")
    return checked


def layer_log_probability(states: Float32Array, x: Float32Array) -> Float64Array:
    """Log probability of each row of binary states, shape [B, n], given total inputs [B, n]: float64 [B].

    ``log p(s | x) = -softplus((1 - 2 s) x)``, which loses no digits in either tail.
    """
    return np.asarray(-ops.softplus((np.float32(1.0) - 2 * states) * x).sum(axis=1, dtype=np.float64))


def _log_bernoulli(states: Float64Array, x: Float64Array) -> Float64Array:
    """Log probability of each of S states [S, n] under each of T total inputs [T, n]: [S, T]."""
    return np.asarray(states @ x.T - _BERNOULLI.log_normaliser(x).sum(axis=1))
