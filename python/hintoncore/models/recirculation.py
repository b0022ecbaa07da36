"""Recirculation: an autoencoder that learns by making its own loop change nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import ops
from hintoncore._counts import as_count
from hintoncore._streams import Stream, derive_seed
from hintoncore._validate import as_int
from hintoncore.generator import Generator
from hintoncore.models._files import ModelFile, SavedModel
from hintoncore.models._parameters import copy_parameters
from hintoncore.models._rows import dense_blocks
from hintoncore.models.units import BernoulliUnits

if TYPE_CHECKING:
    from hintoncore.train import Callback, Schedule

__all__ = ["Recirculation"]

Float32Array = NDArray[np.float32]

_BLOCK_ROWS = 1024
_UNITS = BernoulliUnits()


class _Loop(NamedTuple):
    """Activities of the four moments of one pass around the loop."""

    v0: Float32Array
    h1: Float32Array
    v2: Float32Array
    h3: Float32Array


class Recirculation(SavedModel):
    """Two groups of logistic units with weights of their own in each direction (Hinton and McClelland 1988).

    The data are put on the visible units at time 0 and go around the loop, with regression ``r``::

        h1 = sigmoid(v0 w_up + b_hid)
        v2 = r v0 + (1 - r) sigmoid(h1 w_down + b_vis)
        h3 = r h1 + (1 - r) sigmoid(v2 w_up + b_hid)

    Each connection then moves so that the later activity would have been the earlier one::

        w_down += rate * h1^T (v0 - v2),    w_up += rate * v2^T (h1 - h3)

    Both factors are there at the synapse: presynaptic activity times the fall of postsynaptic activity. It is
    spike-timing-dependent plasticity with the sign turned. No error is propagated, yet where the downward weights have
    come to be the transpose of the upward ones the update of ``w_up`` follows the gradient of the reconstruction error.

    Parameters
    ----------
    n_visible, n_hidden : int >= 1
    seed : int in [0, 2**64)
    scale : float > 0
        Initial weights are uniform in [-scale, scale]; biases are 0.

    Attributes
    ----------
    w_up : array of float32, shape [V, H]
    w_down : array of float32, shape [H, V]
    b_vis : array of float32, shape [V]
    b_hid : array of float32, shape [H]
    epochs_trained, steps_trained : int

    Raises
    ------
    ValueError, TypeError
        If a size is below 1, the seed is out of range or the scale is not positive.

    References
    ----------
    .. [1] G. E. Hinton and J. L. McClelland, "Learning representations by recirculation", Neural Information Processing
           Systems, 1988.
    """

    _file = ModelFile("recirculation", "recirculation network", ("n_visible", "n_hidden", "seed"))

    def __init__(self, n_visible: int, n_hidden: int, seed: int = 0, *, scale: float = 1.0) -> None:
        self.n_visible = as_count(n_visible, "n_visible")
        self.n_hidden = as_count(n_hidden, "n_hidden")
        self.seed = as_int(seed, "seed", 0, 2**64 - 1)
        if not (np.isfinite(scale) and scale > 0):
            raise ValueError(f"scale: expected a number > 0, given {scale}")
        rng = Generator(derive_seed(self.seed, Stream.WEIGHTS))
        self.w_up = _uniform(rng, (self.n_visible, self.n_hidden), scale)
        self.w_down = _uniform(rng, (self.n_hidden, self.n_visible), scale)
        self.b_vis: Float32Array = np.zeros(self.n_visible, dtype=np.float32)
        self.b_hid: Float32Array = np.zeros(self.n_hidden, dtype=np.float32)
        self.epochs_trained = 0
        self.steps_trained = 0

    def __repr__(self) -> str:
        """Sizes and seed, as the constructor takes them."""
        return f"Recirculation({self.n_visible}, {self.n_hidden}, seed={self.seed})"

    def fit(
        self,
        X: ArrayLike,
        epochs: int,
        *,
        batch_size: int = 100,
        learning_rate: float | Schedule = 1.0,
        regression: float = 0.75,
        callbacks: Sequence[Callback] = (),
        resume: str | os.PathLike[str] | None = None,
    ) -> Recirculation:
        """Train by recirculation.

        Parameters
        ----------
        X : array in [0, 1], shape [N, V]
        epochs : int >= 0
            Passes over the data; a resumed run counts those already done.
        batch_size : int >= 1
            Rows whose updates are averaged.
        learning_rate : float or Schedule
        regression : float in [0, 1)
            How much of its activity a group keeps when the loop comes back to it.
        callbacks : sequence of Callback
        resume : path, optional
            Checkpoint of the same run to go on from.

        Returns
        -------
        Recirculation
            This model.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range, the data do not fit, or the checkpoint belongs to another run.
        """
        from hintoncore.train.recirculation import RecirculationLearning
        from hintoncore.train.trainer import Trainer

        task = RecirculationLearning(self, X, learning_rate=learning_rate, regression=regression)
        trainer = Trainer(task, batch_size=as_count(batch_size, "batch_size"), callbacks=callbacks)
        if resume is not None:
            trainer.load_checkpoint(resume)
        trainer.run(as_count(epochs, "epochs", low=0))
        return self

    def transform(self, X: ArrayLike) -> Float32Array:
        """Hidden activities ``h1``, shape [N, H], of rows of shape [N, V]."""
        return np.concatenate([self._up(block) for block in self._blocks(X)])

    def reconstruct(self, X: ArrayLike) -> Float32Array:
        """What the loop brings back without regression: ``sigmoid(h1 w_down + b_vis)``, shape [N, V]."""
        return np.concatenate([self._down(self._up(block)) for block in self._blocks(X)])

    def reconstruction_error(self, X: ArrayLike) -> float:
        """Mean over rows of the squared error summed over the visible units."""
        total, rows = 0.0, 0
        for block in self._blocks(X):
            total += float(np.square(self._down(self._up(block)) - block, dtype=np.float64).sum())
            rows += len(block)
        return total / rows

    def update_direction(self, X: ArrayLike, regression: float = 0.75) -> dict[str, Float32Array]:
        """The update that recirculation makes for these rows at learning rate 1, by parameter name.

        Parameters
        ----------
        X : array in [0, 1], shape [N, V]
        regression : float in [0, 1)

        Raises
        ------
        ValueError, TypeError
            If ``X`` does not fit or ``regression`` is out of range.
        """
        regression = as_regression(regression)
        rows = np.concatenate(list(self._blocks(X)))
        v0, h1, v2, h3 = self._loop(rows, np.float32(regression))
        fall_vis, fall_hid = (v0 - v2) / np.float32(len(rows)), (h1 - h3) / np.float32(len(rows))
        return {
            "w_up": ops.matmul(v2, fall_hid, trans_a=True),
            "w_down": ops.matmul(h1, fall_vis, trans_a=True),
            "b_vis": fall_vis.sum(axis=0),
            "b_hid": fall_hid.sum(axis=0),
        }

    def descent_direction(self, X: ArrayLike) -> dict[str, Float32Array]:
        """What backpropagation would do instead: minus the gradient of half the mean squared error, by parameter name.

        Parameters
        ----------
        X : array in [0, 1], shape [N, V]
        """
        rows = np.concatenate(list(self._blocks(X)))
        hidden = self._up(rows)
        output = self._down(hidden)
        error = (rows - output) / np.float32(len(rows))
        d_hidden, w_down, b_vis = ops.linear_backward(hidden, self.w_down, output, error, activation="sigmoid")
        _, w_up, b_hid = ops.linear_backward(rows, self.w_up, hidden, d_hidden, activation="sigmoid")
        return {"w_up": w_up, "w_down": w_down, "b_vis": b_vis, "b_hid": b_hid}

    def parameters(self) -> dict[str, Float32Array]:
        """Return the parameter arrays themselves by name."""
        return {"w_up": self.w_up, "w_down": self.w_down, "b_vis": self.b_vis, "b_hid": self.b_hid}

    def set_parameters(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Copy parameters in; raises KeyError or ValueError if one is missing or does not fit."""
        copy_parameters(self.parameters(), tensors)

    def _blocks(self, X: ArrayLike) -> Any:
        return dense_blocks(X, self.n_visible, _BLOCK_ROWS, units=_UNITS)

    def _up(self, visible: Float32Array) -> Float32Array:
        return np.asarray(ops.linear(visible, self.w_up, self.b_hid, activation="sigmoid"))

    def _down(self, hidden: Float32Array) -> Float32Array:
        return np.asarray(ops.linear(hidden, self.w_down, self.b_vis, activation="sigmoid"))

    def _loop(self, v0: Float32Array, regression: np.float32) -> _Loop:
        h1 = self._up(v0)
        v2 = regression * v0 + (np.float32(1) - regression) * self._down(h1)
        h3 = regression * h1 + (np.float32(1) - regression) * self._up(v2)
        return _Loop(v0, h1, v2, h3)


def as_regression(value: float) -> float:
    """Check the share of its activity that a group keeps."""
    if not 0 <= value < 1:
        raise ValueError(f"regression: expected 0 <= regression < 1, given {value}")
    return float(value)


def _uniform(rng: Generator, shape: tuple[int, int], scale: float) -> Float32Array:
    draws = np.asarray(rng.random(shape), dtype=np.float32)
    return np.ascontiguousarray((2 * draws - 1) * np.float32(scale))
