"""Where the negative phase of an RBM's gradient comes from: CD, PCD, fast PCD, PCD by parallel tempering.

A rule's settings are a small frozen class, what ``RBM.fit`` takes as ``rule``; its :meth:`start` makes the object that
lives through a run and keeps what that needs: chains, fast weights, replicas.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hintoncore import ops
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator
from hintoncore.ops import CDGradient
from hintoncore.samplers import Machine, ParallelTempering, RBMMachine
from hintoncore.train.schedules import Schedule, as_schedule

if TYPE_CHECKING:
    from hintoncore.models.rbm import RBM

__all__ = ["CD", "PCD", "FastPCD", "LearningRule", "NegativePhase", "TemperedPCD", "learning_rule"]

Float32Array = NDArray[np.float32]
Tensors = dict[str, NDArray[Any]]

_FAST_DECAY = 19.0 / 20.0
_REPLICAS = 10
_HOTTEST = 10.0


class NegativePhase(ABC):
    """The negative phase of one training session."""

    chains: BitMatrix | None = None
    """Visible states that go on from update to update, and which PCD advances."""

    @abstractmethod
    def gradient(self, batch: BitMatrix | Float32Array, k: int, rng: Generator, out: Float32Array) -> CDGradient:
        """Gradient on a minibatch with ``k`` Gibbs steps; that of ``w`` goes to ``out``."""

    def learn(self, gradient: CDGradient, epoch: float) -> None:  # noqa: B027
        """Take note of the gradient after the update."""

    def metrics(self) -> dict[str, float]:
        """Figures of the sampler for the record of an epoch."""
        return {}

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """Arrays and counters that a checkpoint must keep."""
        return ({} if self.chains is None else {"chains": self.chains.words}), {}

    def load_state(self, tensors: Mapping[str, NDArray[Any]], counters: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Restore what :meth:`state` returned."""
        if self.chains is not None:
            self.chains.words[...] = tensors["chains"]


class LearningRule(ABC):
    """Settings of a learning rule of the RBM."""

    persistent = True
    """Whether chains go on from update to update."""

    @abstractmethod
    def start(self, model: RBM, n_chains: int, seed: int) -> NegativePhase:
        """The negative phase of a session, drawing its initial states from ``seed``."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return the settings as JSON values."""


@dataclass(frozen=True)
class CD(LearningRule):
    """Contrastive divergence [1]_: each negative phase starts at the minibatch.

    References
    ----------
    .. [1] G. E. Hinton, "Training products of experts by minimizing contrastive divergence", Neural Computation 14,
           2002, eq. 8-9.
    """

    persistent = False

    def start(self, model: RBM, n_chains: int, seed: int) -> NegativePhase:  # noqa: ARG002
        """Nothing is kept."""
        return _Alternation(model, None)

    def describe(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {"rule": "cd"}


@dataclass(frozen=True)
class PCD(LearningRule):
    """Persistent contrastive divergence [1]_: chains go on where the update before left them.

    References
    ----------
    .. [1] T. Tieleman, "Training restricted Boltzmann machines using approximations to the likelihood gradient", ICML
           2008.
    """

    def start(self, model: RBM, n_chains: int, seed: int) -> NegativePhase:
        """Chains start from independent visible units at the model's visible biases."""
        return _Alternation(model, _independent_visibles(model, n_chains, seed))

    def describe(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {"rule": "pcd"}


@dataclass(frozen=True)
class FastPCD(LearningRule):
    """Fast PCD [1]_: the chains move under the weights plus fast weights, which learn fast and decay fast.

    After each update ``fast = decay * fast + learning_rate * gradient``, for weights and biases alike, from 0. The fast
    weights push chains out of the states they are in; they are no part of the model that is learned.

    Parameters
    ----------
    learning_rate : float or Schedule
        Of the fast weights; constant in the paper, while that of the regular ones falls.
    decay : float in [0, 1)
        19/20 in the paper.

    References
    ----------
    .. [1] T. Tieleman, G. E. Hinton, "Using fast weights to improve persistent contrastive divergence", ICML 2009,
           section 4.
    """

    learning_rate: float | Schedule = 0.05
    decay: float = _FAST_DECAY

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay: expected 0 <= decay < 1, given {self.decay}")
        if not as_schedule(self.learning_rate, "learning_rate")(0.0) >= 0:
            raise ValueError(f"learning_rate: expected a number >= 0, given {self.learning_rate}")

    def start(self, model: RBM, n_chains: int, seed: int) -> NegativePhase:
        """Chains start as those of PCD, fast weights at 0."""
        return _FastPhase(model, _independent_visibles(model, n_chains, seed), self)

    def describe(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        rate = as_schedule(self.learning_rate, "learning_rate").describe()
        return {"rule": "fpcd", "learning_rate": rate, "decay": self.decay}


@dataclass(frozen=True)
class TemperedPCD(LearningRule):
    """PCD by parallel tempering [1]_, [2]_: each chain is a ladder of replicas, the coldest of which is the sample.

    An update runs ``k`` rounds: a Gibbs step at every temperature and swaps of neighbours by the energy of the joint
    state. It costs as many Gibbs steps as there are temperatures and reaches modes that PCD's chains do not.

    Parameters
    ----------
    temperatures : increasing sequence of floats, the first 1, optional
        Ten with evenly spaced inverses from 1 down to 1/10 when left out.

    References
    ----------
    .. [1] G. Desjardins, A. Courville, Y. Bengio, P. Vincent, O. Delalleau, "Tempered Markov chain Monte Carlo for
           training of restricted Boltzmann machines", AISTATS 2010.
    .. [2] K. Cho, T. Raiko, A. Ilin, "Parallel tempering is efficient for learning restricted Boltzmann machines",
           IJCNN 2010.
    """

    temperatures: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if self.ladder[0] != 1.0:
            raise ValueError(f"temperatures: expected the first to be 1, that of the model, given {self.ladder[0]}")

    @property
    def ladder(self) -> tuple[float, ...]:
        """The temperatures."""
        if self.temperatures is None:
            return tuple(float(t) for t in 1.0 / np.linspace(1.0, 1.0 / _HOTTEST, _REPLICAS))
        return tuple(float(t) for t in self.temperatures)

    def start(self, model: RBM, n_chains: int, seed: int) -> NegativePhase:
        """Replicas start from fair bits."""
        return _Tempering(model, self.ladder, n_chains, seed)

    def describe(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {"rule": "pt", "temperatures": list(self.ladder)}


_BY_NAME: dict[str, type[LearningRule]] = {"cd": CD, "pcd": PCD, "fpcd": FastPCD, "pt": TemperedPCD}


def learning_rule(rule: str | LearningRule | None, persistent: bool) -> LearningRule:
    """The rule that ``RBM.fit`` was asked for, by name or as settings; by ``persistent`` when it was not.

    Raises
    ------
    ValueError, TypeError
        If there is no such rule, or it contradicts ``persistent``.
    """
    if rule is None:
        return PCD() if persistent else CD()
    if isinstance(rule, str):
        if rule not in _BY_NAME:
            known = ", ".join(repr(name) for name in _BY_NAME)
            raise ValueError(f"rule: expected one of {known}, given {rule!r}")
        rule = _BY_NAME[rule]()
    if not isinstance(rule, LearningRule):
        raise TypeError(f"rule: expected a name or a hintoncore.train.LearningRule, given {type(rule).__name__}")
    if persistent and not rule.persistent:
        raise ValueError("persistent: contrastive divergence from the data keeps no chains; leave out one of the two")
    return rule


class _Alternation(NegativePhase):
    """CD without chains, PCD with them."""

    def __init__(self, model: RBM, chains: BitMatrix | None) -> None:
        self._model = model
        self.chains = chains

    def gradient(self, batch: BitMatrix | Float32Array, k: int, rng: Generator, out: Float32Array) -> CDGradient:
        m = self._model
        return ops.cd_gradient(batch, m.w, m.b_vis, m.b_hid, k=k, rng=rng, chains=self.chains, out=out)


class FastWeights:
    """Fast weights and biases beside a model's, as :class:`FastPCD` says; the chains see the sums."""

    def __init__(self, model: RBM, rule: FastPCD) -> None:
        self._slow = {"w": model.w, "b_vis": model.b_vis, "b_hid": model.b_hid}
        self._rule = rule
        self._learning_rate = as_schedule(rule.learning_rate, "learning_rate")
        self._fast = {name: np.zeros_like(parameter) for name, parameter in self._slow.items()}
        self._sums = {name: np.empty_like(parameter) for name, parameter in self._slow.items()}

    def sums(self) -> tuple[Float32Array, Float32Array, Float32Array]:
        """Regular plus fast: w, b_vis, b_hid; overwritten by the next call."""
        for name, parameter in self._slow.items():
            np.add(parameter, self._fast[name], out=self._sums[name])
        return self._sums["w"], self._sums["b_vis"], self._sums["b_hid"]

    def learn(self, gradient: CDGradient, epoch: float) -> None:
        """Decay, and follow the gradient."""
        rate, decay = self._learning_rate(epoch), self._rule.decay
        if rate > 0:  # an update whose weight decay takes 1 - decay
            ops.weight_update(self._fast["w"], gradient.w, lr=rate, weight_decay=(1.0 - decay) / rate)
        else:
            self._fast["w"] *= np.float32(decay)
        for name, grad in (("b_vis", gradient.b_vis), ("b_hid", gradient.b_hid)):
            self._fast[name] *= np.float32(decay)
            self._fast[name] += np.float32(rate) * grad

    def state(self) -> Tensors:
        """What a checkpoint keeps."""
        return {f"fast.{name}": fast for name, fast in self._fast.items()}

    def load_state(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Restore what :meth:`state` returned."""
        for name, fast in self._fast.items():
            fast[...] = tensors[f"fast.{name}"]


class _FastPhase(NegativePhase):
    def __init__(self, model: RBM, chains: BitMatrix, rule: FastPCD) -> None:
        self._model = model
        self.chains: BitMatrix = chains
        self._fast = FastWeights(model, rule)

    def gradient(self, batch: BitMatrix | Float32Array, k: int, rng: Generator, out: Float32Array) -> CDGradient:
        m, sums = self._model, self._fast.sums()
        return ops.cd_gradient(batch, m.w, m.b_vis, m.b_hid, k=k, rng=rng, chains=self.chains, negative=sums, out=out)

    def learn(self, gradient: CDGradient, epoch: float) -> None:
        self._fast.learn(gradient, epoch)

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        tensors, counters = super().state()
        return {**tensors, **self._fast.state()}, counters

    def load_state(self, tensors: Mapping[str, NDArray[Any]], counters: Mapping[str, Any]) -> None:
        super().load_state(tensors, counters)
        self._fast.load_state(tensors)


class Replicas:
    """The ladder of replicas of :class:`TemperedPCD`, and what a run keeps of it."""

    _COUNTERS = ("offset", "rounds", "seed")

    def __init__(self, machine: Machine, ladder: Sequence[float], n_chains: int, seed: int) -> None:
        self._sampler = ParallelTempering(machine, ladder, chains=n_chains, rng=seed)

    def run(self, rounds: int) -> Any:
        """Joint states at temperature 1 after so many rounds."""
        return self._sampler.run(rounds)

    def metrics(self) -> dict[str, float]:
        """The least acceptance of a pair of neighbours since the last call."""
        rates = self._sampler.acceptance
        self._sampler.reset_statistics()
        known = rates[np.isfinite(rates)]
        return {"swap_acceptance": float(known.min())} if known.size else {}

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """Arrays and counters of the sampler."""
        state = self._sampler.state_dict()
        tensors = {f"tempering.{name}": value for name, value in state.items() if name not in self._COUNTERS}
        return tensors, {"tempering": {name: state[name] for name in self._COUNTERS}}

    def load_state(self, tensors: Mapping[str, NDArray[Any]], counters: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned."""
        prefix = "tempering."
        arrays = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        self._sampler.load_state_dict({**arrays, **counters["tempering"]})


class _Tempering(NegativePhase):
    def __init__(self, model: RBM, ladder: Sequence[float], n_chains: int, seed: int) -> None:
        self._model = model
        self._machine = RBMMachine(model)
        self._replicas = Replicas(self._machine, ladder, n_chains, seed)

    def gradient(self, batch: BitMatrix | Float32Array, k: int, rng: Generator, out: Float32Array) -> CDGradient:
        m = self._model
        cold, _ = self._machine.split(self._replicas.run(k))
        return ops.cd_gradient(batch, m.w, m.b_vis, m.b_hid, k=0, rng=rng, chains=cold, out=out)

    def metrics(self) -> dict[str, float]:
        return self._replicas.metrics()

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        return self._replicas.state()

    def load_state(self, tensors: Mapping[str, NDArray[Any]], counters: Mapping[str, Any]) -> None:
        self._replicas.load_state(tensors, counters)


def _independent_visibles(model: RBM, n_chains: int, seed: int) -> BitMatrix:
    """States of independent visible units at ``sigmoid(b_vis)``, so with the means of the data at first."""
    no_hidden = BitMatrix.zeros((n_chains, model.n_hidden))
    chains: BitMatrix = ops.gibbs_step(no_hidden, model.w, model.b_vis, rng=Generator(seed), transpose=True)
    return chains
