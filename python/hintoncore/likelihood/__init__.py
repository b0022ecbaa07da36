"""Likelihoods of Boltzmann machines, in nats: exact where one layer can be enumerated, annealed importance sampling
from both sides where not, and pseudo-likelihood."""

from hintoncore.likelihood._ais import (
    AISEstimate,
    Bracket,
    LikelihoodWarning,
    ais,
    bracket,
    log_mean_exp,
    reverse_ais,
)
from hintoncore.likelihood._exact import MAX_EXACT_UNITS, LogZ, exact_log_likelihood, exact_log_z
from hintoncore.likelihood._importance import ImportanceEstimate, importance_log_likelihood
from hintoncore.likelihood._pseudo import pseudo_log_likelihood

__all__ = [
    "MAX_EXACT_UNITS",
    "AISEstimate",
    "Bracket",
    "ImportanceEstimate",
    "LikelihoodWarning",
    "LogZ",
    "ais",
    "bracket",
    "exact_log_likelihood",
    "exact_log_z",
    "importance_log_likelihood",
    "log_mean_exp",
    "pseudo_log_likelihood",
    "reverse_ais",
]
