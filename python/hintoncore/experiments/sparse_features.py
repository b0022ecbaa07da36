"""Sparsity targets: an RBM on MNIST whose hidden units are on as rarely as they are told to be.

Without a target units settle at activities of their own; with one, the penalty of the practical guide, section 11,
pulls the mean activity of each to 0.1. Forty of 400 units then make up an image, and with an L1 penalty on the weights
(section 10) their receptive fields become strokes (Lee, Ekanadham and Ng 2008); at 0.05 and without it they become
whole digits. The learning rate falls to almost 0, so that activities come to rest. A quick run has 100 units on 8x8
digits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hintoncore.experiments._framework import Experiment, Figure, Run

if TYPE_CHECKING:
    from hintoncore.models import RBM

__all__ = ["EXPERIMENT", "concentration"]

_TARGET, _DECAY = 0.1, 0.9
_QUICK = {"n_hidden": 100, "epochs": 60, "learning_rate": 0.05, "cost": 3.0, "l1": 0.0}
_FULL = {"n_hidden": 400, "epochs": 15, "learning_rate": 0.1, "cost": 1.5, "l1": 0.0005}


def run(run: Run) -> dict[str, float]:
    """How far activities are from the target, and how local receptive fields are."""
    from hintoncore import datasets, plots

    data = datasets.load("digits" if run.quick else "mnist")
    measured: dict[str, float] = {}
    activities: dict[str, NDArray[np.float64]] = {}
    concentrations: dict[str, float] = {}
    for name, sparse in (("sparse", True), ("free", False)):
        model = _trained(run, name, data.train, sparse)
        activity = model.transform(data.test).mean(axis=0, dtype=np.float64)
        activities[name], concentrations[name] = activity, concentration(model.w)
        run.details[name] = {
            "mean_activity_of_test_images": float(activity.mean()),
            "activity_percentiles_5_50_95": [float(x) for x in np.percentile(activity, [5, 50, 95])],
            "units_within_tenth_of_target": float((np.abs(activity / _TARGET - 1.0) <= 0.1).mean()),
            "units_within_half_of_target": float((np.abs(activity / _TARGET - 1.0) <= 0.5).mean()),
            "half_of_squared_weight_on_share_of_pixels": concentrations[name],
        }
        if run.pictures:
            plots.save(plots.receptive_fields(model.w, data.image_shape), run.out / f"{name}-receptive-fields.png")
            if sparse:
                plots.save(plots.receptive_fields(model.w, data.image_shape, limit=400), run.out / "strokes.png")
    measured["deviation"] = 100.0 * abs(float(activities["sparse"].mean()) / _TARGET - 1.0)
    measured["median_unit_deviation"] = 100.0 * float(np.median(np.abs(activities["sparse"] / _TARGET - 1.0)))
    measured["spread"] = concentrations["sparse"] / concentrations["free"]
    run.details["settings"] = {"target": _TARGET, "decay": _DECAY, **(_QUICK if run.quick else _FULL)}
    if run.pictures:
        _draw_activities(run, activities)
    return measured


def concentration(w: NDArray[np.float32]) -> float:
    """Share of the pixels that half of a field's squared weight lies on, averaged over units: small for local ones."""
    squares = np.sort(w.astype(np.float64) ** 2, axis=0)[::-1]
    covered = np.cumsum(squares, axis=0) / squares.sum(axis=0)
    return float(((covered < 0.5).sum(axis=0) + 1.0).mean() / len(w))


def _trained(run: Run, name: str, train: NDArray[np.float32], sparse: bool) -> RBM:
    from hintoncore.models import RBM
    from hintoncore.train import Checkpoint, Linear, Sparsity

    file = f"{name}.safetensors"
    size = _QUICK if run.quick else _FULL
    epochs, rate = int(size["epochs"]), size["learning_rate"]
    return RBM(train.shape[1], int(size["n_hidden"]), seed=run.seed).fit(
        train,
        epochs,
        learning_rate=Linear(rate, 0.01 * rate, epochs),
        momentum=0.5,
        sparsity=Sparsity(_TARGET, size["cost"], _DECAY) if sparse else None,
        l1=size["l1"] if sparse else 0.0,
        callbacks=[*run.callbacks(), Checkpoint(run.out / file)],
        resume=run.checkpoint(file),
    )


def _draw_activities(run: Run, activities: dict[str, NDArray[np.float64]]) -> None:
    from matplotlib.figure import Figure as Canvas

    from hintoncore import plots

    figure = Canvas(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    bins: list[float] = np.linspace(0.0, max(0.5, float(max(a.max() for a in activities.values()))), 60).tolist()
    for (name, activity), colour in zip(activities.items(), ("#1f4e79", "#c0392b"), strict=True):
        axes.hist(
            activity, bins=bins, color=colour, alpha=0.6, label={"sparse": f"target {_TARGET:g}", "free": "none"}[name]
        )
    axes.axvline(_TARGET, color="#2e7d32", linewidth=1)
    axes.set_xlabel("mean activity on test images")
    axes.set_ylabel("hidden units")
    axes.legend(frameon=False)
    plots.save(figure, run.out / "activities.png")


EXPERIMENT = Experiment(
    name="sparse-features",
    title="Sparsity targets: stroke detectors from an RBM on MNIST",
    source="Hinton 2010, A practical guide to training RBMs, section 11; Lee, Ekanadham and Ng 2008",
    figures=(
        Figure(
            "deviation",
            "mean activity of the hidden units on test images, distance from the target of 0.1",
            unit="% of target",
            better="lower",
            target=10.0,
            quick_bound=10.0,
        ),
        Figure(
            "median_unit_deviation",
            "the same unit by unit, median",
            unit="% of target",
            better="lower",
            target=10.0,
            quick_bound=40.0,
        ),
        Figure(
            "spread",
            "pixels that half of a receptive field's squared weight lies on, over those of the machine without target",
            unit="ratio",
            better="lower",
            target=1.0,
        ),
    ),
    run=run,
    seeds=3,
    data=("mnist",),
    quick_data=("digits",),
)
