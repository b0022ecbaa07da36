"""Deep belief nets against exact enumeration; training, files, arguments.

Statistical tests are deterministic by seed; a correct net would fail for at most one seed in a million.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_belief_net import (
    conditional,
    generation,
    memory_log_weights,
    memory_states,
    memory_transition,
    random_net,
    recognition,
    visible_distribution,
)

import hintoncore as hc
from hintoncore import reference as ref
from hintoncore import train
from hintoncore.bitmatrix import BitMatrix
from hintoncore.models import DBN, RBM
from hintoncore.train.associative import AssociativeLearning
from hintoncore.train.contrastive import CDSettings
from hintoncore.train.up_down import UpDown, UpDownSettings


def index_of(states: np.ndarray) -> np.ndarray:
    return np.asarray((states.astype(int) << np.arange(states.shape[1])).sum(axis=1))


def assert_distributed(index: np.ndarray, probabilities: np.ndarray) -> None:
    """Chi-square of independent draws, refused at z = 5 (one seed in 3.5e6); rare cells pooled."""
    observed = np.bincount(index, minlength=probabilities.size)
    expected = len(index) * probabilities
    rare = expected < 5
    observed = np.append(observed[~rare], observed[rare].sum())
    expected = np.append(expected[~rare], max(expected[rare].sum(), 1e-12))
    degrees = len(expected) - 1
    limit = degrees * (1 - 2 / (9 * degrees) + 5 * math.sqrt(2 / (9 * degrees))) ** 3
    assert float(((observed - expected) ** 2 / expected).sum()) < limit


@pytest.mark.parametrize("label", [None, 0, 2])
@pytest.mark.parametrize("sizes", [(4, 3, 2), (3, 2, 3, 2), (4, 3)], ids=str)
def test_samples_have_the_nets_distribution(sizes: tuple[int, ...], label: int | None) -> None:
    """20,000 independent chains of 60 steps, after which nothing is left of the start, with labels free or clamped."""
    net = random_net(sizes, n_labels=3)
    if label is None:
        weights = np.exp(memory_log_weights(net))
        mixed = np.linalg.matrix_power(memory_transition(net), 60)
        assert np.abs(mixed - weights / weights.sum()).max() < 1e-9
    samples = net.sample(20_000, 60, labels=label, rng=7)
    assert isinstance(samples, np.ndarray)
    assert_distributed(index_of(samples), visible_distribution(net, label))
    sampled, probs = net.sample(20_000, 60, labels=label, rng=8, return_probs=True)
    assert_distributed(index_of(sampled), visible_distribution(net, label))
    error = np.sqrt((probs * (1 - probs)).mean(axis=0) / len(probs))
    assert (np.abs(sampled.mean(axis=0) - probs.mean(axis=0)) < 5.5 * error).all()


def test_labels_are_exact_given_the_features() -> None:
    net = random_net((5, 4), n_labels=3)
    visible = ref.all_states(5)
    joint = np.exp(memory_log_weights(net)).reshape(len(visible), 3)
    expected = np.log(joint / joint.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(net.predict_log_proba(visible), expected, atol=1e-5)
    np.testing.assert_array_equal(net.predict(visible), expected.argmax(axis=1))
    energies = -memory_log_weights(net).reshape(len(visible), 3)
    np.testing.assert_allclose(net.top.free_energy(visible), energies, rtol=1e-5, atol=1e-5)
    unlabelled = random_net((5, 4))
    expected = -memory_log_weights(unlabelled)[:, None]
    np.testing.assert_allclose(unlabelled.top.free_energy(visible), expected, rtol=1e-5, atol=1e-5)


def test_inference_is_one_pass_of_recognition_weights() -> None:
    net = random_net((5, 4, 3, 2), n_labels=2)
    x = np.random.default_rng(0).random((300, 5), dtype=np.float32)
    means = x.astype(float)
    for number, layer in enumerate(net.layers):
        means = ref.sigmoid(means @ layer.up_w.astype(float) + layer.up_b)
        np.testing.assert_allclose(net.transform(x, layer=number + 1), means, atol=1e-6)
    np.testing.assert_array_equal(net.transform(x), net.transform(x, layer=2))
    top = ref.sigmoid(means @ net.top.w[:3].astype(float) + net.top.b_hid)
    np.testing.assert_allclose(net.transform(x, layer=3), top, atol=1e-6)
    bits = (x < 0.5).astype(np.float32)
    np.testing.assert_array_equal(net.transform(hc.BitMatrix.from_dense(bits)), net.transform(bits))


def outer_moments(weights: np.ndarray, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and second moment of ``left right^T`` where the pair (i, j) has probability ``weights[i, j]``."""
    first = np.einsum("ij,ia,jb->ab", weights, left, right)
    second = np.einsum("ij,ia,jb->ab", weights, left**2, right**2)
    return first, second


@pytest.mark.parametrize("steps", [1, 3])
def test_up_down_update_in_expectation(steps: int) -> None:
    """One update on 40,960 rows, rate 1, against the expectation by enumeration, in standard errors.

    41 parameters, two-sided, 6 standard errors: a false alarm for 1e-7 of the seeds.
    """
    net = random_net((3, 3, 2), n_labels=2)
    repeats = 8192
    rows, labels = ref.all_states(3)[[1, 3, 4, 6, 7]], np.array([0, 1, 1, 0, 1])
    x = np.tile(rows, (repeats, 1)).astype(np.float32)
    y = np.tile(labels, repeats)
    layer = net.layers[0]
    visible, hidden, states = ref.all_states(3), ref.all_states(3), memory_states(net)
    joint = np.zeros((len(visible), len(hidden)))  # wake: p(v, h1)
    joint[index_of(rows)] = recognition(net, 0)[index_of(rows)] / len(rows)
    memory = np.zeros(len(states))  # wake: p(h1, y)
    for row, label in zip(index_of(rows), labels, strict=True):
        memory += (recognition(net, 0)[row][:, None] * np.eye(2)[label]).ravel() / len(rows)
    after = memory @ np.linalg.matrix_power(memory_transition(net), steps)
    features_after = after.reshape(len(hidden), 2).sum(axis=1)
    fantasy = features_after[:, None] * generation(net, 0)  # sleep: p(h1, v)

    down = ref.sigmoid(hidden @ layer.down_w.astype(float) + layer.down_b)
    up = ref.sigmoid(visible @ layer.up_w.astype(float) + layer.up_b)
    top = ref.sigmoid(states @ net.top.w.astype(float) + net.top.b_hid)
    expected: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def delta(weights: np.ndarray, inputs: np.ndarray, targets: np.ndarray, outputs: np.ndarray) -> Any:
        """Moments of ``input (target - output(input))^T`` under ``weights[input, target]``."""
        difference = targets[None] - outputs[:, None]
        return (
            np.einsum("ij,ia,ijb->ab", weights, inputs, difference),
            np.einsum("ij,ia,ijb->ab", weights, inputs**2, difference**2),
        )

    always = np.ones((len(hidden), 1))
    expected["layers.0.down_w"] = delta(joint.T, hidden, visible, down)
    expected["layers.0.down_b"] = delta(joint.T, always, visible, down)
    expected["layers.0.up_w"] = delta(fantasy.T, visible, hidden, up)
    expected["layers.0.up_b"] = delta(fantasy.T, always, hidden, up)
    for name, left, right in (
        ("top.w", states, top),
        ("top.b_hid", np.ones((len(states), 1)), top),
        ("top.b_vis", states, np.ones((len(states), 1))),
    ):
        positive = outer_moments(np.diag(memory), left, right)
        negative = outer_moments(np.diag(after), left, right)
        # The phases are correlated: the sum of the standard errors bounds that of the difference.
        spread = sum(np.sqrt(np.maximum(second - first**2, 0)) for first, second in (positive, negative))
        expected[name] = (positive[0] - negative[0], spread**2 + (positive[0] - negative[0]) ** 2)

    before = {name: array.copy() for name, array in net.parameters().items()}
    settings = UpDownSettings.create(
        gibbs_steps=steps, batch_size=len(x), learning_rate=1.0, momentum=0.0, weight_decay=0.0
    )
    UpDown(net, x, y, settings).step(np.arange(len(x)), 0.0)
    checked = 0
    for name, array in net.parameters().items():
        mean, second = (moment.reshape(array.shape) for moment in expected[name])
        error = np.sqrt(np.maximum(second - mean**2, 0) / len(x)) + 1e-6
        assert (np.abs((array - before[name]) - mean) < 6 * error).all(), name
        checked += array.size
    assert checked == 41


@pytest.mark.parametrize("n_labels", [0, 3])
@pytest.mark.parametrize("persistent", [False, True])
def test_learning_of_the_memory_in_expectation(n_labels: int, persistent: bool) -> None:
    """CD-2 and PCD-2 with features given as probabilities; 6 standard errors of at most 23 parameters.

    The chains of PCD start at features of the training rows, so that the first update expects the same of both.
    """
    net = random_net((4, 3), n_labels=n_labels)
    repeats = 8192
    means = np.array([[0.9, 0.2, 0.5, 0.1], [0.1, 0.7, 0.3, 1.0]])
    labels = np.array([2, 0]) if n_labels else None
    x = np.tile(means, (repeats, 1)).astype(np.float32)
    y = None if labels is None else np.tile(labels, repeats)
    states = memory_states(net)
    p = conditional(means, ref.all_states(4)) / 2
    memory = p.sum(axis=0) if labels is None else sum(np.outer(p[i], np.eye(3)[labels[i]]).ravel() for i in (0, 1))
    settings = CDSettings.create(
        k=2,
        persistent=persistent,
        batch_size=len(x),
        n_chains=len(x) if persistent else None,
        learning_rate=1.0,
        momentum=0.0,
        weight_decay=0.0,
    )
    task = AssociativeLearning(net.top, x, y, settings)
    after = memory @ np.linalg.matrix_power(memory_transition(net), 2)
    hidden = ref.sigmoid(states @ net.top.w.astype(float) + net.top.b_hid)
    before = {name: array.copy() for name, array in net.top.parameters().items()}
    task.step(np.arange(len(x)), 0.0)
    for name, left, right in (
        ("w", states, hidden),
        ("b_hid", np.ones((len(states), 1)), hidden),
        ("b_vis", states, np.ones((len(states), 1))),
    ):
        (first, second), (first_after, second_after) = (
            outer_moments(np.diag(weights), left, right) for weights in (memory, after)
        )
        error = np.sqrt((second - first**2).clip(0) / len(x)) + np.sqrt(
            (second_after - first_after**2).clip(0) / len(x)
        )
        change = net.top.parameters()[name] - before[name]
        assert (
            np.abs(change - (first - first_after).reshape(change.shape)) < 6 * error.reshape(change.shape) + 1e-6
        ).all()


def test_persistent_chains_start_at_rows_spread_over_the_training_set() -> None:
    """With their labels; of 5 rows for 3 chains the first, the second and the fourth, of 2 for 5 some twice."""
    net = random_net((4, 3), n_labels=2)
    rows, labels = ref.all_states(4)[[3, 5, 7, 9, 11]].astype(np.float32), np.array([0, 1, 0, 1, 0])
    for n_rows, n_chains, expected in ((5, 3, [0, 1, 3]), (2, 5, [0, 0, 0, 1, 1])):
        settings = CDSettings.create(
            k=1,
            persistent=True,
            batch_size=n_rows,
            n_chains=n_chains,
            learning_rate=1.0,
            momentum=0.0,
            weight_decay=0.0,
        )
        task = AssociativeLearning(net.top, rows[:n_rows], labels[:n_rows], settings)
        tensors, _ = task.state()
        chains = BitMatrix(tensors["chains"], n_chains).to_dense()
        np.testing.assert_array_equal(chains, np.hstack([rows, np.eye(2)[labels]])[expected])


def test_greedy_layers_are_rbms_of_what_lies_below() -> None:
    x = (np.random.default_rng(1).random((90, 12)) < 0.3).astype(np.float32)
    net = DBN((12, 7, 5, 4), seed=5).fit(x, epochs=3, batch_size=20, learning_rate=0.1)
    first, second = (
        RBM(a, b, seed=s.seed) for a, b, s in zip((12, 7), (7, 5), map(seeds_of, (net, net), (0, 1)), strict=True)
    )
    first.fit(x, 3, batch_size=20, learning_rate=0.1)
    second.fit(first.transform(x), 3, batch_size=20, learning_rate=0.1)
    for layer, rbm in zip(net.layers, (first, second), strict=True):
        np.testing.assert_array_equal(layer.up_w, rbm.w)
        np.testing.assert_array_equal(layer.down_w, rbm.w.T)
        np.testing.assert_array_equal(layer.up_b, rbm.b_hid)
        np.testing.assert_array_equal(layer.down_b, rbm.b_vis)


def seeds_of(net: DBN, number: int) -> RBM:
    from hintoncore._streams import Stream, derive_seed

    return RBM(1, 1, seed=derive_seed(net.seed, Stream.WEIGHTS, number))


def test_it_learns_to_classify_digits_and_fine_tuning_helps() -> None:
    digits = hc.datasets.load("digits")
    net = DBN((64, 60, 150), n_labels=10, seed=1)
    net.fit(digits.train, digits.train_labels, epochs=20, batch_size=20, learning_rate=0.1)
    greedy = net.score(digits.test, digits.test_labels)
    assert greedy > 0.7
    net.fine_tune(digits.train, digits.train_labels, epochs=15, batch_size=20, learning_rate=0.1, momentum=0.5)
    assert net.score(digits.test, digits.test_labels) > max(greedy, 0.82)
    assert (net.layers_trained, net.epochs_trained, net.steps_trained) == (2, 15, 15 * 75)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("labelled", [True, False])
def test_every_step_can_be_gone_on_from(tmp_path: Path, binary: bool, labelled: bool) -> None:
    """Of the memory's learning and of fine-tuning, the short last minibatch and the ends of epochs among them."""
    rng = np.random.default_rng(2)
    x = rng.random((50, 9), dtype=np.float32)
    x = (x < 0.4).astype(np.float32) if binary else x
    y = rng.integers(0, 3, 50) if labelled else None
    copies: list[tuple[str, Path]] = []

    class Keep(train.Callback):
        runs_last = True

        def __init__(self, kind: str) -> None:
            self.kind = kind

        def on_step(self, trainer: train.Trainer) -> None:
            copies.append((self.kind, tmp_path / f"{self.kind}{trainer.step}"))
            trainer.save_checkpoint(copies[-1][1])

        def on_epoch(self, trainer: train.Trainer) -> None:
            copies.append((self.kind, tmp_path / f"{self.kind}-epoch{trainer.epoch}"))
            trainer.save_checkpoint(copies[-1][1])

    fine: dict[str, Any] = {"batch_size": 20, "gibbs_steps": train.Step(((0, 1), (1, 3))), "weight_decay": 0.001}
    top: dict[str, Any] = {"batch_size": 20, "persistent": True, "n_chains": 11, "momentum": 0.5}

    def net(kinds: dict[str, Path]) -> DBN:
        net = DBN((9, 6, 5), n_labels=3 if labelled else 0, seed=4)
        net.fit_layer(0, x, y, 1)
        net.fit_layer(1, x, y, 2, callbacks=[] if kinds else [Keep("top")], resume=kinds.get("top"), **top)
        net.fine_tune(x, y, 2, callbacks=[] if kinds else [Keep("fine")], resume=kinds.get("fine"), **fine)
        return net

    whole = net({})
    assert len(copies) == 16
    for kind, path in copies:
        resumed = net({kind: path})
        for name, array in whole.parameters().items():
            np.testing.assert_array_equal(resumed.parameters()[name], array, err_msg=f"{path} {name}")
        assert (resumed.epochs_trained, resumed.steps_trained) == (2, 6)
    with pytest.raises(ValueError, match="gibbs_steps"):
        net({"fine": copies[-1][1]}).fine_tune(x, y, 2, batch_size=20, resume=copies[-1][1])
    if labelled:
        assert y is not None
        with pytest.raises(ValueError, match="labels"):
            whole.fine_tune(x, y[::-1], 2, resume=copies[-1][1], **fine)


def test_save_and_load(tmp_path: Path) -> None:
    net = random_net((5, 4, 3), n_labels=2)
    net.epochs_trained, net.steps_trained = 3, 70
    net.save(tmp_path / "net")
    loaded = DBN.load(tmp_path / "net")
    assert repr(loaded) == repr(net) == "DBN((5, 4, 3), n_labels=2, seed=0)"
    assert (loaded.layers_trained, loaded.epochs_trained, loaded.steps_trained) == (2, 3, 70)
    for name, array in net.parameters().items():
        np.testing.assert_array_equal(loaded.parameters()[name], array)
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "net").read_bytes()
    RBM(3, 2).save(tmp_path / "rbm")
    with pytest.raises(hc.files.FileFormatError, match="dbn"):
        DBN.load(tmp_path / "rbm")


def test_bad_arguments_are_refused_by_name() -> None:
    x, y = np.zeros((6, 5), np.float32), np.arange(6) % 2
    net = random_net((5, 4, 3), n_labels=2)
    plain = random_net((5, 4, 3))
    cases: list[tuple[type[Exception], str, Any]] = [
        (ValueError, "sizes", lambda: DBN((5,))),
        (ValueError, "sizes", lambda: DBN((5, 0, 3))),
        (ValueError, "n_labels", lambda: DBN((5, 4), n_labels=1)),
        (ValueError, "y", lambda: net.fit(x)),
        (ValueError, "y", lambda: plain.fit(x, y)),
        (ValueError, "y", lambda: net.fit(x, y + 1)),
        (ValueError, "y", lambda: net.fit(x, y[:5])),
        (TypeError, "y", lambda: net.fit(x, y / 2)),
        (ValueError, "X", lambda: net.fit(x[:, :4], y)),
        (ValueError, "number", lambda: DBN((5, 4, 3), 2).fit_layer(1, x, y)),
        (ValueError, "number", lambda: net.fit_layer(2, x, y)),
        (ValueError, "learning_rate", lambda: net.fine_tune(x, y, learning_rate=-1.0)),
        (ValueError, "gibbs_steps", lambda: net.fine_tune(x, y, gibbs_steps=0)),
        (ValueError, "weight_decay", lambda: net.fine_tune(x, y, weight_decay=-1.0)),
        (ValueError, "without labels", lambda: net.add_layer(3)),
        (ValueError, "trained", lambda: DBN((5, 4)).add_layer(3)),
        (ValueError, "label units", lambda: plain.predict(x)),
        (ValueError, "labels", lambda: plain.sample(2, labels=1)),
        (ValueError, "labels", lambda: net.sample(2, labels=[0, 2])),
        (ValueError, "labels", lambda: net.sample(2, labels=[0, 1, 0])),
        (ValueError, "layer", lambda: net.transform(x, layer=0)),
        (ValueError, "X", lambda: net.transform(x + 2)),
    ]
    for kind, word, call in cases:
        with pytest.raises(kind, match=word):
            call()
