"""One training step of a neural language model: vectors of words, tanh layer, softmax over the vocabulary, Adam.

The sizes of Brown, where the softmax over 16,383 words is nearly all of the work, and those of Hinton's course, where
the model is small and overhead counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .harness.cases import OURS, Case, Prepared, Request, Setup, Target, within
from .harness.compiled import compiled

_SHAPES = (
    (128, 4, 16383, 60, 100),
    (256, 5, 16383, 100, 100),
    (1000, 5, 16383, 100, 100),
    (100, 3, 250, 50, 200),
)
_NAMES = ("batch", "context", "words", "features", "hidden")
_RATE, _BETA1, _BETA2, _EPSILON = 0.001, 0.9, 0.999, 1e-8
# Adam divides the gradient by its size: where that is no more than rounding, the step is anything up to the rate.
_SMALLEST_GRADIENT = 1e-6


def cases(request: Request) -> list[Case]:
    """A step for each batch x context x words x features x hidden and thread count."""
    rows = []
    for threads in request.threads:
        for shape in request.shapes(5, _SHAPES):
            batch, context, words, features, hidden = shape
            judged = threads == 2 and request.best
            rows.append(
                Case(
                    "nplm",
                    f"language model step {'x'.join(map(str, shape))}",
                    dict(zip(_NAMES, shape, strict=True)),
                    threads,
                    batch,
                    "k samples/s",
                    (OURS, "torch", "torch.compile"),
                    "fma",
                    # Forward, gradients of weights and of inputs.
                    6.0 * batch * hidden * (words + context * features),
                    targets=(Target(("torch",), 2.0),) if judged else (),
                )
            )
    return rows


class _Problem:
    """Initial parameters, a batch of windows, and what one step must make of the parameters, in float64."""

    def __init__(self, setup: Setup) -> None:
        p = setup.params
        draw = np.random.Generator(np.random.SFC64(setup.seed))
        self.sizes = tuple(p[name] for name in _NAMES)
        batch, context, words, features, hidden = self.sizes
        # Words of a text are few and frequent, or rare (Zipf): half of them among the first square root.
        self.windows = (words ** draw.random((batch, context + 1)) - 1).astype(np.int64)
        inputs = context * features

        def weights(*shape: int) -> np.ndarray:
            return draw.standard_normal(shape, dtype=np.float32) * np.float32(shape[0] ** -0.5)

        self.table = draw.standard_normal((words, features), dtype=np.float32) * np.float32(0.1)
        self.weights = [weights(inputs, hidden), weights(hidden, words)]

    def error(self, table: Any, weights: list[Any]) -> float:
        """Largest difference of a step from that of float64, relative to the rate, where the gradient is not near 0."""
        x, target = self.windows[:, :-1], self.windows[:, -1]
        rows, w = self.table.astype(np.float64), [weight.astype(np.float64) for weight in self.weights]
        features = rows[x].reshape(len(x), -1)
        hidden = np.tanh(features @ w[0])
        y = hidden @ w[1]
        p = np.exp(y - y.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        p[np.arange(len(p)), target] -= 1
        p /= len(p)
        inner = (p @ w[1].T) * (1 - hidden**2)
        to_features = np.zeros_like(rows)
        np.add.at(to_features, x, (inner @ w[0].T).reshape(*x.shape, -1))
        errors = []
        for before, gradient, after in (
            (rows, to_features, table),
            (w[0], features.T @ inner, weights[0]),
            (w[1], hidden.T @ p, weights[1]),
        ):
            step = _RATE * gradient / (np.abs(gradient) + _EPSILON)  # Adam's first one
            difference = np.abs(np.asarray(after, np.float64) - (before - step)) - np.abs(before).max() * 2.0**-23
            errors.append(difference[(np.abs(gradient) > _SMALLEST_GRADIENT) | (gradient == 0)].max() / _RATE)
        return within(max(*errors, 0.0), 2e-2, "step")


def ours(setup: Setup) -> Prepared:
    """`hintoncore.models.NPLM`, with the loss and optimiser of the experiment."""
    import hintoncore as hc
    from hintoncore import nn
    from hintoncore.models import NPLM
    from hintoncore.models.nplm import WordCrossEntropy

    p = _Problem(setup)
    _, context, words, features, hidden = p.sizes
    x, target = (np.ascontiguousarray(part, dtype=np.int32) for part in (p.windows[:, :-1], p.windows[:, -1]))
    loss = WordCrossEntropy()

    def network() -> tuple[NPLM, nn.Adam]:
        model = NPLM(words, context=context, n_features=features, n_hidden=hidden, rng=hc.Generator(0))
        model.vectors[...] = p.table
        for value, weight in zip(
            (v for v in model.parameters().values() if v.ndim > 1), [None, *p.weights], strict=True
        ):
            if weight is not None:
                value[...] = weight
        return model, nn.Adam(_RATE, _BETA1, _BETA2, epsilon=_EPSILON)

    def step(model: NPLM, optimiser: nn.Adam) -> float:
        value, dy = loss(model.forward(x, training=True), target)
        model.backward(dy, input_gradient=False)
        optimiser.step(model)
        return value

    def check() -> float:
        model, optimiser = network()
        step(model, optimiser)
        _, *weights = (v for v in model.parameters().values() if v.ndim > 1)
        return p.error(model.vectors, weights)

    timed = network()
    return Prepared(lambda: step(*timed), check)


def _torch_step(setup: Setup, *, compile_step: bool) -> Prepared:
    import torch
    from torch.nn import functional

    p = _Problem(setup)
    _, context, words, features, hidden = p.sizes
    x, target = torch.from_numpy(p.windows[:, :-1].copy()), torch.from_numpy(p.windows[:, -1].copy())

    def stepper() -> tuple[list[Any], Any]:
        layers: list[Any] = [
            torch.nn.Embedding(words, features),
            torch.nn.Linear(context * features, hidden),
            torch.nn.Linear(hidden, words),
        ]
        embedding, *linear = layers
        model = torch.nn.Sequential(embedding, torch.nn.Flatten(), linear[0], torch.nn.Tanh(), linear[1])
        with torch.no_grad():
            embedding.weight.copy_(torch.from_numpy(p.table))
            for layer, weight in zip(linear, p.weights, strict=True):
                layer.weight.copy_(torch.from_numpy(weight.T.copy()))
                layer.bias.zero_()
        optimiser = torch.optim.Adam(model.parameters(), lr=_RATE, betas=(_BETA1, _BETA2), eps=_EPSILON, fused=True)

        def forward() -> Any:
            return functional.cross_entropy(model(x), target)

        forward = compiled(forward) if compile_step else forward

        def step() -> None:
            optimiser.zero_grad()
            forward().backward()
            optimiser.step()

        return layers, step

    def check() -> float:
        (embedding, *linear), step = stepper()
        step()
        weights = [layer.weight.detach().numpy().T for layer in linear]
        return p.error(embedding.weight.detach().numpy(), weights)

    _, timed = stepper()
    return Prepared(timed, check)


def with_torch(setup: Setup) -> Prepared:
    """`nn.Embedding`, `nn.Linear`, `cross_entropy`, autograd and the fused `torch.optim.Adam`."""
    return _torch_step(setup, compile_step=False)


def with_torch_compile(setup: Setup) -> Prepared:
    """The same with model and loss compiled, forward and backward."""
    return _torch_step(setup, compile_step=True)


CONTESTANTS = {OURS: ours, "torch": with_torch, "torch.compile": with_torch_compile}
