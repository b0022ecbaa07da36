"""Contrastive divergence: every step and number of the update against the reference."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import hintoncore as hc
from hintoncore import reference as ref

AtLevel = Callable[[str], AbstractContextManager[None]]


@dataclass
class Problem:
    """An RBM, its velocity, data and chains."""

    batch: int
    n_visible: int
    n_hidden: int
    n_chains: int = 0
    real: bool = False
    v0: np.ndarray = field(init=False)
    w: np.ndarray = field(init=False)
    b_vis: np.ndarray = field(init=False)
    b_hid: np.ndarray = field(init=False)
    velocity: tuple[np.ndarray, np.ndarray, np.ndarray] = field(init=False)
    chains: np.ndarray | None = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng([self.batch, self.n_visible, self.n_hidden, self.n_chains, self.real])

        def normal(std: float, *shape: int) -> np.ndarray:
            return rng.normal(0, std, shape).astype(np.float32)

        self.v0 = rng.random((self.batch, self.n_visible), np.float32)
        if not self.real:
            self.v0 = (self.v0 < 0.4).astype(np.float32)
        self.w = normal(0.3, self.n_visible, self.n_hidden)
        self.b_vis, self.b_hid = normal(0.4, self.n_visible), normal(0.4, self.n_hidden)
        self.velocity = (
            normal(0.05, self.n_visible, self.n_hidden),
            normal(0.05, self.n_visible),
            normal(0.05, self.n_hidden),
        )
        self.chains = None
        if self.n_chains:
            self.chains = (rng.random((self.n_chains, self.n_visible)) < 0.5).astype(np.float32)

    @property
    def parameters(self) -> list[np.ndarray]:
        return [self.w, self.b_vis, self.b_hid]


def check(p: Problem, *, packed: bool = True, with_velocity: bool = True, steps: int = 1, **options: Any) -> None:
    """Runs `steps` updates from the same state in the reference and in the kernel, and compares everything."""
    k = options.get("k", 1)
    velocity = p.velocity if with_velocity else None
    chains = None if p.chains is None else hc.BitMatrix.from_dense(p.chains)
    v0: Any = hc.BitMatrix.from_dense(p.v0) if packed and not p.real else p.v0
    data_before = p.v0.tobytes()
    addresses = [a.ctypes.data for a in (*p.parameters, *p.velocity)]
    rng = hc.Generator(99, 2**32 - 1)
    for _ in range(steps):
        expected = ref.cd_update(
            p.v0,
            *p.parameters,
            seed=rng.seed,
            offset=rng.offset,
            velocity=velocity,
            chains=None if chains is None else chains.to_dense(),
            **options,
        )
        first = rng.offset
        stats = hc.ops.cd_update(v0, *p.parameters, rng=rng, velocity=velocity, chains=chains, **options)
        assert rng.offset == first + 2 * k
        # Float32 sums of at most a few hundred terms below 1 / batch; a flipped sample would move w by lr / batch.
        close = {"rtol": 2e-6, "atol": 1e-6 * max(1.0, options["lr"])}
        np.testing.assert_allclose(p.w, expected.w, **close)
        np.testing.assert_allclose(p.b_vis, expected.b_vis, **close)
        np.testing.assert_allclose(p.b_hid, expected.b_hid, **close)
        if velocity is not None:
            for found, wanted in zip(velocity, expected.velocity, strict=True):
                np.testing.assert_allclose(found, wanted, **close)
        if chains is not None:
            np.testing.assert_array_equal(chains.to_dense(), expected.chains)
        assert stats.keys() == {"reconstruction_error", "hidden_mean"}
        assert stats["hidden_mean"] == pytest.approx(expected.hidden_mean, rel=1e-6)
        if expected.reconstruction_error is None:
            assert stats["reconstruction_error"] is None
        else:
            assert stats["reconstruction_error"] == pytest.approx(expected.reconstruction_error, rel=1e-9)
    assert [a.ctypes.data for a in (*p.parameters, *p.velocity)] == addresses
    assert p.v0.tobytes() == data_before
    if packed and not p.real:
        np.testing.assert_array_equal(v0.words, ref.pack_bits(p.v0))


FULL: dict[str, Any] = {"lr": 0.25, "momentum": 0.5, "weight_decay": 0.01}

# (batch, V, H): 60 samples a chunk of the statistics, which starts at any of 16 places of a word, 5 a group; 16 hidden
# units a block and up to 4 blocks a tile; the bias unit is one row more than V.
SHAPES = [(1, 1, 1), (4, 3, 2), (37, 30, 17), (59, 7, 16), (60, 8, 15), (61, 63, 64), (64, 64, 65), (65, 65, 33)]
SHAPES += [(100, 47, 130), (121, 129, 20), (130, 61, 300), (520, 20, 11), (905, 9, 5)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", ["packed", "dense", "real"])
def test_every_shape_and_kind_of_data(isa: str, shape: tuple[int, int, int], kind: str) -> None:
    check(Problem(*shape, real=kind == "real"), packed=kind == "packed", **FULL)


@pytest.mark.parametrize("k", [1, 2, 3, 10])
@pytest.mark.parametrize("real", [False, True], ids=["bits", "real"])
def test_cd_k(isa: str, k: int, real: bool) -> None:
    check(Problem(37, 30, 17, real=real), k=k, steps=2, **FULL)


# From 192 hidden units on, states and statistics are read by their groups that are not all zero: densities that are
# read so and not, units that are never on, and samples without a unit.
@pytest.mark.parametrize("density", [0.0, 0.03, 0.15, 0.3, 0.6, 1.0])
@pytest.mark.parametrize(
    "shape", [(3, 200, 192), (61, 130, 200), (100, 784, 193), (305, 67, 200), (1100, 61, 200)], ids=str
)
def test_sparse_and_dense_states(isa: str, shape: tuple[int, int, int], density: float) -> None:
    p = Problem(*shape)
    on = np.random.default_rng(1).random((p.batch, p.n_visible)) < density
    on[:, p.n_visible // 2 :: 3] = False
    on[p.batch // 3] = False
    p.v0 = on.astype(np.float32)
    p.b_vis -= np.float32(2.0 - 4.0 * density)
    check(p, k=2, **FULL)


# With k > 1 the transposed weights are kept from one reconstruction to the next: chunks of 60 hidden units, blocks of
# 16 visible ones, and a batch of more than one tile of rows, for which they are not.
@pytest.mark.parametrize("shape", [(20, 1, 1), (20, 17, 59), (37, 48, 61), (65, 33, 125), (1100, 20, 70)], ids=str)
def test_weights_kept_between_steps(isa: str, shape: tuple[int, int, int]) -> None:
    check(Problem(*shape), k=3, **FULL)


@pytest.mark.parametrize("n_chains", [1, 5, 37, 60, 64, 65, 128, 200])
@pytest.mark.parametrize("k", [1, 3])
def test_persistent_chains_have_their_own_number(isa: str, n_chains: int, k: int) -> None:
    check(Problem(37, 30, 17, n_chains), k=k, steps=3, **FULL)


def test_persistent_chains_beside_real_data(isa: str) -> None:
    check(Problem(37, 30, 17, 70, real=True), k=2, steps=2, **FULL)


@pytest.mark.parametrize(("momentum", "with_velocity"), [(0.0, False), (0.0, True), (0.5, True), (0.99, True)])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_momentum_and_decay(isa: str, momentum: float, weight_decay: float, with_velocity: bool) -> None:
    p = Problem(50, 21, 40)
    check(p, with_velocity=with_velocity, steps=3, lr=0.5, momentum=momentum, weight_decay=weight_decay)


def test_a_short_last_minibatch_is_averaged_over_its_own_rows(isa: str) -> None:
    p = Problem(137, 30, 20)
    rows, full = p.v0, p.parameters
    velocity = p.velocity
    for first in (0, 100):
        batch = Problem(1, 30, 20)
        batch.v0, batch.velocity = rows[first : first + 100].copy(), velocity
        batch.w, batch.b_vis, batch.b_hid = full
        check(batch, **FULL)
    t = hc.BitMatrix.from_dense(rows).transpose()
    last = hc.BitMatrix(t.words[100:].copy(), 30).transpose()
    assert last.shape == (37, 30)


def test_a_zero_learning_rate_changes_nothing_but_the_chains(isa: str) -> None:
    p = Problem(37, 30, 17, 40)
    before = [a.tobytes() for a in p.parameters]
    assert p.chains is not None
    chains = hc.BitMatrix.from_dense(p.chains)
    stats = hc.ops.cd_update(p.v0, *p.parameters, lr=0.0, rng=1, chains=chains)
    assert [a.tobytes() for a in p.parameters] == before
    assert stats["reconstruction_error"] is None
    assert chains != hc.BitMatrix.from_dense(p.chains)


@pytest.mark.parametrize("kind", ["bits", "real", "persistent"])
def test_the_bits_do_not_depend_on_the_thread_count(isa: str, kind: str, set_threads: Callable[[int], None]) -> None:
    for batch, n_visible, n_hidden in ((1, 1, 1), (37, 30, 17), (100, 190, 333)):
        found = set()
        for threads in (1, 2, 3, 8):
            set_threads(threads)
            p = Problem(batch, n_visible, n_hidden, 23 if kind == "persistent" else 0, real=kind == "real")
            chains = None if p.chains is None else hc.BitMatrix.from_dense(p.chains)
            rng, result = hc.Generator(4), []
            for _ in range(2):
                stats = hc.ops.cd_update(p.v0, *p.parameters, k=2, rng=rng, velocity=p.velocity, chains=chains, **FULL)
                result.append(repr(stats))
            arrays = [*p.parameters, *p.velocity, *([] if chains is None else [chains.words])]
            found.add((tuple(result), *(a.tobytes() for a in arrays)))
        assert len(found) == 1


@pytest.mark.parametrize("level_weights", [0, 200], ids=["even", "saturated"])
def test_exact_settings_give_the_same_bits_at_every_level_and_in_the_reference(
    levels: list[str], at_level: AtLevel, level_weights: int
) -> None:
    """Probabilities of 1/2, or 0 and 1, a batch and rates that are powers of two: nothing rounds."""
    n_visible, n_hidden = 65, 37
    v0 = (np.random.default_rng(1).random((64, n_visible)) < 0.3).astype(np.float32)
    start = level_weights * np.random.default_rng(2).choice([-1, 1], (n_visible, n_hidden)).astype(np.float32)
    # A bias of half a weight: no pre-activation is 0, so that every saturated unit is decided.
    b_vis, b_hid = np.full(n_visible, level_weights / 2, np.float32), np.full(n_hidden, level_weights / 2, np.float32)
    expected = ref.cd_update(v0, start, b_vis, b_hid, k=2, lr=0.25, seed=3, offset=0)
    for level in levels:
        with at_level(level):
            w, vis, hid = start.copy(), b_vis.copy(), b_hid.copy()
            hc.ops.cd_update(hc.BitMatrix.from_dense(v0), w, vis, hid, k=2, lr=0.25, rng=3)
        for found, wanted in zip((w, vis, hid), (expected.w, expected.b_vis, expected.b_hid), strict=True):
            np.testing.assert_array_equal(found, wanted.astype(np.float32))


def test_levels_agree_on_a_training_run(levels: list[str], at_level: AtLevel) -> None:
    """Many updates, each with the numbers of the one before: bounded by what a flipped sample or two may do."""
    found = []
    for level in levels:
        with at_level(level):
            p, rng = Problem(64, 40, 30), hc.Generator(8)
            for _ in range(30):
                hc.ops.cd_update(p.v0, *p.parameters, rng=rng, velocity=p.velocity, **FULL)
            found.append(p.w)
    for w in found:
        np.testing.assert_allclose(w, found[0], rtol=0, atol=2e-2)


def test_dense_and_packed_data_give_the_same_bits(isa: str) -> None:
    results = []
    for packed in (False, True):
        p = Problem(100, 47, 33)
        v0: Any = hc.BitMatrix.from_dense(p.v0) if packed else p.v0
        hc.ops.cd_update(v0, *p.parameters, rng=1, velocity=p.velocity, **FULL)
        results.append([a.tobytes() for a in (*p.parameters, *p.velocity)])
    assert results[0] == results[1]


def test_the_step_is_the_gibbs_steps_it_is_made_of(isa: str) -> None:
    """2k offsets, even ones for the hidden layer: the chains advance as by `gibbs_step`."""
    p = Problem(20, 30, 17, 70)
    assert p.chains is not None
    chains = hc.BitMatrix.from_dense(p.chains)
    expected, rng = chains.copy(), hc.Generator(6, 10)
    for _ in range(3):
        h = hc.ops.gibbs_step(expected, p.w, p.b_hid, rng=rng)
        expected = hc.ops.gibbs_step(h, p.w, p.b_vis, rng=rng, transpose=True)
    words = chains.words
    hc.ops.cd_update(p.v0, *p.parameters, k=3, lr=0.1, rng=hc.Generator(6, 10), chains=chains)
    assert chains == expected
    assert chains.words is words


def test_the_gradient_in_expectation(isa: str) -> None:
    """CD-1 of a 3 x 2 machine: the mean update is the exact expectation over h0 and v1, by enumeration."""
    rng = np.random.default_rng(0)
    w = rng.normal(0, 1, (3, 2)).astype(np.float32)
    b_vis, b_hid = rng.normal(0, 1, 3).astype(np.float32), rng.normal(0, 1, 2).astype(np.float32)
    v0 = np.array([1.0, 0.0, 1.0])
    visible, hidden = ref.all_states(3), ref.all_states(2)
    ph = ref.sigmoid(v0 @ w + b_hid)
    p_h = np.prod(np.where(hidden > 0, ph, 1 - ph), axis=1)
    pv = ref.sigmoid(hidden @ w.T + b_vis)
    p_v = p_h @ np.prod(np.where(visible[None] > 0, pv[:, None], 1 - pv[:, None]), axis=2)
    hk = ref.sigmoid(visible @ w + b_hid)
    expected = np.outer(v0, ph) - visible.T @ (p_v[:, None] * hk)
    n = 2**17
    found = w.copy()
    v = hc.BitMatrix.from_dense(np.broadcast_to(v0, (n, 3)))
    hc.ops.cd_update(v, found, b_vis, b_hid, lr=1.0, rng=31)
    # Each term lies in [0, 1]: a standard error of at most 0.5 / sqrt(n). Six of them and float32 sums of n terms.
    np.testing.assert_allclose(found - w, expected, rtol=0, atol=3 / np.sqrt(n) + 1e-3)


# Failure


def test_too_large_a_learning_rate_is_a_floating_point_error(isa: str) -> None:
    for name in ("w", "b_vis", "b_hid"):
        p = Problem(37, 30, 17)
        if name == "w":
            options: dict[str, Any] = {"lr": 3e38, "weight_decay": 10.0}
        else:  # only this bias is near the edge
            getattr(p, name)[-1] = 3e38
            p.velocity[1 if name == "b_vis" else 2][-1] = 3e38
            options = {"lr": 0.1, "momentum": 0.9}
        with pytest.raises(FloatingPointError, match="learning rate"):
            hc.ops.cd_update(p.v0, *p.parameters, rng=1, velocity=p.velocity, **options)
        assert not np.isfinite(getattr(p, name)).all()


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_poisoned_velocity_does_not_poison_the_model_in_silence(isa: str, which: int, value: float) -> None:
    p = Problem(37, 30, 17)
    p.velocity[which].flat[-1] = value
    with pytest.raises((FloatingPointError, ValueError), match="velocity held NaN"):
        hc.ops.cd_update(p.v0, *p.parameters, lr=0.1, rng=1, momentum=0.9, velocity=p.velocity)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["w", "b_vis", "b_hid", "v0"])
@pytest.mark.parametrize("kind", ["bits", "real", "persistent"])
def test_nothing_changes_when_the_input_is_poisoned(isa: str, name: str, value: float, kind: str) -> None:
    for at in (0, -1, 7):
        p = Problem(37, 30, 17, 20 if kind == "persistent" else 0, real=kind == "real")
        named = {"w": p.w, "b_vis": p.b_vis, "b_hid": p.b_hid, "v0": p.v0}
        named[name].flat[at] = value
        chains = None if p.chains is None else hc.BitMatrix.from_dense(p.chains)
        arrays = [p.v0, *p.parameters, *p.velocity, *([] if chains is None else [chains.words])]
        before = [a.tobytes() for a in arrays]
        rng = hc.Generator(1, 5)
        with pytest.raises(ValueError, match=f"^{name}: "):
            hc.ops.cd_update(p.v0, *p.parameters, rng=rng, velocity=p.velocity, chains=chains, **FULL)
        assert [a.tobytes() for a in arrays] == before
        assert rng.offset == 5


@pytest.mark.parametrize("kind", ["bits", "real", "persistent"])
def test_nothing_changes_when_finite_weights_have_infinite_sums(isa: str, kind: str) -> None:
    for at in (0, 25):  # of the 30 inputs, in the first and in the last group of five
        p = Problem(37, 30, 17, 20 if kind == "persistent" else 0, real=kind == "real")
        p.w[at : at + 2, 16] = 3e38
        chains = None if p.chains is None else hc.BitMatrix.from_dense(p.chains)
        arrays = [p.v0, *p.parameters, *p.velocity, *([] if chains is None else [chains.words])]
        before = [a.tobytes() for a in arrays]
        with pytest.raises(ValueError, match=r"^w: .*sums overflow float32"):
            hc.ops.cd_update(p.v0, *p.parameters, rng=1, velocity=p.velocity, chains=chains, **FULL)
        assert [a.tobytes() for a in arrays] == before


def test_memory_written_in_place_is_not_shared() -> None:
    n = 6
    memory = np.zeros(4 * n * n + 4 * n, dtype=np.float32)
    w, velocity_w = memory[: n * n].reshape(n, n), memory[n * n : 2 * n * n].reshape(n, n)
    b_vis, b_hid, velocity_vis, velocity_hid = (memory[2 * n * n + i * n :][:n] for i in range(4))
    v0 = memory[3 * n * n + 4 * n :].reshape(n, n)
    velocity = (velocity_w, velocity_vis, velocity_hid)
    hc.ops.cd_update(v0, w, b_vis, b_hid, lr=0.1, rng=1, momentum=0.5, velocity=velocity)  # neighbours are fine
    by_one = memory[2 * n * n + n - 1 :][:n]  # the last of b_vis
    before = memory.copy()
    for arguments, message in (
        ((v0, w, b_vis, by_one, velocity), "^w, b_vis, b_hid, velocity: "),
        ((v0, w, b_vis, b_hid, (w, velocity_vis, velocity_hid)), "^w, b_vis, b_hid, velocity: "),
        ((v0, w, b_vis, b_hid, (velocity_w, velocity_vis, velocity_vis)), "^w, b_vis, b_hid, velocity: "),
        ((w, w, b_vis, b_hid, velocity), "^v0: "),
        ((velocity_w, w, b_vis, b_hid, velocity), "^v0: "),
    ):
        rng = hc.Generator(1)
        with pytest.raises(ValueError, match=message + ".*share memory"):
            hc.ops.cd_update(*arguments[:4], lr=0.1, rng=rng, momentum=0.5, velocity=arguments[4])
        assert rng.offset == 0
        np.testing.assert_array_equal(memory, before)
