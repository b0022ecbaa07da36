"""Runs an experiment over its seeds, seed by seed, and reports its figures beside the paper's.

A finished seed is a file, so that an interrupted experiment goes on with the next; within a seed the experiment itself
goes on from the checkpoints it left.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hintoncore.experiments._framework import Experiment, Figure, Run
from hintoncore.experiments._machine import cpu_name
from hintoncore.files import write_atomic

if TYPE_CHECKING:
    from hintoncore.train import Callback

__all__ = ["RESULT", "reproduce"]

RESULT = "result.json"
_SEED_FILE = "figures.json"
_ELAPSED_FILE = "elapsed.json"


def reproduce(
    experiment: Experiment,
    out: Path,
    *,
    seeds: Sequence[int],
    quick: bool = False,
    resume: bool = False,
    pictures: bool = False,
    show_bars: bool = False,
    make_callbacks: Callable[[], list[Callback]] = list,
    command: str | None = None,
) -> dict[str, Any]:
    """Run an experiment and return its report, which is also written to ``out/result.json``.

    Parameters
    ----------
    experiment : Experiment
    out : Path
        Folder of the results; ``seed-N`` in it is the folder of a seed.
    seeds : sequence of int
    quick : bool
    resume : bool
        Keep finished seeds and go on from the checkpoints of the one that was interrupted.
    pictures, show_bars, make_callbacks
        See :class:`Run`.
    command : str, optional
        To keep in the report.

    Returns
    -------
    dict
        The main figure at the top level, as ``hintoncore reproduce --json`` prints it, and all of them in
        ``figures``. ``reached`` at the top level says whether every figure was.

    Raises
    ------
    DatasetNotFoundError
        If a data set is missing; nothing has run then.
    ValueError
        If there are no seeds, a seed comes twice, or the folder to resume holds a run of another kind.
    """
    import hintoncore

    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds: expected at least one and none twice, given {list(seeds)}")
    _require_data(experiment.needs(quick=quick))
    outcomes = []
    for seed in seeds:
        run = Run(
            seed=seed,
            quick=quick,
            out=out / f"seed-{seed}",
            resume=resume,
            pictures=pictures,
            make_callbacks=make_callbacks,
            show_bars=show_bars,
        )
        outcomes.append(_finished(experiment, run) or _measure(experiment, run))
    report = {
        **_summary(experiment, outcomes),
        "quick": quick,
        "by_seed": {str(seed): outcome["figures"] for seed, outcome in zip(seeds, outcomes, strict=True)},
        "details": {str(seed): outcome["details"] for seed, outcome in zip(seeds, outcomes, strict=True)},
        "source": experiment.source,
        "cpu": cpu_name(),
        "threads": hintoncore.get_num_threads(),
        "version": hintoncore.__version__,
        "command": command,
    }
    _write(out / RESULT, report)
    return report


def _require_data(names: Sequence[str]) -> None:
    from hintoncore import datasets

    for name in names:
        datasets.require(name)


def _finished(experiment: Experiment, run: Run) -> dict[str, Any] | None:
    """The outcome of a seed that an earlier run completed."""
    path = run.out / _SEED_FILE
    if not (run.resume and path.is_file()):
        return None
    try:
        outcome: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        kind = (outcome["name"], outcome["quick"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: damaged ({error}); delete it to measure this seed again") from None
    if kind != (experiment.name, run.quick):
        raise ValueError(f"{path}: expected a run of {experiment.name!r} with quick={run.quick}, it holds {kind}")
    return outcome


def _measure(experiment: Experiment, run: Run) -> dict[str, Any]:
    run.out.mkdir(parents=True, exist_ok=True)
    (run.out / _SEED_FILE).unlink(missing_ok=True)
    elapsed_file = run.out / _ELAPSED_FILE
    before = json.loads(elapsed_file.read_text(encoding="utf-8")) if run.resume and elapsed_file.is_file() else 0.0
    start = time.perf_counter()
    try:
        figures = {name: float(value) for name, value in experiment.run(run).items()}
    finally:
        seconds = before + time.perf_counter() - start
        _write(elapsed_file, seconds)
    _check(experiment, run, figures)
    outcome = {
        "name": experiment.name,
        "quick": run.quick,
        "seed": run.seed,
        "figures": figures,
        "seconds": seconds,
        "details": run.details,
    }
    _write(run.out / _SEED_FILE, outcome)
    return outcome


def _check(experiment: Experiment, run: Run, figures: Mapping[str, float]) -> None:
    known = {figure.name for figure in experiment.figures}
    needed = {figure.name for figure in experiment.figures if not run.quick or figure.quick_bound is not None}
    if not (needed <= figures.keys() <= known):
        raise RuntimeError(f"{experiment.name}: expected the figures {sorted(needed)}, measured {sorted(figures)}")
    bad = [f"{name} = {value}" for name, value in figures.items() if not math.isfinite(value)]
    if bad:
        raise FloatingPointError(f"{experiment.name}, seed {run.seed}: {', '.join(bad)}")


def _summary(experiment: Experiment, outcomes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    figures = [
        _figure_report(figure, [o["figures"].get(figure.name) for o in outcomes]) for figure in experiment.figures
    ]
    return {
        "name": experiment.name,
        **{key: value for key, value in figures[0].items() if key != "name"},
        "seeds": [outcome["seed"] for outcome in outcomes],
        "seconds": sum(outcome["seconds"] for outcome in outcomes),
        "reached": all(figure["reached"] for figure in figures),
        "figures": figures,
    }


def _figure_report(figure: Figure, by_seed: Sequence[float | None]) -> dict[str, Any]:
    values = [value for value in by_seed if value is not None]
    ours = figure.combine(values) if values else None
    return {
        "name": figure.name,
        "figure": figure.text,
        "unit": figure.unit,
        "better": figure.better,
        "target": figure.target,
        "paper": figure.paper,
        "paper_approximate": figure.paper_approximate,
        "best_public": figure.best_public,
        "ours": ours,
        "spread": statistics.stdev(values) if len(values) > 1 else 0.0,
        "aggregate": figure.aggregate,
        "reached": ours is not None and figure.reached(ours, figure.target),
    }


def _write(path: Path, value: Any) -> None:
    write_atomic(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())
