"""A variational lower bound on the likelihood of deep belief nets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import ops
from hintoncore._counts import as_count
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator, RngLike, as_generator
from hintoncore.likelihood._ais import ais, reverse_ais
from hintoncore.likelihood._exact import LogZ, exact_log_z
from hintoncore.models._rows import as_rows, dense_blocks, is_binary
from hintoncore.models.units import unit_type

if TYPE_CHECKING:
    from hintoncore.models.associative_memory import AssociativeMemory
    from hintoncore.models.dbn import DBN
    from hintoncore.models.rbm import RBM

__all__ = ["DBNBound", "dbn_bound", "dbn_log_z"]

Float64Array = NDArray[np.float64]

_BLOCK_ROWS = 256
_UNITS = unit_type("bernoulli", "visible")


@dataclass(frozen=True)
class DBNBound:
    """Lower bounds on the mean log-likelihood of some rows.

    Attributes
    ----------
    bound : float
        Nats for each row: ``E_q[log p(v, h) - log q(h | v)]``.
    std_error : float
        Of ``bound``, from the samples of ``q`` and from ``log_z``.
    importance_weighted : float
        The tighter bound ``E[log mean over the samples of p(v, h) / q(h | v)]``, which rises to the log-likelihood
        with the number of samples.
    log_z : LogZ
        Log partition function of the associative memory that both stand on. Annealing forward errs low, and then the
        bounds err high.
    samples : int
        Of ``q`` for each row.
    """

    bound: float
    std_error: float
    importance_weighted: float
    log_z: LogZ
    samples: int


def dbn_bound(
    net: DBN,
    X: ArrayLike | BitMatrix,
    *,
    samples: int = 10,
    log_z: LogZ | None = None,
    rng: RngLike = 0,
    **options: Any,
) -> DBNBound:
    """Bound the mean log-likelihood of binary rows from below by the net's own recognition distribution.

    ``q(h1, h2, ... | v)`` is a stochastic pass up the recognition weights to the features of the associative memory,
    whose hidden layer and label are summed out exactly.

    Parameters
    ----------
    net : DBN
    X : array of 0 and 1, shape [N, V], or BitMatrix
    samples : int >= 2
        Passes for each row.
    log_z : LogZ, optional
        As :func:`dbn_log_z` returns it; it is called when this is left out.
    rng : Generator or int
    **options
        Of :func:`dbn_log_z`.

    Returns
    -------
    DBNBound

    Raises
    ------
    ValueError, TypeError
        If ``X`` is not binary or does not fit the net, or an argument is out of range.

    Warns
    -----
    hintoncore.likelihood.LikelihoodWarning
        If the estimate of log Z is not to be relied upon.

    References
    ----------
    G. E. Hinton, S. Osindero, Y.-W. Teh, "A fast learning algorithm for deep belief nets", Neural Computation 18, 2006,
    section 4; R. Salakhutdinov, I. Murray, "On the quantitative analysis of deep belief networks", ICML 2008, section
    5; Y. Burda, R. Grosse, R. Salakhutdinov, "Importance weighted autoencoders", ICLR 2016, eq. 8.
    """
    n_samples = as_count(samples, "samples", low=2)
    generator = as_generator(rng)
    rows = as_rows(X, net.n_visible)
    if log_z is None:
        log_z = dbn_log_z(net, **{"base": rows, "rng": generator, **options})
    elif options:
        raise ValueError(f"{', '.join(options)}: not used, since log_z is given")
    parts = []
    for block in dense_blocks(rows, net.n_visible, _BLOCK_ROWS, units=_UNITS):
        if not is_binary(block):
            raise ValueError("X: the bound needs values that are 0 or 1")
        bits = BitMatrix.from_dense(block)
        parts.append(np.stack([_log_weights(net, bits, block, generator) for _ in range(n_samples)]))
    log_weights = np.concatenate(parts, axis=1) - log_z.log_z
    n_rows = log_weights.shape[1]
    noise = math.sqrt(float(log_weights.var(axis=0, ddof=1).sum()) / n_samples) / n_rows
    weighted = np.logaddexp.reduce(log_weights, axis=0) - math.log(n_samples)
    return DBNBound(
        bound=float(log_weights.mean()),
        std_error=math.hypot(noise, log_z.std_error),
        importance_weighted=float(weighted.mean()),
        log_z=log_z,
        samples=n_samples,
    )


def dbn_log_z(
    net: DBN,
    *,
    method: str = "ais",
    chains: int = 100,
    temperatures: int | ArrayLike = 10_000,
    reverse: bool = False,
    data: ArrayLike | BitMatrix | None = None,
    base: ArrayLike | BitMatrix | None = None,
    rng: RngLike = 0,
) -> LogZ:
    """Log partition function of a net's associative memory.

    With label units it is the sum of those of the RBMs that each label leaves when it is clamped:
    ``Z = sum_y exp(b_y) Z_y``, where ``Z_y`` has the label's weights added to the hidden biases.

    Parameters
    ----------
    net : DBN
    method : {"ais", "exact"}
        Exact where the smaller layer of the memory has at most :data:`hintoncore.likelihood.MAX_EXACT_UNITS` units.
    chains : int >= 1
    temperatures : int >= 1, or array
        Of :func:`hintoncore.likelihood.ais`, for each label.
    reverse : bool
        Anneal backward (:func:`hintoncore.likelihood.reverse_ais`): an estimate that errs high, so that bounds with it
        err low.
    data : array of 0 and 1, shape [N, V], or BitMatrix, optional
        With `reverse`, for a net without labels: rows to start at, their features drawn by a stochastic pass up. Chains
        that start at samples of the memory's own see only the modes that annealing forward finds; from the features of
        data, a memory that would rather be elsewhere is found out. A bound of the same rows with this estimate is
        conservative in the sense of RAISE ([1]_, section 3): in expectation it lies below their likelihood under the
        net whose memory is what forward annealing samples from.
    base : array of 0 and 1, shape [N, V], or BitMatrix, optional
        Rows whose features' means set the base-rate model.
    rng : Generator or int

    Returns
    -------
    LogZ

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or does not fit the net.

    References
    ----------
    .. [1] Y. Burda, R. B. Grosse, R. Salakhutdinov, "Accurate and conservative estimates of MRF log-likelihood using
           reverse annealing", AISTATS 2015.
    """
    if method not in ("ais", "exact"):
        raise ValueError(f"method: expected 'ais' or 'exact', given {method!r}")
    if data is not None and not (reverse and method == "ais"):
        raise ValueError("data: only annealing backward starts at rows; pass reverse=True")
    if data is not None and net.n_labels:
        raise ValueError(f"data: {net!r} has label units, whose states the rows do not have")
    generator = as_generator(rng)
    biases: Float64Array | None = None
    if base is not None and method == "ais":
        rows = as_rows(base, net.n_visible, "base")
        features = net.recognised(rows)
        biases = _UNITS.bias_for_mean(features.mean(axis=0, dtype=np.float64), len(features))
    started = None if data is None else _feature_samples(net, data, generator)
    parts: list[LogZ] = []
    for label in range(max(net.n_labels, 1)):
        rbm = _with_label(net.top, label)
        if method == "exact":
            parts.append(exact_log_z(rbm))
        elif reverse:
            parts.append(reverse_ais(rbm, chains, temperatures, generator, base=biases, data=started))
        else:
            parts.append(ais(rbm, chains, temperatures, generator, base=biases))
    if not net.n_labels:
        return parts[0]
    terms = np.array([part.log_z for part in parts]) + net.top.b_vis[net.top.n_features :].astype(np.float64)
    total = float(np.logaddexp.reduce(terms))
    shares = np.exp(terms - total)
    error = math.sqrt(float(sum((s * part.std_error) ** 2 for s, part in zip(shares, parts, strict=True))))
    return LogZ(log_z=total, std_error=error, ess=min(part.ess for part in parts))


def _log_weights(net: DBN, bits: BitMatrix, dense: NDArray[np.float32], rng: Generator) -> Float64Array:
    """``log p(v, h) - log q(h | v)`` of one stochastic pass up, but for log Z; the topmost layer is summed out."""
    total = np.zeros(len(dense))
    for layer in net.layers:
        above: BitMatrix = ops.gibbs_step(bits, layer.up_w, layer.up_b, rng=rng)
        states = above.to_dense()
        total += _log_bernoulli(dense, ops.linear(states, layer.down_w, layer.down_b))
        total -= _log_bernoulli(states, ops.linear(dense, layer.up_w, layer.up_b))
        bits, dense = above, states
    return np.asarray(total + np.logaddexp.reduce(-net.top.free_energy(dense), axis=1))


def _feature_samples(net: DBN, rows: ArrayLike | BitMatrix, rng: Generator) -> NDArray[np.float32]:
    """Features of the memory given visible rows, by a stochastic pass up; an offset a layer and block of rows."""
    samples = []
    for block in dense_blocks(rows, net.n_visible, _BLOCK_ROWS, units=_UNITS, name="data"):
        if not is_binary(block):
            raise ValueError("data: expected values that are 0 or 1")
        bits = BitMatrix.from_dense(block)
        for layer in net.layers:
            bits = layer.sample_above(bits, rng)
        samples.append(bits.to_dense())
    return np.concatenate(samples)


def _log_bernoulli(states: NDArray[np.float32], inputs: NDArray[np.float32]) -> Float64Array:
    """Log-probability of each row of binary states of units with these total inputs."""
    x = inputs.astype(np.float64)
    return np.asarray((states * x - _UNITS.log_normaliser(x)).sum(axis=1))


def _with_label(memory: AssociativeMemory, label: int) -> RBM:
    """The RBM over the features that a clamped label leaves, without the label's own bias."""
    from hintoncore.models.rbm import RBM

    n = memory.n_features
    rbm = RBM(n, memory.n_hidden)
    rbm.w[...] = memory.w[:n]
    rbm.b_vis[...] = memory.b_vis[:n]
    rbm.b_hid[...] = memory.b_hid + (memory.w[n + label] if memory.n_labels else 0.0)
    return rbm
