"""A CMake project of somebody else finds, compiles against and runs with the installed package."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import hintoncore as hc

HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(
    shutil.which("cmake") is None or shutil.which("c++") is None, reason="no cmake or no C++"
)


def cmake(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["cmake", *arguments], capture_output=True, text=True, check=False, timeout=300)


def test_find_package(tmp_path: Path) -> None:
    configured = cmake("-S", str(HERE), "-B", str(tmp_path), f"-Dhintoncore_DIR={hc.get_cmake_dir()}")
    assert configured.returncode == 0, configured.stdout + configured.stderr
    built = cmake("--build", str(tmp_path))
    assert built.returncode == 0, built.stdout + built.stderr
    for name in ("consume_c", "consume_cpp"):
        done = subprocess.run([tmp_path / name], capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stdout.strip()) == (0, hc.__version__)


def test_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.20)\nproject(other LANGUAGES CXX)\nfind_package(hintoncore 99.0 REQUIRED)\n",
        encoding="utf-8",
    )
    configured = cmake("-S", str(tmp_path), "-B", str(tmp_path / "b"), f"-Dhintoncore_DIR={hc.get_cmake_dir()}")
    assert configured.returncode != 0
    assert "99.0" in configured.stderr
