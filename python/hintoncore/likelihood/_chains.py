"""Chains that are annealed between a base-rate model and an RBM: on packed bits, or with units of any type.

At inverse temperature ``beta`` the unnormalised distribution of visible states is

    f(v) = exp(-(1 - beta) base_energy(v) - beta energy(v, b_vis)) prod_j Z_j(beta x_j(v)),

``x`` the total inputs of the hidden units and ``Z_j`` what a hidden unit sums to: independent units at the base rates
at 0, the RBM at 1 (Salakhutdinov and Murray 2008, eq. 15 and 16, where the units are binary). What belongs to a unit
and not to its input, the variance of Gaussian hidden units and the offsets of stepped sigmoid ones, is the same at all
temperatures; the precision of Gaussian visible units goes over from the base rates' to the model's.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import ops
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator
from hintoncore.models._rows import as_rows, dense_blocks, is_binary
from hintoncore.models.units import UNIT_TYPES, GaussianUnits, SteppedSigmoidUnits, Units

if TYPE_CHECKING:
    from hintoncore.models.rbm import RBM

__all__ = ["AnnealedChains", "PackedChains", "UnitChains", "annealed_chains"]

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
States = TypeVar("States", BitMatrix, Float32Array)

_BLOCK_ROWS = 256


class AnnealedChains(Generic[States]):
    """How the chains of one model start, move and are picked; the states themselves are the caller's."""

    log_z_base: float
    """Exact log partition function of the base-rate model."""

    def start(self, n: int, rng: Generator) -> States:
        """Independent samples of the base-rate model; one offset."""
        raise NotImplementedError

    def of_rows(self, x: ArrayLike | BitMatrix, name: str) -> States:
        """States given by a user, checked, in memory of their own."""
        raise NotImplementedError

    def run(self, states: States, log_weights: Float64Array, betas: Float32Array, rng: Generator) -> None:
        """Anneal in place through ``betas``, adding to the weights; two offsets a step."""
        raise NotImplementedError

    def take(self, states: States, index: NDArray[np.intp]) -> States:
        """The states of some chains."""
        raise NotImplementedError


def annealed_chains(model: RBM, base: ArrayLike | BitMatrix | None) -> AnnealedChains[BitMatrix] | UnitChains:
    """Chains of a model; ``base`` are visible biases of the base-rate model, rows of data, or None: the model's."""
    if model.visible_units.name == model.hidden_units.name == "bernoulli":
        return PackedChains(model, base)
    return UnitChains(model, base)


class PackedChains(AnnealedChains[BitMatrix]):
    """Chains of an RBM with two Bernoulli layers, in the kernel of :func:`hintoncore.ops.anneal`."""

    def __init__(self, model: RBM, base: ArrayLike | BitMatrix | None) -> None:
        self._model = model
        self._biases, _ = _base_rates(model, base)
        biases = self._biases.astype(np.float64)
        self.log_z_base = model.n_hidden * math.log(2.0) + float(np.logaddexp(0.0, biases).sum())

    def start(self, n: int, rng: Generator) -> BitMatrix:
        """See :class:`AnnealedChains`."""
        no_hidden = BitMatrix.zeros((n, self._model.n_hidden))
        states: BitMatrix = ops.gibbs_step(no_hidden, self._model.w, self._biases, rng=rng, transpose=True)
        return states

    def of_rows(self, x: ArrayLike | BitMatrix, name: str) -> BitMatrix:
        """See :class:`AnnealedChains`."""
        rows = as_rows(x, self._model.n_visible, name)
        if isinstance(rows, BitMatrix):
            return rows.copy()
        dense = np.ascontiguousarray(rows, dtype=np.float32)
        if not is_binary(dense):
            raise ValueError(f"{name}: expected values that are 0 or 1")
        return BitMatrix.from_dense(dense)

    def run(self, states: BitMatrix, log_weights: Float64Array, betas: Float32Array, rng: Generator) -> None:
        """See :class:`AnnealedChains`."""
        m = self._model
        ops.anneal(states, log_weights, m.w, m.b_vis, m.b_hid, betas, rng=rng, b_base=self._biases)

    def take(self, states: BitMatrix, index: NDArray[np.intp]) -> BitMatrix:
        """See :class:`AnnealedChains`."""
        by_row = states.transpose()
        return BitMatrix(np.ascontiguousarray(by_row.words[index]), states.shape[1]).transpose()


class UnitChains(AnnealedChains[Float32Array]):
    """Chains of an RBM with layers of any type, on float32 arrays.

    NReLU units are annealed as the stepped sigmoid units that they approximate, whose conditional distribution leaves
    ``f`` invariant.
    """

    def __init__(self, model: RBM, base: ArrayLike | BitMatrix | None) -> None:
        self._model = model
        self._hidden: Units = model.hidden_units
        if isinstance(self._hidden, SteppedSigmoidUnits):
            self._hidden = UNIT_TYPES["stepped-sigmoid"]
            _require_normalisable(model)
        self._biases, variances = _base_rates(model, base)
        self._base: Units = model.visible_units
        if isinstance(model.visible_units, GaussianUnits):
            self._base = GaussianUnits(model.n_visible, learned=True)
            self._base.log_variance[:] = np.log(variances)
        free_hidden = float(self._hidden.log_normaliser(np.zeros(model.n_hidden)).sum())
        free_visible = float(self._base.log_normaliser(self._biases.astype(np.float64)).sum())
        self.log_z_base = free_hidden + free_visible - self._base.bias_energy(self._biases)

    def start(self, n: int, rng: Generator) -> Float32Array:
        """See :class:`AnnealedChains`."""
        return np.asarray(self._base.sample(np.tile(self._biases, (n, 1)), rng), dtype=np.float32)

    def of_rows(self, x: ArrayLike | BitMatrix, name: str) -> Float32Array:
        """See :class:`AnnealedChains`."""
        units = self._model.visible_units
        rows = np.concatenate(list(dense_blocks(x, self._model.n_visible, _BLOCK_ROWS, units=units, name=name)))
        if units.site_states is not None and not units.are_states(rows):
            raise ValueError(f"{name}: expected states of {units.name} units, not means")
        return rows

    def run(self, states: Float32Array, log_weights: Float64Array, betas: Float32Array, rng: Generator) -> None:
        """See :class:`AnnealedChains`."""
        model, hidden = self._model, self._hidden
        constant = model.hidden_units.bias_energy(model.b_hid)
        for before, after in itertools.pairwise(betas.astype(np.float64)):
            inputs = model.hidden_inputs(states)
            exact = inputs.astype(np.float64)
            gain = hidden.log_normaliser(after * exact) - hidden.log_normaliser(before * exact)
            slope = self._base.energy(states, self._biases) - model.visible_units.energy(states, model.b_vis)
            log_weights += gain.sum(axis=1) + (after - before) * (slope - constant)
            h = hidden.sample(inputs * np.float32(after), rng)
            states[...] = self._sample_visible(model.visible_inputs(h), after, rng)

    def take(self, states: Float32Array, index: NDArray[np.intp]) -> Float32Array:
        """See :class:`AnnealedChains`."""
        return states[index]

    def _sample_visible(self, inputs: Float32Array, beta: float, rng: Generator) -> Float32Array:
        units, base = self._model.visible_units, self._base
        if not (isinstance(units, GaussianUnits) and isinstance(base, GaussianUnits)):
            mixed = np.float32(1.0 - beta) * self._biases + np.float32(beta) * inputs
            return np.asarray(units.sample(mixed, rng), dtype=np.float32)
        base_share, share = (1.0 - beta) / base.variance, beta / units.variance
        precision = base_share + share
        mean = ((base_share * self._biases + share * inputs) / precision).astype(np.float32)
        std = (precision**-0.5).astype(np.float32)
        return np.asarray(ops.sample_units(mean, "gaussian", rng=rng, std=std), dtype=np.float32)


def _require_normalisable(model: RBM) -> None:
    """A stack of sigmoids grows as ``x^2 / 2``, which Gaussian visible units outweigh when weights are small."""
    units = model.visible_units
    if not isinstance(units, GaussianUnits):
        return
    norm = float(np.linalg.norm(model.w / np.sqrt(units.variance)[:, None], 2))
    if not norm < 1.0:
        raise ValueError(
            f"model: expected weights / sigma of spectral norm below 1, given {norm:.3g}: the partition function of "
            f"{units.name} and {model.hidden_units.name} layers may be infinite"
        )


def _base_rates(model: RBM, base: ArrayLike | BitMatrix | None) -> tuple[Float32Array, Float64Array]:
    """Visible biases of the base-rate model, and variances, which only Gaussian units have."""
    units = model.visible_units
    variances = units.variance if isinstance(units, GaussianUnits) else np.ones(model.n_visible)
    if base is None:
        return model.b_vis, variances
    if not isinstance(base, BitMatrix) and np.ndim(base) == 1:
        biases = np.asarray(base, dtype=np.float32)
        if biases.shape != (model.n_visible,) or not np.isfinite(biases).all():
            raise ValueError(f"base: expected {model.n_visible} finite biases, given shape {list(biases.shape)}")
        return biases, variances
    total, squares, n_rows = np.zeros(model.n_visible), np.zeros(model.n_visible), 0
    for block in dense_blocks(base, model.n_visible, _BLOCK_ROWS, units=units, name="base"):
        total += block.sum(axis=0, dtype=np.float64)
        squares += ((block - model.b_vis.astype(np.float64)) ** 2).sum(axis=0)
        n_rows += len(block)
    mean = total / n_rows
    found = squares / n_rows - (mean - model.b_vis.astype(np.float64)) ** 2
    return units.bias_for_mean(mean, n_rows).astype(np.float32), np.maximum(found, variances * 1e-2)
