"""Exact log partition function of an RBM by enumerating one layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import ops
from hintoncore.models.units import GaussianUnits, Units

if TYPE_CHECKING:
    from hintoncore.bitmatrix import BitMatrix
    from hintoncore.models.rbm import RBM

__all__ = ["MAX_EXACT_STATES", "MAX_EXACT_UNITS", "LogZ", "exact_log_likelihood", "exact_log_z"]

MAX_EXACT_UNITS = 30
"""Largest Bernoulli layer that is enumerated: 2**30 states."""

MAX_EXACT_STATES = 2**22
"""Most states of a layer that are enumerated where the units are of other types."""

_CHUNK = 1 << 12


@dataclass(frozen=True)
class LogZ:
    """An estimate of a log partition function.

    Attributes
    ----------
    log_z : float
        In nats.
    std_error : float
        Standard error of ``log_z`` in nats; 0 for an exact value.
    ess : float
        Effective number of independent samples behind it; infinite for an exact value.
    """

    log_z: float
    std_error: float
    ess: float


def exact_log_z(model: RBM) -> LogZ:
    """Log partition function, summing over all states of the layer with fewer in float64.

    Parameters
    ----------
    model : RBM
        Two Bernoulli layers: the smaller has at most :data:`MAX_EXACT_UNITS` units. Other types: a layer of Bernoulli,
        spin or softmax units has at most :data:`MAX_EXACT_STATES` states; units of the other layer, of any type, are
        summed or integrated out in closed form.

    Returns
    -------
    LogZ
        Exact up to rounding: ``std_error`` is 0.

    Raises
    ------
    ValueError
        If neither layer can be enumerated, or a parameter is not finite.

    References
    ----------
    R. Salakhutdinov, I. Murray, "On the quantitative analysis of deep belief networks", ICML 2008, eq. 3 and
    section 6.
    """
    binary = model.visible_units.name == model.hidden_units.name == "bernoulli"
    log_z = ops.exact_log_z(model.w, model.b_vis, model.b_hid) if binary else _enumerated(model)
    return LogZ(log_z=log_z, std_error=0.0, ess=math.inf)


def exact_log_likelihood(model: RBM, x: ArrayLike | BitMatrix) -> float:
    """Mean log-likelihood ``mean(-F(v)) - log Z``.

    Parameters
    ----------
    model : RBM
        Its smaller layer has at most :data:`MAX_EXACT_UNITS` units.
    x : array of states, shape [N, V], or BitMatrix

    Returns
    -------
    float
        Nats for each row; the free energies carry the float32 rounding of the parameters' matrix product.

    Raises
    ------
    ValueError
        As :func:`exact_log_z`; or if ``x`` does not fit the model.
    """
    return float(-model.free_energy(x).mean() - exact_log_z(model).log_z)


def _state_count(units: Units, n_units: int) -> float:
    """States of a layer, infinite where there is no end of them."""
    if units.site_states is None:
        return math.inf
    sites = n_units // units.site_columns
    return math.inf if sites > 64 else float(units.site_states) ** sites


def _enumerated(model: RBM) -> float:
    """Sum over the states of the layer with fewer of what the other layer sums to."""
    for name, parameter in model.parameters().items():
        if not np.isfinite(parameter).all():
            raise ValueError(f"{name}: expected finite values, got NaN or infinity")
    w = model.w.astype(np.float64)
    if isinstance(model.visible_units, GaussianUnits):
        w_to_hidden = w / model.visible_units.variance[:, None]
    else:
        w_to_hidden = w
    visible = (model.visible_units, model.n_visible, model.b_vis.astype(np.float64))
    hidden = (model.hidden_units, model.n_hidden, model.b_hid.astype(np.float64))
    by_visible = _state_count(*visible[:2]) <= _state_count(*hidden[:2])
    (units, n_units, bias), (other, _, other_bias) = (visible, hidden) if by_visible else (hidden, visible)
    weights = w_to_hidden if by_visible else w.T
    n_states = _state_count(units, n_units)
    if n_states > MAX_EXACT_STATES:
        raise ValueError(
            f"model: expected a layer of Bernoulli, spin or softmax units with at most {MAX_EXACT_STATES} states, "
            f"given {model!r}"
        )
    table, sites = units.site_table(), n_units // units.site_columns
    constant = other.bias_energy(other_bias)
    total = -math.inf
    for first in range(0, int(n_states), _CHUNK):
        index = np.arange(first, min(first + _CHUNK, int(n_states)))
        states = _states(index, table, sites)
        log_p = other.log_normaliser(states @ weights + other_bias).sum(axis=1) - units.energy(states, bias)
        total = float(np.logaddexp(total, np.logaddexp.reduce(log_p)))
    return total - constant


def _states(index: NDArray[np.intp], table: NDArray[np.float64], sites: int) -> NDArray[np.float64]:
    """States of a layer by number: site ``i`` has digit ``i``."""
    digits = index[:, None] // len(table) ** np.arange(sites) % len(table)
    return np.asarray(table[digits].reshape(len(index), -1))
