"""Half a Gibbs step of an RBM, sampling included: h ~ Bernoulli(sigmoid(v W + b)) from binary v.

Rows named after MNIST step between digits and the hidden units of a machine that has been trained on them for an
epoch, the others from random bits, a fifth of them on.

Effective GFLOP/s are 2*B*V*H/time: what a matrix product alone would have to sustain to keep up.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from .harness import digits
from .harness.cases import OURS, Case, Prepared, Request, Setup, Target, within

_SHAPES = ((512, 784, 512), (100, 784, 512))
#: Multiples of the fp32 FMA ceiling to reach, by ISA level, for large and for small batches.
_TO_REACH = {"avx512": (2.5, 1.5), "avx2": (2.0, 1.3)}
_LARGE_BATCH = 512


def cases(request: Request) -> list[Case]:
    """One row per BxVxH, on one core unless other thread counts are asked for; both directions of the step."""
    rows = []
    real = not request.sizes and digits.found()
    for threads in request.threads:
        for batch, visible, hidden in request.shapes(3, _SHAPES):
            for mnist, transpose in product((0, 1) if real else (0,), (0, 1)):
                flop = 2.0 * batch * visible * hidden
                large, small = _TO_REACH.get(request.isa, (0.0, 0.0))
                ratio = large if batch >= _LARGE_BATCH else small
                judged = ratio > 0 and threads == 1 and not transpose and (batch, visible, hidden) in _SHAPES
                rows.append(
                    Case(
                        "gibbs",
                        f"{'h->v' if transpose else 'v->h'} {batch}x{visible}x{hidden}{', MNIST' if mnist else ''}",
                        {"batch": batch, "visible": visible, "hidden": hidden, "transpose": transpose, "mnist": mnist},
                        threads,
                        flop,
                        "GFLOP/s",
                        (OURS, "numpy", "torch", "torch.compile"),
                        "fma",
                        flop,
                        (Target(("ceiling",), ratio),) if judged else (),
                    )
                )
    return rows


class _Problem:
    """Weights and a batch of states; `w` is [V,H] whichever way the step goes."""

    def __init__(self, setup: Setup) -> None:
        draw = np.random.Generator(np.random.SFC64(setup.seed))
        visible, hidden = setup.params["visible"], setup.params["hidden"]
        self.transpose = bool(setup.params["transpose"])
        self.seed = setup.seed
        if setup.params.get("mnist"):
            d = digits.trained(hidden, setup.seed)
            self.w, self.b, self.x = d.w, d.b_hid, d.minibatch(0, setup.params["batch"])
            if self.transpose:
                p, self.b = 1 / (1 + np.exp(-(self.x @ d.w + d.b_hid))), d.b_vis
                self.x = (draw.random(p.shape, dtype=np.float32) < p).astype(np.float32)
            return
        inputs, outputs = (hidden, visible) if self.transpose else (visible, hidden)
        self.w = draw.standard_normal((visible, hidden), dtype=np.float32) * np.float32(0.1)
        self.b = draw.standard_normal(outputs, dtype=np.float32) * np.float32(0.1)
        self.x = (draw.random((setup.params["batch"], inputs)) < 0.2).astype(np.float32)

    @property
    def oriented(self) -> Any:
        """The weights as the product needs them, [inputs, outputs]."""
        return self.w.T if self.transpose else self.w

    def probabilities(self) -> Any:
        """Exact probabilities in float64."""
        return 1 / (1 + np.exp(-(self.x.astype(np.float64) @ self.oriented.astype(np.float64) + self.b)))

    def sampling_error(self, sample: Any) -> float:
        """Deviation of a batch of samples from the exact probabilities, per unit and in all, in standard deviations."""
        h, p = np.asarray(sample, dtype=np.float64), self.probabilities()
        if not np.isin(h, (0.0, 1.0)).all():
            return within(float("inf"), 0.0, "samples are not binary")
        variance = (p * (1 - p)).sum(0)
        z = (h - p).sum(0) / np.sqrt(variance)
        overall = abs((h - p).sum()) / np.sqrt(variance.sum())
        units = abs((z**2).sum() - z.size) / np.sqrt(2 * z.size)
        return within(float(max(overall, units)), 6.0, "samples, in standard deviations")


def ours(setup: Setup) -> Prepared:
    """`hintoncore.ops.gibbs_step` on packed states, checked bit by bit against the reference."""
    from hintoncore import BitMatrix, Generator, ops, reference

    p = _Problem(setup)
    packed, rng = BitMatrix.from_dense(p.x), Generator(setup.seed)

    def check() -> float:
        got = ops.gibbs_step(packed, p.w, p.b, rng=Generator(setup.seed), transpose=p.transpose).to_dense()
        want, _ = reference.gibbs_step(p.x, p.w, p.b, seed=setup.seed, offset=0, transpose=p.transpose)
        differ = float(np.mean(want != got))
        within(differ, 1e-5 + 1.5 / got.size, "share of differing samples")
        return p.sampling_error(got)

    return Prepared(lambda: ops.gibbs_step(packed, p.w, p.b, rng=rng, transpose=p.transpose), check)


def with_numpy(setup: Setup) -> Prepared:
    """Tuned NumPy: preallocated float32 arrays, everything in place, SFC64, and no division (u (1 + e^-x) < 1)."""
    p = _Problem(setup)
    w = p.oriented
    x = np.empty((setup.params["batch"], p.b.size), dtype=np.float32)
    u, h = np.empty_like(x), np.empty_like(x)
    negative_b, rng = -p.b, np.random.Generator(np.random.SFC64(setup.seed))
    v = -p.x  # so that the product is -v W and needs no negation afterwards

    def call() -> Any:
        np.matmul(v, w, out=x)
        np.add(x, negative_b, out=x)
        np.exp(x, out=x)
        np.add(x, np.float32(1), out=x)
        rng.random(out=u, dtype=np.float32)
        np.multiply(x, u, out=x)
        return np.less(x, np.float32(1), out=h)

    return Prepared(call, lambda: p.sampling_error(call()))


def _torch_step(p: _Problem) -> tuple[Any, Any]:
    """The step as a torch user writes it, and its arguments."""
    import torch

    v, w, b = (torch.from_numpy(array) for array in (p.x, p.oriented, p.b))

    def step(v: Any, w: Any, b: Any) -> Any:
        probability = torch.addmm(b, v, w).sigmoid()
        return (torch.rand_like(probability) < probability).float()

    return step, (v, w, b)


def with_torch(setup: Setup) -> Prepared:
    """torch eager."""
    p = _Problem(setup)
    step, arguments = _torch_step(p)
    return Prepared(lambda: step(*arguments), lambda: p.sampling_error(step(*arguments)))


def with_torch_compile(setup: Setup) -> Prepared:
    """`torch.compile` of the same step: the matrix product stays, the rest becomes one pass."""
    from .harness.compiled import compiled

    p = _Problem(setup)
    step, arguments = _torch_step(p)
    fast = compiled(step)
    return Prepared(lambda: fast(*arguments), lambda: p.sampling_error(fast(*arguments)))


CONTESTANTS = {OURS: ours, "numpy": with_numpy, "torch": with_torch, "torch.compile": with_torch_compile}
