"""What a sampler needs of a model: the energy of a joint state, and sweeps that leave exp(-E / T) invariant."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hintoncore import ops
from hintoncore._validate import Array, as_float32
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import Generator

_CHUNK_ELEMENTS = 1 << 24


class Machine(Protocol):
    """An energy over joint states, and Gibbs sampling of it.

    States are bits, or, for units of other types (:class:`UnitMachine`), rows of a float32 array.
    """

    @property
    def n_units(self) -> int:
        """Bits or values of a joint state."""
        ...

    def energy(self, state: Any) -> NDArray[np.float64]:
        """Energies of the joint states (B, n_units), shape (B,)."""
        ...

    def sweep(self, state: Any, rng: Generator, temperature: float, sweeps: int = 1) -> Any:
        """States after sweeps that leave ``exp(-E / temperature)`` invariant; `state` is not changed."""
        ...


class RBMMachine:
    """The joint states (v, h) of an RBM: V visible units, then H hidden ones.

    ``E(v, h) = -b_vis . v - b_hid . h - v^T w h``. A sweep samples h given v, then v given h, both at the temperature:
    two offsets.

    Parameters
    ----------
    model : object with arrays ``w`` (V, H), ``b_vis`` (V,), ``b_hid`` (H,)
        Such as `hintoncore.models.RBM`. Its arrays are read at every call.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    @property
    def n_units(self) -> int:
        return int(sum(self.model.w.shape))

    def split(self, state: BitMatrix) -> tuple[BitMatrix, BitMatrix]:
        """Visible and hidden states, which share the memory of `state`."""
        n_visible = self.model.w.shape[0]
        return BitMatrix._of(state.words[:n_visible], state.batch), BitMatrix._of(state.words[n_visible:], state.batch)

    def energy(self, state: BitMatrix) -> NDArray[np.float64]:
        """Energies of the joint states; the sums ``v w`` are float32, the rest is float64."""
        v, h = (part.to_dense() for part in self.split(state))
        inputs = ops.linear(v, self.model.w, self.model.b_hid)
        return np.asarray(
            -(v @ self.model.b_vis.astype(np.float64)) - np.einsum("bh,bh->b", inputs, h, dtype=np.float64)
        )

    def sweep(self, state: BitMatrix, rng: Generator, temperature: float, sweeps: int = 1) -> BitMatrix:
        v, h = self.split(state)
        for _ in range(sweeps):
            h = ops.gibbs_step(v, self.model.w, self.model.b_hid, rng=rng, temperature=temperature)
            v = ops.gibbs_step(h, self.model.w, self.model.b_vis, rng=rng, temperature=temperature, transpose=True)
        return BitMatrix._of(np.concatenate([v.words, h.words]), state.batch)


class UnitMachine:
    """The joint states (v, h) of an RBM with units of any type: float32 [B, V + H], visible units first.

    The energy is that of :mod:`hintoncore.models.units`. A sweep samples h given v, then v given h, both at the
    temperature: two offsets.

    Parameters
    ----------
    model : hintoncore.models.RBM
        Units that can be sampled at any temperature: all but stepped sigmoid and noisy rectified linear ones. Its
        arrays are read at every call.

    Raises
    ------
    ValueError
        For units whose distribution has no temperature.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        for units in (model.visible_units, model.hidden_units):
            if not units.tempered:
                raise ValueError(f"model: expected units that can be sampled at any temperature, given {model!r}")

    @property
    def n_units(self) -> int:
        return int(sum(self.model.w.shape))

    def split(self, state: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Visible and hidden states, C-contiguous."""
        n_visible = self.model.w.shape[0]
        return np.ascontiguousarray(state[:, :n_visible]), np.ascontiguousarray(state[:, n_visible:])

    def random_state(self, batch: int, rng: Generator) -> NDArray[np.float32]:
        """Independent units at their biases; two offsets."""
        m = self.model
        layers = ((m.visible_units, m.b_vis), (m.hidden_units, m.b_hid))
        return np.concatenate([units.sample(np.tile(bias, (batch, 1)), rng) for units, bias in layers], axis=1)

    def energy(self, state: NDArray[np.float32]) -> NDArray[np.float64]:
        """Energies of the joint states in float64."""
        m = self.model
        v, h = self.split(state)
        t_v, t_h = (
            np.asarray(u.statistic(s), dtype=np.float64) for u, s in ((m.visible_units, v), (m.hidden_units, h))
        )
        interaction = np.einsum("bh,bh->b", t_v @ m.w.astype(np.float64), t_h)
        return np.asarray(m.visible_units.energy(v, m.b_vis) + m.hidden_units.energy(h, m.b_hid) - interaction)

    def sweep(
        self, state: NDArray[np.float32], rng: Generator, temperature: float, sweeps: int = 1
    ) -> NDArray[np.float32]:
        m = self.model
        v, h = self.split(state)
        for _ in range(sweeps):
            h = m.hidden_units.sample(m.hidden_inputs(v), rng, temperature=temperature)
            v = m.visible_units.sample(m.visible_inputs(h), rng, temperature=temperature)
        return np.concatenate([v, h], axis=1)


class GraphMachine:
    """A Boltzmann machine on a sparse graph: `hintoncore.ops.graph_gibbs` and its energy, one offset a sweep.

    Parameters
    ----------
    indptr, indices, weights, bias, spin, colors
        As in `hintoncore.ops.graph_gibbs`.
    """

    def __init__(
        self, indptr: Array, indices: Array, weights: Array, bias: Array, *, spin: bool = False, colors: Array = None
    ) -> None:
        self.bias = as_float32(bias, "bias", 1)
        self.indptr, self.indices = np.asarray(indptr), np.asarray(indices)
        self.weights = np.asarray(weights, dtype=np.float32)
        self.spin, self.colors = bool(spin), colors
        self.sweep(BitMatrix.zeros((1, self.n_units)), Generator(0), 1.0)  # checks every argument

    @property
    def n_units(self) -> int:
        return len(self.bias)

    def energy(self, state: BitMatrix) -> NDArray[np.float64]:
        rows = np.repeat(np.arange(self.n_units), np.diff(self.indptr))
        once = rows < self.indices
        i, j, w = rows[once], self.indices[once], self.weights[once].astype(np.float64)
        s = state.to_dense(np.float64)
        if self.spin:
            s = 2.0 * s - 1.0
        energy = -(s @ self.bias.astype(np.float64))
        chunk = max(1, _CHUNK_ELEMENTS // max(1, len(w)))
        for first in range(0, state.batch, chunk):
            part = s[first : first + chunk]
            energy[first : first + chunk] -= (part[:, i] * part[:, j]) @ w
        return np.asarray(energy)

    def sweep(self, state: BitMatrix, rng: Generator, temperature: float, sweeps: int = 1) -> BitMatrix:
        out: BitMatrix = ops.graph_gibbs(
            state,
            self.indptr,
            self.indices,
            self.weights,
            self.bias,
            rng=rng,
            sweeps=sweeps,
            temperature=temperature,
            colors=self.colors,
            spin=self.spin,
        )
        return out


class DenseMachine:
    """A fully connected Boltzmann machine: `hintoncore.ops.dense_gibbs` and its energy, one offset a sweep.

    Parameters
    ----------
    w, b, spin
        As in `hintoncore.ops.dense_gibbs`.
    """

    def __init__(self, w: Array, b: Array, *, spin: bool = False) -> None:
        self.w, self.b, self.spin = as_float32(w, "w", 2), as_float32(b, "b", 1), bool(spin)
        self.sweep(BitMatrix.zeros((1, self.n_units)), Generator(0), 1.0)  # checks every argument

    @property
    def n_units(self) -> int:
        return len(self.b)

    def energy(self, state: BitMatrix) -> NDArray[np.float64]:
        s = state.to_dense(np.float64)
        return dense_energies(2.0 * s - 1.0 if self.spin else s, self.w, self.b)

    def sweep(self, state: BitMatrix, rng: Generator, temperature: float, sweeps: int = 1) -> BitMatrix:
        out: BitMatrix = ops.dense_gibbs(
            state, self.w, self.b, rng=rng, sweeps=sweeps, temperature=temperature, spin=self.spin
        )
        return out


def dense_energies(s: NDArray[np.float64], w: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """``-1/2 s^T w s - b^T s`` of each row of `s`, in float64."""
    return np.asarray(-(s @ b.astype(np.float64)) - 0.5 * ((s @ w.astype(np.float64)) * s).sum(axis=1))


def random_state(machine: Machine, batch: int, rng: Generator) -> Any:
    """Fair bits from one offset; what :meth:`UnitMachine.random_state` draws where units are no bits."""
    if isinstance(machine, UnitMachine):
        return machine.random_state(batch, rng)
    return BitMatrix.from_dense((rng.random((batch, machine.n_units)) < 0.5).astype(np.float32))
