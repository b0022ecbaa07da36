"""One update of an RBM by persistent contrastive divergence (PCD-k) on a ready minibatch: samples per second.

As many chains as rows. Every contestant moves its chains by the same number of half-steps, all sampled, takes hidden
probabilities in both statistics and makes the step; "centred" rows subtract the means of the minibatch (Melchior,
Fischer and Wiskott 2016). `rbms` is timed through its own training step, `fit_batch_pcd` and torch's SGD, which also
scales the gradient to length 1.
"""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np

from .cd import _Problem, _sigmoid
from .harness.cases import OURS, Case, Prepared, Request, Setup, Target

_SHAPES = ((100, 784, 500), (500, 784, 500))
_STEPS = (1, 10)
_TO_REACH = 8.0
_RATE = 0.01
_CHECKED = 32  # updates whose mean is compared


def cases(request: Request) -> list[Case]:
    """One row per BxVxH, k, gradient and thread count; judged on two threads."""
    rows = []
    for threads in request.threads:
        for batch, visible, hidden in request.shapes(3, _SHAPES):
            judged = request.best and threads == 2 and (batch, visible, hidden) in _SHAPES
            rows += [
                Case(
                    "pcd",
                    f"PCD-{k} {visible}-{hidden} B={batch}{' centred' * centred}",
                    {"batch": batch, "visible": visible, "hidden": hidden, "k": k, "centred": centred},
                    threads,
                    batch,
                    "k samples/s",
                    (OURS, "torch", "rbms"),
                    "fma",
                    2.0 * batch * visible * hidden * (3 + 2 * k),
                    (Target(("rbms",), _TO_REACH),) if judged else (),
                )
                for k in _STEPS
                for centred in (0, 1)
            ]
    return rows


class _Machine(_Problem):
    """The problem of the CD bench, with the gradient that is centred when asked for. Chains start at the minibatch."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.centred = bool(setup.params["centred"])

    def expected(self, repeats: int) -> Any:
        """Mean weight change of `repeats` updates on the first minibatch, in float64 and written as the formula."""
        draw = np.random.default_rng(self.seed + 1)
        w, v0 = self.w.astype(np.float64), self.data[0].astype(np.float64)
        p0, total = _sigmoid(v0 @ w + self.b_hid), np.zeros_like(w)
        mu, lam = (v0.mean(0), p0.mean(0)) if self.centred else (0.0, 0.0)
        for _ in range(repeats):
            p = p0
            for _ in range(self.k):
                h = (draw.random(p.shape) < p).astype(np.float64)
                v = (draw.random(v0.shape) < _sigmoid(h @ w.T + self.b_vis)).astype(np.float64)
                p = _sigmoid(v @ w + self.b_hid)
            total += (v0 - mu).T @ (p0 - lam) - (v - mu).T @ (p - lam)
        return total * (_RATE / self.batch / repeats)


def ours(setup: Setup) -> Prepared:
    """`hintoncore.ops.cd_update` with chains; centred, the gradient and its update as `RBM.fit` makes them."""
    from hintoncore import BitMatrix, Generator, ops
    from hintoncore.models import RBM
    from hintoncore.train.gradient_update import Centring, GradientUpdate

    p = _Machine(setup)
    batches = [BitMatrix.from_dense(v) for v in p.data]

    class Learner:
        def __init__(self) -> None:
            self.rng, self.chains = Generator(setup.seed), batches[0].copy()
            self.model = RBM(p.visible, p.hidden)
            self.model.w, self.model.b_vis, self.model.b_hid = p.parameters()
            self.gradient = np.empty_like(p.w)
            self.update = GradientUpdate(
                self.model,
                None,
                weight_decay=0.0,
                l1=0.0,
                centring=Centring(rate=1.0),
                sparsity=None,
                means=(np.zeros(p.visible), np.zeros(p.hidden)),
            )

        def step(self, batch: Any) -> None:
            m = self.model
            if not p.centred:
                ops.cd_update(batch, m.w, m.b_vis, m.b_hid, k=p.k, lr=_RATE, rng=self.rng, chains=self.chains)
                return
            gradient = ops.cd_gradient(
                batch, m.w, m.b_vis, m.b_hid, k=p.k, rng=self.rng, chains=self.chains, out=self.gradient
            )
            self.update.apply(gradient, _RATE, 0.0)

    timed, checked, batch = Learner(), Learner(), cycle(batches)
    mine = [checked.model.w, checked.model.b_vis, checked.model.b_hid]

    def fresh(_: Any) -> None:
        checked.chains = batches[0].copy()
        checked.step(batches[0])

    return Prepared(lambda: timed.step(next(batch)), lambda: p.update_error(fresh, mine, mine[0], _CHECKED))


def with_torch(setup: Setup) -> Prepared:
    """A torch loop as one who cares writes it: fused bias, in-place products."""
    import torch

    p = _Machine(setup)
    data = [torch.from_numpy(v) for v in p.data]
    rate = _RATE / p.batch

    class Learner:
        def __init__(self) -> None:
            self.arrays = list(p.parameters())
            self.w, self.b_vis, self.b_hid = (torch.from_numpy(x) for x in self.arrays)
            self.v = data[0].clone()

        def step(self, v0: Any) -> None:
            w, b_vis, b_hid, v = self.w, self.b_vis, self.b_hid, self.v
            p0 = torch.addmm(b_hid, v0, w).sigmoid_()
            pk = torch.addmm(b_hid, v, w).sigmoid_()
            for _ in range(p.k):
                h = (torch.rand_like(pk) < pk).float()
                q = torch.addmm(b_vis, h, w.T).sigmoid_()
                v = (torch.rand_like(q) < q).float()
                pk = torch.addmm(b_hid, v, w).sigmoid_()
            self.v = v
            if not p.centred:
                w.addmm_(v0.T, p0, alpha=rate).addmm_(v.T, pk, alpha=-rate)
                b_vis.add_(v0.sum(0) - v.sum(0), alpha=rate)
                b_hid.add_(p0.sum(0) - pk.sum(0), alpha=rate)
                return
            mu, lam = v0.mean(0), p0.mean(0)
            step = torch.mm((v0 - mu).T, p0 - lam).addmm_((v - mu).T, pk - lam, alpha=-1).mul_(rate)
            w.add_(step)
            b_vis.add_(v0.sum(0) - v.sum(0), alpha=rate).sub_(step @ lam)
            b_hid.add_(p0.sum(0) - pk.sum(0), alpha=rate).sub_(mu @ step)

    timed, checked, batch = Learner(), Learner(), cycle(data)

    def fresh(_: Any) -> None:
        checked.v = data[0].clone()
        checked.step(data[0])

    mine = checked.arrays
    return Prepared(lambda: timed.step(next(batch)), lambda: p.update_error(fresh, mine, mine[0], _CHECKED))


def with_rbms(setup: Setup) -> Prepared:
    """`rbms`: `fit_batch_pcd` on a `BBRBM` and a step of torch's SGD."""
    import torch
    from rbms.bernoulli_bernoulli.classes import BBRBM
    from rbms.training.pcd import fit_batch_pcd

    p = _Machine(setup)
    data = [(torch.from_numpy(v), torch.ones(p.batch)) for v in p.data]

    class Learner:
        def __init__(self) -> None:
            self.arrays = list(p.parameters())
            w, b_vis, b_hid = (torch.from_numpy(x) for x in self.arrays)
            self.model = BBRBM(weight_matrix=w, vbias=b_vis, hbias=b_hid)
            self.model.init_grad()
            self.sgd = torch.optim.SGD(self.model.parameters(), lr=_RATE, maximize=True)
            self.restart()

        def restart(self) -> None:
            self.chains = self.model.init_chains(p.batch, start_v=data[0][0].clone())

        def step(self, batch: Any) -> None:
            with torch.no_grad():
                self.sgd.zero_grad(set_to_none=False)
                self.chains, _ = fit_batch_pcd(batch, self.chains, self.model, p.k, 1.0, centered=p.centred)
                self.sgd.step()

    timed, checked, batch = Learner(), Learner(), cycle(data)
    normalise = checked.model.normalize_grad

    def fresh(_: Any) -> None:
        """Without the scaling to length 1, so that the change can be compared."""
        checked.restart()
        checked.model.normalize_grad = lambda: None
        checked.step(data[0])
        checked.model.normalize_grad = normalise

    mine = checked.arrays
    return Prepared(lambda: timed.step(next(batch)), lambda: p.update_error(fresh, mine, mine[0], _CHECKED))


CONTESTANTS = {OURS: ours, "torch": with_torch, "rbms": with_rbms}
