"""Packing 0/1 batches into bits, unpacking them, and turning a packed batch around."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .harness.cases import OURS, Case, Prepared, Request, Setup, within

_SHAPES = ((500, 784), (8192, 784))
_WHAT = ("pack", "unpack", "transpose")


def cases(request: Request) -> list[Case]:
    """Each direction for batches of BxN units; speed in elements (bits) per second."""
    rows = []
    for threads in request.threads:
        for batch, units in request.shapes(2, _SHAPES):
            for index, what in enumerate(_WHAT):
                count = batch * units
                moved = count / 4 if what == "transpose" else count * (4 + 1 / 8)
                rows.append(
                    Case(
                        "bits",
                        f"{what} {batch}x{units}",
                        {"batch": batch, "units": units, "what": index},
                        threads,
                        count,
                        "Gelem/s",
                        (OURS, "numpy"),
                        "copy",
                        moved,
                    )
                )
    return rows


def _prepared(call: Callable[[], Any], dense: Callable[[Any], Any], want: Any) -> Prepared:
    """Checked by turning the answer back into a dense array: every element must be the same."""
    return Prepared(
        call,
        lambda: within(float(np.mean(np.asarray(dense(call())) != want)), 0.0, "share of wrong elements"),
    )


def _batch(setup: Setup) -> Any:
    draw = np.random.Generator(np.random.SFC64(setup.seed))
    return (draw.random((setup.params["batch"], setup.params["units"])) < 0.3).astype(np.float32)


def ours(setup: Setup) -> Prepared:
    """`hintoncore.BitMatrix`."""
    from hintoncore import BitMatrix

    x = _batch(setup)
    packed = BitMatrix.from_dense(x)
    what = _WHAT[setup.params["what"]]
    if what == "pack":
        return _prepared(lambda: BitMatrix.from_dense(x), lambda bits: bits.to_dense(), x)
    if what == "unpack":
        return _prepared(packed.to_dense, lambda dense: dense, x)
    return _prepared(packed.transpose, lambda bits: bits.to_dense(), x.T)


def with_numpy(setup: Setup) -> Prepared:
    """`numpy.packbits` and `unpackbits`, unit-major as ours."""
    x = _batch(setup)
    batch, units = x.shape
    packed = np.packbits(x.T != 0, axis=1, bitorder="little")
    what = _WHAT[setup.params["what"]]

    def unpacked(bits: Any, columns: int = batch) -> Any:
        return np.unpackbits(bits, axis=1, count=columns, bitorder="little")

    if what == "pack":
        return _prepared(lambda: np.packbits(x.T != 0, axis=1, bitorder="little"), lambda bits: unpacked(bits).T, x)
    if what == "unpack":
        return _prepared(lambda: unpacked(packed).T.astype(np.float32), lambda dense: dense, x)
    return _prepared(
        lambda: np.packbits(unpacked(packed).T, axis=1, bitorder="little"),
        lambda bits: unpacked(bits, units).T,
        x.T,
    )


CONTESTANTS = {OURS: ours, "numpy": with_numpy}
