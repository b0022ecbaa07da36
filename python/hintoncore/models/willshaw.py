"""The correlograph of Willshaw, Buneman and Longuet-Higgins: a memory of on/off synapses."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore import ops
from hintoncore._counts import as_count
from hintoncore._validate import as_float32

__all__ = ["WillshawNet"]

Float32Array = NDArray[np.float32]


class WillshawNet:
    """Associates sparse binary patterns by synapses that are on once their two lines were active together.

    Parameters
    ----------
    n_in, n_out : int >= 1
        Lines in and out.

    Attributes
    ----------
    w : array of float32 (0 or 1), shape (n_in, n_out)

    References
    ----------
    D. J. Willshaw, O. P. Buneman, H. C. Longuet-Higgins, "Non-holographic associative memory", Nature 222, 1969.

    Examples
    --------
    >>> import numpy as np
    >>> from hintoncore.models import WillshawNet
    >>> keys = np.eye(6, dtype=np.float32)[:2]
    >>> values = np.array([[1, 1, 0, 0], [0, 0, 1, 1]], dtype=np.float32)
    >>> net = WillshawNet(6, 4).store(keys, values)
    >>> net.recall(keys, active=[2, 2]).tolist()
    [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        self.n_in = as_count(n_in, "n_in")
        self.n_out = as_count(n_out, "n_out")
        self.w: Float32Array = np.zeros((self.n_in, self.n_out), dtype=np.float32)

    def store(self, keys: ArrayLike, values: ArrayLike) -> WillshawNet:
        """Turn on every synapse between an active line of a key and one of its value; nothing is ever turned off.

        Parameters
        ----------
        keys, values : arrays of 0 and 1, shapes (P, n_in) and (P, n_out)

        Raises
        ------
        ValueError, TypeError
            For patterns that do not fit or are not 0 and 1.
        """
        k, v = self._patterns(keys, self.n_in, "keys"), self._patterns(values, self.n_out, "values")
        if len(k) != len(v):
            raise ValueError(f"values: expected {len(k)} rows, one a key, given {len(v)}")
        self.w = np.maximum(self.w, ops.matmul(k, v, trans_a=True) > 0).astype(np.float32)
        return self

    def recall(self, keys: ArrayLike, *, active: ArrayLike) -> Float32Array:
        """The lines that receive most.

        Parameters
        ----------
        keys : array of 0 and 1, shape (B, n_in)
        active : int, or array of ints, shape (B,)
            Lines to turn on for each key: those of the largest sums, the lower numbered of equals. A threshold at the
            number of active input lines, as in the paper, would find nothing once synapses are gone.

        Returns
        -------
        array of float32 (0 or 1), shape (B, n_out)

        Raises
        ------
        ValueError, TypeError
            For arguments that do not fit.
        """
        k = self._patterns(keys, self.n_in, "keys")
        counts = np.broadcast_to(np.asarray(active), (len(k),))
        if counts.dtype.kind not in "iu" or (counts < 0).any() or (counts > self.n_out).any():
            raise ValueError(f"active: expected integers in 0..{self.n_out}")
        sums = ops.matmul(k, self.w)
        ranks = np.argsort(np.argsort(-sums, axis=1, kind="stable"), axis=1)
        return (ranks < counts[:, None]).astype(np.float32)

    @staticmethod
    def _patterns(x: ArrayLike, width: int, name: str) -> Float32Array:
        array = as_float32(np.asarray(x), name, 2)
        if array.shape[1] != width or not ((array == 0) | (array == 1)).all():
            raise ValueError(f"{name}: expected zeros and ones, shape (rows, {width}), given {array.shape}")
        return array
