"""Entry point: parse, run a subcommand, turn mistakes of the user into one readable message."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

#: Each module has NAME, HELP, DESCRIPTION, EPILOG, configure(parser) and run(args) -> exit status.
_COMMANDS = (
    "hintoncore.cli.info",
    "hintoncore.cli.train",
    "hintoncore.cli.sample",
    "hintoncore.cli.reproduce",
    "hintoncore.bench.command",
)

_INTERRUPTED = 130


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the layout of descriptions and examples."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32)


def _parser(commands: Sequence[Any]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hintoncore",
        description="Train, sample and measure Boltzmann machines on hand-written CPU kernels.",
        epilog="start here:\n"
        "  hintoncore train rbm --out digits      learn scikit-learn's handwritten digits, in seconds\n"
        "  hintoncore reproduce --list            the systems and their papers\n"
        "  hintoncore COMMAND --help              options and examples of a command",
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    choices = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in commands:
        child = choices.add_parser(
            command.NAME,
            help=command.HELP,
            description=command.DESCRIPTION,
            epilog=command.EPILOG,
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        command.configure(child)
        child.set_defaults(command=command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status (0 success, 1 a check failed, 2 usage, 130 interrupted)."""
    commands = [importlib.import_module(name) for name in _COMMANDS]
    parser = _parser(commands)
    args = parser.parse_args(argv)
    if args.version:
        import hintoncore

        print(hintoncore.__version__)
        return 0
    if not hasattr(args, "command"):
        parser.print_help()
        return 2
    try:
        status: int = args.command.run(args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader has gone: nothing to say, and no one to say it to
        return 0
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"hintoncore {args.command.NAME}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        print(str(interrupt) or "interrupted", file=sys.stderr)
        return _INTERRUPTED
