"""A deep autoencoder on MNIST: a stack of RBMs, unrolled and fine-tuned, against principal components.

The net is the 784-1000-500-250-30 of Hinton and Salakhutdinov (2006), logistic with a linear code. Four RBMs learn
greedily by CD-1 on real-valued pixels and probabilities; unrolled they are fine-tuned by backpropagation of the
cross-entropy. The paper has conjugate gradients on minibatches of 1000 for 200 epochs; here it is Adam with weight
decay, its rate falling to 0. Decay and length come from short runs on 50,000 of the training images, judged on the
other 10,000: without decay the net learns its training images by heart (160 epochs: 1.1 on them, 3.9 on test images).
The squared error is summed over the pixels of a test image. A second net has a code of two units, whose map stands
beside that of the first two principal components. The same net from a random start, and again from the stack, for as
many epochs, shows what pretraining gives. A quick run has 8x8 digits and a code of 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hintoncore.experiments._autoencoder import fine_tune
from hintoncore.experiments._framework import Experiment, Figure, Run
from hintoncore.experiments._greedy import Greedy, greedy_layers
from hintoncore.experiments._principal_components import PrincipalComponents

if TYPE_CHECKING:
    from hintoncore.datasets import Dataset
    from hintoncore.models import RBM, DeepAutoencoder

__all__ = ["EXPERIMENT", "FULL", "QUICK", "Settings"]

Float32Array = NDArray[np.float32]


@dataclass(frozen=True)
class Settings:
    """Sizes and lengths.

    Attributes
    ----------
    data : str
    hidden : tuple of int
        Layers between the pixels and the code.
    code : int
    greedy_epochs : int
        Of each RBM.
    epochs, map_epochs, comparison_epochs : int
        Of fine-tuning the net, the one with a code of two units, and each of the two that show what pretraining gives;
        0 leaves these out.
    batch_size : int
    learning_rate : float
        Of Adam, falling to 0 in a straight line.
    weight_decay : float
        Of Adam, times the learning rate; decoupled.
    greedy_rate, code_rate : float
        Of the RBMs with logistic and with linear hidden units.
    """

    data: str = "mnist"
    hidden: tuple[int, ...] = (1000, 500, 250)
    code: int = 30
    greedy_epochs: int = 10
    epochs: int = 100
    map_epochs: int = 30
    comparison_epochs: int = 15
    batch_size: int = 100
    learning_rate: float = 0.005
    weight_decay: float = 0.1
    greedy_rate: float = 0.1
    code_rate: float = 0.002


FULL = Settings()
QUICK = Settings(
    data="digits",
    hidden=(100, 50),
    code=3,
    greedy_epochs=15,
    epochs=60,
    map_epochs=30,
    comparison_epochs=0,
    batch_size=20,
    learning_rate=0.003,
    weight_decay=0.0,
    code_rate=0.005,
)


def run(run: Run) -> dict[str, float]:
    """Test squared error of the net, and its share of that of as many principal components."""
    from hintoncore import datasets

    settings = QUICK if run.quick else FULL
    data = datasets.load(settings.data)
    greedy = [Greedy(n, settings.greedy_epochs, settings.greedy_rate) for n in settings.hidden]
    below = greedy_layers(run, "greedy", data.train, "bernoulli", greedy)

    model, history = _autoencoder(run, "net", settings, data, below, settings.code, settings.epochs)
    model.save(run.out / "model.safetensors")
    components = PrincipalComponents.of(data.train, settings.code)
    ours, pca = model.squared_error(data.test), components.squared_error(data.test)
    run.details.update(
        settings=vars(settings),
        optimiser="Adam with weight decay in place of conjugate gradients, learning rate falling to 0",
        principal_components_squared_error=pca,
        train_squared_error=model.squared_error(data.train),
        test_squared_error_by_epoch=_errors(history),
    )
    if run.pictures:
        _draw_reconstructions(run, model, components, data)
    flat, _ = _autoencoder(run, "map", settings, data, below, 2, settings.map_epochs)
    _map(run, flat, data)
    if settings.comparison_epochs:
        run.details["pretraining"] = _what_pretraining_gives(run, settings, data, below)
    return {"squared_error": ours, "share_of_pca": ours / pca}


def _autoencoder(
    run: Run, name: str, settings: Settings, data: Dataset, below: list[RBM], code: int, epochs: int
) -> tuple[DeepAutoencoder, list[dict[str, Any]]]:
    """Put a linear code on the stack, unroll, fine-tune."""
    from hintoncore.models import DeepAutoencoder

    features = data.train
    for rbm in below:
        features = rbm.transform(features)
    top = Greedy(code, settings.greedy_epochs, settings.code_rate, hidden="gaussian:unit")
    stack = [*below, *greedy_layers(run, f"{name}-code", features, "bernoulli", [top])]
    model = DeepAutoencoder.from_rbms(stack, seed=run.seed)
    return model, _fine_tune(run, name, settings, data, model, epochs)


def _fine_tune(
    run: Run, name: str, settings: Settings, data: Dataset, model: DeepAutoencoder, epochs: int
) -> list[dict[str, Any]]:
    from hintoncore import nn
    from hintoncore.train import Linear

    optimiser = nn.Adam(Linear(settings.learning_rate, 0.0, epochs), weight_decay=settings.weight_decay)
    return fine_tune(
        run, name, model, data.train, data.test, optimiser=optimiser, epochs=epochs, batch_size=settings.batch_size
    )


def _what_pretraining_gives(run: Run, settings: Settings, data: Dataset, below: list[RBM]) -> dict[str, Any]:
    """Test squared error by epoch from the stack and from random weights, with equal schedules."""
    from hintoncore.models import DeepAutoencoder

    epochs = settings.comparison_epochs
    random = DeepAutoencoder([data.train.shape[1], *settings.hidden, settings.code], seed=run.seed)
    _, from_stack = _autoencoder(run, "from-stack", settings, data, below, settings.code, epochs)
    from_random = _fine_tune(run, "from-random", settings, data, random, epochs)
    return {"epochs": epochs, "pretrained": _errors(from_stack), "random": _errors(from_random)}


def _errors(history: list[dict[str, Any]]) -> list[float]:
    return [record["validation_squared_error"] for record in history]


def _map(run: Run, model: DeepAutoencoder, data: Dataset) -> None:
    """Two numbers for each test image, by the net and by principal components: neighbours of their class, and maps."""
    components = PrincipalComponents.of(data.train, 2)
    codes = {"autoencoder": model.encode(data.test), "principal components": components.encode(data.test)}
    run.details["two_units"] = {
        "squared_error": {
            "autoencoder": model.squared_error(data.test),
            "principal components": components.squared_error(data.test),
        },
        "nearest_of_other_class_percent": {
            name: 100 * _nearest_differs(points, data.test_labels) for name, points in codes.items()
        },
    }
    if run.pictures:
        _draw_map(run, codes, data.test_labels)


def _nearest_differs(points: Float32Array, labels: NDArray[np.int64]) -> float:
    """Share of points whose nearest other point has another label."""
    squares, wrong = (points.astype(np.float64) ** 2).sum(axis=1), 0
    for first in range(0, len(points), 500):
        block = points[first : first + 500].astype(np.float64)
        distance = squares - 2 * block @ points.T.astype(np.float64)
        distance[np.arange(len(block)), first + np.arange(len(block))] = np.inf
        wrong += int((labels[distance.argmin(axis=1)] != labels[first : first + 500]).sum())
    return wrong / len(points)


def _draw_map(run: Run, codes: dict[str, Float32Array], labels: NDArray[np.int64]) -> None:
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    from hintoncore import plots

    canvas = Canvas(figsize=(11.5, 5.6), layout="constrained")
    titles = {"principal components": "First two principal components", "autoencoder": "Deep autoencoder, two units"}
    colours = matplotlib.colormaps["tab10"]
    for axes, (name, title) in zip(canvas.subplots(1, 2), titles.items(), strict=True):
        for digit in range(10):
            points = codes[name][labels == digit]
            axes.scatter(*points.T, s=4, color=colours(digit), alpha=0.6, linewidths=0, label=str(digit))
        axes.set_title(title)
        axes.set_xticks([])
        axes.set_yticks([])
    axes.legend(frameon=False, markerscale=4, loc="center left", bbox_to_anchor=(1, 0.5))
    plots.save(canvas, run.out / "codes.png")


def _draw_reconstructions(run: Run, model: DeepAutoencoder, components: PrincipalComponents, data: Dataset) -> None:
    """One test image of each class above what the net and the components make of it."""
    from hintoncore import plots

    rows = data.test[[int(np.flatnonzero(data.test_labels == digit)[0]) for digit in range(10)]]
    images = np.concatenate([rows, model.reconstruct(rows), np.clip(components.decode(components.encode(rows)), 0, 1)])
    title = "Test images, the deep autoencoder's reconstructions, those of as many principal components"
    plots.save(plots.image_grid(images, data.image_shape, title, columns=10), run.out / "reconstructions.png")


EXPERIMENT = Experiment(
    name="deep-autoencoder",
    title="Stacked RBMs, unrolled and fine-tuned: 784-1000-500-250-30 on MNIST against principal components",
    source="Hinton and Salakhutdinov 2006, Reducing the dimensionality of data with neural networks, Science 313",
    figures=(
        Figure(
            "squared_error",
            "test squared error per image, MNIST, code of 30 (principal components in the paper: 13.87)",
            unit="",
            better="lower",
            target=3.00,
            paper=3.00,
            quick_bound=2.2,
        ),
        Figure(
            "share_of_pca",
            "that error divided by the one of 30 principal components, measured in the same run",
            unit="",
            better="lower",
            target=3.00 / 13.87,
            paper=0.216,
            quick_bound=0.78,
        ),
    ),
    run=run,
    seeds=1,
    data=("mnist",),
    quick_data=("digits",),
)
