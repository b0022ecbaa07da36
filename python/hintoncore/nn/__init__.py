"""Networks trained by gradients: layers with explicit ``forward`` and ``backward``, losses, initialisers, optimisers.

There is no tape. A layer keeps what its backward pass needs, ``backward(dy)`` turns the gradient of its output into
that of its input and leaves those of its parameters in ``gradients()``, and :class:`Sequential` calls them in turn. A
new layer is a subclass of :class:`Layer` in readable Python over the kernels of :mod:`hintoncore.ops`;
:func:`check_gradients` holds it to central differences in float64.

>>> import numpy as np
>>> import hintoncore as hc
>>> from hintoncore import nn
>>> rng = hc.Generator(0)
>>> model = nn.Sequential([nn.Linear(2, 8, activation="tanh", rng=rng), nn.Linear(8, 2, rng=rng)])
>>> x, target = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), np.array([0, 1, 1, 0])
>>> loss, optimiser = nn.SoftmaxCrossEntropy(), nn.Adam(0.05)
>>> for _ in range(200):
...     value, dy = loss(model.forward(x, training=True), target)
...     _ = model.backward(dy)
...     optimiser.step(model)
>>> model.forward(x).argmax(axis=1)
array([0, 1, 1, 0])
"""

from hintoncore.nn import init
from hintoncore.nn.alignment import alignment, cosine
from hintoncore.nn.coding import CodingPrior
from hintoncore.nn.convolution import Conv2d, Flatten, MaxPool2d, Reshape
from hintoncore.nn.embedding import Embedding, EmbeddingBag
from hintoncore.nn.feedback import FeedbackNetwork
from hintoncore.nn.gradient_check import GradientCheck, check_gradients
from hintoncore.nn.layers import Dropout, Layer, LayerNorm, Linear
from hintoncore.nn.losses import BinaryCrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
from hintoncore.nn.maxout import Maxout
from hintoncore.nn.network import Parallel, Sequential, load, save
from hintoncore.nn.noisy import NoisyLinear
from hintoncore.nn.optimisers import SGD, Adam, Momentum, Nesterov, Optimiser, RMSprop
from hintoncore.nn.recurrent import RNN

__all__ = [
    "RNN",
    "SGD",
    "Adam",
    "BinaryCrossEntropy",
    "CodingPrior",
    "Conv2d",
    "Dropout",
    "Embedding",
    "EmbeddingBag",
    "FeedbackNetwork",
    "Flatten",
    "GradientCheck",
    "Layer",
    "LayerNorm",
    "Linear",
    "Loss",
    "Maxout",
    "MaxPool2d",
    "MeanSquaredError",
    "Momentum",
    "Nesterov",
    "NoisyLinear",
    "Optimiser",
    "Parallel",
    "RMSprop",
    "Reshape",
    "Sequential",
    "SoftmaxCrossEntropy",
    "alignment",
    "check_gradients",
    "cosine",
    "init",
    "load",
    "save",
]
