"""Elementwise functions that the kernels are built on: exp, log, sigmoid, tanh, softplus of float32 arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .harness.cases import OURS, Case, Prepared, Request, Setup, within

_SHAPES = ((65536,),)
_FUNCTIONS = ("exp", "log", "sigmoid", "tanh", "softplus")
_ULP = 2.0**-23


def cases(request: Request) -> list[Case]:
    """Each function of N numbers for each thread count."""
    return [
        Case(
            "math",
            f"{function} {count}",
            {"count": count, "function": index},
            threads,
            count,
            "Gelem/s",
            (OURS, "numpy", "torch"),
            "copy",
            8.0 * count,
        )
        for threads in request.threads
        for (count,) in request.shapes(1, _SHAPES)
        for index, function in enumerate(_FUNCTIONS)
    ]


class _Problem:
    """Arguments over the range that matters for neurons, and the exact answers."""

    def __init__(self, setup: Setup) -> None:
        draw = np.random.Generator(np.random.SFC64(setup.seed))
        self.name = _FUNCTIONS[setup.params["function"]]
        self.x = (draw.standard_normal(setup.params["count"]) * 4).astype(np.float32)
        if self.name == "log":
            self.x = np.abs(self.x) + np.float32(1e-3)
        self.out = np.empty_like(self.x)

    def error(self, values: Any) -> float:
        """Largest relative error in units of 2^-23, absolute below 1e-30."""
        x = self.x.astype(np.float64)
        exact_functions: dict[str, Callable[[Any], Any]] = {
            "exp": np.exp,
            "log": np.log,
            "tanh": np.tanh,
            "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
            "softplus": lambda x: np.logaddexp(0, x),
        }
        exact = exact_functions[self.name](x)
        error = np.abs(np.asarray(values, dtype=np.float64) - exact) / np.maximum(np.abs(exact), 1e-30)
        return within(float(error.max() / _ULP), 16.0, f"{self.name}, in units of 2^-23")


def ours(setup: Setup) -> Prepared:
    """`hintoncore.ops`."""
    from hintoncore import ops

    p = _Problem(setup)
    function = getattr(ops, p.name)
    return Prepared(lambda: function(p.x, out=p.out), lambda: p.error(function(p.x, out=p.out)))


def _numpy_function(p: _Problem) -> Callable[[], Any]:
    """NumPy's function, or the formula in place where it has none."""
    one, out = np.float32(1), p.out

    def sigmoid() -> Any:
        np.negative(p.x, out=out)
        np.exp(out, out=out)
        np.add(out, one, out=out)
        return np.reciprocal(out, out=out)

    return {
        "exp": lambda: np.exp(p.x, out=out),
        "log": lambda: np.log(p.x, out=out),
        "tanh": lambda: np.tanh(p.x, out=out),
        "softplus": lambda: np.logaddexp(np.float32(0), p.x, out=out),
        "sigmoid": sigmoid,
    }[p.name]


def with_numpy(setup: Setup) -> Prepared:
    """NumPy into a given array."""
    p = _Problem(setup)
    call = _numpy_function(p)
    return Prepared(call, lambda: p.error(call()))


def with_torch(setup: Setup) -> Prepared:
    """torch into a given tensor; softplus has no such form."""
    import torch

    p = _Problem(setup)
    x, out = torch.from_numpy(p.x), torch.from_numpy(p.out)
    if p.name == "softplus":
        return Prepared(
            lambda: torch.nn.functional.softplus(x),
            lambda: p.error(torch.nn.functional.softplus(x, threshold=80)),
        )
    function = getattr(torch, p.name)
    return Prepared(lambda: function(x, out=out), lambda: p.error(function(x, out=out)))


CONTESTANTS = {OURS: ours, "numpy": with_numpy, "torch": with_torch}
