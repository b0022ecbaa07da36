"""One pass of learning from ratings: the machine for ratings on sparse rows, ten levels, an item's ratings Zipf-like.

Contrastive divergence with a row of weights for each level, as in the paper, and the exact gradient of the
pseudo-likelihood with ordered levels. The peer is NumPy on the same sparse rows, without a loop over ratings.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .harness.cases import OURS, Case, Prepared, Request, Setup, within

_SHAPES = ((64, 5000, 100),)
_LEVELS = 10
_RATINGS = 150  # of a user, about


def cases(request: Request) -> list[Case]:
    """One row per rule and users x items x hidden units."""
    return [
        Case(
            "cf",
            f"{name}, {users} users, {items} items, {hidden} hidden",
            {"users": users, "items": items, "hidden": hidden, "k": k},
            threads,
            float(users * min(_RATINGS, items)),
            "k ratings/s",
            (OURS, "numpy"),
            "fma",
            # CD: rows added to inputs and statistics, twice each, and K dot products; the other: K terms, twice.
            2.0 * users * min(_RATINGS, items) * hidden * (_LEVELS + 4 if k else 2 * _LEVELS),
        )
        for threads in request.threads
        for users, items, hidden in request.shapes(3, _SHAPES)
        for name, k in (("ratings CD-1", 1), ("ratings pseudo-likelihood", 0))
    ]


class _Problem:
    """A machine and a minibatch of ratings."""

    def __init__(self, setup: Setup) -> None:
        from hintoncore.ops import CFParameters, Ratings

        draw = np.random.default_rng(setup.seed)
        users, n_items, hidden = (setup.params[key] for key in ("users", "items", "hidden"))
        self.k = setup.params["k"]
        popularity = 1.0 / np.arange(1, n_items + 1)
        popularity /= popularity.sum()
        per_user = min(_RATINGS, n_items)
        chosen = [np.sort(draw.choice(n_items, per_user, replace=False, p=popularity)) for _ in range(users)]
        items = np.concatenate(chosen).astype(np.int32)
        levels = draw.integers(0, _LEVELS, len(items)).astype(np.uint8)
        self.users = np.repeat(np.arange(users), per_user)
        self.ratings = Ratings(np.arange(users + 1) * per_user, items, levels)
        rows = _LEVELS if self.k else 1

        def normal(*shape: int) -> Any:
            return 0.05 * draw.standard_normal(shape, dtype=np.float32)

        scores: Any = None if self.k else (np.arange(_LEVELS, dtype=np.float32) - (_LEVELS - 1) / 2) / 2
        self.parameters = CFParameters(
            scores,
            normal(n_items, rows, hidden),
            normal(n_items, hidden),
            normal(n_items, _LEVELS),
            normal(_LEVELS),
            normal(hidden),
        )


def ours(setup: Setup) -> Prepared:
    """`hintoncore.ops.cf_update`; its conditionals checked against the reference."""
    from hintoncore import Generator, ops, reference
    from hintoncore.ops import CFOptimiser

    p = _Problem(setup)
    parameters, rng, step = p.parameters.copy(), Generator(setup.seed), [0]
    optimiser = CFOptimiser.start(parameters, rates=(1e-3,) * 5, decays=(1e-3,) * 3, momentum=0.5)

    def call() -> None:
        ops.cf_update(parameters, p.ratings, optimiser, step=step[0], k=p.k, rng=rng)
        step[0] += 1

    def check() -> float:
        few = p.ratings.rows(np.arange(2))
        x = ops.cf_hidden(p.parameters, few)[0]
        got = ops.cf_conditional(p.parameters, few, x, leave_out=True)
        want = reference.cf_conditional(p.parameters, few, x, leave_out=True)
        return within(float(np.abs(got - want).max()), 1e-5, "conditional probability")

    return Prepared(call, check)


def with_numpy(setup: Setup) -> Prepared:
    """NumPy, one array operation for all ratings of the minibatch; statistics by sorted segments."""
    from hintoncore import reference

    p = _Problem(setup)
    draw = np.random.Generator(np.random.SFC64(setup.seed))
    m: Any = p.parameters.copy()
    levels: Any = p.ratings.levels
    items, users = p.ratings.items, p.users
    starts, n = p.ratings.indptr[:-1], len(items)
    order = np.argsort(items, kind="stable")
    touched, firsts = np.unique(items[order], return_index=True)
    step = np.float32(1e-3 / len(starts))
    one = np.float32(1)

    def sigmoid(x: Any) -> Any:
        return one / (one + np.exp(-x))

    def biases() -> Any:
        return m.b_level + m.b_vis[items]

    def softmax(logits: Any) -> Any:
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def hidden(chosen: Any) -> Any:
        rows = m.w[items, chosen] if m.scores is None else m.scores[chosen][:, None] * m.w[items, 0]
        return rows, m.b_hid + np.add.reduceat(rows + m.d[items], starts, axis=0)

    def diverge() -> None:
        before = sigmoid(hidden(levels)[1])
        states = (draw.random(before.shape, dtype=np.float32) < before).astype(np.float32)
        probs = softmax(biases() + np.einsum("nkh,nh->nk", m.w[items], states[users]))
        drawn = (probs.cumsum(axis=1) < draw.random((n, 1), dtype=np.float32)).sum(axis=1).clip(0, _LEVELS - 1)
        after = sigmoid(hidden(drawn)[1])
        np.add.at(m.w, (items, levels), step * before[users])
        np.add.at(m.w, (items, drawn), -step * after[users])
        m.d[touched] += step * np.add.reduceat((before - after)[users][order], firsts, axis=0)
        m.b_hid[:] += step * (before - after).sum(axis=0)

    def conditionals() -> Any:
        rows, x = hidden(levels)
        rest = x[users] - rows - m.d[items]
        moved = rest[:, None] + m.scores[:, None] * m.w[items]
        return x, rest, moved, softmax(biases() + np.logaddexp(np.float32(0), moved).sum(axis=2))

    def condition() -> None:
        _, _, moved, probs = conditionals()
        error = -probs
        error[np.arange(n), levels] += one
        part = error[:, :, None] * sigmoid(moved)
        own = part.sum(axis=1)
        others = np.add.reduceat(own, starts, axis=0)[users] - own
        grad = np.einsum("k,nkh->nh", m.scores, part) + m.scores[levels][:, None] * others
        m.w[touched, 0] += step * np.add.reduceat(grad[order], firsts, axis=0)
        m.d[touched] += step * np.add.reduceat(others[order], firsts, axis=0)
        m.b_vis[touched] += step * np.add.reduceat(error[order], firsts, axis=0)
        m.b_hid[:] += step * np.add.reduceat(own, starts, axis=0).sum(axis=0)

    def check() -> float:
        if p.k:
            want = reference.cf_hidden(p.parameters, p.ratings)
            return within(float(np.abs(hidden(levels)[1] - want).max()), 1e-4, "total input")
        x, _, _, got = conditionals()
        few = p.ratings.rows(np.arange(2))
        want = reference.cf_conditional(p.parameters, few, x[:2], leave_out=True)
        return within(float(np.abs(got[: len(want)] - want).max()), 1e-5, "conditional probability")

    return Prepared(diverge if p.k else condition, check)


CONTESTANTS = {OURS: ours, "numpy": with_numpy}
