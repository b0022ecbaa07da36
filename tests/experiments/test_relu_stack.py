"""The quick relu-stack."""

from pathlib import Path

from quick import check_quick


def test_quick(tmp_path: Path) -> None:
    check_quick("relu-stack", tmp_path)
