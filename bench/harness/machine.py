"""What was measured on: processor, caches, memory, system and versions. No names of hosts or users."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from .pool import cores


def cpu_model() -> str:
    """The processor's own name."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cpu_family() -> str:
    """Vendor's family and model numbers, which tell the microarchitecture where the name does not."""
    found: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            found.setdefault(key.strip(), value.strip())
    except OSError:
        return ""
    parts = [f"{label} {found[key]}" for label, key in (("family", "cpu family"), ("model", "model")) if key in found]
    return " ".join(parts)


def caches() -> dict[str, str]:
    """Size of each cache of the first core."""
    sizes: dict[str, str] = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        suffix = {"Data": "d", "Instruction": "i"}.get(kind, "")
        sizes[f"L{level}{suffix}"] = size
    return sizes


def memory() -> int:
    """Bytes of physical memory, 0 when unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0


def describe() -> dict[str, Any]:
    """Everything about the machine that a reader of the numbers needs."""
    return {
        "cpu": cpu_model(),
        "cpu_family": cpu_family(),
        "cores": cores(),
        "caches": caches(),
        "memory": memory(),
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "python": platform.python_version(),
    }
