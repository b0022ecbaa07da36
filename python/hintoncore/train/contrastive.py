"""Contrastive divergence and its kin as a training task: one RBM, its data, negative phase and update."""

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
from hintoncore.train._saved_state import load_progress, load_velocity, progress, with_velocity
from hintoncore.train.data import TrainingRows, evenly_spaced
from hintoncore.train.gradient_update import Centring, GradientUpdate, Sparsity, Velocity, centring
from hintoncore.train.negative_phase import CD, PCD, LearningRule, learning_rule
from hintoncore.train.schedules import (
    GUIDE_MOMENTUM,
    Constant,
    Schedule,
    as_schedule,
    learning_rate_at,
    momentum_at,
    steps_at,
)

if TYPE_CHECKING:
    from hintoncore.models.rbm import RBM

__all__ = ["CDSettings", "ContrastiveDivergence"]

_MONITORED_ROWS = 1000
_PERSISTENT_MOMENTUM = 0.5


@dataclass(frozen=True)
class CDSettings:
    """Settings of contrastive divergence; :meth:`create` checks and completes them.

    Attributes
    ----------
    k : Schedule
        Gibbs steps, rounded to the nearest integer.
    rule : LearningRule
    batch_size, n_chains : int
    learning_rate, momentum : Schedule
    weight_decay, l1 : float
    centring : Centring or None
    sparsity : Sparsity or None
    """

    k: Schedule
    rule: LearningRule
    batch_size: int
    n_chains: int
    learning_rate: Schedule
    momentum: Schedule
    weight_decay: float
    l1: float = 0.0
    centring: Centring | None = None
    sparsity: Sparsity | None = None

    @classmethod
    def create(
        cls,
        *,
        k: int | Schedule,
        persistent: bool,
        batch_size: int,
        n_chains: int | None,
        learning_rate: float | Schedule,
        momentum: float | Schedule | None,
        weight_decay: float,
        rule: str | LearningRule | None = None,
        l1: float = 0.0,
        centred: bool | str | Centring = False,
        sparsity: Sparsity | None = None,
    ) -> CDSettings:
        """Check the arguments of ``RBM.fit``, whose documentation describes them.

        Raises
        ------
        ValueError, TypeError
            If one is out of range.
        """
        chosen = learning_rule(rule, persistent)
        if n_chains is not None and not chosen.persistent:
            raise ValueError("n_chains: only persistent contrastive divergence keeps chains; pass persistent=True")
        for name, penalty in (("weight_decay", weight_decay), ("l1", l1)):
            if not (math.isfinite(penalty) and penalty >= 0):
                raise ValueError(f"{name}: expected a number >= 0, given {penalty}")
        if sparsity is not None and not isinstance(sparsity, Sparsity):
            raise TypeError(f"sparsity: expected a hintoncore.train.Sparsity, given {type(sparsity).__name__}")
        batch_size = as_count(batch_size, "batch_size")
        if momentum is None:
            momentum = _PERSISTENT_MOMENTUM if chosen.persistent else GUIDE_MOMENTUM
        settings = cls(
            k=as_schedule(k, "k"),
            rule=chosen,
            batch_size=batch_size,
            n_chains=batch_size if n_chains is None else as_count(n_chains, "n_chains"),
            learning_rate=as_schedule(learning_rate, "learning_rate"),
            momentum=as_schedule(momentum, "momentum"),
            weight_decay=float(weight_decay),
            l1=float(l1),
            centring=centring(centred),
            sparsity=sparsity,
        )
        settings.at(0.0)
        return settings

    def at(self, epoch: float) -> tuple[int, float, float]:
        """Return k, learning rate and momentum at a time in epochs.

        Raises
        ------
        ValueError
            If a schedule has left its range there.
        """
        k = steps_at(self.k, epoch, "k")
        return k, learning_rate_at(self.learning_rate, epoch), momentum_at(self.momentum, epoch)

    @property
    def persistent(self) -> bool:
        """Whether chains go on from update to update."""
        return self.rule.persistent

    @property
    def fused(self) -> bool:
        """Whether one call of :func:`hintoncore.ops.cd_update` is the whole update."""
        return isinstance(self.rule, CD | PCD) and self.centring is None and self.sparsity is None and self.l1 == 0

    def describe(self) -> dict[str, Any]:
        """Return the settings as JSON values; what was not asked for is None, as in checkpoints that know it not."""
        return {
            "batch_size": self.batch_size,
            "centring": None if self.centring is None else self.centring.describe(),
            "k": self.k.describe(),
            "l1": self.l1 or None,
            "learning_rate": self.learning_rate.describe(),
            "momentum": self.momentum.describe(),
            "n_chains": self.n_chains if self.persistent else None,
            "persistent": self.persistent,
            "rule": None if isinstance(self.rule, CD | PCD) else self.rule.describe(),
            "sparsity": None if self.sparsity is None else self.sparsity.describe(),
            "weight_decay": self.weight_decay,
        }


class ContrastiveDivergence:
    """Trains one RBM by CD-k [1]_, PCD [2]_ or one of their kin; a :class:`hintoncore.train.Task`.

    The settings' rule makes the negative phase; momentum, decay, centring and sparsity are the update's.

    Parameters
    ----------
    model : RBM
        Updated in place. If it was never trained and its visible biases are all 0, they become
        ``log(p / (1 - p))`` of the data means (practical guide, section 8.1).
    x : array in [0, 1], shape [N, V], or BitMatrix
    settings : CDSettings
    validation : array or BitMatrix, shape [M, V], optional
        Held-out rows for :meth:`evaluate`.

    References
    ----------
    .. [1] G. E. Hinton, "Training products of experts by minimizing contrastive divergence", Neural Computation 14,
           2002.
    .. [2] T. Tieleman, "Training restricted Boltzmann machines using approximations to the likelihood gradient",
           ICML 2008.
    """

    def __init__(
        self,
        model: RBM,
        x: ArrayLike | BitMatrix,
        settings: CDSettings,
        *,
        validation: ArrayLike | BitMatrix | None = None,
    ) -> None:
        self.model = model
        self.settings = settings
        self._rows = TrainingRows(x, model.n_visible, units=model.visible_units)
        self._monitored = self._rows.batch(evenly_spaced(self.n_rows, _MONITORED_ROWS))
        self._validation: BitMatrix | NDArray[np.float32] | None = None
        if validation is not None:
            held_out = TrainingRows(validation, model.n_visible, units=model.visible_units, name="validation")
            self._validation = held_out.batch(evenly_spaced(held_out.shape[0], _MONITORED_ROWS))
            self._validation_states = held_out.states

        self._session = model.steps_trained  # a second fit gets an order and draws of its own
        if model.steps_trained == 0 and not model.b_vis.any():
            model.b_vis[:] = model.visible_units.bias_for_mean(self._rows.mean, self.n_rows)
        self._rng = Generator(derive_seed(model.seed, Stream.TRAINING, self._session))
        uses_velocity = settings.momentum != Constant(0.0)
        self._velocity: Velocity | None = (
            (np.zeros_like(model.w), np.zeros_like(model.b_vis), np.zeros_like(model.b_hid)) if uses_velocity else None
        )
        chains_seed = derive_seed(model.seed, Stream.CHAINS, self._session)
        self._negative = settings.rule.start(model, settings.n_chains, chains_seed)
        self._update: GradientUpdate | None = None
        if not settings.fused:
            self._update = GradientUpdate(
                model,
                self._velocity,
                weight_decay=settings.weight_decay,
                l1=settings.l1,
                centring=settings.centring,
                sparsity=settings.sparsity,
                means=(self._rows.mean, self._hidden_means()),
            )
            self._gradient = np.empty_like(model.w)
        self._last_batch: BitMatrix | NDArray[np.float32] | None = None

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
        k, learning_rate, momentum = self.settings.at(epoch)
        batch = self._rows.batch(rows)
        stats = self._follow(batch, k, learning_rate, momentum, epoch)
        self.model.steps_trained += 1
        self._last_batch = batch
        return {name: value for name, value in stats.items() if value is not None}

    def _follow(
        self, batch: BitMatrix | NDArray[np.float32], k: int, learning_rate: float, momentum: float, epoch: float
    ) -> dict[str, float | None]:
        """Update the model on a minibatch: in one call where that is all, else by gradient and update."""
        if self._update is None:
            return ops.cd_update(
                batch,
                self.model.w,
                self.model.b_vis,
                self.model.b_hid,
                k=k,
                lr=learning_rate,
                rng=self._rng,
                momentum=momentum,
                weight_decay=self.settings.weight_decay,
                velocity=self._velocity,
                chains=self._negative.chains,
            )
        gradient = self._negative.gradient(batch, k, self._rng, self._gradient)
        self._update.apply(gradient, learning_rate, momentum)
        self._negative.learn(gradient, epoch)
        return gradient.stats

    def end_epoch(self) -> None:
        """Count a finished epoch."""
        self.model.epochs_trained += 1

    def evaluate(self, epoch: float) -> Mapping[str, float]:
        """Monitor the model at the end of an epoch, on fixed subsets of at most 1000 rows.

        Returns the settings in force, the free energy of training and held-out rows and their gap (practical
        guide, section 6: a gap that grows is overfitting), the pseudo-likelihood of rows that are states and, for PCD,
        the reconstruction error.
        """
        model = self.model
        k, learning_rate, momentum = self.settings.at(epoch)
        record: dict[str, float] = {"k": k, "learning_rate": learning_rate, "momentum": momentum}
        monitor_seed = derive_seed(model.seed, Stream.MONITORING, self._session)
        monitor = Generator(monitor_seed)
        record.update(self._negative.metrics())
        if self.settings.persistent:
            record["reconstruction_error"] = self._reconstruction_error(monitor)
        if self._rows.states:
            record["pseudo_log_likelihood"] = model.pseudo_log_likelihood(self._monitored, rng=monitor)
        record["train_free_energy"] = float(model.free_energy(self._monitored).mean())
        if self._validation is not None:
            if self._validation_states:
                monitor = Generator(monitor_seed)
                record["validation_pseudo_log_likelihood"] = model.pseudo_log_likelihood(self._validation, rng=monitor)
            record["validation_free_energy"] = float(model.free_energy(self._validation).mean())
            record["free_energy_gap"] = record["validation_free_energy"] - record["train_free_energy"]
        return record

    def running_estimate(self) -> Mapping[str, float]:
        """Return a cheap likelihood estimate on the last minibatch, for progress bars."""
        if self._last_batch is None or not self._rows.states:
            return {}
        seed = derive_seed(self.model.seed, Stream.MONITORING, self._session)
        rng = Generator(seed, self.model.steps_trained)
        return {"pseudo_log_likelihood": self.model.pseudo_log_likelihood(self._last_batch, rng=rng)}

    def describe(self) -> dict[str, Any]:
        """Return what a run must share with a checkpoint to go on from it."""
        return {
            "task": "contrastive divergence",
            "model": repr(self.model),
            "data": {"shape": list(self._rows.shape), "sha256": self._rows.fingerprint},
            "settings": self.settings.describe(),
        }

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return arrays and counters that, with :meth:`describe`, determine all later steps."""
        tensors = with_velocity(self.model.parameters(), self._velocity_by_name())
        if self._update is not None:
            tensors.update(self._update.tensors())
        chains, sampler = self._negative.state()
        tensors.update(chains)
        return tensors, {**sampler, **progress(self.model, self._session, self._rng)}

    def load_state(self, tensors: Mapping[str, NDArray[Any]], counters: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned.

        Raises
        ------
        KeyError, ValueError
            If something is missing or has another shape.
        """
        self.model.set_parameters(tensors)
        load_velocity(self._velocity_by_name(), tensors)
        if self._update is not None:
            self._update.load_state(tensors)
        self._negative.load_state(tensors, counters)
        self._session, self._rng = load_progress(self.model, counters)

    def _velocity_by_name(self) -> dict[str, NDArray[np.float32]]:
        """Velocities by the name of their parameter; none where there is no momentum."""
        if self._velocity is None:
            return {}
        return dict(zip(self.model.parameters(), self._velocity, strict=True))

    def _hidden_means(self) -> NDArray[np.float64]:
        """Means of ``p(h | v)`` over the monitored rows."""
        return np.asarray(self.model.transform(self._monitored).mean(axis=0, dtype=np.float64))

    def _reconstruction_error(self, rng: Generator) -> float:
        """Mean of ``(v - v1)^2`` with the sampled reconstruction, as ``cd_update`` reports it for CD."""
        v0: Any = self._monitored
        h0 = ops.gibbs_step(v0, self.model.w, self.model.b_hid, rng=rng)
        v1: Any = ops.gibbs_step(h0, self.model.w, self.model.b_vis, rng=rng, transpose=True)
        if isinstance(v0, BitMatrix):
            v0, v1 = v0.to_dense(), v1.to_dense()
        return float(np.mean((v0 - v1) ** 2, dtype=np.float64))
