"""Checks relative links and anchors of the repository's Markdown files: python tests/docs/links.py [FOLDER]"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,}).*?^ {0,3}\1[`~]*\s*?$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")
LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
DEFINITION = re.compile(r"^ {0,3}\[[^\]]+\]:\s*<?([^\s>]+)>?", re.MULTILINE)
HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$", re.MULTILINE)
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def markdown_files(root: Path) -> list[Path]:
    """Tracked files where git knows, else every file outside hidden and build folders."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--", "*.md"], capture_output=True, text=True, check=False
    )
    if listed.returncode == 0 and listed.stdout:
        return [root / name for name in listed.stdout.split("\0") if name and (root / name).is_file()]
    return [p for p in root.rglob("*.md") if not any(part.startswith((".", "build")) for part in p.parts)]


def anchors(text: str) -> set[str]:
    """The ids that code hosting sites give to headings."""
    found: set[str] = set()
    for title in HEADING.findall(FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "").lower()
        base = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
        name, n = base, 0
        while name in found:
            n += 1
            name = f"{base}-{n}"
        found.add(name)
    return found


def problems(root: Path) -> list[str]:
    """One line for each link that leads nowhere."""
    bad = []
    for path in markdown_files(root):
        text = path.read_text(encoding="utf-8")
        prose = CODE.sub("", FENCE.sub("", text))
        for link in [*LINK.findall(prose), *DEFINITION.findall(prose)]:
            if SCHEME.match(link):
                continue
            target, _, anchor = unquote(link).partition("#")
            place = (path.parent / target).resolve() if target else path
            where = f"{path.relative_to(root)}: {link}"
            if target.startswith("/") or not place.is_relative_to(root.resolve()):
                bad.append(f"{where} leaves the repository")
            elif not place.exists():
                bad.append(f"{where} does not exist")
            elif anchor and place.suffix == ".md" and anchor not in anchors(place.read_text(encoding="utf-8")):
                bad.append(f"{where} names no heading")
    return bad


if __name__ == "__main__":
    found = problems(Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve())
    print("\n".join(found) or "all links lead somewhere")
    sys.exit(1 if found else 0)
