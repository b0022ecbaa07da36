"""Annealing against the reference and against exact log Z: the kernel, AIS, reverse AIS and the bracket.

Comparisons with exact values allow five standard errors, a false alarm in fewer than 1e-6 of seeds; seeds are fixed, so
that a test that passes goes on passing.
"""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest

import hintoncore as hc
from hintoncore import reference as ref
from hintoncore.likelihood import (
    AISEstimate,
    LikelihoodWarning,
    ais,
    bracket,
    exact_log_likelihood,
    exact_log_z,
    log_mean_exp,
    reverse_ais,
)

FIVE_SIGMA = 5.0
AtLevel = Callable[[str], AbstractContextManager[None]]

BETAS = np.array([0.0, 0.05, 0.3, 0.3, 0.7, 1.0, 1.0, 0.5, 0.0, 1e-3], dtype=np.float32)


def parameters(n_visible: int, n_hidden: int, scale: float = 0.5) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng([n_visible, n_hidden])
    shapes = ((n_visible, n_hidden), (n_visible,), (n_hidden,), (n_visible,))
    return tuple(rng.normal(0, scale, shape).astype(np.float32) for shape in shapes)


def start(n_chains: int, n_visible: int) -> np.ndarray:
    return np.random.default_rng(n_chains).integers(0, 2, (n_chains, n_visible))


def annealed(v: np.ndarray, cuts: tuple[int, ...] = (), scale: float = 0.5, n_hidden: int = 33) -> Any:
    """States and weights of the kernel, in calls cut at these elements of BETAS."""
    w, b_vis, b_hid, base = parameters(v.shape[1], n_hidden, scale)
    states, log_weights, rng = hc.BitMatrix.from_dense(v), np.zeros(len(v)), hc.Generator(3, 9)
    edges = (0, *cuts, len(BETAS) - 1)
    for first, last in itertools.pairwise(edges):
        hc.ops.anneal(states, log_weights, w, b_vis, b_hid, BETAS[first : last + 1], rng=rng, b_base=base)
    assert rng.offset == 9 + 2 * (len(BETAS) - 1)
    return states, log_weights


# Both sides of the edges: 16 units a block, 60 inputs a chunk, 64 samples a word, 256 and 1024 chains a tile.
@pytest.mark.parametrize(
    "shape",
    [(1, 1, 1), (1, 65, 3), (65, 70, 33), (130, 17, 65), (257, 61, 15), (64, 64, 16), (1025, 20, 17), (3, 5, 129)],
    ids=str,
)
def test_kernel_is_the_reference(isa: str, shape: tuple[int, int, int]) -> None:
    n_chains, n_visible, n_hidden = shape
    v = start(n_chains, n_visible)
    w, b_vis, b_hid, base = parameters(n_visible, n_hidden)
    want, want_weights = ref.anneal(v, w, b_vis, b_hid, BETAS, seed=3, offset=9, b_base=base)
    states, log_weights = annealed(v, n_hidden=n_hidden)
    assert (states.to_dense() != want).mean() <= 1e-5  # rounding at the threshold
    same = (states.to_dense() == want).all(axis=1)
    # float32 pre-activations: an error of 2^-24 a sum, and some 1e-6 a block of 16 hidden units and step.
    bound = 1e-6 * len(BETAS) * math.ceil(n_hidden / 16) + 2.0**-22 * n_hidden * np.abs(w).sum(axis=0).max()
    np.testing.assert_allclose(log_weights[same], want_weights[same], rtol=0, atol=bound)


def test_weights_are_the_same_at_every_level_and_number_of_threads(
    levels: list[str], at_level: AtLevel, set_threads: Callable[[int], None]
) -> None:
    v = start(600, 70)
    expected = None
    for level in levels:
        for threads in (1, 2, 3, 8):
            with at_level(level):
                set_threads(threads)
                states, log_weights = annealed(v, scale=1.5)
            found = states.words.tobytes(), log_weights.tobytes()
            expected = expected or found
            assert found == expected, (level, threads)


@pytest.mark.parametrize("cuts", [(1,), (4,), (8,), (1, 2, 3, 4, 5, 6, 7, 8)])
def test_a_run_in_pieces_is_the_run(cuts: tuple[int, ...]) -> None:
    v = start(70, 40)
    states, log_weights = annealed(v)
    pieces, pieces_weights = annealed(v, cuts)
    assert pieces == states
    assert pieces_weights.tobytes() == log_weights.tobytes()


def test_one_big_step_of_large_weights_does_not_overflow() -> None:
    """Pre-activations in the thousands; straight from the base-rate model to the RBM the weight is a free energy."""
    w, b_vis, b_hid, base = (200.0 * p for p in parameters(40, 33))
    v = start(50, 40)
    log_weights = np.zeros(50)
    hc.ops.anneal(hc.BitMatrix.from_dense(v), log_weights, w, b_vis, b_hid, [0.0, 1.0], rng=0, b_base=base)
    want = -ref.free_energy(v, w, b_vis, b_hid) - v @ base.astype(float) - 33 * math.log(2)
    np.testing.assert_allclose(log_weights, want, rtol=1e-5)


def test_kernel_refuses_by_name_and_changes_nothing() -> None:
    w, b_vis, b_hid, base = parameters(6, 5)
    states, log_weights, rng = hc.BitMatrix.from_dense(start(4, 6)), np.zeros(4), hc.Generator(1)
    before = states.copy()
    nan_w = w.copy()
    nan_w[2, 3] = np.nan
    good: dict[str, Any] = {
        "states": states,
        "log_weights": log_weights,
        "w": w,
        "b_vis": b_vis,
        "b_hid": b_hid,
        "betas": [0.0, 1.0],
        "b_base": base,
    }
    bad: list[tuple[str, Any, type[Exception]]] = [
        ("states", start(4, 6), TypeError),
        ("states", hc.BitMatrix.from_dense(start(4, 5)), ValueError),
        ("log_weights", np.zeros(4, np.float32), TypeError),
        ("log_weights", np.zeros(5), ValueError),
        ("log_weights", [0.0] * 4, TypeError),
        ("w", nan_w, ValueError),
        ("w", w[0], ValueError),
        ("b_vis", np.full(6, np.inf), ValueError),
        ("b_vis", b_vis[:5], ValueError),
        ("b_hid", np.full(5, np.nan), ValueError),
        ("b_base", np.full(6, np.nan), ValueError),
        ("b_base", np.full(6, 2e9), ValueError),
        ("betas", [0.0], ValueError),
        ("betas", [0.0, 1.5], ValueError),
        ("betas", [-0.1, 1.0], ValueError),
        ("betas", [0.0, np.nan], ValueError),
        ("betas", [0.0, 1e-10], ValueError),
    ]
    for name, value, error in bad:
        with pytest.raises(error, match=name):
            hc.ops.anneal(**{**good, name: value}, rng=rng)
        assert states == before, name
        assert not log_weights.any(), name
        assert rng.offset == 0, name


def random_rbm(n_visible: int, n_hidden: int, scale: float, seed: int) -> hc.models.RBM:
    rng = np.random.default_rng(seed)
    model = hc.models.RBM(n_visible, n_hidden)
    model.w[...] = rng.normal(0, scale, model.w.shape)
    model.b_vis[...] = rng.normal(-0.5, scale, n_visible)
    model.b_hid[...] = rng.normal(-0.5, scale, n_hidden)
    return model


@functools.cache
def trained_rbm() -> tuple[hc.models.RBM, hc.BitMatrix]:
    """An RBM of 64 x 20 units trained until its distribution has the digits as modes; and the test digits."""
    digits = hc.datasets.load("digits")
    train, test = (hc.datasets.binarize(x) for x in (digits.train, digits.test))
    model = hc.models.RBM(64, 20, seed=2).fit(train, epochs=60, k=5, learning_rate=0.1, weight_decay=0.0)
    assert np.abs(model.w).max() > 3
    return model, test


def models() -> list[Any]:
    cases = [(10, 10, 1.0), (12, 8, 2.0), (4, 16, 2.0), (16, 4, 3.0)]
    made = [pytest.param(functools.partial(random_rbm, *c, seed=5), id=f"{c[0]}x{c[1]}") for c in cases]
    return [*made, pytest.param(lambda: trained_rbm()[0], id="trained 64x20")]


@functools.cache
def exact_samples(model: hc.models.RBM, n: int, seed: int = 0) -> np.ndarray:
    """Visible states drawn from the model itself, through the hidden states it enumerates."""
    rng = np.random.default_rng(seed)
    if model.n_visible <= 16:
        v = ref.all_states(model.n_visible)
        p = np.exp(-model.free_energy(v) - exact_log_z(model).log_z)
        return v[rng.choice(len(v), n, p=p / p.sum())]
    h = ref.all_states(model.n_hidden)
    log_p = np.concatenate(
        [
            part @ model.b_hid + np.logaddexp(0.0, part @ model.w.T.astype(float) + model.b_vis).sum(axis=1)
            for part in np.array_split(h, 64)
        ]
    )
    p = np.exp(log_p - log_p.max())
    x = h[rng.choice(len(h), n, p=p / p.sum())] @ model.w.T.astype(float) + model.b_vis
    return np.asarray((rng.random(x.shape) < ref.sigmoid(x)).astype(float))


@pytest.mark.parametrize("make", models())
@pytest.mark.parametrize("base", ["model", "data"])
def test_ais_meets_exact_log_z(make: Callable[[], hc.models.RBM], base: str) -> None:
    model = make()
    rates = exact_samples(model, 200) if base == "data" else None
    estimate = ais(model, 1000, 2000, 7, base=rates)
    assert estimate.ess > 200
    assert estimate.std_error < 0.1
    assert abs(estimate.log_z - exact_log_z(model).log_z) < FIVE_SIGMA * estimate.std_error


@pytest.mark.slow
@pytest.mark.parametrize("make", models())
def test_reverse_ais_from_exact_samples_meets_exact_log_z(make: Callable[[], hc.models.RBM]) -> None:
    model = make()
    estimate = reverse_ais(model, temperatures=2000, rng=3, samples=exact_samples(model, 1000))
    assert len(estimate.log_weights) == 1000
    assert estimate.ess > 200
    assert estimate.std_error < 0.1
    assert abs(estimate.log_z - exact_log_z(model).log_z) < FIVE_SIGMA * estimate.std_error


@pytest.mark.parametrize("make", models())
def test_reverse_ais_draws_samples_of_its_own(make: Callable[[], hc.models.RBM]) -> None:
    model = make()
    estimate = reverse_ais(model, 1000, 2000, 11)
    assert abs(estimate.log_z - exact_log_z(model).log_z) < FIVE_SIGMA * estimate.std_error + 0.05


@pytest.mark.parametrize("temperatures", [5, 30])
def test_the_two_sides_err_to_their_own_side(temperatures: int) -> None:
    """With few temperatures the estimates are far apart, the exact value between them."""
    model, test = trained_rbm()
    exact = exact_log_z(model).log_z
    samples = exact_samples(model, 500)
    low, high = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LikelihoodWarning)
        for seed in range(8):
            low.append(ais(model, 20, temperatures, seed).log_z)
            high.append(reverse_ais(model, temperatures=temperatures, rng=seed, samples=samples[seed::25]).log_z)
    assert np.mean(low) < exact < np.mean(high)
    raised = reverse_ais(model, 297, temperatures, 1, data=test)
    assert raised.log_z > exact - FIVE_SIGMA * raised.std_error
    assert raised.ess == 297


@pytest.mark.slow
@pytest.mark.parametrize("isa_threads", [1, 3])
def test_bracket_holds_the_exact_likelihood(isa_threads: int, set_threads: Callable[[int], None]) -> None:
    set_threads(isa_threads)
    model, test = trained_rbm()
    found = bracket(model, test, 600, 3000, 1)
    exact = exact_log_likelihood(model, test)
    lower, upper = found
    assert (lower, upper) == (found.lower, found.upper)
    assert lower - FIVE_SIGMA * found.lower_std_error < exact < upper + FIVE_SIGMA * found.upper_std_error
    assert not found.open
    assert found.width < 0.5
    again = model.log_likelihood(test, "bracket", chains=600, temperatures=3000, rng=1)
    assert (again.lower, again.upper) == (lower, upper)
    by_ais = model.log_likelihood(test.to_dense(), "ais", chains=600, temperatures=3000, rng=1)
    assert by_ais == pytest.approx(found.upper, abs=1e-12)


def test_an_open_bracket_is_flagged() -> None:
    model, test = trained_rbm()
    with pytest.warns(LikelihoodWarning, match=r"bracket: open, .* nats wide"):
        found = bracket(model, test, 20, 3, 1)
    assert found.open
    assert found.width > found.max_width
    with pytest.warns(LikelihoodWarning, match="open"):
        bracket(model, test, 200, 300, 1, max_width=1e-3)


def test_few_effective_samples_are_reported() -> None:
    model = random_rbm(30, 30, 3.0, 1)
    with pytest.warns(LikelihoodWarning, match=r"ais: the weights of 100 chains amount to .* effective samples"):
        estimate = ais(model, 100, 2)
    assert estimate.ess < 20
    with pytest.warns(LikelihoodWarning, match=r"reverse_ais: the weights"):
        reverse_ais(model, 100, 2, samples=start(100, 30))


def test_log_mean_exp_is_of_the_weights_in_float64() -> None:
    """The public traps: the mean of logarithms, the sum for the mean, overflow, and float32."""
    assert log_mean_exp([0.0, math.log(3.0)]) == pytest.approx(math.log(2.0), abs=1e-15)
    assert log_mean_exp(np.full(7, 1e5)) == 1e5
    assert log_mean_exp([-1e6, -1e6 + math.log(3.0)]) == pytest.approx(-1e6 + math.log(2.0), abs=1e-9)
    small = np.array([100.0, 100.0 + 1e-9])
    assert log_mean_exp(small) - 100.0 == pytest.approx(0.5e-9, rel=1e-3)  # float32 has steps of 8e-6 here

    model = random_rbm(12, 8, 1.5, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LikelihoodWarning)
        runs = [ais(model, 50, 10, seed) for seed in range(200)]
    for run in runs[:3]:
        assert run.log_weights.dtype == np.float64
        assert run.log_z == pytest.approx(run.log_z_base + log_mean_exp(run.log_weights), abs=1e-12)
    # Z itself is estimated without bias, however few the temperatures; the mean of the logarithms is far below.
    exact = exact_log_z(model).log_z
    ratios = np.exp([run.log_z - exact for run in runs])
    assert abs(ratios.mean() - 1.0) < FIVE_SIGMA * ratios.std() / math.sqrt(len(ratios))
    assert np.mean([run.log_z_base + run.log_weights.mean() for run in runs]) < exact - 0.3


def test_standard_error_is_the_spread_of_runs() -> None:
    model = random_rbm(12, 8, 1.5, 4)
    runs = [ais(model, 200, 100, seed) for seed in range(100)]
    spread = np.std([run.log_z for run in runs], ddof=1)
    stated = np.mean([run.std_error for run in runs])
    assert 0.7 < stated / spread < 1.4  # the spread of 100 runs is itself known to 7%


def test_equal_weights_have_no_error_and_one_chain_an_unknown_one() -> None:
    model = hc.models.RBM(5, 4)
    model.w[...] = 0.0
    model.b_hid[...] = 1.0
    estimate = ais(model, 10, 5)
    assert estimate.std_error < 1e-6
    assert estimate.ess == pytest.approx(10)
    assert estimate.log_z == pytest.approx(exact_log_z(model).log_z, abs=1e-5)
    assert ais(model, 1, 5).std_error == math.inf


def test_schedules_and_base_rates() -> None:
    model = random_rbm(8, 6, 1.0, 0)
    betas = np.linspace(0, 1, 51)
    by_count, by_array = ais(model, 30, 50, 2), ais(model, 30, betas, 2)
    assert by_count.log_z == by_array.log_z
    assert by_count.temperatures == 50
    data = start(40, 8)
    p = (data.sum(axis=0) + 1) / 42
    by_data, by_biases = ais(model, 30, 50, 2, base=data), ais(model, 30, 50, 2, base=np.log(p / (1 - p)))
    assert by_data.log_z == pytest.approx(by_biases.log_z, abs=1e-5)
    assert ais(model, 30, 50, 2, base=hc.BitMatrix.from_dense(data)).log_z == by_data.log_z


def test_generators_advance_by_what_was_used() -> None:
    model = random_rbm(8, 6, 1.0, 0)
    rng = hc.Generator(5)
    first = ais(model, 30, 50, rng)
    assert rng.offset == 101
    assert ais(model, 30, 50, rng).log_z != first.log_z
    assert ais(model, 30, 50, 5).log_z == first.log_z


def test_data_rows_and_chains() -> None:
    model, data = random_rbm(8, 6, 1.0, 0), start(10, 8)
    assert len(reverse_ais(model, 35, 20, data=data).log_weights) == 30
    few = reverse_ais(model, 4, 20, data=data)
    assert len(few.log_weights) == 4
    assert few.ess == 4
    assert isinstance(few, AISEstimate)


@pytest.mark.parametrize(
    ("arguments", "error", "word"),
    [
        ({"chains": 0}, ValueError, "chains"),
        ({"chains": 2.5}, TypeError, "chains"),
        ({"temperatures": 0}, ValueError, "temperatures"),
        ({"temperatures": [0.0, 0.5]}, ValueError, "temperatures"),
        ({"temperatures": [0.1, 1.0]}, ValueError, "temperatures"),
        ({"temperatures": [0.0, 0.6, 0.5, 1.0]}, ValueError, "temperatures"),
        ({"temperatures": [0.0, np.nan, 1.0]}, ValueError, "temperatures"),
        ({"temperatures": [[0.0, 1.0]]}, ValueError, "temperatures"),
        ({"base": np.zeros(7)}, ValueError, "base"),
        ({"base": np.full(8, np.nan)}, ValueError, "base"),
        ({"base": np.full((3, 8), 2.0)}, ValueError, "base"),
        ({"base": np.zeros((3, 7))}, ValueError, "base"),
        ({"rng": "x"}, TypeError, "rng"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], error: type[Exception], word: str) -> None:
    model = random_rbm(8, 6, 1.0, 0)
    for estimate in (ais, reverse_ais):
        with pytest.raises(error, match=word):
            estimate(model, **{"chains": 10, "temperatures": 5, **arguments})
    with pytest.raises(error, match=word):
        bracket(model, start(10, 8), **{"chains": 10, "temperatures": 5, **arguments})


def test_bad_data_are_named() -> None:
    model = random_rbm(8, 6, 1.0, 0)
    with pytest.raises(ValueError, match="at most one"):
        reverse_ais(model, data=start(3, 8), samples=start(3, 8))
    for name in ("data", "samples"):
        for bad in (start(3, 7), np.full((3, 8), 0.5), np.zeros((0, 8))):
            with pytest.raises(ValueError, match=name):
                reverse_ais(model, **{name: bad})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="gibbs_steps"):
        reverse_ais(model, 4, 5, gibbs_steps=-1)
    for bad in (start(3, 7), np.full((3, 8), 0.5)):
        with pytest.raises(ValueError, match="X"):
            bracket(model, bad)
    with pytest.raises(ValueError, match="max_width"):
        bracket(model, start(3, 8), max_width=0.0)
    with pytest.raises(ValueError, match="chains"):
        bracket(model, start(3, 8), chains=3)
    with pytest.raises(ValueError, match="method: expected 'exact', 'ais' or 'bracket'"):
        model.log_likelihood(start(3, 8), "csl")  # type: ignore[call-overload]
    model.w[0, 0] = np.nan
    with pytest.raises(ValueError, match="w: expected finite"):
        ais(model, 4, 5)


def test_progress_bar_shows_and_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    model = random_rbm(8, 6, 1.0, 0)
    assert ais(model, 30, 50, 2, progress=True).log_z == ais(model, 30, 50, 2).log_z
    assert "AIS: 100%" in capsys.readouterr().err


def test_callback_brackets_while_training_and_leaves_it_alone() -> None:
    rng = np.random.default_rng(0)
    data = (rng.random((200, 12)) < rng.random(12)).astype(np.float32)
    monitor = hc.train.LogLikelihood(data, method="bracket", chains=40, temperatures=100, every_epochs=2)
    records: list[dict[str, float]] = []

    class Keep(hc.train.Callback):
        def on_epoch(self, trainer: Any) -> None:
            records.append(dict(trainer.history[-1]))

    alone = hc.models.RBM(12, 5, seed=1).fit(data, epochs=4)
    watched = hc.models.RBM(12, 5, seed=1).fit(data, epochs=4, callbacks=[monitor, Keep()])
    assert alone.w.tobytes() == watched.w.tobytes()
    assert ["test_log_likelihood" in record for record in records] == [False, True, False, True]
    last = records[-1]
    assert abs(last["test_log_likelihood"] - watched.log_likelihood(data)) < 0.2
    assert abs(last["test_log_likelihood_upper"] - watched.log_likelihood(data)) < 0.2
    assert 0 <= last["test_log_likelihood_width"] < 0.5
    with pytest.raises(ValueError, match="method"):
        hc.train.LogLikelihood(data, method="guess")


def test_callback_estimates_by_ais_alone() -> None:
    rng = np.random.default_rng(0)
    data = (rng.random((200, 12)) < rng.random(12)).astype(np.float32)
    records: list[dict[str, float]] = []

    class Keep(hc.train.Callback):
        def on_epoch(self, trainer: Any) -> None:
            records.append(dict(trainer.history[-1]))

    monitor = hc.train.LogLikelihood(data, name="ais", method="ais", chains=50, temperatures=200)
    model = hc.models.RBM(12, 5, seed=1).fit(data, epochs=2, callbacks=[monitor, Keep()])
    assert all(0 < record["ais_std_error"] < 0.1 for record in records)
    assert abs(records[-1]["ais"] - model.log_likelihood(data)) < 0.2
