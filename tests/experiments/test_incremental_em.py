"""The experiment on incremental and sparse EM."""

from __future__ import annotations

from pathlib import Path

import pytest
from quick import check_quick

from hintoncore.experiments.incremental_em import common_level, passes_to


def test_quick(tmp_path: Path) -> None:
    check_quick("incremental-em", tmp_path)


def test_level_and_passes() -> None:
    """The lowest end, short of a thousandth of the rise; then the first step that is there."""
    level = common_level([[-100.0, -60.0, -50.0], [-100.0, -40.0]])
    assert level == pytest.approx(-50.05)
    assert passes_to(level, [1.0, 2.0, 3.0], [-100.0, -60.0, -50.0]) == 3.0
    assert passes_to(level, [1.0, 1.5], [-100.0, -40.0]) == 1.5
