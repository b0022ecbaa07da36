"""Arrays of other libraries: DLPack in, the same kind out, and parameters updated in the memory they own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import hintoncore as hc

RNG = np.random.default_rng(0)
V = (RNG.random((70, 33)) < 0.5).astype(np.float32)
W = RNG.normal(0, 0.3, (33, 20)).astype(np.float32)
B_VIS, B_HID = RNG.normal(0, 0.3, 33).astype(np.float32), RNG.normal(0, 0.3, 20).astype(np.float32)


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="torch is not installed")


class OnlyDLPack:
    """The protocol and nothing else."""

    def __init__(self, x: np.ndarray) -> None:
        self.x = x

    def __dlpack__(self, **options: Any) -> Any:
        return self.x.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.x.__dlpack_device__()


class Broken(OnlyDLPack):
    def __dlpack__(self, **options: Any) -> Any:
        raise BufferError("no export today")


def test_gibbs_step_takes_and_returns_tensors(torch: Any) -> None:
    wanted, p = hc.ops.gibbs_step(V, W, B_HID, rng=1, return_probs=True)
    v, w, b = (torch.from_numpy(x.copy()) for x in (V, W, B_HID))
    sample, probs = hc.ops.gibbs_step(v, w, b, rng=1, return_probs=True)
    for found, expected in ((sample, wanted), (probs, p)):
        assert type(found) is torch.Tensor
        assert found.dtype == torch.float32
        np.testing.assert_array_equal(found.numpy(), expected)
    sample += 1  # the caller's own, writeable memory
    # The kind of the result is the kind of the states.
    assert type(hc.ops.gibbs_step(V, w, b, rng=1)) is np.ndarray
    assert type(hc.ops.gibbs_step(v, W, B_HID, rng=1)) is torch.Tensor
    packed, probs = hc.ops.gibbs_step(hc.BitMatrix.from_dense(v), w, b, rng=1, return_probs=True)
    assert type(packed) is hc.BitMatrix
    assert type(probs) is np.ndarray
    np.testing.assert_array_equal(packed.to_dense(), wanted)


def test_other_tensors_are_converted(torch: Any) -> None:
    wanted = hc.ops.gibbs_step(V, W, B_HID, rng=1)
    v, w = torch.from_numpy(V), torch.from_numpy(W)
    for states in (v.bool(), v.to(torch.uint8), v.double(), v.half(), v.T.contiguous().T):
        np.testing.assert_array_equal(hc.ops.gibbs_step(states, w, B_HID, rng=1), wanted)
    np.testing.assert_array_equal(hc.ops.gibbs_step(v, w.T.contiguous().T, B_HID, rng=1), wanted)
    np.testing.assert_array_equal(hc.BitMatrix.from_dense(v.bool()).to_dense(), V)


def test_cd_update_trains_tensors_in_place(torch: Any) -> None:
    expected = [W.copy(), B_VIS.copy(), B_HID.copy()]
    tensors = [torch.from_numpy(x.copy()) for x in expected]
    velocities = [[np.full_like(x, 0.1) for x in expected], [torch.full_like(t, 0.1) for t in tensors]]
    addresses = [t.data_ptr() for t in tensors]
    options: dict[str, Any] = {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.01, "k": 2}
    stats = hc.ops.cd_update(V, *expected, rng=1, velocity=tuple(velocities[0]), **options)
    found = hc.ops.cd_update(torch.from_numpy(V), *tensors, rng=1, velocity=tuple(velocities[1]), **options)
    assert found == stats
    assert [t.data_ptr() for t in tensors] == addresses
    for mine, theirs in zip((*expected, *velocities[0]), (*tensors, *velocities[1]), strict=True):
        np.testing.assert_array_equal(theirs.numpy(), mine)
    assert not np.array_equal(expected[0], W)


def test_cd_update_trains_the_parameters_of_a_module(torch: Any) -> None:
    w = torch.nn.Parameter(torch.from_numpy(W.copy()))
    b_vis, b_hid = B_VIS.copy(), B_HID.copy()
    hc.ops.cd_update(V, w.data, b_vis, b_hid, lr=0.1, rng=1)
    expected = W.copy()
    hc.ops.cd_update(V, expected, B_VIS.copy(), B_HID.copy(), lr=0.1, rng=1)
    np.testing.assert_array_equal(w.detach().numpy(), expected)


def test_tensors_that_require_gradients_are_refused_by_name(torch: Any) -> None:
    w = torch.from_numpy(W.copy()).requires_grad_()
    with pytest.raises(TypeError, match=r"^w: .*detach"):
        hc.ops.gibbs_step(V, w, B_HID, rng=1)
    with pytest.raises(TypeError, match=r"^w: .*detach"):
        hc.ops.cd_update(V, w, B_VIS.copy(), B_HID.copy(), lr=0.1, rng=1)


def test_tensors_that_cannot_be_written_in_place_are_refused(torch: Any) -> None:
    b_vis, b_hid = B_VIS.copy(), B_HID.copy()
    w = torch.from_numpy(W.copy())
    for bad, error in ((w.double(), TypeError), (w.T.contiguous().T, ValueError), (w[None], ValueError)):
        with pytest.raises(error, match=r"^w: "):
            hc.ops.cd_update(V, bad, b_vis, b_hid, lr=0.1, rng=1)
    with pytest.raises(ValueError, match="share memory"):
        hc.ops.cd_update(V, w, b_vis, b_hid, lr=0.1, rng=1, velocity=(w, b_vis.copy(), b_hid.copy()))
    for bad in (w.bfloat16(), w.to_sparse(), w.to(torch.complex64), w.to("meta")):
        with pytest.raises(TypeError, match=r"^w: "):
            hc.ops.gibbs_step(V, bad, B_HID, rng=1)
    np.testing.assert_array_equal(w.numpy(), W)


def test_anything_with_dlpack_goes_in() -> None:
    wanted = hc.ops.gibbs_step(V, W, B_HID, rng=1)
    np.testing.assert_array_equal(hc.ops.gibbs_step(V, OnlyDLPack(W), OnlyDLPack(B_HID), rng=1), wanted)
    np.testing.assert_array_equal(hc.BitMatrix.from_dense(OnlyDLPack(V)).to_dense(), V)
    with pytest.raises(TypeError, match=r"^w: .*no export today"):
        hc.ops.gibbs_step(V, Broken(W), B_HID, rng=1)
    w = W.copy()
    hc.ops.cd_update(V, OnlyDLPack(w), B_VIS.copy(), B_HID.copy(), lr=0.1, rng=1)
    assert not np.array_equal(w, W)


def test_read_only_memory_stays_read_only_through_dlpack() -> None:
    w = W.copy()
    w.flags.writeable = False
    with pytest.raises((TypeError, ValueError), match=r"^w: "):
        hc.ops.cd_update(V, OnlyDLPack(w), B_VIS.copy(), B_HID.copy(), lr=0.1, rng=1)
    np.testing.assert_array_equal(w, W)


def test_jax_arrays() -> None:
    jax = pytest.importorskip("jax", reason="jax is not installed")
    wanted = hc.ops.gibbs_step(V, W, B_HID, rng=1)
    found = hc.ops.gibbs_step(jax.numpy.asarray(V), jax.numpy.asarray(W), jax.numpy.asarray(B_HID), rng=1)
    assert isinstance(found, jax.Array)
    np.testing.assert_array_equal(np.asarray(found), wanted)
    with pytest.raises((TypeError, ValueError), match=r"^w: "):  # immutable
        hc.ops.cd_update(V, jax.numpy.asarray(W), B_VIS.copy(), B_HID.copy(), lr=0.1, rng=1)
