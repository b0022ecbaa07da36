"""The experiment on deep autoencoders, and the principal components it is judged by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from quick import check_quick

from hintoncore.experiments._principal_components import PrincipalComponents
from hintoncore.experiments.deep_autoencoder import _nearest_differs


def test_quick(tmp_path: Path) -> None:
    report = check_quick("deep-autoencoder", tmp_path)
    details = report["details"]["0"]
    errors = details["two_units"]["squared_error"]
    assert errors["autoencoder"] < 0.9 * errors["principal components"]
    by_epoch = details["test_squared_error_by_epoch"]
    assert len(by_epoch) == details["settings"]["epochs"]
    assert by_epoch[-1] < 0.7 * by_epoch[0]


def test_principal_components_are_the_best_linear_code() -> None:
    """Their error is the sum of the variances left out, by the singular values."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 8)) @ rng.normal(size=(8, 8)) + 3
    values = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
    for n in (1, 3, 8):
        components = PrincipalComponents.of(rows, n)
        np.testing.assert_allclose(components.directions.T @ components.directions, np.eye(n), atol=1e-5)
        expected = (values[n:] ** 2).sum() / len(rows)
        assert components.squared_error(rows) == pytest.approx(expected, rel=1e-4, abs=1e-9)
    variances = PrincipalComponents.of(rows, 8).encode(rows).var(axis=0)
    assert (np.diff(variances) < 0).all(), "largest first"


def test_nearest_neighbours_are_others() -> None:
    points = np.array([[0, 0], [0, 1], [5, 5], [5, 6.5], [0, 2.1]], np.float32)
    assert _nearest_differs(points, np.array([0, 0, 1, 1, 1])) == pytest.approx(0.2)
    assert _nearest_differs(points, np.array([0, 1, 0, 1, 0])) == pytest.approx(1.0)
