"""Recirculation's experiment."""

from __future__ import annotations

from pathlib import Path

from quick import check_quick


def test_quick(tmp_path: Path) -> None:
    report = check_quick("recirculation", tmp_path)
    details = report["details"]["0"]
    assert details["solved"]["recirculation"] == details["runs"]
    curve = details["digits"]["curve"]
    assert curve[-1]["error"] < 0.6 * curve[0]["error"]
