"""The benchmarks: arithmetic of ratios and verdicts, comparisons, the worker's checks, and the command end to end."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
import pytest

from hintoncore.bench import FAMILIES, gibbs, matmul, nn
from hintoncore.bench.harness import digits, libraries, quiet, timing
from hintoncore.bench.harness.cases import (
    ENGINES,
    OURS,
    Case,
    Prepared,
    Request,
    Setup,
    Target,
    WrongAnswerError,
    within,
)
from hintoncore.bench.harness.quiet import Meter
from hintoncore.bench.harness.run import Settings, judge, paired_ratio, spread, summarise
from hintoncore.bench.harness.timing import calibrate
from hintoncore.bench.harness.worker import serve
from hintoncore.bench.report import compare, document, figures, markdown

WITH_PICTURES = importlib.util.find_spec("matplotlib") is not None


def case(**changes: Any) -> Case:
    settings: dict[str, Any] = {
        "family": "matmul",
        "name": "2x2x2",
        "params": {"m": 2, "k": 2, "n": 2},
        "threads": 1,
        "work": 16.0,
        "unit": "GFLOP/s",
        "contestants": (OURS, "numpy", "torch"),
        "ceiling": "fma",
        "ceiling_work": 16.0,
        "targets": (Target(("numpy", "torch"), 1.0), Target(("ceiling",), 0.85)),
    }
    return Case(**(settings | changes))


def row(seconds: float = 2e-9, *, noise: float = 0.0, ceiling: float = 1e-9, **changes: Any) -> dict[str, Any]:
    rounds = {
        OURS: [seconds * (1 - noise), seconds, seconds * (1 + noise)],
        "numpy": [4e-9] * 3,
        "torch": [8e-9] * 3,
        "fma": [ceiling] * 3,
    }
    return {**summarise(case(**changes), "avx2", rounds, {}, {}, {}), "foreign_load": 0.0}


def run(*rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "schema": document.SCHEMA,
        "hintoncore": "1.2.3",
        "machine": {
            "cpu": "A CPU", "cpu_family": "", "cores": 2, "caches": {}, "memory": 1, "system": "Linux",
            "architecture": "x86_64", "python": "3.12.0",
        },
        "libraries": {OURS: {"version": "1.2.3", "blas": ""}, "numpy": {"version": "2.0", "blas": "openblas Zen"}},
        "settings": {"rounds": 3, "seconds": 0.1, "seed": 0, "threads": [1], "isa": ["avx2"], "forced": {}},
        "rows": list(rows),
        "limits": [],
    } | changes  # fmt: skip


class TestArithmetic:
    def test_ratio_is_the_median_of_ratios_within_a_round(self) -> None:
        # The machine was three times slower in the second round: the ratio does not notice.
        assert paired_ratio([4.0, 12.0, 4.2], [2.0, 6.0, 2.0]) == pytest.approx(2.0)

    def test_spread_is_relative(self) -> None:
        assert spread([1.0]) == 0.0
        assert spread([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2.0 / 3.0)

    def test_the_fastest_peer_is_the_one_to_beat(self) -> None:
        verdict = judge(Target(("numpy", "torch"), 1.5), None, {OURS: [1.0], "numpy": [2.0], "torch": [1.4]})
        assert verdict["beat"] == "torch"
        assert verdict["ratio"] == pytest.approx(1.4)
        assert verdict["reached"] is False

    def test_a_target_nobody_ran_for_is_open(self) -> None:
        verdict = judge(Target(("scikit-learn",), 1.0), None, {OURS: [1.0]})
        assert verdict["ratio"] is None
        assert verdict["reached"] is None

    def test_summary_has_speeds_shares_and_verdicts(self) -> None:
        summary = row()
        assert summary["speed"][OURS] == pytest.approx(8.0)
        assert summary["speed"]["fma"] == pytest.approx(16.0)
        assert summary["speedup"] == {"numpy": pytest.approx(2.0), "torch": pytest.approx(4.0)}
        assert summary["of_ceiling"][OURS] == pytest.approx(0.5)
        assert [target["reached"] for target in summary["targets"]] == [True, False]

    def test_error_beyond_the_tolerance_and_nan_are_wrong(self) -> None:
        assert within(0.5, 1.0, "x") == 0.5
        for error in (1.5, float("nan"), float("inf")):
            with pytest.raises(WrongAnswerError, match="x: error"):
                within(error, 1.0, "x")

    def test_calibration_fills_the_time_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = [0.0]
        monkeypatch.setattr(timing, "perf_counter", lambda: clock[0])

        def call() -> None:
            clock[0] += 1e-4

        assert calibrate(call, 0.005) in (50, 51)  # rounded up, from a clock that adds in floats

    def test_meter_never_reports_negative_load(self) -> None:
        meter = Meter([], threads=1)
        meter.start()
        assert meter.stop() >= 0.0

    @pytest.mark.parametrize(("busy_for", "waits"), [(0.0, 0.05), (0.3, 0.4), (60.0, 1.05)])
    def test_nobody_is_timed_while_the_threads_of_others_still_poll(
        self, monkeypatch: pytest.MonkeyPatch, busy_for: float, waits: float
    ) -> None:
        clock = [0.0]

        def sleep(seconds: float) -> None:
            clock[0] += seconds

        monkeypatch.setattr(quiet, "perf_counter", lambda: clock[0])
        monkeypatch.setattr(quiet, "sleep", sleep)
        monkeypatch.setattr(quiet, "_ticks", lambda pid: int(100 * min(clock[0], busy_for)) if pid == 2 else 0)
        quiet.settle([1, 2])
        assert min(busy_for, 1.0) <= clock[0] <= waits

    def test_processor_time_is_read_from_the_system(self) -> None:
        before, end = quiet._ticks(os.getpid()), perf_counter() + 0.2
        while perf_counter() < end:
            pass
        assert (quiet._ticks(os.getpid()) > before) == (sys.platform == "linux")
        assert quiet._ticks(-1) == 0

    def test_sizes_go_to_the_families_with_as_many_dimensions(self) -> None:
        request = Request(threads=(1,), sizes=((8, 9, 10), (64,)))
        assert [c.name for c in matmul.cases(request)] == ["8x9x10"]

    def test_lower_levels_are_not_judged_against_peers_who_use_the_best(self) -> None:
        against = {t.against for c in matmul.cases(Request(isa="avx2", best=False)) for t in c.targets}
        assert against == {("ceiling",)}

    @pytest.mark.parametrize("real", [False, True])
    def test_targets_of_the_gibbs_step_depend_on_the_isa_and_the_batch(
        self, real: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(digits, "found", lambda: real)

        def asked(isa: str) -> list[float]:
            cases = gibbs.cases(Request(threads=(1,), isa=isa))
            return [target.ratio for c in cases for target in c.targets]

        times = 2 if real else 1  # on random states, and on digits
        assert asked("avx512") == [2.5] * times + [1.5] * times
        assert asked("avx2") == [2.0] * times + [1.3] * times
        assert asked("scalar") == []

    @pytest.mark.parametrize("family", ["ais", "cd", "gibbs"])
    def test_rows_on_digits_are_named_and_judged_beside_those_on_random_states(
        self, family: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module = importlib.import_module(f"hintoncore.bench.{family}")
        monkeypatch.setattr(digits, "found", lambda: True)
        cases = module.cases(Request(threads=(1, 2), isa="avx512"))
        real = {c.name: c for c in cases if c.params["mnist"] and c.threads == 2}
        random = {c.name: c for c in cases if not c.params["mnist"] and c.threads == 2}
        assert set(real) == {f"{name}, MNIST" for name in random}
        for name, c in random.items():
            assert real[f"{name}, MNIST"].targets == c.targets
            assert real[f"{name}, MNIST"].contestants == c.contestants
        assert not any(c.params["mnist"] for c in module.cases(Request(sizes=((100, 784, 500),))))

    @pytest.mark.parametrize("real", [False, True])
    def test_a_whole_annealing_schedule_is_asked_for_by_its_temperatures(
        self, real: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module = importlib.import_module("hintoncore.bench.ais")
        monkeypatch.setattr(digits, "found", lambda: real)
        cases = module.cases(Request(threads=(2,), sizes=((1000, 784, 500, 3000), (8, 20, 10, 50))))
        assert [c.work for c in cases] == [3e6] * (2 if real else 1) + [400.0]
        assert [bool(c.targets) for c in cases] == [True] * (2 if real else 1) + [False]

    @pytest.mark.parametrize("contestant", ["hintoncore", "numpy"])
    def test_a_whole_annealing_schedule_runs_from_the_base_rates_to_the_machine(self, contestant: str) -> None:
        module = importlib.import_module("hintoncore.bench.ais")
        (case,) = module.cases(Request(threads=(1,), sizes=((64, 20, 10, 50),)))
        setup = Setup(case.params, threads=1, seed=3)
        problem = module._Problem(setup)
        assert (problem.betas[0], problem.betas[-1], len(problem.betas)) == (0, 1, 51)
        prepared = module.CONTESTANTS[contestant](setup)
        prepared.check()
        prepared.call()


class TestPeers:
    def test_what_takes_long_to_start_is_invited_by_name_or_by_a_target(self) -> None:
        (judged,) = nn.cases(Request(threads=(2,), isa="avx512", best=True))
        (free,) = nn.cases(Request(threads=(1,), isa="avx512", best=True))
        for name in ("numpy", "torch", "torch.compile"):
            assert Settings().invites(name, judged)
            assert Settings().invites(name, free) == (name != "torch.compile")
            assert Settings(peers=frozenset({"torch.compile"})).invites(name, free) == (name == "torch.compile")


class TestChecks:
    """A contestant with a wrong answer is never timed."""

    prepare: ClassVar[dict[str, Any]] = {
        "op": "prepare", "family": "matmul", "contestant": OURS, "params": {"m": 5, "k": 7, "n": 3}, "threads": 1,
        "seed": 0, "seconds": 0.001, "ceiling_work": 210.0,
    }  # fmt: skip

    def ask(self, *requests: dict[str, Any]) -> list[dict[str, Any]]:
        replies = io.StringIO()
        serve(io.StringIO("".join(json.dumps(request) + "\n" for request in requests)), replies)
        return [json.loads(line) for line in replies.getvalue().splitlines()]

    def test_right_answer_is_timed(self) -> None:
        prepared, timed, released = self.ask(self.prepare, {"op": "time", "contestant": OURS}, {"op": "release"})
        assert prepared["error"] < 4.0
        assert prepared["calls"] >= 1
        assert timed["seconds"] > 0.0
        assert released == {}

    def test_wrong_answer_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def wrong(setup: Setup) -> Prepared:
            right = matmul.ours(setup)
            problem = matmul._Problem(setup)
            return Prepared(right.call, lambda: problem.error(problem.a @ problem.b + np.float32(0.01)))

        monkeypatch.setitem(matmul.CONTESTANTS, OURS, wrong)
        (reply,) = self.ask(self.prepare)
        assert "error" in reply["wrong"]

    def test_every_contestant_of_every_family_checks_out(self) -> None:
        # Tiny sizes, every contestant that is installed, in this process.
        sizes = ((12, 20, 9), (70, 33), (4096,), (12, 20, 16, 9, 5), (3, 4, 5, 6), (2, 3, 4, 7, 3, 2))
        checked = []
        for family in FAMILIES:
            if family == "system":
                continue
            module = importlib.import_module(f"hintoncore.bench.{family}")
            for c in module.cases(Request(threads=(1,), sizes=sizes)):
                for contestant in c.contestants:
                    slow = contestant == "torch.compile" or family in ("cd", "pcd")
                    if slow or not libraries.installed(ENGINES[contestant]):
                        continue
                    module.CONTESTANTS[contestant](Setup(c.params, 1, 0)).check()
                    checked.append((family, c.name, contestant))
        assert {family for family, _, _ in checked} == set(FAMILIES) - {"system", "cd", "pcd"}

    @pytest.mark.skipif(not digits.found(), reason="needs MNIST")
    @pytest.mark.parametrize("transpose", [0, 1])
    def test_contestants_step_between_the_same_digits_and_hidden_units(self, transpose: int) -> None:
        params = {"batch": 64, "visible": 784, "hidden": 20, "transpose": transpose, "mnist": 1}
        first, second = (gibbs._Problem(Setup(params, 1, 3)) for _ in range(2))
        for name in ("w", "b", "x"):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        assert 0.08 < first.x.mean() < (0.6 if transpose else 0.2)
        for contestant in (OURS, "numpy"):
            assert gibbs.CONTESTANTS[contestant](Setup(params, 1, 3)).check() < 6.0

    @pytest.mark.parametrize("contestant", [OURS, "hintoncore (dense input)", "numpy", "torch", "scikit-learn"])
    def test_contrastive_divergence_of_every_contestant_checks_out(self, contestant: str) -> None:
        pytest.importorskip({"torch": "torch", "scikit-learn": "sklearn"}.get(contestant, "numpy"))
        module = importlib.import_module("hintoncore.bench.cd")
        params = {"batch": 400, "visible": 40, "hidden": 20, "k": 1}
        assert module.CONTESTANTS[contestant](Setup(params, 1, 0)).check() < 0.2

    @pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # rbms uses it
    @pytest.mark.parametrize("contestant", [OURS, "torch", "rbms"])
    @pytest.mark.parametrize("centred", [0, 1])
    def test_persistent_contrastive_divergence_of_every_contestant_checks_out(
        self, contestant: str, centred: int
    ) -> None:
        pytest.importorskip({OURS: "numpy"}.get(contestant, contestant))
        module = importlib.import_module("hintoncore.bench.pcd")
        params = {"batch": 400, "visible": 40, "hidden": 20, "k": 2, "centred": centred}
        assert module.CONTESTANTS[contestant](Setup(params, 1, 0)).check() < 0.2


class TestCompare:
    def test_same_run_is_the_same(self) -> None:
        (change,) = compare.compare(run(row()), run(row()))
        assert change["verdict"] == "same"
        assert change["ratio"] == pytest.approx(1.0)

    def test_slower_beyond_the_noise_is_flagged(self) -> None:
        (change,) = compare.compare(run(row(2e-9)), run(row(2.4e-9)))
        assert change["verdict"] == "slower"
        assert change["ratio"] == pytest.approx(2 / 2.4)
        (change,) = compare.compare(run(row(2.4e-9)), run(row(2e-9)))
        assert change["verdict"] == "faster"

    def test_noise_of_both_runs_is_granted(self) -> None:
        (change,) = compare.compare(run(row(2e-9, noise=0.1)), run(row(2.3e-9, noise=0.15)))
        assert change["noise"] == pytest.approx(0.25)
        assert change["verdict"] == "same"

    def test_speeds_are_compared_as_shares_of_the_ceiling(self) -> None:
        # Everything, the ceiling too, takes twice as long now: the machine changed, not the kernel.
        (change,) = compare.compare(run(row(2e-9, ceiling=1e-9)), run(row(4e-9, ceiling=2e-9)))
        assert change["measure"] == "share of ceiling"
        assert change["raw_ratio"] == pytest.approx(0.5)
        assert change["verdict"] == "same"

    def test_without_a_ceiling_speeds_are_compared(self) -> None:
        bare = {"ceiling": None}
        (change,) = compare.compare(run(row(2e-9) | bare), run(row(4e-9) | bare))
        assert change["measure"] == "speed"
        assert change["verdict"] == "slower"

    def test_rows_are_matched_by_family_case_threads_and_isa(self) -> None:
        assert compare.compare(run(row(threads=1)), run(row(threads=2))) == []
        assert compare.missing(run(row(threads=1)), run(row(threads=2))) == ["matmul 2x2x2, 1 threads, avx2"]

    def test_text_says_what_got_slower_and_what_is_gone(self) -> None:
        old, new = run(row(2e-9), row(name="4x4x4")), run(row(3e-9), machine=run()["machine"] | {"cpu": "Another"})
        text = compare.render(old, new, compare.compare(old, new))
        assert "**slower**" in text
        assert "Different processors" in text
        assert "matmul 4x4x4" in text
        assert "1 of 1 rows slower" in text


class TestReport:
    def test_table_shows_ratios_share_and_verdict(self) -> None:
        text = markdown.render(run(row()))
        assert "A CPU" in text
        assert "numpy 2.0 (openblas Zen)" in text
        line = next(line for line in text.splitlines() if line.startswith("| 2x2x2"))
        assert "4.00 (2.00x)" in line
        assert "50%" in line
        assert "yes (2.00x); **no** (0.50x)" in line
        assert "Targets reached: 1 of 2" in text

    def test_brief_has_a_line_for_each_target(self) -> None:
        text = markdown.render_brief(run(row(), row(name="4x4x4", targets=())))
        lines = [line.split("|") for line in text.splitlines() if line.startswith("| matmul")]
        assert [[cell.strip() for cell in line[4:9]] for line in lines] == [
            ["8.00 GFLOP/s", "numpy, 4.00", "2.00x", "1x", "yes"],
            ["8.00 GFLOP/s", "fp32 FMA ceiling, 16.0", "0.50x", "0.85x", "**no**"],
        ]

    def test_a_busy_machine_proves_nothing(self) -> None:
        text = markdown.render(run(row() | {"foreign_load": 1.2}))
        assert "other programs were busy" in text
        assert "yes (2.00x, busy)" in text
        assert "Targets reached: 0 of 0 (2 on a busy machine not counted)" in text

    def test_skipped_and_wrong_contestants_are_named(self) -> None:
        text = markdown.render(run(row() | {"skipped": {"torch": "not installed"}, "wrong": {"numpy": "off by one"}}))
        assert "torch in matmul: not installed" in text
        assert "WRONG ANSWER, off by one" in text

    @pytest.mark.parametrize(
        ("value", "text"),
        [(None, "-"), (0, "0"), (1234.5, "1,234"), (12.34, "12.3"), (1.234, "1.23"), (0.01234, "0.0123")],
    )
    def test_numbers_have_three_digits(self, value: float | None, text: str) -> None:
        assert markdown.number(value) == text

    def test_document_round_trip(self, tmp_path: Path) -> None:
        path = tmp_path / "deep" / "run.json"
        document.write_text(path, document.dumps(run(row())))
        assert document.load(path) == json.loads(document.dumps(run(row())))

    @pytest.mark.parametrize(
        ("text", "message"),
        [("{", "is not JSON"), ("[]", "is not the result"), ('{"schema": 1}', "is not the result"),
         (json.dumps(run() | {"schema": 99}), "has schema 99")],
    )  # fmt: skip
    def test_other_files_are_refused(self, tmp_path: Path, text: str, message: str) -> None:
        path = tmp_path / "x.json"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            document.load(path)

    @pytest.mark.skipif(not WITH_PICTURES, reason="needs matplotlib")
    def test_one_plot_for_each_family(self, tmp_path: Path) -> None:
        slow = copy.deepcopy(row(family="cd", unit="k samples/s", threads=2))
        paths = figures.save_all(run(row(), row(3e-9, name="4x4x4"), slow), tmp_path)
        assert [path.name for path in paths] == ["matmul.png", "cd.png"]
        assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)

    @pytest.mark.skipif(not WITH_PICTURES, reason="needs matplotlib")
    def test_the_top_edge_is_the_ceiling_unless_ours_is_above_it(self) -> None:
        below = figures._figure(run(), "matmul", [row(2e-9)])
        assert below.axes[0].get_ylim()[1] == pytest.approx(16.0)
        above = figures._figure(run(), "gibbs", [row(0.5e-9)])
        assert above.axes[0].get_ylim()[1] > 32.0


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hintoncore.cli", "bench", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class TestCommand:
    quick = ("--threads", "1", "--rounds", "2", "--seconds", "0.002", "--peers", "numpy")

    def test_end_to_end(self, tmp_path: Path) -> None:
        result, table = tmp_path / "run.json", tmp_path / "run.md"
        done = bench(
            "--kernel",
            "matmul,gibbs",
            "--sizes",
            "16x24x20",
            *self.quick,
            "--json",
            str(result),
            "--markdown",
            str(table),
        )
        assert done.returncode == 0, done.stderr
        assert "### gibbs" in done.stdout
        assert table.read_text(encoding="utf-8") == done.stdout.rstrip("\n") + "\n"
        written = document.load(result)
        assert [entry["family"] for entry in written["rows"]] == ["matmul", "gibbs", "gibbs"]
        for entry in written["rows"]:
            assert entry["wrong"] == {}
            assert set(entry["seconds"]) >= {OURS, "numpy"}
            assert len(entry["seconds"][OURS]["rounds"]) == 2
            assert entry["speedup"]["numpy"] > 0
        assert set(written["libraries"]) == {OURS, "numpy"}

        done = bench("--from", str(result), "--brief")
        assert done.returncode == 0
        assert "matmul 16x24x20" in done.stdout

        # The same run again, against one that claims to have been a thousand times faster.
        for entry in written["rows"]:
            entry["ceiling"] = None
            entry["speed"] = {name: 1000 * speed for name, speed in entry["speed"].items()}
        result.write_text(document.dumps(written), encoding="utf-8")
        done = bench("--kernel", "gibbs", "--sizes", "16x24x20", *self.quick, "--compare", str(result))
        assert done.returncode == 1
        assert "2 of 2 rows slower beyond the noise" in done.stdout

    def test_json_to_stdout_is_nothing_but_json(self) -> None:
        done = bench("--kernel", "bits", "--sizes", "64x10", *self.quick, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["rows"][0]["family"] == "bits"

    def test_list_names_rows_and_targets_without_running(self) -> None:
        done = bench("--list", "--threads", "2")
        assert done.returncode == 0
        for words in ("1024x1024x1024", "CD-10 784-500 B=500", ">= 8x torch; >= 4x numpy; >= 10x scikit-learn"):
            assert words in done.stdout

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--kernel", "sorting"), "unknown kernel 'sorting'; there are matmul"),
            (("--peers", "scipy"), "unknown peer 'scipy'; there are"),
            (("--sizes", "10xtwo"), "expected sizes such as"),
            (("--kernel", "matmul", "--sizes", "10x10"), "none has the number of dimensions"),
            (("--threads", "0"), "at least 1"),
            (("--seconds", "-1"), "a number above 0"),
            (("--isa", "avx1024"), "avx1024 is not available here; there are scalar"),
            (("--kernel", "bits", "--compare", "nowhere.json"), "nowhere.json"),
        ],
    )
    def test_mistakes_are_explained(self, arguments: tuple[str, ...], message: str) -> None:
        done = bench(*arguments)
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr
