"""The restricted Boltzmann machine for collaborative filtering."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import ops
from hintoncore._counts import as_count
from hintoncore._streams import Stream, derive_seed
from hintoncore._validate import as_int
from hintoncore.files import FileFormatError, load_tensors, save_tensors
from hintoncore.generator import Generator
from hintoncore.models._parameters import copy_parameters
from hintoncore.models._rating_baseline import RatingBaseline
from hintoncore.models._rating_rows import RatingRows
from hintoncore.ops import CFParameters, Ratings

if TYPE_CHECKING:
    from hintoncore.train.callbacks import Callback
    from hintoncore.train.schedules import Schedule

__all__ = ["CFRBM"]

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
Triples = tuple[ArrayLike, ArrayLike, ArrayLike]

_FILE_KIND = "cf-rbm"
_WEIGHT_STD = 0.02
_SMOOTHING = 5.0  # imagined ratings of an item, distributed as all ratings are
_BLOCK_RATINGS = 1 << 16
_SMALLEST_VARIANCE = 1e-3
_WEIGHTS = ("ordinal", "softmax")
_METHODS = ("exact", "mean-field")


class CFRBM:
    """Restricted Boltzmann machine for ratings: a machine for each user, with weights that all users share [1]_.

    A user's visible units are the items that he rated, each a softmax over K levels; hidden units are Bernoulli.
    Ratings that are missing have no units: memory and time go with the number of ratings. With levels v and hidden
    states h,

    ``-E = sum_i b_i(v_i) + b_hid . h + sum_i (W_i(v_i) + d_i) . h``

    over the rated items i. With ``weights="softmax"`` every level of an item has weights ``W_i(k) = w[i, k]`` of its
    own, as in the paper. With ``weights="ordinal"`` levels are numbers: ``W_i(k) = (values[k] - c_ui) w[i]`` and
    ``b_i(k) = b_level[k] + b_vis[i, k] + precision c_ui values[k]``, where the center ``c_ui`` is the mean rating plus
    biases of user and item (:class:`~hintoncore.models._rating_baseline.RatingBaseline`), computed without the rating
    itself. A K-th of the weights, which matters where most items have few ratings.

    Parameters
    ----------
    n_items, n_hidden : int >= 1
    values : array, shape [K], 2 <= K <= 64
        The ratings there are, rising.
    weights : {"ordinal", "softmax"}
    conditional : bool
        Have the weights d of which items were rated (section 4). They are those of the training ratings alone: the
        identity of held-out items, which the Netflix competition gave away, is never used.
    precision : float > 0, optional
        With ordinal weights: inverse variance of ratings around their centers, at first. Measured by :meth:`fit` when
        left out.
    user_shrinkage, item_shrinkage : float >= 0
        Imagined ratings without bias in the centers.
    seed : int in [0, 2**64)

    Attributes
    ----------
    w : array of float32, shape [I, 1, H] or [I, K, H]
    d : array of float32, shape [I, H], or None
    b_vis, b_level, b_hid : arrays of float32, shapes [I, K], [K], [H]
    baseline : RatingBaseline or None
        Centers, of a fitted machine with ordinal weights.
    ratings : RatingRows or None
        What the machine was fitted to: predictions for a user are made from his own ratings.
    epochs_trained, steps_trained : int

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    References
    ----------
    .. [1] R. Salakhutdinov, A. Mnih, G. E. Hinton, "Restricted Boltzmann machines for collaborative filtering", ICML
           2007.
    .. [2] J. Besag, "Statistical analysis of non-lattice data", The Statistician 24, 1975.

    Examples
    --------
    >>> import numpy as np
    >>> from hintoncore.models import CFRBM
    >>> indptr, items, stars = np.array([0, 2, 4]), np.array([0, 1, 1, 2]), np.array([5.0, 4.0, 4.0, 1.0])
    >>> machine = CFRBM(3, 4, values=[1, 2, 3, 4, 5], seed=1).fit((indptr, items, stars), epochs=2)
    >>> machine.predict([0, 1], [2, 0]).shape
    (2,)
    """

    def __init__(
        self,
        n_items: int,
        n_hidden: int = 50,
        *,
        values: ArrayLike = (1.0, 2.0, 3.0, 4.0, 5.0),
        weights: str = "ordinal",
        conditional: bool = True,
        precision: float | None = None,
        user_shrinkage: float = 5.0,
        item_shrinkage: float = 10.0,
        seed: int = 0,
    ) -> None:
        self.n_items = as_count(n_items, "n_items")
        self.n_hidden = as_count(n_hidden, "n_hidden")
        self.values = _values(values)
        if weights not in _WEIGHTS:
            raise ValueError(f"weights: expected 'ordinal' or 'softmax', given {weights!r}")
        self.weights = weights
        self.conditional = bool(conditional)
        if precision is not None and not (math.isfinite(precision) and precision > 0):
            raise ValueError(f"precision: expected a number above 0, given {precision}")
        self.precision = None if precision is None else float(precision)
        self.user_shrinkage = _at_least_zero(user_shrinkage, "user_shrinkage")
        self.item_shrinkage = _at_least_zero(item_shrinkage, "item_shrinkage")
        self.seed = as_int(seed, "seed", 0, 2**64 - 1)
        rows = 1 if self.ordinal else len(self.values)
        draw = Generator(derive_seed(self.seed, Stream.WEIGHTS)).normal((self.n_items, rows, self.n_hidden))
        self.w: Float32Array = np.ascontiguousarray(draw * np.float32(_WEIGHT_STD))
        self.d: Float32Array | None = (
            np.zeros((self.n_items, self.n_hidden), dtype=np.float32) if self.conditional else None
        )
        self.b_vis: Float32Array = np.zeros((self.n_items, len(self.values)), dtype=np.float32)
        self.b_level: Float32Array = np.zeros(len(self.values), dtype=np.float32)
        self.b_hid: Float32Array = np.zeros(self.n_hidden, dtype=np.float32)
        self.baseline: RatingBaseline | None = None
        self.ratings: RatingRows | None = None
        self.epochs_trained = 0
        self.steps_trained = 0

    def __repr__(self) -> str:
        """What the constructor takes."""
        return (
            f"CFRBM({self.n_items}, {self.n_hidden}, values={self.values.tolist()}, weights={self.weights!r}, "
            f"conditional={self.conditional}, precision={self.precision}, user_shrinkage={self.user_shrinkage}, "
            f"item_shrinkage={self.item_shrinkage}, seed={self.seed})"
        )

    @property
    def ordinal(self) -> bool:
        """Whether levels are numbers."""
        return self.weights == "ordinal"

    def fit(
        self,
        X: Any,
        epochs: int = 40,
        *,
        rule: str = "pseudo-likelihood",
        k: int | Schedule = 1,
        batch_size: int = 64,
        learning_rate: float | Schedule = 0.2,
        rate_factors: Mapping[str, float] | None = None,
        momentum: float | Schedule = 0.9,
        weight_decay: float | Mapping[str, float] = 0.066,
        validation: Triples | None = None,
        callbacks: Sequence[Callback] = (),
        resume: str | os.PathLike[str] | None = None,
    ) -> CFRBM:
        """Train on ratings. The model is a function of the seed, the ratings and the settings alone.

        Parameters
        ----------
        X : tuple (indptr, indices, values) or scipy.sparse matrix, shape [U, I]
            Ratings in compressed sparse rows, at most one of an item by a user, each one of :attr:`values`. Stored
            zeros of a scipy.sparse matrix are ratings of 0.
        epochs : int >= 0
        rule : {"pseudo-likelihood", "cd"}
            The exact gradient of the pseudo-likelihood [2]_, log p(rating | the user's other ratings) summed over the
            ratings, which is what predictions are made of; or contrastive divergence, the rule of the paper.
        k : int >= 1 or Schedule
            Steps of contrastive divergence; a schedule raises it while learning goes on, as in the paper.
        batch_size : int >= 1
            Users.
        learning_rate, momentum : float or Schedule
            Taken at the beginning of each epoch.
        rate_factors : mapping, optional
            Of the learning rate, by parameter. Shared biases, which all ratings move, have 0.02 (``b_level``) and 0.3
            (``b_hid``) unless given, the others 1.
        weight_decay : float >= 0, or mapping with keys "w", "d", "b_vis"
            In every update and of all items, also of those absent from the minibatch: items with few ratings are held
            back most. ``b_vis`` decays towards the levels' shared bias.
        validation : (users, items, values), optional
            Held-out ratings to monitor.
        callbacks : sequence of Callback
        resume : path, optional
            Checkpoint of the same run to go on from.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range, or the checkpoint belongs to other data or settings.
        FloatingPointError
            If training diverges: the learning rate is too large.
        KeyboardInterrupt
            On Ctrl-C, after every ``Checkpoint`` callback has saved.
        """
        from hintoncore.train.ratings import RatingLearning, RatingSettings
        from hintoncore.train.trainer import Trainer

        settings = RatingSettings.create(
            rule=rule,
            k=k,
            batch_size=batch_size,
            learning_rate=learning_rate,
            rate_factors=rate_factors,
            momentum=momentum,
            weight_decay=weight_decay,
        )
        task = RatingLearning(self, RatingRows.read(X, self.n_items, self.values), settings, validation=validation)
        trainer = Trainer(task, batch_size=settings.batch_size, callbacks=callbacks)
        if resume is not None:
            trainer.load_checkpoint(resume)
        trainer.run(as_count(epochs, "epochs", low=0))
        return self

    def prepare(self, rows: RatingRows) -> None:
        """Take in the ratings to learn from: centers, and for an untrained machine biases. :meth:`fit` calls it."""
        counts = rows.level_counts(len(self.values)) + 1.0
        share = counts / counts.sum()
        if self.ordinal:
            users = np.repeat(np.arange(rows.n_users), np.diff(rows.indptr))
            targets = self.values[rows.levels]
            self.baseline, centers = RatingBaseline.fit(
                users,
                rows.items,
                targets,
                shape=(rows.n_users, self.n_items),
                user_shrinkage=self.user_shrinkage,
                item_shrinkage=self.item_shrinkage,
            )
            rows.centers = centers.astype(np.float32)
            if self.precision is None:
                self.precision = 1.0 / max(float(np.mean((targets - centers) ** 2)), _SMALLEST_VARIANCE)
        self.ratings = rows
        if self.steps_trained:
            return
        if self.ordinal:
            assert self.precision is not None
            self.b_level[:] = -0.5 * self.precision * self.values**2
        else:
            own = np.zeros(self.b_vis.shape)
            np.add.at(own, (rows.items, rows.levels), 1.0)
            smooth = (own + _SMOOTHING * share) / (own.sum(axis=1, keepdims=True) + _SMOOTHING)
            self.b_level[:] = np.log(share)
            self.b_vis[:] = np.log(smooth) - np.log(share)

    def probabilities(self, users: ArrayLike, items: ArrayLike, *, method: str = "exact") -> Float32Array:
        """Probabilities of the levels of items, given each user's training ratings.

        Parameters
        ----------
        users, items : integer arrays, shape [N]
            Pairs. Users without training ratings, also those past the last one, are new users: their machine has no
            evidence but the item (see :meth:`unseen`).
        method : {"exact", "mean-field"}
            The hidden units summed out (eq. 10), or the softmax at their means (section 2.3).

        Returns
        -------
        array of float32, shape [N, K]

        Raises
        ------
        ValueError, TypeError
            If the machine was never fitted, or an argument is out of range.
        """
        if method not in _METHODS:
            raise ValueError(f"method: expected 'exact' or 'mean-field', given {method!r}")
        rows, parameters = self._fitted(), self.parameters_for_ops()
        users, items = _pairs(users, items, self.n_items)
        probs = np.empty((len(users), len(self.values)), dtype=np.float32)
        order = np.argsort(users, kind="stable")
        for start in range(0, len(order), _BLOCK_RATINGS):
            block = order[start : start + _BLOCK_RATINGS]
            distinct, lengths = np.unique(users[block], return_counts=True)
            evidence = rows.with_new_users(distinct).as_ops(self.precision)
            queries = Ratings(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), items[block].astype(np.int32))
            if self.ordinal:
                assert self.baseline is not None
                assert self.precision is not None
                centers = self.baseline.predict(users[block], items[block])
                queries = queries._replace(
                    centers=centers.astype(np.float32), fields=(self.precision * centers).astype(np.float32)
                )
            x, means, _ = ops.cf_hidden(parameters, evidence)
            if method == "exact":
                probs[block] = ops.cf_conditional(parameters, queries, x)
            else:
                probs[block] = ops.cf_visible(parameters, queries, means)[0]
        return probs

    def predict(self, users: ArrayLike, items: ArrayLike, *, method: str = "exact") -> Float64Array:
        """Expected ratings, the means of :meth:`probabilities`; same arguments and errors.

        Returns
        -------
        array of float64, shape [N]
        """
        return np.asarray(self.probabilities(users, items, method=method).astype(np.float64) @ self.values)

    def recommend(
        self, user: int, n: int = 10, *, method: str = "mean-field"
    ) -> tuple[NDArray[np.int64], Float64Array]:
        """The items that the user has not rated with the largest expected ratings.

        Parameters
        ----------
        user : int >= 0
        n : int >= 1
        method : as in :meth:`probabilities`

        Returns
        -------
        items, expected : arrays of int64 and float64, shape [min(n, items not rated)]
            Largest first; items with equal ratings in their order.
        """
        user = as_int(user, "user", 0, 2**31 - 1)
        rated = self._fitted().with_new_users(np.array([user])).items
        items = np.setdiff1d(np.arange(self.n_items), rated)
        expected = self.predict(np.full(len(items), user), items, method=method)
        best = np.argsort(-expected, kind="stable")[: as_count(n, "n")]
        return items[best], expected[best]

    def transform(self, users: ArrayLike) -> Float32Array:
        """Hidden probabilities given the training ratings of users; array of float32, shape [N, H]."""
        chosen, _ = _pairs(users, np.zeros(np.size(users), dtype=np.int64), self.n_items)
        evidence = self._fitted().with_new_users(chosen).as_ops(self.precision)
        return ops.cf_hidden(self.parameters_for_ops(), evidence)[1]

    def unseen(self, users: ArrayLike, items: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which users and which items of pairs have no training rating: their predictions fall back on the biases."""
        rows = self._fitted()
        users, items = _pairs(users, items, self.n_items)
        rated = np.zeros(self.n_items, dtype=bool)
        rated[rows.items] = True
        counts = np.append(np.diff(rows.indptr), 0)
        return np.asarray(counts[np.minimum(users, rows.n_users)] == 0), np.asarray(~rated[items])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the machine and the ratings that its predictions start from to one safetensors file, atomically.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        tensors: dict[str, NDArray[Any]] = dict(self.parameters())
        tensors["values"] = self.values
        if self.ratings is not None:
            tensors.update(self.ratings.tensors())
        if self.baseline is not None:
            tensors["baseline.user"], tensors["baseline.item"] = self.baseline.user, self.baseline.item
        save_tensors(
            path,
            tensors,
            kind=_FILE_KIND,
            metadata={
                "baseline_mean": None if self.baseline is None else self.baseline.mean,
                "conditional": self.conditional,
                "epochs_trained": self.epochs_trained,
                "item_shrinkage": self.item_shrinkage,
                "n_hidden": self.n_hidden,
                "n_items": self.n_items,
                "precision": self.precision,
                "seed": self.seed,
                "steps_trained": self.steps_trained,
                "user_shrinkage": self.user_shrinkage,
                "weights": self.weights,
            },
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CFRBM:
        """Read a machine that :meth:`save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        FileFormatError
            If the file is damaged or is no such machine.
        """
        tensors, metadata = load_tensors(path, kind=_FILE_KIND)
        try:
            names = ("weights", "conditional", "precision", "user_shrinkage", "item_shrinkage", "seed")
            options = {name: metadata[name] for name in names}
            model = cls(metadata["n_items"], metadata["n_hidden"], values=tensors["values"], **options)
            model.epochs_trained, model.steps_trained = metadata["epochs_trained"], metadata["steps_trained"]
            copy_parameters(model.parameters(), tensors)
            model.ratings = RatingRows.from_tensors(tensors)
            if metadata["baseline_mean"] is not None:
                user, item = tensors["baseline.user"], tensors["baseline.item"]
                model.baseline = RatingBaseline(metadata["baseline_mean"], user, item)
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"{path}: not a usable machine for ratings ({error})") from error
        return model

    def parameters(self) -> dict[str, Float32Array]:
        """Return the parameter arrays themselves by name."""
        found = {"w": self.w, "d": self.d, "b_vis": self.b_vis, "b_level": self.b_level, "b_hid": self.b_hid}
        return {name: array for name, array in found.items() if array is not None}

    def parameters_for_ops(self) -> CFParameters:
        """Return them as the kernels take them."""
        scores = self.values.astype(np.float32) if self.ordinal else None
        return CFParameters(scores, self.w, self.d, self.b_vis, self.b_level, self.b_hid)

    def _fitted(self) -> RatingRows:
        if self.ratings is None:
            raise ValueError("the machine was never fitted: it has no ratings to predict from")
        return self.ratings


def _values(values: ArrayLike) -> Float64Array:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not 2 <= len(array) <= 64 or not np.isfinite(array).all() or not (np.diff(array) > 0).all():
        raise ValueError(f"values: expected 2 to 64 rising finite numbers, given {values!r}")
    return array


def _at_least_zero(value: float, name: str) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name}: expected a number >= 0, given {value}")
    return float(value)


def _pairs(users: ArrayLike, items: ArrayLike, n_items: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    arrays = []
    for name, given, high in (("users", users, 2**31), ("items", items, n_items)):
        array = np.asarray(given)
        if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
            raise TypeError(f"{name}: expected a one-dimensional array of integers, given {array.dtype} {array.shape}")
        if array.size and (array.min() < 0 or array.max() >= high):
            raise ValueError(f"{name}: expected numbers in 0..{high - 1}, given {array.min()}..{array.max()}")
        arrays.append(array.astype(np.int64))
    if len(arrays[0]) != len(arrays[1]):
        raise ValueError(f"users, items: expected arrays of one length, given {len(arrays[0])} and {len(arrays[1])}")
    return arrays[0], arrays[1]
