"""Rectified nets initialised to the identity: 300 hidden layers train, and with Gaussian weights they do not.

A first layer projects the image to 64 units; then come 300 rectified layers of 64, each with the identity for its
initial weights and no biases to begin with, so that the net starts as a shallow one whose extra layers change nothing,
and gradients arrive at the first layer as they left the last (Hinton's account of the road to residual nets; for
recurrent nets Le, Jaitly and Hinton 2015). The same net with Gaussian weights of Glorot's variance halves the variance
of its activations at every rectified layer, and that of what comes back: its gradients are 1e-48 at every depth, which
float32 does not hold. The picture shows the norm of the gradient by depth, before training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hintoncore.experiments._framework import Experiment, Figure, Run
from hintoncore.experiments._supervised import images, train

if TYPE_CHECKING:
    from hintoncore import nn
    from hintoncore.datasets import Dataset

__all__ = ["EXPERIMENT", "gradient_norms", "network"]

LAYERS, WIDTH = 300, 64


def network(n_in: int, n_out: int, *, layers: int, width: int, seed: int, identity: bool) -> nn.Sequential:
    """A projection, ``layers`` rectified layers and a softmax."""
    import hintoncore as hc
    from hintoncore import nn

    rng = hc.Generator(seed)
    weights = nn.init.identity if identity else nn.init.gaussian((1.0 / width) ** 0.5)
    hidden = [nn.Linear(width, width, activation="relu", rng=rng, weights=weights) for _ in range(layers)]
    first = nn.Linear(n_in, width, activation="relu", rng=rng)
    return nn.Sequential([first, *hidden, nn.Linear(width, n_out, rng=rng)])


def gradient_norms(model: nn.Sequential, data: Dataset) -> list[float]:
    """Norm of the gradient of each weight matrix on the first 100 training images, in float64."""
    from hintoncore import nn

    exact = model.astype(np.float64)
    y = exact.forward(data.train[:100].astype(np.float64), training=True)
    _, dy = nn.SoftmaxCrossEntropy()(y, data.train_labels[:100])
    exact.backward(dy, input_gradient=False)
    return [float(np.linalg.norm(layer.gradients()["w"])) for layer in exact.layers]


def run(run: Run) -> dict[str, float]:
    """Test errors of both nets, and how gradients survive the way down."""
    from hintoncore import nn
    from hintoncore.train import Linear

    data = images(run)
    width, epochs = (32, 8) if run.quick else (WIDTH, 20)
    learning_rate = 0.0003
    accuracy: dict[str, float] = {}
    norms: dict[str, list[float]] = {}
    curves: dict[str, Any] = {}
    for name, identity in (("identity", True), ("gaussian", False)):
        model = network(data.train.shape[1], 10, layers=LAYERS, width=width, seed=run.seed, identity=identity)
        norms[name] = gradient_norms(model, data)
        # A net that does not learn shows it in a few epochs.
        n = epochs if identity else max(2, epochs // 6)
        optimiser = nn.Adam(Linear(learning_rate, learning_rate / 20, epochs), clip_norm=1.0)
        history = train(run, name, model, optimiser, data, epochs=n)
        accuracy[name] = 100 * (1 - history[-1]["validation_error"])
        curves[name] = [100 * (1 - record["validation_error"]) for record in history]
    run.details.update(
        {
            "settings": {
                "hidden_layers": LAYERS,
                "width": width,
                "epochs": {name: len(values) for name, values in curves.items()},
                "optimiser": "Adam, clipped to norm 1",
                "learning_rate": learning_rate,
            },
            "accuracy_by_epoch": curves,
            "gradient_norms": norms,
        }
    )
    if run.pictures:
        _picture(run, norms)
    kept = norms["identity"][1] / norms["identity"][LAYERS]
    return {
        "accuracy_identity": accuracy["identity"],
        "accuracy_gaussian": accuracy["gaussian"],
        "gradient_kept": kept,
    }


def _picture(run: Run, norms: dict[str, list[float]]) -> None:
    from matplotlib.figure import Figure as Drawing

    from hintoncore import plots

    drawing = Drawing(figsize=(6.4, 4.2), layout="constrained")
    axes = drawing.subplots()
    for name, values in norms.items():
        axes.plot(np.arange(len(values)), values, label=f"{name} weights")
    axes.set_yscale("log")
    axes.set_xlabel("layer")
    axes.set_ylabel("norm of the gradient of its weights")
    axes.set_title(f"{LAYERS} rectified layers before training")
    axes.legend()
    plots.save(drawing, run.out / "gradient-norms.png")


EXPERIMENT = Experiment(
    name="deep-identity",
    title="300 rectified layers initialised to the identity train on MNIST; Gaussian ones do not",
    source="Hinton, interview with Ng; Le, Jaitly and Hinton 2015, A simple way to initialize recurrent networks",
    figures=(
        Figure(
            "accuracy_identity",
            "test accuracy, 300 hidden layers of 64 at identity, MNIST",
            unit="%",
            better="higher",
            target=97.0,
            quick_bound=80.0,
        ),
        Figure(
            "accuracy_gaussian",
            "test accuracy of the same net with Gaussian weights",
            unit="%",
            better="lower",
            target=20.0,
            quick_bound=30.0,
        ),
        Figure(
            "gradient_kept",
            "gradient of the first hidden layer over that of the last, at identity, before training",
            unit="ratio",
            better="higher",
            target=0.5,
            quick_bound=0.5,
        ),
    ),
    run=run,
    seeds=1,
    data=("mnist",),
    quick_data=("digits",),
)
