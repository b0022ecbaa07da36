"""Products of batches of matrices, C[i] = A[i] B[i] in float32, against NumPy's matmul and torch.bmm."""

from __future__ import annotations

from typing import Any

import numpy as np

from .harness.cases import OURS, Case, Prepared, Request, Setup, Target, within

# Poses and votes of capsules, heads of attention, and few large ones.
_SHAPES = (
    (16384, 4, 4, 4),
    (4096, 8, 8, 8),
    (1024, 16, 16, 16),
    (512, 32, 32, 32),
    (128, 64, 64, 64),
    (64, 128, 64, 128),
    (4, 512, 512, 512),
)


def cases(request: Request) -> list[Case]:
    """One row per NxMxKxN, N matrices, and thread count; A as it is, and every second row of a larger one."""
    rows = []
    for threads in request.threads:
        for count, m, k, n in request.shapes(4, _SHAPES):
            for strided in (0, 1):
                judged = request.best and threads == 2 and not strided
                flop = 2.0 * count * m * k * n
                rows.append(
                    Case(
                        "batched",
                        f"{count} of {m}x{k}x{n}{', every second row' if strided else ''}",
                        {"count": count, "m": m, "k": k, "n": n, "strided": strided},
                        threads,
                        flop,
                        "GFLOP/s",
                        (OURS, "numpy", "torch"),
                        "fma",
                        flop,
                        (Target(("numpy", "torch"), 1.0),) if judged else (),
                    )
                )
    return rows


class _Problem:
    """Operands, and how far a product may be from the float64 one."""

    def __init__(self, setup: Setup) -> None:
        draw = np.random.Generator(np.random.SFC64(setup.seed))
        p = setup.params
        step = 1 + p["strided"]
        self.a = draw.standard_normal((p["count"], p["m"] * step, p["k"]), dtype=np.float32)[:, ::step]
        self.b = draw.standard_normal((p["count"], p["k"], p["n"]), dtype=np.float32)
        self.out = np.empty((p["count"], p["m"], p["n"]), dtype=np.float32)

    def error(self, product: Any) -> float:
        """Largest difference from the float64 product, in units of K roundings."""
        exact = self.a.astype(np.float64) @ self.b.astype(np.float64)
        scale = self.a.shape[2] * np.finfo(np.float32).eps
        return within(float(np.abs(np.asarray(product) - exact).max() / scale), 4.0, "product, in K eps")


def ours(setup: Setup) -> Prepared:
    """`hintoncore.ops.batched_matmul` into a given array."""
    from hintoncore import ops

    p = _Problem(setup)
    return Prepared(
        lambda: ops.batched_matmul(p.a, p.b, out=p.out), lambda: p.error(ops.batched_matmul(p.a, p.b, out=p.out))
    )


def with_numpy(setup: Setup) -> Prepared:
    """`numpy.matmul` into a given array."""
    p = _Problem(setup)
    return Prepared(lambda: np.matmul(p.a, p.b, out=p.out), lambda: p.error(np.matmul(p.a, p.b, out=p.out)))


def with_torch(setup: Setup) -> Prepared:
    """`torch.bmm` into a given tensor."""
    import torch

    p = _Problem(setup)
    a, b, out = (torch.from_numpy(x) for x in (p.a, p.b, p.out))
    return Prepared(lambda: torch.bmm(a, b, out=out), lambda: p.error(torch.bmm(a, b, out=out)))


CONTESTANTS = {OURS: ours, "numpy": with_numpy, "torch": with_torch}
