"""Simulated annealing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore._validate import as_float32, as_int
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import RngLike, as_generator
from hintoncore.samplers._machines import Machine, random_state

_STAGE = re.compile(r"\s*(\d+)\s*@\s*([0-9.eE+-]+)\s*")


def annealing_schedule(stages: str | Sequence[tuple[int, float]]) -> NDArray[np.float32]:
    """Temperatures sweep by sweep of a schedule written as in the 1985 paper.

    Parameters
    ----------
    stages : str or sequence of (sweeps, temperature)
        ``"2@20, 2@15, 2@12, 4@10"`` or ``[(2, 20), (2, 15), (2, 12), (4, 10)]``: 2 sweeps at the temperature 20, and so
        on.

    Returns
    -------
    array of float32, shape (sweeps in all,)

    Raises
    ------
    ValueError
        If a stage cannot be read, has no sweep or a temperature that is not finite and above 0.

    References
    ----------
    Ackley, Hinton and Sejnowski (1985), A learning algorithm for Boltzmann machines, section 4.

    Examples
    --------
    >>> from hintoncore.samplers import annealing_schedule
    >>> annealing_schedule("2@20, 3@10").tolist()
    [20.0, 20.0, 10.0, 10.0, 10.0]
    """
    pairs = _parse_stages(stages) if isinstance(stages, str) else list(stages)
    if not pairs:
        raise ValueError("stages: expected at least one")
    for sweeps, temperature in pairs:
        as_int(sweeps, "stages: sweeps", 1, 2**31 - 1)
        if not (np.isfinite(temperature) and temperature > 0):
            raise ValueError(f"stages: expected finite temperatures above 0, given {temperature}")
    return np.repeat([t for _, t in pairs], [n for n, _ in pairs]).astype(np.float32)


def _parse_stages(text: str) -> list[tuple[int, float]]:
    pairs = []
    for part in text.strip().strip("[]").split(","):
        match = _STAGE.fullmatch(part)
        try:
            if match is None:
                raise ValueError
            pairs.append((int(match[1]), float(match[2])))
        except ValueError:
            raise ValueError(f"stages: expected 'SWEEPS@TEMPERATURE, ...', given {text!r}") from None
    return pairs


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
