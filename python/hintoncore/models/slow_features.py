"""Slow feature analysis: features of a sequence that change as little as they can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore._counts import as_count
from hintoncore.models.linear_dynamics import as_sequences

__all__ = ["SlowFeatures"]

Float64Array = NDArray[np.float64]

_LEAST_VARIANCE = 1e-9  # of a principal component, as a share of the largest


class SlowFeatures:
    """Linear slow feature analysis (Wiskott and Sejnowski 2002).

    Of all linear functions of the observations with mean 0, variance 1 and no correlation among themselves, those whose
    mean squared step is least: after whitening, the eigenvectors of the covariance of steps with the least eigenvalues.

    It is the rival of :class:`LinearDynamics`: features that change slowly against features that change predictably.

    Parameters
    ----------
    n_features : int >= 1

    Attributes
    ----------
    mean : array of float64, shape [D]
    weights : array of float64, shape [D, K]
        Features are ``(y - mean) @ weights``, the slowest first.
    loading : array of float64, shape [K, D]
        Observations by regression on the features.
    slowness : array of float64, shape [K]
        Mean squared step of each feature; 2 for white noise.

    References
    ----------
    L. Wiskott, T. J. Sejnowski, "Slow feature analysis: unsupervised learning of invariances", Neural Computation 14,
    2002.

    Examples
    --------
    >>> import numpy as np
    >>> import hintoncore as hc
    >>> t = np.linspace(0, 20, 500)
    >>> mixed = np.stack([np.sin(t) + 0.5 * np.sin(29 * t), np.sin(t) - np.sin(29 * t)], axis=1)
    >>> model = hc.models.SlowFeatures(1).fit(mixed)
    >>> bool(abs(np.corrcoef(model.transform(mixed)[0, :, 0], np.sin(t))[0, 1]) > 0.99)
    True
    """

    def __init__(self, n_features: int) -> None:
        self.n_features = as_count(n_features, "n_features")
        self.mean: Float64Array = np.zeros(0)
        self.weights: Float64Array = np.zeros((0, self.n_features))
        self.loading: Float64Array = np.zeros((self.n_features, 0))
        self.slowness: Float64Array = np.zeros(self.n_features)

    def fit(self, X: ArrayLike | Sequence[ArrayLike]) -> SlowFeatures:
        """Find the features of sequences [T, D], one or several; nothing may be missing.

        Raises
        ------
        ValueError
            If the data do not fit, something is missing, or there are fewer independent channels than features.
        """
        rows = self._rows(X, None)
        self.mean = np.asarray(np.concatenate(rows).mean(axis=0))
        centred = [row - self.mean for row in rows]
        values, vectors = np.linalg.eigh(_covariance(centred))
        kept = values > _LEAST_VARIANCE * values[-1]
        if kept.sum() < self.n_features or values[-1] <= 0:
            raise ValueError(f"n_features: expected at most {int(kept.sum())} for these data, given {self.n_features}")
        whiten = vectors[:, kept] / np.sqrt(values[kept])
        slowness, directions = np.linalg.eigh(_covariance([np.diff(row, axis=0) @ whiten for row in centred]))
        self.weights = np.asarray(whiten @ directions[:, : self.n_features])
        self.slowness = np.asarray(slowness[: self.n_features], dtype=np.float64)
        features = np.concatenate(centred) @ self.weights
        self.loading = np.asarray(np.linalg.lstsq(features, np.concatenate(centred), rcond=None)[0])
        return self

    def transform(self, X: ArrayLike | Sequence[ArrayLike]) -> Float64Array:
        """Features of sequences of one length: float64 [S, T, K]."""
        return np.stack([(row - self.mean) @ self.weights for row in self._rows(X, len(self.mean))])

    def autocorrelation(self, X: ArrayLike | Sequence[ArrayLike], lag: int) -> Float64Array:
        """Of each feature with itself ``lag`` steps later: the best factor to predict it by, float64 [K]."""
        steps = as_count(lag, "lag")
        features = [(row - self.mean) @ self.weights for row in self._rows(X, len(self.mean))]
        product = sum((part[:-steps] * part[steps:]).sum(axis=0) for part in features)
        return np.asarray(product / sum((part[:-steps] ** 2).sum(axis=0) for part in features))

    def predict(self, X: ArrayLike | Sequence[ArrayLike], factors: ArrayLike) -> Float64Array:
        """Expected observations when each feature is ``factors`` [K] times what it is: float64 [S, T, D]."""
        return np.asarray((self.transform(X) * np.asarray(factors, dtype=np.float64)) @ self.loading + self.mean)

    def _rows(self, x: Any, width: int | None) -> list[Float64Array]:
        parts = list(x) if isinstance(x, list | tuple) or np.ndim(x) == 3 else [x]
        if not parts or np.ndim(parts[0]) != 2:
            raise ValueError("X: expected sequences of shape [T, D]")
        data = as_sequences(parts, np.shape(parts[0])[1] if width is None else width)
        if not data.observed[data.alive].all():
            raise ValueError("X: expected numbers, given NaN: slow features take complete observations")
        return [row[:length] for row, length in zip(data.values, data.lengths, strict=True)]


def _covariance(rows: Sequence[Float64Array]) -> Float64Array:
    """Mean outer product of all rows."""
    return np.asarray(sum(row.T @ row for row in rows) / sum(len(row) for row in rows))
