"""Pseudo-likelihood: each visible unit, or softmax group, given all the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore.generator import Generator, RngLike, as_generator
from hintoncore.models._rows import as_rows, dense_blocks

if TYPE_CHECKING:
    from hintoncore.bitmatrix import BitMatrix
    from hintoncore.models.rbm import RBM

__all__ = ["pseudo_log_likelihood"]

Float64Array = NDArray[np.float64]

_BLOCK_ROWS = 256


def pseudo_log_likelihood(model: RBM, x: ArrayLike | BitMatrix, *, rng: RngLike | None = None) -> float:
    """Mean over rows of ``sum_i log p(v_i | v_-i)``, the sites ``i`` being units or, for softmax units, groups.

    A site's conditional is the softmax of the free energies of its states with the others held:
    ``log p(v_i | v_-i) = -log sum_s exp(F(v) - F(v with state s at site i))``; for a binary unit the logistic function
    of the change of free energy when it flips.

    Parameters
    ----------
    model : RBM
        Visible units with a finite number of states: Bernoulli, spin or softmax. Hidden units of any type.
    x : array of states, shape [N, V], or BitMatrix
    rng : Generator or int, optional
        None computes the conditionals of all ``S`` sites: deterministic, ``O(N V H)`` exponentials. A generator or
        seed draws one site for each row and multiplies its term by ``S``: an unbiased estimate for the
        price of one pass that consumes one offset.

    Returns
    -------
    float
        Nats for each row.

    Raises
    ------
    ValueError
        If the visible units have no finite number of states; or if ``x`` is empty, does not fit the model, or holds
        means in place of states.

    References
    ----------
    J. Besag, "Statistical analysis of non-lattice data", The Statistician 24, 1975.
    """
    if model.visible_units.site_states is None:
        raise ValueError(
            f"model: pseudo-likelihood needs visible units with a finite number of states, given {model!r}"
        )
    table = model.visible_units.site_table()
    n_states, columns = table.shape
    n_sites = model.n_visible // columns
    w = np.asarray(model.w, dtype=np.float64).reshape(n_sites, columns, model.n_hidden)
    b_vis = np.asarray(model.b_vis, dtype=np.float64).reshape(n_sites, columns)
    generator = None if rng is None else as_generator(rng)
    rows = as_rows(x, model.n_visible, "x")
    drawn = None if generator is None else _random_sites(generator, rows.shape[0], n_sites)
    total, done = 0.0, 0
    for block in dense_blocks(rows, model.n_visible, _BLOCK_ROWS, units=model.visible_units, name="x"):
        _check_states(block, model)
        sites = block.reshape(len(block), n_sites, columns)
        pre = np.asarray(model.hidden_inputs(block), dtype=np.float64)
        hidden_terms = model.hidden_units.log_normaliser(pre).sum(axis=1)
        everyone = np.arange(len(block))
        for site in range(n_sites) if drawn is None else [drawn[done : done + len(block)]]:
            here = sites[everyone, site]
            state = (here[:, None] == table).all(axis=2).argmax(axis=1)
            surprise = np.zeros(len(block))  # log of the sum over states of exp(F(v) - F(v with that state))
            for step in range(1, n_states):
                change = table[(state + step) % n_states] - here
                moved = change @ w[site] if drawn is None else np.einsum("nc,nch->nh", change, w[site])
                there = model.hidden_units.log_normaliser(pre + moved).sum(axis=1)
                surprise = np.logaddexp(surprise, (change * b_vis[site]).sum(axis=1) + there - hidden_terms)
            total -= float(surprise.sum()) * (1 if drawn is None else n_sites)
        done += len(block)
    return total / done


def _check_states(block: NDArray[np.float32], model: RBM) -> None:
    units = model.visible_units
    if not units.are_states(block):
        expected = "0 or 1" if units.name == "bernoulli" else f"states of {units.name} units"
        raise ValueError(f"x: pseudo-likelihood needs values that are {expected}, not means")


def _random_sites(generator: Generator, n_rows: int, n_sites: int) -> NDArray[np.intp]:
    return np.minimum((generator.random((n_rows,)) * n_sites).astype(np.intp), n_sites - 1)
