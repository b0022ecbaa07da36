"""The variational autoencoder: a Gaussian code, a net that draws images from it, and a net that explains them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import nn
from hintoncore._counts import as_count
from hintoncore._streams import Stream, derive_seed
from hintoncore._validate import as_int
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator, RngLike, as_generator
from hintoncore.models._files import ModelFile, SavedModel
from hintoncore.models._rows import as_rows, dense_blocks
from hintoncore.models.units import BernoulliUnits
from hintoncore.nn import _arithmetic
from hintoncore.nn.network import _Composite

if TYPE_CHECKING:
    from hintoncore.likelihood import ImportanceEstimate
    from hintoncore.train import Callback, Schedule

__all__ = ["VAE", "NegativeBound"]

Array = NDArray[Any]
Float32Array = NDArray[np.float32]

_BLOCK_ROWS = 1024
_BLOCK_SAMPLES = 500  # whose pixels stay in the second-level cache
_UNITS = BernoulliUnits()


class VAE(_Composite, SavedModel):
    """A directed model of binary data with a code of Gaussian variables [1]_.

    The model draws ``z ~ N(0, 1)`` and then pixels with probabilities ``sigmoid(decoder(z))``. The encoder answers an
    image ``x`` with a Gaussian ``q(z | x)`` of means ``m`` and log variances ``s``. Both are trained to raise the bound
    (eq. 3 and 10 of [1]_)::

        log p(x) >= E_q[log p(x | z)] - KL(q(z | x) || p(z))
        KL = 1/2 sum_k (m_k^2 + exp(s_k) - s_k - 1)

    With ``z = m + exp(s / 2) noise`` a sample of the first term has a gradient with respect to m and s (eq. 4 there);
    the second is exact.

    It is an :class:`nn.Layer`, which optimisers, gradient checks and checkpoints take. :meth:`forward` gives pixel
    logits, means and log variances side by side, of which :class:`NegativeBound` makes the loss.

    Parameters
    ----------
    n_visible, n_latent : int >= 1
    hidden : sequence of int >= 1
        Widths of the encoder's hidden layers; the decoder has them in reverse.
    activation : {"tanh", "relu", "sigmoid"}
        Of the hidden layers.
    seed : int in [0, 2**64)
        Initial weights, training and :meth:`sample` are functions of it.

    Attributes
    ----------
    encoder, decoder : nn.Sequential
        Parameters are named ``0.LAYER.w`` and ``1.LAYER.w``.
    epochs_trained : int

    Raises
    ------
    ValueError, TypeError
        If a size is below 1, the activation is unknown or the seed is out of range.

    References
    ----------
    .. [1] D. P. Kingma, M. Welling, "Auto-encoding variational Bayes", ICLR 2014.

    Examples
    --------
    >>> import hintoncore as hc
    >>> digits = hc.datasets.load("digits")
    >>> model = hc.models.VAE(64, 8, (32,), seed=1).fit(digits.train, epochs=2)
    >>> model.encode(hc.datasets.binarize(digits.test))[0].shape
    (297, 8)
    """

    _file = ModelFile(
        "variational autoencoder",
        "variational autoencoder",
        ("n_visible", "n_latent", "hidden", "activation", "seed"),
        counters=("epochs_trained",),
    )

    def __init__(
        self,
        n_visible: int,
        n_latent: int,
        hidden: Sequence[int] = (200, 200),
        *,
        activation: str = "tanh",
        seed: int = 0,
    ) -> None:
        self.n_visible = as_count(n_visible, "n_visible")
        self.n_latent = as_count(n_latent, "n_latent")
        self.hidden = tuple(as_count(width, "hidden") for width in hidden)
        self.activation = activation
        self.seed = as_int(seed, "seed", 0, 2**64 - 1)
        rng = Generator(derive_seed(self.seed, Stream.WEIGHTS))
        self.encoder = _net((self.n_visible, *self.hidden, 2 * self.n_latent), activation, rng)
        self.decoder = _net((self.n_latent, *self.hidden[::-1], self.n_visible), activation, rng)
        super().__init__([self.encoder, self.decoder])
        self.epochs_trained = 0
        self._noise_seed = derive_seed(self.seed, Stream.TRAINING)
        self._offset = 0
        self._drawn: tuple[Array, Array] | None = None
        self._sampling_rng = Generator(derive_seed(self.seed, Stream.SAMPLING))

    def __repr__(self) -> str:
        """Sizes, activation and seed, as the constructor takes them."""
        return (
            f"VAE({self.n_visible}, {self.n_latent}, {self.hidden}, activation={self.activation!r}, seed={self.seed})"
        )

    def fit(
        self,
        X: ArrayLike,
        epochs: int,
        *,
        batch_size: int = 100,
        learning_rate: float | Schedule = 0.001,
        validation: ArrayLike | BitMatrix | None = None,
        callbacks: Sequence[Callback] = (),
        resume: str | os.PathLike[str] | None = None,
    ) -> VAE:
        """Raise the bound by Adam.

        Parameters
        ----------
        X : array in [0, 1], shape [N, V]
            Grey values are probabilities of bits, which are drawn anew whenever a row is met.
        epochs : int >= 0
            Passes over the rows; a resumed run counts those already done.
        batch_size : int >= 1
        learning_rate : float or Schedule
        validation : array of 0 and 1, shape [N, V], or BitMatrix, optional
            Held-out rows; every record then has their ``validation_bound``.
        callbacks : sequence of Callback
        resume : path, optional
            Checkpoint of the same run to go on from.

        Returns
        -------
        VAE
            This model.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range, or the checkpoint belongs to other data or settings.
        FloatingPointError
            If the bound or a parameter became NaN or infinite.
        """
        from hintoncore.train.trainer import Trainer
        from hintoncore.train.variational import VariationalLearning

        task = VariationalLearning(self, X, optimiser=nn.Adam(learning_rate), seed=self.seed, validation=validation)
        trainer = Trainer(task, batch_size=batch_size, callbacks=callbacks)
        if resume is not None:
            trainer.load_checkpoint(resume)
        trainer.run(as_count(epochs, "epochs", low=0))
        return self

    def forward(self, x: Array, *, training: bool = False) -> Array:  # noqa: ARG002
        """Pixel logits, means and log variances side by side, [B, V + 2 K], for x [B, V] and one draw of the code.

        Raises
        ------
        FloatingPointError
            If a variance overflows.
        """
        code = self.encoder.forward(x, training=True)
        noise = Generator(self._noise_seed, self._offset).normal((len(x), self.n_latent)).astype(code.dtype, copy=False)
        self._offset += 2
        with np.errstate(over="ignore"):
            spread = np.exp(code[:, self.n_latent :] / 2) * noise
        if not np.isfinite(spread).all():
            raise FloatingPointError("code: its variance overflows; lower the learning rate")
        self._drawn = spread, noise
        return np.concatenate([self.decoder.forward(code[:, : self.n_latent] + spread, training=True), code], axis=1)

    def backward(self, dy: Array, *, input_gradient: bool = True) -> Array | None:
        """Gradients from that of the output of :meth:`forward`; the pixels' part reaches the encoder through z."""
        spread, _ = self._kept("_drawn")
        dz = self.decoder.backward(np.ascontiguousarray(dy[:, : self.n_visible]))
        assert dz is not None
        code_gradient = dy[:, self.n_visible :] + np.concatenate([dz, dz * spread / 2], axis=1)
        return self.encoder.backward(code_gradient, input_gradient=input_gradient)

    def counters(self) -> dict[str, int]:
        """The offset of the next noise."""
        return {"offset": self._offset}

    def set_counters(self, counters: Mapping[str, int]) -> None:
        """Go to an offset."""
        self._offset = counters["offset"]

    def describe(self) -> dict[str, Any]:
        """What the constructor was given."""
        return {"layer": "VAE", "model": repr(self)}

    def encode(self, X: ArrayLike | BitMatrix) -> tuple[Float32Array, Float32Array]:
        """Means and log variances of ``q(z | x)``, float32 [N, K] each.

        Raises
        ------
        ValueError, TypeError
            If ``X`` does not fit, is empty, or leaves [0, 1].
        """
        codes = np.concatenate([self.encoder.forward(block) for block in self._blocks(X)])
        return codes[:, : self.n_latent], codes[:, self.n_latent :]

    def decode(self, z: ArrayLike) -> Float32Array:
        """Pixel probabilities of codes z [N, K], float32 [N, V].

        Raises
        ------
        ValueError
            If the shape is wrong or a value is not finite.
        """
        codes = np.ascontiguousarray(z, dtype=np.float32)
        if codes.ndim != 2 or codes.shape[1] != self.n_latent or len(codes) == 0:
            raise ValueError(f"z: expected shape [N, {self.n_latent}], given {list(codes.shape)}")
        if not np.isfinite(codes).all():
            raise ValueError("z: expected finite values")
        probabilities: Float32Array = _arithmetic.sigmoid(self.decoder.forward(codes))
        return probabilities

    def reconstruct(self, X: ArrayLike | BitMatrix) -> Float32Array:
        """Pixel probabilities at the mean of ``q(z | x)``, float32 [N, V]."""
        return self.decode(self.encode(X)[0])

    def sample(self, n: int, *, rng: RngLike | None = None) -> Float32Array:
        """Pixel probabilities for codes drawn from the prior, float32 [n, V]; two offsets are consumed.

        The model's own generator draws when none is given.
        """
        generator = self._sampling_rng if rng is None else as_generator(rng)
        return self.decode(generator.normal((as_count(n, "n"), self.n_latent)))

    def bound(self, X: ArrayLike | BitMatrix, *, rng: RngLike = 0) -> float:
        """The variational bound in nats a row, with one draw of the code for each and the exact divergence.

        Parameters
        ----------
        X : array of 0 and 1, shape [N, V], or BitMatrix
        rng : Generator or int
            Two offsets are consumed for each 1024 rows.
        """
        generator = as_generator(rng)
        total, n_rows = 0.0, 0
        for x in self._binary_blocks(X):
            code = self.encoder.forward(x)
            mean, log_variance = code[:, : self.n_latent], code[:, self.n_latent :]
            z = mean + np.exp(log_variance / 2) * generator.normal(mean.shape)
            total += float(_log_bernoulli(self.decoder.forward(z), x).sum()) - float(_divergence(code).sum())
            n_rows += len(x)
        return total / n_rows

    def importance_log_likelihood(
        self, X: ArrayLike | BitMatrix, samples: int = 100, *, rng: RngLike = 0
    ) -> ImportanceEstimate:
        """Estimate ``log p(x)`` with codes from the encoder: ``log mean_k p(x, z_k) / q(z_k | x)`` [2]_.

        Parameters
        ----------
        X : array of 0 and 1, shape [N, V], or BitMatrix
        samples : int >= 2
            Of each row. In expectation the estimate is at most the true value, and more samples never loosen it.
        rng : Generator or int
            Two offsets are consumed for each row and 500 samples.

        Returns
        -------
        hintoncore.likelihood.ImportanceEstimate
            The mean over weights is taken in float64.

        References
        ----------
        .. [2] Y. Burda, R. Grosse, R. Salakhutdinov, "Importance weighted autoencoders", ICLR 2016, eq. 8.
        """
        from hintoncore.likelihood._importance import estimate_from_weights

        samples = as_count(samples, "samples", low=2)
        generator = as_generator(rng)
        return estimate_from_weights(
            self._log_weights(row, samples, generator) for block in self._binary_blocks(X) for row in block
        )

    def _log_weights(self, x: Float32Array, samples: int, generator: Generator) -> NDArray[np.float64]:
        """``log p(x, z) - log q(z | x)`` of one row, shape [1, samples]: the normalisers of both Gaussians cancel."""
        code = self.encoder.forward(x[None, :])[0]
        mean, log_variance = code[: self.n_latent], code[self.n_latent :]
        spread = np.exp(log_variance / 2)
        weights = np.empty((1, samples))
        for first in range(0, samples, _BLOCK_SAMPLES):
            noise = generator.normal((min(_BLOCK_SAMPLES, samples - first), self.n_latent))
            z = mean + spread * noise
            log_ratio = 0.5 * (log_variance.sum(dtype=np.float64) + _squares(noise) - _squares(z))
            weights[0, first : first + len(z)] = _log_bernoulli(self.decoder.forward(z), x) + log_ratio
        return weights

    def _blocks(self, X: ArrayLike | BitMatrix) -> Iterator[Float32Array]:
        return dense_blocks(as_rows(X, self.n_visible), self.n_visible, _BLOCK_ROWS, units=_UNITS)

    def _binary_blocks(self, X: ArrayLike | BitMatrix) -> Iterator[Float32Array]:
        for block in self._blocks(X):
            if not ((block == 0) | (block == 1)).all():
                raise ValueError("X: the likelihood needs values that are 0 or 1")
            yield block


class NegativeBound:
    """Minus the variational bound, averaged over the rows: a :class:`nn.Loss` of :meth:`VAE.forward`'s output.

    Parameters
    ----------
    n_visible : int >= 1
        Columns of logits; means and log variances of the code follow.
    """

    def __init__(self, n_visible: int) -> None:
        self.n_visible = as_count(n_visible, "n_visible")
        self._pixels = nn.BinaryCrossEntropy()

    def __call__(self, y: Array, target: Array) -> tuple[float, Array]:
        """Loss in nats, and its gradient in the columns of ``y``."""
        logits, code = np.ascontiguousarray(y[:, : self.n_visible]), y[:, self.n_visible :]
        value, dlogits = self._pixels(logits, target)
        n_latent, scale = code.shape[1] // 2, y.dtype.type(1 / len(y))
        mean, log_variance = code[:, :n_latent], code[:, n_latent:]
        gradient = np.concatenate([dlogits, mean * scale, np.expm1(log_variance) * (scale / 2)], axis=1)
        return value + float(_divergence(code).mean()), gradient

    def errors(self, y: Array, target: Array) -> Array | None:  # noqa: ARG002
        """None: there are no classes."""
        return None


def _net(widths: Sequence[int], activation: str, rng: Generator) -> nn.Sequential:
    last = len(widths) - 2
    return nn.Sequential(
        [
            nn.Linear(n_in, n_out, activation="none" if i == last else activation, rng=rng)
            for i, (n_in, n_out) in enumerate(pairwise(widths))
        ]
    )


def _log_bernoulli(logits: Array, x: Array) -> NDArray[np.float64]:
    """``log p(x | z)`` of each row of logits."""
    return np.asarray((x * logits - _arithmetic.softplus(logits)).sum(axis=1, dtype=np.float64))


def _squares(rows: Array) -> NDArray[np.float64]:
    return np.asarray(np.square(rows, dtype=np.float64).sum(axis=1))


def _divergence(code: Array) -> NDArray[np.float64]:
    """``KL(N(m, exp(s)) || N(0, 1))`` of each row of ``[m, s]``."""
    mean, log_variance = np.split(code.astype(np.float64), 2, axis=1)
    return np.asarray(0.5 * (mean**2 + np.expm1(log_variance) - log_variance).sum(axis=1))
