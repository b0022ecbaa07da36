"""`hintoncore info`: what this installation and this machine have."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
from typing import Any

from hintoncore.cli._shared import print_json

NAME = "info"
HELP = "show version, instruction sets, threads, CUDA, data sets and optional packages"
DESCRIPTION = """\
Shows what this installation can do on this machine: the version, the instruction-set levels built, detected and in
use, threads, CUDA and why it is or is not available, which data sets are found, and which optional packages are there.
"""
EPILOG = """\
examples:
  hintoncore info
  hintoncore info --json
  HINTONCORE_ISA=avx2 hintoncore info              use a lower level than the processor has
  HINTONCORE_DATA=~/data hintoncore info           look for data sets in ~/data as well
"""

_OPTIONAL = {
    "matplotlib": "pictures of train and bench",
    "scikit-learn": "the default data set, digits; peer of bench",
    "torch": "peer of bench",
    "threadpoolctl": "bench names the BLAS kernel",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--data-root", metavar="DIR", default=None, help="look for data sets in this folder first")


def run(args: argparse.Namespace) -> int:
    """Print the facts."""
    import hintoncore

    facts = {
        **hintoncore.config(),
        "datasets": _datasets(args.data_root),
        "optional_packages": {name: _version(name) for name in _OPTIONAL},
    }
    if args.json:
        print_json(facts)
        return 0
    hintoncore.show_config()
    print("  data")
    for name, place in facts["datasets"].items():
        print(f"    {name:<14} {place or f'not found (hintoncore train rbm --data {name} says where it looks)'}")
    if not os.environ.get("HINTONCORE_DATA"):
        print("    HINTONCORE_DATA is not set: no folder of your own is searched")
    print("  optional packages")
    for name, purpose in _OPTIONAL.items():
        print(f"    {name:<14} {facts['optional_packages'][name] or 'not installed'} ({purpose})")
    return 0


def _datasets(root: str | None) -> dict[str, str | None]:
    from hintoncore import datasets

    found: dict[str, Any] = {name: datasets.locate(name, root) for name in datasets.NAMES}
    return {name: None if place is None else str(place) for name, place in found.items()}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
