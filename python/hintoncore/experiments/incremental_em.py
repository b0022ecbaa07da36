"""Incremental and sparse EM against standard EM on a Bernoulli mixture of binarised MNIST images.

Neal and Hinton (1998) view EM as coordinate ascent in one free energy F(q, theta), which licenses partial E steps. All
forms start from the same components here and are stopped at nothing but a number of epochs. A pass is one density for
each image and component, so a sparse epoch, which computes only those that matter, is a fraction of one. The level that
each form must reach is the lowest of their final free energies, but for a thousandth of the way up to it: then the last
steps of a slow convergence do not decide. The figures are passes to that level, as shares of standard EM's. No step may
lower F: a run would end with an error, and the smallest step is reported.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hintoncore.experiments._framework import Experiment, Figure, Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

    from hintoncore.bitmatrix import BitMatrix
    from hintoncore.train import Trainer

__all__ = ["EXPERIMENT", "FULL", "QUICK", "VARIANTS", "Settings", "passes_to"]

_SHORT_OF = 1e-3

VARIANTS: dict[str, dict[str, Any]] = {
    "standard": {},
    "incremental": {"batch_size": 500},
    "sparse": {"sparse_threshold": 1e-3, "full_every": 5},
    "sparse incremental": {"batch_size": 500, "sparse_threshold": 1e-3, "full_every": 5},
}
"""Forms of EM by name, as arguments of ``Mixture.fit``."""


@dataclass(frozen=True)
class Settings:
    """The mixture and how long it is trained.

    Attributes
    ----------
    rows : int
        Training images.
    components : int
    epochs : dict of str to int
        For each of :data:`VARIANTS`, after the first pass that all share.
    """

    rows: int
    components: int
    epochs: dict[str, int]


FULL = Settings(
    rows=60_000,
    components=30,
    epochs={"standard": 40, "incremental": 25, "sparse": 50, "sparse incremental": 30},
)
QUICK = Settings(
    rows=3000,
    components=10,
    epochs={"standard": 30, "incremental": 20, "sparse": 40, "sparse incremental": 30},
)
"""For the test suite."""


def run(run: Run) -> dict[str, float]:
    """All forms from the same start."""
    from hintoncore.datasets import binarize, load

    settings = QUICK if run.quick else FULL
    data = load("mnist")
    images = binarize(data.train[: settings.rows])
    traces = {name: _trace(run, name, images, settings) for name in run.bar(VARIANTS, "forms of EM")}
    level = common_level([trace["free_energy"] for trace in traces.values()])
    passes = {name: passes_to(level, trace["passes"], trace["free_energy"]) for name, trace in traces.items()}
    smallest = min(float(np.diff(trace["free_energy"]).min()) for trace in traces.values())
    run.details.update(
        settings=asdict(settings),
        variants=VARIANTS,
        level=level,
        passes=passes,
        final_free_energy={name: trace["free_energy"][-1] for name, trace in traces.items()},
        seconds_to_level={
            name: passes_to(level, trace["seconds"], trace["free_energy"]) for name, trace in traces.items()
        },
        smallest_step=smallest,
    )
    if run.pictures:
        _draw(run, traces, level, data.image_shape)
    standard = passes["standard"]
    return {
        "incremental_ratio": passes["incremental"] / standard,
        "sparse_ratio": passes["sparse"] / standard,
        "sparse_incremental_ratio": passes["sparse incremental"] / standard,
        "steps_down": float(sum(_falls(trace["free_energy"]) for trace in traces.values())),
    }


def common_level(free_energies: list[list[float]]) -> float:
    """The free energy that every form reaches, but for a thousandth of the way there from the common start."""
    start, end = free_energies[0][0], min(values[-1] for values in free_energies)
    return start + (1.0 - _SHORT_OF) * (end - start)


def passes_to(level: float, passes: list[float], free_energy: list[float]) -> float:
    """Cost at the first step whose free energy is at least ``level``."""
    return passes[int(np.argmax(np.asarray(free_energy) >= level))]


def _falls(free_energy: list[float]) -> int:
    """Steps that lowered F by more than its rounding."""
    values = np.asarray(free_energy)
    return int((np.diff(values) < -1e-11 * np.abs(values[:-1])).sum())


def _trace(run: Run, name: str, images: BitMatrix, settings: Settings) -> dict[str, list[float]]:
    """Passes, seconds and free energy after each step; a form that was finished before an interruption is read back."""
    from hintoncore.files import write_atomic
    from hintoncore.models import Mixture
    from hintoncore.train import Callback

    path = run.out / f"{name.replace(' ', '-')}.json"
    if run.checkpoint(path.name):
        finished: dict[str, list[float]] = json.loads(path.read_text(encoding="utf-8"))
        return finished
    trace: dict[str, list[float]] = {"passes": [], "free_energy": [], "seconds": []}
    start = time.perf_counter()

    class Trace(Callback):
        def on_start(self, trainer: Trainer) -> None:
            self.on_step(trainer)

        def on_step(self, trainer: Trainer) -> None:
            figures = trainer.task.evaluate(0.0)
            trace["passes"].append(figures["passes"])
            trace["free_energy"].append(figures["free_energy"])
            trace["seconds"].append(time.perf_counter() - start)

    mixture = Mixture(settings.components, images.shape[1], seed=run.seed)
    mixture.fit(images, settings.epochs[name], callbacks=[Trace(), *run.callbacks()], **VARIANTS[name])
    mixture.save(run.out / f"{path.stem}.safetensors")
    write_atomic(path, json.dumps(trace).encode())
    return trace


def _draw(run: Run, traces: dict[str, dict[str, list[float]]], level: float, image_shape: tuple[int, int]) -> None:
    from hintoncore import plots
    from hintoncore.models import Mixture

    plots.save(_curves(traces, level), run.out / "free-energy.png")
    mixture = Mixture.load(run.out / "incremental.safetensors")
    order = np.argsort(-mixture.weights)
    means = mixture.components.mean[order].astype(np.float32)
    plots.save(plots.image_grid(means, image_shape, "Components by incremental EM"), run.out / "components.png")


def _curves(traces: dict[str, dict[str, list[float]]], level: float) -> Canvas:
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(6.4, 4.2), layout="constrained")
    axes = canvas.subplots()
    for name, trace in traces.items():
        axes.plot(trace["passes"], trace["free_energy"], label=name, linewidth=1.5)
    axes.axhline(level, color="#888888", linewidth=0.8, linestyle="--", label="level to reach")
    start, top = traces["standard"]["free_energy"][0], max(trace["free_energy"][-1] for trace in traces.values())
    axes.set_ylim(start, top + 0.05 * (top - start))
    axes.set_xlabel("passes (densities computed, as multiples of images x components)")
    axes.set_ylabel("free energy F, nats per image")
    axes.set_title("EM, incremental EM and sparse EM from one start", fontsize=10, loc="left")
    axes.legend(frameon=False, fontsize=8.5)
    return canvas


def _ratio(name: str, text: str) -> Figure:
    return Figure(name, text, unit="share of standard EM's passes", better="lower", target=0.999, quick_bound=0.999)


EXPERIMENT = Experiment(
    name="incremental-em",
    title="Incremental and sparse EM reach the free energy of standard EM in fewer passes",
    source="Neal and Hinton 1998, sections 4 and 5",
    figures=(
        _ratio("incremental_ratio", "passes of incremental EM to the common free energy, Bernoulli mixture on MNIST"),
        _ratio("sparse_ratio", "passes of sparse EM to the common free energy"),
        _ratio("sparse_incremental_ratio", "passes of sparse incremental EM to the common free energy"),
        Figure(
            "steps_down",
            "steps of all forms that lowered the free energy",
            unit="steps",
            better="lower",
            target=0.0,
            quick_bound=0.0,
            aggregate="sum",
        ),
    ),
    run=run,
    seeds=3,
    data=("mnist",),
)
