"""The deep Boltzmann machine's experiment at a size that takes seconds."""

from __future__ import annotations

from pathlib import Path

from quick import check_quick


def test_quick(tmp_path: Path) -> None:
    report = check_quick("dbm-mnist", tmp_path)
    found = report["details"]["0"]["bound"]
    # Both annealing runs agree on a machine of this size: five of the standard errors, and the reverse one's as large.
    assert abs(found["log_z_by_reverse_annealing"] - found["log_z"]) < 10 * found["std_error"]
    assert (tmp_path / "seed-0" / "machine.safetensors").is_file()
