"""The command line end to end, in processes of its own: what it leaves, what it says, and how it survives."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import shlex
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import hintoncore
from hintoncore import nn, train
from hintoncore.cli import main
from hintoncore.cli._progress import EpochLines
from hintoncore.models import RBM

WITH_PICTURES = importlib.util.find_spec("matplotlib") is not None
COMMANDS = ("info", "train", "sample", "reproduce", "bench")
PICTURES = ("curves.png", "receptive_fields.png", "reconstructions.png", "samples.png")
SMALL = ("--hidden", "6", "--epochs", "4", "--batch-size", "16")
LONG = ("--hidden", "12", "--epochs", "60", "--batch-size", "10")


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny MNIST: 6 x 5 images of bars."""
    root = tmp_path_factory.mktemp("data")
    (root / "mnist").mkdir()
    draw = np.random.default_rng(0)
    for part, count in (("train", 100), ("t10k", 40)):
        images = np.zeros((count, 6, 5), dtype=np.uint8)
        for image, column in zip(images, draw.integers(0, 5, count), strict=True):
            image[:, column] = 255
        header = struct.pack(">4I", 0x803, count, 6, 5)
        (root / "mnist" / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        (root / "mnist" / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, count) + bytes(count))
    return root


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment in which matplotlib is not installed."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text("import sys; sys.modules['matplotlib'] = None\n", encoding="utf-8")
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}


def hc(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hintoncore.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)


def inline(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The same without a process of its own, for mistakes that are found before anything is done."""
    command = [str(argument) for argument in arguments]
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            status = main(command)
        except SystemExit as leave:  # argparse
            status = int(leave.code or 0)
    return subprocess.CompletedProcess(command, status, stdout.getvalue(), stderr.getvalue())


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """A mistake of the user: status 2, a message with these words, no traceback."""
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Path:
    """A finished small run with everything in it."""
    out = tmp_path_factory.mktemp("trained") / "run"
    done = hc("train", "rbm", "--data", "mnist", "--data-root", data_root, "--out", out, *SMALL)
    assert done.returncode == 0, done.stderr
    return out


class TestHelp:
    def test_no_command_shows_the_commands(self) -> None:
        done = hc()
        assert done.returncode == 2
        for command in COMMANDS:
            assert f"\n    {command}" in done.stdout

    @pytest.mark.parametrize("command", COMMANDS)
    def test_help_teaches_by_example(self, command: str) -> None:
        done = hc(command, "--help")
        assert done.returncode == 0
        assert "examples:" in done.stdout
        assert f"hintoncore {command}" in done.stdout.split("examples:")[1]
        for option in ("--json",) if command == "info" else ("--json", "--seed"):
            assert option in done.stdout

    def test_version(self) -> None:
        assert hc("--version").stdout.strip() == hintoncore.__version__

    def test_unknown_command_is_refused(self) -> None:
        refused(inline("frobnicate"), "invalid choice: 'frobnicate'")


class TestInfo:
    def test_text_names_what_matters(self) -> None:
        text = hc("info").stdout
        for word in ("isa", "threads", "cuda", "mnist", "matplotlib"):
            assert word in text

    def test_json_has_the_configuration_and_the_data(self, data_root: Path) -> None:
        facts = json.loads(hc("info", "--json", "--data-root", data_root).stdout)
        assert facts["version"] == hintoncore.__version__
        assert facts["isa"]["used"] in facts["isa"]["built"]
        assert {"built", "available"} <= facts["cuda"].keys()
        assert facts["datasets"]["mnist"].startswith(str(data_root))


class TestTrain:
    def test_leaves_model_checkpoint_metrics_samples_and_pictures(self, trained: Path) -> None:
        names = {path.name for path in trained.iterdir()}
        expected = {"model.safetensors", "checkpoint.safetensors", "metrics.jsonl", "run.json", "samples.npy"}
        assert names == expected | (set(PICTURES) if WITH_PICTURES else set())
        records = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
        assert [record["epoch"] for record in records] == [1, 2, 3, 4]
        assert all("test_log_likelihood" in record for record in records)  # 6 hidden units: exact
        samples = np.load(trained / "samples.npy")
        assert samples.dtype == np.uint8
        assert samples.shape == (100, 30)
        model = hintoncore.models.RBM.load(trained / "model.safetensors")
        assert (model.n_visible, model.n_hidden, model.epochs_trained) == (30, 6, 4)

    def test_json_is_a_summary_and_threads_do_not_matter(
        self, trained: Path, tmp_path: Path, data_root: Path, plain: dict[str, str]
    ) -> None:
        arguments = ("train", "rbm", "--data", "mnist", "--out", tmp_path / "run", *SMALL, "--threads", 1, "--json")
        done = hc(*arguments, env={**plain, "HINTONCORE_DATA": str(data_root)})
        assert done.returncode == 0, done.stderr
        summary = json.loads(done.stdout)
        assert (summary["hidden"], summary["epochs_trained"], summary["updates"]) == (6, 4, 28)
        assert all(Path(name).is_file() for name in summary["files"])
        assert (tmp_path / "run/model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()

    def test_another_seed_gives_another_model(
        self, trained: Path, tmp_path: Path, data_root: Path, plain: dict[str, str]
    ) -> None:
        first = ("train", "rbm", "--data", "mnist", "--data-root", data_root)
        hc(*first, "--out", tmp_path, *SMALL, "--seed", 1, env=plain)
        assert (tmp_path / "model.safetensors").read_bytes() != (trained / "model.safetensors").read_bytes()

    def test_without_matplotlib_it_trains_and_says_what_to_install(
        self, tmp_path: Path, data_root: Path, plain: dict[str, str]
    ) -> None:
        done = hc("train", "rbm", "--data", "mnist", "--data-root", data_root, "--out", tmp_path, *SMALL, env=plain)
        assert done.returncode == 0
        assert "hintoncore[plot]" in done.stderr
        assert (tmp_path / "model.safetensors").is_file()
        assert not list(tmp_path.glob("*.png"))

    def test_larger_models_get_a_bracket_of_the_likelihood(
        self, tmp_path: Path, data_root: Path, plain: dict[str, str]
    ) -> None:
        small = ("--hidden", 26, "--epochs", 2, "--batch-size", 16)
        done = hc(
            "train", "rbm", "--data", "mnist", "--data-root", data_root, "--out", tmp_path, *small, "--json", env=plain
        )
        assert done.returncode == 0, done.stderr
        bracket = json.loads(done.stdout)["test_log_likelihood_bracket"]
        assert bracket["lower"] - 0.1 < bracket["upper"] < 0
        assert bracket["open"] is False

    @pytest.mark.parametrize("rule", ["pcd", "fpcd", "pt"])
    def test_other_rules(self, tmp_path: Path, data_root: Path, plain: dict[str, str], rule: str) -> None:
        words = ("train", "rbm", "--data", "mnist", "--data-root", data_root, "--out", tmp_path, *SMALL)
        done = hc(*words, "--rule", rule, "--centred", "--learning-rate", 0.02, env=plain)
        assert done.returncode == 0, done.stderr
        assert f"centred {rule.upper()}-1" in done.stdout
        saved = json.loads((tmp_path / "run.json").read_text())
        assert (saved["rule"], saved["centred"]) == (rule, True)

    def test_runs_that_name_no_rule_resume(self, tmp_path: Path, data_root: Path, plain: dict[str, str]) -> None:
        words = ("train", "rbm", "--data", "mnist", "--data-root", data_root, "--out", tmp_path)
        assert hc(*words, *SMALL, env=plain).returncode == 0
        settings = json.loads((tmp_path / "run.json").read_text())
        del settings["rule"], settings["centred"]
        (tmp_path / "run.json").write_text(json.dumps(settings))
        done = hc(*words, "--resume", "--epochs", 5, env=plain)
        assert done.returncode == 0, done.stderr
        assert json.loads((tmp_path / "run.json").read_text())["epochs"] == 5

    def test_persistent_chains_momentum_and_k(self, tmp_path: Path, data_root: Path, plain: dict[str, str]) -> None:
        extra = ("--persistent", "--k", 2, "--momentum", 0, "--learning-rate", 0.02, "--weight-decay", 0)
        done = hc(
            "train", "rbm", "--data", "mnist", "--data-root", data_root, "--out", tmp_path, *SMALL, *extra, env=plain
        )
        assert done.returncode == 0, done.stderr
        assert "PCD-2" in done.stdout


@pytest.fixture(scope="module")
def start(data_root: Path) -> Callable[[Path], list[str]]:
    """The arguments of a run long enough to interrupt, by folder."""
    words = ["train", "rbm", "--data", "mnist", "--data-root", str(data_root), *LONG, "--checkpoint-every", "3"]
    return lambda out: [*words, "--out", str(out)]


@pytest.fixture(scope="module")
def expected(
    tmp_path_factory: pytest.TempPathFactory, start: Callable[[Path], list[str]], plain: dict[str, str]
) -> bytes:
    """The model that this run leaves when nothing interrupts it."""
    out = tmp_path_factory.mktemp("whole") / "run"
    done = hc(*start(out), env=plain)
    assert done.returncode == 0, done.stderr
    return (out / "model.safetensors").read_bytes()


class TestResume:
    """Interrupted runs end in the bytes of an uninterrupted one."""

    def interrupt(self, arguments: list[str], out: Path, how: int, env: dict[str, str]) -> tuple[int, str]:
        """Start, wait for a few epochs, send the signal; returns status and stderr."""
        command = [sys.executable, "-m", "hintoncore.cli", *arguments]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env
        ) as process:
            metrics = out / "metrics.jsonl"
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and process.poll() is None:
                if metrics.is_file() and metrics.read_text(encoding="utf-8").count("\n") >= 3:
                    break
                time.sleep(0.002)
            process.send_signal(how)
            _, stderr = process.communicate(timeout=60)
        return process.returncode, stderr

    @pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
    def test_after_kill(
        self, tmp_path: Path, start: Callable[[Path], list[str]], expected: bytes, plain: dict[str, str]
    ) -> None:
        out = tmp_path / "run"
        status, _ = self.interrupt(start(out), out, signal.SIGKILL, plain)
        assert status == -signal.SIGKILL
        assert not (out / "model.safetensors").exists()
        done = hc(*start(out), "--resume", env=plain)
        assert done.returncode == 0, done.stderr
        assert (out / "model.safetensors").read_bytes() == expected
        assert len((out / "metrics.jsonl").read_text().splitlines()) == 60
        assert not [path.name for path in out.iterdir() if path.name.startswith(".")]

    def test_after_ctrl_c_by_the_command_it_prints(
        self, tmp_path: Path, start: Callable[[Path], list[str]], expected: bytes, plain: dict[str, str]
    ) -> None:
        out = tmp_path / "a run"  # a name that needs quotes
        status, stderr = self.interrupt(start(out), out, signal.SIGINT, plain)
        assert status == 130
        assert "Traceback" not in stderr
        assert (out / "checkpoint.safetensors").is_file()
        command = shlex.split(stderr.strip().splitlines()[-1])
        assert command[0] == "hintoncore"
        assert "--resume" in command
        done = hc(*command[1:], env=plain)
        assert done.returncode == 0, done.stderr
        assert (out / "model.safetensors").read_bytes() == expected

    def test_before_the_first_checkpoint(
        self, trained: Path, tmp_path: Path, data_root: Path, plain: dict[str, str]
    ) -> None:
        (tmp_path / "run.json").write_bytes((trained / "run.json").read_bytes())
        done = hc("train", "rbm", "--out", tmp_path, "--data-root", data_root, "--resume", env=plain)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()

    def test_a_finished_run_can_go_further(self, tmp_path: Path, data_root: Path, plain: dict[str, str]) -> None:
        first = ("train", "rbm", "--data", "mnist", "--data-root", data_root)
        small = ("--hidden", 6, "--batch-size", 16)
        hc(*first, *small, "--epochs", 6, "--out", tmp_path / "whole", env=plain)
        hc(*first, *small, "--epochs", 2, "--out", tmp_path / "parts", env=plain)
        done = hc(*first, "--out", tmp_path / "parts", "--resume", "--epochs", 6, env=plain)
        assert done.returncode == 0, done.stderr
        models = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "parts")]
        assert models[0] == models[1]

    def test_other_settings_are_refused(self, trained: Path, data_root: Path) -> None:
        done = inline(
            "train", "rbm", "--out", trained, "--data-root", data_root, "--resume", "--hidden", 7, "--seed", 3
        )
        refused(done, "hidden 6, not 7", "seed 0, not 3", "only --epochs can change")

    def test_damaged_files_are_refused(self, trained: Path, tmp_path: Path, data_root: Path) -> None:
        (tmp_path / "run.json").write_text("{", encoding="utf-8")
        refused(inline("train", "rbm", "--out", tmp_path, "--resume"), "run.json is damaged")
        (tmp_path / "run.json").write_bytes((trained / "run.json").read_bytes())
        (tmp_path / "checkpoint.safetensors").write_bytes((trained / "checkpoint.safetensors").read_bytes()[:-9])
        refused(inline("train", "rbm", "--out", tmp_path, "--data-root", data_root, "--resume"), "damaged")


class TestTrainMistakes:
    def test_unknown_data_set_lists_the_known(self, tmp_path: Path) -> None:
        done = inline("train", "rbm", "--data", "imagenet", "--out", tmp_path / "run")
        refused(done, "'imagenet'", *hintoncore.datasets.NAMES)
        assert not (tmp_path / "run").exists()

    def test_missing_data_set_says_where_it_looked(self, tmp_path: Path) -> None:
        env = {**os.environ, "HINTONCORE_DATA": str(tmp_path / "nowhere"), "HOME": str(tmp_path)}
        done = hc("train", "rbm", "--data", "mnist", "--out", tmp_path / "run", env=env)
        refused(done, "looked in", str(tmp_path / "nowhere"), "HINTONCORE_DATA")

    def test_full_folder_is_refused_with_what_to_do(self, trained: Path, tmp_path: Path) -> None:
        before = (trained / "model.safetensors").read_bytes()
        refused(inline("train", "rbm", "--out", trained), "is not empty", f"train rbm --out {trained} --resume")
        assert (trained / "model.safetensors").read_bytes() == before
        (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
        done = inline("train", "rbm", "--out", tmp_path)
        refused(done, "is not empty")
        assert "--resume" not in done.stderr

    def test_nothing_to_resume(self, tmp_path: Path) -> None:
        refused(inline("train", "rbm", "--out", tmp_path / "run", "--resume"), "there is no run in")

    def test_file_as_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("", encoding="utf-8")
        refused(inline("train", "rbm", "--out", tmp_path / "file"), "expected a folder")

    @pytest.mark.parametrize(
        ("option", "message"),
        [
            (("--epochs", "-1"), "at least 0"),
            (("--hidden", "0"), "at least 1"),
            (("--hidden", "many"), "expected an integer"),
            (("--learning-rate", "nan"), "expected a number"),
            (("--momentum", "1"), "below 1"),
            (("--seed", str(2**64)), "expected an integer from 0"),
            (("--colour", "red"), "unrecognized arguments"),
        ],
    )
    def test_bad_values_are_named(self, tmp_path: Path, option: tuple[str, str], message: str) -> None:
        refused(inline("train", "rbm", "--out", tmp_path / "run", *option), message)

    def test_unknown_model_lists_the_known(self, tmp_path: Path) -> None:
        refused(inline("train", "transformer", "--out", tmp_path / "run"), "'transformer'", "rbm")


class TestSample:
    def test_same_seed_same_bytes(self, trained: Path, tmp_path: Path) -> None:
        for name, seed, threads in (("a.npy", 3, 1), ("b.npy", 3, 2), ("c.npy", 4, 1)):
            done = hc(
                "sample", "--model", trained / "model.safetensors", "--n", 5, "--steps", 20, "--seed", seed,
                "--threads", threads, "--out", tmp_path / name,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
        a, b, c = ((tmp_path / name).read_bytes() for name in ("a.npy", "b.npy", "c.npy"))
        assert a == b != c
        samples = np.load(tmp_path / "a.npy")
        assert samples.shape == (5, 30)
        assert set(np.unique(samples)) <= {0, 1}

    def test_several_files_and_json(self, trained: Path, tmp_path: Path) -> None:
        names = ["s.npy", "s.safetensors"] + (["s.png"] if WITH_PICTURES else [])
        paths = [tmp_path / name for name in names]
        done = hc(
            "sample", "--model", trained / "model.safetensors", "--n", 7, "--steps", 3, "--image-shape", "6x5",
            "--out", *paths, "--json",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        facts = json.loads(done.stdout)
        assert facts["files"] == [str(path) for path in paths]
        tensors, metadata = hintoncore.files.load_tensors(tmp_path / "s.safetensors", kind="samples")
        np.testing.assert_array_equal(tensors["samples"], np.load(tmp_path / "s.npy"))
        assert (metadata["n"], metadata["steps"]) == (7, 3)

    def test_mistakes_are_explained(self, trained: Path, tmp_path: Path, plain: dict[str, str]) -> None:
        model = trained / "model.safetensors"
        refused(inline("sample", "--model", tmp_path / "no.safetensors", "--out", tmp_path / "s.npy"), "no.safetensors")
        refused(
            inline("sample", "--model", trained / "run.json", "--out", tmp_path / "s.npy"), "run.json", "safetensors"
        )
        refused(inline("sample", "--model", trained / "checkpoint.safetensors", "--out", tmp_path / "s.npy"), "'rbm'")
        refused(inline("sample", "--model", model, "--out", tmp_path / "s.bmp"), "ending in .npy, .safetensors, .png")
        refused(inline("sample", "--model", model, "--out", tmp_path / "no/s.npy"), "there is no folder")
        refused(inline("sample", "--model", model, "--out", tmp_path / "s.npy", "--temperature", 0), "above 0")
        refused(hc("sample", "--model", model, "--out", tmp_path / "s.png", env=plain), "hintoncore[plot]")
        if WITH_PICTURES:
            refused(inline("sample", "--model", model, "--out", tmp_path / "s.png"), "30 visible units", "ROWSxCOLUMNS")
            shape = ("--image-shape", "4x4")
            refused(inline("sample", "--model", model, "--out", tmp_path / "s.png", *shape), "not 4 x 4")
        assert not list(tmp_path.iterdir())


def test_a_reader_that_leaves_early_is_no_error(trained: Path) -> None:
    command = f"{shlex.quote(sys.executable)} -m hintoncore.cli bench --list | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_lines_of_epochs_say_what_tasks_of_all_kinds_measure(capsys: pytest.CaptureFixture[str]) -> None:
    x, labels = np.random.default_rng(0).random((40, 4), dtype=np.float32), np.arange(40) % 2
    task = train.Supervised(
        nn.Linear(4, 2, rng=1), x, labels, loss=nn.SoftmaxCrossEntropy(), optimiser=nn.SGD(0.1), validation=(x, labels)
    )
    trainer = train.Trainer(task, batch_size=10, callbacks=[EpochLines()])
    trainer.run(2)
    last = trainer.history[-1]
    assert capsys.readouterr().err.splitlines()[1] == (
        f"epoch 2/2: loss {last['loss']:.4g}, held-out loss {last['validation_loss']:.4g}, "
        f"held-out error {last['validation_error']:.4g}"
    )
    RBM(4, 2).fit(x, 1, callbacks=[EpochLines()])
    assert "epoch 1/1: reconstruction error 0." in capsys.readouterr().err
