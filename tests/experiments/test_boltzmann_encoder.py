"""The encoder experiment: its machines, its criteria, and a quick run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from quick import check_quick

from hintoncore.experiments import boltzmann_encoder as encoders

ENCODER = encoders.Encoder(4, 2, off_noise=0.05, repeats=5, weight_decay=0.002)


def test_groups_meet_only_through_hidden_units() -> None:
    machine = ENCODER.machine(0)
    mask = machine.connections
    assert mask.sum() == 2 * (6 + 6 + 16)
    assert not mask[:4, 4:8].any()
    assert not mask[8:, 8:].any()


def test_codes_are_the_most_probable_hidden_states() -> None:
    machine = ENCODER.machine(0)
    assert encoders.codes(machine, ENCODER) == {(False, False)}
    w = machine.w.copy()
    for pattern, code in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        for group in (0, 4):
            w[group + pattern, 8:] = w[8:, group + pattern] = 50.0 * (2 * np.array(code) - 1)
    np.fill_diagonal(w, 0)
    machine.set_parameters({"w": w, "b": machine.b})
    assert len(encoders.codes(machine, ENCODER)) == 4
    likely = machine.hidden_probabilities(ENCODER.patterns, 10.0).round().astype(bool)
    assert {tuple(row) for row in likely.tolist()} == encoders.codes(machine, ENCODER)
    # The bias is 25, less what the code itself gives: a unit's field is 25 for its code, 50 less for each wrong bit.
    bias = 25.0 - 50.0 * np.array([0, 1, 1, 2, 0, 1, 1, 2])
    machine.set_parameters({"w": w, "b": np.r_[bias, 0, 0].astype(np.float32)})
    cooling = np.geomspace(40, 2, 100).astype(np.float32)
    assert encoders.completion(machine, ENCODER, cooling, seed=1) > 0.95
    machine.set_parameters({"w": np.zeros_like(w), "b": np.zeros_like(machine.b)})
    assert encoders.completion(machine, ENCODER, cooling, seed=1) < 0.2


def test_a_run_is_a_function_of_its_seed() -> None:
    once, machine = encoders.solve(ENCODER, 3, 3000)
    again, other = encoders.solve(ENCODER, 3, 3000)
    assert again == once
    assert machine.w.tobytes() == other.w.tobytes()
    discovered, solved = once["discovered"], once["solved"]
    assert discovered is not None
    assert solved is None or solved >= discovered


def test_quick(tmp_path: Path) -> None:
    report = check_quick("boltzmann-encoder", tmp_path)
    assert set(report["by_seed"]["0"]) == {"solved_424", "cycles_424"}
