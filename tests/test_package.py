"""The installed package: its version, its files, what it imports, what it says of itself."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hintoncore as hc
from hintoncore import _core

ROOT = Path(__file__).parent.parent
PACKAGE = Path(hc.__file__).parent


def python(code: str, *flags: str) -> str:
    done = subprocess.run(
        [sys.executable, *flags, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_version_everywhere() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", hc.__version__)
    assert hc.__version__ == _core.version() == hc.config()["version"] == importlib.metadata.version("hintoncore")
    stated = re.search(r'^version = "([^"]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert stated is not None
    assert stated.group(1) == hc.__version__
    assert f"## [{hc.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_typed_and_stubs_complete() -> None:
    assert (PACKAGE / "py.typed").is_file()
    stub = ast.parse((PACKAGE / "_core.pyi").read_text(encoding="utf-8"))
    stated = {node.name for node in stub.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    assert stated == {name for name in dir(_core) if not name.startswith("_")}


def test_directories_for_c_and_cmake() -> None:
    assert (Path(hc.get_include()) / "hintoncore" / "hintoncore.h").is_file()
    assert (Path(hc.get_library_dir()) / "libhintoncore.so").is_file()
    assert (Path(hc.get_cmake_dir()) / "hintoncoreConfig.cmake").is_file()
    assert (Path(hc.get_cmake_dir()) / "hintoncoreConfigVersion.cmake").is_file()


def test_public_names_exist() -> None:
    for name in hc.__all__:
        assert getattr(hc, name) is not None, name
        assert name in dir(hc)
    for name in hc.ops.__all__:
        assert callable(getattr(hc.ops, name)), name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        hc.nothing  # noqa: B018


def test_public_functions_are_documented() -> None:
    for name in hc.ops.__all__:
        assert getattr(hc.ops, name).__doc__, name


def test_import_brings_in_little() -> None:
    code = "import sys, hintoncore; print('\\n'.join(sys.modules))"
    loaded = {name.split(".")[0] for name in python(code).split()}
    heavy = {"matplotlib", "torch", "jax", "sklearn", "scipy", "pandas", "tqdm", "safetensors", "concurrent", "asyncio"}
    assert loaded & heavy == set()
    inside = {name for name in python(code).split() if name.startswith("hintoncore.")}
    lazy = {f"hintoncore.{name}" for name in ("models", "train", "datasets", "likelihood", "reference", "cli", "bench")}
    assert inside & lazy == set()


def test_import_leaves_no_thread_behind() -> None:
    """The pool starts with the first kernel that has work for it, not with the import."""
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc")
    code = (
        "import os, numpy; before = len(os.listdir('/proc/self/task'));"
        "import hintoncore; print(len(os.listdir('/proc/self/task')) - before)"
    )
    assert python(code).strip() == "0"


@pytest.mark.skipif(sys.version_info < (3, 13), reason="no free-threaded builds before 3.13")
def test_free_threaded_python_stays_so() -> None:
    if getattr(sys, "_is_gil_enabled", lambda: True)():
        pytest.skip("this Python has its GIL")
    code = "import sys, hintoncore; hintoncore.Generator(1).random(4); print(sys._is_gil_enabled())"
    assert python(code).strip() == "False"


def test_config_is_json_and_consistent(capsys: pytest.CaptureFixture[str]) -> None:
    hc.show_config(as_json=True)
    facts = json.loads(capsys.readouterr().out)
    isa = facts["isa"]
    assert isa["used"] in isa["detected"]
    assert set(isa["detected"]) <= {"scalar", "avx2", "avx512"}
    assert "scalar" in isa["built"]
    assert facts["threads"] == hc.get_num_threads() >= 1
    assert facts["cuda"]["built"] in (True, False)
    assert facts["cuda"]["available"] or facts["cuda"]["reason"]
    hc.show_config()
    shown = capsys.readouterr().out
    assert hc.__version__ in shown
    assert isa["used"] in shown


def test_kernel_list_is_the_dispatch_list() -> None:
    rows = re.findall(
        r"^HC_(?:LANE_)?KERNEL\((\w+), \w+\)",
        (ROOT / "csrc" / "cpu" / "kernels.inc").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert _core.kernel_names() == rows
    assert len(set(rows)) == len(rows)


def test_every_source_file_is_built() -> None:
    lists = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    for folder in ("capi", "cpu", "python"):
        for path in sorted((ROOT / "csrc" / folder).glob("*.cpp")):
            assert f"csrc/{folder}/{path.name}" in lists, f"{path.name} is in no target of CMakeLists.txt"


def test_command_is_installed() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "hintoncore", "info", "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["version"] == hc.__version__
