"""Learning of deep Boltzmann machines: RBMs with doubled weights first, then mean field against persistent chains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import ops
from hintoncore._streams import Stream, derive_seed
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator
from hintoncore.models._parameters import copy_parameters
from hintoncore.models.units import unit_type
from hintoncore.train._saved_state import load_progress, load_velocity, progress, with_velocity
from hintoncore.train.contrastive import CDSettings
from hintoncore.train.data import TrainingRows, evenly_spaced
from hintoncore.train.gradient_update import move_average

if TYPE_CHECKING:
    from hintoncore.models.dbm import DBM

__all__ = ["DoubledRBM", "DoubledRBMLearning", "MeanFieldLearning"]

Float32Array = NDArray[np.float32]

_WEIGHT_STD = 0.01
_MONITORED_ROWS = 1000
_UNITS = unit_type("bernoulli", "visible")


class DoubledRBM:
    """An RBM whose weights act ``up`` times on the hidden and ``down`` times on the visible units.

    With 2 for one of them it is an RBM with two copies of the other layer and one set of weights (Salakhutdinov and
    Hinton 2009, figure 2).
    """

    def __init__(self, n_visible: int, n_hidden: int, *, up: float, down: float, seed: int) -> None:
        self.up, self.down, self.seed = up, down, seed
        weights = Generator(derive_seed(seed, Stream.WEIGHTS)).normal((n_visible, n_hidden))
        self.w: Float32Array = np.ascontiguousarray(weights * np.float32(_WEIGHT_STD))
        self.b_vis: Float32Array = np.zeros(n_visible, dtype=np.float32)
        self.b_hid: Float32Array = np.zeros(n_hidden, dtype=np.float32)

    def parameters(self) -> dict[str, Float32Array]:
        """Return the parameter arrays themselves by name: ``w``, ``b_vis``, ``b_hid``."""
        return {"w": self.w, "b_vis": self.b_vis, "b_hid": self.b_hid}

    def sample_hidden(self, visible: BitMatrix, rng: Generator) -> tuple[BitMatrix, Float32Array]:
        """Sample hidden units; also return their probabilities. Uses one offset."""
        bias = self.b_hid / np.float32(self.up)  # a temperature divides it as well
        sample, probs = ops.gibbs_step(visible, self.w, bias, rng=rng, temperature=1.0 / self.up, return_probs=True)
        return sample, probs

    def sample_visible(self, hidden: BitMatrix, rng: Generator) -> BitMatrix:
        """Sample visible units. Uses one offset."""
        bias = self.b_vis / np.float32(self.down)
        sample: BitMatrix = ops.gibbs_step(hidden, self.w, bias, rng=rng, transpose=True, temperature=1.0 / self.down)
        return sample


class DoubledRBMLearning:
    """Trains a :class:`DoubledRBM` by CD-k; a :class:`hintoncore.train.Task`. Data that are probabilities are sampled.

    Parameters
    ----------
    model : DoubledRBM
        Updated in place.
    x : array in [0, 1], shape [N, V], or BitMatrix
    settings : CDSettings
    """

    def __init__(self, model: DoubledRBM, x: ArrayLike | BitMatrix, settings: CDSettings) -> None:
        self.model = model
        self.settings = settings
        self._rows = TrainingRows(x, len(model.b_vis), units=_UNITS)
        if not model.b_vis.any():
            model.b_vis[:] = _UNITS.bias_for_mean(self._rows.mean, self.n_rows)
        self._rng = Generator(derive_seed(model.seed, Stream.TRAINING))
        self._velocity = {name: np.zeros_like(array) for name, array in model.parameters().items()}

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
        model, rng = self.model, self._rng
        batch = self._rows.batch(rows)
        data = batch if isinstance(batch, BitMatrix) else BitMatrix.from_dense(rng.random(batch.shape) < batch)
        hidden, data_means = model.sample_hidden(data, rng)
        for _ in range(k):
            negative = model.sample_visible(hidden, rng)
            hidden, model_means = model.sample_hidden(negative, rng)
        velocity = self._velocity
        for array in velocity.values():
            array *= np.float32(momentum)
        velocity["w"] -= np.float32(learning_rate * self.settings.weight_decay) * model.w
        error: Any = 0.0
        for states, means, sign in ((data, data_means, 1.0), (negative, model_means, -1.0)):
            rate = sign * learning_rate
            ops.outer_update(states, means, velocity["w"], velocity["b_hid"], rate=rate / states.batch)
            dense = states.to_dense()
            velocity["b_vis"] += np.float32(rate) * dense.mean(axis=0)
            error = np.abs(dense - error)
        for name, parameter in model.parameters().items():
            parameter += velocity[name]
        return {"reconstruction_error": float(np.mean(error))}

    def end_epoch(self) -> None:
        """Nothing to count."""

    def evaluate(self, epoch: float) -> Mapping[str, float]:
        """Return the settings in force."""
        k, learning_rate, momentum = self.settings.at(epoch)
        return {"k": k, "learning_rate": learning_rate, "momentum": momentum}

    def running_estimate(self) -> Mapping[str, float]:
        """Return nothing."""
        return {}

    def describe(self) -> dict[str, Any]:
        """Return what a run must share with a checkpoint to go on from it."""
        model = self.model
        return {
            "task": "contrastive divergence with doubled weights",
            "model": [*model.w.shape, model.up, model.down, model.seed],
            "data": {"shape": list(self._rows.shape), "sha256": self._rows.fingerprint},
            "settings": self.settings.describe(),
        }

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return arrays and counters that, with :meth:`describe`, determine all later steps."""
        return with_velocity(self.model.parameters(), self._velocity), {"offset": self._rng.offset}

    def load_state(self, tensors: Mapping[str, NDArray[Any]], counters: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned."""
        copy_parameters(self.model.parameters(), tensors)
        load_velocity(self._velocity, tensors)
        self._rng.offset = counters["offset"]


class MeanFieldLearning:
    """Trains a deep Boltzmann machine [1]_; a :class:`hintoncore.train.Task`.

    The gradient is that of the variational bound: ``<even odd^T>`` under the mean field of the data minus the same
    under persistent chains, which advance by block Gibbs steps.

    With centring the gradient is that of a machine whose units have their mean activities subtracted ([2]_; [3]_,
    section 4), as :class:`hintoncore.train.Centring` says it for an RBM: layers above do not first have to learn their
    own offset, and the machine needs no pretraining.

    Parameters
    ----------
    model : DBM
        Updated in place.
    x : array in [0, 1], shape [N, V], or BitMatrix
    settings : CDSettings
        Persistent.
    mean_field_steps : int

    References
    ----------
    .. [1] R. Salakhutdinov, G. E. Hinton, "Deep Boltzmann machines", AISTATS 2009, algorithm 1.
    .. [2] G. Montavon, K.-R. Mueller, "Deep Boltzmann machines and the centering trick", in: Neural Networks: Tricks of
           the Trade, LNCS 7700, 2012.
    .. [3] J. Melchior, A. Fischer, L. Wiskott, "How to center deep Boltzmann machines", JMLR 17, 2016.
    """

    tolerance = 1e-3
    """Largest change of a mean at which the mean field of a minibatch counts as converged."""

    def __init__(self, model: DBM, x: ArrayLike | BitMatrix, settings: CDSettings, *, mean_field_steps: int) -> None:
        self.model = model
        self.settings = settings
        self.mean_field_steps = mean_field_steps
        self._rows = TrainingRows(x, model.n_visible, units=_UNITS)
        self._session = model.steps_trained  # a second fit gets an order and draws of its own
        if model.steps_trained == 0 and not model.biases(0).any():
            model.biases(0)[...] = _UNITS.bias_for_mean(self._rows.mean, self.n_rows)
        self._rng = Generator(derive_seed(model.seed, Stream.TRAINING, self._session))
        self._velocity = {name: np.zeros_like(array) for name, array in model.parameters().items()}
        chains_rng = Generator(derive_seed(model.seed, Stream.CHAINS, self._session))
        self._chains = model.initial_chains(settings.n_chains, chains_rng)
        self._mask = model.connections()
        self._offsets: tuple[Float32Array, Float32Array] | None = None
        if settings.centring is not None:
            data = self._rows.batch(evenly_spaced(self.n_rows, _MONITORED_ROWS))
            visible = data.to_dense() if isinstance(data, BitMatrix) else data
            even, odd = model.mean_field_block(visible, mean_field_steps, self.tolerance)
            self._offsets = np.concatenate([visible, even], axis=1).mean(axis=0), odd.mean(axis=0)

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
        model, velocity, n = self.model, self._velocity, self.model.n_visible
        batch = self._rows.batch(rows)
        visible = batch.to_dense() if isinstance(batch, BitMatrix) else batch
        even, odd = model.mean_field_block(visible, self.mean_field_steps, self.tolerance)
        for _ in range(k):
            states = ops.gibbs_step(self._chains, model.w, model.b_odd, rng=self._rng)
            self._chains = ops.gibbs_step(states, model.w, model.b_even, rng=self._rng, transpose=True)
        _, model_odd = ops.gibbs_step(self._chains, model.w, model.b_odd, rng=self._rng, return_probs=True)

        for array in velocity.values():
            array *= np.float32(momentum)
        velocity["w"] -= np.float32(learning_rate * self.settings.weight_decay) * model.w
        rate = learning_rate / len(visible)
        ops.outer_update(batch, odd, velocity["w"][:n], velocity["b_odd"], rate=rate)
        ops.outer_update(even, odd, velocity["w"][n:], rate=rate)
        rate = -learning_rate / len(model_odd)
        ops.outer_update(self._chains, model_odd, velocity["w"], velocity["b_odd"], rate=rate)
        data_even = np.concatenate([visible.mean(axis=0), even.mean(axis=0)])
        model_even = self._chains.to_dense().mean(axis=0)
        velocity["b_even"] += np.float32(learning_rate) * (data_even - model_even)
        if self._offsets is not None:
            data, chains = (data_even, odd.mean(axis=0)), (model_even, model_odd.mean(axis=0))
            self._centre(data, chains, learning_rate)
        if self._mask is not None:
            velocity["w"] *= self._mask
        for name, parameter in model.parameters().items():
            parameter += velocity[name]
        if self._offsets is not None:  # so that the centred machine's own biases move by their velocities
            mu, lam = self._offsets
            model.b_even -= velocity["w"] @ lam
            model.b_odd -= mu @ velocity["w"]
        model.steps_trained += 1
        down = ops.linear(odd, np.ascontiguousarray(model.w[:n].T), model.biases(0), activation="sigmoid")
        return {"reconstruction_error": float(np.mean(np.square(visible - down)))}

    def end_epoch(self) -> None:
        """Count a finished epoch."""
        self.model.epochs_trained += 1

    def evaluate(self, epoch: float) -> Mapping[str, float]:
        """Return the settings in force."""
        k, learning_rate, momentum = self.settings.at(epoch)
        return {"k": k, "learning_rate": learning_rate, "momentum": momentum}

    def running_estimate(self) -> Mapping[str, float]:
        """Return nothing: a bound on the likelihood costs too much."""
        return {}

    def describe(self) -> dict[str, Any]:
        """Return what a run must share with a checkpoint to go on from it."""
        return {
            "task": "mean field against persistent chains",
            "model": repr(self.model),
            "data": {"shape": list(self._rows.shape), "sha256": self._rows.fingerprint},
            "settings": self.settings.describe(),
            "mean_field_steps": self.mean_field_steps,
        }

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return arrays and counters that, with :meth:`describe`, determine all later steps."""
        counters = {
            **progress(self.model, self._session, self._rng),
            "layers_pretrained": self.model.layers_pretrained,
        }
        tensors = {**with_velocity(self.model.parameters(), self._velocity), "chains": self._chains.words}
        if self._offsets is not None:
            tensors.update({"offsets.even": self._offsets[0], "offsets.odd": self._offsets[1]})
        return tensors, counters

    def load_state(self, tensors: Mapping[str, NDArray[Any]], counters: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned.

        Raises
        ------
        KeyError, ValueError
            If something is missing or has another shape.
        """
        copy_parameters(self.model.parameters(), tensors)
        load_velocity(self._velocity, tensors)
        self._chains = BitMatrix(tensors["chains"], self._chains.batch)
        if self._offsets is not None:
            self._offsets = tensors["offsets.even"].copy(), tensors["offsets.odd"].copy()
        self._session, self._rng = load_progress(self.model, counters)
        self.model.layers_pretrained = counters["layers_pretrained"]

    def _centre(
        self, data: tuple[Float32Array, Float32Array], chains: tuple[Float32Array, Float32Array], rate: float
    ) -> None:
        """Move the offsets to the means of even and odd units, then make the weights' gradient the centred one."""
        assert self.settings.centring is not None
        assert self._offsets is not None
        for average, given, free in zip(self._offsets, data, chains, strict=True):
            enhanced = self.settings.centring.offsets == "enhanced"
            mean = np.float32(0.5) * (given + free) if enhanced else given
            move_average(average, self.settings.centring.rate, mean)
        mu, lam = self._offsets
        (even, odd), (free_even, free_odd) = data, chains
        left, right = np.stack([even - free_even, mu]), np.stack([lam, odd - free_odd])
        ops.outer_update(left, right, self._velocity["w"], rate=-rate)
