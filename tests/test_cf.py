"""ops.cf_*: against the reference, central differences and enumeration, at every level and thread count."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import hintoncore as hc
from hintoncore import ops, reference
from hintoncore.ops import CFOptimiser, CFParameters, Ratings

FORMS = ["softmax", "scores"]
RATES = (1.0, 1.0, 1.0, 1.0, 1.0)


def machine(
    form: str, n_items: int = 7, n_levels: int = 5, n_hidden: int = 6, *, seed: int = 0, conditional: bool = True
) -> CFParameters:
    rng = np.random.default_rng(seed)
    rows = n_levels if form == "softmax" else 1

    def normal(*shape: int) -> NDArray[np.float32]:
        return (0.4 * rng.normal(size=shape)).astype(np.float32)

    return CFParameters(
        None if form == "softmax" else np.linspace(-1.0, 1.0, n_levels).astype(np.float32),
        normal(n_items, rows, n_hidden),
        normal(n_items, n_hidden) if conditional else None,
        normal(n_items, n_levels),
        normal(n_levels),
        normal(n_hidden),
    )


def ratings_of(
    form: str, n_users: int, n_items: int = 7, n_levels: int = 5, *, seed: int = 1, density: float = 0.6
) -> Ratings:
    rng = np.random.default_rng(seed)
    rated = rng.random((n_users, n_items)) < density
    rated[:: max(n_users // 3, 2)] = False  # users without ratings
    rated[-1, -1] = True
    indptr = np.concatenate([[0], np.cumsum(rated.sum(axis=1))]).astype(np.int64)
    items = np.nonzero(rated)[1].astype(np.int32)
    levels = rng.integers(0, n_levels, len(items)).astype(np.uint8)
    if form == "softmax":
        return Ratings(indptr, items, levels)
    centers, fields = (rng.normal(size=len(items)).astype(np.float32) for _ in range(2))
    return Ratings(indptr, items, levels, centers, fields)


def doubles(parameters: CFParameters) -> CFParameters:
    return CFParameters(*(None if a is None else a.astype(np.float64) for a in parameters))  # type: ignore[arg-type]


def gradient(parameters: CFParameters, ratings: Ratings, **options: Any) -> dict[str, NDArray[np.float64]]:
    """What an update with rate 1 adds, times the users whose mean it is."""
    after = parameters.copy()
    ops.cf_update(after, ratings, CFOptimiser.start(after, rates=RATES), step=0, **options)
    users = len(ratings.indptr) - 1
    return {
        name: (getattr(after, name).astype(np.float64) - getattr(parameters, name)) * users
        for name in ("w", "d", "b_vis", "b_level", "b_hid")
        if getattr(parameters, name) is not None
    }


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("n_hidden", [1, 6, 16, 17, 70])
def test_conditionals_match_the_reference(isa: str, form: str, conditional: bool, n_hidden: int) -> None:
    p, r = machine(form, n_hidden=n_hidden, conditional=conditional), ratings_of(form, 9)
    x, probs, states = ops.cf_hidden(p, r)
    assert states is None
    want = reference.cf_hidden(p, r)
    np.testing.assert_allclose(x, want, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(probs, 1 / (1 + np.exp(-want)), rtol=1e-5)
    hidden = np.random.default_rng(2).random((9, n_hidden)).astype(np.float32)
    np.testing.assert_allclose(ops.cf_visible(p, r, hidden)[0], reference.cf_visible(p, r, hidden), atol=2e-6)
    for leave_out in (False, True):
        got = ops.cf_conditional(p, r, x, leave_out=leave_out)
        np.testing.assert_allclose(got, reference.cf_conditional(p, r, x, leave_out=leave_out), atol=1e-5)
        np.testing.assert_allclose(got.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_the_conditional_is_that_of_the_joint_distribution(form: str) -> None:
    """Bayes' rule on the enumerated joint of levels and hidden units; the item asked for is not yet rated."""
    p, n_items, n_levels, n_hidden = machine(form, 3, 3, 2), 3, 3, 2
    items = np.arange(n_items, dtype=np.int32)
    centers: Any = None if form == "softmax" else np.array([0.3, -0.2, 0.1], np.float32)
    fields: Any = None if form == "softmax" else np.array([0.5, 0.0, -0.4], np.float32)

    def log_joint(levels: tuple[int, ...], h: tuple[int, ...], asked: int) -> float:
        total = float(np.dot(p.b_hid, h))
        for i, k in enumerate(levels):
            assert p.d is not None
            row = p.w[i, k] if p.scores is None else (p.scores[k] - centers[i]) * p.w[i, 0]
            total += p.b_level[k] + p.b_vis[i, k] + np.dot(row + p.d[i] * (i != asked), h)
            total += 0.0 if p.scores is None else p.scores[k] * fields[i]
        return total

    given = np.array([2, 0, 1], dtype=np.uint8)
    r = Ratings(np.array([0, 3]), items, given, centers, fields)
    got = ops.cf_conditional(p, r, ops.cf_hidden(p, r)[0], leave_out=True)
    for i in range(n_items):
        weights = np.zeros(n_levels)
        for k, *h in itertools.product(range(n_levels), *[(0, 1)] * n_hidden):
            levels = (*map(int, given[:i]), k, *map(int, given[i + 1 :]))
            weights[k] += np.exp(log_joint(levels, tuple(h), i))
        np.testing.assert_allclose(got[i], weights / weights.sum(), atol=2e-6)


@pytest.mark.parametrize("form", FORMS)
def test_draws_follow_the_conditionals(isa: str, form: str) -> None:
    """20000 users with equal ratings; 5.5 standard errors a cell, 40 cells: false alarms below 2e-6 of seeds."""
    n, p = 20000, machine(form, 3, 4, 5)
    one = ratings_of(form, 2, 3, 4, density=1.0)
    own = slice(one.indptr[1], one.indptr[2])
    count = own.stop - own.start
    taken = [None if a is None else np.tile(a[own], n) for a in one[1:5]]
    r = Ratings(np.arange(n + 1) * count, *taken)  # type: ignore[arg-type]
    _, probs, states = ops.cf_hidden(p, r, rng=3)
    assert states is not None
    error = np.sqrt(probs[0] * (1 - probs[0]) / n)
    assert (np.abs(states.mean(axis=0) - probs[0]) < 5.5 * error).all()
    hidden = np.tile(states[:1], (n, 1))
    probs, levels = ops.cf_visible(p, r, hidden, rng=4)
    assert levels is not None
    for i in range(count):
        frequency = np.bincount(levels[i::count], minlength=4) / n
        assert (np.abs(frequency - probs[i]) < 5.5 * np.sqrt(probs[i] * (1 - probs[i]) / n)).all()
    assert np.abs(np.corrcoef(levels[0::count], levels[1::count])[0, 1]) < 5.5 / np.sqrt(n)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("conditional", [False, True])
def test_pseudo_likelihood_gradient_by_central_differences(isa: str, form: str, conditional: bool) -> None:
    p, r = machine(form, 4, 3, 5, conditional=conditional), ratings_of(form, 6, 4, 3)
    got = gradient(p, r, k=0)

    def objective(q: CFParameters) -> float:
        probs = reference.cf_conditional(q, r, reference.cf_hidden(q, r), leave_out=True)
        assert r.levels is not None
        return float(np.log(probs[np.arange(len(r.levels)), r.levels]).sum())

    q, step = doubles(p), 1e-5
    for name, values in got.items():
        array = getattr(q, name)
        for index in np.ndindex(array.shape):
            kept = array[index]
            array[index] = kept + step
            up = objective(q)
            array[index] = kept - step
            down = objective(q)
            array[index] = kept
            assert values[index] == pytest.approx((up - down) / (2 * step), abs=2e-5), (name, index)
    stats = ops.cf_update(p.copy(), r, CFOptimiser.start(p, rates=RATES), step=0, k=0)
    assert stats["log_conditional"] == pytest.approx(objective(q) / len(r.items), abs=1e-5)
    assert stats["reconstruction_error"] is None


@pytest.mark.parametrize("form", FORMS)
def test_contrastive_divergence_in_expectation(isa: str, form: str) -> None:
    """CD-1 of 2 items, 3 levels, 2 hidden units against enumeration; 6 standard errors: false alarms below 1e-7."""
    n, p = 20000, machine(form, 2, 3, 2)
    centers = None if form == "softmax" else np.array([0.4, -0.3], np.float32)
    fields = None if form == "softmax" else np.array([0.2, 0.6], np.float32)
    one = Ratings(np.array([0, 2]), np.array([0, 1], np.int32), np.array([2, 0], np.uint8), centers, fields)
    q = doubles(p)

    def hidden_probs(levels: tuple[int, ...]) -> NDArray[np.float64]:
        return 1 / (1 + np.exp(-reference.cf_hidden(q, one._replace(levels=np.array(levels, np.uint8)))))

    before = hidden_probs((2, 0))
    positive = reference.cf_gradient(q, one, np.array([2, 0]), before)
    mean = {name: np.zeros(a.shape) for name, a in positive.items()}
    square = {name: np.zeros(a.shape) for name, a in positive.items()}
    for h in itertools.product((0, 1), repeat=2):
        states = np.array([h], dtype=np.float64)
        p_h = float(np.prod(np.where(states == 1, before, 1 - before)))
        p_v = reference.cf_visible(q, one, states)
        for levels in itertools.product(range(3), repeat=2):
            weight = p_h * p_v[0, levels[0]] * p_v[1, levels[1]]
            negative = reference.cf_gradient(q, one, np.array(levels), hidden_probs(levels))
            for name, value in negative.items():
                mean[name] += weight * (positive[name] - value)
                square[name] += weight * (positive[name] - value) ** 2
    many = Ratings(np.arange(n + 1) * 2, *(None if a is None else np.tile(a, n) for a in one[1:5]))  # type: ignore[arg-type]
    for name, total in gradient(p, many, k=1, rng=5).items():
        error = np.sqrt(np.maximum(square[name] - mean[name] ** 2, 0) / n)
        assert (np.abs(total / n - mean[name]) <= 6 * error + 2e-5).all(), name


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("k", [0, 3])
def test_threads_do_not_change_a_bit(isa: str, form: str, k: int, set_threads: Callable[[int], None]) -> None:
    p, r = machine(form, 40, 5, 33), ratings_of(form, 50, 40, 5)
    results = []
    for threads in (1, 2, 3, 8):
        set_threads(threads)
        q = p.copy()
        o = CFOptimiser.start(q, rates=(0.1,) * 5, decays=(0.1, 0.2, 0.3), momentum=0.5)
        rng = hc.Generator(7, 2)
        for step in range(3):
            ops.cf_update(q, r.rows(np.arange(step, 50, 3)), o, step=step, k=k, rng=rng)
        ops.cf_settle(q, o, step=3)
        assert rng.offset == 2 + 6 * k
        results.append([a.tobytes() for a in q if a is not None])
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("k", [0, 2])
def test_levels_agree_on_integers(
    k: int, levels: list[str], at_level: Callable[[str], AbstractContextManager[None]]
) -> None:
    """Sums of integers are exact, so draws are the same bits; gradients differ by the rounding of sigmoids alone."""
    p = machine("softmax", 12, 4, 19)
    p = CFParameters(None, *(np.rint(3 * np.asarray(a)).astype(np.float32) for a in p[1:]))
    r = ratings_of("softmax", 40, 12, 4)
    draws, updates = [], []
    for level in levels:
        with at_level(level):
            states = ops.cf_hidden(p, r, rng=1)[2]
            assert states is not None
            draws.append((states, ops.cf_visible(p, r, states, rng=2)[1]))
            updates.append(gradient(p, r, k=k, rng=3))
    for (states, drawn), update in zip(draws, updates, strict=True):
        np.testing.assert_array_equal(states, draws[0][0])
        np.testing.assert_array_equal(drawn, draws[0][1])
        for name, value in update.items():
            np.testing.assert_allclose(value, updates[0][name], atol=2e-3)


def test_draws_belong_to_users_not_to_places() -> None:
    p, r = machine("softmax"), ratings_of("softmax", 20)
    states = ops.cf_hidden(p, r, rng=1)[2]
    order = np.random.default_rng(0).permutation(20)
    assert states is not None
    np.testing.assert_array_equal(ops.cf_hidden(p, r.rows(order), rng=1)[2], states[order])


def test_what_an_item_missed_is_made_up_for() -> None:
    """Item 0 is rated in the first update alone; its parameters end where updates with a gradient of 0 lead."""
    p = machine("scores", 2, 3, 4)
    r = Ratings(np.array([0, 1, 2]), np.array([0, 1], np.int32), np.array([2, 1], np.uint8))
    rate, momentum, decay = 0.3, 0.8, 0.2
    o = CFOptimiser.start(
        p, rates=(rate,) * 5, decays=(decay,) * 3, momentum=momentum, item_rates=np.array([0.5, 2.0], np.float32)
    )
    ops.cf_update(p, r.rows(np.array([0])), o, step=0, k=0)
    want = {}
    for name, velocity in zip(("w", "d", "b_vis"), o.velocity, strict=False):
        w, v = getattr(p, name)[0].astype(np.float64), velocity[0].astype(np.float64)  # type: ignore[index]
        for _ in range(9):
            v = momentum * v - 0.5 * rate * decay * w
            w = w + v
        want[name] = w
    for step in range(1, 10):
        ops.cf_update(p, r.rows(np.array([1])), o, step=step, k=0)
        assert o.updates.tolist() == [1, step + 1]
    ops.cf_settle(p, o, step=10)
    assert o.updates.tolist() == [10, 10]
    for name, value in want.items():
        np.testing.assert_allclose(getattr(p, name)[0], value, rtol=1e-5, atol=1e-6)
    kept = p.copy()
    ops.cf_settle(p, o, step=10)
    np.testing.assert_array_equal(p.w, kept.w)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, r, o: (p._replace(w=p.w[:, :2].copy()), r, o), "w"),
        (lambda p, r, o: (p._replace(w=p.w.astype(np.float64)), r, o), "w"),
        (lambda p, r, o: (p, r._replace(items=r.items + np.int32(1)), o), "items"),
        (lambda p, r, o: (p, r._replace(levels=r.levels + np.uint8(3)), o), "levels"),
        (lambda p, r, o: (p, r._replace(levels=None), o), "levels"),
        (lambda p, r, o: (p, r._replace(indptr=r.indptr[:-1]), o), "indptr"),
        (lambda p, r, o: (p, r._replace(indptr=r.indptr[::-1].copy()), o), "indptr"),
        (lambda p, r, o: (p, r._replace(centers=np.zeros(len(r.items), np.float32)), o), "centers"),
        (lambda p, r, o: (p, r._replace(users=np.full(len(r.indptr) - 1, -1)), o), "users"),
        (lambda p, r, o: (p, r, o._replace(momentum=1.0)), "momentum"),
        (lambda p, r, o: (p, r, o._replace(rates=(-1.0,) * 5)), "rates"),
        (lambda p, r, o: (p, r, o._replace(decays=(0.0, float("nan"), 0.0))), "decays"),
        (lambda p, r, o: (p, r, o._replace(updates=o.updates + 1)), "updates"),
        (lambda p, r, o: (p, r, o._replace(velocity=(o.velocity[0], None, *o.velocity[2:]))), "vel_d"),
    ],
)
def test_bad_input_is_refused_by_name(change: Callable[..., Any], message: str) -> None:
    p, r = machine("softmax"), ratings_of("softmax", 6)
    changed = change(p, r, CFOptimiser.start(p, rates=RATES))
    kept = p.copy()
    with pytest.raises((ValueError, TypeError), match=message):
        ops.cf_update(*changed, step=0, k=0)
    np.testing.assert_array_equal(p.w, kept.w)


def test_divergence_raises() -> None:
    p, r = machine("softmax"), ratings_of("softmax", 6)
    p.w[0, 0, 0] = np.nan
    with pytest.raises(FloatingPointError, match="learning rate"):
        ops.cf_update(p, r, CFOptimiser.start(p, rates=RATES), step=0, k=1)
