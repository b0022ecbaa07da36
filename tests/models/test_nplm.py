"""The neural language model: gradients, probabilities, what it learns, its files, resuming with the best epoch kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import hintoncore as hc
from hintoncore import nn
from hintoncore.models import NPLM
from hintoncore.models.nplm import WordCrossEntropy
from hintoncore.train import Callback, Checkpoint, KeepBest, Supervised, Trainer

WORDS, CONTEXT = 11, 3


def _model(seed: int = 0, **settings: Any) -> NPLM:
    return NPLM(WORDS, context=CONTEXT, n_features=5, n_hidden=7, rng=hc.Generator(seed), **settings)


def _windows(n: int, seed: int = 0, bag: int = 0) -> NDArray[np.int32]:
    """The last word is the first of the context, or the one after it when the third is large."""
    x = np.random.default_rng(seed).integers(0, WORDS, (n, bag + CONTEXT))
    return np.column_stack([x, (x[:, bag] + (x[:, bag + 2] > WORDS // 2)) % WORDS]).astype(np.int32)


@pytest.mark.parametrize("bag", [0, 4])
@pytest.mark.parametrize("direct", [False, True])
def test_gradients(direct: bool, bag: int) -> None:
    windows = _windows(20, bag=bag)
    windows[:5, : bag + 1] = WORDS  # no word
    model = _model(direct=direct, bag=bag, bag_features=3, feature_dropout=0.2, hidden_dropout=0.3)
    for value in model.parameters().values():  # the initial ones are too small to tell much
        value[...] = 0.3 * np.random.default_rng(1).standard_normal(value.shape)
    check = nn.check_gradients(model, windows[:, :-1], windows[:, -1], samples=30)
    assert check.largest_difference <= 1e-6
    assert check.largest_kernel_error <= 1e-4


@pytest.mark.parametrize("direct", [False, True])
def test_it_is_the_formula_of_the_paper(direct: bool) -> None:
    model, windows = _model(direct=direct), _windows(9)
    p = {name: value.astype(np.float64) for name, value in model.parameters().items()}
    embedding, h, d, u, b = p.values()
    x = embedding[windows[:, :-1]].reshape(9, -1)
    hidden = np.tanh(d + x @ h)
    y = b + hidden @ u[:7] + (x @ u[7:] if direct else 0)
    expected = np.exp(y) / np.exp(y).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.distribution(windows[:, :-1]), expected, rtol=1e-5)
    log_prob = np.log(expected[np.arange(9), windows[:, -1]])
    np.testing.assert_allclose(model.log_prob(windows), log_prob, rtol=1e-5)
    assert model.perplexity(windows) == pytest.approx(np.exp(-log_prob.mean()), rel=1e-5)
    assert (u.shape[0] == 7) is not direct


@pytest.mark.parametrize("direct", [False, True])
def test_the_bag_is_one_more_part_of_the_input(direct: bool) -> None:
    bag = 4
    model, windows = _model(direct=direct, bag=bag, bag_features=2), _windows(9, bag=bag)
    windows[:3, :2] = WORDS  # no word
    about, embedding, h, d, u, b = (value.astype(np.float64) for value in model.parameters().values())
    there = windows[:, :bag, None] < WORDS
    added = np.sum(about[np.where(there[..., 0], windows[:, :bag], 0)] * there, axis=1) / np.sqrt(there.sum(axis=1))
    x = np.column_stack([added, embedding[windows[:, bag:-1]].reshape(9, -1)])
    y = b + np.column_stack([np.tanh(d + x @ h), x][: 1 + direct]) @ u
    log_prob = y[np.arange(9), windows[:, -1]] - np.log(np.exp(y).sum(axis=1))
    np.testing.assert_allclose(model.log_prob(windows), log_prob, rtol=1e-5)
    assert model.before == bag + CONTEXT
    assert model.vectors.shape == (WORDS, 5)
    assert _model(bag=bag).parameters()["0.0.w"].shape == (WORDS, 5)  # as wide as the others unless told


def test_it_learns_from_the_bag() -> None:
    draw = np.random.default_rng(3)
    about = draw.integers(0, WORDS, 2000)  # what a text is about: a word of each bag, somewhere, and the last word
    windows = _windows(2000, seed=4, bag=4)
    windows[np.arange(2000), draw.integers(0, 4, 2000)] = about
    windows[:, -1] = about
    losses = {}
    for bag in (0, 4):
        model = _model(bag=bag, bag_features=8)
        task = Supervised(model, windows[:, 4 - bag : -1], about, loss=WordCrossEntropy(), optimiser=nn.Adam(0.02))
        trainer = Trainer(task, batch_size=50)
        trainer.run(5)
        losses[bag] = trainer.history[-1]["loss"]
    assert losses[0] > 0.9 * np.log(WORDS)
    assert losses[4] < 0.8 * np.log(WORDS)


def test_log_prob_goes_through_many_windows_in_parts() -> None:
    model, windows = _model(), _windows(600)
    together = model.log_prob(windows)
    one_by_one = [model.log_prob(windows[i : i + 1])[0] for i in (0, 255, 256, 511, 512, 599)]
    np.testing.assert_allclose(together[[0, 255, 256, 511, 512, 599]], one_by_one, rtol=1e-6)


def test_the_loss_in_place_is_the_loss() -> None:
    y = np.random.default_rng(2).standard_normal((6, WORDS)).astype(np.float32)
    target = np.arange(6)
    value, gradient = nn.SoftmaxCrossEntropy()(y.copy(), target)
    exact, exact_gradient = WordCrossEntropy()(y.astype(np.float64), target)
    logits = y.copy()
    found, in_place = WordCrossEntropy()(logits, target)
    assert in_place is logits
    assert found == value
    np.testing.assert_array_equal(in_place, gradient)
    np.testing.assert_allclose(gradient, exact_gradient, atol=1e-7)
    assert value == pytest.approx(exact, rel=1e-6)
    assert WordCrossEntropy().errors(y, target) is None


class _Stop(Callback):
    def on_step(self, trainer: Trainer) -> None:
        if trainer.step == 50:
            raise InterruptedError


def _trainer(folder: Path, *more: Callback) -> tuple[NPLM, Trainer, KeepBest]:
    windows, held_out = _windows(3000), _windows(300, seed=9)
    model = _model(hidden_dropout=0.1)
    best = KeepBest(folder / "best.safetensors")
    task = Supervised(
        model,
        windows[:, :-1],
        windows[:, -1],
        loss=WordCrossEntropy(),
        optimiser=nn.Adam(0.02),
        validation=(held_out[:, :-1], held_out[:, -1]),
    )
    return model, Trainer(task, batch_size=100, callbacks=[best, Checkpoint(folder / "run.safetensors"), *more]), best


def test_it_learns_and_resumes_bit_identically_with_the_best_epoch(tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    whole.mkdir()
    halves.mkdir()
    model, trainer, best = _trainer(whole)
    trainer.run(6)
    losses = [record["validation_loss"] for record in trainer.history]
    assert losses[-1] < 0.5 * np.log(WORDS)  # chance is log 11
    assert (best.best, best.best_epoch) == (min(losses), int(np.argmin(losses)) + 1)

    with pytest.raises(InterruptedError):
        _trainer(halves, _Stop())[1].run(6)
    other, resumed, kept = _trainer(halves)
    resumed.load_checkpoint(halves / "run.safetensors")
    resumed.run(6)
    for name, value in model.parameters().items():
        np.testing.assert_array_equal(other.parameters()[name], value)
    assert (kept.best, kept.best_epoch) == (best.best, best.best_epoch)


def test_the_best_epoch_is_restored(tmp_path: Path) -> None:
    model, trainer, best = _trainer(tmp_path)
    trainer.run(1)
    good = model.vectors.copy()
    trainer.history.append({"validation_loss": 1e9})
    model.vectors[...] = 0
    best.on_epoch(trainer)  # worse: not kept
    best.restore(trainer)
    np.testing.assert_array_equal(model.vectors, good)
    model.vectors[...] = 1
    trainer.history.append({"validation_loss": 0.0})
    best.on_epoch(trainer)
    best.restore(trainer)
    np.testing.assert_array_equal(model.vectors, np.ones_like(good))
    for useless in ({}, {"validation_loss": float("nan")}):
        trainer.history.append(useless)
        best.on_epoch(trainer)
    assert best.best == 0.0


def test_neighbours_by_cosine() -> None:
    model = _model()
    model.vectors[...] = 0
    model.vectors[:, 0] = 1
    model.vectors[:, 1] = [0, 3, 1, 2, -1, 4, 5, 6, 7, 8, 9]
    assert model.neighbours(2, 3) == [3, 1, 5]
    assert model.neighbours(2, 3, among=4) == [3, 1, 0]
    model.vectors[3] *= 10  # length does not count
    assert model.neighbours(2, 1) == [3]


def test_bad_input_is_named() -> None:
    model = _model()
    for bad in (np.zeros(4, int), np.zeros((2, CONTEXT), int)):
        with pytest.raises(ValueError, match="windows"):
            model.log_prob(bad)
    for word in (-1, WORDS + 1):
        with pytest.raises(ValueError, match="index"):
            model.log_prob(np.full((1, CONTEXT + 1), word))
    with pytest.raises(ValueError, match="n_words"):
        NPLM(1, context=2, n_features=2, n_hidden=2, rng=0)
    with pytest.raises(ValueError, match="bag"):
        _model(bag=-1)
    with pytest.raises(ValueError, match="n_features"):
        _model(bag=3, bag_features=0)
    for name in ("context", "n_features", "n_hidden"):
        settings: dict[str, Any] = {"context": 2, "n_features": 2, "n_hidden": 2, name: 0}
        with pytest.raises(ValueError, match=r"context|n_features|n_in|n_out"):
            NPLM(5, rng=0, **settings)
