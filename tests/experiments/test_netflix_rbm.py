"""The quick run, what it must not read, and the measures it reports."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from quick import check_quick

from hintoncore.experiments._biased_mf import alternating_ridge
from hintoncore.experiments._rating_metrics import mae, ranking, rmse


def test_quick(tmp_path: Path) -> None:
    report = check_quick("netflix-rbm", tmp_path)
    assert math.isfinite(report["by_seed"]["0"]["ndcg_excess"])


def test_errors() -> None:
    assert rmse([1.0, 3.0], [1.0, 1.0]) == pytest.approx(math.sqrt(2.0))
    assert mae([1.0, 3.0], [1.0, 1.0]) == 1.0


def test_ranking_by_hand() -> None:
    """Films 0 and 1 are known, the order of the others is 5, 2, 4, 3; films 2 and 3 are good."""
    scores = np.array([9.0, 9.0, 4.0, 1.0, 3.0, 5.0])
    training = (np.array([0, 0]), np.array([0, 1]))
    relevant = (np.array([0, 0]), np.array([2, 3]))
    got = ranking(lambda _user, items: scores[items], training, relevant, 6, n=3)
    assert got["recall_3"] == 0.5
    assert got["ndcg_3"] == pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3)))
    assert got["users"] == 1
    best = ranking(lambda _user, items: -np.abs(items - 2.5), training, relevant, 6, n=3)
    assert best["ndcg_3"] == 1.0


def test_ranking_of_many_good_films_can_be_perfect() -> None:
    """More relevant films than places: NDCG is by what the places allow."""
    none = np.array([], dtype=np.int64)
    relevant = (np.zeros(5, dtype=np.int64), np.arange(5))
    got = ranking(lambda _user, items: -items.astype(np.float64), (none, none), relevant, 8, n=2)
    assert got["ndcg_2"] == pytest.approx(1.0)
    assert got["recall_2"] == 0.4


def test_alternating_ridge_finds_factors() -> None:
    """Ratings of rank one plus biases: it explains what biases alone cannot."""
    rng = np.random.default_rng(0)
    p, q, b, c = rng.normal(size=40), rng.normal(size=30), 0.5 * rng.normal(size=40), 0.5 * rng.normal(size=30)
    users, items = np.nonzero(rng.random((40, 30)) < 0.5)
    values = 3.0 + b[users] + c[items] + p[users] * q[items]
    held_out = rng.random(len(users)) < 0.2
    kept = (users[~held_out], items[~held_out], values[~held_out])
    found = alternating_ridge(kept, (40, 30), factors=2, decay=0.02, epochs=30, seed=0)
    alone = found.baseline.predict(users[held_out], items[held_out])
    assert rmse(found.predict(users[held_out], items[held_out]), values[held_out]) < 0.3
    assert rmse(alone, values[held_out]) > 0.7
    assert found.predict(users, items).max() <= kept[2].max()
