"""The process that test_resume.py kills: trains in a folder, going on from its checkpoint where there is one."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from hintoncore import train
from hintoncore.models import RBM


class Announce(train.Callback):
    """Prints the number of each update."""

    def on_step(self, trainer: train.Trainer) -> None:
        print(trainer.step, flush=True)


def main(folder: Path, mode: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 2, (430, 80)).astype(np.float32)
    if mode == "grey":
        x = rng.random((430, 80), dtype=np.float32)
    checkpoint = folder / "checkpoint.safetensors"
    model = RBM(80, 40, seed=9)
    model.w *= 50  # strong couplings: chains remember where they were
    model.fit(
        x,
        epochs=12,
        k=2,
        persistent=mode == "pcd",
        rule="fpcd" if mode == "fpcd" else train.TemperedPCD(temperatures=(1.0, 2.0, 4.0)) if mode == "pt" else None,
        centred=mode == "pt",
        sparsity=train.Sparsity(0.2, 0.1) if mode == "fpcd" else None,
        batch_size=100,
        learning_rate=train.Exponential(0.1, 0.99),
        validation=x[:50],
        callbacks=[
            Announce(),
            train.MetricsWriter(folder / "metrics.jsonl"),
            train.EarlyStopping("free_energy_gap", patience=1000, mode="min"),
            train.Checkpoint(checkpoint, every_steps=3),
        ],
        resume=checkpoint if checkpoint.exists() else None,
    )
    model.save(folder / "model.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
