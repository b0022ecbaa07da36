"""The Hopfield net: memories as minima of an energy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import ops
from hintoncore._counts import as_count
from hintoncore._validate import as_float32
from hintoncore.bitmatrix import BitMatrix
from hintoncore.generator import RngLike
from hintoncore.samplers._machines import dense_energies

__all__ = ["HopfieldNet"]

Float32Array = NDArray[np.float32]

_COLD = 1e-6  # below every field, so that a unit goes where its field points


class HopfieldNet:
    """Content-addressable memory of units of -1 and +1 (0 and 1 in all arguments), updated one after the other.

    The energy is ``E(s) = -1/2 s^T w s``; a unit takes the sign of its field, so E never rises.

    Parameters
    ----------
    n_units : int >= 1

    Attributes
    ----------
    w : array of float32, shape (N, N)
        Symmetric, zero on the diagonal.

    References
    ----------
    J. J. Hopfield, "Neural networks and physical systems with emergent collective computational abilities", PNAS 79,
    1982; L. Personnaz, I. Guyon, G. Dreyfus, "Information storage and retrieval in spin-glass like neural networks",
    Journal de Physique Lettres 46, 1985 (projection rule).

    Examples
    --------
    >>> import numpy as np
    >>> from hintoncore.models import HopfieldNet
    >>> patterns = (np.random.default_rng(0).random((3, 100)) < 0.5).astype(np.float32)
    >>> net = HopfieldNet(100).store(patterns)
    >>> bool((net.recall(patterns) == patterns).all())
    True
    """

    def __init__(self, n_units: int) -> None:
        self.n_units = as_count(n_units, "n_units")
        self.w: Float32Array = np.zeros((self.n_units, self.n_units), dtype=np.float32)

    def store(self, patterns: ArrayLike, *, rule: str = "hebb") -> HopfieldNet:
        """Set the weights to those of these memories; earlier ones are forgotten.

        Parameters
        ----------
        patterns : array of 0 and 1, shape (P, N)
        rule : {"hebb", "projection"}
            "hebb": ``w = 1/N sum_p s_p s_p^T``, local, holds 0.138 N random patterns. "projection": the projector on
            the patterns, which holds correlated ones such as pictures as well; not local.

        Raises
        ------
        ValueError, TypeError
            For another rule, or patterns that do not fit or are not 0 and 1.
        """
        spins = 2.0 * self._bits(patterns, "patterns").astype(np.float64) - 1.0
        if rule == "hebb":
            w = spins.T @ spins / self.n_units
        elif rule == "projection":
            _, singular, basis = np.linalg.svd(spins, full_matrices=False)
            basis = basis[singular > singular[0] * 1e-9]  # a pattern stored twice spans no more
            w = basis.T @ basis
        else:
            raise ValueError(f"rule: expected 'hebb' or 'projection', given {rule!r}")
        np.fill_diagonal(w, 0.0)
        self.w = np.ascontiguousarray((w + w.T) / 2, dtype=np.float32)
        return self

    def recall(
        self,
        cues: ArrayLike,
        *,
        sweeps: int = 20,
        clamp: ArrayLike | None = None,
        temperature: float | None = None,
        rng: RngLike = 0,
    ) -> Float32Array:
        """States after sweeps from the cues, by :func:`hintoncore.ops.dense_gibbs`.

        Parameters
        ----------
        cues : array of 0 and 1, shape (B, N)
        sweeps : int >= 1
        clamp : bool array, shape (N,) or (B, N), optional
            Units known to be right, which stay.
        temperature : float > 0, optional
            Without it units take the sign of their field.
        rng : Generator or int
            Of noise; without a temperature it decides nothing but fields of exactly zero.

        Returns
        -------
        array of float32 (0 or 1), shape (B, N)

        Raises
        ------
        ValueError, TypeError
            For arguments that do not fit.
        """
        bits = self._bits(cues, "cues")
        recalled: Float32Array = ops.dense_gibbs(
            bits,
            self.w,
            np.zeros(self.n_units, dtype=np.float32),
            rng=rng,
            sweeps=sweeps,
            temperature=_COLD if temperature is None else temperature,
            clamp=None if clamp is None else np.asarray(clamp),
            spin=True,
        )
        return recalled

    def energy(self, states: ArrayLike) -> NDArray[np.float64]:
        """``-1/2 s^T w s`` of states of 0 and 1, shape (B, N), read as -1 and +1."""
        spins = 2.0 * self._bits(states, "states").astype(np.float64) - 1.0
        return dense_energies(spins, self.w, np.zeros(self.n_units, dtype=np.float32))

    def _bits(self, x: Any, name: str) -> Float32Array:
        array = as_float32(x.to_dense() if isinstance(x, BitMatrix) else np.asarray(x), name, 2)
        if array.shape[1] != self.n_units or not ((array == 0) | (array == 1)).all():
            raise ValueError(f"{name}: expected zeros and ones, shape (rows, {self.n_units}), given {array.shape}")
        return array
