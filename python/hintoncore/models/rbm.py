"""The restricted Boltzmann machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import ops
from hintoncore._counts import as_count
from hintoncore._streams import Stream, derive_seed
from hintoncore._validate import as_int
from hintoncore.bitmatrix import BitMatrix
from hintoncore.files import FileFormatError, load_tensors, save_tensors
from hintoncore.generator import Generator, RngLike, as_generator
from hintoncore.models._parameters import copy_parameters
from hintoncore.models._rows import as_rows, dense_blocks
from hintoncore.models.units import GaussianUnits, SteppedSigmoidUnits, Units, unit_type
from hintoncore.train.schedules import Schedule

if TYPE_CHECKING:
    from hintoncore.likelihood import Bracket
    from hintoncore.train.callbacks import Callback
    from hintoncore.train.gradient_update import Centring, Sparsity
    from hintoncore.train.negative_phase import LearningRule

__all__ = ["RBM"]

Float32Array = NDArray[np.float32]

_FILE_KIND = "rbm"
_WEIGHT_STD = 0.01
_BLOCK_ROWS = 256


class RBM:
    """Restricted Boltzmann machine: a layer of visible and a layer of hidden units, of any type each.

    With binary units the energy is ``E(v, h) = - b_vis . v - b_hid . h - v^T w h``; ``p(v, h) = exp(-E(v, h)) / Z``.
    :mod:`hintoncore.models.units` has the energy of the others. Two Bernoulli layers are sampled and trained on packed
    bits, all others on float32 arrays.

    Parameters
    ----------
    n_visible, n_hidden : int >= 1
        Columns of a layer; a softmax group takes as many as it has states.
    visible, hidden : str
        Unit types: ``"bernoulli"``, ``"spin"`` (-1 and +1), ``"softmax:K"`` (groups of K columns of which one is 1),
        ``"gaussian"`` (variances learned; hidden ones are 1) and ``"gaussian:unit"`` (variances 1); hidden also
        ``"nrelu"`` (noisy rectified linear) and ``"stepped-sigmoid"`` (what these approximate, exactly). Two Gaussian
        layers are refused: their energy has no lower bound unless the weights are small.
    seed : int in [0, 2**64)
        The initial weights, training and :meth:`sample` are functions of it.

    Attributes
    ----------
    w : array of float32, shape [V, H]
        Couplings, at first drawn from a normal distribution with standard deviation 0.01 (practical guide
        [2]_, section 8).
    b_vis : array of float32, shape [V]
        At first 0; the first :meth:`fit` sets it to what reproduces the data means, ``log(p / (1 - p))`` for
        Bernoulli units.
    b_hid : array of float32, shape [H]
        At first 0.
    epochs_trained, steps_trained : int
        Epochs and parameter updates since the weights were drawn.

    Raises
    ------
    ValueError
        If a size is below 1, a unit type is unknown or cannot be combined, or the seed is out of range.

    References
    ----------
    .. [1] G. E. Hinton, "Training products of experts by minimizing contrastive divergence", Neural
           Computation
           14, 2002.
    .. [2] G. E. Hinton, "A practical guide to training restricted Boltzmann machines", UTML TR 2010-003,
           2010.

    Examples
    --------
    >>> import hintoncore as hc
    >>> digits = hc.datasets.load("digits")
    >>> rbm = hc.models.RBM(64, 16, seed=1).fit(hc.datasets.binarize(digits.train), epochs=5)
    >>> rbm.transform(digits.test).shape
    (297, 16)
    """

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        visible: str = "bernoulli",
        hidden: str = "bernoulli",
        seed: int = 0,
    ) -> None:
        self.n_visible = as_count(n_visible, "n_visible")
        self.n_hidden = as_count(n_hidden, "n_hidden")
        self.visible_units = unit_type(visible, "visible", self.n_visible)
        self.hidden_units = unit_type("gaussian:unit" if hidden == "gaussian" else hidden, "hidden", self.n_hidden)
        _check_pair(self.visible_units, self.hidden_units)
        self.seed = as_int(seed, "seed", 0, 2**64 - 1)
        weights = Generator(derive_seed(self.seed, Stream.WEIGHTS)).normal((self.n_visible, self.n_hidden))
        self.w: Float32Array = np.ascontiguousarray(weights * np.float32(_WEIGHT_STD), dtype=np.float32)
        self.b_vis: Float32Array = np.zeros(self.n_visible, dtype=np.float32)
        self.b_hid: Float32Array = np.zeros(self.n_hidden, dtype=np.float32)
        self.epochs_trained = 0
        self.steps_trained = 0
        self._sampling_rng = Generator(derive_seed(self.seed, Stream.SAMPLING))

    def __repr__(self) -> str:
        """Sizes, unit types and seed, as the constructor takes them."""
        return (
            f"RBM({self.n_visible}, {self.n_hidden}, visible={self.visible_units.name!r}, "
            f"hidden={self.hidden_units.name!r}, seed={self.seed})"
        )

    def fit(
        self,
        X: ArrayLike | BitMatrix,
        epochs: int = 10,
        *,
        k: int | Schedule = 1,
        persistent: bool = False,
        batch_size: int = 100,
        n_chains: int | None = None,
        learning_rate: float | Schedule = 0.05,
        momentum: float | Schedule | None = None,
        weight_decay: float = 0.0002,
        rule: str | LearningRule | None = None,
        centred: bool | str | Centring = False,
        sparsity: Sparsity | None = None,
        l1: float = 0.0,
        validation: ArrayLike | BitMatrix | None = None,
        callbacks: Sequence[Callback] = (),
        resume: str | os.PathLike[str] | None = None,
    ) -> RBM:
        """Train by contrastive divergence (CD-k) or persistent contrastive divergence.

        The defaults are those of the practical guide [2]_. The model that results is a function of the seed,
        the data and the settings alone: neither the number of threads nor an interruption changes a bit of
        it.

        Parameters
        ----------
        X : array, shape [N, V], or BitMatrix
            States of the visible units, or means in between, of one-hot groups distributions. Binary data of Bernoulli
            units are kept packed, at a bit a value.
        epochs : int >= 0
            Passes over the data, in a new random order each. A resumed run counts those already done.
        k : int >= 1 or Schedule
            Gibbs steps of the negative phase.
        persistent : bool
            Continue the negative phase's chains from update to update (PCD, Tieleman 2008).
        batch_size : int >= 1
            Rows of an update; the gradient is the mean over the rows actually in the minibatch.
        n_chains : int >= 1, optional
            Persistent chains, ``batch_size`` of them when left out. Only with ``persistent``.
        learning_rate : float or Schedule
        momentum : float or Schedule, optional
            Of ``velocity = momentum * velocity + learning_rate * gradient``. When left out, 0.5 for five epochs and
            then 0.9 (guide, section 9); with ``persistent`` 0.5 throughout, as chains have to keep up with the weights.
        weight_decay : float >= 0
            Added to the gradient of ``w`` as ``-weight_decay * w``.
        rule : {"cd", "pcd", "fpcd", "pt"} or LearningRule, optional
            Where the negative phase comes from: :class:`~hintoncore.train.CD`, :class:`~hintoncore.train.PCD`,
            :class:`~hintoncore.train.FastPCD` or :class:`~hintoncore.train.TemperedPCD`, the classes taking settings.
            When left out, ``persistent`` decides between the first two.
        centred : bool, "data", "enhanced" or :class:`~hintoncore.train.Centring`
            Follow the centred gradient; True is "data".
        sparsity : :class:`~hintoncore.train.Sparsity`, optional
            Pull hidden activities to a target.
        l1 : float >= 0
            Added to the gradient of ``w`` as ``-l1 * sign(w)``.
        validation : array or BitMatrix, shape [M, V], optional
            Held-out rows to monitor, above all by the free-energy gap (guide, section 6).
        callbacks : sequence of Callback
            See :mod:`hintoncore.train`; among them the progress bar, metrics file, checkpoints and early
            stopping.
        resume : path, optional
            Checkpoint of the same run to go on from; it replaces the parameters of this model.

        Returns
        -------
        RBM
            This model.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range, the data do not fit the model, the checkpoint belongs to other
            data or settings.
        FloatingPointError
            If training diverges: the learning rate is too large. Unbounded units, Gaussian and NReLU ones, need a tenth
            of the rates of binary ones or less (guide [2]_, section 13.2).
        KeyboardInterrupt
            On Ctrl-C, after the current update and after every ``Checkpoint`` callback has saved.
        """
        from hintoncore.train.contrastive import CDSettings, ContrastiveDivergence
        from hintoncore.train.trainer import Trainer
        from hintoncore.train.unit_divergence import UnitDivergence

        settings = CDSettings.create(
            k=k,
            persistent=persistent,
            batch_size=batch_size,
            n_chains=n_chains,
            learning_rate=learning_rate,
            momentum=momentum,
            weight_decay=weight_decay,
            rule=rule,
            centred=centred,
            sparsity=sparsity,
            l1=l1,
        )
        task_type = ContrastiveDivergence if self.binary else UnitDivergence
        task = task_type(self, X, settings, validation=validation)
        trainer = Trainer(task, batch_size=settings.batch_size, callbacks=callbacks)
        if resume is not None:
            trainer.load_checkpoint(resume)
        trainer.run(as_count(epochs, "epochs", low=0))
        return self

    @overload
    def sample(
        self,
        n: int,
        steps: int = ...,
        *,
        rng: RngLike | None = ...,
        initial: ArrayLike | BitMatrix | None = ...,
        temperature: float = ...,
        return_probs: Literal[False] = ...,
    ) -> Float32Array: ...

    @overload
    def sample(
        self,
        n: int,
        steps: int = ...,
        *,
        rng: RngLike | None = ...,
        initial: ArrayLike | BitMatrix | None = ...,
        temperature: float = ...,
        return_probs: Literal[True],
    ) -> tuple[Float32Array, Float32Array]: ...

    def sample(
        self,
        n: int,
        steps: int = 1000,
        *,
        rng: RngLike | None = None,
        initial: ArrayLike | BitMatrix | None = None,
        temperature: float = 1.0,
        return_probs: bool = False,
    ) -> Float32Array | tuple[Float32Array, Float32Array]:
        """Draw visible states by block Gibbs sampling, one independent chain for each.

        Parameters
        ----------
        n : int >= 1
        steps : int >= 1
            Gibbs steps, hidden then visible, from the initial states.
        rng : Generator or int, optional
            ``2 steps`` offsets are consumed, one more without ``initial``. The model's own generator when
            left out, so that every call gives new samples.
        initial : array of states or means, shape [n, V], or BitMatrix, optional
            States to start from; independent units at ``b_vis`` when left out.
        temperature : float > 0
            Samples from ``exp(-E / temperature)``.
        return_probs : bool
            Also return ``p(v | h)`` of the last step, smoother to look at.

        Returns
        -------
        samples : array of float32, shape [n, V]
            States.
        probs : array of float32, shape [n, V], only with ``return_probs``

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range or ``initial`` does not fit.
        """
        n = as_count(n, "n")
        steps = as_count(steps, "steps")
        generator = self._sampling_rng if rng is None else as_generator(rng)
        if not self.binary:
            return self._sample_units(n, steps, generator, initial, temperature, return_probs)
        visible: Any
        if initial is None:
            no_hidden = BitMatrix.zeros((n, self.n_hidden))
            visible = ops.gibbs_step(
                no_hidden, self.w, self.b_vis, rng=generator, transpose=True, temperature=temperature
            )
        else:
            visible = as_rows(initial, self.n_visible, "initial")
            if visible.shape[0] != n:
                raise ValueError(f"initial: expected shape [{n}, {self.n_visible}], given {list(visible.shape)}")
        for _ in range(steps - 1):
            hidden = ops.gibbs_step(visible, self.w, self.b_hid, rng=generator, temperature=temperature)
            visible = ops.gibbs_step(hidden, self.w, self.b_vis, rng=generator, transpose=True, temperature=temperature)
        hidden = ops.gibbs_step(visible, self.w, self.b_hid, rng=generator, temperature=temperature)
        last: Any = ops.gibbs_step(
            hidden,
            self.w,
            self.b_vis,
            rng=generator,
            transpose=True,
            temperature=temperature,
            return_probs=return_probs,
        )
        if return_probs:
            return _dense(last[0]), last[1]
        return _dense(last)

    def _sample_units(
        self,
        n: int,
        steps: int,
        rng: Generator,
        initial: ArrayLike | BitMatrix | None,
        temperature: float,
        return_probs: bool,
    ) -> Float32Array | tuple[Float32Array, Float32Array]:
        """:meth:`sample` for layers of any type."""
        if not temperature > 0:
            raise ValueError(f"temperature: expected a number above 0, given {temperature}")
        if initial is None:
            start = np.tile(self.b_vis, (n, 1))
            visible = self.visible_units.sample(start, rng, temperature=temperature)
        else:
            visible = np.concatenate(list(self._blocks(initial, "initial")))
            if len(visible) != n:
                raise ValueError(f"initial: expected shape [{n}, {self.n_visible}], given {list(visible.shape)}")
        means = visible
        for _ in range(steps):
            hidden = self.hidden_units.sample(self.hidden_inputs(visible), rng, temperature=temperature)
            visible, means = self.visible_units.sample(
                self.visible_inputs(hidden), rng, temperature=temperature, return_means=True
            )
        return (visible, means) if return_probs else visible

    def transform(self, X: ArrayLike | BitMatrix) -> Float32Array:
        """Means of the hidden units given each row, for binary units ``p(h = 1 | v)``.

        Parameters
        ----------
        X : array of states or means, shape [N, V], or BitMatrix

        Returns
        -------
        array of float32, shape [N, H]

        Raises
        ------
        ValueError, TypeError
            If ``X`` does not fit the model.
        """
        return np.concatenate([self._hidden_means(block) for block in self._blocks(X)])

    def reconstruct(self, X: ArrayLike | BitMatrix) -> Float32Array:
        """Mean-field reconstruction: visible means given the hidden means of each row.

        Deterministic; the sampled reconstruction is one step of :meth:`sample` with ``initial=X``.

        Parameters
        ----------
        X : array of states or means, shape [N, V], or BitMatrix

        Returns
        -------
        array of float32, shape [N, V]

        Raises
        ------
        ValueError, TypeError
            If ``X`` does not fit the model.
        """
        means = [self.visible_units.mean(self.visible_inputs(self._hidden_means(block))) for block in self._blocks(X)]
        return np.concatenate(means)

    def free_energy(self, X: ArrayLike | BitMatrix) -> NDArray[np.float64]:
        """Free energy ``F(v)``, so that ``p(v) = exp(-F(v)) / Z``.

        ``F(v) = energy(v, b_vis) - sum_j log sum_h exp(-energy(h, b_j) + (t(v) w)_j t(h))``, in closed form for every
        type of unit; for binary ones ``-b_vis . v - sum_j softplus(b_j + (v w)_j)``.

        Parameters
        ----------
        X : array of states or means, shape [N, V], or BitMatrix

        Returns
        -------
        array of float64, shape [N]
            Nats. The sums ``v w`` are float32, the rest is float64.

        Raises
        ------
        ValueError, TypeError
            If ``X`` does not fit the model.

        References
        ----------
        Practical guide [2]_, eq. 25.
        """
        constant = self.hidden_units.bias_energy(self.b_hid)
        parts = []
        for block in self._blocks(X):
            inputs = self.hidden_inputs(block).astype(np.float64)
            summed_out = self.hidden_units.log_normaliser(inputs).sum(axis=1) - constant
            parts.append(self.visible_units.energy(block, self.b_vis) - summed_out)
        return np.concatenate(parts)

    @overload
    def log_likelihood(
        self, X: ArrayLike | BitMatrix, method: Literal["exact", "ais"] = ..., **options: Any
    ) -> float: ...

    @overload
    def log_likelihood(self, X: ArrayLike | BitMatrix, method: Literal["bracket"], **options: Any) -> Bracket: ...

    def log_likelihood(
        self, X: ArrayLike | BitMatrix, method: Literal["exact", "ais", "bracket"] = "exact", **options: Any
    ) -> float | Bracket:
        """Mean log-likelihood of the rows.

        Parameters
        ----------
        X : array of states, shape [N, V], or BitMatrix
        method : {"exact", "ais", "bracket"}
            ``"exact"`` enumerates a layer, see :func:`hintoncore.likelihood.exact_log_z`. ``"ais"`` anneals from the
            rows' base rates and errs high; ``"bracket"`` anneals from both sides.
        **options
            Of :func:`hintoncore.likelihood.ais` or :func:`hintoncore.likelihood.bracket`: ``chains``,
            ``temperatures``, ``rng`` and so on.

        Returns
        -------
        float, or :class:`hintoncore.likelihood.Bracket` with ``method="bracket"``
            Nats for each row.

        Raises
        ------
        ValueError, TypeError
            If the method is unknown, both layers are too large to enumerate, or ``X`` or an option does not fit.

        Warns
        -----
        hintoncore.likelihood.LikelihoodWarning
            If the estimate is not to be relied upon.
        """
        from hintoncore.likelihood import ais, bracket, exact_log_likelihood

        if method == "exact":
            return exact_log_likelihood(self, X, **options)
        if method == "ais":
            return float(-self.free_energy(X).mean()) - ais(self, **{"base": X, **options}).log_z
        if method == "bracket":
            return bracket(self, X, **options)
        raise ValueError(f"method: expected 'exact', 'ais' or 'bracket', given {method!r}")

    def pseudo_log_likelihood(
        self,
        X: ArrayLike | BitMatrix,
        *,
        rng: RngLike | None = None,
    ) -> float:
        """Mean over rows of ``sum_i log p(v_i | v_-i)``, see :func:`hintoncore.likelihood.pseudo_log_likelihood`."""
        from hintoncore.likelihood import pseudo_log_likelihood

        return pseudo_log_likelihood(self, X, rng=rng)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one safetensors file; equal models give equal bytes.

        The write is atomic: the file at ``path`` is the old one or the whole new one.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        save_tensors(
            path,
            dict(sorted(self.parameters().items())),
            kind=_FILE_KIND,
            metadata={
                "epochs_trained": self.epochs_trained,
                "hidden": self.hidden_units.name,
                "n_hidden": self.n_hidden,
                "n_visible": self.n_visible,
                "seed": self.seed,
                "steps_trained": self.steps_trained,
                "visible": self.visible_units.name,
            },
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RBM:
        """Read a model that :meth:`save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        FileFormatError
            If the file is damaged, is not an RBM, or was written by a newer version.
        """
        tensors, metadata = load_tensors(path, kind=_FILE_KIND)
        try:
            model = cls(
                metadata["n_visible"],
                metadata["n_hidden"],
                visible=metadata["visible"],
                hidden=metadata["hidden"],
                seed=metadata["seed"],
            )
            model.epochs_trained = metadata["epochs_trained"]
            model.steps_trained = metadata["steps_trained"]
            model.set_parameters(tensors)
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"{path}: not a usable RBM ({error})") from error
        return model

    def parameters(self) -> dict[str, Float32Array]:
        """Return the parameter arrays themselves by name: ``w``, ``b_vis``, ``b_hid``, learned ``log_variance``."""
        return {"w": self.w, "b_vis": self.b_vis, "b_hid": self.b_hid, **self.visible_units.parameters()}

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

    @property
    def binary(self) -> bool:
        """Whether both layers are Bernoulli, so that kernels on packed bits serve."""
        return self.visible_units.name == self.hidden_units.name == "bernoulli"

    def hidden_inputs(self, visible: Float32Array) -> Float32Array:
        """Total inputs of the hidden units, ``b_hid + t(v) w``, for states or means of the visible ones [B, V]."""
        inputs: Float32Array = ops.linear(self.visible_units.statistic(visible), self.w, self.b_hid)
        return inputs

    def visible_inputs(self, hidden: Float32Array) -> Float32Array:
        """Total inputs of the visible units, ``b_vis + w t(h)``, for states or means of the hidden ones [B, H]."""
        inputs: Float32Array = ops.matmul(self.hidden_units.statistic(hidden), self.w, trans_b=True)
        inputs += self.b_vis
        return inputs

    def _blocks(self, X: ArrayLike | BitMatrix, name: str = "X") -> Iterator[Float32Array]:
        return dense_blocks(X, self.n_visible, _BLOCK_ROWS, units=self.visible_units, name=name)

    def _hidden_means(self, block: Float32Array) -> Float32Array:
        return self.hidden_units.mean(self.hidden_inputs(block))


def _check_pair(visible: Units, hidden: Units) -> None:
    if isinstance(visible, SteppedSigmoidUnits):
        raise ValueError(f"visible: {visible.name} units are hidden units, as data they have no energy of their own")
    if isinstance(visible, GaussianUnits) and isinstance(hidden, GaussianUnits):
        raise ValueError(
            "hidden: expected units other than Gaussian beside Gaussian visible ones: the energy of two Gaussian "
            "layers has no lower bound unless the weights are small"
        )


def _dense(states: Any) -> Float32Array:
    return states.to_dense() if isinstance(states, BitMatrix) else np.asarray(states, dtype=np.float32)
