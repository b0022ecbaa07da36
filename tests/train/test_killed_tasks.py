"""Every task of ``hintoncore.train``, killed by SIGKILL in the midst of an epoch, goes on to the same bytes."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from resumable_tasks import KILLED_AT, SAVE_EVERY, TASKS

import hintoncore.train
from hintoncore import train
from hintoncore.files import load_tensors

CHILD = Path(__file__).with_name("resumable_tasks.py")


class Note(train.Callback):
    """Which task runs, and at which update it began."""

    def on_start(self, trainer: train.Trainer) -> None:
        self.task, self.first_step = type(trainer.task).__name__, trainer.step


def end(path: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Every array of the last checkpoint, and its counters and records without their times."""
    tensors, metadata = load_tensors(path, kind="checkpoint")
    state = metadata["trainer"]
    assert state["epoch"] == 3
    for record in (state, *state["history"]):
        del record["seconds"]
    return {name: array.tobytes() for name, array in tensors.items()}, metadata


def test_every_task_is_here() -> None:
    tasks = set()
    for module in pkgutil.iter_modules(hintoncore.train.__path__, "hintoncore.train."):
        for name, cls in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if cls is not train.Task and all(callable(getattr(cls, method, None)) for method in ("step", "load_state")):
                tasks.add(name)
    one_update_an_epoch = {"KalmanEM"}  # resumed in tests/models/test_linear_dynamics.py
    assert tasks - {"Optimiser"} - one_update_an_epoch == set(TASKS)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize("name", TASKS)
def test_killed_in_an_epoch(tmp_path: Path, name: str) -> None:
    whole, killed, note = tmp_path / "whole", tmp_path / "killed", Note()
    TASKS[name]([train.Checkpoint(whole, every_steps=SAVE_EVERY)], None)
    assert subprocess.run([sys.executable, str(CHILD), name, str(killed)], check=False).returncode == -signal.SIGKILL
    TASKS[name]([note, train.Checkpoint(killed, every_steps=SAVE_EVERY)], killed)
    assert (note.task, note.first_step) == (name, KILLED_AT - KILLED_AT % SAVE_EVERY)
    assert end(killed) == end(whole)
