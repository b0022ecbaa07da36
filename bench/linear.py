"""Layer with bias and activation, forward and backward: y = f(x W + b), and dx, dW, db from dy."""

from __future__ import annotations

from typing import Any

import numpy as np

from .harness.cases import OURS, Case, Prepared, Request, Setup, within

_SHAPES = ((128, 784, 512), (512, 784, 512))


def cases(request: Request) -> list[Case]:
    """Forward and backward for each BxIxO and thread count, with ReLU."""
    rows = []
    for threads in request.threads:
        for batch, inputs, outputs in request.shapes(3, _SHAPES):
            for backward in (0, 1):
                flop = 2.0 * batch * inputs * outputs * (1 + backward)
                name = f"{'backward' if backward else 'forward'} {batch}x{inputs}x{outputs}"
                rows.append(
                    Case(
                        "linear",
                        name,
                        {"batch": batch, "inputs": inputs, "outputs": outputs, "backward": backward},
                        threads,
                        flop,
                        "GFLOP/s",
                        (OURS, "numpy", "torch"),
                        "fma",
                        flop,
                    )
                )
    return rows


class _Problem:
    """A layer, an input, and the gradient that comes back to it."""

    def __init__(self, setup: Setup) -> None:
        draw = np.random.Generator(np.random.SFC64(setup.seed))
        batch, inputs, outputs = setup.params["batch"], setup.params["inputs"], setup.params["outputs"]
        self.x = draw.standard_normal((batch, inputs), dtype=np.float32)
        self.w = draw.standard_normal((inputs, outputs), dtype=np.float32) / np.float32(np.sqrt(inputs))
        self.b = draw.standard_normal(outputs, dtype=np.float32)
        self.y = np.maximum(self.x @ self.w + self.b, np.float32(0))
        self.dy = draw.standard_normal((batch, outputs), dtype=np.float32)

    def forward_error(self, y: Any) -> float:
        """Largest relative difference from the float64 layer."""
        exact = np.maximum(self.x.astype(np.float64) @ self.w.astype(np.float64) + self.b, 0)
        return within(_relative(y, exact), 1e-5, "output")

    def backward_error(self, dx: Any, dw: Any, db: Any) -> float:
        """Largest relative difference of the three gradients from float64."""
        dz = np.where(self.y > 0, self.dy, 0).astype(np.float64)
        exact = (dz @ self.w.T, self.x.T.astype(np.float64) @ dz, dz.sum(0))
        return within(max(_relative(a, e) for a, e in zip((dx, dw, db), exact, strict=True)), 1e-5, "gradients")


def _relative(value: Any, exact: Any) -> float:
    return float(np.abs(np.asarray(value) - exact).max() / np.abs(exact).max())


def ours(setup: Setup) -> Prepared:
    """`hintoncore.ops.linear` and `linear_backward`."""
    from hintoncore import ops

    p = _Problem(setup)
    if setup.params["backward"]:

        def call() -> Any:
            return ops.linear_backward(p.x, p.w, p.y, p.dy, activation="relu")

        return Prepared(call, lambda: p.backward_error(*call()))
    out = np.empty_like(p.y)

    def forward() -> Any:
        return ops.linear(p.x, p.w, p.b, activation="relu", out=out)

    return Prepared(forward, lambda: p.forward_error(forward()))


def with_numpy(setup: Setup) -> Prepared:
    """Matrix products into preallocated arrays, the rest in place."""
    p = _Problem(setup)
    if setup.params["backward"]:
        dz, dx, dw = np.empty_like(p.dy), np.empty_like(p.x), np.empty_like(p.w)

        def call() -> Any:
            np.multiply(p.dy, p.y > 0, out=dz)
            return np.matmul(dz, p.w.T, out=dx), np.matmul(p.x.T, dz, out=dw), dz.sum(0)

        return Prepared(call, lambda: p.backward_error(*call()))
    out = np.empty_like(p.y)

    def forward() -> Any:
        np.matmul(p.x, p.w, out=out)
        np.add(out, p.b, out=out)
        return np.maximum(out, 0, out=out)

    return Prepared(forward, lambda: p.forward_error(forward()))


def with_torch(setup: Setup) -> Prepared:
    """`addmm` and in-place ReLU; the backward pass as autograd would run it, without its bookkeeping."""
    import torch

    p = _Problem(setup)
    x, w, b, y, dy = (torch.from_numpy(array) for array in (p.x, p.w, p.b, p.y, p.dy))
    if setup.params["backward"]:

        def call() -> Any:
            dz = torch.ops.aten.threshold_backward(dy, y, 0)
            return dz @ w.T, x.T @ dz, dz.sum(0)

        return Prepared(call, lambda: p.backward_error(*call()))

    def forward() -> Any:
        return torch.addmm(b, x, w).relu_()

    return Prepared(forward, lambda: p.forward_error(forward()))


CONTESTANTS = {OURS: ours, "numpy": with_numpy, "torch": with_torch}
