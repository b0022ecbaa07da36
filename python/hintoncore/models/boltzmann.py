"""The Boltzmann machine of Ackley, Hinton and Sejnowski."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import ops
from hintoncore._counts import as_count
from hintoncore._streams import Stream, derive_seed
from hintoncore._validate import Array, as_int, as_numpy, given
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator, RngLike, as_generator
from hintoncore.models._files import ModelFile, SavedModel
from hintoncore.models._parameters import copy_parameters
from hintoncore.models._rows import as_rows
from hintoncore.samplers._machines import dense_energies, random_state

if TYPE_CHECKING:
    from hintoncore.train.callbacks import Callback
    from hintoncore.train.schedules import Schedule

__all__ = ["MAX_ENUMERATED_UNITS", "BoltzmannMachine"]

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]

MAX_ENUMERATED_UNITS = 24
"""Largest machine whose states are enumerated one by one."""

_ENUMERATED_TOGETHER = 14  # units: 16384 states at a time


class BoltzmannMachine(SavedModel):
    """Boltzmann machine with symmetric connections between any two units, visible or hidden, but none to itself.

    The energy of a joint state s, visible units first, is ``E(s) = -1/2 s^T w s - b^T s`` with s in {0, 1}, and
    ``p(s) = exp(-E(s) / T) / Z`` (Ackley, Hinton and Sejnowski 1985, eq. 1 and 5; their thresholds are ``-b``). It is a
    :class:`hintoncore.samplers.Machine`: parallel tempering and simulated annealing take it as it is.

    Parameters
    ----------
    n_visible : int >= 1
    n_hidden : int >= 0
    connections : bool array, shape (N, N), optional
        Symmetric, N = n_visible + n_hidden: which pairs are connected. All pairs when left out.
    seed : int in [0, 2**64)
        Of learning and of :meth:`sample`. The weights start at zero, as in the paper.

    Attributes
    ----------
    w : array of float32, shape (N, N)
        Symmetric; zero on the diagonal and where there is no connection.
    b : array of float32, shape (N,)
        Biases.
    connections : bool array, shape (N, N)
    epochs_trained, steps_trained : int
        Passes over the environment and learning cycles so far.

    Raises
    ------
    ValueError, TypeError
        If a size or the seed is out of range, or ``connections`` is not a symmetric bool array.

    References
    ----------
    D. H. Ackley, G. E. Hinton, T. J. Sejnowski, "A learning algorithm for Boltzmann machines", Cognitive Science 9,
    1985; G. E. Hinton, T. J. Sejnowski, "Learning and relearning in Boltzmann machines", in Parallel Distributed
    Processing 1, 1986.

    Examples
    --------
    >>> import numpy as np
    >>> from hintoncore.models import BoltzmannMachine
    >>> xor = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]])
    >>> machine = BoltzmannMachine(3, 1, seed=1).fit(xor, epochs=5)
    >>> machine.visible_probabilities(temperature=10).shape
    (8,)
    """

    _file = ModelFile(
        "boltzmann-machine", "Boltzmann machine", ("n_visible", "n_hidden", "seed"), arrays=("connections",)
    )

    def __init__(self, n_visible: int, n_hidden: int, *, connections: ArrayLike | None = None, seed: int = 0) -> None:
        self.n_visible = as_count(n_visible, "n_visible")
        self.n_hidden = as_count(n_hidden, "n_hidden", low=0)
        self.seed = as_int(seed, "seed", 0, 2**64 - 1)
        self.connections = _connections(connections, self.n_units)
        self.w: Float32Array = np.zeros((self.n_units, self.n_units), dtype=np.float32)
        self.b: Float32Array = np.zeros(self.n_units, dtype=np.float32)
        self.epochs_trained = 0
        self.steps_trained = 0
        self._sampling_rng = Generator(derive_seed(self.seed, Stream.SAMPLING))

    def __repr__(self) -> str:
        """Sizes, connections and seed."""
        pairs = int(self.connections.sum()) // 2
        return f"BoltzmannMachine({self.n_visible}, {self.n_hidden}, connections={pairs} pairs, seed={self.seed})"

    @property
    def n_units(self) -> int:
        """Visible and hidden units together."""
        return self.n_visible + self.n_hidden

    @property
    def layered(self) -> bool:
        """No two hidden units are connected: given the visible units they are independent."""
        return not bool(self.connections[self.n_visible :, self.n_visible :].any())

    def fit(
        self,
        X: ArrayLike | BitMatrix,
        epochs: int = 100,
        *,
        rule: str = "signed",
        learning_rate: float | Schedule | None = None,
        momentum: float | Schedule = 0.0,
        weight_decay: float = 0.0,
        batch_size: int | None = None,
        repeats: int = 2,
        anneal: ArrayLike | str = "2@20, 2@15, 2@12, 4@10",
        collect: int = 10,
        noise: tuple[float, float] = (0.15, 0.05),
        inputs: ArrayLike | None = None,
        order: str = "asynchronous",
        callbacks: Sequence[Callback] = (),
        resume: str | os.PathLike[str] | None = None,
    ) -> BoltzmannMachine:
        """Learn by the rule of 1985: what is on together while awake, less what is on together while asleep.

        A learning cycle clamps each row of a minibatch ``repeats`` times with noise, lets the hidden units settle by
        annealing, and counts pairs of units that are on together for ``collect`` units of time at the last
        temperature (wake); then does the same as many times with nothing clamped (sleep); then changes every weight.
        The defaults are those of the paper's encoders.

        Parameters
        ----------
        X : array of 0 and 1, shape (R, n_visible), or BitMatrix
            The environment.
        epochs : int >= 0
            Passes over it; with the default ``batch_size``, learning cycles. A resumed run counts those already done.
        rule : {"signed", "gradient"}
            ``learning_rate * (sign(p+ - p-) - weight_decay * w)``, the paper's fixed weight step, or
            ``learning_rate * (p+ - p- - weight_decay * w)`` (eq. 9) with momentum.
        learning_rate : float or Schedule, optional
            When left out 2 for "signed", the paper's weight step, and 10 for "gradient".
        momentum : float or Schedule
            Of "gradient"; 0 for "signed".
        weight_decay : float >= 0
            Of weights and biases alike, for these are weights to a unit that is always on. Without it signed steps can
            drive weights between units that are hardly ever on together far away: their ``p+`` is zero in most
            cycles, and the sign does not see how large it is in the others.
        batch_size : int >= 1, optional
            Rows of a learning cycle; all when left out.
        repeats : int >= 1
            Annealings of each row in each phase.
        anneal : array of temperatures, or str
            One a unit of time, see :func:`hintoncore.samplers.annealing_schedule`.
        collect : int >= 1
            Units of time that are counted.
        noise : (float, float)
            Probabilities that a clamped on unit is off and that a clamped off unit is on: without noise weights grow
            without bounds (section 3.2).
        inputs : bool array, shape (n_visible,), optional
            Visible units that stay clamped while asleep: the machine learns the others given these (end of
            section 3).
        order : {"asynchronous", "sequential", "random"}
            Of updates, see :func:`hintoncore.ops.dense_gibbs`.
        callbacks : sequence of Callback
        resume : path, optional
            Checkpoint of the same run to go on from.

        Returns
        -------
        BoltzmannMachine
            This machine.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range, the rows do not fit, or the checkpoint belongs to another run.
        FloatingPointError
            If weights overflow.
        """
        from hintoncore.train.boltzmann import BoltzmannLearning, BoltzmannSettings
        from hintoncore.train.trainer import Trainer

        settings = BoltzmannSettings.create(
            rule=rule,
            learning_rate=learning_rate,
            momentum=momentum,
            weight_decay=weight_decay,
            repeats=repeats,
            anneal=anneal,
            collect=collect,
            noise=noise,
            order=order,
        )
        task = BoltzmannLearning(self, X, settings, inputs=inputs)
        trainer = Trainer(task, batch_size=task.n_rows if batch_size is None else batch_size, callbacks=callbacks)
        if resume is not None:
            trainer.load_checkpoint(resume)
        trainer.run(as_count(epochs, "epochs", low=0))
        return self

    def anneal(
        self,
        visible: ArrayLike | BitMatrix,
        temperatures: ArrayLike,
        *,
        clamp: ArrayLike | None = None,
        rng: RngLike | None = None,
        order: str = "asynchronous",
    ) -> Float32Array:
        """Settle: free units start at random and are sampled at falling temperatures.

        Parameters
        ----------
        visible : array of 0 and 1, shape (B, n_visible), or BitMatrix
            States of the clamped units; those of the others are not used.
        temperatures : array, shape (S,)
            One a unit of time, such as ``annealing_schedule("2@20, 2@15, 2@12, 4@10")``.
        clamp : bool array, shape (n_visible,), optional
            Visible units that keep their state; all when left out.
        rng : Generator or int, optional
            The machine's own when left out. Uses one offset for the start, then those of
            :func:`hintoncore.ops.dense_gibbs`.
        order : str
            See :func:`hintoncore.ops.dense_gibbs`.

        Returns
        -------
        array of float32 (0 or 1), shape (B, N)
            Joint states, visible units first.

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit.
        """
        rows = as_rows(visible, self.n_visible, "visible")
        dense = rows.to_dense() if isinstance(rows, BitMatrix) else np.asarray(rows, dtype=np.float32)
        generator = self._sampling_rng if rng is None else as_generator(rng)
        fixed = self.clamped(np.ones(self.n_visible, dtype=bool) if clamp is None else clamp)
        state = random_state(self, len(dense), generator).to_dense()
        state[:, : self.n_visible][:, fixed[: self.n_visible]] = dense[:, fixed[: self.n_visible]]
        schedule = np.asarray(temperatures, dtype=np.float32)
        settled: Float32Array = ops.dense_gibbs(
            state, self.w, self.b, rng=generator, sweeps=len(schedule), temperature=schedule, clamp=fixed, order=order
        )
        return settled

    def sample(
        self,
        n: int,
        temperatures: ArrayLike,
        *,
        rng: RngLike | None = None,
        order: str = "sequential",
    ) -> Float32Array:
        """Visible states of `n` independent chains from fair bits, one sweep at each of the temperatures.

        Parameters
        ----------
        n : int >= 1
        temperatures : array, shape (S,)
        rng, order
            As in :meth:`anneal`.

        Returns
        -------
        array of float32 (0 or 1), shape (n, n_visible)
        """
        nothing = np.zeros((as_count(n, "n"), self.n_visible), dtype=np.float32)
        free = np.zeros(self.n_visible, dtype=bool)
        return self.anneal(nothing, temperatures, clamp=free, rng=rng, order=order)[:, : self.n_visible]

    def clamped(self, visible: ArrayLike) -> NDArray[np.bool_]:
        """The mask over all units that clamps these visible ones: a bool array, shape (n_visible,)."""
        mask = np.asarray(visible)
        if mask.dtype != np.bool_ or mask.shape != (self.n_visible,):
            raise ValueError(f"clamp: expected bool, shape ({self.n_visible},), got {given(mask)}")
        return np.concatenate([mask, np.zeros(self.n_hidden, dtype=bool)])

    def energy(self, state: BitMatrix) -> Float64Array:
        """Energies of joint states (B, N), shape (B,)."""
        return dense_energies(state.to_dense(np.float64), self.w, self.b)

    def sweep(self, state: BitMatrix, rng: Generator, temperature: float, sweeps: int = 1) -> BitMatrix:
        """States after sequential sweeps, which leave ``exp(-E / temperature)`` invariant; `state` is not changed."""
        swept: BitMatrix = ops.dense_gibbs(state, self.w, self.b, rng=rng, sweeps=sweeps, temperature=temperature)
        return swept

    def log_z(self, temperature: float = 1.0) -> float:
        """Log of the sum over all joint states of ``exp(-E / temperature)``, by enumeration in float64.

        Raises
        ------
        ValueError
            With more than :data:`MAX_ENUMERATED_UNITS` units.
        """
        return float(np.logaddexp.reduce([_log_sum_exp(-e / temperature) for _, e in self._enumerate()]))

    def visible_probabilities(self, temperature: float = 1.0) -> Float64Array:
        """Exact probabilities of all visible states, hidden ones summed out.

        Returns
        -------
        array of float64, shape (2**n_visible,)
            Of state number ``sum_i v_i 2^i``.

        Raises
        ------
        ValueError
            With more than :data:`MAX_ENUMERATED_UNITS` units.
        """
        sums = np.full(2**self.n_visible, -np.inf)
        for numbers, energies in self._enumerate():
            np.logaddexp.at(sums, numbers % 2**self.n_visible, -energies / temperature)
        return np.asarray(np.exp(sums - _log_sum_exp(sums)))

    def hidden_probabilities(self, visible: ArrayLike | BitMatrix, temperature: float = 1.0) -> Float64Array:
        """``p(h_j = 1 | v)`` of a machine without connections between hidden units.

        Parameters
        ----------
        visible : array of 0 and 1, shape (B, n_visible), or BitMatrix
        temperature : float > 0

        Returns
        -------
        array of float64, shape (B, n_hidden)

        Raises
        ------
        ValueError
            If hidden units are connected: their probabilities are no product then.
        """
        return np.asarray(np.exp(-np.logaddexp(0.0, -self._hidden_inputs(visible) / temperature)))

    def free_energy(self, visible: ArrayLike | BitMatrix, temperature: float = 1.0) -> Float64Array:
        """``-T log sum_h exp(-E(v, h) / T)`` of a machine without connections between hidden units.

        Parameters
        ----------
        visible : array of 0 and 1, shape (B, n_visible), or BitMatrix
        temperature : float > 0

        Returns
        -------
        array of float64, shape (B,)

        Raises
        ------
        ValueError
            If hidden units are connected.
        """
        v = self._visible(visible)
        n = self.n_visible
        inputs = self._hidden_inputs(visible) / temperature
        energies = dense_energies(v, self.w[:n, :n], self.b[:n])
        return np.asarray(energies - temperature * np.logaddexp(0.0, inputs).sum(axis=1))

    def parameters(self) -> dict[str, Float32Array]:
        """Return the parameter arrays themselves by name: ``w``, ``b``."""
        return {"w": self.w, "b": self.b}

    def set_parameters(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Copy parameters in.

        Raises
        ------
        KeyError
            If one is missing.
        ValueError
            If one has another shape or dtype or is not finite, or ``w`` is not symmetric or has weights where there is
            no connection.
        """
        w = tensors["w"]
        if w.shape == self.w.shape and (not np.array_equal(w, w.T) or w[~self.connections].any()):
            raise ValueError("w: expected a symmetric matrix, zero where there is no connection")
        copy_parameters(self.parameters(), tensors)

    def _visible(self, visible: ArrayLike | BitMatrix) -> Float64Array:
        rows = as_rows(visible, self.n_visible, "visible")
        return rows.to_dense(np.float64) if isinstance(rows, BitMatrix) else np.asarray(rows, dtype=np.float64)

    def _hidden_inputs(self, visible: ArrayLike | BitMatrix) -> Float64Array:
        if not self.layered:
            raise ValueError("connections: expected none between hidden units")
        n = self.n_visible
        return np.asarray(self._visible(visible) @ self.w[:n, n:].astype(np.float64) + self.b[n:])

    def _enumerate(self) -> Iterator[tuple[NDArray[np.int64], Float64Array]]:
        """Blocks of states: their numbers ``sum_i s_i 2^i`` and energies."""
        n = self.n_units
        if n > MAX_ENUMERATED_UNITS:
            raise ValueError(f"n_units: expected at most {MAX_ENUMERATED_UNITS} to enumerate, given {n}")
        size = 2 ** min(n, _ENUMERATED_TOGETHER)
        for first in range(0, 2**n, size):
            numbers = np.arange(first, first + size)
            states = ((numbers[:, None] >> np.arange(n)) & 1).astype(np.float64)
            yield numbers, dense_energies(states, self.w, self.b)


def _connections(connections: Array | None, n: int) -> NDArray[np.bool_]:
    if connections is None:
        return ~np.eye(n, dtype=bool)
    mask = as_numpy(connections, "connections")
    if mask.dtype != np.bool_ or mask.shape != (n, n):
        raise ValueError(f"connections: expected bool, shape ({n}, {n}), got {given(mask)}")
    if not np.array_equal(mask, mask.T):
        raise ValueError("connections: expected a symmetric array")
    if mask.diagonal().any():
        raise ValueError("connections: expected none from a unit to itself")
    return mask.copy()


def _log_sum_exp(x: Float64Array) -> float:
    return float(np.logaddexp.reduce(x))
