"""The deep belief net's experiment at a size that takes seconds."""

from __future__ import annotations

from pathlib import Path

from quick import check_quick


def test_quick(tmp_path: Path) -> None:
    report = check_quick("dbn-mnist", tmp_path)
    stages = report["details"]["0"]["bounds"]
    assert [stage["hidden"] for stage in stages] == [[10], [10, 100]]
    assert all(stage["importance_weighted"] >= stage["bound"] - 1e-6 for stage in stages)
    assert (tmp_path / "seed-0" / "classifier.safetensors").is_file()
