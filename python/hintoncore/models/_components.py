"""Component distributions of mixtures, each an exponential family: what EM needs is their sufficient statistics.

A component with mean statistics ``t`` is fitted by setting the expected statistics to ``t``, so the M step of every
family is a function of counts [K] and sums of statistics [K, S] alone, and so is the expected log density.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["COMPONENTS", "BernoulliComponents", "Components", "DiagonalGaussianComponents", "GaussianComponents"]

Float64Array = NDArray[np.float64]

_LOG_2_PI = math.log(2.0 * math.pi)


class Components(ABC):
    """K distributions of one family over D features.

    Parameters
    ----------
    n_components, n_features : int >= 1
    """

    name: str

    def __init__(self, n_components: int, n_features: int) -> None:
        self.n_components = n_components
        self.n_features = n_features
        self.mean: Float64Array = np.zeros((n_components, n_features))

    @abstractmethod
    def statistics(self, x: Float64Array) -> Float64Array:
        """Sufficient statistics of rows [B, D]: [B, S]."""

    @abstractmethod
    def maximise(self, counts: Float64Array, sums: Float64Array) -> None:
        """Set the parameters to their maximum-likelihood values for counts [K] and summed statistics [K, S]."""

    @abstractmethod
    def expected_log_density(self, counts: Float64Array, sums: Float64Array) -> float:
        """Sum of the log density over data with these counts and summed statistics, in nats."""

    @abstractmethod
    def log_density(self, x: Float64Array) -> Float64Array:
        """Log density of rows [B, D] under each component: [B, K]."""

    @abstractmethod
    def log_density_of(self, x: Float64Array, component: int) -> Float64Array:
        """Log density of rows [B, D] under one component: [B]."""

    @abstractmethod
    def draw(self, component: NDArray[np.intp], normal: Float64Array, uniform: Float64Array) -> Float64Array:
        """Rows of the components [B] from standard normal and uniform draws [B, D]."""

    @abstractmethod
    def parameters(self) -> dict[str, Float64Array]:
        """Return the parameter arrays by name."""

    @abstractmethod
    def set_parameters(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Take parameters over, checked already for shapes and values."""

    @abstractmethod
    def prior_statistics(self, sums: Float64Array, count: int) -> Float64Array:
        """Mean statistics of an imaginary observation, from those of all data: never at the edge of the family."""


class BernoulliComponents(Components):
    """Independent binary features with means [K, D]; values in between count as probabilities."""

    name = "bernoulli"

    def __init__(self, n_components: int, n_features: int) -> None:
        super().__init__(n_components, n_features)
        self.mean = np.full((n_components, n_features), 0.5)
        self._prepare()

    def statistics(self, x: Float64Array) -> Float64Array:
        """The rows themselves."""
        return x

    def maximise(self, counts: Float64Array, sums: Float64Array) -> None:
        """Set the means."""
        self.mean = sums / counts[:, None]
        self._prepare()

    def _prepare(self) -> None:
        self._log_off = np.log1p(-self.mean)
        self._log_odds = np.log(self.mean) - self._log_off

    def expected_log_density(self, counts: Float64Array, sums: Float64Array) -> float:
        """``sum_k S_k . logit(mean_k) + N_k sum log(1 - mean_k)``."""
        return float((sums * self._log_odds).sum() + counts @ self._log_off.sum(axis=1))

    def log_density(self, x: Float64Array) -> Float64Array:
        """One matrix product."""
        return np.asarray(x @ self._log_odds.T + self._log_off.sum(axis=1))

    def log_density_of(self, x: Float64Array, component: int) -> Float64Array:
        """One matrix-vector product."""
        return np.asarray(x @ self._log_odds[component] + self._log_off[component].sum())

    def draw(self, component: NDArray[np.intp], normal: Float64Array, uniform: Float64Array) -> Float64Array:  # noqa: ARG002
        """Compare uniform draws with the means."""
        return np.asarray(uniform < self.mean[component], dtype=np.float64)

    def parameters(self) -> dict[str, Float64Array]:
        """The means."""
        return {"mean": self.mean}

    def set_parameters(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """The means."""
        self.mean = tensors["mean"].copy()
        self._prepare()

    def prior_statistics(self, sums: Float64Array, count: int) -> Float64Array:
        """Data means, with half a row of each value so that no mean is 0 or 1."""
        return np.asarray((sums + 0.5) / (count + 1.0))


class DiagonalGaussianComponents(Components):
    """Gaussians with diagonal covariance: means and variances [K, D]."""

    name = "gaussian-diagonal"

    def __init__(self, n_components: int, n_features: int) -> None:
        super().__init__(n_components, n_features)
        self.variance: Float64Array = np.ones((n_components, n_features))

    def statistics(self, x: Float64Array) -> Float64Array:
        """Rows and their squares."""
        return np.concatenate([x, x * x], axis=1)

    def maximise(self, counts: Float64Array, sums: Float64Array) -> None:
        """Set means and variances."""
        first, second = np.split(sums / counts[:, None], 2, axis=1)
        self.mean, self.variance = first, second - first * first

    def expected_log_density(self, counts: Float64Array, sums: Float64Array) -> float:
        """From first and second moments."""
        first, second = np.split(sums, 2, axis=1)
        squares = second - 2.0 * self.mean * first + counts[:, None] * self.mean**2
        logs = counts[:, None] * (np.log(self.variance) + _LOG_2_PI)
        return float(-0.5 * (squares / self.variance + logs).sum())

    def log_density(self, x: Float64Array) -> Float64Array:
        """Two matrix products: the square is multiplied out."""
        precision = 1.0 / self.variance
        constant = (precision * self.mean**2 + np.log(self.variance) + _LOG_2_PI).sum(axis=1)
        return np.asarray(-0.5 * ((x * x) @ precision.T - 2.0 * x @ (precision * self.mean).T + constant))

    def log_density_of(self, x: Float64Array, component: int) -> Float64Array:
        """One pass over the rows."""
        variance = self.variance[component]
        squares = (x - self.mean[component]) ** 2 @ (1.0 / variance)
        return np.asarray(-0.5 * (squares + (np.log(variance) + _LOG_2_PI).sum()))

    def draw(self, component: NDArray[np.intp], normal: Float64Array, uniform: Float64Array) -> Float64Array:  # noqa: ARG002
        """Scale and shift."""
        return np.asarray(self.mean[component] + np.sqrt(self.variance[component]) * normal)

    def parameters(self) -> dict[str, Float64Array]:
        """Means and variances."""
        return {"mean": self.mean, "variance": self.variance}

    def set_parameters(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Means and variances."""
        self.mean, self.variance = tensors["mean"].copy(), tensors["variance"].copy()

    def prior_statistics(self, sums: Float64Array, count: int) -> Float64Array:
        """Mean and second moment of the data; a feature that never varies gets a little variance."""
        first, second = np.split(sums / count, 2)
        variance = np.maximum(second - first * first, 1e-6 * max(1.0, float(second.max())))
        return np.concatenate([first, variance + first * first])


class GaussianComponents(Components):
    """Gaussians with full covariance: means [K, D], covariances [K, D, D]."""

    name = "gaussian-full"

    def __init__(self, n_components: int, n_features: int) -> None:
        super().__init__(n_components, n_features)
        self.covariance: Float64Array = np.tile(np.eye(n_features), (n_components, 1, 1))
        self._prepare()

    def statistics(self, x: Float64Array) -> Float64Array:
        """Rows and their outer products."""
        return np.concatenate([x, (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)], axis=1)

    def maximise(self, counts: Float64Array, sums: Float64Array) -> None:
        """Set means and covariances."""
        d = self.n_features
        moments = sums / counts[:, None]
        self.mean = moments[:, :d]
        second = moments[:, d:].reshape(-1, d, d)
        self.covariance = second - self.mean[:, :, None] * self.mean[:, None, :]
        self._prepare()

    def _prepare(self) -> None:
        lower = np.linalg.cholesky(self.covariance)
        self._lower = lower
        self._whitener = np.linalg.inv(lower)
        self._log_determinant = 2.0 * np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)

    def expected_log_density(self, counts: Float64Array, sums: Float64Array) -> float:
        """From first and second moments."""
        d = self.n_features
        first, second = sums[:, :d], sums[:, d:].reshape(-1, d, d)
        cross = self.mean[:, :, None] * first[:, None, :]
        outer = self.mean[:, :, None] * self.mean[:, None, :]
        scatter = second - cross - cross.transpose(0, 2, 1) + counts[:, None, None] * outer
        precision = self._whitener.transpose(0, 2, 1) @ self._whitener
        constants = counts @ (self._log_determinant + d * _LOG_2_PI)
        return float(-0.5 * ((precision * scatter).sum() + constants))

    def log_density(self, x: Float64Array) -> Float64Array:
        """Component by component."""
        return np.stack([self.log_density_of(x, k) for k in range(self.n_components)], axis=1)

    def log_density_of(self, x: Float64Array, component: int) -> Float64Array:
        """Squared length of the whitened rows."""
        white = (x - self.mean[component]) @ self._whitener[component].T
        constant = self._log_determinant[component] + self.n_features * _LOG_2_PI
        return np.asarray(-0.5 * ((white * white).sum(axis=1) + constant))

    def draw(self, component: NDArray[np.intp], normal: Float64Array, uniform: Float64Array) -> Float64Array:  # noqa: ARG002
        """Colour and shift."""
        return np.asarray(self.mean[component] + np.einsum("bij,bj->bi", self._lower[component], normal))

    def parameters(self) -> dict[str, Float64Array]:
        """Means and covariances."""
        return {"mean": self.mean, "covariance": self.covariance}

    def set_parameters(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Means and covariances."""
        self.mean, self.covariance = tensors["mean"].copy(), tensors["covariance"].copy()
        self._prepare()

    def prior_statistics(self, sums: Float64Array, count: int) -> Float64Array:
        """Mean and second moments of the data with their correlations left out."""
        d = self.n_features
        first, second = sums[:d] / count, np.diagonal((sums[d:] / count).reshape(d, d))
        variance = np.maximum(second - first * first, 1e-6 * max(1.0, float(second.max())))
        return np.concatenate([first, (np.diag(variance) + np.outer(first, first)).ravel()])


COMPONENTS: dict[str, type[Components]] = {
    family.name: family for family in (BernoulliComponents, DiagonalGaussianComponents, GaussianComponents)
}
"""Families by the name that :class:`hintoncore.models.Mixture` takes."""
