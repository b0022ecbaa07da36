"""Latent linear dynamics: features that change predictably, inferred by Kalman filter and smoother."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore._counts import as_count
from hintoncore._streams import Stream, derive_seed
from hintoncore._validate import as_int, given
from hintoncore.generator import Generator, RngLike, as_generator
from hintoncore.models._files import ModelFile, SavedModel

if TYPE_CHECKING:
    from hintoncore.train.callbacks import Callback

__all__ = ["LinearDynamics", "Posterior", "Sequences", "as_sequences"]

Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sequences:
    """Sequences of different lengths side by side.

    Attributes
    ----------
    values : array of float64, shape [S, T, D]
        0 where nothing was observed.
    observed : array of bool, shape [S, T, D]
    lengths : array of int, shape [S]
    """

    values: Float64Array
    observed: NDArray[np.bool_]
    lengths: NDArray[np.intp]

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Whether a sequence has not ended, [S, T]."""
        return np.asarray(np.arange(self.values.shape[1]) < self.lengths[:, None])


def as_sequences(x: ArrayLike | Sequence[ArrayLike], n_observed: int, name: str = "X") -> Sequences:
    """Arrays [T, D], one or several or a single array [S, T, D], in which NaN stands for what was not observed.

    Raises
    ------
    ValueError, TypeError
        If there is no sequence, one is empty or has another width, or a value is infinite.
    """
    parts = list(x) if isinstance(x, list | tuple) or np.ndim(x) == 3 else [x]  # type: ignore[arg-type]
    rows = [np.asarray(part, dtype=np.float64) for part in parts]
    if not rows:
        raise ValueError(f"{name}: expected at least one sequence")
    for row in rows:
        if row.ndim != 2 or row.shape[1] != n_observed or len(row) == 0:
            raise ValueError(f"{name}: expected sequences of shape [T >= 1, {n_observed}], given {given(row)}")
        if np.isinf(row).any():
            raise ValueError(f"{name}: expected finite values, or NaN for what was not observed")
    lengths = np.array([len(row) for row in rows], dtype=np.intp)
    values = np.full((len(rows), lengths.max(), n_observed), np.nan)
    for row, target in zip(rows, values, strict=True):
        target[: len(row)] = row
    observed = np.isfinite(values)
    return Sequences(np.where(observed, values, 0.0), observed, lengths)


@dataclass(frozen=True)
class Posterior:
    """States given observations.

    Attributes
    ----------
    mean : array of float64, shape [S, T, K]
    covariance : array of float64, shape [S, T, K, K]
    lagged : array of float64, shape [S, T - 1, K, K], or None
        Covariance of the states at t + 1 (rows) and t (columns); of smoothed states only.
    log_likelihood : float
        Of all observations, in nats.
    """

    mean: Float64Array
    covariance: Float64Array
    lagged: Float64Array | None
    log_likelihood: float


class LinearDynamics(SavedModel):
    """States that follow linear dynamics, seen through a linear map with noise [1]_ [2]_::

        x_1 ~ N(initial_mean, initial_covariance)
        x_t = transition x_{t-1} + N(0, transition_covariance)
        y_t = emission x_t + offset + N(0, diag(noise))

    All arithmetic is float64. Observations may be missing, any of them at any time: NaN.

    Parameters
    ----------
    n_observed, n_latent : int >= 1
    seed : int in [0, 2**64)
        :meth:`sample` is a function of it.

    Attributes
    ----------
    transition, transition_covariance : arrays, shape [K, K]
    emission : array, shape [D, K]
    offset, noise : arrays, shape [D]
        ``noise`` has variances.
    initial_mean : array, shape [K]
    initial_covariance : array, shape [K, K]
    epochs_trained : int

    Raises
    ------
    ValueError, TypeError
        If a size is below 1 or the seed is out of range.

    References
    ----------
    .. [1] R. E. Kalman, "A new approach to linear filtering and prediction problems", J. Basic Engineering 82, 1960.
    .. [2] Z. Ghahramani, G. E. Hinton, "Parameter estimation for linear dynamical systems", University of Toronto
           technical report CRG-TR-96-2, 1996.

    Examples
    --------
    >>> import numpy as np
    >>> import hintoncore as hc
    >>> t = np.arange(200)[:, None]
    >>> wave = np.hstack([np.sin(0.3 * t), np.cos(0.3 * t)]) + 0.01 * np.random.default_rng(0).normal(size=(200, 2))
    >>> model = hc.models.LinearDynamics(2, 2).fit(wave, epochs=5)
    >>> bool(np.abs(np.abs(np.angle(model.eigenvalues)) - 0.3).max() < 0.01)
    True
    """

    _file = ModelFile(
        "linear dynamics", "model of linear dynamics", ("n_observed", "n_latent", "seed"), counters=("epochs_trained",)
    )

    def __init__(self, n_observed: int, n_latent: int, *, seed: int = 0) -> None:
        self.n_observed = as_count(n_observed, "n_observed")
        self.n_latent = as_count(n_latent, "n_latent")
        self.seed = as_int(seed, "seed", 0, 2**64 - 1)
        self.transition: Float64Array = 0.9 * np.eye(self.n_latent)
        self.transition_covariance: Float64Array = 0.19 * np.eye(self.n_latent)
        self.emission: Float64Array = np.eye(self.n_observed, self.n_latent)
        self.offset: Float64Array = np.zeros(self.n_observed)
        self.noise: Float64Array = np.ones(self.n_observed)
        self.initial_mean: Float64Array = np.zeros(self.n_latent)
        self.initial_covariance: Float64Array = np.eye(self.n_latent)
        self.epochs_trained = 0
        self._sampling_rng = Generator(derive_seed(self.seed, Stream.SAMPLING))

    def __repr__(self) -> str:
        """Sizes and seed, as the constructor takes them."""
        return f"LinearDynamics({self.n_observed}, {self.n_latent}, seed={self.seed})"

    @property
    def eigenvalues(self) -> NDArray[np.complex128]:
        """Of the transition, the largest in modulus first: they do not depend on the coordinates of the states."""
        values = np.linalg.eigvals(self.transition).astype(np.complex128)
        return values[np.lexsort((values.imag, -np.abs(values).round(12)))]

    def fit(
        self,
        X: ArrayLike | Sequence[ArrayLike],
        epochs: int = 50,
        *,
        callbacks: Sequence[Callback] = (),
        resume: str | os.PathLike[str] | None = None,
    ) -> LinearDynamics:
        """Maximise the likelihood by EM (section 3 of [2]_), from where a subspace method starts it.

        Parameters
        ----------
        X : array [T, D], sequence of such arrays, or array [S, T, D]
            NaN where nothing was observed.
        epochs : int >= 0
            E and M steps; a resumed run counts those already done.
        callbacks : sequence of Callback
        resume : path, optional
            Checkpoint of the same run to go on from.

        Returns
        -------
        LinearDynamics
            This model.

        Raises
        ------
        ValueError, TypeError
            If the data do not fit, or the checkpoint belongs to other data.
        FloatingPointError
            If the likelihood falls by more than rounding can explain.
        """
        from hintoncore.train.kalman import KalmanEM
        from hintoncore.train.trainer import Trainer

        task = KalmanEM(self, X)
        trainer = Trainer(task, batch_size=task.n_rows, callbacks=callbacks)
        if resume is not None:
            trainer.load_checkpoint(resume)
        trainer.run(as_count(epochs, "epochs", low=0))
        return self

    def filter(self, X: ArrayLike | Sequence[ArrayLike] | Sequences) -> Posterior:
        """States given all observations up to their time.

        Raises
        ------
        ValueError, TypeError
            If the data do not fit.
        """
        data = X if isinstance(X, Sequences) else as_sequences(X, self.n_observed)
        return _filter(self, data)[0]

    def smooth(self, X: ArrayLike | Sequence[ArrayLike] | Sequences) -> Posterior:
        """States given all observations (Rauch, Tung and Striebel 1965).

        Raises
        ------
        ValueError, TypeError
            If the data do not fit.
        """
        data = X if isinstance(X, Sequences) else as_sequences(X, self.n_observed)
        filtered, (means, covariances) = _filter(self, data)
        mean, covariance = filtered.mean.copy(), filtered.covariance.copy()
        n_sequences, length = mean.shape[:2]
        lagged = np.empty((n_sequences, max(0, length - 1), self.n_latent, self.n_latent))
        for t in reversed(range(length - 1)):
            gain = np.linalg.solve(covariances[:, t + 1], self.transition @ filtered.covariance[:, t]).swapaxes(1, 2)
            mean[:, t] += _times(gain, mean[:, t + 1] - means[:, t + 1])
            change = gain @ (covariance[:, t + 1] - covariances[:, t + 1]) @ gain.swapaxes(1, 2)
            covariance[:, t] = _symmetric(covariance[:, t] + change)
            lagged[:, t] = covariance[:, t + 1] @ gain.swapaxes(1, 2)
        return Posterior(mean, covariance, lagged, filtered.log_likelihood)

    def log_likelihood(self, X: ArrayLike | Sequence[ArrayLike]) -> float:
        """Of all observations, in nats; missing ones are integrated out."""
        return self.filter(X).log_likelihood

    def predict(self, X: ArrayLike | Sequence[ArrayLike], horizon: int = 1) -> Float64Array:
        """Expected observations ``horizon`` steps on, given all up to each time: float64 [S, T, D].

        Element [s, t] is about time t + horizon. Horizon 0 is the filtered observation, which fills in what is missing.

        Raises
        ------
        ValueError, TypeError
            If the data do not fit or the horizon is negative.
        """
        steps = as_count(horizon, "horizon", low=0)
        ahead = self.emission @ np.linalg.matrix_power(self.transition, steps)
        return np.asarray(self.filter(X).mean @ ahead.T + self.offset)

    def fill_in(self, X: ArrayLike | Sequence[ArrayLike]) -> Float64Array:
        """Observations with what is missing replaced by what is expected given all that is there: [S, T, D]."""
        data = as_sequences(X, self.n_observed)
        expected = self.smooth(data).mean @ self.emission.T + self.offset
        return np.asarray(np.where(data.observed, data.values, expected))

    def sample(self, n: int, length: int, *, rng: RngLike | None = None) -> tuple[Float64Array, Float64Array]:
        """Draw ``n`` sequences: observations [n, length, D] and states [n, length, K]; four offsets are consumed."""
        generator = self._sampling_rng if rng is None else as_generator(rng)
        shape = (as_count(n, "n"), as_count(length, "length"))
        innovations = generator.normal((*shape, self.n_latent)).astype(np.float64)
        noise = generator.normal((*shape, self.n_observed)).astype(np.float64) * np.sqrt(self.noise)
        first, others = (np.linalg.cholesky(c) for c in (self.initial_covariance, self.transition_covariance))
        states = np.empty((*shape, self.n_latent))
        states[:, 0] = self.initial_mean + innovations[:, 0] @ first.T
        for t in range(1, shape[1]):
            states[:, t] = states[:, t - 1] @ self.transition.T + innovations[:, t] @ others.T
        return states @ self.emission.T + self.offset + noise, states

    def parameters(self) -> dict[str, Float64Array]:
        """Parameters by name."""
        return {
            "transition": self.transition,
            "transition_covariance": self.transition_covariance,
            "emission": self.emission,
            "offset": self.offset,
            "noise": self.noise,
            "initial_mean": self.initial_mean,
            "initial_covariance": self.initial_covariance,
        }

    def set_parameters(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Copy parameters in.

        Raises
        ------
        KeyError
            If one is missing.
        ValueError
            If one has another shape or dtype, a value that is not finite, or a variance that is not positive; nothing
            is changed then.
        """
        for name, parameter in self.parameters().items():
            tensor = tensors[name]
            if tensor.shape != parameter.shape or tensor.dtype != np.float64 or not np.isfinite(tensor).all():
                raise ValueError(f"{name}: expected finite float64 {list(parameter.shape)}, given {given(tensor)}")
        for name in ("transition_covariance", "initial_covariance"):
            if not (np.linalg.eigvalsh(tensors[name]) > 0).all():
                raise ValueError(f"{name}: expected a positive definite matrix")
        if not (tensors["noise"] > 0).all():
            raise ValueError("noise: expected variances > 0")
        for name in self.parameters():
            setattr(self, name, tensors[name].copy())


def _filter(model: LinearDynamics, data: Sequences) -> tuple[Posterior, tuple[Float64Array, Float64Array]]:
    """Filtered states, and the predicted means and covariances before each observation.

    In information form: only K x K matrices are inverted, however many observations there are, and a missing one is a
    term that is left out.
    """
    n_sequences, length, _ = data.values.shape
    k = model.n_latent
    mean, covariance = np.empty((n_sequences, length, k)), np.empty((n_sequences, length, k, k))
    predicted_mean, predicted_covariance = np.empty_like(mean), np.empty_like(covariance)
    precision = data.observed / model.noise  # 0 where nothing was observed
    outer = (model.emission[:, :, None] * model.emission[:, None, :]).reshape(model.n_observed, k * k)
    before_mean = np.tile(model.initial_mean, (n_sequences, 1))
    before = np.tile(model.initial_covariance, (n_sequences, 1, 1))
    quadratic = log_determinant = 0.0
    for t in range(length):
        predicted_mean[:, t], predicted_covariance[:, t] = before_mean, before
        residual = data.values[:, t] - model.offset - before_mean @ model.emission.T
        weighted = precision[:, t] * residual
        information = np.linalg.inv(before) + (precision[:, t] @ outer).reshape(-1, k, k)
        after = _symmetric(np.linalg.inv(information))
        score = weighted @ model.emission
        move = _times(after, score)
        mean[:, t], covariance[:, t] = before_mean + move, after
        quadratic += float((weighted * residual).sum() - (score * move).sum())
        log_determinant += float((np.linalg.slogdet(before)[1] + np.linalg.slogdet(information)[1]).sum())
        before_mean = mean[:, t] @ model.transition.T
        before = _symmetric(model.transition @ after @ model.transition.T + model.transition_covariance)
    log_determinant += float((data.observed * np.log(model.noise)).sum())
    log_likelihood = -0.5 * (quadratic + log_determinant + data.observed.sum() * np.log(2 * np.pi))
    return Posterior(mean, covariance, None, float(log_likelihood)), (predicted_mean, predicted_covariance)


def _times(matrices: NDArray[Any], vectors: NDArray[Any]) -> Float64Array:
    """Product of each matrix [S, K, K] with its vector [S, K]."""
    return np.asarray((matrices @ vectors[:, :, None])[:, :, 0])


def _symmetric(matrices: NDArray[Any]) -> Float64Array:
    return np.asarray((matrices + matrices.swapaxes(-1, -2)) / 2)
