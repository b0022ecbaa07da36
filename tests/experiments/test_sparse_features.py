"""The quick sparse-features."""

from pathlib import Path

from quick import check_quick


def test_quick(tmp_path: Path) -> None:
    check_quick("sparse-features", tmp_path)
