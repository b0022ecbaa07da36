"""Likelihoods of Boltzmann machines, in nats: exact where one layer can be enumerated, annealed importance sampling
from both sides where not, and pseudo-likelihood."""

from hintoncore.likelihood._ais import ais, bracket, reverse_ais
from hintoncore.likelihood._dbm import DBMBound, dbm_bound, dbm_log_z
from hintoncore.likelihood._dbn import DBNBound, dbn_bound, dbn_log_z
from hintoncore.likelihood._estimate import AISEstimate, Bracket, LikelihoodWarning, log_mean_exp
from hintoncore.likelihood._exact import MAX_EXACT_STATES, MAX_EXACT_UNITS, LogZ, exact_log_likelihood, exact_log_z
from hintoncore.likelihood._importance import ImportanceEstimate, importance_log_likelihood
from hintoncore.likelihood._parzen import best_bandwidth, parzen_log_likelihood
from hintoncore.likelihood._pseudo import pseudo_log_likelihood

__all__ = [
    "MAX_EXACT_STATES",
    "MAX_EXACT_UNITS",
    "AISEstimate",
    "Bracket",
    "DBMBound",
    "DBNBound",
    "ImportanceEstimate",
    "LikelihoodWarning",
    "LogZ",
    "ais",
    "best_bandwidth",
    "bracket",
    "dbm_bound",
    "dbm_log_z",
    "dbn_bound",
    "dbn_log_z",
    "exact_log_likelihood",
    "exact_log_z",
    "importance_log_likelihood",
    "log_mean_exp",
    "parzen_log_likelihood",
    "pseudo_log_likelihood",
    "reverse_ais",
]
