"""The frame around the experiments: seeds, resume, aggregation, and the command."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hintoncore import experiments
from hintoncore.cli import main
from hintoncore.datasets import DatasetNotFoundError
from hintoncore.experiments import Experiment, Figure, Run, _registry


def figure(**changes: object) -> Figure:
    settings: dict[str, Any] = {"name": "error", "text": "an error", "unit": "%", "better": "lower", "target": 2.0}
    return Figure(**{**settings, **changes})


def toy(
    run: Callable[[Run], Mapping[str, float]], figures: tuple[Figure, ...] = (figure(),), **changes: Any
) -> Experiment:
    return Experiment("toy", "A toy", "Nobody 1985", figures, run, **changes)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> dict[str, Experiment]:
    """The catalog of the command; what a test puts in it is gone afterwards."""
    catalog: dict[str, Experiment] = {}
    monkeypatch.setattr(_registry, "_catalog", lambda: catalog)
    return catalog


@pytest.mark.parametrize(
    ("aggregate", "better", "expected"),
    [
        ("mean", "lower", 3.0),
        ("median", "lower", 2.0),
        ("sum", "lower", 9.0),
        ("worst", "lower", 6.0),
        ("worst", "higher", 1.0),
    ],
)
def test_values_of_the_seeds_become_one(aggregate: str, better: str, expected: float) -> None:
    assert figure(aggregate=aggregate, better=better).combine([1.0, 2.0, 6.0]) == expected


def test_a_figure_is_reached_on_its_better_side() -> None:
    assert figure().reached(2.0, 2.0)
    assert not figure().reached(2.1, 2.0)
    assert figure(better="higher").reached(2.1, 2.0)
    assert not figure(better="higher").reached(1.9, 2.0)


def test_misspelt_settings_of_a_figure_are_refused() -> None:
    with pytest.raises(ValueError, match="better: expected"):
        figure(better="more")
    with pytest.raises(ValueError, match="aggregate: expected"):
        figure(aggregate="average")


def test_report_has_the_main_figure_on_top(tmp_path: Path) -> None:
    second = figure(name="likelihood", better="higher", target=-1.0, paper=-1.5, best_public=-1.2)

    def run(run: Run) -> dict[str, float]:
        run.details["epochs"] = 7
        return {"error": 1.0 + run.seed, "likelihood": -2.0}

    report = experiments.reproduce(toy(run, (figure(), second)), tmp_path, seeds=[0, 1, 2])
    assert report["ours"] == 2.0
    assert report["spread"] == 1.0
    assert report["figure"] == "an error"
    assert [f["reached"] for f in report["figures"]] == [True, False]
    assert report["reached"] is False, "one of two figures is missed"
    assert report["by_seed"]["2"] == {"error": 3.0, "likelihood": -2.0}
    assert report["details"]["0"] == {"epochs": 7}
    for key in ("name", "unit", "better", "paper", "best_public", "seeds", "seconds"):
        assert key in report
    assert json.loads((tmp_path / "result.json").read_text()) == report


def test_resume_keeps_finished_seeds_and_continues_the_interrupted_one(tmp_path: Path) -> None:
    calls: list[tuple[int, bool]] = []

    def run(run: Run) -> dict[str, float]:
        found = run.checkpoint("half") is not None
        calls.append((run.seed, found))
        if run.seed == 1 and not found:
            (run.out / "half").write_text("half")
            raise KeyboardInterrupt
        return {"error": float(run.seed)}

    with pytest.raises(KeyboardInterrupt):
        experiments.reproduce(toy(run), tmp_path, seeds=[0, 1])
    report = experiments.reproduce(toy(run), tmp_path, seeds=[0, 1], resume=True)
    assert calls == [(0, False), (1, False), (1, True)]
    assert report["by_seed"] == {"0": {"error": 0.0}, "1": {"error": 1.0}}


def test_without_resume_old_files_are_not_continued(tmp_path: Path) -> None:
    def run(run: Run) -> dict[str, float]:
        found = run.checkpoint("half") is not None
        (run.out / "half").write_text("half")
        return {"error": float(found)}

    assert experiments.reproduce(toy(run), tmp_path, seeds=[0])["ours"] == 0.0
    assert experiments.reproduce(toy(run), tmp_path, seeds=[0])["ours"] == 0.0


def test_resuming_another_kind_of_run_is_refused(tmp_path: Path) -> None:
    experiment = toy(lambda run: {"error": 1.0}, (figure(quick_bound=3.0),))
    experiments.reproduce(experiment, tmp_path, seeds=[0], quick=True)
    with pytest.raises(ValueError, match="quick=False, it holds"):
        experiments.reproduce(experiment, tmp_path, seeds=[0], resume=True)


@pytest.mark.parametrize("seeds", [[], [1, 1]])
def test_seeds_must_differ(tmp_path: Path, seeds: list[int]) -> None:
    with pytest.raises(ValueError, match="seeds: expected"):
        experiments.reproduce(toy(lambda run: {"error": 1.0}), tmp_path, seeds=seeds)


def test_figures_must_be_those_declared_and_finite(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="expected the figures"):
        experiments.reproduce(toy(lambda run: {"errors": 1.0}), tmp_path, seeds=[0])
    with pytest.raises(FloatingPointError, match="seed 3: error = nan"):
        experiments.reproduce(toy(lambda run: {"error": float("nan")}), tmp_path, seeds=[3])
    assert not (tmp_path / "result.json").exists()


def test_a_quick_run_may_leave_out_what_it_does_not_judge(tmp_path: Path) -> None:
    experiment = toy(lambda run: {"error": 1.0}, (figure(quick_bound=3.0), figure(name="other")))
    report = experiments.reproduce(experiment, tmp_path, seeds=[0], quick=True)
    assert report["figures"][1]["ours"] is None
    assert report["figures"][1]["reached"] is False
    with pytest.raises(RuntimeError, match="expected the figures"):
        experiments.reproduce(experiment, tmp_path / "full", seeds=[0])


def test_missing_data_stop_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HINTONCORE_DATA", raising=False)
    for variable in ("HOME", "TORCH_HOME", "KERAS_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    experiment = toy(lambda run: pytest.fail("must not run"), data=("mnist",))
    with pytest.raises(DatasetNotFoundError, match="looked in"):
        experiments.reproduce(experiment, tmp_path / "out", seeds=[0])
    measured = toy(lambda run: {"error": 1.0}, data=("mnist",), quick_data=())
    assert experiments.reproduce(measured, tmp_path / "out", seeds=[0], quick=True)["ours"] == 1.0


def test_every_experiment_is_well_formed() -> None:
    for name in experiments.names():
        experiment = experiments.load(name)
        assert experiment.name == name
        assert experiment.title
        assert experiment.source
        assert any(f.quick_bound is not None for f in experiment.figures), f"{name}: a quick run must judge something"
        keys = [f.name for f in experiment.figures]
        assert len(set(keys)) == len(keys)


def test_command_runs_and_says_what_was_reached(
    tmp_path: Path, registered: dict[str, Experiment], capsys: pytest.CaptureFixture[str]
) -> None:
    registered["toy"] = toy(lambda run: {"error": 2.5}, (figure(paper=1.9, paper_approximate=True),))
    out = tmp_path / "out"
    assert main(["reproduce", "toy", "--seeds", "2", "--out", str(out)]) == 1
    text = capsys.readouterr().out
    assert "not reached" in text
    assert "1.9 (?)" in text
    assert "2.5 ± 0 %" in text
    assert main(["reproduce", "toy", "--out", str(out)]) == 2
    assert f"reproduce toy --out {out} --resume" in capsys.readouterr().err
    assert main(["reproduce", "toy", "--seeds", "2", "--out", str(out), "--resume", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["ours"] == 2.5
    assert report["seeds"] == [0, 1]
    assert report["command"] == f"hintoncore reproduce toy --seeds 2 --out {out}"


def test_results_become_one_table(
    tmp_path: Path, registered: dict[str, Experiment], capsys: pytest.CaptureFixture[str]
) -> None:
    registered["toy"] = toy(lambda run: {"error": 1.5 + run.seed}, (figure(best_public=1.75),))
    experiments.reproduce(registered["toy"], tmp_path, seeds=[0, 1])
    assert main(["reproduce", "--table", str(tmp_path / "result.json")]) == 0
    header, rule, row = capsys.readouterr().out.splitlines()
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        *("toy", "an error", "-", "1.75", "≤ 2", "2 ± 0.7071 %", "2", "0.0", "yes")
    ]
    assert len(header) == len(rule) == len(row)
    (tmp_path / "other.json").write_text("{}")
    assert main(["reproduce", "--table", str(tmp_path / "other.json")]) == 2
    assert "--table: expected result.json" in capsys.readouterr().err


def test_command_lists_and_names_what_is_wrong(
    tmp_path: Path, registered: dict[str, Experiment], capsys: pytest.CaptureFixture[str]
) -> None:
    registered["toy"] = toy(lambda run: {"error": 1.0})
    assert main(["reproduce", "--list"]) == 0
    assert capsys.readouterr().out == "toy  A toy\n"
    assert main(["reproduce", "--list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "toy"
    assert main(["reproduce"]) == 2
    assert "--list" in capsys.readouterr().err
    assert main(["reproduce", "toys"]) == 2
    assert "expected one of toy, given 'toys'" in capsys.readouterr().err


def test_resume_starts_a_run_where_there_is_none(
    tmp_path: Path, registered: dict[str, Experiment], capsys: pytest.CaptureFixture[str]
) -> None:
    resumed: list[bool] = []

    def run(run: Run) -> dict[str, float]:
        resumed.append(run.checkpoint("state") is not None)
        (run.out / "state").touch()
        if len(resumed) == 1:
            raise KeyboardInterrupt
        return {"error": 1.0}

    registered["toy"] = toy(run)
    out = tmp_path / "out"
    words = ["reproduce", "toy", "--seeds", "1", "--out", str(out), "--resume"]
    assert [main(words) for _ in range(3)] == [130, 0, 0]
    notes = [line for line in capsys.readouterr().err.splitlines() if "there is no run" in line]
    assert len(notes) == 1
    assert str(out) in notes[0]
    assert resumed == [False, True]


def test_interrupted_command_says_how_to_go_on(
    tmp_path: Path, registered: dict[str, Experiment], capsys: pytest.CaptureFixture[str]
) -> None:
    def run(run: Run) -> dict[str, float]:
        raise KeyboardInterrupt

    registered["toy"] = toy(run)
    out = tmp_path / "out"
    assert main(["reproduce", "toy", "--out", str(out)]) == 130
    assert f"hintoncore reproduce toy --out {out} --resume" in capsys.readouterr().err
