"""RMSprop, momentum, Nesterov's momentum and Adam against plain gradient descent on the same net.

Lecture 6e of the Coursera course (Tieleman and Hinton 2012) divides the gradient of each weight by a running root mean
square of it. Every rule trains the same 784-256-64-10 tanh net from the same weights on the same minibatches, each with
the best of its own learning rates, a factor of about 3 apart: that of the lowest training loss after the last epoch.
The details say where it lies at the end of its range.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hintoncore.experiments._framework import Experiment, Figure, Run
from hintoncore.experiments._supervised import curves, images, train

if TYPE_CHECKING:
    from hintoncore import nn
    from hintoncore.datasets import Dataset

__all__ = ["EXPERIMENT"]

RATES: dict[str, tuple[float, ...]] = {
    "SGD": (0.1, 0.3, 1.0, 3.0),
    "momentum": (0.01, 0.03, 0.1, 0.3),
    "Nesterov": (0.01, 0.03, 0.1, 0.3),
    "RMSprop": (0.0003, 0.001, 0.003, 0.01),
    "Adam": (0.0003, 0.001, 0.003, 0.01),
}


def _optimiser(rule: str, rate: float) -> nn.Optimiser:
    from hintoncore import nn

    makers: dict[str, Callable[[], nn.Optimiser]] = {
        "SGD": lambda: nn.SGD(rate),
        "momentum": lambda: nn.Momentum(rate, 0.9),
        "Nesterov": lambda: nn.Nesterov(rate, 0.9),
        "RMSprop": lambda: nn.RMSprop(rate, 0.9),
        "Adam": lambda: nn.Adam(rate),
    }
    return makers[rule]()


def _losses(run: Run, data: Dataset, rule: str, rate: float, epochs: int) -> list[float]:
    """Training loss by epoch; infinite from where it diverged."""
    import hintoncore as hc
    from hintoncore import nn

    rng = hc.Generator(run.seed)
    model = nn.Sequential(
        [
            nn.Linear(data.train.shape[1], 256, activation="tanh", rng=rng),
            nn.Linear(256, 64, activation="tanh", rng=rng),
            nn.Linear(64, 10, rng=rng),
        ]
    )
    try:
        history = train(run, f"{rule.lower()}-{rate:g}", model, _optimiser(rule, rate), data, epochs=epochs)
    except FloatingPointError:
        return [float("inf")] * epochs
    return [record["loss"] for record in history]


def run(run: Run) -> dict[str, float]:
    """Training loss of each rule over that of plain gradient descent after the same number of epochs."""
    data = images(run)
    epochs = 8 if run.quick else 10
    table: dict[str, dict[float, list[float]]] = {}
    for rule, rates in RATES.items():
        # A quick run takes the middle of each range.
        table[rule] = {
            rate: _losses(run, data, rule, rate, epochs) for rate in run.bar(rates[1:3] if run.quick else rates, rule)
        }
    best = {rule: min(losses, key=lambda rate: losses[rate][-1]) for rule, losses in table.items()}
    chosen = {rule: table[rule][best[rule]] for rule in table}
    final: dict[str, float] = {rule: losses[-1] for rule, losses in chosen.items()}
    details: dict[str, Any] = {
        "epochs": epochs,
        "best_rate": best,
        "at_the_end_of_its_range": [rule for rule in table if best[rule] in (RATES[rule][0], RATES[rule][-1])],
        "final_training_loss": {
            rule: {str(rate): losses[-1] if losses[-1] < float("inf") else None for rate, losses in by_rate.items()}
            for rule, by_rate in table.items()
        },
        "training_loss_by_epoch": chosen,
    }
    run.details.update(details)
    if run.pictures:
        labelled = {f"{rule}, rate {best[rule]:g}": losses for rule, losses in chosen.items()}
        curves(run, "training-loss.png", "784-256-64-10, tanh", "training loss, nats", labelled)
    return {f"loss_{rule.lower()}": final[rule] / final["SGD"] for rule in ("RMSprop", "momentum", "Adam")}


EXPERIMENT = Experiment(
    name="rmsprop",
    title="RMSprop, momentum and Adam against plain gradient descent on the same net",
    source="Tieleman and Hinton 2012, Lecture 6.5, RMSprop, Coursera: Neural networks for machine learning",
    figures=tuple(
        Figure(
            f"loss_{rule.lower()}",
            f"training loss of {rule} over that of plain SGD, each at its best learning rate, MNIST",
            unit="ratio",
            better="lower",
            target=1.0,
            quick_bound=1.5,
        )
        for rule in ("RMSprop", "momentum", "Adam")
    ),
    run=run,
    seeds=3,
    data=("mnist",),
    quick_data=("digits",),
)
