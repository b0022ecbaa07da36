"""Results of experiments as a Markdown table: a row for each figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["cells", "markdown", "number"]

_HEADER = ("system", "figure", "paper", "best public", "to reach", "ours", "seeds", "minutes", "reached")


def markdown(reports: Sequence[Mapping[str, Any]]) -> str:
    """One table for several reports, in their order; what is missed is in bold."""
    rows: list[Sequence[str]] = [_HEADER]
    for report in reports:
        for place, figure in enumerate(report["figures"]):
            shared = (str(len(report["seeds"])), f"{report['seconds'] / 60:.1f}") if place == 0 else ("", "")
            name = report["name"] if place == 0 else ""
            reached = "yes" if figure["reached"] else "**no**"
            rows.append((name, figure["figure"], *cells(figure, len(report["seeds"])), *shared, reached))
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADER))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)


def cells(figure: Mapping[str, Any], n_seeds: int) -> tuple[str, str, str, str]:
    """Of one figure: the paper's, the best public one, the one to reach and ours, as text."""
    paper = number(figure["paper"]) + (" (?)" if figure["paper_approximate"] else "")
    sign = "≥" if figure["better"] == "higher" else "≤"
    spread = f" ± {number(figure['spread'])}" if n_seeds > 1 else ""
    ours = "not measured" if figure["ours"] is None else f"{number(figure['ours'])}{spread} {figure['unit']}"
    return paper, number(figure["best_public"]), f"{sign} {number(figure['target'])}", ours


def number(value: float | None) -> str:
    """Four significant digits, or a dash for what is not known."""
    return "-" if value is None else f"{value:.4g}"
