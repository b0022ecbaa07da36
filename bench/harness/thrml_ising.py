"""thrml's block Gibbs sampling of an Ising machine, for the families that judge against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def thrml_sweeps(
    seed: int, chains: int, ends: tuple[Any, Any], couplings: Any, blocks: Sequence[Any], temperature: float
) -> Callable[[int], Callable[[], Any]]:
    """Of a machine with ends[0][k] and ends[1][k] coupled by couplings[k], whose blocks of units are updated in turn.

    Returns what compiles so many sweeps of all chains in one vmap, to a function that runs them from the same start by
    other draws each time and returns which units are up [chains, units].
    """
    import jax
    import jax.numpy as jnp
    from thrml import Block, SamplingSchedule, SpinNode, sample_states
    from thrml.models import IsingEBM, IsingSamplingProgram, hinton_init

    nodes = [SpinNode() for _ in range(sum(len(block) for block in blocks))]
    edges = [(nodes[i], nodes[j]) for i, j in zip(*ends, strict=True)]
    model = IsingEBM(nodes, edges, jnp.zeros(len(nodes)), jnp.asarray(couplings), jnp.array(1 / temperature))
    parts = [Block([nodes[i] for i in block]) for block in blocks]
    program = IsingSamplingProgram(model, parts, clamped_blocks=[])
    key = jax.random.key(seed)
    start = hinton_init(key, model, parts, (chains,))
    keys = [jax.random.split(jax.random.key(k), chains) for k in range(64)]

    def compiled(sweeps: int) -> Callable[[], Any]:
        schedule = SamplingSchedule(n_warmup=sweeps - 1, n_samples=1, steps_per_sample=1)
        run = jax.jit(
            jax.vmap(lambda key, state: sample_states(key, program, schedule, state, [], [Block(nodes)])[0][0])
        )
        count = iter(range(1 << 62))
        return lambda: run(keys[next(count) % 64], start).block_until_ready()

    return compiled
