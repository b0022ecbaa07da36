"""Finds the experiments: every module of this package without a leading underscore that has an ``EXPERIMENT``."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from hintoncore.experiments._framework import Experiment

__all__ = ["load", "names"]


@cache
def _catalog() -> dict[str, Experiment]:
    package = importlib.import_module("hintoncore.experiments")
    modules = (found.name for found in pkgutil.iter_modules(package.__path__) if not found.name.startswith("_"))
    found = (getattr(importlib.import_module(f"{package.__name__}.{name}"), "EXPERIMENT", None) for name in modules)
    return {experiment.name: experiment for experiment in found if experiment is not None}


def names() -> list[str]:
    """Names of all experiments, in alphabetical order."""
    return sorted(_catalog())


def load(name: str) -> Experiment:
    """One experiment by name.

    Raises
    ------
    ValueError
        If there is none of that name; the message lists those there are.
    """
    if name not in _catalog():
        raise ValueError(f"name: expected one of {', '.join(names())}, given {name!r}")
    return _catalog()[name]
