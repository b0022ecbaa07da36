"""Learning from ratings as a training task: a machine for ratings, its users' ratings, velocities."""

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
from hintoncore.generator import Generator
from hintoncore.models._parameters import copy_parameters
from hintoncore.models._rating_rows import RatingRows
from hintoncore.ops import CFOptimiser
from hintoncore.train._saved_state import load_progress, progress
from hintoncore.train.schedules import Schedule, as_schedule, learning_rate_at, momentum_at, steps_at

if TYPE_CHECKING:
    from hintoncore.models.cf_rbm import CFRBM

__all__ = ["RatingLearning", "RatingSettings"]

_RULES = ("pseudo-likelihood", "cd")
_RATES = {"w": 1.0, "d": 1.0, "b_vis": 1.0, "b_level": 0.02, "b_hid": 0.3}
_DECAYING = ("w", "d", "b_vis")


@dataclass(frozen=True)
class RatingSettings:
    """Settings of :class:`RatingLearning`; ``CFRBM.fit`` describes them, :meth:`create` checks them."""

    rule: str
    k: Schedule
    batch_size: int
    learning_rate: Schedule
    rate_factors: Mapping[str, float]
    momentum: Schedule
    weight_decay: Mapping[str, float]

    @classmethod
    def create(
        cls,
        *,
        rule: str,
        k: int | Schedule,
        batch_size: int,
        learning_rate: float | Schedule,
        rate_factors: Mapping[str, float] | None,
        momentum: float | Schedule,
        weight_decay: float | Mapping[str, float],
    ) -> RatingSettings:
        """Check the arguments of ``CFRBM.fit``.

        Raises
        ------
        ValueError, TypeError
            If one is out of range.
        """
        if rule not in _RULES:
            raise ValueError(f"rule: expected 'pseudo-likelihood' or 'cd', given {rule!r}")
        if not isinstance(weight_decay, Mapping):
            weight_decay = dict.fromkeys(_DECAYING, weight_decay)
        settings = cls(
            rule=rule,
            k=as_schedule(k, "k"),
            batch_size=as_count(batch_size, "batch_size"),
            learning_rate=as_schedule(learning_rate, "learning_rate"),
            rate_factors=_by_parameter(rate_factors or {}, _RATES, "rate_factors"),
            momentum=as_schedule(momentum, "momentum"),
            weight_decay=_by_parameter(weight_decay, dict.fromkeys(_DECAYING, 0.0), "weight_decay"),
        )
        settings.at(0.0)
        return settings

    def at(self, epoch: float) -> tuple[int, float, float]:
        """Steps of contrastive divergence (0: pseudo-likelihood), learning rate and momentum of an epoch.

        Raises
        ------
        ValueError
            If a schedule has left its range there.
        """
        k = steps_at(self.k, epoch, "k")
        rate, momentum = learning_rate_at(self.learning_rate, epoch), momentum_at(self.momentum, epoch)
        return (k if self.rule == "cd" else 0), rate, momentum

    def describe(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {
            "batch_size": self.batch_size,
            "k": self.k.describe() if self.rule == "cd" else None,
            "learning_rate": self.learning_rate.describe(),
            "momentum": self.momentum.describe(),
            "rate_factors": dict(self.rate_factors),
            "rule": self.rule,
            "weight_decay": dict(self.weight_decay),
        }


class RatingLearning:
    """Trains a :class:`~hintoncore.models.CFRBM`; a :class:`hintoncore.train.Task` whose rows are users.

    Learning rate, momentum and k are constant within an epoch, at the end of which every item has had every update:
    what an item absent from minibatches misses is momentum and decay, which :func:`hintoncore.ops.cf_settle` makes up
    for.

    Parameters
    ----------
    model : CFRBM
    rows : RatingRows
    settings : RatingSettings
    validation : (users, items, values), optional
        Held-out ratings for :meth:`evaluate`; training never reads them.
    """

    def __init__(
        self,
        model: CFRBM,
        rows: RatingRows,
        settings: RatingSettings,
        *,
        validation: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
    ) -> None:
        self.model = model
        self.settings = settings
        self._validation = None if validation is None else tuple(np.asarray(part) for part in validation)
        model.prepare(rows)
        self._rows = rows
        self._ratings = rows.as_ops(model.precision)
        self._session = model.steps_trained
        self._rng = Generator(derive_seed(model.seed, Stream.TRAINING, self._session))
        self._parameters = model.parameters_for_ops()
        self._optimiser = CFOptimiser.start(self._parameters, rates=(0.0,) * 5)
        self._steps = 0  # of this session, as the items count them

    @property
    def n_rows(self) -> int:
        """Users."""
        return self._rows.n_users

    @property
    def order_seed(self) -> int:
        """Seed of the order of the users."""
        return derive_seed(self.model.seed, Stream.ORDER, self._session)

    def step(self, rows: NDArray[np.intp], epoch: float) -> Mapping[str, float]:
        """Update the model on the ratings of some users; nothing when they have none."""
        batch = self._ratings.rows(np.sort(rows))
        if len(batch.items) == 0:
            return {}
        k = self._set(epoch)
        stats = ops.cf_update(self._parameters, batch, self._optimiser, step=self._steps, k=k, rng=self._rng)
        self._steps += 1
        self.model.steps_trained += 1
        return {name: value for name, value in stats.items() if value is not None}

    def end_epoch(self) -> None:
        """Count a finished epoch."""
        self.model.epochs_trained += 1

    def evaluate(self, epoch: float) -> Mapping[str, float]:
        """Bring every item up to date, and measure errors on the held-out ratings."""
        k = self._set(epoch)
        ops.cf_settle(self._parameters, self._optimiser, step=self._steps)
        _, rate, momentum = self.settings.at(math.floor(epoch))
        record: dict[str, float] = {"k": k, "learning_rate": rate, "momentum": momentum}
        if self._validation is not None:
            users, items, values = self._validation
            error = self.model.predict(users, items) - values
            record["validation_rmse"] = float(np.sqrt(np.mean(error**2)))
            record["validation_mae"] = float(np.mean(np.abs(error)))
        return record

    def running_estimate(self) -> Mapping[str, float]:
        """Nothing: the errors of the last epoch say enough."""
        return {}

    def describe(self) -> dict[str, Any]:
        """Return what a run must share with a checkpoint to go on from it."""
        return {
            "task": "learning from ratings",
            "model": repr(self.model),
            "data": {"users": self._rows.n_users, "sha256": self._rows.fingerprint()},
            "settings": self.settings.describe(),
        }

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return arrays and counters that, with :meth:`describe`, determine all later steps."""
        tensors: dict[str, NDArray[Any]] = dict(self.model.parameters())
        tensors.update(self._velocities())
        tensors["updates"] = self._optimiser.updates
        return tensors, {**progress(self.model, self._session, self._rng), "steps": self._steps}

    def load_state(self, tensors: Mapping[str, NDArray[Any]], counters: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned.

        Raises
        ------
        KeyError, ValueError
            If something is missing or has another shape.
        """
        copy_parameters(self.model.parameters(), tensors)
        copy_parameters(self._velocities(), tensors)
        self._optimiser.updates[...] = tensors["updates"]
        self._steps = counters["steps"]
        self._session, self._rng = load_progress(self.model, counters)

    def _set(self, epoch: float) -> int:
        """Take the settings of the epoch; returns k."""
        k, rate, momentum = self.settings.at(math.floor(epoch))
        factors, decay = self.settings.rate_factors, self.settings.weight_decay
        w, d, vis, level, hid = (rate * factors[name] for name in _RATES)
        self._optimiser = self._optimiser._replace(
            rates=(w, d, vis, level, hid),
            decays=(decay["w"], decay["d"], decay["b_vis"]),
            momentum=momentum,
        )
        return k

    def _velocities(self) -> dict[str, NDArray[np.float32]]:
        return {
            f"velocity.{name}": velocity
            for name, velocity in zip(_RATES, self._optimiser.velocity, strict=True)
            if velocity is not None
        }


def _by_parameter(given: Mapping[str, float], defaults: Mapping[str, float], name: str) -> dict[str, float]:
    unknown = given.keys() - defaults.keys()
    if unknown:
        raise ValueError(f"{name}: expected keys among {', '.join(defaults)}, given {', '.join(sorted(unknown))}")
    merged = {key: float(given.get(key, default)) for key, default in defaults.items()}
    for key, value in merged.items():
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name}: expected numbers >= 0, given {value} for {key}")
    return merged
