"""Estimates of log Z by annealing, and what their weights say of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore.likelihood._exact import LogZ

__all__ = ["AISEstimate", "Bracket", "LikelihoodWarning", "log_mean_exp", "spread_of_weights", "warn_if_few"]

Float64Array = NDArray[np.float64]

_FEW_SAMPLES = 20.0


class LikelihoodWarning(UserWarning):
    """A likelihood estimate is not to be relied upon: few effective samples, or an open bracket."""


@dataclass(frozen=True, eq=False)
class AISEstimate(LogZ):
    """An estimate of log Z by annealing.

    Attributes
    ----------
    log_z, std_error, ess : float
        As of :class:`LogZ`. The standard error is the delta method's, from the spread of the weights that were seen: it
        knows nothing of modes that no chain has found, and is infinite for a single chain.
    log_weights : array of float64, shape [chains]
        Log importance weight of each chain in nats: of ``Z / Z_base`` forward, of ``Z_base / Z`` backward.
    log_z_base : float
        Exact log partition function of the base-rate model.
    temperatures : int
        Annealing steps.
    """

    log_weights: Float64Array
    log_z_base: float
    temperatures: int


@dataclass(frozen=True, eq=False)
class Bracket:
    """A mean log-likelihood between two estimates that err to opposite sides; iterates as ``lower, upper``.

    Attributes
    ----------
    lower, upper : float
        Nats for each row. ``upper`` comes from forward AIS; ``lower`` from reverse AIS, from the rows and from samples
        of the model, whichever is lower.
    lower_std_error, upper_std_error : float
        Standard errors in nats.
    max_width : float
        Widest bracket that counts as closed, in nats.
    forward, reverse_data, reverse_samples : AISEstimate
        The runs behind it.
    """

    lower: float
    upper: float
    lower_std_error: float
    upper_std_error: float
    max_width: float
    forward: AISEstimate
    reverse_data: AISEstimate
    reverse_samples: AISEstimate

    @property
    def width(self) -> float:
        """``upper - lower`` in nats, widened by two standard errors of either end."""
        return self.upper - self.lower + 2.0 * (self.lower_std_error + self.upper_std_error)

    @property
    def open(self) -> bool:
        """Whether the two sides are too far apart for either to be believed: ``width`` above ``max_width``."""
        return not self.width <= self.max_width

    def __iter__(self) -> Iterator[float]:
        """Lower end, upper end."""
        return iter((self.lower, self.upper))


def log_mean_exp(x: ArrayLike) -> float:
    """Logarithm of the mean of ``exp(x)`` in float64, without overflow; ``x`` of any shape but empty."""
    values = np.asarray(x, dtype=np.float64)
    top = float(values.max())
    return top + math.log(float(np.exp(values - top).mean()))


def spread_of_weights(log_weights: Float64Array) -> tuple[float, float]:
    """Standard error of the log of the weights' mean (delta method), and the effective sample size."""
    weights = np.exp(log_weights - log_weights.max())
    shares = weights / weights.sum()
    n, concentration = len(shares), float((shares**2).sum())
    if n == 1:
        return math.inf, 1.0
    return math.sqrt(max(n * concentration - 1.0, 0.0) / (n - 1)), 1.0 / concentration


def warn_if_few(estimate: AISEstimate, name: str) -> None:
    chains = len(estimate.log_weights)
    if estimate.ess < min(_FEW_SAMPLES, chains / 2.0):
        warnings.warn(
            f"{name}: the weights of {chains} chains amount to {estimate.ess:.1f} effective samples, so log_z and its "
            "standard error are not to be relied upon: more temperatures are needed",
            LikelihoodWarning,
            stacklevel=3,
        )
