"""Two runs side by side: how much faster or slower each row became, and whether that is more than noise.

Machines drift, so where both runs measured the row's ceiling the speeds are compared as shares of it. A row is a
regression when it lost more than the noise seen in both runs together, and more than 5%.
"""

from __future__ import annotations

from typing import Any

from ..harness.cases import OURS
from .document import Document, key
from .markdown import number, table

FLOOR = 0.05

Change = dict[str, Any]


def compare(old: Document, new: Document) -> list[Change]:
    """One entry for each row that ran in both, in the order of the new run. `ratio` above 1 means faster now."""
    before = {key(row): row for row in old["rows"]}
    changes = []
    for row in new["rows"]:
        past = before.get(key(row))
        if past is not None and OURS in row["seconds"] and OURS in past["seconds"]:
            changes.append(_change(past, row))
    return changes


def _change(past: dict[str, Any], row: dict[str, Any]) -> Change:
    raw = row["speed"][OURS] / past["speed"][OURS]
    ratio, measure = raw, "speed"
    if row["ceiling"] is not None and row["ceiling"] == past["ceiling"]:
        ratio, measure = row["of_ceiling"][OURS] / past["of_ceiling"][OURS], "share of ceiling"
    noise = max(FLOOR, past["seconds"][OURS]["spread"] + row["seconds"][OURS]["spread"])
    verdict = "slower" if ratio < 1 - noise else "faster" if ratio > 1 + noise else "same"
    return {
        "family": row["family"],
        "case": row["case"],
        "threads": row["threads"],
        "isa": row["isa"],
        "unit": row["unit"],
        "old": past["speed"][OURS],
        "new": row["speed"][OURS],
        "raw_ratio": raw,
        "ratio": ratio,
        "measure": measure,
        "noise": noise,
        "verdict": verdict,
    }


def missing(old: Document, new: Document) -> list[str]:
    """Rows of the old run that the new one lacks although it ran their family."""
    families = {row["family"] for row in new["rows"]}
    have = {key(row) for row in new["rows"] if OURS in row["seconds"]}
    return [
        f"{row['family']} {row['case']}, {row['threads']} threads, {row['isa']}"
        for row in old["rows"]
        if row["family"] in families and OURS in row["seconds"] and key(row) not in have
    ]


def render(old: Document, new: Document, changes: list[Change]) -> str:
    """The comparison as Markdown."""
    lines = [f"## Compared with hintoncore {old['hintoncore']}", ""]
    if old["machine"]["cpu"] != new["machine"]["cpu"]:
        lines += [f"Different processors: {old['machine']['cpu']} then, {new['machine']['cpu']} now.", ""]
    head = ["row", "threads", "ISA", "then", "now", "unit", "ratio", "of", "noise", "verdict"]
    rows = [
        [
            f"{c['family']} {c['case']}",
            str(c["threads"]),
            c["isa"],
            number(c["old"]),
            number(c["new"]),
            c["unit"],
            f"{c['ratio']:.2f}x",
            c["measure"],
            f"{100 * c['noise']:.0f}%",
            "**slower**" if c["verdict"] == "slower" else c["verdict"],
        ]
        for c in changes
    ]
    lines.append(table(head, rows) if rows else "No row ran in both.")
    gone = missing(old, new)
    if gone:
        lines += ["", "Not in this run:", *(f"- {name}" for name in gone)]
    slower = sum(change["verdict"] == "slower" for change in changes)
    lines += ["", f"{slower} of {len(changes)} rows slower beyond the noise."]
    return "\n".join(lines) + "\n"
