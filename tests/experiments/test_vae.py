"""The quick run of the variational autoencoder."""

from __future__ import annotations

from pathlib import Path

from quick import check_quick


def test_quick(tmp_path: Path) -> None:
    report = check_quick("vae", tmp_path)
    details = report["details"]["0"]
    assert details["nll_std_error_of_sampling"] < 1.0
    assert report["by_seed"]["0"]["nll"] < -report["by_seed"]["0"]["bound"]
