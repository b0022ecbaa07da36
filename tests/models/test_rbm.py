"""The RBM's interface: what it computes, what it refuses, and that equal seeds give equal models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hintoncore as hc
from hintoncore import reference as ref
from hintoncore.files import FileFormatError, load_tensors, save_tensors
from hintoncore.models import RBM
from hintoncore.train import Constant, Linear


@pytest.fixture
def model() -> RBM:
    rng = np.random.default_rng(0)
    rbm = RBM(9, 5, seed=3)
    for parameter in rbm.parameters().values():
        parameter[...] = rng.normal(size=parameter.shape)
    return rbm


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 2, (1100, 9)).astype(np.float32)  # more than one block


def stripes(rows: int = 230, seed: int = 0) -> np.ndarray:
    """4x4 images with whole rows or whole columns on: structure an RBM can learn."""
    rng = np.random.default_rng(seed)
    on = rng.integers(0, 2, (rows, 4))
    images = np.repeat(on[:, :, None], 4, axis=2)
    upright = rng.random(rows) < 0.5
    images[upright] = images[upright].transpose(0, 2, 1)
    return images.reshape(rows, 16).astype(np.float32)


def test_a_new_model_follows_the_practical_guide() -> None:
    rbm = RBM(300, 200, seed=5)
    assert rbm.w.shape == (300, 200)
    assert rbm.w.dtype == np.float32
    # Six standard errors of the mean and of the standard deviation of 60,000 normals.
    assert abs(rbm.w.mean()) < 6 * 0.01 / np.sqrt(rbm.w.size)
    assert abs(rbm.w.std() - 0.01) < 6 * 0.01 / np.sqrt(2 * rbm.w.size)
    assert not rbm.b_vis.any()
    assert not rbm.b_hid.any()
    assert np.array_equal(rbm.w, RBM(300, 200, seed=5).w)
    assert not np.array_equal(rbm.w, RBM(300, 200, seed=6).w)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_visible": 0}, ValueError, "n_visible"),
        ({"n_hidden": -1}, ValueError, "n_hidden"),
        ({"n_hidden": 2.0}, TypeError, "n_hidden"),
        ({"seed": -1}, ValueError, "seed"),
        ({"seed": 2**64}, ValueError, "seed"),
        ({"visible": "gauss"}, ValueError, "visible: supported unit types are 'bernoulli', .*, given 'gauss'"),
        ({"hidden": "relu"}, ValueError, "hidden: supported unit types are 'bernoulli', .*, given 'relu'"),
    ],
)
def test_constructor_refuses(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        RBM(**{"n_visible": 4, "n_hidden": 3, **arguments})  # type: ignore[arg-type]


@pytest.mark.parametrize("packed", [True, False])
def test_deterministic_methods_match_their_formulas(model: RBM, x: np.ndarray, packed: bool) -> None:
    rows = hc.BitMatrix.from_dense(x) if packed else x
    hidden = ref.sigmoid(x @ model.w + model.b_hid)
    np.testing.assert_allclose(model.transform(rows), hidden, atol=1e-6)
    np.testing.assert_allclose(model.reconstruct(rows), ref.sigmoid(hidden @ model.w.T + model.b_vis), atol=1e-6)
    energy = ref.free_energy(x, model.w, model.b_vis, model.b_hid)
    np.testing.assert_allclose(model.free_energy(rows), energy, atol=1e-5)
    assert model.transform(rows).dtype == np.float32
    assert model.free_energy(rows).dtype == np.float64


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 140), st.integers(1, 70), st.integers(1, 40), st.booleans(), st.integers(0, 2**32))
def test_any_size(rows: int, n_visible: int, n_hidden: int, packed: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rbm = RBM(n_visible, n_hidden)
    for parameter in rbm.parameters().values():
        parameter[...] = rng.normal(size=parameter.shape)
    x = rng.integers(0, 2, (rows, n_visible))
    given_rows = hc.BitMatrix.from_dense(x) if packed else x
    hidden = ref.sigmoid(x @ rbm.w.astype(float) + rbm.b_hid)
    np.testing.assert_allclose(rbm.transform(given_rows), hidden, atol=1e-5)
    expected = ref.free_energy(x, rbm.w, rbm.b_vis, rbm.b_hid)
    np.testing.assert_allclose(rbm.free_energy(given_rows), expected, atol=1e-3)
    assert rbm.sample(rows, 2, initial=given_rows).shape == (rows, n_visible)
    rbm.fit(given_rows, epochs=1, batch_size=7, learning_rate=0.01)
    assert rbm.steps_trained == -(-rows // 7)


def test_grey_values_are_probabilities(model: RBM) -> None:
    grey = np.random.default_rng(2).random((7, 9))  # float64 and not binary
    np.testing.assert_allclose(model.transform(grey), ref.sigmoid(grey @ model.w + model.b_hid), atol=1e-6)


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (np.zeros(9), ValueError, r"X: expected shape \[N, 9\]"),
        (np.zeros((3, 8)), ValueError, r"X: expected shape \[N, 9\], given \[3, 8\]"),
        (np.zeros((0, 9)), ValueError, "at least one row"),
        (np.full((2, 9), 2.0), ValueError, r"values in \[0, 1\], given values from 0 to 2"),
        (np.full((2, 9), -0.5), ValueError, r"values in \[0, 1\]"),
        (np.full((2, 9), np.nan), ValueError, r"values in \[0, 1\]"),
        (np.full((2, 9), "a"), TypeError, "numbers or a BitMatrix"),
        (np.zeros((2, 9), dtype=complex), TypeError, "numbers or a BitMatrix"),
        (hc.BitMatrix.zeros((2, 8)), ValueError, r"X: expected shape \[N, 9\], given \[2, 8\]"),
    ],
)
@pytest.mark.parametrize("method", ["transform", "reconstruct", "free_energy", "fit", "log_likelihood"])
def test_rows_that_do_not_fit_are_refused(
    model: RBM, method: str, bad: object, error: type[Exception], message: str
) -> None:
    before = {name: parameter.copy() for name, parameter in model.parameters().items()}
    with pytest.raises(error, match=message):
        getattr(model, method)(bad)
    for name, parameter in model.parameters().items():
        np.testing.assert_array_equal(parameter, before[name])


def test_unknown_likelihood_methods_are_refused(model: RBM, x: np.ndarray) -> None:
    with pytest.raises(ValueError, match="method: expected 'exact', 'ais' or 'bracket', given 'csl'"):
        model.log_likelihood(x, method="csl")  # type: ignore[call-overload]


# Sampling


def test_sample_runs_the_gibbs_chain(model: RBM, x: np.ndarray) -> None:
    rng = hc.Generator(4)
    samples, probs = model.sample(1100, 2, rng=rng, initial=x, return_probs=True, temperature=1.5)
    assert rng.offset == 4
    v = x
    for step in range(2):
        h, _ = ref.gibbs_step(v, model.w, model.b_hid, seed=4, offset=2 * step, temperature=1.5)
        v, expected = ref.gibbs_step(
            h, model.w, model.b_vis, seed=4, offset=2 * step + 1, transpose=True, temperature=1.5
        )
    np.testing.assert_array_equal(samples, v)
    np.testing.assert_allclose(probs, expected, atol=1e-6)
    np.testing.assert_array_equal(model.sample(1100, 2, rng=4, initial=hc.BitMatrix.from_dense(x), temperature=1.5), v)


def test_samples_of_independent_units_have_their_means(model: RBM) -> None:
    model.w[...] = 0
    samples = model.sample(20_000, 1, rng=0)
    assert samples.shape == (20_000, 9)
    means = ref.sigmoid(model.b_vis)
    # Nine means, 5.6 standard errors: a false alarm for 2 seeds in 1e7.
    assert (np.abs(samples.mean(axis=0) - means) < 5.6 * np.sqrt(means * (1 - means) / len(samples))).all()


def test_every_call_draws_anew_and_a_seed_repeats(model: RBM) -> None:
    assert not np.array_equal(model.sample(50, 3), model.sample(50, 3))
    assert np.array_equal(model.sample(50, 3, rng=1), model.sample(50, 3, rng=1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n:"),
        ({"steps": 0}, "steps:"),
        ({"temperature": 0.0}, "temperature"),
        ({"initial": np.zeros((2, 9))}, r"initial: expected shape \[3, 9\], given \[2, 9\]"),
        ({"initial": np.zeros((3, 8))}, r"initial: expected shape \[N, 9\]"),
    ],
)
def test_sample_refuses(model: RBM, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.sample(**{"n": 3, "steps": 2, **arguments})  # type: ignore[call-overload]


# Training


@pytest.mark.parametrize("persistent", [False, True])
def test_training_raises_the_exact_likelihood(persistent: bool) -> None:
    x = stripes(1000)
    rbm = RBM(16, 16, seed=1)
    rbm.fit(x, epochs=0)
    independent = rbm.log_likelihood(x)
    rbm.fit(x, epochs=300, batch_size=50, learning_rate=Linear(0.05, 0.0, 300), momentum=0.5, persistent=persistent)
    # 31 distinct images: the entropy of the data is about 3.4 nats, independent units reach -11.1.
    assert independent < -10.5
    assert rbm.log_likelihood(x) > -5.5


def test_the_first_fit_sets_the_visible_biases_from_the_data() -> None:
    x = np.zeros((98, 3))
    x[:24, 1] = 1
    x[:, 2] = 1
    rbm = RBM(3, 2).fit(x, epochs=0)
    np.testing.assert_allclose(rbm.b_vis, [-np.log(99), -np.log(3), np.log(99)], rtol=1e-6)
    rbm.b_vis[:] = 0.5
    rbm.fit(x, epochs=0)
    assert (rbm.b_vis == 0.5).all()


@pytest.mark.parametrize("persistent", [False, True])
def test_dense_packed_and_converted_data_train_the_same_model(persistent: bool) -> None:
    x = stripes()
    forms: list[Any] = [x, x.astype(np.float64), np.asfortranarray(x), x.astype(bool), hc.BitMatrix.from_dense(x)]
    models = [RBM(16, 7, seed=2).fit(form, epochs=2, batch_size=50, persistent=persistent) for form in forms]
    for model in models[1:]:
        assert np.array_equal(model.w, models[0].w)
        assert np.array_equal(model.b_vis, models[0].b_vis)


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("persistent", [False, True])
def test_an_epoch_is_a_chain_of_reference_updates(persistent: bool, grey: bool) -> None:
    """Minibatches of 100, 100 and a short one of 30, whose gradient is the mean over its 30 rows."""
    x = stripes(230)
    if grey:
        x = 0.8 * x + 0.1 * np.random.default_rng(9).random(x.shape, dtype=np.float32)
    rbm, start = RBM(16, 7, seed=2), RBM(16, 7, seed=2)
    options: dict[str, Any] = {"batch_size": 100, "k": 2, "learning_rate": 0.2, "momentum": 0.5, "weight_decay": 0.01}
    rbm.fit(x, epochs=1, persistent=persistent, n_chains=40 if persistent else None, **options)

    from hintoncore._streams import Stream, derive_seed

    order = hc.Generator(derive_seed(2, Stream.ORDER), 0).permutation(230)
    seed = derive_seed(2, Stream.TRAINING)
    p = (x.sum(axis=0, dtype=float) + 1) / 232
    w: np.ndarray = start.w
    b_vis: np.ndarray = np.log(p / (1 - p)).astype(np.float32)
    b_hid: np.ndarray = start.b_hid
    chains = None
    if persistent:
        no_hidden = np.zeros((40, 7))
        chains, _ = ref.gibbs_step(no_hidden, w, b_vis, seed=derive_seed(2, Stream.CHAINS), offset=0, transpose=True)
    velocity = None
    for batch in range(3):
        result = ref.cd_update(
            x[order[100 * batch : 100 * batch + 100]],
            w,
            b_vis,
            b_hid,
            k=2,
            lr=0.2,
            seed=seed,
            offset=4 * batch,
            momentum=0.5,
            weight_decay=0.01,
            velocity=velocity,
            chains=chains,
        )
        w, b_vis, b_hid, velocity = result.w, result.b_vis, result.b_hid, result.velocity
        chains = result.chains if persistent else None
    np.testing.assert_allclose(rbm.w, w, atol=1e-5)
    np.testing.assert_allclose(rbm.b_vis, b_vis, atol=1e-5)
    np.testing.assert_allclose(rbm.b_hid, b_hid, atol=1e-5)
    assert (rbm.epochs_trained, rbm.steps_trained) == (1, 3)


def test_a_second_fit_draws_anew() -> None:
    x = stripes()
    rbm = RBM(16, 4, seed=0).fit(x, epochs=1, learning_rate=0.0)
    seen: list[float] = []

    class Watch(hc.train.Callback):
        def on_epoch(self, trainer: hc.train.Trainer) -> None:
            seen.append(trainer.history[-1]["reconstruction_error"])

    for _ in range(2):
        rbm.steps_trained += 1
        rbm.fit(x, epochs=1, learning_rate=0.0, callbacks=[Watch()])
    assert seen[0] != seen[1]


@pytest.mark.parametrize(("persistent", "momenta"), [(False, [0.5] * 5 + [0.9]), (True, [0.5] * 6)])
def test_default_momentum(persistent: bool, momenta: list[float]) -> None:
    seen: list[float] = []

    class Watch(hc.train.Callback):
        def on_epoch(self, trainer: hc.train.Trainer) -> None:
            seen.append(trainer.history[-1]["momentum"])

    RBM(16, 4).fit(stripes(), epochs=6, persistent=persistent, callbacks=[Watch()])
    assert seen == momenta


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"epochs": -1}, ValueError, "epochs"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"k": 0}, ValueError, "k: expected at least 1"),
        ({"k": "2"}, TypeError, "k: expected"),
        ({"n_chains": 10}, ValueError, "persistent=True"),
        ({"n_chains": 0, "persistent": True}, ValueError, "n_chains"),
        ({"learning_rate": -0.1}, ValueError, "learning_rate: expected a number >= 0"),
        ({"learning_rate": float("nan")}, ValueError, "expected a finite number"),
        ({"learning_rate": Linear(0.1, -0.1, 1)}, ValueError, "learning_rate: expected a number >= 0, given -"),
        ({"momentum": 1.0}, ValueError, "momentum: expected 0 <= momentum < 1"),
        ({"weight_decay": -1e-4}, ValueError, "weight_decay"),
        ({"validation": np.zeros((3, 15))}, ValueError, r"validation: expected shape \[N, 16\]"),
    ],
)
def test_fit_refuses(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        RBM(16, 4).fit(stripes(), **{"epochs": 1, **arguments})  # type: ignore[arg-type]


def test_divergence_is_reported() -> None:
    with pytest.raises(FloatingPointError, match="learning rate"):
        RBM(16, 4).fit(stripes(), epochs=5, learning_rate=Constant(3e38))


# Files


def test_save_and_load_give_the_same_model_and_the_same_bytes(tmp_path: Path) -> None:
    rbm = RBM(16, 7, seed=2**64 - 1).fit(stripes(), epochs=1)
    rbm.save(tmp_path / "a")
    again = RBM.load(tmp_path / "a")
    again.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert repr(again) == repr(rbm)
    assert (again.epochs_trained, again.steps_trained) == (rbm.epochs_trained, rbm.steps_trained)
    for name, parameter in rbm.parameters().items():
        np.testing.assert_array_equal(again.parameters()[name], parameter)


def change_saved(path: Path, change: str) -> None:
    tensors, metadata = load_tensors(path, kind="rbm")
    if change == "shape":
        tensors["w"] = tensors["w"][:, 1:]
    elif change == "dtype":
        tensors["w"] = tensors["w"].astype(np.float64)
    elif change == "value":
        tensors["b_vis"][0] = np.nan
    elif change == "tensor":
        del tensors["b_hid"]
    elif change == "metadata":
        del metadata["n_hidden"]
    elif change == "unit":
        metadata["visible"] = "gaussian"
    save_tensors(path, tensors, kind="rbm", metadata=metadata)


@pytest.mark.parametrize("change", ["shape", "dtype", "value", "tensor", "metadata", "unit"])
def test_files_that_are_no_rbm_are_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "model.safetensors"
    RBM(16, 7).save(path)
    RBM.load(path)
    change_saved(path, change)
    with pytest.raises(FileFormatError, match=r"model\.safetensors: not a usable RBM"):
        RBM.load(path)
