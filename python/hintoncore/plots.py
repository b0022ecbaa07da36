"""Pictures of models and of training: receptive fields, samples, reconstructions, curves.

Figures are plain matplotlib figures, made without pyplot: no window system, no global state, and a user's own backend
stays as it was. matplotlib is an optional dependency (``pip install "hintoncore[plot]"``).
"""

from __future__ import annotations

import importlib.util
import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["available", "image_grid", "receptive_fields", "reconstructions", "save", "training_curves"]

INSTALL_HINT = 'matplotlib is not installed: pip install "hintoncore[plot]"'

_DPI = 150
_GAP = 4  # screen pixels between the images of a mosaic
_MIN_ZOOM, _MAX_ZOOM, _PIXELS_WIDE = 2, 16, 1000
_COLOURS = {
    "train": "#1f4e79",
    "held out": "#c0392b",
    "exact": "#2e7d32",
    "upper end": "#66a61e",
    "lower end": "#2e7d32",
}

Image = NDArray[np.float32]


def available() -> bool:
    """Whether matplotlib can be imported."""
    return importlib.util.find_spec("matplotlib") is not None


def save(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure as PNG, atomically: equal figures give equal bytes.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
    write_atomic(path, data.getvalue())
    return Path(path)


def receptive_fields(w: ArrayLike, image_shape: tuple[int, int], *, limit: int = 100) -> Figure:
    """Weights of hidden units as images on one symmetric colour scale, strongest units first.

    Parameters
    ----------
    w : array, shape [V, H]
        Weights, with V = rows * columns of the image.
    image_shape : (rows, columns)
    limit : int >= 1
        Units to show.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    weights = np.asarray(w, dtype=np.float32)
    if weights.ndim != 2 or weights.shape[0] != math.prod(image_shape):
        raise ValueError(f"w: expected shape [{math.prod(image_shape)}, H], given {list(weights.shape)}")
    hidden = weights.shape[1]
    order = np.argsort(-np.linalg.norm(weights, axis=0), kind="stable")[:limit]
    top = float(np.percentile(np.abs(weights[:, order]), 99.5)) or 1.0
    shown = "all" if len(order) == hidden else f"the strongest {len(order)} of"
    return _mosaic_figure(
        weights[:, order].T.reshape(-1, *image_shape),
        f"Receptive fields of {shown} {hidden} hidden units",
        colours="RdBu_r",
        limits=(-top, top),
        scale_label="weight",
    )


def image_grid(images: ArrayLike, image_shape: tuple[int, int], title: str, *, columns: int | None = None) -> Figure:
    """Images with values in [0, 1] side by side, 1 as ink.

    Parameters
    ----------
    images : array in [0, 1], shape [N, V]
    image_shape : (rows, columns)
    title : str
    columns : int >= 1, optional
        Images in a line; what makes the picture about square when left out.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    return _mosaic_figure(_as_images(images, image_shape, "images"), title, columns=columns)


def reconstructions(
    originals: ArrayLike,
    reconstructed: ArrayLike,
    image_shape: tuple[int, int],
    title: str = "Held-out images, each above its reconstruction",
) -> Figure:
    """Pairs of rows: originals above what the model makes of them.

    Parameters
    ----------
    originals, reconstructed : arrays in [0, 1], shape [N, V]
    image_shape : (rows, columns)
    title : str

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    above = _as_images(originals, image_shape, "originals")
    below = _as_images(reconstructed, image_shape, "reconstructed")
    if above.shape != below.shape:
        raise ValueError(f"reconstructed: expected {len(above)} images, given {len(below)}")
    columns = min(len(above), 15)
    rows: list[Image] = []
    for start in range(0, len(above), columns):
        for part in (above[start : start + columns], below[start : start + columns]):
            rows.extend(part)
            rows.extend(np.full_like(above[:1], np.nan).repeat(columns - len(part), axis=0))
    return _mosaic_figure(
        np.stack(rows),
        title,
        columns=columns,
        pair_gap=12,
    )


def training_curves(records: Sequence[Mapping[str, Any]]) -> Figure:
    """Likelihood estimates, free energies and reconstruction error over epochs.

    Parameters
    ----------
    records : sequence of mappings
        As in metrics.jsonl: ``epoch`` and any of ``pseudo_log_likelihood``, ``test_log_likelihood``,
        ``train_free_energy``, ``validation_free_energy``, ``reconstruction_error``.
    """
    from matplotlib.figure import Figure

    panels = [panel for panel in _PANELS if any(name in record for record in records for name in panel.names)]
    figure = Figure(figsize=(4.6 * max(1, len(panels)), 3.6), layout="constrained")
    if not panels:
        figure.text(0.5, 0.5, "no epoch is complete", ha="center", va="center")
    for axes, panel in zip(figure.subplots(1, max(1, len(panels)), squeeze=False)[0], panels, strict=False):
        panel.draw(axes, records)
    return figure


class _Panel:
    """One set of axes of the training curves: metrics by name, each with its label and colour."""

    def __init__(
        self, title: str, unit: str, curves: Mapping[str, tuple[str, str]], gap: tuple[str, str] | None
    ) -> None:
        self.title, self.unit, self.curves, self.gap = title, unit, curves, gap

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.curves)

    def draw(self, axes: Axes, records: Sequence[Mapping[str, Any]]) -> None:
        from matplotlib.ticker import MaxNLocator

        ends: list[tuple[float, float, str]] = []
        for name, (label, colour) in self.curves.items():
            epochs, values = _series(records, name)
            if epochs:
                ends.append((values[-1], epochs[-1], _COLOURS[colour]))
                axes.plot(
                    epochs,
                    values,
                    color=_COLOURS[colour],
                    label=label,
                    linewidth=1.6,
                    marker="o" if len(epochs) <= 20 else None,
                    markersize=3.5,
                )
        if self.gap is not None:
            self._fill_gap(axes, records, *self.gap)
        axes.set_title(self.title, fontsize=11, loc="left")
        axes.set_xlabel("epoch")
        axes.set_ylabel(self.unit)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(x=0.08)
        _label_ends(axes, ends)
        axes.grid(color="#e4e4e4", linewidth=0.7)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        if len(axes.get_legend_handles_labels()[0]) > 1:
            axes.legend(frameon=False, fontsize=8.5)

    @staticmethod
    def _fill_gap(axes: Axes, records: Sequence[Mapping[str, Any]], low: str, high: str) -> None:
        both = [record for record in records if low in record and high in record]
        if both:
            epochs, below = _series(both, low)
            axes.fill_between(
                epochs,
                below,
                _series(both, high)[1],
                color=_COLOURS["held out"],
                alpha=0.12,
                linewidth=0,
                label="gap: grows when overfitting",
            )


_PANELS = (
    _Panel(
        "Log-likelihood",
        "nats per image",
        {
            "test_log_likelihood": ("held out, exact", "exact"),
            "bracket_upper": ("held out, AIS", "upper end"),
            "bracket": ("held out, reverse AIS", "lower end"),
            "pseudo_log_likelihood": ("training, pseudo-likelihood", "train"),
            "validation_pseudo_log_likelihood": ("held out, pseudo-likelihood", "held out"),
        },
        None,
    ),
    _Panel(
        "Free energy",
        "nats per image",
        {"train_free_energy": ("training", "train"), "validation_free_energy": ("held out", "held out")},
        ("train_free_energy", "validation_free_energy"),
    ),
    _Panel(
        "Reconstruction error",
        "mean squared error per pixel",
        {"reconstruction_error": ("training", "train")},
        None,
    ),
)


def _label_ends(axes: Axes, ends: Sequence[tuple[float, float, str]]) -> None:
    """Write the last value beside each curve, moving labels up that would lie on one another."""
    low, high = axes.get_ylim()
    height = -math.inf
    for value, epoch, colour in sorted(ends):
        height = max(value, height + 0.05 * (high - low))
        axes.annotate(
            f"{value:.4g}",
            (epoch, height),
            xytext=(5, 0),
            textcoords="offset points",
            fontsize=8,
            color=colour,
            va="center",
            annotation_clip=False,
        )


def _series(records: Sequence[Mapping[str, Any]], name: str) -> tuple[list[float], list[float]]:
    known = [(record["epoch"], record[name]) for record in records if name in record]
    return [float(epoch) for epoch, _ in known], [float(value) for _, value in known]


def _as_images(images: ArrayLike, image_shape: tuple[int, int], name: str) -> Image:
    array = np.asarray(images, dtype=np.float32)
    if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] != math.prod(image_shape):
        raise ValueError(f"{name}: expected shape [N, {math.prod(image_shape)}], given {list(array.shape)}")
    return array.reshape(-1, *image_shape)


def _mosaic(images: Image, columns: int, pair_gap: int) -> Image:
    """Images in rows with gaps of NaN, which stay blank; `pair_gap` more pixels after every second row."""
    rows, columns_of_image = images.shape[1:]
    lines = -(-len(images) // columns)
    tops = [line * (rows + _GAP) + (line // 2) * pair_gap + _GAP for line in range(lines)]
    canvas = np.full((tops[-1] + rows + _GAP, columns * (columns_of_image + _GAP) + _GAP), np.nan, dtype=np.float32)
    for index, image in enumerate(images):
        top, left = tops[index // columns], index % columns * (columns_of_image + _GAP) + _GAP
        canvas[top : top + rows, left : left + columns_of_image] = image
    return canvas


def _mosaic_figure(
    images: Image,
    title: str,
    *,
    columns: int | None = None,
    pair_gap: int = 0,
    colours: str = "gray_r",
    limits: tuple[float, float] = (0.0, 1.0),
    scale_label: str | None = None,
) -> Figure:
    """A mosaic at a whole number of screen pixels per image pixel, with a colour bar if it has a scale to name."""
    import matplotlib
    from matplotlib.figure import Figure

    if columns is None:
        columns = math.ceil(math.sqrt(len(images) * images.shape[1] / images.shape[2]))
    zoom = min(_MAX_ZOOM, max(_MIN_ZOOM, (_PIXELS_WIDE // columns - _GAP) // images.shape[2]))
    canvas = _mosaic(images.repeat(zoom, axis=1).repeat(zoom, axis=2), columns, pair_gap)
    height, width = (size / _DPI for size in canvas.shape)
    left, right, top, bottom = 0.15, 0.95 if scale_label else 0.15, 0.45, 0.15  # margins in inches
    wide = max(width + left + right, 0.4 + 0.085 * len(title))
    figure = Figure(figsize=(wide, height + top + bottom))
    total_width, total_height = figure.get_size_inches()
    axes = figure.add_axes((left / total_width, bottom / total_height, width / total_width, height / total_height))
    colour_map = matplotlib.colormaps[colours].with_extremes(bad="#c8c8c8")
    picture = axes.imshow(
        np.ma.masked_invalid(canvas),
        cmap=colour_map,
        vmin=limits[0],
        vmax=limits[1],
        interpolation="nearest",
        aspect="auto",
    )
    axes.set_axis_off()
    figure.text(left / total_width, 1 - 0.16 / total_height, title, fontsize=11, ha="left", va="top")
    if scale_label is not None:
        bar = figure.add_axes(
            (
                (left + width + 0.12) / total_width,
                (bottom + 0.1 * height) / total_height,
                0.13 / total_width,
                0.8 * height / total_height,
            )
        )
        figure.colorbar(picture, cax=bar).set_label(scale_label)
        bar.tick_params(labelsize=8)
    return figure
