"""The experiment on faces, its patches and its attributes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from quick import check_quick

from hintoncore import Generator
from hintoncore.experiments._face_patches import PATCH, face_patches
from hintoncore.experiments.faces import _direction, _Standard, smile, turn


def test_quick(tmp_path: Path) -> None:
    report = check_quick("faces", tmp_path)
    film = report["details"]["0"]["film"]
    for errors in (film["train_squared_error"], film["test_squared_error"]):
        assert errors["autoencoder"] < errors["principal components"]
    assert all(0.3 < moved < 1.5 for moved in film["attribute_moved"].values())


def test_patches_are_rotated_scaled_and_inside() -> None:
    """On two ramps bilinear sampling is exact, so the patch tells its own geometry."""
    down, right = np.mgrid[0:64, 0:64].astype(np.float64)
    y, x = (face_patches(ramp[None], 500, Generator(3)).reshape(-1, PATCH, PATCH) for ramp in (down, right))
    for patch in (y, x):
        assert patch.min() >= 0
        assert patch.max() <= 63
        assert np.abs(np.diff(patch, n=2, axis=1)).max() < 1e-4, "a straight grid"
        assert np.abs(np.diff(patch, n=2, axis=2)).max() < 1e-4
    step_down = np.stack([np.diff(y, axis=1)[:, 0, 0], np.diff(x, axis=1)[:, 0, 0]])
    step_right = np.stack([np.diff(y, axis=2)[:, 0, 0], np.diff(x, axis=2)[:, 0, 0]])
    lengths = np.linalg.norm(step_down, axis=0)
    np.testing.assert_allclose(np.linalg.norm(step_right, axis=0), lengths, atol=1e-4)
    assert np.abs((step_down * step_right).sum(axis=0)).max() < 1e-3, "a right angle"
    assert np.linalg.det(np.stack([step_down, step_right]).transpose(2, 0, 1)).min() > 0, "never mirrored"
    assert 1.4 <= lengths.min() + 1e-4 < 1.41
    assert 1.79 < lengths.max() - 1e-4 <= 1.8
    angles = np.degrees(np.arctan2(step_right[0], step_right[1]))
    assert angles.min() == pytest.approx(-90, abs=3)
    assert angles.max() == pytest.approx(90, abs=3)
    middles = np.stack([y[:, 12, 12], x[:, 12, 12]])
    assert np.all(middles.std(axis=1) > 0.8), "cropped at different places"


def test_patches_come_image_by_image_and_by_seed() -> None:
    images = np.stack([np.full((64, 64), level) for level in (0.25, 0.5, 1.0)])
    patches = face_patches(images, 4, Generator(1))
    assert patches.shape == (12, PATCH**2)
    np.testing.assert_allclose(patches.mean(axis=1), np.repeat([0.25, 0.5, 1.0], 4), rtol=1e-6)
    noise = np.random.default_rng(0).random((2, 64, 64))
    again = face_patches(noise, 3, Generator(1))
    np.testing.assert_array_equal(face_patches(noise, 3, Generator(1)), again)
    assert not np.array_equal(face_patches(noise, 3, Generator(2)), again)
    with pytest.raises(ValueError, match=r"images: expected shape \[N, S, S\]"):
        face_patches(noise[:, :50], 3, Generator(1))


def test_standard_pixels() -> None:
    rows = np.random.default_rng(0).normal(3, [1, 2, 4], (500, 3)).astype(np.float32)
    standard = _Standard.of(rows)
    scaled = standard.apply(rows)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    assert scaled.var(axis=0).mean() == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(standard.undo(scaled), rows, atol=1e-5)


def test_attributes_see_what_they_are_named_after() -> None:
    face = np.full((28, 20), 0.5, np.float32)
    smiling, turned = face.copy(), face.copy()
    smiling[20:23, 7:13] = 0.9
    turned[:, 10:] = 0.8
    frames = np.stack([face, smiling, turned]).reshape(3, -1)
    assert smile(frames) == pytest.approx([0, 0.4, 0], abs=1e-6)
    assert turn(frames)[0] == pytest.approx(9.5)
    assert turn(frames)[2] > 10
    codes = np.arange(20, dtype=np.float32)[:, None] * np.array([1, -2], np.float32)
    np.testing.assert_allclose(_direction(codes, np.arange(20.0)), [16, -32])
