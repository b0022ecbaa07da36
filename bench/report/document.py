"""The JSON document of a run: everything measured, and what it was measured on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hintoncore.files import write_atomic

SCHEMA = 1
_KEYS = ("schema", "hintoncore", "machine", "libraries", "settings", "rows", "limits")

Document = dict[str, Any]


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all, with the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text.encode())


def dumps(document: Document) -> str:
    """The document as text."""
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def load(path: Path) -> Document:
    """Read a document back; ValueError says what is wrong with it."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(document, dict) or any(key not in document for key in _KEYS):
        raise ValueError(f"{path} is not the result of `hintoncore bench --json`")
    if document["schema"] != SCHEMA:
        raise ValueError(f"{path} has schema {document['schema']}, this version reads {SCHEMA}")
    return document


def key(row: dict[str, Any]) -> tuple[str, str, int, str]:
    """What makes two rows of different runs the same benchmark."""
    return (row["family"], row["case"], row.get("threads", 0), row.get("isa", ""))
