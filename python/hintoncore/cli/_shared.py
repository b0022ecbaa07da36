"""What the subcommands share: argument types, JSON output, arrays to files."""

from __future__ import annotations

import argparse
import io
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

_MAX_SEED = 2**64 - 1


def integer(low: int, high: int | None = None) -> Callable[[str], int]:
    """Argument type: an integer in [low, high]."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected an integer, given {text!r}") from None
        if value < low or (high is not None and value > high):
            limits = f"of at least {low}" if high is None else f"from {low} to {high}"
            raise argparse.ArgumentTypeError(f"expected an integer {limits}, given {text}")
        return value

    return parse


seed = integer(0, _MAX_SEED)


def real(low: float, high: float = math.inf, *, open_low: bool = False) -> Callable[[str], float]:
    """Argument type: a number in [low, high), or above low with `open_low`."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected a number, given {text!r}") from None
        if not low <= value < high or (open_low and value == low):
            bounds = f"above {low:g}" if open_low else f"of at least {low:g}"
            bounds += "" if math.isinf(high) else f" and below {high:g}"
            raise argparse.ArgumentTypeError(f"expected a number {bounds}, given {text}")
        return value

    return parse


def image_shape(text: str) -> tuple[int, int]:
    """Argument type: ROWSxCOLUMNS."""
    rows, cross, columns = text.partition("x")
    if not (cross and rows.isdigit() and columns.isdigit() and int(rows) and int(columns)):
        raise argparse.ArgumentTypeError(f"expected ROWSxCOLUMNS such as 28x28, given {text!r}")
    return int(rows), int(columns)


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(value, indent=2, allow_nan=False))


def npy_bytes(array: ArrayLike) -> bytes:
    """An array as the content of a .npy file."""
    data = io.BytesIO()
    np.save(data, np.asarray(array), allow_pickle=False)
    return data.getvalue()
