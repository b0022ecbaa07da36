"""Softmax with cross-entropy, layer normalisation, dropout and embeddings against the reference, at every ISA level."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from central_differences import assert_gradient
from hypothesis import given
from hypothesis import strategies as st

import hintoncore as hc
from hintoncore import ops
from hintoncore import reference as ref

SetThreads = Callable[[int], None]
AtLevel = Callable[[str], AbstractContextManager[None]]

SHAPES = [(1, 1), (1, 7), (3, 16), (5, 17), (64, 33), (65, 10), (100, 1000), (130, 257)]


def assert_close(found: np.ndarray, expected: np.ndarray, bound: float = 1e-5) -> None:
    """Largest difference, relative to the largest value."""
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= bound * max(np.abs(expected).max(), 1e-30)


def logits_of(shape: tuple[int, int], seed: int = 1) -> np.ndarray:
    return (5 * np.random.default_rng([seed, *shape]).standard_normal(shape)).astype(np.float32)


# Softmax


@pytest.mark.parametrize("shape", SHAPES)
def test_softmax(isa: str, shape: tuple[int, int]) -> None:
    x = logits_of(shape)
    y = ops.softmax(x)
    assert_close(y, ref.softmax(x))
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-5)
    out = x.copy()
    assert ops.softmax(out, out=out) is out
    np.testing.assert_array_equal(out, y)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["labels", "distributions", "weights"])
def test_cross_entropy(isa: str, shape: tuple[int, int], kind: str) -> None:
    x = logits_of(shape)
    rng = np.random.default_rng(2)
    targets: Any
    if kind == "labels":
        targets = rng.integers(0, shape[1], shape[0])
    else:
        targets = rng.random(shape).astype(np.float32) * (rng.random(shape) < 0.5)
        if kind == "distributions":
            targets[:, 0] += 0.1
            targets /= targets.sum(axis=1, keepdims=True)
    loss, gradient = ops.softmax_cross_entropy(x, targets)
    expected_loss, expected = ref.softmax_cross_entropy(x, targets)
    assert abs(loss - expected_loss) <= 1e-5 * max(1.0, expected_loss)
    assert_close(gradient, expected) if shape[1] > 1 else np.testing.assert_allclose(gradient, expected, atol=1e-7)
    out = x.copy()
    again, same = ops.softmax_cross_entropy(out, targets, out=out)
    assert same is out
    assert again == loss
    np.testing.assert_array_equal(out, gradient)


@pytest.mark.parametrize("soft", [False, True])
def test_reference_of_cross_entropy_is_a_gradient(soft: bool) -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((4, 5))
    targets = rng.random((4, 5)) if soft else rng.integers(0, 5, 4)
    assert_gradient(lambda: ref.softmax_cross_entropy(x, targets)[0], x, ref.softmax_cross_entropy(x, targets)[1])


def test_extreme_logits(isa: str) -> None:
    x = np.array([[1000.0, 0.0, -1000.0], [-3e38, 0.0, 3e38], [-np.inf, 1.0, 1.0]], np.float32)
    np.testing.assert_allclose(ops.softmax(x), np.array([[1, 0, 0], [0, 0, 1], [0, 0.5, 0.5]]))
    loss, _ = ops.softmax_cross_entropy(x[:1], [2])
    assert loss == 2000.0
    certain, gradient = ops.softmax_cross_entropy(x[:1], [0])
    assert certain == 0
    np.testing.assert_array_equal(gradient, np.zeros((1, 3)))
    soft, _ = ops.softmax_cross_entropy(x[2:], np.array([[0.0, 0.5, 0.5]], np.float32))
    assert abs(soft - np.log(2)) < 1e-6


def test_nan_stays_in_its_row(isa: str) -> None:
    x = logits_of((3, 20))
    x[1, 7] = np.nan
    loss, gradient = ops.softmax_cross_entropy(x, [0, 1, 2])
    assert np.isnan(loss)
    assert np.isnan(gradient[1]).all()
    assert np.isfinite(gradient[[0, 2]]).all()


def test_bad_targets() -> None:
    x = logits_of((3, 4))
    for targets in ([0, 1, 4], [0, -1, 2], np.array([0, 1, 4], np.int32), np.array([0, 2**32, 1])):
        with pytest.raises(ValueError, match=r"targets|labels"):
            ops.softmax_cross_entropy(x, targets)
    with pytest.raises(ValueError, match="targets"):
        ops.softmax_cross_entropy(x, [0, 1])
    with pytest.raises(ValueError, match="targets"):
        ops.softmax_cross_entropy(x, np.zeros((3, 5)))
    with pytest.raises(TypeError, match="targets"):
        ops.softmax_cross_entropy(x, [0.0, 1.0, 2.0])
    with pytest.raises(ValueError, match="out"):
        ops.softmax(x, out=np.empty((3, 5), np.float32))


# Layer normalisation


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[1] > 1])
@pytest.mark.parametrize("affine", [False, True])
def test_layer_norm(isa: str, shape: tuple[int, int], affine: bool) -> None:
    rng = np.random.default_rng([4, *shape])
    x = (3 + 2 * rng.standard_normal(shape)).astype(np.float32)
    dy = rng.standard_normal(shape).astype(np.float32)
    gain, shift = rng.standard_normal((2, shape[1])).astype(np.float32) if affine else (None, None)
    y, mean, inverse_std = ops.layer_norm(x, gain, shift)
    for found, expected in zip((y, mean, inverse_std), ref.layer_norm(x, gain, shift), strict=True):
        assert_close(found, expected, 2e-5)
    found = ops.layer_norm_backward(x, mean, inverse_std, dy, gain)
    for one, expected in zip(found, ref.layer_norm_backward(x, mean, inverse_std, dy, gain), strict=True):
        assert_close(one, expected, 2e-5)


def test_layer_norm_has_no_cancellation(isa: str) -> None:
    """A large mean over a small spread: the two-pass variance keeps what float32 inputs hold."""
    x = (1000 + np.random.default_rng(5).standard_normal((4, 300))).astype(np.float32)
    assert_close(ops.layer_norm(x)[0], ref.layer_norm(x)[0], 1e-4)


@pytest.mark.parametrize("affine", [False, True])
def test_reference_of_layer_norm_is_a_gradient(affine: bool) -> None:
    rng = np.random.default_rng(6)
    x, weights = rng.standard_normal((3, 6)), rng.standard_normal((3, 6))
    gain, shift = rng.standard_normal((2, 6)) if affine else (None, None)

    def loss() -> float:
        return float(np.sum(weights * ref.layer_norm(x, gain, shift)[0]))

    _, mean, inverse_std = ref.layer_norm(x, gain, shift)
    dx, dgain, dshift = ref.layer_norm_backward(x, mean, inverse_std, weights, gain)
    assert_gradient(loss, x, dx)
    if affine:
        assert_gradient(loss, gain, dgain)
        assert_gradient(loss, shift, dshift)


def test_layer_norm_errors() -> None:
    x = np.ones((3, 4), np.float32)
    with pytest.raises(ValueError, match="gain"):
        ops.layer_norm(x, np.ones(3))
    with pytest.raises(ValueError, match="epsilon"):
        ops.layer_norm(x, epsilon=-1)
    with pytest.raises(ValueError, match="dy"):
        ops.layer_norm_backward(x, np.ones(3), np.ones(3), np.ones((3, 5)))
    with pytest.raises(ValueError, match="mean"):
        ops.layer_norm_backward(x, np.ones(4), np.ones(3), x)


# Dropout


@pytest.mark.parametrize("shape", [*SHAPES, (64, 32), (17, 300)])
def test_dropout(isa: str, shape: tuple[int, int]) -> None:
    x = logits_of(shape, 7)
    rng = hc.Generator(2**40 + 3, 2**33 + 1)
    y = ops.dropout(x, rate=0.3, rng=rng)
    assert rng.offset == 2**33 + 2
    expected = ref.dropout(x, rate=0.3, seed=rng.seed, offset=2**33 + 1)
    np.testing.assert_array_equal(y == 0, expected == 0)
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    out = x.copy()
    ops.dropout(out, rate=0.3, rng=hc.Generator(rng.seed, 2**33 + 1), out=out)
    np.testing.assert_array_equal(out, y)


def test_dropout_keeps_its_share_and_its_mean() -> None:
    """10^6 elements: the share kept is binomial, so 5.5 standard deviations (chance 4e-8) are 0.0027 at most."""
    y = ops.dropout(np.ones((1000, 1000), np.float32), rate=0.2, rng=8)
    assert abs((y != 0).mean() - 0.8) < 5.5 * np.sqrt(0.8 * 0.2 / 1e6)
    np.testing.assert_array_equal(np.unique(y), np.array([0, 1.25], np.float32))


def test_dropout_of_a_batch_in_parts(isa: str) -> None:
    x = logits_of((200, 50), 9)
    whole = ops.dropout(x, rate=0.5, rng=1)
    parts = [ops.dropout(x[a:b], rate=0.5, rng=1, first_sample=a) for a, b in ((0, 64), (64, 192), (192, 200))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_no_dropout_changes_nothing(isa: str) -> None:
    x = logits_of((70, 20), 10)
    np.testing.assert_array_equal(ops.dropout(x, rate=0.0, rng=0), x)


def test_dropout_errors() -> None:
    x = np.ones((3, 4), np.float32)
    rng = hc.Generator(0)
    for rate in (1.0, -0.1, 2.0):
        with pytest.raises(ValueError, match="rate"):
            ops.dropout(x, rate=rate, rng=rng)
    with pytest.raises(ValueError, match="first_sample"):
        ops.dropout(x, rate=0.5, rng=rng, first_sample=32)
    with pytest.raises(ValueError, match="x"):
        ops.dropout(np.ones(3), rate=0.5, rng=rng)
    assert rng.offset == 0  # a refused call uses no draws


# Embeddings


@pytest.mark.parametrize(
    ("rows", "columns", "n"), [(1, 1, 1), (5, 3, 7), (40, 17, 300), (1000, 64, 2000), (3, 100, 900)]
)
def test_embedding(isa: str, rows: int, columns: int, n: int) -> None:
    rng = np.random.default_rng([11, rows, columns, n])
    table = rng.standard_normal((rows, columns)).astype(np.float32)
    index = rng.integers(0, rows, n)
    np.testing.assert_array_equal(ops.embedding(table, index), table[index])
    dy = rng.standard_normal((n, columns)).astype(np.float32)
    found = table.copy()
    ops.embedding_add(found, index, dy, scale=-0.5)
    assert_close(found, ref.embedding_add(table, index, dy, scale=-0.5))


def test_embedding_is_exact_on_integers(isa: str) -> None:
    rng = np.random.default_rng(12)
    index, dy = rng.integers(0, 20, (40, 5)), rng.integers(-9, 9, (40, 5, 33)).astype(np.float32)
    gradient = np.zeros((20, 33), np.float32)
    ops.embedding_add(gradient, index, dy)
    np.testing.assert_array_equal(gradient, ref.embedding_add(np.zeros((20, 33)), index, dy))
    assert ops.embedding(gradient, index).shape == (40, 5, 33)


def test_reference_of_embedding_is_a_gradient() -> None:
    rng = np.random.default_rng(13)
    table, index, weights = rng.standard_normal((4, 3)), np.array([0, 2, 2]), rng.standard_normal((3, 3))
    gradient = ref.embedding_add(np.zeros((4, 3)), index, weights)
    assert_gradient(lambda: float(np.sum(weights * ref.embedding(table, index))), table, gradient)


def test_embedding_errors() -> None:
    table = np.zeros((4, 3), np.float32)
    for index in ([4], [-1], np.array([4], np.int32), [2**40]):
        with pytest.raises(ValueError, match="index"):
            ops.embedding(table, index)
        with pytest.raises(ValueError, match="index"):
            ops.embedding_add(table, index, np.ones((1, 3)))
    with pytest.raises(TypeError, match="index"):
        ops.embedding(table, [0.5])
    with pytest.raises(ValueError, match="dy"):
        ops.embedding_add(table, [0, 1], np.ones((1, 3)))
    with pytest.raises(TypeError, match="table"):
        ops.embedding_add(np.zeros((4, 3)), [0], np.ones((1, 3)))
    assert not table.any()


# Threads and levels


def _everything() -> list[np.ndarray]:
    rng = np.random.default_rng(14)
    x, dy = (rng.standard_normal((300, 300)).astype(np.float32) for _ in range(2))
    labels = rng.integers(0, 300, 300)
    loss, gradient = ops.softmax_cross_entropy(x, labels)
    y, mean, inverse_std = ops.layer_norm(x, x[0], x[1])
    table = np.zeros((50, 300), np.float32)
    ops.embedding_add(table, labels % 50, dy)
    backward = ops.layer_norm_backward(x, mean, inverse_std, dy, x[0])
    return [np.array(loss), gradient, y, *backward, ops.dropout(x, rate=0.4, rng=3), table]


def test_bits_do_not_depend_on_threads(isa: str, set_threads: SetThreads) -> None:
    results = []
    for threads in (1, 2, 3, 8):
        set_threads(threads)
        results.append(_everything())
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_masks_do_not_depend_on_the_level(levels: list[str], at_level: AtLevel) -> None:
    x = logits_of((130, 77), 15)
    results = []
    for level in levels:
        with at_level(level):
            results.append(ops.dropout(x, rate=0.4, rng=5))
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**64 - 1), st.floats(0, 0.99))
def test_dropout_of_any_shape(rows: int, columns: int, seed: int, rate: float) -> None:
    y = ops.dropout(np.ones((rows, columns), np.float32), rate=rate, rng=seed)
    expected = ref.dropout(np.ones((rows, columns)), rate=rate, seed=seed, offset=0)
    np.testing.assert_array_equal(y == 0, expected == 0)
