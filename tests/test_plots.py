"""Pictures: shapes are checked, equal figures give equal bytes, and nothing half-written stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from hintoncore import plots

DRAW = np.random.default_rng(0)


def pixels(figure: Any) -> Any:
    """What the figure's one image shows, masked where it shows nothing."""
    return figure.axes[0].images[0].get_array()


def test_receptive_fields_are_on_one_symmetric_scale() -> None:
    weights = DRAW.normal(size=(30, 7))
    figure = plots.receptive_fields(weights, (5, 6))
    low, high = figure.axes[0].images[0].get_clim()
    assert low == -high < 0
    assert "all 7 hidden units" in figure.texts[0].get_text()


def test_receptive_fields_show_the_strongest_first() -> None:
    weights = np.ones((4, 3)) * [1.0, 3.0, 2.0]
    canvas = np.ma.filled(pixels(plots.receptive_fields(weights, (2, 2), limit=2)), np.nan)
    assert np.nanmax(canvas) == 3.0
    assert np.nanmin(canvas) == 2.0


def test_weights_of_zero_are_drawn() -> None:
    low, high = plots.receptive_fields(np.zeros((4, 3)), (2, 2)).axes[0].images[0].get_clim()
    assert low < high


def test_every_image_is_in_the_mosaic_once() -> None:
    images = np.arange(1, 8)[:, None] / 10 * np.ones((1, 6))
    canvas = pixels(plots.image_grid(images, (2, 3), "seven"))
    values, counts = np.unique(np.ma.compressed(canvas), return_counts=True)
    np.testing.assert_allclose(values, np.arange(1, 8) / 10, rtol=1e-6)
    assert len(set(counts)) == 1
    assert counts[0] % 6 == 0


def test_reconstructions_lie_below_their_originals() -> None:
    originals, models = np.zeros((20, 4)), np.ones((20, 4))
    canvas = pixels(plots.reconstructions(originals, models, (2, 2)))
    rows = [set(np.ma.compressed(row)) for row in canvas]
    inked = [row for row in rows if row]
    bands = [row for row, above in zip(inked, [set(), *inked], strict=False) if row != above]
    assert bands == [{0.0}, {1.0}] * 2


def test_curves_draw_what_the_records_have() -> None:
    records = [{"epoch": e, "pseudo_log_likelihood": -20 + e, "reconstruction_error": 1 / e} for e in range(1, 4)]
    figure = plots.training_curves(records)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Log-likelihood", "Reconstruction error"]
    assert all(axes.get_xlabel() == "epoch" and axes.get_ylabel() for axes in figure.axes)


def test_no_records_make_a_picture_too(tmp_path: Path) -> None:
    assert plots.save(plots.training_curves([]), tmp_path / "x.png").stat().st_size > 0


def test_equal_figures_give_equal_bytes(tmp_path: Path) -> None:
    images = DRAW.random((9, 16))
    files = [plots.save(plots.image_grid(images, (4, 4), "same"), tmp_path / name) for name in ("a.png", "b.png")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("images", "shape"), [(np.zeros((3, 5)), (2, 3)), (np.zeros((0, 6)), (2, 3)), (np.zeros(6), (2, 3))]
)
def test_shapes_that_do_not_fit_are_refused(images: np.ndarray, shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"images: expected shape \[N, 6\]"):
        plots.image_grid(images, shape, "x")
    with pytest.raises(ValueError, match="w: expected shape"):
        plots.receptive_fields(np.zeros((5, 2)), shape)
    with pytest.raises(ValueError, match="reconstructed: expected 2 images, given 1"):
        plots.reconstructions(np.zeros((2, 6)), np.zeros((1, 6)), shape)


def test_pyplot_and_the_users_backend_are_left_alone(tmp_path: Path) -> None:
    code = (
        "import sys, matplotlib; matplotlib.use('svg'); from hintoncore import plots; "
        f"plots.save(plots.training_curves([]), {str(tmp_path / 'x.png')!r}); "
        "assert matplotlib.get_backend() == 'svg'; assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
