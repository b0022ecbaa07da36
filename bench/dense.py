"""Single-site Gibbs sweeps of a fully connected spin machine (Sherrington-Kirkpatrick couplings): every unit in turn.

In some rows pairs of units are counted after each sweep, as the learning rule of Boltzmann machines asks.

At the temperature 2 its energy per unit is -1/4, up to terms of order 1/N (Sherrington and Kirkpatrick 1975): what
every contestant is checked against.

thrml, which updates blocks of units at once, would need a block for every unit here, and compiles each: with 50 units
that took 60 s, to run at 0.0006 flips/ns on one thread, and with 25 units 0.0014. So it takes no part.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .harness.cases import OURS, Case, Prepared, Request, Setup, Target, within

_SHAPES = ((64, 1000), (512, 1000))
_TEMPERATURE = 2.0
_SWEEPS = 10
_BURN_IN = 30


def cases(request: Request) -> list[Case]:
    """One row per chains x units, without and with counting."""
    return [
        Case(
            "dense",
            f"{chains} chains of {units} units" + (", pairs counted" if counted else ""),
            {"chains": chains, "units": units, "counted": counted},
            threads,
            float(chains * units * _SWEEPS),
            "flips/ns",
            (OURS, "numpy") if counted else (OURS, "numpy", "torch", "dwave-samplers"),
            "fma",
            2.0 * chains * units * units * _SWEEPS,
            targets=(Target(("dwave-samplers",), 10.0),) if (chains, units) == _SHAPES[0] and not counted else (),
        )
        for threads in request.threads
        for chains, units in request.shapes(2, _SHAPES)
        for counted in (0, 1)
    ]


class _Problem:
    """Couplings [units, units] and spins [chains, units] to start from."""

    def __init__(self, setup: Setup) -> None:
        draw = np.random.Generator(np.random.SFC64(setup.seed))
        self.chains, self.units = setup.params["chains"], setup.params["units"]
        self.counted = bool(setup.params["counted"])
        w = np.triu(draw.standard_normal((self.units, self.units), dtype=np.float32), 1) / np.float32(
            np.sqrt(self.units)
        )
        self.w = w + w.T
        self.bits = (draw.random((self.chains, self.units)) < 0.5).astype(np.float32)

    def error(self, spins: Any) -> float:
        """Distance of the mean energy per unit from its limit."""
        s = np.asarray(spins, dtype=np.float64)
        energy = -0.5 * ((s @ self.w) * s).sum(axis=1).mean() / self.units
        return within(abs(energy + 0.5 / _TEMPERATURE), 0.01 + 4.0 / self.units, "energy per unit")


def ours(setup: Setup) -> Prepared:
    """`hintoncore.ops.dense_gibbs`, compared with the reference as well."""
    from hintoncore import BitMatrix, Generator, ops, reference

    p = _Problem(setup)
    b = np.zeros(p.units, np.float32)
    options: dict[str, Any] = {"temperature": _TEMPERATURE, "spin": True}
    state, rng = BitMatrix.from_dense(p.bits), Generator(setup.seed)

    def check() -> float:
        few = p.bits[:64]
        got = ops.dense_gibbs(few, p.w, b, rng=Generator(setup.seed), **options)
        want = reference.dense_gibbs(few, p.w, b, seed=setup.seed, offset=0, **options)
        within(float(np.mean(got != want)), 1e-3, "share of differing samples")
        late, pairs = ops.dense_gibbs(
            state, p.w, b, rng=Generator(setup.seed), sweeps=_BURN_IN, count_pairs=1, **options
        )
        bits = late.to_dense()
        within(float(np.abs(pairs - bits.T @ bits).max()), 0.0, "pairs")
        return p.error(2 * bits - 1)

    counting: dict[str, Any] = {"count_pairs": _SWEEPS if p.counted else 0, **options}
    return Prepared(lambda: ops.dense_gibbs(state, p.w, b, rng=rng, sweeps=_SWEEPS, **counting), check)


def with_numpy(setup: Setup) -> Prepared:
    """A matrix-vector product per unit, uniforms of a sweep in one call."""
    p = _Problem(setup)
    rng = np.random.Generator(np.random.SFC64(setup.seed))
    spins = np.ascontiguousarray((2 * p.bits - 1).T)  # [units, chains]
    rate = np.float32(-2 / _TEMPERATURE)
    products = np.zeros((p.units, p.units), np.float32)  # sums of s_i s_j, from which pairs on together follow

    def sweeps(count: int) -> Any:
        for _ in range(count):
            u = rng.random((p.units, p.chains), dtype=np.float32)
            for i in range(p.units):
                field = p.w[i] @ spins
                np.multiply(u[i] * (1 + np.exp(rate * field)) < 1, np.float32(2), out=spins[i])
                spins[i] -= 1
            if p.counted:
                products[...] += spins @ spins.T
        return spins

    return Prepared(lambda: sweeps(_SWEEPS), lambda: p.error(sweeps(_BURN_IN).T))


def with_torch(setup: Setup) -> Prepared:
    """The same in torch."""
    import torch

    p = _Problem(setup)
    spins, w = torch.from_numpy(np.ascontiguousarray((2 * p.bits - 1).T)), torch.from_numpy(p.w)

    def sweeps(count: int) -> Any:
        for _ in range(count):
            u = torch.rand((p.units, p.chains))
            for i in range(p.units):
                up = u[i] < torch.sigmoid(torch.mv(spins.T, w[i]) * (2 / _TEMPERATURE))
                spins[i] = up.float() * 2 - 1
        return spins

    return Prepared(lambda: sweeps(_SWEEPS), lambda: p.error(sweeps(_BURN_IN).numpy().T))


def with_dwave(setup: Setup) -> Prepared:
    """dwave-samplers' simulated annealing at one temperature, heat-bath acceptance, one read a chain."""
    from dimod import SPIN, BinaryQuadraticModel
    from dwave.samplers import SimulatedAnnealingSampler

    p = _Problem(setup)
    i, j = np.triu_indices(p.units, 1)
    bonds = -p.w[i, j].astype(np.float64)
    model = BinaryQuadraticModel.from_numpy_vectors(np.zeros(p.units), (i, j, bonds), 0.0, SPIN)
    sampler = SimulatedAnnealingSampler()

    def sweeps(count: int) -> Any:
        return sampler.sample(
            model,
            num_reads=p.chains,
            num_sweeps_per_beta=1,
            beta_schedule_type="custom",
            beta_schedule=[1 / _TEMPERATURE] * count,
            proposal_acceptance_criteria="Gibbs",
            seed=setup.seed,
        )

    return Prepared(lambda: sweeps(_SWEEPS), lambda: p.error(sweeps(_BURN_IN).record.sample))


CONTESTANTS = {OURS: ours, "numpy": with_numpy, "torch": with_torch, "dwave-samplers": with_dwave}
