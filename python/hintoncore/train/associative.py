"""Contrastive divergence of an associative memory: binary features with softmax labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import ops
from hintoncore._streams import Stream, derive_seed
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator
from hintoncore.models._parameters import copy_parameters
from hintoncore.models.associative_memory import AssociativeMemory, join_units, one_hot
from hintoncore.models.units import unit_type
from hintoncore.train._saved_state import load_velocity, with_velocity
from hintoncore.train.contrastive import CDSettings
from hintoncore.train.data import TrainingRows, evenly_spaced

__all__ = ["AssociativeLearning", "contrast"]

Float32Array = NDArray[np.float32]

_MONITORED_ROWS = 1000
_UNITS = unit_type("bernoulli", "visible")


class AssociativeLearning:
    """Trains an :class:`AssociativeMemory` by CD-k or PCD; a :class:`hintoncore.train.Task`.

    Features that are probabilities are sampled anew for each minibatch, so that the memory learns the distribution of
    binary features that they stand for. Persistent chains start at features of rows spread over the training set: a
    memory that starts as the layer it replaces has nearly their distribution.

    Parameters
    ----------
    model : AssociativeMemory
        Updated in place.
    features : array in [0, 1], shape [N, n_features], or BitMatrix
    labels : array of ints, shape [N], or None without labels
    settings : CDSettings
    """

    def __init__(
        self,
        model: AssociativeMemory,
        features: ArrayLike | BitMatrix,
        labels: NDArray[np.int64] | None,
        settings: CDSettings,
    ) -> None:
        self.model = model
        self.settings = settings
        self._rows = TrainingRows(features, model.n_features, units=_UNITS, name="features")
        self._labels = labels
        self._rng = Generator(derive_seed(model.seed, Stream.TRAINING))
        if not model.b_vis.any():
            mean = self._rows.mean
            if labels is not None:
                mean = np.concatenate([mean, np.bincount(labels, minlength=model.n_labels) / len(labels)])
            # A softmax unit's bias is its log-probability; the log odds of Bernoulli units would shift it.
            biases = _UNITS.bias_for_mean(mean, self.n_rows)
            if labels is not None:
                biases[model.n_features :] = np.log(np.maximum(mean[model.n_features :], 1.0 / self.n_rows))
            model.b_vis[:] = biases
        self._velocity = {name: np.zeros_like(parameter) for name, parameter in model.parameters().items()}
        self._chains: BitMatrix | None = None
        if settings.persistent:
            rows = np.arange(settings.n_chains) * self.n_rows // settings.n_chains
            self._chains = self._batch(rows, Generator(derive_seed(model.seed, Stream.CHAINS)))

    @property
    def n_rows(self) -> int:
        """Rows of the training set."""
        return self._rows.shape[0]

    @property
    def order_seed(self) -> int:
        """Seed of the data order."""
        return derive_seed(self.model.seed, Stream.ORDER)

    def step(self, rows: NDArray[np.intp], epoch: float) -> Mapping[str, float]:
        """Update the model on a minibatch and return what to average over the epoch."""
        k, learning_rate, momentum = self.settings.at(epoch)
        model = self.model
        positive = self._batch(rows, self._rng)
        hidden, positive_means = model.sample_hidden(positive, self._rng)
        if self._chains is None:
            negative = model.sample_visible(hidden, self._rng)
            negative = model.gibbs(negative, k - 1, self._rng)
        else:
            negative = self._chains = model.gibbs(self._chains, k, self._rng)
        negative_means = ops.linear(negative.to_dense(), model.w, model.b_hid, activation="sigmoid")
        for array in self._velocity.values():
            array *= np.float32(momentum)
        contrast(self._velocity, positive, positive_means, learning_rate)
        contrast(self._velocity, negative, negative_means, -learning_rate)
        self._velocity["w"] -= np.float32(learning_rate * self.settings.weight_decay) * model.w
        for name, parameter in model.parameters().items():
            parameter += self._velocity[name]
        error = 0.0
        if self._chains is None:
            error = float(np.mean(positive.to_dense() != negative.to_dense()))
        return {"reconstruction_error": error}

    def end_epoch(self) -> None:
        """Nothing to count."""

    def evaluate(self, epoch: float) -> Mapping[str, float]:
        """Return the settings in force and the classification error of at most 1000 training rows."""
        k, learning_rate, momentum = self.settings.at(epoch)
        record: dict[str, float] = {"k": k, "learning_rate": learning_rate, "momentum": momentum}
        if self._labels is not None:
            shown = evenly_spaced(self.n_rows, _MONITORED_ROWS)
            features = self._rows.batch(shown)
            dense = features.to_dense() if isinstance(features, BitMatrix) else features
            predicted = self.model.free_energy(dense).argmin(axis=1)
            record["train_error"] = float((predicted != self._labels[shown]).mean())
        return record

    def running_estimate(self) -> Mapping[str, float]:
        """Return nothing: a likelihood of the memory alone says little."""
        return {}

    def describe(self) -> dict[str, Any]:
        """Return what a run must share with a checkpoint to go on from it."""
        model = self.model
        labels = None if self._labels is None else int(np.dot(self._labels, np.arange(1, self.n_rows + 1)))
        return {
            "task": "contrastive divergence of an associative memory",
            "model": [model.n_features, model.n_hidden, model.n_labels, model.seed],
            "data": {"shape": list(self._rows.shape), "sha256": self._rows.fingerprint, "labels": labels},
            "settings": self.settings.describe(),
        }

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return arrays and counters that, with :meth:`describe`, determine all later steps."""
        tensors = with_velocity(self.model.parameters(), self._velocity)
        if self._chains is not None:
            tensors["chains"] = self._chains.words
        return tensors, {"offset": self._rng.offset}

    def load_state(self, tensors: Mapping[str, NDArray[Any]], counters: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned."""
        copy_parameters(self.model.parameters(), tensors)
        load_velocity(self._velocity, tensors)
        if self._chains is not None:
            self._chains = BitMatrix(tensors["chains"], self._chains.batch)
        self._rng.offset = counters["offset"]

    def _batch(self, rows: NDArray[np.intp], rng: Generator) -> BitMatrix:
        features = self._rows.batch(rows)
        if not isinstance(features, BitMatrix):
            features = BitMatrix.from_dense(rng.random(features.shape) < features)
        if self._labels is None:
            return features
        return join_units(features, one_hot(self._labels[rows], self.model.n_labels))


def contrast(sums: Mapping[str, Float32Array], visible: BitMatrix, hidden_means: Float32Array, rate: float) -> None:
    """Add ``rate`` times the mean statistics of one phase to ``w``, ``b_vis`` and ``b_hid`` of ``sums``."""
    ops.outer_update(visible, hidden_means, sums["w"], sums["b_hid"], rate=rate / visible.batch)
    sums["b_vis"] += np.float32(rate) * visible.to_dense().mean(axis=0)
