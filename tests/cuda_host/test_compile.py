"""Every kernel compiles for every GPU generation that nvcc knows: no spills, registers and shared memory in bounds."""

from __future__ import annotations

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from . import harness

SM = (75, 80, 86, 89, 90, 100, 120)
# Registers of a thread, static shared memory of a block. 80 registers: 3 blocks of 256 threads on a multiprocessor.
LIMITS = {
    "gibbs_half_step": (80, 6 * 1024),
    "pack_words": (40, 0),
    "unpack_words": (64, 0),
}

FUNCTION = re.compile(r"Compiling entry function '(\w+)' for 'sm_(\d+)'")
SPILLS = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers")
SHARED = re.compile(r"(\d+) bytes smem")


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], str]:
    """What ptxas says of each (kernel, architecture), all sources and architectures."""
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc on PATH: the CUDA kernels were NOT compiled by this run")
    folder = tmp_path_factory.mktemp("nvcc")
    command = [nvcc, "-std=c++17", "-O3", f"-I{harness.CSRC}", "-Xptxas", "-v", "-c", "-odir", str(folder)]
    command += [f"-gencode=arch=compute_{sm},code=sm_{sm}" for sm in SM]
    command += [f"-gencode=arch=compute_{SM[-1]},code=compute_{SM[-1]}", "-Werror", "all-warnings"]

    def compile_one(source: Path) -> str:
        done = subprocess.run([*command, str(source)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr

    # Two processes and not nvcc's own -t 2, which would mix their reports.
    with ThreadPoolExecutor(2) as pool:
        report = "".join(pool.map(compile_one, sorted((harness.CSRC / "cuda").glob("*.cu"))))
    found: dict[tuple[str, int], str] = {}
    pieces = FUNCTION.split(report)
    for mangled, sm, text in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        names = [name for name in LIMITS if re.search(rf"\d{name}[A-Z]", mangled)]
        assert len(names) == 1, f"{mangled}: state its limits in LIMITS"
        found[names[0], int(sm)] = text
    return found


def test_all_kernels_for_all_architectures(reports: dict[tuple[str, int], str]) -> None:
    assert set(reports) == {(name, sm) for name in LIMITS for sm in SM}


def test_no_spills(reports: dict[tuple[str, int], str]) -> None:
    for where, text in reports.items():
        found = SPILLS.search(text)
        assert found, where
        assert found.groups() == ("0", "0", "0"), f"{where}: {found.group(0)}"


def test_registers_and_shared_memory(reports: dict[tuple[str, int], str]) -> None:
    for (name, sm), text in reports.items():
        registers, shared = LIMITS[name]
        used, static = USED.search(text), SHARED.search(text)
        assert used, (name, sm)
        assert int(used.group(1)) <= registers, f"{name} for sm_{sm}: {used.group(0)}"
        assert (int(static.group(1)) if static else 0) <= shared, f"{name} for sm_{sm}: {text}"
