"""Log Z of deep Boltzmann machines, and a variational lower bound on their likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import ops
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator, RngLike, as_generator
from hintoncore.likelihood._ais import ais, reverse_ais
from hintoncore.likelihood._exact import LogZ, exact_log_z
from hintoncore.models._rows import as_rows, dense_blocks, is_binary
from hintoncore.models.units import unit_type

if TYPE_CHECKING:
    from hintoncore.models.dbm import DBM

__all__ = ["DBMBound", "dbm_bound", "dbm_log_z"]

Float64Array = NDArray[np.float64]

_BLOCK_ROWS = 256
_MEAN_FIELD_STEPS = 200
_TOLERANCE = 1e-5
_UNITS = unit_type("bernoulli", "visible")


@dataclass(frozen=True)
class DBMBound:
    """A lower bound on the mean log-likelihood of some rows.

    Attributes
    ----------
    bound : float
        Nats for each row, by mean field.
    std_error : float
        That of ``log_z``: the mean field has none.
    log_z : LogZ
        What the bound stands on. Annealing forward errs low, and then the bound errs high.
    """

    bound: float
    std_error: float
    log_z: LogZ


def dbm_bound(
    machine: DBM, X: ArrayLike | BitMatrix, *, log_z: LogZ | None = None, rng: RngLike = 0, **options: Any
) -> DBMBound:
    """Bound the mean log-likelihood of binary rows from below by mean field.

    ``log p(v) >= sum over layers of b . mu + sum over neighbours of mu^T W mu + H(mu) - log Z``, with the visible means
    at the data and the others where the mean field has converged.

    Parameters
    ----------
    machine : DBM
    X : array of 0 and 1, shape [N, V], or BitMatrix
    log_z : LogZ, optional
        As :func:`dbm_log_z` returns it; it is called when this is left out.
    rng : Generator or int
    **options
        Of :func:`dbm_log_z`.

    Returns
    -------
    DBMBound

    Raises
    ------
    ValueError, TypeError
        If ``X`` is not binary or does not fit, or an argument is out of range.

    Warns
    -----
    hintoncore.likelihood.LikelihoodWarning
        If the estimate of log Z is not to be relied upon.

    References
    ----------
    R. Salakhutdinov, G. E. Hinton, "Deep Boltzmann machines", AISTATS 2009, eq. 6 and 8.
    """
    rows = as_rows(X, machine.n_visible)
    if log_z is None:
        log_z = dbm_log_z(machine, **{"base": rows, "rng": rng, **options})
    elif options:
        raise ValueError(f"{', '.join(options)}: not used, since log_z is given")
    parts = []
    for block in dense_blocks(rows, machine.n_visible, _BLOCK_ROWS, units=_UNITS):
        if not is_binary(block):
            raise ValueError("X: the bound needs values that are 0 or 1")
        hidden_even, odd = machine.mean_field_block(block, _MEAN_FIELD_STEPS, _TOLERANCE)
        parts.append(variational_energy(machine, block, hidden_even, odd))
    bound = float(np.concatenate(parts).mean()) - log_z.log_z
    return DBMBound(bound=bound, std_error=log_z.std_error, log_z=log_z)


def variational_energy(
    machine: DBM, visible: NDArray[np.float32], hidden_even: NDArray[np.float32], odd: NDArray[np.float32]
) -> Float64Array:
    """Mean of ``-E`` under the factorial distribution with these means plus its entropy: the bound without log Z."""
    even = np.concatenate([visible, hidden_even], axis=1)
    inputs = ops.linear(even, machine.w, machine.b_odd).astype(np.float64)
    energy = even.astype(np.float64) @ machine.b_even.astype(np.float64) + (inputs * odd).sum(axis=1)
    return np.asarray(energy + _entropy(hidden_even) + _entropy(odd))


def dbm_log_z(
    machine: DBM,
    *,
    method: str = "ais",
    chains: int = 100,
    temperatures: int | ArrayLike = 10_000,
    reverse: bool = False,
    data: ArrayLike | BitMatrix | None = None,
    base: ArrayLike | BitMatrix | None = None,
    rng: RngLike = 0,
) -> LogZ:
    """Log partition function, by annealing over the odd layers with the even ones summed out exactly.

    Parameters
    ----------
    machine : DBM
    method : {"ais", "exact"}
        Exact where the odd or the even layers have at most :data:`hintoncore.likelihood.MAX_EXACT_UNITS` units.
    chains, temperatures, rng
        Of :func:`hintoncore.likelihood.ais`.
    reverse : bool
        Anneal backward (:func:`hintoncore.likelihood.reverse_ais`): an estimate that errs high, so that the bound with
        it errs low.
    data : array in [0, 1], shape [N, V], or BitMatrix, optional
        With `reverse`: rows to start at, the odd layers drawn from their mean field. Chains that start at samples of
        the machine's own see only the modes that annealing forward finds; from the data, a machine that would rather be
        elsewhere is found out. The bound with this estimate is conservative in the sense of RAISE.
    base : array in [0, 1], shape [N, V], or BitMatrix, optional
        Rows whose mean field sets the base-rate model: independent odd units.

    Returns
    -------
    LogZ

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or does not fit the machine.

    References
    ----------
    R. Salakhutdinov, G. E. Hinton, "Deep Boltzmann machines", AISTATS 2009, section 3.3.
    """
    if method not in ("ais", "exact"):
        raise ValueError(f"method: expected 'ais' or 'exact', given {method!r}")
    folded = machine.folded()
    if method == "exact":
        return exact_log_z(folded)
    biases: Float64Array | None = None
    if base is not None:
        total, n_rows = np.zeros(folded.n_visible), 0
        for block in dense_blocks(base, machine.n_visible, _BLOCK_ROWS, units=_UNITS, name="base"):
            _, odd = machine.mean_field_block(block, _MEAN_FIELD_STEPS, 0.01)
            total += odd.sum(axis=0, dtype=np.float64)
            n_rows += len(block)
        biases = _UNITS.bias_for_mean(total / n_rows, n_rows)
    if not reverse:
        if data is not None:
            raise ValueError("data: only annealing backward starts at rows; pass reverse=True")
        return ais(folded, chains, temperatures, rng, base=biases)
    generator = as_generator(rng)
    started = None if data is None else _odd_samples(machine, data, generator)
    return reverse_ais(folded, chains, temperatures, generator, base=biases, data=started)


def _odd_samples(machine: DBM, rows: ArrayLike | BitMatrix, rng: Generator) -> NDArray[np.float32]:
    """Odd layers given visible rows, from the mean field; one offset a block of rows."""
    samples = []
    for block in dense_blocks(rows, machine.n_visible, _BLOCK_ROWS, units=_UNITS, name="data"):
        _, odd = machine.mean_field_block(block, _MEAN_FIELD_STEPS, _TOLERANCE)
        samples.append((np.asarray(rng.random(odd.shape)) < odd).astype(np.float32))
    return np.concatenate(samples)


def _entropy(means: NDArray[np.float32]) -> Float64Array:
    """Of independent binary units, in nats, a row each."""
    p = np.clip(means.astype(np.float64), 1e-12, 1.0 - 1e-12)
    return np.asarray(-(p * np.log(p) + (1.0 - p) * np.log1p(-p)).sum(axis=1))
