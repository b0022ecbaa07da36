"""Wake-sleep as a training task: one Helmholtz machine, its data and velocities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import ops
from hintoncore._counts import as_count
from hintoncore._streams import Stream, derive_seed
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator
from hintoncore.models.sigmoid_belief_net import layer_log_probability
from hintoncore.models.units import BernoulliUnits
from hintoncore.train._saved_state import load_progress, load_velocity, progress, with_velocity
from hintoncore.train.data import TrainingRows, evenly_spaced
from hintoncore.train.schedules import Constant, Schedule, as_schedule, learning_rate_at, momentum_at

if TYPE_CHECKING:
    from hintoncore.models.helmholtz import HelmholtzMachine

__all__ = ["LayerError", "WakeSleep", "WakeSleepSettings"]

Float32Array = NDArray[np.float32]

_MONITORED_ROWS = 1000
_MONITORED_SAMPLES = 5
_RUNNING_ROWS = 64
_DIVERGED = np.float32(1e30)


@dataclass(frozen=True)
class WakeSleepSettings:
    """Settings of (reweighted) wake-sleep; :meth:`create` checks and completes them.

    Attributes
    ----------
    samples, batch_size : int
    learning_rate, recognition_learning_rate, momentum : Schedule
    weight_decay : float
    nonnegative : bool
    frozen : tuple of str
    """

    samples: int
    batch_size: int
    learning_rate: Schedule
    recognition_learning_rate: Schedule
    momentum: Schedule
    weight_decay: float
    nonnegative: bool
    frozen: tuple[str, ...]

    @classmethod
    def create(
        cls,
        *,
        samples: int,
        batch_size: int,
        learning_rate: float | Schedule,
        recognition_learning_rate: float | Schedule | None,
        momentum: float | Schedule,
        weight_decay: float,
        nonnegative: bool,
        frozen: Sequence[str],
    ) -> WakeSleepSettings:
        """Check the arguments of ``HelmholtzMachine.fit``, whose documentation describes them.

        Raises
        ------
        ValueError, TypeError
            If one is out of range.
        """
        if not (math.isfinite(weight_decay) and weight_decay >= 0):
            raise ValueError(f"weight_decay: expected a number >= 0, given {weight_decay}")
        rate = as_schedule(learning_rate, "learning_rate")
        settings = cls(
            samples=as_count(samples, "samples"),
            batch_size=as_count(batch_size, "batch_size"),
            learning_rate=rate,
            recognition_learning_rate=(
                rate
                if recognition_learning_rate is None
                else as_schedule(recognition_learning_rate, "recognition_learning_rate")
            ),
            momentum=as_schedule(momentum, "momentum"),
            weight_decay=float(weight_decay),
            nonnegative=bool(nonnegative),
            frozen=tuple(sorted(frozen)),
        )
        settings.at(0.0)
        return settings

    def at(self, epoch: float) -> tuple[float, float, float]:
        """Return both learning rates, generative first, and the momentum at a time in epochs.

        Raises
        ------
        ValueError
            If a schedule has left its range there.
        """
        generative = learning_rate_at(self.learning_rate, epoch)
        recognition = learning_rate_at(self.recognition_learning_rate, epoch, "recognition_learning_rate")
        return generative, recognition, momentum_at(self.momentum, epoch)

    def describe(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {
            "batch_size": self.batch_size,
            "frozen": list(self.frozen),
            "learning_rate": self.learning_rate.describe(),
            "momentum": self.momentum.describe(),
            "nonnegative": self.nonnegative,
            "recognition_learning_rate": self.recognition_learning_rate.describe(),
            "samples": self.samples,
            "weight_decay": self.weight_decay,
        }


@dataclass(frozen=True)
class LayerError:
    """What one layer has to learn from a phase by the delta rule, ``weights += rate * inputs^T error``.

    Attributes
    ----------
    weights, bias : str
        Names of the parameters; None for the top layer, which has no weights.
    inputs : BitMatrix, shape (B, I), or None
        States that the layer was predicted from.
    error : array of float32, shape [B, O]
        Target minus prediction, times the share of each row in the mean.
    """

    weights: str | None
    bias: str
    inputs: BitMatrix | None
    error: Float32Array

    def learn(self, arrays: Mapping[str, Float32Array], rate: float) -> None:
        """Add ``rate`` times the gradient to those of the arrays that are there."""
        weights, bias = arrays.get(self.weights or ""), arrays.get(self.bias)
        if weights is not None and self.inputs is not None:
            ops.outer_update(self.inputs, self.error, weights, bias, rate=rate)
        elif bias is not None:
            bias += np.float32(rate) * self.error.sum(axis=0)


class WakeSleep:
    """Trains one Helmholtz machine by wake-sleep [1]_ or reweighted wake-sleep [2]_; a :class:`hintoncore.train.Task`.

    Parameters
    ----------
    model : HelmholtzMachine
        Updated in place. If it was never trained and its visible biases are all 0, they become ``log(p / (1 - p))`` of
        the data means.
    x : array of 0 and 1, shape [N, V], or BitMatrix
    settings : WakeSleepSettings
    validation : array or BitMatrix, shape [M, V], optional
        Held-out rows for :meth:`evaluate`.

    References
    ----------
    .. [1] G. E. Hinton, P. Dayan, B. J. Frey, R. M. Neal, "The wake-sleep algorithm for unsupervised neural networks",
           Science 268, 1995.
    .. [2] J. Bornschein, Y. Bengio, "Reweighted wake-sleep", ICLR 2015.
    """

    def __init__(
        self,
        model: HelmholtzMachine,
        x: ArrayLike | BitMatrix,
        settings: WakeSleepSettings,
        *,
        validation: ArrayLike | BitMatrix | None = None,
    ) -> None:
        unknown = set(settings.frozen) - model.parameters().keys()
        if unknown:
            raise ValueError(f"frozen: expected names among {sorted(model.parameters())}, given {sorted(unknown)}")
        self.model = model
        self.settings = settings
        self._rows = _binary_rows(x, model.sizes[0], "X")
        self._monitored = _batch(self._rows, evenly_spaced(self.n_rows, _MONITORED_ROWS))
        self._validation: BitMatrix | None = None
        if validation is not None:
            held_out = _binary_rows(validation, model.sizes[0], "validation")
            self._validation = _batch(held_out, evenly_spaced(held_out.shape[0], _MONITORED_ROWS))
        self._session = model.steps_trained  # a second fit gets an order and draws of its own
        if model.steps_trained == 0 and not model.generative.b[0].any():
            model.generative.b[0][:] = BernoulliUnits().bias_for_mean(self._rows.mean, self.n_rows)
        if settings.nonnegative:
            np.maximum(model.generative.w[0], 0.0, out=model.generative.w[0])
        self._rng = Generator(derive_seed(model.seed, Stream.TRAINING, self._session))
        uses_velocity = settings.momentum != Constant(0.0)
        self._velocity = (
            {name: np.zeros_like(parameter) for name, parameter in self._free.items()} if uses_velocity else {}
        )

    @property
    def n_rows(self) -> int:
        """Rows of the training set."""
        return self._rows.shape[0]

    @property
    def order_seed(self) -> int:
        """Seed of the data order of this training session."""
        return derive_seed(self.model.seed, Stream.ORDER, self._session)

    def step(self, rows: NDArray[np.intp], epoch: float) -> Mapping[str, float]:
        """Update the machine by one wake and one sleep phase on a minibatch."""
        rate, recognition_rate, momentum = self.settings.at(epoch)
        errors = self.wake_errors(_batch(self._rows, np.repeat(rows, self.settings.samples)))
        errors += self.sleep_errors(len(rows))
        parameters = self._free
        moving = self._velocity or parameters
        for velocity in self._velocity.values():
            velocity *= np.float32(momentum)
        if self.settings.weight_decay:
            for name, parameter in parameters.items():
                if parameter.ndim == 2:
                    shrink = self.settings.weight_decay * (rate if name[0] == "w" else recognition_rate)
                    moving[name] -= np.float32(shrink) * parameter
        for error in errors:
            error.learn(moving, rate if error.bias[0] == "b" else recognition_rate)
        for name, velocity in self._velocity.items():
            parameters[name] += velocity
        if self.settings.nonnegative:
            np.maximum(self.model.generative.w[0], 0.0, out=self.model.generative.w[0])
        for name, parameter in self.model.parameters().items():
            if not (parameter.max() < _DIVERGED and parameter.min() > -_DIVERGED):  # also true of a NaN
                raise FloatingPointError(f"training diverged: {name} has values beyond 1e30; lower the learning rate")
        self.model.steps_trained += 1
        return {}

    def wake_errors(self, x: BitMatrix) -> list[LayerError]:
        """One wake phase: states from the recognition net are the targets of the generative net.

        Parameters
        ----------
        x : BitMatrix, shape (rows * samples, sizes[0])
            Each row ``samples`` times in a row.

        Returns
        -------
        list of LayerError
            Whose gradients, means over rows, go up the slope of ``log p(x, h)``. With several samples each counts by
            its normalised importance weight, and there are errors of the recognition net, up ``log q(h | x)``, too.
        """
        generative, settings = self.model.generative, self.settings
        states = self.model.infer(x, rng=self._rng)
        dense = [layer.to_dense() for layer in states]
        inputs = [ops.linear(h, w, b) for h, w, b in zip(dense[1:], generative.w, generative.b[:-1], strict=True)]
        top_input = np.broadcast_to(generative.b[-1], dense[-1].shape)
        recognition_inputs: list[Float32Array] = []
        share: Any = np.float32(1.0 / x.batch)
        if settings.samples > 1:
            recognition_inputs = [
                ops.linear(h, r, c) for h, r, c in zip(dense[:-1], self.model.r, self.model.c, strict=True)
            ]
            log_weights = np.zeros(x.batch)
            for layer, total_input in zip(dense, [*inputs, top_input], strict=True):
                log_weights += layer_log_probability(layer, total_input)
            for layer, total_input in zip(dense[1:], recognition_inputs, strict=True):
                log_weights -= layer_log_probability(layer, total_input)
            share = _normalised(log_weights.reshape(-1, settings.samples)).reshape(-1, 1)
            share = (share * (settings.samples / x.batch)).astype(np.float32)
        top = len(inputs)
        errors = [LayerError(None, f"b{top}", None, (dense[top] - ops.sigmoid(generative.b[top])) * share)]
        for level, total_input in enumerate(inputs):
            error = (dense[level] - ops.sigmoid(total_input)) * share
            errors.append(LayerError(f"w{level}", f"b{level}", states[level + 1], error))
        for level, total_input in enumerate(recognition_inputs):
            error = (dense[level + 1] - ops.sigmoid(total_input)) * share
            errors.append(LayerError(f"r{level}", f"c{level}", states[level], error))
        return errors

    def sleep_errors(self, n: int) -> list[LayerError]:
        """One sleep phase on ``n`` dreams: states of the generative net are the targets of the recognition net.

        Returns
        -------
        list of LayerError
            Whose gradients, means over dreams, go up the slope of ``log q(h | x)``.
        """
        states = self.model.generative.sample_layers(n, rng=self._rng)
        errors = []
        for level, (r, c) in enumerate(zip(self.model.r, self.model.c, strict=True)):
            error = states[level + 1].to_dense()
            error -= ops.linear(states[level].to_dense(), r, c, activation="sigmoid")
            error *= np.float32(1.0 / n)
            errors.append(LayerError(f"r{level}", f"c{level}", states[level], error))
        return errors

    def end_epoch(self) -> None:
        """Count a finished epoch."""
        self.model.epochs_trained += 1

    def evaluate(self, epoch: float) -> Mapping[str, float]:
        """Monitor the variational bound at the end of an epoch, on fixed subsets of at most 1000 rows: nats a row."""
        rate, recognition_rate, momentum = self.settings.at(epoch)
        record = {"learning_rate": rate, "recognition_learning_rate": recognition_rate, "momentum": momentum}
        seed = derive_seed(self.model.seed, Stream.MONITORING, self._session)
        record["train_bound"] = self._bound(self._monitored, Generator(seed))
        if self._validation is not None:
            record["validation_bound"] = self._bound(self._validation, Generator(seed))
        return record

    def running_estimate(self) -> Mapping[str, float]:
        """Return a cheap estimate of the bound, for progress bars."""
        seed = derive_seed(self.model.seed, Stream.MONITORING, self._session)
        rng = Generator(seed, self.model.steps_trained)
        rows = np.minimum((rng.random((_RUNNING_ROWS,)) * self.n_rows).astype(np.intp), self.n_rows - 1)
        return {"bound": self._bound(_batch(self._rows, rows), rng)}

    def describe(self) -> dict[str, Any]:
        """Return what a run must share with a checkpoint to go on from it."""
        return {
            "task": "wake-sleep",
            "model": repr(self.model),
            "data": {"shape": list(self._rows.shape), "sha256": self._rows.fingerprint},
            "settings": self.settings.describe(),
        }

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return arrays and counters that, with :meth:`describe`, determine all later steps."""
        tensors = with_velocity(self.model.parameters(), self._velocity)
        return tensors, progress(self.model, self._session, self._rng)

    def load_state(self, tensors: Mapping[str, NDArray[Any]], counters: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned.

        Raises
        ------
        KeyError, ValueError
            If something is missing or has another shape.
        """
        self.model.set_parameters(tensors)
        load_velocity(self._velocity, tensors)
        self._session, self._rng = load_progress(self.model, counters)

    @property
    def _free(self) -> dict[str, Float32Array]:
        """Parameters that learn."""
        return {name: array for name, array in self.model.parameters().items() if name not in self.settings.frozen}

    def _bound(self, x: BitMatrix, rng: Generator) -> float:
        return self.model.importance_estimate(x, _MONITORED_SAMPLES, rng=rng).bound


def _binary_rows(x: ArrayLike | BitMatrix, n_units: int, name: str) -> TrainingRows:
    rows = TrainingRows(x, n_units, units=BernoulliUnits(), name=name)
    if not rows.binary:
        raise ValueError(f"{name}: wake-sleep needs values that are 0 or 1; sample or threshold grey values first")
    return rows


def _batch(rows: TrainingRows, index: NDArray[np.intp]) -> BitMatrix:
    batch = rows.batch(index)
    assert isinstance(batch, BitMatrix)
    return batch


def _normalised(log_weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of each row that add up to 1."""
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
