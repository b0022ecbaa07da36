"""sample_units: against the reference, its distributions, and the same bits for any level, threads and split.

Statistical tests have fixed seeds, and thresholds that a correct kernel would miss for at most one seed in a million.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from scipy import stats

import hintoncore as hc
from hintoncore import ops
from hintoncore import reference as ref

AtLevel = Callable[[str], AbstractContextManager[None]]
KINDS: dict[str, dict[str, Any]] = {
    "bernoulli": {},
    "spin": {},
    "softmax": {"group": 5},
    "gaussian": {},
    "nrelu": {},
    "stepped-sigmoid": {},
}
FALSE_ALARM = 1e-6


def inputs(batch: int, units: int, scale: float = 4.0) -> np.ndarray:
    return np.random.default_rng([batch, units]).normal(0, scale, (batch, units)).astype(np.float32)


# Both sides of the edges: pairs of 16 units, vectors of 4 to 16 lanes, samples of a Philox block, tiles of 256.
@pytest.mark.parametrize(
    "shape", [(1, 5), (3, 15), (17, 20), (63, 35), (64, 50), (65, 70), (257, 15), (5, 515)], ids=str
)
@pytest.mark.parametrize("kind", KINDS)
def test_kernel_is_the_reference(isa: str, kind: str, shape: tuple[int, int]) -> None:
    x = inputs(*shape)
    want, want_means = ref.sample_units(x, kind, seed=3, offset=7 + 2**40, **KINDS[kind])
    found, means = ops.sample_units(x, kind, rng=hc.Generator(3, 7 + 2**40), return_means=True, **KINDS[kind])
    assert found.dtype == means.dtype == np.float32
    assert (np.abs(found - want) > 1e-4).mean() <= 1e-3  # rounding at a threshold: none of up to 4000 is expected
    np.testing.assert_allclose(means, want_means, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("group", [2, 3, 8, 16, 17, 40])
def test_softmax_groups_of_any_size(isa: str, group: int) -> None:
    x = inputs(70, 3 * group)
    want, want_means = ref.sample_units(x, "softmax", seed=5, offset=0, group=group)
    found, means = ops.sample_units(x, "softmax", group=group, rng=5, return_means=True)
    assert set(np.unique(found)) == {0.0, 1.0}
    np.testing.assert_array_equal(found.reshape(70, 3, group).sum(axis=2), 1.0)
    assert (found != want).any(axis=1).mean() <= 0.02
    np.testing.assert_allclose(means, want_means, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_levels_threads_and_splits_change_no_bit(
    levels: list[str], at_level: AtLevel, set_threads: Callable[[int], None], kind: str
) -> None:
    x = inputs(600, 530)
    expected = None
    for level in levels:
        for threads in (1, 3):
            with at_level(level):
                set_threads(threads)
                found = ops.sample_units(x, kind, rng=9, return_means=True, **KINDS[kind])
            expected = expected or found
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_array_equal(one, other, err_msg=f"{level} {threads}")
    assert expected is not None
    parts = [ops.sample_units(x[a:b], kind, rng=9, first_sample=a, **KINDS[kind]) for a, b in ((0, 128), (128, 600))]
    np.testing.assert_array_equal(np.concatenate(parts), expected[0])


def test_bernoulli_states_are_those_of_gibbs_steps(isa: str) -> None:
    rng = np.random.default_rng(0)
    v = rng.integers(0, 2, (100, 20)).astype(np.float32)
    w, b = rng.integers(-3, 4, (20, 37)).astype(np.float32), rng.integers(-3, 4, 37).astype(np.float32)
    np.testing.assert_array_equal(ops.sample_units(v @ w + b, "bernoulli", rng=4), ops.gibbs_step(v, w, b, rng=4))


def draws(kind: str, x: float, n: int = 200_000, **options: Any) -> np.ndarray:
    """n draws at one input: 32 units, so that both members of pairs come."""
    return np.asarray(ops.sample_units(np.full((n // 32, 32), x, np.float32), kind, rng=hc.Generator(77, 1), **options))


@pytest.mark.parametrize("x", [-3.0, 0.0, 0.7, 4.0, 12.5, 300.2])
def test_stepped_sigmoids_are_sums_of_bernoulli_units(x: float) -> None:
    """Chi-square against the convolution of the copies' distributions, which is not how the kernel has it."""
    found = draws("stepped-sigmoid", x).ravel()
    base = max(0, math.floor(x) - 40)  # copies before this one are on
    p = np.array([1.0])
    for i in range(base, math.ceil(max(x, 0)) + 40):
        on = float(ref.sigmoid(x - i - 0.5))
        p = np.convolve(p, [1 - on, on])
    counts = np.bincount(found.astype(int) - base, minlength=len(p))
    assert len(counts) == len(p)
    common = p * found.size >= 5
    observed = np.append(counts[common], counts[~common].sum())
    expected = np.append(p[common], p[~common].sum()) * found.size
    if expected[-1] < 5:
        observed, expected = observed[:-1], expected[:-1] * observed[:-1].sum() / expected[:-1].sum()
    assert stats.chisquare(observed, expected).pvalue > FALSE_ALARM
    mean, deviation = (np.arange(len(p)) * p).sum() + base, math.sqrt(found.var() / found.size)
    assert abs(found.mean() - mean) < 5.3 * deviation + 1e-6


def test_gaussian_units_are_normal_and_independent() -> None:
    found = draws("gaussian", 1.5, std=np.full(32, 2.5, np.float32))
    z = (found - 1.5) / 2.5
    assert stats.kstest(z.ravel(), "norm").pvalue > FALSE_ALARM
    correlation = np.corrcoef(np.hstack([z, z**2]).T) - np.eye(64)
    # 2016 pairs of columns, two-sided: 6.5 standard errors is a false alarm for 1.6 seeds in 1e7.
    assert np.abs(correlation).max() < 6.5 / math.sqrt(len(z))
    assert abs((z**4).mean() - 3.0) < 5 * math.sqrt(96 / z.size)


@pytest.mark.parametrize("x", [-1.0, 0.0, 1.0, 6.0])
def test_nrelu_units_are_rectified_normals(x: float) -> None:
    found = draws("nrelu", x).ravel()
    std = math.sqrt(float(ref.sigmoid(x)))
    off, p_off = float((found == 0).mean()), stats.norm.cdf(-x / std)
    assert abs(off - p_off) < 5 * math.sqrt(p_off * (1 - p_off) / found.size) + 1e-9
    truncated = stats.truncnorm(-x / std, math.inf, loc=x, scale=std)
    assert stats.kstest(found[found > 0], truncated.cdf).pvalue > FALSE_ALARM


def test_softmax_and_spin_frequencies() -> None:
    x = np.array([0.3, -1.0, 2.0, -40.0, 0.0], np.float32)
    found = ops.sample_units(np.tile(x, (20_000, 4)), "softmax", group=5, rng=8).reshape(-1, 5)
    p = np.exp(x.astype(float)) / np.exp(x.astype(float)).sum()
    seen = p > 1e-9
    assert stats.chisquare(found.sum(axis=0)[seen], p[seen] * len(found)).pvalue > FALSE_ALARM
    assert not found[:, ~seen].any()
    up = (draws("spin", 0.4) == 1).mean()
    p_up = float(ref.sigmoid(0.8))
    assert abs(up - p_up) < 5 * math.sqrt(p_up * (1 - p_up) / 200_000)


@pytest.mark.parametrize("kind", KINDS)
def test_extreme_inputs_saturate(isa: str, kind: str) -> None:
    x = np.array([[1e6, -1e6, 1e6, -1e6, 0.0]] * 20, np.float32)
    found, means = ops.sample_units(x, kind, rng=2, return_means=True, **KINDS[kind])
    assert np.isfinite(found).all()
    assert np.isfinite(means).all()
    if kind == "stepped-sigmoid":
        assert np.abs(found[:, 0] - 1e6).max() <= 7
        assert not found[:, 1].any()


def test_refuses_bad_arguments() -> None:
    x, rng = np.zeros((4, 6), np.float32), hc.Generator(1)
    nan = x.copy()
    nan[2, 3] = np.nan
    bad: list[tuple[Any, str, dict[str, Any], type[Exception], str]] = [
        (x, "bernouli", {}, ValueError, "kind: expected one of"),
        (nan, "spin", {}, ValueError, "x: expected finite"),
        (np.full((4, 6), np.inf), "gaussian", {}, ValueError, "x: expected finite"),
        (x[0], "spin", {}, ValueError, "x: expected 2 dimensions"),
        (x, "softmax", {}, ValueError, "group: needed by softmax"),
        (x, "softmax", {"group": 4}, ValueError, "group: expected at least 2 and a divisor"),
        (x, "softmax", {"group": 1}, ValueError, "group"),
        (x, "spin", {"group": 2}, ValueError, "group: only for softmax"),
        (x, "spin", {"std": np.ones(6)}, ValueError, "std: only Gaussian"),
        (x, "gaussian", {"std": np.ones(5)}, ValueError, "std: expected float32 array of shape"),
        (x, "gaussian", {"std": np.zeros(6)}, ValueError, "std: expected values above 0"),
        (x, "gaussian", {"std": np.full(6, np.nan)}, ValueError, "std: expected finite"),
        (x, "spin", {"first_sample": 3}, ValueError, "first_sample: expected a multiple of 64"),
    ]
    for array, kind, options, error, match in bad:
        with pytest.raises(error, match=match):
            ops.sample_units(array, kind, rng=rng, **options)
    assert rng.offset == 0
