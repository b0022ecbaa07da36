"""Unit types: what a layer's distribution is, in the terms that energy-based models need.

A layer with states ``s`` and biases ``b`` contributes ``energy(s, b)`` to the energy of a restricted Boltzmann machine,
and meets the other layer through its ``statistic`` ``t(s)``:

    E(v, h) = energy(v, b_vis) + energy(h, b_hid) - t(v)^T w t(h)

The total input ``x`` of a layer is its bias plus ``w`` times the statistic of the other. Unless said otherwise the
energy is ``-b s`` and ``t(s) = s``.

* ``"bernoulli"``: 0 or 1, ``P(1) = sigmoid(x)``
* ``"spin"``: -1 or +1, ``P(+1) = sigmoid(2 x)``
* ``"softmax:K"``: one column of a group of K is 1, ``P(k) = exp(x_k) / sum_j exp(x_j)``
* ``"gaussian"``: real, energy ``(s - b)^2 / (2 sigma^2)``, ``t(s) = s / sigma^2``, drawn from ``N(x, sigma^2)``
* ``"gaussian:unit"``: the same with ``sigma = 1``
* ``"stepped-sigmoid"``: 0, 1, 2, ..., energy ``s^2 / 2 + log((1 - q) ... (1 - q^s)) - b s`` with ``q = 1 / e``: how
  many Bernoulli units with inputs ``x - 1/2, x - 3/2, ...`` are on
* ``"nrelu"``: real and >= 0, drawn as ``max(0, N(x, sigmoid(x)))``; otherwise as ``"stepped-sigmoid"``, which it
  approximates

A new type is a new class here, a name in :func:`unit_type`, and a conditional distribution in the kernel behind
:func:`hintoncore.ops.sample_units`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hintoncore import ops
from hintoncore.generator import Generator

__all__ = [
    "UNIT_TYPES",
    "BernoulliUnits",
    "GaussianUnits",
    "NReLUUnits",
    "SoftmaxUnits",
    "SpinUnits",
    "SteppedSigmoidUnits",
    "Units",
    "unit_type",
]

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]

_LOG_2PI = math.log(2.0 * math.pi)
_LEAST_VARIANCE = 1e-3  # that data set; learning may go below
_Q = math.exp(-1.0)
_COPIES = 40  # of a stack of sigmoids; exp(-40) is nothing beside 1 in float64
_LOG_QQ = sum(math.log1p(-(_Q**n)) for n in range(1, _COPIES))  # of the infinite product (1 - q) (1 - q^2) ...


class Units(ABC):
    """A layer of units of one type."""

    name: str
    """As models take it."""
    kind: str
    """As :func:`hintoncore.ops.sample_units` takes it."""
    site_states: int | None = 2
    """States of a site, which is a unit or a softmax group; None where there is no end of them."""
    site_columns = 1
    """Columns of a site."""
    tempered = True
    """Whether they can be sampled at temperatures other than 1."""
    logistic = False
    """Whether the mean is a probability that an activation target can be set for."""

    def check(self, block: Float32Array, name: str) -> None:
        """Raise ``ValueError`` unless every value is a state or a mean of these units."""
        low, high = self.interval
        least, most = block.min(initial=max(low, -1.0)), block.max(initial=min(high, 0.0))
        if not (least >= low and most <= high and math.isfinite(least) and math.isfinite(most)):
            raise ValueError(f"{name}: expected {self.values}, given values from {least:g} to {most:g}")

    def are_states(self, block: NDArray[Any]) -> bool:
        """Whether values that passed :meth:`check` are states, not means; never where states have no end."""
        if self.site_states is None:
            return False
        low, high = self.interval  # a site's columns hold no other value, in any of its states
        return bool(((block == low) | (block == high)).all())

    @property
    @abstractmethod
    def interval(self) -> tuple[float, float]:
        """Between which values states and means lie."""

    @property
    def values(self) -> str:
        """What data are, for error messages."""
        low, high = self.interval
        return f"values in [{low:g}, {high:g}]"

    def statistic(self, states: Float32Array) -> Float32Array:
        """What of the states meets the weights: the states themselves, unless said otherwise."""
        return states

    def sample(self, x: Float32Array, rng: Generator, *, temperature: float = 1.0, return_means: bool = False) -> Any:
        """States [B, U] given total inputs, at a temperature that divides the energy; one offset is consumed.

        With ``return_means`` also the conditional means.
        """
        x = x if temperature == 1.0 else x / np.float32(temperature)
        return ops.sample_units(x, self.kind, rng=rng, return_means=return_means)

    @abstractmethod
    def mean(self, x: Float32Array) -> Float32Array:
        """Conditional means given total inputs."""

    def energy(self, states: NDArray[Any], bias: NDArray[Any]) -> Float64Array:
        """Energy of each row of states [B, U], without the interaction; float64 [B]."""
        return np.asarray(-(states.astype(np.float64) @ bias.astype(np.float64)))

    @abstractmethod
    def log_normaliser(self, x: Float64Array) -> Float64Array:
        """Log of the sum (or integral) over states ``s`` of ``exp(-energy(s, 0) + x t(s))``, for each site.

        What a layer with bias ``b`` and total input ``x`` sums to is this less :meth:`bias_energy` of ``b``.
        """

    def bias_energy(self, bias: NDArray[Any]) -> float:  # noqa: ARG002
        """``energy(s, b) - energy(s, 0) + b t(s)``, which is no function of ``s``."""
        return 0.0

    @abstractmethod
    def bias_for_mean(self, mean: Float64Array, n_rows: int) -> Float64Array:
        """Bias that reproduces the mean of ``n_rows`` rows, where there is no interaction."""

    def parameters(self) -> dict[str, Float32Array]:
        """Arrays that learning changes, by name, besides weights and biases."""
        return {}

    def site_table(self) -> Float64Array:
        """All states of one site, shape [states, columns]; ``ValueError`` where there is no end of them."""
        raise ValueError(f"{self.name} units have no finite number of states")


class BernoulliUnits(Units):
    """Binary units: ``p(1 | x) = sigmoid(x)`` for total input ``x``."""

    name = kind = "bernoulli"
    interval = (0.0, 1.0)
    logistic = True

    def mean(self, x: Float32Array) -> Float32Array:
        """``sigmoid(x)``."""
        return np.asarray(ops.sigmoid(x), dtype=np.float32)

    def log_normaliser(self, x: Float64Array) -> Float64Array:
        """Softplus, ``log(1 + exp(x))``."""
        return np.asarray(np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x))))

    def bias_for_mean(self, mean: Float64Array, n_rows: int) -> Float64Array:
        """Bias that reproduces the mean of ``n_rows`` rows: log(p / (1 - p)).

        Hinton's practical guide, section 8.1. One imagined row of each value keeps it finite.
        """
        p = (mean * n_rows + 1.0) / (n_rows + 2.0)
        return np.asarray(np.log(p / (1.0 - p)))

    def site_table(self) -> Float64Array:
        """0 and 1."""
        return np.array([[0.0], [1.0]])


class SpinUnits(Units):
    """Ising spins -1 and +1: ``p(+1 | x) = sigmoid(2 x)``."""

    name = kind = "spin"
    interval = (-1.0, 1.0)

    def mean(self, x: Float32Array) -> Float32Array:
        """``tanh(x)``."""
        return np.asarray(ops.tanh(x), dtype=np.float32)

    def log_normaliser(self, x: Float64Array) -> Float64Array:
        """``log(2 cosh x)``."""
        return np.asarray(np.abs(x) + np.log1p(np.exp(-2.0 * np.abs(x))))

    def bias_for_mean(self, mean: Float64Array, n_rows: int) -> Float64Array:
        """``atanh(m)``; one imagined row of each value keeps it finite."""
        return np.asarray(np.arctanh(mean * n_rows / (n_rows + 2.0)))

    def site_table(self) -> Float64Array:
        """-1 and +1."""
        return np.array([[-1.0], [1.0]])


class SoftmaxUnits(Units):
    """Groups of ``n_states`` columns of which exactly one is 1 (Potts units): ``p(k | x) = exp(x_k) / sum_j exp(x_j)``.

    Salakhutdinov, Mnih and Hinton, "Restricted Boltzmann machines for collaborative filtering", ICML 2007, eq. 1.
    """

    kind = "softmax"
    interval = (0.0, 1.0)
    _TOLERANCE = 1e-4

    def __init__(self, n_states: int) -> None:
        self.site_states = self.site_columns = n_states
        self.name = f"softmax:{n_states}"

    def check(self, block: Float32Array, name: str) -> None:
        """Raise ``ValueError`` unless every group is one-hot or a distribution."""
        super().check(block, name)
        sums = self._groups(block).sum(axis=-1)
        if not np.abs(sums - 1.0).max(initial=0.0) <= self._TOLERANCE:
            worst = sums.flat[np.abs(sums - 1.0).argmax()]
            raise ValueError(f"{name}: expected groups of {self.site_columns} columns that sum to 1, given {worst:g}")

    def sample(self, x: Float32Array, rng: Generator, *, temperature: float = 1.0, return_means: bool = False) -> Any:
        """One-hot groups; see :meth:`Units.sample`."""
        x = x if temperature == 1.0 else x / np.float32(temperature)
        return ops.sample_units(x, self.kind, rng=rng, group=self.site_columns, return_means=return_means)

    def mean(self, x: Float32Array) -> Float32Array:
        """Probabilities, group by group."""
        groups = self._groups(x)
        e = np.exp(groups - groups.max(axis=-1, keepdims=True))
        return np.asarray((e / e.sum(axis=-1, keepdims=True)).reshape(x.shape), dtype=np.float32)

    def log_normaliser(self, x: Float64Array) -> Float64Array:
        """Log of the sum of ``exp(x_k)`` over a group, shape [..., groups]."""
        groups = self._groups(x)
        top = groups.max(axis=-1)
        return np.asarray(top + np.log(np.exp(groups - top[..., None]).sum(axis=-1)))

    def bias_for_mean(self, mean: Float64Array, n_rows: int) -> Float64Array:
        """``log p_k``; one imagined row of each state keeps it finite."""
        return np.asarray(np.log((mean * n_rows + 1.0) / (n_rows + self.site_columns)))

    def site_table(self) -> Float64Array:
        """The rows of the identity."""
        return np.eye(self.site_columns)

    def _groups(self, x: NDArray[Any]) -> NDArray[Any]:
        return x.reshape(*x.shape[:-1], -1, self.site_columns)


class GaussianUnits(Units):
    """Real units with normal noise, ``N(x, sigma^2)``, of unit variance or one that is learned.

    The variance is kept and learned as its logarithm ``z``, so that it stays positive and steps are relative, and the
    interaction is ``(v / sigma^2) w h``, so that the conditional mean ``b + w h`` does not depend on it [1]_, eq. 2-6.

    Parameters
    ----------
    n_units : int
    learned : bool
        Whether ``log_variance`` is a parameter of the model; otherwise it stays 0.

    References
    ----------
    .. [1] K. Cho, A. Ilin, T. Raiko, "Improved learning of Gaussian-Bernoulli restricted Boltzmann machines", ICANN
           2011.
    """

    kind = "gaussian"
    interval = (-math.inf, math.inf)
    values = "finite values"
    site_states = None

    def __init__(self, n_units: int, *, learned: bool) -> None:
        self.name = "gaussian" if learned else "gaussian:unit"
        self.learned = learned
        self.log_variance: Float32Array = np.zeros(n_units, dtype=np.float32)

    @property
    def variance(self) -> Float64Array:
        """``sigma^2`` of each unit."""
        return np.asarray(np.exp(self.log_variance.astype(np.float64)))

    def statistic(self, states: Float32Array) -> Float32Array:
        """``s / sigma^2``."""
        if not self.learned:
            return states
        return np.asarray(states * np.exp(-self.log_variance), dtype=np.float32)

    def sample(self, x: Float32Array, rng: Generator, *, temperature: float = 1.0, return_means: bool = False) -> Any:
        """``N(x, temperature sigma^2)``; see :meth:`Units.sample`."""
        std = None
        if self.learned or temperature != 1.0:
            std = np.sqrt(self.variance * temperature).astype(np.float32)
        return ops.sample_units(x, self.kind, rng=rng, std=std, return_means=return_means)

    def mean(self, x: Float32Array) -> Float32Array:
        """``x`` itself."""
        return x

    def energy(self, states: NDArray[Any], bias: NDArray[Any]) -> Float64Array:
        """``sum_i (s_i - b_i)^2 / (2 sigma_i^2)`` of each row."""
        return np.asarray(((states.astype(np.float64) - bias) ** 2 / (2.0 * self.variance)).sum(axis=-1))

    def log_normaliser(self, x: Float64Array) -> Float64Array:
        """``log(2 pi sigma^2) / 2 + x^2 / (2 sigma^2)``."""
        return np.asarray((_LOG_2PI + self.log_variance.astype(np.float64) + x**2 / self.variance) / 2.0)

    def bias_energy(self, bias: NDArray[Any]) -> float:
        """``sum_i b_i^2 / (2 sigma_i^2)``."""
        return float((bias.astype(np.float64) ** 2 / (2.0 * self.variance)).sum())

    def bias_for_mean(self, mean: Float64Array, n_rows: int) -> Float64Array:  # noqa: ARG002
        """The mean."""
        return mean

    def set_variance(self, variance: Float64Array) -> None:
        """Set the variances to those of data, but not below a thousandth."""
        if self.learned:
            self.log_variance[:] = np.log(np.maximum(variance, _LEAST_VARIANCE))

    def parameters(self) -> dict[str, Float32Array]:
        """``log_variance``, when it is learned."""
        return {"log_variance": self.log_variance} if self.learned else {}


class SteppedSigmoidUnits(Units):
    """Integer units: how many of endlessly many Bernoulli units with inputs ``x - 1/2, x - 3/2, ...`` are on.

    All copies share weights and bias, and their biases are offset by fixed amounts [1]_, section 2. The number of
    copies that are on is a unit of its own: by the q-binomial theorem with ``q = 1 / e`` the states with a sum ``s``
    have weight ``exp(x s - s^2 / 2) / ((1 - q) (1 - q^2) ... (1 - q^s))``, whose sum is
    ``prod_i (1 + exp(x - i + 1/2))``.
    Energy, normaliser, mean and sampling are exact, up to float32 in the kernel.

    References
    ----------
    .. [1] V. Nair, G. E. Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.
    """

    name = kind = "stepped-sigmoid"
    interval = (0.0, math.inf)
    values = "finite values >= 0"
    site_states = None
    tempered = False

    def sample(self, x: Float32Array, rng: Generator, *, temperature: float = 1.0, return_means: bool = False) -> Any:
        """See :meth:`Units.sample`; ``temperature`` is 1, as the offsets of the biases belong to the unit."""
        if temperature != 1.0:
            raise ValueError(f"temperature: {self.name} units are sampled at 1 only, given {temperature}")
        return ops.sample_units(x, self.kind, rng=rng, return_means=return_means)

    def mean(self, x: Float32Array) -> Float32Array:
        """``sum_i sigmoid(x - i + 1/2)``, in the kernel's float32."""
        return np.asarray(ops.sample_units(x, self.kind, rng=0, return_means=True)[1], dtype=np.float32)

    def energy(self, states: NDArray[Any], bias: NDArray[Any]) -> Float64Array:
        """``sum_j s_j^2 / 2 + log (q; q)_{s_j} - b_j s_j`` of each row; states are integers."""
        s = states.astype(np.float64)
        highest = int(s.max(initial=0.0))
        log_pochhammer = np.concatenate([[0.0], np.cumsum(np.log1p(-np.exp(-np.arange(1.0, highest + 1))))])
        return np.asarray((s**2 / 2.0 + log_pochhammer[s.astype(np.intp)] - s * bias).sum(axis=-1))

    def log_normaliser(self, x: Float64Array) -> Float64Array:
        """``sum_i softplus(x - i + 1/2)``, to rounding.

        For ``x > 0`` by reflection: with Jacobi's triple product and the transformation of its theta function,
        ``A(x) + A(-x) = x^2 / 2 + log(2 pi) / 2 + log(1 + 2 sum_n exp(-2 pi^2 n^2) cos(2 pi n x)) - log (q; q)_inf``.
        """
        product, factor = np.ones_like(x), np.exp(-np.abs(x) - 0.5)
        for _ in range(_COPIES):
            product += product * factor
            factor *= _Q
        left = np.log(product)  # A(-|x|)
        ripple = sum(2.0 * math.exp(-2.0 * (math.pi * n) ** 2) * np.cos(2.0 * math.pi * n * x) for n in (1, 2))
        return np.asarray(np.where(x < 0.0, left, x**2 / 2.0 + _LOG_2PI / 2.0 + np.log1p(ripple) - _LOG_QQ - left))

    def bias_for_mean(self, mean: Float64Array, n_rows: int) -> Float64Array:
        """Inverse of softplus, within 0.011 of the mean; one imagined row of 0 and one of 1 keep it finite."""
        m = (mean * n_rows + 1.0) / (n_rows + 2.0)
        return np.asarray(m + np.log(-np.expm1(-m)))


class NReLUUnits(SteppedSigmoidUnits):
    """Noisy rectified linear units, ``max(0, x + N(0, sigmoid(x)))`` [1]_, section 2.1.

    A fast approximation of :class:`SteppedSigmoidUnits`: sampling is the paper's, and the mean is ``softplus(x)``,
    within 0.011 of the sum of sigmoids. Energy, free energy and likelihood are those of the stepped sigmoid units with
    the same parameters: exact for these, an approximation for what block Gibbs sampling with rectified normals visits,
    which is not the equilibrium of any energy.
    """

    name = kind = "nrelu"

    def mean(self, x: Float32Array) -> Float32Array:
        """``softplus(x)``."""
        return np.asarray(ops.softplus(x), dtype=np.float32)


UNIT_TYPES: Mapping[str, Units] = {
    units.name: units for units in (BernoulliUnits(), SpinUnits(), SteppedSigmoidUnits(), NReLUUnits())
}
"""Unit types without settings or parameters, by the name that models take."""

_NAMES = "'bernoulli', 'spin', 'softmax:K', 'gaussian', 'gaussian:unit', 'stepped-sigmoid', 'nrelu'"


def unit_type(name: str, argument: str, n_units: int = 1) -> Units:
    """A layer of ``n_units`` units of the type of this name.

    ``"softmax:K"`` makes groups of K columns. ``"gaussian"`` learns its variances, ``"gaussian:unit"`` keeps them at 1.

    Raises
    ------
    ValueError
        If there is no such type; or if ``n_units`` is no multiple of K.
    """
    if name in UNIT_TYPES:
        return UNIT_TYPES[name]
    if name in ("gaussian", "gaussian:unit"):
        return GaussianUnits(n_units, learned=name == "gaussian")
    kind, _, count = str(name).partition(":")
    if kind != "softmax" or not count.isdecimal() or int(count) < 2:
        raise ValueError(f"{argument}: supported unit types are {_NAMES}, given {name!r}")
    if n_units % int(count):
        raise ValueError(f"{argument}: expected groups of {count} columns, given {n_units} columns")
    return SoftmaxUnits(int(count))
