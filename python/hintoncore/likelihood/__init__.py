"""Likelihoods of Boltzmann machines, in nats: exact where one layer can be enumerated, and
pseudo-likelihood."""

from hintoncore.likelihood._exact import MAX_EXACT_UNITS, LogZ, exact_log_likelihood, exact_log_z
from hintoncore.likelihood._pseudo import pseudo_log_likelihood

__all__ = ["MAX_EXACT_UNITS", "LogZ", "exact_log_likelihood", "exact_log_z", "pseudo_log_likelihood"]
