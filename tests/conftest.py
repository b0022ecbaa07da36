"""Fixtures for tests of the kernels: every ISA level this processor has, any number of threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from hypothesis import HealthCheck, settings

import hintoncore as hc
from hintoncore import _core

# The same examples in every run, at whatever pace the machine has.
settings.register_profile(
    "hintoncore",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("hintoncore")

LEVELS = [level for level in ("scalar", "avx2", "avx512") if _core.isa_detected(level)]
# A run that forces a level is about that one; runs that compare levels always take them all.
FORCED = os.environ.get("HINTONCORE_ISA")


@contextmanager
def use_level(level: str) -> Iterator[None]:
    """Within it, the kernels of one ISA level; then back to the one the environment chooses."""
    _core.set_isa(level)
    try:
        yield
    finally:
        _core.set_isa(None)


@pytest.fixture(params=[FORCED] if FORCED else LEVELS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test once per ISA level; the value is its name."""
    with use_level(request.param):
        yield request.param


@pytest.fixture
def levels() -> list[str]:
    """All ISA levels of this processor, for tests that compare them."""
    return LEVELS


@pytest.fixture
def at_level() -> Callable[[str], AbstractContextManager[None]]:
    """``with at_level(name):`` runs on that ISA level."""
    return use_level


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    """`hintoncore.set_num_threads`, undone after the test."""
    yield hc.set_num_threads
    hc.set_num_threads(0)
