"""Counts as arguments: units, rows, steps, epochs."""

from __future__ import annotations

from hintoncore._validate import as_int

__all__ = ["as_count"]


def as_count(value: object, name: str, *, low: int = 1) -> int:
    """Return ``value`` as an int of at least ``low`` that a C int holds, or raise TypeError or ValueError."""
    return as_int(value, name, low, 2**31 - 1)
