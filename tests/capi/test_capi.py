"""The C interface as a C programmer meets it: the installed header and library, and a strict C99 compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import hintoncore as hc

CC = os.environ.get("CC", "gcc")
CXX = os.environ.get("CXX", "g++")
SOURCE = Path(__file__).with_name("program.c")
SEED, OFFSET = 2**63 + 12345, 2**34 + 5
BATCH, VISIBLE, HIDDEN, CHAINS = 70, 37, 19, 65  # those of program.c

Lines = list[tuple[str, list[str]]]

pytestmark = pytest.mark.skipif(shutil.which(CC) is None, reason=f"no C compiler ({CC})")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    include, library = Path(hc.get_include()), Path(hc.get_library_dir())
    assert (include / "hintoncore" / "hintoncore.h").is_file()
    assert (library / "libhintoncore.so").exists()
    target = tmp_path_factory.mktemp("capi") / "program"
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    link = [f"-L{library}", "-lhintoncore", f"-Wl,-rpath,{library}", "-lm"]
    subprocess.run([CC, *strict, f"-I{include}", str(SOURCE), "-o", str(target), *link], check=True)
    return target


def run(program: Path, what: str, threads: int = 0, seed: int = SEED, offset: int = OFFSET, **env: str) -> Lines:
    done = subprocess.run(
        [program, what, str(seed), str(offset), str(threads)],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [(line.split()[0], line.split()[1:]) for line in done.stdout.splitlines()]


def words(values: list[str], shape: tuple[int, int]) -> NDArray[np.uint64]:
    return np.array([int(v, 16) for v in values], np.uint64).reshape(shape)


def floats(values: list[str]) -> NDArray[np.float32]:
    return np.array([float.fromhex(v) for v in values], np.float32)


def inputs() -> tuple[NDArray[np.float32], ...]:
    """The numbers that program.c's fill() makes."""
    i, v, h = np.arange(BATCH)[:, None], np.arange(VISIBLE)[None, :], np.arange(HIDDEN)[None, :]
    states = ((i * 7 + v * 3) % 5 < 2).astype(np.float32)
    hidden_states = ((i * 5 + h) % 3 == 0).astype(np.float32)
    chains = ((np.arange(CHAINS)[:, None] + v * 11) % 4 == 0).astype(np.float32)
    w = (((v.T * 5 + h * 11) % 9 - 4) / 8).astype(np.float32)
    b_vis = ((np.arange(VISIBLE) % 3 - 1) / 4).astype(np.float32)
    b_hid = ((np.arange(HIDDEN) % 5 - 2) / 4).astype(np.float32)
    return states, hidden_states, chains, w, b_vis, b_hid


def test_header_compiles_alone() -> None:
    for command in ([CC, "-std=c99", "-xc"], [CC, "-std=c17", "-xc"], [CXX, "-std=c++11", "-xc++"]):
        if shutil.which(command[0]) is None:
            continue
        subprocess.run(
            [*command, "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", f"-I{hc.get_include()}", "-"],
            input="#include <hintoncore/hintoncore.h>\nint main(void) { return hc_bit_words(64) == 1; }\n",
            text=True,
            check=True,
        )


@pytest.mark.parametrize("threads", [0, 1, 3, 8])
def test_gibbs_step_is_pythons(program: Path, threads: int) -> None:
    states, hidden_states, _, w, b_vis, b_hid = inputs()
    rng = hc.Generator(SEED, OFFSET)
    sample, probs = hc.ops.gibbs_step(
        hc.BitMatrix.from_dense(states), w, b_hid, rng=rng, temperature=1.5, return_probs=True
    )
    hidden = hc.BitMatrix.from_dense(hidden_states)
    visible = hc.ops.gibbs_step(hidden, w, b_vis, rng=rng, transpose=True, temperature=1.5)
    lines = dict(run(program, "gibbs", threads))
    np.testing.assert_array_equal(words(lines["hidden"], sample.words.shape), sample.words)
    np.testing.assert_array_equal(floats(lines["probs"]), probs.ravel())
    np.testing.assert_array_equal(floats(lines["dense"]), sample.to_dense().ravel())
    np.testing.assert_array_equal(words(lines["visible"], visible.words.shape), visible.words)


@pytest.mark.parametrize("threads", [0, 1, 3, 8])
def test_cd_update_is_pythons(program: Path, threads: int) -> None:
    states, _, chain_states, w, b_vis, b_hid = inputs()
    rng = hc.Generator(SEED, OFFSET)
    v0, chains = hc.BitMatrix.from_dense(states), hc.BitMatrix.from_dense(chain_states)
    velocity = (np.zeros_like(w), np.zeros_like(b_vis), np.zeros_like(b_hid))
    stats = [
        hc.ops.cd_update(
            v0,
            w,
            b_vis,
            b_hid,
            k=2,
            lr=0.0625,
            rng=rng,
            momentum=0.5,
            weight_decay=0.03125,
            velocity=velocity,
            chains=c,
        )
        for c in (None, None, chains)
    ]
    lines = run(program, "cd", threads)
    assert [float.fromhex(v[0]) for name, v in lines if name == "error"] == [
        s["reconstruction_error"] for s in stats[:2]
    ]
    assert [float.fromhex(v[0]) for name, v in lines if name == "hidden_mean"] == [s["hidden_mean"] for s in stats]
    last = dict(lines)
    for name, array in (("w", w), ("b_vis", b_vis), ("b_hid", b_hid), ("vel_w", velocity[0])):
        np.testing.assert_array_equal(floats(last[name]), array.ravel())
    np.testing.assert_array_equal(words(last["chains"], chains.words.shape), chains.words)


def test_uniform_is_pythons(program: Path) -> None:
    expected = hc.Generator(SEED, OFFSET).random(1000)
    np.testing.assert_array_equal(floats(dict(run(program, "random", 2))["uniform"]), expected)


def test_errors_and_settings(program: Path) -> None:
    assert dict(run(program, "errors"))["version"] == [hc.__version__]


def test_environment_is_read(program: Path) -> None:
    assert run(program, "cd", HINTONCORE_NUM_THREADS="3") == run(program, "cd", HINTONCORE_NUM_THREADS="1")
    done = subprocess.run(
        [program, "gibbs", "1", "2", "0"],
        capture_output=True,
        text=True,
        env={**os.environ, "HINTONCORE_ISA": "pentium"},
        check=False,
    )
    assert done.returncode == 1
    assert "HINTONCORE_ISA" in done.stdout


def test_library_exports_only_the_c_interface() -> None:
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("no nm")
    library = Path(hc.get_library_dir()) / "libhintoncore.so"
    listing = subprocess.run(
        [nm, "-D", "--defined-only", str(library)], capture_output=True, text=True, check=True
    ).stdout
    names = {line.split()[-1] for line in listing.splitlines()}
    header = (Path(hc.get_include()) / "hintoncore" / "hintoncore.h").read_text(encoding="utf-8")
    assert names
    assert {n for n in names if not n.startswith("hc_")} == set()
    assert {n for n in names if f"{n}(" not in header} == set()
