"""The loop and its callbacks: order, records, early stopping, interruption, and checkpoints of other runs."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hintoncore as hc
from hintoncore import train
from hintoncore.files import FileFormatError, load_tensors, save_tensors
from hintoncore.models import RBM


def data(rows: int = 130, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (rows, 12)).astype(np.float32)


class Recorder(train.Callback):
    """Notes every call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int]] = []

    def note(self, event: str, trainer: train.Trainer) -> None:
        self.calls.append((event, trainer.epoch, trainer.batch))

    def on_start(self, trainer: train.Trainer) -> None:
        self.note("start", trainer)

    def on_step(self, trainer: train.Trainer) -> None:
        self.note("step", trainer)

    def on_epoch(self, trainer: train.Trainer) -> None:
        self.note("epoch", trainer)

    def on_interrupt(self, trainer: train.Trainer) -> None:
        self.note("interrupt", trainer)

    def on_end(self, trainer: train.Trainer) -> None:
        self.note("end", trainer)

    def close(self, trainer: train.Trainer) -> None:
        self.note("close", trainer)


class RecordingTask:
    """A task that only notes which rows it is given."""

    model: Any = None
    n_rows = 10
    order_seed = 5

    def __init__(self) -> None:
        self.seen: list[tuple[float, list[int]]] = []

    def step(self, rows: np.ndarray, epoch: float) -> dict[str, float]:
        self.seen.append((epoch, rows.tolist()))
        return {"first": float(rows[0])}

    def end_epoch(self) -> None: ...

    def evaluate(self, epoch: float) -> dict[str, float]:
        return {"time": epoch}

    def running_estimate(self) -> dict[str, float]:
        return {}

    def describe(self) -> dict[str, Any]:
        return {}

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return {}, {}

    def load_state(self, tensors: Any, counters: Any) -> None: ...


def test_epochs_visit_every_row_once_in_an_order_of_their_own() -> None:
    task = RecordingTask()
    trainer = train.Trainer(task, batch_size=4)
    trainer.run(2)
    assert [len(rows) for _, rows in task.seen] == [4, 4, 2] * 2
    assert [epoch for epoch, _ in task.seen] == pytest.approx([0, 1 / 3, 2 / 3, 1, 4 / 3, 5 / 3])
    orders = [[row for _, rows in task.seen[3 * e : 3 * e + 3] for row in rows] for e in range(2)]
    for epoch, order in enumerate(orders):
        assert sorted(order) == list(range(10))
        assert order == hc.Generator(5, epoch).permutation(10).tolist()
    assert orders[0] != orders[1]


def test_records_average_over_rows_not_over_minibatches() -> None:
    task = RecordingTask()
    trainer = train.Trainer(task, batch_size=4)
    trainer.run(1)
    firsts = [rows[0] for _, rows in task.seen]
    record = trainer.history[0]
    assert record["first"] == pytest.approx((4 * firsts[0] + 4 * firsts[1] + 2 * firsts[2]) / 10)
    assert (record["epoch"], record["step"], record["time"]) == (1, 3, 0.0)


def test_events_come_in_order() -> None:
    recorder = Recorder()
    RBM(12, 3).fit(data(), epochs=2, batch_size=100, callbacks=[recorder])
    assert recorder.calls == [
        ("start", 0, 0),
        ("step", 0, 1),
        ("step", 0, 2),
        ("epoch", 1, 0),
        ("step", 1, 1),
        ("step", 1, 2),
        ("epoch", 2, 0),
        ("end", 2, 0),
        ("close", 2, 0),
    ]


def test_callbacks_are_closed_after_an_error() -> None:
    class Failing(train.Callback):
        def on_step(self, trainer: train.Trainer) -> None:
            raise RuntimeError("told to")

    recorder = Recorder()
    with pytest.raises(RuntimeError, match="told to"):
        RBM(12, 3).fit(data(), epochs=1, callbacks=[recorder, Failing()])
    assert recorder.calls[-1][0] == "close"
    assert "end" not in {event for event, _, _ in recorder.calls}


def test_monitoring_metrics() -> None:
    recorder: list[dict[str, Any]] = []

    class Keep(train.Callback):
        def on_epoch(self, trainer: train.Trainer) -> None:
            recorder.append(trainer.history[-1])

    held_out = data(70, seed=1)
    model = RBM(12, 3).fit(
        data(),
        epochs=2,
        learning_rate=train.Linear(0.2, 0, 2),
        validation=held_out,
        callbacks=[Keep(), train.LogLikelihood(held_out, name="exact", every_epochs=2)],
    )
    first, last = recorder
    assert "exact" not in first
    assert last["exact"] == pytest.approx(model.log_likelihood(held_out))
    assert (first["learning_rate"], last["learning_rate"]) == (0.2, 0.1)
    assert (last["momentum"], last["k"]) == (0.5, 1)
    train_energy, held_out_energy = model.free_energy(data()).mean(), model.free_energy(held_out).mean()
    assert last["train_free_energy"] == pytest.approx(train_energy)
    assert last["free_energy_gap"] == pytest.approx(held_out_energy - train_energy)
    # 12 nearly independent fair bits: 12 log 2 = 8.3 nats to lose, and half of them wrong after reconstruction.
    assert -9.5 < last["pseudo_log_likelihood"] < -7.5
    assert -9.5 < last["validation_pseudo_log_likelihood"] < -7.5
    assert 0.4 < last["reconstruction_error"] < 0.6
    assert 0.3 < last["hidden_mean"] < 0.7


def test_persistent_training_and_grey_data_have_their_metrics() -> None:
    records: list[dict[str, Any]] = []

    class Keep(train.Callback):
        def on_epoch(self, trainer: train.Trainer) -> None:
            records.append(trainer.history[-1])

    RBM(12, 3).fit(data(), epochs=1, persistent=True, callbacks=[Keep()])
    assert 0.4 < records[-1]["reconstruction_error"] < 0.6
    RBM(12, 3).fit(data() * 0.5, epochs=1, callbacks=[Keep()])
    assert "pseudo_log_likelihood" not in records[-1]
    assert "reconstruction_error" in records[-1]


def test_watching_does_not_change_training(tmp_path: Path) -> None:
    plain = RBM(12, 3).fit(data(), epochs=3)
    watched = RBM(12, 3).fit(
        data(),
        epochs=3,
        validation=data(50, seed=2),
        callbacks=[
            train.ProgressBar(refresh_seconds=0.0),
            train.LogLikelihood(data()),
            train.Checkpoint(tmp_path / "c", every_steps=1),
        ],
    )
    assert np.array_equal(plain.w, watched.w)


def test_progress_bar_shows_the_likelihood_estimate(capsys: pytest.CaptureFixture[str]) -> None:
    RBM(12, 3).fit(data(), epochs=2, callbacks=[train.ProgressBar(refresh_seconds=0.0)])
    shown = capsys.readouterr().err
    assert "epoch 2/2" in shown
    assert "pseudo_log_likelihood=-" in shown
    assert "reconstruction_error=0." in shown


# Early stopping


@pytest.mark.parametrize(
    ("mode", "values", "epochs"),
    [
        ("max", [1, 2, 2, 2, 9], 4),
        ("min", [3, 2, 2.5, 2, 0], 4),
        ("max", [1, 2, 1, 3, 2, 2, 9], 6),
        ("max", [1, None, None, None, 2], 5),
        ("max", [1, 1.05, 1.08, 9], 3),
    ],
)
def test_early_stopping(mode: str, values: list[float | None], epochs: int) -> None:
    class Feed(train.Callback):
        def evaluate(self, trainer: train.Trainer) -> dict[str, float]:
            value = values[trainer.epoch]
            return {} if value is None else {"fed": value}

    stop = train.EarlyStopping("fed", patience=2, mode=mode, min_delta=0.1)
    model = RBM(12, 3).fit(data(), epochs=len(values), callbacks=[stop, Feed()])
    assert model.epochs_trained == epochs


def test_an_early_stop_outlives_a_resumption(tmp_path: Path) -> None:
    def run(epochs: int, resume: Path | None = None) -> RBM:
        stop = train.EarlyStopping("hidden_mean", patience=2, min_delta=10.0)
        return RBM(12, 3).fit(data(), epochs, callbacks=[train.Checkpoint(tmp_path / "c"), stop], resume=resume)

    assert run(50).epochs_trained == 3
    assert run(50, tmp_path / "c").epochs_trained == 3
    assert run(2).epochs_trained == 2
    assert run(50, tmp_path / "c").epochs_trained == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda: train.EarlyStopping("x", mode="up"),
        lambda: train.EarlyStopping("x", patience=0),
        lambda: train.EarlyStopping("x", min_delta=-1),
        lambda: train.Checkpoint("x", every_epochs=0),
        lambda: train.Checkpoint("x", every_steps=0),
        lambda: train.LogLikelihood(data(), every_epochs=0),
    ],
)
def test_callback_settings_out_of_range_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        make()


# Checkpoints


@pytest.mark.parametrize(
    ("every_epochs", "every_steps", "saved"),
    [
        (1, None, [(1, 0), (2, 0), (3, 0)]),
        (2, None, [(2, 0), (3, 0)]),
        (5, 4, [(1, 1), (2, 2), (3, 0)]),
    ],
)
def test_when_checkpoints_are_saved(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    every_epochs: int,
    every_steps: int | None,
    saved: list[tuple[int, int]],
) -> None:
    places: list[tuple[int, int]] = []
    save_checkpoint = train.Trainer.save_checkpoint

    def watched(trainer: train.Trainer, path: Path) -> None:
        save_checkpoint(trainer, path)
        state = load_tensors(path, kind="checkpoint")[1]["trainer"]
        places.append((state["epoch"], state["batch"]))

    monkeypatch.setattr(train.Trainer, "save_checkpoint", watched)
    checkpoint = train.Checkpoint(tmp_path / "c", every_epochs=every_epochs, every_steps=every_steps)
    RBM(12, 3).fit(data(), epochs=3, batch_size=50, callbacks=[checkpoint])
    assert places == saved


def checkpoint_of(path: Path, **settings: Any) -> None:
    RBM(12, 3, seed=settings.pop("seed", 0)).fit(
        settings.pop("x", data()), epochs=1, callbacks=[train.Checkpoint(path)], **settings
    )


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"seed": 1}, r"model: the checkpoint has .RBM\(12, 3.*seed=1"),
        ({"x": data(131)}, r"data\.shape"),
        ({"x": data(seed=1)}, r"data\.sha256"),
        ({"x": data()[::-1]}, r"data\.sha256"),
        ({"x": data() * 0.5}, r"data\.sha256"),
        ({"batch_size": 50}, r"settings\.batch_size: the checkpoint has 50, this run has 100"),
        ({"learning_rate": 0.1}, r"settings\.learning_rate\.value"),
        ({"learning_rate": train.Linear(0.05, 0, 5)}, r"settings\.learning_rate\.schedule"),
        ({"persistent": True}, r"settings\.persistent"),
        ({"k": 2}, r"settings\.k"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_and_changes_nothing(
    tmp_path: Path, other: dict[str, Any], message: str
) -> None:
    checkpoint_of(tmp_path / "c", **other)
    model = RBM(12, 3)
    before = model.w.copy()
    with pytest.raises(ValueError, match=message):
        model.fit(data(), epochs=2, resume=tmp_path / "c")
    assert np.array_equal(model.w, before)


def test_missing_checkpoints_and_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        RBM(12, 3).fit(data(), epochs=1, resume=tmp_path / "none")
    RBM(12, 3).save(tmp_path / "model")
    with pytest.raises(FileFormatError, match="kind 'checkpoint', given 'rbm'"):
        RBM(12, 3).fit(data(), epochs=1, resume=tmp_path / "model")


@pytest.mark.parametrize("missing", ["w", "velocity.w", "chains", "counters", "trainer"])
def test_incomplete_checkpoints_are_refused(tmp_path: Path, missing: str) -> None:
    checkpoint_of(tmp_path / "c", persistent=True)
    tensors, metadata = load_tensors(tmp_path / "c", kind="checkpoint")
    (tensors if missing in tensors else metadata).pop(missing)
    save_tensors(tmp_path / "c", tensors, kind="checkpoint", metadata=metadata)
    with pytest.raises(FileFormatError, match=f"not a usable checkpoint.*{missing}"):
        RBM(12, 3).fit(data(), epochs=2, persistent=True, resume=tmp_path / "c")


def test_a_stateful_callback_must_come_back(tmp_path: Path) -> None:
    callbacks = [train.Checkpoint(tmp_path / "c"), train.EarlyStopping("hidden_mean")]
    RBM(12, 3).fit(data(), epochs=1, callbacks=callbacks)
    with pytest.raises(ValueError, match="EarlyStopping"):
        RBM(12, 3).fit(data(), epochs=2, resume=tmp_path / "c")


# Ctrl-C


class Interrupt(train.Callback):
    """Sends this process SIGINT after some update."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, trainer: train.Trainer) -> None:
        if trainer.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("step", [1, 3, 4])
def test_ctrl_c_saves_a_checkpoint_to_go_on_from(tmp_path: Path, step: int) -> None:
    path, metrics = tmp_path / "c", tmp_path / "metrics.jsonl"
    whole = RBM(12, 3).fit(data(), epochs=3, batch_size=70)
    handler = signal.getsignal(signal.SIGINT)
    recorder = Recorder()
    with pytest.raises(KeyboardInterrupt):
        RBM(12, 3).fit(
            data(),
            epochs=3,
            batch_size=70,
            callbacks=[train.Checkpoint(path), train.MetricsWriter(metrics), Interrupt(step), recorder],
        )
    assert signal.getsignal(signal.SIGINT) is handler
    assert [event for event, _, _ in recorder.calls][-2:] == ["interrupt", "close"]
    assert load_tensors(path, kind="checkpoint")[1]["trainer"]["step"] == step
    resumed = RBM(12, 3).fit(data(), epochs=3, batch_size=70, resume=path, callbacks=[train.MetricsWriter(metrics)])
    assert np.array_equal(resumed.w, whole.w)
    assert [json.loads(line)["epoch"] for line in metrics.read_text().splitlines()] == [1, 2, 3]


def test_a_second_ctrl_c_does_not_wait() -> None:
    class Impatient(train.Callback):
        reached = False

        def on_step(self, trainer: train.Trainer) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            self.reached = True

    recorder, impatient = Recorder(), Impatient()
    with pytest.raises(KeyboardInterrupt):
        RBM(12, 3).fit(data(), epochs=1, callbacks=[impatient, recorder])
    assert not impatient.reached
    assert "interrupt" not in {event for event, _, _ in recorder.calls}


def test_an_ignored_ctrl_c_stays_ignored() -> None:
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert RBM(12, 3).fit(data(), epochs=2, callbacks=[Interrupt(1)]).epochs_trained == 2
    finally:
        signal.signal(signal.SIGINT, handler)


def test_training_in_another_thread_gives_the_same_model() -> None:
    models: list[RBM] = []
    thread = threading.Thread(target=lambda: models.append(RBM(12, 3).fit(data(), epochs=2)))
    thread.start()
    thread.join()
    assert np.array_equal(models[0].w, RBM(12, 3).fit(data(), epochs=2).w)
