"""The interleaved run: every round times every contestant of a case once, in rotating order, so that what the machine
does to one it does to all. Results are medians over rounds, and ratios are medians of ratios within a round. Rounds in
which other programs were busy are repeated, a limited number of times, and the quietest are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

from .cases import CEILINGS, ENGINES, ON_REQUEST, OURS, UNITS, Case, Target, UnavailableError
from .pool import Pool, Process
from .quiet import LOUD, Meter, settle

Row = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """How long and how often to measure, and whom. `peers` None means all that are installed and worth the time."""

    rounds: int = 7
    seconds: float = 0.1
    seed: int = 0
    peers: frozenset[str] | None = None

    def invites(self, name: str, case: Case) -> bool:
        """Whether this contestant takes part in the case."""
        if self.peers is not None:
            return name in self.peers
        return name not in ON_REQUEST or any(name in target.against for target in case.targets)


def spread(values: Sequence[float]) -> float:
    """Interquartile range over the median: the noise seen between rounds."""
    if len(values) < 2:
        return 0.0
    low, _, high = quantiles(values, n=4, method="inclusive")
    return (high - low) / median(values)


def paired_ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """Median over rounds of the ratio within the round."""
    return median(a / b for a, b in zip(numerator, denominator, strict=True))


def judge(target: Target, ceiling: str | None, rounds: dict[str, list[float]]) -> Row:
    """How ours did against one target; `ratio` is None when nothing of `against` ran."""
    names = [ceiling if name == "ceiling" else name for name in target.against]
    measured = [name for name in names if name is not None and name in rounds]
    result: Row = {
        "against": list(target.against),
        "required": target.ratio,
        "beat": None,
        "ratio": None,
        "reached": None,
    }
    if OURS in rounds and measured:
        rival = min(measured, key=lambda name: median(rounds[name]))
        result["beat"] = rival
        result["ratio"] = paired_ratio(rounds[rival], rounds[OURS])
        result["reached"] = result["ratio"] >= target.ratio
    return result


def summarise(
    case: Case,
    isa: str,
    rounds: dict[str, list[float]],
    errors: dict[str, float],
    skipped: dict[str, str],
    wrong: dict[str, str],
) -> Row:
    """The row for the JSON file. `rounds` holds seconds per call; a ceiling's are the seconds it would need."""
    scale = UNITS[case.unit]
    ceiling = case.ceiling if case.ceiling in rounds else None
    return {
        "family": case.family,
        "case": case.name,
        "params": dict(case.params),
        "threads": case.threads,
        "isa": isa,
        "unit": case.unit,
        "work": case.work,
        "seconds": {
            name: {"median": median(values), "spread": spread(values), "rounds": values}
            for name, values in rounds.items()
        },
        "speed": {name: case.work / median(values) / scale for name, values in rounds.items()},
        "speedup": {
            name: paired_ratio(values, rounds[OURS])
            for name, values in rounds.items()
            if OURS in rounds and name != OURS and name not in CEILINGS
        },
        "ceiling": ceiling,
        "of_ceiling": {
            name: paired_ratio(rounds[ceiling], values) for name, values in rounds.items() if name != ceiling
        }
        if ceiling
        else {},
        "error": errors,
        "skipped": skipped,
        "wrong": wrong,
        "targets": [judge(target, ceiling, rounds) for target in case.targets],
    }


def run_case(case: Case, isa: str, settings: Settings, pool: Pool) -> Row:
    """Prepare and check every contestant, then time them round by round."""
    names = [name for name in case.contestants if name == OURS or settings.invites(name, case)]
    if case.ceiling is not None:
        names.append(case.ceiling)
    processes: dict[str, Process] = {}
    errors: dict[str, float] = {}
    skipped: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for name in names:
        try:
            process = pool.get(ENGINES[name], isa, case.threads)
            reply = process.request(
                {
                    "op": "prepare",
                    "family": case.family,
                    "contestant": name,
                    "params": dict(case.params),
                    "threads": case.threads,
                    "seed": settings.seed,
                    "seconds": settings.seconds,
                    "ceiling_work": case.ceiling_work,
                }
            )
        except UnavailableError as error:
            skipped[name] = str(error)
            continue
        if "wrong" in reply:
            wrong[name] = reply["wrong"]
            continue
        errors[name] = reply["error"]
        processes[name] = process
    taken = _take_rounds(case, settings.rounds if processes else 0, processes)
    rounds = {name: [seconds[name] for _, seconds in taken] for name in processes}
    for process in set(processes.values()):
        process.request({"op": "release"})
    foreign = median(load for load, _ in taken) if taken else 0.0
    return summarise(case, isa, rounds, errors, skipped, wrong) | {"foreign_load": foreign}


def _take_rounds(case: Case, wanted: int, processes: dict[str, Process]) -> list[tuple[float, dict[str, float]]]:
    """Time round after round until `wanted` were quiet, at most three times as many; return the quietest, with the
    cores that others kept busy in each."""
    order = list(processes)
    meter = Meter((process.pid for process in set(processes.values())), case.threads)
    taken: list[tuple[float, dict[str, float]]] = []
    while sum(load <= LOUD for load, _ in taken) < wanted and len(taken) < 3 * wanted:
        turn = len(taken) % len(order)
        seconds = {}
        meter.start()
        for name in order[turn:] + order[:turn]:
            settle(process.pid for process in set(processes.values()))
            reply = processes[name].request({"op": "time", "contestant": name})
            seconds[name] = case.ceiling_work / reply["rate"] if "rate" in reply else reply["seconds"]
        taken.append((meter.stop(), seconds))
    return sorted(taken, key=lambda entry: entry[0])[:wanted]


def run_cases(
    cases: Iterable[tuple[Case, str]], settings: Settings, pool: Pool, done: Callable[[Row], None]
) -> list[Row]:
    """Run the cases (with the ISA level of each) and hand every finished row to `done`; Ctrl-C ends the run early."""
    rows: list[Row] = []
    for case, isa in cases:
        rows.append(run_case(case, isa, settings, pool))
        done(rows[-1])
    return rows
