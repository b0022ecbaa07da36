"""One update of an RBM by contrastive divergence (CD-k) on a ready minibatch: samples per second.

Every contestant computes the same update: hidden units sampled, reconstructions sampled to binary, hidden
probabilities in both statistics, plain gradient step. scikit-learn's is its persistent variant with one step, the
only one it has.

Rows named after MNIST train on digits from where an epoch has brought the weights; the others on random bits, each
pixel on with its own probability below 0.4, from random weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import cycle, product
from typing import Any

import numpy as np

from .harness import digits
from .harness.cases import OURS, Case, Prepared, Request, Setup, Target, within

_DENSE = "hintoncore (dense input)"
_SHAPES = ((100, 784, 500), (500, 784, 500))
_STEPS = (1, 10)
_LARGE_BATCH = 500
#: Times as fast as (torch eager, tuned NumPy, scikit-learn), for B < 500 and B >= 500.
_TO_REACH = ((8.0, 4.0, 10.0), (10.0, 5.0, 12.0))
_BATCHES = 8  # minibatches taken in turn, so that none is trained to the end
_RATE = 0.01


def cases(request: Request) -> list[Case]:
    """One row per BxVxH, k and thread count; judged on two threads."""
    rows = []
    real = not request.sizes and digits.found()
    for threads in request.threads:
        for (batch, visible, hidden), mnist in product(request.shapes(3, _SHAPES), (0, 1) if real else (0,)):
            judged = request.best and threads == 2 and (batch, visible, hidden) in _SHAPES
            for k in _STEPS:
                torch, numpy, sklearn = _TO_REACH[batch >= _LARGE_BATCH]
                targets = [Target(("torch",), torch), Target(("numpy",), numpy)]
                peers = [OURS, _DENSE, "numpy", "torch", "torch.compile"]
                if k == 1:
                    targets.append(Target(("scikit-learn",), sklearn))
                    peers.append("scikit-learn")
                rows.append(
                    Case(
                        "cd",
                        f"CD-{k} {visible}-{hidden} B={batch}{', MNIST' if mnist else ''}",
                        {"batch": batch, "visible": visible, "hidden": hidden, "k": k, "mnist": mnist},
                        threads,
                        batch,
                        "k samples/s",
                        tuple(peers),
                        "fma",
                        2.0 * batch * visible * hidden * (3 + 2 * k),
                        tuple(targets) if judged else (),
                    )
                )
    return rows


class _Problem:
    """A model and a few minibatches: MNIST digits, or random pixels about as sparse."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        draw = np.random.Generator(np.random.SFC64(setup.seed))
        self.batch, self.visible, self.hidden, self.k = (
            setup.params[key] for key in ("batch", "visible", "hidden", "k")
        )
        self.seed = setup.seed
        if setup.params.get("mnist"):
            d = digits.trained(self.hidden, setup.seed)
            self.w, self.b_vis, self.b_hid = d.w, d.b_vis, d.b_hid
            self.data = [d.minibatch(number, self.batch) for number in range(_BATCHES)]
            return
        self.w = draw.standard_normal((self.visible, self.hidden), dtype=np.float32) * np.float32(0.05)
        self.b_vis = np.full(self.visible, -1.0, dtype=np.float32)
        self.b_hid = np.zeros(self.hidden, dtype=np.float32)
        ink = draw.random(self.visible) * 0.4
        self.data = [(draw.random((self.batch, self.visible)) < ink).astype(np.float32) for _ in range(_BATCHES)]

    def to_check(self) -> _Problem:
        """The problem to check answers on: random pixels and weights, where an update is not mostly noise."""
        return _Problem(replace(self.setup, params={**self.setup.params, "mnist": 0}))

    def parameters(self) -> tuple[Any, Any, Any]:
        """Copies to train."""
        return self.w.copy(), self.b_vis.copy(), self.b_hid.copy()

    def expected(self, repeats: int) -> Any:
        """Mean weight change of `repeats` updates on the first minibatch, in float64 and written as the formula."""
        draw = np.random.default_rng(self.seed + 1)
        w, v0 = self.w.astype(np.float64), self.data[0].astype(np.float64)
        p0, total = _sigmoid(v0 @ w + self.b_hid), np.zeros_like(w)
        for _ in range(repeats):
            p = p0
            for _ in range(self.k):
                h = (draw.random(p.shape) < p).astype(np.float64)
                v = (draw.random(v0.shape) < _sigmoid(h @ w.T + self.b_vis)).astype(np.float64)
                p = _sigmoid(v @ w + self.b_hid)
            total += v0.T @ p0 - v.T @ p
        return total * (_RATE / self.batch / repeats)

    def update_error(self, step: Callable[[Any], Any], parameters: list[Any], weights: Any, repeats: int = 8) -> float:
        """Relative distance between the mean weight change that `step` makes and the expected one.

        `parameters` are the arrays that `step` changes in place, `weights` the one of them (as [V,H]) to judge. Each
        of the `repeats` updates, which average out most of the sampling noise, starts from the same parameters.
        """
        start = [array.copy() for array in parameters]
        total = np.zeros(self.w.shape)
        for _ in range(repeats):
            step(self.data[0])
            total += weights - self.w
            for array, value in zip(parameters, start, strict=True):
                np.copyto(array, value)
        want = self.expected(repeats)
        return within(float(np.linalg.norm(total / repeats - want) / np.linalg.norm(want)), 0.2, "mean weight change")


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _ours(setup: Setup, packed: bool) -> Prepared:
    from hintoncore import BitMatrix, Generator, ops, reference

    p = _Problem(setup)
    w, b_vis, b_hid = p.parameters()
    rng = Generator(setup.seed)
    batches = [BitMatrix.from_dense(v) if packed else v for v in p.data]

    def check() -> float:
        q = p.to_check()
        got, v = q.parameters(), q.data[0]
        ops.cd_update(BitMatrix.from_dense(v) if packed else v, *got, k=q.k, lr=_RATE, rng=Generator(setup.seed))
        want = reference.cd_update(v, *q.parameters(), k=q.k, lr=_RATE, seed=setup.seed, offset=0)
        change = np.linalg.norm(want.w - q.w)
        return within(float(np.linalg.norm(got[0] - want.w) / change), 0.01, "weight change")

    batch = cycle(batches)
    return Prepared(lambda: ops.cd_update(next(batch), w, b_vis, b_hid, k=p.k, lr=_RATE, rng=rng), check)


def ours(setup: Setup) -> Prepared:
    """`hintoncore.ops.cd_update` on packed minibatches, as training feeds them."""
    return _ours(setup, packed=True)


def ours_dense(setup: Setup) -> Prepared:
    """The same from float32 minibatches."""
    return _ours(setup, packed=False)


class _Numpy:
    """The best NumPy loop we know: preallocated float32 arrays, in place, SFC64, and one product for both statistics.

    Positive and negative phase share two arrays, [v0; vk] and [p0; -pk], so the whole gradient of the weights is one
    matrix product that the learning rate is folded into.
    """

    def __init__(self, p: _Problem) -> None:
        b = p.batch
        self.k, self.b = p.k, b
        self.w, self.b_vis, self.b_hid = p.parameters()
        self.rng = np.random.Generator(np.random.SFC64(p.seed))
        self.v = np.empty((2 * b, p.visible), dtype=np.float32)
        self.p = np.empty((2 * b, p.hidden), dtype=np.float32)
        self.u_vis = np.empty((b, p.visible), dtype=np.float32)
        self.u_hid = np.empty((b, p.hidden), dtype=np.float32)
        self.x_vis, self.h = np.empty_like(self.u_vis), np.empty_like(self.u_hid)
        self.gradient = np.empty_like(self.w)
        self.rate = np.float32(_RATE / b)

    def hidden(self, v: Any, out: Any) -> None:
        """Probabilities of the hidden units, in place."""
        np.matmul(v, self.w, out=out)
        np.add(out, self.b_hid, out=out)
        np.negative(out, out=out)
        np.exp(out, out=out)
        np.add(out, np.float32(1), out=out)
        np.reciprocal(out, out=out)

    def step(self, v0: Any) -> None:
        """One CD-k update."""
        one = np.float32(1)
        v, vk, p, pk = self.v[: self.b], self.v[self.b :], self.p[: self.b], self.p[self.b :]
        np.copyto(v, v0)
        self.hidden(v, p)
        source = p
        for _ in range(self.k):
            self.rng.random(out=self.u_hid, dtype=np.float32)
            np.less(self.u_hid, source, out=self.h)
            np.matmul(self.h, self.w.T, out=self.x_vis)
            np.add(self.x_vis, self.b_vis, out=self.x_vis)
            np.negative(self.x_vis, out=self.x_vis)
            np.exp(self.x_vis, out=self.x_vis)
            np.add(self.x_vis, one, out=self.x_vis)
            self.rng.random(out=self.u_vis, dtype=np.float32)
            np.multiply(self.x_vis, self.u_vis, out=self.x_vis)
            np.less(self.x_vis, one, out=vk)
            self.hidden(vk, pk)
            source = pk
        np.negative(pk, out=pk)
        self.p *= self.rate
        np.matmul(self.v.T, self.p, out=self.gradient)
        self.w += self.gradient
        self.b_hid += self.p.sum(0)
        self.b_vis += self.rate * (v.sum(0) - vk.sum(0))


def with_numpy(setup: Setup) -> Prepared:
    """Tuned NumPy."""
    p = _Problem(setup)
    q = p.to_check()
    checked, timed, batch = _Numpy(q), _Numpy(p), cycle(p.data)
    return Prepared(
        lambda: timed.step(next(batch)),
        lambda: q.update_error(checked.step, [checked.w, checked.b_vis, checked.b_hid], checked.w),
    )


def _torch_step(k: int, batch: int) -> Callable[..., None]:
    """The update as a torch user who cares writes it: fused bias, in-place products, the faster of torch's samplers."""
    import torch

    rate = _RATE / batch

    def step(v0: Any, w: Any, b_vis: Any, b_hid: Any) -> None:
        p0 = torch.addmm(b_hid, v0, w).sigmoid_()
        p = p0
        for _ in range(k):
            h = (torch.rand_like(p) < p).float()
            q = torch.addmm(b_vis, h, w.T).sigmoid_()
            v = (torch.rand_like(q) < q).float()
            p = torch.addmm(b_hid, v, w).sigmoid_()
        w.addmm_(v0.T, p0, alpha=rate).addmm_(v.T, p, alpha=-rate)
        b_vis.add_(v0.sum(0) - v.sum(0), alpha=rate)
        b_hid.add_(p0.sum(0) - p.sum(0), alpha=rate)

    return step


def _torch(setup: Setup, compile_it: bool) -> Prepared:
    import torch

    from .harness.compiled import compiled

    p = _Problem(setup)
    step = _torch_step(p.k, p.batch)
    if compile_it:
        step = compiled(step)
    timed = [torch.from_numpy(x) for x in p.parameters()]
    q = p.to_check()
    mine = list(q.parameters())
    checked = [torch.from_numpy(x) for x in mine]
    batch = cycle([torch.from_numpy(v) for v in p.data])
    return Prepared(
        lambda: step(next(batch), *timed),
        lambda: q.update_error(lambda v: step(torch.from_numpy(v), *checked), mine, mine[0]),
    )


def with_torch(setup: Setup) -> Prepared:
    """torch eager."""
    return _torch(setup, compile_it=False)


def with_torch_compile(setup: Setup) -> Prepared:
    """torch.compile of the whole update."""
    return _torch(setup, compile_it=True)


def with_sklearn(setup: Setup) -> Prepared:
    """`sklearn.neural_network.BernoulliRBM.partial_fit` in float32."""
    from sklearn.neural_network import BernoulliRBM

    p = _Problem(setup)

    def machine(p: _Problem) -> Any:
        """A machine with the problem's parameters whose chains start at the first minibatch, so one step is CD-1."""
        rbm = BernoulliRBM(p.hidden, learning_rate=_RATE, batch_size=p.batch, random_state=setup.seed)
        rbm.partial_fit(p.data[0])
        w, b_vis, b_hid = p.parameters()
        rbm.components_, rbm.intercept_visible_, rbm.intercept_hidden_ = (
            np.ascontiguousarray(w.T),
            b_vis,
            b_hid,
        )
        return rbm

    q = p.to_check()
    timed, checked, batch = machine(p), machine(q), cycle(p.data)
    draw = np.random.default_rng(setup.seed)

    def cd_step(v: Any) -> None:
        probability = _sigmoid(v @ checked.components_.T + checked.intercept_hidden_)
        checked.h_samples_ = (draw.random(probability.shape) < probability).astype(np.float32)
        checked.partial_fit(v)

    mine = [checked.components_, checked.intercept_visible_, checked.intercept_hidden_]
    return Prepared(lambda: timed.partial_fit(next(batch)), lambda: q.update_error(cd_step, mine, mine[0].T))


CONTESTANTS = {
    OURS: ours,
    _DENSE: ours_dense,
    "numpy": with_numpy,
    "torch": with_torch,
    "torch.compile": with_torch_compile,
    "scikit-learn": with_sklearn,
}
