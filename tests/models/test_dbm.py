"""Deep Boltzmann machines against exact enumeration; learning, files, arguments.

Statistical tests are deterministic by seed; a correct machine would fail for at most one seed in a million.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_boltzmann_machine import layer_states, log_weights, log_z, random_machine, visible_log_probabilities

import hintoncore as hc
from hintoncore import reference as ref
from hintoncore import train
from hintoncore.likelihood import dbm_bound, dbm_log_z, exact_log_z
from hintoncore.likelihood._dbm import variational_energy
from hintoncore.models import DBM, RBM
from hintoncore.train.contrastive import CDSettings
from hintoncore.train.mean_field import DoubledRBM, DoubledRBMLearning, MeanFieldLearning

SIZES = [(4, 3, 2), (3, 3, 2, 2), (2, 2, 2, 2, 2)]


def index_of(states: np.ndarray) -> np.ndarray:
    return np.asarray((states.astype(int) << np.arange(states.shape[1])).sum(axis=1))


def settings_of(**changes: Any) -> CDSettings:
    settings: dict[str, Any] = {
        "k": 1,
        "persistent": False,
        "batch_size": 100,
        "n_chains": None,
        "learning_rate": 1.0,
        "momentum": 0.0,
        "weight_decay": 0.0,
    }
    return CDSettings.create(**{**settings, **changes})


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_the_folded_machine_is_the_machine(sizes: tuple[int, ...]) -> None:
    """Energies by the layers' weights are those of the RBM of even and odd layers; its log Z is the machine's."""
    machine = random_machine(sizes)
    layers = layer_states(machine)
    even, odd = (np.concatenate(layers[first::2], axis=1) for first in (0, 1))
    w, b_even, b_odd = (array.astype(float) for array in (machine.w, machine.b_even, machine.b_odd))
    joint = even @ b_even + odd @ b_odd + np.einsum("na,ab,nb->n", even, w, odd)
    np.testing.assert_allclose(joint, log_weights(machine), atol=1e-12)
    assert exact_log_z(machine.folded()).log_z == pytest.approx(log_z(machine), abs=1e-9)
    mask = machine.connections()
    assert (mask is None) == (len(sizes) == 3)
    if mask is not None:
        assert mask.sum() == sum(a * b for a, b in itertools.pairwise(sizes))
        assert not (machine.w * (1 - mask)).any()


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_samples_have_the_machines_distribution(sizes: tuple[int, ...]) -> None:
    """20,000 independent chains of 80 steps: chi-square of the visible states, refused at z = 5 (1 seed in 3.5e6)."""
    machine = random_machine(sizes)
    samples, probs = machine.sample(20_000, 80, rng=11, return_probs=True)
    expected = 20_000 * np.exp(visible_log_probabilities(machine))
    observed = np.bincount(index_of(samples), minlength=len(expected))
    assert expected.min() > 5
    degrees = len(expected) - 1
    limit = degrees * (1 - 2 / (9 * degrees) + 5 * math.sqrt(2 / (9 * degrees))) ** 3
    assert float(((observed - expected) ** 2 / expected).sum()) < limit
    error = np.sqrt((probs * (1 - probs)).mean(axis=0) / len(probs))
    assert (np.abs(samples.mean(axis=0) - probs.mean(axis=0)) < 5.5 * error).all()


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_annealing_finds_log_z(sizes: tuple[int, ...]) -> None:
    """Forward, from the data's base rates, and backward, within five of their standard errors."""
    machine = random_machine(sizes, scale=1.2)
    assert dbm_log_z(machine, method="exact").log_z == pytest.approx(log_z(machine), abs=1e-9)
    rows = np.random.default_rng(0).random((100, sizes[0]), dtype=np.float32)
    alternatives: list[dict[str, Any]] = [{}, {"base": rows}, {"reverse": True}]
    for options in alternatives:
        found = dbm_log_z(machine, chains=500, temperatures=200, rng=3, **options)
        assert 0 < found.std_error < 0.1
        assert abs(found.log_z - log_z(machine)) < 5 * found.std_error


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_annealing_back_from_data_keeps_the_bound_below_the_likelihood(sizes: tuple[int, ...]) -> None:
    """Whatever the rows are; in expectation, so five standard errors of the rows' own spread are allowed."""
    machine = random_machine(sizes, scale=1.2)
    rows = (np.random.default_rng(2).random((200, sizes[0])) < 0.5).astype(np.float32)
    found = dbm_log_z(machine, reverse=True, data=rows, chains=1000, temperatures=200, rng=3)
    bound = dbm_bound(machine, rows, log_z=found).bound
    likelihood = visible_log_probabilities(machine)[index_of(rows)].mean()
    assert bound <= likelihood + 5 * found.std_error
    assert bound >= likelihood - 1.0, "nor is it useless"
    with pytest.raises(ValueError, match="data: only annealing backward"):
        dbm_log_z(machine, data=rows)


def test_annealing_back_from_data_shows_a_mode_that_samples_of_ones_own_do_not() -> None:
    """Two modes, all on and all off, and a base-rate model in the smaller one: forward and back agree without data."""
    machine = DBM((12, 12, 12), seed=0)
    weight = np.float32(0.9)
    for number in range(2):
        machine.weights(number)[...] = weight
    for number, share in ((0, 1.0), (1, 2.0), (2, 1.0)):
        machine.biases(number)[...] = -share * weight * 12 / 2 + 0.1
    exact = dbm_log_z(machine, method="exact").log_z
    off, on = np.zeros((50, 12), np.float32), np.ones((50, 12), np.float32)
    options: dict[str, Any] = {"base": off, "chains": 50, "temperatures": 10, "rng": 1}
    forward, backward = dbm_log_z(machine, **options), dbm_log_z(machine, reverse=True, **options)
    assert forward.log_z < exact - 1
    assert backward.log_z < exact - 1
    assert dbm_log_z(machine, reverse=True, data=on, **options).log_z > exact


@pytest.mark.parametrize("damping", [0.0, 0.5])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_mean_field_rises_to_a_fixed_point_below_the_likelihood(sizes: tuple[int, ...], damping: float) -> None:
    machine = random_machine(sizes, scale=1.5)
    visible = ref.all_states(sizes[0]).astype(np.float32)
    likelihood = visible_log_probabilities(machine) + log_z(machine)
    last = np.full(len(visible), -np.inf)
    for steps in (0, 1, 2, 3, 5, 8, 13, 400):
        even, odd = machine.mean_field_block(visible, steps, damping=damping)
        bound = variational_energy(machine, visible, even, odd)
        assert (bound <= likelihood + 1e-5).all()
        assert (bound >= last - 1e-5).all()
        last = bound
    layers = [visible, *machine.mean_field(visible, steps=1000, tolerance=0.0, damping=damping)]
    for number in range(1, len(sizes)):  # eq. 9: each layer's means follow from its neighbours'
        inputs = layers[number - 1] @ machine.weights(number - 1) + machine.biases(number)
        if number + 1 < len(sizes):
            inputs = inputs + layers[number + 1] @ machine.weights(number).T
        np.testing.assert_allclose(layers[number], ref.sigmoid(inputs), atol=1e-5)
    found = dbm_bound(machine, visible, method="exact")
    assert found.bound == pytest.approx(float((last - log_z(machine)).mean()), abs=1e-3)
    assert found.std_error == 0
    gap = float((likelihood - last).mean())
    assert 1e-3 < gap < 2  # a bound, and not a void one
    assert machine.log_likelihood_bound(visible, method="exact") == found
    np.testing.assert_array_equal(machine.transform(visible, 1), machine.mean_field(visible)[0])


def test_without_connections_above_the_bound_is_the_likelihood() -> None:
    """The posterior of the first hidden layer alone is factorial."""
    machine = random_machine((4, 3, 2))
    machine.weights(1)[...] = 0
    visible = ref.all_states(4).astype(np.float32)
    exact = float(visible_log_probabilities(machine).mean())
    assert dbm_bound(machine, visible, method="exact").bound == pytest.approx(exact, abs=1e-5)


def test_a_machine_that_starts_from_an_rbm_has_its_likelihood() -> None:
    """All of it without weights above; with the small ones of a new machine, nearly. By enumeration."""
    rbm = RBM(5, 4)
    rng = np.random.default_rng(7)
    for array in rbm.parameters().values():
        array[...] = rng.normal(0, 0.8, array.shape)
    visible = ref.all_states(5).astype(np.float32)
    machine = DBM((5, 4, 3), seed=2)
    small = machine.weights(1).copy()
    for scale, tolerance in ((0.0, 1e-5), (10.0, 0.01)):
        machine.weights(1)[...] = np.float32(scale) * small
        assert machine.start_from(rbm) is machine
        bound = dbm_bound(machine, visible, method="exact").bound
        exact = float(visible_log_probabilities(machine).mean())
        assert bound <= exact + 1e-5
        assert bound == pytest.approx(rbm.log_likelihood(visible), abs=tolerance)
    with pytest.raises(ValueError, match="rbm: expected 5 and 4 units"):
        machine.start_from(RBM(5, 3))
    with pytest.raises(ValueError, match="rbm: expected binary units"):
        machine.start_from(RBM(5, 4, visible="gaussian"))


@pytest.mark.parametrize("sizes", [(4, 3, 2), (3, 3, 2, 2)], ids=str)
def test_learning_follows_the_bounds_gradient(sizes: tuple[int, ...]) -> None:
    """One update, 60,000 chains of 40 steps at rate 1, against ``<s s'>`` of data and model by enumeration.

    The data's side is free of noise: the mean field. At most 36 parameters, 6 standard errors: a false alarm for 1e-7
    of the seeds.
    """
    machine = random_machine(sizes)
    x = ref.all_states(sizes[0])[[1, 2, 5, 6]].astype(np.float32)
    n_chains = 60_000
    layers = layer_states(machine)
    p = np.exp(log_weights(machine) - log_z(machine))
    data = [x.astype(float), *machine.mean_field(x, steps=1000, tolerance=0.0)]
    before = {name: array.copy() for name, array in machine.parameters().items()}
    biases = [machine.biases(number).copy() for number in range(len(sizes))]
    weights = [machine.weights(number).copy() for number in range(len(sizes) - 1)]
    settings = settings_of(k=40, persistent=True, batch_size=len(x), n_chains=n_chains)
    task = MeanFieldLearning(machine, x, settings, mean_field_steps=1000)
    task.tolerance = 0.0
    task.step(np.arange(len(x)), 0.0)
    assert machine.w.shape == before["w"].shape
    for number in range(len(sizes)):
        model = p @ layers[number]
        error = np.sqrt(model * (1 - model) / n_chains) + 1e-5
        change = machine.biases(number) - biases[number]
        assert (np.abs(change - (data[number].mean(axis=0) - model)) < 6 * error).all()
    for number in range(len(sizes) - 1):
        model = np.einsum("n,na,nb->ab", p, layers[number], layers[number + 1])
        error = np.sqrt(model * (1 - model) / n_chains) + 1e-5
        expected = data[number].T @ data[number + 1] / len(x) - model
        assert (np.abs(machine.weights(number) - weights[number] - expected) < 6 * error).all()
    mask = machine.connections()
    assert mask is None or not (machine.w * (1 - mask)).any()


@pytest.mark.parametrize("kind", ["data", "enhanced"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_the_centred_gradient_is_the_plain_one_by_the_chain_rule(
    sizes: tuple[int, ...], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines take one step with the same draws: ``dw`` of centred units, and biases ``b = a - w lambda``."""
    monkeypatch.setattr(MeanFieldLearning, "tolerance", 0.0)
    machines = [random_machine(sizes) for _ in range(2)]
    x = ref.all_states(sizes[0])[[1, 2, 5, 6, 7]].astype(np.float32) if sizes[0] > 2 else np.eye(2, dtype=np.float32)
    before = {name: array.astype(float) for name, array in machines[0].parameters().items()}
    hidden = [x, *machines[0].mean_field(x, steps=50, tolerance=0.0)]
    data_even, data_odd = (np.concatenate(hidden[first::2], axis=1).mean(axis=0) for first in (0, 1))
    for machine, centred in zip(machines, (False, train.Centring(kind, rate=0.3)), strict=True):
        settings = settings_of(k=2, persistent=True, batch_size=len(x), n_chains=64, centred=centred)
        MeanFieldLearning(machine, x, settings, mean_field_steps=50).step(np.arange(len(x)), 0.0)
    plain, found = ({n: a - before[n] for n, a in machine.parameters().items()} for machine in machines)
    share = 0.3 * 0.5 if kind == "enhanced" else 0.0  # the model's means are the data's less the biases' gradient
    mu, lam = data_even - share * plain["b_even"], data_odd - share * plain["b_odd"]
    dw = plain["w"] - np.outer(plain["b_even"], lam) - np.outer(mu, plain["b_odd"])
    mask = machines[0].connections()
    dw = dw if mask is None else dw * mask
    assert np.abs(dw - plain["w"]).max() > 0.05
    np.testing.assert_allclose(found["w"], dw, atol=2e-6)
    np.testing.assert_allclose(found["b_even"], plain["b_even"] - dw @ lam, atol=2e-6)
    np.testing.assert_allclose(found["b_odd"], plain["b_odd"] - mu @ dw, atol=2e-6)


def test_centred_it_learns_digits_without_pretraining() -> None:
    """Better than an RBM of its first layer, by the bound with exact log Z."""
    digits = hc.datasets.load("digits")
    x, held_out = hc.datasets.binarize(digits.train), hc.datasets.binarize(digits.test)
    machine = DBM((64, 12, 20), seed=1)
    machine.fit(x, 40, batch_size=20, n_chains=100, learning_rate=0.05, centred=True)
    rbm = RBM(64, 12, seed=1).fit(x, 50, batch_size=20, persistent=True, learning_rate=0.04)
    bound = dbm_bound(machine, held_out, method="exact").bound
    assert bound > rbm.log_likelihood(held_out) + 0.5


@pytest.mark.parametrize(("up", "down"), [(2.0, 1.0), (1.0, 2.0), (2.0, 2.0)])
def test_pretraining_with_doubled_weights_in_expectation(up: float, down: float) -> None:
    """CD-2 of tied copies of a layer by enumeration of its transitions, 6 standard errors of 19 parameters."""
    rng = np.random.default_rng(4)
    model = DoubledRBM(4, 3, up=up, down=down, seed=1)
    for array in model.parameters().values():
        array[...] = rng.normal(0, 0.7, array.shape)
    w, b_vis, b_hid = (array.astype(float) for array in model.parameters().values())
    visible, hidden = ref.all_states(4), ref.all_states(3)

    def conditional(means: np.ndarray, states: np.ndarray) -> np.ndarray:
        return np.asarray(np.prod(np.where(states[None] == 1, means[:, None], 1 - means[:, None]), axis=2))

    up_means = ref.sigmoid(b_hid + up * visible @ w)
    step = conditional(up_means, hidden) @ conditional(ref.sigmoid(b_vis + down * hidden @ w.T), visible)
    rows, repeats = [1, 6, 11], 20_000
    x = np.tile(visible[rows], (repeats, 1)).astype(np.float32)
    start = np.bincount(rows, minlength=16) / 3
    after = start @ step @ step
    before = {name: array.copy() for name, array in model.parameters().items()}
    DoubledRBMLearning(model, x, settings_of(k=2, batch_size=len(x))).step(np.arange(len(x)), 0.0)
    for name, left, right in (
        ("w", visible, up_means),
        ("b_vis", visible, np.ones((16, 1))),
        ("b_hid", np.ones((16, 1)), up_means),
    ):
        products = np.einsum("na,nb->nab", left, right)
        expected = np.einsum("n,nab->ab", start - after, products)
        spread = np.einsum("n,nab->ab", after, products**2) - np.einsum("n,nab->ab", after, products) ** 2
        error = np.sqrt(spread.clip(0) / len(x)) + 1e-5
        change = (model.parameters()[name] - before[name]).reshape(expected.shape)
        assert (np.abs(change - expected) < 6 * error).all(), name


def test_pretraining_composes_the_machine() -> None:
    """Each RBM's weights as they are; a layer between two has the mean of their biases."""
    x = (np.random.default_rng(1).random((90, 12)) < 0.3).astype(np.float32)
    machine = DBM((12, 7, 5, 4), seed=5)
    found: list[list[np.ndarray]] = []
    for number in range(3):
        machine.pretrain_layer(number, x, 2, batch_size=20)
        found.append([machine.weights(number).copy(), machine.biases(number + 1).copy()])
    first = DoubledRBM(12, 7, up=2.0, down=1.0, seed=seed_of(machine, 0))
    settings = settings_of(batch_size=20, learning_rate=0.05, momentum=None, weight_decay=0.0002)
    train.Trainer(DoubledRBMLearning(first, x, settings), batch_size=20).run(2)
    np.testing.assert_array_equal(found[0][0], first.w)
    np.testing.assert_array_equal(found[0][1], first.b_hid)
    np.testing.assert_array_equal(machine.biases(0), first.b_vis)
    np.testing.assert_allclose(machine._bottom_up(x)[0], ref.sigmoid(machine.biases(1) + 2 * (x @ first.w)), atol=1e-5)
    assert not np.array_equal(machine.biases(1), first.b_hid)
    assert np.array_equal(machine.weights(1), found[1][0])
    assert machine.layers_pretrained == 3


def seed_of(machine: DBM, number: int) -> int:
    from hintoncore._streams import Stream, derive_seed

    return derive_seed(machine.seed, Stream.WEIGHTS, number)


def test_it_learns_digits_better_than_its_first_layer_alone() -> None:
    """Bounds with exact log Z: learning together adds to pretraining, and a second layer to an RBM."""
    digits = hc.datasets.load("digits")
    x, held_out = hc.datasets.binarize(digits.train), hc.datasets.binarize(digits.test)
    machine = DBM((64, 12, 20), seed=1).pretrain(x, epochs=20, batch_size=20, learning_rate=0.1)
    pretrained = dbm_bound(machine, held_out, method="exact").bound
    machine.fit(x, 30, batch_size=20, n_chains=100, learning_rate=0.02)
    learned = dbm_bound(machine, held_out, method="exact").bound
    rbm = RBM(64, 12, seed=1).fit(x, 50, batch_size=20, persistent=True, learning_rate=0.04)
    assert learned > pretrained + 0.5
    assert learned > rbm.log_likelihood(held_out) + 0.5


@pytest.mark.parametrize(("binary", "centred"), [(True, False), (False, False), (True, True)])
@pytest.mark.parametrize("sizes", [(9, 6, 5), (9, 5, 4, 3)], ids=str)
def test_every_step_can_be_gone_on_from(tmp_path: Path, sizes: tuple[int, ...], binary: bool, centred: bool) -> None:
    """Of pretraining and of learning, chains and offsets included; short last minibatches and ends of epochs too."""
    x = np.random.default_rng(2).random((50, 9), dtype=np.float32)
    x = (x < 0.4).astype(np.float32) if binary else x
    copies: list[tuple[str, Path]] = []

    class Keep(train.Callback):
        runs_last = True

        def __init__(self, kind: str) -> None:
            self.kind = kind

        def on_step(self, trainer: train.Trainer) -> None:
            copies.append((self.kind, tmp_path / f"{self.kind}{trainer.step}"))
            trainer.save_checkpoint(copies[-1][1])

        def on_epoch(self, trainer: train.Trainer) -> None:
            copies.append((self.kind, tmp_path / f"{self.kind}-epoch{trainer.epoch}"))
            trainer.save_checkpoint(copies[-1][1])

    options: dict[str, Any] = {"batch_size": 20, "k": train.Step(((0, 1), (1, 3)))}

    def machine(kinds: dict[str, Path]) -> DBM:
        machine = DBM(sizes, seed=4)
        for number in range(len(sizes) - 1):
            kind = f"layer{number}"
            keep = [] if kinds else [Keep(kind)]
            machine.pretrain_layer(number, x, 2, callbacks=keep, resume=kinds.get(kind), **options)
        keep = [] if kinds else [Keep("learning")]
        return machine.fit(x, 2, n_chains=11, centred=centred, callbacks=keep, resume=kinds.get("learning"), **options)

    whole = machine({})
    assert len(copies) == 8 * len(sizes)
    for kind, path in copies:
        resumed = machine({kind: path})
        for name, array in whole.parameters().items():
            np.testing.assert_array_equal(resumed.parameters()[name], array, err_msg=f"{path} {name}")
        assert (resumed.epochs_trained, resumed.steps_trained) == (2, 6)
    with pytest.raises(ValueError, match="mean_field_steps"):
        whole.fit(x, 2, n_chains=11, centred=centred, mean_field_steps=3, resume=copies[-1][1], **options)


def test_save_and_load(tmp_path: Path) -> None:
    machine = random_machine((4, 3, 2, 2))
    machine.layers_pretrained, machine.epochs_trained, machine.steps_trained = 3, 2, 50
    machine.save(tmp_path / "machine")
    loaded = DBM.load(tmp_path / "machine")
    assert repr(loaded) == repr(machine) == "DBM((4, 3, 2, 2), seed=0)"
    assert (loaded.layers_pretrained, loaded.epochs_trained, loaded.steps_trained) == (3, 2, 50)
    for name, array in machine.parameters().items():
        np.testing.assert_array_equal(loaded.parameters()[name], array)
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "machine").read_bytes()
    machine.w[...] = 1.0
    machine.save(tmp_path / "wrong")
    with pytest.raises(hc.files.FileFormatError, match="neighbours"):
        DBM.load(tmp_path / "wrong")
    RBM(3, 2).save(tmp_path / "rbm")
    with pytest.raises(hc.files.FileFormatError, match="dbm"):
        DBM.load(tmp_path / "rbm")


def test_bad_arguments_are_refused_by_name() -> None:
    machine = random_machine((4, 3, 2))
    x = np.zeros((6, 4), np.float32)
    cases: list[tuple[str, Any]] = [
        ("sizes", lambda: DBM((4, 3))),
        ("sizes", lambda: DBM((4, 0, 2))),
        ("number", lambda: machine.pretrain_layer(1, x)),
        ("number", lambda: machine.pretrain_layer(2, x)),
        ("X", lambda: machine.fit(x[:, :3])),
        ("X", lambda: machine.fit(x + 2)),
        ("mean_field_steps", lambda: machine.fit(x, mean_field_steps=0)),
        ("learning_rate", lambda: machine.fit(x, learning_rate=-1.0)),
        ("steps", lambda: machine.mean_field(x, steps=-1)),
        ("tolerance", lambda: machine.mean_field(x, tolerance=-1)),
        ("damping", lambda: machine.mean_field(x, damping=1.0)),
        ("layer", lambda: machine.transform(x, layer=3)),
        ("n", lambda: machine.sample(0)),
        ("X", lambda: dbm_bound(machine, x + 0.5, method="exact")),
        ("method", lambda: dbm_bound(machine, x, method="guess")),
        ("chains", lambda: dbm_bound(machine, x, log_z=dbm_log_z(machine, method="exact"), chains=5)),
    ]
    for word, call in cases:
        with pytest.raises(ValueError, match=word):
            call()
