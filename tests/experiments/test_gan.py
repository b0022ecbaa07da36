"""The quick run of the adversarial nets."""

from __future__ import annotations

from pathlib import Path

from quick import check_quick


def test_quick(tmp_path: Path) -> None:
    details = check_quick("gan", tmp_path)["details"]["0"]
    assert details["judge_test_error_percent"] < 12
    assert sum(details["share_of_class_among_test_images"]) > 0.6
    assert details["parzen"]["samples"]["log_likelihood"] > 0
