"""Fused optimiser updates against the reference, which is held to the rules as the papers state them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hintoncore import ops
from hintoncore import reference as ref

SetThreads = Callable[[int], None]

SHAPES = [(1,), (7,), (16,), (33, 5), (1000, 40)]
COMMON: dict[str, Any] = {"lr": 0.03, "weight_decay": 0.1, "grad_scale": 0.7}
RULES: dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[str, ...], dict[str, Any]]] = {
    "sgd": (ops.sgd_update, ref.sgd_update, (), {}),
    "momentum": (ops.sgd_update, ref.sgd_update, ("velocity",), {"momentum": 0.9}),
    "nesterov": (ops.sgd_update, ref.sgd_update, ("velocity",), {"momentum": 0.9, "nesterov": True}),
    "rmsprop": (ops.rmsprop_update, ref.rmsprop_update, ("square",), {"decay": 0.95}),
    "rmsprop with momentum": (ops.rmsprop_update, ref.rmsprop_update, ("square", "velocity"), {"momentum": 0.8}),
    "adam": (ops.adam_update, ref.adam_update, ("mean", "square"), {"step": 3, "decoupled": False}),
    "adamw": (ops.adam_update, ref.adam_update, ("mean", "square"), {"step": 1}),
}


@pytest.mark.parametrize("rule", RULES)
def test_rules_match_the_reference(isa: str, rule: str) -> None:
    kernel, reference, names, settings = RULES[rule]
    for shape in SHAPES:
        rng = np.random.default_rng([1, *shape])
        w, grad = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
        state = {name: np.abs(rng.standard_normal(shape)).astype(np.float32) for name in names}
        expected = reference(w, grad, **state, **settings, **COMMON)
        kernel(w, grad, **state, **settings, **COMMON)
        for found, exact in zip((w, *state.values()), expected, strict=True):
            np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-6)


def test_plain_descent_is_exact(isa: str) -> None:
    w, grad = np.arange(20, dtype=np.float32), np.arange(20, dtype=np.float32) * 4
    ops.sgd_update(w, grad, lr=0.25)
    np.testing.assert_array_equal(w, np.zeros(20))


def test_nesterov_is_the_two_point_form() -> None:
    """Sutskever et al., eq. 3-4, with the gradient at the point that looks ahead: the kernel keeps that point."""
    hessian = np.array([1.0, 10.0])
    theta, velocity = np.ones(2), np.zeros(2)
    kept, kept_velocity = np.ones(2), np.zeros(2)
    lr, momentum = 0.02, 0.9
    for _ in range(20):
        velocity = momentum * velocity - lr * hessian * (theta + momentum * velocity)
        theta = theta + velocity
        kept, kept_velocity = ref.sgd_update(
            kept, hessian * kept, lr=lr, momentum=momentum, nesterov=True, velocity=kept_velocity
        )
        np.testing.assert_allclose(kept, theta + momentum * velocity, rtol=1e-12)


def test_first_step_of_adam_is_the_learning_rate(isa: str) -> None:
    w, grad = np.zeros(50, np.float32), np.linspace(-3, 4, 50, dtype=np.float32)
    ops.adam_update(w, grad, np.zeros_like(w), np.zeros_like(w), step=1, lr=0.01)
    np.testing.assert_allclose(w, -0.01 * np.sign(grad), rtol=1e-5)


def test_sum_of_squares(isa: str, set_threads: SetThreads) -> None:
    x = np.random.default_rng(2).standard_normal((317, 211)).astype(np.float32)
    found = []
    for threads in (1, 2, 3, 8):
        set_threads(threads)
        found.append(ops.sum_of_squares(x))
    assert len(set(found)) == 1
    assert abs(found[0] / np.sum(x.astype(np.float64) ** 2) - 1) < 1e-6
    assert ops.sum_of_squares(np.arange(1, 4)) == 14


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (784, 70), (20, 200)])
def test_max_norm(isa: str, shape: tuple[int, int]) -> None:
    w = np.random.default_rng([3, *shape]).standard_normal(shape).astype(np.float32)
    limit = float(np.median(np.linalg.norm(w, axis=0)))
    expected = ref.max_norm(w, limit)
    short = np.linalg.norm(w, axis=0) < 0.999 * limit
    before = w.copy()
    ops.max_norm(w, limit)
    np.testing.assert_allclose(w, expected, rtol=1e-5)
    np.testing.assert_array_equal(w[:, short], before[:, short])
    assert np.linalg.norm(w, axis=0).max() <= limit * (1 + 1e-5)


@pytest.mark.parametrize("rule", RULES)
def test_bits_do_not_depend_on_threads(isa: str, set_threads: SetThreads, rule: str) -> None:
    kernel, _, names, settings = RULES[rule]
    rng = np.random.default_rng(4)
    start, grad = (rng.standard_normal(70_001).astype(np.float32) for _ in range(2))
    results = []
    for threads in (1, 2, 3, 8):
        set_threads(threads)
        w, state = start.copy(), {name: np.ones_like(start) for name in names}
        kernel(w, grad, **state, **settings, **COMMON)
        results.append((w, *state.values()))
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_divergence_is_an_error(isa: str) -> None:
    w = np.ones(37, np.float32)
    with pytest.raises(FloatingPointError, match="w"):
        ops.sgd_update(w, np.full(37, 3e38, np.float32), lr=1e10)


def test_bad_arguments_change_nothing() -> None:
    w, g = np.ones((3, 4), np.float32), np.ones((3, 4), np.float32)
    bad: list[tuple[type[Exception], str, Callable[[], None]]] = [
        (ValueError, "grad", lambda: ops.sgd_update(w, np.ones((4, 3)), lr=0.1)),
        (ValueError, "lr", lambda: ops.sgd_update(w, g, lr=-0.1)),
        (ValueError, "momentum", lambda: ops.sgd_update(w, g, lr=0.1, momentum=0.5)),
        (ValueError, "momentum", lambda: ops.sgd_update(w, g, lr=0.1, momentum=1.0, velocity=np.zeros_like(w))),
        (ValueError, "nesterov", lambda: ops.sgd_update(w, g, lr=0.1, nesterov=True)),
        (ValueError, "memory", lambda: ops.sgd_update(w, w, lr=0.1)),
        (ValueError, "velocity", lambda: ops.sgd_update(w, g, lr=0.1, velocity=np.zeros((4, 3), np.float32))),
        (TypeError, "w", lambda: ops.sgd_update(np.ones((3, 4)), g, lr=0.1)),
        (ValueError, "weight_decay", lambda: ops.sgd_update(w, g, lr=0.1, weight_decay=-1)),
        (ValueError, "epsilon", lambda: ops.rmsprop_update(w, g, np.zeros_like(w), lr=0.1, epsilon=0)),
        (ValueError, "square_decay", lambda: ops.rmsprop_update(w, g, np.zeros_like(w), lr=0.1, decay=1.5)),
        (ValueError, "step", lambda: ops.adam_update(w, g, np.zeros_like(w), np.zeros_like(w), step=0, lr=0.1)),
        (ValueError, "limit", lambda: ops.max_norm(w, 0)),
        (ValueError, "w", lambda: ops.max_norm(np.ones(3, np.float32), 1)),
    ]
    for error, name, call in bad:
        with pytest.raises(error, match=name):
            call()
    np.testing.assert_array_equal(w, np.ones((3, 4)))
