"""The Helmholtz machine: a sigmoid belief net with a recognition net that infers its causes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import ops
from hintoncore._counts import as_count
from hintoncore._streams import Stream, derive_seed
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator, RngLike, as_generator
from hintoncore.models._files import ModelFile, SavedModel
from hintoncore.models._parameters import copy_parameters
from hintoncore.models.sigmoid_belief_net import SigmoidBeliefNet, layer_log_probability
from hintoncore.train.schedules import Schedule

if TYPE_CHECKING:
    from hintoncore.likelihood import ImportanceEstimate
    from hintoncore.train.callbacks import Callback

__all__ = ["HelmholtzMachine"]

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]

_WEIGHT_STD = 0.1


class HelmholtzMachine(SavedModel):
    """Sigmoid belief net with a recognition net: ``q(h_1, ..., h_L | x) = prod_l q(h_l | h_{l-1})``, ``h_0 = x``.

    The generative net is :attr:`generative`. The recognition net goes up through the same layers, its units are
    independent given the layer below: ``q(h_l = 1 | h_{l-1}) = sigmoid(c_l + h_{l-1} r_l)`` (Dayan et al. [2]_, eq. 4).

    Parameters
    ----------
    sizes : sequence of at least two ints >= 1
        Units of each layer, the visible one first.
    seed : int in [0, 2**64)
        The initial weights, training and :meth:`sample` are functions of it.

    Attributes
    ----------
    generative : SigmoidBeliefNet
    r : list of L arrays of float32, shape [sizes[l], sizes[l + 1]]
        Recognition weights into layer ``l + 1``, at first normal with standard deviation 0.1.
    c : list of L arrays of float32, shape [sizes[l + 1]]
        Recognition biases, at first 0.
    epochs_trained, steps_trained : int
        Epochs and parameter updates since the weights were drawn.

    Raises
    ------
    ValueError, TypeError
        If a size is below 1, there are fewer than two, or the seed is out of range.

    References
    ----------
    .. [1] G. E. Hinton, P. Dayan, B. J. Frey, R. M. Neal, "The wake-sleep algorithm for unsupervised neural networks",
           Science 268, 1995.
    .. [2] P. Dayan, G. E. Hinton, R. M. Neal, R. S. Zemel, "The Helmholtz machine", Neural Computation 7, 1995.
    .. [3] J. Bornschein, Y. Bengio, "Reweighted wake-sleep", ICLR 2015.

    Examples
    --------
    >>> import hintoncore as hc
    >>> digits = hc.datasets.load("digits")
    >>> machine = hc.models.HelmholtzMachine([64, 20, 10], seed=1).fit(hc.datasets.binarize(digits.train), epochs=2)
    >>> machine.sample(3).shape
    (3, 64)
    """

    _file = ModelFile("helmholtz", "Helmholtz machine", ("sizes", "seed"))

    def __init__(self, sizes: Sequence[int], seed: int = 0) -> None:
        self.generative = SigmoidBeliefNet(sizes, seed)
        self.sizes, self.seed = self.generative.sizes, self.generative.seed
        rng = Generator(derive_seed(self.seed, Stream.WEIGHTS, 1))
        self.r: list[Float32Array] = [
            rng.normal((below, above), std=_WEIGHT_STD)
            for below, above in zip(self.sizes[:-1], self.sizes[1:], strict=True)
        ]
        self.c: list[Float32Array] = [np.zeros(size, dtype=np.float32) for size in self.sizes[1:]]
        self.epochs_trained = 0
        self.steps_trained = 0
        self._inference_rng = Generator(derive_seed(self.seed, Stream.SAMPLING, 1))

    def __repr__(self) -> str:
        """Sizes and seed, as the constructor takes them."""
        return f"HelmholtzMachine({self.sizes}, seed={self.seed})"

    def fit(
        self,
        X: ArrayLike | BitMatrix,
        epochs: int = 10,
        *,
        samples: int = 1,
        batch_size: int = 100,
        learning_rate: float | Schedule = 0.05,
        recognition_learning_rate: float | Schedule | None = None,
        momentum: float | Schedule = 0.0,
        weight_decay: float = 0.0,
        nonnegative: bool = False,
        frozen: Sequence[str] = (),
        validation: ArrayLike | BitMatrix | None = None,
        callbacks: Sequence[Callback] = (),
        resume: str | os.PathLike[str] | None = None,
    ) -> HelmholtzMachine:
        """Train by wake-sleep [1]_, or by reweighted wake-sleep [3]_ with more than one sample.

        Wake phase: the recognition net explains a minibatch, and the generative net learns by the delta rule to
        reproduce each layer from the one above. Sleep phase: the generative net dreams as many rows, and the
        recognition net learns to recover each layer's states from the layer below. With ``samples`` K > 1 the wake
        phase weighs K explanations of each row by ``p(x, h) / q(h | x)`` and teaches the recognition net by them too,
        while the sleep phase stays (the "wake and sleep" update of [3]_).

        Parameters
        ----------
        X : array of 0 and 1, shape [N, V], or BitMatrix
        epochs : int >= 0
            Passes over the data, in a new random order each. A resumed run counts those already done.
        samples : int >= 1
            Explanations of each row in the wake phase; 1 is wake-sleep.
        batch_size : int >= 1
            Rows of an update; gradients are means over rows.
        learning_rate, recognition_learning_rate : float or Schedule
            The second is the first when left out.
        momentum : float or Schedule
            Of ``velocity = momentum * velocity + learning_rate * gradient``.
        weight_decay : float >= 0
            Added to the gradients of weights as ``-weight_decay * w``.
        nonnegative : bool
            Keep the generative weights into the visible layer at or above 0, as for causes that only add [1]_. Negative
            ones become 0 after each update.
        frozen : sequence of str
            Names in :meth:`parameters` that keep their values, to train a net part by part.
        validation : array or BitMatrix, shape [M, V], optional
            Held-out rows whose bound is monitored.
        callbacks : sequence of Callback
            See :mod:`hintoncore.train`.
        resume : path, optional
            Checkpoint of the same run to go on from; it replaces the parameters of this machine.

        Returns
        -------
        HelmholtzMachine
            This machine.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range, the data are not binary or do not fit, the checkpoint belongs to other data
            or settings.
        FloatingPointError
            If training diverges: the learning rate is too large.
        KeyboardInterrupt
            On Ctrl-C, after the current update and after every ``Checkpoint`` callback has saved.
        """
        from hintoncore.train.trainer import Trainer
        from hintoncore.train.wake_sleep import WakeSleep, WakeSleepSettings

        settings = WakeSleepSettings.create(
            samples=samples,
            batch_size=batch_size,
            learning_rate=learning_rate,
            recognition_learning_rate=recognition_learning_rate,
            momentum=momentum,
            weight_decay=weight_decay,
            nonnegative=nonnegative,
            frozen=frozen,
        )
        task = WakeSleep(self, X, settings, validation=validation)
        trainer = Trainer(task, batch_size=settings.batch_size, callbacks=callbacks)
        if resume is not None:
            trainer.load_checkpoint(resume)
        trainer.run(as_count(epochs, "epochs", low=0))
        return self

    def sample(self, n: int, *, rng: RngLike | None = None, return_probs: bool = False) -> Any:
        """Draw visible states of the generative net, see :meth:`SigmoidBeliefNet.sample`."""
        return self.generative.sample(n, rng=rng, return_probs=return_probs)

    def infer(self, x: BitMatrix, *, rng: RngLike | None = None) -> list[BitMatrix]:
        """Draw states of all layers from the recognition net.

        Parameters
        ----------
        x : BitMatrix, shape (B, sizes[0])
        rng : Generator or int, optional
            One offset for each hidden layer is consumed. The machine's own generator when left out.

        Returns
        -------
        list of BitMatrix, shapes (B, sizes[l])
            ``x`` itself first.
        """
        generator = self._inference_rng if rng is None else as_generator(rng)
        layers = [x]
        for r, c in zip(self.r, self.c, strict=True):
            layers.append(ops.gibbs_step(layers[-1], r, c, rng=generator))
        return layers

    def log_recognition(self, layers: Sequence[BitMatrix]) -> Float64Array:
        """``log q(h_1, ..., h_L | h_0)`` of states of all layers, visible first: float64 [B], in nats."""
        dense = [layer.to_dense() for layer in layers]
        total = np.zeros(len(dense[0]))
        for below, above, r, c in zip(dense[:-1], dense[1:], self.r, self.c, strict=True):
            total += layer_log_probability(above, ops.linear(below, r, c))
        return total

    def transform(self, X: ArrayLike | BitMatrix) -> Float32Array:
        """Recognition probabilities of the first hidden layer.

        Parameters
        ----------
        X : array in [0, 1], shape [N, V], or BitMatrix

        Returns
        -------
        array of float32, shape [N, sizes[1]]
        """
        dense = X.to_dense() if isinstance(X, BitMatrix) else X
        means: Float32Array = ops.linear(dense, self.r[0], self.c[0], activation="sigmoid")
        return means

    def importance_estimate(
        self, X: ArrayLike | BitMatrix, samples: int = 100, *, rng: RngLike | None = None
    ) -> ImportanceEstimate:
        """Bound and importance-weighted log-likelihood, see :func:`hintoncore.likelihood.importance_log_likelihood`."""
        from hintoncore.likelihood import importance_log_likelihood

        return importance_log_likelihood(self, X, samples, rng=self._inference_rng if rng is None else rng)

    def log_likelihood(self, X: ArrayLike | BitMatrix, method: str = "importance", **options: Any) -> float:
        """Mean log-likelihood in nats for each row.

        Parameters
        ----------
        X : array of 0 and 1, shape [N, V], or BitMatrix
        method : {"importance", "exact", "bound"}
            ``"exact"`` enumerates all hidden states of a small net. The others take ``samples`` and ``rng`` of
            :meth:`importance_estimate` and err low.

        Raises
        ------
        ValueError, TypeError
            If the method is unknown or ``X`` does not fit.
        """
        if method == "exact":
            return self.generative.log_likelihood(X, **options)
        if method in ("importance", "bound"):
            estimate = self.importance_estimate(X, **options)
            return estimate.log_likelihood if method == "importance" else estimate.bound
        raise ValueError(f"method: expected 'importance', 'exact' or 'bound', given {method!r}")

    def parameters(self) -> dict[str, Float32Array]:
        """Return the parameter arrays by name: generative ``w0``, ``b0``, ..., recognition ``r0``, ``c0``, ..."""
        groups = {"w": self.generative.w, "b": self.generative.b, "r": self.r, "c": self.c}
        return {f"{name}{i}": array for name, arrays in groups.items() for i, array in enumerate(arrays)}

    def set_parameters(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Copy parameters in.

        Raises
        ------
        KeyError
            If one is missing.
        ValueError
            If one has another shape or dtype, or a value that is not finite.
        """
        copy_parameters(self.parameters(), tensors)
