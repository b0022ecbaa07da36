"""The update of weights from a gradient: momentum, decays, outer products, and the sums of a centred machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import hintoncore as hc
from hintoncore import reference as ref


def problem(n_rows: int, n_columns: int, terms: int = 2) -> dict[str, Any]:
    rng = np.random.default_rng([n_rows, n_columns, terms])

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(0, 1, shape).astype(np.float32)

    w = normal(n_rows, n_columns)
    w.flat[:: max(2, w.size // 3)] = 0.0  # where sign(w) is 0
    return {
        "w": w,
        "grad": normal(n_rows, n_columns),
        "velocity": normal(n_rows, n_columns),
        "outer": (normal(terms, n_rows), normal(terms, n_columns)),
        "offsets": (normal(n_rows), normal(n_columns)),
    }


RATES: dict[str, Any] = {"lr": 0.25, "momentum": 0.5, "weight_decay": 0.01, "l1": 0.003}
# 32 rows a tile; 16, 8 or 4 columns a vector.
SHAPES = [(1, 1), (3, 2), (31, 17), (32, 16), (33, 15), (65, 33), (100, 130)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("terms", [0, 1, 3])
@pytest.mark.parametrize("with_offsets", [False, True])
@pytest.mark.parametrize("with_velocity", [False, True])
def test_against_the_reference(
    isa: str, shape: tuple[int, int], terms: int, with_offsets: bool, with_velocity: bool
) -> None:
    p = problem(*shape, max(terms, 1))
    if terms == 0:
        del p["outer"]
    if not with_offsets:
        del p["offsets"]
    rates = RATES if with_velocity else {**RATES, "momentum": 0.0}
    if not with_velocity:
        del p["velocity"]
    before = {name: np.copy(p[name]) for name in ("w", "grad")}
    w, velocity, sums = ref.weight_update(**p, **rates)
    found = hc.ops.weight_update(**p, **rates)
    np.testing.assert_allclose(p["w"], w, rtol=2e-6, atol=2e-6)
    np.testing.assert_array_equal(p["grad"], before["grad"])
    if with_velocity:
        np.testing.assert_allclose(p["velocity"], velocity, rtol=2e-6, atol=2e-6)
    if sums is None:
        assert found is None
    else:
        assert found is not None
        for ours, wanted in zip(found, sums, strict=True):  # sums of up to 130 terms below 10
            np.testing.assert_allclose(ours, wanted, rtol=0, atol=1e-4)


def test_it_is_the_update_of_contrastive_divergence(isa: str) -> None:
    """`cd_gradient` and this are `cd_update`, weights and velocity to the bit."""
    rng = np.random.default_rng(0)
    v0 = (rng.random((50, 30)) < 0.4).astype(np.float32)
    start = [rng.normal(0, 0.3, shape).astype(np.float32) for shape in ((30, 17), 30, 17)]
    velocity = [np.full_like(x, 0.01) for x in start]
    updated, fused = [x.copy() for x in start], [x.copy() for x in velocity]
    rates: dict[str, Any] = {"lr": 0.25, "momentum": 0.5, "weight_decay": 0.01}
    hc.ops.cd_update(v0, *updated, rng=3, velocity=tuple(fused), **rates)  # type: ignore[arg-type]
    gradient = hc.ops.cd_gradient(v0, *start, rng=3)
    hc.ops.weight_update(start[0], gradient.w, velocity=velocity[0], **rates)
    np.testing.assert_array_equal(start[0], updated[0])
    np.testing.assert_array_equal(velocity[0], fused[0])


def test_integers_are_exact_at_every_level(isa: str) -> None:
    """Small integers and rates that are powers of two: nothing rounds, whatever the order of sums."""
    rng = np.random.default_rng(0)

    def integers(*shape: int) -> np.ndarray:
        return rng.integers(-4, 5, shape).astype(np.float32)

    p: dict[str, Any] = {"w": integers(70, 45), "grad": integers(70, 45), "velocity": integers(70, 45)}
    p |= {"outer": (integers(2, 70), integers(2, 45)), "offsets": (integers(70), integers(45))}
    rates: dict[str, Any] = {"lr": 0.5, "momentum": 0.5, "weight_decay": 0.25, "l1": 2.0}
    w, velocity, sums = ref.weight_update(**p, **rates)
    found = hc.ops.weight_update(**p, **rates)
    assert found is not None
    assert sums is not None
    for ours, wanted in ((p["w"], w), (p["velocity"], velocity), (found[0], sums[0]), (found[1], sums[1])):
        np.testing.assert_array_equal(ours, wanted.astype(np.float32))


def test_the_bits_do_not_depend_on_the_thread_count(isa: str, set_threads: Callable[[int], None]) -> None:
    results = set()
    for threads in (1, 2, 3, 8):
        set_threads(threads)
        p = problem(200, 130)
        found = hc.ops.weight_update(**p, **RATES)
        assert found is not None
        results.add((p["w"].tobytes(), p["velocity"].tobytes(), found[0].tobytes(), found[1].tobytes()))
    assert len(results) == 1


@pytest.mark.parametrize("name", ["w", "grad", "velocity"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_poison_and_too_large_a_rate_are_a_floating_point_error(isa: str, name: str, value: float) -> None:
    p = problem(40, 21)
    p[name].flat[-1] = value
    with pytest.raises(FloatingPointError, match="learning rate is too large"):
        hc.ops.weight_update(**p, **RATES)
    with pytest.raises(FloatingPointError):
        hc.ops.weight_update(**problem(40, 21), **{**RATES, "lr": 3e38})


def test_bad_arguments_are_named_and_nothing_changes() -> None:
    good = problem(40, 21)
    square = problem(21, 21)
    for changes, error, message in (
        ({"lr": -1.0}, ValueError, "lr: "),
        ({"lr": "fast"}, TypeError, "lr: "),
        ({"momentum": 1.0}, ValueError, "momentum: "),
        ({"velocity": None}, ValueError, "velocity: "),
        ({"weight_decay": -1.0}, ValueError, "weight_decay: "),
        ({"l1": -0.1}, ValueError, "l1: "),
        ({"grad": good["grad"].T.copy()}, ValueError, "grad: "),
        ({"velocity": good["velocity"].astype(np.float64)}, TypeError, "velocity: "),
        ({"outer": good["outer"][:1]}, TypeError, "outer: "),
        ({"outer": good["outer"][::-1]}, ValueError, r"outer\[0\]: "),
        ({"outer": (good["outer"][0], good["outer"][1][:1])}, ValueError, r"outer\[1\]: "),
        ({"outer": (good["outer"][0] * np.float32(np.nan), good["outer"][1])}, ValueError, "left: "),
        ({"offsets": good["offsets"][::-1]}, ValueError, r"offsets\[0\]: "),
        ({"offsets": (good["offsets"][0] * np.float32(np.nan), good["offsets"][1])}, ValueError, "mu: "),
        ({"grad": good["w"]}, ValueError, "share memory"),
        ({"velocity": good["w"]}, ValueError, "share memory"),
        ({"w": square["w"]}, ValueError, "grad: "),
    ):
        arguments = {**good, **RATES, **changes}
        before = {name: good[name].tobytes() for name in ("w", "velocity")}
        with pytest.raises(error, match=message):
            hc.ops.weight_update(**arguments)
        assert {name: good[name].tobytes() for name in before} == before
