"""Kernels between the matrix products of a network: softmax cross-entropy, layer norm, dropout, embeddings, updates.

All are bound by memory or by a function of each element, so the ceiling is a copy of the bytes they must move.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .harness.cases import OURS, Case, Prepared, Request, Setup, within

_SHAPES = ((100, 1000), (512, 1024))
# Arrays of the shape that each must read or write at least once.
_KERNELS = {"softmax_cross_entropy": 2, "layer_norm": 2, "dropout": 2, "embedding_add": 3, "momentum": 5, "adam": 7}
_NAMES = tuple(_KERNELS)


def cases(request: Request) -> list[Case]:
    """Each kernel on BxN elements for each thread count."""
    return [
        Case(
            "layers",
            f"{name} {rows}x{columns}",
            {"rows": rows, "columns": columns, "kernel": index},
            threads,
            rows * columns,
            "Gelem/s",
            (OURS, "numpy", "torch"),
            "copy",
            4.0 * _KERNELS[name] * rows * columns,
        )
        for threads in request.threads
        for rows, columns in request.shapes(2, _SHAPES)
        for index, name in enumerate(_NAMES)
    ]


class _Problem:
    """Inputs of one kernel, and its answer by the reference where that is one array."""

    def __init__(self, setup: Setup) -> None:
        from hintoncore import reference

        draw = np.random.Generator(np.random.SFC64(setup.seed))
        shape = (setup.params["rows"], setup.params["columns"])
        self.name = _NAMES[setup.params["kernel"]]
        self.x, self.dy = (draw.standard_normal(shape, dtype=np.float32) for _ in range(2))
        self.state = [np.zeros(shape, np.float32) for _ in range(2)]
        self.labels = draw.integers(0, shape[1], shape[0])
        self.index = draw.integers(0, shape[0], shape[0])
        answers: dict[str, Callable[[], Any]] = {
            "softmax_cross_entropy": lambda: reference.softmax_cross_entropy(self.x, self.labels)[1],
            "layer_norm": lambda: reference.layer_norm(self.x)[0],
            "dropout": lambda: None,
            "embedding_add": lambda: reference.embedding_add(np.zeros(shape), self.index, self.dy),
            "momentum": lambda: reference.sgd_update(self.x, self.dy, lr=0.01, momentum=0.9, velocity=np.zeros(shape))[
                0
            ],
            "adam": lambda: reference.adam_update(self.x, self.dy, np.zeros(shape), np.zeros(shape), step=1, lr=0.01)[
                0
            ],
        }
        self.expected = answers[self.name]()

    def error(self, value: Any) -> float:
        """Largest difference relative to the largest value; of dropout, of the share kept from one half."""
        found = np.asarray(value, dtype=np.float64)
        if self.expected is None:
            kept = found != 0
            np.testing.assert_allclose(found[kept], 2 * self.x[kept], rtol=1e-5)
            # Six standard deviations of a binomial share: a false alarm in 2e-9 of runs.
            return within(abs(kept.mean() - 0.5), 3.0 / np.sqrt(kept.size), "share kept")
        return within(float(np.abs(found - self.expected).max() / np.abs(self.expected).max()), 1e-4, self.name)


def _prepared(p: _Problem, call: Callable[[], Any], in_place: Any = None) -> Prepared:
    """`call` timed as often as it takes, and checked once, from the start, on what it returns or changes."""

    def check() -> float:
        result = call()
        return p.error(result if in_place is None else in_place)

    return Prepared(call, check)


def ours(setup: Setup) -> Prepared:
    """`hintoncore.ops`."""
    import hintoncore as hc
    from hintoncore import ops

    p = _Problem(setup)
    x, out, table = p.x.copy(), np.empty_like(p.x), np.zeros_like(p.x)
    mean, square = p.state
    steps = iter(range(1, 1 << 62))
    rng = hc.Generator(1)
    calls: dict[str, tuple[Callable[[], Any], Any]] = {
        "softmax_cross_entropy": (lambda: ops.softmax_cross_entropy(p.x, p.labels, out=out)[1], None),
        "layer_norm": (lambda: ops.layer_norm(p.x)[0], None),
        "dropout": (lambda: ops.dropout(p.x, rate=0.5, rng=rng, out=out), None),
        "embedding_add": (lambda: ops.embedding_add(table, p.index, p.dy), table),
        "momentum": (lambda: ops.sgd_update(x, p.dy, lr=0.01, momentum=0.9, velocity=mean), x),
        "adam": (lambda: ops.adam_update(x, p.dy, mean, square, step=next(steps), lr=0.01), x),
    }
    return _prepared(p, *calls[p.name])


def with_numpy(setup: Setup) -> Prepared:
    """NumPy, in place where that saves an array."""
    p = _Problem(setup)
    x, out, table = p.x.copy(), np.empty_like(p.x), np.zeros_like(p.x)
    mean, square = p.state
    rows = np.arange(len(x))
    draw = np.random.Generator(np.random.SFC64(1))
    steps = iter(range(1, 1 << 62))

    def softmax_cross_entropy() -> Any:
        np.subtract(p.x, p.x.max(axis=1, keepdims=True), out=out)
        np.exp(out, out=out)
        total = out.sum(axis=1, keepdims=True)
        np.multiply(out, 1 / (total * len(x)), out=out)
        np.log(total[:, 0]).sum()
        out[rows, p.labels] -= np.float32(1 / len(x))
        return out

    def layer_norm() -> Any:
        np.subtract(p.x, p.x.mean(axis=1, keepdims=True), out=out)
        return np.divide(out, np.sqrt(np.mean(out * out, axis=1, keepdims=True) + np.float32(1e-5)), out=out)

    def dropout() -> Any:
        np.multiply(p.x, draw.random(p.x.shape, dtype=np.float32) < 0.5, out=out)
        return np.multiply(out, np.float32(2), out=out)

    def momentum() -> None:
        np.multiply(mean, np.float32(0.9), out=mean)
        np.multiply(p.dy, np.float32(0.01), out=out)
        np.subtract(mean, out, out=mean)
        np.add(x, mean, out=x)

    def adam() -> None:
        step = next(steps)
        mean[...] = np.float32(0.9) * mean + np.float32(0.1) * p.dy
        square[...] = np.float32(0.999) * square + np.float32(0.001) * p.dy * p.dy
        rate = np.float32(0.01 * (1 - 0.999**step) ** 0.5 / (1 - 0.9**step))
        x[...] -= rate * mean / (np.sqrt(square) + np.float32(1e-8 * (1 - 0.999**step) ** 0.5))

    calls: dict[str, tuple[Callable[[], Any], Any]] = {
        "softmax_cross_entropy": (softmax_cross_entropy, None),
        "layer_norm": (layer_norm, None),
        "dropout": (dropout, None),
        "embedding_add": (lambda: np.add.at(table, p.index, p.dy), table),
        "momentum": (momentum, x),
        "adam": (adam, x),
    }
    return _prepared(p, *calls[p.name])


def with_torch(setup: Setup) -> Prepared:
    """torch's own kernels; for the loss, its autograd."""
    import torch
    from torch.nn import functional

    p = _Problem(setup)
    x, dy, labels, index = (torch.from_numpy(array) for array in (p.x.copy(), p.dy, p.labels, p.index))
    table = torch.zeros_like(x)
    logits = torch.from_numpy(p.x).requires_grad_()
    parameter = torch.nn.Parameter(x.clone())
    parameter.grad = dy

    def softmax_cross_entropy() -> Any:
        logits.grad = None
        loss: Any = functional.cross_entropy(logits, labels)
        loss.backward()
        return logits.grad

    optimisers: dict[str, Callable[[], Any]] = {
        "momentum": lambda: torch.optim.SGD([parameter], lr=0.01, momentum=0.9, fused=True),
        "adam": lambda: torch.optim.Adam([parameter], lr=0.01, fused=True),
    }
    if p.name in optimisers:
        return _prepared(p, optimisers[p.name]().step, parameter.detach())
    calls: dict[str, tuple[Callable[[], Any], Any]] = {
        "softmax_cross_entropy": (softmax_cross_entropy, None),
        "layer_norm": (lambda: functional.layer_norm(x, (x.shape[1],)), None),
        "dropout": (lambda: functional.dropout(x, 0.5), None),
        "embedding_add": (lambda: table.index_add_(0, index, dy), table),
    }
    return _prepared(p, *calls[p.name])


CONTESTANTS = {OURS: ours, "numpy": with_numpy, "torch": with_torch}
