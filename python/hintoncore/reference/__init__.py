"""Readable NumPy versions of every kernel: documentation and test oracle.

Each function here states in plain NumPy, with float64 inside, what the kernel of the same name in
:mod:`hintoncore.ops` computes. Nothing in this module calls compiled code, and every function is pure:
arguments are never changed, and randomness enters only as an explicit ``(seed, offset)``.

Notation of the restricted Boltzmann machine (Smolensky 1986; Hinton 2002): visible states ``v`` [B, V],
hidden states ``h`` [B, H], couplings ``w`` [V, H], biases ``b_vis`` [V] and ``b_hid`` [H], and the energy

    E(v, h) = - b_vis . v - b_hid . h - v^T w h.

References
----------
.. [1] J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC
       2011.
.. [2] G. E. Hinton, "Training products of experts by minimizing contrastive divergence", Neural Computation
       14, 2002.
.. [3] T. Tieleman, "Training restricted Boltzmann machines using approximations to the likelihood gradient",
       ICML 2008.
.. [4] G. E. Hinton, "A practical guide to training restricted Boltzmann machines", UTML TR 2010-003, 2010.
.. [5] R. M. Neal, "Annealed importance sampling", Statistics and Computing 11, 2001.
.. [6] R. Salakhutdinov, I. Murray, "On the quantitative analysis of deep belief networks", ICML 2008.
.. [7] S. Geman, D. Geman, "Stochastic relaxation, Gibbs distributions, and the Bayesian restoration of images",
       IEEE PAMI 6, 1984.
.. [8] D. H. Ackley, G. E. Hinton, T. J. Sejnowski, "A learning algorithm for Boltzmann machines", Cognitive Science
       9, 1985.
.. [9] T. Tieleman, G. E. Hinton, "Using fast weights to improve persistent contrastive divergence", ICML 2009.
.. [10] J. Melchior, A. Fischer, L. Wiskott, "How to center deep Boltzmann machines", JMLR 17, 2016.
"""

from ._bits import pack_bits, transpose_bits, unpack_bits
from ._cf import cf_conditional, cf_gradient, cf_hidden, cf_visible
from ._conv import conv2d, conv2d_backward, max_pool2d, max_pool2d_backward
from ._dense import batched_matmul, exp, linear, linear_backward, log, matmul, outer_update, sigmoid, softplus, tanh
from ._graph import dense_gibbs, graph_gibbs, greedy_colors
from ._likelihood import MAX_ENUMERATED_UNITS, all_states, anneal, exact_log_z
from ._nn import (
    adam_update,
    dropout,
    embedding,
    embedding_add,
    layer_norm,
    layer_norm_backward,
    max_norm,
    rmsprop_update,
    sgd_update,
    softmax,
    softmax_cross_entropy,
)
from ._random import flat_uniforms, layer_uniforms, philox4x32_10, standard_normals, uniforms
from ._rbm import CDResult, cd_gradient, cd_update, free_energy, gibbs_step, weight_update
from ._rnn import rnn, rnn_backward, rnn_inputs, rnn_inputs_backward
from ._units import sample_units

__all__ = [
    "CDResult",
    "MAX_ENUMERATED_UNITS",
    "adam_update",
    "all_states",
    "anneal",
    "batched_matmul",
    "cd_gradient",
    "cd_update",
    "cf_conditional",
    "cf_gradient",
    "cf_hidden",
    "cf_visible",
    "conv2d",
    "conv2d_backward",
    "dense_gibbs",
    "dropout",
    "embedding",
    "embedding_add",
    "exact_log_z",
    "exp",
    "flat_uniforms",
    "free_energy",
    "gibbs_step",
    "graph_gibbs",
    "greedy_colors",
    "layer_norm",
    "layer_norm_backward",
    "layer_uniforms",
    "linear",
    "linear_backward",
    "log",
    "matmul",
    "max_norm",
    "max_pool2d",
    "max_pool2d_backward",
    "outer_update",
    "pack_bits",
    "philox4x32_10",
    "rmsprop_update",
    "rnn",
    "rnn_backward",
    "rnn_inputs",
    "rnn_inputs_backward",
    "sample_units",
    "sgd_update",
    "sigmoid",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
    "standard_normals",
    "tanh",
    "transpose_bits",
    "unpack_bits",
    "uniforms",
    "weight_update",
]
