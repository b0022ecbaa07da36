"""IRNN: a rectified recurrent net that starts as the identity remembers for hundreds of steps without gates.

Le, Jaitly and Hinton (2015) start the recurrent weights as the identity, the biases at 0 and all other weights small:
at first every unit keeps what it has added up, and the gradient of any past step arrives unchanged. Two of their tasks:

* Adding, T = 150: a sequence of numbers from [0, 1), two of which are marked, one in each half; the target is the sum
  of those two. Guessing the mean, 1, costs 0.167.
* Sequential MNIST: the 784 pixels of a digit one a step, row by row, then the class.

The nets are the paper's, 100 rectified units; the optimiser is not. The paper used gradient descent with clipped
gradients, the best of many rates and millions of updates; here RMSprop with clipped gradients and a rate that falls to
0 in a straight line gets there in fewer. Where states overflow nonetheless, training begins again at half the rate,
and the report says so. The other weights start larger than the paper's 0.001, too. A third net differs from that for
adding in one thing: its recurrent weights start as Gaussian numbers of variance 1 / 100. That the identity is what
matters shows in its curve. A quick run adds over 30 steps and reads scikit-learn's 8x8 digits, 64 steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hintoncore.experiments._framework import Experiment, Figure, Run

if TYPE_CHECKING:
    from hintoncore import nn
    from hintoncore.nn.init import Initialiser

__all__ = ["EXPERIMENT", "FULL", "QUICK", "AddingSettings", "PixelSettings", "adding", "network", "steadily"]

Sequences = NDArray[np.float32]
History = list[dict[str, Any]]


@dataclass(frozen=True)
class AddingSettings:
    """The adding problem and its training.

    Attributes
    ----------
    steps : int
        Length of a sequence.
    train_rows, test_rows : int
        Sequences; 100,000 and 10,000 in the paper.
    epochs, batch_size : int
    learning_rate, clip_norm : float
    control_epochs : int
        Of the net that does not start as the identity; its rate falls as that of the other does.
    """

    steps: int = 150
    train_rows: int = 100_000
    test_rows: int = 10_000
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 0.001
    clip_norm: float = 1.0
    control_epochs: int = 5


@dataclass(frozen=True)
class PixelSettings:
    """Training on digits, a pixel a step.

    Attributes
    ----------
    epochs, batch_size : int
    learning_rate, clip_norm : float
    """

    epochs: int = 400
    batch_size: int = 64
    learning_rate: float = 0.0001
    clip_norm: float = 1.0


HIDDEN, INPUT_STD = 100, 0.1
FULL = (AddingSettings(), PixelSettings())
QUICK = (
    AddingSettings(steps=30, train_rows=12_800, test_rows=1000, epochs=4, control_epochs=1),
    PixelSettings(epochs=25, learning_rate=0.001, batch_size=32),
)
"""For the test suite."""


def network(n_in: int, n_out: int, *, seed: int, recurrent: Initialiser | None = None) -> nn.Sequential:
    """100 rectified recurrent units, the last state of which a linear layer reads."""
    import hintoncore as hc
    from hintoncore import nn

    rng = hc.Generator(seed)
    hidden = nn.RNN(
        n_in,
        HIDDEN,
        rng=rng,
        weights=nn.init.gaussian(INPUT_STD),
        recurrent=recurrent or nn.init.identity,
        batch_first=True,
    )
    return nn.Sequential([hidden, nn.Linear(HIDDEN, n_out, rng=rng, weights=nn.init.gaussian(INPUT_STD))])


def adding(rows: int, steps: int, seed: int) -> tuple[Sequences, Sequences]:
    """Sequences [rows, steps, 2] of numbers and marks, and the sums [rows, 1] of the marked ones."""
    draw = np.random.default_rng([seed, steps])
    x = np.zeros((rows, steps, 2), dtype=np.float32)
    x[:, :, 0] = draw.random((rows, steps), dtype=np.float32)
    row = np.arange(rows)
    first, second = draw.integers(0, steps // 2, rows), draw.integers(steps // 2, steps, rows)
    x[row, first, 1] = x[row, second, 1] = 1
    return x, (x[row, first, 0] + x[row, second, 0])[:, None]


def run(run: Run) -> dict[str, float]:
    """Both tasks for one seed."""
    add, pixels = QUICK if run.quick else FULL
    run.details.update(
        optimiser="RMSprop, gradients clipped, rate falling to 0; the paper: gradient descent, clipped",
        adding=asdict(add),
        pixels=asdict(pixels),
    )
    sums = _learn_adding(run, add)
    classes = _learn_pixels(run, pixels)
    if run.pictures:
        _draw(run, sums, classes)
    return {"adding_mse": sums["identity"][-1], "pixel_accuracy": classes[-1]}


def _learn_adding(run: Run, s: AddingSettings) -> dict[str, list[float]]:
    """Test error by epoch of the IRNN and of the same net from another start."""
    from hintoncore import nn
    from hintoncore.train import Linear

    train = adding(s.train_rows, s.steps, 2 * run.seed)
    test = adding(s.test_rows, s.steps, 2 * run.seed + 1)
    starts = {
        "identity": (nn.init.identity, s.epochs),
        "Gaussian": (nn.init.gaussian(HIDDEN**-0.5), s.control_epochs),
    }
    curves = {}
    for name, (recurrent, epochs) in starts.items():

        def learn(file: str, rate: float, recurrent: Initialiser = recurrent, epochs: int = epochs) -> History:
            return _train(
                run,
                file,
                network(2, 1, seed=run.seed, recurrent=recurrent),
                nn.RMSprop(Linear(rate, 0.0, s.epochs), clip_norm=s.clip_norm),
                nn.MeanSquaredError(),
                train,
                test,
                epochs=epochs,
                batch_size=s.batch_size,
            )

        history = steadily(run, f"adding-{name.lower()}", s.learning_rate, learn)
        curves[name] = [record["validation_loss"] for record in history]
    run.details["adding_mse_by_epoch"] = curves
    return curves


def _learn_pixels(run: Run, s: PixelSettings) -> list[float]:
    """Test accuracy by epoch, in per cent."""
    from hintoncore import nn
    from hintoncore.experiments._supervised import images
    from hintoncore.train import Linear

    data = images(run)

    def learn(file: str, rate: float) -> History:
        return _train(
            run,
            file,
            network(1, 10, seed=run.seed),
            nn.RMSprop(Linear(rate, 0.0, s.epochs), clip_norm=s.clip_norm),
            nn.SoftmaxCrossEntropy(),
            (data.train, data.train_labels),
            (data.test, data.test_labels),
            epochs=s.epochs,
            batch_size=s.batch_size,
        )

    history = steadily(run, "pixels", s.learning_rate, learn)
    accuracy = [100 * (1 - record["validation_error"]) for record in history]
    run.details["pixel_accuracy_by_epoch"] = accuracy
    return accuracy


def steadily(run: Run, name: str, rate: float, learn: Callable[[str, float], History]) -> History:
    """``learn(file, rate)``; where the states overflow, from the start at half the rate, at most three times."""
    for attempt in range(4):
        try:
            return learn(f"{name}-{attempt}", rate / 2**attempt)
        except FloatingPointError as error:
            run.details.setdefault("diverged", []).append(f"{name} at rate {rate / 2**attempt:g}: {error}")
    raise FloatingPointError(f"{name}: diverged at every rate from {rate:g} to {rate / 8:g}")


def _train(
    run: Run,
    name: str,
    model: nn.Layer,
    optimiser: nn.Optimiser,
    loss: nn.Loss,
    train: tuple[NDArray[Any], NDArray[Any]],
    test: tuple[NDArray[Any], NDArray[Any]],
    *,
    epochs: int,
    batch_size: int,
) -> History:
    """Train with a checkpoint after every epoch, and what was measured so far in ``NAME.jsonl`` beside it."""
    from hintoncore.train import Checkpoint, MetricsWriter, Supervised, Trainer

    task = Supervised(model, *train, loss=loss, optimiser=optimiser, seed=run.seed, validation=test)
    file = f"{name}.safetensors"
    files = [MetricsWriter(run.out / f"{name}.jsonl"), Checkpoint(run.out / file)]
    trainer = Trainer(task, batch_size=batch_size, callbacks=[*run.callbacks(), *files])
    checkpoint = run.checkpoint(file)
    if checkpoint is not None:
        trainer.load_checkpoint(checkpoint)
    trainer.run(epochs)
    return trainer.history


def _draw(run: Run, sums: dict[str, list[float]], accuracy: list[float]) -> None:
    from matplotlib.figure import Figure as Canvas

    from hintoncore import plots

    figure = Canvas(figsize=(10.0, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, values in sums.items():
        left.plot(np.arange(1, len(values) + 1), values, marker=".", label=f"recurrent weights start {name}")
    left.axhline(1 / 6, color="grey", linestyle=":", label="guessing the mean")
    left.set(yscale="log", xlabel="epoch", ylabel="test mean squared error", title="adding two marked numbers")
    left.legend()
    right.plot(np.arange(1, len(accuracy) + 1), accuracy)
    right.set(xlabel="epoch", ylabel="test accuracy, %", title="digits, a pixel a step")
    plots.save(figure, run.out / "curves.png")


EXPERIMENT = Experiment(
    name="irnn",
    title="A rectified recurrent net that starts as the identity: adding over 150 steps, MNIST a pixel a step",
    source="Le, Jaitly and Hinton 2015, A simple way to initialize recurrent networks of rectified linear units",
    figures=(
        Figure(
            "pixel_accuracy",
            "test accuracy on sequential MNIST, 784 steps",
            unit="%",
            better="higher",
            target=97.0,
            paper=97.0,
            quick_bound=50.0,
        ),
        Figure(
            "adding_mse",
            "test mean squared error of the adding problem, 150 steps; guessing 0.167",
            unit="squared error",
            better="lower",
            target=0.01,
            quick_bound=0.05,
        ),
    ),
    run=run,
    seeds=1,
    data=("mnist",),
    quick_data=("digits",),
)
