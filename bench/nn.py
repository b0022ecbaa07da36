"""One training step of a multilayer perceptron: forward, softmax cross-entropy, backward, momentum update."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from .harness.cases import OURS, Case, Prepared, Request, Setup, Target, within
from .harness.compiled import compiled

_SHAPES = ((100, 784, 800, 800, 10),)
_RATE, _MOMENTUM = 0.01, 0.9


def cases(request: Request) -> list[Case]:
    """A step for each BxIxHxHxO and thread count, with rectified hidden units."""
    rows = []
    for threads in request.threads:
        for batch, *widths in request.shapes(5, _SHAPES):
            # Forward and dW of every layer, dX of all but the first.
            products = [a * b for a, b in pairwise(widths)]
            flop = 2.0 * batch * (3 * sum(products) - products[0])
            names = dict(zip(("inputs", "hidden1", "hidden2", "outputs"), widths, strict=True))
            judged = threads == 2 and request.best
            rows.append(
                Case(
                    "nn",
                    f"MLP step {batch}x{'x'.join(map(str, widths))}",
                    {"batch": batch, **names},
                    threads,
                    batch,
                    "k samples/s",
                    (OURS, "numpy", "torch", "torch.compile"),
                    "fma",
                    flop,
                    targets=(Target(("torch",), 1.5), Target(("torch.compile",), 1.0)) if judged else (),
                )
            )
    return rows


class _Problem:
    """Initial parameters, a batch, and what one step must make of them, in float64."""

    def __init__(self, setup: Setup) -> None:
        p = setup.params
        draw = np.random.Generator(np.random.SFC64(setup.seed))
        widths = (p["inputs"], p["hidden1"], p["hidden2"], p["outputs"])
        self.x = draw.random((p["batch"], widths[0]), dtype=np.float32)
        self.labels = draw.integers(0, widths[-1], p["batch"])
        self.weights = [
            draw.standard_normal((a, b), dtype=np.float32) * np.float32(np.sqrt(2 / a)) for a, b in pairwise(widths)
        ]
        self.biases = [np.zeros(b, np.float32) for b in widths[1:]]

    def error(self, weights: list[Any]) -> float:
        """Largest difference of the weights after one step from those of float64, relative to the largest step."""
        w = [weight.astype(np.float64) for weight in self.weights]
        states = [self.x.astype(np.float64)]
        for i, weight in enumerate(w):
            pre = states[-1] @ weight + self.biases[i]
            states.append(np.maximum(pre, 0) if i < len(w) - 1 else pre)
        p = np.exp(states[-1] - states[-1].max(1, keepdims=True))
        delta = (p / p.sum(1, keepdims=True) - np.eye(p.shape[1])[self.labels]) / len(self.x)
        errors = []
        for i in reversed(range(len(w))):
            step = _RATE * states[i].T @ delta
            # The weights are float32: their own rounding is part of a step.
            allowance = np.abs(w[i]).max() * 2.0**-23
            difference = np.abs(np.asarray(weights[i], np.float64) - (w[i] - step)).max() - allowance
            errors.append(max(difference, 0.0) / np.abs(step).max())
            delta = (delta @ w[i].T) * (states[i] > 0)
        return within(max(errors), 1e-3, "step")


def ours(setup: Setup) -> Prepared:
    """`hintoncore.nn`: layers, loss and optimiser as a user would write them."""
    import hintoncore as hc
    from hintoncore import nn

    p = _Problem(setup)

    def network() -> tuple[nn.Sequential, nn.Momentum]:
        rng = hc.Generator(0)
        last = len(p.weights) - 1
        layers = []
        for i, weight in enumerate(p.weights):
            layer = nn.Linear(*weight.shape, activation="relu" if i < last else "none", rng=rng)
            layer.w[...] = weight
            layers.append(layer)
        return nn.Sequential(layers), nn.Momentum(_RATE, _MOMENTUM)

    loss = nn.SoftmaxCrossEntropy()

    def step(model: nn.Sequential, optimiser: nn.Momentum) -> float:
        value, dy = loss(model.forward(p.x, training=True), p.labels)
        model.backward(dy, input_gradient=False)
        optimiser.step(model)
        return value

    def check() -> float:
        model, optimiser = network()
        step(model, optimiser)
        return p.error([layer.w for layer in model.layers])  # type: ignore[attr-defined]

    timed = network()
    return Prepared(lambda: step(*timed), check)


def with_numpy(setup: Setup) -> Prepared:
    """The same step in NumPy, in place where that saves an array."""
    p = _Problem(setup)

    def parameters() -> list[np.ndarray]:
        return [array.copy() for array in (*p.weights, *p.biases)]

    def step(values: list[np.ndarray], velocity: list[np.ndarray]) -> None:
        n = len(p.weights)
        states = [p.x]
        for i in range(n):
            pre = states[-1] @ values[i]
            pre += values[n + i]
            states.append(np.maximum(pre, 0, out=pre) if i < n - 1 else pre)
        y = states[-1]
        y -= y.max(axis=1, keepdims=True)
        np.exp(y, out=y)
        y /= y.sum(axis=1, keepdims=True)
        y[np.arange(len(y)), p.labels] -= 1
        y /= len(y)
        delta = y
        for i in reversed(range(n)):
            gradients = states[i].T @ delta, delta.sum(axis=0)
            if i:
                delta = delta @ values[i].T
                delta *= states[i] > 0
            for at, gradient in zip((i, n + i), gradients, strict=True):
                velocity[at] *= _MOMENTUM
                gradient *= _RATE
                velocity[at] -= gradient
                values[at] += velocity[at]

    def check() -> float:
        values = parameters()
        step(values, [np.zeros_like(value) for value in values])
        return p.error(values[: len(p.weights)])

    timed = parameters()
    velocity = [np.zeros_like(value) for value in timed]
    return Prepared(lambda: step(timed, velocity), check)


def _torch_step(setup: Setup, *, compile_step: bool) -> Prepared:
    import torch

    p = _Problem(setup)
    x, labels = torch.from_numpy(p.x), torch.from_numpy(p.labels)

    def network() -> tuple[torch.nn.Sequential, torch.optim.SGD]:
        layers: list[torch.nn.Module] = []
        for weight in p.weights:
            layer = torch.nn.Linear(*weight.shape)
            with torch.no_grad():
                layer.weight.copy_(torch.from_numpy(weight.T.copy()))
                layer.bias.zero_()
            layers += [layer, torch.nn.ReLU()]
        model = torch.nn.Sequential(*layers[:-1])
        return model, torch.optim.SGD(model.parameters(), lr=_RATE, momentum=_MOMENTUM, fused=True)

    def stepper() -> tuple[torch.nn.Sequential, Any]:
        model, optimiser = network()

        def forward() -> Any:
            return torch.nn.functional.cross_entropy(model(x), labels)

        forward = compiled(forward) if compile_step else forward

        def step() -> None:
            optimiser.zero_grad()
            forward().backward()
            optimiser.step()

        return model, step

    def check() -> float:
        model, step = stepper()
        step()
        return p.error([layer.weight.detach().numpy().T for layer in model if isinstance(layer, torch.nn.Linear)])

    _, timed = stepper()
    return Prepared(timed, check)


def with_torch(setup: Setup) -> Prepared:
    """`torch.nn` modules, `cross_entropy`, autograd and the fused `torch.optim.SGD`."""
    return _torch_step(setup, compile_step=False)


def with_torch_compile(setup: Setup) -> Prepared:
    """The same with model and loss compiled, forward and backward."""
    return _torch_step(setup, compile_step=True)


CONTESTANTS = {OURS: ours, "numpy": with_numpy, "torch": with_torch, "torch.compile": with_torch_compile}
