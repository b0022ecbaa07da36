"""Real states for the rows about RBMs: MNIST digits, and a machine that has seen them all once.

Random bits are as dense as they are asked to be and independent; the states that a user trains on, and those of trained
units, are sparse and come in runs.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

PIXELS = 784
_RATE, _BATCH = 0.05, 100


class Digits(NamedTuple):
    """Parameters after one epoch of CD-1, and the images, binarised by threshold 0.5."""

    w: Any  # float32 [784, hidden]
    b_vis: Any
    b_hid: Any
    b_base: Any  # biases of independent pixels, as on as they are in the images
    images: Any  # uint8 [60000, 784], in random order

    def minibatch(self, number: int, size: int) -> Any:
        """The `number`-th `size` images, float32 [size, 784]."""
        return self.images[number * size : (number + 1) * size].astype(np.float32)


def found() -> bool:
    """Is MNIST on this machine?"""
    from hintoncore.datasets import locate

    return locate("mnist") is not None


@cache
def trained(hidden: int, seed: int) -> Digits:
    """The same for every contestant: about a second of training in each of their processes."""
    from hintoncore import BitMatrix, Generator, datasets, ops

    draw = np.random.Generator(np.random.SFC64(seed))
    images = (datasets.load("mnist").train > np.float32(0.5)).astype(np.uint8)
    images = images[draw.permutation(len(images))]
    mean = images.mean(0, dtype=np.float64).clip(1e-3, 1 - 1e-3)
    w = draw.standard_normal((PIXELS, hidden), dtype=np.float32) * np.float32(0.01)
    b_base, b_hid = np.log(mean / (1 - mean)).astype(np.float32), np.zeros(hidden, dtype=np.float32)
    b_vis = b_base.copy()
    rng = Generator(seed)
    digits = Digits(w, b_vis, b_hid, b_base, images)
    for number in range(len(images) // _BATCH):
        ops.cd_update(BitMatrix.from_dense(digits.minibatch(number, _BATCH)), w, b_vis, b_hid, lr=_RATE, rng=rng)
    return digits
