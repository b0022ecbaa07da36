"""Sampling of layers of units from their total inputs: spin, softmax, Gaussian, rectified linear, stepped sigmoid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .harness.cases import OURS, Case, Prepared, Request, Setup, within

_SHAPES = ((512, 500),)
_KINDS = ("bernoulli", "spin", "softmax", "gaussian", "nrelu", "stepped-sigmoid")
_GROUP = 5


def cases(request: Request) -> list[Case]:
    """Each type of unit, rows x units, for each thread count; torch has no stepped sigmoids."""
    return [
        Case(
            "units",
            f"{kind} {batch}x{units}",
            {"batch": batch, "units": units, "kind": index},
            threads,
            batch * units,
            "Gelem/s",
            (OURS, "numpy") if kind == "stepped-sigmoid" else (OURS, "numpy", "torch"),
            "copy",
            8.0 * batch * units,
        )
        for threads in request.threads
        for batch, units in request.shapes(2, _SHAPES)
        for index, kind in enumerate(_KINDS)
        if kind != "softmax" or units % _GROUP == 0
    ]


class _Problem:
    """Total inputs, and the means to hold samples to."""

    def __init__(self, setup: Setup) -> None:

        draw = np.random.Generator(np.random.SFC64(setup.seed))
        self.kind = _KINDS[setup.params["kind"]]
        # The same row throughout, so that column means have few standard errors.
        row = draw.standard_normal(setup.params["units"], dtype=np.float32)
        self.x = np.tile(row, (setup.params["batch"], 1))
        self.group = _GROUP if self.kind == "softmax" else None
        self.means, self.variances = _moments(row.astype(np.float64), self.kind)

    def error(self, states: Any) -> float:
        """Largest distance of a column's mean from the distribution's, in standard errors."""
        s = np.asarray(states, dtype=np.float64)
        # A rare state may be seen once more than expected in few rows.
        error = np.sqrt(self.variances / len(s)) + 1.0 / len(s)
        return within(float(np.abs((s.mean(axis=0) - self.means) / error).max()), 6.0, "column means, standard errors")


def _moments(row: Any, kind: str) -> tuple[Any, Any]:
    """Mean and variance of units with these inputs, by the reference."""
    from hintoncore import reference

    if kind == "nrelu":  # no closed form without erf
        states, _ = reference.sample_units(np.tile(row, (20_000, 1)), kind, seed=1, offset=0)
        return states.mean(axis=0), states.var(axis=0)
    step = 1e-4
    around = np.stack([row, row - step, row + step])
    _, means = reference.sample_units(around, kind, seed=1, offset=0, group=_GROUP)
    if kind in ("gaussian", "softmax"):
        return means[0], means[0] * (1 - means[0]) if kind == "softmax" else np.ones_like(row)
    return means[0], (means[2] - means[1]) / (2 * step)  # of an exponential family


def _prepared(p: _Problem, call: Callable[[], Any]) -> Prepared:
    return Prepared(call, lambda: p.error(call()))


def ours(setup: Setup) -> Prepared:
    """`hintoncore.ops.sample_units`."""
    from hintoncore import Generator, ops

    p, rng = _Problem(setup), Generator(setup.seed)
    return _prepared(p, lambda: ops.sample_units(p.x, p.kind, group=p.group, rng=rng))


def with_numpy(setup: Setup) -> Prepared:
    """The same conditional distributions with SFC64 and float32 arrays."""
    p = _Problem(setup)
    rng = np.random.Generator(np.random.SFC64(setup.seed))
    shape, one = p.x.shape, np.float32(1)

    def uniform() -> Any:
        return rng.random(shape, dtype=np.float32)

    def bernoulli(x: Any) -> Any:
        return (uniform() * (one + np.exp(-x)) < one).astype(np.float32)

    def softmax() -> Any:
        groups = p.x.reshape(shape[0], -1, _GROUP)
        e = np.exp(groups - groups.max(axis=2, keepdims=True)).cumsum(axis=2)
        threshold = rng.random(e.shape[:2], dtype=np.float32) * e[:, :, -1]
        return np.eye(_GROUP, dtype=np.float32)[(e[:, :, :-1] <= threshold[:, :, None]).sum(axis=2)].reshape(shape)

    def normal() -> Any:
        return rng.standard_normal(shape, dtype=np.float32)

    call: dict[str, Callable[[], Any]] = {
        "bernoulli": lambda: bernoulli(p.x),
        "spin": lambda: 2 * bernoulli(2 * p.x) - one,
        "softmax": softmax,
        "gaussian": lambda: p.x + normal(),
        "nrelu": lambda: np.maximum(p.x + normal() / np.sqrt(one + np.exp(-p.x)), 0),
        "stepped-sigmoid": lambda: sum(bernoulli(p.x - np.float32(i + 0.5)) for i in range(20)),
    }
    return _prepared(p, call[p.kind])


def with_torch(setup: Setup) -> Prepared:
    """torch eager."""
    import torch

    p = _Problem(setup)
    torch.manual_seed(setup.seed)
    x = torch.from_numpy(p.x)

    def softmax() -> Any:
        groups = x.view(-1, _GROUP).softmax(1)
        chosen = torch.multinomial(groups, 1)
        return torch.zeros_like(groups).scatter_(1, chosen, 1.0).view(x.shape)

    call: dict[str, Callable[[], Any]] = {
        "bernoulli": lambda: (torch.rand_like(x) < x.sigmoid()).float(),
        "spin": lambda: (torch.rand_like(x) < (2 * x).sigmoid()).float() * 2 - 1,
        "softmax": softmax,
        "gaussian": lambda: x + torch.randn_like(x),
        "nrelu": lambda: torch.relu(x + torch.randn_like(x) * x.sigmoid().sqrt()),
    }
    return Prepared(call[p.kind], lambda: p.error(call[p.kind]().numpy()))


CONTESTANTS = {OURS: ours, "numpy": with_numpy, "torch": with_torch}
