"""Every kernel as a function on arrays.

NumPy arrays, or anything with ``__dlpack__`` on the CPU, go in; the same kind comes out. float32 C-contiguous arrays
are the fast path: other dtypes and layouts of inputs are converted with a copy, arguments written in place must be
exactly that. Wrong shapes, values and dtypes raise ValueError or TypeError naming the argument. The GIL is released
while a kernel runs.
"""

from ._batched import batched_matmul
from ._cf import CFOptimiser, CFParameters, Ratings, cf_conditional, cf_hidden, cf_settle, cf_update, cf_visible
from ._conv import conv2d, conv2d_backward
from ._dense import exp, linear, linear_backward, log, matmul, sigmoid, softplus, tanh
from ._gradient import CDGradient, cd_gradient, weight_update
from ._graph import dense_gibbs, graph_gibbs
from ._likelihood import anneal, exact_log_z
from ._nn import dropout, embedding, embedding_add, layer_norm, layer_norm_backward, softmax, softmax_cross_entropy
from ._optim import adam_update, max_norm, rmsprop_update, sgd_update, sum_of_squares
from ._outer import outer_update
from ._pool import max_pool2d, max_pool2d_backward
from ._rbm import cd_update, gibbs_step
from ._rnn import rnn, rnn_backward, rnn_inputs, rnn_inputs_backward
from ._units import sample_units

__all__ = [
    "CDGradient",
    "CFOptimiser",
    "CFParameters",
    "Ratings",
    "adam_update",
    "anneal",
    "batched_matmul",
    "cd_gradient",
    "cd_update",
    "cf_conditional",
    "cf_hidden",
    "cf_settle",
    "cf_update",
    "cf_visible",
    "conv2d",
    "conv2d_backward",
    "dense_gibbs",
    "dropout",
    "embedding",
    "embedding_add",
    "exact_log_z",
    "exp",
    "gibbs_step",
    "graph_gibbs",
    "layer_norm",
    "layer_norm_backward",
    "linear",
    "linear_backward",
    "log",
    "matmul",
    "max_norm",
    "max_pool2d",
    "max_pool2d_backward",
    "outer_update",
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
    "sum_of_squares",
    "tanh",
    "weight_update",
]
