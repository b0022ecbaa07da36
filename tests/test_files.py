"""Model files: same bytes for the same content, whole or not at all, and clear refusals."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hintoncore import files
from hintoncore.files import FORMAT_VERSION, FileFormatError, load_tensors, save_tensors, write_atomic

TENSORS: dict[str, NDArray[Any]] = {
    "w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "chains": np.array([[1, 2**63]], dtype=np.uint64),
    "b": np.zeros(3, dtype=np.float32),
}
METADATA: dict[str, Any] = {"seed": 2**64 - 1, "zeta": [0.1, None, True], "alpha": {"name": "rbm"}}


def save(path: Path) -> bytes:
    save_tensors(path, TENSORS, kind="test", metadata=METADATA)
    return path.read_bytes()


def test_round_trip(tmp_path: Path) -> None:
    save(tmp_path / "a")
    tensors, metadata = load_tensors(tmp_path / "a", kind="test")
    assert metadata == METADATA
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        np.testing.assert_array_equal(tensors[name], tensor)


def test_same_content_gives_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    first = save(tmp_path / "a")
    for path in (tmp_path / "b", tmp_path / "c"):
        save_tensors(
            path,
            dict(reversed(TENSORS.items())),
            kind="test",
            metadata=dict(reversed(METADATA.items())),
        )
        assert path.read_bytes() == first


def test_a_strided_array_is_stored_as_its_values(tmp_path: Path) -> None:
    save_tensors(tmp_path / "a", {"x": TENSORS["w"].T}, kind="test", metadata={})
    np.testing.assert_array_equal(load_tensors(tmp_path / "a", kind="test")[0]["x"], TENSORS["w"].T)


def test_other_readers_can_open_the_file(tmp_path: Path) -> None:
    save(tmp_path / "a")
    np.testing.assert_array_equal(safetensors.numpy.load_file(tmp_path / "a")["w"], TENSORS["w"])


@pytest.mark.parametrize("metadata", [{"x": float("nan")}, {"x": float("inf")}])
def test_metadata_that_is_not_json_is_refused(tmp_path: Path, metadata: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="JSON"):
        save_tensors(tmp_path / "a", {}, kind="test", metadata=metadata)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    write_atomic(path, b"old")

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_partial_files_of_killed_writers_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    write_atomic(path, b"kept")
    (tmp_path / "other").write_bytes(b"kept")

    class Killed(BaseException):
        pass

    def killed(*args: object) -> None:
        raise Killed

    monkeypatch.setattr(Path, "replace", killed)
    monkeypatch.setattr(Path, "unlink", lambda *args, **kwargs: None)  # a killed process cleans nothing up
    with pytest.raises(Killed):
        write_atomic(path, b"new")
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == 3
    files.remove_partial_files(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "other"]


def test_a_missing_file_is_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_tensors(tmp_path / "a", kind="test")


def test_another_kind_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a")
    with pytest.raises(FileFormatError, match="kind 'rbm', given 'test'"):
        load_tensors(tmp_path / "a", kind="rbm")


def rewrite_header(path: Path, **changes: object) -> None:
    with safetensors.safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["hintoncore"])
    header.update(changes)
    kept = {key: value for key, value in header.items() if value != "absent"}
    path.write_bytes(safetensors.numpy.save(TENSORS, metadata={"hintoncore": json.dumps(kept)}))


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a")
    rewrite_header(tmp_path / "a", format=FORMAT_VERSION + 1)
    with pytest.raises(FileFormatError, match=f"format {FORMAT_VERSION + 1}.*upgrade"):
        load_tensors(tmp_path / "a", kind="test")


@pytest.mark.parametrize("change", [{"format": "1"}, {"format": 0}, {"sha256": "absent"}, {"metadata": {"seed": 2}}])
def test_damaged_metadata_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    save(tmp_path / "a")
    rewrite_header(tmp_path / "a", **change)
    with pytest.raises(FileFormatError, match="damaged"):
        load_tensors(tmp_path / "a", kind="test")


@pytest.mark.parametrize("metadata", [None, {"hintoncore": "not JSON"}, {"hintoncore": "[]"}, {"hintoncore": "{}"}])
def test_foreign_safetensors_files_are_refused(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    (tmp_path / "a").write_bytes(safetensors.numpy.save(TENSORS, metadata=metadata))
    with pytest.raises(FileFormatError, match=r"not one written by HintonCore|damaged metadata"):
        load_tensors(tmp_path / "a", kind="test")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_is_noticed(tmp_path: Path, data: st.DataObject) -> None:
    """Cut anywhere, or change any byte: FileFormatError, never wrong numbers or another exception."""
    whole = save(tmp_path / "a")
    position = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        damaged = whole[:position]
    else:
        flip = data.draw(st.integers(1, 255))
        damaged = whole[:position] + bytes([whole[position] ^ flip]) + whole[position + 1 :]
    (tmp_path / "a").write_bytes(damaged)
    try:
        tensors, metadata = load_tensors(tmp_path / "a", kind="test")
    except FileFormatError:
        return
    # A changed byte may leave the content as it was (white space of the header); it must then be equal.
    assert metadata == METADATA
    assert all(np.array_equal(tensors[name], tensor) for name, tensor in TENSORS.items())
    assert tensors.keys() == TENSORS.keys()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(FileFormatError):
        load_tensors(tmp_path / "a", kind="test")
