"""The experiment on reconstruction-error backprop."""

from __future__ import annotations

from pathlib import Path

from quick import check_quick


def test_quick(tmp_path: Path) -> None:
    report = check_quick("recon-backprop", tmp_path)
    details = report["details"]["0"]
    aligned = details["cosine_after_greedy_learning"]
    for rule in ("reconstruction", "targets"):
        for greedy, random in zip(aligned[rule][:-1], aligned["random weights"][rule][:-1], strict=True):
            assert greedy > 0.5 > 0.3 > abs(random), "greedy learning is what aligns the layers going down"
    assert min(aligned["backprop"]) > 0.999
    assert set(aligned["by nudge"]) == {"0.01", "0.1", "0.5", "1.0"}
    epochs = details["settings"]["epochs"]
    assert all(len(curve) == epochs for curve in details["test_error_by_epoch"].values())
