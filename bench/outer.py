"""Outer products added to weights, w += rate x^T y and b += rate sum y: delta rules and Hebbian statistics."""

from __future__ import annotations

from typing import Any

import numpy as np

from .harness.cases import OURS, Case, Prepared, Request, Setup, within

_DENSE = "hintoncore (dense input)"
_SHAPES = ((100, 784, 500), (100, 510, 2000))
_RATE = 1e-4


def cases(request: Request) -> list[Case]:
    """One row per BxIxO and thread count, binary inputs; the ceiling is that of multiply-adds."""
    rows = []
    for threads in request.threads:
        for batch, inputs, outputs in request.shapes(3, _SHAPES):
            flop = 2.0 * batch * inputs * outputs
            rows.append(
                Case(
                    "outer",
                    f"{batch}x{inputs}x{outputs}",
                    {"batch": batch, "inputs": inputs, "outputs": outputs},
                    threads,
                    flop,
                    "GFLOP/s",
                    (OURS, _DENSE, "numpy", "torch"),
                    "fma",
                    flop,
                )
            )
    return rows


class _Problem:
    """Half of the inputs on; factors as small as differences of probabilities."""

    def __init__(self, setup: Setup) -> None:
        draw = np.random.Generator(np.random.SFC64(setup.seed))
        batch, inputs, outputs = (setup.params[key] for key in ("batch", "inputs", "outputs"))
        self.x = (draw.random((batch, inputs)) < 0.5).astype(np.float32)
        self.y = (draw.random((batch, outputs), dtype=np.float32) - np.float32(0.5)) * np.float32(0.2)
        self.w = draw.standard_normal((inputs, outputs), dtype=np.float32)
        self.b = np.zeros(outputs, dtype=np.float32)

    def error(self, w: Any, b: Any) -> float:
        """Largest difference of weights and biases after one update from float64."""
        exact_w = self.w + _RATE * (self.x.T.astype(np.float64) @ self.y)
        exact_b = _RATE * self.y.sum(axis=0, dtype=np.float64)
        return within(float(max(np.abs(w - exact_w).max(), np.abs(b - exact_b).max())), 1e-6, "weights")


def _ours(setup: Setup, packed: bool) -> Prepared:
    from hintoncore import BitMatrix, ops

    p = _Problem(setup)
    x: Any = BitMatrix.from_dense(p.x) if packed else p.x
    w, b = p.w.copy(), p.b.copy()

    def check() -> float:
        found_w, found_b = p.w.copy(), p.b.copy()
        ops.outer_update(x, p.y, found_w, found_b, rate=_RATE)
        return p.error(found_w, found_b)

    return Prepared(lambda: ops.outer_update(x, p.y, w, b, rate=_RATE), check)


def ours(setup: Setup) -> Prepared:
    """`hintoncore.ops.outer_update` on bits."""
    return _ours(setup, packed=True)


def ours_dense(setup: Setup) -> Prepared:
    """The same on float32 inputs."""
    return _ours(setup, packed=False)


def with_numpy(setup: Setup) -> Prepared:
    """NumPy, with a preallocated product."""
    p = _Problem(setup)
    product = np.empty_like(p.w)

    def step(w: Any, b: Any) -> None:
        np.matmul(p.x.T, p.y, out=product)
        np.multiply(product, np.float32(_RATE), out=product)
        w += product
        b += np.float32(_RATE) * p.y.sum(axis=0)

    w, b = p.w.copy(), p.b.copy()

    def check() -> float:
        found_w, found_b = p.w.copy(), p.b.copy()
        step(found_w, found_b)
        return p.error(found_w, found_b)

    return Prepared(lambda: step(w, b), check)


def with_torch(setup: Setup) -> Prepared:
    """torch, fused into `addmm_`."""
    import torch

    p = _Problem(setup)
    x, y = torch.from_numpy(p.x), torch.from_numpy(p.y)

    def step(w: Any, b: Any) -> None:
        w.addmm_(x.T, y, alpha=_RATE)
        b.add_(y.sum(0), alpha=_RATE)

    w, b = torch.from_numpy(p.w.copy()), torch.from_numpy(p.b.copy())

    def check() -> float:
        found_w, found_b = torch.from_numpy(p.w.copy()), torch.from_numpy(p.b.copy())
        step(found_w, found_b)
        return p.error(found_w.numpy(), found_b.numpy())

    return Prepared(lambda: step(w, b), check)


CONTESTANTS = {OURS: ours, _DENSE: ours_dense, "numpy": with_numpy, "torch": with_torch}
