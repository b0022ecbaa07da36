"""On a real GPU (pytest -m gpu): the draws of the CUDA kernels against the oracle, through torch tensors.

The first thing to run on a machine that has one: everything else in this folder executes the kernels on the CPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import hintoncore

from . import oracle
from .test_gibbs import SHAPES, Shape, make_case

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def torch() -> Any:
    facts = hintoncore.cuda.status()
    if not facts["available"]:
        pytest.skip(f"no GPU: {facts['reason']}")
    module = pytest.importorskip("torch")
    if not module.cuda.is_available():
        pytest.skip("torch is without CUDA")
    return module


BIG = [Shape(4096, 784, 512, integer=False), Shape(1000, 784, 500, transpose=True, integer=False)]


@pytest.mark.parametrize("shape", [*SHAPES, *BIG], ids=str)
def test_against_oracle(torch: Any, shape: Shape) -> None:
    case, v, w, b = make_case(shape)
    sample, probs, margin = oracle.gibbs(v, w, b, shape.seed, shape.offset, shape.temperature)
    on_gpu = [torch.from_numpy(x).cuda() for x in (v, case["w"], b)]
    got, got_probs = hintoncore.cuda.gibbs_step(
        *on_gpu,
        seed=shape.seed,
        offset=shape.offset,
        transpose=shape.transpose,
        temperature=shape.temperature,
        return_probs=True,
    )
    assert got.is_cuda
    # fp32 sums of n_in terms in order: n_in * 2^-24 of the sum of magnitudes, and some ulp of expf.
    tolerance = 1e-5 + (0.0 if shape.integer else 2.0**-24 * shape.n_in * float(np.abs(w).sum(axis=0).max()))
    np.testing.assert_allclose(got_probs.cpu().numpy(), probs, rtol=tolerance, atol=1e-30)
    clear = margin > tolerance
    np.testing.assert_array_equal(got.cpu().numpy()[clear], sample[clear])


def test_same_draws_as_the_cpu(torch: Any) -> None:
    shape = Shape(1000, 784, 500)
    case, v, w, b = make_case(shape)
    ours = hintoncore.ops.gibbs_step(v, w, b, rng=hintoncore.Generator(9, 4))
    theirs = hintoncore.cuda.gibbs_step(*(torch.from_numpy(x).cuda() for x in (v, case["w"], b)), seed=9, offset=4)
    # Only a draw within rounding of its threshold may fall on the other side.
    assert np.mean(theirs.cpu().numpy() != ours) <= 1e-5


def test_other_streams_are_waited_for(torch: Any) -> None:
    shape = Shape(300, 50, 41)
    case, v, w, b = make_case(shape)
    sample, _, _ = oracle.gibbs(v, w, b, shape.seed, shape.offset)
    with torch.cuda.stream(torch.cuda.Stream()):
        on_gpu = [torch.from_numpy(x).cuda(non_blocking=True) for x in (v, case["w"], b)]
        got = hintoncore.cuda.gibbs_step(*on_gpu, seed=shape.seed, offset=shape.offset)
        np.testing.assert_array_equal(got.cpu().numpy(), sample)
