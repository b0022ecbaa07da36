"""Packed bits: packing, unpacking and transposing at every edge, what is refused, and padding that stays zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hintoncore as hc
from hintoncore import reference as ref

pytestmark = pytest.mark.usefixtures("isa")

EDGES = (1, 2, 7, 15, 16, 17, 63, 64, 65, 127, 128, 129)


def bits(batch: int, units: int, density: float = 0.5) -> np.ndarray:
    rng = np.random.default_rng([batch, units])
    return (rng.random((batch, units)) < density).astype(np.float32)


def assert_padding_is_zero(b: hc.BitMatrix) -> None:
    assert b.words.shape == (b.shape[1], (b.batch + 63) // 64)
    if b.batch % 64:
        assert not np.any(b.words[:, -1] >> np.uint64(b.batch % 64))


@pytest.mark.parametrize("batch", EDGES)
def test_pack_unpack_transpose_match_the_reference(batch: int) -> None:
    for units in EDGES:
        for density in (0.0, 0.5, 1.0):
            x = bits(batch, units, density)
            b = hc.BitMatrix.from_dense(x)
            assert b.shape == (batch, units)
            assert b.words.dtype == np.uint64
            np.testing.assert_array_equal(b.words, ref.pack_bits(x))
            np.testing.assert_array_equal(b.to_dense(), x)
            t = b.transpose()
            assert t.shape == (units, batch)
            np.testing.assert_array_equal(t.words, ref.transpose_bits(b.words, batch))
            assert t.transpose() == b
            assert_padding_is_zero(b)
            assert_padding_is_zero(t)


@pytest.mark.parametrize("shape", [(256, 70), (257, 300), (1000, 1), (1, 1000), (700, 1030)], ids=str)
def test_several_tiles(shape: tuple[int, int]) -> None:
    x = bits(*shape)
    b = hc.BitMatrix.from_dense(x)
    np.testing.assert_array_equal(b.words, ref.pack_bits(x))
    np.testing.assert_array_equal(b.transpose().words, ref.pack_bits(x.T))
    np.testing.assert_array_equal(b.to_dense(), x)


def test_the_layout_is_the_documented_one() -> None:
    x = np.zeros((200, 5), np.float32)
    x[130, 3] = 1
    words = hc.BitMatrix.from_dense(x).words
    assert words[3, 2] == 1 << (130 - 128)
    assert np.count_nonzero(words) == 1


def test_to_dense_dtypes() -> None:
    x = bits(70, 9)
    b = hc.BitMatrix.from_dense(x)
    assert b.to_dense().dtype == np.float32
    for dtype in (np.bool_, np.uint8, np.int64, np.float64):
        dense = b.to_dense(dtype)
        assert dense.dtype == dtype
        np.testing.assert_array_equal(dense, x.astype(dtype))


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "int32", "int64", "uint64", "float16", "float32", "float64"]
)
def test_from_dense_dtypes(dtype: str) -> None:
    x = bits(67, 13)
    given_array = x.astype(dtype)
    np.testing.assert_array_equal(hc.BitMatrix.from_dense(given_array).words, ref.pack_bits(x))
    np.testing.assert_array_equal(given_array, x.astype(dtype))


def test_from_dense_layouts() -> None:
    x = bits(67, 24)
    wanted = ref.pack_bits(x)
    big = np.full((134, 48), 7.0, np.float32)
    big[::2, ::2] = x
    for layout in (np.asfortranarray(x), big[::2, ::2], x[::-1][::-1], x[:, ::-1].copy()[:, ::-1], x.tolist()):
        np.testing.assert_array_equal(hc.BitMatrix.from_dense(layout).words, wanted)
    read_only = x.copy()
    read_only.flags.writeable = False
    np.testing.assert_array_equal(hc.BitMatrix.from_dense(read_only).words, wanted)
    row = np.broadcast_to(x[3], (67, 24))
    np.testing.assert_array_equal(hc.BitMatrix.from_dense(row).to_dense(), row)
    swapped = x.astype(">f4")
    np.testing.assert_array_equal(hc.BitMatrix.from_dense(swapped).words, wanted)


def test_minus_zero_is_zero() -> None:
    x = np.full((3, 20), -0.0, np.float32)
    assert not np.any(hc.BitMatrix.from_dense(x).words)


@given(
    shape=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    value=st.one_of(
        st.floats(width=32).filter(lambda v: v not in (0.0, 1.0)),
        st.sampled_from([np.nan, np.inf, -np.inf, 2.0, -1.0, 0.5, 1e-45, float(np.nextafter(np.float32(1), 0))]),
    ),
    where=st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True)),
)
def test_any_value_but_0_and_1_is_refused(shape: tuple[int, int], value: float, where: tuple[float, float]) -> None:
    x = bits(*shape)
    x[int(where[0] * shape[0]), int(where[1] * shape[1])] = value
    with pytest.raises(ValueError, match="x: expected only 0 and 1"):
        hc.BitMatrix.from_dense(x)


@pytest.mark.parametrize(
    ("x", "error"),
    [
        (np.zeros(3), ValueError),
        (np.zeros((2, 3, 4)), ValueError),
        (np.zeros((0, 3)), ValueError),
        (np.zeros((3, 0)), ValueError),
        (np.float32(1), TypeError),
        (np.zeros((2, 2), complex), TypeError),
        (np.zeros((2, 2), object), TypeError),
        (np.zeros((2, 2), "U1"), TypeError),
        (np.zeros((2, 2), "M8[s]"), TypeError),
        ([[0, 1], [1]], (TypeError, ValueError)),
        ("0101", TypeError),
        (None, TypeError),
    ],
    ids=str,
)
def test_from_dense_refuses(x: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^x: "):
        hc.BitMatrix.from_dense(x)


WORDS = np.zeros((3, 2), np.uint64)


@pytest.mark.parametrize(
    ("words", "batch", "error", "name"),
    [
        (WORDS, 0, ValueError, "batch"),
        (WORDS, -1, ValueError, "batch"),
        (WORDS, 2**31, ValueError, "batch"),
        (WORDS, 2**100, ValueError, "batch"),
        (WORDS, 100.0, TypeError, "batch"),
        (WORDS, True, TypeError, "batch"),
        (WORDS, None, TypeError, "batch"),
        (WORDS, 64, ValueError, "words"),
        (WORDS, 129, ValueError, "words"),
        (WORDS[0], 100, ValueError, "words"),
        (WORDS[None], 100, ValueError, "words"),
        (WORDS[:0], 100, ValueError, "words"),
        (WORDS.astype(np.int64), 100, TypeError, "words"),
        (WORDS.astype(np.float32), 100, TypeError, "words"),
        (WORDS.astype(">u8"), 100, TypeError, "words"),
        (WORDS.tolist(), 100, TypeError, "words"),
        (np.asfortranarray(WORDS), 100, ValueError, "words"),
        (np.zeros((3, 4), np.uint64)[:, ::2], 100, ValueError, "words"),
        (np.full((3, 2), 2**63, np.uint64), 127, ValueError, "words"),
    ],
)
def test_constructor_refuses(words: Any, batch: Any, error: type[Exception], name: str) -> None:
    with pytest.raises(error, match=f"^{name}: "):
        hc.BitMatrix(words, batch)


@pytest.mark.parametrize("batch", [1, 63, 65, 127])
def test_constructor_checks_every_padding_bit(batch: int) -> None:
    for bit in range(batch % 64, 64):
        words = np.zeros((2, (batch + 63) // 64), np.uint64)
        words[1, -1] = np.uint64(1) << np.uint64(bit)
        with pytest.raises(ValueError, match="words"):
            hc.BitMatrix(words, batch)
    words[1, -1] = (1 << batch % 64) - 1
    assert hc.BitMatrix(words, batch).to_dense()[-(batch % 64) :, 1].all()


def test_words_are_shared_and_copies_are_not() -> None:
    words = ref.pack_bits(bits(100, 3))
    b = hc.BitMatrix(words, 100)
    assert b.words is words
    other = b.copy()
    again = hc.BitMatrix.from_dense(b)
    assert other == b
    assert again == b
    other.words[0, 0] ^= np.uint64(1)
    again.words[1, 0] ^= np.uint64(1)
    np.testing.assert_array_equal(words, ref.pack_bits(bits(100, 3)))
    assert other != b


def test_equality() -> None:
    x = bits(64, 5)
    b = hc.BitMatrix.from_dense(x)
    assert b == hc.BitMatrix.from_dense(x)
    assert b != hc.BitMatrix.from_dense(1 - x)
    # Same words, another batch: 63 rows and a row of zeros are not 64 rows.
    x[63] = 0
    assert hc.BitMatrix.from_dense(x) != hc.BitMatrix.from_dense(x[:63])
    assert (b == x.tolist()) is False
    with pytest.raises(TypeError):
        hash(b)
    assert repr(b) == "BitMatrix(batch=64, units=5)"
    assert b.nbytes == 40


def test_zeros() -> None:
    b = hc.BitMatrix.zeros((65, 3))
    assert b.shape == (65, 3)
    assert not b.words.any()
    for shape in ((0, 3), (3, 0), (-1, 3), (2**31, 1)):
        with pytest.raises(ValueError, match="shape"):
            hc.BitMatrix.zeros(shape)


def test_minibatches_of_a_packed_data_set() -> None:
    x = bits(300, 70)
    t = hc.BitMatrix.from_dense(x).transpose()
    index = np.random.default_rng(0).permutation(300)[:37]
    minibatch = hc.BitMatrix(t.words[index], 70).transpose()
    assert minibatch == hc.BitMatrix.from_dense(x[index])


@pytest.mark.parametrize("batch", EDGES)
def test_no_operation_leaves_padding_bits(batch: int) -> None:
    """Saturated units are the trap: whatever is written past the batch is a one."""
    for n_visible, n_hidden in ((1, 1), (17, 65), (64, 5)):
        w = np.full((n_visible, n_hidden), 100.0, np.float32)
        b_vis, b_hid = np.full(n_visible, 100.0, np.float32), np.full(n_hidden, 100.0, np.float32)
        v = hc.BitMatrix.from_dense(np.ones((batch, n_visible)))
        h = hc.ops.gibbs_step(v, w, b_hid, rng=1)
        again = hc.ops.gibbs_step(h, w, b_vis, rng=1, transpose=True)
        chains = hc.BitMatrix.zeros((batch, n_visible))
        hc.ops.cd_update(v, w, b_vis, b_hid, lr=0.0, rng=1, chains=chains)
        for b in (v, h, again, chains, h.transpose(), again.copy()):
            assert_padding_is_zero(b)
            assert b.to_dense().all()
