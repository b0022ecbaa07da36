"""Learning rules against exact enumeration, their formulas, and their own resumption."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hintoncore import BitMatrix, Generator, ops, train
from hintoncore import reference as ref
from hintoncore.models import RBM
from hintoncore.samplers import RBMMachine
from hintoncore.train.contrastive import CDSettings, ContrastiveDivergence
from hintoncore.train.gradient_update import GradientUpdate

V, H = 4, 3


def tiny_model(seed: int = 0, std: float = 1.0) -> RBM:
    rng = np.random.default_rng(seed)
    model = RBM(V, H, seed=seed)
    model.w[:] = rng.normal(0, std, (V, H))
    model.b_vis[:], model.b_hid[:] = rng.normal(0, 0.5, V), rng.normal(0, 0.5, H)
    return model


def visible_distribution(model: RBM) -> np.ndarray:
    visible = ref.all_states(model.n_visible)
    log_p = -ref.free_energy(visible, model.w, model.b_vis, model.b_hid)
    return np.asarray(np.exp(log_p - ref.exact_log_z(model.w, model.b_vis, model.b_hid)))


def gibbs_step(p: np.ndarray, w: np.ndarray, b_vis: np.ndarray, b_hid: np.ndarray) -> np.ndarray:
    """A distribution over all visible states after one Gibbs step."""
    visible, hidden = ref.all_states(len(b_vis)), ref.all_states(len(b_hid))
    ph, pv = ref.sigmoid(visible @ w + b_hid), ref.sigmoid(hidden @ w.T + b_vis)
    up = np.prod(np.where(hidden[None] > 0, ph[:, None], 1 - ph[:, None]), axis=2)
    down = np.prod(np.where(visible[None] > 0, pv[:, None], 1 - pv[:, None]), axis=2)
    return np.asarray(p @ up @ down)


def moments(p: np.ndarray, w: np.ndarray, b_hid: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """<v p(h|v)^T>, <v>, <p(h|v)> under a distribution over all visible states."""
    visible = ref.all_states(len(w))
    h = ref.sigmoid(visible @ w + b_hid)
    return visible.T @ (p[:, None] * h), p @ visible, p @ h


def check_gradient(found: ops.CDGradient, data: tuple[Any, ...], model: tuple[Any, ...], n: int) -> None:
    """Means of n independent terms in [0, 1]: a standard error of at most 0.5 / sqrt(n), and six of them; float32 sums
    of n terms. For the 19 entries together a false alarm of 4e-8."""
    for ours, positive, negative in zip((found.w, found.b_vis, found.b_hid), data, model, strict=True):
        np.testing.assert_allclose(ours, positive - negative, rtol=0, atol=3 / np.sqrt(n) + 1e-3)


DATA = np.array([[1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 0.0, 0.0]], dtype=np.float32)


def data_distribution() -> np.ndarray:
    states = ref.all_states(V)
    return np.array([sum(np.array_equal(row, state) for row in DATA) / len(DATA) for state in states])


@pytest.mark.parametrize("k", [1, 3])
def test_cd_in_expectation(isa: str, k: int) -> None:
    n = 3 * 2**15
    model = tiny_model()
    phase = train.CD().start(model, 1, 0)
    found = phase.gradient(BitMatrix.from_dense(np.tile(DATA, (n // 3, 1))), k, Generator(1), np.empty_like(model.w))
    p = start = data_distribution()
    for _ in range(k):
        p = gibbs_step(p, model.w, model.b_vis, model.b_hid)
    check_gradient(found, moments(start, model.w, model.b_hid), moments(p, model.w, model.b_hid), n)


@pytest.mark.parametrize("k", [1, 2])
def test_pcd_in_expectation_over_two_updates(isa: str, k: int) -> None:
    """The chains of the second update start where the first left them."""
    n, model = 2**16, tiny_model()
    phase = train.PCD().start(model, n, 7)
    rng, out = Generator(1), np.empty_like(model.w)
    # Independent units at sigmoid(b_vis), of which the chains are a sample.
    visible = ref.all_states(V)
    p = np.prod(np.where(visible > 0, ref.sigmoid(model.b_vis), 1 - ref.sigmoid(model.b_vis)), axis=1)
    for _ in range(2):
        found = phase.gradient(DATA, k, rng, out)
        for _ in range(k):
            p = gibbs_step(p, model.w, model.b_vis, model.b_hid)
        check_gradient(found, moments(data_distribution(), model.w, model.b_hid), moments(p, model.w, model.b_hid), n)


def test_fast_pcd_in_expectation(isa: str) -> None:
    """Chains move under w + fast, fast = 19/20 fast + rate gradient; the positive phase knows only w."""
    n, model = 2**16, tiny_model()
    phase = train.FastPCD(learning_rate=0.4).start(model, n, 7)
    rng, out = Generator(1), np.empty_like(model.w)
    visible = ref.all_states(V)
    p = np.prod(np.where(visible > 0, ref.sigmoid(model.b_vis), 1 - ref.sigmoid(model.b_vis)), axis=1)
    fast = [np.zeros((V, H)), np.zeros(V), np.zeros(H)]
    for update in range(4):
        found = phase.gradient(DATA, 1, rng, out)
        w, b_vis, b_hid = (
            parameter + f for parameter, f in zip((model.w, model.b_vis, model.b_hid), fast, strict=True)
        )
        p = gibbs_step(p, w, b_vis, b_hid)
        check_gradient(found, moments(data_distribution(), model.w, model.b_hid), moments(p, w, b_hid), n)
        phase.learn(found, float(update))
        for f, grad in zip(fast, (found.w, found.b_vis, found.b_hid), strict=True):
            f *= 19 / 20
            f += 0.4 * grad
    assert np.abs(fast[0]).max() > 0.05, "the fast weights must matter here"


def test_fast_weights_decay_where_their_rate_is_zero() -> None:
    model = tiny_model()
    phase = train.FastPCD(learning_rate=train.Step(((0, 0.5), (1, 0.0))), decay=0.5).start(model, 64, 7)
    found = phase.gradient(DATA, 1, Generator(1), np.empty_like(model.w))
    phase.learn(found, 0.0)
    phase.learn(found, 1.0)
    tensors, _ = phase.state()
    np.testing.assert_allclose(tensors["fast.w"], 0.25 * found.w, rtol=0, atol=1e-7)
    np.testing.assert_allclose(tensors["fast.b_vis"], 0.25 * found.b_vis, rtol=0, atol=1e-7)


def two_modes() -> RBM:
    """Two modes that alternate sampling hardly ever changes between."""
    model = RBM(V, H)
    model.w[:] = 3.0
    model.b_vis[:], model.b_hid[:] = -3.0 * H / 2, -3.0 * V / 2 + 0.3
    return model


def tempered_gradient(model: RBM, n: int) -> ops.CDGradient:
    """After 60 rounds from fair bits."""
    phase = train.TemperedPCD(temperatures=(1.0, 1.5, 2.5, 5.0)).start(model, n, 3)
    return phase.gradient(DATA, 60, Generator(1), np.empty_like(model.w))


def check_likelihood_gradient(found: ops.CDGradient, model: RBM, n: int) -> None:
    exact = moments(visible_distribution(model), model.w, model.b_hid)
    check_gradient(found, moments(data_distribution(), model.w, model.b_hid), exact, n)


def test_tempered_pcd_is_the_likelihood_gradient(isa: str) -> None:
    """The coldest replicas have the model's distribution, both modes of it."""
    n, model = 2**13, two_modes()
    check_likelihood_gradient(tempered_gradient(model, n), model, n)


def test_swaps_by_the_energy_of_the_couplings_alone_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Public code has left out the biases. (Swaps by the free energy are a test of the sampler's own.)"""

    def coupling(machine: RBMMachine, state: BitMatrix) -> np.ndarray:
        v, h = (part.to_dense(np.float64) for part in machine.split(state))
        return np.asarray(-((v @ machine.model.w) * h).sum(axis=1))

    monkeypatch.setattr(RBMMachine, "energy", coupling)
    n, model = 2**13, two_modes()
    with pytest.raises(AssertionError):
        check_likelihood_gradient(tempered_gradient(model, n), model, n)


# Centring, sparsity


def exact_gradient(model: RBM, p_data: np.ndarray) -> ops.CDGradient:
    """The likelihood gradient of a tiny model by enumeration."""
    data = moments(p_data, model.w, model.b_hid)
    negative = moments(visible_distribution(model), model.w, model.b_hid)
    parts = [np.asarray(part, dtype=np.float32) for part in (data[0] - negative[0], data[1], data[2], *negative[1:])]
    return _gradient(parts)


def _gradient(parts: Sequence[np.ndarray]) -> ops.CDGradient:
    w, *means = parts
    a, b, c, d = means
    return ops.CDGradient(w, a, b, c, d, stats={})


def update_of(model: RBM, velocity: bool = True, **options: Any) -> GradientUpdate:
    names = {"weight_decay": 0.0, "l1": 0.0, "centring": None, "sparsity": None}
    zeros = tuple(np.zeros_like(parameter) for parameter in model.parameters().values())
    means = (np.full(V, 0.3), np.full(H, 0.6))
    return GradientUpdate(model, zeros if velocity else None, means=means, **{**names, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("offsets", ["data", "enhanced"])
@pytest.mark.parametrize("velocity", [False, True])
def test_centring_is_the_algorithm_of_the_paper(offsets: str, velocity: bool) -> None:
    """Melchior et al. 2016, algorithm 1, in the parameters of the centred machine, momentum and decay included."""
    model, rate, lr, decay = tiny_model(), 0.2, 0.3, 0.01
    momentum = 0.5 if velocity else 0.0
    update = update_of(model, velocity, centring=train.Centring(offsets, rate), weight_decay=decay)
    mu, lam = np.full(V, 0.3), np.full(H, 0.6)
    w, b_vis, b_hid = (parameter.astype(np.float64) for parameter in model.parameters().values())
    a, c = b_vis + w @ lam, b_hid + w.T @ mu
    moving = [np.zeros((V, H)), np.zeros(V), np.zeros(H)]
    rng = np.random.default_rng(1)
    visible = ref.all_states(V)
    for _ in range(4):
        p_data, p_model = rng.dirichlet(np.ones(len(visible)), 2)
        h = ref.sigmoid(visible @ w + (c - w.T @ mu))
        means = [p_data @ visible, p_data @ h, p_model @ visible, p_model @ h]
        share = (0.5, 0.5) if offsets == "enhanced" else (1.0, 0.0)
        new_mu = (1 - rate) * mu + rate * (share[0] * means[0] + share[1] * means[2])
        new_lam = (1 - rate) * lam + rate * (share[0] * means[1] + share[1] * means[3])
        a, c = a + w @ (new_lam - lam), c + w.T @ (new_mu - mu)  # the same machine with the new offsets
        mu, lam = new_mu, new_lam
        centred = [(visible - mu).T @ (p[:, None] * (h - lam)) for p in (p_data, p_model)]
        gradient = (centred[0] - centred[1] - decay * w, means[0] - means[2], means[1] - means[3])
        moving = [momentum * m + lr * g for m, g in zip(moving, gradient, strict=True)]
        raw = visible.T @ ((p_data - p_model)[:, None] * h)
        parts = [np.asarray(x, dtype=np.float32) for x in (raw, *means)]
        update.apply(_gradient(parts), lr, momentum)
        w, a, c = w + moving[0], a + moving[1], c + moving[2]
        np.testing.assert_allclose(model.w, w, rtol=0, atol=1e-5)
        np.testing.assert_allclose(model.b_vis, a - w @ lam, rtol=0, atol=1e-5)
        np.testing.assert_allclose(model.b_hid, c - w.T @ mu, rtol=0, atol=1e-5)
    assert update.offsets is not None
    np.testing.assert_allclose(update.offsets[0], mu, rtol=0, atol=1e-6)
    np.testing.assert_allclose(update.offsets[1], lam, rtol=0, atol=1e-6)


def flipped(model: RBM) -> RBM:
    """The same distribution with 0 and 1 of every visible unit changed over."""
    other = RBM(V, H)
    other.w[:], other.b_vis[:] = -model.w, -model.b_vis
    other.b_hid[:] = model.b_hid + model.w.sum(axis=0)
    return other


@pytest.mark.parametrize("centred", ["data", "enhanced", None])
def test_the_centred_gradient_does_not_care_which_state_is_called_one(centred: str | None) -> None:
    """Cho et al. 2011, section 3: only the centred update commutes with flipping the bits of data and model."""
    model, p_data = tiny_model(), data_distribution()
    other = flipped(model)
    settings = None if centred is None else train.Centring(centred, rate=1.0)
    update_of(model, centring=settings).apply(exact_gradient(model, p_data), 0.3, 0.0)
    update_of(other, centring=settings).apply(exact_gradient(other, p_data[::-1]), 0.3, 0.0)
    apart = np.abs(visible_distribution(model) - visible_distribution(other)[::-1]).max()
    assert (apart < 1e-6) == (centred is not None), apart


def test_the_sparsity_penalty_by_central_differences() -> None:
    """One row, no averaging: q is sigmoid(b + v w), and what is taken off is the derivative of the cross entropy."""
    target, cost, step = 0.2, 0.7, 1e-6
    v = DATA[0].astype(np.float64)
    model = tiny_model()
    w, b = model.w.astype(np.float64), model.b_hid.astype(np.float64)

    def penalty(w: np.ndarray, b: np.ndarray) -> float:
        q = ref.sigmoid(v @ w + b)
        return float(-cost * (target * np.log(q) + (1 - target) * np.log1p(-q)).sum())

    before = {name: parameter.copy() for name, parameter in model.parameters().items()}
    update = update_of(model, velocity=False, sparsity=train.Sparsity(target, cost, decay=0.0))
    activity = ref.sigmoid(v @ w + b)
    zero = np.zeros((V, H), dtype=np.float32)
    parts = [np.asarray(x, dtype=np.float32) for x in (v, activity, v, activity)]
    update.apply(_gradient([zero, *parts]), 1.0, 0.0)
    for i in range(V):
        for j in range(H):
            move = np.zeros((V, H))
            move[i, j] = step
            slope = (penalty(w + move, b) - penalty(w - move, b)) / (2 * step)
            assert model.w[i, j] - before["w"][i, j] == pytest.approx(-slope, abs=2e-6)
    for j in range(H):
        move = np.eye(H)[j] * step
        slope = (penalty(w, b + move) - penalty(w, b - move)) / (2 * step)
        assert model.b_hid[j] - before["b_hid"][j] == pytest.approx(-slope, abs=2e-6)
    np.testing.assert_array_equal(model.b_vis, before["b_vis"])


def test_mean_activity_is_an_exponential_average() -> None:
    model = tiny_model()
    update = update_of(model, sparsity=train.Sparsity(0.1, 0.0, decay=0.75))
    expected = np.full(H, 0.6)
    for _ in range(3):
        gradient = exact_gradient(model, data_distribution())
        update.apply(gradient, 0.1, 0.0)
        expected = 0.75 * expected + 0.25 * gradient.data_hid
    assert update.activity is not None
    np.testing.assert_allclose(update.activity, expected, rtol=1e-6)


def test_a_sparsity_target_is_approached() -> None:
    x = (np.random.default_rng(0).random((400, 20)) < 0.5).astype(np.float32)
    x[:, 10:] = x[:, :10]
    options: dict[str, Any] = {"epochs": 40, "learning_rate": 0.1, "momentum": 0.5}
    sparse = RBM(20, 30).fit(x, sparsity=train.Sparsity(0.1, 0.3), **options)
    assert abs(sparse.transform(x).mean() - 0.1) < 0.01
    assert RBM(20, 30).fit(x, **options).transform(x).mean() > 0.3


# Training


RULES: dict[str, dict[str, Any]] = {
    "fpcd": {"rule": train.FastPCD(learning_rate=train.Linear(0.2, 0.1, 3))},
    "pt": {"rule": train.TemperedPCD(temperatures=(1.0, 2.0, 4.0)), "n_chains": 70},
    "centred cd": {"centred": True, "l1": 0.001},
    "enhanced pcd": {"rule": "pcd", "centred": train.Centring("enhanced", 0.1), "momentum": 0.0},
    "sparse cd": {"rule": "cd", "sparsity": train.Sparsity(0.2, 0.3)},
    "everything": {"rule": "pt", "centred": True, "sparsity": train.Sparsity(0.2, 0.3), "l1": 0.001, "n_chains": 64},
}


@pytest.mark.parametrize("rule", RULES)
def test_every_step_of_a_run_can_be_gone_on_from(tmp_path: Path, rule: str) -> None:
    """Checkpoints after each of 9 updates, short last minibatches and ends of epochs among them."""
    x = np.random.default_rng(0).integers(0, 2, (130, 12)).astype(np.float32)
    settings = {"batch_size": 50, "k": 2, "learning_rate": train.Linear(0.3, 0.1, 3), "validation": x[:40]}
    copies: list[Path] = []

    class Keep(train.Callback):
        runs_last = True

        def on_step(self, trainer: train.Trainer) -> None:
            copies.append(tmp_path / f"step{trainer.step}")
            trainer.save_checkpoint(copies[-1])

        def on_epoch(self, trainer: train.Trainer) -> None:
            copies.append(tmp_path / f"epoch{trainer.epoch}")
            trainer.save_checkpoint(copies[-1])

    def new_model() -> RBM:
        model = RBM(12, 5)
        model.w *= 300  # strong couplings: chains remember where they were
        return model

    def last_state(model: RBM, resume: Path | None = None, callbacks: tuple[train.Callback, ...] = ()) -> bytes:
        end = tmp_path / "end"
        options = {**settings, **RULES[rule]}
        model.fit(x, epochs=3, callbacks=[*callbacks, train.Checkpoint(end)], resume=resume, **options)
        from hintoncore.files import load_tensors

        tensors, metadata = load_tensors(end, kind="checkpoint")
        records = [{k: v for k, v in r.items() if k != "seconds"} for r in metadata["trainer"]["history"]]
        return (
            b"".join(tensors[name].tobytes() for name in sorted(tensors))
            + repr((sorted(tensors), metadata["counters"], records)).encode()
        )

    whole = last_state(new_model(), callbacks=(Keep(),))
    assert len(copies) == 12
    for path in copies:
        assert last_state(new_model(), resume=path) == whole, path.name


def test_what_a_rule_carries_along_is_in_its_checkpoints(tmp_path: Path) -> None:
    from hintoncore.files import load_tensors

    x = np.random.default_rng(0).integers(0, 2, (130, 12)).astype(np.float32)
    expected = {
        "fpcd": {"chains", "fast.w", "fast.b_vis", "fast.b_hid"},
        "pt": {"tempering.words", "tempering.temperatures", "tempering.round_trips"},
        "centred cd": {"offsets.visible", "offsets.hidden"},
        "sparse cd": {"activity"},
    }
    for rule, names in expected.items():
        RBM(12, 5).fit(x, 1, callbacks=[train.Checkpoint(tmp_path / "c")], **RULES[rule])
        assert names <= load_tensors(tmp_path / "c", kind="checkpoint")[0].keys()


def test_a_checkpoint_of_another_rule_is_refused(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 2, (130, 12)).astype(np.float32)
    RBM(12, 5).fit(x, 1, rule="fpcd", callbacks=[train.Checkpoint(tmp_path / "c")])
    with pytest.raises(ValueError, match="rule"):
        RBM(12, 5).fit(x, 2, persistent=True, resume=tmp_path / "c")
    with pytest.raises(ValueError, match="centring"):
        RBM(12, 5).fit(x, 2, rule="fpcd", centred=True, resume=tmp_path / "c")


def test_plain_settings_describe_themselves_as_before_there_were_rules() -> None:
    """Checkpoints from before the other rules must go on: no key of theirs has changed, and new ones are None."""
    settings = CDSettings.create(
        k=1,
        persistent=True,
        batch_size=10,
        n_chains=None,
        learning_rate=0.1,
        momentum=None,
        weight_decay=0.001,
    )
    constant = {"schedule": "Constant", "value": 0.1}
    assert {name: value for name, value in settings.describe().items() if value is not None} == {
        "batch_size": 10,
        "k": {"schedule": "Constant", "value": 1.0},
        "learning_rate": constant,
        "momentum": {"schedule": "Constant", "value": 0.5},
        "n_chains": 10,
        "persistent": True,
        "weight_decay": 0.001,
    }
    assert settings.fused


@pytest.mark.parametrize("rule", RULES)
def test_a_short_last_minibatch_is_averaged_over_its_own_rows(rule: str) -> None:
    """The update on the last 30 of 130 rows is the one on a training set of those 30."""
    x = np.random.default_rng(0).integers(0, 2, (130, 12)).astype(np.float32)
    found = []
    for rows, data in ((np.arange(100, 130), x), (np.arange(30), x[100:])):
        model = RBM(12, 5)
        model.b_vis[:] = 0.1  # so that it is not set from the data
        settings = CDSettings.create(
            **{
                "k": 1,
                "persistent": False,
                "batch_size": 100,
                "n_chains": None,
                "learning_rate": 0.5,
                "momentum": None,
                "weight_decay": 0.01,
                **RULES[rule],
                "centred": False,
                "sparsity": None,
            }
        )
        ContrastiveDivergence(model, data, settings).step(rows, 0.0)
        found.append([parameter.tobytes() for parameter in model.parameters().values()])
    assert found[0] == found[1]


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_learns(rule: str) -> None:
    """Bars of 3 x 3, six patterns: at most -log 6 = -1.79 nats; independent units reach -5.73."""
    bars = np.zeros((6, 9), dtype=np.float32)
    for i in range(3):
        bars[i].reshape(3, 3)[i] = 1
        bars[3 + i].reshape(3, 3)[:, i] = 1
    options = {**RULES[rule], "l1": 0.0, "sparsity": None, "momentum": 0.5, "weight_decay": 0.0}
    options["learning_rate"] = train.Linear(0.2, 0.0, 150)
    model = RBM(9, 8, seed=3).fit(np.tile(bars, (20, 1)), 150, batch_size=30, **options)
    assert model.log_likelihood(bars) > -3.4


def test_real_valued_data(isa: str) -> None:
    x = np.random.default_rng(0).random((130, 12), dtype=np.float32)
    for options in RULES.values():
        model = RBM(12, 5).fit(x, 2, **options)
        assert np.isfinite(model.w).all()


# Failure


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rule": "fast"}, ValueError, r"^rule: .*'fpcd'.*'fast'"),
        ({"rule": 3}, TypeError, r"^rule: "),
        ({"rule": "cd", "persistent": True}, ValueError, r"^persistent: "),
        ({"rule": "cd", "n_chains": 5}, ValueError, r"^n_chains: "),
        ({"centred": "model"}, ValueError, r"^offsets: "),
        ({"centred": 0.5}, TypeError, r"^centred: "),
        ({"sparsity": 0.1}, TypeError, r"^sparsity: "),
        ({"l1": -1.0}, ValueError, r"^l1: "),
        ({"l1": float("nan")}, ValueError, r"^l1: "),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        RBM(12, 5).fit(np.zeros((4, 12)), 1, **options)


def test_bad_settings_are_named() -> None:
    for make, message in (
        (lambda: train.FastPCD(decay=1.0), "decay"),
        (lambda: train.FastPCD(learning_rate=-1.0), "learning_rate"),
        (lambda: train.TemperedPCD(temperatures=(2.0, 3.0)), "temperatures"),
        (lambda: train.Centring(rate=0.0), "rate"),
        (lambda: train.Sparsity(1.0, 0.1), "target"),
        (lambda: train.Sparsity(0.1, -0.1), "cost"),
        (lambda: train.Sparsity(0.1, 0.1, decay=1.0), "decay"),
    ):
        with pytest.raises(ValueError, match=f"^{message}: "):
            make()


@pytest.mark.parametrize("rule", RULES)
def test_divergence_is_an_error(rule: str) -> None:
    x = np.random.default_rng(0).integers(0, 2, (130, 12)).astype(np.float32)
    with pytest.raises((FloatingPointError, ValueError)):
        RBM(12, 5).fit(x, 50, **{**RULES[rule], "learning_rate": 1e38})
