"""Generative adversarial nets: one net makes images from noise, another learns to tell them from the data."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import nn
from hintoncore._counts import as_count
from hintoncore._streams import Stream, derive_seed
from hintoncore._validate import as_int, as_number
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator, RngLike, as_generator
from hintoncore.models._files import ModelFile, SavedModel
from hintoncore.models._rows import as_rows, dense_blocks
from hintoncore.models.units import BernoulliUnits
from hintoncore.nn import _arithmetic
from hintoncore.nn.network import _Composite

if TYPE_CHECKING:
    from hintoncore.train import Callback, Schedule

__all__ = ["GAN"]

Array = NDArray[Any]
Float32Array = NDArray[np.float32]

_BLOCK_ROWS = 1024
_UNITS = BernoulliUnits()


class GAN(_Composite, SavedModel):
    """A generator ``x = G(z)`` and a discriminator ``D(x)``, the probability that x is of the data [1]_.

    They play a game of two players (eq. 1 of [1]_)::

        min_G max_D  E_data[log D(x)] + E_z[log(1 - D(G(z)))]

    The generator raises ``E_z[log D(G(z))]`` in place of lowering the second term (section 3 there): the same fixed
    point, but a gradient that does not vanish while the discriminator is sure.

    As in the paper the generator has rectified hidden units and logistic outputs, so that images have values in (0, 1),
    and the discriminator maxout units and dropout. The noise is uniform with mean 0 and variance 1.

    Parameters
    ----------
    n_visible, n_noise : int >= 1
    generator_hidden, discriminator_hidden : sequence of int >= 1
        Widths of the hidden layers.
    pieces : int >= 1
        Linear functions of a maxout unit.
    dropout : (float, float) in [0, 1)
        Shares of the discriminator's inputs and hidden units that are dropped while it is trained.
    seed : int in [0, 2**64)
        Initial weights, training and :meth:`sample` are functions of it.

    Attributes
    ----------
    generator, discriminator : nn.Sequential
        Parameters are named ``0.LAYER.w`` and ``1.LAYER.w``; the discriminator's output is a logit.
    epochs_trained : int

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    References
    ----------
    .. [1] I. Goodfellow, J. Pouget-Abadie, M. Mirza, B. Xu, D. Warde-Farley, S. Ozair, A. Courville, Y. Bengio,
           "Generative adversarial nets", NIPS 2014.

    Examples
    --------
    >>> import hintoncore as hc
    >>> digits = hc.datasets.load("digits")
    >>> model = hc.models.GAN(64, 10, (32,), (32,), seed=1).fit(digits.train, epochs=1)
    >>> model.sample(5).shape
    (5, 64)
    """

    _file = ModelFile(
        "generative adversarial nets",
        "pair of adversarial nets",
        ("n_visible", "n_noise", "generator_hidden", "discriminator_hidden", "pieces", "dropout", "seed"),
        counters=("epochs_trained",),
    )

    def __init__(
        self,
        n_visible: int,
        n_noise: int = 100,
        generator_hidden: Sequence[int] = (256, 512),
        discriminator_hidden: Sequence[int] = (120, 120),
        *,
        pieces: int = 5,
        dropout: tuple[float, float] = (0.2, 0.5),
        seed: int = 0,
    ) -> None:
        self.n_visible = as_count(n_visible, "n_visible")
        self.n_noise = as_count(n_noise, "n_noise")
        self.generator_hidden = tuple(as_count(width, "generator_hidden") for width in generator_hidden)
        self.discriminator_hidden = tuple(as_count(width, "discriminator_hidden") for width in discriminator_hidden)
        self.pieces = as_count(pieces, "pieces")
        if not isinstance(dropout, tuple | list) or len(dropout) != 2:
            raise TypeError(f"dropout: expected a pair (of inputs, of hidden units), given {dropout!r}")
        self.dropout = (as_number(dropout[0], "dropout[0]"), as_number(dropout[1], "dropout[1]"))
        self.seed = as_int(seed, "seed", 0, 2**64 - 1)
        rng = Generator(derive_seed(self.seed, Stream.WEIGHTS))
        self.generator = self._generator(rng)
        self.discriminator = self._discriminator(rng)
        super().__init__([self.generator, self.discriminator])
        self.epochs_trained = 0
        self._sampling_rng = Generator(derive_seed(self.seed, Stream.SAMPLING))

    def __repr__(self) -> str:
        """What the constructor was given."""
        return (
            f"GAN({self.n_visible}, {self.n_noise}, {self.generator_hidden}, {self.discriminator_hidden}, "
            f"pieces={self.pieces}, dropout={self.dropout}, seed={self.seed})"
        )

    def _generator(self, rng: Generator) -> nn.Sequential:
        widths = (self.n_noise, *self.generator_hidden)
        layers = [nn.Linear(n_in, n_out, activation="relu", rng=rng) for n_in, n_out in pairwise(widths)]
        return nn.Sequential([*layers, nn.Linear(widths[-1], self.n_visible, activation="sigmoid", rng=rng)])

    def _discriminator(self, rng: Generator) -> nn.Sequential:
        of_inputs, of_hidden = self.dropout
        widths = (self.n_visible, *self.discriminator_hidden)
        layers: list[nn.Layer] = [nn.Dropout(of_inputs, rng=rng)]
        for n_in, n_out in pairwise(widths):
            layers += [nn.Linear(n_in, self.pieces * n_out, rng=rng), nn.Maxout(self.pieces)]
            layers.append(nn.Dropout(of_hidden, rng=rng))
        return nn.Sequential([*layers, nn.Linear(widths[-1], 1, rng=rng)])

    def fit(
        self,
        X: ArrayLike,
        epochs: int,
        *,
        batch_size: int = 100,
        discriminator_steps: int = 1,
        learning_rate: float | Schedule = 0.0002,
        callbacks: Sequence[Callback] = (),
        resume: str | os.PathLike[str] | None = None,
    ) -> GAN:
        """Play the game by Adam with ``beta1 = 0.5``.

        Parameters
        ----------
        X : array in [0, 1], shape [N, V]
        epochs : int >= 0
            Passes over the rows; a resumed run counts those already done.
        batch_size : int >= 1
        discriminator_steps : int >= 1
            Updates of the discriminator to one of the generator, k of algorithm 1 in [1]_. Each takes its own share of
            a minibatch.
        learning_rate : float or Schedule
        callbacks : sequence of Callback
        resume : path, optional
            Checkpoint of the same run to go on from.

        Returns
        -------
        GAN
            This model.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range, or the checkpoint belongs to other data or settings.
        FloatingPointError
            If a loss or a parameter became NaN or infinite.
        """
        from hintoncore.train.adversarial import AdversarialLearning
        from hintoncore.train.trainer import Trainer

        task = AdversarialLearning(
            self,
            X,
            generator_optimiser=nn.Adam(learning_rate, beta1=0.5),
            discriminator_optimiser=nn.Adam(learning_rate, beta1=0.5),
            discriminator_steps=discriminator_steps,
            seed=self.seed,
        )
        trainer = Trainer(task, batch_size=batch_size, callbacks=callbacks)
        if resume is not None:
            trainer.load_checkpoint(resume)
        trainer.run(as_count(epochs, "epochs", low=0))
        return self

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Logits of the discriminator for the generator's images of noise x [B, Z]: [B, 1]."""
        return self.discriminator.forward(self.generator.forward(x, training=training), training=training)

    def backward(self, dy: Array, *, input_gradient: bool = True) -> Array | None:
        """Gradients of both nets; the generator's come through the discriminator."""
        dx = self.discriminator.backward(dy)
        assert dx is not None
        return self.generator.backward(dx, input_gradient=input_gradient)

    def noise(self, n: int, rng: Generator) -> Float32Array:
        """Uniform noise of mean 0 and variance 1, [n, Z]; one offset is consumed."""
        return (2 * rng.random((n, self.n_noise)) - 1) * np.float32(3**0.5)

    def sample(self, n: int, *, rng: RngLike | None = None) -> Float32Array:
        """Images in (0, 1), float32 [n, V]; one offset is consumed.

        The model's own generator draws when none is given.
        """
        generator = self._sampling_rng if rng is None else as_generator(rng)
        images: Float32Array = self.generator.forward(self.noise(as_count(n, "n"), generator))
        return images

    def discriminate(self, X: ArrayLike | BitMatrix) -> Float32Array:
        """Probability that each row is of the data, float32 [N].

        Raises
        ------
        ValueError, TypeError
            If ``X`` does not fit, is empty, or leaves [0, 1].
        """
        blocks = dense_blocks(as_rows(X, self.n_visible), self.n_visible, _BLOCK_ROWS, units=_UNITS)
        return np.concatenate([_arithmetic.sigmoid(self.discriminator.forward(block))[:, 0] for block in blocks])

    def describe(self) -> dict[str, Any]:
        """What the constructor was given."""
        return {"layer": "GAN", "model": repr(self)}
