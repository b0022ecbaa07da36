"""Annealed importance sampling of RBMs, from the base-rate model to the RBM and back.

Forward runs estimate ``Z`` without bias, so by Jensen's inequality their ``log Z`` errs low and a likelihood computed
from it errs high. Runs that start at the RBM and anneal backward err the other way. Where the two agree, the
likelihood is known; where they do not, no number of decimals of either means anything.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import ops
from hintoncore._counts import as_count
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator, RngLike, as_generator
from hintoncore.likelihood._exact import LogZ
from hintoncore.models._rows import as_rows, dense_blocks, is_binary

if TYPE_CHECKING:
    from hintoncore.models.rbm import RBM

__all__ = ["AISEstimate", "Bracket", "LikelihoodWarning", "ais", "bracket", "log_mean_exp", "reverse_ais"]

Float64Array = NDArray[np.float64]

_FEW_SAMPLES = 20.0
_STEPS_AT_ONE = 10  # Gibbs steps at the RBM itself before annealing backward
_CALL_WORK = 3e10  # multiply-adds of one call of the kernel, well under a second: how long Ctrl-C may have to wait
_BLOCK_ROWS = 256


class LikelihoodWarning(UserWarning):
    """A likelihood estimate is not to be relied upon: few effective samples, or an open bracket."""


@dataclass(frozen=True, eq=False)
class AISEstimate(LogZ):
    """An estimate of log Z by annealing.

    Attributes
    ----------
    log_z, std_error, ess : float
        As of :class:`LogZ`. The standard error is the delta method's, from the spread of the weights that were seen: it
        knows nothing of modes that no chain has found, and is infinite for a single chain.
    log_weights : array of float64, shape [chains]
        Log importance weight of each chain in nats: of ``Z / Z_base`` forward, of ``Z_base / Z`` backward.
    log_z_base : float
        Exact log partition function of the base-rate model.
    temperatures : int
        Annealing steps.
    """

    log_weights: Float64Array
    log_z_base: float
    temperatures: int


@dataclass(frozen=True, eq=False)
class Bracket:
    """A mean log-likelihood between two estimates that err to opposite sides; iterates as ``lower, upper``.

    Attributes
    ----------
    lower, upper : float
        Nats for each row. ``upper`` comes from forward AIS; ``lower`` from reverse AIS, from the rows and from samples
        of the model, whichever is lower.
    lower_std_error, upper_std_error : float
        Standard errors in nats.
    max_width : float
        Widest bracket that counts as closed, in nats.
    forward, reverse_data, reverse_samples : AISEstimate
        The runs behind it.
    """

    lower: float
    upper: float
    lower_std_error: float
    upper_std_error: float
    max_width: float
    forward: AISEstimate
    reverse_data: AISEstimate
    reverse_samples: AISEstimate

    @property
    def width(self) -> float:
        """``upper - lower`` in nats, widened by two standard errors of either end."""
        return self.upper - self.lower + 2.0 * (self.lower_std_error + self.upper_std_error)

    @property
    def open(self) -> bool:
        """Whether the two sides are too far apart for either to be believed: ``width`` above ``max_width``."""
        return not self.width <= self.max_width

    def __iter__(self) -> Iterator[float]:
        """Lower end, upper end."""
        return iter((self.lower, self.upper))


def log_mean_exp(x: ArrayLike) -> float:
    """Logarithm of the mean of ``exp(x)`` in float64, without overflow; ``x`` of any shape but empty."""
    values = np.asarray(x, dtype=np.float64)
    top = float(values.max())
    return top + math.log(float(np.exp(values - top).mean()))


def ais(
    model: RBM,
    chains: int = 1000,
    temperatures: int | ArrayLike = 1000,
    rng: RngLike = 0,
    *,
    base: ArrayLike | BitMatrix | None = None,
    progress: bool = False,
) -> AISEstimate:
    """Estimate log Z by annealed importance sampling.

    Each chain starts as a sample of the base-rate model and is annealed to the RBM; ``exp(log_weights)`` estimate
    ``Z / Z_base`` without bias, and ``log_z = log_z_base + log mean exp(log_weights)``, which errs low.

    Parameters
    ----------
    model : RBM
        Bernoulli visible and hidden units.
    chains : int >= 1
    temperatures : int >= 1, or array
        Number of annealing steps, evenly spaced; or the inverse temperatures themselves, rising from 0 to 1.
    rng : Generator or int
        ``2 K + 1`` offsets are consumed by ``K`` annealing steps.
    base : array of float, shape [V], or rows [N, V] or BitMatrix, optional
        Visible biases of the base-rate model, or data whose means set them. ``model.b_vis`` when left out. The data's
        means are the better choice for a trained model.
    progress : bool
        Show a progress bar with the running estimate.

    Returns
    -------
    AISEstimate

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or does not fit the model, or a parameter is not finite.
    KeyboardInterrupt
        On Ctrl-C, within a second.

    Warns
    -----
    LikelihoodWarning
        If the weights amount to fewer than 20 effective samples (or half the chains, if these are fewer than 40).

    References
    ----------
    .. [1] R. M. Neal, "Annealed importance sampling", Statistics and Computing 11, 2001.
    .. [2] R. Salakhutdinov, I. Murray, "On the quantitative analysis of deep belief networks", ICML 2008, section 4.1,
           eq. 11 to 16.
    """
    estimate, _ = _forward(model, chains, temperatures, as_generator(rng), base, progress)
    _warn_if_few(estimate, "ais")
    return estimate


def reverse_ais(
    model: RBM,
    chains: int = 1000,
    temperatures: int | ArrayLike = 1000,
    rng: RngLike = 0,
    *,
    data: ArrayLike | BitMatrix | None = None,
    samples: ArrayLike | BitMatrix | None = None,
    base: ArrayLike | BitMatrix | None = None,
    gibbs_steps: int = _STEPS_AT_ONE,
    progress: bool = False,
) -> AISEstimate:
    """Estimate log Z by annealing backward, from the RBM to the base-rate model: an estimate that errs high.

    ``exp(log_weights)`` of a chain that starts at a sample of the RBM estimates ``Z_base / Z`` without bias, and
    ``log_z = log_z_base - log mean exp(log_weights)``. With `data` the chains start at its rows instead, and the mean
    is over logarithms: ``mean(-F) - log_z`` is then the conservative likelihood of RAISE [1]_, section 3, in
    expectation a lower bound of the rows' likelihood under the distribution that forward annealing samples from. The
    rows need not be samples of the model.

    Parameters
    ----------
    model : RBM
        Bernoulli visible and hidden units.
    chains : int >= 1
        With `data` of N rows: each row gets ``chains // N``, or, when they are fewer, that many rows evenly spaced get
        one each.
    temperatures : int >= 1, or array
        As of :func:`ais`, rising from 0 to 1; gone through backward.
    rng : Generator or int
    data : array of 0 and 1, shape [N, V], or BitMatrix, optional
        Rows of data to start at.
    samples : array of 0 and 1, shape [C, V], or BitMatrix, optional
        Exact samples of the model to start at, one chain each (`chains` is not used then). Without `data` and `samples`
        samples are drawn: chains annealed forward are resampled by their weights.
    base : array of float, shape [V], or rows [N, V] or BitMatrix, optional
        As of :func:`ais`.
    gibbs_steps : int >= 0
        Gibbs steps at the RBM before annealing.
    progress : bool
        Show a progress bar.

    Returns
    -------
    AISEstimate

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or does not fit the model, or a parameter is not finite.
    KeyboardInterrupt
        On Ctrl-C, within a second.

    Warns
    -----
    LikelihoodWarning
        If the weights amount to few effective samples, as :func:`ais`. Not with `data`, where none is weighted.

    References
    ----------
    .. [1] Y. Burda, R. B. Grosse, R. Salakhutdinov, "Accurate and conservative estimates of MRF log-likelihood using
           reverse annealing", AISTATS 2015.
    .. [2] R. B. Grosse, Z. Ghahramani, R. P. Adams, "Sandwiching the marginal likelihood using bidirectional Monte
           Carlo", 2015.
    """
    if data is not None and samples is not None:
        raise ValueError("data, samples: give at most one of the two")
    generator = as_generator(rng)
    n_chains = as_count(chains, "chains")
    start: BitMatrix
    rows_each = 0
    if data is not None:
        start, rows_each = _spread(_as_bits(data, model, "data"), n_chains)
    elif samples is not None:
        start = _as_bits(samples, model, "samples")
    else:
        forward, states = _forward(model, n_chains, temperatures, generator, base, progress)
        start = _resampled(states, forward.log_weights, generator)
    estimate = _reverse(model, start, rows_each, temperatures, generator, base, gibbs_steps, progress)
    if data is None:
        _warn_if_few(estimate, "reverse_ais")
    return estimate


def bracket(
    model: RBM,
    X: ArrayLike | BitMatrix,
    chains: int = 1000,
    temperatures: int | ArrayLike = 1000,
    rng: RngLike = 0,
    *,
    base: ArrayLike | BitMatrix | None = None,
    max_width: float = 2.0,
    gibbs_steps: int = _STEPS_AT_ONE,
    progress: bool = False,
) -> Bracket:
    """Bracket the mean log-likelihood of some rows between forward and reverse annealing.

    The upper end is ``mean(-F)`` minus the log Z of :func:`ais`; the lower end subtracts the larger log Z of two runs
    of :func:`reverse_ais` with half the chains each, one from the rows and one from the states that the forward chains
    ended in. The ends are bounds in expectation, not certain ones: read them with their standard errors.

    Parameters
    ----------
    model : RBM
        Bernoulli visible and hidden units.
    X : array of 0 and 1, shape [N, V], or BitMatrix
    chains : int >= 4
        Forward chains, and backward chains: the price is that of ``2 chains x temperatures`` Gibbs steps.
    temperatures, rng, base, gibbs_steps, progress
        As of :func:`reverse_ais`; `base` is the means of ``X`` when left out.
    max_width : float > 0
        Nats from which on the bracket, with two standard errors at either end, is called open.

    Returns
    -------
    Bracket

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or does not fit the model, or a parameter is not finite.

    Warns
    -----
    LikelihoodWarning
        If the bracket is open.

    Examples
    --------
    >>> import hintoncore as hc
    >>> digits = hc.datasets.load("digits")
    >>> train, test = (hc.datasets.binarize(x) for x in (digits.train, digits.test))
    >>> rbm = hc.models.RBM(64, 16, seed=1).fit(train, epochs=5)
    >>> lower, upper = hc.likelihood.bracket(rbm, test, chains=200, temperatures=500)
    >>> lower < rbm.log_likelihood(test) + 0.5 and upper > rbm.log_likelihood(test) - 0.5
    True
    """
    if not max_width > 0:
        raise ValueError(f"max_width: expected a number above 0, given {max_width}")
    rows = _as_bits(X, model, "X")
    n_chains = as_count(chains, "chains", low=4)
    generator = as_generator(rng)
    base_rates = _base_biases(model, rows if base is None else base)
    forward, states = _forward(model, n_chains, temperatures, generator, base_rates, progress)
    half = n_chains // 2
    start, rows_each = _spread(rows, half)
    from_data = _reverse(model, start, rows_each, temperatures, generator, base_rates, gibbs_steps, progress)
    sampled = _head(_resampled(states, forward.log_weights, generator), half)
    from_samples = _reverse(model, sampled, 0, temperatures, generator, base_rates, gibbs_steps, progress)
    highest = max(from_data, from_samples, key=lambda estimate: estimate.log_z)
    mean = float(-model.free_energy(rows).mean())
    found = Bracket(
        lower=mean - highest.log_z,
        upper=mean - forward.log_z,
        lower_std_error=highest.std_error,
        upper_std_error=forward.std_error,
        max_width=float(max_width),
        forward=forward,
        reverse_data=from_data,
        reverse_samples=from_samples,
    )
    if found.open:
        warnings.warn(
            f"bracket: open, {found.width:.3g} nats wide with error bars (lower {found.lower:.2f}, upper "
            f"{found.upper:.2f}): more temperatures or chains are needed before either end can be believed",
            LikelihoodWarning,
            stacklevel=2,
        )
    return found


def _forward(
    model: RBM,
    chains: int,
    temperatures: int | ArrayLike,
    generator: Generator,
    base: ArrayLike | BitMatrix | None,
    progress: bool,
) -> tuple[AISEstimate, BitMatrix]:
    """Anneal from the base-rate model; also return the states the chains ended in."""
    n_chains = as_count(chains, "chains")
    _check_units(model)
    betas = _schedule(temperatures)
    biases = _base_biases(model, base)
    no_hidden = BitMatrix.zeros((n_chains, model.n_hidden))
    states: BitMatrix = ops.gibbs_step(no_hidden, model.w, biases, rng=generator, transpose=True)
    log_weights = np.zeros(n_chains)
    _run(model, states, log_weights, betas, biases, generator, "AIS" if progress else None)
    log_z_base = _base_log_z(model, biases)
    std_error, ess = _spread_of_weights(log_weights)
    estimate = AISEstimate(
        log_z=log_z_base + log_mean_exp(log_weights),
        std_error=std_error,
        ess=ess,
        log_weights=log_weights,
        log_z_base=log_z_base,
        temperatures=len(betas) - 1,
    )
    return estimate, states


def _reverse(
    model: RBM,
    states: BitMatrix,
    rows_each: int,
    temperatures: int | ArrayLike,
    generator: Generator,
    base: ArrayLike | BitMatrix | None,
    gibbs_steps: int,
    progress: bool,
) -> AISEstimate:
    """Anneal back from ``states``; ``rows_each`` chains each row of data, 0 for samples of the model."""
    _check_units(model)
    betas = _schedule(temperatures)
    biases = _base_biases(model, base)
    n_steps = as_count(gibbs_steps, "gibbs_steps", low=0)
    log_weights = np.zeros(states.batch)
    backward = np.concatenate([np.ones(n_steps, dtype=np.float32), betas[::-1]])
    _run(model, states, log_weights, backward, biases, generator, "reverse AIS" if progress else None)
    if rows_each:
        # One estimate for each row: the logarithm of its chains' mean weight.
        by_row = log_weights.reshape(rows_each, -1)
        top = by_row.max(axis=0)
        logs = top + np.log(np.exp(by_row - top).mean(axis=0))
        mean, ess = float(logs.mean()), float(len(logs))
        std_error = float(logs.std(ddof=1)) / math.sqrt(len(logs)) if len(logs) > 1 else math.inf
    else:
        mean = log_mean_exp(log_weights)
        std_error, ess = _spread_of_weights(log_weights)
    log_z_base = _base_log_z(model, biases)
    return AISEstimate(
        log_z=log_z_base - mean,
        std_error=std_error,
        ess=ess,
        log_weights=log_weights,
        log_z_base=log_z_base,
        temperatures=len(betas) - 1,
    )


def _run(
    model: RBM,
    states: BitMatrix,
    log_weights: Float64Array,
    betas: NDArray[np.float32],
    biases: NDArray[np.float32],
    generator: Generator,
    title: str | None,
) -> None:
    """Anneal in calls short enough for Ctrl-C and a progress bar; the cuts change nothing."""
    steps = max(1, int(_CALL_WORK / (2.0 * states.batch * model.n_visible * model.n_hidden)))
    bar: Any = None
    if title is not None:
        from tqdm import tqdm

        bar = tqdm(total=len(betas) - 1, desc=title, unit="temperature", dynamic_ncols=True)
    try:
        for first in range(0, len(betas) - 1, steps):
            part = betas[first : first + steps + 1]
            ops.anneal(states, log_weights, model.w, model.b_vis, model.b_hid, part, rng=generator, b_base=biases)
            if bar is not None:
                bar.update(len(part) - 1)
                bar.set_postfix(log_weight=f"{log_mean_exp(log_weights):.2f}", refresh=False)
    finally:
        if bar is not None:
            bar.close()


def _schedule(temperatures: int | ArrayLike) -> NDArray[np.float32]:
    """Inverse temperatures from 0 to 1, as the float32 numbers that the kernel uses."""
    if np.ndim(temperatures) == 0:
        n = as_count(temperatures, "temperatures")
        return (np.arange(n + 1) / n).astype(np.float32)
    betas = np.asarray(temperatures, dtype=np.float64)
    if betas.ndim != 1 or len(betas) < 2:
        raise ValueError(f"temperatures: expected a count, or at least 2 inverse temperatures, given {betas.shape}")
    if not (betas[0] == 0 and betas[-1] == 1 and (np.diff(betas) >= 0).all()):
        raise ValueError("temperatures: expected inverse temperatures that rise from 0 to 1")
    return np.ascontiguousarray(betas, dtype=np.float32)


def _base_biases(model: RBM, base: ArrayLike | BitMatrix | None) -> NDArray[np.float32]:
    if base is None:
        return model.b_vis
    if not isinstance(base, BitMatrix) and np.ndim(base) == 1:
        biases = np.asarray(base, dtype=np.float32)
        if biases.shape != (model.n_visible,) or not np.isfinite(biases).all():
            raise ValueError(f"base: expected {model.n_visible} finite biases, given shape {list(biases.shape)}")
        return biases
    total, n_rows = np.zeros(model.n_visible), 0
    for block in dense_blocks(base, model.n_visible, _BLOCK_ROWS, units=model.visible_units, name="base"):
        total += block.sum(axis=0, dtype=np.float64)
        n_rows += len(block)
    return model.visible_units.bias_for_mean(total / n_rows, n_rows).astype(np.float32)


def _base_log_z(model: RBM, biases: NDArray[np.float32]) -> float:
    return model.n_hidden * math.log(2.0) + float(np.logaddexp(0.0, biases.astype(np.float64)).sum())


def _spread_of_weights(log_weights: Float64Array) -> tuple[float, float]:
    """Standard error of the log of the weights' mean (delta method), and the effective sample size."""
    weights = np.exp(log_weights - log_weights.max())
    shares = weights / weights.sum()
    n, concentration = len(shares), float((shares**2).sum())
    if n == 1:
        return math.inf, 1.0
    return math.sqrt(max(n * concentration - 1.0, 0.0) / (n - 1)), 1.0 / concentration


def _warn_if_few(estimate: AISEstimate, name: str) -> None:
    chains = len(estimate.log_weights)
    if estimate.ess < min(_FEW_SAMPLES, chains / 2.0):
        warnings.warn(
            f"{name}: the weights of {chains} chains amount to {estimate.ess:.1f} effective samples, so log_z and its "
            "standard error are not to be relied upon: more temperatures are needed",
            LikelihoodWarning,
            stacklevel=3,
        )


def _check_units(model: RBM) -> None:
    if not (model.visible_units.name == model.hidden_units.name == "bernoulli"):
        raise ValueError(f"model: annealing needs Bernoulli units in both layers, given {model!r}")


def _as_bits(x: ArrayLike | BitMatrix, model: RBM, name: str) -> BitMatrix:
    """Binary rows in memory of their own."""
    rows = as_rows(x, model.n_visible, name)
    if isinstance(rows, BitMatrix):
        return rows.copy()
    dense = np.ascontiguousarray(rows, dtype=np.float32)
    if not is_binary(dense):
        raise ValueError(f"{name}: expected values that are 0 or 1")
    return BitMatrix.from_dense(dense)


def _take(rows: BitMatrix, index: NDArray[np.intp]) -> BitMatrix:
    by_row = rows.transpose()
    return BitMatrix(np.ascontiguousarray(by_row.words[index]), rows.shape[1]).transpose()


def _head(rows: BitMatrix, n: int) -> BitMatrix:
    return _take(rows, np.arange(n))


def _spread(rows: BitMatrix, chains: int) -> tuple[BitMatrix, int]:
    """Starting states, all rows once, then all rows again; and how often each row comes."""
    n_rows = rows.shape[0]
    used = np.arange(n_rows) if chains >= n_rows else np.arange(chains) * n_rows // chains
    each = max(1, chains // n_rows)
    return _take(rows, np.tile(used, each)), each


def _resampled(states: BitMatrix, log_weights: Float64Array, generator: Generator) -> BitMatrix:
    """States drawn in proportion to their weights (systematic resampling), in random order."""
    weights = np.exp(log_weights - log_weights.max())
    ends = np.cumsum(weights / weights.sum())
    n = len(ends)
    points = (np.arange(n) + float(generator.random(1)[0])) / n
    chosen = np.minimum(np.searchsorted(ends, points), n - 1)
    return _take(states, chosen[generator.permutation(n)])
