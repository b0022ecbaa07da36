"""Weights as squares: white above zero, black below, area by size, the way the papers of the 1980s draw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_squares", "unit_panels"]

_GREY = "#9a9a9a"


def draw_squares(axes: Axes, weights: ArrayLike, largest: float) -> None:
    """Draw a matrix on a grey field: row 0 at the top, NaN left empty; a square fills its cell at ``|w| = largest``."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    matrix = np.asarray(weights, dtype=np.float64)
    squares, colours = [], []
    for (row, column), weight in np.ndenumerate(matrix):
        if np.isnan(weight):
            continue
        side = np.sqrt(min(1.0, abs(weight) / largest)) * 0.92
        squares.append(Rectangle((column - side / 2, row - side / 2), side, side))
        colours.append("white" if weight > 0 else "black")
    axes.add_collection(PatchCollection(squares, facecolors=colours, linewidths=0))
    axes.set_xlim(-0.5, matrix.shape[1] - 0.5)
    axes.set_ylim(matrix.shape[0] - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.set_facecolor(_GREY)
    axes.set_xticks([])
    axes.set_yticks([])


def unit_panels(
    panels: Sequence[NDArray[Any]], *, columns: int, title: str, titles: Mapping[int, str] | None = None
) -> Figure:
    """One panel a unit, all on one scale, `columns` panels a row."""
    from matplotlib.figure import Figure

    largest = max(float(np.nanmax(np.abs(panel))) for panel in panels) or 1.0
    rows = -(-len(panels) // columns)
    height, width = panels[0].shape
    scale = 0.16
    figure = Figure(
        figsize=(max(2.4, columns * (width + 1.2) * scale), rows * (height + 1.6) * scale + 0.5), layout="constrained"
    )
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for index, axis in enumerate(axes):
        if index < len(panels):
            draw_squares(axis, panels[index], largest)
            if titles and index in titles:
                axis.set_title(titles[index], fontsize=7)
        else:
            axis.axis("off")
    figure.suptitle(title, fontsize=9)
    return figure
