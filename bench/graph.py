"""Gibbs sweeps of the 2-D Ising model on a torus: many chains of an LxL lattice, each site updated once a sweep.

The lattice is given to `ops.graph_gibbs` as any other graph; the peers know that it is one (a checkerboard of two
sublattices). Every contestant is checked against Onsager's energy of the infinite lattice.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .harness.cases import OURS, Case, Prepared, Request, Setup, Target, within

_SHAPES = ((64, 64), (1024, 64))
_TEMPERATURE = 3.0
_SWEEPS = 20
_BURN_IN = 60


def cases(request: Request) -> list[Case]:
    """One row per chains x side."""
    return [
        Case(
            "graph",
            f"{chains} chains of Ising {side}x{side}",
            {"chains": chains, "side": side},
            threads,
            float(chains * side * side * _SWEEPS),
            "flips/ns",
            (OURS, "numpy", "torch", "thrml", "dwave-samplers") if side % 2 == 0 else (OURS, "dwave-samplers"),
            targets=(Target(("thrml", "dwave-samplers"), 10.0),) if (chains, side) == _SHAPES[0] else (),
        )
        for threads in request.threads
        for chains, side in request.shapes(2, _SHAPES)
    ]


def onsager_energy(temperature: float) -> float:
    """Energy per site of the infinite lattice, Onsager (1944), eq. 116; coupling 1, no field."""
    beta = 1 / temperature
    modulus = 2 * math.sinh(2 * beta) / math.cosh(2 * beta) ** 2
    a, b = 1.0, math.sqrt(1 - modulus**2)
    for _ in range(40):
        a, b = (a + b) / 2, math.sqrt(a * b)
    elliptic = math.pi / (2 * a)
    return -1 / math.tanh(2 * beta) * (1 + 2 / math.pi * (2 * math.tanh(2 * beta) ** 2 - 1) * elliptic)


def torus(side: int) -> tuple[Any, Any]:
    """indptr and indices of the four neighbours of each site."""
    site = np.arange(side * side).reshape(side, side)
    moves = ((1, 0), (-1, 0), (1, 1), (-1, 1))
    neighbours = np.stack([np.roll(site, shift, axis) for shift, axis in moves], axis=-1)
    return np.arange(0, 4 * side * side + 1, 4), neighbours.ravel().astype(np.int32)


def energy_error(spins: Any, side: int) -> float:
    """Distance of the mean energy per site of spins [chains, side*side] from Onsager's, in standard errors (about)."""
    s = np.asarray(spins, dtype=np.float64).reshape(-1, side, side)
    energy = -(s * (np.roll(s, 1, 1) + np.roll(s, 1, 2))).mean(axis=(1, 2))
    return within(abs(energy.mean() - onsager_energy(_TEMPERATURE)) * side * math.sqrt(len(s)) / 2.0, 6.0, "energy")


def ours(setup: Setup) -> Prepared:
    """`hintoncore.ops.graph_gibbs`, checked bit by bit against the reference as well."""
    from hintoncore import BitMatrix, Generator, ops, reference

    chains, side = setup.params["chains"], setup.params["side"]
    indptr, indices = torus(side)
    graph = (indptr, indices, np.ones(len(indices), np.float32), np.zeros(side * side, np.float32))
    start = (np.random.Generator(np.random.SFC64(setup.seed)).random((chains, side * side)) < 0.5).astype(np.float32)
    options: dict[str, Any] = {"temperature": _TEMPERATURE, "spin": True}
    state, rng = BitMatrix.from_dense(start), Generator(setup.seed)

    def check() -> float:
        few = start[:64]
        got = ops.graph_gibbs(few, *graph, rng=Generator(setup.seed), **options)
        want = reference.graph_gibbs(few, *graph, seed=setup.seed, offset=0, **options)
        within(float(np.mean(got != want)), 0.0, "share of differing samples")
        late = ops.graph_gibbs(state, *graph, rng=Generator(setup.seed), sweeps=_BURN_IN, **options)
        return energy_error(2 * late.to_dense() - 1, side)

    return Prepared(lambda: ops.graph_gibbs(state, *graph, rng=rng, sweeps=_SWEEPS, **options), check)


class _Checkerboard:
    """Two sublattices [side, side/2, chains] of +-1, and the chance to be up for each sum of four neighbours."""

    def __init__(self, setup: Setup, library: Any) -> None:
        self.side, self.chains = setup.params["side"], setup.params["chains"]
        rng = np.random.Generator(np.random.SFC64(setup.seed))
        shape = (self.side, self.side // 2, self.chains)
        self.start = [(2 * rng.integers(0, 2, shape) - 1).astype(np.int8) for _ in range(2)]
        self.up = (1 / (1 + np.exp(-2 * np.arange(-4, 5) / _TEMPERATURE))).astype(np.float32)
        self.roll = library.roll

    def neighbours(self, which: int, other: Any) -> Any:
        """Sums over the four neighbours of sublattice `which`, plus 4."""
        total = other + self.roll(other, 1, 0) + self.roll(other, -1, 0) + 4
        for row in (0, 1):
            total[row::2] += self.roll(other[row::2], 1 if row == which else -1, 1)
        return total

    def spins(self, sublattices: list[Any]) -> Any:
        """[chains, side*side]"""
        full = np.empty((self.side, self.side, self.chains))
        for row in (0, 1):
            full[row::2, row::2] = sublattices[0][row::2]
            full[row::2, 1 - row :: 2] = sublattices[1][row::2]
        return full.reshape(-1, self.chains).T


def with_numpy(setup: Setup) -> Prepared:
    """Checkerboard updates of int8 spins by a table of five probabilities, SFC64."""
    board = _Checkerboard(setup, np)
    rng = np.random.Generator(np.random.SFC64(setup.seed))
    lattice = [part.copy() for part in board.start]
    u = np.empty(lattice[0].shape, np.float32)

    def sweeps(count: int) -> Any:
        for _ in range(count):
            for which in (0, 1):
                sums = board.neighbours(which, lattice[1 - which])
                rng.random(out=u, dtype=np.float32)
                np.less(u, board.up[sums], out=lattice[which].view(np.bool_))
                np.multiply(lattice[which], 2, out=lattice[which])
                np.subtract(lattice[which], 1, out=lattice[which])
        return lattice

    return Prepared(lambda: sweeps(_SWEEPS), lambda: energy_error(board.spins(sweeps(_BURN_IN)), board.side))


def with_torch(setup: Setup) -> Prepared:
    """The same in torch."""
    import torch

    board = _Checkerboard(setup, torch)
    lattice = [torch.from_numpy(part.copy()) for part in board.start]
    up = torch.from_numpy(board.up)

    def sweeps(count: int) -> Any:
        for _ in range(count):
            for which in (0, 1):
                sums = board.neighbours(which, lattice[1 - which])
                lattice[which] = (torch.rand(sums.shape) < up[sums.long()]).to(torch.int8).mul_(2).sub_(1)
        return lattice

    return Prepared(
        lambda: sweeps(_SWEEPS), lambda: energy_error(board.spins([x.numpy() for x in sweeps(_BURN_IN)]), board.side)
    )


def with_thrml(setup: Setup) -> Prepared:
    """thrml's block Gibbs program of two blocks."""
    from .harness.thrml_ising import thrml_sweeps

    chains, side = setup.params["chains"], setup.params["side"]
    _, indices = torus(side)
    rows = np.repeat(np.arange(side * side), 4)
    once = rows < indices
    parity = np.indices((side, side)).sum(0).ravel() % 2
    blocks = [np.flatnonzero(parity == which) for which in (0, 1)]
    ones = np.ones(once.sum(), np.float32)
    compiled = thrml_sweeps(setup.seed, chains, (rows[once], indices[once]), ones, blocks, _TEMPERATURE)
    run, burn_in = compiled(_SWEEPS), compiled(_BURN_IN)
    return Prepared(run, lambda: energy_error(2.0 * np.asarray(burn_in(), dtype=np.float64) - 1.0, side))


def with_dwave(setup: Setup) -> Prepared:
    """dwave-samplers' simulated annealing at one temperature, heat-bath acceptance, one read a chain."""
    from dimod import SPIN, BinaryQuadraticModel
    from dwave.samplers import SimulatedAnnealingSampler

    chains, side = setup.params["chains"], setup.params["side"]
    _, indices = torus(side)
    rows = np.repeat(np.arange(side * side), 4)
    once = rows < indices
    fields, bonds = np.zeros(side * side), -np.ones(once.sum())
    model = BinaryQuadraticModel.from_numpy_vectors(fields, (rows[once], indices[once], bonds), 0.0, SPIN)
    sampler = SimulatedAnnealingSampler()

    def sweeps(count: int) -> Any:
        return sampler.sample(
            model,
            num_reads=chains,
            num_sweeps_per_beta=1,
            beta_schedule_type="custom",
            beta_schedule=[1 / _TEMPERATURE] * count,
            proposal_acceptance_criteria="Gibbs",
            seed=setup.seed,
        )

    return Prepared(lambda: sweeps(_SWEEPS), lambda: energy_error(sweeps(_BURN_IN).record.sample, side))


CONTESTANTS = {
    OURS: ours,
    "numpy": with_numpy,
    "torch": with_torch,
    "thrml": with_thrml,
    "dwave-samplers": with_dwave,
}
