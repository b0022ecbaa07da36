"""Expectation maximisation as a training task: one mixture, its data, responsibilities and sufficient statistics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore._counts import as_count
from hintoncore._streams import Stream, derive_seed
from hintoncore._validate import as_number
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator
from hintoncore.models.mixture import softmax_and_log_sum
from hintoncore.models.units import BernoulliUnits, GaussianUnits, Units
from hintoncore.train.data import TrainingRows

if TYPE_CHECKING:
    from hintoncore.models.mixture import Mixture

__all__ = ["EMSettings", "ExpectationMaximization"]

Float64Array = NDArray[np.float64]

_BLOCK_ROWS = 1024
_MAX_BLOCK_STATISTICS = 2**22  # floats of the statistics of a block
_ROUNDING = 1e-10  # of F that a step may take away


@dataclass(frozen=True)
class EMSettings:
    """Settings of EM; :meth:`create` checks them.

    Attributes
    ----------
    sparse_threshold : float
    full_every : int
    """

    sparse_threshold: float
    full_every: int

    @classmethod
    def create(cls, *, sparse_threshold: float, full_every: int) -> EMSettings:
        """Check the arguments of ``Mixture.fit``, whose documentation describes them.

        Raises
        ------
        ValueError, TypeError
            If one is out of range.
        """
        threshold = as_number(sparse_threshold, "sparse_threshold")
        if not 0 <= threshold < 1:
            raise ValueError(f"sparse_threshold: expected a number in [0, 1), given {threshold}")
        return cls(sparse_threshold=threshold, full_every=as_count(full_every, "full_every"))


class ExpectationMaximization:
    """Fits one mixture by standard, incremental or sparse EM [1]_; a :class:`hintoncore.train.Task`.

    It holds ``q``, the responsibilities of all rows, and their sums. The free energy ``F(q, theta)``, its prior term
    included, is a function of the sums, the parameters and the entropy of ``q``, so it is known after each step at no
    cost, and every step checks that it has not fallen.

    Parameters
    ----------
    model : Mixture
        Updated in place. If it was never trained its components start from rows drawn by its seed, each at the middle
        between the row's statistics and those of all data.
    x : array, shape [N, D], or BitMatrix
    settings : EMSettings

    Attributes
    ----------
    free_energy : float
        ``F(q, theta)`` in nats for each row, with the log prior up to a constant.
    passes : float
        Densities computed so far, as multiples of ``N K``: the cost of an E step over all rows and components. The
        first one, which all variants share, is among them.

    References
    ----------
    .. [1] R. M. Neal, G. E. Hinton, "A view of the EM algorithm that justifies incremental, sparse, and other
           variants", in Learning in Graphical Models, 1998: eq. 6-7 (F), algorithms of sections 4 and 5.
    """

    def __init__(self, model: Mixture, x: ArrayLike | BitMatrix, settings: EMSettings) -> None:
        self.model = model
        self.settings = settings
        self._rows = TrainingRows(x, model.n_features, units=_units(model))
        self._session = model.epochs_trained
        self._epoch = 0
        n, k = self.n_rows, model.n_components
        if model.prior is None:
            self._start()
        self.q: Float64Array = np.zeros((n, k))
        self._counts = np.zeros(k)
        self._sums = np.zeros((k, len(_prior(model))))
        self._entropy = 0.0
        self.passes = 0.0
        self._update_rows(np.arange(n), sparse=False)
        self.model.maximise(self._counts, self._sums)
        self.free_energy = self._free_energy()

    @property
    def n_rows(self) -> int:
        """Rows of the training set."""
        return self._rows.shape[0]

    @property
    def order_seed(self) -> int:
        """Seed of the data order of this training session."""
        return derive_seed(self.model.seed, Stream.ORDER, self._session)

    def step(self, rows: NDArray[np.intp], epoch: float) -> Mapping[str, float]:  # noqa: ARG002
        """Partial E step on some rows, then an M step.

        Raises
        ------
        FloatingPointError
            If the free energy fell.
        """
        sparse = self.settings.sparse_threshold > 0 and (self._epoch + 1) % self.settings.full_every != 0
        self._update_rows(rows, sparse=sparse)
        self.model.maximise(self._counts, self._sums)
        free_energy = self._free_energy()
        if not free_energy >= self.free_energy - _ROUNDING * max(1.0, abs(self.free_energy)):
            raise FloatingPointError(
                f"the free energy fell from {self.free_energy!r} to {free_energy!r} nats a row: rounding has taken "
                "over, raise pseudo_count"
            )
        self.free_energy = free_energy
        return {}

    def end_epoch(self) -> None:
        """Count a finished epoch."""
        self._epoch += 1
        self.model.epochs_trained += 1

    def evaluate(self, epoch: float) -> Mapping[str, float]:  # noqa: ARG002
        """Free energy in nats for each row, and the passes so far."""
        return {"free_energy": self.free_energy, "passes": self.passes}

    def running_estimate(self) -> Mapping[str, float]:
        """Return the free energy for progress bars."""
        return {"free_energy": self.free_energy}

    def describe(self) -> dict[str, Any]:
        """Return what a run must share with a checkpoint to go on from it."""
        return {
            "task": "expectation maximization",
            "model": repr(self.model),
            "data": {"shape": list(self._rows.shape), "sha256": self._rows.fingerprint},
            "settings": asdict(self.settings),
        }

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return arrays and counters that, with :meth:`describe`, determine all later steps."""
        tensors = {**self.model.parameters(), "q": self.q, "counts": self._counts, "sums": self._sums}
        counters = {
            "entropy": self._entropy,
            "epoch": self._epoch,
            "epochs_trained": self.model.epochs_trained,
            "free_energy": self.free_energy,
            "passes": self.passes,
            "session": self._session,
        }
        return tensors, counters

    def load_state(self, tensors: Mapping[str, NDArray[Any]], counters: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned.

        Raises
        ------
        KeyError, ValueError
            If something is missing or has another shape.
        """
        self.model.set_parameters(tensors)
        self.q[...] = tensors["q"]
        self._counts[...] = tensors["counts"]
        self._sums[...] = tensors["sums"]
        self._entropy, self.free_energy = counters["entropy"], counters["free_energy"]
        self.passes, self._epoch = counters["passes"], counters["epoch"]
        self._session, self.model.epochs_trained = counters["session"], counters["epochs_trained"]

    def _start(self) -> None:
        """Set the prior from the data, and each component half way from all data to one row."""
        model = self.model
        total = sum(self._statistics(x).sum(axis=0) for _, x in self._blocks(np.arange(self.n_rows)))
        model.prior = model.components.prior_statistics(np.asarray(total), self.n_rows)
        seeds = Generator(derive_seed(model.seed, Stream.WEIGHTS))
        chosen = seeds.permutation(max(self.n_rows, model.n_components))[: model.n_components] % self.n_rows
        sums = np.concatenate([self._statistics(x) for _, x in self._blocks(chosen)])
        one_of_each = np.full(model.n_components, 2.0 - model.pseudo_count)  # a row and all data, the prior included
        model.maximise(one_of_each, sums + (1.0 - model.pseudo_count) * model.prior)

    def _update_rows(self, rows: NDArray[np.intp], *, sparse: bool) -> None:
        """E step on some rows; the sums follow."""
        update = self._sparse_posterior if sparse else self._full_posterior
        if sparse:  # a row with one active component keeps what it has
            rows = rows[(self.q[rows] > self.settings.sparse_threshold).sum(axis=1) > 1]
        for block, x in self._blocks(rows):
            old = self.q[block]
            new = update(x, old)
            self._entropy += _entropy(new) - _entropy(old)
            self.q[block] = new

    def _full_posterior(self, x: Float64Array, old: Float64Array) -> Float64Array:
        new, _ = softmax_and_log_sum(self.model.log_joint(x))
        change = new - old
        self._counts += change.sum(axis=0)
        self._sums += change.T @ self._statistics(x)
        self.passes += len(x) / self.n_rows
        return new

    def _sparse_posterior(self, x: Float64Array, old: Float64Array) -> Float64Array:
        """New responsibilities of the components above the threshold, at least two, which share what they had."""
        active = old > self.settings.sparse_threshold
        log_joint = np.full(old.shape, -np.inf)
        log_weights = np.log(self.model.weights)
        for k in np.flatnonzero(active.any(axis=0)):
            here = active[:, k]
            log_joint[here, k] = self.model.components.log_density_of(x[here], int(k)) + log_weights[k]
        share, _ = softmax_and_log_sum(log_joint)
        held = np.where(active, old, 0.0).sum(axis=1, keepdims=True)
        new = np.where(active, share * held, old)
        change = new - old
        self._counts += change.sum(axis=0)
        for k in np.flatnonzero(change.any(axis=0)):
            changed = np.flatnonzero(change[:, k])
            self._sums[k] += change[changed, k] @ self._statistics(x[changed])
        self.passes += float(active.sum()) / (self.n_rows * self.model.n_components)
        return new

    def _free_energy(self) -> float:
        return (self.model.expected_log_joint(self._counts, self._sums) + self._entropy) / self.n_rows

    def _statistics(self, x: Float64Array) -> Float64Array:
        return self.model.components.statistics(x)

    def _blocks(self, rows: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], Float64Array]]:
        """Rows in blocks of bounded size, as float64."""
        size = max(1, min(_BLOCK_ROWS, _MAX_BLOCK_STATISTICS // (self.model.n_features + 1)))
        if self.model.family == "gaussian-full":
            size = max(1, min(size, _MAX_BLOCK_STATISTICS // (self.model.n_features * (self.model.n_features + 1))))
        for start in range(0, len(rows), size):
            block = rows[start : start + size]
            batch = self._rows.batch(block)
            dense = batch.to_dense() if isinstance(batch, BitMatrix) else batch
            yield block, dense.astype(np.float64)


def _units(model: Mixture) -> Units:
    """What values the components take."""
    return BernoulliUnits() if model.family == "bernoulli" else GaussianUnits(model.n_features, learned=False)


def _prior(model: Mixture) -> Float64Array:
    assert model.prior is not None
    return model.prior


def _entropy(q: Float64Array) -> float:
    """``-sum q log q``, with 0 log 0 = 0."""
    return -float((q * np.log(np.where(q > 0, q, 1.0))).sum())
