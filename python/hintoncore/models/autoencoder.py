"""The deep autoencoder: a stack of restricted Boltzmann machines, unrolled and fine-tuned."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import nn, ops
from hintoncore._counts import as_count
from hintoncore._streams import Stream, derive_seed
from hintoncore._validate import as_int
from hintoncore.generator import Generator
from hintoncore.models._files import ModelFile, SavedModel
from hintoncore.models._parameters import copy_parameters
from hintoncore.models._rows import dense_blocks
from hintoncore.models.rbm import RBM
from hintoncore.models.units import unit_type

if TYPE_CHECKING:
    from hintoncore.train import Callback

__all__ = ["DeepAutoencoder"]

Float32Array = NDArray[np.float32]

_BLOCK_ROWS = 1024

_MEAN = {"bernoulli": "sigmoid", "spin": "tanh", "gaussian:unit": "none"}
"""The activation that gives the mean of a unit of each type."""


class DeepAutoencoder(SavedModel):
    """Encoder and decoder of mirrored layers with weights of their own (Hinton and Salakhutdinov 2006).

    A layer computes the mean of its units, ``sigmoid(x)`` of Bernoulli ones; the code is linear unless told otherwise.
    Bernoulli visible units are fine-tuned by the cross-entropy ``- sum_i p_i log q_i + (1 - p_i) log(1 - q_i)`` of
    pixels p and reconstructions q, Gaussian ones by the squared error.

    Parameters
    ----------
    sizes : sequence of at least two int >= 1
        Visible units, hidden layers, code: ``[784, 1000, 500, 250, 30]``.
    visible : {"bernoulli", "gaussian:unit"}
    hidden : {"bernoulli", "spin"}
        Of all layers between.
    code : {"gaussian:unit", "bernoulli", "spin"}
        The first is the linear code.
    seed : int in [0, 2**64)
        Of the initial weights (Glorot and Bengio 2010) and of the data order of :meth:`fit`.

    Attributes
    ----------
    network : nn.Sequential
        Encoder and decoder in one; its output is the total input of the visible units.
    loss : nn.Loss
    epochs_trained : int

    Raises
    ------
    ValueError, TypeError
        If a size is below 1, there are fewer than two, a unit type is not one of these, or the seed is out of range.

    References
    ----------
    .. [1] G. E. Hinton and R. R. Salakhutdinov, "Reducing the dimensionality of data with neural networks", Science
           313, 2006.

    Examples
    --------
    >>> import hintoncore as hc
    >>> digits = hc.datasets.load("digits")
    >>> first = hc.models.RBM(64, 30, seed=1).fit(digits.train, epochs=3)
    >>> second = hc.models.RBM(30, 5, hidden="gaussian", seed=2)
    >>> second = second.fit(first.transform(digits.train), epochs=3, learning_rate=0.005)
    >>> model = hc.models.DeepAutoencoder.from_rbms([first, second]).fit(digits.train, epochs=2)
    >>> model.encode(digits.test).shape
    (297, 5)
    """

    _file = ModelFile(
        "deep-autoencoder",
        "deep autoencoder",
        ("sizes", "visible", "hidden", "code", "seed"),
        counters=("epochs_trained",),
    )

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        visible: str = "bernoulli",
        hidden: str = "bernoulli",
        code: str = "gaussian:unit",
        seed: int = 0,
    ) -> None:
        self.sizes = tuple(as_count(size, f"sizes[{i}]") for i, size in enumerate(sizes))
        if len(self.sizes) < 2:
            raise ValueError(f"sizes: expected at least two, the visible units and the code, given {list(self.sizes)}")
        self.visible = _one_of(visible, "visible", ("bernoulli", "gaussian:unit"))
        self.hidden = _one_of(hidden, "hidden", ("bernoulli", "spin"))
        self.code = _one_of(code, "code", tuple(_MEAN))
        self.seed = as_int(seed, "seed", 0, 2**64 - 1)
        rng = Generator(derive_seed(self.seed, Stream.WEIGHTS))
        up = [_MEAN[self.hidden]] * (len(self.sizes) - 2) + [_MEAN[self.code]]
        down = [_MEAN[self.hidden]] * (len(self.sizes) - 2) + ["none"]
        mirrored = (*self.sizes, *self.sizes[-2::-1])
        self._layers = [
            nn.Linear(n_in, n_out, activation=activation, rng=rng)
            for n_in, n_out, activation in zip(mirrored, mirrored[1:], up + down, strict=False)
        ]
        self.network = nn.Sequential(self._layers)
        self.loss: nn.Loss = nn.BinaryCrossEntropy() if self.visible == "bernoulli" else nn.MeanSquaredError()
        self.epochs_trained = 0
        self._visible_units = unit_type(self.visible, "visible", self.sizes[0])

    @classmethod
    def from_rbms(cls, rbms: Sequence[RBM], *, seed: int = 0) -> DeepAutoencoder:
        """Unroll a stack of RBMs: weights and hidden biases encode, transposed weights and visible biases decode.

        Parameters
        ----------
        rbms : sequence of RBM, the lowest first
            Each has the hidden layer of the one below for its visible layer: equal sizes and unit types. Learned
            variances of the lowest one's Gaussian visible units go into the weights of the encoder.
        seed : int in [0, 2**64)
            Of the data order of :meth:`fit`.

        Raises
        ------
        ValueError
            If there is none, they do not fit together, or a unit type has no deterministic layer here.
        """
        if not rbms or not all(isinstance(rbm, RBM) for rbm in rbms):
            raise ValueError(f"rbms: expected a sequence of at least one RBM, given {rbms!r}")
        for i, (below, above) in enumerate(itertools.pairwise(rbms)):
            lower = (below.n_hidden, below.hidden_units.name)
            upper = (above.n_visible, above.visible_units.name)
            if lower != upper:
                raise ValueError(f"rbms[{i + 1}]: expected visible units {lower}, the hidden ones below, given {upper}")
        inner = {rbm.hidden_units.name for rbm in rbms[:-1]} or {"bernoulli"}
        if len(inner) != 1:
            raise ValueError(f"rbms: expected hidden layers of one type below the code, given {sorted(inner)}")
        lowest = rbms[0].visible_units.name
        model = cls(
            [rbms[0].n_visible, *(rbm.n_hidden for rbm in rbms)],
            visible="gaussian:unit" if lowest == "gaussian" else lowest,
            hidden=inner.pop(),
            code=rbms[-1].hidden_units.name,
            seed=seed,
        )
        for rbm, up, down in zip(rbms, model._layers, reversed(model._layers), strict=False):
            up.w[...] = rbm.visible_units.statistic(np.ascontiguousarray(rbm.w.T)).T
            down.w[...] = rbm.w.T
            up.parameters()["b"][...] = rbm.b_hid
            down.parameters()["b"][...] = rbm.b_vis
        return model

    def __repr__(self) -> str:
        """Sizes, unit types and seed, as the constructor takes them."""
        return (
            f"DeepAutoencoder({list(self.sizes)}, visible={self.visible!r}, hidden={self.hidden!r}, "
            f"code={self.code!r}, seed={self.seed})"
        )

    def fit(
        self,
        X: ArrayLike,
        epochs: int = 10,
        *,
        optimiser: nn.Optimiser | None = None,
        batch_size: int = 100,
        validation: ArrayLike | None = None,
        callbacks: Sequence[Callback] = (),
        resume: str | os.PathLike[str] | None = None,
    ) -> DeepAutoencoder:
        """Fine-tune by backpropagation through decoder and encoder.

        Parameters
        ----------
        X : array, shape [N, V]
            In [0, 1] for Bernoulli visible units.
        epochs : int >= 0
            Passes over the data; a resumed run counts those already done.
        optimiser : nn.Optimiser, optional
            Adam at 0.001 when left out; the paper has conjugate gradients on minibatches of 1000.
        batch_size : int >= 1
        validation : array, shape [M, V], optional
            Held-out rows, whose loss and squared error are in every record.
        callbacks : sequence of Callback
        resume : path, optional
            Checkpoint of the same run to go on from; the model that results is bit-identical to that of a run
            without interruption.

        Returns
        -------
        DeepAutoencoder
            This model.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range, the data do not fit, or the checkpoint belongs to another run.
        FloatingPointError
            If training diverges.
        """
        from hintoncore.train.autoencoder import AutoencoderLearning
        from hintoncore.train.trainer import Trainer

        task = AutoencoderLearning(self, X, optimiser=optimiser or nn.Adam(0.001), validation=validation)
        trainer = Trainer(task, batch_size=as_count(batch_size, "batch_size"), callbacks=callbacks)
        if resume is not None:
            trainer.load_checkpoint(resume)
        trainer.run(as_count(epochs, "epochs", low=0))
        return self

    def encode(self, X: ArrayLike) -> Float32Array:
        """Codes, shape [N, C], of rows of shape [N, V]; ValueError or TypeError if these do not fit."""
        half = len(self._layers) // 2
        return np.concatenate([self._through(self._layers[:half], block) for block in self.rows(X)])

    def decode(self, codes: ArrayLike) -> Float32Array:
        """Means of the visible units, shape [N, V], given codes [N, C]; ValueError or TypeError if these do not fit."""
        half = len(self._layers) // 2
        blocks = dense_blocks(
            codes, self.sizes[-1], _BLOCK_ROWS, units=unit_type("gaussian:unit", "codes"), name="codes"
        )
        return np.concatenate([self._visible_mean(self._through(self._layers[half:], block)) for block in blocks])

    def reconstruct(self, X: ArrayLike) -> Float32Array:
        """What decoding the code of each row gives, shape [N, V]; ValueError or TypeError if ``X`` does not fit."""
        return np.concatenate([self._visible_mean(self._through(self._layers, block)) for block in self.rows(X)])

    def squared_error(self, X: ArrayLike) -> float:
        """Squared error summed over the visible units, mean over the rows: the paper's figure."""
        total, n_rows = 0.0, 0
        for block in self.rows(X):
            difference = self._visible_mean(self._through(self._layers, block)) - block
            total += float(np.square(difference, dtype=np.float64).sum())
            n_rows += len(block)
        return total / n_rows

    def rows(self, X: ArrayLike, name: str = "X") -> Iterator[Float32Array]:
        """``X`` in blocks, checked against the visible units; errors call it ``name``."""
        return dense_blocks(X, self.sizes[0], _BLOCK_ROWS, units=self._visible_units, name=name)

    def parameters(self) -> dict[str, Float32Array]:
        """Return the parameter arrays themselves by name: ``"0.w"`` and ``"0.b"`` of the lowest layer, and so on up."""
        return self.network.parameters()

    def set_parameters(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Copy parameters in; raises KeyError or ValueError if one is missing or does not fit."""
        copy_parameters(self.parameters(), tensors)

    @staticmethod
    def _through(layers: Sequence[nn.Linear], x: Float32Array) -> Float32Array:
        for layer in layers:
            x = layer.forward(x)
        return x

    def _visible_mean(self, x: Float32Array) -> Float32Array:
        return np.asarray(ops.sigmoid(x)) if self.visible == "bernoulli" else x


def _one_of(value: str, name: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, choices))}, given {value!r}")
    return value
