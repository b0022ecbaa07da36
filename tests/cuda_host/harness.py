"""Builds and runs CUDA sources on the CPU: compile with g++ against the shim, feed a case, read the outputs.

`build` keeps programs in a cache keyed by everything that went into them, so an unchanged tree compiles nothing.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CSRC = ROOT / "csrc"
SHIM = HERE / "shim"

GXX = os.environ.get("HINTONCORE_TEST_CXX", "g++")
MODES = ("plain", "asan", "race")
_FLAGS = [
    "-std=c++17",
    "-g",
    "-no-pie",
    "-fno-omit-frame-pointer",
    "-Wall",
    "-Wextra",
    "-Wno-unknown-pragmas",
]
_MODE_FLAGS = {
    "plain": ["-O1"],
    "asan": ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    "race": ["-O1"],
}
RUN_SECONDS = 120


def why_not() -> str | None:
    """The reason why the shim cannot be used here, or None."""
    if platform.machine() not in ("x86_64", "AMD64") or platform.system() != "Linux":
        return f"the fiber switch is written for x86-64 Linux, and this is {platform.machine()} {platform.system()}"
    if shutil.which(GXX) is None:
        return f"no {GXX}"
    version = subprocess.run([GXX, "--version"], capture_output=True, text=True, check=False).stdout
    if "Free Software Foundation" not in version:
        return f"{GXX} is not GCC, whose -fsanitize=thread hooks the race detector implements"
    return None


class ShimError(Exception):
    """A kernel was found at fault; `kind` says by what (race, deadlock, asan, ubsan, order, out-of-bounds, ...)."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


def cache_dir() -> Path:
    path = Path(os.environ.get("HINTONCORE_TEST_CACHE", ROOT / "build" / "cuda_host"))
    path.mkdir(parents=True, exist_ok=True)
    return path


def _run_tool(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")


def _headers_hash() -> str:
    digest = hashlib.sha256()
    folders = [SHIM, CSRC / "cuda", CSRC / "common"]
    for path in sorted(p for folder in folders for p in folder.rglob("*") if p.suffix in (".h", ".cuh")):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _object(source: Path, flags: Sequence[str], include: Sequence[Path]) -> Path:
    """Compiles one file unless the cache has it. `include` folders come before csrc and are hashed whole."""
    digest = hashlib.sha256()
    digest.update(" ".join([GXX, *flags]).encode())
    digest.update(_headers_hash().encode())
    for path in [source, *sorted(p for folder in include for p in folder.rglob("*") if p.is_file())]:
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    target = cache_dir() / f"{source.stem}-{digest.hexdigest()[:20]}.o"
    places = [f"-I{p}" for p in [*include, SHIM, CSRC]]
    return _make([GXX, *flags, *places, "-x", "c++", "-c", str(source)], target)


def _link(objects: Sequence[Path], flags: Sequence[str], target: Path) -> Path:
    return _make([GXX, *flags, *map(str, objects)], target)


def _make(command: Sequence[str], target: Path) -> Path:
    """Runs a compiler unless `target` is there. It appears whole or not at all, whoever else is building."""
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=cache_dir()) as scratch:
            made = Path(scratch) / "made"
            _run_tool([*command, "-o", str(made)])
            made.replace(target)
    return target


def build(
    kernels: Sequence[Path],
    driver: Path,
    mode: str = "plain",
    include: Sequence[Path] = (),
    defines: Sequence[str] = (),
) -> Path:
    """A program from kernel sources, which alone are instrumented for races, and a driver with main()."""
    flags = [*_FLAGS, *_MODE_FLAGS[mode]]
    kernel_flags = [*flags, *[f"-D{d}" for d in defines]]
    if mode == "race":
        kernel_flags.append("-fsanitize=thread")
    runtime = [SHIM / "runtime.cpp", *([SHIM / "race.cpp"] if mode == "race" else [])]
    fast = [f if f != "-O1" else "-O2" for f in flags]
    objects = [_object(k, kernel_flags, include) for k in kernels]
    objects += [_object(driver, flags, ())] + [_object(r, fast, ()) for r in runtime]
    name = hashlib.sha256(" ".join([mode, *map(str, objects)]).encode()).hexdigest()[:20]
    link = [f for f in _MODE_FLAGS[mode] if f.startswith("-fsanitize")]
    return _link(objects, ["-no-pie", *link], cache_dir() / f"{driver.stem}-{mode}-{name}")


def build_extension(includes: Sequence[Path]) -> Path:
    """The Python extension _cuda, its kernels and calls of CUDA on the shim."""
    flags = [*(f for f in _FLAGS if f != "-no-pie"), "-O0", "-fPIC", "-fvisibility=hidden"]
    flags += [f"-isystem{p}" for p in includes]
    sources = sorted(p for p in (CSRC / "cuda").iterdir() if p.suffix in (".cu", ".cpp"))
    objects = [_object(source, flags, ()) for source in [*sources, SHIM / "runtime.cpp"]]
    name = hashlib.sha256(" ".join(map(str, objects)).encode()).hexdigest()[:20]
    return _link(objects, ["-shared"], cache_dir() / f"_cuda-{name}.so")


def _record(name: str, value: object) -> bytes:
    if isinstance(value, np.ndarray):
        raw = np.ascontiguousarray(value).tobytes()
    elif isinstance(value, float):
        raw = np.float64(value).tobytes()
    elif isinstance(value, (int, np.integer)):
        number = int(value)
        raw = (np.uint64(number) if number > 2**63 - 1 else np.int64(number)).tobytes()
    else:
        raise TypeError(f"{name}: {type(value).__name__} does not travel")
    return f"{name} {len(raw)}\n".encode() + raw


def run(program: Path, case: Mapping[str, object]) -> dict[str, bytes]:
    """Feeds `case` to a driver and returns its outputs; ShimError where the kernel was found at fault."""
    environment = {
        **os.environ,
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0:exitcode=4",
        "UBSAN_OPTIONS": "print_stacktrace=0:exitcode=5",
    }
    feed = b"".join(_record(name, value) for name, value in case.items())
    try:
        done = subprocess.run(
            [str(program)], input=feed, capture_output=True, env=environment, timeout=RUN_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise ShimError("hang", f"{program.name} did not end in {RUN_SECONDS} s") from None
    errors = done.stderr.decode(errors="replace")
    if done.returncode != 0:
        found = re.search(r"^HC_SHIM ([a-z-]+): (.*)", errors, re.MULTILINE | re.DOTALL)
        if found:
            raise ShimError(found.group(1), found.group(2).strip())
        if "AddressSanitizer" in errors:
            raise ShimError("asan", errors)
        if "runtime error:" in errors:
            raise ShimError("ubsan", errors)
        raise ShimError("crash", f"status {done.returncode}: {errors[-2000:]}")
    outputs: dict[str, bytes] = {}
    rest = done.stdout
    while rest:
        header, _, rest = rest.partition(b"\n")
        name, size = header.decode().split()
        outputs[name], rest = rest[: int(size)], rest[int(size) :]
    return outputs


def array(raw: bytes, dtype: type, *shape: int) -> NDArray[Any]:
    return np.frombuffer(raw, dtype=dtype).reshape(shape)
