"""What it costs to communicate weights that are known only up to Gaussian noise: the adaptive coding prior."""

from __future__ import annotations

import numpy as np

from hintoncore._counts import as_count
from hintoncore._validate import as_number
from hintoncore.nn._arithmetic import Array

__all__ = ["CodingPrior"]


class CodingPrior:
    """A mixture of Gaussians by which noisy weights are coded, itself fitted to them (Hinton and van Camp 1993).

    A weight with distribution ``Q = N(mean, std^2)`` costs, coded by component k (eq. 5 there)::

        G_k = log(s_k / std) + (std^2 + (mean - m_k)^2) / (2 s_k^2) - 1/2     nats

    The sender picks a component at random with probabilities ``r_k`` in proportion to ``pi_k exp(-G_k)`` and gets the
    bits of that choice back, so that the cost is (section 6)::

        C = -log sum_k pi_k exp(-G_k)

    an upper bound on ``KL(Q || sum_k pi_k N(m_k, s_k^2))``, tight for one component.

    The prior's arrays are parameters of the network: ``means``, ``log_stds`` and ``logits`` (of ``pi``), shape [K].

    Parameters
    ----------
    n_components : int >= 1
        The paper has 5 for the weights of the hidden units.
    scale : float > 0
        Initial means are spread evenly over ``[-scale, scale]`` and all standard deviations are ``scale``.

    References
    ----------
    G. E. Hinton, D. van Camp, "Keeping neural networks simple by minimizing the description length of the weights",
    COLT 1993.
    """

    names = ("means", "log_stds", "logits")

    def __init__(self, n_components: int = 1, scale: float = 1.0) -> None:
        self.n_components = as_count(n_components, "n_components")
        self.scale = as_number(scale, "scale")
        if self.scale <= 0:
            raise ValueError(f"scale: expected a number > 0, given {scale}")

    def initial(self) -> tuple[Array, Array, Array]:
        """Means, log standard deviations and logits to start from, float32 [K]."""
        k = self.n_components
        means = np.linspace(-self.scale, self.scale, k) if k > 1 else np.zeros(1)
        return means.astype(np.float32), np.full(k, np.log(self.scale), np.float32), np.zeros(k, np.float32)

    def cost(
        self, mean: Array, log_std: Array, means: Array, log_stds: Array, logits: Array
    ) -> tuple[float, tuple[Array, Array], tuple[Array, Array, Array]]:
        """Nats for all weights, and the gradients.

        Parameters
        ----------
        mean, log_std : arrays of one shape
            Of the weights.
        means, log_stds, logits : arrays, shape [K]
            Of the prior.

        Returns
        -------
        cost : float
        weights : (array, array)
            Gradients with respect to ``mean`` and ``log_std``.
        prior : (array, array, array)
            Those with respect to ``means``, ``log_stds`` and ``logits``.
        """
        offset = mean[..., None] - means  # [..., K]
        precision = np.exp(-2 * log_stds)
        variance = np.exp(2 * log_std)[..., None]
        ratio = (variance + offset**2) * precision
        divergence = log_stds - log_std[..., None] + ratio / 2 - mean.dtype.type(0.5)
        log_share = logits - logits.max()
        log_share = log_share - np.log(np.exp(log_share).sum())
        scores = log_share - divergence
        top = scores.max(axis=-1, keepdims=True)
        weights = np.exp(scores - top)
        total = weights.sum(axis=-1, keepdims=True)
        r = weights / total
        cost = -float((top + np.log(total)).sum(dtype=np.float64))
        every = tuple(range(mean.ndim))
        pull = r * offset * precision
        d_mean, d_log_std = pull.sum(axis=-1), (r * (variance * precision - 1)).sum(axis=-1)
        share = np.exp(log_share)
        d_logits = mean.size * share - r.sum(axis=every)
        return cost, (d_mean, d_log_std), (-pull.sum(axis=every), (r * (1 - ratio)).sum(axis=every), d_logits)
