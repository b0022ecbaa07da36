"""The experiment with 500 hidden units, cut very short: its report, and going on from its checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hintoncore.datasets import DatasetNotFoundError, load
from hintoncore.experiments import mnist_rbm500


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hintoncore.likelihood.LikelihoodWarning")
def test_one_epoch_is_reported_and_resumed(tmp_path: Path) -> None:
    try:
        load("mnist")
    except DatasetNotFoundError as error:
        pytest.skip(f"MNIST is not on this machine, so nothing here was tested: {error}")
    out = tmp_path / "report.json"
    options = ["--epochs", "1", "--chains", "40", "--temperatures", "100", "--work", str(tmp_path), "--out", str(out)]
    assert mnist_rbm500.main(options) == 1
    report = json.loads(out.read_text())
    assert report["epochs"] == 1
    assert not report["reached"]
    assert -300 < report["ours"] < -90
    assert report["settings"]["binarizations"] == 5
    assert mnist_rbm500.main(options) == 1
    again = json.loads(out.read_text())
    assert again["ours"] == report["ours"]
    assert again["training_seconds_of_this_run"] < report["training_seconds_of_this_run"]
