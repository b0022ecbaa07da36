"""The up-down algorithm: contrastive wake-sleep for a deep belief net."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import ops
from hintoncore._counts import as_count
from hintoncore._streams import Stream, derive_seed
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator
from hintoncore.models._parameters import copy_parameters
from hintoncore.models.associative_memory import join_units, one_hot
from hintoncore.models.units import unit_type
from hintoncore.train._saved_state import load_progress, load_velocity, progress, with_velocity
from hintoncore.train.associative import contrast
from hintoncore.train.data import TrainingRows, evenly_spaced
from hintoncore.train.schedules import Schedule, as_schedule, learning_rate_at, momentum_at, steps_at

if TYPE_CHECKING:
    from hintoncore.models.dbn import DBN, DirectedLayer

__all__ = ["UpDown", "UpDownSettings"]

Float32Array = NDArray[np.float32]
Labelled = tuple[ArrayLike | BitMatrix, NDArray[np.int64] | None]

_MONITORED_ROWS = 1000
_UNITS = unit_type("bernoulli", "visible")


@dataclass(frozen=True)
class UpDownSettings:
    """Settings of the up-down algorithm; :meth:`create` checks them.

    Attributes
    ----------
    gibbs_steps : Schedule
        Rounded to the nearest integer.
    batch_size : int
    learning_rate, momentum : Schedule
    weight_decay : float
    """

    gibbs_steps: Schedule
    batch_size: int
    learning_rate: Schedule
    momentum: Schedule
    weight_decay: float

    @classmethod
    def create(
        cls,
        *,
        gibbs_steps: int | Schedule,
        batch_size: int,
        learning_rate: float | Schedule,
        momentum: float | Schedule,
        weight_decay: float,
    ) -> UpDownSettings:
        """Check the arguments of ``DBN.fine_tune``, whose documentation describes them.

        Raises
        ------
        ValueError, TypeError
            If one is out of range.
        """
        if not (math.isfinite(weight_decay) and weight_decay >= 0):
            raise ValueError(f"weight_decay: expected a number >= 0, given {weight_decay}")
        settings = cls(
            gibbs_steps=as_schedule(gibbs_steps, "gibbs_steps"),
            batch_size=as_count(batch_size, "batch_size"),
            learning_rate=as_schedule(learning_rate, "learning_rate"),
            momentum=as_schedule(momentum, "momentum"),
            weight_decay=float(weight_decay),
        )
        settings.at(0.0)
        return settings

    def at(self, epoch: float) -> tuple[int, float, float]:
        """Return Gibbs steps, learning rate and momentum at a time in epochs.

        Raises
        ------
        ValueError
            If a schedule has left its range there.
        """
        steps = steps_at(self.gibbs_steps, epoch, "gibbs_steps")
        return steps, learning_rate_at(self.learning_rate, epoch), momentum_at(self.momentum, epoch)

    def describe(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {
            "batch_size": self.batch_size,
            "gibbs_steps": self.gibbs_steps.describe(),
            "learning_rate": self.learning_rate.describe(),
            "momentum": self.momentum.describe(),
            "weight_decay": self.weight_decay,
        }


class UpDown:
    """Fine-tunes a deep belief net by the up-down algorithm [1]_, section 5 and appendix B; a training task.

    For each minibatch: a stochastic pass up the recognition weights; Gibbs steps of the associative memory, from the
    states that the pass ends in; a stochastic pass down the generation weights. The up pass trains the generation
    weights, and the down pass the recognition weights, by the delta rule ``w += rate (target - p) x``; the associative
    memory learns by contrastive divergence. Where statistics want the states of hidden units that are sampled given
    all they are multiplied with, their probabilities are used: the same in expectation, with less noise.

    Parameters
    ----------
    model : DBN
        Updated in place.
    x : array in [0, 1], shape [N, V], or BitMatrix
        Of data that are not binary the pixels are taken as probabilities, as in [1]_: they go up as they are, and
        what comes down to the visible layer is its probabilities.
    labels : array of ints, shape [N], or None without labels
    settings : UpDownSettings
    validation : (x, labels), optional
        Held-out rows for :meth:`evaluate`.

    References
    ----------
    .. [1] G. E. Hinton, S. Osindero, Y.-W. Teh, "A fast learning algorithm for deep belief nets", Neural Computation
           18, 2006.
    """

    def __init__(
        self,
        model: DBN,
        x: ArrayLike | BitMatrix,
        labels: NDArray[np.int64] | None,
        settings: UpDownSettings,
        *,
        validation: Labelled | None = None,
    ) -> None:
        self.model = model
        self.settings = settings
        self._rows = TrainingRows(x, model.n_visible, units=_UNITS)
        self._labels = labels
        self._validation = validation
        self._session = model.steps_trained  # a second run gets an order and draws of its own
        self._rng = Generator(derive_seed(model.seed, Stream.TRAINING, self._session))
        self._parameters = model.parameters()
        self._velocity = {name: np.zeros_like(array) for name, array in self._parameters.items()}

    @property
    def n_rows(self) -> int:
        """Rows of the training set."""
        return self._rows.shape[0]

    @property
    def order_seed(self) -> int:
        """Seed of the data order of this training session."""
        return derive_seed(self.model.seed, Stream.ORDER, self._session)

    def step(self, rows: NDArray[np.intp], epoch: float) -> Mapping[str, float]:
        """Update the model on a minibatch and return what to average over the epoch."""
        steps, learning_rate, momentum = self.settings.at(epoch)
        model, rng = self.model, self._rng
        data = self._rows.batch(rows)

        wake: list[BitMatrix] = []  # states of the hidden layers up to the memory's features
        below = data
        for layer in model.layers:
            wake.append(layer.sample_above(below, rng))
            below = wake[-1]
        features = below if isinstance(below, BitMatrix) else BitMatrix.from_dense(rng.random(below.shape) < below)
        positive = features
        if self._labels is not None:
            positive = join_units(features, one_hot(self._labels[rows], model.n_labels))

        hidden, positive_means = model.top.sample_hidden(positive, rng)
        negative = model.top.sample_visible(hidden, rng)
        negative = model.top.gibbs(negative, steps - 1, rng)
        _, negative_means = model.top.sample_hidden(negative, rng)

        sleep = [model.top.features_of(negative)]  # from the memory's features down, with what the last layer was given
        means = None
        for layer in reversed(model.layers):
            state, means = layer.sample_below(sleep[-1], rng)
            sleep.append(state)
        sleep.reverse()
        fantasy: BitMatrix | Float32Array = sleep[0] if means is None or self._rows.binary else means

        for name, velocity in self._velocity.items():
            velocity *= np.float32(momentum)
            if velocity.ndim == 2 and self.settings.weight_decay:
                velocity -= np.float32(learning_rate * self.settings.weight_decay) * self._parameters[name]
        errors = []
        for number, layer in enumerate(model.layers):
            lower = data if number == 0 else wake[number - 1]
            errors.append(self._learn_generation(number, layer, lower, wake[number], learning_rate))
            lower = fantasy if number == 0 else sleep[number]
            self._learn_recognition(number, layer, lower, sleep[number + 1], learning_rate)
        memory = {name: self._velocity[f"top.{name}"] for name in model.top.parameters()}
        contrast(memory, positive, positive_means, learning_rate)
        contrast(memory, negative, negative_means, -learning_rate)
        for name, velocity in self._velocity.items():
            self._parameters[name] += velocity
        model.steps_trained += 1
        return {"reconstruction_error": errors[0]} if errors else {}

    def end_epoch(self) -> None:
        """Count a finished epoch."""
        self.model.epochs_trained += 1

    def evaluate(self, epoch: float) -> Mapping[str, float]:
        """Return the settings in force and the error of at most 1000 training rows and of all held-out ones."""
        steps, learning_rate, momentum = self.settings.at(epoch)
        record: dict[str, float] = {"gibbs_steps": steps, "learning_rate": learning_rate, "momentum": momentum}
        if self._labels is not None:
            shown = evenly_spaced(self.n_rows, _MONITORED_ROWS)
            record["train_error"] = 1.0 - self.model.score(self._rows.batch(shown), self._labels[shown])
        if self._validation is not None:
            x, labels = self._validation
            if labels is not None:
                record["validation_error"] = 1.0 - self.model.score(x, labels)
        return record

    def running_estimate(self) -> Mapping[str, float]:
        """Return nothing: a bound on the likelihood costs too much."""
        return {}

    def describe(self) -> dict[str, Any]:
        """Return what a run must share with a checkpoint to go on from it."""
        labels = None if self._labels is None else int(np.dot(self._labels, np.arange(1, self.n_rows + 1)))
        return {
            "task": "up-down",
            "model": repr(self.model),
            "data": {"shape": list(self._rows.shape), "sha256": self._rows.fingerprint, "labels": labels},
            "settings": self.settings.describe(),
        }

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return arrays and counters that, with :meth:`describe`, determine all later steps."""
        counters = {**progress(self.model, self._session, self._rng), "layers_trained": self.model.layers_trained}
        return with_velocity(self._parameters, self._velocity), counters

    def load_state(self, tensors: Mapping[str, NDArray[Any]], counters: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned.

        Raises
        ------
        KeyError, ValueError
            If something is missing or has another shape.
        """
        copy_parameters(self._parameters, tensors)
        load_velocity(self._velocity, tensors)
        self._session, self._rng = load_progress(self.model, counters)
        self.model.layers_trained = counters["layers_trained"]

    def _learn_generation(
        self, number: int, layer: DirectedLayer, below: BitMatrix | Float32Array, above: BitMatrix, rate: float
    ) -> float:
        """Make the states below more likely given those above; return the mean squared error of the prediction."""
        _, predicted = layer.sample_below(above, self._rng)
        difference = _dense(below) - predicted
        self._delta_rule(above, difference, f"layers.{number}.down", rate)
        return float(np.mean(np.square(difference)))

    def _learn_recognition(
        self, number: int, layer: DirectedLayer, below: BitMatrix | Float32Array, above: BitMatrix, rate: float
    ) -> None:
        """Make the states above, which generated those below, more likely given these."""
        if isinstance(below, BitMatrix):
            _, predicted = ops.gibbs_step(below, layer.up_w, layer.up_b, rng=self._rng, return_probs=True)
        else:
            predicted = layer.means_above(below)
        self._delta_rule(below, above.to_dense() - predicted, f"layers.{number}.up", rate)

    def _delta_rule(self, x: BitMatrix | Float32Array, difference: Float32Array, name: str, rate: float) -> None:
        w, b = self._velocity[f"{name}_w"], self._velocity[f"{name}_b"]
        ops.outer_update(x, difference, w, b, rate=rate / len(difference))


def _dense(states: BitMatrix | Float32Array) -> Float32Array:
    return states.to_dense() if isinstance(states, BitMatrix) else states
