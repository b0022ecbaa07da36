"""What an experiment is: the figures it must reach, and a function that measures them for one seed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from hintoncore.train import Callback

__all__ = ["Experiment", "Figure", "Run"]

Item = TypeVar("Item")

_AGGREGATES = ("mean", "median", "sum", "worst")


@dataclass(frozen=True)
class Figure:
    """One number of a paper, and what counts as reaching it.

    Attributes
    ----------
    name : str
        Key of the value that the experiment returns.
    text : str
        What it is, with data and sizes.
    unit : str
    better : {"higher", "lower"}
    target : float
        The figure to reach.
    paper, best_public : float, optional
        What the paper and the best public reproduction report; None where they give none.
    paper_approximate : bool
        The paper's figure is known from memory only.
    quick_bound : float, optional
        What a quick run must reach, a bound loose enough for its size; None where the quick run does not judge it.
    aggregate : {"mean", "median", "sum", "worst"}
        How the values of the seeds become one.
    """

    name: str
    text: str
    unit: str
    better: Literal["higher", "lower"]
    target: float
    paper: float | None = None
    best_public: float | None = None
    paper_approximate: bool = False
    quick_bound: float | None = None
    aggregate: Literal["mean", "median", "sum", "worst"] = "mean"

    def __post_init__(self) -> None:
        if self.better not in ("higher", "lower"):
            raise ValueError(f"better: expected 'higher' or 'lower', given {self.better!r}")
        if self.aggregate not in _AGGREGATES:
            raise ValueError(f"aggregate: expected one of {', '.join(_AGGREGATES)}, given {self.aggregate!r}")

    def reached(self, value: float, bound: float) -> bool:
        """Whether ``value`` is at least as good as ``bound``."""
        return value >= bound if self.better == "higher" else value <= bound

    def combine(self, values: Sequence[float]) -> float:
        """One value for those of all seeds."""
        if self.aggregate == "worst":
            return min(values) if self.better == "higher" else max(values)
        if self.aggregate == "median":
            return statistics.median(values)
        return sum(values) if self.aggregate == "sum" else statistics.fmean(values)


@dataclass
class Run:
    """What an experiment is given for one seed.

    Attributes
    ----------
    seed : int
    quick : bool
        Measure at a size that takes seconds.
    out : Path
        Folder of this seed: pictures, checkpoints, models. It exists and stays the same when a run is resumed.
    resume : bool
        Files in ``out`` are from an interrupted run of the same experiment and seed: go on from them.
    pictures : bool
        Whether to draw.
    details : dict
        JSON values to keep with the figures: settings, tables, what was smaller than in the paper.
    """

    seed: int
    quick: bool
    out: Path
    resume: bool = False
    pictures: bool = False
    details: dict[str, Any] = field(default_factory=dict)
    make_callbacks: Callable[[], list[Callback]] = list
    show_bars: bool = False

    def callbacks(self) -> list[Callback]:
        """Callbacks that show the progress of a training."""
        return self.make_callbacks()

    def bar(self, items: Iterable[Item], description: str, total: int | None = None) -> Iterable[Item]:
        """Pass ``items`` on under a progress bar."""
        if not self.show_bars:
            return items
        from tqdm import tqdm

        bar: Iterable[Item] = tqdm(items, desc=description, total=total, leave=False)
        return bar

    def checkpoint(self, name: str) -> Path | None:
        """A file in ``out`` to go on from: its path when the run is resumed and the file is there, else None."""
        path = self.out / name
        return path if self.resume and path.is_file() else None


@dataclass(frozen=True)
class Experiment:
    """One system: its figures and the function that measures them.

    Attributes
    ----------
    name : str
        What ``hintoncore reproduce`` calls it.
    title : str
        One line on what is shown.
    source : str
        The paper.
    figures : tuple of Figure
        The first is the main one.
    run : callable
        ``run(run: Run) -> {figure name: value}``; a quick run may leave out figures that have no ``quick_bound``.
    seeds : int
        How many seeds the full experiment takes.
    data : tuple of str
        Data sets that must be on this machine.
    quick_data : tuple of str, optional
        Those of a quick run, where it does with others.
    """

    name: str
    title: str
    source: str
    figures: tuple[Figure, ...]
    run: Callable[[Run], Mapping[str, float]]
    seeds: int = 3
    data: tuple[str, ...] = ()
    quick_data: tuple[str, ...] | None = None

    def needs(self, *, quick: bool) -> tuple[str, ...]:
        """Data sets that a full or a quick run reads."""
        return self.data if self.quick_data is None or not quick else self.quick_data

    def __post_init__(self) -> None:
        if not self.figures:
            raise ValueError(f"figures: expected at least one in {self.name!r}")
