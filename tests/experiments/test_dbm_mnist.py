"""The deep Boltzmann machine's experiment at a size that takes seconds."""

from __future__ import annotations

from pathlib import Path

from quick import check_quick


def test_quick(tmp_path: Path) -> None:
    report = check_quick("dbm-mnist", tmp_path)
    details = report["details"]["0"]
    for found in (details["first_layer_alone"], details["bound"]):
        # Both annealing runs agree on a machine of this size: ten standard errors, and what annealing back errs by.
        width = found["by_annealing_forward"] - found["by_annealing_back"]
        assert abs(width) < 10 * found["std_error"] + 0.1
    assert (tmp_path / "seed-0" / "machine.safetensors").is_file()
