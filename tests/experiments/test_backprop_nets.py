"""Quick runs of the experiments on nets trained by backpropagation."""

from __future__ import annotations

from pathlib import Path

import pytest
from quick import check_quick


@pytest.mark.parametrize("name", ["dropout", "deep-identity", "rmsprop"])
def test_quick(name: str, tmp_path: Path) -> None:
    check_quick(name, tmp_path)
