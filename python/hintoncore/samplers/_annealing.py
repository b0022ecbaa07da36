"""Simulated annealing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore._validate import as_float32, as_int
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import RngLike, as_generator
from hintoncore.samplers._machines import Machine, random_state


@dataclass(frozen=True)
class Annealed:
    """What `simulated_annealing` found.

    Attributes
    ----------
    states : BitMatrix, shape (C, n_units)
        The state of lowest energy that each chain met.
    energies : array of float64, shape (C,)
        Their energies.
    last : BitMatrix, shape (C, n_units)
        The states after the last sweep.
    """

    states: BitMatrix
    energies: NDArray[np.float64]
    last: BitMatrix

    @property
    def best(self) -> NDArray[np.float32]:
        """The state of lowest energy of all, zeros and ones, shape (n_units,)."""
        return np.asarray(self.states.to_dense()[self.energies.argmin()])


def simulated_annealing(
    machine: Machine,
    temperatures: ArrayLike,
    *,
    chains: int = 64,
    rng: RngLike,
    state: BitMatrix | None = None,
    every: int = 1,
) -> Annealed:
    """Gibbs sampling at temperatures that fall, and the best state that each chain met.

    Parameters
    ----------
    machine : Machine
        `RBMMachine`, `GraphMachine` or `DenseMachine`.
    temperatures : array, shape (S,), above 0
        One a sweep, such as ``numpy.geomspace(10, 0.1, 200)``.
    chains : int >= 1
        Independent chains, from fair bits; unused when `state` is given.
    rng : Generator or int
        Uses what the sweeps use, and one offset more for the start when `state` is not given.
    state : BitMatrix, shape (C, n_units), optional
        Where to start.
    every : int >= 1
        Energies are looked at after every so many sweeps, and after the last.

    Raises
    ------
    ValueError, TypeError
        For temperatures that are not above 0, or a state of another width.

    References
    ----------
    Kirkpatrick, Gelatt and Vecchi (1983), Optimization by simulated annealing, Science 220.
    """
    schedule = as_float32(np.asarray(temperatures), "temperatures", 1)
    if not (np.isfinite(schedule).all() and (schedule > 0).all()):
        raise ValueError("temperatures: expected finite values above 0")
    generator, every = as_generator(rng), as_int(every, "every", 1, 2**31 - 1)
    if state is None:
        state = random_state(machine, as_int(chains, "chains", 1, 2**31 - 1), generator)
    elif state.shape[1] != machine.n_units:
        raise ValueError(f"state: expected {machine.n_units} units, got shape {state.shape}")
    current, best, lowest = state, state, machine.energy(state)
    for sweep, temperature in enumerate(schedule, start=1):
        current = machine.sweep(current, generator, float(temperature))
        if sweep % every and sweep < len(schedule):
            continue
        energy = machine.energy(current)
        better = BitMatrix.from_dense((energy < lowest)[:, None].astype(np.float32)).words
        best = BitMatrix((best.words & ~better) | (current.words & better), best.batch)
        lowest = np.minimum(lowest, energy)
    return Annealed(best, lowest, current)
