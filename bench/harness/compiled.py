"""torch.compile with the settings that suit a benchmark: fixed shapes, and a plain refusal where it cannot work."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

from .cases import UnavailableError


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` compiled for the shapes it is first called with."""
    import torch

    if not any(map(shutil.which, ("g++", "clang++", "c++"))):
        raise UnavailableError("torch.compile needs a C++ compiler")
    torch._dynamo.reset()
    result: Callable[..., Any] = torch.compile(function, dynamic=False)
    return result
