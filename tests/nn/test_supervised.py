"""Supervised training: optimisers learn, clipping clips, and a resumed run is bit-identical."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import hintoncore as hc
from hintoncore import nn
from hintoncore.train import Callback, Linear, Supervised, Trainer

OPTIMISERS: dict[str, Callable[[], nn.Optimiser]] = {
    "sgd": lambda: nn.SGD(0.3, weight_decay=1e-4),
    "momentum": lambda: nn.Momentum(Linear(0.1, 0.02, 6), 0.9),
    "nesterov": lambda: nn.Nesterov(0.05, Linear(0.5, 0.9, 3), clip_norm=1.0),
    "rmsprop": lambda: nn.RMSprop(0.003),
    "rmsprop with momentum": lambda: nn.RMSprop(0.001, momentum=0.9),
    "adam": lambda: nn.Adam(0.01, weight_decay=0.01),
}


def task(optimiser: nn.Optimiser, seed: int = 0) -> Supervised:
    """Which quarter of the plane a point is in, from noisy copies of its coordinates."""
    rng = np.random.default_rng(1)
    points = rng.standard_normal((330, 2))
    x = np.repeat(points, 5, axis=1).astype(np.float32) + rng.normal(0, 0.05, (330, 10)).astype(np.float32)
    target = (points[:, 0] > 0) * 2 + (points[:, 1] > 0)
    draws = hc.Generator(seed)
    model = nn.Sequential(
        [
            nn.Linear(10, 40, activation="relu", rng=draws, max_norm=3.0),
            nn.Dropout(0.2, rng=draws),
            nn.Linear(40, 4, rng=draws),
        ]
    )
    return Supervised(
        model,
        x[:250],
        target[:250],
        loss=nn.SoftmaxCrossEntropy(),
        optimiser=optimiser,
        seed=seed,
        validation=(x[250:], target[250:]),
        evaluation_rows=33,
    )


@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimisers_learn(name: str) -> None:
    trainer = Trainer(task(OPTIMISERS[name]()), batch_size=30)
    trainer.run(12)
    first, last = trainer.history[0], trainer.history[-1]
    assert last["loss"] < 0.6 * first["loss"]
    assert last["validation_error"] <= 0.1
    assert {"error", "validation_loss", "learning_rate"} <= last.keys()


class StopAfter(Callback):
    """Ends the process's run, as a kill would, after some updates."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step(self, trainer: Trainer) -> None:
        if trainer.step == self.steps:
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("stop", [3, 9, 22])
def test_resumed_runs_are_bit_identical(tmp_path: Path, name: str, stop: int) -> None:
    """Stopped in the middle of an epoch, at its end, and later: dropout counters, order and state all go on."""
    whole = Trainer(task(OPTIMISERS[name]()), batch_size=30)
    whole.run(4)
    part = Trainer(task(OPTIMISERS[name]()), batch_size=30, callbacks=[StopAfter(stop)])
    with pytest.raises(KeyboardInterrupt):
        part.run(4)
    part.save_checkpoint(tmp_path / "checkpoint.safetensors")
    rest = Trainer(task(OPTIMISERS[name]()), batch_size=30)
    rest.load_checkpoint(tmp_path / "checkpoint.safetensors")
    rest.run(4)
    for one, two in zip(whole.task.model.parameters().values(), rest.task.model.parameters().values(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert whole.task.state()[1] == rest.task.state()[1]
    for one, two in zip(whole.history, rest.history, strict=True):
        assert {**one, "seconds": 0} == {**two, "seconds": 0}


def test_checkpoints_of_other_settings_are_refused(tmp_path: Path) -> None:
    trainer = Trainer(task(nn.SGD(0.1)), batch_size=30)
    trainer.run(1)
    trainer.save_checkpoint(tmp_path / "checkpoint.safetensors")
    with pytest.raises(ValueError, match=r"optimiser\.learning_rate"):
        Trainer(task(nn.SGD(0.2)), batch_size=30).load_checkpoint(tmp_path / "checkpoint.safetensors")
    with pytest.raises(ValueError, match="seed"):
        Trainer(task(nn.SGD(0.1), seed=1), batch_size=30).load_checkpoint(tmp_path / "checkpoint.safetensors")


def test_results_do_not_depend_on_threads(set_threads: Callable[[int], None]) -> None:
    results = []
    for threads in (1, 2, 3):
        set_threads(threads)
        trainer = Trainer(task(nn.Adam(0.01, clip_norm=0.5)), batch_size=64)
        trainer.run(2)
        results.append([value.copy() for value in trainer.task.model.parameters().values()])
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_clipping_scales_to_the_joint_norm() -> None:
    model = nn.Sequential([nn.Linear(4, 3, rng=0), nn.Linear(3, 2, rng=1)])
    before = {name: value.astype(np.float64) for name, value in model.parameters().items()}
    for gradient in model.gradients().values():
        gradient[...] = 2.0
    nn.SGD(1.0, clip_norm=0.1).step(model)
    moved = np.concatenate([(before[name] - value).ravel() for name, value in model.parameters().items()])
    assert abs(np.linalg.norm(moved) - 0.1) < 1e-6
    assert np.ptp(moved) < 1e-7


def test_divergence_is_an_error() -> None:
    diverging = Trainer(task(nn.SGD(1e20)), batch_size=30)
    with pytest.raises(FloatingPointError):
        diverging.run(3)


def test_errors() -> None:
    model, loss = nn.Linear(3, 2, rng=0), nn.SoftmaxCrossEntropy()
    x = np.ones((5, 3), np.float32)
    with pytest.raises(ValueError, match="target"):
        Supervised(model, x, np.zeros(4, int), loss=loss, optimiser=nn.SGD(0.1))
    with pytest.raises(ValueError, match="x"):
        Supervised(model, x[:0], np.zeros(0, int), loss=loss, optimiser=nn.SGD(0.1))
    with pytest.raises(ValueError, match="weight_decay"):
        nn.SGD(0.1, weight_decay=-1)
    with pytest.raises(ValueError, match="clip_norm"):
        nn.SGD(0.1, clip_norm=0)
