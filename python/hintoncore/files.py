"""Model and checkpoint files: safetensors with JSON metadata, atomic and byte for byte reproducible.

A file holds named arrays and one metadata string, ``hintoncore``: canonical JSON (sorted keys) with

* ``format``: version of this layout, :data:`FORMAT_VERSION`;
* ``kind``: what the file describes, for example ``"rbm"`` or ``"checkpoint"``;
* ``sha256``: digest of the tensors and of the rest of the metadata, so that damage is noticed;
* ``metadata``: whatever the writer adds.

Any safetensors reader can open these files without HintonCore.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

__all__ = [
    "FORMAT_VERSION",
    "FileFormatError",
    "load_tensors",
    "remove_partial_files",
    "save_tensors",
    "write_atomic",
]

FORMAT_VERSION = 1
"""Newest file layout that this version reads, and the one that it writes."""

_METADATA_KEY = "hintoncore"
_PARTIAL_SUFFIX = ".partial"

PathLike = str | os.PathLike[str]


class FileFormatError(ValueError):
    """A file is damaged, is not a HintonCore file, is of another kind, or has a newer format."""


def save_tensors(
    path: PathLike,
    tensors: Mapping[str, NDArray[Any]],
    *,
    kind: str,
    metadata: Mapping[str, Any],
) -> None:
    """Write arrays and metadata to ``path`` atomically; the same content gives the same bytes.

    Parameters
    ----------
    path : path
        Replaced in one step: a reader sees the old file or the new one, never a part.
    tensors : mapping of name to array
        Any dtype that safetensors holds; stored C-contiguous.
    kind : str
        Checked by :func:`load_tensors`.
    metadata : mapping
        JSON values; floats must be finite.

    Raises
    ------
    ValueError
        If ``metadata`` has a NaN or an infinity.
    TypeError
        If ``metadata`` is not JSON.
    OSError
        If the file cannot be written; the old file stays as it was.
    """
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    header = {
        "format": FORMAT_VERSION,
        "kind": kind,
        "metadata": metadata,
        "sha256": _digest(arrays, kind, metadata),
    }
    # One metadata entry only: safetensors keeps the entries in a hash map, whose order changes from run to
    # run.
    write_atomic(path, safetensors.numpy.save(arrays, metadata={_METADATA_KEY: _canonical_json(header)}))


def load_tensors(path: PathLike, *, kind: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read what :func:`save_tensors` wrote.

    Parameters
    ----------
    path : path
    kind : str
        The kind expected.

    Returns
    -------
    tensors : dict of name to array
    metadata : dict

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the file is damaged or truncated, is not a HintonCore file, is of another kind, or has a newer
        format.
    """
    path = Path(path)
    with path.open("rb"):  # raises the usual OSError, which safetensors would reword
        pass
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            entries = file.metadata() or {}
            header = _parse_header(path, entries)
            names: list[str] = list(file.keys())
            tensors: dict[str, NDArray[Any]] = {name: file.get_tensor(name) for name in names}
    except safetensors.SafetensorError as error:
        raise FileFormatError(f"{path}: damaged or not a safetensors file ({error})") from error
    if header["kind"] != kind:
        raise FileFormatError(f"{path}: expected a file of kind {kind!r}, given {header['kind']!r}")
    if header["sha256"] != _digest(tensors, kind, header["metadata"]):
        raise FileFormatError(f"{path}: damaged, its contents do not match its checksum")
    return tensors, header["metadata"]


def write_atomic(path: PathLike, data: bytes) -> None:
    """Replace the file at ``path`` by ``data`` in one step, durable against a crash or power cut.

    The bytes go to a temporary file in the same folder, are flushed to the disk, and the file is renamed.
    Only a process killed in the middle leaves its temporary file behind (see :func:`remove_partial_files`).

    Raises
    ------
    OSError
        If the file cannot be written; the old file stays as it was.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(6)}{_PARTIAL_SUFFIX}")
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def remove_partial_files(path: PathLike) -> None:
    """Remove temporary files that killed writers of ``path`` left; only for the sole writer of ``path``."""
    path = Path(path)
    prefix = f".{path.name}."
    for entry in path.parent.iterdir():
        if entry.name.startswith(prefix) and entry.name.endswith(_PARTIAL_SUFFIX):
            entry.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; file systems that cannot sync folders are left alone."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _canonical_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(tensors: Mapping[str, NDArray[Any]], kind: str, metadata: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(_canonical_json([kind, metadata]).encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(_canonical_json([name, array.dtype.str, array.shape]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _parse_header(path: Path, entries: Mapping[str, str]) -> dict[str, Any]:
    if _METADATA_KEY not in entries:
        raise FileFormatError(f"{path}: a safetensors file, but not one written by HintonCore")
    try:
        header = json.loads(entries[_METADATA_KEY])
        version, has_all = header["format"], {"kind", "metadata", "sha256"} <= header.keys()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(f"{path}: damaged metadata ({error})") from error
    if not isinstance(version, int) or version < 1:
        raise FileFormatError(f"{path}: damaged metadata (format {version!r})")
    if version > FORMAT_VERSION:
        raise FileFormatError(
            f"{path}: has format {version}, this version of HintonCore reads up to {FORMAT_VERSION}; upgrade to read it"
        )
    if not has_all:
        raise FileFormatError(f"{path}: damaged metadata (incomplete)")
    return dict(header)
