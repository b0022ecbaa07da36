"""The quick run on latent linear dynamics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from quick import check_quick

from hintoncore.experiments.linear_dynamics import eigenvalue_error


def test_quick(tmp_path: Path) -> None:
    errors = check_quick("linear-dynamics", tmp_path)["details"]["0"]["made"]["prediction_errors"]
    assert errors["latent dynamics, true parameters"] <= errors["latent dynamics"]
    assert errors["latent dynamics"] < errors["slow features with linear dynamics"] < errors["slow features"]


def test_eigenvalues_are_paired() -> None:
    true = np.array([0.5 + 0.5j, 0.5 - 0.5j, 0.9])
    assert eigenvalue_error(true[[2, 0, 1]], true) == 0
    assert abs(eigenvalue_error(np.array([0.9, 0.5 + 0.5j, 0.4 - 0.5j]), true) - 0.1 / np.sqrt(0.5)) < 1e-12
