"""Parallel tempering."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore._validate import as_float32, as_int
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import RngLike, as_generator
from hintoncore.samplers._machines import Machine, random_state

_NOWHERE, _COLD, _HOT = 0, 1, 2  # the end of the ladder that a walker was at last


def swap_probability(
    temperature_a: ArrayLike, temperature_b: ArrayLike, energy_a: ArrayLike, energy_b: ArrayLike
) -> NDArray[np.float64]:
    """Probability to accept that the states at two temperatures change places.

    ``min(1, exp((1/T_a - 1/T_b) (E_a - E_b)))``, E the energy of the joint state. (Free energies at one temperature,
    or the energy of part of the units, break detailed balance.)

    References
    ----------
    Geyer (1991), Markov chain Monte Carlo maximum likelihood, section 3.
    """
    rate = 1.0 / np.asarray(temperature_a, dtype=np.float64) - 1.0 / np.asarray(temperature_b, dtype=np.float64)
    gap = np.asarray(energy_a, dtype=np.float64) - np.asarray(energy_b, dtype=np.float64)
    return np.asarray(np.exp(np.minimum(0.0, rate * gap)))


class ParallelTempering:
    """Parallel tempering (replica exchange) of a Boltzmann machine, C independent ladders of R temperatures at once.

    A round is `sweeps` Gibbs sweeps at every temperature and one attempt to swap neighbours, pairs (0, 1), (2, 3), ...
    in even rounds and (1, 2), (3, 4), ... in odd ones. The states at temperature r keep ``exp(-E / T_r)`` invariant.

    Parameters
    ----------
    machine : Machine
        `RBMMachine`, `UnitMachine`, `GraphMachine`, `DenseMachine`, or anything like them.
    temperatures : array, shape (R,), increasing, above 0
        The first is usually 1.
    chains : int >= 1
        C. A multiple of 64 uses the kernels best.
    rng : Generator or int
        The only source of randomness: states, ladder and its counter resume a run exactly, see `state_dict`.

    Attributes
    ----------
    temperatures : array of float64, shape (R,)
    states : list of R BitMatrix (float32 arrays for a `UnitMachine`), shape (C, n_units)
    energies : array of float64, shape (R, C)
    acceptance : array of float64, shape (R-1,)
        Mean probability to accept a swap of each pair since the last `reset_statistics` (NaN before any attempt).
    round_trips : array of int64, shape (C,)
        Times that a state of the ladder went from the coldest to the hottest temperature and back.

    References
    ----------
    Geyer (1991); Swendsen and Wang (1986), Replica Monte Carlo simulation of spin glasses; Desjardins, Courville and
    Bengio (2010), Adaptive parallel tempering for stochastic maximum likelihood learning of RBMs; Syed,
    Bouchard-Cote, Deligiannidis and Doucet (2022), Non-reversible parallel tempering, section 5 (`adapt`).

    Examples
    --------
    >>> import hintoncore as hc, numpy as np
    >>> w = 0.3 * (np.ones((6, 6)) - np.eye(6))
    >>> machine = hc.samplers.DenseMachine(w, np.zeros(6), spin=True)
    >>> pt = hc.samplers.ParallelTempering(machine, [1.0, 2.0, 4.0], chains=64, rng=1)
    >>> pt.run(rounds=10).shape
    (64, 6)
    """

    def __init__(self, machine: Machine, temperatures: ArrayLike, *, chains: int, rng: RngLike) -> None:
        ladder = np.array(as_float32(np.asarray(temperatures), "temperatures", 1), dtype=np.float64)
        if len(ladder) < 2 or not np.isfinite(ladder).all() or ladder[0] <= 0 or (np.diff(ladder) <= 0).any():
            raise ValueError(f"temperatures: expected 2 or more finite values above 0, increasing, got {ladder}")
        self.machine = machine
        self.temperatures = ladder
        self.rng = as_generator(rng)
        n_chains = as_int(chains, "chains", 1, 2**31 - 1)
        self.states = [random_state(machine, n_chains, self.rng) for _ in ladder]
        self.energies = np.stack([machine.energy(state) for state in self.states])
        self.rounds = 0
        self._last_end = np.full((len(ladder), n_chains), _NOWHERE, dtype=np.int8)
        self.round_trips = np.zeros(n_chains, dtype=np.int64)
        self._mark_ends()
        self.reset_statistics()

    def reset_statistics(self) -> None:
        """Forget acceptance rates; round trips go on."""
        self._accepted = np.zeros(len(self.temperatures) - 1)
        self._attempts = np.zeros(len(self.temperatures) - 1, dtype=np.int64)

    @property
    def acceptance(self) -> NDArray[np.float64]:
        """Mean acceptance probability of each pair of neighbours."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self._accepted / self._attempts)

    def run(self, rounds: int, sweeps: int = 1) -> Any:
        """Rounds of sweeps and swaps; returns the states at the first temperature."""
        rounds, sweeps = as_int(rounds, "rounds", 0, 2**31 - 1), as_int(sweeps, "sweeps", 1, 2**31 - 1)
        for _ in range(rounds):
            for r, temperature in enumerate(self.temperatures):
                self.states[r] = self.machine.sweep(self.states[r], self.rng, float(temperature), sweeps)
                self.energies[r] = self.machine.energy(self.states[r])
            self.swap(self.rounds % 2)
            self.rounds += 1
        return self.states[0]

    def swap(self, first: int) -> None:
        """Attempt to swap the states at temperatures (r, r + 1), r = first, first + 2, ...; one offset."""
        uniform = self.rng.random(self.energies.shape).astype(np.float64)
        for r in range(first, len(self.temperatures) - 1, 2):
            probability = swap_probability(*self.temperatures[r : r + 2], *self.energies[r : r + 2])
            accept = uniform[r] < probability
            self.states[r], self.states[r + 1] = _exchanged(self.states[r], self.states[r + 1], accept)
            for values in (self.energies, self._last_end):
                values[r : r + 2, accept] = values[r : r + 2, accept][::-1]
            self._accepted[r] += probability.mean()
            self._attempts[r] += 1
        self._mark_ends()

    def adapt(self, rounds: int, *, passes: int = 4, sweeps: int = 1) -> NDArray[np.float64]:
        """Move the temperatures between the two ends so that all pairs accept alike; for the burn-in only.

        A pass runs `rounds` rounds, takes the rejection rates as increments of the communication barrier along
        beta = 1/T, and puts the temperatures at equal increments of it (Syed et al. 2022, algorithm 4). Returns the new
        temperatures. Statistics start afresh.
        """
        rounds = as_int(rounds, "rounds", 2, 2**31 - 1)
        for _ in range(as_int(passes, "passes", 1, 1000)):
            self.reset_statistics()
            self.run(rounds, sweeps)
            barrier = np.concatenate([[0.0], np.cumsum(np.maximum(1.0 - self.acceptance, 1e-6))])
            beta = np.interp(np.linspace(0.0, barrier[-1], len(barrier)), barrier, 1.0 / self.temperatures)
            self.temperatures[1:-1] = (1.0 / beta[1:-1]).astype(np.float32)
        self.reset_statistics()
        return self.temperatures

    def state_dict(self) -> dict[str, Any]:
        """Everything a later `load_state_dict` needs to go on as if nothing had happened: arrays and integers."""
        return {
            "seed": self.rng.seed,
            "offset": self.rng.offset,
            "rounds": self.rounds,
            "temperatures": self.temperatures.copy(),
            "words": np.stack([_values(state) for state in self.states]),
            "last_end": self._last_end.copy(),
            "round_trips": self.round_trips.copy(),
            "accepted": self._accepted.copy(),
            "attempts": self._attempts.copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned, of a sampler with the same machine, ladder length and chains."""
        words = np.asarray(state["words"])
        shape = (len(self.states), *_values(self.states[0]).shape)
        if words.shape != shape:
            raise ValueError(f"words: expected shape {shape}, got {words.shape}")
        self.rng = type(self.rng)(int(state["seed"]), int(state["offset"]))
        self.rounds = int(state["rounds"])
        self.temperatures = np.array(state["temperatures"], dtype=np.float64)
        self.states = [_with_values(state, part) for state, part in zip(self.states, words, strict=True)]
        self.energies = np.stack([self.machine.energy(part) for part in self.states])
        self._last_end = np.array(state["last_end"], dtype=np.int8)
        self.round_trips = np.array(state["round_trips"], dtype=np.int64)
        self._accepted = np.array(state["accepted"], dtype=np.float64)
        self._attempts = np.array(state["attempts"], dtype=np.int64)

    def _mark_ends(self) -> None:
        self.round_trips += self._last_end[0] == _HOT
        self._last_end[0] = _COLD
        self._last_end[-1][self._last_end[-1] == _COLD] = _HOT


def _exchanged(a: Any, b: Any, accept: NDArray[np.bool_]) -> tuple[Any, Any]:
    """States of two temperatures after the chains in `accept` changed places."""
    if isinstance(a, BitMatrix):
        mask = BitMatrix.from_dense(accept[:, None].astype(np.float32)).words
        difference = (a.words ^ b.words) & mask
        return BitMatrix(a.words ^ difference, a.batch), BitMatrix(b.words ^ difference, b.batch)
    return np.where(accept[:, None], b, a), np.where(accept[:, None], a, b)


def _values(state: Any) -> NDArray[Any]:
    """What a checkpoint keeps of states: words of bits, or the array itself."""
    return state.words if isinstance(state, BitMatrix) else np.asarray(state)


def _with_values(like: Any, values: NDArray[Any]) -> Any:
    """States of the same kind as `like` that hold what :func:`_values` returned."""
    if isinstance(like, BitMatrix):
        return BitMatrix(np.array(values, dtype=np.uint64), like.batch)
    return np.array(values, dtype=np.float32)
