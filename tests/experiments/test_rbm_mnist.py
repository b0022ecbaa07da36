"""The RBM experiment, cut short: loose bounds, pictures, and a likelihood curve."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from quick import check_quick

from hintoncore import plots


@pytest.mark.filterwarnings("ignore::hintoncore.likelihood.LikelihoodWarning")
def test_quick(tmp_path: Path) -> None:
    report = check_quick("rbm-mnist", tmp_path)
    measured = report["by_seed"]["0"]
    assert measured["exact_16"] < -130, "better than any machine of this size can be"
    assert measured["lower_500"] < -95
    assert measured["lower_500_pcd"] < -95
    folder = tmp_path / "seed-0"
    pictures = {
        f"{kind}-{n}.png" for kind in ("curves", "receptive-fields", "fantasies") for n in ("16-0", "500", "500-pcd")
    }
    assert {path.name for path in folder.glob("*.png")} == (pictures if plots.available() else set())
    assert len([json.loads(line) for line in (folder / "metrics-16-0.jsonl").read_text().splitlines()]) == 4
    for name, title in (("500", "500 hidden units"), ("500_pcd", "500 hidden units, CD then PCD")):
        details = report["details"]["0"][title]
        errors = details["upper_std_error"] + details["lower_std_error"]
        assert details["upper"] >= measured[f"lower_{name}"] - 3 * errors
