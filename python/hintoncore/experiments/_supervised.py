"""What the experiments on classifiers share: the data, and training that goes on where it was stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hintoncore.experiments._framework import Run

if TYPE_CHECKING:
    from hintoncore import nn
    from hintoncore.datasets import Dataset

__all__ = ["curves", "images", "train"]


def images(run: Run) -> Dataset:
    """MNIST, or for a quick run scikit-learn's 8x8 digits."""
    from hintoncore import datasets

    return datasets.load("digits" if run.quick else "mnist")


def train(
    run: Run,
    name: str,
    model: nn.Layer,
    optimiser: nn.Optimiser,
    data: Dataset,
    *,
    epochs: int,
    batch_size: int = 100,
    every_epochs: int = 1,
) -> list[dict[str, Any]]:
    """Train a classifier with a checkpoint ``NAME.safetensors`` in the run's folder; return the records of its epochs.

    ``validation_error`` of the records is the share of test rows that are wrong.
    """
    from hintoncore import nn
    from hintoncore.train import Checkpoint, Supervised, Trainer

    task = Supervised(
        model,
        data.train,
        data.train_labels,
        loss=nn.SoftmaxCrossEntropy(),
        optimiser=optimiser,
        seed=run.seed,
        validation=(data.test, data.test_labels),
    )
    file = f"{name}.safetensors"
    callbacks = [*run.callbacks(), Checkpoint(run.out / file, every_epochs=every_epochs)]
    trainer = Trainer(task, batch_size=batch_size, callbacks=callbacks)
    checkpoint = run.checkpoint(file)
    if checkpoint is not None:
        trainer.load_checkpoint(checkpoint)
    trainer.run(epochs)
    return trainer.history


def curves(run: Run, file: str, title: str, label: str, series: dict[str, list[float]], *, log: bool = True) -> None:
    """Curves over epochs, one for each name, as a picture in the run's folder."""
    from matplotlib.figure import Figure

    from hintoncore import plots

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for name, values in series.items():
        finite: NDArray[Any] = np.asarray(values, dtype=np.float64)
        axes.plot(np.arange(1, len(values) + 1), np.where(np.isfinite(finite), finite, np.nan), label=name)
    if log:
        axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.set_ylabel(label)
    axes.set_title(title)
    axes.legend()
    plots.save(figure, run.out / file)
