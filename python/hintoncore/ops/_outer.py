"""Sums of outer products; :mod:`hintoncore.ops` has them all."""

from __future__ import annotations

from .. import _core
from .._validate import Array, as_float32, as_number, in_place
from ..bitmatrix import BitMatrix

__all__ = ["outer_update"]


def outer_update(x: BitMatrix | Array, y: Array, w: Array, b: Array | None = None, *, rate: float) -> None:
    """Add a sum of outer products to weights: ``w += rate * x^T y`` and ``b += rate * sum over the batch of y``.

    With ``y = target - output`` it is the delta rule, with activities or probabilities a Hebbian statistic. States that
    are bits take the lookup product, and are never unpacked.

    Parameters
    ----------
    x : BitMatrix or array, shape (B, I)
        Inputs.
    y : array, shape (B, O)
        What each input of a row is multiplied with.
    w : float32 array, shape (I, O)
        Updated in place.
    b : float32 array, shape (O,), optional
        Updated in place.
    rate : float
        May be negative, as for a negative phase. Divide it by B for a mean.

    Raises
    ------
    ValueError, TypeError
        For shapes that do not agree, arrays that cannot be written in place or share memory. Nothing is changed then.
    FloatingPointError
        The update produced NaN or infinite weights (which `w` or `b` now holds).

    References
    ----------
    Widrow and Hoff (1960), Adaptive switching circuits; Hinton, Osindero and Teh (2006), A fast learning algorithm for
    deep belief nets, appendix B.
    """
    packed = isinstance(x, BitMatrix)
    _core.outer_update(
        x.words if isinstance(x, BitMatrix) else as_float32(x, "x", 2),
        packed,
        x.batch if isinstance(x, BitMatrix) else 0,
        as_float32(y, "y", 2),
        in_place(w, "w", 2),
        None if b is None else in_place(b, "b", 1),
        as_number(rate, "rate"),
    )
