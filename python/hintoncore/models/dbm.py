"""The deep Boltzmann machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import ops
from hintoncore._counts import as_count
from hintoncore._streams import Stream, derive_seed
from hintoncore._validate import as_int, as_number
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator, RngLike, as_generator
from hintoncore.models._files import ModelFile, SavedModel
from hintoncore.models._parameters import copy_parameters
from hintoncore.models._rows import dense_blocks
from hintoncore.models.rbm import RBM
from hintoncore.models.units import unit_type
from hintoncore.train.schedules import Schedule

if TYPE_CHECKING:
    from hintoncore.likelihood import DBMBound
    from hintoncore.train.callbacks import Callback
    from hintoncore.train.gradient_update import Centring

__all__ = ["DBM"]

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]

_WEIGHT_STD = 0.01
_BLOCK_ROWS = 256
_UNITS = unit_type("bernoulli", "visible")


class DBM(SavedModel):
    """Deep Boltzmann machine: layers of binary units, each joined to its neighbours by undirected connections.

    ``E(v, h1, h2, ...) = - sum over layers of b . h - v^T W1 h1 - h1^T W2 h2 - ...`` A unit depends on the layers above
    and below it alone, so the machine is bipartite: the units of even layers (the visible one, the second hidden one,
    ...) are independent given the odd ones, and the other way about. It is kept as that one RBM, with the weights of
    all pairs of neighbours in blocks of ``w``: block Gibbs sampling and annealed importance sampling are an RBM's.

    Parameters
    ----------
    sizes : sequence of at least 3 ints >= 1
        Units of each layer, the visible one first.
    seed : int in [0, 2**64)
        The initial weights, training and :meth:`sample` are functions of it.

    Attributes
    ----------
    w : array of float32, shape [E, O]
        Between all units of even and all units of odd layers, in the order of the layers; 0 between layers that are no
        neighbours. :meth:`weights` has them layer by layer.
    b_even, b_odd : arrays of float32, shapes [E] and [O]
    layers_pretrained, epochs_trained, steps_trained : int

    References
    ----------
    .. [1] R. Salakhutdinov, G. E. Hinton, "Deep Boltzmann machines", AISTATS 2009.

    Examples
    --------
    >>> import hintoncore as hc
    >>> digits = hc.datasets.binarize(hc.datasets.load("digits").train)
    >>> dbm = hc.models.DBM((64, 30, 20), seed=1)
    >>> dbm = dbm.pretrain(digits, epochs=5).fit(digits, epochs=5)
    >>> [means.shape for means in dbm.mean_field(digits)]
    [(1500, 30), (1500, 20)]
    """

    _file = ModelFile(
        "dbm", "deep Boltzmann machine", ("sizes", "seed"), ("layers_pretrained", "epochs_trained", "steps_trained")
    )

    def __init__(self, sizes: Sequence[int], *, seed: int = 0) -> None:
        self.sizes = tuple(as_count(size, "sizes") for size in sizes)
        if len(self.sizes) < 3:
            raise ValueError(f"sizes: expected a visible and at least two hidden layers, given {list(self.sizes)}")
        self.seed = as_int(seed, "seed", 0, 2**64 - 1)
        self._slices = [
            slice(sum(self.sizes[n % 2 : n : 2]), sum(self.sizes[n % 2 : n + 1 : 2])) for n in range(len(self.sizes))
        ]
        even, odd = sum(self.sizes[::2]), sum(self.sizes[1::2])
        self.w: Float32Array = np.zeros((even, odd), dtype=np.float32)
        self.b_even: Float32Array = np.zeros(even, dtype=np.float32)
        self.b_odd: Float32Array = np.zeros(odd, dtype=np.float32)
        for number in range(len(self.sizes) - 1):
            rng = Generator(derive_seed(self.seed, Stream.WEIGHTS, number))
            self.weights(number)[...] = rng.normal(self.sizes[number : number + 2]) * np.float32(_WEIGHT_STD)
        self.layers_pretrained = 0
        self.epochs_trained = 0
        self.steps_trained = 0
        self._sampling_rng = Generator(derive_seed(self.seed, Stream.SAMPLING))

    def __repr__(self) -> str:
        """Sizes and seed, as the constructor takes them."""
        return f"DBM({self.sizes}, seed={self.seed})"

    @property
    def n_visible(self) -> int:
        """Visible units."""
        return self.sizes[0]

    def weights(self, number: int, of: Float32Array | None = None) -> Float32Array:
        """Weights between layers ``number`` and ``number + 1``, a view of ``w`` of shape [below, above]."""
        w = self.w if of is None else of
        if number % 2 == 0:
            return w[self._slices[number], self._slices[number + 1]]
        return w[self._slices[number + 1], self._slices[number]].T

    def biases(self, number: int) -> Float32Array:
        """Biases of a layer, a view of ``b_even`` or ``b_odd``."""
        return (self.b_odd if number % 2 else self.b_even)[self._slices[number]]

    def connections(self) -> Float32Array | None:
        """1 where ``w`` has a connection and 0 where not; None when all are: with two hidden layers."""
        if len(self.sizes) == 3:
            return None
        mask = np.zeros_like(self.w)
        for number in range(len(self.sizes) - 1):
            self.weights(number, mask)[...] = 1.0
        return mask

    def pretrain(self, X: ArrayLike | BitMatrix, epochs: int = 10, **options: Any) -> DBM:
        """Train a stack of RBMs that make a good start together ([1]_, section 3.1).

        Parameters
        ----------
        X : array in [0, 1], shape [N, V], or BitMatrix
        epochs : int >= 0
            Of each RBM.
        **options
            Of :meth:`pretrain_layer`, for each.

        Returns
        -------
        DBM
            This machine.
        """
        for number in range(len(self.sizes) - 1):
            self.pretrain_layer(number, X, epochs, **options)
        return self

    def pretrain_layer(
        self,
        number: int,
        X: ArrayLike | BitMatrix,
        epochs: int = 10,
        *,
        k: int | Schedule = 1,
        batch_size: int = 100,
        learning_rate: float | Schedule = 0.05,
        momentum: float | Schedule | None = None,
        weight_decay: float = 0.0002,
        callbacks: Sequence[Callback] = (),
        resume: str | os.PathLike[str] | None = None,
    ) -> DBM:
        """Train one RBM of the stack by CD-k, with weights doubled to the side where a layer is missing.

        A hidden layer of the machine hears the layers on both sides; in its RBM it hears one of them, twice. The first
        RBM doubles its bottom-up input, the last its top-down input, those between both.

        Parameters
        ----------
        number : int in [0, len(sizes) - 2]
            The RBM of layers ``number`` and ``number + 1``. Those below it have been trained.
        X, epochs
            As of :meth:`pretrain`.
        k, batch_size, learning_rate, momentum, weight_decay, callbacks, resume
            As of :meth:`hintoncore.models.RBM.fit`.

        Returns
        -------
        DBM
            This machine.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range, the data do not fit, or the RBM below was not trained.
        """
        from hintoncore.train.contrastive import CDSettings
        from hintoncore.train.mean_field import DoubledRBM, DoubledRBMLearning
        from hintoncore.train.trainer import Trainer

        last = len(self.sizes) - 2
        number = as_int(number, "number", 0, last)
        if number > self.layers_pretrained:
            raise ValueError(f"number: RBM {self.layers_pretrained} has to be trained before RBM {number}")
        settings = CDSettings.create(
            k=k,
            persistent=False,
            batch_size=batch_size,
            n_chains=None,
            learning_rate=learning_rate,
            momentum=momentum,
            weight_decay=weight_decay,
        )
        below: Any = X
        if number:
            below = np.concatenate([self._bottom_up(block)[number - 1] for block in self._blocks(X)])
        rbm = DoubledRBM(
            *self.sizes[number : number + 2],
            up=2.0 if number < last else 1.0,
            down=2.0 if number > 0 else 1.0,
            seed=derive_seed(self.seed, Stream.WEIGHTS, number),
        )
        trainer = Trainer(DoubledRBMLearning(rbm, below, settings), batch_size=settings.batch_size, callbacks=callbacks)
        if resume is not None:
            trainer.load_checkpoint(resume)
        trainer.run(as_count(epochs, "epochs", low=0))
        self.weights(number)[...] = rbm.w
        # A layer between two RBMs has the geometric mean of the distributions that they give it.
        self.biases(number)[...] = rbm.b_vis if number == 0 else (self.biases(number) + rbm.b_vis) / np.float32(2.0)
        self.biases(number + 1)[...] = rbm.b_hid
        self.layers_pretrained = max(self.layers_pretrained, number + 1)
        return self

    def start_from(self, rbm: RBM) -> DBM:
        """Take a trained RBM as the two lowest layers, so that learning goes on from what it has learned.

        The weights above stay as they are, small in a new machine, and their mean input to the first hidden layer is
        taken off its biases. Without them the machine is the RBM, and the mean field its exact posterior: the
        variational bound then is the RBM's log-likelihood.

        Parameters
        ----------
        rbm : RBM
            Of binary units, with this machine's first two sizes.

        Returns
        -------
        DBM
            This machine.

        Raises
        ------
        ValueError
            If the RBM has other sizes or units.
        """
        if (rbm.n_visible, rbm.n_hidden) != self.sizes[:2]:
            raise ValueError(f"rbm: expected {self.sizes[0]} and {self.sizes[1]} units, given {rbm!r}")
        if not rbm.visible_units.name == rbm.hidden_units.name == "bernoulli":
            raise ValueError(f"rbm: expected binary units, given {rbm!r}")
        self.weights(0)[...] = rbm.w
        self.biases(0)[...] = rbm.b_vis
        above = self.weights(1) @ ops.sigmoid(np.ascontiguousarray(self.biases(2)))
        self.biases(1)[...] = rbm.b_hid - above
        return self

    def fit(
        self,
        X: ArrayLike | BitMatrix,
        epochs: int = 10,
        *,
        k: int | Schedule = 5,
        mean_field_steps: int = 10,
        batch_size: int = 100,
        n_chains: int | None = None,
        learning_rate: float | Schedule = 0.005,
        momentum: float | Schedule = 0.5,
        weight_decay: float = 0.0002,
        centred: bool | str | Centring = False,
        callbacks: Sequence[Callback] = (),
        resume: str | os.PathLike[str] | None = None,
    ) -> DBM:
        """Learn by the mean field's statistics of the data and those of persistent chains ([1]_, algorithm 1).

        Parameters
        ----------
        X : array in [0, 1], shape [N, V], or BitMatrix
        epochs : int >= 0
            A resumed run counts those already done.
        k : int >= 1 or Schedule
            Block Gibbs steps of the chains, odd layers then even ones, in each update.
        mean_field_steps : int >= 1
            At most so many for each minibatch, see :meth:`mean_field`.
        batch_size : int >= 1
        n_chains : int >= 1, optional
            ``batch_size`` when left out.
        learning_rate, momentum, weight_decay, callbacks, resume
            As of :meth:`hintoncore.models.RBM.fit`.
        centred : bool, {"data", "enhanced"} or :class:`hintoncore.train.Centring`
            The centred gradient, with which a machine learns without pretraining.

        Returns
        -------
        DBM
            This machine.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range, the data do not fit, or the checkpoint belongs to another run.
        FloatingPointError
            If training diverges: the learning rate is too large.
        """
        from hintoncore.train.contrastive import CDSettings
        from hintoncore.train.mean_field import MeanFieldLearning
        from hintoncore.train.trainer import Trainer

        settings = CDSettings.create(
            k=k,
            persistent=True,
            batch_size=batch_size,
            n_chains=n_chains,
            learning_rate=learning_rate,
            momentum=momentum,
            weight_decay=weight_decay,
            centred=centred,
        )
        task = MeanFieldLearning(self, X, settings, mean_field_steps=as_count(mean_field_steps, "mean_field_steps"))
        trainer = Trainer(task, batch_size=settings.batch_size, callbacks=callbacks)
        if resume is not None:
            trainer.load_checkpoint(resume)
        trainer.run(as_count(epochs, "epochs", low=0))
        return self

    def mean_field(
        self, X: ArrayLike | BitMatrix, *, steps: int = 100, tolerance: float = 1e-5, damping: float = 0.0
    ) -> list[Float32Array]:
        """Means of the factorial distribution over hidden units that bounds the likelihood best, by fixed-point steps.

        A step sets the odd layers to the best means given the even ones, then the even hidden ones given the odd. As
        neither group has connections within, no step lowers the bound, damped or not ([1]_, eq. 9). The start is a pass
        upward with inputs doubled where the layer above is not known yet.

        Parameters
        ----------
        X : array in [0, 1], shape [N, V], or BitMatrix
        steps : int >= 0
            At most.
        tolerance : float >= 0
            Largest change of a mean in a step at which a block of rows counts as converged.
        damping : float in [0, 1)
            Share of the old mean in the new one.

        Returns
        -------
        list of arrays of float32, shapes [N, sizes[1]], [N, sizes[2]], ...

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range or ``X`` does not fit.
        """
        steps = as_count(steps, "steps", low=0)
        if not as_number(tolerance, "tolerance") >= 0:
            raise ValueError(f"tolerance: expected a number >= 0, given {tolerance}")
        if not 0 <= as_number(damping, "damping") < 1:
            raise ValueError(f"damping: expected 0 <= damping < 1, given {damping}")
        blocks = []
        for block in self._blocks(X):
            even, odd = self.mean_field_block(block, steps, tolerance, damping)
            blocks.append([(odd if n % 2 else even)[:, self._hidden_slice(n)] for n in range(1, len(self.sizes))])
        return [np.concatenate(layer) for layer in zip(*blocks, strict=True)]

    def mean_field_block(
        self, visible: Float32Array, steps: int, tolerance: float = 0.0, damping: float = 0.0
    ) -> tuple[Float32Array, Float32Array]:
        """Means of the even hidden and of the odd units of a few rows; arguments of :meth:`mean_field`, unchecked."""
        n = self.n_visible
        from_below = ops.linear(visible, self.w[:n], self.b_odd)
        w_even, b_even = self.w[n:], self.b_even[n:]
        w_odd = np.ascontiguousarray(w_even.T)
        guess = self._bottom_up(visible)
        even, odd = np.concatenate(guess[1::2], axis=1), np.concatenate(guess[::2], axis=1)
        for _ in range(steps):
            change = 0.0
            for group in ("odd", "even"):
                if group == "odd":
                    new, old = ops.sigmoid(from_below + ops.matmul(even, w_even)), odd
                else:
                    new, old = ops.linear(odd, w_odd, b_even, activation="sigmoid"), even
                if damping:
                    new = np.float32(damping) * old + np.float32(1.0 - damping) * new
                if tolerance:
                    change = max(change, float(np.abs(new - old).max()))
                if group == "odd":
                    odd = new
                else:
                    even = new
            if tolerance and change <= tolerance:
                break
        return even, odd

    def transform(self, X: ArrayLike | BitMatrix, layer: int | None = None) -> Float32Array:
        """Mean-field means of a hidden layer, the topmost one when ``layer`` is left out; see :meth:`mean_field`."""
        last = len(self.sizes) - 1
        layer = last if layer is None else as_int(layer, "layer", 1, last)
        return self.mean_field(X)[layer - 1]

    def sample(
        self, n: int, steps: int = 1000, *, rng: RngLike | None = None, return_probs: bool = False
    ) -> Float32Array | tuple[Float32Array, Float32Array]:
        """Draw visible states by block Gibbs sampling, one independent chain for each.

        Parameters
        ----------
        n : int >= 1
        steps : int >= 1
            Of odd layers, then even ones, from independent even units at ``sigmoid(b_even)``.
        rng : Generator or int, optional
            The machine's own generator when left out, so that every call gives new samples.
        return_probs : bool
            Also return ``p(v | h1)`` of the last step.

        Returns
        -------
        samples : array of float32 (0 or 1), shape [n, V]
        probs : array of float32, shape [n, V], only with ``return_probs``
        """
        n, steps = as_count(n, "n"), as_count(steps, "steps")
        generator = self._sampling_rng if rng is None else as_generator(rng)
        even: Any = self.initial_chains(n, generator)
        probs: Float32Array | None = None
        for step in range(steps):
            odd = ops.gibbs_step(even, self.w, self.b_odd, rng=generator)
            even = ops.gibbs_step(
                odd, self.w, self.b_even, rng=generator, transpose=True, return_probs=return_probs and step == steps - 1
            )
        if return_probs:
            even, probs = even
        samples: Float32Array = even.to_dense()[:, : self.n_visible].copy()
        return samples if probs is None else (samples, probs[:, : self.n_visible].copy())

    def initial_chains(self, n: int, rng: Generator) -> BitMatrix:
        """``n`` states of the even layers, each unit independent at ``sigmoid(b_even)``. Uses one offset."""
        no_odd = BitMatrix.zeros((n, self.w.shape[1]))
        chains: BitMatrix = ops.gibbs_step(no_odd, self.w, self.b_even, rng=rng, transpose=True)
        return chains

    def folded(self) -> RBM:
        """A copy of the machine as an RBM: the odd layers its visible units, the even ones its hidden units.

        Summing its hidden units out leaves the marginal of the odd layers, so that annealed importance sampling of it
        estimates this machine's log Z with the visible layer and the second hidden one summed out exactly.
        """
        even, odd = self.w.shape
        rbm = RBM(odd, even, seed=self.seed)
        rbm.w[...] = self.w.T
        rbm.b_vis[...], rbm.b_hid[...] = self.b_odd, self.b_even
        return rbm

    def log_likelihood_bound(self, X: ArrayLike | BitMatrix, **options: Any) -> DBMBound:
        """Variational lower bound on the mean log-likelihood, see :func:`hintoncore.likelihood.dbm_bound`."""
        from hintoncore.likelihood import dbm_bound

        return dbm_bound(self, X, **options)

    def parameters(self) -> dict[str, Float32Array]:
        """Return the parameter arrays themselves by name: ``w``, ``b_even``, ``b_odd``."""
        return {"w": self.w, "b_even": self.b_even, "b_odd": self.b_odd}

    def set_parameters(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Copy parameters in.

        Raises
        ------
        KeyError
            If one is missing.
        ValueError
            If one has another shape or dtype, a value that is not finite, or a weight between layers that are no
            neighbours.
        """
        mask = self.connections()
        if mask is not None and (tensors["w"] * (1.0 - mask)).any():
            raise ValueError("w: expected 0 between layers that are no neighbours")
        copy_parameters(self.parameters(), tensors)

    def _hidden_slice(self, number: int) -> slice:
        """Where a hidden layer is among the even hidden or the odd units."""
        at = self._slices[number]
        return at if number % 2 else slice(at.start - self.n_visible, at.stop - self.n_visible)

    def _bottom_up(self, visible: Float32Array) -> list[Float32Array]:
        """Means of each hidden layer by one pass upward, inputs doubled but for the topmost, as in pretraining."""
        means = [visible]
        last = len(self.sizes) - 2
        for number in range(last + 1):
            w = np.ascontiguousarray(self.weights(number))
            doubled = w * np.float32(2.0) if number < last else w
            means.append(ops.linear(means[-1], doubled, self.biases(number + 1), activation="sigmoid"))
        return means[1:]

    def _blocks(self, X: ArrayLike | BitMatrix) -> Iterator[Float32Array]:
        return dense_blocks(X, self.n_visible, _BLOCK_ROWS, units=_UNITS)
