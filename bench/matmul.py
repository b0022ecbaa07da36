"""General matrix product, C[M,N] = A[M,K] B[K,N] in float32, against NumPy's and torch's BLAS."""

from __future__ import annotations

from typing import Any

import numpy as np

from .harness.cases import OURS, Case, Prepared, Request, Setup, Target, within

_SHAPES = ((1024, 1024, 1024), (2048, 2048, 2048), (128, 784, 512), (512, 784, 512))
_LARGE = 1024


def cases(request: Request) -> list[Case]:
    """One row per shape MxKxN and thread count; shares of the FMA ceiling are judged where the product is large."""
    rows = []
    for threads in request.threads:
        for m, k, n in request.shapes(3, _SHAPES):
            targets = [Target(("numpy", "torch"), 1.0)] if request.best else []
            if min(m, k, n) >= _LARGE:
                targets.append(Target(("ceiling",), 0.85))
            flop = 2.0 * m * k * n
            rows.append(
                Case(
                    "matmul",
                    f"{m}x{k}x{n}",
                    {"m": m, "k": k, "n": n},
                    threads,
                    flop,
                    "GFLOP/s",
                    (OURS, "numpy", "torch"),
                    "fma",
                    flop,
                    tuple(targets),
                )
            )
    return rows


class _Problem:
    """Operands and how far a product may be from the float64 one."""

    def __init__(self, setup: Setup) -> None:
        draw = np.random.Generator(np.random.SFC64(setup.seed))
        m, k, n = setup.params["m"], setup.params["k"], setup.params["n"]
        self.a = draw.standard_normal((m, k), dtype=np.float32)
        self.b = draw.standard_normal((k, n), dtype=np.float32)
        self.out = np.empty((m, n), dtype=np.float32)

    def error(self, product: Any) -> float:
        """Largest difference from the float64 product, in units of K roundings."""
        exact = self.a.astype(np.float64) @ self.b.astype(np.float64)
        scale = self.a.shape[1] * np.finfo(np.float32).eps
        return within(float(np.abs(np.asarray(product) - exact).max() / scale), 4.0, "product, in K eps")


def ours(setup: Setup) -> Prepared:
    """`hintoncore.ops.matmul` into a given array."""
    from hintoncore import ops

    p = _Problem(setup)
    return Prepared(lambda: ops.matmul(p.a, p.b, out=p.out), lambda: p.error(ops.matmul(p.a, p.b, out=p.out)))


def with_numpy(setup: Setup) -> Prepared:
    """`numpy.matmul` into a given array."""
    p = _Problem(setup)
    return Prepared(lambda: np.matmul(p.a, p.b, out=p.out), lambda: p.error(np.matmul(p.a, p.b, out=p.out)))


def with_torch(setup: Setup) -> Prepared:
    """`torch.mm` into a given tensor."""
    import torch

    p = _Problem(setup)
    a, b, out = (torch.from_numpy(x) for x in (p.a, p.b, p.out))
    return Prepared(lambda: torch.mm(a, b, out=out), lambda: p.error(torch.mm(a, b, out=out)))


CONTESTANTS = {OURS: ours, "numpy": with_numpy, "torch": with_torch}
