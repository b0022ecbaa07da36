"""The deep belief net."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import ops
from hintoncore._counts import as_count
from hintoncore._streams import Stream, derive_seed
from hintoncore._validate import as_int
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator, RngLike, as_generator
from hintoncore.models._files import ModelFile, SavedModel
from hintoncore.models._parameters import copy_parameters
from hintoncore.models._rows import as_rows, dense_blocks
from hintoncore.models.associative_memory import AssociativeMemory, as_labels, one_hot
from hintoncore.models.rbm import RBM
from hintoncore.models.units import unit_type
from hintoncore.train.schedules import Schedule

if TYPE_CHECKING:
    from hintoncore.likelihood import DBNBound
    from hintoncore.train.callbacks import Callback

__all__ = ["DBN", "DirectedLayer"]

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]

_BLOCK_ROWS = 256
_UNITS = unit_type("bernoulli", "visible")


@dataclass(frozen=True)
class DirectedLayer:
    """Two adjacent layers of a belief net, with weights of their own for each direction.

    Attributes
    ----------
    up_w, up_b : arrays of float32, shapes [below, above] and [above]
        Recognition: ``q(above | below) = sigmoid(below @ up_w + up_b)``.
    down_w, down_b : arrays of float32, shapes [above, below] and [below]
        Generation: ``p(below | above) = sigmoid(above @ down_w + down_b)``.
    """

    up_w: Float32Array
    up_b: Float32Array
    down_w: Float32Array
    down_b: Float32Array

    @classmethod
    def zeros(cls, n_below: int, n_above: int) -> DirectedLayer:
        """All parameters 0."""
        shapes = ((n_below, n_above), n_above, (n_above, n_below), n_below)
        return cls(*(np.zeros(shape, dtype=np.float32) for shape in shapes))

    def tie_to(self, rbm: RBM | AssociativeMemory) -> None:
        """Take an RBM's weights for both directions."""
        self.up_w[...] = rbm.w
        self.down_w[...] = rbm.w.T
        self.up_b[...] = rbm.b_hid
        self.down_b[...] = rbm.b_vis

    def parameters(self) -> dict[str, Float32Array]:
        """Return the parameter arrays themselves by name."""
        return {"up_w": self.up_w, "up_b": self.up_b, "down_w": self.down_w, "down_b": self.down_b}

    def means_above(self, below: Float32Array) -> Float32Array:
        """Recognition probabilities of the layer above."""
        means: Float32Array = ops.linear(below, self.up_w, self.up_b, activation="sigmoid")
        return means

    def sample_above(self, below: BitMatrix | Float32Array, rng: Generator) -> BitMatrix:
        """Sample the layer above. Uses one offset."""
        sample: Any = ops.gibbs_step(below, self.up_w, self.up_b, rng=rng)
        return sample if isinstance(sample, BitMatrix) else BitMatrix.from_dense(sample)

    def sample_below(self, above: BitMatrix, rng: Generator) -> tuple[BitMatrix, Float32Array]:
        """Sample the layer below; also return its probabilities. Uses one offset."""
        sample, probs = ops.gibbs_step(above, self.down_w, self.down_b, rng=rng, return_probs=True)
        return sample, probs


class DBN(SavedModel):
    """Deep belief net: directed sigmoid layers under an undirected associative memory.

    ``p(v, h1, ..., hL, y) = p(v | h1) p(h1 | h2) ... p(h_{L-1}, y, hL)``: the two topmost layers form an RBM, joined by
    softmax label units when there are classes. Inference is one pass of recognition weights upward.

    Parameters
    ----------
    sizes : sequence of at least 2 ints >= 1
        Units of each layer from the visible one up.
    n_labels : int >= 0, but not 1
        Classes that labels of 0 to ``n_labels - 1`` come from; 0 for a net without labels.
    seed : int in [0, 2**64)
        The initial weights, training and :meth:`sample` are functions of it.

    Attributes
    ----------
    layers : list of DirectedLayer
        From the visible layer up; ``len(sizes) - 2`` of them.
    top : AssociativeMemory
    layers_trained : int
        RBMs that :meth:`fit_layer` has trained.
    epochs_trained, steps_trained : int
        Of fine-tuning.

    References
    ----------
    .. [1] G. E. Hinton, S. Osindero, Y.-W. Teh, "A fast learning algorithm for deep belief nets", Neural Computation
           18, 2006.

    Examples
    --------
    >>> import hintoncore as hc
    >>> digits = hc.datasets.load("digits")
    >>> dbn = hc.models.DBN((64, 150), n_labels=10, seed=1)
    >>> dbn = dbn.fit(digits.train, digits.train_labels, epochs=20, batch_size=20, learning_rate=0.1)
    >>> dbn.score(digits.test, digits.test_labels) > 0.8
    True
    """

    _file = ModelFile(
        "dbn", "deep belief net", ("sizes", "n_labels", "seed"), ("layers_trained", "epochs_trained", "steps_trained")
    )

    def __init__(self, sizes: Sequence[int], n_labels: int = 0, *, seed: int = 0) -> None:
        self.sizes = tuple(as_count(size, "sizes") for size in sizes)
        if len(self.sizes) < 2:
            raise ValueError(f"sizes: expected at least a visible and a hidden layer, given {list(self.sizes)}")
        self.seed = as_int(seed, "seed", 0, 2**64 - 1)
        self.layers = [
            DirectedLayer.zeros(below, above) for below, above in zip(self.sizes[:-2], self.sizes[1:-1], strict=True)
        ]
        self.top = AssociativeMemory(
            self.sizes[-2], self.sizes[-1], n_labels, seed=derive_seed(self.seed, Stream.WEIGHTS, len(self.layers))
        )
        self.layers_trained = 0
        self.epochs_trained = 0
        self.steps_trained = 0
        self._sampling_rng = Generator(derive_seed(self.seed, Stream.SAMPLING))

    def __repr__(self) -> str:
        """Sizes, labels and seed, as the constructor takes them."""
        return f"DBN({self.sizes}, n_labels={self.n_labels}, seed={self.seed})"

    @property
    def n_visible(self) -> int:
        """Visible units."""
        return self.sizes[0]

    @property
    def n_labels(self) -> int:
        """Classes; 0 without labels."""
        return self.top.n_labels

    def fit(
        self,
        X: ArrayLike | BitMatrix,
        y: ArrayLike | None = None,
        epochs: int = 10,
        *,
        callbacks: Callable[[int], Sequence[Callback]] | None = None,
        **options: Any,
    ) -> DBN:
        """Train greedily, one RBM after the other from the bottom up ([1]_, section 4).

        Each RBM learns the aggregated posterior of those below it. Adding it raises a lower bound on the
        log-likelihood, see :func:`hintoncore.likelihood.dbn_bound`, as long as its learning is by likelihood and it
        starts as good as the layer it replaces.

        Parameters
        ----------
        X : array in [0, 1], shape [N, V], or BitMatrix
        y : array of ints, shape [N]
            Labels, for a net that has them.
        epochs : int >= 0
            Of each layer.
        callbacks : function of the layer's number, optional
            Returns the callbacks of that layer's training.
        **options
            Of :meth:`fit_layer`, for every layer.

        Returns
        -------
        DBN
            This net.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range or the data do not fit.
        FloatingPointError
            If training diverges: the learning rate is too large.
        """
        self._labels(y, X)
        for number in range(len(self.sizes) - 1):
            extra = () if callbacks is None else callbacks(number)
            self.fit_layer(number, X, y, epochs, callbacks=extra, **options)
        return self

    def fit_layer(
        self,
        number: int,
        X: ArrayLike | BitMatrix,
        y: ArrayLike | None = None,
        epochs: int = 10,
        *,
        k: int | Schedule = 1,
        persistent: bool = False,
        batch_size: int = 100,
        n_chains: int | None = None,
        learning_rate: float | Schedule = 0.05,
        momentum: float | Schedule | None = None,
        weight_decay: float = 0.0002,
        callbacks: Sequence[Callback] = (),
        resume: str | os.PathLike[str] | None = None,
    ) -> DBN:
        """Train one RBM of the stack on what the layers below it make of the data.

        Layers below the top learn the recognition probabilities of the layer under them as their data; the top learns
        samples of these, drawn anew for each minibatch, with the labels. Then recognition and generation weights are
        tied: both are the RBM's.

        Parameters
        ----------
        number : int in [0, len(sizes) - 2]
            0 for the RBM of the visible layer. Those below it have been trained.
        X, y, epochs
            As of :meth:`fit`; ``y`` is used by the top alone.
        k, persistent, batch_size, n_chains, learning_rate, momentum, weight_decay, callbacks, resume
            As of :meth:`hintoncore.models.RBM.fit`.

        Returns
        -------
        DBN
            This net.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range, the data do not fit, or the layer below was not trained.
        """
        number = as_int(number, "number", 0, len(self.sizes) - 2)
        if number > self.layers_trained:
            raise ValueError(f"number: layer {self.layers_trained} has to be trained before layer {number}")
        options: dict[str, Any] = {
            "k": k,
            "persistent": persistent,
            "batch_size": batch_size,
            "n_chains": n_chains,
            "learning_rate": learning_rate,
            "momentum": momentum,
            "weight_decay": weight_decay,
        }
        data = X if number == 0 else self.transform(X, layer=number)
        if number < len(self.layers):
            below, above = self.sizes[number : number + 2]
            rbm = RBM(below, above, seed=derive_seed(self.seed, Stream.WEIGHTS, number))
            rbm.fit(data, epochs, callbacks=callbacks, resume=resume, **options)
            self.layers[number].tie_to(rbm)
        else:
            from hintoncore.train.associative import AssociativeLearning
            from hintoncore.train.contrastive import CDSettings
            from hintoncore.train.trainer import Trainer

            settings = CDSettings.create(**options)
            task = AssociativeLearning(self.top, data, self._labels(y, X), settings)
            trainer = Trainer(task, batch_size=settings.batch_size, callbacks=callbacks)
            if resume is not None:
                trainer.load_checkpoint(resume)
            trainer.run(as_count(epochs, "epochs", low=0))
        self.layers_trained = max(self.layers_trained, number + 1)
        return self

    def add_layer(self, n_hidden: int) -> DBN:
        """Return a net with one more hidden layer: this one's associative memory becomes directed under a new one.

        The new memory starts as the old one turned upside down, as far as it has units for it; further units start with
        small weights. With at least as many hidden units as the old memory has features it has the old one's
        distribution, so the net's is what it was, and training it by :meth:`fit_layer` raises the bound from there
        ([1]_, section 4).

        Parameters
        ----------
        n_hidden : int >= 1

        Returns
        -------
        DBN
            Without labels, as this one is; nothing is shared.

        Raises
        ------
        ValueError
            If this net has labels, or not all its layers are trained.
        """
        if self.n_labels:
            raise ValueError(f"{self!r}: a layer is added to nets without labels only")
        if self.layers_trained < len(self.sizes) - 1:
            raise ValueError(f"layers: expected all to be trained, {self.layers_trained} are")
        grown = DBN((*self.sizes, n_hidden), seed=self.seed)
        for old, new in zip(self.layers, grown.layers, strict=False):
            copy_parameters(new.parameters(), old.parameters())
        grown.layers[-1].tie_to(self.top)
        units = min(self.top.n_features, n_hidden)
        grown.top.w[:, :units] = self.top.w[:units].T
        grown.top.b_vis[...] = self.top.b_hid
        grown.top.b_hid[:units] = self.top.b_vis[:units]
        grown.layers_trained = self.layers_trained
        return grown

    def fine_tune(
        self,
        X: ArrayLike | BitMatrix,
        y: ArrayLike | None = None,
        epochs: int = 10,
        *,
        gibbs_steps: int | Schedule = 3,
        batch_size: int = 100,
        learning_rate: float | Schedule = 0.02,
        momentum: float | Schedule = 0.9,
        weight_decay: float = 0.0,
        validation: tuple[ArrayLike | BitMatrix, ArrayLike | None] | None = None,
        callbacks: Sequence[Callback] = (),
        resume: str | os.PathLike[str] | None = None,
    ) -> DBN:
        """Fine-tune all layers by the up-down algorithm, a contrastive form of wake-sleep ([1]_, section 5).

        Recognition and generation weights come apart here. The result is a function of the seed, the data and the
        settings alone, interrupted or not.

        Parameters
        ----------
        X : array in [0, 1], shape [N, V], or BitMatrix
        y : array of ints, shape [N]
            Labels, for a net that has them.
        epochs : int >= 0
            A resumed run counts those already done.
        gibbs_steps : int >= 1 or Schedule
            Full steps of the associative memory's Gibbs chain between the up pass and the down pass; [1]_ takes 3, 6
            and 10 for a hundred epochs each.
        batch_size : int >= 1
        learning_rate : float or Schedule
            Of the mean gradient of a minibatch. The delta rules diverge when it is large: as a rule above 8 over the
            number of units that are on in a layer.
        momentum : float or Schedule
        weight_decay : float >= 0
            Of the weights, as of :meth:`hintoncore.models.RBM.fit`.
        validation : (X, y), optional
            Held-out rows: their classification error is monitored, or without labels their reconstruction error.
        callbacks : sequence of Callback
        resume : path, optional
            Checkpoint of the same run to go on from.

        Returns
        -------
        DBN
            This net.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range, the data do not fit, or the checkpoint belongs to another run.
        FloatingPointError
            If training diverges: the learning rate is too large.
        """
        from hintoncore.train.trainer import Trainer
        from hintoncore.train.up_down import UpDown, UpDownSettings

        settings = UpDownSettings.create(
            gibbs_steps=gibbs_steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            momentum=momentum,
            weight_decay=weight_decay,
        )
        held_out = None if validation is None else (validation[0], self._labels(validation[1], validation[0]))
        task = UpDown(self, X, self._labels(y, X), settings, validation=held_out)
        trainer = Trainer(task, batch_size=settings.batch_size, callbacks=callbacks)
        if resume is not None:
            trainer.load_checkpoint(resume)
        trainer.run(as_count(epochs, "epochs", low=0))
        return self

    def transform(self, X: ArrayLike | BitMatrix, layer: int | None = None) -> Float32Array:
        """Recognition probabilities of a hidden layer, by one deterministic pass upward through probabilities.

        Parameters
        ----------
        X : array in [0, 1], shape [N, V], or BitMatrix
        layer : int in [1, len(sizes) - 1], optional
            1 for the first hidden layer; the layer under the associative memory's hidden one,
            ``len(sizes) - 2``, when left out (the first hidden layer of a net of two layers). The topmost layer gets no
            input from labels, which are not known.

        Returns
        -------
        array of float32, shape [N, sizes[layer]]

        Raises
        ------
        ValueError, TypeError
            If ``X`` or ``layer`` does not fit the net.
        """
        last = len(self.sizes) - 1
        layer = max(1, last - 1) if layer is None else as_int(layer, "layer", 1, last)
        parts = []
        for block in self._blocks(X):
            means = block
            for directed in self.layers[:layer]:
                means = directed.means_above(means)
            if layer == last:
                n = self.top.n_features
                means = ops.linear(means, self.top.w[:n], self.top.b_hid, activation="sigmoid")
            parts.append(means)
        return np.concatenate(parts)

    def predict_log_proba(self, X: ArrayLike | BitMatrix) -> Float64Array:
        """Log-probability of each label: exact in the associative memory given the recognition probabilities.

        Parameters
        ----------
        X : array in [0, 1], shape [N, V], or BitMatrix

        Returns
        -------
        array of float64, shape [N, n_labels]

        Raises
        ------
        ValueError, TypeError
            If the net has no labels or ``X`` does not fit it.
        """
        if not self.n_labels:
            raise ValueError(f"{self!r} has no label units: pass n_labels when you make it")
        free_energy = self.top.free_energy(self.recognised(X))
        return np.asarray(-free_energy - np.logaddexp.reduce(-free_energy, axis=1, keepdims=True))

    def predict(self, X: ArrayLike | BitMatrix) -> NDArray[np.int64]:
        """Label of the lowest free energy for each row ([1]_, section 6), shape [N]; raises as `predict_log_proba`."""
        return np.asarray(self.predict_log_proba(X).argmax(axis=1), dtype=np.int64)

    def score(self, X: ArrayLike | BitMatrix, y: ArrayLike) -> float:
        """Share of the rows whose label is predicted; raises as :meth:`predict_log_proba`."""
        predicted = self.predict(X)
        return float((predicted == as_labels(y, self.n_labels, len(predicted))).mean())

    def sample(
        self,
        n: int,
        steps: int = 1000,
        *,
        labels: ArrayLike | int | None = None,
        rng: RngLike | None = None,
        return_probs: bool = False,
    ) -> Float32Array | tuple[Float32Array, Float32Array]:
        """Generate visible states: a Gibbs chain of the associative memory each, then one pass down.

        Parameters
        ----------
        n : int >= 1
        steps : int >= 0
            Full Gibbs steps, from features at random.
        labels : int or array of n ints, optional
            Classes to generate from: the label units are clamped to them.
        rng : Generator or int, optional
            The net's own generator when left out, so that every call gives new samples.
        return_probs : bool
            Also return ``p(v | h1)``, smoother to look at.

        Returns
        -------
        samples : array of float32 (0 or 1), shape [n, V]
        probs : array of float32, shape [n, V], only with ``return_probs``

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range.
        """
        n = as_count(n, "n")
        steps = as_count(steps, "steps", low=0)
        generator = self._sampling_rng if rng is None else as_generator(rng)
        clamped = None
        if labels is not None:
            if not self.n_labels:
                raise ValueError(f"labels: {self!r} has no label units")
            wanted = np.full(n, labels) if np.ndim(labels) == 0 else np.asarray(labels)
            clamped = one_hot(as_labels(wanted, self.n_labels, n, "labels"), self.n_labels)
        no_hidden = BitMatrix.zeros((n, self.top.n_hidden))
        states = self.top.sample_visible(no_hidden, generator, labels=clamped)
        states = self.top.gibbs(states, steps, generator, labels=clamped)
        below = self.top.features_of(states)
        probs: Float32Array | None = None
        for directed in reversed(self.layers):
            below, probs = directed.sample_below(below, generator)
        samples: Float32Array = below.to_dense()
        if not return_probs:
            return samples
        if probs is None:  # the visible layer is the associative memory's
            hidden, _ = self.top.sample_hidden(states, generator)
            features = self.top.n_features
            weights = np.ascontiguousarray(self.top.w[:features].T)
            probs = ops.linear(hidden.to_dense(), weights, self.top.b_vis[:features], activation="sigmoid")
            samples = (generator.random(probs.shape) < probs).astype(np.float32)
        return samples, probs

    def log_likelihood_bound(self, X: ArrayLike | BitMatrix, **options: Any) -> DBNBound:
        """Variational lower bound on the mean log-likelihood, see :func:`hintoncore.likelihood.dbn_bound`."""
        from hintoncore.likelihood import dbn_bound

        return dbn_bound(self, X, **options)

    def parameters(self) -> dict[str, Float32Array]:
        """Return the parameter arrays themselves: ``layers.0.up_w`` and so on, then ``top.w`` and its biases."""
        named = {f"top.{name}": array for name, array in self.top.parameters().items()}
        for number, layer in enumerate(self.layers):
            named.update({f"layers.{number}.{name}": array for name, array in layer.parameters().items()})
        return named

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

    def _blocks(self, X: ArrayLike | BitMatrix) -> Any:
        return dense_blocks(X, self.n_visible, _BLOCK_ROWS, units=_UNITS)

    def recognised(self, X: ArrayLike | BitMatrix) -> Float32Array:
        """Recognition probabilities of the memory's features: the data themselves in a net of two layers."""
        if self.layers:
            return self.transform(X, layer=len(self.layers))
        return np.concatenate(list(self._blocks(X)))

    def _labels(self, y: ArrayLike | None, X: ArrayLike | BitMatrix) -> NDArray[np.int64] | None:
        if (y is not None) != bool(self.n_labels):
            expected = f"expected labels in [0, {self.n_labels})" if self.n_labels else "expected None: no label units"
            raise ValueError(f"y: {expected}, given {'None' if y is None else 'labels'}")
        if y is None:
            return None
        return as_labels(y, self.n_labels, as_rows(X, self.n_visible).shape[0])
