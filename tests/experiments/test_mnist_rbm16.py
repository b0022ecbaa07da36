"""The MNIST experiment, cut short."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hintoncore.datasets import DatasetNotFoundError, binarize, load
from hintoncore.experiments import mnist_rbm16
from hintoncore.models import RBM


@pytest.fixture(scope="module")
def mnist() -> None:
    try:
        load("mnist")
    except DatasetNotFoundError as error:
        pytest.skip(f"MNIST is not on this machine, so nothing here was tested: {error}")


@pytest.mark.usefixtures("mnist")
def test_three_epochs_come_close_and_are_reported(tmp_path: Path) -> None:
    out = tmp_path / "results" / "report.json"
    status = mnist_rbm16.main(["--seeds", "0", "--epochs", "3", "--out", str(out)])
    report = json.loads(out.read_text())
    test = binarize(load("mnist").test)
    independent = RBM(784, 16).fit(binarize(load("mnist").train), epochs=0).log_likelihood(test)
    assert independent < -200
    assert -165 < report["ours"] < -140
    assert report["by_seed"] == {"0": report["ours"]}
    assert report["reached"] == (report["ours"] >= -150)
    assert status == (0 if report["reached"] else 1)
    assert report["command"].endswith(f"--seeds 0 --epochs 3 --out {out}")
    assert report["seconds"] > 0
