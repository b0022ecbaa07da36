"""Wake-sleep: the bars problem, judged by exact enumeration, and a sigmoid belief net of two layers on MNIST.

The bars are those of Hinton, Dayan, Frey and Neal (1995): 4x4 pixels, eight hidden units and one above them, two
million random examples, and generative weights into the pixels that are kept from becoming negative. There are 30
images, so the divergence of the model from the distribution that made them is exact. The paper reports 0.10 bits.

From most starts the likelihood itself, climbed exactly, ends where two bars share a unit and another does nothing, at
0.3 to 1 bit. So the first half of the examples trains the eight units alone, with the prior of each held at one bar in
ten: few fall silent or grow to stand for everything. And of eight short runs from different weights the one with the
best bound on its training images goes on. Then the unit above joins and all biases are free.

On MNIST, each pixel sampled once with its grey value as probability, a net of two layers of 200 learns by wake-sleep;
the literature has 107.7 nats for it. The likelihood is importance-weighted with explanations from the recognition net
and errs low, so the figure is an upper bound on the negative log-likelihood in expectation. The looser variational
bound is among the details.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hintoncore.experiments._framework import Experiment, Figure, Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

    from hintoncore.models import HelmholtzMachine
    from hintoncore.train import Callback, Schedule

__all__ = [
    "EXPERIMENT",
    "FULL",
    "QUICK",
    "BarsSettings",
    "MnistSettings",
    "bars_divergence",
    "learn_bars",
    "learn_mnist",
]


@dataclass(frozen=True)
class BarsSettings:
    """The net and its training on bars.

    Attributes
    ----------
    rows, batch_size : int
        ``rows`` random images, seen again in each epoch.
    starts, start_epochs : int
        Short runs to choose from, and their length.
    held_epochs, free_epochs : int
        After that with the prior held, and then without.
    start_rate, end_rate : float
        Learning rates: the short runs have the first, either part after them a straight line to the second.
    """

    rows: int = 50_000
    batch_size: int = 50
    starts: int = 8
    start_epochs: int = 5
    held_epochs: int = 15
    free_epochs: int = 20
    start_rate: float = 1.0
    end_rate: float = 0.1


@dataclass(frozen=True)
class MnistSettings:
    """The net and its training on MNIST.

    Attributes
    ----------
    hidden : tuple of int
    train_rows, test_rows : int
    epochs, batch_size : int
    learning_rate, momentum : float
        The rate falls to a tenth along a straight line.
    likelihood_samples : int
        Explanations of each test image.
    """

    hidden: tuple[int, ...] = (200, 200)
    train_rows: int = 60_000
    test_rows: int = 10_000
    epochs: int = 30
    batch_size: int = 100
    learning_rate: float = 0.1
    momentum: float = 0.9
    likelihood_samples: int = 200


_TOP = ("w1", "b2", "r1", "c1")  # parameters of the unit above

FULL = (BarsSettings(), MnistSettings())
"""The paper's number of bar images, all of MNIST."""

QUICK = (
    BarsSettings(starts=1, start_epochs=2, held_epochs=1, free_epochs=2),
    MnistSettings(hidden=(50, 20), train_rows=3000, test_rows=300, epochs=2, likelihood_samples=20),
)
"""For the test suite."""


def run(run: Run) -> dict[str, float]:
    """Both tasks for one seed."""
    bars, mnist = QUICK if run.quick else FULL
    run.details.update(bars=asdict(bars), mnist=asdict(mnist))
    return {"bars_kl": learn_bars(run, bars), "mnist_nll": learn_mnist(run, mnist)}


def bars_divergence(machine: HelmholtzMachine) -> float:
    """Kullback-Leibler divergence of the model from the bars distribution, in bits: exact."""
    from hintoncore.experiments._bars import bars_distribution

    images, p = bars_distribution()
    log_model = machine.generative.log_probabilities(images)
    return float((p * (np.log(p) - log_model)).sum() / math.log(2))


def learn_bars(run: Run, settings: BarsSettings) -> float:
    """Train the 16-8-1 machine on bars; return its divergence in bits."""
    from hintoncore.experiments._bars import sample_bars
    from hintoncore.train import Checkpoint, Constant, Linear

    images = sample_bars(settings.rows, rng=run.seed)
    held = (*_TOP, "b1")
    starts = []
    for number in run.bar(range(settings.starts), "starts"):
        machine = _sparse_start(run.seed * settings.starts + number)
        _fit_bars(machine, images, settings, settings.start_epochs, Constant(settings.start_rate), held)
        starts.append((machine.log_likelihood(images[:2000], method="bound", rng=0), number, machine))
    bound, chosen, machine = max(starts)
    run.details["bars_starts"] = {"bounds": [start[0] for start in starts], "chosen": chosen, "bound": bound}
    for name, epochs, frozen in (("held", settings.held_epochs, held), ("free", settings.free_epochs, ())):
        checkpoint = run.out / f"bars-{name}-checkpoint.safetensors"
        rate = Linear(settings.start_rate, settings.end_rate, epochs)
        callbacks = [*run.callbacks(), Checkpoint(checkpoint, every_epochs=5)]
        _fit_bars(machine, images, settings, epochs, rate, frozen, callbacks, run.checkpoint(checkpoint.name))
    machine.save(run.out / "bars.safetensors")
    if run.pictures:
        _draw_bars(run, machine)
    return bars_divergence(machine)


def learn_mnist(run: Run, settings: MnistSettings) -> float:
    """Train on sampled MNIST images; return minus the importance-weighted log-likelihood of test images, in nats."""
    from hintoncore.datasets import binarize_stochastic, load
    from hintoncore.models import HelmholtzMachine
    from hintoncore.train import Checkpoint, Linear, MetricsWriter

    data = load("mnist")
    train = binarize_stochastic(data.train[: settings.train_rows], rng=1)
    test = binarize_stochastic(data.test[: settings.test_rows], rng=0)
    machine = HelmholtzMachine((train.shape[1], *settings.hidden), seed=run.seed)
    checkpoint = run.out / "mnist-checkpoint.safetensors"
    machine.fit(
        train,
        settings.epochs,
        batch_size=settings.batch_size,
        learning_rate=Linear(settings.learning_rate, settings.learning_rate / 10, settings.epochs),
        momentum=settings.momentum,
        validation=test,
        callbacks=[*run.callbacks(), MetricsWriter(run.out / "mnist-metrics.jsonl"), Checkpoint(checkpoint)],
        resume=run.checkpoint(checkpoint.name),
    )
    machine.save(run.out / "mnist.safetensors")
    estimate = machine.importance_estimate(test, settings.likelihood_samples, rng=run.seed)
    run.details["mnist_likelihood"] = {
        "bound": estimate.bound,
        "effective_samples": estimate.ess,
        "std_error": estimate.std_error,
    }
    if run.pictures:
        _draw_mnist(run, machine, data.image_shape)
    return -estimate.log_likelihood


def _sparse_start(seed: int) -> HelmholtzMachine:
    """Start with dark pixels and rare causes, so that a bar that appears has one unit to explain it."""
    from hintoncore.models import HelmholtzMachine

    machine = HelmholtzMachine((16, 8, 1), seed=seed)
    machine.generative.b[0][:] = -3.0
    machine.generative.b[1][:] = -2.2
    machine.generative.w[1][:] = 0.0
    np.abs(machine.generative.w[0], out=machine.generative.w[0])
    return machine


def _fit_bars(
    machine: HelmholtzMachine,
    images: NDArray[np.float32],
    settings: BarsSettings,
    epochs: int,
    rate: Schedule,
    frozen: Sequence[str],
    callbacks: Sequence[Callback] = (),
    resume: Path | None = None,
) -> None:
    machine.fit(
        images,
        epochs,
        batch_size=settings.batch_size,
        learning_rate=rate,
        nonnegative=True,
        frozen=frozen,
        callbacks=callbacks,
        resume=resume,
    )


def _draw_bars(run: Run, machine: HelmholtzMachine) -> None:
    from hintoncore import plots

    fields: NDArray[np.float32] = machine.generative.w[0].T
    plots.save(plots.receptive_fields(fields, (4, 4)), run.out / "bars-weights.png")
    fantasies = machine.sample(100, rng=run.seed)
    plots.save(
        plots.image_grid(fantasies, (4, 4), "Fantasies of the machine that learned bars"),
        run.out / "bars-fantasies.png",
    )


def _draw_mnist(run: Run, machine: HelmholtzMachine, image_shape: tuple[int, int]) -> None:
    from hintoncore import plots

    _, means = machine.sample(100, rng=run.seed, return_probs=True)
    plots.save(plots.image_grid(means, image_shape, "Fantasies: pixel probabilities"), run.out / "mnist-fantasies.png")
    fields = machine.generative.w[0].T
    plots.save(plots.receptive_fields(fields, image_shape), run.out / "mnist-weights.png")
    plots.save(_bound_curve(run), run.out / "mnist-curve.png")


def _bound_curve(run: Run) -> Canvas:
    from matplotlib.figure import Figure as Canvas

    lines = (run.out / "mnist-metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    canvas = Canvas(figsize=(6.0, 4.0), layout="constrained")
    axes = canvas.subplots()
    for name, label in (("train_bound", "training images"), ("validation_bound", "test images")):
        axes.plot([record["epoch"] for record in records], [record[name] for record in records], label=label)
    axes.set_xlabel("epoch")
    axes.set_ylabel("variational bound, nats per image")
    axes.set_title("Wake-sleep on MNIST: five explanations of 1000 images", fontsize=10, loc="left")
    axes.legend(frameon=False)
    return canvas


EXPERIMENT = Experiment(
    name="wake-sleep",
    title="Wake-sleep: the bars problem by exact divergence, sigmoid belief nets on MNIST",
    source="Hinton, Dayan, Frey and Neal 1995, figure 2; Bornschein and Bengio 2015",
    figures=(
        Figure(
            "bars_kl",
            "divergence of the 16-8-1 machine from the distribution of 4x4 bars",
            unit="bits",
            better="lower",
            target=0.10,
            paper=0.10,
            best_public=0.45,
            quick_bound=1.5,
        ),
        Figure(
            "mnist_nll",
            "negative log-likelihood of binarised MNIST test images, two layers of 200, importance-weighted",
            unit="nats",
            better="lower",
            target=107.7,
            best_public=107.7,
            quick_bound=200.0,
        ),
    ),
    run=run,
    seeds=3,
    data=("mnist",),
)
