"""A run that is killed and resumed ends in the same bytes as one that was never touched."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hintoncore import train
from hintoncore.models import RBM

CHILD = Path(__file__).with_name("resumable_run.py")


def start(folder: Path, mode: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, str(CHILD), str(folder), mode], stdout=subprocess.PIPE, text=True)


def finish(folder: Path, mode: str) -> None:
    process = start(folder, mode)
    process.communicate(timeout=60)
    assert process.returncode == 0


def without_times(metrics: Path) -> list[dict[str, object]]:
    records = [json.loads(line) for line in metrics.read_text().splitlines()]
    return [{name: value for name, value in record.items() if name != "seconds"} for record in records]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize("mode", ["cd", "pcd", "fpcd", "pt", "grey"])
def test_kill_9_at_random_points(tmp_path: Path, mode: str) -> None:
    """The child prints each update; it is killed soon after some of them, in an update or in the midst of saving."""
    rng = random.Random(mode)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    finish(whole, mode)
    steps_before = 0
    for _ in range(4):
        process = start(killed, mode)
        assert process.stdout is not None
        for _ in range(rng.randint(2, 12)):
            line = process.stdout.readline()
            assert line, "the child ended before it was killed"
        for _ in range(rng.randint(0, 20_000)):  # up to about a millisecond
            pass
        os.kill(process.pid, signal.SIGKILL)
        steps = int((line + process.stdout.read()).split()[-1])
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()
        assert steps > steps_before - 3, "the run went back by more than the steps between checkpoints"
        steps_before = steps
    finish(killed, mode)
    assert (killed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert without_times(killed / "metrics.jsonl") == without_times(whole / "metrics.jsonl")
    assert sorted(path.name for path in killed.iterdir()) == sorted(path.name for path in whole.iterdir())


@pytest.mark.parametrize("persistent", [False, True])
def test_every_step_of_a_run_can_be_gone_on_from(tmp_path: Path, persistent: bool) -> None:
    """Checkpoints after each of the 9 updates, the short last minibatches and the ends of epochs among them."""
    x = np.random.default_rng(0).integers(0, 2, (130, 12)).astype(np.float32)
    path, metrics = tmp_path / "c", tmp_path / "metrics.jsonl"
    settings = {
        "batch_size": 50,
        "persistent": persistent,
        "k": train.Step(((0, 1), (1.5, 3))),
        "learning_rate": train.Linear(0.3, 0.1, 3),
        "momentum": train.Exponential(0.9, 0.9),
        "validation": x[:40],
    }
    copies: list[Path] = []

    class Keep(train.Callback):
        runs_last = True

        def on_step(self, trainer: train.Trainer) -> None:
            copies.append(tmp_path / f"step{trainer.step}")
            trainer.save_checkpoint(copies[-1])

        def on_epoch(self, trainer: train.Trainer) -> None:
            copies.append(tmp_path / f"epoch{trainer.epoch}")
            trainer.save_checkpoint(copies[-1])

    def new_model() -> RBM:
        model = RBM(12, 5)
        model.w *= 300  # strong couplings: chains remember where they were
        return model

    whole = new_model().fit(x, epochs=3, callbacks=[train.MetricsWriter(metrics), Keep()], **settings)  # type: ignore[arg-type]
    records = without_times(metrics)
    assert len(copies) == 12
    for path in copies:
        resumed = new_model().fit(x, epochs=3, callbacks=[train.MetricsWriter(metrics)], resume=path, **settings)  # type: ignore[arg-type]
        for name, parameter in whole.parameters().items():
            np.testing.assert_array_equal(resumed.parameters()[name], parameter)
        assert without_times(metrics) == records
        assert (resumed.epochs_trained, resumed.steps_trained) == (3, 9)


def test_a_finished_run_can_be_extended(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 2, (130, 12)).astype(np.float32)
    RBM(12, 5).fit(x, epochs=2, callbacks=[train.Checkpoint(tmp_path / "c")])
    extended = RBM(12, 5).fit(x, epochs=5, resume=tmp_path / "c")
    np.testing.assert_array_equal(extended.w, RBM(12, 5).fit(x, epochs=5).w)
    unchanged = RBM(12, 5).fit(x, epochs=1, resume=tmp_path / "c")
    np.testing.assert_array_equal(unchanged.w, RBM(12, 5).fit(x, epochs=2).w)


def test_metrics_are_cut_back_or_brought_back_to_the_checkpoint(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 2, (130, 12)).astype(np.float32)
    metrics = tmp_path / "metrics.jsonl"
    callbacks = [train.MetricsWriter(metrics), train.Checkpoint(tmp_path / "c")]
    RBM(12, 5).fit(x, epochs=2, callbacks=callbacks)
    lines = metrics.read_text().splitlines()
    for damaged in ("\n".join([*lines, *lines, '{"epoch": 5, "st']), lines[0], ""):
        metrics.write_text(damaged)
        RBM(12, 5).fit(x, epochs=3, callbacks=callbacks[:1], resume=tmp_path / "c")
        assert [record["epoch"] for record in without_times(metrics)] == [1, 2, 3]
        assert metrics.read_text().splitlines()[:2] == lines
