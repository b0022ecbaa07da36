"""Training of generative adversarial nets as a task: updates of the discriminator, then one of the generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import nn
from hintoncore._counts import as_count
from hintoncore._streams import Stream, derive_seed
from hintoncore._validate import as_int
from hintoncore.generator import Generator
from hintoncore.models.units import BernoulliUnits
from hintoncore.train.data import TrainingRows

if TYPE_CHECKING:
    from hintoncore.models.gan import GAN
    from hintoncore.nn.optimisers import Optimiser

__all__ = ["AdversarialLearning"]

Array = NDArray[Any]


class AdversarialLearning:
    """Algorithm 1 of Goodfellow et al. (2014) with the generator's loss of their section 3.

    It is a :class:`hintoncore.train.Task`. A checkpoint holds both nets, both optimisers and all counters, so a run
    that was killed goes on to the bit-identical nets.

    Parameters
    ----------
    model : GAN
        Updated in place.
    x : array in [0, 1], shape [N, V]
    generator_optimiser, discriminator_optimiser : nn.Optimiser
    discriminator_steps : int >= 1
        Updates of the discriminator to one of the generator; each takes its own share of a minibatch.
    seed : int
        Of the data order and of the noise.

    Raises
    ------
    ValueError, TypeError
        If the data do not fit or leave [0, 1], or an argument is out of range.

    Notes
    -----
    Records hold ``discriminator_loss`` (cross-entropy of data against made images, nats; log 2 where it cannot tell)
    and ``generator_loss`` (``-log D(G(z))``), averaged over the epoch's minibatches as they were met.
    """

    def __init__(
        self,
        model: GAN,
        x: ArrayLike,
        *,
        generator_optimiser: Optimiser,
        discriminator_optimiser: Optimiser,
        discriminator_steps: int = 1,
        seed: int = 0,
    ) -> None:
        self.model = model
        self.generator_optimiser, self.discriminator_optimiser = generator_optimiser, discriminator_optimiser
        self.discriminator_steps = as_count(discriminator_steps, "discriminator_steps")
        self.seed = as_int(seed, "seed", 0, 2**64 - 1)
        rows = np.asarray(x)
        self._rows = TrainingRows(rows, model.n_visible, units=BernoulliUnits(), name="x")
        self._x = np.ascontiguousarray(rows, dtype=np.float32)
        self._noise = Generator(derive_seed(self.seed, Stream.TRAINING))
        self._loss = nn.BinaryCrossEntropy()
        self._running: dict[str, float] = {}

    @property
    def n_rows(self) -> int:
        """Rows of the training set."""
        return len(self._x)

    @property
    def order_seed(self) -> int:
        """Seed of the data order."""
        return derive_seed(self.seed, Stream.ORDER)

    def step(self, rows: NDArray[np.intp], epoch: float) -> Mapping[str, float]:
        """Updates of the discriminator on shares of the minibatch, then one of the generator.

        Raises
        ------
        FloatingPointError
            If a loss or a parameter became NaN or infinite.
        """
        shares = np.array_split(rows, min(self.discriminator_steps, len(rows)))
        losses = [self._train_discriminator(self._x[share], epoch) for share in shares]
        self._running = {
            "discriminator_loss": float(np.mean(losses)),
            "generator_loss": self._train_generator(len(shares[-1]), epoch),
        }
        return self._running

    def _judge(self, logits: Array, target: Array) -> tuple[float, Array]:
        """Cross-entropy and its gradient."""
        if not np.isfinite(logits).all():
            raise FloatingPointError("discriminator: NaN or infinite outputs; lower the learning rate")
        return self._loss(logits, target)

    def _train_discriminator(self, real: NDArray[np.float32], epoch: float) -> float:
        """One step up the gradient of ``log D(x) + log(1 - D(G(z)))``, averaged over both halves of a batch."""
        made = self.model.generator.forward(self.model.noise(len(real), self._noise), training=True)
        target = np.zeros((2 * len(real), 1), dtype=np.float32)
        target[: len(real)] = 1
        logits = self.model.discriminator.forward(np.concatenate([real, made]), training=True)
        value, dy = self._judge(logits, target)
        self.model.discriminator.backward(dy, input_gradient=False)
        self.discriminator_optimiser.step(self.model.discriminator, epoch)
        return value

    def _train_generator(self, n: int, epoch: float) -> float:
        """One step up the gradient of ``log D(G(z))``; the discriminator's own gradients are not used."""
        logits = self.model.forward(self.model.noise(n, self._noise), training=True)
        value, dy = self._judge(logits, np.ones_like(logits))
        self.model.backward(dy, input_gradient=False)
        self.generator_optimiser.step(self.model.generator, epoch)
        return value

    def end_epoch(self) -> None:
        """Count a finished epoch."""
        self.model.epochs_trained += 1

    def evaluate(self, epoch: float) -> Mapping[str, float]:
        """The learning rates."""
        return {
            "generator_rate": self.generator_optimiser.learning_rate(epoch),
            "discriminator_rate": self.discriminator_optimiser.learning_rate(epoch),
        }

    def running_estimate(self) -> Mapping[str, float]:
        """Losses of the last minibatch, for progress bars."""
        return self._running

    def describe(self) -> dict[str, Any]:
        """What a run must share with a checkpoint to go on from it."""
        return {
            "task": "adversarial",
            "model": self.model.describe(),
            "generator_optimiser": self.generator_optimiser.describe(),
            "discriminator_optimiser": self.discriminator_optimiser.describe(),
            "discriminator_steps": self.discriminator_steps,
            "seed": self.seed,
            "data": {"shape": list(self._x.shape), "sha256": self._rows.fingerprint},
        }

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Parameters, optimiser states and counters."""
        tensors = dict(self.model.parameters())
        for part, optimiser in self._optimisers().items():
            tensors.update({f"{part}.{name}": array for name, array in optimiser.state().items()})
        counters = {
            "discriminator_steps": self.discriminator_optimiser.steps,
            "epochs_trained": self.model.epochs_trained,
            "generator_steps": self.generator_optimiser.steps,
            "model": self.model.counters(),
            "noise_offset": self._noise.offset,
        }
        return tensors, counters

    def load_state(self, tensors: Mapping[str, NDArray[Any]], counters: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned.

        Raises
        ------
        KeyError, ValueError
            If something is missing or has another shape.
        """
        for name, parameter in self.model.parameters().items():
            parameter[...] = tensors[name]
        nets = {"generator": self.model.generator, "discriminator": self.model.discriminator}
        for part, optimiser in self._optimisers().items():
            prefix = f"{part}."
            own = {name[len(prefix) :]: array for name, array in tensors.items() if name.startswith(prefix)}
            optimiser.load_state(nets[part], own, counters[f"{part}_steps"])
        self.model.set_counters(counters["model"])
        self.model.epochs_trained = counters["epochs_trained"]
        self._noise.offset = counters["noise_offset"]

    def _optimisers(self) -> dict[str, Optimiser]:
        return {"generator": self.generator_optimiser, "discriminator": self.discriminator_optimiser}
