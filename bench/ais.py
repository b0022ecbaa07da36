"""Annealed importance sampling of an RBM: many chains through a slice of the temperatures, weights included.

Every contestant does the same at each temperature: one product up, whose softplus gives the weight update and whose
sigmoid the hidden sample, and one product down to the next visible states. A loop that computes the free energies of
two temperatures apart from the Gibbs step needs three products, and would be slower than the peers here.

Rows named after MNIST anneal a machine that has been trained on it for an epoch; the others one with random weights.
They take a few temperatures half way. `--sizes CHAINSxVISIBLExHIDDENxTEMPERATURES` takes all of a schedule, from the
base-rate model on, in one call a round (two minutes of torch for 1000x784x500x10000).
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from .harness import digits
from .harness.cases import OURS, Case, Prepared, Request, Setup, Target, within

_SHAPES = ((1000, 784, 500), (100, 784, 500))
_STEPS = 40  # temperatures a call, out of _SCHEDULE: as many as `likelihood.ais` asks for at once with 1000 chains
_SCHEDULE = 10000
_TO_REACH = 10.0
_LARGE = 1000
_HALF_WAY = 200  # temperatures by which the chains of the MNIST rows are brought to the middle of the schedule


def cases(request: Request) -> list[Case]:
    """One row per chains x visible x hidden and thread count; judged on two threads."""
    rows = []
    shapes = [(*shape, 0) for shape in request.shapes(3, _SHAPES)] + request.shapes(4, ())
    for threads in request.threads:
        for (chains, visible, hidden, whole), mnist in itertools.product(shapes, (0, 1)):
            real = visible == digits.PIXELS and (whole or not request.sizes) and digits.found()
            if mnist and not real:
                continue
            judged = threads == 2 and chains >= _LARGE and (chains, visible, hidden) in _SHAPES
            steps = whole or _STEPS
            name = f"AIS {visible}-{hidden}, {chains} chains"
            rows.append(
                Case(
                    "ais",
                    name + (f", {whole} temperatures" if whole else "") + (", MNIST" if mnist else ""),
                    {"chains": chains, "visible": visible, "hidden": hidden, "mnist": mnist, "whole": whole},
                    threads,
                    float(chains * steps),
                    "k samples/s",
                    (OURS, "numpy", "torch", "torch.compile"),
                    "fma",
                    4.0 * chains * visible * hidden * steps,
                    (Target(("torch",), _TO_REACH),) if judged else (),
                )
            )
    return rows


class _Problem:
    """A model, chains half way from the base rates to it, and the next few temperatures; or the whole schedule."""

    def __init__(self, setup: Setup) -> None:
        draw = np.random.Generator(np.random.SFC64(setup.seed))
        chains, visible, hidden = (setup.params[key] for key in ("chains", "visible", "hidden"))
        whole = setup.params["whole"]
        schedule = np.arange(whole + 1) / whole if whole else 0.5 + np.arange(_STEPS + 1) / _SCHEDULE
        self.betas = schedule.astype(np.float32)
        self.checked = self.betas[: _STEPS + 1]
        self.seed = setup.seed
        if setup.params.get("mnist"):
            self._trained(draw, chains, hidden, half_way=not whole)
            return
        self.w = draw.standard_normal((visible, hidden), dtype=np.float32) * np.float32(0.05)
        self.b_hid = np.zeros(hidden, dtype=np.float32)
        self.b_base = np.log(draw.random(visible, dtype=np.float32) * np.float32(0.4) + np.float32(0.01))
        self.b_vis = self.b_base + draw.standard_normal(visible, dtype=np.float32) * np.float32(0.1)
        on = 1 / (1 + np.exp(-self.b_base)) if whole else 0.2
        self.v = (draw.random((chains, visible)) < on).astype(np.float32)

    def _trained(self, draw: np.random.Generator, chains: int, hidden: int, half_way: bool) -> None:
        from hintoncore import BitMatrix, ops

        d = digits.trained(hidden, self.seed)
        self.w, self.b_vis, self.b_hid, self.b_base = d.w, d.b_vis, d.b_hid, d.b_base
        base = (draw.random((chains, digits.PIXELS)) < 1 / (1 + np.exp(-d.b_base))).astype(np.float32)
        states, betas = BitMatrix.from_dense(base), np.linspace(0, 0.5, _HALF_WAY + 1, dtype=np.float32)
        if half_way:
            ops.anneal(states, np.zeros(chains), d.w, d.b_vis, d.b_hid, betas, rng=self.seed, b_base=d.b_base)
        self.v = states.to_dense()

    def weights_error(self, log_weights: Any) -> float:
        """Distance of the mean log weight of a call from the reference's, in standard errors."""
        from hintoncore import reference

        got = np.asarray(log_weights, dtype=np.float64)
        parameters = (self.w, self.b_vis, self.b_hid, self.checked)
        _, want = reference.anneal(self.v, *parameters, seed=self.seed + 1, offset=0, b_base=self.b_base)
        error = math.sqrt(max(float(want.var() + got.var()), 1e-12) / want.size)
        return within(abs(float(got.mean() - want.mean())) / error, 6.0, "mean log weight, in standard errors")


def ours(setup: Setup) -> Prepared:
    """`hintoncore.ops.anneal`, its weights checked chain by chain."""
    from hintoncore import BitMatrix, Generator, ops, reference

    p = _Problem(setup)
    states, log_weights, rng = BitMatrix.from_dense(p.v), np.zeros(len(p.v)), Generator(setup.seed)

    def call() -> None:
        ops.anneal(states, log_weights, p.w, p.b_vis, p.b_hid, p.betas, rng=rng, b_base=p.b_base)

    def check() -> float:
        mine, got = BitMatrix.from_dense(p.v), np.zeros(len(p.v))
        ops.anneal(mine, got, p.w, p.b_vis, p.b_hid, p.checked, rng=setup.seed, b_base=p.b_base)
        parameters = (p.w, p.b_vis, p.b_hid, p.checked)
        _, want = reference.anneal(p.v, *parameters, seed=setup.seed, offset=0, b_base=p.b_base)
        # A bit that rounding flips at its threshold changes a chain by some 1e-3.
        return within(float(np.median(np.abs(got - want))), 1e-4, "median log weight")

    return Prepared(call, check)


def with_numpy(setup: Setup) -> Prepared:
    """Tuned NumPy: float32 arrays in place; one exponential serves the softplus and the sigmoid."""
    p = _Problem(setup)
    rng = np.random.Generator(np.random.SFC64(setup.seed))
    x = np.empty((len(p.v), p.b_hid.size), dtype=np.float32)
    y = np.empty_like(p.v)
    u_hid, u_vis, h, e = np.empty_like(x), np.empty_like(y), np.empty_like(x), np.empty_like(x)
    one = np.float32(1)

    def anneal(v: Any, betas: Any) -> Any:
        """Advance `v` in place; returns the log weights."""
        log_weights = np.zeros(len(v))
        for before, after in itertools.pairwise(betas):
            np.matmul(v, p.w, out=x)
            np.add(x, p.b_hid, out=x)
            # softplus(x) = x + log(1 + exp(-x)); the sums of x are small enough for the plain form.
            np.multiply(x, -before, out=e)
            np.exp(e, out=e)
            log_weights -= np.log1p(e, out=e).sum(axis=1, dtype=np.float64)
            np.multiply(x, -after, out=e)
            np.exp(e, out=e)
            rng.random(out=u_hid, dtype=np.float32)
            np.less(u_hid * (e + one), one, out=h)
            log_weights += np.log1p(e, out=e).sum(axis=1, dtype=np.float64)
            log_weights += (after - before) * (x.sum(axis=1) + v @ (p.b_vis - p.b_base))
            np.matmul(h, p.w.T, out=y)
            np.multiply(y, -after, out=y)
            np.subtract(y, (one - after) * p.b_base + after * p.b_vis, out=y)
            np.exp(y, out=y)
            np.add(y, one, out=y)
            rng.random(out=u_vis, dtype=np.float32)
            np.multiply(y, u_vis, out=y)
            np.less(y, one, out=v)
        return log_weights

    timed = p.v.copy()
    return Prepared(lambda: anneal(timed, p.betas), lambda: p.weights_error(anneal(p.v.copy(), p.checked)))


def _torch(setup: Setup, compile_it: bool) -> Prepared:
    import torch
    from torch.nn.functional import softplus

    from .harness.compiled import compiled

    p = _Problem(setup)
    w, b_vis, b_hid, b_base = (torch.from_numpy(a) for a in (p.w, p.b_vis, p.b_hid, p.b_base))

    def step(v: Any, before: float, after: float) -> Any:
        x = torch.addmm(b_hid, v, w)
        change = (softplus(x * after) - softplus(x * before)).sum(1) + (after - before) * (v @ (b_vis - b_base))
        q = (x * after).sigmoid_()
        h = (torch.rand_like(q) < q).float()
        r = torch.addmm((1 - after) * b_base + after * b_vis, h, w.T, alpha=after).sigmoid_()
        return (torch.rand_like(r) < r).float(), change

    advance = compiled(step) if compile_it else step

    def anneal(betas: Any) -> Any:
        v, log_weights = torch.from_numpy(p.v), torch.zeros(len(p.v), dtype=torch.float64)
        for before, after in itertools.pairwise(betas.tolist()):
            v, change = advance(v, before, after)
            log_weights += change
        return log_weights

    return Prepared(lambda: anneal(p.betas), lambda: p.weights_error(anneal(p.checked).numpy()))


def with_torch(setup: Setup) -> Prepared:
    """torch eager."""
    return _torch(setup, compile_it=False)


def with_torch_compile(setup: Setup) -> Prepared:
    """torch.compile of a temperature's step."""
    return _torch(setup, compile_it=True)


CONTESTANTS = {OURS: ours, "numpy": with_numpy, "torch": with_torch, "torch.compile": with_torch_compile}
