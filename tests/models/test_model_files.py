"""What the files of models hold, and what is said of files that hold something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hintoncore.files import FileFormatError, load_tensors, save_tensors
from hintoncore.models import DBM, DBN, BoltzmannMachine, HelmholtzMachine, Recirculation

TRAINED = {"epochs_trained": 7, "steps_trained": 70}
MODELS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "dbn": (
        DBN((6, 5, 4), 3, seed=4),
        {"sizes": [6, 5, 4], "n_labels": 3, "seed": 4, "layers_trained": 2},
        "deep belief net",
    ),
    "dbm": (DBM((6, 5, 4), seed=2), {"sizes": [6, 5, 4], "seed": 2, "layers_pretrained": 2}, "deep Boltzmann machine"),
    "helmholtz": (HelmholtzMachine((6, 4), seed=3), {"sizes": [6, 4], "seed": 3}, "Helmholtz machine"),
    "recirculation": (Recirculation(5, 3, seed=2), {"n_visible": 5, "n_hidden": 3, "seed": 2}, "recirculation network"),
    "boltzmann-machine": (
        BoltzmannMachine(3, 2, connections=~np.eye(5, dtype=bool), seed=5),
        {"n_visible": 3, "n_hidden": 2, "seed": 5},
        "Boltzmann machine",
    ),
}


@pytest.mark.parametrize("kind", MODELS)
def test_a_file_holds_settings_counters_and_parameters(tmp_path: Path, kind: str) -> None:
    model, settings, _ = MODELS[kind]
    expected = {**settings, **TRAINED}
    for name in expected.keys() - {"sizes", "n_labels", "n_visible", "n_hidden", "seed"}:
        setattr(model, name, expected[name])
    model.save(tmp_path / "first")
    tensors, metadata = load_tensors(tmp_path / "first", kind=kind)
    assert metadata == expected
    assert set(tensors) - {"connections"} == set(model.parameters())
    loaded = type(model).load(tmp_path / "first")
    assert {name: getattr(loaded, name) for name in TRAINED} == TRAINED
    loaded.save(tmp_path / "second")
    assert (tmp_path / "second").read_bytes() == (tmp_path / "first").read_bytes()


@pytest.mark.parametrize("kind", MODELS)
def test_files_that_lack_something_are_refused(tmp_path: Path, kind: str) -> None:
    model, _, noun = MODELS[kind]
    model.save(tmp_path / "whole")
    tensors, metadata = load_tensors(tmp_path / "whole", kind=kind)
    for name in metadata:
        fewer = {key: value for key, value in metadata.items() if key != name}
        save_tensors(tmp_path / "part", tensors, kind=kind, metadata=fewer)
        with pytest.raises(FileFormatError, match=f"part: not a usable {noun} .*{name}"):
            type(model).load(tmp_path / "part")
    for name in tensors:
        without = {key: value for key, value in tensors.items() if key != name}
        save_tensors(tmp_path / "part", without, kind=kind, metadata=metadata)
        with pytest.raises(FileFormatError, match=f"not a usable {noun}"):
            type(model).load(tmp_path / "part")
