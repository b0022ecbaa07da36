"""The reference implementations: known answers, definitions written out, and finite differences."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hintoncore import reference as ref

SEED = 0x0123456789ABCDEF


def philox_scalar(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x32-10 in Python integers, straight from the definition."""
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k[1], p0 & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_matches_the_known_answers_of_random123(counter: str, key: str, expected: str) -> None:
    words = [[int(word, 16) for word in text.split()] for text in (counter, key, expected)]
    np.testing.assert_array_equal(ref.philox4x32_10(words[0], words[1]), words[2])


def test_philox_broadcasts_over_counters() -> None:
    counters = np.arange(24, dtype=np.uint32).reshape(2, 3, 4)
    blocks = ref.philox4x32_10(counters, [7, 9])
    assert blocks.shape == (2, 3, 4)
    assert blocks.dtype == np.uint32
    for index in np.ndindex(2, 3):
        assert blocks[index].tolist() == philox_scalar(counters[index].tolist(), [7, 9])


@pytest.mark.parametrize("sample", [0, 1, 15, 16, 47, 63, 64, 79, 80, 129])
@pytest.mark.parametrize("unit", [0, 1, 500])
def test_draw_mapping(sample: int, unit: int) -> None:
    offset = (5 << 32) + 3
    counter = [(sample // 64) * 16 + sample % 16, unit, 3, 5]
    word = philox_scalar(counter, [SEED & 0xFFFFFFFF, SEED >> 32])[(sample % 64) // 16]
    expected = ((word >> 9) + 0.5) * 2.0**-23
    assert ref.layer_uniforms(SEED, offset, sample + 1, unit + 1)[sample, unit] == expected


def test_no_two_draws_of_a_layer_share_a_word() -> None:
    uniforms = ref.layer_uniforms(SEED, 0, 130, 40)
    # 5200 draws of 23 bits: about 1.6 equal pairs by chance; a mapping that reuses words makes hundreds.
    assert uniforms.size - np.unique(uniforms).size < 20


def test_uniforms_are_exact_in_float32_and_inside_the_unit_interval() -> None:
    uniforms = ref.layer_uniforms(SEED, 1, 1000, 100)
    np.testing.assert_array_equal(uniforms.astype(np.float32).astype(np.float64), uniforms)
    assert uniforms.min() > 0
    assert uniforms.max() < 1
    # Mean of 1e5 uniforms: standard error 9.1e-4; six of them is a false alarm once in 5e8 seeds.
    assert abs(uniforms.mean() - 0.5) < 6 * math.sqrt(1 / 12 / uniforms.size)


def test_flat_fill_is_one_unit_of_a_layer() -> None:
    np.testing.assert_array_equal(ref.flat_uniforms(SEED, 4, 200), ref.layer_uniforms(SEED, 4, 200, 1)[:, 0])


def test_normals_have_the_moments_of_a_standard_normal() -> None:
    normals = ref.standard_normals(SEED, 0, 100_000)
    # Six standard errors each: a false alarm once in 5e8 seeds for each of the three.
    assert abs(normals.mean()) < 6 / math.sqrt(normals.size)
    assert abs((normals**2).mean() - 1) < 6 * math.sqrt(2 / normals.size)
    assert abs((normals**4).mean() - 3) < 6 * math.sqrt(96 / normals.size)


def test_elementwise_functions_against_math() -> None:
    x = np.array([-800.0, -30.0, -1.5, -1e-9, 0.0, 1e-9, 0.5, 30.0, 700.0])
    np.testing.assert_allclose(ref.exp(x), [math.exp(t) for t in x], rtol=1e-15)
    np.testing.assert_allclose(ref.tanh(x), [math.tanh(t) for t in x], rtol=1e-15)
    np.testing.assert_allclose(ref.log(np.exp(x[2:])), x[2:], atol=1e-15)
    small = x[np.abs(x) <= 30]
    np.testing.assert_allclose(ref.sigmoid(small), [1 / (1 + math.exp(-t)) for t in small], rtol=1e-14)
    np.testing.assert_allclose(ref.softplus(small), [math.log1p(math.exp(t)) for t in small], rtol=1e-14)


def test_elementwise_functions_at_the_ends() -> None:
    with np.errstate(over="raise", invalid="raise"):
        assert ref.sigmoid([-1000.0, 1000.0]).tolist() == [0.0, 1.0]
        assert ref.softplus([-1000.0, 1000.0]).tolist() == [0.0, 1000.0]
        logs = ref.log([0.0, -1.0])
    assert logs[0] == -math.inf
    assert math.isnan(logs[1])


@pytest.mark.parametrize("trans_a", [False, True])
@pytest.mark.parametrize("trans_b", [False, True])
def test_matmul_is_the_sum_over_the_inner_index(trans_a: bool, trans_b: bool) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(-9, 9, (3, 4)), rng.integers(-9, 9, (4, 5))
    product = ref.matmul(a.T if trans_a else a, b.T if trans_b else b, trans_a=trans_a, trans_b=trans_b)
    for i, j in np.ndindex(3, 5):
        assert product[i, j] == sum(a[i, k] * b[k, j] for k in range(4))


@pytest.mark.parametrize("activation", ["none", "relu", "sigmoid", "tanh"])
def test_linear_backward_matches_central_differences(activation: str) -> None:
    rng = np.random.default_rng(1)
    x, w, b = rng.normal(size=(4, 3)), rng.normal(size=(3, 5)), rng.normal(size=5)
    dy = rng.normal(size=(4, 5))
    y = ref.linear(x, w, b, activation=activation)
    gradients = ref.linear_backward(x, w, y, dy, activation=activation)
    eps = 1e-6
    for argument, gradient in zip((x, w, b), gradients, strict=True):
        for index in np.ndindex(argument.shape):
            old = argument[index]
            argument[index] = old + eps
            up = (ref.linear(x, w, b, activation=activation) * dy).sum()
            argument[index] = old - eps
            down = (ref.linear(x, w, b, activation=activation) * dy).sum()
            argument[index] = old
            assert gradient[index] == pytest.approx((up - down) / (2 * eps), abs=1e-6)


def test_linear_names_the_activations_it_knows() -> None:
    with pytest.raises(ValueError, match=r"activation.*'relu'"):
        ref.linear(np.ones((1, 1)), np.ones((1, 1)), activation="gelu")
    with pytest.raises(ValueError, match=r"activation.*'relu'"):
        ref.linear_backward(*[np.ones((1, 1))] * 4, activation="gelu")


BITS = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(0, 140), st.integers(0, 70)),
    elements=st.integers(0, 1),
)


@given(BITS)
def test_bits_round_trip_and_transpose(x: np.ndarray) -> None:
    words = ref.pack_bits(x)
    assert words.shape == (x.shape[1], -(-x.shape[0] // 64))
    np.testing.assert_array_equal(ref.unpack_bits(words, x.shape[0]), x)
    np.testing.assert_array_equal(ref.transpose_bits(words, x.shape[0]), ref.pack_bits(x.T))


def test_place_of_a_bit() -> None:
    x = np.zeros((130, 3))
    x[64 * 1 + 5, 2] = 1
    words = ref.pack_bits(x)
    assert words[2, 1] == 1 << 5
    assert np.count_nonzero(words) == 1


def test_padding_bits_are_zero() -> None:
    words = ref.pack_bits(np.ones((70, 2)))
    assert words[:, 0].tolist() == [2**64 - 1] * 2
    assert words[:, 1].tolist() == [2**6 - 1] * 2


def tiny_rbm(n_visible: int = 4, n_hidden: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_visible, n_hidden)), rng.normal(size=n_visible), rng.normal(size=n_hidden)


def test_gibbs_step_applies_its_definition() -> None:
    w, b_vis, b_hid = tiny_rbm()
    v = np.random.default_rng(2).integers(0, 2, (80, 4))
    sample, probs = ref.gibbs_step(v, w, b_hid, seed=SEED, offset=9, temperature=0.7)
    uniforms = ref.layer_uniforms(SEED, 9, 80, 3)
    np.testing.assert_allclose(probs, 1 / (1 + np.exp(-(b_hid + v @ w) / 0.7)), rtol=1e-13)
    np.testing.assert_array_equal(sample, uniforms < probs)

    back, back_probs = ref.gibbs_step(sample, w, b_vis, seed=SEED, offset=10, transpose=True)
    np.testing.assert_allclose(back_probs, 1 / (1 + np.exp(-(b_vis + sample @ w.T))), rtol=1e-13)
    np.testing.assert_array_equal(back, ref.layer_uniforms(SEED, 10, 80, 4) < back_probs)


def test_gibbs_step_saturates_without_warnings() -> None:
    with np.errstate(over="raise"):
        sample, _ = ref.gibbs_step(np.ones((3, 1)), np.array([[1e4, -1e4]]), np.zeros(2), seed=0, offset=0)
    assert sample.tolist() == [[1, 0]] * 3


def test_cd_update_is_its_half_steps_and_the_update_rule() -> None:
    w, b_vis, b_hid = tiny_rbm(5, 3)
    v0 = np.random.default_rng(3).random((7, 5))
    velocity = tuple(np.full_like(p, 0.01) for p in (w, b_vis, b_hid))
    result = ref.cd_update(
        v0,
        w,
        b_vis,
        b_hid,
        k=2,
        lr=0.1,
        seed=SEED,
        offset=6,
        momentum=0.5,
        weight_decay=0.02,
        velocity=velocity,
    )

    h, _ = ref.gibbs_step(v0, w, b_hid, seed=SEED, offset=6)
    v1, _ = ref.gibbs_step(h, w, b_vis, seed=SEED, offset=7, transpose=True)
    h, _ = ref.gibbs_step(v1, w, b_hid, seed=SEED, offset=8)
    v2, _ = ref.gibbs_step(h, w, b_vis, seed=SEED, offset=9, transpose=True)
    p0, p2 = ref.sigmoid(v0 @ w + b_hid), ref.sigmoid(v2 @ w + b_hid)
    velocity_w = 0.5 * 0.01 + 0.1 * ((v0.T @ p0 - v2.T @ p2) / 7 - 0.02 * w)
    velocity_vis = 0.5 * 0.01 + 0.1 * (v0 - v2).mean(axis=0)
    velocity_hid = 0.5 * 0.01 + 0.1 * (p0 - p2).mean(axis=0)
    np.testing.assert_allclose(result.w, w + velocity_w, rtol=1e-13)
    np.testing.assert_allclose(result.b_vis, b_vis + velocity_vis, rtol=1e-13)
    np.testing.assert_allclose(result.b_hid, b_hid + velocity_hid, rtol=1e-13)
    np.testing.assert_allclose(result.velocity[0], velocity_w, rtol=1e-13)
    np.testing.assert_array_equal(result.chains, v2)
    assert result.reconstruction_error == pytest.approx(((v0 - v1) ** 2).mean())
    assert result.hidden_mean == pytest.approx(p0.mean())


def test_persistent_chains_keep_their_own_number_of_rows() -> None:
    w, b_vis, b_hid = tiny_rbm(5, 3)
    v0 = np.random.default_rng(4).integers(0, 2, (7, 5))
    chains = np.random.default_rng(5).integers(0, 2, (11, 5))
    result = ref.cd_update(v0, w, b_vis, b_hid, lr=1.0, seed=SEED, offset=0, chains=chains)
    h, _ = ref.gibbs_step(chains, w, b_hid, seed=SEED, offset=0)
    v, _ = ref.gibbs_step(h, w, b_vis, seed=SEED, offset=1, transpose=True)
    np.testing.assert_array_equal(result.chains, v)
    np.testing.assert_allclose(result.b_vis, b_vis + v0.mean(axis=0) - v.mean(axis=0))
    assert result.reconstruction_error is None


def test_free_energy_and_log_z_sum_over_states() -> None:
    w, b_vis, b_hid = tiny_rbm(4, 3)

    def weight(v: tuple[int, ...], h: tuple[int, ...]) -> float:
        energy = -np.dot(b_vis, v) - np.dot(b_hid, h) - np.asarray(v) @ w @ np.asarray(h)
        return math.exp(-energy)

    visible, hidden = list(itertools.product((0, 1), repeat=4)), list(itertools.product((0, 1), repeat=3))
    marginals = [sum(weight(v, h) for h in hidden) for v in visible]
    np.testing.assert_allclose(ref.free_energy(visible, w, b_vis, b_hid), -np.log(marginals), rtol=1e-13)
    assert ref.exact_log_z(w, b_vis, b_hid) == pytest.approx(math.log(sum(marginals)), rel=1e-13)


def test_exact_log_z_refuses_to_enumerate_too_much() -> None:
    with pytest.raises(ValueError, match=r"V \+ H <= 20"):
        ref.exact_log_z(np.zeros((11, 10)), np.zeros(11), np.zeros(10))
