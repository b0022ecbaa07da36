"""The documentation is true: links lead somewhere, the README's example runs, the commands it names exist."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from links import anchors, problems

import hintoncore as hc
from hintoncore import _core, experiments
from hintoncore.experiments._table import markdown

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON_BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_links_lead_somewhere() -> None:
    assert problems(ROOT) == []


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# A heading, `with` code\n# Twice\n# Twice\n", encoding="utf-8")
    (tmp_path / "page.md").write_text(
        "[ok](there.md#a-heading-with-code) [ok](there.md#twice-1) [web](https://example.org/none) `[code](none.md)`\n"
        "```\n[fenced](none.md)\n```\n[bad](none.md) [bad](there.md#none) [bad](../outside.md)\n[ref]: none.txt\n",
        encoding="utf-8",
    )
    assert [line.split(": ")[1].split(" ")[0] for line in problems(tmp_path)] == [
        "none.md",
        "there.md#none",
        "../outside.md",
        "none.txt",
    ]
    assert anchors("# Setup\n```\n# comment\n```\n") == {"setup"}


@pytest.mark.parametrize("block", range(len(PYTHON_BLOCKS)))
def test_readme_python_runs_as_pasted(block: int, tmp_path: Path) -> None:
    code = PYTHON_BLOCKS[block]
    if "import torch" in code:
        pytest.importorskip("torch")
    if 'load("digits")' in code:
        pytest.importorskip("sklearn")
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "Agg"},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_readme_example_is_short() -> None:
    assert len(PYTHON_BLOCKS[0].splitlines()) <= 24


def test_documented_environment_variables_are_read() -> None:
    """What the README says can be set, some source file reads; what sources read, the README says."""
    sources = [*(ROOT / "csrc").rglob("*.cpp"), *(ROOT / "python").rglob("*.py")]
    read = {
        n for path in sources for n in re.findall(r"""["'](HINTONCORE_[A-Z_]+)["']""", path.read_text(encoding="utf-8"))
    }
    section = README.split("### Environment variables", 1)[1].split("\n#", 1)[0]
    assert set(re.findall(r"`(HINTONCORE_\w+)`", section)) == read


def test_architecture_names_files_that_exist() -> None:
    for page in ("ARCHITECTURE.md", "CONTRIBUTING.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for name in re.findall(r"`((?:csrc|python|tests|bench|cmake|\.ci)/[\w./*-]+)`", text):
            assert "NAME" in name or list(ROOT.glob(name.rstrip("/"))), f"{page} names {name}, which does not exist"


def test_kernels_are_in_the_architecture_page() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    missing = [name for name in _core.kernel_names() if f"`{name}`" not in text]
    assert missing == []


def test_version_of_the_header_line() -> None:
    assert hc.__version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_readme_has_the_table_of_the_results() -> None:
    reports = [
        json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "results").glob("reproduce-*.json"))
    ]
    block = README.partition("<!-- systems:begin")[2].partition("<!-- systems:end -->")[0]
    assert markdown(reports) in block, "fill it with: hintoncore reproduce --table results/reproduce-*.json"


def test_results_are_of_experiments_there_are_and_of_full_runs() -> None:
    for path in sorted((ROOT / "results").glob("reproduce-*.json")):
        report = json.loads(path.read_text(encoding="utf-8"))
        assert path.name == f"reproduce-{report['name']}.json"
        figures = {figure.text for figure in experiments.load(report["name"]).figures}
        assert {figure["figure"] for figure in report["figures"]} == figures, path.name
        assert not report["quick"], path.name
        for key in ("seeds", "seconds", "cpu", "command", "version"):
            assert report[key], (path.name, key)
