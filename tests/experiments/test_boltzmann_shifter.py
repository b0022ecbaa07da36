"""The shifter: its environment, and a quick run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from quick import check_quick

from hintoncore.experiments import boltzmann_shifter as shifter
from hintoncore.models import BoltzmannMachine


def test_environment_has_every_case_and_six_that_nobody_can_tell() -> None:
    cases, shifts = shifter.environment()
    assert cases.shape == (768, 19)
    for case, shift in zip(cases, shifts, strict=True):
        assert (np.roll(case[:8], shifter.SHIFTS[shift]) == case[8:16]).all()
        assert case[16:].sum() == case[16 + shift] == 1
    _, counts = np.unique(cases[:, :16], axis=0, return_counts=True)
    assert (counts - 1).sum() == 6
    best = BoltzmannMachine(19, 24, connections=shifter.connections())
    assert shifter.recognition(best).mean() == 1 / 3  # without weights all shifts are alike


def test_quick(tmp_path: Path) -> None:
    report = check_quick("boltzmann-shifter", tmp_path)
    assert report["by_seed"]["0"]["recognition"] <= 100 * 762 / 768
