"""Mutations of the real kernel: each breaks gibbs.cuh in one place, and the tests of test_gibbs.py must notice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from . import harness
from .test_gibbs import DRIVER, KERNELS, Shape, compare, make_case

pytestmark = pytest.mark.skipif(harness.why_not() is not None, reason=str(harness.why_not()))

SHAPES = [
    Shape(129, 65, 33, temperature=2.0),
    Shape(129, 65, 33, temperature=2.0, transpose=True),
]


@dataclass(frozen=True)
class Mutation:
    what: str
    old: str
    new: str
    mode: str
    kinds: str  # "oracle": a wrong answer; else kinds of ShimError

    def __str__(self) -> str:
        return self.what.replace(" ", "_")


MUTATIONS = [
    Mutation(
        "no barrier before the tile is overwritten",
        "__syncthreads();  // every warp has finished with the tile before",
        "",
        "race",
        "race",
    ),
    Mutation(
        "no barrier before the tile is read",
        "__syncthreads();\n        if (first_input",
        "if (first_input",
        "race",
        "race",
    ),
    Mutation("weights read past the outputs", "i < a.n_in && o < a.n_out ?", "i < a.n_in ?", "asan", "asan"),
    Mutation("weights read past the inputs", "i < a.n_in && o < a.n_out ?", "o < a.n_out ?", "asan", "asan"),
    Mutation("states read past the inputs", "i < a.n_in && j < n_words ?", "j < n_words ?", "asan", "asan"),
    Mutation("outputs written past the end", "if (o >= a.n_out) break;", "", "plain", "out-of-bounds"),
    Mutation(
        "exit before a barrier",
        "float next_weights[",
        "if (word >= n_words) return;\nfloat next_weights[",
        "plain",
        "divergent-barrier",
    ),
    Mutation("every lane writes the word", "if (lane == 0) a.out", "a.out", "race", "race"),
    Mutation(
        "half the warp votes",
        "__ballot_sync(kFullWarp, low_exists",
        "__ballot_sync(0xffffu, low_exists",
        "plain",
        "bad-mask",
    ),
    Mutation("padding bits drawn", "high_exists && u_high", "u_high", "plain", "oracle"),
    Mutation(
        "halves of the word swapped", "(bits_high) << 32 | bits_low", "(bits_low) << 32 | bits_high", "plain", "oracle"
    ),
    Mutation(
        "strides swapped", "i * a.stride_in + o * a.stride_out", "i * a.stride_out + o * a.stride_in", "plain", "oracle"
    ),
    Mutation("one draw for two samples", "lane < 16 ? draws[0] : draws[1]", "draws[0]", "plain", "oracle"),
    Mutation(
        "draws of another unit",
        "static_cast<uint32_t>(o), counter",
        "static_cast<uint32_t>(o - first_output), counter",
        "plain",
        "oracle",
    ),
    Mutation("draws of another word", "+ word) * 16", "+ word) * 32", "plain", "oracle"),
    Mutation("temperature left out", "(bias + sum_high[k]) / a.temperature", "(bias + sum_high[k])", "plain", "oracle"),
    Mutation("bias left out", "-(bias + sum_low[k])", "-(sum_low[k])", "plain", "oracle"),
    Mutation(
        "probabilities transposed", "sample_low * a.n_out + o", "o * a.batch + sample_low", "plain", "oracle|order"
    ),
    Mutation(
        "wrong accumulator",
        "fmaf(w.w, high, sum_high[4 * q + 3])",
        "fmaf(w.w, low, sum_high[4 * q + 3])",
        "plain",
        "oracle",
    ),
    Mutation("tile not filled", "chunk / 4 * 4", "chunk % 4 * 4", "plain", "oracle|order"),
    Mutation(
        "last tile left out",
        "first_input < a.n_in; first",
        "first_input + T::kInputs <= a.n_in; first",
        "plain",
        "oracle",
    ),
    Mutation("vectors out of step with the row", "kOutputs + 4;", "kOutputs + 2;", "plain", "oracle|order"),
]


def verdict(program: Path) -> str:
    try:
        for shape in SHAPES:
            compare(shape, harness.run(program, make_case(shape)[0]))
    except harness.ShimError as error:
        return error.kind
    except AssertionError:
        return "oracle"
    return "nobody noticed"


@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_mutation_is_noticed(mutation: Mutation, tmp_path: Path) -> None:
    source = (harness.CSRC / "cuda" / "gibbs.cuh").read_text()
    assert source.count(mutation.old) == 1, "the kernel has changed: bring this mutation up to date"
    (tmp_path / "cuda").mkdir()
    (tmp_path / "cuda" / "gibbs.cuh").write_text(source.replace(mutation.old, mutation.new))
    program = harness.build(KERNELS, DRIVER, mutation.mode, include=[tmp_path])
    assert verdict(program) in mutation.kinds.split("|")
