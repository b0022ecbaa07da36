"""Annealed importance sampling of RBMs, from the base-rate model to the RBM and back.

Forward runs estimate ``Z`` without bias, so by Jensen's inequality their ``log Z`` errs low and a likelihood computed
from it errs high. Runs that start at the RBM and anneal backward err the other way. Where the two agree, the
likelihood is known; where they do not, no number of decimals of either means anything.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore._counts import as_count
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator, RngLike, as_generator
from hintoncore.likelihood._chains import AnnealedChains, annealed_chains
from hintoncore.likelihood._estimate import (
    AISEstimate,
    Bracket,
    LikelihoodWarning,
    log_mean_exp,
    spread_of_weights,
    warn_if_few,
)

if TYPE_CHECKING:
    from hintoncore.models.rbm import RBM

__all__ = ["ais", "bracket", "reverse_ais"]

Float64Array = NDArray[np.float64]

_STEPS_AT_ONE = 10  # Gibbs steps at the RBM itself before annealing backward
_CALL_WORK = 3e10  # multiply-adds of one call, well under a second in the kernel: how long Ctrl-C may have to wait


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
        Units of any type; NReLU ones stand for the stepped sigmoid units that they approximate.
    chains : int >= 1
    temperatures : int >= 1, or array
        Number of annealing steps, evenly spaced; or the inverse temperatures themselves, rising from 0 to 1.
    rng : Generator or int
        ``2 K + 1`` offsets are consumed by ``K`` annealing steps.
    base : array of float, shape [V], or rows [N, V] or BitMatrix, optional
        Visible biases of the base-rate model, or data whose means set them (and variances those of Gaussian units).
        ``model.b_vis`` when left out. The data are the better choice for a trained model.
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
    estimate, _ = _forward(annealed_chains(model, base), model, chains, temperatures, as_generator(rng), progress)
    warn_if_few(estimate, "ais")
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
        Units of any type; NReLU ones stand for the stepped sigmoid units that they approximate.
    chains : int >= 1
        With `data` of N rows: each row gets ``chains // N``, or, when they are fewer, that many rows evenly spaced get
        one each.
    temperatures : int >= 1, or array
        As of :func:`ais`, rising from 0 to 1; gone through backward.
    rng : Generator or int
    data : array of states, shape [N, V], or BitMatrix, optional
        Rows of data to start at.
    samples : array of states, shape [C, V], or BitMatrix, optional
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
    annealer = annealed_chains(model, base)
    start: Any
    rows_each = 0
    if data is not None:
        start, rows_each = _spread(annealer, annealer.of_rows(data, "data"), n_chains)
    elif samples is not None:
        start = annealer.of_rows(samples, "samples")
    else:
        forward, states = _forward(annealer, model, n_chains, temperatures, generator, progress)
        start = annealer.take(states, _resampled(forward.log_weights, generator))
    estimate = _reverse(annealer, model, start, rows_each, temperatures, generator, gibbs_steps, progress)
    if data is None:
        warn_if_few(estimate, "reverse_ais")
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
        Units of any type; NReLU ones stand for the stepped sigmoid units that they approximate.
    X : array of states, shape [N, V], or BitMatrix
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
    rows: Any = annealed_chains(model, None).of_rows(X, "X")
    annealer = annealed_chains(model, rows if base is None else base)
    n_chains = as_count(chains, "chains", low=4)
    generator = as_generator(rng)
    forward, states = _forward(annealer, model, n_chains, temperatures, generator, progress)
    half = n_chains // 2
    start, rows_each = _spread(annealer, rows, half)
    from_data = _reverse(annealer, model, start, rows_each, temperatures, generator, gibbs_steps, progress)
    sampled = annealer.take(states, _resampled(forward.log_weights, generator)[:half])
    from_samples = _reverse(annealer, model, sampled, 0, temperatures, generator, gibbs_steps, progress)
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
    annealer: AnnealedChains[Any],
    model: RBM,
    chains: int,
    temperatures: int | ArrayLike,
    generator: Generator,
    progress: bool,
) -> tuple[AISEstimate, Any]:
    """Anneal from the base-rate model; also return the states the chains ended in."""
    n_chains = as_count(chains, "chains")
    betas = _schedule(temperatures)
    states = annealer.start(n_chains, generator)
    log_weights = np.zeros(n_chains)
    _run(annealer, model, states, log_weights, betas, generator, "AIS" if progress else None)
    std_error, ess = spread_of_weights(log_weights)
    log_z = annealer.log_z_base + log_mean_exp(log_weights)
    return AISEstimate(log_z, std_error, ess, log_weights, annealer.log_z_base, len(betas) - 1), states


def _reverse(
    annealer: AnnealedChains[Any],
    model: RBM,
    states: Any,
    rows_each: int,
    temperatures: int | ArrayLike,
    generator: Generator,
    gibbs_steps: int,
    progress: bool,
) -> AISEstimate:
    """Anneal back from ``states``; ``rows_each`` chains each row of data, 0 for samples of the model."""
    betas = _schedule(temperatures)
    n_steps = as_count(gibbs_steps, "gibbs_steps", low=0)
    log_weights = np.zeros(states.shape[0])
    backward = np.concatenate([np.ones(n_steps, dtype=np.float32), betas[::-1]])
    _run(annealer, model, states, log_weights, backward, generator, "reverse AIS" if progress else None)
    if rows_each:
        # One estimate for each row: the logarithm of its chains' mean weight.
        by_row = log_weights.reshape(rows_each, -1)
        top = by_row.max(axis=0)
        logs = top + np.log(np.exp(by_row - top).mean(axis=0))
        mean, ess = float(logs.mean()), float(len(logs))
        std_error = float(logs.std(ddof=1)) / math.sqrt(len(logs)) if len(logs) > 1 else math.inf
    else:
        mean = log_mean_exp(log_weights)
        std_error, ess = spread_of_weights(log_weights)
    log_z = annealer.log_z_base - mean
    return AISEstimate(log_z, std_error, ess, log_weights, annealer.log_z_base, len(betas) - 1)


def _run(
    annealer: AnnealedChains[Any],
    model: RBM,
    states: Any,
    log_weights: Float64Array,
    betas: NDArray[np.float32],
    generator: Generator,
    title: str | None,
) -> None:
    """Anneal in calls short enough for Ctrl-C and a progress bar; the cuts change nothing."""
    steps = max(1, int(_CALL_WORK / (2.0 * states.shape[0] * model.n_visible * model.n_hidden)))
    bar: Any = None
    if title is not None:
        from tqdm import tqdm

        bar = tqdm(total=len(betas) - 1, desc=title, unit="temperature", dynamic_ncols=True)
    try:
        for first in range(0, len(betas) - 1, steps):
            part = betas[first : first + steps + 1]
            annealer.run(states, log_weights, part, generator)
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


def _spread(annealer: AnnealedChains[Any], rows: Any, chains: int) -> tuple[Any, int]:
    """Starting states, all rows once, then all rows again; and how often each row comes."""
    n_rows = rows.shape[0]
    used = np.arange(n_rows) if chains >= n_rows else np.arange(chains) * n_rows // chains
    each = max(1, chains // n_rows)
    return annealer.take(rows, np.tile(used, each)), each


def _resampled(log_weights: Float64Array, generator: Generator) -> NDArray[np.intp]:
    """Chains drawn in proportion to their weights (systematic resampling), in random order."""
    weights = np.exp(log_weights - log_weights.max())
    ends = np.cumsum(weights / weights.sum())
    n = len(ends)
    points = (np.arange(n) + float(generator.random(1)[0])) / n
    chosen = np.minimum(np.searchsorted(ends, points), n - 1)
    return np.asarray(chosen[generator.permutation(n)], dtype=np.intp)
