"""What checkpoints of several tasks hold alike: parameters with their velocities, and how far a training has come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hintoncore._streams import Stream, derive_seed
from hintoncore.generator import Generator
from hintoncore.models._parameters import copy_parameters

__all__ = ["load_progress", "load_velocity", "progress", "with_velocity"]

Float32Array = NDArray[np.float32]


def with_velocity(
    parameters: Mapping[str, Float32Array], velocity: Mapping[str, Float32Array]
) -> dict[str, NDArray[Any]]:
    """Parameters by name, and the velocity of each as ``velocity.NAME``."""
    return {**parameters, **{f"velocity.{name}": array for name, array in velocity.items()}}


def load_velocity(velocity: Mapping[str, Float32Array], tensors: Mapping[str, NDArray[Any]]) -> None:
    """Copy the velocities of :func:`with_velocity` back.

    Raises
    ------
    KeyError, ValueError
        If one is missing or does not fit.
    """
    copy_parameters(velocity, {name: tensors[f"velocity.{name}"] for name in velocity})


def progress(model: Any, session: int, rng: Generator) -> dict[str, Any]:
    """Counters of a training session: epochs and steps of the model, and where its draws have come to."""
    return {
        "epochs_trained": model.epochs_trained,
        "offset": rng.offset,
        "session": session,
        "steps_trained": model.steps_trained,
    }


def load_progress(model: Any, counters: Mapping[str, Any]) -> tuple[int, Generator]:
    """Set the model's counters to what :func:`progress` returned; returns the session and its generator.

    Raises
    ------
    KeyError
        If a counter is missing.
    """
    session: int = counters["session"]
    rng = Generator(derive_seed(model.seed, Stream.TRAINING, session), counters["offset"])
    model.epochs_trained = counters["epochs_trained"]
    model.steps_trained = counters["steps_trained"]
    return session, rng
