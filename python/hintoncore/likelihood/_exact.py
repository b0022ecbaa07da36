"""Exact log partition function of an RBM by enumerating its smaller layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from hintoncore import ops

if TYPE_CHECKING:
    from hintoncore.bitmatrix import BitMatrix
    from hintoncore.models.rbm import RBM

__all__ = ["MAX_EXACT_UNITS", "LogZ", "exact_log_likelihood", "exact_log_z"]

MAX_EXACT_UNITS = 30
"""Largest layer that is enumerated: 2**30 states."""


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
    """Log partition function, summing over all states of the smaller layer in float64.

    Parameters
    ----------
    model : RBM
        Its smaller layer has at most :data:`MAX_EXACT_UNITS` units.

    Returns
    -------
    LogZ
        Exact up to rounding: ``std_error`` is 0.

    Raises
    ------
    ValueError
        If both layers have more than :data:`MAX_EXACT_UNITS` units, or a parameter is not finite.

    References
    ----------
    R. Salakhutdinov, I. Murray, "On the quantitative analysis of deep belief networks", ICML 2008, eq. 3 and
    section 6.
    """
    return LogZ(log_z=ops.exact_log_z(model.w, model.b_vis, model.b_hid), std_error=0.0, ess=math.inf)


def exact_log_likelihood(model: RBM, x: ArrayLike | BitMatrix) -> float:
    """Mean log-likelihood ``mean(-F(v)) - log Z``.

    Parameters
    ----------
    model : RBM
        Its smaller layer has at most :data:`MAX_EXACT_UNITS` units.
    x : array of 0 and 1, shape [N, V], or BitMatrix

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
