"""`hintoncore bench`: options, the run, and what it prints. Imports stay light, for `hintoncore --help` loads this."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

from . import FAMILIES
from .harness.cases import CEILINGS, ENGINES, OURS

NAME = "bench"
HELP = "measure the kernels against their peers and against this machine's ceilings"
DESCRIPTION = """\
Measures every kernel family in one interleaved run: HintonCore, the peers that are installed, and the machine's own
ceilings (fp32 multiply-adds, copy bandwidth). Every contestant's answer is checked before it is timed. Prints a table
of medians, as Markdown, with the target of each row and whether it is reached.

Ratios and shares of the ceiling are the result; absolute times depend on what else the machine does.
"""
EPILOG = """\
examples:
  hintoncore bench                                  everything, on 1 and 2 threads (several minutes)
  hintoncore bench --list                           the rows, without running them
  hintoncore bench --kernel gibbs,cd --threads 2    two families on two threads
  hintoncore bench --kernel matmul --sizes 256x256x256,4096x64x512
  hintoncore bench --kernel gibbs --isa avx2,avx512 --plot plots
  hintoncore bench --from old.json --brief          an earlier run again: the rows with targets
  hintoncore bench --json new.json --compare old.json
                                                    ratio of each row to an older run; exit code 1 if one got slower

sizes by family: matmul MxKxN; batched NxMxKxN; linear and outer BxIxO; conv BxCxOxHxKxS; nn BxIxHxHxO; rnn TxBxH;
layers BxN; gibbs, cd, pcd and ais BxVxH; cf BxIxH; dense, bits and units BxN; graph BxL; philox and math N (B batch or
chains, V visible and H hidden units, I inputs or items, O outputs, C channels, H x H pixels, K x K taps, S stride, L
sites along a side of the lattice, T steps); a family takes the sizes of its dimensions.

peers: numpy, torch, scikit-learn, rbms, jax, thrml, dwave-samplers; missing ones are skipped (pip install torch
scikit-learn rbms jax thrml dwave-samplers threadpoolctl matplotlib).
torch.compile takes part when named, and in rows that are judged against it; it was slower than eager on the other
kernels and takes long to start.
"""


def _integers(text: str) -> tuple[int, ...]:
    try:
        values = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected integers such as 1,2, given {text!r}") from None
    if any(value < 1 for value in values):
        raise argparse.ArgumentTypeError(f"expected integers of at least 1, given {text!r}")
    return values


def _sizes(text: str) -> tuple[tuple[int, ...], ...]:
    try:
        sizes = tuple(tuple(int(part) for part in size.split("x")) for size in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected sizes such as 1024x1024x1024,65536, given {text!r}") from None
    if any(value < 1 for size in sizes for value in size):
        raise argparse.ArgumentTypeError(f"expected sizes of at least 1, given {text!r}")
    return sizes


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _families(text: str) -> tuple[str, ...]:
    names = _names(text)
    unknown = [name for name in names if name not in FAMILIES]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"unknown kernel {', '.join(unknown)!r}; there are {', '.join(FAMILIES)}")
    return names


def _peers(text: str) -> tuple[str, ...]:
    names = _names(text)
    known = [name for name in ENGINES if name != OURS and name not in CEILINGS]
    unknown = [name for name in names if name not in (*known, "none")]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"unknown peer {', '.join(unknown)!r}; there are {', '.join(known)}, none")
    return names


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, given {text!r}")
    return value


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    what = parser.add_argument_group("what to measure")
    what.add_argument(
        "--kernel",
        type=_families,
        default=FAMILIES,
        metavar="NAME,...",
        help=f"families: {', '.join(FAMILIES)} (default: all)",
    )
    what.add_argument(
        "--sizes",
        type=_sizes,
        default=(),
        metavar="SIZE,...",
        help="sizes instead of the families' own (see below)",
    )
    what.add_argument(
        "--threads",
        type=_integers,
        default=None,
        metavar="N,...",
        help="thread counts (default: 1,2 as far as there are cores)",
    )
    what.add_argument(
        "--isa",
        type=_names,
        default=None,
        metavar="LEVEL,...",
        help="ISA levels of ours, or 'all' (default: the best this CPU has)",
    )
    what.add_argument(
        "--peers",
        type=_peers,
        default=None,
        metavar="NAME,...",
        help="only these peers, 'none' for none (default: all that are installed, see below)",
    )
    what.add_argument("--wheel", type=Path, default=None, metavar="FILE", help="also report the size of this wheel")
    what.add_argument(
        "--from",
        dest="source",
        type=Path,
        default=None,
        metavar="FILE.json",
        help="report this earlier run instead of measuring",
    )
    what.add_argument("--list", action="store_true", help="print the rows and their targets, and stop")
    how = parser.add_argument_group("how")
    how.add_argument("--rounds", type=_rounds, default=7, metavar="N", help="interleaved rounds (default: 7)")
    how.add_argument(
        "--seconds",
        type=_positive,
        default=0.1,
        metavar="S",
        help="time of each measurement of a round (default: 0.1)",
    )
    how.add_argument("--seed", type=int, default=0, help="seed of the data (default: 0)")
    out = parser.add_argument_group("results")
    out.add_argument(
        "--json",
        nargs="?",
        const="-",
        default=None,
        metavar="FILE",
        help="write everything measured as JSON (no FILE: print it instead of the table)",
    )
    out.add_argument("--brief", action="store_true", help="table of the rows with targets only")
    out.add_argument("--markdown", type=Path, default=None, metavar="FILE", help="write the table to a file as well")
    out.add_argument("--plot", type=Path, default=None, metavar="DIR", help="one plot per family (needs matplotlib)")
    out.add_argument(
        "--compare",
        type=Path,
        default=None,
        metavar="OLD.json",
        help="compare with an older run; exit code 1 when a row is slower beyond the noise of both",
    )


def _rounds(text: str) -> int:
    return _integers(text)[0]


def _available() -> tuple[str, ...]:
    """ISA levels that this build and this CPU have, lowest first."""
    import hintoncore

    isa = hintoncore.config()["isa"]
    return tuple(level for level in isa["built"] if level in isa["detected"])


def _levels(wanted: tuple[str, ...] | None) -> tuple[str, ...]:
    """ISA levels to measure ours at, checked against what this build and CPU have."""
    have = _available()
    if wanted is None:
        import hintoncore

        return (hintoncore.config()["isa"]["used"],)
    if wanted == ("all",):
        return tuple(reversed(have))
    unknown = [level for level in wanted if level not in have]
    if unknown:
        raise ValueError(f"--isa: {', '.join(unknown)} is not available here; there are {', '.join(have)}")
    return wanted


def _cases(args: argparse.Namespace, threads: tuple[int, ...], levels: tuple[str, ...]) -> list[tuple[Any, str]]:
    """Every case with the ISA level to run it at; grouped by thread count, because workers are per count."""
    from .harness.cases import Request

    best = _available()[-1]
    found = []
    for count in threads:
        for family in args.kernel:
            if family == "system":
                continue
            module = importlib.import_module(f"{__package__}.{family}")
            for level in levels:
                request = Request(threads=(count,), sizes=args.sizes, isa=level, best=level == best)
                found += [(case, level) for case in module.cases(request)]
    return found


def _print_list(cases: list[tuple[Any, str]]) -> None:
    from .report.markdown import table

    def targets(case: Any) -> str:
        return "; ".join(f">= {target.ratio:g}x {' and '.join(target.against)}" for target in case.targets)

    rows = [
        [
            case.family,
            case.name,
            str(case.threads),
            level,
            ", ".join(case.contestants[1:]),
            case.ceiling or "",
            targets(case),
        ]
        for case, level in cases
    ]
    print(table(["kernel", "case", "threads", "ISA", "peers", "ceiling", "target"], rows))


def run(args: argparse.Namespace) -> int:
    """Measure or read, print, write. Exit code 1 when an answer of ours was wrong or a row got slower."""
    from .report import compare, document, figures

    if args.plot is not None and not figures.available():
        raise ValueError('--plot needs matplotlib: pip install "hintoncore[plot]"')
    old = document.load(args.compare) if args.compare is not None else None
    result = document.load(args.source) if args.source is not None else _measure(args)
    if result is None:
        return 0
    _deliver(args, result)
    slower = False
    if old is not None:
        changes = compare.compare(old, result)
        slower = any(change["verdict"] == "slower" for change in changes)
        print(compare.render(old, result, changes), file=sys.stderr if args.json == "-" else sys.stdout)
    wrong = any(row["wrong"] for row in result["rows"])
    return 1 if wrong or slower else 0


def _measure(args: argparse.Namespace) -> dict[str, Any] | None:
    """The run, as the document that goes into the JSON file; None when only the list was wanted."""
    from tqdm import tqdm

    import hintoncore

    from .harness import libraries, machine
    from .harness.pool import Pool, cores
    from .harness.run import Row, Settings, run_cases
    from .report import document

    threads = args.threads or tuple(count for count in (1, 2) if count <= cores())
    levels = _levels(args.isa)
    cases = _cases(args, threads, levels)
    if args.list:
        _print_list(cases)
        return None
    if not cases and "system" not in args.kernel:
        raise ValueError("--sizes: none has the number of dimensions of these kernels, see hintoncore bench --help")
    peers = None if args.peers is None else frozenset(args.peers)
    settings = Settings(rounds=args.rounds, seconds=args.seconds, seed=args.seed, peers=peers)
    rows: list[Row] = []
    limits: list[Row] = []
    with Pool() as pool, tqdm(total=len(cases), unit="row", file=sys.stderr, disable=None) as bar:

        def done(row: Row) -> None:
            rows.append(row)
            bar.update()
            bar.set_postfix_str(f"{row['family']} {row['case']}")

        try:
            run_cases(cases, settings, pool, done)
            pool.close()  # their memory and threads are not part of the figures below
            if "system" in args.kernel:
                from . import system

                bar.set_postfix_str("system")
                for name in system.NAMES:
                    wheel = str(args.wheel) if args.wheel is not None else None
                    limits += system.measure(name, max(threads), levels[0], args.rounds, wheel)
        except KeyboardInterrupt:
            print(f"interrupted: reporting the {len(rows)} rows that are complete", file=sys.stderr)
        used = pool.libraries

    return {
        "schema": document.SCHEMA,
        "hintoncore": hintoncore.__version__,
        "machine": machine.describe(),
        "libraries": used,
        "settings": {
            "rounds": settings.rounds,
            "seconds": settings.seconds,
            "seed": settings.seed,
            "threads": list(threads),
            "isa": list(levels),
            "forced": libraries.forced(),
        },
        "rows": rows,
        "limits": limits,
    }


def _deliver(args: argparse.Namespace, result: dict[str, Any]) -> None:
    """Print the table (or the JSON), and write the files asked for."""
    from .report import document, figures, markdown

    text = markdown.render_brief(result) if args.brief else markdown.render(result)
    if args.json == "-":
        print(document.dumps(result), end="")
    else:
        print(text)
    if args.json not in (None, "-"):
        document.write_text(Path(args.json), document.dumps(result))
    if args.markdown is not None:
        document.write_text(args.markdown, text)
    if args.plot is not None:
        for path in figures.save_all(result, args.plot):
            print(f"wrote {path}", file=sys.stderr)
