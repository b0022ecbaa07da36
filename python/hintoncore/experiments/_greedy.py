"""Stacks of RBMs learned layer by layer, which go on where they were stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hintoncore.experiments._framework import Run

if TYPE_CHECKING:
    from hintoncore.models import RBM

__all__ = ["Greedy", "greedy_layers"]

Float32Array = NDArray[np.float32]


@dataclass(frozen=True)
class Greedy:
    """How one restricted Boltzmann machine of the stack learns.

    Attributes
    ----------
    n_hidden, epochs : int
    learning_rate : float
    hidden : str
        Unit type.
    """

    n_hidden: int
    epochs: int
    learning_rate: float
    hidden: str = "bernoulli"


def greedy_layers(run: Run, name: str, X: Float32Array, visible: str, stack: Sequence[Greedy]) -> list[RBM]:
    """Train RBMs by CD-1, each on the hidden means of the one below; checkpoints in the run's folder keep them."""
    from hintoncore.models import RBM
    from hintoncore.train import Checkpoint

    rbms: list[RBM] = []
    for i, layer in enumerate(stack):
        file = f"{name}-rbm-{i}.safetensors"
        rbm = RBM(X.shape[1], layer.n_hidden, visible=visible, hidden=layer.hidden, seed=run.seed * 100 + i)
        rbm.fit(
            X,
            layer.epochs,
            learning_rate=layer.learning_rate,
            callbacks=[*run.callbacks(), Checkpoint(run.out / file)],
            resume=run.checkpoint(file),
        )
        rbms.append(rbm)
        if i + 1 < len(stack):
            X, visible = rbm.transform(X), layer.hidden
    return rbms
