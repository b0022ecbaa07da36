"""`hintoncore reproduce`: run a system's experiment and show its figures beside the paper's."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hintoncore.cli._shared import integer, print_json, seed

if TYPE_CHECKING:
    from hintoncore.experiments import Experiment
    from hintoncore.train import Callback

NAME = "reproduce"
HELP = "run a system's experiment: the paper's figure beside ours"
DESCRIPTION = """\
Runs one of the systems over several seeds and prints each figure: the paper's, the best public reproduction's, the one
to reach and ours. DIR gets result.json, and for each seed a folder with its pictures, models and checkpoints.

A quick run takes seconds and shows that everything works; its figures are not the paper's. Full runs take from seconds
to hours; Ctrl-C and kill lose nothing that --resume does not pick up.
"""
EPILOG = """\
examples:
  hintoncore reproduce --list
      the systems, one line each
  hintoncore reproduce boltzmann-encoder --quick
      a look in seconds
  hintoncore reproduce boltzmann-encoder --seeds 5 --out encoder
      the full experiment on five seeds
  hintoncore reproduce boltzmann-encoder --seeds 5 --out encoder --resume
      go on after an interruption
  hintoncore reproduce --table results/reproduce-*.json
      results of several systems as one Markdown table
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="the system, see --list")
    parser.add_argument("--list", action="store_true", help="name the systems")
    parser.add_argument("--table", nargs="+", type=Path, metavar="FILE", help="print these result.json as one table")
    parser.add_argument("--quick", action="store_true", help="a small run of a few seconds")
    parser.add_argument(
        "--seeds", type=integer(1), metavar="N", help="how many seeds (default: 1 if quick, else its own)"
    )
    parser.add_argument("--seed", type=seed, default=0, metavar="S", help="the first seed (default: 0)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the results (default: reproduce-NAME)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in DIR, or start one")
    parser.add_argument("--no-pictures", action="store_true", help="draw nothing")
    parser.add_argument("--threads", type=integer(1), default=None, metavar="N", help="threads (default: all cores)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the experiment; 0 if every figure was reached or the run was a quick one, else 1."""
    import hintoncore
    from hintoncore import experiments, plots

    if args.list:
        return _list(as_json=args.json)
    if args.table is not None:
        return _table(args.table)
    if args.name is None:
        raise ValueError("NAME: name a system, see hintoncore reproduce --list")
    experiment = experiments.load(args.name)
    out = args.out or Path(f"reproduce-{experiment.name}{'-quick' if args.quick else ''}")
    _check_folder(out, args)
    if args.threads is not None:
        hintoncore.set_num_threads(args.threads)
    pictures = not args.no_pictures
    if pictures and not plots.available():
        print(f"note: running without pictures, {plots.INSTALL_HINT}", file=sys.stderr)
        pictures = False
    count = args.seeds or (1 if args.quick else experiment.seeds)
    seeds = list(range(args.seed, args.seed + count))
    if not args.json:
        print(
            f"{experiment.title}\n{experiment.source}\nseeds {', '.join(map(str, seeds))}, results in {out}", flush=True
        )
    try:
        report = experiments.reproduce(
            experiment,
            out,
            seeds=seeds,
            quick=args.quick,
            resume=args.resume,
            pictures=pictures,
            show_bars=sys.stderr.isatty(),
            make_callbacks=_callbacks,
            command=_command(args, out, resume=False),
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; go on with\n  {_command(args, out, resume=True)}") from None
    if args.json:
        print_json(report)
    else:
        _show(experiment, report, out)
    return 0 if args.quick or report["reached"] else 1


def _list(*, as_json: bool) -> int:
    from hintoncore import experiments

    found = [experiments.load(name) for name in experiments.names()]
    if as_json:
        print_json([{"name": e.name, "title": e.title, "source": e.source, "data": list(e.data)} for e in found])
        return 0
    width = max((len(e.name) for e in found), default=0)
    for e in found:
        print(f"{e.name:{width}}  {e.title}")
    return 0


def _check_folder(out: Path, args: argparse.Namespace) -> None:
    """A full run's folder is never overwritten; a quick one is."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out: {out} is a file, expected a folder")
    occupied = out.is_dir() and any(out.iterdir())
    if args.resume and not occupied:  # a loop that runs this until it is done need not know the first time
        print(f"note: there is no run in {out} to go on with, so this starts one", file=sys.stderr)
    if occupied and not args.resume and not args.quick:
        raise ValueError(
            f"--out: {out} is not empty; choose another, or go on with\n  {_command(args, out, resume=True)}"
        )


def _callbacks() -> list[Callback]:
    from hintoncore import train
    from hintoncore.cli._progress import EpochLines

    return [train.ProgressBar() if sys.stderr.isatty() else EpochLines()]


def _command(args: argparse.Namespace, out: Path, *, resume: bool) -> str:
    words = ["hintoncore", NAME, args.name]
    if args.quick:
        words.append("--quick")
    if args.seeds is not None:
        words += ["--seeds", str(args.seeds)]
    if args.seed:
        words += ["--seed", str(args.seed)]
    if args.threads is not None:
        words += ["--threads", str(args.threads)]
    words += ["--out", str(out)]
    return shlex.join(words + (["--resume"] if resume else []))


def _table(paths: Sequence[Path]) -> int:
    from hintoncore.experiments._table import markdown

    try:
        reports = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        print(markdown(sorted(reports, key=lambda report: str(report["name"]))))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"--table: expected result.json of reproduce, these hold something else ({error})") from None
    return 0


def _show(experiment: Experiment, report: Mapping[str, Any], out: Path) -> None:
    from hintoncore.experiments._table import cells

    rows: list[Sequence[str]] = [("figure", "paper", "best public", "to reach", "ours", "")]
    for figure in report["figures"]:
        verdict = "" if report["quick"] else ("reached" if figure["reached"] else "not reached")
        rows.append((figure["figure"], *cells(figure, len(report["seeds"])), verdict))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    note = "; a quick run, not to be compared with the paper" if report["quick"] else ""
    print(f"{experiment.name}: {report['seconds']:.0f} s{note}; wrote {out}")
