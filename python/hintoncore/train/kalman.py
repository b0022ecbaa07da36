"""EM for latent linear dynamics as a training task, and the subspace method that starts it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore.models.linear_dynamics import Posterior, Sequences, as_sequences

if TYPE_CHECKING:
    from hintoncore.models.linear_dynamics import LinearDynamics

__all__ = ["KalmanEM", "subspace_start"]

Float64Array = NDArray[np.float64]

_ROUNDING = 1e-9  # of the likelihood that a step may take away
_LEAST_NOISE = 1e-6  # as a share of a channel's variance
_STABLE = 0.995


class KalmanEM:
    """Fits linear dynamics by EM; a :class:`hintoncore.train.Task` [1]_.

    A step takes all sequences: the E step smooths the states, the M step is exact in all parameters. Rows of the
    emission use the times at which their own channel was observed. The covariance of the first state stays as it is
    when there are fewer sequences than states, and noise variances stop at a millionth of their channel's: neither can
    lower the likelihood. Each step checks that it has not fallen.

    Parameters
    ----------
    model : LinearDynamics
        Updated in place. If it was never trained it starts from :func:`subspace_start`.
    x : array [T, D], sequence of such arrays, or array [S, T, D]
        NaN where nothing was observed.

    Raises
    ------
    ValueError, TypeError
        If the data do not fit, a channel was never observed, or no sequence has two steps.

    Notes
    -----
    Records hold ``log_likelihood``, in nats for each observed number, of the parameters before the step.

    References
    ----------
    .. [1] Z. Ghahramani, G. E. Hinton, "Parameter estimation for linear dynamical systems", University of Toronto
           technical report CRG-TR-96-2, 1996, eq. 12-34; R. H. Shumway, D. S. Stoffer, "An approach to time series
           smoothing and forecasting using the EM algorithm", J. Time Series Analysis 3, 1982.
    """

    def __init__(self, model: LinearDynamics, x: ArrayLike | Sequence[ArrayLike]) -> None:
        self.model = model
        self._data = as_sequences(x, model.n_observed, "x")
        if not self._data.observed.any(axis=(0, 1)).all():
            raise ValueError("x: a channel has no observation at all")
        if self._data.lengths.max() < 2:
            raise ValueError("x: expected a sequence of at least two steps")
        self._n_observed = int(self._data.observed.sum())
        counts = self._data.observed.sum(axis=(0, 1))
        mean = self._data.values.sum(axis=(0, 1)) / counts
        variance = (self._data.observed * (self._data.values - mean) ** 2).sum(axis=(0, 1)) / counts
        self._least_noise = _LEAST_NOISE * np.maximum(variance, 1e-12)
        if model.epochs_trained == 0:
            subspace_start(model, self._data)
            model.noise = np.maximum(model.noise, self._least_noise)
        self.log_likelihood = -np.inf

    @property
    def n_rows(self) -> int:
        """Sequences."""
        return len(self._data.lengths)

    @property
    def order_seed(self) -> int:
        """Order plays no part."""
        return 0

    def step(self, rows: NDArray[np.intp], epoch: float) -> Mapping[str, float]:  # noqa: ARG002
        """E step, then M step, on all sequences.

        Raises
        ------
        FloatingPointError
            If the likelihood fell.
        """
        if len(rows) != self.n_rows:
            raise ValueError(f"rows: a step takes all {self.n_rows} sequences, given {len(rows)}")
        posterior = self.model.smooth(self._data)
        value = posterior.log_likelihood / self._n_observed
        if not value >= self.log_likelihood - _ROUNDING * max(1.0, abs(value)):
            raise FloatingPointError(f"the log-likelihood fell from {self.log_likelihood!r} to {value!r} nats")
        self.log_likelihood = value
        self._maximise(posterior)
        return {"log_likelihood": value}

    def _maximise(self, posterior: Posterior) -> None:
        model, data = self.model, self._data
        assert posterior.lagged is not None
        mean, alive = posterior.mean, data.alive
        second = posterior.covariance + mean[:, :, :, None] * mean[:, :, None, :]
        lagged = posterior.lagged + mean[:, 1:, :, None] * mean[:, :-1, None, :]
        follows = alive[:, 1:, None, None]
        earlier = (second[:, :-1] * follows).sum(axis=(0, 1))
        later = (second[:, 1:] * follows).sum(axis=(0, 1))
        both = (lagged * follows).sum(axis=(0, 1))
        model.transition = np.linalg.solve(earlier, both.T).T
        spread = later - model.transition @ both.T
        model.transition_covariance = (spread + spread.T) / (2 * follows.sum())

        first = mean[:, 0]
        model.initial_mean = first.mean(axis=0)
        if len(first) > model.n_latent:
            centred = first - model.initial_mean
            model.initial_covariance = posterior.covariance[:, 0].mean(axis=0) + centred.T @ centred / len(first)

        # Emission and offset by regression on [x, 1], each channel over the times at which it was observed.
        k = model.n_latent
        extended = np.empty((*mean.shape[:2], k + 1, k + 1))
        extended[:, :, :k, :k] = second
        extended[:, :, :k, k] = extended[:, :, k, :k] = mean
        extended[:, :, k, k] = 1.0
        observed = data.observed.reshape(-1, model.n_observed).astype(np.float64)
        gram = (observed.T @ extended.reshape(len(observed), -1)).reshape(-1, k + 1, k + 1)
        inputs = np.concatenate([mean, np.ones((*mean.shape[:2], 1))], axis=2).reshape(len(observed), -1)
        values = data.values.reshape(len(observed), -1)
        moment = values.T @ inputs  # values are 0 where nothing was observed
        solution = np.linalg.solve(gram, moment[:, :, None])[:, :, 0]
        model.emission, model.offset = solution[:, :k].copy(), solution[:, k].copy()
        squares = (values**2).sum(axis=0) - (solution * moment).sum(axis=1)
        model.noise = np.maximum(squares / observed.sum(axis=0), self._least_noise)

    def end_epoch(self) -> None:
        """Count a finished epoch."""
        self.model.epochs_trained += 1

    def evaluate(self, epoch: float) -> Mapping[str, float]:  # noqa: ARG002
        """Nothing beside what steps report."""
        return {}

    def running_estimate(self) -> Mapping[str, float]:
        """The log-likelihood, for progress bars."""
        return {"log_likelihood": self.log_likelihood}

    def describe(self) -> dict[str, Any]:
        """What a run must share with a checkpoint to go on from it."""
        return {
            "task": "EM for linear dynamics",
            "model": repr(self.model),
            "data": {"shape": list(self._data.values.shape), "sha256": self._fingerprint},
        }

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Parameters, and the likelihood so far."""
        tensors = {**self.model.parameters(), "log_likelihood": np.array([self.log_likelihood])}
        return tensors, {"epochs_trained": self.model.epochs_trained}

    def load_state(self, tensors: Mapping[str, NDArray[Any]], counters: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned.

        Raises
        ------
        KeyError, ValueError
            If something is missing or does not fit.
        """
        self.model.set_parameters(tensors)
        self.log_likelihood = float(tensors["log_likelihood"][0])
        self.model.epochs_trained = counters["epochs_trained"]

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for array in (self._data.values, self._data.observed, self._data.lengths):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def subspace_start(model: LinearDynamics, data: Sequences) -> None:
    """Set parameters from covariances between observations some steps apart, without iteration.

    The block Hankel matrix of those covariances is the product of observability and controllability (Ho and Kalman
    1966); its singular vectors give emission and transition (van Overschee and de Moor 1996, chapter 3). Covariances
    are taken over the pairs that were both observed. More channels than three for each state are first reduced to their
    principal components.
    """
    k, observed = model.n_latent, data.observed
    counts = observed.sum(axis=(0, 1))
    offset = data.values.sum(axis=(0, 1)) / counts
    centred = np.where(observed, data.values - offset, 0.0)
    flat = centred.reshape(-1, model.n_observed)
    variance = (flat**2).sum(axis=0) / counts
    n_channels = min(model.n_observed, 3 * k)
    basis: NDArray[Any] = np.eye(model.n_observed)
    if n_channels < model.n_observed:
        basis = np.linalg.eigh(flat.T @ flat)[1][:, -n_channels:]
    mask = observed.astype(np.float64)
    if n_channels < model.n_observed:  # components of what is there, scaled up for what is missing
        share = np.maximum(mask.mean(axis=2, keepdims=True), 1e-3)
        channels = centred @ basis / share
        mask = np.repeat(observed.max(axis=2, keepdims=True), n_channels, axis=2).astype(np.float64)
    else:
        channels = centred

    depth = min(max(2, -(-2 * k // n_channels) + 1), max(1, (int(data.lengths.max()) - 1) // 2))
    lags = [_lagged_covariance(channels, mask, lag) for lag in range(1, 2 * depth + 1)]
    hankel = np.block([[lags[i + j] for j in range(depth)] for i in range(depth + 1)])
    left, strength, _ = np.linalg.svd(hankel)
    scale = np.sqrt(np.maximum(strength[:k], 1e-12 * max(strength[0], 1e-300)))
    observability = np.zeros((hankel.shape[0], k))
    observability[:, : len(scale)] = left[:, :k] * scale
    transition = np.linalg.lstsq(observability[:-n_channels], observability[n_channels:], rcond=None)[0]
    radius = float(np.abs(np.linalg.eigvals(transition)).max())
    transition *= min(1.0, _STABLE / max(radius, 1e-300))

    # States from windows of observations, and what is left over.
    emission = basis @ observability[:n_channels]
    width = min(depth, int(data.lengths.min()))
    windows = np.concatenate([channels[:, i : channels.shape[1] - width + 1 + i] for i in range(width)], axis=2)
    states = windows @ np.linalg.pinv(observability[: width * n_channels]).T
    spread = np.cov(states.reshape(-1, k).T).reshape(k, k) + 1e-6 * np.eye(k) * max(float(states.var()), 1e-12)
    stationary = spread - transition @ spread @ transition.T
    values, vectors = np.linalg.eigh((stationary + stationary.T) / 2)
    model.transition = np.asarray(transition)
    model.transition_covariance = (vectors * np.maximum(values, 0.01 * np.diag(spread).mean())) @ vectors.T
    model.emission, model.offset = emission, np.asarray(offset)
    explained = np.einsum("dk,kl,dl->d", emission, spread, emission)
    model.noise = np.clip(variance - explained, 0.05 * variance, None) + 1e-12
    model.initial_mean, model.initial_covariance = np.zeros(k), spread


def _lagged_covariance(channels: Float64Array, mask: Float64Array, lag: int) -> Float64Array:
    """``E[y_{t + lag} y_t^T]`` over the pairs that were both observed."""
    p = channels.shape[2]
    if lag >= channels.shape[1]:
        return np.zeros((p, p))
    late, early = channels[:, lag:].reshape(-1, p), channels[:, :-lag].reshape(-1, p)
    pairs = mask[:, lag:].reshape(-1, p).T @ mask[:, :-lag].reshape(-1, p)
    return np.asarray(late.T @ early / np.maximum(pairs, 1.0))
