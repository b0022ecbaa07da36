"""Backprop in a brain: reconstructions carry the discriminative gradient, beside target propagation and backprop.

Three RBMs learn greedily on MNIST. Their stack, under fresh label units, can reconstruct each hidden layer from the one
above; so when the labels are nudged towards the right answer, the change that comes down with the reconstructions is
nearly the backpropagated error (Hinton 2007). The cosine between the weight changes of this rule and of backpropagation
is measured after greedy learning and after every epoch, and beside it that of difference target propagation (Lee et al.
2015), whose layers going down learn to invert. All three rules fine-tune the same net with the same settings. The net
of Lee et al. is another, seven layers of 240 tanh units without pretraining. A quick run has 8x8 digits.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hintoncore.experiments._framework import Experiment, Figure, Run
from hintoncore.experiments._greedy import Greedy, greedy_layers
from hintoncore.experiments._supervised import images

if TYPE_CHECKING:
    from hintoncore import nn
    from hintoncore.datasets import Dataset
    from hintoncore.models import RBM
    from hintoncore.train import CreditRule

__all__ = ["EXPERIMENT", "FULL", "QUICK", "Settings"]

_ALIGNED_ROWS = 1000
_NUDGES = (0.01, 0.1, 0.5, 1.0)
_LABELS = {
    "backprop": "backpropagation",
    "reconstruction": "reconstruction",
    "targets": "difference target propagation",
}


@dataclass(frozen=True)
class Settings:
    """Sizes, lengths and rates.

    Attributes
    ----------
    hidden : tuple of int
    greedy_epochs : int
        Of CD-1 for each layer.
    epochs : int
        Of each rule.
    batch_size : int
    learning_rate : float
        Falling to 0 in a straight line, with momentum 0.9, for every rule.
    nudge : float
        Of the labels.
    """

    hidden: tuple[int, ...] = (500, 500, 500)
    greedy_epochs: int = 10
    epochs: int = 25
    batch_size: int = 100
    learning_rate: float = 0.2
    nudge: float = 0.5


FULL = Settings()
QUICK = Settings(hidden=(100, 100, 100), greedy_epochs=15, epochs=30, batch_size=20, learning_rate=0.3)


def run(run: Run) -> dict[str, float]:
    """Test errors of the rules in per cent, and their least cosine to backpropagation after greedy learning."""
    from hintoncore.train import Backpropagation, DifferenceTargetPropagation, ReconstructionBackprop

    settings = QUICK if run.quick else FULL
    data = images(run)
    greedy = [Greedy(n, settings.greedy_epochs, 0.1) for n in settings.hidden]
    rbms = greedy_layers(run, "greedy", data.train, "bernoulli", greedy)
    rules: dict[str, CreditRule] = {
        "reconstruction": ReconstructionBackprop(nudge=settings.nudge),
        "targets": DifferenceTargetPropagation(seed=run.seed),
        "backprop": Backpropagation(),
    }
    after_greedy = _after_greedy_learning(run, settings, data, rbms, rules)
    histories = {name: _train(run, name, settings, data, rbms, rule) for name, rule in rules.items()}
    errors = {name: 100 * history[-1]["validation_error"] for name, history in histories.items()}
    run.details.update(
        settings=asdict(settings),
        rules={name: rule.describe() for name, rule in rules.items()},
        cosine_after_greedy_learning=after_greedy,
        test_error=errors,
        test_error_by_epoch={
            name: [100 * record["validation_error"] for record in history] for name, history in histories.items()
        },
        cosine_by_epoch={name: _cosines(history) for name, history in histories.items()},
    )
    if run.pictures:
        _draw(run, histories)
    return {
        "error": errors["reconstruction"],
        "cosine": min(after_greedy["reconstruction"]),
        "targets_error": errors["targets"],
        "targets_cosine": min(after_greedy["targets"]),
    }


def _net(run: Run, rbms: list[RBM]) -> nn.FeedbackNetwork:
    from hintoncore import nn

    return nn.FeedbackNetwork.from_rbms(rbms, 10, rng=run.seed)


def _after_greedy_learning(
    run: Run, settings: Settings, data: Dataset, rbms: list[RBM], rules: dict[str, CreditRule]
) -> dict[str, Any]:
    """Cosines for the weights into each hidden layer: of the rules, of other nudges, and without greedy learning."""
    from hintoncore import nn
    from hintoncore.train import ReconstructionBackprop, rule_alignment

    x, target = data.train[:_ALIGNED_ROWS], data.train_labels[:_ALIGNED_ROWS]
    stack = _net(run, rbms)
    random = nn.FeedbackNetwork([data.train.shape[1], *settings.hidden, 10], rng=run.seed)
    found: dict[str, Any] = {name: rule_alignment(rule, stack, x, target)[:-1] for name, rule in rules.items()}
    found["by nudge"] = {
        str(nudge): rule_alignment(ReconstructionBackprop(nudge=nudge), stack, x, target)[:-1] for nudge in _NUDGES
    }
    found["random weights"] = {name: rule_alignment(rule, random, x, target)[:-1] for name, rule in rules.items()}
    h = stack.activities(x)
    found["reconstruction error per unit"] = [
        float(np.square(down.forward(above) - below, dtype=np.float64).mean())
        for down, below, above in zip(stack.down, h[1:], h[2:], strict=False)
    ]
    return found


def _train(
    run: Run, name: str, settings: Settings, data: Dataset, rbms: list[RBM], rule: CreditRule
) -> list[dict[str, Any]]:
    """Fine-tune the stack by a rule, with a checkpoint at each epoch; return the records of the epochs."""
    from hintoncore import nn
    from hintoncore.train import Checkpoint, CreditAssignment, Linear, Trainer

    task = CreditAssignment(
        _net(run, rbms),
        data.train,
        data.train_labels,
        rule=rule,
        optimiser=nn.Momentum(Linear(settings.learning_rate, 0.0, settings.epochs), 0.9),
        seed=run.seed,
        validation=(data.test, data.test_labels),
    )
    file = f"{name}.safetensors"
    callbacks = [*run.callbacks(), Checkpoint(run.out / file)]
    trainer = Trainer(task, batch_size=settings.batch_size, callbacks=callbacks)
    checkpoint = run.checkpoint(file)
    if checkpoint is not None:
        trainer.load_checkpoint(checkpoint)
    trainer.run(settings.epochs)
    return trainer.history


def _cosines(history: list[dict[str, Any]]) -> dict[str, list[float]]:
    """By layer, over the epochs."""
    names = [name for name in history[0] if name.startswith("cosine_")]
    return {name.removeprefix("cosine_"): [record[name] for record in history] for name in names}


def _draw(run: Run, histories: dict[str, list[dict[str, Any]]]) -> None:
    from matplotlib.figure import Figure as Canvas

    from hintoncore import plots

    canvas = Canvas(figsize=(10, 4), layout="constrained")
    left, right = canvas.subplots(1, 2)
    colours = {"backprop": "#555555", "reconstruction": "#1f4e79", "targets": "#c0392b"}
    for name, history in histories.items():
        epochs = [record["epoch"] for record in history]
        left.plot(
            epochs,
            [100 * record["validation_error"] for record in history],
            color=colours[name],
            label=_LABELS[name],
        )
        if name == "backprop":
            continue
        for layer, values in _cosines(history).items():
            style = {"1": "-", "2": "--"}.get(layer, ":")
            label = f"{_LABELS[name]}, layer {layer}"
            right.plot(epochs, values, style, color=colours[name], label=label)
    left.set(xlabel="epoch", title="Test error, %", yscale="log")
    left.legend(frameon=False)
    right.set(xlabel="epoch", title="Cosine to backpropagation's change", ylim=(-0.1, 1.05))
    right.axhline(0, color="0.8", linewidth=0.8)
    right.legend(frameon=False, fontsize=8)
    plots.save(canvas, run.out / "rules.png")


EXPERIMENT = Experiment(
    name="recon-backprop",
    title="Reconstructions carry the gradient: a stack of RBMs on MNIST learns without backpropagation",
    source="Hinton 2007, How to do backpropagation in a brain (NIPS Deep Learning Workshop); Lee, Zhang, Fischer and "
    "Bengio 2015, Difference target propagation",
    figures=(
        Figure(
            "error",
            "test error, MNIST, 784-500-500-500-10 trained by reconstruction differences after greedy learning",
            unit="%",
            better="lower",
            target=2.0,
            quick_bound=12.0,
        ),
        Figure(
            "cosine",
            "least cosine to backprop of the weight changes into a hidden layer, after greedy learning",
            unit="",
            better="higher",
            target=0.5,
            quick_bound=0.2,
        ),
        Figure(
            "targets_error",
            "test error of the same net by difference target propagation (paper: seven layers of 240, not pretrained)",
            unit="%",
            better="lower",
            target=1.94,
            paper=1.94,
            quick_bound=16.0,
        ),
        Figure(
            "targets_cosine",
            "least cosine to backprop of difference target propagation, after greedy learning",
            unit="",
            better="higher",
            target=0.5,
            quick_bound=0.2,
        ),
    ),
    run=run,
    seeds=3,
    data=("mnist",),
    quick_data=("digits",),
)
