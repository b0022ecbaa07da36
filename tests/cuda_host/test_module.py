"""The Python side: hintoncore.cuda with and without the extension, a driver, and (on the shim) a device."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

import hintoncore

from . import harness, oracle

BUILT = importlib.util.find_spec("hintoncore._cuda") is not None
needs_extension = pytest.mark.skipif(not BUILT, reason="hintoncore was built without CUDA")
needs_shim = pytest.mark.skipif(harness.why_not() is not None, reason=str(harness.why_not()))

STATUS = "import json, hintoncore.cuda as c; print(json.dumps(c.status()))"
KEYS = {"built", "available", "reason", "devices", "driver_version", "runtime_version"}


def python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def stub_driver(folder: Path, version: int) -> str:
    """A folder with a libcuda.so.1 of that version, which finds no device."""
    folder.mkdir()
    source = harness.SHIM / "libcuda_stub.c"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", f"-DVERSION={version}", str(source), "-o", str(folder / "libcuda.so.1")], check=True
    )
    return str(folder)


def test_status_never_raises() -> None:
    facts = hintoncore.cuda.status()
    assert set(facts) == KEYS
    assert facts["built"] == BUILT
    assert facts["available"] == (facts["reason"] == "")
    assert facts["available"] == bool(facts["devices"])


def test_import_loads_neither_the_extension_nor_torch() -> None:
    loaded = python(
        "import sys, hintoncore.cuda; print(*(m for m in ('hintoncore._cuda', 'torch') if m in sys.modules))"
    )
    assert loaded.split() == []


def test_status_without_the_extension() -> None:
    code = "import sys; sys.modules['hintoncore._cuda'] = None\n" + STATUS
    facts = json.loads(python(code))
    assert facts == {
        "built": False,
        "available": False,
        "reason": "built without CUDA",
        "devices": [],
        "driver_version": 0,
        "runtime_version": 0,
    }


@needs_extension
@needs_shim
@pytest.mark.parametrize(
    ("version", "code"),
    [(99000, "CUDA error 100"), (11000, "CUDA error 35")],
    ids=["driver without a device", "driver too old"],
)
def test_status_with_a_driver_of_no_use(tmp_path: Path, version: int, code: str) -> None:
    facts = json.loads(python(STATUS, LD_LIBRARY_PATH=stub_driver(tmp_path / "driver", version)))
    assert facts["built"]
    assert not facts["available"]
    assert facts["reason"].startswith(code)
    assert facts["driver_version"] == version
    assert facts["runtime_version"] >= 11000


@needs_extension
def test_status_without_a_driver() -> None:
    facts = hintoncore.cuda.status()
    if facts["driver_version"] != 0:
        pytest.skip("this machine has an NVIDIA driver")
    assert facts["reason"].startswith("no NVIDIA driver: CUDA error 35")


def test_arrays_on_the_cpu_are_refused_by_name() -> None:
    x = np.zeros((2, 2), np.float32)
    with pytest.raises(
        TypeError, match=r"v: expected an array on a CUDA device, got ndarray of float32, shape \(2, 2\)"
    ):
        hintoncore.cuda.gibbs_step(x, x, x[0], seed=1, offset=0)
    assert not hintoncore.cuda.is_cuda_array(x)
    assert not hintoncore.cuda.is_cuda_array([1, 2])


def test_unavailable_cuda_is_an_error_with_the_reason() -> None:
    facts = hintoncore.cuda.status()
    if facts["available"]:
        pytest.skip("CUDA is available here")
    x = np.zeros((2, 2), np.float32)
    with pytest.raises(hintoncore.HintonCoreError, match="CUDA is not available: "):
        hintoncore.cuda.gibbs_step_packed(x, x, x, x, batch=2, seed=1, offset=0)


# ------------------------------------------------------------------------------------ the extension on the shim


@pytest.fixture(scope="module")
def extension() -> Path:
    """_cuda built by g++ against the shim: everything but the driver is the real thing."""
    reason = harness.why_not()
    if reason:
        pytest.skip(reason)
    pybind11 = pytest.importorskip("pybind11")
    includes = [Path(pybind11.get_include()), Path(sysconfig.get_path("include"))]
    return harness.build_extension(includes)


def on_shim(extension: Path, code: str) -> str:
    prologue = f"""
import json, sys
import numpy as np
sys.path.insert(0, {str(harness.HERE)!r})
from fake_device import OnDevice, load_extension
load_extension({str(extension)!r})
from hintoncore import cuda
"""
    return python(prologue + code)


def test_gibbs_step_packed_from_python(extension: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    batch, n_vis, n_hid = 130, 40, 11
    v = (rng.random((batch, n_vis)) < 0.5).astype(np.float32)
    h = (rng.random((batch, n_hid)) < 0.5).astype(np.float32)
    w = rng.integers(-2, 3, (n_vis, n_hid)).astype(np.float32)
    b_hid, b_vis = rng.integers(-2, 3, n_hid).astype(np.float32), rng.integers(-2, 3, n_vis).astype(np.float32)
    np.savez(tmp_path / "in.npz", v=oracle.pack(v), h=oracle.pack(h), w=w, b_hid=b_hid, b_vis=b_vis)
    code = f"""
c = np.load({str(tmp_path / "in.npz")!r})
out = {{}}
for name, states, bias, transpose in (("hidden", c["v"], c["b_hid"], False), ("visible", c["h"], c["b_vis"], True)):
    words = np.full((len(bias), 3), 77, np.uint64)
    probs = np.full((130, len(bias)), np.nan, np.float32)
    if transpose: states, words = states.view(np.int64), words.view(np.int64)
    cuda.gibbs_step_packed(
        OnDevice(states), OnDevice(c["w"]), OnDevice(bias), OnDevice(words), batch=130, seed=2**64 - 3, offset=2**40,
        transpose=transpose, temperature=1.5, probs=OnDevice(probs))
    out[name], out[name + "_probs"] = words.view(np.uint64), probs
np.savez({str(tmp_path / "out.npz")!r}, **out)
"""
    on_shim(extension, code)
    got = np.load(tmp_path / "out.npz")
    for name, states, weights, bias in (("hidden", v, w, b_hid), ("visible", h, w.T, b_vis)):
        sample, probs, _ = oracle.gibbs(states, weights, bias, 2**64 - 3, 2**40, 1.5)
        np.testing.assert_array_equal(got[name], oracle.pack(sample))
        np.testing.assert_allclose(got[name + "_probs"], probs, rtol=2e-5)


SETUP = """
ARRAYS = dict(words=np.zeros((3, 2), np.uint64), w=np.zeros((3, 4), np.float32), b=np.zeros(4, np.float32),
              out=np.zeros((4, 2), np.uint64))
def call(device=0, **other):
    arguments = {**ARRAYS, "batch": 70, "seed": 1, "offset": 0, **other}
    cuda.gibbs_step_packed(**{k: OnDevice(x, device) if isinstance(x, np.ndarray) else x for k, x in arguments.items()})
call()
for name, arguments in CASES.items():
    try:
        call(**eval(arguments))
    except Exception as e:
        print(f"{name}: {type(e).__name__}: {e}")
    else:
        print(f"{name}: accepted")
"""
BAD_CALLS = {
    "batch": ("dict(batch=0)", "ValueError: batch"),
    "seed": ("dict(seed=-1)", "ValueError: seed"),
    "temperature": ("dict(temperature=0.0)", "ValueError: temperature: expected > 0"),
    "infinite": ("dict(temperature=float('inf'))", "ValueError: temperature"),
    "words_shape": (
        "dict(words=np.zeros((3, 1), np.uint64))",
        "ValueError: words: expected shape (3, 2), got shape (3, 1)",
    ),
    "words_dtype": ("dict(words=np.zeros((3, 2), np.uint32))", "ValueError: words: expected uint64"),
    "w_shape": ("dict(w=np.zeros((4, 3), np.float32))", "ValueError: w: expected shape (3, 4), got shape (4, 3)"),
    "w_dtype": ("dict(w=np.zeros((3, 4)))", "ValueError: w: expected float32"),
    "w_layout": ("dict(w=np.zeros((4, 3), np.float32).T)", "ValueError: w: expected a C-contiguous array"),
    "b_shape": ("dict(b=np.zeros(5, np.float32))", "ValueError: b: expected shape (4,), got shape (5,)"),
    "b_dtype": ("dict(b=np.zeros(4, np.int32))", "ValueError: b: expected float32"),
    "out_shape": ("dict(out=np.zeros((4, 3), np.uint64))", "ValueError: out: expected shape (4, 2)"),
    "out_ndim": ("dict(out=np.zeros(4, np.uint64))", "ValueError: out: expected 2 dimensions"),
    "probs": ("dict(probs=np.zeros((4, 70), np.float32))", "ValueError: probs: expected shape (70, 4)"),
    "devices": ("dict(b=OnDevice(np.zeros(4, np.float32), 1))", "ValueError: b: expected CUDA device 0, got device 1"),
    "first_sample": ("dict(first_sample=3)", "ValueError: gibbs_step on CUDA: first_sample must be a multiple of 64"),
    "device_1": ("dict(device=1)", "HintonCoreError: cudaSetDevice: CUDA error 101 (invalid device ordinal)"),
}


def test_bad_calls_are_refused(extension: Path) -> None:
    cases = {name: arguments for name, (arguments, _) in BAD_CALLS.items()}
    lines = on_shim(extension, f"CASES = {cases!r}\n" + SETUP).splitlines()
    assert len(lines) == len(BAD_CALLS)
    for line, (name, (_, expected)) in zip(lines, BAD_CALLS.items(), strict=True):
        assert line.startswith(f"{name}: {expected}"), line


def test_status_with_a_device(extension: Path) -> None:
    facts = json.loads(on_shim(extension, "print(json.dumps(cuda.status()))"))
    assert set(facts) == KEYS
    assert facts["available"]
    assert facts["devices"][0]["name"] == "host shim"
