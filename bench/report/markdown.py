"""The run as Markdown: one table per family, with speeds, share of the ceiling, and the verdict on each target."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..harness.cases import CEILINGS, OURS
from ..harness.quiet import LOUD
from .document import Document

_CEILING_NAMES = {"fma": "fp32 FMA ceiling", "copy": "copy bandwidth"}


def render(document: Document) -> str:
    """The whole report."""
    parts = [header(document)]
    families: dict[str, list[dict[str, Any]]] = {}
    for row in document["rows"]:
        families.setdefault(row["family"], []).append(row)
    for family, rows in families.items():
        parts.append(f"### {family}\n\n{family_table(rows)}")
    if document["limits"]:
        parts.append(f"### system\n\n{limits_table(document['limits'])}")
    parts.append(verdicts(document))
    notes = problems(document["rows"])
    if notes:
        parts.append("Not measured:\n\n" + "\n".join(f"- {note}" for note in notes))
    return "\n\n".join(parts) + "\n"


def render_brief(document: Document) -> str:
    """Only what has a target, a line for each, as README.md shows it."""
    machine = document["machine"]
    peers = ", ".join(f"{name} {info['version']}" for name, info in document["libraries"].items() if name != OURS)
    where = f"{machine['cpu']}" + (f" ({machine['cpu_family']})" if machine["cpu_family"] else "")
    lines = [_brief_line(row, target) for row in document["rows"] for target in row["targets"]]
    head = ["workload", "threads", "ISA", "ours", "against", "ratio", "to reach", "reached"]
    parts = [f"hintoncore {document['hintoncore']} on {where}, {machine['cores']} cores, against {peers}:"]
    parts += [table(head, lines)] if lines else []
    limits = [limit for limit in document["limits"] if limit["value"] is not None]
    parts += [limits_table(limits)] if limits else []
    return "\n\n".join([*parts, verdicts(document)]) + "\n"


def _brief_line(row: dict[str, Any], target: dict[str, Any]) -> list[str]:
    rival = target["beat"]
    against = " or ".join(target["against"])
    if rival is not None:
        against = f"{_CEILING_NAMES.get(rival, rival)}, {number(row['speed'][rival])}"
    ours = row["speed"].get(OURS)
    return [
        f"{row['family']} {row['case']}",
        str(row["threads"]),
        row["isa"],
        "-" if ours is None else f"{number(ours)} {row['unit']}",
        against,
        "-" if target["ratio"] is None else times(target["ratio"]),
        f"{target['required']:g}x",
        {True: "yes", False: "**no**", None: "not measured"}[target["reached"]]
        + (" (busy machine)" if row["foreign_load"] > LOUD else ""),
    ]


def header(document: Document) -> str:
    """What was measured on what."""
    machine, settings = document["machine"], document["settings"]
    libraries = ", ".join(
        f"{name} {info['version']}" + (f" ({info['blas']})" if info["blas"] else "")
        for name, info in document["libraries"].items()
        if name != OURS
    )
    caches = ", ".join(f"{level} {size}" for level, size in machine["caches"].items())
    lines = [
        f"## hintoncore {document['hintoncore']} bench",
        "",
        f"- CPU: {machine['cpu']}"
        + (f" ({machine['cpu_family']})" if machine["cpu_family"] else "")
        + f", {machine['cores']} cores"
        + (f", {caches}" if caches else ""),
        f"- ISA levels: {', '.join(settings['isa'])}; Python {machine['python']}, {machine['system']}",
        f"- peers: {libraries or 'none'}",
        f"- medians of {settings['rounds']} interleaved rounds of {settings['seconds']:g} s for each contestant",
        "- `x` in parentheses: how many times as fast ours is, the median of the ratios within a round",
    ]
    if settings["forced"]:
        names = ", ".join(f"{name}={value}" for name, value in settings["forced"].items())
        lines.append(f"- {names} of the environment was unset for the peers: OpenBLAS chose its own kernel")
    loud = [row for row in document["rows"] if row["foreign_load"] > LOUD]
    if loud:
        lines.append(
            f"- **other programs were busy** during {len(loud)} of {len(document['rows'])} rows (up to "
            f"{max(row['foreign_load'] for row in loud):.1f} cores): repeat on a quiet machine"
        )
    return "\n".join(lines)


def family_table(rows: list[dict[str, Any]]) -> str:
    """Speeds of every contestant that ran in the family, ours first."""
    names = list(dict.fromkeys(name for row in rows for name in row["speed"] if name not in CEILINGS and name != OURS))
    ceilings = list(dict.fromkeys(row["ceiling"] for row in rows if row["ceiling"]))
    unit = rows[0]["unit"]
    head = ["case", "threads", "ISA", f"ours, {unit}", "noise"]
    head += [f"{name}, {unit}" for name in names]
    head += [f"of {_CEILING_NAMES[name]}" for name in ceilings] + ["target", "reached"]
    return table(head, (_cells(row, names, ceilings) for row in rows))


def _cells(row: dict[str, Any], names: list[str], ceilings: list[str]) -> list[str]:
    ours = OURS in row["speed"]
    cells = [row["case"], str(row["threads"]), row["isa"], number(row["speed"].get(OURS))]
    cells.append(f"{100 * row['seconds'][OURS]['spread']:.0f}%" if ours else "-")
    for name in names:
        speedup = row["speedup"].get(name)
        cells.append(number(row["speed"].get(name)) + (f" ({times(speedup)})" if speedup else ""))
    for name in ceilings:
        share = row["of_ceiling"].get(OURS) if row["ceiling"] == name else None
        cells.append("-" if share is None else times(share) if share >= 1.2 else f"{100 * share:.0f}%")
    cells.append("; ".join(_target(target) for target in row["targets"]))
    cells.append("; ".join(_verdict(target, row) for target in row["targets"]))
    return cells


def _target(target: dict[str, Any]) -> str:
    if target["against"] == ["ceiling"]:
        return (
            f"{target['required']:g}x ceiling"
            if target["required"] >= 1
            else f"{100 * target['required']:.0f}% of ceiling"
        )
    return f"{target['required']:g}x {' and '.join(target['against'])}"


def _verdict(target: dict[str, Any], row: dict[str, Any]) -> str:
    if target["ratio"] is None:
        return "not measured"
    busy = ", busy" if row["foreign_load"] > LOUD else ""
    return f"{'yes' if target['reached'] else '**no**'} ({target['ratio']:.2f}x{busy})"


def limits_table(limits: list[dict[str, Any]]) -> str:
    """Whole-program figures against their limits."""

    def row(line: dict[str, Any]) -> list[str]:
        limit = "" if line["limit"] is None else f"<= {number(line['limit'])}"
        reached = {True: "yes", False: "**no**", None: ""}[line["reached"]]
        return [line["case"], number(line["value"]), line["unit"], limit, reached, line["note"]]

    return table(["figure", "value", "unit", "target", "reached", "note"], map(row, limits))


def verdicts(document: Document) -> str:
    """How many targets were reached, in one line; rows of a busy machine prove nothing and are not counted."""
    quiet = [row for row in document["rows"] if row["foreign_load"] <= LOUD]
    found = [target["reached"] for row in quiet for target in row["targets"]]
    found += [limit["reached"] for limit in document["limits"] if limit["limit"] is not None]
    judged = [reached for reached in found if reached is not None]
    busy = sum(len(row["targets"]) for row in document["rows"]) - sum(len(row["targets"]) for row in quiet)
    left_out = [f"{len(found) - len(judged)} not measured"] if len(judged) < len(found) else []
    left_out += [f"{busy} on a busy machine not counted"] if busy else []
    return f"Targets reached: {sum(judged)} of {len(judged)}" + (f" ({', '.join(left_out)})" if left_out else "")


def problems(rows: list[dict[str, Any]]) -> list[str]:
    """Every contestant that could not run or computed something wrong, each reason once."""
    notes: dict[str, int] = {}
    for row in rows:
        for name, why in row["wrong"].items():
            notes[f"{name} in {row['family']} {row['case']}: WRONG ANSWER, {why}"] = 1
        for name, why in row["skipped"].items():
            note = f"{name} in {row['family']}: {why}"
            notes[note] = notes.get(note, 0) + 1
    return [note if count == 1 else f"{note} ({count} rows)" for note, count in notes.items()]


def number(value: float | None) -> str:
    """Three significant digits, without exponents."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    magnitude = abs(value)
    if magnitude >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if magnitude >= 10 else f"{value:.2f}" if magnitude >= 1 else f"{value:.3g}"


def times(ratio: float) -> str:
    """A ratio: 12x, 1.04x."""
    return f"{ratio:.1f}x" if ratio >= 10 else f"{ratio:.2f}x"


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """A Markdown table whose columns line up in a terminal too."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)
