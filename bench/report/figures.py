"""One plot per kernel family: speed of every contestant, with the top edge at the machine's own ceiling."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from hintoncore.files import write_atomic

from ..harness.cases import CEILINGS, OURS
from .document import Document

_COLOURS = {
    OURS: "#c0392b",
    "hintoncore (dense input)": "#e59866",
    "numpy": "#4c78a8",
    "numpy (Philox)": "#9ecae9",
    "torch": "#7f7f7f",
    "torch.compile": "#bab0ac",
    "torch (loop)": "#7f7f7f",
    "torch (nn.RNN)": "#bab0ac",
    "scikit-learn": "#54a24b",
    "rbms": "#72b7b2",
    "jax": "#e45756",
    "thrml": "#b279a2",
    "dwave-samplers": "#eeca3b",
}
_CEILING_LABELS = {"fma": "fp32 multiply-add ceiling", "copy": "copy-bandwidth ceiling"}


def available() -> bool:
    """Whether matplotlib is installed."""
    from importlib.util import find_spec

    return find_spec("matplotlib") is not None


def save_all(document: Document, folder: Path) -> list[Path]:
    """Write FAMILY.png for each family of the run, and return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    families: dict[str, list[dict[str, Any]]] = {}
    for row in document["rows"]:
        if row["speed"]:
            families.setdefault(row["family"], []).append(row)
    paths = []
    for family, rows in families.items():
        path = folder / f"{family}.png"
        _save(_figure(document, family, rows), path)
        paths.append(path)
    return paths


def _save(figure: Any, path: Path) -> None:
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=130, facecolor="white", metadata={"Software": None})
    write_atomic(path, data.getvalue())


def _figure(document: Document, family: str, rows: list[dict[str, Any]]) -> Any:
    """A panel for each thread count and ISA level, stacked, sharing contestants and colours."""
    from matplotlib.figure import Figure

    panels: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for row in rows:
        panels.setdefault((row["threads"], row["isa"]), []).append(row)
    widest = max(len(group) for group in panels.values())
    names = list(dict.fromkeys(name for row in rows for name in row["speed"] if name not in CEILINGS))
    figure = Figure(
        figsize=(max(7.5, 1.7 + 0.28 * widest * (len(names) + 1)), 0.9 + 3.3 * len(panels)),
        layout="constrained",
    )
    axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axis, ((threads, isa), group) in zip(axes, panels.items(), strict=True):
        _panel(axis, group, names)
        axis.set_title(f"{threads} thread{'s' if threads > 1 else ''}, {isa}", loc="left", fontsize=10)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 5), frameon=False, fontsize=9)
    machine = document["machine"]
    figure.suptitle(f"{family}: hintoncore {document['hintoncore']} on {machine['cpu']}", fontsize=11)
    return figure


def _ceiling_speed(row: dict[str, Any]) -> float | None:
    return row["speed"].get(row["ceiling"]) if row["ceiling"] else None


def _panel(axis: Any, rows: list[dict[str, Any]], names: list[str]) -> None:
    """Grouped bars; the ceiling of each case as a line over its group."""
    width = 0.86 / len(names)
    for index, name in enumerate(names):
        places = [place for place, row in enumerate(rows) if name in row["speed"]]
        heights = [rows[place]["speed"][name] for place in places]
        left = [place - 0.43 + width * (index + 0.5) for place in places]
        bars = axis.bar(left, heights, width * 0.94, color=_COLOURS.get(name, "#888888"), label=name, zorder=2)
        if name == OURS:
            labels = axis.bar_label(bars, [_short(height) for height in heights], fontsize=7.5, padding=2)
            for label in labels:
                label.set(zorder=4, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85})
    highest = max(height for row in rows for name, height in row["speed"].items() if name not in CEILINGS)
    ceilings = [(place, _ceiling_speed(row)) for place, row in enumerate(rows)]
    known = [(place, speed) for place, speed in ceilings if speed is not None]
    label = _CEILING_LABELS.get(rows[0]["ceiling"] or "", "")
    shown = [(place, speed) for place, speed in known if speed <= 3 * highest]
    for number, (place, speed) in enumerate(shown):
        axis.hlines(
            speed,
            place - 0.48,
            place + 0.48,
            colors="black",
            linestyles=(0, (4, 2)),
            linewidth=1.2,
            label=label if number == 0 else None,
            zorder=3,
        )
    if known and not shown:
        ratio = max(speed for _, speed in known) / highest
        axis.text(
            0.995,
            0.97,
            f"{label}: {ratio:.0f}x above this edge",
            transform=axis.transAxes,
            ha="right",
            va="top",
            fontsize=8,
            color="#444444",
        )
    peak = max((speed for _, speed in shown), default=0.0)
    axis.set_ylim(0, peak if peak >= 1.04 * highest else 1.1 * highest)
    axis.set_xlim(-0.6, len(rows) - 0.4)
    axis.set_xticks(range(len(rows)), [row["case"].replace(" ", "\n", 1) for row in rows], fontsize=8.5)
    unit = rows[0]["unit"]
    axis.set_ylabel(f"effective {unit}" if unit == "GFLOP/s" and 0 < peak < highest else unit)
    axis.grid(axis="y", color="#dddddd", linewidth=0.7, zorder=0)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"
