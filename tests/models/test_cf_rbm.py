"""CFRBM: predictions against enumeration, leaks, memory, exact resumption, bad input, files."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from numpy.typing import NDArray

from hintoncore import train
from hintoncore.datasets import csr_ratings
from hintoncore.files import FileFormatError
from hintoncore.models import CFRBM
from hintoncore.models._rating_baseline import RatingBaseline

VALUES = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
Triples = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


def triples(n_users: int = 60, n_items: int = 40, seed: int = 0, density: float = 0.4) -> Triples:
    """Ratings with two tastes: users like even items and dislike odd ones, or the other way round."""
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((n_users, n_items)) < density)
    liked = (users + items) % 2 == 0
    values = np.clip(np.rint(np.where(liked, 4.2, 2.2) + 0.7 * rng.normal(size=len(users))), 1, 5)
    return users, items, values


def csr(ratings: Triples, n_users: int = 60) -> tuple[Any, Any, Any]:
    return csr_ratings(*ratings, n_users=n_users)


def fitted(weights: str = "ordinal", rule: str = "pseudo-likelihood", epochs: int = 15, **options: Any) -> CFRBM:
    machine = CFRBM(40, 8, values=VALUES, weights=weights, seed=3)
    return machine.fit(csr(triples()), epochs, rule=rule, batch_size=16, **options)


def same(a: CFRBM, b: CFRBM) -> bool:
    return all(np.array_equal(x, b.parameters()[name]) for name, x in a.parameters().items())


@pytest.mark.parametrize("weights", ["ordinal", "softmax"])
@pytest.mark.parametrize("rule", ["pseudo-likelihood", "cd"])
def test_it_learns_tastes(weights: str, rule: str) -> None:
    """Biases alone cannot, the two tastes cancel; the spread of values within a taste is some 0.63 of their error."""
    users, items, values = triples()
    held_out = np.random.default_rng(1).random(len(users)) < 0.2
    kept = (users[~held_out], items[~held_out], values[~held_out])
    biases, _ = RatingBaseline.fit(*kept, shape=(60, 40), user_shrinkage=5.0, item_shrinkage=5.0)
    alone = np.sqrt(np.mean((biases.predict(users[held_out], items[held_out]) - values[held_out]) ** 2))
    machine = CFRBM(40, 8, values=VALUES, weights=weights, seed=3)
    rate = 0.2 if weights == "ordinal" else 1.0
    machine.fit(
        csr(kept),
        40,
        rule=rule,
        learning_rate=rate,
        weight_decay=0.01,
        batch_size=16,
    )
    for method in ("exact", "mean-field"):
        expected = machine.predict(users[held_out], items[held_out], method=method)
        error = np.sqrt(np.mean((expected - values[held_out]) ** 2))
        assert error < 0.8 * alone, method


@pytest.mark.parametrize("weights", ["ordinal", "softmax"])
def test_probabilities_by_enumeration(weights: str) -> None:
    """Of an unrated item given the ratings: every state of three hidden units, in float64."""
    ratings = (np.array([0, 0, 1]), np.array([0, 2, 1]), np.array([1.0, 3.0, 2.0]))
    machine = CFRBM(4, 3, values=[1, 2, 3], weights=weights, precision=0.7, seed=5).fit(csr(ratings, 2), 0)
    rng = np.random.default_rng(2)
    for array in machine.parameters().values():
        array[...] += 0.5 * rng.normal(size=array.shape).astype(np.float32)
    rows, baseline = machine.ratings, machine.baseline
    assert rows is not None
    assert machine.d is not None
    asked = 3
    h = np.array(list(itertools.product((0.0, 1.0), repeat=3)))

    def row(item: int, level: int, center: float) -> NDArray[Any]:
        if weights == "softmax":
            return np.asarray(machine.w[item, level])
        return np.asarray((machine.values[level] - center) * machine.w[item, 0])

    x = machine.b_hid.astype(np.float64)
    for n in range(2):
        center = 0.0 if rows.centers is None else rows.centers[n]
        x = x + row(rows.items[n], rows.levels[n], center) + machine.d[rows.items[n]]
    center = 0.0 if baseline is None else float(baseline.predict(np.array([0]), np.array([asked]))[0])
    odds = np.zeros(3)
    for k in range(3):
        bias = machine.b_level[k] + machine.b_vis[asked, k]
        bias += 0.0 if weights == "softmax" else 0.7 * center * machine.values[k]
        odds[k] = np.exp(bias + h @ (x + row(asked, k, center))).sum()
    np.testing.assert_allclose(machine.probabilities([0], [asked])[0], odds / odds.sum(), atol=1e-5)


@pytest.mark.parametrize("weights", ["ordinal", "softmax"])
def test_held_out_values_reach_nothing(weights: str) -> None:
    """Other held-out values, and other held-out pairs: the same parameters and predictions to the bit."""
    users, items, values = triples()
    held_out = np.random.default_rng(1).random(len(users)) < 0.2
    kept = (users[~held_out], items[~held_out], values[~held_out])
    machines = []
    for validation in (
        None,
        (users[held_out], items[held_out], values[held_out]),
        (users[held_out], items[held_out], 6.0 - values[held_out]),
        (users[held_out][:5], items[held_out][:5], values[held_out][:5]),
    ):
        machine = CFRBM(40, 8, values=VALUES, weights=weights, seed=3)
        machines.append(machine.fit(csr(kept), 3, validation=validation))
    assert all(same(machines[0], other) for other in machines[1:])
    predictions = [m.predict(users[held_out], items[held_out]) for m in machines]
    assert all(np.array_equal(predictions[0], other) for other in predictions[1:])


def test_a_rating_does_not_reach_its_own_center() -> None:
    users, items, values = triples()
    centers = []
    for value in (1.0, 5.0):
        changed = values.copy()
        changed[17] = value
        machine = CFRBM(40, 4, values=VALUES, seed=3).fit(csr((users, items, changed)), 0)
        assert machine.ratings is not None
        assert machine.ratings.centers is not None
        centers.append(machine.ratings.centers)
    others = np.abs(centers[1] - centers[0])
    # The mean and other users' biases see it, faintly; its own user's and item's, in its own center, do not.
    assert others[17] < 0.3 * others[users == users[17]].max()


def test_memory_goes_with_the_ratings_not_with_users_times_items() -> None:
    """20 ratings each of 2000 users in 3000 items: a dense array of levels would take 240 MB."""
    n_users, n_items, per_user = 2000, 3000, 20
    rng = np.random.default_rng(0)
    items = np.concatenate([rng.choice(n_items, per_user, replace=False) for _ in range(n_users)])
    x = (np.arange(n_users + 1) * per_user, items, rng.integers(1, 6, len(items)).astype(np.float64))
    machine = CFRBM(n_items, 4, values=VALUES, seed=0)
    tracemalloc.start()
    machine.fit(x, 1)
    machine.predict(np.arange(n_users), np.zeros(n_users, dtype=np.int64))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    parameters = sum(array.nbytes for array in machine.parameters().values())
    assert peak < 250 * len(items) + 6 * parameters + 2e6


@pytest.mark.parametrize("rule", ["pseudo-likelihood", "cd"])
def test_threads_do_not_change_a_bit(rule: str, set_threads: Callable[[int], None]) -> None:
    machines = []
    for threads in (1, 3):
        set_threads(threads)
        machines.append(fitted(rule=rule, epochs=3))
    assert same(*machines)
    assert not same(machines[0], CFRBM(40, 8, values=VALUES, seed=4).fit(csr(triples()), 3, rule=rule))


class Stop(train.Callback):
    """Interrupts the run after some updates, as Ctrl-C does."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, trainer: train.Trainer) -> None:
        if trainer.step == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("rule", ["pseudo-likelihood", "cd"])
@pytest.mark.parametrize("weights", ["ordinal", "softmax"])
def test_a_resumed_run_ends_in_the_same_bits(rule: str, weights: str, tmp_path: Path) -> None:
    """Stopped in the middle of an epoch, when some items lag behind."""

    def run(callbacks: list[train.Callback], resume: Path | None = None) -> CFRBM:
        machine = CFRBM(40, 8, values=VALUES, weights=weights, seed=3)
        return machine.fit(
            csr(triples()),
            5,
            rule=rule,
            k=train.Linear(1, 3, 4),
            learning_rate=train.Exponential(0.2, 0.9),
            batch_size=7,
            validation=triples(seed=9),
            callbacks=callbacks,
            resume=resume,
        )

    whole, checkpoint = run([]), tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        run([train.Checkpoint(checkpoint, every_steps=4), Stop(14)])
    resumed = run([], checkpoint)
    assert same(whole, resumed)
    assert (resumed.epochs_trained, resumed.steps_trained) == (5, 45)
    other = CFRBM(40, 8, values=VALUES, weights=weights, seed=3)
    with pytest.raises(ValueError, match="checkpoint of another run"):
        other.fit(csr(triples(seed=1)), 5, rule=rule, batch_size=7, resume=checkpoint)


def test_records_have_held_out_errors() -> None:
    records: list[dict[str, Any]] = []

    class Keep(train.Callback):
        def on_epoch(self, trainer: train.Trainer) -> None:
            records.append(trainer.history[-1])

    users, items, values = triples(seed=9)
    machine = fitted(epochs=2, validation=(users, items, values), callbacks=[Keep()])
    error = machine.predict(users, items) - values
    assert records[-1]["validation_rmse"] == pytest.approx(np.sqrt(np.mean(error**2)))
    assert records[-1]["validation_mae"] == pytest.approx(np.mean(np.abs(error)))
    assert records[-1]["log_conditional"] < 0
    assert records[-1]["k"] == 0


@pytest.mark.parametrize("weights", ["ordinal", "softmax"])
def test_files_hold_what_predictions_need(weights: str, tmp_path: Path) -> None:
    machine, (users, items, _) = fitted(weights, epochs=2), triples(seed=9)
    path = tmp_path / "machine.safetensors"
    machine.save(path)
    loaded = CFRBM.load(path)
    np.testing.assert_array_equal(loaded.predict(users, items), machine.predict(users, items))
    assert repr(loaded) == repr(machine)
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(FileFormatError):
        CFRBM.load(path)


def test_new_users_and_items_fall_back_on_biases_and_are_named() -> None:
    users, items, values = triples()
    kept = (users != 7) & (items != 11)
    machine = CFRBM(40, 8, values=VALUES, seed=3).fit(csr((users[kept], items[kept], values[kept])), 5)
    new_user, new_item = machine.unseen([7, 1, 500, 1], [0, 11, 11, 0])
    assert new_user.tolist() == [True, False, True, False]
    assert new_item.tolist() == [False, True, True, False]
    expected = machine.predict([7, 500], [0, 0])
    assert expected[0] == expected[1]
    assert machine.baseline is not None
    assert machine.baseline.user[7] == machine.baseline.item[11] == 0


def test_recommendations_are_the_best_unrated_items() -> None:
    machine, (users, items, _) = fitted(), triples()
    found, expected = machine.recommend(5, 6)
    rated = items[users == 5]
    unrated = np.setdiff1d(np.arange(40), rated)
    want = machine.predict(np.full(len(unrated), 5), unrated, method="mean-field")
    np.testing.assert_array_equal(found, unrated[np.argsort(-want, kind="stable")[:6]])
    assert (np.diff(expected) <= 0).all()
    assert len(machine.recommend(5, 1000)[0]) == len(unrated)


def test_sparse_matrices_are_read() -> None:
    users, items, values = triples()
    matrix = scipy.sparse.coo_array((values, (users, items)), shape=(60, 40))
    machine = CFRBM(40, 8, values=VALUES, seed=3).fit(matrix, 2, batch_size=16)
    assert same(machine, fitted(epochs=2))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ((np.array([0, 2]), np.array([0, 0]), np.array([1.0, 2.0])), "at most one"),
        ((np.array([0, 1]), np.array([40]), np.array([1.0])), "items in 0..39"),
        ((np.array([0, 1]), np.array([0]), np.array([1.5])), "ratings among"),
        ((np.array([0, 1]), np.array([0]), np.array([np.nan])), "ratings among"),
        ((np.array([0, 2]), np.array([0]), np.array([1.0])), "indptr"),
        ((np.array([0, 0]), np.array([], int), np.array([])), "at least one"),
        ((np.array([0, 1]), np.array([0]), np.array([1.0, 2.0])), "as many values"),
        (np.zeros((3, 40)), "scipy.sparse"),
        (scipy.sparse.csr_array((3, 39)), "40 columns"),
    ],
)
def test_bad_ratings_are_refused(x: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        CFRBM(40, 8, values=VALUES).fit(x, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "em"}, "rule"),
        ({"weight_decay": {"b_hid": 1.0}}, "weight_decay"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"rate_factors": {"bias": 1.0}}, "rate_factors"),
        ({"momentum": 1.0}, "momentum"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"k": 0, "rule": "cd"}, "k"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_bad_settings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        CFRBM(40, 8, values=VALUES).fit(csr(triples()), 1, **options)


def test_bad_arguments_are_refused() -> None:
    for options, message in (
        ({"values": [2.0, 1.0]}, "values"),
        ({"weights": "free"}, "weights"),
        ({"precision": 0.0}, "precision"),
        ({"item_shrinkage": -1.0}, "item_shrinkage"),
    ):
        with pytest.raises(ValueError, match=message):
            CFRBM(4, 2, **options)
    with pytest.raises(ValueError, match="never fitted"):
        CFRBM(4, 2).predict([0], [0])
    machine = fitted(epochs=0)
    assert machine.predict([], []).shape == (0,)
    with pytest.raises(ValueError, match="items"):
        machine.predict([0], [40])
    with pytest.raises(ValueError, match="one length"):
        machine.predict([0, 1], [4])
    with pytest.raises(TypeError, match="users"):
        machine.predict([0.5], [4])
    with pytest.raises(ValueError, match="method"):
        machine.predict([0], [4], method="modal")


def test_predictions_do_not_depend_on_how_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, (users, items, _) = fitted(epochs=2), triples(seed=9)
    whole = machine.predict(users, items)
    monkeypatch.setattr("hintoncore.models.cf_rbm._BLOCK_RATINGS", 37)
    np.testing.assert_array_equal(machine.predict(users, items), whole)
    order = np.random.default_rng(0).permutation(len(users))
    np.testing.assert_array_equal(machine.predict(users[order], items[order]), whole[order])
