"""Training a variational autoencoder as a task: bits drawn from grey values, and the gradient of the bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore._streams import Stream, derive_seed
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator
from hintoncore.models.units import BernoulliUnits
from hintoncore.models.vae import VAE, NegativeBound
from hintoncore.train.data import TrainingRows
from hintoncore.train.supervised import Supervised

if TYPE_CHECKING:
    from hintoncore.nn.optimisers import Optimiser

__all__ = ["VariationalLearning"]


class VariationalLearning(Supervised):
    """Raises the variational bound of a :class:`hintoncore.models.VAE`; a :class:`hintoncore.train.Task`.

    A row of grey values gives other bits each time that it is met, each with its grey value as probability (Burda,
    Grosse and Salakhutdinov 2016, appendix D), so that the model does not learn one sample's noise. The bits and the
    noise of the code are functions of the seed and of the number of updates: a resumed run draws the same.

    Parameters
    ----------
    model : VAE
        Updated in place.
    x : array in [0, 1], shape [N, V]
    optimiser : nn.Optimiser
    seed : int
        Of the data order and of the bits.
    validation : array of 0 and 1, shape [N, V], or BitMatrix, optional

    Raises
    ------
    ValueError, TypeError
        If the data do not fit or leave [0, 1].

    Notes
    -----
    Records hold ``loss``, minus the bound in nats averaged over the epoch's minibatches as they were met, and
    ``validation_bound``.
    """

    model: VAE

    def __init__(
        self,
        model: VAE,
        x: ArrayLike,
        *,
        optimiser: Optimiser,
        seed: int = 0,
        validation: ArrayLike | BitMatrix | None = None,
    ) -> None:
        rows = np.asarray(x)
        TrainingRows(rows, model.n_visible, units=BernoulliUnits(), name="x")
        super().__init__(model, rows, rows, loss=NegativeBound(model.n_visible), optimiser=optimiser, seed=seed)
        self._held_out = validation
        if validation is not None:
            model.bound(validation)  # so that bad rows are refused before the training, not after an epoch

    def step(self, rows: NDArray[np.intp], epoch: float) -> Mapping[str, float]:
        """One update on a minibatch; returns minus its bound before the update.

        Raises
        ------
        FloatingPointError
            If the bound or a parameter became NaN or infinite.
        """
        draws = Generator(derive_seed(self.seed, Stream.TRAINING), self.optimiser.steps)
        grey = self._x[rows]
        bits = (draws.random(grey.shape) < grey).astype(np.float32)
        return self._update(bits, bits, epoch)

    def end_epoch(self) -> None:
        """Count a finished epoch."""
        super().end_epoch()
        self.model.epochs_trained += 1

    def evaluate(self, epoch: float) -> Mapping[str, float]:
        """The learning rate, and the bound of the held-out rows."""
        record = dict(super().evaluate(epoch))
        if self._held_out is not None:
            record["validation_bound"] = self.model.bound(
                self._held_out, rng=derive_seed(self.seed, Stream.MONITORING, self.epochs_trained)
            )
        return record

    def describe(self) -> dict[str, Any]:
        """What a run must share with a checkpoint to go on from it."""
        return {**super().describe(), "task": "variational"}

    def load_state(self, tensors: Mapping[str, NDArray[Any]], counters: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned."""
        super().load_state(tensors, counters)
        self.model.epochs_trained = self.epochs_trained
