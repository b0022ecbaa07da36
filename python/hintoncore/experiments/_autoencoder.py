"""Fine-tuning of deep autoencoders that goes on where it was stopped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hintoncore.experiments._framework import Run

if TYPE_CHECKING:
    from hintoncore import nn
    from hintoncore.models import DeepAutoencoder
    from hintoncore.train import Callback

__all__ = ["fine_tune"]

Float32Array = NDArray[np.float32]


def fine_tune(
    run: Run,
    name: str,
    model: DeepAutoencoder,
    X: Float32Array,
    validation: Float32Array | None,
    *,
    optimiser: nn.Optimiser,
    epochs: int,
    batch_size: int,
    callbacks: Sequence[Callback] = (),
) -> list[dict[str, Any]]:
    """Fine-tune with a checkpoint ``NAME.safetensors`` at each epoch; return the records of the epochs."""
    from hintoncore.train import Checkpoint, Trainer
    from hintoncore.train.autoencoder import AutoencoderLearning

    file = f"{name}.safetensors"
    task = AutoencoderLearning(model, X, optimiser=optimiser, validation=validation)
    trainer = Trainer(task, batch_size=batch_size, callbacks=[*run.callbacks(), *callbacks, Checkpoint(run.out / file)])
    checkpoint = run.checkpoint(file)
    if checkpoint is not None:
        trainer.load_checkpoint(checkpoint)
    trainer.run(epochs)
    return trainer.history
