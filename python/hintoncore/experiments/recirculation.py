"""Recirculation: the 4-2-4 encoder from many starts, and how near its updates come to backpropagation's.

The encoder is that of Hinton and McClelland (1988): four patterns of one active unit, two hidden units, one update a
sweep from the mean over the four patterns, regression 0.75. A run has learned when the squared error, summed over the
visible units and averaged over the patterns, is below 0.1. The same starts are also given to backpropagation. On
handwritten digits the angle between the two updates is followed while recirculation learns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hintoncore.experiments._framework import Experiment, Figure, Run

if TYPE_CHECKING:
    from hintoncore.models import Recirculation

RUNS, QUICK_RUNS = 100, 20
LEARNING_RATE, REGRESSION, SCALE = 50.0, 0.75, 1.0
PAPER_RATE = 20.0
LEARNED, GIVEN_UP = 0.1, 1000
DIGITS_HIDDEN, DIGITS_RATE = 32, 4.0
DIGITS_EPOCHS, QUICK_DIGITS_EPOCHS = 100, 5


def sweeps_to_learn(
    model: Recirculation, patterns: Any, rate: float, *, by_backpropagation: bool = False
) -> int | None:
    """Updates until the encoder is learned; None if it never is."""
    for sweep in range(GIVEN_UP + 1):
        if model.reconstruction_error(patterns) < LEARNED:
            return sweep
        direction = (
            model.descent_direction(patterns) if by_backpropagation else model.update_direction(patterns, REGRESSION)
        )
        for name, parameter in model.parameters().items():
            parameter += np.float32(rate) * direction[name]
    return None


def cosines(model: Recirculation, rows: Any) -> dict[str, float]:
    """Cosine of the angle between recirculation's update and backpropagation's, for each matrix."""
    from hintoncore import nn

    ours = model.update_direction(rows, REGRESSION)
    return nn.alignment({name: ours[name] for name in ("w_up", "w_down")}, model.descent_direction(rows))


def run(run: Run) -> dict[str, float]:
    """Measure one seed."""
    from hintoncore.models import Recirculation

    n_runs = QUICK_RUNS if run.quick else RUNS
    patterns = np.eye(4, dtype=np.float32)
    found: dict[str, list[int | None]] = {"recirculation": [], "recirculation, paper's rate": [], "backpropagation": []}
    for start in run.bar(range(n_runs), "4-2-4 encoders"):
        for kind, sweeps in found.items():
            model = Recirculation(4, 2, seed=run.seed * RUNS + start, scale=SCALE)
            rate = PAPER_RATE if kind == "recirculation, paper's rate" else LEARNING_RATE
            sweeps.append(sweeps_to_learn(model, patterns, rate, by_backpropagation=kind == "backpropagation"))
    learned = {kind: [sweep for sweep in sweeps if sweep is not None] for kind, sweeps in found.items()}
    run.details.update(
        runs=n_runs,
        learning_rate=LEARNING_RATE,
        regression=REGRESSION,
        initial_weights=f"uniform in [-{SCALE:g}, {SCALE:g}]",
        learned_when=f"squared error below {LEARNED:g}, mean over patterns of the sum over units",
        mean_sweeps={kind: float(np.mean(sweeps)) for kind, sweeps in learned.items()},
        solved={kind: len(sweeps) for kind, sweeps in learned.items()},
    )
    final = _digits(run)
    return {
        "solved": 100.0 * len(learned["recirculation"]) / n_runs,
        "sweeps": float(np.mean(learned["recirculation"])) if learned["recirculation"] else float(GIVEN_UP),
        "cosine": final["w_up"],
    }


def _digits(run: Run) -> dict[str, float]:
    """Learn the digits; returns the cosines at the end."""
    from hintoncore import datasets
    from hintoncore.models import Recirculation

    digits = datasets.load("digits")
    model = Recirculation(64, DIGITS_HIDDEN, seed=run.seed, scale=0.1)
    epochs = QUICK_DIGITS_EPOCHS if run.quick else DIGITS_EPOCHS
    curve = [{"epoch": 0.0, "error": model.reconstruction_error(digits.test), **cosines(model, digits.train)}]
    for epoch in run.bar(range(1, epochs + 1), "digits"):
        model.fit(digits.train, 1, learning_rate=DIGITS_RATE, regression=REGRESSION)
        error = model.reconstruction_error(digits.test)
        curve.append({"epoch": float(epoch), "error": error, **cosines(model, digits.train)})
    run.details["digits"] = {"hidden": DIGITS_HIDDEN, "learning_rate": DIGITS_RATE, "curve": curve}
    if run.pictures:
        _draw(curve, run)
    return {name: curve[-1][name] for name in ("w_up", "w_down")}


def _draw(curve: list[dict[str, float]], run: Run) -> None:
    from matplotlib.figure import Figure as Canvas

    from hintoncore import plots

    canvas = Canvas(figsize=(9, 3.6), layout="constrained")
    left, right = canvas.subplots(1, 2)
    epochs = [record["epoch"] for record in curve]
    for name, label in (("w_up", "recognition weights"), ("w_down", "generative weights")):
        left.plot(epochs, [record[name] for record in curve], label=label)
    left.set(xlabel="epoch", title="Cosine between recirculation's update and backprop's", ylim=(-0.1, 1.05))
    left.axhline(0, color="0.8", linewidth=0.8)
    left.legend(frameon=False)
    right.plot(epochs, [record["error"] for record in curve])
    right.set(xlabel="epoch", title="Squared error per held-out digit", ylim=(0, None))
    plots.save(canvas, run.out / "recirculation.png")


EXPERIMENT = Experiment(
    name="recirculation",
    title="Recirculation: learn by making the information loop change nothing",
    source="Hinton and McClelland 1988, Learning representations by recirculation",
    figures=(
        Figure(
            "solved",
            "4-2-4 encoder: runs of 100 that learn it",
            "%",
            "higher",
            target=100.0,
            best_public=100.0,
            quick_bound=100.0,
        ),
        Figure(
            "sweeps",
            "4-2-4 encoder: mean sweeps until the squared error is below 0.1",
            "sweeps",
            "lower",
            target=42.0,
            paper=48.0,
            paper_approximate=True,
            quick_bound=60.0,
        ),
        Figure(
            "cosine",
            "digits 64-32-64: cosine between its update of the recognition weights and backprop's, after training",
            "",
            "higher",
            target=0.5,
            quick_bound=0.0,
        ),
    ),
    run=run,
    seeds=3,
    data=("digits",),
)
