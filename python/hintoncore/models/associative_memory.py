"""The undirected top of a deep belief net: an RBM whose visible layer may end in a group of softmax label units."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import ops
from hintoncore._counts import as_count
from hintoncore._streams import Stream, derive_seed
from hintoncore._validate import as_int
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator

__all__ = ["AssociativeMemory", "as_labels", "join_units", "one_hot"]

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]

_WEIGHT_STD = 0.01
_BLOCK_ROWS = 256


class AssociativeMemory:
    """RBM over binary features and, with ``n_labels``, one softmax label (Hinton, Osindero and Teh 2006, figure 5).

    The energy is ``E(v, y, h) = - b_vis . [v, y] - b_hid . h - [v, y]^T w h`` with ``y`` one-hot: the label is sampled
    from the softmax of its units' total inputs, so exactly one is on.

    Parameters
    ----------
    n_features, n_hidden : int >= 1
    n_labels : int >= 0, but not 1
        Classes; 0 for an ordinary RBM.
    seed : int in [0, 2**64)
        Of the initial weights.

    Attributes
    ----------
    w : array of float32, shape [n_features + n_labels, n_hidden]
        The labels' rows come last.
    b_vis, b_hid : arrays of float32, shapes [n_features + n_labels] and [n_hidden]
    """

    def __init__(self, n_features: int, n_hidden: int, n_labels: int = 0, *, seed: int = 0) -> None:
        self.n_features = as_count(n_features, "n_features")
        self.n_hidden = as_count(n_hidden, "n_hidden")
        self.n_labels = as_count(n_labels, "n_labels", low=0)
        if self.n_labels == 1:
            raise ValueError("n_labels: expected 0 for none, or at least 2 classes, given 1")
        self.seed = as_int(seed, "seed", 0, 2**64 - 1)
        n_visible = self.n_features + self.n_labels
        weights = Generator(derive_seed(self.seed, Stream.WEIGHTS)).normal((n_visible, self.n_hidden))
        self.w: Float32Array = np.ascontiguousarray(weights * np.float32(_WEIGHT_STD))
        self.b_vis: Float32Array = np.zeros(n_visible, dtype=np.float32)
        self.b_hid: Float32Array = np.zeros(self.n_hidden, dtype=np.float32)

    @property
    def n_visible(self) -> int:
        """Features and label units."""
        return self.n_features + self.n_labels

    def parameters(self) -> dict[str, Float32Array]:
        """Return the parameter arrays themselves by name: ``w``, ``b_vis``, ``b_hid``."""
        return {"w": self.w, "b_vis": self.b_vis, "b_hid": self.b_hid}

    def sample_hidden(self, visible: BitMatrix, rng: Generator) -> tuple[BitMatrix, Float32Array]:
        """Sample ``h`` given features and label; also return its probabilities. Uses one offset."""
        sample, probs = ops.gibbs_step(visible, self.w, self.b_hid, rng=rng, return_probs=True)
        return sample, probs

    def sample_visible(self, hidden: BitMatrix, rng: Generator, *, labels: BitMatrix | None = None) -> BitMatrix:
        """Sample features and label given ``h``; with ``labels`` (one-hot, [n, n_labels]) these stay as they are.

        Uses one offset for the features and one for labels that are sampled.
        """
        n = self.n_features
        features: BitMatrix = ops.gibbs_step(hidden, self.w[:n], self.b_vis[:n], rng=rng, transpose=True)
        if not self.n_labels:
            return features
        if labels is None:
            labels = self.sample_labels(hidden, rng)
        return join_units(features, labels)

    def sample_labels(self, hidden: BitMatrix, rng: Generator) -> BitMatrix:
        """Sample one-hot labels given ``h`` from the softmax. Uses one offset."""
        n = self.n_features
        inputs = ops.matmul(hidden.to_dense(), self.w[n:], trans_b=True) + self.b_vis[n:]
        return BitMatrix.from_dense(ops.sample_units(inputs, "softmax", group=self.n_labels, rng=rng))

    def features_of(self, visible: BitMatrix) -> BitMatrix:
        """Visible states without the label."""
        return BitMatrix(np.ascontiguousarray(visible.words[: self.n_features]), visible.batch)

    def gibbs(self, visible: BitMatrix, steps: int, rng: Generator, *, labels: BitMatrix | None = None) -> BitMatrix:
        """Take ``steps`` block Gibbs steps, hidden then visible, from the states ``visible``; labels may be clamped."""
        for _ in range(steps):
            hidden: BitMatrix = ops.gibbs_step(visible, self.w, self.b_hid, rng=rng)  # without probabilities: cheaper
            visible = self.sample_visible(hidden, rng, labels=labels)
        return visible

    def free_energy(self, features: ArrayLike) -> Float64Array:
        """Free energy of features, with each label in turn: ``-b . [v, y] - sum_j softplus(b_j + (v w)_j + w_yj)``.

        Parameters
        ----------
        features : array in [0, 1], shape [N, n_features]

        Returns
        -------
        array of float64, shape [N, n_labels], or [N, 1] without labels
            Nats; ``p(y | v)`` is the softmax of its negative.
        """
        n = self.n_features
        rows = np.ascontiguousarray(features, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != n:
            raise ValueError(f"features: expected shape [N, {n}], given {list(rows.shape)}")
        out = np.empty((len(rows), max(self.n_labels, 1)))
        own = rows.astype(np.float64) @ self.b_vis[:n].astype(np.float64)
        for start in range(0, len(rows), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            inputs = ops.linear(rows[block], self.w[:n], self.b_hid)
            for label in range(out.shape[1]):
                with_label = inputs + self.w[n + label] if self.n_labels else inputs
                out[block, label] = -ops.softplus(with_label).sum(axis=1, dtype=np.float64)
        if self.n_labels:
            out -= self.b_vis[n:].astype(np.float64)
        return np.asarray(out - own[:, None])


def join_units(first: BitMatrix, second: BitMatrix) -> BitMatrix:
    """Units of two layers side by side, for the same samples."""
    return BitMatrix(np.concatenate([first.words, second.words]), first.batch)


def one_hot(labels: NDArray[Any], n_labels: int) -> BitMatrix:
    """Return labels in [0, n_labels) as one unit a class, shape [N, n_labels]."""
    return BitMatrix.from_dense((labels[:, None] == np.arange(n_labels)).astype(np.float32))


def as_labels(y: ArrayLike, n_labels: int, n_rows: int, name: str = "y") -> NDArray[np.int64]:
    """Return labels as integers, one for each row.

    Raises
    ------
    TypeError
        If they are no integers.
    ValueError
        If there is not one for each row, or one is outside ``[0, n_labels)``.
    """
    labels = np.asarray(y)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected integers, given dtype {labels.dtype}")
    if labels.shape != (n_rows,):
        raise ValueError(f"{name}: expected shape [{n_rows}], a label for each row, given {list(labels.shape)}")
    if labels.min() < 0 or labels.max() >= n_labels:
        raise ValueError(f"{name}: expected labels in [0, {n_labels}), given {labels.min()} to {labels.max()}")
    return labels.astype(np.int64)
