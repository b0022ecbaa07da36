"""Mixtures of Bernoulli or Gaussian distributions, fitted by EM in its standard, incremental and sparse forms."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore._counts import as_count
from hintoncore._streams import Stream, derive_seed
from hintoncore._validate import as_int, as_number
from hintoncore.bitmatrix import BitMatrix
from hintoncore.files import FileFormatError, load_tensors, save_tensors
from hintoncore.generator import Generator, RngLike, as_generator
from hintoncore.models._components import COMPONENTS, Components
from hintoncore.models._rows import as_rows

if TYPE_CHECKING:
    from hintoncore.train.callbacks import Callback

__all__ = ["Mixture", "softmax_and_log_sum"]

Float64Array = NDArray[np.float64]

_FILE_KIND = "mixture"
_BLOCK_ROWS = 1024


class Mixture:
    """``p(x) = sum_k weights_k p(x | k)`` with components of one family.

    All parameters and sums are float64, so that EM's promise, a free energy that never falls, can be checked closely.

    Parameters
    ----------
    n_components, n_features : int >= 1
    family : {"bernoulli", "gaussian-diagonal", "gaussian-full"}
    pseudo_count : float > 0
        Imaginary observations of each component, with the mean statistics of the data (for a full covariance without
        the correlations). They keep means off 0 and 1, variances off 0, and components alive: EM then maximises the
        posterior under the conjugate prior that they amount to.
    seed : int in [0, 2**64)
        The rows that components start from, training and :meth:`sample` are functions of it.

    Attributes
    ----------
    weights : array of float64, shape [K]
        Mixing proportions.
    components : Components
        ``components.mean`` [K, D], and ``variance`` [K, D] or ``covariance`` [K, D, D] of Gaussians.
    prior : array of float64, shape [S]
        Sufficient statistics of an imaginary observation; set by the first :meth:`fit`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or the family is unknown.

    References
    ----------
    .. [1] R. M. Neal, G. E. Hinton, "A view of the EM algorithm that justifies incremental, sparse, and other
           variants", in Learning in Graphical Models, 1998.

    Examples
    --------
    >>> import hintoncore as hc
    >>> digits = hc.datasets.binarize(hc.datasets.load("digits").train)
    >>> mixture = hc.models.Mixture(10, 64, seed=1).fit(digits, epochs=5, batch_size=100)
    >>> mixture.responsibilities(digits).shape
    (1500, 10)
    """

    def __init__(
        self,
        n_components: int,
        n_features: int,
        family: str = "bernoulli",
        *,
        pseudo_count: float = 1.0,
        seed: int = 0,
    ) -> None:
        if family not in COMPONENTS:
            raise ValueError(f"family: expected one of {', '.join(map(repr, COMPONENTS))}, given {family!r}")
        self.pseudo_count = as_number(pseudo_count, "pseudo_count")
        if not self.pseudo_count > 0:
            raise ValueError(f"pseudo_count: expected a number > 0, given {pseudo_count}")
        self.n_components = as_count(n_components, "n_components")
        self.n_features = as_count(n_features, "n_features")
        self.family = family
        self.seed = as_int(seed, "seed", 0, 2**64 - 1)
        self.components: Components = COMPONENTS[family](self.n_components, self.n_features)
        self.weights: Float64Array = np.full(self.n_components, 1.0 / self.n_components)
        self.prior: Float64Array | None = None
        self.epochs_trained = 0
        self._sampling_rng = Generator(derive_seed(self.seed, Stream.SAMPLING))

    def __repr__(self) -> str:
        """Sizes, family and seed, as the constructor takes them."""
        return (
            f"Mixture({self.n_components}, {self.n_features}, {self.family!r}, pseudo_count={self.pseudo_count}, "
            f"seed={self.seed})"
        )

    def fit(
        self,
        X: ArrayLike | BitMatrix,
        epochs: int = 10,
        *,
        batch_size: int | None = None,
        sparse_threshold: float = 0.0,
        full_every: int = 5,
        callbacks: Sequence[Callback] = (),
        resume: str | os.PathLike[str] | None = None,
    ) -> Mixture:
        """Maximise the free energy ``F(q, theta) = E_q[log p(z, x | theta)] + H(q)`` [1]_.

        Each step recomputes the responsibilities q of some rows and then all parameters; neither can lower F. With all
        rows in a step this is standard EM. With fewer it is incremental EM: the sufficient statistics are kept, a step
        replaces its rows' part of them, and what it learns serves the next step at once. With a threshold it is sparse
        EM: responsibilities below it stay frozen, and only the others are recomputed, but for every ``full_every``-th
        epoch.

        Parameters
        ----------
        X : array, shape [N, D], or BitMatrix
            In [0, 1] for Bernoulli components.
        epochs : int >= 0
            Passes over the rows, in a new random order each, after a first one that all variants share: it computes the
            responsibilities under the initial parameters. A resumed run counts those already done.
        batch_size : int >= 1, optional
            Rows of a step; all of them when left out.
        sparse_threshold : float in [0, 1)
            0 is not sparse.
        full_every : int >= 1
            Epochs from one full recomputation to the next in sparse EM.
        callbacks : sequence of Callback
            See :mod:`hintoncore.train`.
        resume : path, optional
            Checkpoint of the same run to go on from; it replaces the parameters of this model.

        Returns
        -------
        Mixture
            This model.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range, the data do not fit, the checkpoint belongs to other data or settings.
        FloatingPointError
            If F falls by more than rounding can explain, or a covariance stops being positive definite: raise
            ``pseudo_count``.
        """
        from hintoncore.train.em import EMSettings, ExpectationMaximization
        from hintoncore.train.trainer import Trainer

        settings = EMSettings.create(sparse_threshold=sparse_threshold, full_every=full_every)
        task = ExpectationMaximization(self, X, settings)
        size = task.n_rows if batch_size is None else as_count(batch_size, "batch_size")
        trainer = Trainer(task, batch_size=size, callbacks=callbacks)
        if resume is not None:
            trainer.load_checkpoint(resume)
        trainer.run(as_count(epochs, "epochs", low=0))
        return self

    def maximise(self, counts: Float64Array, sums: Float64Array) -> None:
        """M step: all parameters from the responsibilities' sums [K] and their sums of statistics [K, S]."""
        counts, sums = self._with_prior(counts, sums)
        self.weights = counts / counts.sum()
        try:
            self.components.maximise(counts, sums)
        except np.linalg.LinAlgError as error:
            raise FloatingPointError(f"a covariance is not positive definite: raise pseudo_count ({error})") from error

    def expected_log_joint(self, counts: Float64Array, sums: Float64Array) -> float:
        """``E_q[log p(z, x | theta)]`` and the log prior of theta up to a constant, from sums over q: nats."""
        counts, sums = self._with_prior(counts, sums)
        return float(counts @ np.log(self.weights)) + self.components.expected_log_density(counts, sums)

    def log_joint(self, x: Float64Array) -> Float64Array:
        """``log p(z = k, x | theta)`` of rows [B, D]: float64 [B, K]."""
        return np.asarray(self.components.log_density(x) + np.log(self.weights))

    def responsibilities(self, X: ArrayLike | BitMatrix) -> Float64Array:
        """Posterior probabilities of the components: float64 [N, K], rows add up to 1."""
        return np.concatenate([softmax_and_log_sum(self.log_joint(block))[0] for block in self._blocks(X)])

    def log_probabilities(self, X: ArrayLike | BitMatrix) -> Float64Array:
        """Log density of each row in nats: float64 [N]."""
        return np.concatenate([softmax_and_log_sum(self.log_joint(block))[1] for block in self._blocks(X)])

    def log_likelihood(self, X: ArrayLike | BitMatrix) -> float:
        """Mean log density in nats for each row."""
        return float(self.log_probabilities(X).mean())

    def sample(self, n: int, *, rng: RngLike | None = None) -> NDArray[np.float32]:
        """Draw rows.

        Parameters
        ----------
        n : int >= 1
        rng : Generator or int, optional
            Four offsets are consumed. The model's own generator when left out.

        Returns
        -------
        array of float32, shape [n, D]
        """
        generator = self._sampling_rng if rng is None else as_generator(rng)
        shape = (as_count(n, "n"), self.n_features)
        edges = np.cumsum(self.weights)
        chosen = np.searchsorted(edges / edges[-1], generator.random((n,)).astype(np.float64))
        uniform, normal = generator.random(shape), generator.normal(shape)
        rows = self.components.draw(chosen, normal.astype(np.float64), uniform.astype(np.float64))
        return rows.astype(np.float32)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one safetensors file, atomically; equal models give equal bytes.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        save_tensors(
            path,
            self.parameters(),
            kind=_FILE_KIND,
            metadata={
                "epochs_trained": self.epochs_trained,
                "family": self.family,
                "n_components": self.n_components,
                "n_features": self.n_features,
                "pseudo_count": self.pseudo_count,
                "seed": self.seed,
            },
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Mixture:
        """Read a model that :meth:`save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        FileFormatError
            If the file is damaged, is not a mixture, or was written by a newer version.
        """
        tensors, metadata = load_tensors(path, kind=_FILE_KIND)
        try:
            model = cls(
                metadata["n_components"],
                metadata["n_features"],
                metadata["family"],
                pseudo_count=metadata["pseudo_count"],
                seed=metadata["seed"],
            )
            model.epochs_trained = metadata["epochs_trained"]
            model.set_parameters(tensors)
        except (KeyError, TypeError, ValueError, np.linalg.LinAlgError) as error:
            raise FileFormatError(f"{path}: not a usable mixture ({error})") from error
        return model

    def parameters(self) -> dict[str, Float64Array]:
        """Parameters by name: ``weights``, those of the components, and ``prior`` once there is one."""
        own = {"weights": self.weights} if self.prior is None else {"weights": self.weights, "prior": self.prior}
        return {**own, **self.components.parameters()}

    def set_parameters(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Copy parameters in.

        Raises
        ------
        KeyError
            If one is missing.
        ValueError
            If one has another shape or dtype, or a value that is not finite.
        """
        for name, parameter in {"weights": self.weights, **self.components.parameters()}.items():
            tensor = tensors[name]
            if tensor.shape != parameter.shape or tensor.dtype != np.float64:
                raise ValueError(
                    f"{name}: expected float64 {list(parameter.shape)}, given {tensor.dtype} {list(tensor.shape)}"
                )
            if not np.isfinite(tensor).all():
                raise ValueError(f"{name}: expected finite values")
        self.weights = tensors["weights"].copy()
        self.prior = tensors["prior"].copy() if "prior" in tensors else None
        self.components.set_parameters(tensors)

    def _with_prior(self, counts: Float64Array, sums: Float64Array) -> tuple[Float64Array, Float64Array]:
        if self.prior is None:
            raise ValueError("prior: not set yet, fit the mixture first")
        return counts + self.pseudo_count, sums + self.pseudo_count * self.prior

    def _blocks(self, X: ArrayLike | BitMatrix) -> Iterator[Float64Array]:
        rows = as_rows(X, self.n_features)
        dense = rows.to_dense() if isinstance(rows, BitMatrix) else rows
        for start in range(0, dense.shape[0], _BLOCK_ROWS):
            yield np.asarray(dense[start : start + _BLOCK_ROWS], dtype=np.float64)


def softmax_and_log_sum(x: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Normalised exponentials of each row, and the logarithm of their sum."""
    top = x.max(axis=1, keepdims=True)
    weights = np.exp(x - top)
    total = weights.sum(axis=1, keepdims=True)
    return weights / total, (top + np.log(total))[:, 0]
