"""Runs an experiment the quick way and holds it to its loose bounds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from hintoncore import datasets, experiments, plots


def check_quick(name: str, out: Path, seed: int = 0) -> dict[str, Any]:
    """Run ``name`` for one seed; every figure with a quick bound must reach it. Returns the report.

    Where its data are not on this machine the test is skipped, but never in CI.
    """
    experiment = experiments.load(name)
    for data in experiment.needs(quick=True):
        if datasets.locate(data) is None:
            if os.environ.get("CI"):
                datasets.require(data)
            pytest.skip(f"data set {data!r} is not on this machine (set HINTONCORE_DATA)")
    report = experiments.reproduce(experiment, out, seeds=[seed], quick=True, pictures=plots.available())
    measured = report["by_seed"][str(seed)]
    missed = [
        f"{figure.name} = {measured[figure.name]:g}, bound {figure.quick_bound:g}"
        for figure in experiment.figures
        if figure.quick_bound is not None and not figure.reached(measured[figure.name], figure.quick_bound)
    ]
    assert not missed, missed
    return report
