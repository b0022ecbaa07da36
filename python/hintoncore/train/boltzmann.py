"""The learning rule of the 1985 Boltzmann machine as a training task: wake, sleep, and the difference."""

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
from hintoncore.models.units import unit_type
from hintoncore.samplers._annealing import annealing_schedule
from hintoncore.samplers._machines import random_state
from hintoncore.train._saved_state import load_progress, load_velocity, progress, with_velocity
from hintoncore.train.data import TrainingRows
from hintoncore.train.schedules import Constant, Schedule, as_schedule, learning_rate_at, momentum_at

if TYPE_CHECKING:
    from hintoncore.models.boltzmann import BoltzmannMachine

__all__ = ["BoltzmannLearning", "BoltzmannSettings"]

_DEFAULT_RATES = {"signed": 2.0, "gradient": 10.0}
_BINARY = unit_type("bernoulli", "visible")


@dataclass(frozen=True)
class BoltzmannSettings:
    """Settings of the learning rule; :meth:`create` checks and completes them.

    Attributes
    ----------
    rule : {"signed", "gradient"}
    learning_rate, momentum : Schedule
    weight_decay : float
    repeats, collect : int
    anneal : tuple of float
        Temperatures, one a unit of time; the last is that of the statistics.
    noise : (float, float)
        Of clamped units: probabilities to turn an on unit off and an off unit on.
    order : str
    """

    rule: str
    learning_rate: Schedule
    momentum: Schedule
    weight_decay: float
    repeats: int
    anneal: tuple[float, ...]
    collect: int
    noise: tuple[float, float]
    order: str

    @classmethod
    def create(
        cls,
        *,
        rule: str,
        learning_rate: float | Schedule | None,
        momentum: float | Schedule,
        weight_decay: float,
        repeats: int,
        anneal: ArrayLike | str,
        collect: int,
        noise: tuple[float, float],
        order: str,
    ) -> BoltzmannSettings:
        """Check the arguments of ``BoltzmannMachine.fit``, whose documentation describes them.

        Raises
        ------
        ValueError, TypeError
            If one is out of range.
        """
        if rule not in _DEFAULT_RATES:
            raise ValueError(f"rule: expected 'signed' or 'gradient', given {rule!r}")
        if not (math.isfinite(weight_decay) and weight_decay >= 0):
            raise ValueError(f"weight_decay: expected a number >= 0, given {weight_decay}")
        temperatures = annealing_schedule(anneal) if isinstance(anneal, str) else np.asarray(anneal, dtype=np.float32)
        if temperatures.ndim != 1 or not len(temperatures) or not (np.isfinite(temperatures).all()):
            raise ValueError(f"anneal: expected a schedule or finite temperatures, given {anneal!r}")
        if not (temperatures > 0).all():
            raise ValueError(f"anneal: expected temperatures above 0, given {anneal!r}")
        off, on = (float(p) for p in noise)
        if not (0 <= off <= 1 and 0 <= on <= 1):
            raise ValueError(f"noise: expected two probabilities, given {noise}")
        if order not in ("sequential", "random", "asynchronous"):
            raise ValueError(f"order: expected 'sequential', 'random' or 'asynchronous', given {order!r}")
        settings = cls(
            rule=rule,
            learning_rate=as_schedule(
                _DEFAULT_RATES[rule] if learning_rate is None else learning_rate, "learning_rate"
            ),
            momentum=as_schedule(momentum, "momentum"),
            weight_decay=float(weight_decay),
            repeats=as_count(repeats, "repeats"),
            anneal=tuple(float(t) for t in temperatures),
            collect=as_count(collect, "collect"),
            noise=(off, on),
            order=order,
        )
        if rule == "signed" and settings.momentum != Constant(0.0):
            raise ValueError("rule: signed steps have a fixed size: expected momentum 0")
        settings.at(0.0)
        return settings

    def at(self, epoch: float) -> tuple[float, float]:
        """Return learning rate and momentum at a time in epochs.

        Raises
        ------
        ValueError
            If a schedule has left its range there.
        """
        return learning_rate_at(self.learning_rate, epoch), momentum_at(self.momentum, epoch)

    def describe(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {
            "anneal": list(self.anneal),
            "collect": self.collect,
            "learning_rate": self.learning_rate.describe(),
            "momentum": self.momentum.describe(),
            "noise": list(self.noise),
            "order": self.order,
            "repeats": self.repeats,
            "rule": self.rule,
            "weight_decay": self.weight_decay,
        }


class BoltzmannLearning:
    """Learning by the difference of two phases (Ackley, Hinton and Sejnowski 1985, eq. 9): a task for :class:`Trainer`.

    ``p+_ij`` is how often units i and j are on together at equilibrium while the environment clamps the visible units,
    ``p-_ij`` while it does not (or clamps the inputs alone); the weight goes after ``p+_ij - p-_ij``, the bias after
    ``p+_i - p-_i``: the descent of the divergence G between environment and machine, by what two units know locally.

    A learning cycle uses ``6 + 2 s`` offsets for s units of time (three times as many for the order "random").

    Parameters
    ----------
    model : BoltzmannMachine
        Changed in place. Weights without a connection stay zero.
    x : array of 0 and 1, shape (R, n_visible), or BitMatrix
    settings : BoltzmannSettings
    inputs : bool array, shape (n_visible,), optional
        Visible units clamped in both phases.

    Raises
    ------
    ValueError, TypeError
        If the rows do not fit the machine or are not binary.
    """

    def __init__(
        self,
        model: BoltzmannMachine,
        x: ArrayLike | BitMatrix,
        settings: BoltzmannSettings,
        *,
        inputs: ArrayLike | None = None,
    ) -> None:
        self.model = model
        self.settings = settings
        self._rows = TrainingRows(x, model.n_visible, units=_BINARY)
        if not self._rows.binary:
            raise ValueError("X: expected zeros and ones")
        self._wake_clamp = model.clamped(np.ones(model.n_visible, dtype=bool))
        self._sleep_clamp = model.clamped(np.zeros(model.n_visible, dtype=bool) if inputs is None else inputs)
        self._session = model.steps_trained
        self._rng = Generator(derive_seed(model.seed, Stream.TRAINING, self._session))
        self._velocity = {name: np.zeros_like(parameter) for name, parameter in model.parameters().items()}
        self._schedule = np.array([*settings.anneal, *[settings.anneal[-1]] * settings.collect], dtype=np.float32)
        self._mean_difference = math.nan

    @property
    def n_rows(self) -> int:
        """Rows of the environment."""
        return self._rows.shape[0]

    @property
    def order_seed(self) -> int:
        """Seed of the data order of this training session."""
        return derive_seed(self.model.seed, Stream.ORDER, self._session)

    def step(self, rows: NDArray[np.intp], epoch: float) -> Mapping[str, float]:
        """Run one learning cycle on the given rows; return the mean of ``|p+ - p-|`` over connections."""
        model = self.model
        batch: Any = self._rows.batch(np.repeat(rows, self.settings.repeats))
        clamped = self._noisy(batch.to_dense())
        difference = self._statistics(clamped, self._wake_clamp) - self._statistics(clamped, self._sleep_clamp)
        bias_difference = difference.diagonal().copy()
        difference *= model.connections
        self._apply({"w": difference, "b": bias_difference}, epoch)
        model.steps_trained += 1
        self._mean_difference = float(np.abs(difference).sum() / max(1, model.connections.sum()))
        return {"mean_difference": self._mean_difference}

    def end_epoch(self) -> None:
        """Count a finished pass."""
        self.model.epochs_trained += 1

    def evaluate(self, epoch: float) -> Mapping[str, float]:
        """Return the settings in force and the largest weight."""
        learning_rate, _ = self.settings.at(epoch)
        return {"learning_rate": learning_rate, "largest_weight": float(np.abs(self.model.w).max())}

    def running_estimate(self) -> Mapping[str, float]:
        """Return the mean difference of the last cycle."""
        return {} if math.isnan(self._mean_difference) else {"mean_difference": self._mean_difference}

    def describe(self) -> dict[str, Any]:
        """Return what a run must share with a checkpoint to go on from it."""
        return {
            "task": "Boltzmann machine learning",
            "model": repr(self.model),
            "data": {"shape": list(self._rows.shape), "sha256": self._rows.fingerprint},
            "inputs": [int(i) for i in np.flatnonzero(self._sleep_clamp)],
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

    def _noisy(self, visible: NDArray[np.float32]) -> NDArray[np.float32]:
        """Clamped values with on units turned off and off units turned on now and then (section 3.2). One offset."""
        off, on = self.settings.noise
        turned = self._rng.random(visible.shape) < np.where(visible > 0, np.float32(off), np.float32(on))
        return np.abs(visible - turned)

    def _statistics(self, visible: NDArray[np.float32], clamp: NDArray[np.bool_]) -> NDArray[np.float64]:
        """``p_ij`` at equilibrium, ``p_i`` on the diagonal: free units start at random and anneal."""
        model, settings = self.model, self.settings
        state = random_state(model, len(visible), self._rng).to_dense()
        fixed = clamp[: model.n_visible]
        state[:, : model.n_visible][:, fixed] = visible[:, fixed]
        _, pairs = ops.dense_gibbs(
            state,
            model.w,
            model.b,
            rng=self._rng,
            sweeps=len(self._schedule),
            temperature=self._schedule,
            clamp=clamp,
            order=settings.order,
            count_pairs=settings.collect,
        )
        return np.asarray(pairs / (len(visible) * settings.collect))

    def _apply(self, differences: Mapping[str, NDArray[np.float64]], epoch: float) -> None:
        learning_rate, momentum = self.settings.at(epoch)
        for name, parameter in self.model.parameters().items():
            difference = differences[name]
            direction = np.sign(difference) if self.settings.rule == "signed" else difference
            velocity = self._velocity[name]
            velocity *= momentum
            velocity += learning_rate * (direction - self.settings.weight_decay * parameter)
            parameter += velocity
        if not (np.isfinite(self.model.w).all() and np.isfinite(self.model.b).all()):
            raise FloatingPointError("w: the update produced NaN or infinity; the learning rate is too large")
