"""Single-site Gibbs sweeps of a fully connected spin machine (Sherrington-Kirkpatrick couplings): every unit in turn.

In some rows pairs of units are counted after each sweep, as the learning rule of Boltzmann machines asks.

At the temperature 2 its energy per unit is -1/4, up to terms of order 1/N (Sherrington and Kirkpatrick 1975): what
every contestant is checked against.

thrml, which updates blocks of units at once, needs a block for every unit here, and compiles each: 50 units take it a
minute. So it takes part in a small machine of its own. At full size the loop over units that its users would write in
JAX does, compiled once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .harness.cases import OURS, Case, Prepared, Request, Setup, Target, within

_SHAPES = ((64, 1000), (512, 1000), (64, 24))
_MOST_BLOCKS = 24  # units up to which thrml is asked
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
            _contestants(units, counted=bool(counted)),
            "fma",
            2.0 * chains * units * units * _SWEEPS,
            targets=() if counted or chains != _SHAPES[0][0] else (Target(_rivals(units), 10.0),),
        )
        for threads in request.threads
        for chains, units in request.shapes(2, _SHAPES)
        for counted in (0, 1)
    ]


def _rivals(units: int) -> tuple[str, ...]:
    """The libraries made for this that take so many units."""
    return ("thrml", "dwave-samplers") if units <= _MOST_BLOCKS else ("dwave-samplers",)


def _contestants(units: int, *, counted: bool) -> tuple[str, ...]:
    if counted:
        return (OURS, "numpy")
    return (OURS, "numpy", "torch", "jax", *_rivals(units))


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


def with_jax(setup: Setup) -> Prepared:
    """One compiled loop over sweeps and units, all chains of a unit at once."""
    import jax
    import jax.numpy as jnp

    p = _Problem(setup)
    w, start = jnp.asarray(p.w), jnp.asarray((2 * p.bits - 1).T)  # spins [units, chains]

    def compiled(count: int) -> Any:
        def sweep(key: Any, spins: Any) -> Any:
            u = jax.random.uniform(key, spins.shape)

            def unit(i: Any, s: Any) -> Any:
                return s.at[i].set(jnp.where(u[i] < jax.nn.sigmoid(w[i] @ s * (2 / _TEMPERATURE)), 1.0, -1.0))

            return jax.lax.fori_loop(0, p.units, unit, spins)

        def run(key: Any, spins: Any) -> Any:
            keys = jax.random.split(key, count)
            return jax.lax.fori_loop(0, count, lambda n, s: sweep(keys[n], s), spins)

        return jax.jit(run)

    run, burn_in = compiled(_SWEEPS), compiled(_BURN_IN)
    keys = [jax.random.key(setup.seed + i) for i in range(64)]
    count = iter(range(1 << 62))
    return Prepared(
        lambda: run(keys[next(count) % 64], start).block_until_ready(),
        lambda: p.error(np.asarray(burn_in(keys[0], start)).T),
    )


def with_thrml(setup: Setup) -> Prepared:
    """thrml's block Gibbs program, a block a unit."""
    from .harness.thrml_ising import thrml_sweeps

    p = _Problem(setup)
    ends = np.triu_indices(p.units, 1)
    compiled = thrml_sweeps(setup.seed, p.chains, ends, p.w[ends], [[i] for i in range(p.units)], _TEMPERATURE)
    run, burn_in = compiled(_SWEEPS), compiled(_BURN_IN)
    return Prepared(run, lambda: p.error(2.0 * np.asarray(burn_in(), dtype=np.float64) - 1.0))


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


CONTESTANTS = {
    OURS: ours,
    "numpy": with_numpy,
    "torch": with_torch,
    "jax": with_jax,
    "thrml": with_thrml,
    "dwave-samplers": with_dwave,
}
