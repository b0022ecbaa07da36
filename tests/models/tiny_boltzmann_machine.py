"""A deep Boltzmann machine small enough to enumerate, and its exact joint distribution."""

from __future__ import annotations

import itertools

import numpy as np

from hintoncore import reference as ref
from hintoncore.models import DBM


def random_machine(sizes: tuple[int, ...], *, seed: int = 3, scale: float = 0.8) -> DBM:
    """A machine with random parameters."""
    machine = DBM(sizes)
    rng = np.random.default_rng(seed)
    for number in range(len(sizes) - 1):
        machine.weights(number)[...] = rng.normal(0, scale, sizes[number : number + 2])
    for number, size in enumerate(sizes):
        machine.biases(number)[...] = rng.normal(0, scale / 2, size)
    return machine


def layer_states(machine: DBM) -> list[np.ndarray]:
    """All states of the machine, a row each, layer by layer; the visible layer's low bits change fastest."""
    states = ref.all_states(sum(machine.sizes))
    return np.split(states, np.cumsum(machine.sizes)[:-1], axis=1)


def log_weights(machine: DBM) -> np.ndarray:
    """``-E`` of all states, from the layers' own weights and biases."""
    layers = layer_states(machine)
    total = sum(layer @ machine.biases(number).astype(float) for number, layer in enumerate(layers))
    for number, (below, above) in enumerate(itertools.pairwise(layers)):
        total = total + np.einsum("na,ab,nb->n", below, machine.weights(number).astype(float), above)
    return np.asarray(total)


def log_z(machine: DBM) -> float:
    """Exact log partition function."""
    return float(np.logaddexp.reduce(log_weights(machine)))


def visible_log_probabilities(machine: DBM) -> np.ndarray:
    """Exact log p(v) of all visible states."""
    by_visible = log_weights(machine).reshape(-1, 2**machine.n_visible)
    return np.asarray(np.logaddexp.reduce(by_visible, axis=0) - log_z(machine))
