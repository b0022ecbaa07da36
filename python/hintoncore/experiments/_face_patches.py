"""Patches of portraits, rotated, scaled, cropped and subsampled as in Hinton and Salakhutdinov (2006)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hintoncore.generator import Generator

__all__ = ["PATCH", "face_patches"]

Float32Array = NDArray[np.float32]

PATCH = 25
_STEPS = (1.4, 1.8)
_BLOCK = 4096


def face_patches(images: NDArray[Any], per_image: int, rng: Generator) -> Float32Array:
    """Random square patches of 25x25 pixels, bilinear, row-major.

    A patch is turned by up to 90 degrees either way, its pixels are 1.4 to 1.8 pixels of the image apart, and it lies
    anywhere in the image that has room for it.

    Parameters
    ----------
    images : array, shape [N, S, S], S >= 62
    per_image : int >= 1
    rng : Generator
        Four offsets are used.

    Returns
    -------
    array of float32, shape [N * per_image, 625]
        Those of the first image first.

    Raises
    ------
    ValueError
        If the images are not square or too small.
    """
    side = images.shape[-1]
    if images.ndim != 3 or images.shape[1] != side or side < 62:
        raise ValueError(f"images: expected shape [N, S, S] with S >= 62, given {list(images.shape)}")
    n = len(images) * per_image
    turn, size, down, right = (rng.random(n).astype(np.float64) for _ in range(4))
    angle, step = np.pi * (turn - 0.5), _STEPS[0] + (_STEPS[1] - _STEPS[0]) * size
    cosine, sine = np.cos(angle), np.sin(angle)
    middle, half = (side - 1) / 2, (PATCH - 1) / 2
    room = middle - half * step * (np.abs(cosine) + np.abs(sine))
    centre_y, centre_x = middle + room * (2 * down - 1), middle + room * (2 * right - 1)
    grid_y, grid_x = (axis.ravel() for axis in np.mgrid[-half : half + 1, -half : half + 1])
    of = np.repeat(np.arange(len(images)), per_image)
    patches = np.empty((n, PATCH * PATCH), dtype=np.float32)
    for first in range(0, n, _BLOCK):
        part = np.arange(first, min(first + _BLOCK, n))[:, None]
        y = centre_y[part] + step[part] * (cosine[part] * grid_y - sine[part] * grid_x)
        x = centre_x[part] + step[part] * (sine[part] * grid_y + cosine[part] * grid_x)
        patches[part[:, 0]] = _bilinear(images, of[part], y, x)
    return patches


def _bilinear(images: NDArray[Any], of: NDArray[np.intp], y: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
    """Brightness of images ``of`` at points (y, x) between pixels."""
    last = images.shape[-1] - 2
    top = np.clip(np.floor(y).astype(np.intp), 0, last)
    left = np.clip(np.floor(x).astype(np.intp), 0, last)
    dy, dx = y - top, x - left
    above = (1 - dx) * images[of, top, left] + dx * images[of, top, left + 1]
    below = (1 - dx) * images[of, top + 1, left] + dx * images[of, top + 1, left + 1]
    return np.asarray((1 - dy) * above + dy * below)
