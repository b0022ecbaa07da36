"""Contrastive divergence for RBMs with units of any type: the negative phase on float32 arrays.

Momentum, decay, centring, sparsity, monitoring and checkpoints are those of :mod:`hintoncore.train.contrastive`.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import ops
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator
from hintoncore.models._rows import dense_blocks
from hintoncore.models.units import GaussianUnits
from hintoncore.ops import CDGradient
from hintoncore.samplers import UnitMachine
from hintoncore.train.contrastive import CDSettings, ContrastiveDivergence
from hintoncore.train.negative_phase import FastPCD, FastWeights, LearningRule, NegativePhase, Replicas, TemperedPCD

if TYPE_CHECKING:
    from hintoncore.models.rbm import RBM

__all__ = ["UnitDivergence"]

Float32Array = NDArray[np.float32]

_BLOCK_ROWS = 256
_LARGEST_VARIANCE_STEP = 0.1  # of a logarithm, in one update


class UnitDivergence(ContrastiveDivergence):
    """Trains an RBM with layers of any type by any rule; a :class:`hintoncore.train.Task`.

    The gradient of ``w`` is ``<t(v) E[h|v]^T>`` of the data less that of the end of the negative phase, where ``t(v)``
    is the visible units' statistic. Hidden units are sampled in between and their means make the statistics.

    Learned variances ``exp(z)`` of Gaussian visible units follow the same gradient [1]_, eq. 9 and 10, with

        dz = <(v - b)^2 / (2 sigma^2) - (v / sigma^2) w E[h|v]>_data - <...>_model,

    with no decay and no update above 0.1, so that a variance never leaps. At first they are those of the data.

    Parameters
    ----------
    model : RBM
    x : array, shape [N, V]
        States of the visible units, or means where they have an interval of these.
    settings : CDSettings
        Parallel tempering needs units that have a temperature, a sparsity target logistic hidden units.
    validation : array, shape [M, V], optional

    Raises
    ------
    ValueError
        If the data are not of the visible units' kind, or the settings ask for what these units have not.

    References
    ----------
    .. [1] K. Cho, A. Ilin, T. Raiko, "Improved learning of Gaussian-Bernoulli restricted Boltzmann machines", ICANN
           2011.
    """

    def __init__(
        self,
        model: RBM,
        x: ArrayLike | BitMatrix,
        settings: CDSettings,
        *,
        validation: ArrayLike | BitMatrix | None = None,
    ) -> None:
        if settings.sparsity is not None and not model.hidden_units.logistic:
            raise ValueError(f"sparsity: expected logistic hidden units, given {model.hidden_units.name!r}")
        if model.steps_trained == 0 and isinstance(model.visible_units, GaussianUnits):
            model.visible_units.set_variance(_column_variances(x, model))
        settings = dataclasses.replace(settings, rule=_UnitRule(settings.rule))
        super().__init__(model, x, settings, validation=validation)
        assert self._update is not None
        if self._update.offsets is not None:
            self._update.offsets[0][:] = model.visible_units.statistic(self._rows.mean.astype(np.float32))
        if self._velocity is not None:  # one array for each parameter, in their order
            extra = (np.zeros_like(array) for array in model.visible_units.parameters().values())
            self._velocity = (*self._velocity, *extra)  # type: ignore[assignment]

    def _follow(
        self,
        batch: BitMatrix | Float32Array,
        k: int,
        learning_rate: float,
        momentum: float,
        epoch: float,
    ) -> dict[str, float | None]:
        assert isinstance(self._negative, _UnitPhase)
        w = self.model.w
        gradient = self._negative.gradient(batch, k, self._rng, self._gradient)
        units = self.model.visible_units
        if isinstance(units, GaussianUnits) and units.learned:
            scatter = self._negative.scatter * np.exp(-units.log_variance) / np.float32(2.0)
            interaction = np.einsum("ij,ij->i", w, gradient.w)
            step = np.float32(learning_rate) * (scatter - interaction)
        else:
            step = None
        assert self._update is not None
        self._update.apply(gradient, learning_rate, momentum)
        if step is not None and isinstance(units, GaussianUnits):
            if self._velocity is not None:
                velocity = self._velocity[3]  # type: ignore[misc]
                velocity *= np.float32(momentum)
                velocity += step
                step = velocity
            units.log_variance += np.clip(step, -_LARGEST_VARIANCE_STEP, _LARGEST_VARIANCE_STEP)
            if not np.isfinite(units.log_variance).all():
                raise FloatingPointError(
                    "log_variance: the update produced NaN or infinity; the learning rate is too large"
                )
        self._negative.learn(gradient, epoch)
        return gradient.stats

    def _hidden_means(self) -> NDArray[Any]:
        return np.asarray(self.model.transform(self._monitored).mean(axis=0))

    def _reconstruction_error(self, rng: Generator) -> float:
        model, v = self.model, _dense(self._monitored)
        hidden = model.hidden_units.sample(model.hidden_inputs(v), rng)
        again = model.visible_units.sample(model.visible_inputs(hidden), rng)
        return float(np.mean((v - again) ** 2, dtype=np.float64))


def _dense(rows: BitMatrix | Float32Array) -> Float32Array:
    return rows.to_dense() if isinstance(rows, BitMatrix) else rows


def _column_variances(x: ArrayLike | BitMatrix, model: RBM) -> NDArray[np.float64]:
    """Variance of each column of the data, which are checked on the way."""
    moments, shift = np.zeros((2, model.n_visible)), None
    n_rows = 0
    for block in dense_blocks(x, model.n_visible, _BLOCK_ROWS, units=model.visible_units):
        shift = block[0].astype(np.float64) if shift is None else shift
        moments += [(block - shift).sum(axis=0), ((block - shift) ** 2).sum(axis=0)]
        n_rows += len(block)
    mean, square = moments / n_rows
    return np.asarray(square - mean**2)


@dataclasses.dataclass(frozen=True)
class _UnitRule(LearningRule):
    """A rule of :mod:`hintoncore.train.negative_phase` carried out with units of any type."""

    rule: LearningRule

    @property
    def persistent(self) -> bool:  # type: ignore[override]
        """As the rule says."""
        return self.rule.persistent

    def start(self, model: RBM, n_chains: int, seed: int) -> NegativePhase:
        """Chains start from independent visible units at the visible biases, replicas from independent units."""
        if isinstance(self.rule, TemperedPCD):
            return _UnitTempering(model, self.rule.ladder, n_chains, seed)
        chains = None
        if self.persistent:
            chains = model.visible_units.sample(np.tile(model.b_vis, (n_chains, 1)), Generator(seed))
        if isinstance(self.rule, FastPCD):
            assert chains is not None
            return _UnitFastPhase(model, chains, self.rule)
        return _UnitPhase(model, chains)

    def describe(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {**self.rule.describe(), "units": "any"}


class _UnitPhase(NegativePhase):
    """Block Gibbs sampling on float32 arrays: CD without states, PCD with them.

    Attributes
    ----------
    states : array [C, V] or None
        Persistent visible states.
    scatter : array [V]
        Mean of ``(v - b)^2`` over the last minibatch less that over the end of its negative phase.
    """

    def __init__(self, model: RBM, states: Float32Array | None) -> None:
        self._model = model
        self.states = states
        self.scatter = np.zeros(model.n_visible, dtype=np.float32)

    def gradient(self, batch: BitMatrix | Float32Array, k: int, rng: Generator, out: Float32Array) -> CDGradient:
        """Gradient on a minibatch; uses ``2 k`` offsets."""
        model, units = self._model, self._model.visible_units
        v0 = _dense(batch)
        inputs = model.hidden_inputs(v0)
        data_hid = model.hidden_units.mean(inputs)
        v, model_hid, error = self._sample(v0, inputs, k, rng)
        data_stat, model_stat = units.statistic(v0), units.statistic(v)
        ops.matmul(data_stat, data_hid, trans_a=True, out=out)
        out /= np.float32(len(v0))
        out -= ops.matmul(model_stat, model_hid, trans_a=True) / np.float32(len(v))
        self.scatter = ((v0 - model.b_vis) ** 2).mean(axis=0) - ((v - model.b_vis) ** 2).mean(axis=0)
        stats = {"reconstruction_error": error, "hidden_mean": float(data_hid.mean(dtype=np.float64))}
        return CDGradient(
            out,
            data_stat.mean(axis=0),
            data_hid.mean(axis=0),
            model_stat.mean(axis=0),
            model_hid.mean(axis=0),
            stats,
        )

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """The persistent states."""
        return ({} if self.states is None else {"chains": self.states}), {}

    def load_state(self, tensors: Mapping[str, NDArray[Any]], counters: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Restore what :meth:`state` returned."""
        if self.states is not None:
            self.states[...] = tensors["chains"]

    def _sample(
        self, v0: Float32Array, inputs: Float32Array, k: int, rng: Generator
    ) -> tuple[Float32Array, Float32Array, float | None]:
        """Visible states that end the negative phase, means of the hidden units there, reconstruction error of CD."""
        if self.states is None:
            v, means, first = _alternate(self._model, inputs, k, rng)
            return v, means, float(np.mean((v0 - first) ** 2, dtype=np.float64))
        v, means, _ = _alternate(self._model, self._model.hidden_inputs(self.states), k, rng)
        self.states[...] = v
        return v, means, None


class _UnitFastPhase(_UnitPhase):
    """PCD whose chains see fast weights; a learned variance has no fast part."""

    def __init__(self, model: RBM, states: Float32Array, rule: FastPCD) -> None:
        super().__init__(model, states)
        self._fast = FastWeights(model, rule)
        self._chain_model = copy.copy(model)

    def learn(self, gradient: CDGradient, epoch: float) -> None:
        """The fast weights follow the gradient."""
        self._fast.learn(gradient, epoch)

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Persistent states and fast weights."""
        tensors, counters = super().state()
        return {**tensors, **self._fast.state()}, counters

    def load_state(self, tensors: Mapping[str, NDArray[Any]], counters: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned."""
        super().load_state(tensors, counters)
        self._fast.load_state(tensors)

    def _sample(
        self, _v0: Float32Array, _inputs: Float32Array, k: int, rng: Generator
    ) -> tuple[Float32Array, Float32Array, None]:
        chain = self._chain_model
        chain.w, chain.b_vis, chain.b_hid = self._fast.sums()
        assert self.states is not None
        v, means, _ = _alternate(chain, chain.hidden_inputs(self.states), k, rng)
        self.states[...] = v
        return v, means, None


class _UnitTempering(_UnitPhase):
    """PCD by parallel tempering of the joint states."""

    def __init__(self, model: RBM, ladder: Sequence[float], n_chains: int, seed: int) -> None:
        super().__init__(model, None)
        self._machine = UnitMachine(model)
        self._replicas = Replicas(self._machine, ladder, n_chains, seed)

    def metrics(self) -> dict[str, float]:
        """Of the replicas."""
        return self._replicas.metrics()

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Of the replicas."""
        return self._replicas.state()

    def load_state(self, tensors: Mapping[str, NDArray[Any]], counters: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned."""
        self._replicas.load_state(tensors, counters)

    def _sample(
        self, _v0: Float32Array, _inputs: Float32Array, k: int, _rng: Generator
    ) -> tuple[Float32Array, Float32Array, None]:
        v, _ = self._machine.split(self._replicas.run(k))
        return v, self._model.hidden_units.mean(self._model.hidden_inputs(v)), None


def _alternate(
    model: RBM, inputs: Float32Array, k: int, rng: Generator
) -> tuple[Float32Array, Float32Array, Float32Array]:
    """From inputs of hidden units, ``k >= 1`` Gibbs steps: visible states, hidden means there, first visible states."""
    first = None
    for _ in range(k):
        v = model.visible_units.sample(model.visible_inputs(model.hidden_units.sample(inputs, rng)), rng)
        inputs = model.hidden_inputs(v)
        first = v if first is None else first
    assert first is not None
    return v, model.hidden_units.mean(inputs), first
