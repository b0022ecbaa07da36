"""The quick run of the noisy weights, and their tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from quick import check_quick

from hintoncore import datasets
from hintoncore.experiments.noisy_weights import film_task, made_task


def test_quick(tmp_path: Path) -> None:
    found = check_quick("noisy-weights", tmp_path)["details"]["0"]["relative_errors"]["made"]
    assert found["coded"] < found["decayed"] < found["plain"]
    assert found["weights_cost_nats"] < 200


def test_tasks_are_of_the_papers_size() -> None:
    tasks = [made_task(3)]
    if datasets.locate("movielens-latest-small") is not None:
        tasks.append(film_task(3))
    for task in tasks:
        assert task.x.shape == (105, 128)
        assert task.test_x.shape == (420, 128)
        assert (task.target.shape, task.test_target.shape) == ((105, 1), (420, 1))
        np.testing.assert_allclose([task.target.mean(), task.target.std()], [0, 1], atol=1e-5)
        assert np.isfinite(task.x).all()
        assert task.relative_error(np.zeros((420, 1))) == pytest.approx(1.0)
        assert task.relative_error(task.test_target) == 0.0
