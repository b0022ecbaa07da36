"""Likelihood of a directed model with a recognition model: importance sampling and the variational bound."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore._counts import as_count
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator, RngLike, as_generator
from hintoncore.models.units import BernoulliUnits
from hintoncore.train.data import TrainingRows

if TYPE_CHECKING:
    from hintoncore.models.helmholtz import HelmholtzMachine

__all__ = ["ImportanceEstimate", "importance_log_likelihood"]

_BLOCK_SAMPLES = 512  # whose activities stay in the second-level cache


@dataclass(frozen=True)
class ImportanceEstimate:
    """Log-likelihood of rows by samples of a recognition model, in nats.

    Attributes
    ----------
    log_likelihood : float
        Mean over rows of ``log mean_k p(x, h_k) / q(h_k | x)``: in expectation at most the true mean log-likelihood,
        and the closer the more samples.
    std_error : float
        Standard error of ``log_likelihood`` from the sampling of explanations, by the delta method.
    bound : float
        Mean of ``log p(x, h) - log q(h | x)``: an unbiased estimate of the variational bound (minus the free energy, or
        the description length by bits-back coding), at most the true mean log-likelihood in expectation.
    bound_std_error : float
    by_row : array of float64, shape [N]
        ``log mean_k`` of each row.
    ess : float
        Mean over rows of the effective number of samples, of at most ``samples``.
    samples : int
    """

    log_likelihood: float
    std_error: float
    bound: float
    bound_std_error: float
    by_row: NDArray[np.float64]
    ess: float
    samples: int


def importance_log_likelihood(
    model: HelmholtzMachine, x: ArrayLike | BitMatrix, samples: int = 100, *, rng: RngLike = 0
) -> ImportanceEstimate:
    """Estimate ``log p(x) = log E_q[p(x, h) / q(h | x)]`` with explanations from the recognition net.

    Parameters
    ----------
    model : HelmholtzMachine
    x : array of 0 and 1, shape [N, V], or BitMatrix
    samples : int >= 2
        For each row.
    rng : Generator or int
        Consumes one offset for each hidden layer and block of rows.

    Returns
    -------
    ImportanceEstimate

    Raises
    ------
    ValueError, TypeError
        If ``x`` is not binary, is empty or does not fit, or ``samples`` is out of range.

    References
    ----------
    J. Bornschein, Y. Bengio, "Reweighted wake-sleep", ICLR 2015, eq. 5; P. Dayan et al., "The Helmholtz machine",
    Neural Computation 7, 1995, eq. 3 (the bound); Y. Burda, R. Grosse, R. Salakhutdinov, "Importance weighted
    autoencoders", ICLR 2016, theorem 1 (more samples never loosen it).
    """
    samples = as_count(samples, "samples", low=2)
    generator = as_generator(rng)
    rows = TrainingRows(x, model.sizes[0], units=BernoulliUnits(), name="x")
    if not rows.binary:
        raise ValueError("x: the likelihood needs values that are 0 or 1")
    n_rows = rows.shape[0]
    block_rows = max(1, _BLOCK_SAMPLES // samples)
    blocks = (np.arange(start, min(start + block_rows, n_rows)) for start in range(0, n_rows, block_rows))
    return estimate_from_weights(_log_weights(model, rows, block, samples, generator) for block in blocks)


def estimate_from_weights(blocks: Iterable[NDArray[np.float64]]) -> ImportanceEstimate:
    """The estimate from ``log p(x, h) - log q(h | x)`` of samples of q, blocks of float64 [rows, samples >= 2]."""
    by_row, bounds, variances, bound_variances, sizes = [], [], [], [], []
    for log_weights in blocks:
        samples = log_weights.shape[1]
        top = log_weights.max(axis=1)
        weights = np.exp(log_weights - top[:, None])
        mean = weights.mean(axis=1)
        by_row.append(top + np.log(mean))
        variances.append(weights.var(axis=1, ddof=1) / (samples * mean**2))
        sizes.append(weights.sum(axis=1) ** 2 / (weights**2).sum(axis=1))
        bounds.append(log_weights.mean(axis=1))
        bound_variances.append(log_weights.var(axis=1, ddof=1) / samples)
    rows = np.concatenate(by_row)
    return ImportanceEstimate(
        log_likelihood=float(rows.mean()),
        std_error=math.sqrt(float(np.concatenate(variances).sum())) / len(rows),
        bound=float(np.concatenate(bounds).mean()),
        bound_std_error=math.sqrt(float(np.concatenate(bound_variances).sum())) / len(rows),
        by_row=rows,
        ess=float(np.concatenate(sizes).mean()),
        samples=samples,
    )


def _log_weights(
    model: HelmholtzMachine, rows: TrainingRows, block: NDArray[np.intp], samples: int, generator: Generator
) -> NDArray[np.float64]:
    """``log p(x, h) - log q(h | x)``, shape [rows of the block, samples]; a row's samples may come in several parts."""
    parts = []
    for first in range(0, samples, _BLOCK_SAMPLES):
        count = min(_BLOCK_SAMPLES, samples - first)
        batch = rows.batch(np.repeat(block, count))
        assert isinstance(batch, BitMatrix)
        layers = model.infer(batch, rng=generator)
        log_weights = model.generative.log_joint(layers) - model.log_recognition(layers)
        parts.append(log_weights.reshape(len(block), count))
    return np.concatenate(parts, axis=1)
