"""The Gibbs half-step and the bit packing of csrc/cuda, executed on the CPU and compared with the oracle."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from . import harness, oracle

pytestmark = pytest.mark.skipif(harness.why_not() is not None, reason=str(harness.why_not()))

KERNELS = [harness.CSRC / "cuda" / "gibbs.cu", harness.CSRC / "cuda" / "bits.cu"]
DRIVER = harness.HERE / "gibbs_driver.cpp"


@dataclass(frozen=True)
class Shape:
    batch: int
    n_in: int
    n_out: int
    transpose: bool = False
    probs: bool = True
    temperature: float = 1.0
    integer: bool = True
    seed: int = 20061127
    offset: int = 5

    def __str__(self) -> str:
        direction = "T" if self.transpose else "N"
        kind = "int" if self.integer else "real"
        return f"{self.batch}x{self.n_in}x{self.n_out}{direction}-{kind}-T{self.temperature}"


# Edges of every tile size (64 samples, 128 samples, 32 inputs, 8 and 32 outputs) from both sides, and both directions.
SHAPES = [
    Shape(1, 1, 1),
    Shape(1, 1, 1, transpose=True, integer=False),
    Shape(63, 31, 7),
    Shape(64, 32, 8, transpose=True),
    Shape(65, 33, 9, probs=False),
    Shape(128, 64, 32),
    Shape(129, 65, 33, transpose=True, seed=2**64 - 1, offset=2**33 + 7),
    Shape(300, 50, 41, temperature=2.5, integer=False),
    Shape(200, 70, 20, transpose=True, temperature=0.5, integer=False),
    Shape(192, 96, 64, integer=False),
]
SMALL = [SHAPES[i] for i in (1, 2, 4, 6, 7)]


def make_case(
    shape: Shape,
) -> tuple[dict[str, object], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """The record a driver reads, and v [batch, n_in], w [n_in, n_out] and b behind it."""
    rng = np.random.default_rng([shape.batch, shape.n_in, shape.n_out])
    v = (rng.random((shape.batch, shape.n_in)) < 0.4).astype(np.float32)
    if shape.integer:
        w = rng.integers(-2, 3, (shape.n_in, shape.n_out)).astype(np.float32)
        b = rng.integers(-2, 3, shape.n_out).astype(np.float32)
    else:
        w = rng.normal(0, 0.5, (shape.n_in, shape.n_out)).astype(np.float32)
        b = rng.normal(0, 0.5, shape.n_out).astype(np.float32)
    stored = np.ascontiguousarray(w.T if shape.transpose else w)
    case = {
        "batch": shape.batch,
        "n_in": shape.n_in,
        "n_out": shape.n_out,
        "stride_in": 1 if shape.transpose else shape.n_out,
        "stride_out": shape.n_in if shape.transpose else 1,
        "want_probs": int(shape.probs),
        "temperature": shape.temperature,
        "seed": shape.seed,
        "offset": shape.offset,
        "first_sample": 0,
        "dense": v,
        "w": stored,
        "bias": b,
    }
    return case, v, w, b


def compare(shape: Shape, outputs: dict[str, bytes]) -> None:
    _, v, w, b = make_case(shape)
    sample, probs, margin = oracle.gibbs(v, w, b, shape.seed, shape.offset, shape.temperature)
    n_words = (shape.batch + 63) // 64
    np.testing.assert_array_equal(harness.array(outputs["in"], np.uint64, shape.n_in, n_words), oracle.pack(v))
    got = harness.array(outputs["sample"], np.float32, shape.batch, shape.n_out)
    # expf is within 2 ulp and the quotient before it rounds twice more: |x| below 100 leaves 1e-5 around the threshold.
    np.testing.assert_array_equal(got[margin > 1e-5], sample[margin > 1e-5])
    words = harness.array(outputs["out"], np.uint64, shape.n_out, n_words)
    np.testing.assert_array_equal(words, oracle.pack(got.astype(np.float32)))  # padding bits are zero, too
    if shape.probs:
        got_probs = harness.array(outputs["probs"], np.float32, shape.batch, shape.n_out)
        np.testing.assert_allclose(got_probs, probs, rtol=2e-5, atol=1e-30)
    else:
        assert "probs" not in outputs


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_against_oracle(shape: Shape) -> None:
    program = harness.build(KERNELS, DRIVER)
    compare(shape, harness.run(program, make_case(shape)[0]))


@pytest.mark.parametrize("mode", ["asan", "race"])
@pytest.mark.parametrize("shape", SMALL, ids=str)
def test_memory_and_races(shape: Shape, mode: str) -> None:
    program = harness.build(KERNELS, DRIVER, mode)
    compare(shape, harness.run(program, make_case(shape)[0]))


def test_extreme_logits_saturate() -> None:
    """exp overflows to infinity and underflows to zero; no draw is 0 or 1, so the answer is certain."""
    shape = Shape(64, 2, 2)
    case, _, _, _ = make_case(shape)
    case["w"] = np.zeros((2, 2), np.float32)
    case["bias"] = np.array([-1e4, 1e4], np.float32)
    outputs = harness.run(harness.build(KERNELS, DRIVER), case)
    sample = harness.array(outputs["sample"], np.float32, 64, 2)
    assert not sample[:, 0].any()
    assert sample[:, 1].all()
    np.testing.assert_array_equal(harness.array(outputs["probs"], np.float32, 64, 2)[0], [0.0, 1.0])


@pytest.mark.parametrize(("name", "value"), [("batch", 0), ("n_in", 0), ("n_out", 0)])
def test_refuses_empty(name: str, value: int) -> None:
    case, _, _, _ = make_case(Shape(64, 2, 2))
    case[name] = value
    with pytest.raises(harness.ShimError, match="must be at least 1"):
        harness.run(harness.build(KERNELS, DRIVER), case)


def test_batch_split_changes_no_bit() -> None:
    """A draw belongs to (unit, sample): a batch of 300 comes out as its first 128 and its other 172 rows do."""
    shape = Shape(300, 50, 41, integer=False)
    program = harness.build(KERNELS, DRIVER)
    case, v, _, _ = make_case(shape)
    whole = harness.array(harness.run(program, case)["sample"], np.float32, 300, 41)
    for first, last in ((0, 128), (128, 300)):
        case.update(batch=last - first, first_sample=first, dense=v[first:last])
        part = harness.array(harness.run(program, case)["sample"], np.float32, last - first, 41)
        np.testing.assert_array_equal(part, whole[first:last])


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ([0] * 4, (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([0xFFFFFFFF] * 4, (0xFFFFFFFF, 0xFFFFFFFF), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_oracle_gives_the_published_vectors(counter: list[int], key: tuple[int, int], expected: str) -> None:
    """Random123's known answers for philox4x32-10."""
    words = oracle.philox4x32_10([np.array([c], np.uint64) for c in counter], key)
    assert " ".join(f"{int(w[0]):08x}" for w in words) == expected


@pytest.mark.parametrize("transpose", [False, True])
def test_oracle_agrees_with_the_reference(transpose: bool) -> None:
    """Two people's reading of the semantics; the reference is loaded from its folder and needs no build."""
    folder = harness.ROOT / "python" / "hintoncore" / "reference"
    spec = importlib.util.spec_from_file_location(
        "hintoncore_reference", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    reference = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = reference  # where dataclasses look their module up
    spec.loader.exec_module(reference)
    shape = Shape(200, 30, 21, transpose=transpose, temperature=1.7, integer=False, seed=2**63 + 9, offset=2**32 + 1)
    case, v, w, b = make_case(shape)
    sample, probs, _ = oracle.gibbs(v, w, b, shape.seed, shape.offset, shape.temperature)
    theirs = reference.gibbs_step(
        v, case["w"], b, seed=shape.seed, offset=shape.offset, transpose=transpose, temperature=shape.temperature
    )
    np.testing.assert_array_equal(theirs[0], sample)
    np.testing.assert_allclose(theirs[1], probs, rtol=1e-12)


def test_sources_follow_the_rules() -> None:
    """The rules for kernel sources that a glance at the text can check."""
    for path in sorted((harness.CSRC / "cuda").glob("*.cu*")):
        text = "\n".join(line.split("//")[0] for line in Path(path).read_text().splitlines())
        where = path.name
        if path.name != "launch.cuh":
            assert "<<<" not in text, where
            assert "__shared__" not in text, where
        if path.name != "ptx.cuh":
            assert "asm" not in text.replace("asm_", ""), where
        for word in (
            "__CUDA_ARCH__",
            "__activemask",
            "cudaMalloc",
            "cudaDeviceSynchronize",
            "cudaStreamSynchronize",
        ):
            assert word not in text, f"{where}: {word}"
